/* Expressions into values, after Python. The depth of the recursion, the steps and the text made are counted
 * in the Renderer. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/template_tree.h"

int template_evaluate_defined(Renderer *renderer, const Node *node, Value *out) {
    if (template_evaluate_node(renderer, node, out))
        return -1;
    if (out->kind == VALUE_UNDEFINED)
        return template_fail(renderer, node, "%s is undefined", out->as.text);
    return 0;
}

static Value undefined(Renderer *renderer, const char *name) {
    return (Value){.kind = VALUE_UNDEFINED, .as.text = arena_printf(renderer->arena, "'%.100s'", name)};
}

static int evaluate_name(Renderer *renderer, const Node *node, Value *out) {
    for (const Binding *binding = renderer->bindings; binding; binding = binding->next) {
        if (strcmp(binding->name, node->name) != 0)
            continue;
        *out = binding->value;
        return 0;
    }
    const Value *found = value_get(renderer->variables, node->name);
    *out = found ? *found : undefined(renderer, node->name);
    return 0;
}

static size_t count_nodes(const Node *list) {
    size_t n = 0;
    for (; list; list = list->next)
        n++;
    return n;
}

/* Counts all that a new list or mapping holds. The same part may stand in it many times, so this is what
 * bounds the size and the depth of everything that can be printed or compared. */
static int spend_value(Renderer *renderer, const Node *node, const Value *value, int depth) {
    enum { NESTING_MAX = 100 };
    if (depth > NESTING_MAX)
        return template_fail(renderer, node, "a value is nested deeper than %d levels", NESTING_MAX);
    if (template_spend(renderer, node, sizeof(Value) + (value->kind == VALUE_STRING ? value->n : 0)))
        return -1;
    for (size_t i = 0; value->kind == VALUE_LIST && i < value->n; i++)
        if (spend_value(renderer, node, &value->as.items[i], depth + 1))
            return -1;
    for (size_t i = 0; value->kind == VALUE_DICT && i < value->n; i++)
        if (spend_value(renderer, node, &value->as.pairs[i].value, depth + 1))
            return -1;
    return 0;
}

static int evaluate_list(Renderer *renderer, const Node *node, Value *out) {
    *out = value_list(renderer->arena, count_nodes(node->body));
    if (template_spend(renderer, node, out->n * sizeof(Value)))
        return -1;
    size_t i = 0;
    for (const Node *item = node->body; item; item = item->next)
        if (template_evaluate_defined(renderer, item, &out->as.items[i++]))
            return -1;
    return spend_value(renderer, node, out, 0);
}

static int evaluate_dict(Renderer *renderer, const Node *node, Value *out) {
    size_t room = count_nodes(node->body);
    if (room > VALUE_KEYS_MAX)
        return template_fail(renderer, node, "a mapping with more than %d keys", VALUE_KEYS_MAX);
    if (template_spend(renderer, node, room * sizeof(ValuePair)))
        return -1;
    *out =
        (Value){.kind = VALUE_DICT, .as.pairs = arena_alloc(renderer->arena, (room + 1) * sizeof(ValuePair))};
    const Node *item = node->other;
    for (const Node *key = node->body; key; key = key->next, item = item->next) {
        Value name, value;
        if (template_evaluate_defined(renderer, key, &name) ||
            template_evaluate_defined(renderer, item, &value))
            return -1;
        if (name.kind != VALUE_STRING)
            return template_fail(renderer, key, "a mapping's key is %s; only strings are supported",
                                 value_kind_name(name.kind));
        Value *before = (Value *)value_get(out, name.as.text);
        if (before)
            *before = value;
        else
            out->as.pairs[out->n++] = (ValuePair){.key = name.as.text, .value = value};
    }
    return spend_value(renderer, node, out, 0);
}

static int evaluate_attribute(Renderer *renderer, const Node *node, Value *out) {
    Value object;
    if (template_evaluate_defined(renderer, node->a, &object))
        return -1;
    if (template_has_method(object.kind, node->name))
        return template_fail(renderer, node, "'%s' is a method here; call it, or write ['%s'] for the item",
                             node->name, node->name);
    const Value *found = value_get(&object, node->name);
    *out = found ? *found : undefined(renderer, node->name);
    return 0;
}

