/* YAML by libyaml's event stream. The limits on depth and on the number of values keep a hostile file small;
 * an alias counts as all that it stands for. */
#include "tasks/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/text.h"
#include "tasks/yaml_time.h"

enum { YAML_DEPTH_MAX = 32, YAML_VALUES_MAX = 200000, YAML_BYTES_MAX = 4 << 20 };

/* A value with a name (&name), which aliases (*name) give again. */
typedef struct Anchor {
    const char *name;
    bool done; /* read to its end: until then it cannot be asked for */
    Value value;
    size_t n_values; /* in it, itself included, aliases written out */
    int height;      /* levels of containers in it */
} Anchor;

typedef struct YamlReader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; empty before the first */
    Arena *arena;
    const char *name;
    size_t n_values;
    Anchor *anchors;
    size_t n_anchors, anchors_room;
    int deepest; /* level that was reached since an anchored value began */
    Error *error;
} YamlReader;

static uint32_t line_of(const YamlReader *reader) {
    return (uint32_t)reader->event.start_mark.line + 1;
}

static int fail(YamlReader *reader, const char *what) {
    return error_set(reader->error, "%s:%u: %s", reader->name, line_of(reader), what);
}

static int next_event(YamlReader *reader) {
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event))
        return 0;
    memset(&reader->event, 0, sizeof reader->event);
    const char *problem = reader->parser.problem ? reader->parser.problem : "unreadable text";
    size_t line = reader->parser.problem_mark.line + 1, column = reader->parser.problem_mark.column + 1;
    return error_set(reader->error, "%s:%zu:%zu: not valid YAML: %s", reader->name, line, column, problem);
}

static bool is_any(const char *text, const char *const *words) {
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

enum { NUMBER_BYTES_MAX = 64 };

/* The text without underscores, which stand between digits as one likes. */
static bool without_underscores(const char *text, char out[NUMBER_BYTES_MAX]) {
    size_t n = 0;
    for (; *text && n < NUMBER_BYTES_MAX - 1; text++)
        if (*text != '_')
            out[n++] = *text;
    out[n] = '\0';
    return !*text && n > 0;
}

static bool is_made_of(const char *text, const char *set) {
    return *text && strspn(text, set) == strlen(text);
}

/* 10, 2, 8 or 16 as YAML 1.1 and PyYAML have it, with *digits behind the prefix; 0 for what is no integer. */
static int integer_base(const char *body, const char **digits) {
    *digits = body + 2;
    if (strncmp(body, "0b", 2) == 0)
        return is_made_of(body + 2, "01_") ? 2 : 0;
    if (strncmp(body, "0x", 2) == 0)
        return is_made_of(body + 2, "0123456789abcdefABCDEF_") ? 16 : 0;
    *digits = body;
    if (body[0] == '0' && body[1])
        return is_made_of(body + 1, "01234567_") ? 8 : 0;
    return body[0] != '_' && is_made_of(body, "0123456789_") ? 10 : 0;
}

static bool as_int(const char *text, int64_t *out) {
    char plain[NUMBER_BYTES_MAX], *end;
    const char *body = text + (*text == '-' || *text == '+'), *digits;
    int base = integer_base(body, &digits);
    if (base == 0 || !without_underscores(digits, plain))
        return false;
    errno = 0;
    *out = strtoll(plain, &end, base);
    if (*text == '-')
        *out = -*out;
    return errno == 0 && !*end;
}

/* "1:30" is 90, in hours, minutes and seconds. */
static bool as_sexagesimal(const char *text, int64_t *out) {
    const char *at = text + (*text == '-' || *text == '+');
    if (*at < '1' || *at > '9' || !strchr(at, ':') || strlen(at) > 16)
        return false;
    for (*out = 0; *at >= '0' && *at <= '9'; at++)
        *out = *out * 10 + (*at - '0');
    while (*at == ':') {
        size_t n = strspn(at + 1, "0123456789");
        if (n < 1 || n > 2 || (n == 2 && at[1] > '5'))
            return false;
        *out = *out * 60 + (n == 2 ? (at[1] - '0') * 10 + (at[2] - '0') : at[1] - '0');
        at += 1 + n;
    }
    if (*text == '-')
        *out = -*out;
    return !*at;
}

/* YAML 1.1 floats have a point; their exponents have a sign, and PyYAML wants a digit between sign and point.
 */
static bool as_float(const char *text, double *out) {
    static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    const char *exponent = strpbrk(text, "eE"), *body = text + (*text == '-' || *text == '+');
    char plain[NUMBER_BYTES_MAX];
    *out = *text == '-' ? -HUGE_VAL : is_any(body, infinities) ? HUGE_VAL : (double)NAN;
    if (is_any(body, infinities) || is_any(text, nans))
        return true;
    if (!strchr(text, '.') || strspn(text, "+-.0123456789eE_") != strlen(text) || *body == '_')
        return false;
    if ((exponent && exponent[1] != '+' && exponent[1] != '-') || (body > text && *body == '.'))
        return false;
    if (!without_underscores(body, plain) || !text_to_double(plain, out))
        return false;
    if (*text == '-')
        *out = -*out;
    return true;
}

static Value plain_scalar(Arena *arena, const char *text, size_t bytes) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", "no",  "No",
                                         "NO",    "off",   "Off",   "OFF", NULL};
    int64_t integer;
    double number;
    if (is_any(text, nulls))
        return value_null();
    if (is_any(text, trues))
        return value_bool(true);
    if (is_any(text, falses))
        return value_bool(false);
    if (as_int(text, &integer) || as_sexagesimal(text, &integer))
        return value_int(integer);
    if (as_float(text, &number))
        return value_double(number);
    return value_string_n(arena_strndup(arena, text, bytes), bytes);
}

