/* Expressions into values, after Python. The depth of the recursion, the steps and the text made are counted
 * in the Renderer. */
#include <string.h>

#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/template_tree.h"

Value template_undefined(const Renderer *renderer, const char *what) {
    return (Value){.kind = VALUE_UNDEFINED, .n = renderer->template->style == TEMPLATE_CHAT, .as.text = what};
}

int template_evaluate_defined(Renderer *renderer, const Node *node, Value *out) {
    if (template_evaluate_node(renderer, node, out))
        return -1;
    if (out->kind == VALUE_UNDEFINED)
        return template_fail(renderer, node, "%s is undefined", out->as.text);
    return 0;
}

int template_evaluate_usable(Renderer *renderer, const Node *node, Value *out) {
    if (template_evaluate_node(renderer, node, out))
        return -1;
    if (out->kind == VALUE_UNDEFINED && out->n == 0)
        return template_fail(renderer, node, "%s is undefined", out->as.text);
    return 0;
}

static Value undefined(Renderer *renderer, const char *name) {
    return template_undefined(renderer, arena_printf(renderer->arena, "'%.100s'", name));
}

static int evaluate_name(Renderer *renderer, const Node *node, Value *out) {
    for (const Scope *scope = renderer->scope; scope; scope = scope->outer)
        for (const Binding *binding = scope->bindings; binding; binding = binding->next)
            if (strcmp(binding->name, node->name) == 0) {
                *out = binding->value;
                return 0;
            }
    const Value *found = value_get(renderer->variables, node->name);
    *out = found ? *found : template_global(renderer, node->name);
    if (out->kind == VALUE_UNDEFINED)
        *out = undefined(renderer, node->name);
    return 0;
}

static size_t count_nodes(const Node *list) {
    size_t n = 0;
    for (; list; list = list->next)
        n++;
    return n;
}

/* The same part may stand in a value many times, so this is what bounds the size and the depth of everything
 * that can be printed or compared. */
static int spend_nested(Renderer *renderer, const Node *node, const Value *value, int depth) {
    enum { NESTING_MAX = 100 };
    if (depth > NESTING_MAX)
        return template_fail(renderer, node, "a value is nested deeper than %d levels", NESTING_MAX);
    if (template_spend(renderer, node, sizeof(Value) + (value->kind == VALUE_STRING ? value->n : 0)))
        return -1;
    for (size_t i = 0; value->kind == VALUE_LIST && i < value->n; i++)
        if (spend_nested(renderer, node, &value->as.items[i], depth + 1))
            return -1;
    for (size_t i = 0; value->kind == VALUE_DICT && i < value->n; i++)
        if (spend_nested(renderer, node, &value->as.pairs[i].value, depth + 1))
            return -1;
    return 0;
}

int template_spend_value(Renderer *renderer, const Node *node, const Value *value) {
    return spend_nested(renderer, node, value, 0);
}

static int evaluate_list(Renderer *renderer, const Node *node, Value *out) {
    *out = value_list(renderer->arena, count_nodes(node->body));
    out->line = node->recursive ? VALUE_TUPLE : 0;
    if (template_spend(renderer, node, out->n * sizeof(Value)))
        return -1;
    size_t i = 0;
    for (const Node *item = node->body; item; item = item->next)
        if (template_evaluate_usable(renderer, item, &out->as.items[i++]))
            return -1;
    return template_spend_value(renderer, node, out);
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
            template_evaluate_usable(renderer, item, &value))
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
    return template_spend_value(renderer, node, out);
}

static bool is_group_name(const Value *object, const char *name) {
    return object->kind == VALUE_LIST && object->line == VALUE_GROUP &&
           (strcmp(name, "grouper") == 0 || strcmp(name, "list") == 0);
}

Value template_attribute(Renderer *renderer, const Value *object, const char *name) {
    if (object->kind == VALUE_OBJECT)
        return template_object_attribute(renderer, object->as.object, name);
    if (template_has_method(object->kind, name))
        return template_object(renderer,
                               (TemplateObject){.kind = OBJECT_METHOD, .name = name, .subject = *object});
    if (is_group_name(object, name))
        return object->as.items[*name == 'l'];
    const Value *found = value_get(object, name);
    return found ? *found : undefined(renderer, name);
}

static int evaluate_attribute(Renderer *renderer, const Node *node, Value *out) {
    Value object;
    if (template_evaluate_defined(renderer, node->a, &object))
        return -1;
    *out = template_attribute(renderer, &object, node->name);
    return 0;
}

size_t template_char_offset(const Value *text, int64_t i) {
    size_t at = 0;
    uint32_t code;
    while (i-- > 0 && at < text->n)
        at += utf8_decode(text->as.text + at, text->n - at, &code);
    return at;
}

static int64_t length_of(const Value *value) {
    return value->kind == VALUE_STRING ? (int64_t)utf8_length(value->as.text, value->n) : (int64_t)value->n;
}

