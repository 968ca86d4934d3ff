/* What a prompt's sources say about one document: lm-eval's doc_to_text, doc_to_target, doc_to_choice and
 * gen_prefix, with its rules about what is a number and what a list. */
#include <string.h>

#include "base/text.h"
#include "tasks/prompt.h"
#include "tasks/strings.h"

int source_value(const Source *source, const Value *document, Arena *arena, Value *out, bool *rendered,
                 Error *error) {
    *rendered = false;
    if (source->kind == SOURCE_VALUE) {
        *out = source->value;
        return 0;
    }
    if (source->kind == SOURCE_FUNCTION)
        return source->function(document, arena, out, error);
    *rendered = source->kind == SOURCE_TEMPLATE;
    if (*rendered)
        return template_render(source->template, document, arena, out, error);
    const Value *column = value_get(document, source->text);
    if (!column)
        return error_set(error, "the column '%s' is missing", source->text);
    *out = *column;
    return 0;
}

static bool is_list_text(const Value *text) {
    return text->kind == VALUE_STRING && text->n >= 2 && text->as.text[0] == '[' &&
           text->as.text[text->n - 1] == ']';
}

/* Rendered text that is all digits is a number where there are choices to count. */
static int to_number(Value *value, const char *what, Error *error) {
    int64_t integer;
    if (value->kind != VALUE_STRING || !string_is_digits(value))
        return 0;
    if (!text_to_int(value->as.text, &integer))
        return error_set(error, "%s gave the number %.40s, which is too large", what, value->as.text);
    *value = value_int(integer);
    return 0;
}

static int read_choices(const Source *source, const Value *document, Arena *arena, Value *out, Error *error) {
    bool rendered;
    *out = value_null();
    if (source->kind == SOURCE_NONE)
        return 0;
    bool direct = source->kind == SOURCE_TEMPLATE && template_is_expression(source->template);
    if (direct && template_evaluate(source->template, document, arena, out, error))
        return -1;
    if (!direct && source_value(source, document, arena, out, &rendered, error))
        return -1;
    if (out->kind == VALUE_STRING && value_from_python(out, arena, out->as.text, out->n, error))
        return error_prefix(error, "doc_to_choice");
    if (out->kind != VALUE_LIST || out->n == 0)
        return error_set(error, "doc_to_choice gave %s; a list of strings was expected",
                         out->kind == VALUE_LIST ? "an empty list" : value_kind_name(out->kind));
    for (size_t i = 0; i < out->n; i++)
        if (out->as.items[i].kind != VALUE_STRING)
            return error_set(error, "doc_to_choice: choice %zu is %s; a string was expected", i,
                             value_kind_name(out->as.items[i].kind));
    return 0;
}

static int read_text(const Prompt *prompt, const Value *document, Arena *arena, Turn *turn, Error *error) {
    bool rendered = false, has_choices = turn->choices.kind == VALUE_LIST;
    int64_t choice;
    turn->text = value_string("");
    if (prompt->text.kind != SOURCE_NONE &&
        source_value(&prompt->text, document, arena, &turn->text, &rendered, error))
        return -1;
    if (rendered && has_choices && to_number(&turn->text, "doc_to_text", error))
        return -1;
    if (turn->text.kind == VALUE_STRING)
        return 0;
    if (!value_as_int(&turn->text, &choice) || !has_choices)
        return error_set(error, "doc_to_text gave %s; a string was expected",
                         value_kind_name(turn->text.kind));
    turn->text = value_int(choice);
    return 0;
}

static int read_target(const Prompt *prompt, const Value *document, Arena *arena, Turn *turn, Error *error) {
    bool rendered;
    Value list;
    Error ignored;
    if (source_value(&prompt->target, document, arena, &turn->target, &rendered, error))
        return -1;
    if (rendered && turn->choices.kind == VALUE_LIST && to_number(&turn->target, "doc_to_target", error))
        return -1;
    if (rendered && is_list_text(&turn->target) &&
        !value_from_python(&list, arena, turn->target.as.text, turn->target.n, &ignored))
        turn->target = list;
    if (turn->target.kind == VALUE_LIST && turn->target.n == 0)
        return error_set(error, "doc_to_target gave an empty list");
    return 0;
}

static int read_prefix(const Prompt *prompt, const Value *document, Arena *arena, Turn *turn, Error *error) {
    bool rendered;
    turn->prefix = value_string("");
    if (prompt->prefix.kind == SOURCE_NONE)
        return 0;
    if (source_value(&prompt->prefix, document, arena, &turn->prefix, &rendered, error))
        return -1;
    if (turn->prefix.kind != VALUE_STRING)
        return error_set(error, "gen_prefix gave %s; a string was expected",
                         value_kind_name(turn->prefix.kind));
    return 0;
}

int turn_read(const Prompt *prompt, const Value *document, Arena *arena, Turn *turn, Error *error) {
    return read_choices(&prompt->choice, document, arena, &turn->choices, error) ||
                   read_text(prompt, document, arena, turn, error) ||
                   read_target(prompt, document, arena, turn, error) ||
                   read_prefix(prompt, document, arena, turn, error)
               ? -1
               : 0;
}

int turn_question(const Turn *turn, Value *out, Error *error) {
    *out = turn->text;
    if (turn->text.kind == VALUE_STRING)
        return 0;
    int64_t choice = turn->text.as.integer;
    if (choice < 0 || (uint64_t)choice >= turn->choices.n)
        return error_set(error, "doc_to_text gave choice %lld of %zu", (long long)choice, turn->choices.n);
    *out = turn->choices.as.items[choice];
    return 0;
}

/* Truth values are numbers where Python counts with them. */
int turn_answer(const Turn *turn, Compat compat, Arena *arena, Value *out, Error *error) {
    bool is_list = turn->target.kind == VALUE_LIST;
    const Value *target = is_list ? &turn->target.as.items[0] : &turn->target;
    int64_t choice;
    if (turn->choices.kind != VALUE_LIST || (is_list && compat == COMPAT_V0_4_0) ||
        !value_as_int(target, &choice)) {
        *out = value_to_string(arena, target);
        return 0;
    }
    if (choice < 0 || (uint64_t)choice >= turn->choices.n)
        return error_set(error, "doc_to_target gave choice %lld of %zu", (long long)choice, turn->choices.n);
    *out = turn->choices.as.items[choice];
    return 0;
}