/* YAML's own tags (!!int and so on) on a scalar; -1 if it is none of them or does not fit. */
static int tagged_scalar(Arena *arena, const char *tag, const char *text, size_t bytes, Value *out) {
    static const struct {
        const char *tag;
        ValueKind kind;
    } kinds[] = {{YAML_BOOL_TAG, VALUE_BOOL}, {YAML_INT_TAG, VALUE_INT}, {YAML_FLOAT_TAG, VALUE_DOUBLE}};
    if (strcmp(tag, YAML_NULL_TAG) == 0) {
        *out = value_null();
        return 0;
    }
    *out = plain_scalar(arena, text, bytes);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(tag, kinds[i].tag) == 0) {
            if (out->kind == VALUE_INT && kinds[i].kind == VALUE_DOUBLE)
                *out = value_double((double)out->as.integer);
            return out->kind == kinds[i].kind ? 0 : -1;
        }
    return -1;
}

/* A plain scalar; dates and times are the text that Python prints for them. */
static int read_plain(YamlReader *reader, const char *text, size_t bytes, Value *out) {
    char moment[YAML_TIME_BYTES];
    switch (yaml_time(text, moment)) {
    case YAML_TIME:
        *out = value_string(arena_strdup(reader->arena, moment));
        return 0;
    case YAML_BAD_TIME:
        return fail(reader, "a date or time that does not exist; in quotes it is text");
    default:
        *out = plain_scalar(reader->arena, text, bytes);
        return 0;
    }
}

static int read_scalar(YamlReader *reader, Value *out) {
    const char *text = (const char *)reader->event.data.scalar.value;
    const char *tag = (const char *)reader->event.data.scalar.tag;
    size_t bytes = reader->event.data.scalar.length;
    if (memchr(text, '\0', bytes))
        return fail(reader, "a NUL character in a string");
    if (tag && strcmp(tag, "!function") == 0) {
        *out = value_string_n(arena_strndup(reader->arena, text, bytes), bytes);
        out->kind = VALUE_FUNCTION;
    } else if (tag && strcmp(tag, "!") != 0 && strcmp(tag, YAML_STR_TAG) != 0) {
        if (tagged_scalar(reader->arena, tag, text, bytes, out))
            return error_set(
                reader->error,
                "%s:%u: the tag '%.80s' is not supported here; only !function and YAML's own are",
                reader->name, line_of(reader), tag);
    } else if (!tag && reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        return read_plain(reader, text, bytes, out);
    } else {
        *out = value_string_n(arena_strndup(reader->arena, text, bytes), bytes);
    }
    return 0;
}

static int read_value(YamlReader *reader, int depth, Value *out);

/* Items and pairs, gathered before their number is known. */
typedef struct PairList {
    ValuePair *pairs;
    size_t n, room;
} PairList;

static void push_pair(PairList *list, ValuePair pair) {
    if (list->n == list->room) {
        list->room = list->room ? list->room * 2 : 8;
        list->pairs = mem_realloc(list->pairs, list->room * sizeof *list->pairs);
    }
    list->pairs[list->n++] = pair;
}

static int read_sequence(YamlReader *reader, int depth, PairList *list) {
    while (reader->event.type != YAML_SEQUENCE_END_EVENT) {
        ValuePair item = {0};
        if (read_value(reader, depth + 1, &item.value) || next_event(reader))
            return -1;
        push_pair(list, item);
    }
    return 0;
}

static const char *anchor_of(const yaml_event_t *event);
static int read_named(YamlReader *reader, int depth, Value *out);
static int read_alias(YamlReader *reader, int depth, Value *out);

