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

static double seconds_left(const EvalPlan *plan) {
    return (double)(plan->tokens_distinct + plan->tokens_again) / plan->tokens_per_second;
}

void eval_plan_text(const EvalPlan *plan, Buffer *out) {
    buffer_printf(out, "%lld requests, %lld of them answered in the database; read and planned in ",
                  (long long)plan->n_requests, (long long)plan->n_reused);
    progress_format_duration(plan->seconds, out);
    buffer_printf(out,
                  "\n%lld tokens were each request fed alone, %lld distinct prefixes: %.2f times fewer to "
                  "compute\nmemory ",
                  (long long)plan->tokens_alone, (long long)plan->tokens_distinct, ratio(plan));
    append_bytes(out, plan->memory_bytes);
    buffer_append_text(out, ", of these ");
    append_bytes(out, plan->budget_bytes);
    buffer_append_text(out, " for states; one sequence at a time needs ");
    append_bytes(out, plan->state_bytes);
    buffer_append_char(out, '\n');
    if (plan->tokens_again > 0)
        buffer_printf(out, "%lld tokens are computed again because states have no room in that memory\n",
                      (long long)plan->tokens_again);
    if (plan->tokens_per_second <= 0)
        return;
    buffer_append_text(out, "about ");
    progress_format_duration(seconds_left(plan), out);
    buffer_printf(out, " at %.0f tokens a second, as measured just now\n", plan->tokens_per_second);
}

void eval_plan_json(const EvalPlan *plan, Buffer *out) {
    buffer_printf(out,
                  "{\"requests\": %lld, \"requests_answered\": %lld, \"requests_truncated\": %lld, "
                  "\"tokens_alone\": %lld, \"tokens_distinct\": %lld, \"tokens_again\": %lld, "
                  "\"ratio\": %.6g, \"memory_bytes\": %lld, \"state_budget_bytes\": %lld, "
                  "\"state_bytes\": %lld, \"planning_seconds\": %.3f",
                  (long long)plan->n_requests, (long long)plan->n_reused, (long long)plan->n_truncated,
                  (long long)plan->tokens_alone, (long long)plan->tokens_distinct,
                  (long long)plan->tokens_again, ratio(plan), (long long)plan->memory_bytes,
                  (long long)plan->budget_bytes, (long long)plan->state_bytes, plan->seconds);
    if (plan->tokens_per_second > 0)
        buffer_printf(out, ", \"tokens_per_second\": %.6g, \"eta_seconds\": %.3f", plan->tokens_per_second,
                      seconds_left(plan));
    buffer_append_text(out, "}\n");
}