Value template_item(Renderer *renderer, const Value *object, const Value *key) {
    int64_t i;
    if (object->kind == VALUE_OBJECT && key->kind == VALUE_STRING)
        return template_object_attribute(renderer, object->as.object, key->as.text);
    if (key->kind == VALUE_STRING && object->kind == VALUE_DICT) {
        const Value *found = value_get(object, key->as.text);
        return found ? *found : undefined(renderer, key->as.text);
    }
    if (key->kind == VALUE_STRING &&
        (template_has_method(object->kind, key->as.text) || is_group_name(object, key->as.text)))
        return template_attribute(renderer, object, key->as.text);
    if ((object->kind != VALUE_LIST && object->kind != VALUE_STRING) || !value_as_int(key, &i))
        return template_undefined(renderer,
                                  arena_printf(renderer->arena, "the item of %s at %s",
                                               value_kind_name(object->kind), value_kind_name(key->kind)));
    int64_t n = length_of(object);
    if (i < 0 && i >= -n)
        i += n;
    if (i < 0 || i >= n)
        return template_undefined(
            renderer, arena_printf(renderer->arena, "item %lld of %lld", (long long)i, (long long)n));
    if (object->kind == VALUE_LIST)
        return object->as.items[i];
    size_t start = template_char_offset(object, i);
    uint32_t code;
    size_t length = utf8_decode(object->as.text + start, object->n - start, &code);
    return string_copy(renderer->arena, object->as.text + start, length);
}

static int evaluate_index(Renderer *renderer, const Node *node, Value *out) {
    Value object, key;
    if (template_evaluate_defined(renderer, node->a, &object) ||
        template_evaluate_usable(renderer, node->b, &key))
        return -1;
    *out = template_item(renderer, &object, &key);
    return 0;
}

