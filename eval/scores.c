/* See scores.h. */
#include "eval/scores.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "eval/statistics.h"

static int init_task(TaskScores *scores, const Task *task, Error *error) {
    scores->task = task;
    scores->info = task_info(task);
    size_t n = scores->info->n_metrics;
    scores->functions = mem_alloc_zero(n, sizeof *scores->functions);
    scores->values = mem_alloc_zero(n, sizeof *scores->values);
    scores->means = mem_alloc_zero(n, sizeof(double));
    scores->stderrs = mem_alloc_zero(n, sizeof(double));
    for (size_t m = 0; m < n; m++) {
        if (metric_find(&scores->functions[m], scores->info->output_type, scores->info->metrics[m].name,
                        error))
            return error_prefix(error, "task %s", scores->info->name);
        scores->values[m] = mem_alloc_zero(scores->info->n_documents, sizeof(double));
    }
    return 0;
}

int scores_init(RunScores *scores, const TaskSet *set, Error *error) {
    *scores = (RunScores){.set = set, .n_tasks = task_set_count(set)};
    scores->tasks = mem_alloc_zero(scores->n_tasks, sizeof *scores->tasks);
    for (size_t i = 0; i < scores->n_tasks; i++)
        if (init_task(&scores->tasks[i], task_set_task(set, i), error))
            return -1;
    return 0;
}

void scores_free(RunScores *scores) {
    for (size_t i = 0; i < scores->n_tasks; i++) {
        TaskScores *task = &scores->tasks[i];
        for (size_t m = 0; task->values && m < task->info->n_metrics; m++)
            free(task->values[m]);
        free(task->values);
        free(task->functions);
        free(task->means);
        free(task->stderrs);
    }
    free(scores->tasks);
    *scores = (RunScores){0};
}

int scores_document(RunScores *scores, size_t task, size_t index, const TaskDocument *document,
                    const Answer *answers, Db *db, int64_t run_id, Error *error) {
    TaskScores *own = &scores->tasks[task];
    for (size_t m = 0; m < own->info->n_metrics; m++) {
        double value = own->functions[m](document, answers);
        own->values[m][index] = value;
        if (db_document_metric(db, run_id, own->info->name, document->doc_id, own->info->metrics[m].name,
                               "none", value, error))
            return -1;
    }
    return 0;
}

static int store_task(TaskScores *scores, Db *db, int64_t run_id, Error *error) {
    size_t n = scores->info->n_documents;
    for (size_t m = 0; m < scores->info->n_metrics; m++) {
        const TaskMetric *metric = &scores->info->metrics[m];
        scores->means[m] = stat_mean(scores->values[m], n);
        scores->stderrs[m] = stat_mean_stderr(scores->values[m], n);
        DbResult row = {.name = scores->info->name,
                        .metric = metric->name,
                        .filter = "none",
                        .value = scores->means[m],
                        .stderr_value = scores->stderrs[m],
                        .n = (int64_t)n,
                        .higher_is_better = metric->higher_is_better};
        if (db_result(db, run_id, &row, error))
            return -1;
    }
    return 0;
}

static const TaskScores *scores_of(const RunScores *scores, const Task *task) {
    for (size_t i = 0; i < scores->n_tasks; i++)
        if (scores->tasks[i].task == task)
            return &scores->tasks[i];
    return NULL;
}

/* A group's metric over its leaves; leaves that lack it are left out, as upstream leaves them out. */
static int store_group(const RunScores *scores, const TaskGroup *group, Arena *arena, Db *db, int64_t run_id,
                       Error *error) {
    double *values = arena_alloc(arena, group->n_leaves * sizeof *values);
    double *stderrs = arena_alloc(arena, group->n_leaves * sizeof *stderrs);
    size_t *sizes = arena_alloc(arena, group->n_leaves * sizeof *sizes), n = 0;
    DbResult row = {.name = group->name, .metric = group->metric, .filter = "none", .is_group = true};
    for (size_t i = 0; i < group->n_leaves; i++) {
        const TaskScores *leaf = scores_of(scores, group->leaves[i]);
        for (size_t m = 0; leaf && m < leaf->info->n_metrics; m++) {
            if (strcmp(leaf->info->metrics[m].name, group->metric) != 0)
                continue;
            values[n] = leaf->means[m];
            stderrs[n] = leaf->stderrs[m];
            sizes[n++] = leaf->info->n_documents;
            row.n += (int64_t)leaf->info->n_documents;
            row.higher_is_better = leaf->info->metrics[m].higher_is_better;
        }
    }
    if (n == 0)
        return error_set(error, "group %s: no task in it has the metric \"%s\"", group->name, group->metric);
    row.value = stat_group_mean(values, sizes, n, group->weight_by_size);
    row.stderr_value = stat_pooled_stderr(stderrs, sizes, n);
    return db_result(db, run_id, &row, error);
}

int scores_store(RunScores *scores, Db *db, int64_t run_id, Error *error) {
    Arena arena = {0};
    int result = 0;
    for (size_t i = 0; i < scores->n_tasks && result == 0; i++)
        result = store_task(&scores->tasks[i], db, run_id, error);
    for (size_t i = 0; i < task_set_group_count(scores->set) && result == 0; i++)
        result = store_group(scores, task_set_group(scores->set, i), &arena, db, run_id, error);
    arena_free(&arena);
    return result;
}
