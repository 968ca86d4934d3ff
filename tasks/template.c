/* Rendering: a walk over the syntax tree. A compiled template is never changed; a render keeps all its state
 * in a Renderer, whose limits on steps, text and depth make every render end. */
#include "tasks/template.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tasks/strings.h"
#include "tasks/template_tree.h"

enum { STEPS_MAX = 10000000, BYTES_MAX = 64 << 20 };

int template_fail(Renderer *renderer, const Node *node, const char *format, ...) {
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return error_set(renderer->error, "%s: line %u, column %u: %s", renderer->template->where, node->line,
                     node->column, what);
}

int template_spend(Renderer *renderer, const Node *node, size_t bytes) {
    if (bytes > BYTES_MAX || (renderer->bytes += bytes) > BYTES_MAX)
        return template_fail(renderer, node, "the template makes more than 64 MiB");
    return 0;
}

int template_step(Renderer *renderer, const Node *node) {
    if (++renderer->steps > STEPS_MAX)
        return template_fail(renderer, node, "the template takes more than 10 million steps");
    return 0;
}

void template_bind(Renderer *renderer, Scope *scope, const char *name, Value value) {
    for (Binding *binding = scope->bindings; binding; binding = binding->next) {
        if (strcmp(binding->name, name) != 0)
            continue;
        binding->value = value;
        return;
    }
    Binding *binding = arena_alloc(renderer->arena, sizeof *binding);
    *binding = (Binding){name, value, scope->bindings};
    scope->bindings = binding;
}

static int set_attribute(Renderer *renderer, const Node *target, const Value *value) {
    Value object;
    if (template_evaluate_node(renderer, target->a, &object))
        return -1;
    TemplateObject *space = template_as_object(&object, OBJECT_NAMESPACE);
    if (!space)
        return template_fail(renderer, target, "'%s' is no namespace: its attributes cannot be set",
                             target->a->name);
    Scope fields = {space->fields, NULL};
    template_bind(renderer, &fields, target->name, *value);
    space->fields = fields.bindings;
    return 0;
}

int template_assign(Renderer *renderer, const Node *node, const Node *targets, const Value *value) {
    size_t n = 0, i = 0;
    Value items;
    for (const Node *target = targets; target; target = target->next)
        n++;
    if (n > 1 &&
        (value->kind == VALUE_OBJECT || template_items(renderer, node, value, &items) || items.n != n))
        return template_fail(renderer, node, "%zu names for what is not %zu items", n, n);
    for (const Node *target = targets; target; target = target->next, i++) {
        const Value *item = n == 1 ? value : &items.as.items[i];
        if (template_spend(renderer, node, sizeof(Binding)))
            return -1;
        if (target->kind == NODE_NAME)
            template_bind(renderer, renderer->scope, target->name, *item);
        else if (set_attribute(renderer, target, item))
            return -1;
    }
    return 0;
}

/* Keeps the items for which the loop's condition holds. */
static int filter_items(Renderer *renderer, const Node *node, Value *items) {
    Value kept = value_list(renderer->arena, items->n), condition;
    if (template_spend(renderer, node, items->n * sizeof(Value)))
        return -1;
    kept.n = 0;
    for (size_t i = 0; i < items->n; i++) {
        Scope inner = {NULL, renderer->scope}, *outer = renderer->scope;
        renderer->scope = &inner;
        int status = template_assign(renderer, node, node->c, &items->as.items[i]) ||
                     template_evaluate_usable(renderer, node->b, &condition);
        renderer->scope = outer;
        if (status)
            return -1;
        if (value_truth(&condition))
            kept.as.items[kept.n++] = items->as.items[i];
    }
    *items = kept;
    return 0;
}

/* One round of a loop, in a scope of its own. */
static int render_round(Renderer *renderer, const Node *node, Value loop, const Value *item) {
    Scope *outer = renderer->scope, *inner = arena_alloc(renderer->arena, sizeof *inner);
    *inner = (Scope){NULL, outer};
    if (template_spend(renderer, node, sizeof *inner + 2 * sizeof(Binding)))
        return -1;
    renderer->scope = inner;
    template_bind(renderer, inner, "loop", loop);
    int status = template_assign(renderer, node, node->c, item) || template_render_all(renderer, node->body);
    renderer->scope = outer;
    return status ? -1 : 0;
}

