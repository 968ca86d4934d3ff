/* A Parquet schema: from the footer's flat list of elements to a tree with levels, shapes and meanings. */
#include <string.h>

#include "base/text.h"
#include "tasks/parquet_file.h"
#include "tasks/parquet_thrift.h"

enum { ABSENT = -1, NAME_BYTES_MAX = 1000, DECIMAL_SCALE_MAX = 76 };

/* parquet.thrift's ConvertedType and LogicalType, as far as they change how values are read. */
enum {
    CONVERTED_UTF8 = 0,
    CONVERTED_MAP = 1,
    CONVERTED_MAP_KEY_VALUE = 2,
    CONVERTED_LIST = 3,
    CONVERTED_ENUM = 4,
    CONVERTED_DECIMAL = 5,
    CONVERTED_DATE = 6,
    CONVERTED_TIME_MILLIS = 7,
    CONVERTED_TIME_MICROS = 8,
    CONVERTED_TIMESTAMP_MILLIS = 9,
    CONVERTED_TIMESTAMP_MICROS = 10,
    CONVERTED_UINT_8 = 11,
    CONVERTED_UINT_64 = 14,
    CONVERTED_JSON = 19
};
enum {
    LOGICAL_STRING = 1,
    LOGICAL_MAP = 2,
    LOGICAL_LIST = 3,
    LOGICAL_ENUM = 4,
    LOGICAL_DECIMAL = 5,
    LOGICAL_DATE = 6,
    LOGICAL_TIME = 7,
    LOGICAL_TIMESTAMP = 8,
    LOGICAL_INTEGER = 10,
    LOGICAL_JSON = 12,
    LOGICAL_UUID = 14,
    LOGICAL_FLOAT16 = 15
};

/* A SchemaElement as it stands in the footer. */
typedef struct Element {
    int64_t type, type_length, repetition, n_children, converted, scale;
    const char *name;
    size_t name_bytes;
    int logical;           /* ABSENT: none */
    int units_per_second;  /* of TIME and TIMESTAMP */
    bool utc, is_unsigned; /* of TIMESTAMP, INTEGER */
} Element;

typedef struct SchemaReader {
    Thrift *thrift;
    Arena *arena;
    ParquetFooter *footer;
    size_t n_left; /* elements not read yet */
    Error *error;
} SchemaReader;

static int wrong_schema(const SchemaReader *reader) {
    return error_set(reader->error, "the schema is damaged: %s",
                     reader->thrift->wrong ? reader->thrift->wrong : "an element is missing");
}

static void read_unit(Thrift *thrift, ThriftType type, Element *out) {
    static const int units[] = {0, 1000, 1000000, 1000000000};
    ThriftField field = {0};
    if (!thrift_is(thrift, type, THRIFT_STRUCT))
        return;
    while (thrift_field(thrift, &field)) {
        if (field.id >= 1 && field.id <= 3)
            out->units_per_second = units[field.id];
        thrift_skip(thrift, field.type);
    }
}

/* The struct inside the LogicalType union. */
static void read_logical_fields(Thrift *thrift, Element *out) {
    ThriftField field = {0};
    int64_t width;
    bool is_signed;
    while (thrift_field(thrift, &field)) {
        bool timed = out->logical == LOGICAL_TIME || out->logical == LOGICAL_TIMESTAMP;
        if (out->logical == LOGICAL_DECIMAL && field.id == 1)
            thrift_int(thrift, field.type, &out->scale);
        else if (timed && field.id == 1)
            thrift_bool(thrift, field.type, &out->utc);
        else if (timed && field.id == 2)
            read_unit(thrift, field.type, out);
        else if (out->logical == LOGICAL_INTEGER && field.id == 1)
            thrift_int(thrift, field.type, &width);
        else if (out->logical == LOGICAL_INTEGER && field.id == 2 &&
                 thrift_bool(thrift, field.type, &is_signed))
            out->is_unsigned = !is_signed;
        else
            thrift_skip(thrift, field.type);
    }
}

static void read_logical(Thrift *thrift, ThriftType type, Element *out) {
    ThriftField field = {0};
    if (!thrift_is(thrift, type, THRIFT_STRUCT))
        return;
    while (thrift_field(thrift, &field)) {
        if (!thrift_is(thrift, field.type, THRIFT_STRUCT))
            return;
        out->logical = field.id;
        read_logical_fields(thrift, out);
    }
}

