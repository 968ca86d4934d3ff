/* The filters that templates may use: tables of names, parameters and functions. Adding one is adding a line
 * to a table and its function. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/template_tree.h"

/* ---- on one value */

static int filter_length(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    (void)arguments, (void)n;
    if (subject->kind != VALUE_STRING && subject->kind != VALUE_LIST && subject->kind != VALUE_DICT &&
        subject->kind != VALUE_UNDEFINED)
        return template_fail(renderer, node, "%s has no length", value_kind_name(subject->kind));
    bool is_text = subject->kind == VALUE_STRING, is_empty = subject->kind == VALUE_UNDEFINED;
    *out = value_int((int64_t)(is_text    ? utf8_length(subject->as.text, subject->n)
                               : is_empty ? 0
                                          : subject->n));
    return 0;
}

static int filter_string(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    (void)arguments, (void)n;
    *out = value_to_string(renderer->arena, subject);
    return template_spend(renderer, node, out->n);
}

/* Python's int(text): white space around is allowed; a text that is no integer gives the default. */
static int filter_int(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    int64_t integer = 0;
    double number = 0;
    if (subject->kind == VALUE_UNDEFINED)
        return template_fail(renderer, node, "%s is undefined", subject->as.text);
    Value text = subject->kind == VALUE_STRING ? string_strip(renderer->arena, subject, STRIP_BOTH, NULL)
                                               : value_string("");
    const char *digits = text.as.text + (text.as.text[0] == '+');
    if (subject->kind == VALUE_DOUBLE)
        number = subject->as.number;
    if (value_as_int(subject, &integer) || text_to_int(digits, &integer)) {
        *out = value_int(integer);
    } else if ((subject->kind == VALUE_DOUBLE || text_to_double(digits, &number)) && fabs(number) < 9e18) {
        *out = value_int((int64_t)number);
    } else if (isfinite(number) && number != 0) {
        return template_fail(renderer, node, "int: an integer does not fit into 64 bits");
    } else {
        *out = n > 0 && arguments[0].kind != VALUE_UNDEFINED ? arguments[0] : value_int(0);
    }
    return 0;
}

static int filter_float(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    int64_t integer;
    double number;
    if (subject->kind == VALUE_UNDEFINED)
        return template_fail(renderer, node, "%s is undefined", subject->as.text);
    if (value_as_int(subject, &integer)) {
        *out = value_double((double)integer);
    } else if (subject->kind == VALUE_DOUBLE) {
        *out = *subject;
    } else if (subject->kind == VALUE_STRING) {
        const Value text = string_strip(renderer->arena, subject, STRIP_BOTH, NULL);
        bool right = text_to_double(text.as.text + (text.as.text[0] == '+'), &number);
        *out = right ? value_double(number) : n > 0 ? arguments[0] : value_double(0);
    } else {
        *out = n > 0 ? arguments[0] : value_double(0);
    }
    return 0;
}

static int filter_abs(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    (void)arguments, (void)n;
    int64_t integer;
    if (value_as_int(subject, &integer) && integer != INT64_MIN) {
        *out = value_int(integer < 0 ? -integer : integer);
        return 0;
    }
    if (subject->kind != VALUE_DOUBLE)
        return template_fail(renderer, node, "abs: %s is no number", value_kind_name(subject->kind));
    *out = value_double(fabs(subject->as.number));
    return 0;
}