/* Statements whose names are not seen outside. */
static int render_inside(Renderer *renderer, const Node *node, const Node *statements) {
    Scope *outer = renderer->scope, *inner = arena_alloc(renderer->arena, sizeof *inner);
    *inner = (Scope){NULL, outer};
    if (template_spend(renderer, node, sizeof *inner))
        return -1;
    renderer->scope = inner;
    int status = template_render_all(renderer, statements);
    renderer->scope = outer;
    return status;
}

int template_loop(Renderer *renderer, const Node *node, Scope *scope, const Value *source, int level) {
    Value items;
    if (template_items(renderer, node, source, &items) || (node->b && filter_items(renderer, node, &items)))
        return -1;
    bool finished = false; /* a round: Jinja's else is for loops of which no round came to its end */
    Value loop = template_object(
        renderer, (TemplateObject){
                      .kind = OBJECT_LOOP, .node = node, .scope = scope, .subject = items, .level = level});
    TemplateObject *state = template_as_object(&loop, OBJECT_LOOP);
    for (; state->index < items.n; state->index++) {
        if (render_round(renderer, node, loop, &items.as.items[state->index]))
            return -1;
        Flow flow = renderer->flow;
        finished |= flow == FLOW_ON;
        renderer->flow = FLOW_ON;
        if (flow == FLOW_BREAK)
            break;
    }
    return finished ? 0 : render_inside(renderer, node, node->other);
}

static int render_output(Renderer *renderer, const Node *node) {
    Value value;
    if (template_evaluate_usable(renderer, node->a, &value))
        return -1;
    TemplateObject *object = value.kind == VALUE_OBJECT ? value.as.object : NULL;
    if (object && object->kind == OBJECT_METHOD)
        return template_fail(renderer, node->a,
                             "'%s' is a method here; call it, or write ['%s'] for the item", object->name,
                             object->name);
    if (object)
        return template_fail(renderer, node->a,
                             "a macro, a function, a loop or a namespace cannot be printed");
    size_t before = renderer->out->size;
    value_append_str(renderer->out, &value);
    return template_spend(renderer, node, renderer->out->size - before);
}

/* {% with %} and {% generation %}. */
static int render_scope(Renderer *renderer, const Node *node) {
    Scope *outer = renderer->scope, *inner = arena_alloc(renderer->arena, sizeof *inner);
    *inner = (Scope){NULL, outer};
    for (const Node *target = node->c; target; target = target->next) {
        Value value;
        if (template_evaluate_node(renderer, target->a, &value))
            return -1;
        template_bind(renderer, inner, target->name, value);
    }
    renderer->scope = inner;
    int status = template_render_all(renderer, node->body);
    renderer->scope = outer;
    return status;
}

static int render_set(Renderer *renderer, const Node *node) {
    Value value;
    return template_evaluate_node(renderer, node->a, &value) ||
                   template_assign(renderer, node, node->c, &value)
               ? -1
               : 0;
}

static int render_if(Renderer *renderer, const Node *node) {
    Value value;
    if (template_evaluate_usable(renderer, node->a, &value))
        return -1;
    return template_render_all(renderer, value_truth(&value) ? node->body : node->other);
}

static int render_for(Renderer *renderer, const Node *node) {
    Value source;
    if (template_evaluate_usable(renderer, node->a, &source))
        return -1;
    return template_loop(renderer, node, renderer->scope, &source, 0);
}

