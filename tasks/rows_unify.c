/* Columns out of JSON rows: what the rows have between them. First every value's shape is gathered over all
 * rows, then the values that differ from it are brought into it. */
#include <stdlib.h>
#include <string.h>

#include "tasks/rows.h"

enum { KEYS_MAX = 512 };

/* What the values at one place are. Mappings that have more than KEYS_MAX keys between them, or that would
 * grow too much, are `open`: they stay as they are. */
typedef struct Shape Shape;
struct Shape {
    bool integer, number;
    bool irregular; /* mappings differ in their keys or in the keys' order */
    bool open, changes;
    size_t n_dicts, n_pairs; /* seen */
    size_t n, room;
    const char **keys;
    Shape *fields;
    Shape *items; /* of lists; NULL until one is seen */
};

static void shape_free(Shape *shape) {
    for (size_t i = 0; i < shape->n; i++)
        shape_free(&shape->fields[i]);
    if (shape->items)
        shape_free(shape->items);
    free(shape->keys);
    free(shape->fields);
    free(shape->items);
}

/* The field called `key`, which most often is number `likely`; a new one if there is none. NULL: too many. */
static Shape *find_field(Shape *shape, const char *key, size_t likely) {
    if (likely < shape->n && strcmp(shape->keys[likely], key) == 0)
        return &shape->fields[likely];
    shape->irregular |= shape->n_dicts > 1;
    for (size_t i = 0; i < shape->n; i++)
        if (strcmp(shape->keys[i], key) == 0)
            return &shape->fields[i];
    if (shape->n == KEYS_MAX)
        return NULL;
    if (shape->n == shape->room) {
        shape->room = shape->room ? shape->room * 2 : 8;
        shape->keys = mem_realloc(shape->keys, shape->room * sizeof *shape->keys);
        shape->fields = mem_realloc(shape->fields, shape->room * sizeof *shape->fields);
    }
    shape->keys[shape->n] = key;
    shape->fields[shape->n] = (Shape){0};
    return &shape->fields[shape->n++];
}

/* Values nest no deeper than JSON's reader allows. */
static void gather(Shape *shape, const Value *value) {
    shape->integer |= value->kind == VALUE_INT;
    shape->number |= value->kind == VALUE_DOUBLE;
    if (value->kind == VALUE_LIST) {
        if (!shape->items)
            shape->items = mem_alloc_zero(1, sizeof *shape->items);
        for (size_t i = 0; i < value->n; i++)
            gather(shape->items, &value->as.items[i]);
    }
    if (value->kind != VALUE_DICT || shape->open)
        return;
    shape->n_dicts++;
    shape->n_pairs += value->n;
    for (size_t i = 0; i < value->n && !shape->open; i++) {
        Shape *field = find_field(shape, value->as.pairs[i].key, i);
        shape->open = !field;
        if (field)
            gather(field, &value->as.pairs[i].value);
    }
    shape->irregular |= value->n != shape->n;
}

/* Whether anything below has to change. */
static bool settle(Shape *shape) {
    enum { GROWTH_MAX = 8, SMALL = 1 << 20 };
    shape->open |= shape->n_dicts > (GROWTH_MAX * shape->n_pairs + SMALL) / (shape->n + 1);
    shape->changes = (shape->integer && shape->number) || (shape->irregular && !shape->open);
    if (shape->items)
        shape->changes |= settle(shape->items);
    for (size_t i = 0; i < shape->n; i++)
        shape->changes |= settle(&shape->fields[i]) && !shape->open;
    return shape->changes;
}

static void bring(const Shape *shape, Arena *arena, Value *value);

static void bring_dict(const Shape *shape, Arena *arena, Value *dict) {
    if (shape->irregular) {
        ValuePair *pairs = arena_alloc(arena, (shape->n + 1) * sizeof *pairs);
        for (size_t i = 0; i < shape->n; i++) {
            const Value *found = value_get(dict, shape->keys[i]);
            pairs[i] = (ValuePair){.key = shape->keys[i], .value = found ? *found : value_null()};
        }
        dict->as.pairs = pairs;
        dict->n = shape->n;
    }
    for (size_t i = 0; i < shape->n; i++)
        bring(&shape->fields[i], arena, &dict->as.pairs[i].value);
}

static void bring(const Shape *shape, Arena *arena, Value *value) {
    if (!shape->changes)
        return;
    if (value->kind == VALUE_INT && shape->number)
        *value = value_double((double)value->as.integer);
    if (value->kind == VALUE_DICT && !shape->open)
        bring_dict(shape, arena, value);
    for (size_t i = 0; value->kind == VALUE_LIST && i < value->n; i++)
        bring(shape->items, arena, &value->as.items[i]);
}

void rows_unify(RowList *list, Arena *arena) {
    Shape shape = {0};
    for (size_t i = 0; i < list->n; i++)
        gather(&shape, &list->rows[i]);
    if (settle(&shape))
        for (size_t i = 0; i < list->n; i++)
            bring(&shape, arena, &list->rows[i]);
    shape_free(&shape);
}
