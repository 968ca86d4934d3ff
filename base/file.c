/* Files and paths; see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "base/text.h"

/* Opens a regular file for reading; a folder or a device in its place is named as such. */
static int open_regular(const char *path, struct stat *status, Error *error) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return error_set(error, "cannot open %s: %s", path, strerror(errno));
    if (fstat(file, status) != 0) {
        error_set(error, "cannot examine %s: %s", path, strerror(errno));
    } else if (!S_ISREG(status->st_mode)) {
        error_set(error, "cannot read %s: found %s, expected a file", path,
                  S_ISDIR(status->st_mode) ? "a folder" : "a special file");
    } else {
        return file;
    }
    close(file);
    return -1;
}

enum { LARGE_PAGE = 2 * 1024 * 1024 };

/* Addresses for so many bytes that nothing lies at, from where a large page can begin, to be mapped over;
 * NULL where there are none. */
static uint8_t *reserve(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes > PTRDIFF_MAX - LARGE_PAGE - page)
        return NULL;
    bytes = (bytes + page - 1) / page * page;
    uint8_t *start =
        mmap(NULL, bytes + LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    size_t before = (LARGE_PAGE - (uintptr_t)start % LARGE_PAGE) % LARGE_PAGE;
    if (before > 0)
        munmap(start, before);
    munmap(start + before + bytes, LARGE_PAGE - before);
    return start + before;
}

int file_map(FileMap *out, const char *path, Error *error) {
    struct stat status;
    *out = (FileMap){0};
    int file = open_regular(path, &status, error);
    if (file < 0)
        return -1;
    if (status.st_size > 0) {
        size_t bytes = (size_t)status.st_size;
        uint8_t *place = bytes >= LARGE_PAGE ? reserve(bytes) : NULL;
        void *data = mmap(place, bytes, PROT_READ, MAP_PRIVATE | (place ? MAP_FIXED : 0), file, 0);
        if (data == MAP_FAILED) {
            error_set(error, "cannot map %s: %s", path, strerror(errno));
            if (place)
                munmap(place, bytes);
            close(file);
            return -1;
        }
        if (place) /* file systems with large folios then read and map large pages; others do not heed it */
            madvise(data, bytes, MADV_HUGEPAGE);
        *out = (FileMap){.data = data, .bytes = bytes};
    }
    close(file);
    return 0;
}

void file_unmap(FileMap *map) {
    if (map->data)
        munmap((void *)map->data, map->bytes);
    *map = (FileMap){0};
}

static int no_memory(const FileMap *map, Error *error) {
    return error_set(error, "cannot get %zu bytes of memory: %s", map->bytes, strerror(errno));
}

uint8_t *file_map_twin(const FileMap *map, Error *error) {
    uint8_t *place = reserve(map->bytes);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | (place ? MAP_FIXED : 0);
    void *twin = mmap(place, map->bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (twin == MAP_FAILED) {
        no_memory(map, error);
        if (place)
            munmap(place, map->bytes);
        return NULL;
    }
    madvise(twin, map->bytes, MADV_HUGEPAGE); /* no harm where it is not heeded */
    return twin;
}

int file_map_replace(FileMap *map, uint8_t *twin, Error *error) {
    if (mprotect(twin, map->bytes, PROT_READ) ||
        mremap(twin, map->bytes, map->bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)map->data) ==
            MAP_FAILED) {
        no_memory(map, error);
        munmap(twin, map->bytes);
        return -1;
    }
    return 0;
}

/* zlib reads plain files as they are and gzip files decompressed, which is what "plain or gzip" needs. */
static int open_gz(gzFile *out, const char *path, Error *error) {
    struct stat status;
    int file = open_regular(path, &status, error);
    if (file < 0)
        return -1;
    *out = gzdopen(file, "rb");
    if (!*out) {
        close(file);
        return error_set(error, "cannot read %s: no memory for decompression", path);
    }
    gzbuffer(*out, 1 << 17);
    return 0;
}

static int gz_failure(gzFile file, const char *path, Error *error) {
    int code;
    const char *message = gzerror(file, &code);
    return error_set(error, "cannot read %s: %s", path, code == Z_ERRNO ? strerror(errno) : message);
}

/* A gzip stream that ends early reports no error from gzread, only this one. */
static bool gz_truncated(gzFile file) {
    int code;
    gzerror(file, &code);
    return code == Z_BUF_ERROR;
}

int file_read(Buffer *out, const char *path, size_t max_bytes, Error *error) {
    enum { CHUNK = 1 << 18 };
    size_t start = out->size;
    gzFile file;
    if (open_gz(&file, path, error))
        return -1;
    for (;;) {
        int got = gzread(file, buffer_reserve(out, CHUNK), CHUNK);
        if (got < 0 || (got == 0 && gz_truncated(file))) {
            gz_failure(file, path, error);
            break;
        }
        if (got == 0) {
            gzclose(file);
            buffer_append(out, "", 0);
            return 0;
        }
        out->size += (size_t)got;
        if (out->size - start > max_bytes) {
            error_set(error, "cannot read %s: it holds more than %zu bytes", path, max_bytes);
            break;
        }
    }
    gzclose(file);
    out->size = start;
    buffer_append(out, "", 0);
    return -1;
}

struct LineReader {
    gzFile file;
    char *path;
    Buffer buffer; /* bytes read and not yet handed out, from `start` on */
    size_t start, number;
    bool at_end;
};

enum { LINE_CHUNK = 1 << 16, LINE_LONGEST = 64 << 20 };

static LineReader *new_line_reader(gzFile file, const char *name) {
    LineReader *reader = mem_alloc_zero(1, sizeof *reader);
    reader->file = file;
    reader->path = mem_strdup(name);
    return reader;
}

