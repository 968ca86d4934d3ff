/* Filters that order items or compare them with each other. */
#include <string.h>

#include "tasks/strings.h"
#include "tasks/template_tree.h"

static const Value no_value = {.kind = VALUE_UNDEFINED};

/* What an item is ordered or compared by: its attribute, and small letters unless case counts. */
static int sort_key(Renderer *renderer, const Node *node, const Value *item, const Value *path,
                    bool with_case, Value *out) {
    if (template_item_attribute(renderer, node, item, path, &no_value, out))
        return -1;
    if (!with_case && out->kind == VALUE_STRING)
        *out = string_lower(renderer->arena, out);
    return template_spend(renderer, node, out->kind == VALUE_STRING ? out->n : 0);
}

/* The same by several attributes, whose names have commas between them. */
static int sort_keys(Renderer *renderer, const Node *node, const Value *item, const Value *paths,
                     bool with_case, Value *out) {
    if (paths->kind != VALUE_STRING || !strchr(paths->as.text, ','))
        return sort_key(renderer, node, item, paths, with_case, out);
    const Value comma = value_string(",");
    const Value names = string_split(renderer->arena, paths, &comma, -1);
    if (template_spend(renderer, node, paths->n + names.n * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, names.n);
    for (size_t i = 0; i < names.n; i++)
        if (sort_key(renderer, node, item, &names.as.items[i], with_case, &out->as.items[i]))
            return -1;
    return 0;
}

/* Stable, by insertion: templates sort a handful; template_step bounds the rest. */
static int sort_items(Renderer *renderer, const Node *node, Value *items, Value *keys, size_t n,
                      bool reverse) {
    for (size_t i = 1; i < n; i++) {
        const Value item = items[i], key = keys[i];
        size_t at = i;
        for (; at > 0; at--) {
            bool before;
            if (template_step(renderer, node) ||
                template_compare(renderer, node, reverse ? OPERATOR_GREATER : OPERATOR_LESS, &key,
                                 &keys[at - 1], &before))
                return -1;
            if (!before)
                break;
            items[at] = items[at - 1];
            keys[at] = keys[at - 1];
        }
        items[at] = item;
        keys[at] = key;
    }
    return 0;
}

/* sort(reverse, case_sensitive, attribute). */
int template_sort(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                  size_t n, Value *out) {
    Value list, keys;
    bool reverse = n > 0 && value_truth(&arguments[0]), with_case = n > 1 && value_truth(&arguments[1]);
    const Value path = n > 2 ? arguments[2] : value_null();
    if (template_items(renderer, node, subject, &list) ||
        template_spend(renderer, node, list.n * 2 * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, list.n);
    keys = value_list(renderer->arena, list.n);
    for (size_t i = 0; i < list.n; i++) {
        out->as.items[i] = list.as.items[i];
        if (sort_keys(renderer, node, &list.as.items[i], &path, with_case, &keys.as.items[i]))
            return -1;
    }
    return sort_items(renderer, node, out->as.items, keys.as.items, list.n, reverse);
}

/* dictsort(case_sensitive, by, reverse): pairs. */
int template_dictsort(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    bool with_case = n > 0 && value_truth(&arguments[0]), reverse = n > 2 && value_truth(&arguments[2]);
    bool by_value = n > 1 && arguments[1].kind == VALUE_STRING && strcmp(arguments[1].as.text, "value") == 0;
    const Value path = value_int(by_value);
    if (template_pairs(renderer, node, subject, NULL, 0, out) ||
        template_spend(renderer, node, out->n * sizeof(Value)))
        return -1;
    Value keys = value_list(renderer->arena, out->n);
    for (size_t i = 0; i < out->n; i++)
        if (sort_key(renderer, node, &out->as.items[i], &path, with_case, &keys.as.items[i]))
            return -1;
    return sort_items(renderer, node, out->as.items, keys.as.items, out->n, reverse);
}

/* The least or the greatest item. */
static int extreme(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Operator op, Value *out) {
    Value list, key, best;
    bool with_case = n > 0 && value_truth(&arguments[0]), better;
    const Value path = n > 1 ? arguments[1] : value_null();
    if (template_items(renderer, node, subject, &list))
        return -1;
    *out = template_undefined(renderer, "the extreme of an empty list");
    for (size_t i = 0; i < list.n; i++) {
        if (sort_key(renderer, node, &list.as.items[i], &path, with_case, &key))
            return -1;
        better = i == 0;
        if (i > 0 && template_compare(renderer, node, op, &key, &best, &better))
            return -1;
        if (better) {
            best = key;
            *out = list.as.items[i];
        }
    }
    return 0;
}
int template_min(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments, size_t n,
                 Value *out) {
    return extreme(renderer, node, subject, arguments, n, OPERATOR_LESS, out);
}
int template_max(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments, size_t n,
                 Value *out) {
    return extreme(renderer, node, subject, arguments, n, OPERATOR_GREATER, out);
}

int template_unique(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                    size_t n, Value *out) {
    Value list, keys;
    size_t kept = 0;
    bool with_case = n > 0 && value_truth(&arguments[0]);
    const Value path = n > 1 ? arguments[1] : value_null();
    if (template_items(renderer, node, subject, &list) ||
        template_spend(renderer, node, list.n * 2 * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, list.n);
    keys = value_list(renderer->arena, list.n);
    for (size_t i = 0; i < list.n; i++) {
        size_t k = 0;
        if (sort_key(renderer, node, &list.as.items[i], &path, with_case, &keys.as.items[kept]))
            return -1;
        while (k < kept && !value_equal(&keys.as.items[k], &keys.as.items[kept]))
            if (template_step(renderer, node))
                return -1;
            else
                k++;
        if (k == kept)
            out->as.items[kept++] = list.as.items[i];
    }
    out->n = kept;
    return 0;
}

/* groupby(attribute, default, case_sensitive): pairs of a value and the items that have it, by value. */
int template_groupby(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                     size_t n, Value *out) {
    const Value path = arguments[0], otherwise = n > 1 ? arguments[1] : no_value;
    bool with_case = n > 2 && value_truth(&arguments[2]);
    Value list;
    if (template_items(renderer, node, subject, &list) ||
        template_spend(renderer, node, list.n * 6 * sizeof(Value)))
        return -1;
    Value keys = value_list(renderer->arena, list.n), items = value_list(renderer->arena, list.n);
    for (size_t i = 0; i < list.n; i++) {
        Value *key = &keys.as.items[i];
        items.as.items[i] = list.as.items[i];
        if (template_item_attribute(renderer, node, &list.as.items[i], &path, &otherwise, key))
            return -1;
        if (!with_case && key->kind == VALUE_STRING)
            *key = string_lower(renderer->arena, key);
    }
    if (sort_items(renderer, node, items.as.items, keys.as.items, list.n, false))
        return -1;
    *out = value_list(renderer->arena, list.n);
    out->n = 0;
    for (size_t i = 0, end; i < list.n; i = end) {
        for (end = i + 1; end < list.n && value_equal(&keys.as.items[i], &keys.as.items[end]);)
            end++;
        Value group = value_list(renderer->arena, 2), *members = &group.as.items[1];
        group.line = VALUE_GROUP;
        *members = value_list(renderer->arena, end - i);
        memcpy(members->as.items, items.as.items + i, (end - i) * sizeof(Value));
        if (template_item_attribute(renderer, node, &items.as.items[i], &path, &otherwise,
                                    &group.as.items[0]))
            return -1;
        out->as.items[out->n++] = group;
    }
    return template_spend_value(renderer, node, out);
}
