/* Rows out of columns: definition levels say how much of a nested value is there, repetition levels where a
 * list goes on (Dremel's record assembly). Every leaf below a field must tell the same story; if one does
 * not, the file is damaged. */
#include <string.h>

#include "tasks/parquet_file.h"

typedef struct Assembly {
    ParquetColumn *columns;
    Arena *arena;
    size_t row; /* for messages */
    Error *error;
} Assembly;

static int damaged(const Assembly *assembly, const ParquetNode *node, const char *what) {
    return error_set(assembly->error, "column '%s', row %zu: %s", node->path, assembly->row, what);
}

static int definition_at(const ParquetColumn *column) {
    return column->definitions ? column->definitions[column->entry_at] : 0;
}

static int repetition_at(const ParquetColumn *column, size_t entry) {
    return column->repetitions ? column->repetitions[entry] : 0;
}

static bool is_there(const ParquetNode *node, const ParquetColumn *column) {
    return definition_at(column) >= node->max_definition;
}

/* Whether the node is there, by all its leaves; 1, 0 or -1. */
static int presence(Assembly *assembly, const ParquetNode *node) {
    ParquetColumn *columns = &assembly->columns[node->first_leaf];
    for (size_t i = 0; i < node->n_leaves; i++) {
        if (columns[i].entry_at >= columns[i].n_entries)
            return damaged(assembly, columns[i].leaf, "it has fewer values than there are rows");
        if (is_there(node, &columns[i]) != is_there(node, &columns[0]))
            return damaged(assembly, columns[i].leaf, "its levels contradict those of its neighbours");
    }
    return is_there(node, &columns[0]);
}

/* Passes over one entry of all leaves: what stands for a null or an empty list. */
static void pass_over(Assembly *assembly, const ParquetNode *node) {
    for (size_t i = 0; i < node->n_leaves; i++)
        assembly->columns[node->first_leaf + i].entry_at++;
}

static int assemble(Assembly *assembly, const ParquetNode *node, Value *out);
static int assemble_content(Assembly *assembly, const ParquetNode *node, Value *out);

/* Items of a repeated node from the first leaf's cursor on. */
static size_t count_items(const Assembly *assembly, const ParquetNode *node) {
    const ParquetColumn *first = &assembly->columns[node->first_leaf];
    size_t n = 1;
    for (size_t i = first->entry_at + 1; i < first->n_entries; i++) {
        int repetition = repetition_at(first, i);
        if (repetition < node->max_repetition)
            break;
        n += repetition == node->max_repetition;
    }
    return n;
}

/* Whether every leaf goes on (or, for the end, does not go on) with another item. */
static int check_goes_on(Assembly *assembly, const ParquetNode *node, bool goes_on) {
    ParquetColumn *columns = &assembly->columns[node->first_leaf];
    for (size_t i = 0; i < node->n_leaves; i++) {
        bool more = columns[i].entry_at < columns[i].n_entries &&
                    repetition_at(&columns[i], columns[i].entry_at) >= node->max_repetition;
        if (more != goes_on)
            return damaged(assembly, columns[i].leaf, "its lists are of another length than its neighbours'");
    }
    return 0;
}

/* The items of a repeated node; `item` is the node itself or, in lists of three levels, its only child. */
static int assemble_items(Assembly *assembly, const ParquetNode *node, const ParquetNode *item, Value *out) {
    int there = presence(assembly, node);
    if (there < 0)
        return -1;
    if (!there) {
        *out = value_list(assembly->arena, 0);
        pass_over(assembly, node);
        return 0;
    }
    *out = value_list(assembly->arena, count_items(assembly, node));
    for (size_t i = 0; i < out->n; i++) {
        if (presence(assembly, node) != 1)
            return damaged(assembly, node, "a list goes on with an item that is not there");
        int status = item == node ? assemble_content(assembly, node, &out->as.items[i])
                                  : assemble(assembly, item, &out->as.items[i]);
        if (status || check_goes_on(assembly, node, i + 1 < out->n))
            return -1;
    }
    return 0;
}

/* A list's item: the format's rules for lists of two and of three levels. */
static const ParquetNode *list_item(const ParquetNode *list, const ParquetNode *repeated) {
    size_t length = strlen(list->name);
    bool tuple =
        strncmp(repeated->name, list->name, length) == 0 && strcmp(repeated->name + length, "_tuple") == 0;
    if (repeated->shape != SHAPE_STRUCT || repeated->n_children != 1 ||
        repeated->children[0].repetition == PARQUET_REPEATED || strcmp(repeated->name, "array") == 0 || tuple)
        return repeated;
    return &repeated->children[0];
}

