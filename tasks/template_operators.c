/* What operators do with values, after Python. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/template_tree.h"

static int bad_operands(Renderer *renderer, const Node *node, const Value *a, const Value *b) {
    return template_fail(renderer, node, "the operator does not take %s and %s", value_kind_name(a->kind),
                         value_kind_name(b->kind));
}

static int join_lists(Renderer *renderer, const Node *node, const Value *a, const Value *b, Value *out) {
    if (template_spend(renderer, node, (a->n + b->n) * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, a->n + b->n);
    memcpy(out->as.items, a->as.items, a->n * sizeof(Value));
    memcpy(out->as.items + a->n, b->as.items, b->n * sizeof(Value));
    out->line = value_is_tuple(a) ? VALUE_TUPLE : 0;
    return template_spend_value(renderer, node, out);
}

static int join_strings(Renderer *renderer, const Node *node, const Value *a, const Value *b, Value *out) {
    if (template_spend(renderer, node, a->n + b->n))
        return -1;
    char *text = arena_alloc(renderer->arena, a->n + b->n + 1);
    memcpy(text, a->as.text, a->n);
    memcpy(text + a->n, b->as.text, b->n);
    *out = value_string_n(text, a->n + b->n);
    return 0;
}

/* a + b; of texts one of which is safe HTML, the other is escaped. */
static int add_strings(Renderer *renderer, const Node *node, const Value *a, const Value *b, Value *out) {
    Value first = *a, second = *b;
    bool markup = a->line == VALUE_MARKUP || b->line == VALUE_MARKUP;
    if (markup && (template_escape(renderer, node, a, NULL, 0, &first) ||
                   template_escape(renderer, node, b, NULL, 0, &second)))
        return -1;
    if (join_strings(renderer, node, &first, &second, out))
        return -1;
    out->line = markup ? VALUE_MARKUP : 0;
    return 0;
}

/* text * n or list * n, where n is the other operand. */
static int repeat(Renderer *renderer, const Node *node, const Value *what, int64_t times, Value *out) {
    size_t n = times > 0 ? (size_t)times : 0, unit = what->kind == VALUE_LIST ? sizeof(Value) : 1, total;
    if (!mem_mul(what->n * unit, n, &total))
        return template_fail(renderer, node, "the template makes more than 64 MiB");
    if (template_spend(renderer, node, total))
        return -1;
    if (what->n == 0)
        n = 0;
    if (what->kind == VALUE_LIST) {
        *out = value_list(renderer->arena, what->n * n);
        for (size_t i = 0; i < n; i++)
            memcpy(out->as.items + i * what->n, what->as.items, what->n * sizeof(Value));
        out->line = value_is_tuple(what) ? VALUE_TUPLE : 0;
        return template_spend_value(renderer, node, out);
    }
    char *text = arena_alloc(renderer->arena, what->n * n + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * what->n, what->as.text, what->n);
    *out = value_string_n(text, what->n * n);
    out->line = what->line == VALUE_MARKUP ? VALUE_MARKUP : 0;
    return 0;
}

/* Python's a // b and a % b of floats: the remainder has the sign of b, even if it is 0. */
static double floor_divide(double a, double b, double *remainder) {
    *remainder = fmod(a, b);
    double quotient = (a - *remainder) / b;
    if (*remainder == 0) {
        *remainder = copysign(0, b);
    } else if ((*remainder < 0) != (b < 0)) {
        *remainder += b;
        quotient -= 1;
    }
    if (quotient == 0)
        return copysign(0, a / b);
    double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1 : whole;
}

static int float_power(Renderer *renderer, const Node *node, double a, double b, Value *out) {
    if (a == 0 && b < 0)
        return template_fail(renderer, node, "division by zero");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        return template_fail(renderer, node, "a root of a negative number");
    *out = value_double(pow(a, b));
    if (isinf(out->as.number) && isfinite(a) && isfinite(b))
        return template_fail(renderer, node, "the power is out of range");
    return 0;
}