static int read_element(SchemaReader *reader, Element *out) {
    Thrift *thrift = reader->thrift;
    ThriftField field = {0};
    *out = (Element){.type = ABSENT, .n_children = ABSENT, .converted = ABSENT, .logical = ABSENT};
    if (reader->n_left == 0)
        return wrong_schema(reader);
    reader->n_left--;
    while (thrift_field(thrift, &field)) {
        int64_t *numbers[] = {[1] = &out->type,       [2] = &out->type_length, [3] = &out->repetition,
                              [5] = &out->n_children, [6] = &out->converted,   [7] = &out->scale};
        if (field.id == 4)
            thrift_text(thrift, field.type, &out->name, &out->name_bytes);
        else if (field.id == 10)
            read_logical(thrift, field.type, out);
        else if (field.id >= 1 && field.id <= 7 && numbers[field.id])
            thrift_int(thrift, field.type, numbers[field.id]);
        else
            thrift_skip(thrift, field.type);
    }
    if (thrift->wrong || !out->name)
        return wrong_schema(reader);
    if (out->name_bytes > NAME_BYTES_MAX || !utf8_valid(out->name, out->name_bytes) ||
        memchr(out->name, '\0', out->name_bytes))
        return error_set(reader->error,
                         "the schema is damaged: a column's name is not UTF-8 text of at most %d bytes",
                         NAME_BYTES_MAX);
    return 0;
}

/* Logical types that converted ones stand for too: one meaning for both. */
static void settle_meaning(const Element *element, ParquetNode *out) {
    static const struct {
        int converted, logical, units_per_second;
    } twins[] = {{CONVERTED_UTF8, LOGICAL_STRING, 0},
                 {CONVERTED_ENUM, LOGICAL_ENUM, 0},
                 {CONVERTED_JSON, LOGICAL_JSON, 0},
                 {CONVERTED_DECIMAL, LOGICAL_DECIMAL, 0},
                 {CONVERTED_DATE, LOGICAL_DATE, 0},
                 {CONVERTED_TIME_MILLIS, LOGICAL_TIME, 1000},
                 {CONVERTED_TIME_MICROS, LOGICAL_TIME, 1000000},
                 {CONVERTED_TIMESTAMP_MILLIS, LOGICAL_TIMESTAMP, 1000},
                 {CONVERTED_TIMESTAMP_MICROS, LOGICAL_TIMESTAMP, 1000000}};
    static const ParquetMeaning meanings[LOGICAL_FLOAT16 + 1] = {
        [LOGICAL_STRING] = MEANING_TEXT,    [LOGICAL_ENUM] = MEANING_TEXT,
        [LOGICAL_JSON] = MEANING_TEXT,      [LOGICAL_DECIMAL] = MEANING_DECIMAL,
        [LOGICAL_DATE] = MEANING_DATE,      [LOGICAL_TIME] = MEANING_TIME,
        [LOGICAL_UUID] = MEANING_UUID,      [LOGICAL_TIMESTAMP] = MEANING_TIMESTAMP,
        [LOGICAL_FLOAT16] = MEANING_FLOAT16};
    int logical = element->logical;
    out->units_per_second = element->units_per_second;
    out->utc = element->utc;
    for (size_t i = 0; logical == ABSENT && i < sizeof twins / sizeof *twins; i++) {
        if (twins[i].converted != element->converted)
            continue;
        logical = twins[i].logical;
        out->units_per_second = twins[i].units_per_second;
        out->utc = true; /* what converted times mean */
    }
    if (logical >= 0 && logical <= LOGICAL_FLOAT16)
        out->meaning = meanings[logical];
    if (element->is_unsigned ||
        (element->converted >= CONVERTED_UINT_8 && element->converted <= CONVERTED_UINT_64))
        out->meaning = MEANING_UNSIGNED;
}

/* Whether the meaning fits the physical type; what does not fit would be read as nonsense. */
static bool meaning_fits(const ParquetNode *leaf) {
    bool bytes = leaf->type == PARQUET_BYTE_ARRAY || leaf->type == PARQUET_FIXED_LEN_BYTE_ARRAY;
    bool integer = leaf->type == PARQUET_INT32 || leaf->type == PARQUET_INT64;
    switch (leaf->meaning) {
    case MEANING_PLAIN:
        return true;
    case MEANING_TEXT:
        return bytes;
    case MEANING_UNSIGNED:
        return integer;
    case MEANING_DECIMAL:
        return (bytes || integer) && leaf->scale >= 0;
    case MEANING_DATE:
        return leaf->type == PARQUET_INT32;
    case MEANING_TIME:
    case MEANING_TIMESTAMP:
        return integer && leaf->units_per_second > 0;
    case MEANING_FLOAT16:
        return leaf->type == PARQUET_FIXED_LEN_BYTE_ARRAY && leaf->width == 2;
    case MEANING_UUID:
        return leaf->type == PARQUET_FIXED_LEN_BYTE_ARRAY && leaf->width == 16;
    }
    return false;
}

static int make_leaf(SchemaReader *reader, const Element *element, ParquetNode *out) {
    static const size_t widths[PARQUET_N_TYPES] = {0, 4, 8, 12, 4, 8, 0, 0};
    if (element->type < 0 || element->type >= PARQUET_N_TYPES)
        return error_set(reader->error, "column '%s' has the physical type %lld, which does not exist",
                         out->path, (long long)element->type);
    out->shape = SHAPE_LEAF;
    out->type = (ParquetType)element->type;
    out->width = widths[out->type];
    if (out->type == PARQUET_FIXED_LEN_BYTE_ARRAY) {
        if (element->type_length < 1 || element->type_length > INT32_MAX)
            return error_set(reader->error, "column '%s': values of a fixed length of %lld bytes", out->path,
                             (long long)element->type_length);
        out->width = (size_t)element->type_length;
    }
    out->scale = element->scale < 0 || element->scale > DECIMAL_SCALE_MAX ? -1 : (int)element->scale;
    settle_meaning(element, out);
    if (!meaning_fits(out))
        return error_set(reader->error, "column '%s': its logical type does not fit its physical type",
                         out->path);
    out->n_leaves = 1;
    reader->footer->leaves[reader->footer->n_leaves++] = out;
    return 0;
}