/* Byte offset of character i in text (i at most its length). */
static size_t char_offset(const Value *text, int64_t i) {
    size_t at = 0;
    uint32_t code;
    while (i-- > 0 && at < text->n)
        at += utf8_decode(text->as.text + at, text->n - at, &code);
    return at;
}

static int64_t length_of(const Value *value) {
    return value->kind == VALUE_STRING ? (int64_t)utf8_length(value->as.text, value->n) : (int64_t)value->n;
}

static int evaluate_index(Renderer *renderer, const Node *node, Value *out) {
    Value object, key;
    if (template_evaluate_defined(renderer, node->a, &object) ||
        template_evaluate_defined(renderer, node->b, &key))
        return -1;
    int64_t i;
    if (key.kind == VALUE_STRING && object.kind == VALUE_DICT) {
        const Value *found = value_get(&object, key.as.text);
        *out = found ? *found : undefined(renderer, key.as.text);
        return 0;
    }
    if ((object.kind != VALUE_LIST && object.kind != VALUE_STRING) || !value_as_int(&key, &i)) {
        *out = (Value){.kind = VALUE_UNDEFINED,
                       .as.text = arena_printf(renderer->arena, "the item of %s at %s",
                                               value_kind_name(object.kind), value_kind_name(key.kind))};
        return 0;
    }
    int64_t n = length_of(&object);
    if (i < 0 && i >= -n)
        i += n;
    if (i < 0 || i >= n) {
        *out = (Value){.kind = VALUE_UNDEFINED,
                       .as.text =
                           arena_printf(renderer->arena, "item %lld of %lld", (long long)i, (long long)n)};
    } else if (object.kind == VALUE_LIST) {
        *out = object.as.items[i];
    } else {
        size_t start = char_offset(&object, i);
        uint32_t code;
        size_t length = utf8_decode(object.as.text + start, object.n - start, &code);
        *out = string_copy(renderer->arena, object.as.text + start, length);
    }
    return 0;
}

int template_items(Renderer *renderer, const Node *node, const Value *source, Value *out) {
    bool is_text = source->kind == VALUE_STRING;
    if (source->kind == VALUE_LIST) {
        *out = *source;
        return 0;
    }
    if (source->kind != VALUE_DICT && !is_text)
        return template_fail(renderer, node, "%s has no items to go over", value_kind_name(source->kind));
    size_t n = (size_t)length_of(source), at = 0;
    if (template_spend(renderer, node, n * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t code;
        size_t length = is_text ? utf8_decode(source->as.text + at, source->n - at, &code) : 0;
        out->as.items[i] = is_text ? string_copy(renderer->arena, source->as.text + at, length)
                                   : value_string(source->as.pairs[i].key);
        at += length;
    }
    return 0;
}

/* One bound of a slice; *given is false if it is not written or none. */
static int slice_bound(Renderer *renderer, const Node *node, int64_t *out, bool *given) {
    Value value;
    *given = false;
    if (!node)
        return 0;
    if (template_evaluate_defined(renderer, node, &value))
        return -1;
    if (value.kind == VALUE_NULL)
        return 0;
    *given = true;
    if (value_as_int(&value, out))
        return 0;
    return template_fail(renderer, node, "a slice's bound is %s; an integer was expected",
                         value_kind_name(value.kind));
}

static int64_t clamp_bound(int64_t bound, int64_t n, int64_t low, int64_t high) {
    if (bound < 0)
        bound = bound < -n ? low : bound + n;
    return bound < low ? low : bound > high ? high : bound;
}

static Value slice_items(Renderer *renderer, const Value *object, int64_t start, int64_t stop, int64_t step) {
    uint64_t span =
        step > 0 ? (uint64_t)(stop > start ? stop - start : 0) : (uint64_t)(start > stop ? start - stop : 0);
    uint64_t stride = step > 0 ? (uint64_t)step : -(uint64_t)step;
    size_t n = span == 0 ? 0 : (size_t)((span - 1) / stride + 1);
    if (object->kind == VALUE_STRING && step == 1) {
        size_t from = char_offset(object, start), to = n ? char_offset(object, stop) : from;
        return string_copy(renderer->arena, object->as.text + from, to - from);
    }
    if (object->kind == VALUE_LIST) {
        Value list = value_list(renderer->arena, n);
        for (size_t i = 0; i < n; i++)
            list.as.items[i] = object->as.items[start + (int64_t)i * step];
        return list;
    }
    char *text = arena_alloc(renderer->arena, n * 4 + 1);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = char_offset(object, start + (int64_t)i * step);
        uint32_t code;
        size_t length = utf8_decode(object->as.text + at, object->n - at, &code);
        memcpy(text + bytes, object->as.text + at, length);
        bytes += length;
    }
    return value_string_n(text, bytes);
}