/* To a number of decimals; "common" rounds as Python does, half to even. */
static int filter_round(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    int64_t precision = 0, integer;
    const char *method = n > 1 && arguments[1].kind == VALUE_STRING ? arguments[1].as.text : "common";
    if (n > 0 && arguments[0].kind != VALUE_UNDEFINED && !value_as_int(&arguments[0], &precision))
        return template_fail(renderer, node, "round: an integer was expected");
    bool whole = value_as_int(subject, &integer);
    if ((!whole && subject->kind != VALUE_DOUBLE) || precision < 0 || precision > 300)
        return template_fail(renderer, node, "round: a number and 0 to 300 decimals were expected");
    if (whole && strcmp(method, "common") == 0) {
        *out = value_int(integer);
        return 0;
    }
    double number = whole ? (double)integer : subject->as.number, scale = pow(10, (double)precision);
    if (strcmp(method, "common") != 0) {
        double rounded = *method == 'c' ? ceil(number * scale) : floor(number * scale);
        *out = value_double((rounded + 0.0) / scale); /* an integer in Python: no -0 */
        return 0;
    }
    char digits[1024];
    snprintf(digits, sizeof digits, "%.*f", (int)precision, number); /* exact decimals, half to even */
    *out = value_double(strtod(digits, NULL));
    return 0;
}

static int filter_default(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                          size_t n, Value *out) {
    (void)renderer, (void)node;
    bool also_false = n > 1 && value_truth(&arguments[1]);
    bool missing = subject->kind == VALUE_UNDEFINED || (also_false && !value_truth(subject));
    *out = !missing ? *subject : n > 0 ? arguments[0] : value_string("");
    return 0;
}

static int filter_attr(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)n;
    if (arguments[0].kind != VALUE_STRING)
        return template_fail(renderer, node, "attr: a name was expected");
    *out = template_undefined(renderer, arena_printf(renderer->arena, "'%.80s'", arguments[0].as.text));
    if (subject->kind == VALUE_OBJECT || template_has_method(subject->kind, arguments[0].as.text))
        *out = template_attribute(renderer, subject, arguments[0].as.text);
    return 0;
}

int template_escape(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                    size_t n, Value *out) {
    (void)arguments, (void)n;
    static const char *const entities[][2] = {
        {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&#34;"}, {"'", "&#39;"}};
    *out = *subject;
    if (subject->line == VALUE_MARKUP)
        return 0;
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        const Value from = value_string(entities[i][0]), to = value_string(entities[i][1]);
        *out = string_replace(renderer->arena, out, &from, &to, -1);
    }
    out->line = VALUE_MARKUP;
    return template_spend(renderer, node, out->n + subject->n * 5);
}

static int filter_forceescape(Renderer *renderer, const Node *node, const Value *subject,
                              const Value *arguments, size_t n, Value *out) {
    const Value plain = value_string_n(subject->as.text, subject->n);
    return template_escape(renderer, node, &plain, arguments, n, out);
}

static int filter_safe(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)renderer, (void)node, (void)arguments, (void)n;
    *out = value_string_n(subject->as.text, subject->n);
    out->line = VALUE_MARKUP;
    return 0;
}

/* Every word with a capital first letter, the rest small; words part at white space, - and open brackets. */
static int filter_title(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)arguments, (void)n;
    Buffer text = {0};
    for (size_t at = 0; at < subject->n;) {
        size_t end = at, length = 0;
        for (; end < subject->n; end += length) {
            uint32_t code;
            length = utf8_decode(subject->as.text + end, subject->n - end, &code);
            if (text_is_space(code) || (code < 128 && strchr("-({[<", (char)code)))
                break;
        }
        const Value word = string_copy(renderer->arena, subject->as.text + at, end - at);
        uint32_t first;
        size_t first_bytes = word.n ? utf8_decode(word.as.text, word.n, &first) : 0;
        const Value head = string_copy(renderer->arena, word.as.text, first_bytes),
                    tail = string_copy(renderer->arena, word.as.text + first_bytes, word.n - first_bytes),
                    upper = string_upper(renderer->arena, &head),
                    lower = string_lower(renderer->arena, &tail);
        buffer_append(&text, upper.as.text, upper.n);
        buffer_append(&text, lower.as.text, lower.n);
        buffer_append(&text, subject->as.text + end, end < subject->n ? length : 0);
        at = end + (end < subject->n ? length : 0);
    }
    *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return template_spend(renderer, node, out->n);
}

