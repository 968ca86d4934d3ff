/* Files and paths. */
#ifndef ZEVAL_BASE_FILE_H
#define ZEVAL_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"

/* A whole file mapped read-only. data is NULL for an empty file. */
typedef struct FileMap {
    const uint8_t *data;
    size_t bytes;
} FileMap;

int file_map(FileMap *out, const char *path, Error *error);
void file_unmap(FileMap *map);

/* Memory of the process's own, as large as the map, in large pages where the system gives them, for the
 * caller to fill. NULL: an error. It ends in file_map_replace, or is unmapped by the caller. */
uint8_t *file_map_twin(const FileMap *map, Error *error);
/* Puts what file_map_twin gave in the map's place, read-only: the map's addresses now hold the twin's bytes,
 * and the file is done with. On failure the map is as it was and the twin is gone. */
int file_map_replace(FileMap *map, uint8_t *twin, Error *error);

/* Reads a whole file (gunzipped when it starts with a gzip header) and appends it to out. More than
 * `max_bytes` after decompression is an error, which is what stops a zip bomb. */
int file_read(Buffer *out, const char *path, size_t max_bytes, Error *error);

/* Reads a text file line by line, gunzipping on the way. */
typedef struct LineReader LineReader;
int line_reader_open(LineReader **out, const char *path, Error *error);
/* The same for standard input, a pipe or a terminal included; messages call it "standard input". */
int line_reader_open_stdin(LineReader **out, Error *error);
/* 1: *line is the next line without its newline (\n or \r\n), NUL-terminated, valid until the next call; 0:
 * end; -1: error (a line over 64 MiB, a broken gzip stream, a NUL byte is NOT an error). */
int line_reader_next(LineReader *reader, const char **line, size_t *bytes, Error *error);
/* 1-based number of the line last returned. */
size_t line_reader_number(const LineReader *reader);
void line_reader_close(LineReader *reader);

/* Writes a file so that it is there whole or not at all: a temporary file beside it, fsync, rename. */
int file_write_atomic(const char *path, const void *data, size_t bytes, Error *error);

bool file_exists(const char *path);
bool file_is_directory(const char *path);
int64_t file_size(const char *path); /* -1 if there is none */
/* mkdir -p. */
int file_make_directories(const char *path, Error *error);

/* "a/b" as a new string (free it). An absolute `name` is returned as it is. */
char *path_join(const char *folder, const char *name);
/* The folder part ("." if none) as a new string; the last component inside `path`. */
char *path_folder(const char *path);
const char *path_name(const char *path);
/* True if a name found in outside data stays inside its folder: relative, no "..", no control characters. */
bool path_is_inside(const char *name);

#endif