static int evaluate_slice(Renderer *renderer, const Node *node, Value *out) {
    Value object;
    int64_t start = 0, stop = 0, step = 1;
    bool has_start, has_stop, has_step;
    if (template_evaluate_defined(renderer, node->a, &object))
        return -1;
    if (object.kind != VALUE_LIST && object.kind != VALUE_STRING)
        return template_fail(renderer, node, "%s cannot be sliced", value_kind_name(object.kind));
    if (slice_bound(renderer, node->b, &start, &has_start) ||
        slice_bound(renderer, node->c, &stop, &has_stop) ||
        slice_bound(renderer, node->other, &step, &has_step))
        return -1;
    if (step == 0)
        return template_fail(renderer, node, "a slice's step is 0");
    int64_t n = length_of(&object), low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    start = has_start ? clamp_bound(start, n, low, high) : step > 0 ? 0 : n - 1;
    stop = has_stop ? clamp_bound(stop, n, low, high) : step > 0 ? n : -1;
    if (step > n)
        step = n + 1;
    if (step < -n)
        step = -n - 1;
    if (object.kind == VALUE_STRING && step != 1 && n > 4096)
        return template_fail(renderer, node, "a slice with a step of a string over 4096 characters");
    *out = slice_items(renderer, &object, start, stop, step);
    return template_spend(renderer, node, out->n * (out->kind == VALUE_LIST ? sizeof(Value) : 1));
}

static int evaluate_arguments(Renderer *renderer, const Node *list, Value *arguments, size_t *n) {
    *n = 0;
    for (; list; list = list->next)
        if (template_evaluate_defined(renderer, list, &arguments[(*n)++]))
            return -1;
    return 0;
}

static int evaluate_call(Renderer *renderer, const Node *node, Value *out) {
    Value object, arguments[TEMPLATE_ARGUMENTS_MAX];
    size_t n;
    const Node *callee = node->a;
    if (callee->kind == NODE_NAME)
        return template_fail(renderer, node, "there is no function '%s'", callee->name);
    if (callee->kind != NODE_ATTRIBUTE)
        return template_fail(renderer, node, "only methods can be called");
    if (template_evaluate_defined(renderer, callee->a, &object) ||
        evaluate_arguments(renderer, node->body, arguments, &n))
        return -1;
    return template_method(renderer, node, &object, callee->name, arguments, n, out);
}

static int evaluate_filter(Renderer *renderer, const Node *node, Value *out) {
    Value subject, arguments[TEMPLATE_ARGUMENTS_MAX];
    size_t n;
    if (template_evaluate_node(renderer, node->a, &subject) ||
        evaluate_arguments(renderer, node->body, arguments, &n))
        return -1;
    return template_filter(renderer, node, &subject, arguments, n, out);
}

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
    return spend_value(renderer, node, out, 0);
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
        return spend_value(renderer, node, out, 0);
    }
    char *text = arena_alloc(renderer->arena, what->n * n + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * what->n, what->as.text, what->n);
    *out = value_string_n(text, what->n * n);
    return 0;
}

static int integer_arithmetic(Renderer *renderer, const Node *node, int64_t a, int64_t b, Value *out) {
    int64_t result = 0;
    bool overflow = false;
    if (node->op >= OPERATOR_DIVIDE && b == 0)
        return template_fail(renderer, node, "division by zero");
    switch (node->op) {
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
    default:
        overflow = a == INT64_MIN && b == -1;
        if (overflow)
            break;
        bool rounds = a % b != 0 && (a % b < 0) != (b < 0); /* Python rounds towards minus infinity */
        result = node->op == OPERATOR_REMAINDER ? a % b + (rounds ? b : 0) : a / b - rounds;
    }
    if (overflow)
        return template_fail(renderer, node, "an integer does not fit into 64 bits");
    *out = value_int(result);
    return 0;
}

