/* The tests that templates may use: a table of names and functions. */
#include <ctype.h>
#include <string.h>

#include "tasks/strings.h"
#include "tasks/template_tree.h"

/* Whether a value is something; false only if the question makes no sense for it. */
typedef int TestFunction(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                         bool *out);

static int test_kind(const Value *value, bool *out, unsigned kinds) {
    *out = kinds >> value->kind & 1;
    return 0;
}

#define KIND_TEST(name, kinds)                                                                               \
    static int name(Renderer *renderer, const Node *node, const Value *value, const Value *argument,         \
                    bool *out) {                                                                             \
        (void)renderer, (void)node, (void)argument;                                                          \
        return test_kind(value, out, kinds);                                                                 \
    }
KIND_TEST(test_defined, ~(1u << VALUE_UNDEFINED))
KIND_TEST(test_undefined, 1u << VALUE_UNDEFINED)
KIND_TEST(test_none, 1u << VALUE_NULL)
KIND_TEST(test_string, 1u << VALUE_STRING)
KIND_TEST(test_mapping, 1u << VALUE_DICT)
KIND_TEST(test_boolean, 1u << VALUE_BOOL)
KIND_TEST(test_integer, 1u << VALUE_INT)
KIND_TEST(test_float, 1u << VALUE_DOUBLE)
KIND_TEST(test_number, 1u << VALUE_INT | 1u << VALUE_DOUBLE | 1u << VALUE_BOOL)
/* An undefined value that may be used is empty, and can be gone over. */
KIND_TEST(test_sequence, 1u << VALUE_LIST | 1u << VALUE_STRING | 1u << VALUE_DICT | 1u << VALUE_UNDEFINED)

static int test_true(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                     bool *out) {
    (void)renderer, (void)node, (void)argument;
    *out = value->kind == VALUE_BOOL && value->as.boolean;
    return 0;
}
static int test_false(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                      bool *out) {
    (void)renderer, (void)node, (void)argument;
    *out = value->kind == VALUE_BOOL && !value->as.boolean;
    return 0;
}
static int test_callable(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                         bool *out) {
    (void)renderer, (void)node, (void)argument;
    *out = value->kind == VALUE_UNDEFINED || /* which can be called, although that is an error */
           (value->kind == VALUE_OBJECT && !template_as_object(value, OBJECT_NAMESPACE));
    return 0;
}

/* value % divisor, whether that is `rest`. */
static int leaves(Renderer *renderer, const Node *node, const Value *value, const Value *divisor,
                  int64_t rest, bool *out) {
    Value remainder;
    const Value expected = value_int(rest);
    if (value->kind == VALUE_STRING)
        return template_fail(renderer, node, "the test takes numbers; found a string");
    if (template_binary(renderer, node, OPERATOR_REMAINDER, value, divisor, &remainder))
        return -1;
    *out = value_equal(&remainder, &expected);
    return 0;
}
static int test_even(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                     bool *out) {
    (void)argument;
    const Value two = value_int(2);
    return leaves(renderer, node, value, &two, 0, out);
}
static int test_odd(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                    bool *out) {
    (void)argument;
    const Value two = value_int(2);
    return leaves(renderer, node, value, &two, 1, out);
}
static int test_divisibleby(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                            bool *out) {
    return leaves(renderer, node, value, argument, 0, out);
}

/* One of a kind: the same object, or equal of the same kind. */
static int test_sameas(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                       bool *out) {
    (void)renderer, (void)node;
    *out = value->kind == argument->kind && value_equal(value, argument);
    return 0;
}

static int test_case(const Value *value, bool upper, Arena *arena, bool *out) {
    const Value text = value_to_string(arena, value);
    const Value turned = upper ? string_upper(arena, &text) : string_lower(arena, &text);
    const Value other = upper ? string_lower(arena, &text) : string_upper(arena, &text);
    *out = value_equal(&text, &turned) && !value_equal(&turned, &other);
    return 0;
}
static int test_upper(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                      bool *out) {
    (void)node, (void)argument;
    return test_case(value, true, renderer->arena, out);
}
static int test_lower(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                      bool *out) {
    (void)node, (void)argument;
    return test_case(value, false, renderer->arena, out);
}