static int float_arithmetic(Renderer *renderer, const Node *node, Operator op, double a, double b,
                            Value *out) {
    if (op >= OPERATOR_DIVIDE && b == 0)
        return template_fail(renderer, node, "division by zero");
    double remainder = 0, quotient = 0;
    if (op == OPERATOR_REMAINDER || op == OPERATOR_FLOOR_DIVIDE)
        quotient = floor_divide(a, b, &remainder);
    switch (op) {
    case OPERATOR_ADD:
        *out = value_double(a + b);
        return 0;
    case OPERATOR_SUBTRACT:
        *out = value_double(a - b);
        return 0;
    case OPERATOR_MULTIPLY:
        *out = value_double(a * b);
        return 0;
    case OPERATOR_DIVIDE:
        *out = value_double(a / b);
        return 0;
    case OPERATOR_POWER:
        return float_power(renderer, node, a, b, out);
    case OPERATOR_FLOOR_DIVIDE:
        *out = value_double(quotient);
        return 0;
    default:
        *out = value_double(remainder);
        return 0;
    }
}

/* False if it does not fit. */
static bool integer_power(int64_t base, int64_t exponent, int64_t *out) {
    *out = 1;
    if (base == 0 || base == 1 || base == -1) {
        *out = exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base;
        return true;
    }
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(*out, base, out))
            return false;
    return true;
}

static int integer_arithmetic(Renderer *renderer, const Node *node, Operator op, int64_t a, int64_t b,
                              Value *out) {
    int64_t result = 0;
    bool overflow = false;
    if (op >= OPERATOR_DIVIDE && b == 0)
        return template_fail(renderer, node, "division by zero");
    switch (op) {
    case OPERATOR_ADD:
        overflow = __builtin_add_overflow(a, b, &result);
        break;
    case OPERATOR_SUBTRACT:
        overflow = __builtin_sub_overflow(a, b, &result);
        break;
    case OPERATOR_MULTIPLY:
        overflow = __builtin_mul_overflow(a, b, &result);
        break;
    case OPERATOR_DIVIDE:
        *out = value_double((double)a / (double)b);
        return 0;
    case OPERATOR_POWER:
        if (b < 0)
            return float_arithmetic(renderer, node, op, (double)a, (double)b, out);
        overflow = !integer_power(a, b, &result);
        break;
    default:
        overflow = a == INT64_MIN && b == -1;
        if (overflow)
            break;
        bool rounds = a % b != 0 && (a % b < 0) != (b < 0); /* Python rounds towards minus infinity */
        result = op == OPERATOR_REMAINDER ? a % b + (rounds ? b : 0) : a / b - rounds;
    }
    if (overflow)
        return template_fail(renderer, node, "an integer does not fit into 64 bits");
    *out = value_int(result);
    return 0;
}

/* A number as a double; false if the value is none. */
static bool as_double(const Value *value, double *out) {
    int64_t integer;
    if (value_as_int(value, &integer))
        *out = (double)integer;
    else if (value->kind == VALUE_DOUBLE)
        *out = value->as.number;
    else
        return false;
    return true;
}

int template_binary(Renderer *renderer, const Node *node, Operator op, const Value *a, const Value *b,
                    Value *out) {
    int64_t left = 0, right = 0;
    double x, y;
    if (op == OPERATOR_CONCAT) {
        const Value first = value_to_string(renderer->arena, a), second = value_to_string(renderer->arena, b);
        return join_strings(renderer, node, &first, &second, out);
    }
    const Value *missing = a->kind == VALUE_UNDEFINED ? a : b->kind == VALUE_UNDEFINED ? b : NULL;
    if (missing)
        return template_fail(renderer, node, "%s is undefined", missing->as.text);
    bool whole_a = value_as_int(a, &left), whole_b = value_as_int(b, &right);
    if (whole_a && whole_b)
        return integer_arithmetic(renderer, node, op, left, right, out);
    if (as_double(a, &x) && as_double(b, &y))
        return float_arithmetic(renderer, node, op, x, y, out);
    if (op == OPERATOR_ADD && a->kind == VALUE_STRING && b->kind == VALUE_STRING)
        return add_strings(renderer, node, a, b, out);
    if (op == OPERATOR_ADD && a->kind == VALUE_LIST && b->kind == VALUE_LIST &&
        value_is_tuple(a) == value_is_tuple(b))
        return join_lists(renderer, node, a, b, out);
    if (op == OPERATOR_MULTIPLY && whole_b && (a->kind == VALUE_STRING || a->kind == VALUE_LIST))
        return repeat(renderer, node, a, right, out);
    if (op == OPERATOR_MULTIPLY && whole_a && (b->kind == VALUE_STRING || b->kind == VALUE_LIST))
        return repeat(renderer, node, b, left, out);
    if (op == OPERATOR_REMAINDER && a->kind == VALUE_STRING)
        return template_format_percent(renderer, node, a, b->kind == VALUE_LIST ? b->as.items : b,
                                       b->kind == VALUE_LIST ? b->n : 1, out);
    return bad_operands(renderer, node, a, b);
}

