/* What the files of the Parquet reader share: the footer's contents, checked, and the steps from a page to
 * values. Field names and numbers are those of the format's parquet.thrift. */
#ifndef ZEVAL_TASKS_PARQUET_FILE_H
#define ZEVAL_TASKS_PARQUET_FILE_H

#include "base/buffer.h"
#include "tasks/parquet.h"

enum {
    PARQUET_DEPTH_MAX = 32,    /* of nested fields */
    PARQUET_FIELDS_MAX = 20000 /* of a schema */
};

typedef enum ParquetType {
    PARQUET_BOOLEAN,
    PARQUET_INT32,
    PARQUET_INT64,
    PARQUET_INT96,
    PARQUET_FLOAT,
    PARQUET_DOUBLE,
    PARQUET_BYTE_ARRAY,
    PARQUET_FIXED_LEN_BYTE_ARRAY,
    PARQUET_N_TYPES
} ParquetType;

typedef enum ParquetRepetition { PARQUET_REQUIRED, PARQUET_OPTIONAL, PARQUET_REPEATED } ParquetRepetition;

/* What a leaf's physical values mean. */
typedef enum ParquetMeaning {
    MEANING_PLAIN, /* numbers as they are, bytes as text if they are */
    MEANING_TEXT,  /* must be UTF-8 */
    MEANING_UNSIGNED,
    MEANING_DECIMAL,
    MEANING_DATE,
    MEANING_TIME,
    MEANING_TIMESTAMP,
    MEANING_FLOAT16,
    MEANING_UUID
} ParquetMeaning;

typedef enum ParquetShape { SHAPE_LEAF, SHAPE_STRUCT, SHAPE_LIST, SHAPE_MAP } ParquetShape;

typedef enum ParquetEncoding {
    ENCODING_PLAIN = 0,
    ENCODING_PLAIN_DICTIONARY = 2,
    ENCODING_RLE = 3,
    ENCODING_BIT_PACKED = 4,
    ENCODING_DELTA_BINARY_PACKED = 5,
    ENCODING_DELTA_LENGTH_BYTE_ARRAY = 6,
    ENCODING_DELTA_BYTE_ARRAY = 7,
    ENCODING_RLE_DICTIONARY = 8,
    ENCODING_BYTE_STREAM_SPLIT = 9
} ParquetEncoding;

/* A field of the schema. Its leaves are [first_leaf, first_leaf + n_leaves) of the file's. */
typedef struct ParquetNode ParquetNode;
struct ParquetNode {
    const char *name, *path; /* path: "a.b.c", for messages */
    const char *key;         /* the name as rows hold it, in the arena of the current row group */
    ParquetRepetition repetition;
    ParquetShape shape;
    int max_definition, max_repetition;
    size_t first_leaf, n_leaves;
    ParquetNode *children; /* [n_children], none for a leaf */
    size_t n_children;
    /* of a leaf */
    ParquetType type;
    size_t width; /* bytes of a value of fixed width; 0 for byte arrays */
    ParquetMeaning meaning;
    int scale;            /* MEANING_DECIMAL: digits behind the point */
    int units_per_second; /* MEANING_TIME, MEANING_TIMESTAMP: 1000, 1000000 or 1000000000 */
    bool utc;             /* MEANING_TIMESTAMP: adjusted to UTC */
};

typedef struct ParquetChunk {
    int64_t codec, n_values, start; /* start: offset of the first page */
} ParquetChunk;

typedef struct ParquetGroup {
    size_t n_rows;
    ParquetChunk *chunks; /* [n_leaves] */
} ParquetGroup;

typedef struct ParquetFooter {
    ParquetNode root;
    const ParquetNode **leaves;
    size_t n_leaves;
    ParquetGroup *groups;
    size_t n_groups, n_rows;
    size_t bytes_before; /* where the footer begins: all pages lie below */
} ParquetFooter;

/* Reads and checks the footer of a file's bytes; everything is allocated in arena. */
int parquet_read_footer(ParquetFooter *out, Arena *arena, const uint8_t *data, size_t bytes, Error *error);
/* Builds the schema from its flat list of elements, `at` being a Thrift list's first item. */
struct Thrift;
int parquet_read_schema(ParquetFooter *out, Arena *arena, struct Thrift *thrift, size_t n_elements,
                        Error *error);

/* Decompresses exactly `expected` bytes into out (cleared first). */
int parquet_decompress(Buffer *out, int64_t codec, const uint8_t *data, size_t bytes, size_t expected,
                       Error *error);

/* A leaf's values of a row group on their way to rows. Invariant: n_values entries have the leaf's highest
 * definition level. */
typedef struct ParquetColumn {
    const ParquetNode *leaf;
    Arena *arena;                       /* where strings go */
    size_t page_bytes;                  /* the most that a page's values may take when spelt out */
    uint8_t *definitions, *repetitions; /* [n_entries]; NULL where the highest level is 0 */
    size_t n_entries, room_entries;
    Value *values;
    size_t n_values, room_values;
    Value *dictionary; /* NULL: none read yet */
    size_t n_dictionary;
    size_t entry_at, value_at; /* cursor of the assembly */
} ParquetColumn;

/* Levels in the RLE / bit-packing hybrid, or in the old bit-packed form: n of them appended to out[], each
 * at most max. *used: the bytes read. */
int parquet_read_levels(uint8_t *out, size_t n, int max, const uint8_t *data, size_t bytes, Error *error);
int parquet_read_packed_levels(uint8_t *out, size_t n, int max, const uint8_t *data, size_t bytes,
                               size_t *used, Error *error);
/* Decodes n values of an encoding into out[n]; all of data must be what they take. */
int parquet_read_values(const ParquetColumn *column, ParquetEncoding encoding, const uint8_t *data,
                        size_t bytes, Value *out, size_t n, Error *error);

/* A physical value as the Value it means. */
int parquet_from_integer(const ParquetNode *leaf, Arena *arena, int64_t integer, Value *out, Error *error);
int parquet_from_bytes(const ParquetNode *leaf, Arena *arena, const uint8_t *data, size_t bytes, Value *out,
                       Error *error);

/* Puts n rows together from the columns' levels and values; all they hold is in arena. */
int parquet_assemble(ParquetNode *root, ParquetColumn *columns, size_t n_rows, Arena *arena, Value *rows,
                     Error *error);

#endif
