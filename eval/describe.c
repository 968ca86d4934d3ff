/* A run's plan in words and as JSON; see eval.h. */
#include "base/base.h"
#include "eval/eval.h"

static double ratio(const EvalPlan *plan) {
    int64_t fed = plan->tokens_distinct + plan->tokens_again;
    return fed > 0 ? (double)plan->tokens_alone / (double)fed : 1;
}

static void append_bytes(Buffer *out, int64_t bytes) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;
    for (; value >= 1024 && unit < 3; unit++)
        value /= 1024;
    buffer_printf(out, "%.1f %s", value, units[unit]);
}

const char *truncation_name(TruncationPolicy policy) {
    static const char *const names[] = {"match", "error", "drop-shots"};
    return names[policy];
}

bool truncation_parse(const char *name, TruncationPolicy *out) {
    for (TruncationPolicy policy = TRUNCATION_MATCH; policy <= TRUNCATION_DROP_SHOTS; policy++)
        if (text_equal(name, truncation_name(policy))) {
            *out = policy;
            return true;
        }
    return false;
}

void eval_plan_text(const EvalPlan *plan, Buffer *out) {
    buffer_printf(out, "%lld requests, %lld of them answered in the database; read and planned in ",
                  (long long)plan->n_requests, (long long)plan->n_reused);
    progress_format_duration(plan->seconds, out);
    buffer_printf(out, "\n%lld tokens were each request fed alone, %lld distinct prefixes",
                  (long long)plan->tokens_alone, (long long)plan->tokens_distinct);
    if (plan->tokens_again > 0)
        buffer_printf(out, " and %lld computed again because states have no room",
                      (long long)plan->tokens_again);
    buffer_printf(out, ": %.2f times fewer to compute\nmemory ", ratio(plan));
    append_bytes(out, plan->memory_bytes);
    buffer_append_text(out, ", of these ");
    append_bytes(out, plan->budget_bytes);
    buffer_append_text(out, " for states; one sequence at a time needs ");
    append_bytes(out, plan->state_bytes);
    buffer_append_char(out, '\n');
    if (plan->fixed_bytes > plan->memory_bytes) {
        buffer_append_text(out, "that memory is too little: the weights and the program alone take about ");
        append_bytes(out, plan->fixed_bytes);
        buffer_append_char(out, '\n');
    }
    if (plan->n_prompts > 0)
        buffer_printf(out, "%lld texts to generate, of at most %lld tokens together\n",
                      (long long)plan->n_prompts, (long long)plan->tokens_to_make);
    if (plan->n_truncated > 0)
        buffer_printf(out, "%lld requests are longer than max_length and are cut on the left\n",
                      (long long)plan->n_truncated);
    if (plan->n_shortened > 0)
        buffer_printf(out, "%lld documents lose few-shot examples so that they fit max_length\n",
                      (long long)plan->n_shortened);
    if (plan->tokens_per_second <= 0)
        return;
    buffer_append_text(out, "about ");
    progress_format_duration(plan->eta_seconds, out);
    buffer_printf(out, " at %.0f tokens a second, as measured just now\n", plan->tokens_per_second);
}

void eval_plan_json(const EvalPlan *plan, Buffer *out) {
    buffer_printf(
        out,
        "{\"requests\": %lld, \"requests_answered\": %lld, \"requests_truncated\": %lld, "
        "\"documents_shortened\": %lld, \"texts\": %lld, \"tokens_to_make\": %lld, "
        "\"tokens_alone\": %lld, \"tokens_distinct\": %lld, \"tokens_again\": %lld, "
        "\"ratio\": %.6g, \"memory_bytes\": %lld, \"fixed_bytes\": %lld, \"state_budget_bytes\": %lld, "
        "\"state_bytes\": %lld, \"planning_seconds\": %.3f",
        (long long)plan->n_requests, (long long)plan->n_reused, (long long)plan->n_truncated,
        (long long)plan->n_shortened, (long long)plan->n_prompts, (long long)plan->tokens_to_make,
        (long long)plan->tokens_alone, (long long)plan->tokens_distinct, (long long)plan->tokens_again,
        ratio(plan), (long long)plan->memory_bytes, (long long)plan->fixed_bytes,
        (long long)plan->budget_bytes, (long long)plan->state_bytes, plan->seconds);
    if (plan->tokens_per_second > 0)
        buffer_printf(out, ", \"tokens_per_second\": %.6g, \"eta_seconds\": %.3f", plan->tokens_per_second,
                      plan->eta_seconds);
    buffer_append_text(out, "}\n");
}
