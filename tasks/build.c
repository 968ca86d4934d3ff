/* A document into requests: lm-eval's doc_to_text, doc_to_target and doc_to_choice, few-shot turns before the
 * question, and one request for each choice. */
#include <string.h>

#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/task.h"

/* What a prompt's three sources say about one document. */
typedef struct Turn {
    Value text;    /* a string; an integer where the choices are the contexts */
    Value target;  /* a string, an integer or a list */
    Value choices; /* a list of strings; null if the task has none */
    Value prefix;  /* a string: how the answer begins; empty if the task does not say */
} Turn;

/* The raw value of a source: a column, a rendered template, a literal, or what a function gives. */
static int source_value(const Source *source, const Value *document, Arena *arena, Value *out, bool *rendered,
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
    if (choice < 0 || (uint64_t)choice >= turn->choices.n)
        return error_set(error, "doc_to_text gave choice %lld of %zu", (long long)choice, turn->choices.n);
    turn->text = value_int(choice);
    return 0;
}

static int read_target(const Prompt *prompt, const Value *document, Arena *arena, Turn *turn, Error *error) {
    bool rendered;
    int64_t integer;
    Value list;
    Error ignored;
    if (source_value(&prompt->target, document, arena, &turn->target, &rendered, error))
        return -1;
    if (rendered && turn->choices.kind == VALUE_LIST && to_number(&turn->target, "doc_to_target", error))
        return -1;
    if (rendered && is_list_text(&turn->target) &&
        !value_from_python(&list, arena, turn->target.as.text, turn->target.n, &ignored))
        turn->target = list;
    if (value_as_int(&turn->target, &integer))
        turn->target = value_int(integer);
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
    if (turn->prefix.kind != VALUE_STRING || turn->text.kind != VALUE_STRING)
        return error_set(error, "gen_prefix gave %s to %s; both must be strings",
                         value_kind_name(turn->prefix.kind), value_kind_name(turn->text.kind));
    return 0;
}

static int read_turn(const Prompt *prompt, const Value *document, Arena *arena, Turn *turn, Error *error) {
    return read_choices(&prompt->choice, document, arena, &turn->choices, error) ||
                   read_text(prompt, document, arena, turn, error) ||
                   read_target(prompt, document, arena, turn, error) ||
                   read_prefix(prompt, document, arena, turn, error)
               ? -1
               : 0;
}

/* The answer that a few-shot example shows. */
static int example_answer(const Turn *turn, Arena *arena, Value *out, Error *error) {
    const Value *target = turn->target.kind == VALUE_LIST ? &turn->target.as.items[0] : &turn->target;
    if (target->kind != VALUE_INT || turn->choices.kind != VALUE_LIST) {
        *out = value_to_string(arena, target);
        return 0;
    }
    if (target->as.integer < 0 || (uint64_t)target->as.integer >= turn->choices.n)
        return error_set(error, "doc_to_target gave choice %lld of %zu", (long long)target->as.integer,
                         turn->choices.n);
    *out = turn->choices.as.items[target->as.integer];
    return 0;
}

int task_process(const Task *task, const Value *row, Arena *arena, Value *out, Error *error) {
    *out = *row;
    return task->config.process_docs ? task->config.process_docs(row, arena, out, error) : 0;
}

static bool space_at_end(const Value *text) {
    const char *at = text->as.text;
    size_t bytes = text->n;
    text_rstrip(&at, &bytes);
    return bytes < text->n;
}

static bool space_at_start(const Value *text) {
    const char *at = text->as.text;
    size_t bytes = text->n;
    text_lstrip(&at, &bytes);
    return bytes < text->n;
}

/* Left, delimiter, right; without the delimiter where a side is empty or white space already parts them. */
static Value join_with(Arena *arena, const Value *left, const char *delimiter, const Value *right) {
    bool apart = left->n == 0 || right->n == 0 || space_at_end(left) || space_at_start(right);
    const char *text = arena_printf(arena, "%s%s%s", left->as.text, apart ? "" : delimiter, right->as.text);
    return value_string(text);
}

static int append_example(const Task *task, size_t index, Arena *arena, Buffer *context, Error *error) {
    const Prompt *prompt = &task->config.fewshot;
    Value document, answer = value_null();
    Turn turn;
    if (task_process(task, &task->pool[index], arena, &document, error) ||
        read_turn(prompt, &document, arena, &turn, error) || example_answer(&turn, arena, &answer, error))
        return error_prefix(error, "few-shot example %zu", index);
    const Value *text =
        turn.text.kind == VALUE_INT ? &turn.choices.as.items[turn.text.as.integer] : &turn.text;
    if (turn.prefix.n > 0) {
        answer = join_with(arena, &turn.prefix, " ", &answer);
        answer = join_with(arena, text, prompt->target_delimiter, &answer);
        buffer_append(context, answer.as.text, answer.n);
        buffer_append_text(context, prompt->fewshot_delimiter);
        return 0;
    }
    buffer_append(context, text->as.text, text->n);
    if (answer.n == 0)
        return 0; /* upstream then leaves out the delimiters too */
    buffer_append_text(context, prompt->target_delimiter);
    buffer_append(context, answer.as.text, answer.n);
    buffer_append_text(context, prompt->fewshot_delimiter);
    return 0;
}

