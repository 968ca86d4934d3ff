/* Methods of strings that look for a part of them, and some that are rarely called. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/template_tree.h"

int template_expect_string(Renderer *renderer, const Node *node, const Value *value) {
    if (value->kind == VALUE_STRING)
        return 0;
    return template_fail(renderer, node, "found %s where a string was expected",
                         value_kind_name(value->kind));
}

/* ---- looking for text */

/* Arguments 1 and 2 are a start and an end, as those of a slice. */
static int read_bound(Renderer *renderer, const Node *node, const Value *arguments, size_t n, size_t i,
                      int64_t length, int64_t *out) {
    if (i >= n || arguments[i].kind == VALUE_UNDEFINED || arguments[i].kind == VALUE_NULL)
        return 0;
    if (!value_as_int(&arguments[i], out))
        return template_fail(renderer, node, "a place in the text is %s; an integer was expected",
                             value_kind_name(arguments[i].kind));
    if (*out < 0)
        *out = *out < -length ? 0 : *out + length;
    return 0;
}

/* The part of the text between the bounds; *from is where it begins, in bytes. Bounds that cross have no
 * part, not even an empty one: *exists is false. */
static int text_range(Renderer *renderer, const Node *node, const Value *text, const Value *arguments,
                      size_t n, Value *part, size_t *from, bool *exists) {
    *part = *text;
    *from = 0;
    *exists = true;
    if (n < 2)
        return 0;
    int64_t length = (int64_t)utf8_length(text->as.text, text->n), start = 0, end = length;
    if (read_bound(renderer, node, arguments, n, 1, length, &start) ||
        read_bound(renderer, node, arguments, n, 2, length, &end))
        return -1;
    end = end > length ? length : end;
    *exists = start <= end;
    if (!*exists)
        return 0;
    *from = template_char_offset(text, start);
    *part = string_copy(renderer->arena, text->as.text + *from, template_char_offset(text, end) - *from);
    return template_spend(renderer, node, text->n);
}

ptrdiff_t template_find_last(const Value *text, const Value *part) {
    for (size_t at = text->n >= part->n ? text->n - part->n + 1 : 0; at-- > 0;)
        if (memcmp(text->as.text + at, part->as.text, part->n) == 0)
            return (ptrdiff_t)at;
    return -1;
}

static int find(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments, size_t n,
                bool last, Value *out) {
    Value part;
    size_t from;
    bool exists;
    *out = value_int(-1);
    if (template_expect_string(renderer, node, &arguments[0]) ||
        text_range(renderer, node, subject, arguments, n, &part, &from, &exists))
        return -1;
    ptrdiff_t found = !exists ? -1
                      : last  ? template_find_last(&part, &arguments[0])
                              : string_find(&part, &arguments[0], 0);
    if (found >= 0)
        *out = value_int((int64_t)utf8_length(subject->as.text, from + (size_t)found));
    return template_spend(renderer, node, subject->n);
}
int template_find(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                  size_t n, Value *out) {
    return find(renderer, node, subject, arguments, n, false, out);
}
int template_rfind(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Value *out) {
    return find(renderer, node, subject, arguments, n, true, out);
}

static int index_of(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                    size_t n, bool last, Value *out) {
    if (find(renderer, node, subject, arguments, n, last, out))
        return -1;
    return out->as.integer >= 0 ? 0 : template_fail(renderer, node, "index: the text is not in the string");
}
int template_index(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Value *out) {
    return index_of(renderer, node, subject, arguments, n, false, out);
}
int template_rindex(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                    size_t n, Value *out) {
    return index_of(renderer, node, subject, arguments, n, true, out);
}

int template_count(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Value *out) {
    Value part;
    size_t from;
    bool exists;
    *out = value_int(0);
    if (template_expect_string(renderer, node, &arguments[0]) ||
        text_range(renderer, node, subject, arguments, n, &part, &from, &exists))
        return -1;
    if (!exists)
        return 0;
    if (arguments[0].n == 0) {
        *out = value_int((int64_t)utf8_length(part.as.text, part.n) + 1);
        return 0;
    }
    for (ptrdiff_t at = 0; (at = string_find(&part, &arguments[0], (size_t)at)) >= 0;
         at += (ptrdiff_t)arguments[0].n)
        out->as.integer++;
    return template_spend(renderer, node, subject->n);
}

/* True if the text begins or ends with a string or with one of a tuple of strings. */
static int has_edge(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                    size_t n, bool at_end, Value *out) {
    const Value *edge = &arguments[0];
    bool several = edge->kind == VALUE_LIST && value_is_tuple(edge), exists;
    size_t from;
    Value part;
    *out = value_bool(false);
    if (text_range(renderer, node, subject, arguments, n, &part, &from, &exists))
        return -1;
    for (size_t i = 0; i < (several ? edge->n : 1) && !out->as.boolean; i++) {
        const Value *text = several ? &edge->as.items[i] : edge;
        if (template_expect_string(renderer, node, text))
            return -1;
        out->as.boolean = exists && (at_end ? text_ends_with(part.as.text, text->as.text)
                                            : text_starts_with(part.as.text, text->as.text));
    }
    return 0;
}
int template_startswith(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    return has_edge(renderer, node, subject, arguments, n, false, out);
}
int template_endswith(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    return has_edge(renderer, node, subject, arguments, n, true, out);
}

