/* Values as JSON, laid out as Python's json.dumps lays them out. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tasks/template_tree.h"

typedef struct Writer {
    Renderer *renderer;
    const Node *node;
    const JsonStyle *style;
    Buffer *out;
} Writer;

static int write_value(Writer *writer, const Value *value, int depth);

static void write_string(Writer *writer, const char *text, size_t bytes) {
    Buffer json = {0};
    text_append_json(&json, text, bytes);
    for (size_t i = 0; i < json.size;) {
        uint32_t code;
        size_t length = utf8_decode(json.data + i, json.size - i, &code);
        bool html = writer->style->html && code < 128 && strchr("<>&'", (char)code);
        if (!html && (code < 128 || !writer->style->ascii))
            buffer_append(writer->out, json.data + i, length);
        else if (code < 0x10000)
            buffer_printf(writer->out, "\\u%04x", code);
        else
            buffer_printf(writer->out, "\\u%04x\\u%04x", 0xD800 + ((code - 0x10000) >> 10),
                          0xDC00 + ((code - 0x10000) & 0x3FF));
        i += length;
    }
    buffer_free(&json);
}

static void new_line(Writer *writer, int depth) {
    if (writer->style->indent < 0)
        return;
    buffer_append_char(writer->out, '\n');
    for (int64_t i = 0; i < writer->style->indent * depth; i++)
        buffer_append_char(writer->out, ' ');
}

static const char *between_items(const Writer *writer) {
    if (writer->style->between_items)
        return writer->style->between_items;
    return writer->style->indent < 0 ? ", " : ",";
}

static int compare_keys(const void *a, const void *b) {
    return strcmp((*(const ValuePair *const *)a)->key, (*(const ValuePair *const *)b)->key);
}

static int write_dict(Writer *writer, const Value *dict, int depth) {
    const ValuePair **pairs = arena_alloc(writer->renderer->arena, (dict->n + 1) * sizeof *pairs);
    for (size_t i = 0; i < dict->n; i++)
        pairs[i] = &dict->as.pairs[i];
    if (writer->style->sort_keys && dict->n)
        qsort(pairs, dict->n, sizeof *pairs, compare_keys);
    buffer_append_char(writer->out, '{');
    for (size_t i = 0; i < dict->n; i++) {
        buffer_append_text(writer->out, i ? between_items(writer) : "");
        new_line(writer, depth + 1);
        write_string(writer, pairs[i]->key, strlen(pairs[i]->key));
        buffer_append_text(writer->out, writer->style->behind_key ? writer->style->behind_key : ": ");
        if (write_value(writer, &pairs[i]->value, depth + 1))
            return -1;
    }
    if (dict->n)
        new_line(writer, depth);
    buffer_append_char(writer->out, '}');
    return 0;
}

static int write_list(Writer *writer, const Value *list, int depth) {
    buffer_append_char(writer->out, '[');
    for (size_t i = 0; i < list->n; i++) {
        buffer_append_text(writer->out, i ? between_items(writer) : "");
        new_line(writer, depth + 1);
        if (write_value(writer, &list->as.items[i], depth + 1))
            return -1;
    }
    if (list->n)
        new_line(writer, depth);
    buffer_append_char(writer->out, ']');
    return 0;
}

/* Nesting is bounded because every maker of values bounds it. */
static int write_value(Writer *writer, const Value *value, int depth) {
    size_t before = writer->out->size;
    if (value->kind == VALUE_DICT || value->kind == VALUE_LIST) {
        if (template_step(writer->renderer, writer->node) ||
            template_spend(writer->renderer, writer->node,
                           64 + (size_t)depth * (size_t)(writer->style->indent + 1)))
            return -1;
        return value->kind == VALUE_DICT ? write_dict(writer, value, depth)
                                         : write_list(writer, value, depth);
    }
    if (value->kind == VALUE_UNDEFINED || value->kind == VALUE_OBJECT)
        return template_fail(writer->renderer, writer->node, "tojson: %s cannot be JSON",
                             value->kind == VALUE_UNDEFINED ? value->as.text : "an object");
    if (value->kind == VALUE_STRING)
        write_string(writer, value->as.text, value->n);
    else
        value_append_json(writer->out, value);
    return template_spend(writer->renderer, writer->node,
                          writer->out->size - before + (size_t)depth * (size_t)(writer->style->indent + 1));
}

int template_json(Renderer *renderer, const Node *node, const Value *value, const JsonStyle *style,
                  Buffer *out) {
    Writer writer = {renderer, node, style, out};
    return write_value(&writer, value, 0);
}