/* Two that are both undefined are the same. */
static bool equal(const Value *a, const Value *b) {
    return value_equal(a, b) || (a->kind == VALUE_UNDEFINED && b->kind == VALUE_UNDEFINED);
}

static int contains(Renderer *renderer, const Node *node, const Value *part, const Value *whole, bool *out) {
    *out = false;
    if (whole->kind == VALUE_STRING && part->kind == VALUE_STRING) {
        *out = string_find(whole, part, 0) >= 0;
    } else if (whole->kind == VALUE_DICT) {
        if (part->kind == VALUE_LIST || part->kind == VALUE_DICT)
            return bad_operands(renderer, node, part, whole);
        *out = part->kind == VALUE_STRING && value_get(whole, part->as.text);
    } else if (whole->kind == VALUE_LIST) {
        for (size_t i = 0; i < whole->n && !*out; i++)
            *out = equal(part, &whole->as.items[i]);
    } else if (whole->kind != VALUE_UNDEFINED) {
        return bad_operands(renderer, node, part, whole);
    }
    return 0;
}

static int order_of(Renderer *renderer, const Node *node, const Value *a, const Value *b, int *order);

/* By the first items that differ. Lists nest no deeper than template_spend_value allows. */
static int order_of_lists(Renderer *renderer, const Node *node, const Value *a, const Value *b, int *order) {
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (template_step(renderer, node))
            return -1;
        if (!value_equal(&a->as.items[i], &b->as.items[i]))
            return order_of(renderer, node, &a->as.items[i], &b->as.items[i], order);
    }
    *order = (a->n > b->n) - (a->n < b->n);
    return 0;
}

/* a OP b for an ordering: below, at or above 0 into *order. */
static int order_of(Renderer *renderer, const Node *node, const Value *a, const Value *b, int *order) {
    double x, y;
    if (as_double(a, &x) && as_double(b, &y)) {
        *order = (x > y) - (x < y);
        return 0;
    }
    if (a->kind == VALUE_LIST && b->kind == VALUE_LIST)
        return order_of_lists(renderer, node, a, b, order);
    if (a->kind != VALUE_STRING || b->kind != VALUE_STRING)
        return bad_operands(renderer, node, a, b);
    int compared = memcmp(a->as.text, b->as.text, a->n < b->n ? a->n : b->n);
    *order = compared ? compared : (a->n > b->n) - (a->n < b->n);
    return 0;
}

int template_compare(Renderer *renderer, const Node *node, Operator op, const Value *a, const Value *b,
                     bool *out) {
    int order = 0;
    switch (op) {
    case OPERATOR_EQUAL:
    case OPERATOR_NOT_EQUAL:
        *out = equal(a, b) == (op == OPERATOR_EQUAL);
        return 0;
    case OPERATOR_IN:
    case OPERATOR_NOT_IN:
        if (contains(renderer, node, a, b, out))
            return -1;
        *out = *out == (op == OPERATOR_IN);
        return 0;
    default:
        if (order_of(renderer, node, a, b, &order))
            return -1;
        *out = op == OPERATOR_LESS         ? order < 0
               : op == OPERATOR_LESS_EQUAL ? order <= 0
               : op == OPERATOR_GREATER    ? order > 0
                                           : order >= 0;
        return 0;
    }
}
