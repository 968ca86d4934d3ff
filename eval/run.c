/* The run: everything is read and planned, then the plan is walked batch by batch. After each batch its
 * responses and the documents that they complete are committed in one transaction, so that a kill loses at
 * most one batch. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "db/db.h"
#include "eval/eval.h"
#include "eval/parts.h"
#include "eval/replay_run.h"
#include "eval/requests.h"
#include "eval/run_plan.h"
#include "eval/store.h"

enum { DEFAULT_BATCH_TOKENS = 4096, DOCUMENTS_PER_COMMIT = 1024, WAIT_MS = 100 };

/* What the first seconds of a walk say about the rest is said, if the rest is long. */
static const double FIRST_SECONDS = 2, LONG_SECONDS = 10;

/* What of the run's cost is stored. */
typedef struct Cost {
    int64_t tokens, made;
    double since;
} Cost;

/* The walk of a round. */
typedef struct Walk {
    double began_s;
    Eta eta;
    EtaWork noted; /* what the eta knows of, and up to when */
    double noted_s;
    bool is_announced; /* how long it will take */
    Progress progress;
} Walk;

typedef struct Run {
    RunParts *parts;
    Db *db;
    int64_t id;
    RunScores scores;
    RunRequests all;
    EvalSummary *summary;
    Cost cost;
    Walk walk;
    int64_t fed_before, made_before; /* tokens of former rounds */
} Run;

/* ---- storing */

/* What the database has already must be what was found now: a score has one value. */
static int check_response(Run *run, const char *key, const Answer *answer, Error *error) {
    DbResponse stored;
    int found = db_response_find(run->db, key, &stored, error);
    if (found <= 0)
        return found;
    if (answer->text && !text_equal(stored.text, answer->text))
        return error_set_kind(error, ERROR_CHECK,
                              "response %.12s: generated anew it is \"%.80s\"; %s has \"%.80s\"", key,
                              answer->text, run->parts->options->db_path, stored.text ? stored.text : "");
    if (answer->text ||
        (stored.loglikelihood == answer->loglikelihood && stored.is_greedy == answer->is_greedy))
        return 0;
    return error_set_kind(error, ERROR_CHECK,
                          "response %.12s: scored anew it is %.17g, greedy %d; %s has %.17g, greedy %d", key,
                          answer->loglikelihood, answer->is_greedy, run->parts->options->db_path,
                          stored.loglikelihood, stored.is_greedy);
}

static int store_response(Run *run, const char *key, const Answer *answer, Error *error) {
    DbResponse response = {
        .loglikelihood = answer->loglikelihood, .is_greedy = answer->is_greedy, .text = answer->text};
    if (run->parts->options->no_reuse && check_response(run, key, answer, error))
        return -1;
    return db_response_put(run->db, key, &response, error);
}

/* All rows of a document whose requests are answered. */
static int store_completed(Run *run, const RunDocument *row, Error *error) {
    const RunRequest *requests = run->all.requests + row->first;
    bool rolling = run->scores.tasks[row->task].info->output_type == OUTPUT_LOGLIKELIHOOD_ROLLING;
    /* The sum of windows that were all there before, or none, has not been stored by any batch. */
    for (uint32_t i = 0; i < row->n && rolling; i++)
        if (store_response(run, requests[i].key, &requests[i].answer, error))
            return -1;
    return store_document(run->db, run->id, &run->scores, row, requests, error);
}

/* An answer of the plan: a request's, or one of its windows', and with the last window's the request's. */
static int store_answer(Run *run, uint32_t number, Error *error) {
    RunRequests *all = &run->all;
    const Planned *planned = &all->planned[number];
    RunRequest *request = &all->requests[planned->request];
    request->open--;
    if (planned->window == NO_WINDOW) {
        request->answer = plan_answer(all->plan, number);
        if (request->answer.text) /* the plan's own until its next step */
            request->answer.text = arena_strdup(&all->texts, request->answer.text);
    } else {
        RunWindow *window = &all->windows[planned->window];
        window->answer = plan_answer(all->plan, number);
        if (store_response(run, window->key, &window->answer, error))
            return -1;
        if (request->open > 0)
            return 0;
        request->answer = requests_rolling_answer(all, request);
    }
    if (store_response(run, request->key, &request->answer, error))
        return -1;
    run->summary->n_scored++;
    RunDocument *document = &all->documents[request->document];
    return --document->open == 0 ? store_completed(run, document, error) : 0;
}

static void add_time(Run *run, EvalStage stage, double since) {
    run->summary->profile.seconds[stage] += clock_seconds() - since;
}

static int in_transaction(Run *run, int (*store)(Run *, size_t *, Error *), size_t *state, Error *error) {
    double start = clock_seconds();
    if (db_begin(run->db, error))
        return -1;
    if (store(run, state, error)) {
        db_rollback(run->db);
        return -1;
    }
    int result = db_commit(run->db, error);
    add_time(run, STAGE_DATABASE, start);
    return result;
}