static int render_one(Renderer *renderer, const Node *node) {
    switch (node->kind) {
    case NODE_TEXT:
        buffer_append(renderer->out, node->literal.as.text, node->literal.n);
        return template_spend(renderer, node, node->literal.n);
    case NODE_OUTPUT:
        return render_output(renderer, node);
    case NODE_SET:
        return render_set(renderer, node);
    case NODE_IF:
        return render_if(renderer, node);
    case NODE_MACRO:
        template_bind(renderer, renderer->scope, node->name,
                      template_object(renderer, (TemplateObject){.kind = OBJECT_MACRO,
                                                                 .name = node->name,
                                                                 .node = node,
                                                                 .scope = renderer->scope}));
        return 0;
    case NODE_SCOPE:
        return render_scope(renderer, node);
    case NODE_BREAK:
    case NODE_CONTINUE:
        renderer->flow = node->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
        return 0;
    default:
        return render_for(renderer, node);
    }
}

int template_render_all(Renderer *renderer, const Node *statements) {
    if (statements && renderer->depth >= 2 * TEMPLATE_DEPTH_MAX)
        return template_fail(renderer, statements, "the template is nested too deeply");
    renderer->depth++;
    int status = 0;
    for (const Node *node = statements; node && !status && renderer->flow == FLOW_ON; node = node->next)
        status = template_step(renderer, node) || render_one(renderer, node);
    renderer->depth--;
    return status ? -1 : 0;
}

int template_capture(Renderer *renderer, Scope *outer, Binding *bindings, const Node *statements,
                     Value *out) {
    Buffer text = {0}, *out_before = renderer->out;
    Scope *scope_before = renderer->scope, *inner = arena_alloc(renderer->arena, sizeof *inner);
    *inner = (Scope){bindings, outer};
    renderer->out = &text;
    renderer->scope = inner;
    int status = template_render_all(renderer, statements);
    renderer->out = out_before;
    renderer->scope = scope_before;
    if (!status)
        *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return status;
}

/* What a template that asks for the date is told, unless it is set: the day that Llama 3.1's prints. */
static const struct tm july_2024 = {.tm_year = 124, .tm_mon = 6, .tm_mday = 26, .tm_wday = 5, .tm_yday = 207};

static int compile(Template *template, Arena *arena, const char *text, TemplateStyle style, const char *where,
                   Error *error) {
    Token *tokens;
    size_t n;
    *template = (Template){.where = arena_strdup(arena, where), .style = style, .date = july_2024};
    return template_lex(&tokens, &n, arena, text, style, where, error) ||
                   template_parse(&template->statements, arena, tokens, style, where, error)
               ? -1
               : 0;
}

int template_compile(const Template **out, Arena *arena, const char *text, TemplateStyle style,
                     const char *where, Error *error) {
    Template *template = arena_alloc(arena, sizeof *template);
    *out = template;
    return compile(template, arena, text, style, where, error);
}

int template_compile_chat(const Template **out, Arena *arena, const char *text, const char *date,
                          const char *where, Error *error) {
    Template *template = arena_alloc(arena, sizeof *template);
    *out = template;
    if (compile(template, arena, text, TEMPLATE_CHAT, where, error))
        return -1;
    if (!date)
        return 0;
    struct tm parsed = {0};
    const char *end = strptime(date, "%Y-%m-%d", &parsed);
    if (!end || *end || strlen(date) != 10)
        return error_set_kind(error, ERROR_USAGE, "the date '%.40s' is not of the form YYYY-MM-DD", date);
    template->date = parsed;
    return 0;
}

int template_render(const Template *template, const Value *variables, Arena *arena, Value *out,
                    Error *error) {
    Buffer text = {0};
    Scope scope = {NULL, NULL};
    Renderer renderer = {.template = template,
                         .variables = variables,
                         .scope = &scope,
                         .arena = arena,
                         .out = &text,
                         .error = error};
    int status = template_render_all(&renderer, template->statements);
    if (!status)
        *out = string_copy(arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return status;
}

bool template_is_expression(const Template *template) {
    return template->statements && template->statements->kind == NODE_OUTPUT && !template->statements->next;
}

int template_evaluate(const Template *template, const Value *variables, Arena *arena, Value *out,
                      Error *error) {
    Scope scope = {NULL, NULL};
    Buffer unused = {0};
    Renderer renderer = {.template = template,
                         .variables = variables,
                         .scope = &scope,
                         .arena = arena,
                         .out = &unused,
                         .error = error};
    return template_evaluate_defined(&renderer, template->statements->a, out);
}
