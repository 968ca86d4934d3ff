/* Parquet files as rows. A row group is decoded at a time, page by page, so that beside the rows only one
 * decompressed page is held. Nothing in a file is believed: every length is bounded before it is used, every
 * page lies inside the file, a page's check sum is checked where there is one, and decompression stops at
 * the declared size. Reference: the Apache Parquet format, version 2.11.
 *
 * What columns become: strings (also ENUM and JSON) strings; integers integers (those without a sign that do
 * not fit into 63 bits the text of their digits); floats (16 to 64 bits) floats; DECIMAL, DATE, TIME,
 * TIMESTAMP, INT96 and UUID the strings that Python's str() gives for them; lists and repeated fields lists;
 * structs mappings in column order; maps mappings with str() of the keys. Bytes that are no declared text
 * become a string if they are UTF-8 without NUL, else Python's repr of the bytes: b'\x00'. */
#ifndef ZEVAL_TASKS_PARQUET_H
#define ZEVAL_TASKS_PARQUET_H

#include "base/error.h"
#include "base/memory.h"
#include "tasks/value.h"

/* What a file may ask for. */
typedef struct ParquetLimits {
    size_t page_bytes; /* a decompressed page */
    size_t n_values;   /* of a row group, all columns together, nulls and empty lists counted */
} ParquetLimits;
extern const ParquetLimits parquet_limits; /* for ordinary use */

typedef struct ParquetReader ParquetReader;

/* Opens a file and reads its footer. */
int parquet_open(ParquetReader **out, const char *path, const ParquetLimits *limits, Error *error);
/* The same for bytes that the caller keeps; `name` is for messages. */
int parquet_open_bytes(ParquetReader **out, const void *bytes, size_t size, const char *name,
                       const ParquetLimits *limits, Error *error);
/* 1: the next row group's rows, mappings allocated in arena; 0: there is no more; -1: error. */
int parquet_next(ParquetReader *reader, Arena *arena, Value **rows, size_t *n, Error *error);
void parquet_close(ParquetReader *reader);

#endif
