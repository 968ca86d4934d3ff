/* See run_plan.h; and the dry run, which makes a plan and measures how fast it would be walked. */
#include "eval/run_plan.h"

#include <string.h>

#include "base/base.h"
#include "eval/budget.h"
#include "eval/chat.h"
#include "eval/parts.h"
#include "eval/replay.h"
#include "eval/scores.h"

/* Collects until everything that is planned is claimed too: what another process claimed meanwhile is not
 * planned the next time. */
static int collect_and_claim(const RunParts *parts, Db *db, bool claims, RunRequests *all, Error *error) {
    for (bool claimed = false; !claimed;) {
        if (requests_collect(all, parts, db, claims, error))
            return -1;
        claimed = true;
        if (claims && requests_claim(all, db, &claimed, error))
            return -1;
        if (!claimed)
            requests_free(all);
    }
    return 0;
}

int run_plan_make(const RunParts *parts, Db *db, bool claims, RunRequests *all, EvalPlan *plan,
                  Error *error) {
    double start = clock_seconds();
    if (collect_and_claim(parts, db, claims, all, error))
        return -1;
    mem_trim(); /* what opening and reading needed is not needed while the model is scored */
    Budget budget = budget_find(parts);
    plan_narrow(all->plan, budget.narrow_bytes);
    plan_settle(all->plan, engine_info(parts->engine), budget.state_bytes);
    mem_trim();
    PlanCounts counts = plan_counts(all->plan);
    size_t room = plan_room_bytes(all->plan);
    *plan = (EvalPlan){.n_requests = (int64_t)all->n_requests,
                       .n_reused = (int64_t)(all->n_requests - all->n_new),
                       .n_truncated = (int64_t)all->n_truncated,
                       .n_shortened = (int64_t)all->n_shortened,
                       .n_bos_missing = (int64_t)all->n_bos_missing,
                       .n_bos_twice = (int64_t)all->n_bos_twice,
                       .n_prompts = (int64_t)counts.n_prompts,
                       .tokens_to_make = (int64_t)counts.tokens_to_make,
                       .tokens_alone = (int64_t)counts.tokens_alone,
                       .tokens_distinct = (int64_t)counts.tokens_distinct,
                       .tokens_again = (int64_t)counts.tokens_again,
                       .memory_bytes =
                           (int64_t)(budget.is_asked ? budget.process_bytes : budget.fixed_bytes + room),
                       .budget_bytes = (int64_t)room,
                       .fixed_bytes = (int64_t)budget.fixed_bytes,
                       .state_bytes = (int64_t)counts.state_bytes,
                       .seconds = clock_seconds() - start};
    return 0;
}

/* Upstream's words for it, and only where there is a template that could be applied. */
static void warn_of_plain_prompts(const EvalOptions *options) {
    ChatTemplate chat;
    if (options->tasks.chat || (!strcasestr(options->model, "inst") && !strcasestr(options->model, "chat")) ||
        chat_template_read(&chat, options->model, NULL, NULL))
        return;
    chat_template_free(&chat);
    log_warning(options->log,
                "by its name %s was taught to converse, and it has a chat template: these prompts are plain "
                "text; --apply-chat-template makes them conversations",
                options->model);
}

void run_plan_log(const RunParts *parts, const EvalPlan *plan) {
    Log *log = parts->options->log;
    Buffer text = {0};
    eval_plan_text(plan, &text);
    for (char *line = text.data, *end; line && (end = strchr(line, '\n')); line = end + 1)
        log_info(log, "%.*s", (int)(end - line), line);
    buffer_free(&text);
    warn_of_plain_prompts(parts->options);
    if (plan->n_bos_twice > 0)
        log_warning(
            log,
            "%lld of %lld requests begin with BOS twice: the prompts bring one that does not stand at "
            "their very beginning; --bos none leaves ours out",
            (long long)plan->n_bos_twice, (long long)plan->n_requests);
    if (plan->n_bos_missing > 0)
        log_warning(
            log,
            "%lld of %lld requests do not begin with BOS, which this tokenizer puts first by default: %s",
            (long long)plan->n_bos_missing, (long long)plan->n_requests,
            parts->encoder.add_bos ? "it was cut off with what was too long"
                                   : "--bos none or --compat v0.4.0 leaves it out");
}

void run_plan_log_eta(const RunParts *parts, double seconds, double tokens_per_second) {
    Buffer text = {0};
    progress_format_duration(seconds, &text);
    log_info(parts->options->log, "about %s more, judging by %.0f tokens a second in the first ones",
             text.data, tokens_per_second);
    buffer_free(&text);
}

/* ---- planning only */

static const double MEASURE_SECONDS = 2;

/* Walks the plan for some seconds, answers thrown away. A model so slow that a few tokens take that long is
 * judged by those. */
static int measure(RunRequests *all, Engine *engine, EvalPlan *plan, Error *error) {
    enum { FIRST_TOKENS = 32, BATCH_TOKENS = 512 };
    static const int32_t tokens[FIRST_TOKENS] = {0};
    Segment first = {.tokens = tokens, .n_tokens = FIRST_TOKENS};
    double start = clock_seconds(), took;
    if (engine_score(engine, &first, 1, error))
        return -1;
    took = clock_seconds() - start;
    plan->tokens_per_second = FIRST_TOKENS / took;
    plan->eta_seconds =
        (double)(plan->tokens_distinct + plan->tokens_again + plan->tokens_to_make) / plan->tokens_per_second;
    if (took > MEASURE_SECONDS)
        return 0;
    Eta eta = {0};
    EtaWork all_done = {0};
    int more = 1;
    for (took = 0; took < MEASURE_SECONDS && more > 0;) {
        start = clock_seconds();
        if ((more = plan_step(all->plan, engine, BATCH_TOKENS, error)) < 0)
            return -1;
        double seconds = clock_seconds() - start;
        EtaWork done = plan_work_done(all->plan);
        eta_note(&eta, eta_work_difference(done, all_done), seconds);
        all_done = done;
        took += seconds;
    }
    if (plan_tokens_fed(all->plan) > 0) {
        plan->tokens_per_second = (double)plan_tokens_fed(all->plan) / took;
        plan->eta_seconds = took + eta_left(&eta, plan_work_left(all->plan));
    }
    return 0;
}

static int plan_and_measure(RunParts *parts, Db *db, EvalPlan *plan, Error *error) {
    RunScores scores = {0};
    RunRequests all = {0};
    int result = scores_init(&scores, parts->tasks, error); /* refuses what a run would refuse */
    if (result == 0)
        result = run_plan_make(parts, db, false, &all, plan, error);
    if (result == 0)
        result = measure(&all, parts->engine, plan, error);
    requests_free(&all);
    scores_free(&scores);
    return result;
}

int eval_plan(const EvalOptions *options, EvalPlan *plan, Error *error) {
    RunParts parts;
    Db *db = NULL;
    *plan = (EvalPlan){0};
    if (replay_path(options->model))
        return error_set_kind(error, ERROR_USAGE, "--dry-run: recorded answers need no plan");
    int result = parts_open(&parts, options, error);
    if (result == 0 && !options->no_reuse && file_exists(options->db_path))
        result = db_open(&db, options->db_path, DB_READ, error);
    if (result == 0)
        result = plan_and_measure(&parts, db, plan, error);
    db_close(db);
    parts_close(&parts);
    return result;
}