/* Description and examples: all that stands before the question. */
static int append_preamble(const Task *task, size_t i, const Value *document, Arena *arena, Buffer *context,
                           Error *error) {
    Value description;
    if (task->config.description) {
        if (template_render(task->config.description, document, arena, &description, error))
            return -1;
        buffer_append(context, description.as.text, description.n);
    }
    size_t n = (size_t)task->info.num_fewshot;
    for (size_t e = 0; e < n; e++) {
        size_t index = task->draws[i * n + e];
        if (index != SIZE_MAX && append_example(task, index, arena, context, error))
            return -1;
    }
    return 0;
}

enum { GOLD_NONE = -100, GOLD_NO_CHOICES = -1 };

static int64_t gold_index(const Value *gold, const Value *choices) {
    if (gold->kind == VALUE_INT)
        return gold->as.integer >= 0 && (uint64_t)gold->as.integer < choices->n ? gold->as.integer
                                                                                : GOLD_NONE;
    for (size_t i = 0; i < choices->n; i++)
        if (value_equal(gold, &choices->as.items[i]))
            return (int64_t)i;
    return GOLD_NONE;
}

/* One right choice, or a list of them. */
static void set_gold(const Value *gold, const Value *choices, Arena *arena, TaskDocument *out) {
    bool several = gold->kind == VALUE_LIST;
    out->gold = gold_index(several ? &gold->as.items[0] : gold, choices);
    if (!several)
        return;
    int64_t *golds = arena_alloc(arena, gold->n * sizeof *golds);
    for (size_t i = 0; i < gold->n; i++)
        golds[i] = gold_index(&gold->as.items[i], choices);
    out->golds = golds;
    out->n_golds = gold->n;
}

/* What a generated answer is compared with: the target, each item of a list, or the choice that a number
 * names. */
static int set_targets(const Turn *turn, Arena *arena, TaskDocument *out, Error *error) {
    const Value *target = &turn->target;
    bool is_choice = turn->choices.kind == VALUE_LIST, several = !is_choice && target->kind == VALUE_LIST;
    Value answer;
    if (is_choice && example_answer(turn, arena, &answer, error))
        return -1;
    const Value *items = several ? target->as.items : is_choice ? &answer : target;
    out->n_targets = several ? target->n : 1;
    const char **targets = arena_alloc(arena, out->n_targets * sizeof *targets);
    for (size_t i = 0; i < out->n_targets; i++)
        targets[i] = value_to_string(arena, &items[i]).as.text;
    out->targets = targets;
    return 0;
}

static const char *joined(Arena *arena, const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    char *text = arena_alloc(arena, a_bytes + b_bytes + 1);
    memcpy(text, a, a_bytes);
    memcpy(text + a_bytes, b, b_bytes);
    return text;
}

static void build_choices(const Task *task, const Turn *turn, const Buffer *preamble, Arena *arena,
                          TaskDocument *out) {
    const char *delimiter = task->config.prompt.target_delimiter;
    bool choices_are_contexts = turn->text.kind == VALUE_INT;
    set_gold(choices_are_contexts ? &turn->text : &turn->target, &turn->choices, arena, out);
    out->n_choices = turn->choices.n;
    out->n_requests = out->n_choices * (task->config.wants_unconditional ? 2 : 1);
    TaskRequest *requests = arena_alloc(arena, out->n_requests * sizeof *requests);
    const char **choices = arena_alloc(arena, out->n_choices * sizeof *choices);
    const char *shared = choices_are_contexts ? NULL
                                              : joined(arena, preamble->data, preamble->size,
                                                       turn->text.as.text, turn->text.n);
    for (size_t k = 0; k < out->n_choices; k++) {
        const Value *choice = &turn->choices.as.items[k];
        const char *scored = choices_are_contexts ? out->target : choice->as.text;
        choices[k] = choice->as.text;
        requests[k] = (TaskRequest){
            .type = OUTPUT_LOGLIKELIHOOD,
            .idx = (int)k,
            .context =
                shared ? shared : joined(arena, preamble->data, preamble->size, choice->as.text, choice->n),
            .continuation = joined(arena, delimiter, strlen(delimiter), scored, strlen(scored))};
    }
    for (size_t k = out->n_choices; k < out->n_requests; k++) {
        const char *choice = choices[k - out->n_choices];
        requests[k] = (TaskRequest){.type = OUTPUT_LOGLIKELIHOOD,
                                    .idx = (int)k,
                                    .context = "",
                                    .continuation =
                                        joined(arena, delimiter, strlen(delimiter), choice, strlen(choice))};
    }
    out->requests = requests;
    out->choices = choices;
}

