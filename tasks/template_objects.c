/* Objects: namespaces, macros, loops, methods that were not called yet, global functions. They live in the
 * arena of their rendering. */
#include <string.h>

#include "tasks/strings.h"
#include "tasks/template_tree.h"

Value template_object(Renderer *renderer, TemplateObject object) {
    TemplateObject *kept = arena_alloc(renderer->arena, sizeof *kept);
    *kept = object;
    return (Value){.kind = VALUE_OBJECT, .as.object = kept};
}

TemplateObject *template_as_object(const Value *value, ObjectKind kind) {
    TemplateObject *object = value->kind == VALUE_OBJECT ? value->as.object : NULL;
    return object && object->kind == kind ? object : NULL;
}

static Value item_at(const Renderer *renderer, const TemplateObject *loop, size_t i, const char *what) {
    return i < loop->subject.n ? loop->subject.as.items[i] : template_undefined(renderer, what);
}

/* What `loop` knows; VALUE_UNDEFINED if it is none of that. */
static Value loop_attribute(Renderer *renderer, const TemplateObject *loop, const char *name) {
    const int64_t i = (int64_t)loop->index, n = (int64_t)loop->subject.n;
    const struct {
        const char *name;
        int64_t number;
    } numbers[] = {{"index", i + 1},
                   {"index0", i},
                   {"length", n},
                   {"revindex", n - i},
                   {"revindex0", n - i - 1},
                   {"depth", loop->level + 1},
                   {"depth0", loop->level}};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (strcmp(numbers[k].name, name) == 0)
            return value_int(numbers[k].number);
    if (strcmp(name, "first") == 0 || strcmp(name, "last") == 0)
        return value_bool(*name == 'f' ? i == 0 : i + 1 == n);
    if (strcmp(name, "previtem") == 0)
        return item_at(renderer, loop, loop->index - 1, "the item before the first");
    if (strcmp(name, "nextitem") == 0)
        return item_at(renderer, loop, loop->index + 1, "the item behind the last");
    if (strcmp(name, "cycle") == 0 || strcmp(name, "changed") == 0)
        return template_object(
            renderer, (TemplateObject){.kind = OBJECT_METHOD,
                                       .name = name,
                                       .subject = {.kind = VALUE_OBJECT, .as.object = (void *)loop}});
    return template_undefined(renderer, arena_printf(renderer->arena, "'loop.%.80s'", name));
}

Value template_object_attribute(Renderer *renderer, TemplateObject *object, const char *name) {
    if (object->kind == OBJECT_LOOP)
        return loop_attribute(renderer, object, name);
    if (object->kind == OBJECT_MACRO && strcmp(name, "name") == 0)
        return value_string(object->name);
    for (const Binding *field = object->fields; field; field = field->next)
        if (strcmp(field->name, name) == 0)
            return field->value;
    return template_undefined(renderer, arena_printf(renderer->arena, "'%.80s'", name));
}

/* ---- calls */

static const Value *keyword(const Arguments *arguments, const char *name) {
    for (size_t i = arguments->n_positional; i < arguments->n; i++)
        if (strcmp(arguments->names[i], name) == 0)
            return &arguments->values[i];
    return NULL;
}

/* The arguments by name that the macro has no parameter for. */
static int rest_by_name(Renderer *renderer, const TemplateObject *macro, const Arguments *arguments,
                        Value *out) {
    *out = (Value){.kind = VALUE_DICT,
                   .as.pairs = arena_alloc(renderer->arena, (arguments->n + 1) * sizeof(ValuePair))};
    for (size_t i = arguments->n_positional; i < arguments->n; i++) {
        const Node *parameter = macro->node->c;
        while (parameter && strcmp(parameter->name, arguments->names[i]) != 0)
            parameter = parameter->next;
        if (!parameter && strcmp(arguments->names[i], "caller") != 0)
            out->as.pairs[out->n++] = (ValuePair){.key = arguments->names[i], .value = arguments->values[i]};
    }
    return 0;
}

/* Binds a macro's parameters; what is not given has its default, or is undefined. */
static int bind_parameters(Renderer *renderer, const TemplateObject *macro, const Arguments *arguments,
                           Scope *scope) {
    size_t i = 0;
    Scope *before = renderer->scope;
    for (const Node *parameter = macro->node->c; parameter; parameter = parameter->next, i++) {
        const Value *named = keyword(arguments, parameter->name);
        Value value =
            template_undefined(renderer, arena_printf(renderer->arena, "'%.100s'", parameter->name));
        int status = 0;
        if (i < arguments->n_positional && named)
            return template_fail(renderer, parameter, "'%s' was given twice", parameter->name);
        if (i < arguments->n_positional || named) {
            value = named ? *named : arguments->values[i];
        } else if (parameter->a) {
            renderer->scope = scope;
            status = template_evaluate_node(renderer, parameter->a, &value);
            renderer->scope = before;
        }
        if (status)
            return -1;
        template_bind(renderer, scope, parameter->name, value);
    }
    return 0;
}

