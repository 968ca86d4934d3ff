/* See reproduction.h. */
#include "cli/reproduction.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/ceiling.h"
#include "cli/data_sets.h"

/* What of the machine's best arithmetic scoring reaches, and how many letters a token has: enough for a guess
 * that says hours or weeks. */
#define USUAL_EFFICIENCY 0.4
#define BYTES_PER_TOKEN 4.0
#define CEILING_SECONDS 0.3

/* Bytes of a task's prompts, each prompt's beginning that the one before it has too left out. */
static int measure_task(const Task *task, ReproductionJob *job, Error *error) {
    Arena arena = {0};
    char *last = mem_strdup("");
    int result = 0;
    for (size_t i = 0; i < task_info(task)->n_documents && result == 0; i++) {
        TaskDocument document;
        result = task_document(task, i, &arena, &document, error);
        for (size_t r = 0; r < document.n_requests && result == 0; r++) {
            const TaskRequest *request = &document.requests[r];
            size_t same = 0;
            while (last[same] && last[same] == request->context[same])
                same++;
            job->n_bytes += (int64_t)strlen(request->context + same) +
                            (int64_t)(request->continuation ? strlen(request->continuation) : 0);
            job->n_requests++;
            free(last);
            last = mem_strdup(request->context);
        }
        arena_reset(&arena);
    }
    free(last);
    arena_free(&arena);
    return result;
}

static int pull_data_sets(ReproductionJob *job, const DataSets *missing, Error *error) {
    for (size_t i = 0; i < missing->n; i++)
        if (data_set_pull(&missing->items[i], &job->pull, NULL, error) != 0)
            return -1;
    free(job->data_folder);
    job->data_folder = NULL;
    if (zoo_data_folder(&job->data_folder, error) != 0)
        return -1;
    job->eval.tasks.data_root = job->data_folder;
    return 0;
}

/* The column's data sets, where they are ours to fetch. */
static int fetch_data(ReproductionJob *job, const ReproductionColumn *column, bool measure, Error *error) {
    Arena arena = {0};
    DataSets missing;
    TaskOptions options = job->eval.tasks;
    options.names = &column->task;
    options.n_names = 1;
    options.log = NULL;
    if (!job->data_is_ours || job->pull.offline)
        return 0;
    int result = data_sets_of_tasks(&missing, &options, &arena, error);
    if (result == 0)
        data_sets_drop_present(&missing, options.data_root);
    if (result == 0 && missing.n > 0)
        result = measure ? error_set(error, "its data set %s has to be pulled first (zeval pull datasets/%s)",
                                     missing.items[0].path, missing.items[0].path)
                         : pull_data_sets(job, &missing, error);
    data_sets_free(&missing);
    arena_free(&arena);
    return result;
}

static int check_task(ReproductionJob *job, const ReproductionColumn *column, bool measure, Error *error) {
    TaskSet *set;
    if (fetch_data(job, column, measure, error) != 0)
        return -1;
    TaskOptions options = job->eval.tasks;
    options.names = &column->task;
    options.n_names = 1;
    options.num_fewshot = (int)column->shots;
    options.log = NULL;
    if (task_set_open(&set, &options, error) != 0)
        return -1;
    int result = 0;
    for (size_t i = 0; i < task_set_count(set) && measure && result == 0; i++)
        result = measure_task(task_set_task(set, i), job, error);
    task_set_close(set);
    return result;
}

static void add_to_group(ReproductionJob *job, const ReproductionColumn *column) {
    size_t g = 0;
    while (g < job->n_groups && job->groups[g].shots != column->shots)
        g++;
    ReproductionGroup *group = &job->groups[g];
    if (g == job->n_groups) {
        job->n_groups++;
        group->shots = column->shots;
        group->tasks = arena_alloc(job->arena, job->table->n_columns * sizeof *group->tasks);
    }
    group->tasks[group->n_tasks++] = column->task;
}

int reproduction_check_tasks(ReproductionJob *job, bool measure, Error *error) {
    const Reproduction *table = job->table;
    job->groups = arena_alloc(job->arena, table->n_columns * sizeof *job->groups);
    for (size_t c = 0; c < table->n_columns; c++) {
        const ReproductionColumn *column = &table->columns[c];
        Error found = {0};
        if (check_task(job, column, measure, &found) == 0) {
            add_to_group(job, column);
            continue;
        }
        if (found.kind == ERROR_STOPPED) {
            *error = found;
            return -1;
        }
        job->n_problems++;
        log_warning(job->eval.log, "column %s is left out: %s", column->heading, found.message);
    }
    if (job->n_groups == 0)
        return error_set(error, "no column of %s, %s can be run on this machine", table->paper, table->title);
    return 0;
}

