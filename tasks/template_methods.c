/* The methods that templates may call: tables of names, parameters and functions. Adding one is adding a line
 * to a table and its function. */
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/template_tree.h"

static int spend_text(Renderer *renderer, const Node *node, const Value *text) {
    return template_spend(renderer, node, text->n);
}

/* ---- of strings; filters that are methods of the value's str() use some too */

static int strip_side(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, StripSide side, Value *out) {
    if (n > 0 && arguments[0].kind != VALUE_NULL && template_expect_string(renderer, node, &arguments[0]))
        return -1;
    const Value *chars = n > 0 && arguments[0].kind == VALUE_STRING ? &arguments[0] : NULL;
    *out = string_strip(renderer->arena, subject, side, chars);
    return spend_text(renderer, node, out);
}

int template_strip(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Value *out) {
    return strip_side(renderer, node, subject, arguments, n, STRIP_BOTH, out);
}
static int method_lstrip(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    return strip_side(renderer, node, subject, arguments, n, STRIP_LEFT, out);
}
static int method_rstrip(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    return strip_side(renderer, node, subject, arguments, n, STRIP_RIGHT, out);
}

int template_lower(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Value *out) {
    (void)arguments, (void)n;
    *out = string_lower(renderer->arena, subject);
    return spend_text(renderer, node, out);
}
int template_upper(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Value *out) {
    (void)arguments, (void)n;
    *out = string_upper(renderer->arena, subject);
    return spend_text(renderer, node, out);
}
int template_capitalize(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)arguments, (void)n;
    *out = string_capitalize(renderer->arena, subject);
    return spend_text(renderer, node, out);
}

static int method_split(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    int64_t limit = -1;
    const Value *separator = n > 0 && arguments[0].kind != VALUE_NULL && arguments[0].kind != VALUE_UNDEFINED
                                 ? &arguments[0]
                                 : NULL;
    if (separator && template_expect_string(renderer, node, separator))
        return -1;
    if (separator && separator->n == 0)
        return template_fail(renderer, node, "split with an empty separator");
    if (n > 1 && arguments[1].kind != VALUE_UNDEFINED && !value_as_int(&arguments[1], &limit))
        return template_fail(renderer, node, "split's second argument must be an integer");
    if (template_spend(renderer, node, (subject->n + 1) * sizeof(Value)))
        return -1;
    *out = string_split(renderer->arena, subject, separator, limit);
    return 0;
}

int template_replace(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                     size_t n, Value *out) {
    int64_t limit = -1;
    size_t most;
    if (template_expect_string(renderer, node, &arguments[0]) ||
        template_expect_string(renderer, node, &arguments[1]))
        return -1;
    if (n > 2 && !value_as_int(&arguments[2], &limit))
        return template_fail(renderer, node, "replace's third argument must be an integer");
    if (!mem_mul(subject->n + 1, arguments[1].n + 1, &most) || template_spend(renderer, node, most))
        return -1;
    *out = string_replace(renderer->arena, subject, &arguments[0], &arguments[1], limit);
    return 0;
}

/* Of a list; strings have their own. */
static int method_index(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)n;
    for (size_t i = 0; i < subject->n; i++) {
        if (!value_equal(&subject->as.items[i], &arguments[0]))
            continue;
        *out = value_int((int64_t)i);
        return 0;
    }
    Value shown = value_to_string(renderer->arena, &arguments[0]);
    return template_fail(renderer, node, "index: '%.80s' is not in the list of %zu items", shown.as.text,
                         subject->n);
}

static int method_removeprefix(Renderer *renderer, const Node *node, const Value *subject,
                               const Value *arguments, size_t n, Value *out) {
    (void)n;
    if (template_expect_string(renderer, node, &arguments[0]))
        return -1;
    size_t gone = text_starts_with(subject->as.text, arguments[0].as.text) ? arguments[0].n : 0;
    *out = string_copy(renderer->arena, subject->as.text + gone, subject->n - gone);
    return spend_text(renderer, node, out);
}
static int method_removesuffix(Renderer *renderer, const Node *node, const Value *subject,
                               const Value *arguments, size_t n, Value *out) {
    (void)n;
    if (template_expect_string(renderer, node, &arguments[0]))
        return -1;
    size_t gone = text_ends_with(subject->as.text, arguments[0].as.text) ? arguments[0].n : 0;
    *out = string_copy(renderer->arena, subject->as.text, subject->n - gone);
    return spend_text(renderer, node, out);
}