int template_items(Renderer *renderer, const Node *node, const Value *source, Value *out) {
    bool is_text = source->kind == VALUE_STRING;
    if (source->kind == VALUE_LIST) {
        *out = *source;
        return 0;
    }
    if (source->kind == VALUE_UNDEFINED && source->n > 0) {
        *out = value_list(renderer->arena, 0);
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
        size_t from = template_char_offset(object, start), to = n ? template_char_offset(object, stop) : from;
        return string_copy(renderer->arena, object->as.text + from, to - from);
    }
    if (object->kind == VALUE_LIST) {
        Value list = value_list(renderer->arena, n);
        list.line = value_is_tuple(object) ? VALUE_TUPLE : 0;
        for (size_t i = 0; i < n; i++)
            list.as.items[i] = object->as.items[start + (int64_t)i * step];
        return list;
    }
    char *text = arena_alloc(renderer->arena, n * 4 + 1);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = template_char_offset(object, start + (int64_t)i * step);
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

/* The items of *a as arguments by position, or those of **a by name. */
static int unpack(Renderer *renderer, const Node *node, Arguments *out) {
    Value value, items = {.n = 0};
    if (template_evaluate_usable(renderer, node->a, &value))
        return -1;
    if (node->recursive && value.kind != VALUE_DICT)
        return template_fail(renderer, node, "** before %s", value_kind_name(value.kind));
    if (!node->recursive && template_items(renderer, node, &value, &items))
        return -1;
    size_t n = node->recursive ? value.n : items.n;
    if (n > TEMPLATE_ARGUMENTS_MAX - out->n)
        return template_fail(renderer, node, "more than %d arguments", TEMPLATE_ARGUMENTS_MAX);
    for (size_t i = 0; i < n; i++) {
        out->names[out->n] = node->recursive ? value.as.pairs[i].key : NULL;
        out->values[out->n++] = node->recursive ? value.as.pairs[i].value : items.as.items[i];
    }
    out->n_positional += node->recursive ? 0 : n;
    return 0;
}

int template_evaluate_arguments(Renderer *renderer, const Node *list, Arguments *out) {
    out->n = out->n_positional = 0;
    for (; list; list = list->next) {
        bool by_name = list->kind == NODE_KEYWORD;
        if (list->kind == NODE_UNPACK) {
            if (unpack(renderer, list, out))
                return -1;
            continue;
        }
        if (out->n == TEMPLATE_ARGUMENTS_MAX)
            return template_fail(renderer, list, "more than %d arguments", TEMPLATE_ARGUMENTS_MAX);
        out->names[out->n] = by_name ? list->name : NULL;
        if (template_evaluate_usable(renderer, by_name ? list->a : list, &out->values[out->n++]))
            return -1;
        out->n_positional += !by_name;
    }
    return 0;
}

/* The macro behind {% call %} is an argument by name. */
static int add_caller(Renderer *renderer, const Node *node, Arguments *arguments) {
    if (!node->c)
        return 0;
    if (arguments->n == TEMPLATE_ARGUMENTS_MAX)
        return template_fail(renderer, node, "more than %d arguments", TEMPLATE_ARGUMENTS_MAX - 1);
    arguments->names[arguments->n] = "caller";
    arguments->values[arguments->n++] = template_object(
        renderer,
        (TemplateObject){.kind = OBJECT_MACRO, .name = "caller", .node = node->c, .scope = renderer->scope});
    return 0;
}

static int evaluate_call(Renderer *renderer, const Node *node, Value *out) {
    Value object, callee;
    Arguments arguments;
    const Node *called = node->a;
    bool method = called->kind == NODE_ATTRIBUTE;
    if (template_evaluate_defined(renderer, method ? called->a : called, &object) ||
        template_evaluate_arguments(renderer, node->body, &arguments) ||
        add_caller(renderer, node, &arguments))
        return -1;
    if (!method)
        return template_call(renderer, node, &object, &arguments, out);
    if (object.kind != VALUE_OBJECT && template_has_method(object.kind, called->name))
        return template_method(renderer, node, &object, called->name, &arguments, out);
    callee = template_attribute(renderer, &object, called->name);
    if (callee.kind == VALUE_UNDEFINED)
        return template_fail(renderer, node, "%s has no method '%s'", value_kind_name(object.kind),
                             called->name);
    return template_call(renderer, node, &callee, &arguments, out);
}

static int evaluate_filter(Renderer *renderer, const Node *node, Value *out) {
    Value subject;
    Arguments arguments;
    if (template_evaluate_node(renderer, node->a, &subject) ||
        template_evaluate_arguments(renderer, node->body, &arguments))
        return -1;
    return template_filter(renderer, node, node->name, &subject, &arguments, out);
}

static int evaluate_test(Renderer *renderer, const Node *node, Value *out) {
    Value subject;
    Arguments arguments;
    if (template_evaluate_node(renderer, node->a, &subject) ||
        template_evaluate_arguments(renderer, node->body, &arguments))
        return -1;
    *out = value_bool(false);
    return template_test(renderer, node, node->name, &subject, &arguments, &out->as.boolean);
}

static int evaluate_capture(Renderer *renderer, const Node *node, Value *out) {
    return template_capture(renderer, renderer->scope, NULL, node->body, out);
}

static int evaluate_binary(Renderer *renderer, const Node *node, Value *out) {
    Value a, b;
    if (template_evaluate_usable(renderer, node->a, &a) || template_evaluate_usable(renderer, node->b, &b))
        return -1;
    return template_binary(renderer, node, node->op, &a, &b, out);
}

static int evaluate_comparison(Renderer *renderer, const Node *node, Value *out) {
    Value left, right;
    if (template_evaluate_usable(renderer, node->a, &left))
        return -1;
    *out = value_bool(true);
    for (const Node *operand = node->body; operand && out->as.boolean; operand = operand->next) {
        if (template_evaluate_usable(renderer, operand->a, &right) ||
            template_compare(renderer, operand, operand->op, &left, &right, &out->as.boolean))
            return -1;
        left = right;
    }
    return 0;
}

static int evaluate_logic(Renderer *renderer, const Node *node, Value *out) {
    if (template_evaluate_usable(renderer, node->a, out))
        return -1;
    if (value_truth(out) == (node->kind == NODE_OR))
        return 0;
    return template_evaluate_node(renderer, node->b, out);
}

static int evaluate_condition(Renderer *renderer, const Node *node, Value *out) {
    Value condition;
    if (template_evaluate_usable(renderer, node->b, &condition))
        return -1;
    if (value_truth(&condition))
        return template_evaluate_node(renderer, node->a, out);
    if (node->c)
        return template_evaluate_node(renderer, node->c, out);
    *out = (Value){.kind = VALUE_UNDEFINED, .n = 1, .as.text = "the value of an if without else"};
    return 0;
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

static int evaluate_positive(Renderer *renderer, const Node *node, Value *out) {
    int64_t integer;
    if (template_evaluate_defined(renderer, node->a, out))
        return -1;
    if (value_as_int(out, &integer))
        *out = value_int(integer);
    else if (out->kind != VALUE_DOUBLE)
        return template_fail(renderer, node, "a plus before %s", value_kind_name(out->kind));
    return 0;
}

static int evaluate_not(Renderer *renderer, const Node *node, Value *out) {
    Value value;
    if (template_evaluate_usable(renderer, node->a, &value))
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
    static Evaluator *const evaluators[] = {
        [NODE_LITERAL] = evaluate_literal,     [NODE_NAME] = evaluate_name,
        [NODE_LIST] = evaluate_list,           [NODE_DICT] = evaluate_dict,
        [NODE_INDEX] = evaluate_index,         [NODE_SLICE] = evaluate_slice,
        [NODE_ATTRIBUTE] = evaluate_attribute, [NODE_CALL] = evaluate_call,
        [NODE_FILTER] = evaluate_filter,       [NODE_TEST] = evaluate_test,
        [NODE_CAPTURE] = evaluate_capture,     [NODE_NOT] = evaluate_not,
        [NODE_NEGATE] = evaluate_negate,       [NODE_POSITIVE] = evaluate_positive,
        [NODE_BINARY] = evaluate_binary,       [NODE_COMPARE] = evaluate_comparison,
        [NODE_AND] = evaluate_logic,           [NODE_OR] = evaluate_logic,
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
