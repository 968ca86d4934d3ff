/* See scoring.h. */
#include "cli/scoring.h"

#include "base/base.h"
#include "reports/lm_eval_files.h"
#include "reports/reports.h"

static void say_what_was_done(const EvalOptions *options, const EvalSummary *summary) {
    const EvalPlan *plan = &summary->plan;
    if (summary->was_complete) {
        log_info(options->log, "run %lld is in %s already, complete: nothing to score",
                 (long long)summary->run_id, options->db_path);
        return;
    }
    log_info(
        options->log,
        "run %lld: %lld requests, %lld scored now, %lld found in %s; %lld tokens computed, %lld generated",
        (long long)summary->run_id, (long long)plan->n_requests, (long long)summary->n_scored,
        (long long)plan->n_reused, options->db_path, (long long)summary->tokens_computed,
        (long long)summary->tokens_made);
    if (plan->n_truncated > 0)
        log_warning(
            options->log,
            "%lld of %lld requests were longer than max_length and were cut on the left: v_truncated in "
            "the database lists them",
            (long long)plan->n_truncated, (long long)plan->n_requests);
    if (plan->n_shortened > 0)
        log_warning(options->log,
                    "%lld documents lost few-shot examples so that they fit max_length: v_truncated in the "
                    "database lists them",
                    (long long)plan->n_shortened);
}

static void say_where_time_went(const EvalProfile *profile) {
    Buffer text = {0};
    eval_profile_text(profile, &text);
    fwrite(text.data, 1, text.size, stderr);
    buffer_free(&text);
}

static int write_page(Db *db, const ReportOptions *report, const char *path, Error *error) {
    Buffer page = {0};
    int result = report_html(db, report, &page, error);
    if (result == 0)
        result = file_write_atomic(path, page.data, page.size, error);
    buffer_free(&page);
    return result;
}

static int write_lm_eval(const EvalOptions *options, Db *db, int64_t run_id, const ScoringFiles *files,
                         Error *error) {
    Buffer path = {0};
    const LmEvalOptions wanted = {.run_id = run_id, .output_path = files->lm_eval, .samples = files->samples};
    int result = report_lm_eval_files(db, &wanted, &path, error);
    if (result == 0)
        log_info(options->log, "results in lm-eval's format: %s", path.data);
    buffer_free(&path);
    return result;
}

int scoring_show(const EvalOptions *options, int64_t run_id, ScoringOutput output, const ScoringFiles *files,
                 Error *error) {
    Db *db = NULL;
    Buffer text = {0};
    const ReportOptions report = {.run_id = run_id};
    int result = db_open(&db, options->db_path, DB_READ, error);
    if (result == 0)
        result = output == SCORING_JSON ? report_json(db, &report, &text, error)
                                        : report_markdown(db, &report, &text, error);
    if (result == 0)
        fwrite(text.data, 1, text.size, stdout);
    if (result == 0 && files->html)
        result = write_page(db, &report, files->html, error);
    if (result == 0 && files->lm_eval)
        result = write_lm_eval(options, db, run_id, files, error);
    buffer_free(&text);
    db_close(db);
    return result;
}

int scoring_run(const EvalOptions *options, ScoringOutput output, const ScoringFiles *files, Error *error) {
    EvalSummary summary;
    if (eval_run(options, &summary, error))
        return -1;
    say_what_was_done(options, &summary);
    if (options->profile)
        say_where_time_went(&summary.profile);
    return scoring_show(options, summary.run_id, output, files, error);
}

int scoring_plan(const EvalOptions *options, bool json, Error *error) {
    EvalPlan plan;
    Buffer text = {0};
    if (eval_plan(options, &plan, error))
        return -1;
    if (json)
        eval_plan_json(&plan, &text);
    else
        eval_plan_text(&plan, &text);
    fwrite(text.data, 1, text.size, stdout);
    buffer_free(&text);
    return 0;
}