/* The text before, the separator, the text behind; `found` is where the separator is, -1: nowhere. */
static int parted(Renderer *renderer, const Node *node, const Value *text, const Value *separator,
                  ptrdiff_t found, bool whole_first, Value *out) {
    Arena *arena = renderer->arena;
    *out = value_list(arena, 3);
    out->line = VALUE_TUPLE;
    for (int i = 0; i < 3; i++)
        out->as.items[i] = value_string("");
    if (found < 0) {
        out->as.items[whole_first ? 0 : 2] = *text;
    } else {
        size_t behind = (size_t)found + separator->n;
        out->as.items[0] = string_copy(arena, text->as.text, (size_t)found);
        out->as.items[1] = *separator;
        out->as.items[2] = string_copy(arena, text->as.text + behind, text->n - behind);
    }
    return template_spend(renderer, node, text->n + 3 * sizeof(Value));
}
static int method_partition(Renderer *renderer, const Node *node, const Value *subject,
                            const Value *arguments, size_t n, Value *out) {
    (void)n;
    if (template_expect_string(renderer, node, &arguments[0]))
        return -1;
    if (arguments[0].n == 0)
        return template_fail(renderer, node, "partition with an empty separator");
    return parted(renderer, node, subject, &arguments[0], string_find(subject, &arguments[0], 0), true, out);
}
static int method_rpartition(Renderer *renderer, const Node *node, const Value *subject,
                             const Value *arguments, size_t n, Value *out) {
    (void)n;
    if (template_expect_string(renderer, node, &arguments[0]))
        return -1;
    if (arguments[0].n == 0)
        return template_fail(renderer, node, "rpartition with an empty separator");
    return parted(renderer, node, subject, &arguments[0], template_find_last(subject, &arguments[0]), false,
                  out);
}

/* Splits from the right at a separator, at most `limit` times. */
static int method_rsplit(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    int64_t limit = -1;
    if (n > 1 && !value_as_int(&arguments[1], &limit))
        return template_fail(renderer, node, "rsplit's second argument must be an integer");
    if (limit < 0)
        return method_split(renderer, node, subject, arguments, n > 0 ? 1 : 0, out);
    if (template_expect_string(renderer, node, &arguments[0]))
        return -1;
    if (arguments[0].n == 0)
        return template_fail(renderer, node, "rsplit with an empty separator");
    Value rest = *subject, all = value_list(renderer->arena, 0);
    ptrdiff_t at;
    size_t n_parts = 0;
    while ((int64_t)n_parts < limit && (at = template_find_last(&rest, &arguments[0])) >= 0) {
        if (template_spend(renderer, node, rest.n + 4 * sizeof(Value)))
            return -1;
        Value longer = value_list(renderer->arena, n_parts + 1);
        memcpy(longer.as.items + 1, all.as.items, n_parts * sizeof(Value));
        size_t behind = (size_t)at + arguments[0].n;
        longer.as.items[0] = string_copy(renderer->arena, rest.as.text + behind, rest.n - behind);
        rest = string_copy(renderer->arena, rest.as.text, (size_t)at);
        all = longer;
        n_parts++;
        if (template_spend(renderer, node, n_parts * sizeof(Value)))
            return -1;
    }
    *out = value_list(renderer->arena, n_parts + 1);
    out->as.items[0] = rest;
    memcpy(out->as.items + 1, all.as.items, n_parts * sizeof(Value));
    return 0;
}

size_t template_line_end(const Value *text, size_t at, size_t *next) {
    while (at < text->n) {
        uint32_t code;
        size_t length = utf8_decode(text->as.text + at, text->n - at, &code);
        if ((code >= 10 && code <= 13) || (code >= 28 && code <= 30) || code == 0x85 || code == 0x2028 ||
            code == 0x2029) {
            *next = at + length + (code == '\r' && text->as.text[at + 1] == '\n');
            return at;
        }
        at += length;
    }
    *next = text->n;
    return text->n;
}