/* A key is its text, whatever a value of that text would be. It may have a name, or be asked for by one. */
static int read_key(YamlReader *reader, ValuePair *pair) {
    Value value;
    pair->line = line_of(reader);
    if (reader->event.type == YAML_ALIAS_EVENT) {
        if (read_alias(reader, 0, &value))
            return -1;
        if (value.kind != VALUE_STRING)
            return fail(reader, "a key that is not a string");
        pair->key = value.as.text;
        return next_event(reader);
    }
    if (reader->event.type != YAML_SCALAR_EVENT)
        return fail(reader, "a key that is not a string");
    const char *key = (const char *)reader->event.data.scalar.value;
    if (strlen(key) != reader->event.data.scalar.length)
        return fail(reader, "a NUL character in a key");
    pair->key = arena_strdup(reader->arena, key);
    if (anchor_of(&reader->event) && read_named(reader, 0, &value))
        return -1;
    return next_event(reader);
}

/* A key that is there already gets the new value, as in PyYAML: upstream has such files. */
static void put_pair(PairList *list, ValuePair pair) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->pairs[i].key, pair.key) == 0) {
            list->pairs[i] = pair;
            return;
        }
    push_pair(list, pair);
}

/* The key "<<", whose mappings stand in front of a mapping's own keys. */
static bool is_merge(const YamlReader *reader) {
    const yaml_event_t *event = &reader->event;
    return event->type == YAML_SCALAR_EVENT && !event->data.scalar.tag &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)event->data.scalar.value, "<<") == 0;
}

static void merge_mapping(PairList *list, const Value *mapping) {
    for (size_t i = 0; i < mapping->n; i++)
        put_pair(list, mapping->as.pairs[i]);
}

/* Of several mappings the first has the last word, as in PyYAML. */
static int read_merge(YamlReader *reader, int depth, PairList *list) {
    Value value;
    if (next_event(reader) || read_value(reader, depth + 1, &value))
        return -1;
    if (value.kind == VALUE_DICT)
        merge_mapping(list, &value);
    for (size_t i = value.n; i > 0 && value.kind == VALUE_LIST; i--) {
        if (value.as.items[i - 1].kind != VALUE_DICT)
            return fail(reader, "<<: a mapping or a list of mappings was expected");
        merge_mapping(list, &value.as.items[i - 1]);
    }
    if (value.kind != VALUE_DICT && value.kind != VALUE_LIST)
        return fail(reader, "<<: a mapping or a list of mappings was expected");
    return next_event(reader);
}

static int read_mapping(YamlReader *reader, int depth, PairList *list) {
    PairList own = {0};
    int status = 0;
    while (!status && reader->event.type != YAML_MAPPING_END_EVENT) {
        ValuePair pair = {0};
        if (list->n + own.n >= VALUE_KEYS_MAX) {
            status = fail(reader, "a mapping with more than 4096 keys");
        } else if (is_merge(reader)) {
            status = read_merge(reader, depth, list);
        } else {
            status =
                read_key(reader, &pair) || read_value(reader, depth + 1, &pair.value) || next_event(reader)
                    ? -1
                    : 0;
            if (!status)
                put_pair(&own, pair);
        }
    }
    for (size_t i = 0; i < own.n && !status; i++)
        put_pair(list, own.pairs[i]);
    if (!status && list->n > VALUE_KEYS_MAX)
        status = fail(reader, "a mapping with more than 4096 keys");
    free(own.pairs);
    return status;
}

static int read_container(YamlReader *reader, int depth, Value *out) {
    bool mapping = reader->event.type == YAML_MAPPING_START_EVENT;
    PairList list = {0};
    int status = next_event(reader);
    if (!status)
        status = mapping ? read_mapping(reader, depth, &list) : read_sequence(reader, depth, &list);
    if (!status && mapping) {
        *out = (Value){.kind = VALUE_DICT,
                       .n = list.n,
                       .as.pairs = arena_alloc(reader->arena, (list.n + 1) * sizeof(ValuePair))};
        if (list.n)
            memcpy(out->as.pairs, list.pairs, list.n * sizeof(ValuePair));
    } else if (!status) {
        *out = value_list(reader->arena, list.n);
        for (size_t i = 0; i < list.n; i++)
            out->as.items[i] = list.pairs[i].value;
    }
    free(list.pairs);
    return status;
}

static const char *anchor_of(const yaml_event_t *event) {
    const yaml_char_t *name = event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor
                              : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
                              : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor
                              : event->type == YAML_ALIAS_EVENT          ? event->data.alias.anchor
                                                                         : NULL;
    return (const char *)name;
}

static Anchor *find_anchor(const YamlReader *reader, const char *name) {
    for (size_t i = 0; i < reader->n_anchors; i++)
        if (strcmp(reader->anchors[i].name, name) == 0)
            return &reader->anchors[i];
    return NULL;
}