/* varargs, kwargs and caller, which every macro has. */
static int bind_rest(Renderer *renderer, const TemplateObject *macro, const Arguments *arguments,
                     Scope *scope) {
    size_t n = 0;
    Value by_name, by_position;
    for (const Node *parameter = macro->node->c; parameter; parameter = parameter->next)
        n++;
    n = arguments->n_positional > n ? n : arguments->n_positional;
    by_position = value_list(renderer->arena, arguments->n_positional - n);
    by_position.line = VALUE_TUPLE;
    memcpy(by_position.as.items, arguments->values + n, by_position.n * sizeof(Value));
    if (rest_by_name(renderer, macro, arguments, &by_name))
        return -1;
    template_bind(renderer, scope, "varargs", by_position);
    template_bind(renderer, scope, "kwargs", by_name);
    const Value *caller = keyword(arguments, "caller");
    if (caller)
        template_bind(renderer, scope, "caller", *caller);
    return 0;
}

static int call_macro(Renderer *renderer, const Node *node, const TemplateObject *macro,
                      const Arguments *arguments, Value *out) {
    Scope *scope = arena_alloc(renderer->arena, sizeof *scope);
    *scope = (Scope){NULL, macro->scope};
    if (renderer->depth >= TEMPLATE_DEPTH_MAX)
        return template_fail(renderer, node, "macros call each other too deeply");
    if (template_spend(renderer, node, 1024) || bind_rest(renderer, macro, arguments, scope) ||
        bind_parameters(renderer, macro, arguments, scope))
        return -1;
    Flow flow = renderer->flow;
    renderer->flow = FLOW_ON;
    int status = template_capture(renderer, scope, NULL, macro->node->body, out);
    renderer->flow = flow;
    return status;
}

/* loop(items): the same loop over what is below. */
static int call_loop(Renderer *renderer, const Node *node, const TemplateObject *loop,
                     const Arguments *arguments, Value *out) {
    Buffer text = {0}, *before = renderer->out;
    Scope *scope = renderer->scope;
    if (!loop->node->recursive || arguments->n != 1)
        return template_fail(renderer, node, "loop(items) is for loops that are marked as recursive");
    if (renderer->depth >= TEMPLATE_DEPTH_MAX)
        return template_fail(renderer, node, "the loop calls itself too deeply");
    renderer->out = &text;
    renderer->scope = loop->scope;
    int status = template_loop(renderer, loop->node, loop->scope, &arguments->values[0], loop->level + 1);
    renderer->scope = scope;
    renderer->out = before;
    if (!status)
        *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return status;
}

/* loop.cycle(a, b) and loop.changed(value). */
static int call_loop_method(Renderer *renderer, const Node *node, TemplateObject *loop, const char *name,
                            const Arguments *arguments, Value *out) {
    if (arguments->n == 0 || arguments->n_positional < arguments->n)
        return template_fail(renderer, node, "loop.%s was given no values", name);
    if (strcmp(name, "cycle") == 0) {
        *out = arguments->values[loop->index % arguments->n];
        return 0;
    }
    Value now = value_list(renderer->arena, arguments->n);
    memcpy(now.as.items, arguments->values, arguments->n * sizeof(Value));
    bool same = loop->last_change.kind == VALUE_LIST && value_equal(&now, &loop->last_change);
    loop->last_change = now;
    *out = value_bool(!same);
    return template_spend_value(renderer, node, &now);
}

/* ---- global functions */

static int global_range(Renderer *renderer, const Node *node, const Arguments *arguments, Value *out) {
    enum { RANGE_MAX = 100000 }; /* that of Jinja's sandbox */
    int64_t bounds[3] = {0, 0, 1};
    size_t n = arguments->n_positional;
    if (n < 1 || n > 3 || n < arguments->n)
        return template_fail(renderer, node, "range: one to three integers were expected");
    for (size_t i = 0; i < n; i++)
        if (!value_as_int(&arguments->values[i], &bounds[n == 1 ? 1 : i]))
            return template_fail(renderer, node, "range: an integer was expected");
    if (bounds[2] == 0)
        return template_fail(renderer, node, "range: the step is 0");
    double span = ((double)bounds[1] - (double)bounds[0]) / (double)bounds[2];
    if (span > RANGE_MAX)
        return template_fail(renderer, node, "range: more than %d numbers", RANGE_MAX);
    size_t count = span > 0 ? (size_t)span + ((double)(size_t)span < span) : 0;
    if (template_spend(renderer, node, count * sizeof(Value)))
        return -1;
    *out = value_list(renderer->arena, count);
    for (size_t i = 0; i < count; i++)
        out->as.items[i] = value_int((int64_t)((uint64_t)bounds[0] + i * (uint64_t)bounds[2]));
    return 0;
}