/* Lines without their ends, or with them. */
static int method_splitlines(Renderer *renderer, const Node *node, const Value *subject,
                             const Value *arguments, size_t n, Value *out) {
    bool keep = n > 0 && value_truth(&arguments[0]);
    size_t n_lines = 0;
    if (template_spend(renderer, node, (subject->n + 1) * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, subject->n);
    for (size_t at = 0; at < subject->n;) {
        size_t next, end = template_line_end(subject, at, &next);
        out->as.items[n_lines++] =
            string_copy(renderer->arena, subject->as.text + at, (keep ? next : end) - at);
        at = next;
    }
    out->n = n_lines;
    return 0;
}

/* Of a list. */
static int method_count(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)renderer, (void)node, (void)n;
    *out = value_int(0);
    for (size_t i = 0; i < subject->n; i++)
        out->as.integer += value_equal(&subject->as.items[i], &arguments[0]);
    return 0;
}

/* True if there is a character and all have what `has` asks for. */
static bool all_chars(const Value *text, bool (*has)(uint32_t code)) {
    for (size_t at = 0; at < text->n;) {
        uint32_t code;
        at += utf8_decode(text->as.text + at, text->n - at, &code);
        if (!has(code))
            return false;
    }
    return text->n > 0;
}

static bool is_letter(uint32_t code) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
static bool is_letter_or_digit(uint32_t code) {
    return is_letter(code) || string_is_number(code);
}

#define CHARS_METHOD(name, has)                                                                              \
    static int name(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,      \
                    size_t n, Value *out) {                                                                  \
        (void)renderer, (void)node, (void)arguments, (void)n;                                                \
        *out = value_bool(all_chars(subject, has));                                                          \
        return 0;                                                                                            \
    }
CHARS_METHOD(method_isalpha, is_letter)
CHARS_METHOD(method_isdecimal, string_is_decimal)
CHARS_METHOD(method_isdigit, string_is_digit)
CHARS_METHOD(method_isnumeric, string_is_number)
CHARS_METHOD(method_isalnum, is_letter_or_digit)
CHARS_METHOD(method_isspace, text_is_space)

static int method_isupper(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                          size_t n, Value *out) {
    (void)node, (void)arguments, (void)n;
    const Value upper = string_upper(renderer->arena, subject),
                lower = string_lower(renderer->arena, subject);
    *out = value_bool(value_equal(&upper, subject) && !value_equal(&lower, subject));
    return 0;
}
static int method_islower(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                          size_t n, Value *out) {
    (void)node, (void)arguments, (void)n;
    const Value upper = string_upper(renderer->arena, subject),
                lower = string_lower(renderer->arena, subject);
    *out = value_bool(value_equal(&lower, subject) && !value_equal(&upper, subject));
    return 0;
}

/* Every run of letters with a capital first letter. */
static int method_title(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)arguments, (void)n;
    Buffer text = {0};
    for (size_t at = 0; at < subject->n;) {
        size_t end = at;
        uint32_t code;
        while (end < subject->n &&
               (utf8_decode(subject->as.text + end, subject->n - end, &code), is_letter(code)))
            end += utf8_decode(subject->as.text + end, subject->n - end, &code);
        const Value word = string_copy(renderer->arena, subject->as.text + at, end - at);
        const Value turned = string_capitalize(renderer->arena, &word);
        buffer_append(&text, turned.as.text, turned.n);
        size_t other = end < subject->n ? utf8_decode(subject->as.text + end, subject->n - end, &code) : 0;
        buffer_append(&text, subject->as.text + end, other);
        at = end + other;
    }
    *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return spend_text(renderer, node, out);
}

/* Text filled up to a width: at the left, at the right, or with zeros behind a sign. */
static int fill_up(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, bool left, const char *fill, Value *out) {
    int64_t width;
    if (!value_as_int(&arguments[0], &width) ||
        (n > 1 && template_expect_string(renderer, node, &arguments[1])))
        return template_fail(renderer, node, "a width and a character were expected");
    if (n > 1)
        fill = arguments[1].as.text;
    int64_t length = (int64_t)utf8_length(subject->as.text, subject->n),
            missing = width > length ? width - length : 0;
    size_t bytes;
    if (!mem_mul((size_t)missing, strlen(fill) + 1, &bytes) ||
        template_spend(renderer, node, bytes + subject->n))
        return -1;
    Buffer text = {0};
    size_t sign = left && *fill == '0' && n < 2 && strchr("+-", *subject->as.text) && subject->n ? 1 : 0;
    buffer_append(&text, subject->as.text, left ? sign : subject->n);
    for (int64_t i = 0; i < missing; i++)
        buffer_append_text(&text, fill);
    buffer_append(&text, subject->as.text + sign, left ? subject->n - sign : 0);
    *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return 0;
}
static int method_ljust(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    return fill_up(renderer, node, subject, arguments, n, false, " ", out);
}
static int method_rjust(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    return fill_up(renderer, node, subject, arguments, n, true, " ", out);
}
static int method_zfill(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    return fill_up(renderer, node, subject, arguments, n, true, "0", out);
}