/* The job's options for one run. */
static EvalOptions run_options(const ReproductionJob *job, const ReproductionRow *row, size_t g) {
    EvalOptions options = job->eval;
    options.model = row->model;
    options.tasks.names = job->groups[g].tasks;
    options.tasks.n_names = job->groups[g].n_tasks;
    options.tasks.num_fewshot = (int)job->groups[g].shots;
    return options;
}

/* The folder of a row's model; NULL if it is not on this machine. */
static char *find_model(const ReproductionRow *row) {
    char *folder = NULL;
    return *row->model && zoo_resolve(row->model, &folder, NULL) == 0 ? folder : NULL;
}

/* Operations a second on all processors. */
static double measure_ceiling(Dtype dtype) {
    ThreadPool *pool;
    if (thread_pool_create(&pool, 0, NULL) != 0)
        return NAN;
    double best = dtype == DTYPE_BFLOAT16 ? ceiling_bf16(pool, CEILING_SECONDS) : 0;
    if (best <= 0)
        best = ceiling_f32(pool, CEILING_SECONDS);
    thread_pool_destroy(pool);
    return best > 0 ? best : NAN;
}

static void guess(ReproductionJob *job, ReproductionCost *cost) {
    double n = cost->row->n_parameters;
    cost->is_estimate = true;
    cost->n_requests = job->n_requests;
    cost->n_tokens = (int64_t)((double)job->n_bytes / BYTES_PER_TOKEN);
    if (isnan(n))
        return;
    if (job->ceiling == 0)
        job->ceiling = measure_ceiling(job->eval.dtype);
    cost->gigabytes = 2 * n / 1e9; /* bfloat16 */
    cost->hours = 2 * n * (double)cost->n_tokens / (USUAL_EFFICIENCY * job->ceiling) / 3600;
}

/* Adds what a plan says. */
static void add_plan(ReproductionCost *cost, const EvalPlan *plan) {
    int64_t n = plan->tokens_distinct + plan->tokens_again;
    cost->n_requests += plan->n_requests;
    cost->n_reused += plan->n_reused;
    cost->n_tokens += n;
    if (n > 0)
        cost->hours += plan->tokens_per_second > 0 ? (double)n / plan->tokens_per_second / 3600 : NAN;
}

static void plan_row(ReproductionJob *job, ReproductionCost *cost) {
    cost->gigabytes = cost->hours = 0;
    cost->n_requests = cost->n_reused = cost->n_tokens = 0;
    for (size_t g = 0; g < job->n_groups && !cost->problem; g++) {
        EvalOptions options = run_options(job, cost->row, g);
        EvalPlan plan;
        Error error = {0};
        if (eval_plan(&options, &plan, &error) != 0)
            cost->problem = arena_strdup(job->arena, error.message);
        else
            add_plan(cost, &plan);
    }
}

ReproductionCost reproduction_cost(ReproductionJob *job, const ReproductionRow *row) {
    ReproductionCost cost = {
        .row = row, .gigabytes = -1, .n_requests = -1, .n_reused = -1, .n_tokens = -1, .hours = NAN};
    char *folder = find_model(row);
    cost.is_here = folder != NULL;
    free(folder);
    if (!*row->model)
        cost.problem = "no released checkpoint is known";
    else if (cost.is_here)
        plan_row(job, &cost);
    else
        guess(job, &cost);
    job->n_problems += cost.problem != NULL;
    return cost;
}

static int pull_model(ReproductionJob *job, const ReproductionRow *row, Error *error) {
    PullResult pulled;
    char *folder = find_model(row);
    if (folder) {
        free(folder);
        return 0;
    }
    if (!*row->model)
        return error_set(error, "no released checkpoint of it is known");
    if (zoo_pull(&pulled, row->model, &job->pull, error) != 0)
        return -1;
    log_info(job->eval.log, "%s: pulled %s at %.12s, %.3f GB", row->name, pulled.repository, pulled.commit,
             (double)pulled.bytes_fetched / 1e9);
    pull_result_free(&pulled);
    return 0;
}

static int run_group(const ReproductionJob *job, const ReproductionRow *row, size_t g, Error *error) {
    EvalSummary summary;
    EvalOptions options = run_options(job, row, g);
    if (eval_run(&options, &summary, error) != 0)
        return -1;
    log_info(job->eval.log, "%s: run %lld, %zu tasks, %s", row->name, (long long)summary.run_id,
             job->groups[g].n_tasks, summary.was_complete ? "was complete already" : "is complete");
    return 0;
}

int reproduction_run_row(ReproductionJob *job, const ReproductionRow *row, Error *error) {
    Error found = {0};
    int result = pull_model(job, row, &found);
    for (size_t g = 0; g < job->n_groups && result == 0; g++)
        result = run_group(job, row, g, &found);
    if (result != 0 && found.kind == ERROR_STOPPED) {
        *error = found;
        return -1;
    }
    if (result != 0) {
        job->n_problems++;
        log_warning(job->eval.log, "row %s is left out: %s", row->name, found.message);
    }
    return 0;
}