/* What the run has cost since the last time. */
static int store_work(Run *run, Error *error) {
    double now = clock_seconds();
    int64_t fed = run->summary->tokens_computed, made = run->summary->tokens_made;
    if (db_run_work(run->db, run->id, fed + made - run->cost.tokens, made - run->cost.made,
                    now - run->cost.since, error))
        return -1;
    run->cost = (Cost){.tokens = fed + made, .made = made, .since = now};
    return 0;
}

static int store_answers(Run *run, size_t *n, Error *error) {
    const uint32_t *answered = plan_answered(run->all.plan, n);
    for (size_t i = 0; i < *n; i++)
        if (store_answer(run, answered[i], error))
            return -1;
    return store_work(run, error);
}

/* Documents from *next on that needed no scoring, a transaction's worth. */
static int store_found(Run *run, size_t *next, Error *error) {
    for (size_t n = 0; *next < run->all.n_documents && n < DOCUMENTS_PER_COMMIT; (*next)++) {
        const RunDocument *document = &run->all.documents[*next];
        if (document->open > 0)
            continue;
        if (store_completed(run, document, error))
            return -1;
        n++;
    }
    return 0;
}

/* ---- walking */

static int step(Run *run, size_t batch_tokens, Error *error) {
    double start = clock_seconds();
    int more = plan_step(run->all.plan, run->parts->engine, batch_tokens, error);
    add_time(run, STAGE_ENGINE, start);
    return more;
}

/* What was answered, and what it took, unless nothing was: then it waits for the next time. */
static int commit_batch(Run *run, Error *error) {
    EvalSummary *summary = run->summary;
    const Plan *plan = run->all.plan;
    size_t n;
    summary->tokens_computed = run->fed_before + (int64_t)plan_tokens_fed(plan);
    summary->tokens_made = run->made_before + (int64_t)plan_tokens_made(plan);
    plan_answered(plan, &n);
    return n > 0 ? in_transaction(run, store_answers, &n, error) : 0;
}

/* How long it will take is said once there is something to judge by, and shown from then on. Done is the
 * share of the tokens that is as far as the share of the time, since some tokens take longer than others. */
static void show_progress(Run *run) {
    const Plan *plan = run->all.plan;
    Walk *walk = &run->walk;
    Progress *progress = &walk->progress;
    EtaWork done = plan_work_done(plan);
    double now = clock_seconds(), spent = now - walk->began_s;
    eta_note(&walk->eta, eta_work_difference(done, walk->noted), now - walk->noted_s);
    walk->noted = done;
    walk->noted_s = now;
    progress->left_s = eta_left(&walk->eta, plan_work_left(plan));
    progress->done = (int64_t)(spent / (spent + progress->left_s) * (double)progress->total);
    if (spent < FIRST_SECONDS)
        return;
    if (!walk->is_announced && progress->left_s > LONG_SECONDS)
        run_plan_log_eta(run->parts, progress->left_s, (double)plan_tokens_fed(plan) / spent);
    walk->is_announced = true;
    progress_update(progress, progress->done);
}

static int score_batches(Run *run, Error *error) {
    const EvalOptions *options = run->parts->options;
    size_t batch_tokens = options->batch_tokens ? options->batch_tokens : DEFAULT_BATCH_TOKENS;
    Plan *plan = run->all.plan;
    int more;
    run->cost.since = run->walk.began_s = run->walk.noted_s = clock_seconds();
    while ((more = step(run, batch_tokens, error)) > 0) {
        if (commit_batch(run, error))
            return -1;
        show_progress(run);
        log_debug(options->log, "%lld tokens computed, %lld requests answered",
                  (long long)run->summary->tokens_computed, (long long)run->summary->n_scored);
        if (parts_stopped(run->parts, error))
            return -1;
    }
    if (more == 0)
        run->walk.progress.done = run->walk.progress.total;
    log_debug(options->log, "states took at most %zu of %lld bytes", plan_peak_bytes(plan),
              (long long)run->summary->plan.budget_bytes);
    return more;
}

static int score_everything(Run *run, const EvalPlan *plan, Error *error) {
    Progress *progress = &run->walk.progress;
    run->walk = (Walk){0};
    for (size_t next = 0; next < run->all.n_documents;)
        if (in_transaction(run, store_found, &next, error) || parts_stopped(run->parts, error))
            return -1;
    progress_begin(progress, run->parts->options->progress, "scoring", "tokens", 0,
                   plan->tokens_distinct + plan->tokens_again);
    int result = score_batches(run, error);
    progress_end(progress);
    return result;
}

static int describe_plan(const Run *run, const EvalPlan *plan, Error *error) {
    DbPlan row = {.n_requests = plan->n_requests,
                  .n_reused = plan->n_reused,
                  .tokens_alone = plan->tokens_alone,
                  .tokens_distinct = plan->tokens_distinct,
                  .tokens_again = plan->tokens_again,
                  .memory_bytes = plan->memory_bytes,
                  .state_budget_bytes = plan->budget_bytes,
                  .planning_seconds = plan->seconds};
    return db_run_plan(run->db, run->id, &row, error);
}