static int join_items(Renderer *renderer, const Node *node, const Value *separator, const Value *source,
                      Value *out) {
    Value list;
    if (template_items(renderer, node, source, &list))
        return -1;
    Buffer text = {0};
    int status = 0;
    for (size_t i = 0; i < list.n && !status; i++) {
        size_t before = text.size;
        if (i)
            buffer_append(&text, separator->as.text, separator->n);
        status = template_expect_string(renderer, node, &list.as.items[i]);
        if (!status)
            value_append_str(&text, &list.as.items[i]);
        if (!status)
            status = template_spend(renderer, node, text.size - before);
    }
    if (!status)
        *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return status;
}

static int method_join(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)n;
    return join_items(renderer, node, subject, &arguments[0], out);
}

/* ---- of mappings */

static int method_items(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)arguments, (void)n;
    if (template_spend(renderer, node, subject->n * 3 * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, subject->n);
    for (size_t i = 0; i < subject->n; i++) {
        Value pair = value_list(renderer->arena, 2);
        pair.line = VALUE_TUPLE;
        pair.as.items[0] = value_string(subject->as.pairs[i].key);
        pair.as.items[1] = subject->as.pairs[i].value;
        out->as.items[i] = pair;
    }
    return 0;
}
static int method_keys(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)arguments, (void)n;
    if (template_spend(renderer, node, subject->n * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, subject->n);
    for (size_t i = 0; i < subject->n; i++)
        out->as.items[i] = value_string(subject->as.pairs[i].key);
    return 0;
}
static int method_values(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    (void)arguments, (void)n;
    if (template_spend(renderer, node, subject->n * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, subject->n);
    for (size_t i = 0; i < subject->n; i++)
        out->as.items[i] = subject->as.pairs[i].value;
    return 0;
}
static int method_get(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    if (template_expect_string(renderer, node, &arguments[0]))
        return -1;
    const Value *found = value_get(subject, arguments[0].as.text);
    *out = found ? *found : n > 1 ? arguments[1] : value_null();
    return 0;
}

/* ---- tables */

typedef struct MethodEntry {
    ValueKind kind;
    const char *name;
    TemplateFunction *function; /* NULL: a method of Python's that templates may not call */
    const char *parameters;
    size_t n_required;
} MethodEntry;

static const MethodEntry methods[] = {
    {VALUE_STRING, "capitalize", template_capitalize, "", 0},
    {VALUE_STRING, "casefold", template_casefold, "", 0},
    {VALUE_STRING, "center", template_center_method, "width,fillchar", 1},
    {VALUE_STRING, "count", template_count, "sub,start,end", 1},
    {VALUE_STRING, "endswith", template_endswith, "suffix,start,end", 1},
    {VALUE_STRING, "expandtabs", template_expandtabs, "tabsize", 0},
    {VALUE_STRING, "find", template_find, "sub,start,end", 1},
    {VALUE_STRING, "index", template_index, "sub,start,end", 1},
    {VALUE_STRING, "isalnum", method_isalnum, "", 0},
    {VALUE_STRING, "isalpha", method_isalpha, "", 0},
    {VALUE_STRING, "isascii", template_isascii, "", 0},
    {VALUE_STRING, "isdecimal", method_isdecimal, "", 0},
    {VALUE_STRING, "isdigit", method_isdigit, "", 0},
    {VALUE_STRING, "islower", method_islower, "", 0},
    {VALUE_STRING, "isnumeric", method_isnumeric, "", 0},
    {VALUE_STRING, "isspace", method_isspace, "", 0},
    {VALUE_STRING, "istitle", template_istitle, "", 0},
    {VALUE_STRING, "isupper", method_isupper, "", 0},
    {VALUE_STRING, "join", method_join, "iterable", 1},
    {VALUE_STRING, "ljust", method_ljust, "width,fillchar", 1},
    {VALUE_STRING, "lower", template_lower, "", 0},
    {VALUE_STRING, "lstrip", method_lstrip, "chars", 0},
    {VALUE_STRING, "partition", method_partition, "sep", 1},
    {VALUE_STRING, "removeprefix", method_removeprefix, "prefix", 1},
    {VALUE_STRING, "removesuffix", method_removesuffix, "suffix", 1},
    {VALUE_STRING, "replace", template_replace, "old,new,count", 2},
    {VALUE_STRING, "rfind", template_rfind, "sub,start,end", 1},
    {VALUE_STRING, "rindex", template_rindex, "sub,start,end", 1},
    {VALUE_STRING, "rjust", method_rjust, "width,fillchar", 1},
    {VALUE_STRING, "rpartition", method_rpartition, "sep", 1},
    {VALUE_STRING, "rsplit", method_rsplit, "sep,maxsplit", 0},
    {VALUE_STRING, "rstrip", method_rstrip, "chars", 0},
    {VALUE_STRING, "split", method_split, "sep,maxsplit", 0},
    {VALUE_STRING, "splitlines", method_splitlines, "keepends", 0},
    {VALUE_STRING, "startswith", template_startswith, "prefix,start,end", 1},
    {VALUE_STRING, "strip", template_strip, "chars", 0},
    {VALUE_STRING, "swapcase", template_swapcase, "", 0},
    {VALUE_STRING, "title", method_title, "", 0},
    {VALUE_STRING, "upper", template_upper, "", 0},
    {VALUE_STRING, "zfill", method_zfill, "width", 1},
    {VALUE_STRING, "format", NULL, "", 0}, /* takes what comes: template_method */
    {VALUE_LIST, "count", method_count, "value", 1},
    {VALUE_LIST, "index", method_index, "value", 1},
    {VALUE_LIST, "append", NULL, "", 0},
    {VALUE_LIST, "clear", NULL, "", 0},
    {VALUE_LIST, "copy", NULL, "", 0},
    {VALUE_LIST, "extend", NULL, "", 0},
    {VALUE_LIST, "insert", NULL, "", 0},
    {VALUE_LIST, "pop", NULL, "", 0},
    {VALUE_LIST, "remove", NULL, "", 0},
    {VALUE_LIST, "reverse", NULL, "", 0},
    {VALUE_LIST, "sort", NULL, "", 0},
    {VALUE_DICT, "clear", NULL, "", 0},
    {VALUE_DICT, "copy", NULL, "", 0},
    {VALUE_DICT, "fromkeys", NULL, "", 0},
    {VALUE_DICT, "get", method_get, "key,default", 1},
    {VALUE_DICT, "items", method_items, "", 0},
    {VALUE_DICT, "keys", method_keys, "", 0},
    {VALUE_DICT, "pop", NULL, "", 0},
    {VALUE_DICT, "popitem", NULL, "", 0},
    {VALUE_DICT, "setdefault", NULL, "", 0},
    {VALUE_DICT, "update", NULL, "", 0},
    {VALUE_DICT, "values", method_values, "", 0}};

static const MethodEntry *find_method(ValueKind kind, const char *name) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].kind == kind && strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

bool template_has_method(ValueKind kind, const char *name) {
    return find_method(kind, name);
}

int template_method(Renderer *renderer, const Node *node, const Value *subject, const char *name,
                    const Arguments *arguments, Value *out) {
    Value ordered[TEMPLATE_ARGUMENTS_MAX];
    size_t n;
    const MethodEntry *entry = find_method(subject->kind, name);
    if (!entry)
        return template_fail(renderer, node, "%s has no method '%s'", value_kind_name(subject->kind), name);
    if (subject->kind == VALUE_STRING && strcmp(name, "format") == 0)
        return template_format_braces(renderer, node, subject, arguments, out);
    if (!entry->function)
        return template_fail(renderer, node, "the method '%s' of %s may not be called in a template", name,
                             value_kind_name(subject->kind));
    if (template_order(renderer, node, name, entry->parameters, entry->n_required, arguments, ordered, &n))
        return -1;
    return entry->function(renderer, node, subject, ordered, n, out);
}