/* The value of an anchor, which lives once however often it is asked for. */
static int read_alias(YamlReader *reader, int depth, Value *out) {
    const Anchor *anchor = find_anchor(reader, anchor_of(&reader->event));
    if (!anchor)
        return fail(reader, "an alias (*name) of a name that no value above has (&name)");
    if (!anchor->done)
        return fail(reader, "an alias of the value that it is in");
    if (depth + anchor->height > YAML_DEPTH_MAX)
        return fail(reader, "nested deeper than 32 levels");
    reader->n_values += anchor->n_values;
    if (reader->n_values > YAML_VALUES_MAX)
        return fail(reader, "more than 200000 values");
    if (depth + anchor->height > reader->deepest)
        reader->deepest = depth + anchor->height;
    *out = anchor->value;
    return 0;
}

static int add_anchor(YamlReader *reader, const char *name) {
    enum { ANCHORS_MAX = 1000 };
    if (find_anchor(reader, name))
        return fail(reader, "two values with the same name (&name)");
    if (reader->n_anchors == ANCHORS_MAX)
        return fail(reader, "more than 1000 values with names (&name)");
    if (reader->n_anchors == reader->anchors_room) {
        reader->anchors_room = reader->anchors_room ? reader->anchors_room * 2 : 16;
        reader->anchors = mem_realloc(reader->anchors, reader->anchors_room * sizeof *reader->anchors);
    }
    reader->anchors[reader->n_anchors++] = (Anchor){.name = arena_strdup(reader->arena, name)};
    return 0;
}

static int read_unnamed(YamlReader *reader, int depth, Value *out) {
    if (depth > reader->deepest)
        reader->deepest = depth;
    if (reader->event.type == YAML_SCALAR_EVENT)
        return read_scalar(reader, out);
    if (reader->event.type == YAML_SEQUENCE_START_EVENT || reader->event.type == YAML_MAPPING_START_EVENT)
        return read_container(reader, depth, out);
    return fail(reader, "a value was expected here");
}

/* A value with a name: what is in it is counted, for its aliases. */
static int read_named(YamlReader *reader, int depth, Value *out) {
    size_t place = reader->n_anchors, before = reader->n_values;
    int outer = reader->deepest;
    reader->deepest = depth;
    if (add_anchor(reader, anchor_of(&reader->event)) || read_unnamed(reader, depth, out))
        return -1;
    Anchor *anchor = &reader->anchors[place];
    anchor->value = *out;
    anchor->n_values = reader->n_values - before + 1;
    anchor->height = reader->deepest - depth;
    anchor->done = true;
    if (outer > reader->deepest)
        reader->deepest = outer;
    return 0;
}

/* Reads the value that begins with the current event and ends on its last event. */
static int read_value(YamlReader *reader, int depth, Value *out) {
    uint32_t line = line_of(reader);
    if (depth > YAML_DEPTH_MAX)
        return fail(reader, "nested deeper than 32 levels");
    if (++reader->n_values > YAML_VALUES_MAX)
        return fail(reader, "more than 200000 values");
    int status = reader->event.type == YAML_ALIAS_EVENT ? read_alias(reader, depth, out)
                 : anchor_of(&reader->event)            ? read_named(reader, depth, out)
                                                        : read_unnamed(reader, depth, out);
    out->line = line;
    return status;
}

static int read_document(YamlReader *reader, Value *out) {
    do {
        if (next_event(reader))
            return -1;
    } while (reader->event.type == YAML_STREAM_START_EVENT ||
             reader->event.type == YAML_DOCUMENT_START_EVENT);
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return fail(reader, "the file is empty");
    if (read_value(reader, 0, out))
        return -1;
    if (out->kind != VALUE_DICT)
        return error_set(reader->error, "%s:%u: found %s; a mapping (key: value) was expected", reader->name,
                         out->line, value_kind_name(out->kind));
    do {
        if (next_event(reader))
            return -1;
    } while (reader->event.type == YAML_DOCUMENT_END_EVENT);
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return fail(reader, "a second document in the file");
    return 0;
}

int yaml_parse(Value *out, Arena *arena, const char *text, size_t bytes, const char *name, Error *error) {
    YamlReader reader = {.arena = arena, .name = name, .error = error};
    if (bytes > YAML_BYTES_MAX)
        return error_set(error, "%s: %zu bytes; a task file has at most 4 MiB", name, bytes);
    if (!yaml_parser_initialize(&reader.parser))
        return error_set(error, "%s: no memory to read it", name);
    size_t mark = bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* a byte order mark */
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text + mark, bytes - mark);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    int status = read_document(&reader, out);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    free(reader.anchors);
    return status;
}