/* A group is a list or a map if it says so and has the structure of one. */
static ParquetShape group_shape(const Element *element, const ParquetNode *node) {
    bool list = element->logical == LOGICAL_LIST || element->converted == CONVERTED_LIST;
    bool map = element->logical == LOGICAL_MAP || element->converted == CONVERTED_MAP ||
               element->converted == CONVERTED_MAP_KEY_VALUE;
    const ParquetNode *child = &node->children[0];
    if (node->n_children != 1 || child->repetition != PARQUET_REPEATED)
        return SHAPE_STRUCT;
    if (map && child->shape == SHAPE_STRUCT && child->n_children == 2)
        return SHAPE_MAP;
    return list ? SHAPE_LIST : SHAPE_STRUCT;
}

static int check_names(const SchemaReader *reader, const ParquetNode *node) {
    for (size_t i = 1; i < node->n_children; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(node->children[i].name, node->children[k].name) == 0)
                return error_set(reader->error, "two columns are called '%s'", node->children[i].path);
    return 0;
}

static int make_node(SchemaReader *reader, const ParquetNode *parent, int depth, ParquetNode *out);

static int make_group(SchemaReader *reader, const Element *element, int depth, ParquetNode *out) {
    int64_t least = depth > 0; /* a file may have no columns */
    if (element->n_children < least || element->n_children > VALUE_KEYS_MAX)
        return error_set(reader->error, "%s%s%s has %lld fields; %d to %d were expected",
                         depth ? "column '" : "the file", out->path, depth ? "'" : "",
                         (long long)element->n_children, (int)least, VALUE_KEYS_MAX);
    if ((size_t)element->n_children > reader->n_left)
        return wrong_schema(reader);
    out->n_children = (size_t)element->n_children;
    out->children = arena_alloc(reader->arena, out->n_children * sizeof *out->children);
    for (size_t i = 0; i < out->n_children; i++)
        if (make_node(reader, out, depth + 1, &out->children[i]))
            return -1;
    out->n_leaves = reader->footer->n_leaves - out->first_leaf;
    out->shape = group_shape(element, out);
    return check_names(reader, out);
}

/* The next element with all below it; parent NULL for the root, whose levels are 0 whatever it says. */
static int make_node(SchemaReader *reader, const ParquetNode *parent, int depth, ParquetNode *out) {
    Element element;
    if (depth > PARQUET_DEPTH_MAX)
        return error_set(reader->error, "columns are nested deeper than %d levels", PARQUET_DEPTH_MAX);
    if (read_element(reader, &element))
        return -1;
    *out = (ParquetNode){.first_leaf = reader->footer->n_leaves};
    out->name = arena_strndup(reader->arena, element.name, element.name_bytes);
    out->path = parent && *parent->path ? arena_printf(reader->arena, "%s.%s", parent->path, out->name)
                                        : (parent ? out->name : "");
    if (parent) {
        if (element.repetition < PARQUET_REQUIRED || element.repetition > PARQUET_REPEATED)
            return error_set(reader->error, "column '%s': there is no repetition type %lld", out->path,
                             (long long)element.repetition);
        out->repetition = (ParquetRepetition)element.repetition;
        out->max_definition = parent->max_definition + (out->repetition != PARQUET_REQUIRED);
        out->max_repetition = parent->max_repetition + (out->repetition == PARQUET_REPEATED);
    }
    bool is_group = element.n_children > 0 || element.type == ABSENT;
    return is_group ? make_group(reader, &element, depth, out) : make_leaf(reader, &element, out);
}

int parquet_read_schema(ParquetFooter *out, Arena *arena, Thrift *thrift, size_t n_elements, Error *error) {
    SchemaReader reader = {thrift, arena, out, n_elements, error};
    if (n_elements > PARQUET_FIELDS_MAX)
        return error_set(error, "the schema has %zu elements; at most %d were expected", n_elements,
                         PARQUET_FIELDS_MAX);
    out->leaves = arena_alloc(arena, (n_elements + 1) * sizeof *out->leaves);
    if (make_node(&reader, NULL, 0, &out->root))
        return -1;
    if (out->root.shape != SHAPE_STRUCT && out->root.shape != SHAPE_LEAF)
        out->root.shape = SHAPE_STRUCT;
    if (reader.n_left || out->root.shape == SHAPE_LEAF)
        return error_set(error, "the schema is damaged: its elements are no single tree of columns");
    return 0;
}
