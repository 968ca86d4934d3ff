/* Filters that cut lists and texts, and lm-eval's own regex_replace. */
#include <string.h>

#include "base/python_regex.h"
#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/template_tree.h"

/* An argument that may be left out; -1 where it is no integer from 0 to a million. */
static int read_size(Renderer *renderer, const Node *node, const char *what, const Value *arguments, size_t n,
                     size_t i, int64_t *out) {
    enum { MOST = 1000000 };
    if (i >= n || arguments[i].kind == VALUE_UNDEFINED)
        return 0;
    if (!value_as_int(&arguments[i], out) || *out < 0 || *out > MOST)
        return template_fail(renderer, node, "%s: an integer from 0 to %d was expected", what, MOST);
    return 0;
}

static Value part_of(Renderer *renderer, const Value *list, size_t start, size_t n, const Value *fill,
                     size_t n_fill) {
    Value part = value_list(renderer->arena, n + n_fill);
    for (size_t i = 0; i < n; i++)
        part.as.items[i] = list->as.items[start + i];
    for (size_t i = 0; i < n_fill; i++)
        part.as.items[n + i] = *fill;
    return part;
}

static const Value *fill_of(const Value *arguments, size_t n) {
    bool given = n > 1 && arguments[1].kind != VALUE_UNDEFINED && arguments[1].kind != VALUE_NULL;
    return given ? &arguments[1] : NULL;
}

/* Lists of so many items; the last is filled up. */
int template_batch(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Value *out) {
    Value list;
    int64_t count = 0;
    const Value *fill = fill_of(arguments, n);
    if (template_items(renderer, node, subject, &list) ||
        read_size(renderer, node, "batch", arguments, n, 0, &count))
        return -1;
    if (count == 0)
        return template_fail(renderer, node, "batch: an integer above 0 was expected");
    size_t size = (size_t)count, n_batches = (list.n + size - 1) / size;
    size_t missing = fill && list.n ? n_batches * size - list.n : 0;
    if (template_spend(renderer, node, (list.n + missing + n_batches) * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, n_batches);
    for (size_t i = 0; i < n_batches; i++) {
        bool last = i + 1 == n_batches;
        out->as.items[i] =
            part_of(renderer, &list, i * size, last ? list.n - i * size : size, fill, last ? missing : 0);
    }
    return 0;
}

/* So many lists; the first ones take what is left over, the others are filled up. */
int template_slice(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Value *out) {
    Value list;
    int64_t count = 0;
    const Value *fill = fill_of(arguments, n);
    if (template_items(renderer, node, subject, &list) ||
        read_size(renderer, node, "slice", arguments, n, 0, &count))
        return -1;
    if (count == 0)
        return template_fail(renderer, node, "slice: an integer above 0 was expected");
    size_t slices = (size_t)count, each = list.n / slices, more = list.n % slices, at = 0;
    if (template_spend(renderer, node, (list.n + 2 * slices) * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, slices);
    for (size_t i = 0; i < slices; i++) {
        size_t size = each + (i < more);
        out->as.items[i] = part_of(renderer, &list, at, size, fill, fill && i >= more);
        at += size;
    }
    return 0;
}

int template_center(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                    size_t n, Value *out) {
    int64_t width = 80;
    Buffer text = {0};
    if (read_size(renderer, node, "center", arguments, n, 0, &width))
        return -1;
    size_t length = utf8_length(subject->as.text, subject->n), wide = (size_t)width;
    size_t pad = wide > length ? wide - length : 0, left = pad / 2 + (pad & wide & 1);
    for (size_t i = 0; i < left; i++)
        buffer_append_char(&text, ' ');
    buffer_append(&text, subject->as.text, subject->n);
    for (size_t i = left; i < pad; i++)
        buffer_append_char(&text, ' ');
    *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return template_spend(renderer, node, out->n);
}

/* truncate(length=255, killwords=false, end='...', leeway=5) */
int template_truncate(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    int64_t length = 255, leeway = 5;
    bool kill_words = n > 1 && value_truth(&arguments[1]);
    Value end = n > 2 && arguments[2].kind == VALUE_STRING ? arguments[2] : value_string("...");
    if (subject->kind != VALUE_UNDEFINED && template_expect_string(renderer, node, subject))
        return -1;
    if (read_size(renderer, node, "truncate", arguments, n, 0, &length) ||
        read_size(renderer, node, "truncate", arguments, n, 3, &leeway))
        return -1;
    size_t end_length = utf8_length(end.as.text, end.n);
    if ((size_t)length < end_length)
        return template_fail(renderer, node, "truncate: a length of %zu or more was expected", end_length);
    if (subject->kind == VALUE_UNDEFINED ||
        utf8_length(subject->as.text, subject->n) <= (size_t)(length + leeway)) {
        *out = *subject;
        return 0;
    }
    size_t kept = template_char_offset(subject, length - (int64_t)end_length), space = kept;
    while (space > 0 && subject->as.text[space - 1] != ' ')
        space--;
    if (!kill_words && space > 0)
        kept = space - 1;
    Buffer text = {0};
    buffer_append(&text, subject->as.text, kept);
    buffer_append(&text, end.as.text, end.n);
    *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return template_spend(renderer, node, out->n);
}

/* in_query: of a query, in which a slash is escaped and a space is a plus. */
static void append_url(Renderer *renderer, Buffer *out, const Value *value, bool in_query) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~";
    const Value text = value_to_string(renderer->arena, value);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char byte = (unsigned char)text.as.text[i];
        if ((byte && strchr(plain, byte)) || (byte == '/' && !in_query))
            buffer_append_char(out, (char)byte);
        else if (byte == ' ' && in_query)
            buffer_append_char(out, '+');
        else
            buffer_printf(out, "%%%02X", byte);
    }
}

/* A text, or a mapping as a query: key=value&key=value. */
int template_urlencode(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)arguments, (void)n;
    Buffer text = {0};
    if (subject->kind == VALUE_LIST)
        return template_fail(renderer, node, "urlencode: a list cannot be part of an address");
    if (subject->kind != VALUE_DICT)
        append_url(renderer, &text, subject, false);
    for (size_t i = 0; subject->kind == VALUE_DICT && i < subject->n; i++) {
        const Value key = value_string(subject->as.pairs[i].key);
        buffer_append_text(&text, i ? "&" : "");
        append_url(renderer, &text, &key, true);
        buffer_append_char(&text, '=');
        append_url(renderer, &text, &subject->as.pairs[i].value, true);
    }
    *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return template_spend(renderer, node, out->n);
}

/* regex_replace(pattern, repl, count=0): re.sub. */
int template_regex_replace(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                           size_t n, Value *out) {
    int64_t count = 0;
    Regex *regex;
    Buffer text = {0};
    Error error = {0};
    if (subject->kind != VALUE_STRING || arguments[0].kind != VALUE_STRING ||
        arguments[1].kind != VALUE_STRING)
        return template_fail(renderer, node, "regex_replace: strings were expected");
    if (read_size(renderer, node, "regex_replace", arguments, n, 2, &count))
        return -1;
    if (regex_compile(&regex, arguments[0].as.text, &error))
        return template_fail(renderer, node, "regex_replace: %s", error.message);
    int status =
        regex_replace(regex, arguments[1].as.text, count, subject->as.text, subject->n, &text, &error);
    if (status)
        template_fail(renderer, node, "regex_replace: %s", error.message);
    else
        *out = string_copy(renderer->arena, text.data, text.size);
    regex_free(regex);
    buffer_free(&text);
    return status ? -1 : template_spend(renderer, node, out->n);
}
