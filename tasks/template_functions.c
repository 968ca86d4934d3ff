/* The filters, tests and methods that templates may use: tables of names and functions. Adding one is adding
 * a line to a table and its function. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/template_tree.h"

static int expect_string(Renderer *renderer, const Node *node, const Value *value) {
    if (value->kind == VALUE_STRING)
        return 0;
    return template_fail(renderer, node, "found %s where a string was expected",
                         value_kind_name(value->kind));
}

static int spend_text(Renderer *renderer, const Node *node, const Value *text) {
    return template_spend(renderer, node, text->n);
}

/* ---- methods of strings; filters that are methods of the value's str() use them too */

static int strip_side(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, StripSide side, Value *out) {
    if (n > 0 && arguments[0].kind != VALUE_NULL && expect_string(renderer, node, &arguments[0]))
        return -1;
    const Value *chars = n > 0 && arguments[0].kind == VALUE_STRING ? &arguments[0] : NULL;
    *out = string_strip(renderer->arena, subject, side, chars);
    return spend_text(renderer, node, out);
}

static int method_strip(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
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

static int method_lower(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)arguments, (void)n;
    *out = string_lower(renderer->arena, subject);
    return spend_text(renderer, node, out);
}
static int method_upper(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)arguments, (void)n;
    *out = string_upper(renderer->arena, subject);
    return spend_text(renderer, node, out);
}
static int method_capitalize(Renderer *renderer, const Node *node, const Value *subject,
                             const Value *arguments, size_t n, Value *out) {
    (void)arguments, (void)n;
    *out = string_capitalize(renderer->arena, subject);
    return spend_text(renderer, node, out);
}

static int method_split(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    int64_t limit = -1;
    const Value *separator = n > 0 && arguments[0].kind != VALUE_NULL ? &arguments[0] : NULL;
    if (separator && expect_string(renderer, node, separator))
        return -1;
    if (separator && separator->n == 0)
        return template_fail(renderer, node, "split with an empty separator");
    if (n > 1 && !value_as_int(&arguments[1], &limit))
        return template_fail(renderer, node, "split's second argument must be an integer");
    if (template_spend(renderer, node, (subject->n + 1) * sizeof(Value)))
        return -1;
    *out = string_split(renderer->arena, subject, separator, limit);
    return 0;
}

static int method_replace(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                          size_t n, Value *out) {
    int64_t limit = -1;
    size_t most;
    if (expect_string(renderer, node, &arguments[0]) || expect_string(renderer, node, &arguments[1]))
        return -1;
    if (n > 2 && !value_as_int(&arguments[2], &limit))
        return template_fail(renderer, node, "replace's third argument must be an integer");
    if (!mem_mul(subject->n + 1, arguments[1].n + 1, &most) || template_spend(renderer, node, most))
        return -1;
    *out = string_replace(renderer->arena, subject, &arguments[0], &arguments[1], limit);
    return 0;
}

static int method_find(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)n;
    if (expect_string(renderer, node, &arguments[0]))
        return -1;
    ptrdiff_t found = string_find(subject, &arguments[0], 0);
    *out = value_int(found < 0 ? -1 : (int64_t)utf8_length(subject->as.text, (size_t)found));
    return 0;
}

