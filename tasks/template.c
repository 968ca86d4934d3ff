/* Rendering: a walk over the syntax tree. A compiled template is never changed; a render keeps all its state
 * in a Renderer, whose limits on steps, text and depth make every render end. */
#include "tasks/template.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tasks/strings.h"
#include "tasks/template_tree.h"

enum { STEPS_MAX = 10000000, BYTES_MAX = 64 << 20 };

static int render_all(Renderer *renderer, const Node *statements);

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

static void bind(Renderer *renderer, const char *name, Value value) {
    Binding *binding = arena_alloc(renderer->arena, sizeof *binding);
    *binding = (Binding){name, value, renderer->bindings};
    renderer->bindings = binding;
}

static Value loop_variable(Renderer *renderer, size_t i, size_t n) {
    const ValuePair pairs[] = {{"index", 0, value_int((int64_t)i + 1)},
                               {"index0", 0, value_int((int64_t)i)},
                               {"first", 0, value_bool(i == 0)},
                               {"last", 0, value_bool(i + 1 == n)},
                               {"length", 0, value_int((int64_t)n)}};
    Value loop = {.kind = VALUE_DICT, .n = 5, .as.pairs = arena_alloc(renderer->arena, sizeof pairs)};
    memcpy(loop.as.pairs, pairs, sizeof pairs);
    return loop;
}

static int bind_loop_names(Renderer *renderer, const Node *node, const Value *item) {
    if (!node->name2) {
        bind(renderer, node->name, *item);
        return 0;
    }
    if (item->kind != VALUE_LIST || item->n != 2)
        return template_fail(renderer, node, "two loop variables but an item that is not a pair");
    bind(renderer, node->name, item->as.items[0]);
    bind(renderer, node->name2, item->as.items[1]);
    return 0;
}

/* Keeps the items for which the loop's condition holds. */
static int filter_items(Renderer *renderer, const Node *node, Value *items) {
    Value kept = value_list(renderer->arena, items->n), condition;
    if (template_spend(renderer, node, items->n * sizeof(Value)))
        return -1;
    kept.n = 0;
    for (size_t i = 0; i < items->n; i++) {
        Binding *outer = renderer->bindings;
        int status = bind_loop_names(renderer, node, &items->as.items[i]);
        if (!status)
            status = template_evaluate_defined(renderer, node->b, &condition);
        renderer->bindings = outer;
        if (status)
            return -1;
        if (value_truth(&condition))
            kept.as.items[kept.n++] = items->as.items[i];
    }
    *items = kept;
    return 0;
}

static int render_for(Renderer *renderer, const Node *node) {
    Value source, items = value_null();
    if (template_evaluate_defined(renderer, node->a, &source) ||
        template_items(renderer, node, &source, &items) || (node->b && filter_items(renderer, node, &items)))
        return -1;
    if (items.n == 0)
        return render_all(renderer, node->other);
    Binding *outer = renderer->bindings;
    int status = 0;
    for (size_t i = 0; i < items.n && !status; i++) {
        if (template_spend(renderer, node, sizeof(Value) * 8))
            return -1;
        status = bind_loop_names(renderer, node, &items.as.items[i]);
        bind(renderer, "loop", loop_variable(renderer, i, items.n));
        if (!status)
            status = render_all(renderer, node->body);
        renderer->bindings = outer;
    }
    return status;
}

static int render_output(Renderer *renderer, const Node *node) {
    Value value;
    if (template_evaluate_node(renderer, node->a, &value))
        return -1;
    if (value.kind == VALUE_UNDEFINED && value.n == 0)
        return template_fail(renderer, node->a, "%s is undefined", value.as.text);
    size_t before = renderer->out->size;
    value_append_str(renderer->out, &value);
    return template_spend(renderer, node, renderer->out->size - before);
}

static int render_one(Renderer *renderer, const Node *node) {
    Value value;
    switch (node->kind) {
    case NODE_TEXT:
        buffer_append(renderer->out, node->literal.as.text, node->literal.n);
        return template_spend(renderer, node, node->literal.n);
    case NODE_OUTPUT:
        return render_output(renderer, node);
    case NODE_SET:
        if (template_evaluate_node(renderer, node->a, &value))
            return -1;
        bind(renderer, node->name, value);
        return 0;
    case NODE_IF:
        if (template_evaluate_defined(renderer, node->a, &value))
            return -1;
        return render_all(renderer, value_truth(&value) ? node->body : node->other);
    default:
        return render_for(renderer, node);
    }
}

static int render_all(Renderer *renderer, const Node *statements) {
    for (const Node *node = statements; node; node = node->next) {
        if (template_step(renderer, node) || render_one(renderer, node))
            return -1;
    }
    return 0;
}

int template_compile(const Template **out, Arena *arena, const char *text, TemplateStyle style,
                     const char *where, Error *error) {
    Token *tokens;
    size_t n;
    Template *template = arena_alloc(arena, sizeof *template);
    template->where = arena_strdup(arena, where);
    if (template_lex(&tokens, &n, arena, text, style, where, error) ||
        template_parse(&template->statements, arena, tokens, where, error))
        return -1;
    *out = template;
    return 0;
}

int template_render(const Template *template, const Value *variables, Arena *arena, Value *out,
                    Error *error) {
    Buffer text = {0};
    Renderer renderer = {
        .template = template, .variables = variables, .arena = arena, .out = &text, .error = error};
    int status = render_all(&renderer, template->statements);
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
    Renderer renderer = {.template = template, .variables = variables, .arena = arena, .error = error};
    return template_evaluate_defined(&renderer, template->statements->a, out);
}