static int assemble_struct(Assembly *assembly, const ParquetNode *node, Value *out) {
    *out = (Value){.kind = VALUE_DICT, .n = node->n_children};
    out->as.pairs = arena_alloc(assembly->arena, node->n_children * sizeof *out->as.pairs);
    for (size_t i = 0; i < node->n_children; i++) {
        out->as.pairs[i].key = node->children[i].key;
        if (assemble(assembly, &node->children[i], &out->as.pairs[i].value))
            return -1;
    }
    return 0;
}

/* A map from its list of (key, value); the last of two equal keys wins, as in a Python dict. */
static int assemble_map(Assembly *assembly, const ParquetNode *node, Value *out) {
    Value list;
    const ParquetNode *entries = &node->children[0];
    if (assemble_items(assembly, entries, entries, &list))
        return -1;
    if (list.n > VALUE_KEYS_MAX)
        return damaged(assembly, node, "a map of more than 4096 keys");
    *out = (Value){.kind = VALUE_DICT};
    out->as.pairs = arena_alloc(assembly->arena, (list.n + 1) * sizeof *out->as.pairs);
    for (size_t i = 0; i < list.n; i++) {
        const ValuePair *entry = list.as.items[i].as.pairs;
        const char *key = value_to_string(assembly->arena, &entry[0].value).as.text;
        Value *before = (Value *)value_get(out, key);
        if (before)
            *before = entry[1].value;
        else
            out->as.pairs[out->n++] = (ValuePair){.key = key, .value = entry[1].value};
    }
    return 0;
}

static int assemble_content(Assembly *assembly, const ParquetNode *node, Value *out) {
    ParquetColumn *column = &assembly->columns[node->first_leaf];
    switch (node->shape) {
    case SHAPE_LEAF:
        *out = column->values[column->value_at++];
        column->entry_at++;
        return 0;
    case SHAPE_STRUCT:
        return assemble_struct(assembly, node, out);
    case SHAPE_LIST:
        return assemble_items(assembly, &node->children[0], list_item(node, &node->children[0]), out);
    case SHAPE_MAP:
        return assemble_map(assembly, node, out);
    }
    return -1;
}

/* A field with its repetition: null, a list, or its content. */
static int assemble(Assembly *assembly, const ParquetNode *node, Value *out) {
    if (node->repetition == PARQUET_REPEATED)
        return assemble_items(assembly, node, node, out);
    int there = presence(assembly, node);
    if (there < 0)
        return -1;
    if (there)
        return assemble_content(assembly, node, out);
    *out = value_null(); /* an optional field: a required one is there when its parent is */
    pass_over(assembly, node);
    return 0;
}

/* At a row's start every column stands at the beginning of a record. */
static int check_row(Assembly *assembly, const ParquetNode *root) {
    for (size_t i = 0; i < root->n_leaves; i++) {
        const ParquetColumn *column = &assembly->columns[i];
        if (column->entry_at >= column->n_entries)
            return damaged(assembly, column->leaf, "it has fewer values than there are rows");
        if (repetition_at(column, column->entry_at) != 0)
            return damaged(assembly, column->leaf, "it goes on with the row before");
    }
    return 0;
}

/* Rows outlive the footer, and so do their columns' names. */
static void copy_names(ParquetNode *node, Arena *arena) {
    node->key = arena_strdup(arena, node->name);
    for (size_t i = 0; i < node->n_children; i++)
        copy_names(&node->children[i], arena);
}

int parquet_assemble(ParquetNode *root, ParquetColumn *columns, size_t n_rows, Arena *arena, Value *rows,
                     Error *error) {
    Assembly assembly = {.columns = columns, .arena = arena, .error = error};
    copy_names(root, arena);
    for (assembly.row = 0; assembly.row < n_rows; assembly.row++)
        if (check_row(&assembly, root) || assemble_struct(&assembly, root, &rows[assembly.row]))
            return -1;
    for (size_t i = 0; i < root->n_leaves; i++)
        if (columns[i].entry_at < columns[i].n_entries)
            return damaged(&assembly, columns[i].leaf, "it has more values than there are rows");
    return 0;
}