static int float_arithmetic(Renderer *renderer, const Node *node, double a, double b, Value *out) {
    if (node->op >= OPERATOR_DIVIDE && b == 0)
        return template_fail(renderer, node, "division by zero");
    double remainder = 0;
    if (node->op == OPERATOR_REMAINDER) {
        remainder = fmod(a, b);
        if (remainder != 0 && (remainder < 0) != (b < 0))
            remainder += b;
    }
    switch (node->op) {
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
    case OPERATOR_FLOOR_DIVIDE:
        *out = value_double(floor(a / b));
        return 0;
    default:
        *out = value_double(remainder);
        return 0;
    }
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

static int evaluate_binary(Renderer *renderer, const Node *node, Value *out) {
    Value a, b;
    int64_t left = 0, right = 0;
    double x, y;
    if (template_evaluate_defined(renderer, node->a, &a) || template_evaluate_defined(renderer, node->b, &b))
        return -1;
    if (node->op == OPERATOR_CONCAT) {
        a = value_to_string(renderer->arena, &a);
        b = value_to_string(renderer->arena, &b);
        return join_strings(renderer, node, &a, &b, out);
    }
    bool whole_a = value_as_int(&a, &left), whole_b = value_as_int(&b, &right);
    if (whole_a && whole_b)
        return integer_arithmetic(renderer, node, left, right, out);
    if (as_double(&a, &x) && as_double(&b, &y))
        return float_arithmetic(renderer, node, x, y, out);
    if (node->op == OPERATOR_ADD && a.kind == VALUE_STRING && b.kind == VALUE_STRING)
        return join_strings(renderer, node, &a, &b, out);
    if (node->op == OPERATOR_ADD && a.kind == VALUE_LIST && b.kind == VALUE_LIST)
        return join_lists(renderer, node, &a, &b, out);
    if (node->op == OPERATOR_MULTIPLY && whole_b && (a.kind == VALUE_STRING || a.kind == VALUE_LIST))
        return repeat(renderer, node, &a, right, out);
    if (node->op == OPERATOR_MULTIPLY && whole_a && (b.kind == VALUE_STRING || b.kind == VALUE_LIST))
        return repeat(renderer, node, &b, left, out);
    return bad_operands(renderer, node, &a, &b);
}

static int contains(Renderer *renderer, const Node *node, const Value *part, const Value *whole, bool *out) {
    *out = false;
    if (whole->kind == VALUE_STRING && part->kind == VALUE_STRING) {
        *out = string_find(whole, part, 0) >= 0;
    } else if (whole->kind == VALUE_DICT) {
        *out = part->kind == VALUE_STRING && value_get(whole, part->as.text);
    } else if (whole->kind == VALUE_LIST) {
        for (size_t i = 0; i < whole->n && !*out; i++)
            *out = value_equal(part, &whole->as.items[i]);
    } else {
        return bad_operands(renderer, node, part, whole);
    }
    return 0;
}

/* a OP b for an ordering: -1, 0 or 1 into *order. */
static int order_of(Renderer *renderer, const Node *node, const Value *a, const Value *b, int *order) {
    double x, y;
    if (as_double(a, &x) && as_double(b, &y)) {
        *order = (x > y) - (x < y);
        return 0;
    }
    if (a->kind != VALUE_STRING || b->kind != VALUE_STRING)
        return bad_operands(renderer, node, a, b);
    int compared = memcmp(a->as.text, b->as.text, a->n < b->n ? a->n : b->n);
    *order = compared ? compared : (a->n > b->n) - (a->n < b->n);
    return 0;
}

static int compare(Renderer *renderer, const Node *node, const Value *a, const Value *b, bool *out) {
    int order = 0;
    switch (node->op) {
    case OPERATOR_EQUAL:
    case OPERATOR_NOT_EQUAL:
        *out = value_equal(a, b) == (node->op == OPERATOR_EQUAL);
        return 0;
    case OPERATOR_IN:
    case OPERATOR_NOT_IN:
        if (contains(renderer, node, a, b, out))
            return -1;
        *out = *out == (node->op == OPERATOR_IN);
        return 0;
    default:
        if (order_of(renderer, node, a, b, &order))
            return -1;
        *out = node->op == OPERATOR_LESS         ? order < 0
               : node->op == OPERATOR_LESS_EQUAL ? order <= 0
               : node->op == OPERATOR_GREATER    ? order > 0
                                                 : order >= 0;
        return 0;
    }
}

static int evaluate_comparison(Renderer *renderer, const Node *node, Value *out) {
    Value left, right;
    if (template_evaluate_defined(renderer, node->a, &left))
        return -1;
    *out = value_bool(true);
    for (const Node *operand = node->body; operand && out->as.boolean; operand = operand->next) {
        if (template_evaluate_defined(renderer, operand->a, &right) ||
            compare(renderer, operand, &left, &right, &out->as.boolean))
            return -1;
        left = right;
    }
    return 0;
}

static int evaluate_logic(Renderer *renderer, const Node *node, Value *out) {
    if (template_evaluate_defined(renderer, node->a, out))
        return -1;
    if (value_truth(out) == (node->kind == NODE_OR))
        return 0;
    return template_evaluate_defined(renderer, node->b, out);
}

static int evaluate_condition(Renderer *renderer, const Node *node, Value *out) {
    Value condition;
    if (template_evaluate_defined(renderer, node->b, &condition))
        return -1;
    if (value_truth(&condition))
        return template_evaluate_node(renderer, node->a, out);
    if (node->c)
        return template_evaluate_node(renderer, node->c, out);
    *out = (Value){.kind = VALUE_UNDEFINED, .n = 1, .as.text = "the value of an if without else"};
    return 0;
}

static int evaluate_test(Renderer *renderer, const Node *node, Value *out) {
    Value subject;
    if (template_evaluate_node(renderer, node->a, &subject))
        return -1;
    *out = value_bool(false);
    return template_test(renderer, node, &subject, &out->as.boolean);
}

static int evaluate_negate(Renderer *renderer, const Node *node, Value *out) {
    int64_t integer;
    if (template_evaluate_defined(renderer, node->a, out))
        return -1;
    if (value_as_int(out, &integer)) {
        if (integer == INT64_MIN)
            return template_fail(renderer, node, "an integer does not fit into 64 bits");
        *out = value_int(-integer);
    } else if (out->kind == VALUE_DOUBLE) {
        *out = value_double(-out->as.number);
    } else {
        return template_fail(renderer, node, "a minus before %s", value_kind_name(out->kind));
    }
    return 0;
}

static int evaluate_not(Renderer *renderer, const Node *node, Value *out) {
    Value value;
    if (template_evaluate_defined(renderer, node->a, &value))
        return -1;
    *out = value_bool(!value_truth(&value));
    return 0;
}

static int evaluate_literal(Renderer *renderer, const Node *node, Value *out) {
    (void)renderer;
    *out = node->literal;
    return 0;
}

typedef int Evaluator(Renderer *renderer, const Node *node, Value *out);

int template_evaluate_node(Renderer *renderer, const Node *node, Value *out) {
    static Evaluator *const evaluators[] = {[NODE_LITERAL] = evaluate_literal,
                                            [NODE_NAME] = evaluate_name,
                                            [NODE_LIST] = evaluate_list,
                                            [NODE_DICT] = evaluate_dict,
                                            [NODE_INDEX] = evaluate_index,
                                            [NODE_SLICE] = evaluate_slice,
                                            [NODE_ATTRIBUTE] = evaluate_attribute,
                                            [NODE_CALL] = evaluate_call,
                                            [NODE_FILTER] = evaluate_filter,
                                            [NODE_TEST] = evaluate_test,
                                            [NODE_NOT] = evaluate_not,
                                            [NODE_NEGATE] = evaluate_negate,
                                            [NODE_BINARY] = evaluate_binary,
                                            [NODE_COMPARE] = evaluate_comparison,
                                            [NODE_AND] = evaluate_logic,
                                            [NODE_OR] = evaluate_logic,
                                            [NODE_CONDITION] = evaluate_condition};
    if (template_step(renderer, node))
        return -1;
    if (renderer->depth >= 2 * TEMPLATE_DEPTH_MAX)
        return template_fail(renderer, node, "the expression is nested too deeply");
    renderer->depth++;
    int status = evaluators[node->kind](renderer, node, out);
    renderer->depth--;
    return status;
}