int line_reader_open(LineReader **out, const char *path, Error *error) {
    gzFile file;
    *out = NULL;
    if (open_gz(&file, path, error))
        return -1;
    *out = new_line_reader(file, path);
    return 0;
}

int line_reader_open_stdin(LineReader **out, Error *error) {
    int copy = dup(STDIN_FILENO);
    gzFile file = copy < 0 ? NULL : gzdopen(copy, "rb");
    *out = file ? new_line_reader(file, "standard input") : NULL;
    if (file)
        return 0;
    int failure = errno;
    if (copy >= 0)
        close(copy);
    return error_set(error, "cannot read standard input: %s", strerror(failure));
}

/* Moves what is left to the front and reads more behind it. */
static int line_reader_fill(LineReader *reader, Error *error) {
    Buffer *buffer = &reader->buffer;
    if (buffer->size - reader->start > LINE_LONGEST)
        return error_set(error, "%s:%zu: the line is longer than %d bytes", reader->path, reader->number + 1,
                         LINE_LONGEST);
    if (reader->start > 0) {
        memmove(buffer->data, buffer->data + reader->start, buffer->size - reader->start);
        buffer->size -= reader->start;
        reader->start = 0;
    }
    int got = gzread(reader->file, buffer_reserve(buffer, LINE_CHUNK), LINE_CHUNK);
    if (got < 0 || (got == 0 && gz_truncated(reader->file)))
        return gz_failure(reader->file, reader->path, error);
    buffer->size += (size_t)got;
    buffer->data[buffer->size] = '\0';
    reader->at_end = got == 0;
    return 0;
}

int line_reader_next(LineReader *reader, const char **line, size_t *bytes, Error *error) {
    size_t searched = reader->start;
    char *newline = NULL;
    for (;;) {
        Buffer *buffer = &reader->buffer;
        if (buffer->size > searched)
            newline = memchr(buffer->data + searched, '\n', buffer->size - searched);
        if (newline || reader->at_end)
            break;
        size_t already = buffer->size - reader->start;
        if (line_reader_fill(reader, error))
            return -1;
        searched = reader->start + already;
    }
    if (!newline && reader->start == reader->buffer.size)
        return 0;
    char *start = reader->buffer.data + reader->start;
    size_t length = newline ? (size_t)(newline - start) : reader->buffer.size - reader->start;
    reader->start += length + (newline ? 1 : 0);
    if (length > 0 && start[length - 1] == '\r')
        length--;
    start[length] = '\0';
    reader->number++;
    *line = start;
    *bytes = length;
    return 1;
}

size_t line_reader_number(const LineReader *reader) {
    return reader->number;
}

void line_reader_close(LineReader *reader) {
    if (!reader)
        return;
    gzclose(reader->file);
    buffer_free(&reader->buffer);
    free(reader->path);
    free(reader);
}

static int write_all(int file, const void *data, size_t bytes) {
    const char *at = data;
    while (bytes > 0) {
        ssize_t wrote = write(file, at, bytes);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -1;
        at += wrote;
        bytes -= (size_t)wrote;
    }
    return 0;
}

int file_write_atomic(const char *path, const void *data, size_t bytes, Error *error) {
    Buffer temporary = {0};
    buffer_printf(&temporary, "%s.XXXXXX", path);
    int file = mkstemp(temporary.data);
    if (file < 0) {
        error_set(error, "cannot write %s: %s", path, strerror(errno));
        buffer_free(&temporary);
        return -1;
    }
    /* mkstemp makes the file private; give it what an ordinary open would. */
    mode_t mask = umask(0);
    umask(mask);
    int failed = write_all(file, data, bytes) || fchmod(file, 0666 & ~mask) || fsync(file);
    int failure = errno;
    if (close(file) && !failed) {
        failed = 1;
        failure = errno;
    }
    if (!failed && rename(temporary.data, path)) {
        failed = 1;
        failure = errno;
    }
    if (failed)
        unlink(temporary.data);
    buffer_free(&temporary);
    return failed ? error_set(error, "cannot write %s: %s", path, strerror(failure)) : 0;
}

bool file_exists(const char *path) {
    struct stat status;
    return stat(path, &status) == 0;
}

bool file_is_directory(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int64_t file_size(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) ? status.st_size : -1;
}

int file_make_directories(const char *path, Error *error) {
    char *copy = mem_strdup(path);
    int failed = 0;
    for (char *at = copy + 1; !failed; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        failed = mkdir(copy, 0777) && errno != EEXIST;
        *at = kept;
        if (kept == '\0')
            break;
    }
    if (failed)
        error_set(error, "cannot make the folder %s: %s", path, strerror(errno));
    else if (!file_is_directory(path))
        failed = error_set(error, "cannot make the folder %s: a file is in its place", path);
    free(copy);
    return failed ? -1 : 0;
}

char *path_join(const char *folder, const char *name) {
    if (name[0] == '/' || !*folder)
        return mem_strdup(name);
    Buffer path = {0};
    buffer_append_text(&path, folder);
    if (!text_ends_with(folder, "/"))
        buffer_append_char(&path, '/');
    buffer_append_text(&path, name);
    return buffer_take(&path);
}

const char *path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(".");
    return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

bool path_is_inside(const char *name) {
    if (!*name || *name == '/')
        return false;
    for (const char *at = name; *at;) {
        size_t part = strcspn(at, "/");
        if (part == 0 || (part == 1 && at[0] == '.') || (part == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        for (size_t i = 0; i < part; i++)
            if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f || at[i] == '\\')
                return false;
        at += part;
        if (*at == '/' && !*++at)
            return false;
    }
    return true;
}