static int test_filter(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                       bool *out) {
    (void)renderer, (void)node, (void)argument;
    *out = value->kind == VALUE_STRING && template_knows_filter(value->as.text);
    return 0;
}
static int test_test(Renderer *renderer, const Node *node, const Value *value, const Value *argument,
                     bool *out) {
    (void)renderer, (void)node, (void)argument;
    *out = value->kind == VALUE_STRING && template_knows_test(value->as.text);
    return 0;
}

#define COMPARE_TEST(name, op)                                                                               \
    static int name(Renderer *renderer, const Node *node, const Value *value, const Value *argument,         \
                    bool *out) {                                                                             \
        return template_compare(renderer, node, op, value, argument, out);                                   \
    }
COMPARE_TEST(test_equal, OPERATOR_EQUAL)
COMPARE_TEST(test_not_equal, OPERATOR_NOT_EQUAL)
COMPARE_TEST(test_less, OPERATOR_LESS)
COMPARE_TEST(test_less_equal, OPERATOR_LESS_EQUAL)
COMPARE_TEST(test_greater, OPERATOR_GREATER)
COMPARE_TEST(test_greater_equal, OPERATOR_GREATER_EQUAL)
COMPARE_TEST(test_in, OPERATOR_IN)

static const struct {
    const char *name;
    TestFunction *function;
    size_t n_arguments;
    bool any; /* may be asked of what may not be used */
} tests[] = {{"defined", test_defined, 0, true},
             {"undefined", test_undefined, 0, true},
             {"none", test_none, 0, true},
             {"string", test_string, 0, true},
             {"mapping", test_mapping, 0, true},
             {"boolean", test_boolean, 0, true},
             {"true", test_true, 0, true},
             {"false", test_false, 0, true},
             {"integer", test_integer, 0, true},
             {"float", test_float, 0, true},
             {"number", test_number, 0, true},
             {"callable", test_callable, 0, true},
             {"sameas", test_sameas, 1, true},
             {"iterable", test_sequence, 0, false},
             {"sequence", test_sequence, 0, false},
             {"even", test_even, 0, false},
             {"odd", test_odd, 0, false},
             {"divisibleby", test_divisibleby, 1, false},
             {"lower", test_lower, 0, false},
             {"upper", test_upper, 0, false},
             {"filter", test_filter, 0, false},
             {"test", test_test, 0, false},
             {"in", test_in, 1, false},
             {"eq", test_equal, 1, false},
             {"equalto", test_equal, 1, false},
             {"==", test_equal, 1, false},
             {"ne", test_not_equal, 1, false},
             {"!=", test_not_equal, 1, false},
             {"lt", test_less, 1, false},
             {"lessthan", test_less, 1, false},
             {"<", test_less, 1, false},
             {"le", test_less_equal, 1, false},
             {"<=", test_less_equal, 1, false},
             {"gt", test_greater, 1, false},
             {"greaterthan", test_greater, 1, false},
             {">", test_greater, 1, false},
             {"ge", test_greater_equal, 1, false},
             {">=", test_greater_equal, 1, false}};
enum { N_TESTS = sizeof tests / sizeof *tests };

static size_t find_test(const char *name) {
    size_t i = 0;
    while (i < N_TESTS && strcmp(tests[i].name, name) != 0)
        i++;
    return i;
}

bool template_knows_test(const char *name) {
    return find_test(name) < N_TESTS;
}

int template_test(Renderer *renderer, const Node *node, const char *name, const Value *subject,
                  const Arguments *arguments, bool *out) {
    size_t i = find_test(name);
    if (i == N_TESTS)
        return template_fail(renderer, node, "there is no test '%.50s'", name);
    if (subject->kind == VALUE_UNDEFINED && subject->n == 0 && !tests[i].any)
        return template_fail(renderer, node, "%s is undefined", subject->as.text);
    if (arguments->n != tests[i].n_arguments)
        return template_fail(renderer, node, "the test '%s' was given %zu arguments; %zu were expected", name,
                             arguments->n, tests[i].n_arguments);
    return tests[i].function(renderer, node, subject, &arguments->values[0], out);
}