static int method_index(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    if (subject->kind == VALUE_STRING) {
        if (method_find(renderer, node, subject, arguments, n, out))
            return -1;
        return out->as.integer >= 0 ? 0
                                    : template_fail(renderer, node, "index: the text is not in the string");
    }
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

static int method_startswith(Renderer *renderer, const Node *node, const Value *subject,
                             const Value *arguments, size_t n, Value *out) {
    (void)n;
    if (expect_string(renderer, node, &arguments[0]))
        return -1;
    *out = value_bool(text_starts_with(subject->as.text, arguments[0].as.text));
    return 0;
}
static int method_endswith(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                           size_t n, Value *out) {
    (void)n;
    if (expect_string(renderer, node, &arguments[0]))
        return -1;
    *out = value_bool(text_ends_with(subject->as.text, arguments[0].as.text));
    return 0;
}
static int method_isdigit(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                          size_t n, Value *out) {
    (void)renderer, (void)node, (void)arguments, (void)n;
    *out = value_bool(string_is_digits(subject));
    return 0;
}

/* separator.join(items) and items|join(separator): `strict` refuses items that are not strings. */
static int join_items(Renderer *renderer, const Node *node, const Value *separator, const Value *source,
                      bool strict, Value *out) {
    Value list;
    if (template_items(renderer, node, source, &list))
        return -1;
    Buffer text = {0};
    int status = 0;
    for (size_t i = 0; i < list.n && !status; i++) {
        size_t before = text.size;
        if (i)
            buffer_append(&text, separator->as.text, separator->n);
        if (strict)
            status = expect_string(renderer, node, &list.as.items[i]);
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
    return join_items(renderer, node, subject, &arguments[0], true, out);
}

/* ---- methods of lists and mappings */

static int method_count(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)renderer, (void)node, (void)n;
    *out = value_int(0);
    for (size_t i = 0; i < subject->n; i++)
        out->as.integer += value_equal(&subject->as.items[i], &arguments[0]);
    return 0;
}

static int method_items(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)arguments, (void)n;
    if (template_spend(renderer, node, subject->n * 3 * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, subject->n);
    for (size_t i = 0; i < subject->n; i++) {
        Value pair = value_list(renderer->arena, 2);
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
    if (expect_string(renderer, node, &arguments[0]))
        return -1;
    const Value *found = value_get(subject, arguments[0].as.text);
    *out = found ? *found : n > 1 ? arguments[1] : value_null();
    return 0;
}

/* ---- filters that are no methods */

static int filter_length(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    (void)arguments, (void)n;
    if (subject->kind != VALUE_STRING && subject->kind != VALUE_LIST && subject->kind != VALUE_DICT)
        return template_fail(renderer, node, "%s has no length", value_kind_name(subject->kind));
    bool is_text = subject->kind == VALUE_STRING;
    *out = value_int((int64_t)(is_text ? utf8_length(subject->as.text, subject->n) : subject->n));
    return 0;
}

static int filter_join(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    Value separator = n > 0 ? value_to_string(renderer->arena, &arguments[0]) : value_string("");
    return join_items(renderer, node, &separator, subject, false, out);
}

static int filter_string(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                         size_t n, Value *out) {
    (void)arguments, (void)n;
    *out = value_to_string(renderer->arena, subject);
    return spend_text(renderer, node, out);
}

/* Python's int(text): white space around is allowed; a text that is no integer gives the default. */
static int filter_int(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                      size_t n, Value *out) {
    (void)node;
    int64_t integer = 0;
    double number = 0;
    Value text = subject->kind == VALUE_STRING ? string_strip(renderer->arena, subject, STRIP_BOTH, NULL)
                                               : value_string("");
    const char *digits = text.as.text + (text.as.text[0] == '+');
    if (subject->kind == VALUE_DOUBLE)
        number = subject->as.number;
    if (value_as_int(subject, &integer) || text_to_int(digits, &integer)) {
        *out = value_int(integer);
    } else if ((subject->kind == VALUE_DOUBLE || text_to_double(digits, &number)) && fabs(number) < 9e18) {
        *out = value_int((int64_t)number);
    } else {
        *out = n > 0 ? arguments[0] : value_int(0);
    }
    return 0;
}

static int filter_list(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)arguments, (void)n;
    return template_items(renderer, node, subject, out);
}

static int filter_first(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                        size_t n, Value *out) {
    (void)arguments, (void)n;
    Value list;
    if (template_items(renderer, node, subject, &list))
        return -1;
    *out = (Value){.kind = VALUE_UNDEFINED, .as.text = "the first item of an empty list"};
    if (list.n > 0)
        *out = list.as.items[0];
    return 0;
}
static int filter_last(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                       size_t n, Value *out) {
    (void)arguments, (void)n;
    Value list;
    if (template_items(renderer, node, subject, &list))
        return -1;
    *out = (Value){.kind = VALUE_UNDEFINED, .as.text = "the last item of an empty list"};
    if (list.n > 0)
        *out = list.as.items[list.n - 1];
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

/* ---- tables */

typedef struct FilterEntry {
    const char *name;
    TemplateFunction *function;
    size_t min, max; /* arguments */
    bool on_text;    /* takes the value's str() */
    bool undefined;  /* takes an undefined value too */
} FilterEntry;

static const FilterEntry filters[] = {{"capitalize", method_capitalize, 0, 0, true, false},
                                      {"count", filter_length, 0, 0, false, false},
                                      {"d", filter_default, 0, 2, false, true},
                                      {"default", filter_default, 0, 2, false, true},
                                      {"first", filter_first, 0, 0, false, false},
                                      {"int", filter_int, 0, 1, false, false},
                                      {"join", filter_join, 0, 1, false, false},
                                      {"last", filter_last, 0, 0, false, false},
                                      {"length", filter_length, 0, 0, false, false},
                                      {"list", filter_list, 0, 0, false, false},
                                      {"lower", method_lower, 0, 0, true, false},
                                      {"replace", method_replace, 2, 3, true, false},
                                      {"string", filter_string, 0, 0, false, false},
                                      {"trim", method_strip, 0, 1, true, false},
                                      {"upper", method_upper, 0, 0, true, false}};

static const FilterEntry *find_filter(const char *name) {
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (strcmp(filters[i].name, name) == 0)
            return &filters[i];
    return NULL;
}

bool template_knows_filter(const char *name) {
    return find_filter(name);
}

static int check_count(Renderer *renderer, const Node *node, const char *name, size_t n, size_t min,
                       size_t max) {
    if (n >= min && n <= max)
        return 0;
    return template_fail(renderer, node, "'%s' was given %zu arguments; %zu to %zu were expected", name, n,
                         min, max);
}

int template_filter(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                    size_t n, Value *out) {
    const FilterEntry *entry = find_filter(node->name);
    if (subject->kind == VALUE_UNDEFINED && !entry->undefined)
        return template_fail(renderer, node, "%s is undefined", subject->as.text);
    if (check_count(renderer, node, entry->name, n, entry->min, entry->max))
        return -1;
    Value text = *subject;
    if (entry->on_text)
        text = value_to_string(renderer->arena, subject);
    return entry->function(renderer, node, &text, arguments, n, out);
}

typedef struct MethodEntry {
    ValueKind kind;
    const char *name;
    TemplateFunction *function;
    size_t min, max;
} MethodEntry;

static const MethodEntry methods[] = {{VALUE_STRING, "capitalize", method_capitalize, 0, 0},
                                      {VALUE_STRING, "endswith", method_endswith, 1, 1},
                                      {VALUE_STRING, "find", method_find, 1, 1},
                                      {VALUE_STRING, "index", method_index, 1, 1},
                                      {VALUE_STRING, "isdigit", method_isdigit, 0, 0},
                                      {VALUE_STRING, "join", method_join, 1, 1},
                                      {VALUE_STRING, "lower", method_lower, 0, 0},
                                      {VALUE_STRING, "lstrip", method_lstrip, 0, 1},
                                      {VALUE_STRING, "replace", method_replace, 2, 3},
                                      {VALUE_STRING, "rstrip", method_rstrip, 0, 1},
                                      {VALUE_STRING, "split", method_split, 0, 2},
                                      {VALUE_STRING, "startswith", method_startswith, 1, 1},
                                      {VALUE_STRING, "strip", method_strip, 0, 1},
                                      {VALUE_STRING, "upper", method_upper, 0, 0},
                                      {VALUE_LIST, "count", method_count, 1, 1},
                                      {VALUE_LIST, "index", method_index, 1, 1},
                                      {VALUE_DICT, "get", method_get, 1, 2},
                                      {VALUE_DICT, "items", method_items, 0, 0},
                                      {VALUE_DICT, "keys", method_keys, 0, 0},
                                      {VALUE_DICT, "values", method_values, 0, 0}};

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
                    const Value *arguments, size_t n, Value *out) {
    const MethodEntry *entry = find_method(subject->kind, name);
    if (!entry)
        return template_fail(renderer, node, "%s has no method '%s'", value_kind_name(subject->kind), name);
    if (check_count(renderer, node, name, n, entry->min, entry->max))
        return -1;
    return entry->function(renderer, node, subject, arguments, n, out);
}

static bool test_defined(const Value *value) {
    return value->kind != VALUE_UNDEFINED;
}
static bool test_undefined(const Value *value) {
    return value->kind == VALUE_UNDEFINED;
}
static bool test_none(const Value *value) {
    return value->kind == VALUE_NULL;
}
static bool test_string(const Value *value) {
    return value->kind == VALUE_STRING;
}
static bool test_mapping(const Value *value) {
    return value->kind == VALUE_DICT;
}
static bool test_number(const Value *value) {
    return value->kind == VALUE_INT || value->kind == VALUE_DOUBLE || value->kind == VALUE_BOOL;
}
static bool test_sequence(const Value *value) {
    return value->kind == VALUE_LIST || value->kind == VALUE_STRING || value->kind == VALUE_DICT;
}

static const struct {
    const char *name;
    bool (*function)(const Value *value);
    bool undefined;
} tests[] = {{"defined", test_defined, true},    {"undefined", test_undefined, true},
             {"none", test_none, false},         {"string", test_string, false},
             {"mapping", test_mapping, false},   {"number", test_number, false},
             {"iterable", test_sequence, false}, {"sequence", test_sequence, false}};

bool template_knows_test(const char *name) {
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (strcmp(tests[i].name, name) == 0)
            return true;
    return false;
}

int template_test(Renderer *renderer, const Node *node, const Value *subject, bool *out) {
    size_t i = 0;
    while (strcmp(tests[i].name, node->name) != 0)
        i++;
    if (subject->kind == VALUE_UNDEFINED && !tests[i].undefined)
        return template_fail(renderer, node, "%s is undefined", subject->as.text);
    *out = tests[i].function(subject);
    return 0;
}
