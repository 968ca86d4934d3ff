/* A document into requests: the contexts with few-shot turns before the question, and one request for each
 * choice. */
#include <string.h>

#include "base/text.h"
#include "tasks/prompt.h"
#include "tasks/task.h"

enum { GOLD_NONE = -100, GOLD_NO_CHOICES = -1 };

static int64_t gold_index(const Value *gold, const Value *choices) {
    int64_t choice;
    if (value_as_int(gold, &choice))
        return choice >= 0 && (uint64_t)choice < choices->n ? choice : GOLD_NONE;
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
    if (is_choice && turn_answer(turn, COMPAT_MAIN, arena, &answer, error))
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

/* What stands between a context and a choice. A chat's template has already parted them, unless the answer
 * has begun. Upstream looks at the prefix as the task file has it. */
static const char *choice_delimiter(const Task *task) {
    const Source *prefix = &task->config.prompt.prefix;
    if (!task->chat)
        return task->config.prompt.target_delimiter;
    size_t bytes = prefix->text ? strlen(prefix->text) : 0, whole = bytes;
    const char *text = prefix->text;
    if (bytes > 0)
        text_rstrip(&text, &bytes);
    return whole > 0 && bytes == whole ? task->config.prompt.target_delimiter : "";
}

static void build_choices(const Task *task, const Turn *turn, const char *const *contexts, Arena *arena,
                          TaskDocument *out) {
    const char *delimiter = choice_delimiter(task);
    bool choices_are_contexts = task->many_contexts;
    set_gold(choices_are_contexts ? &turn->text : &turn->target, &turn->choices, arena, out);
    out->n_choices = turn->choices.n;
    out->n_requests = out->n_choices * (task->config.wants_unconditional ? 2 : 1);
    TaskRequest *requests = arena_alloc(arena, out->n_requests * sizeof *requests);
    const char **choices = arena_alloc(arena, out->n_choices * sizeof *choices);
    for (size_t k = 0; k < out->n_choices; k++) {
        const Value *choice = &turn->choices.as.items[k];
        const char *scored = choices_are_contexts ? out->target : choice->as.text;
        choices[k] = choice->as.text;
        requests[k] = (TaskRequest){.type = OUTPUT_LOGLIKELIHOOD,
                                    .idx = (int)k,
                                    .context = contexts[choices_are_contexts ? k : 0],
                                    .continuation =
                                        joined(arena, delimiter, strlen(delimiter), scored, strlen(scored))};
    }
    if (task->config.compat == COMPAT_V0_4_0)
        delimiter = ""; /* it asked for the bare choices */
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

static int build_loglikelihood(const Turn *turn, const char *const *contexts, Arena *arena, TaskDocument *out,
                               Error *error) {
    if (turn->target.kind != VALUE_STRING)
        return error_set(error, "doc_to_target gave %s; a string was expected",
                         value_kind_name(turn->target.kind));
    TaskRequest *request = arena_alloc(arena, sizeof *request);
    *request = (TaskRequest){
        .type = OUTPUT_LOGLIKELIHOOD, .context = contexts[0], .continuation = turn->target.as.text};
    out->gold = GOLD_NO_CHOICES;
    out->requests = request;
    out->n_requests = 1;
    return 0;
}

/* A context to go on from, as often as the task says; the right answer may be a list of possible ones. */
static int build_generation(const Task *task, const Turn *turn, const char *const *contexts, Arena *arena,
                            TaskDocument *out, Error *error) {
    size_t n = (size_t)task->config.repeats;
    TaskRequest *requests = arena_alloc(arena, n * sizeof *requests);
    for (size_t i = 0; i < n; i++)
        requests[i] = (TaskRequest){.type = OUTPUT_GENERATE_UNTIL,
                                    .idx = (int)i,
                                    .context = contexts[0],
                                    .generation = task->config.generation};
    out->gold = GOLD_NO_CHOICES;
    out->requests = requests;
    out->n_requests = n;
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

static Value row_of(const Task *task, size_t i, Arena *arena) {
    return dataset_row(task->data, task->chosen ? task->chosen[i] : i, arena);
}

static int build(const Task *task, size_t i, Arena *arena, TaskDocument *out, Error *error) {
    Value row = row_of(task, i, arena), document;
    Turn turn;
    Buffer json = {0};
    OutputType type = task->config.output_type;
    const char *const *contexts = NULL;
    if (task_process(task, &row, arena, &document, error) ||
        turn_read(&task->config.prompt, &document, arena, &turn, error) ||
        (type != OUTPUT_LOGLIKELIHOOD_ROLLING &&
         context_build(task, i, &document, &turn, arena, &contexts, error)))
        return -1;
    value_append_json(&json, &document);
    out->json = arena_strndup(arena, json.data, json.size);
    buffer_free(&json);
    out->target = value_to_string(arena, &turn.target).as.text;
    switch (type) {
    case OUTPUT_MULTIPLE_CHOICE:
        build_choices(task, &turn, contexts, arena, out);
        return 0;
    case OUTPUT_LOGLIKELIHOOD:
        return build_loglikelihood(&turn, contexts, arena, out, error);
    case OUTPUT_LOGLIKELIHOOD_ROLLING:
        return build_rolling(&turn, arena, out, error);
    case OUTPUT_GENERATE_UNTIL:
        return build_generation(task, &turn, contexts, arena, out, error);
    }
    return -1;
}

int task_document(const Task *task, size_t i, Arena *arena, TaskDocument *out, Error *error) {
    *out = (TaskDocument){.doc_id = (int64_t)(task->chosen ? task->chosen[i] : i)};
    if (build(task, i, arena, out, error))
        return error_prefix(error, "%s: document %lld", task->info.name, (long long)out->doc_id);
    return 0;
}

int task_document_dropping(const Task *task, size_t i, size_t n_dropped, Arena *arena, TaskDocument *out,
                           Error *error) {
    Task shorter = *task;
    shorter.n_dropped = n_dropped;
    return task_document(&shorter, i, arena, out, error);
}

int task_process(const Task *task, const Value *row, Arena *arena, Value *out, Error *error) {
    *out = *row;
    return task->config.process_docs ? task->config.process_docs(row, arena, out, error) : 0;
}

int pool_document(const Task *task, size_t index, Arena *arena, Value *out, Error *error) {
    Value row = *out = dataset_row(task->pool, index, arena);
    return task->config.process_pool ? task->config.process_pool(&row, arena, out, error) : 0;
}

const TaskInfo *task_info(const Task *task) {
    return &task->info;
}

const char *output_type_name(OutputType type) {
    static const char *const names[] = {"multiple_choice", "loglikelihood", "loglikelihood_rolling",
                                        "generate_until"};
    return names[type];
}