static int build_loglikelihood(const Turn *turn, const Buffer *preamble, Arena *arena, TaskDocument *out,
                               Error *error) {
    if (turn->target.kind != VALUE_STRING)
        return error_set(error, "doc_to_target gave %s; a string was expected",
                         value_kind_name(turn->target.kind));
    TaskRequest *request = arena_alloc(arena, sizeof *request);
    *request = (TaskRequest){
        .type = OUTPUT_LOGLIKELIHOOD,
        .context = joined(arena, preamble->data, preamble->size, turn->text.as.text, turn->text.n),
        .continuation = turn->target.as.text};
    out->gold = GOLD_NO_CHOICES;
    out->requests = request;
    out->n_requests = 1;
    return 0;
}

/* A context to go on from; the right answer may be a list of possible ones. */
static int build_generation(const Task *task, const Turn *turn, const Buffer *preamble, Arena *arena,
                            TaskDocument *out, Error *error) {
    if (turn->text.kind != VALUE_STRING)
        return error_set(error, "doc_to_text gave %s; a string was expected",
                         value_kind_name(turn->text.kind));
    TaskRequest *request = arena_alloc(arena, sizeof *request);
    *request = (TaskRequest){
        .type = OUTPUT_GENERATE_UNTIL,
        .context = joined(arena, preamble->data, preamble->size, turn->text.as.text, turn->text.n),
        .generation = task->config.generation};
    out->gold = GOLD_NO_CHOICES;
    out->requests = request;
    out->n_requests = 1;
    return set_targets(turn, arena, out, error);
}

/* The target is the whole text. */
static int build_rolling(const Turn *turn, Arena *arena, TaskDocument *out, Error *error) {
    if (turn->target.kind != VALUE_STRING)
        return error_set(error, "doc_to_target gave %s; a string was expected",
                         value_kind_name(turn->target.kind));
    TaskRequest *request = arena_alloc(arena, sizeof *request);
    *request = (TaskRequest){.type = OUTPUT_LOGLIKELIHOOD_ROLLING, .context = turn->target.as.text};
    out->gold = GOLD_NO_CHOICES;
    out->requests = request;
    out->n_requests = 1;
    return 0;
}

static int build(const Task *task, size_t i, Arena *arena, Buffer *preamble, TaskDocument *out,
                 Error *error) {
    Value document;
    Turn turn;
    Buffer json = {0};
    if (task_process(task, &task->rows[i], arena, &document, error) ||
        read_turn(&task->config.prompt, &document, arena, &turn, error) ||
        append_preamble(task, i, &document, arena, preamble, error))
        return -1;
    if (turn.prefix.n > 0)
        turn.text = join_with(arena, &turn.text, task->config.prompt.target_delimiter, &turn.prefix);
    buffer_append_text(preamble, "");
    value_append_json(&json, &document);
    out->json = arena_strndup(arena, json.data, json.size);
    buffer_free(&json);
    out->target = value_to_string(arena, &turn.target).as.text;
    switch (task->config.output_type) {
    case OUTPUT_MULTIPLE_CHOICE:
        build_choices(task, &turn, preamble, arena, out);
        return 0;
    case OUTPUT_LOGLIKELIHOOD:
        return build_loglikelihood(&turn, preamble, arena, out, error);
    case OUTPUT_LOGLIKELIHOOD_ROLLING:
        return build_rolling(&turn, arena, out, error);
    case OUTPUT_GENERATE_UNTIL:
        return build_generation(task, &turn, preamble, arena, out, error);
    }
    return -1;
}

int task_document(const Task *task, size_t i, Arena *arena, TaskDocument *out, Error *error) {
    Buffer preamble = {0};
    *out = (TaskDocument){.doc_id = (int64_t)i};
    int status = build(task, i, arena, &preamble, out, error);
    buffer_free(&preamble);
    if (status)
        error_prefix(error, "%s: document %zu", task->info.name, i);
    return status;
}

const TaskInfo *task_info(const Task *task) {
    return &task->info;
}

const char *output_type_name(OutputType type) {
    static const char *const names[] = {"multiple_choice", "loglikelihood", "loglikelihood_rolling",
                                        "generate_until"};
    return names[type];
}