/* Runs of letters, digits and underscores. */
static int filter_wordcount(Renderer *renderer, const Node *node, const Value *subject,
                            const Value *arguments, size_t n, Value *out) {
    (void)renderer, (void)node, (void)arguments, (void)n;
    bool inside = false;
    *out = value_int(0);
    for (size_t at = 0; at < subject->n;) {
        uint32_t code;
        at += utf8_decode(subject->as.text + at, subject->n - at, &code);
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
        bool word = code == '_' || (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
                    (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
        out->as.integer += word && !inside;
        inside = word;
    }
    return 0;
}

/* indent(width=4, first=false, blank=false); width may be a string. */
static int filter_indent(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    int64_t width = 4;
    bool first = n > 1 && value_truth(&arguments[1]), blank = n > 2 && value_truth(&arguments[2]);
    const char *unit = n > 0 && arguments[0].kind == VALUE_STRING ? arguments[0].as.text : NULL;
    if (!unit && n > 0 && arguments[0].kind != VALUE_UNDEFINED && !value_as_int(&arguments[0], &width))
        return template_fail(renderer, node, "indent: a width was expected");
    if (template_expect_string(renderer, node, subject))
        return -1;
    if (width < 0 || width > 1000)
        return template_fail(renderer, node, "indent: 0 to 1000 characters are possible");
    Buffer text = {0};
    int status = 0;
    for (size_t at = 0, line = 0, more = 1; more && !status; line++) {
        size_t next, end = template_line_end(subject, at, &next);
        bool indented = line == 0 ? first : end > at || blank;
        for (int64_t i = 0; indented && i < (unit ? 1 : width); i++)
            buffer_append_text(&text, unit ? unit : " ");
        buffer_append(&text, subject->as.text + at, end - at);
        /* Jinja adds a newline first, which a \r at the end takes as its own */
        more = next > end && (next < subject->n || subject->as.text[next - 1] != '\r');
        if (more)
            buffer_append_char(&text, '\n');
        status = template_spend(renderer, node, next - at + (size_t)width + (unit ? strlen(unit) : 0));
        at = next;
    }
    if (!status)
        *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return status;
}

static const char *text_or(const Value *list, size_t i, const char *otherwise) {
    bool given = list->kind == VALUE_LIST && i < list->n && list->as.items[i].kind == VALUE_STRING;
    return given ? list->as.items[i].as.text : otherwise;
}

/* tojson(ensure_ascii, indent, separators, sort_keys) as transformers has it; of task files Jinja's own,
 * which knows indent alone and is for HTML. */
static int filter_tojson(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    bool chat = renderer->template->style == TEMPLATE_CHAT;
    JsonStyle style = {.ascii = !chat, .sort_keys = !chat, .html = !chat, .indent = -1};
    const Value *indent = chat && n > 1 ? &arguments[1] : !chat && n > 0 ? &arguments[0] : NULL;
    if (chat && n > 0 && arguments[0].kind != VALUE_UNDEFINED)
        style.ascii = value_truth(&arguments[0]);
    if (chat && n > 3)
        style.sort_keys = value_truth(&arguments[3]);
    if (indent && indent->kind != VALUE_UNDEFINED && indent->kind != VALUE_NULL &&
        (!value_as_int(indent, &style.indent) || style.indent < 0 || style.indent > 64))
        return template_fail(renderer, node, "tojson: an indent of 0 to 64 was expected");
    if (chat && n > 2 && arguments[2].kind == VALUE_LIST) {
        style.between_items = text_or(&arguments[2], 0, NULL);
        style.behind_key = text_or(&arguments[2], 1, NULL);
    }
    Buffer text = {0};
    int status = template_json(renderer, node, subject, &style, &text);
    if (!status)
        *out = string_copy(renderer->arena, text.data, text.size);
    if (!status && !chat)
        out->line = VALUE_MARKUP;
    buffer_free(&text);
    return status;
}

/* ---- on what has items */

static int filter_list(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)arguments, (void)n;
    if (template_items(renderer, node, subject, out))
        return -1;
    out->line = 0; /* of a tuple, a list */
    return 0;
}

int template_pairs(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                   size_t n, Value *out) {
    (void)arguments, (void)n;
    static const Arguments none;
    *out = value_list(renderer->arena, 0);
    if (subject->kind == VALUE_UNDEFINED)
        return 0;
    if (subject->kind != VALUE_DICT)
        return template_fail(renderer, node, "items: %s is no mapping", value_kind_name(subject->kind));
    return template_method(renderer, node, subject, "items", &none, out);
}

/* The first item, or the last. */
static int edge_item(Renderer *renderer, const Node *node, const Value *subject, bool last, Value *out) {
    Value list;
    if (template_items(renderer, node, subject, &list))
        return -1;
    *out = template_undefined(renderer,
                              last ? "the last item of an empty list" : "the first item of an empty list");
    if (list.n > 0)
        *out = list.as.items[last ? list.n - 1 : 0];
    return 0;
}
static int filter_first(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)arguments, (void)n;
    return edge_item(renderer, node, subject, false, out);
}
static int filter_last(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)arguments, (void)n;
    return edge_item(renderer, node, subject, true, out);
}

