/* See row_store.h. A row's values follow each other in preorder, each a tag and what it needs; names of
 * columns are numbers of a table, strings end in NUL, so that a value can point to them where they are. Rows
 * are cut into blocks, which are compressed where there are many: a block is then decompressed for a row. */
#include "tasks/row_store.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 8192, NAMES_MAX = 255 };
static const size_t COMPRESSED_FROM = (size_t)1 << 20; /* bytes of all rows */
static const uint32_t NOT_KEPT = UINT32_MAX;

/* Values of other kinds than these are not in data. */
typedef enum Tag { TAG_NULL, TAG_FALSE, TAG_TRUE, TAG_INT, TAG_DOUBLE, TAG_STRING, TAG_LIST, TAG_DICT } Tag;

typedef struct RowBlock {
    size_t first_row; /* of those it holds */
    size_t bytes, stored;
    uint8_t *data; /* [stored]; compressed if that is less than bytes */
} RowBlock;

struct RowStore {
    RowBlock *blocks; /* [n_blocks] in order of their rows */
    size_t n_blocks, blocks_room;
    uint32_t *offsets; /* [n] in their blocks; NOT_KEPT */
    size_t n;
    char *names[NAMES_MAX]; /* of columns; the others are written out */
    size_t n_names, next_name;
};

/* ---- writing */

static void put_number(Buffer *out, uint64_t number) {
    for (; number >= 0x80; number >>= 7)
        buffer_append_char(out, (char)(number | 0x80));
    buffer_append_char(out, (char)number);
}

static void put_text(Buffer *out, const char *text, size_t bytes) {
    put_number(out, bytes);
    buffer_append(out, text, bytes);
    buffer_append_char(out, '\0');
}

/* 1 + its number, 0 if the table is full. Rows have the same columns in the same order, so the next one is
 * most likely the one after the last. */
static size_t name_number(RowStore *store, const char *name) {
    for (size_t i = 0; i < store->n_names; i++) {
        size_t at = (store->next_name + i) % store->n_names;
        if (strcmp(store->names[at], name) == 0) {
            store->next_name = at + 1;
            return at + 1;
        }
    }
    if (store->n_names == NAMES_MAX)
        return 0;
    store->names[store->n_names++] = mem_strdup(name);
    return store->n_names;
}

static void put_name(RowStore *store, Buffer *out, const char *name) {
    size_t number = name_number(store, name);
    put_number(out, number);
    if (number == 0)
        put_text(out, name, strlen(name));
}

/* As deep as the readers of data let values be nested. */
static void put_value(RowStore *store, Buffer *out, const Value *value) {
    switch (value->kind) {
    case VALUE_BOOL:
        buffer_append_char(out, value->as.boolean ? TAG_TRUE : TAG_FALSE);
        return;
    case VALUE_INT:
        buffer_append_char(out, TAG_INT);
        put_number(out, (uint64_t)value->as.integer << 1 ^ (value->as.integer < 0 ? UINT64_MAX : 0));
        return;
    case VALUE_DOUBLE:
        buffer_append_char(out, TAG_DOUBLE);
        buffer_append(out, &value->as.number, sizeof value->as.number);
        return;
    case VALUE_STRING:
        buffer_append_char(out, TAG_STRING);
        put_text(out, value->as.text, value->n);
        return;
    case VALUE_LIST:
        buffer_append_char(out, TAG_LIST);
        put_number(out, value->n);
        for (size_t i = 0; i < value->n; i++)
            put_value(store, out, &value->as.items[i]);
        return;
    case VALUE_DICT:
        buffer_append_char(out, TAG_DICT);
        put_number(out, value->n);
        for (size_t i = 0; i < value->n; i++) {
            put_name(store, out, value->as.pairs[i].key);
            put_value(store, out, &value->as.pairs[i].value);
        }
        return;
    default:
        buffer_append_char(out, TAG_NULL);
    }
}

/* Empties `rows` into a block of its own. */
static void end_block(RowStore *store, size_t first_row, Buffer *rows) {
    if (rows->size == 0)
        return;
    if (store->n_blocks == store->blocks_room) {
        store->blocks_room = store->blocks_room ? store->blocks_room * 2 : 16;
        store->blocks = mem_realloc(store->blocks, store->blocks_room * sizeof *store->blocks);
    }
    RowBlock *block = &store->blocks[store->n_blocks++];
    *block = (RowBlock){first_row, rows->size, rows->size, mem_alloc(rows->size)};
    memcpy(block->data, rows->data, rows->size);
    rows->size = 0;
}