/* dict(a, name=value, ...) as a mapping. */
static int global_dict(Renderer *renderer, const Node *node, const Arguments *arguments, Value *out) {
    size_t n = 0, room = arguments->n;
    const Value *first = arguments->n_positional ? &arguments->values[0] : NULL;
    if (arguments->n_positional > 1 || (first && first->kind != VALUE_DICT))
        return template_fail(renderer, node, "dict: a mapping and names were expected");
    room += first ? first->n : 0;
    if (template_spend(renderer, node, room * sizeof(ValuePair)) || room > VALUE_KEYS_MAX)
        return template_fail(renderer, node, "dict: too many keys");
    *out =
        (Value){.kind = VALUE_DICT, .as.pairs = arena_alloc(renderer->arena, (room + 1) * sizeof(ValuePair))};
    for (size_t i = 0; first && i < first->n; i++)
        out->as.pairs[out->n++] = first->as.pairs[i];
    for (size_t i = arguments->n_positional; i < arguments->n; i++) {
        for (n = 0; n < out->n && strcmp(out->as.pairs[n].key, arguments->names[i]) != 0;)
            n++;
        out->as.pairs[n] = (ValuePair){.key = arguments->names[i], .value = arguments->values[i]};
        out->n += n == out->n;
    }
    return template_spend_value(renderer, node, out);
}

static int global_namespace(Renderer *renderer, const Node *node, const Arguments *arguments, Value *out) {
    Value fields;
    if (global_dict(renderer, node, arguments, &fields))
        return -1;
    Scope scope = {NULL, NULL};
    for (size_t i = 0; i < fields.n; i++)
        template_bind(renderer, &scope, fields.as.pairs[i].key, fields.as.pairs[i].value);
    *out = template_object(renderer, (TemplateObject){.kind = OBJECT_NAMESPACE, .fields = scope.bindings});
    return 0;
}

static int global_raise_exception(Renderer *renderer, const Node *node, const Arguments *arguments,
                                  Value *out) {
    (void)out;
    Value message = value_string("");
    if (arguments->n > 0)
        message = value_to_string(renderer->arena, &arguments->values[0]);
    return template_fail(renderer, node, "the template raised: %.300s", message.as.text);
}

static int global_strftime_now(Renderer *renderer, const Node *node, const Arguments *arguments, Value *out) {
    char text[512] = "";
    if (arguments->n != 1 || arguments->values[0].kind != VALUE_STRING || arguments->values[0].n > 100)
        return template_fail(renderer, node, "strftime_now: a format of at most 100 bytes was expected");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = strftime(text, sizeof text, arguments->values[0].as.text, &renderer->template->date);
#pragma GCC diagnostic pop
    *out = string_copy(renderer->arena, text, n);
    return 0;
}

typedef int GlobalFunction(Renderer *renderer, const Node *node, const Arguments *arguments, Value *out);

static const struct {
    const char *name;
    GlobalFunction *function;
    bool only_chat;
} globals[] = {{"dict", global_dict, false},
               {"namespace", global_namespace, false},
               {"raise_exception", global_raise_exception, true},
               {"range", global_range, false},
               {"strftime_now", global_strftime_now, true}};

Value template_global(Renderer *renderer, const char *name) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (strcmp(globals[i].name, name) == 0 &&
            (!globals[i].only_chat || renderer->template->style == TEMPLATE_CHAT))
            return template_object(
                renderer, (TemplateObject){.kind = OBJECT_GLOBAL, .name = globals[i].name, .index = i});
    return (Value){.kind = VALUE_UNDEFINED};
}

int template_call(Renderer *renderer, const Node *node, const Value *callee, const Arguments *arguments,
                  Value *out) {
    if (callee->kind == VALUE_UNDEFINED)
        return template_fail(renderer, node, "%s is undefined", callee->as.text);
    TemplateObject *object = callee->kind == VALUE_OBJECT ? callee->as.object : NULL;
    if (!object || object->kind == OBJECT_NAMESPACE)
        return template_fail(renderer, node, "%s cannot be called", value_kind_name(callee->kind));
    if (object->kind == OBJECT_MACRO)
        return call_macro(renderer, node, object, arguments, out);
    if (object->kind == OBJECT_LOOP)
        return call_loop(renderer, node, object, arguments, out);
    if (object->kind == OBJECT_GLOBAL)
        return globals[object->index].function(renderer, node, arguments, out);
    TemplateObject *loop = template_as_object(&object->subject, OBJECT_LOOP);
    if (loop)
        return call_loop_method(renderer, node, loop, object->name, arguments, out);
    return template_method(renderer, node, &object->subject, object->name, arguments, out);
}