static int filter_reverse(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                          size_t n, Value *out) {
    (void)arguments, (void)n;
    Value list;
    if (template_items(renderer, node, subject, &list) ||
        template_spend(renderer, node, list.n * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, list.n);
    for (size_t i = 0; i < list.n; i++)
        out->as.items[i] = list.as.items[list.n - 1 - i];
    if (subject->kind != VALUE_STRING)
        return 0;
    Buffer text = {0};
    for (size_t i = 0; i < out->n; i++)
        buffer_append(&text, out->as.items[i].as.text, out->as.items[i].n);
    *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return 0;
}

int template_item_attribute(Renderer *renderer, const Node *node, const Value *item, const Value *path,
                            const Value *otherwise, Value *out) {
    int64_t index;
    *out = *item;
    if (path->kind == VALUE_UNDEFINED || path->kind == VALUE_NULL)
        return 0;
    if (path->kind != VALUE_STRING && !value_as_int(path, &index))
        return template_fail(renderer, node, "an attribute's name was expected");
    const char *at = path->kind == VALUE_STRING ? path->as.text : "";
    do {
        size_t length = strcspn(at, ".");
        const char *name = arena_strndup(renderer->arena, at, length);
        const Value key = path->kind != VALUE_STRING  ? *path
                          : text_to_int(name, &index) ? value_int(index)
                                                      : value_string(name);
        if (out->kind == VALUE_UNDEFINED)
            return template_fail(renderer, node, "%s is undefined", out->as.text);
        *out = template_item(renderer, out, &key);
        if (out->kind == VALUE_UNDEFINED && otherwise->kind != VALUE_UNDEFINED)
            *out = *otherwise;
        at += length;
        if (template_spend(renderer, node, length + 64))
            return -1;
    } while (*at++);
    return 0;
}

/* Without a value for what is not there. */
static int attribute_of(Renderer *renderer, const Node *node, const Value *item, const Value *path,
                        Value *out) {
    static const Value none = {.kind = VALUE_UNDEFINED};
    return template_item_attribute(renderer, node, item, path, &none, out);
}

static int filter_join(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    Value separator = value_string(""), list, item;
    const Value path = n > 1 ? arguments[1] : value_null();
    if (n > 0 && arguments[0].kind != VALUE_UNDEFINED)
        separator = value_to_string(renderer->arena, &arguments[0]);
    if (template_items(renderer, node, subject, &list))
        return -1;
    Buffer text = {0};
    int status = 0;
    for (size_t i = 0; i < list.n && !status; i++) {
        size_t before = text.size;
        if (i)
            buffer_append(&text, separator.as.text, separator.n);
        status = attribute_of(renderer, node, &list.as.items[i], &path, &item);
        if (!status)
            value_append_str(&text, &item);
        if (!status)
            status = template_spend(renderer, node, text.size - before);
    }
    if (!status)
        *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return status;
}

static int filter_sum(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    Value list, item, sum = n > 1 ? arguments[1] : value_int(0);
    const Value path = n > 0 ? arguments[0] : value_null();
    if (template_items(renderer, node, subject, &list))
        return -1;
    for (size_t i = 0; i < list.n; i++) {
        if (template_step(renderer, node) || attribute_of(renderer, node, &list.as.items[i], &path, &item) ||
            template_binary(renderer, node, OPERATOR_ADD, &sum, &item, out))
            return -1;
        sum = *out;
    }
    *out = sum;
    return 0;
}

/* ---- filters that take what comes: a test or a filter with its own arguments */

static const Value empty = {.kind = VALUE_LIST};

static Arguments rest_of(const Arguments *arguments, size_t from) {
    Arguments rest = {.n = 0};
    for (size_t i = from; i < arguments->n; i++) {
        rest.values[rest.n] = arguments->values[i];
        rest.names[rest.n++] = arguments->names[i];
        rest.n_positional += i < arguments->n_positional;
    }
    return rest;
}

/* Keeps the items (or those whose attribute) for which a test holds, or without a test those that are true.
 */
static int keep_items(Renderer *renderer, const Node *node, const Value *subject, const Arguments *arguments,
                      bool by_attribute, bool keeps, Value *out) {
    Value list, tested;
    size_t at = by_attribute;
    if (arguments->n < at || arguments->n_positional < arguments->n)
        return template_fail(renderer, node, "'%s': an attribute's name was expected", node->name);
    const Value path = by_attribute ? arguments->values[0] : value_null();
    bool has_test = arguments->n > at;
    if (has_test && arguments->values[at].kind != VALUE_STRING)
        return template_fail(renderer, node, "'%s': a test's name was expected", node->name);
    Arguments rest = rest_of(arguments, at + 1);
    if (!value_truth(subject)) /* nothing, whatever it is */
        subject = &empty;
    if (template_items(renderer, node, subject, &list) ||
        template_spend(renderer, node, list.n * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, list.n);
    out->n = 0;
    for (size_t i = 0; i < list.n; i++) {
        if (template_step(renderer, node) || attribute_of(renderer, node, &list.as.items[i], &path, &tested))
            return -1;
        bool holds = value_truth(&tested);
        if (has_test && template_test(renderer, node, arguments->values[at].as.text, &tested, &rest, &holds))
            return -1;
        if (holds == keeps)
            out->as.items[out->n++] = list.as.items[i];
    }
    return 0;
}
static int filter_select(Renderer *renderer, const Node *node, const Value *subject,
                         const Arguments *arguments, Value *out) {
    return keep_items(renderer, node, subject, arguments, false, true, out);
}
static int filter_reject(Renderer *renderer, const Node *node, const Value *subject,
                         const Arguments *arguments, Value *out) {
    return keep_items(renderer, node, subject, arguments, false, false, out);
}
static int filter_selectattr(Renderer *renderer, const Node *node, const Value *subject,
                             const Arguments *arguments, Value *out) {
    return keep_items(renderer, node, subject, arguments, true, true, out);
}
static int filter_rejectattr(Renderer *renderer, const Node *node, const Value *subject,
                             const Arguments *arguments, Value *out) {
    return keep_items(renderer, node, subject, arguments, true, false, out);
}

/* map(attribute='name', default=value), or map('filter', its arguments). */
static int filter_map(Renderer *renderer, const Node *node, const Value *subject, const Arguments *arguments,
                      Value *out) {
    Value list, path = {.kind = VALUE_UNDEFINED}, otherwise = {.kind = VALUE_UNDEFINED};
    bool by_filter = arguments->n_positional > 0;
    for (size_t i = 0; i < arguments->n && !by_filter; i++) {
        path = strcmp(arguments->names[i], "attribute") == 0 ? arguments->values[i] : path;
        otherwise = strcmp(arguments->names[i], "default") == 0 ? arguments->values[i] : otherwise;
    }
    if (by_filter ? arguments->values[0].kind != VALUE_STRING : path.kind == VALUE_UNDEFINED)
        return template_fail(renderer, node, "map: a filter's name or attribute='name' was expected");
    Arguments rest = rest_of(arguments, 1);
    if (!value_truth(subject))
        subject = &empty;
    if (template_items(renderer, node, subject, &list) ||
        template_spend(renderer, node, list.n * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, list.n);
    for (size_t i = 0; i < list.n; i++) {
        Value *to = &out->as.items[i];
        const Value *item = &list.as.items[i];
        if (template_step(renderer, node) ||
            (by_filter ? template_filter(renderer, node, arguments->values[0].as.text, item, &rest, to)
                       : template_item_attribute(renderer, node, item, &path, &otherwise, to)))
            return -1;
    }
    return template_spend_value(renderer, node, out);
}

static int filter_format(Renderer *renderer, const Node *node, const Value *subject,
                         const Arguments *arguments, Value *out) {
    const Value text = value_to_string(renderer->arena, subject);
    return template_format_percent(renderer, node, &text, arguments->values, arguments->n_positional, out);
}

/* ---- tables */

typedef struct FilterEntry {
    const char *name;
    TemplateFunction *function;
    TemplateRawFunction *raw; /* instead */
    const char *parameters;
    size_t n_required;
    bool on_text;   /* takes the value's str() */
    bool undefined; /* takes a value that may not be used, too */
} FilterEntry;

#define ON_VALUE(name, function, parameters, required)                                                       \
    { name, function, NULL, parameters, required, false, false }
#define ON_TEXT(name, function, parameters, required)                                                        \
    { name, function, NULL, parameters, required, true, false }
#define RAW(name, function)                                                                                  \
    { name, NULL, function, "", 0, false, false }

static const FilterEntry filters[] = {
    ON_VALUE("abs", filter_abs, "", 0),
    ON_VALUE("attr", filter_attr, "name", 1),
    ON_VALUE("batch", template_batch, "linecount,fill_with", 1),
    ON_TEXT("capitalize", template_capitalize, "", 0),
    ON_TEXT("center", template_center, "width", 0),
    ON_VALUE("count", filter_length, "", 0),
    {"d", filter_default, NULL, "default_value,boolean", 0, false, true},
    {"default", filter_default, NULL, "default_value,boolean", 0, false, true},
    ON_VALUE("dictsort", template_dictsort, "case_sensitive,by,reverse", 0),
    ON_TEXT("e", template_escape, "", 0),
    ON_TEXT("escape", template_escape, "", 0),
    ON_VALUE("first", filter_first, "", 0),
    ON_VALUE("float", filter_float, "default", 0),
    ON_TEXT("forceescape", filter_forceescape, "", 0),
    RAW("format", filter_format),
    ON_VALUE("groupby", template_groupby, "attribute,default,case_sensitive", 1),
    ON_VALUE("indent", filter_indent, "width,first,blank", 0),
    ON_VALUE("int", filter_int, "default", 0),
    ON_VALUE("items", template_pairs, "", 0),
    ON_VALUE("join", filter_join, "d,attribute", 0),
    ON_VALUE("last", filter_last, "", 0),
    ON_VALUE("length", filter_length, "", 0),
    ON_VALUE("list", filter_list, "", 0),
    ON_TEXT("lower", template_lower, "", 0),
    RAW("map", filter_map),
    ON_VALUE("max", template_max, "case_sensitive,attribute", 0),
    ON_VALUE("min", template_min, "case_sensitive,attribute", 0),
    ON_VALUE("regex_replace", template_regex_replace, "pattern,repl,count", 2),
    RAW("reject", filter_reject),
    RAW("rejectattr", filter_rejectattr),
    ON_TEXT("replace", template_replace, "old,new,count", 2),
    ON_VALUE("reverse", filter_reverse, "", 0),
    ON_VALUE("round", filter_round, "precision,method", 0),
    ON_TEXT("safe", filter_safe, "", 0),
    RAW("select", filter_select),
    RAW("selectattr", filter_selectattr),
    ON_VALUE("slice", template_slice, "slices,fill_with", 1),
    ON_VALUE("sort", template_sort, "reverse,case_sensitive,attribute", 0),
    ON_VALUE("string", filter_string, "", 0),
    ON_VALUE("sum", filter_sum, "attribute,start", 0),
    ON_TEXT("title", filter_title, "", 0),
    ON_VALUE("tojson", filter_tojson, NULL, 0),
    ON_TEXT("trim", template_strip, "chars", 0),
    ON_VALUE("truncate", template_truncate, "length,killwords,end,leeway", 0),
    ON_VALUE("unique", template_unique, "case_sensitive,attribute", 0),
    ON_TEXT("upper", template_upper, "", 0),
    ON_VALUE("urlencode", template_urlencode, "", 0),
    ON_TEXT("wordcount", filter_wordcount, "", 0)};

static const FilterEntry *find_filter(const char *name) {
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (strcmp(filters[i].name, name) == 0)
            return &filters[i];
    return NULL;
}

bool template_knows_filter(const char *name) {
    return find_filter(name);
}

/* Number of the parameter called `name`; SIZE_MAX if there is none. *count is how many there are. */
static size_t find_parameter(const char *parameters, const char *name, size_t *count) {
    size_t found = SIZE_MAX;
    *count = 0;
    for (const char *at = parameters; *at; (*count)++) {
        size_t length = strcspn(at, ",");
        if (name && strlen(name) == length && memcmp(at, name, length) == 0)
            found = *count;
        at += length + (at[length] == ',');
    }
    return found;
}

int template_order(Renderer *renderer, const Node *node, const char *what, const char *parameters,
                   size_t n_required, const Arguments *given, Value *ordered, size_t *n) {
    size_t count;
    find_parameter(parameters, NULL, &count);
    *n = given->n_positional;
    if (given->n < n_required || given->n_positional > count)
        return template_fail(renderer, node, "'%s' was given %zu arguments; %zu to %zu were expected", what,
                             given->n, n_required, count);
    for (size_t i = 0; i < count; i++)
        ordered[i] = i < given->n_positional ? given->values[i] : (Value){.kind = VALUE_UNDEFINED};
    for (size_t i = given->n_positional; i < given->n; i++) {
        size_t at = find_parameter(parameters, given->names[i], &count);
        if (at == SIZE_MAX || at < given->n_positional)
            return template_fail(renderer, node, "'%s' takes no argument '%.50s' here", what,
                                 given->names[i]);
        ordered[at] = given->values[i];
        *n = at + 1 > *n ? at + 1 : *n;
    }
    for (size_t i = 0; i < n_required; i++)
        if (i >= given->n_positional && ordered[i].kind == VALUE_UNDEFINED)
            return template_fail(renderer, node, "'%s' was not given all it needs", what);
    return 0;
}

int template_filter(Renderer *renderer, const Node *node, const char *name, const Value *subject,
                    const Arguments *arguments, Value *out) {
    const FilterEntry *entry = find_filter(name);
    Value ordered[TEMPLATE_ARGUMENTS_MAX];
    size_t n;
    if (!entry)
        return template_fail(renderer, node, "there is no filter '%.50s'", name);
    if (subject->kind == VALUE_UNDEFINED && subject->n == 0 && !entry->undefined)
        return template_fail(renderer, node, "%s is undefined", subject->as.text);
    if (entry->raw)
        return entry->raw(renderer, node, subject, arguments, out);
    const char *parameters = entry->parameters;
    if (!parameters) /* tojson's, which depend on whose it is */
        parameters = renderer->template->style == TEMPLATE_CHAT ? "ensure_ascii,indent,separators,sort_keys"
                                                                : "indent";
    if (template_order(renderer, node, name, parameters, entry->n_required, arguments, ordered, &n))
        return -1;
    const Value text = entry->on_text ? value_to_string(renderer->arena, subject) : *subject;
    return entry->function(renderer, node, &text, ordered, n, out);
}