/* ---- other forms of a text */

/* Filled up on both sides; of an odd number of characters the left side gets one more if the width is odd. */
int template_center_method(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                           size_t n, Value *out) {
    int64_t width;
    const char *fill = n > 1 ? arguments[1].as.text : " ";
    if (!value_as_int(&arguments[0], &width) ||
        (n > 1 && (template_expect_string(renderer, node, &arguments[1]) ||
                   utf8_length(arguments[1].as.text, arguments[1].n) != 1)))
        return template_fail(renderer, node, "a width and a character were expected");
    int64_t length = (int64_t)utf8_length(subject->as.text, subject->n);
    size_t pad = width > length ? (size_t)(width - length) : 0, left = pad / 2 + (pad & (size_t)width & 1);
    size_t bytes;
    if (!mem_mul(pad, strlen(fill), &bytes) || template_spend(renderer, node, bytes + subject->n))
        return -1;
    Buffer text = {0};
    for (size_t i = 0; i < pad; i++) {
        if (i == left)
            buffer_append(&text, subject->as.text, subject->n);
        buffer_append_text(&text, fill);
    }
    if (left == pad)
        buffer_append(&text, subject->as.text, subject->n);
    *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return 0;
}

int template_casefold(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    (void)arguments, (void)n;
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t bytes = utf8proc_map((const utf8proc_uint8_t *)subject->as.text,
                                          (utf8proc_ssize_t)subject->n, &folded, UTF8PROC_CASEFOLD);
    if (bytes < 0)
        return template_fail(renderer, node, "casefold: %s", utf8proc_errmsg(bytes));
    *out = string_copy(renderer->arena, (const char *)folded, (size_t)bytes);
    free(folded);
    return template_spend(renderer, node, out->n);
}

/* Whether a character is a capital (1), a small letter (-1), or has no case (0). */
static int case_of(uint32_t code) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    if (category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT)
        return 1;
    return category == UTF8PROC_CATEGORY_LL ? -1 : 0;
}

int template_swapcase(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    (void)arguments, (void)n;
    Buffer text = {0};
    const Value lower = string_lower(renderer->arena, subject); /* knows a final sigma by its neighbours */
    size_t of_lower = 0;
    for (size_t at = 0; at < subject->n;) {
        uint32_t code;
        size_t length = utf8_decode(subject->as.text + at, subject->n - at, &code);
        const Value one = string_copy(renderer->arena, subject->as.text + at, length);
        const Value one_lower = string_lower(renderer->arena, &one),
                    upper = string_upper(renderer->arena, &one);
        size_t bytes = one_lower.n; /* a final sigma takes as many as another */
        if (case_of(code) > 0)
            buffer_append(&text, lower.as.text + of_lower, bytes);
        else
            buffer_append(&text, case_of(code) < 0 ? upper.as.text : one.as.text,
                          case_of(code) < 0 ? upper.n : one.n);
        at += length;
        of_lower += bytes;
    }
    *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return template_spend(renderer, node, subject->n * sizeof(Value));
}

/* Capitals begin words and only them, and there is one. */
int template_istitle(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                     size_t n, Value *out) {
    (void)renderer, (void)node, (void)arguments, (void)n;
    int before = 0;
    bool cased = false;
    for (size_t at = 0; at < subject->n;) {
        uint32_t code;
        at += utf8_decode(subject->as.text + at, subject->n - at, &code);
        int its = case_of(code);
        *out = value_bool(false);
        if ((its > 0 && before != 0) || (its < 0 && before == 0))
            return 0;
        cased |= its != 0;
        before = its;
    }
    *out = value_bool(cased);
    return 0;
}

int template_isascii(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                     size_t n, Value *out) {
    (void)renderer, (void)node, (void)arguments, (void)n;
    *out = value_bool(true);
    for (size_t i = 0; i < subject->n; i++)
        out->as.boolean &= (unsigned char)subject->as.text[i] < 128;
    return 0;
}

/* Tabs become spaces up to the next column of so many. */
int template_expandtabs(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    int64_t size = 8, column = 0;
    if (n > 0 && (!value_as_int(&arguments[0], &size) || size > 1000))
        return template_fail(renderer, node, "expandtabs: an integer up to 1000 was expected");
    Buffer text = {0};
    int status = 0;
    for (size_t at = 0; at < subject->n && !status;) {
        uint32_t code;
        size_t length = utf8_decode(subject->as.text + at, subject->n - at, &code);
        if (code == '\t') {
            int64_t wide = size > 0 ? size - column % size : 0;
            for (int64_t i = 0; i < wide; i++)
                buffer_append_char(&text, ' ');
            column += wide;
            status = template_spend(renderer, node, (size_t)wide);
        } else {
            buffer_append(&text, subject->as.text + at, length);
            column = code == '\n' || code == '\r' ? 0 : column + 1;
        }
        at += length;
    }
    if (!status)
        *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return status ? -1 : template_spend(renderer, node, subject->n);
}
