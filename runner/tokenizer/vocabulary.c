/* A hash table from strings to ids: open addressing, linear probing, at most two thirds full. */
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

static uint64_t mix(uint64_t value) {
    value ^= value >> 32;
    value *= 0x9E3779B97F4A7C15u;
    return value ^ value >> 29;
}

static uint64_t hash_text(const char *text, size_t bytes) {
    uint64_t hash = bytes * 0xD6E8FEB86659FD93u, word;
    for (; bytes >= sizeof word; bytes -= sizeof word, text += sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = mix(hash ^ word);
    }
    word = 0;
    if (bytes)
        memcpy(&word, text, bytes);
    return mix(hash ^ word);
}

int string_table_reserve(StringTable *table, size_t n, Error *error) {
    size_t capacity = 16;
    while (capacity / 3 < n / 2 + 1)
        capacity *= 2;
    if (mem_try_alloc((void **)&table->slots, capacity, sizeof *table->slots, "the vocabulary's table",
                      error))
        return -1;
    table->capacity = capacity;
    return 0;
}

/* The slot that holds the text, or the free one where it would go. */
static StringSlot *slot_of(const StringTable *table, const char *text, size_t bytes) {
    size_t mask = table->capacity - 1, at = hash_text(text, bytes) & mask;
    for (;; at = (at + 1) & mask) {
        StringSlot *slot = &table->slots[at];
        if (!slot->text || (slot->bytes == bytes && memcmp(slot->text, text, bytes) == 0))
            return slot;
    }
}

static void grow(StringTable *table) {
    StringTable larger = {.capacity = table->capacity ? table->capacity * 2 : 16};
    larger.slots = mem_alloc_zero(larger.capacity, sizeof *larger.slots);
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].text)
            string_table_put(&larger, table->slots[i].text, table->slots[i].bytes, table->slots[i].id);
    free(table->slots);
    *table = larger;
}

void string_table_put(StringTable *table, const char *text, size_t bytes, int32_t id) {
    if (table->n >= table->capacity / 3 * 2)
        grow(table);
    StringSlot *slot = slot_of(table, text, bytes);
    table->n += !slot->text;
    *slot = (StringSlot){text, (uint32_t)bytes, id};
}

int32_t string_table_find(const StringTable *table, const char *text, size_t bytes) {
    if (!table->capacity)
        return -1;
    const StringSlot *slot = slot_of(table, text, bytes);
    return slot->text ? slot->id : -1;
}

void string_table_free(StringTable *table) {
    free(table->slots);
    *table = (StringTable){0};
}