/* A row larger than LZ4 takes stays as it is, and so does what would not become smaller. */
static void compress(RowBlock *block) {
    if (block->bytes > LZ4_MAX_INPUT_SIZE)
        return;
    int room = LZ4_compressBound((int)block->bytes);
    char *to = mem_alloc((size_t)room);
    int n = LZ4_compress_default((const char *)block->data, to, (int)block->bytes, room);
    if (n > 0 && (size_t)n < block->bytes) {
        block->stored = (size_t)n;
        block->data = mem_realloc(block->data, block->stored);
        memcpy(block->data, to, block->stored);
    }
    free(to);
}

RowStore *row_store_create(const Value *rows, size_t n, const bool *kept) {
    RowStore *store = mem_alloc_zero(1, sizeof *store);
    Buffer block = {0};
    size_t first_row = 0, all = 0;
    store->offsets = mem_alloc(n * sizeof *store->offsets);
    store->n = n;
    for (size_t i = 0; i < n; i++) {
        store->offsets[i] = NOT_KEPT;
        if (!kept[i])
            continue;
        if (block.size == 0)
            first_row = i;
        store->offsets[i] = (uint32_t)block.size;
        put_value(store, &block, &rows[i]);
        if (block.size < BLOCK_BYTES)
            continue;
        all += block.size;
        end_block(store, first_row, &block);
    }
    end_block(store, first_row, &block);
    for (size_t i = 0; i < store->n_blocks && all >= COMPRESSED_FROM; i++)
        compress(&store->blocks[i]);
    buffer_free(&block);
    return store;
}

void row_store_free(RowStore *store) {
    if (!store)
        return;
    for (size_t i = 0; i < store->n_blocks; i++)
        free(store->blocks[i].data);
    while (store->n_names > 0)
        free(store->names[--store->n_names]);
    free(store->blocks);
    free(store->offsets);
    free(store);
}

size_t row_store_bytes(const RowStore *store) {
    size_t bytes =
        sizeof *store + store->blocks_room * sizeof *store->blocks + store->n * sizeof *store->offsets;
    for (size_t i = 0; i < store->n_blocks; i++)
        bytes += store->blocks[i].stored;
    return bytes;
}

/* ---- reading what was written above */

typedef struct Reading {
    const RowStore *store;
    const uint8_t *at;
    Arena *arena;
} Reading;

static uint64_t get_number(Reading *reading) {
    uint64_t number = 0;
    for (int shift = 0;; shift += 7) {
        uint8_t byte = *reading->at++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return number;
    }
}

static Value get_text(Reading *reading) {
    size_t bytes = (size_t)get_number(reading);
    Value text = value_string_n((const char *)reading->at, bytes);
    reading->at += bytes + 1;
    return text;
}

static Value get_value(Reading *reading);

static Value get_list(Reading *reading) {
    Value list = value_list(reading->arena, (size_t)get_number(reading));
    for (size_t i = 0; i < list.n; i++)
        list.as.items[i] = get_value(reading);
    return list;
}

static Value get_dict(Reading *reading) {
    Value dict = {.kind = VALUE_DICT, .n = (size_t)get_number(reading)};
    dict.as.pairs = arena_alloc(reading->arena, (dict.n ? dict.n : 1) * sizeof *dict.as.pairs);
    for (size_t i = 0; i < dict.n; i++) {
        size_t name = (size_t)get_number(reading);
        dict.as.pairs[i].key = name ? reading->store->names[name - 1] : get_text(reading).as.text;
        dict.as.pairs[i].value = get_value(reading);
    }
    return dict;
}

static Value get_value(Reading *reading) {
    uint64_t integer;
    double number;
    Tag tag = (Tag)*reading->at++;
    switch (tag) {
    case TAG_FALSE:
    case TAG_TRUE:
        return value_bool(tag == TAG_TRUE);
    case TAG_INT:
        integer = get_number(reading);
        return value_int((int64_t)(integer >> 1 ^ (0 - (integer & 1))));
    case TAG_DOUBLE:
        memcpy(&number, reading->at, sizeof number);
        reading->at += sizeof number;
        return value_double(number);
    case TAG_STRING:
        return get_text(reading);
    case TAG_LIST:
        return get_list(reading);
    case TAG_DICT:
        return get_dict(reading);
    default:
        return value_null();
    }
}

/* The last block that begins at or before the row. */
static const RowBlock *block_of(const RowStore *store, size_t row) {
    size_t low = 0, high = store->n_blocks;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (store->blocks[middle].first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return &store->blocks[low];
}

Value row_store_get(const RowStore *store, size_t i, Arena *arena) {
    if (store->offsets[i] == NOT_KEPT)
        return value_null();
    const RowBlock *block = block_of(store, i);
    const uint8_t *data = block->data;
    if (block->stored < block->bytes) {
        char *whole = arena_alloc(arena, block->bytes);
        LZ4_decompress_safe((const char *)data, whole, (int)block->stored, (int)block->bytes);
        data = (const uint8_t *)whole;
    }
    Reading reading = {store, data + store->offsets[i], arena};
    return get_value(&reading);
}