/* Until the others have answered what they claimed, or one of them has ended without. */
static int wait_for_others(const Run *run, Error *error) {
    const RunRequests *all = &run->all;
    DbResponse response;
    DbWorker holder;
    log_info(run->parts->options->log,
             "process %lld on %s is computing %zu of the answers that this run needs: waiting for it",
             (long long)all->holder.process_id, all->holder.host, all->n_elsewhere);
    for (size_t i = 0; i < all->n_elsewhere;) {
        int found = db_response_find(run->db, all->elsewhere[i], &response, error);
        int alive = found ? 1 : db_claim_find(run->db, all->elsewhere[i], &holder, error);
        if (found < 0 || alive < 0 || parts_stopped(run->parts, error))
            return -1;
        if (!alive)
            return 0;
        i += found > 0;
        if (!found)
            nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000L}, NULL);
    }
    return 0;
}

/* Scores what nobody has answered and nobody else is computing. */
static int run_round(Run *run, EvalPlan *plan, Error *error) {
    bool no_reuse = run->parts->options->no_reuse;
    EvalProfile *profile = &run->summary->profile;
    if (scores_init(&run->scores, run->parts->tasks, error) ||
        run_plan_make(run->parts, no_reuse ? NULL : run->db, !no_reuse, &run->all, plan, error) ||
        describe_plan(run, plan, error))
        return -1;
    profile->seconds[STAGE_READING] += run->all.reading_s;
    profile->seconds[STAGE_PLANNING] += plan->seconds - run->all.reading_s;
    run->fed_before = run->summary->tokens_computed;
    run->made_before = run->summary->tokens_made;
    if (plan == &run->summary->plan)
        run_plan_log(run->parts, plan);
    return score_everything(run, plan, error);
}

/* What other processes compute is waited for; then everything that is still open is ours. */
static int run_rounds(Run *run, Error *error) {
    EvalPlan later, *plan = &run->summary->plan;
    while (run_round(run, plan, error) == 0) {
        if (run->all.n_elsewhere == 0)
            return 0;
        if (wait_for_others(run, error))
            return -1;
        requests_free(&run->all);
        scores_free(&run->scores);
        plan = &later;
    }
    return -1;
}

static int run_planned(Run *run, Error *error) {
    if (db_worker_start(run->db, run->id, error) || run_rounds(run, error))
        return -1;
    double start = clock_seconds();
    if (scores_store(&run->scores, BOOTSTRAP_ITERATIONS, run->parts->options->n_threads, run->db, run->id,
                     run->parts->options->log, error))
        return -1;
    add_time(run, STAGE_STATISTICS, start);
    start = clock_seconds();
    int result = db_run_finish(run->db, run->id, error) || db_worker_end(run->db, error) ? -1 : 0;
    add_time(run, STAGE_DATABASE, start);
    return result;
}

/* Nothing to plan and nothing to compute: the answers are there. */
static int run_replayed(Run *run, Error *error) {
    const RunParts *parts = run->parts;
    if (scores_init(&run->scores, parts->tasks, error) ||
        replay_score(parts, &run->scores, run->db, run->id, &run->summary->plan.n_requests, error) ||
        scores_store(&run->scores, BOOTSTRAP_ITERATIONS, parts->options->n_threads, run->db, run->id,
                     parts->options->log, error))
        return -1;
    return db_run_finish(run->db, run->id, error);
}

static int run_in_db(RunParts *parts, Db *db, EvalSummary *summary, Error *error) {
    Run run = {.parts = parts, .db = db, .summary = summary};
    double start = clock_seconds();
    if (parts_describe(parts, db, &run.id, &summary->was_complete, error))
        return -1;
    add_time(&run, STAGE_DATABASE, start);
    summary->run_id = run.id;
    summary->was_complete &= !parts->options->no_reuse;
    if (summary->was_complete)
        return 0;
    if (!parts->replay)
        engine_warm_up(parts->engine); /* while documents are read and tokenised */
    int result = parts->replay ? run_replayed(&run, error) : run_planned(&run, error);
    requests_free(&run.all);
    scores_free(&run.scores);
    return result;
}

int eval_run(const EvalOptions *options, EvalSummary *summary, Error *error) {
    RunParts parts;
    Db *db = NULL;
    *summary = (EvalSummary){0};
    EvalProfile *profile = &summary->profile;
    double start = clock_seconds();
    int result = parts_open(&parts, options, error);
    profile->seconds[STAGE_HASHING] = parts.hashing_s;
    profile->seconds[STAGE_OPENING] = clock_seconds() - start - parts.hashing_s;
    profile->detailed = options->profile && parts.engine;
    if (result == 0 && profile->detailed) {
        engine_profile_start(parts.engine);
        start = clock_seconds() - profile->seconds[STAGE_HASHING] - profile->seconds[STAGE_OPENING];
    }
    if (result == 0)
        result = db_open(&db, options->db_path, DB_WRITE, error);
    if (result == 0)
        result = run_in_db(&parts, db, summary, error);
    if (profile->detailed)
        eval_profile_split(profile, engine_profile(parts.engine));
    profile->total = clock_seconds() - start;
    db_close(db);
    parts_close(&parts);
    return result;
}
