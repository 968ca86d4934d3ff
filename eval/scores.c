/* See scores.h. */
#include "eval/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* ---- opening and closing */

static int init_rows(TaskScores *scores, Error *error) {
    const TaskInfo *info = scores->info;
    bool old = text_equal(info->compat, compat_name(COMPAT_V0_4_0));
    scores->rows = mem_alloc_zero(info->n_filters * info->n_metrics, sizeof *scores->rows);
    for (size_t f = 0; f < info->n_filters; f++)
        for (size_t m = 0; m < info->n_metrics; m++) {
            ScoreRow *row = &scores->rows[scores->n_rows++];
            *row = (ScoreRow){.metric = scores->metrics[m],
                              .config = &info->metrics[m],
                              .filter = info->filters[f].name,
                              .filter_index = f,
                              .items = mem_alloc_zero(info->n_documents, sizeof *row->items)};
            if (aggregation_find(&row->aggregation, row->config->aggregation, metric_shape(row->metric), old,
                                 error))
                return error_prefix(error, "metric \"%s\"", row->config->name);
        }
    return 0;
}

static int init_task(TaskScores *scores, const Task *task, Error *error) {
    const TaskInfo *info = task_info(task);
    *scores = (TaskScores){.task = task,
                           .info = info,
                           .metrics = mem_alloc_zero(info->n_metrics, sizeof *scores->metrics),
                           .filters = mem_alloc_zero(info->n_filters, sizeof *scores->filters),
                           .unextracted = mem_alloc_zero(info->n_filters, sizeof *scores->unextracted)};
    int result = 0;
    for (size_t m = 0; m < info->n_metrics && result == 0; m++)
        result = metric_create(&scores->metrics[m], info, &info->metrics[m], error);
    for (size_t f = 0; f < info->n_filters && result == 0; f++)
        result = filter_create(&scores->filters[f], &info->filters[f], info->compat, error);
    if (result == 0)
        result = init_rows(scores, error);
    return result ? error_prefix(error, "task %s", info->name) : 0;
}

int scores_init(RunScores *scores, const TaskSet *set, Error *error) {
    *scores = (RunScores){.set = set, .n_tasks = task_set_count(set)};
    scores->tasks = mem_alloc_zero(scores->n_tasks, sizeof *scores->tasks);
    for (size_t i = 0; i < scores->n_tasks; i++)
        if (init_task(&scores->tasks[i], task_set_task(set, i), error))
            return -1;
    return 0;
}

static void free_task(TaskScores *task) {
    for (size_t i = 0; i < task->n_rows; i++)
        free(task->rows[i].items);
    for (size_t m = 0; task->metrics && m < task->info->n_metrics; m++)
        metric_free(task->metrics[m]);
    for (size_t f = 0; task->filters && f < task->info->n_filters; f++)
        filter_free(task->filters[f]);
    free(task->rows);
    free(task->metrics);
    free(task->filters);
    free(task->unextracted);
}

void scores_free(RunScores *scores) {
    for (size_t i = 0; i < scores->n_tasks; i++)
        free_task(&scores->tasks[i]);
    free(scores->tasks);
    *scores = (RunScores){0};
}

/* ---- one document */

typedef struct Place {
    Db *db;
    int64_t run_id;
} Place;

/* What a filter makes of a document's generated texts goes into the database beside them; other answers pass
 * as they are. */
static int filter_answers(TaskScores *scores, size_t f, Scored *scored, const Place *place, Error *error) {
    size_t n = scored->document->n_requests;
    Filtered filtered;
    Buffer json = {0};
    if (scores->info->output_type != OUTPUT_GENERATE_UNTIL)
        return 0;
    const char **texts = arena_alloc(scored->arena, n * sizeof *texts);
    for (size_t i = 0; i < n; i++)
        texts[i] = scored->answers[i].text;
    if (filter_apply(scores->filters[f], scored->document, texts, n, scored->arena, &filtered, error))
        return -1;
    if (filtered.is_list)
        return error_set(error,
                         "filter %s: it ends with a list of responses; a last step take_first was expected",
                         scores->info->filters[f].name);
    scored->text = filtered.texts[0];
    scores->unextracted[f] += filtered.unextracted;
    buffer_append_char(&json, '[');
    if (scored->text)
        text_append_json(&json, scored->text, strlen(scored->text));
    else
        buffer_append_text(&json, "null");
    buffer_append_char(&json, ']');
    int result = db_document_output(place->db, place->run_id, scores->info->name, scored->document->doc_id,
                                    scores->info->filters[f].name, json.data, !filtered.unextracted, error);
    buffer_free(&json);
    return result;
}

static int store_item(const ScoreRow *row, const TaskInfo *info, int64_t doc_id, const MetricItem *item,
                      const Place *place, Error *error) {
    const char *name = row->config->name;
    if (metric_shape(row->metric) == METRIC_NUMBER)
        return db_document_metric(place->db, place->run_id, info->name, doc_id, name, row->filter,
                                  item->value, error);
    return db_document_weighted(place->db, place->run_id, info->name, doc_id, name, row->filter, item->value,
                                item->second, error);
}

static int score_document(TaskScores *own, size_t index, Scored *scored, const Place *place, Error *error) {
    for (size_t i = 0; i < own->n_rows; i++) {
        ScoreRow *row = &own->rows[i];
        bool next_filter = i == 0 || row->filter_index != row[-1].filter_index;
        if (next_filter && filter_answers(own, row->filter_index, scored, place, error))
            return -1;
        if (metric_compute(row->metric, scored, &row->items[index], error) ||
            store_item(row, own->info, scored->document->doc_id, &row->items[index], place, error))
            return -1;
    }
    return 0;
}

int scores_document(RunScores *scores, size_t task, size_t index, const TaskDocument *document,
                    const Answer *answers, Db *db, int64_t run_id, Error *error) {
    TaskScores *own = &scores->tasks[task];
    const Place place = {db, run_id};
    Arena arena = {0};
    Scored scored = {.document = document,
                     .answers = answers,
                     .v0_4_0 = text_equal(own->info->compat, compat_name(COMPAT_V0_4_0)),
                     .arena = &arena};
    int result = score_document(own, index, &scored, &place, error);
    arena_free(&arena);
    if (result)
        error_prefix(error, "task %s, document %lld", own->info->name, (long long)document->doc_id);
    return result;
}

/* ---- aggregates */

static int store_task(TaskScores *scores, size_t iterations, int n_threads, const Place *place,
                      Error *error) {
    size_t n = scores->info->n_documents;
    for (size_t i = 0; i < scores->n_rows; i++) {
        ScoreRow *row = &scores->rows[i];
        row->value = aggregation_value(row->aggregation, row->items, n);
        if (aggregation_stderr(row->aggregation, row->items, n, iterations, n_threads, &row->error, error))
            return -1;
        DbResult result = {.name = scores->info->name,
                           .metric = row->config->name,
                           .filter = row->filter,
                           .value = row->value,
                           .stderr_value = row->error,
                           .n = (int64_t)n,
                           .higher_is_better = row->config->higher_is_better,
                           .n_unextracted = (int64_t)scores->unextracted[row->filter_index]};
        if (db_result(place->db, place->run_id, &result, error))
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

static const ScoreRow *row_of(const TaskScores *scores, const char *metric, const char *filter) {
    for (size_t i = 0; scores && i < scores->n_rows; i++)
        if (strcmp(scores->rows[i].config->name, metric) == 0 && strcmp(scores->rows[i].filter, filter) == 0)
            return &scores->rows[i];
    return NULL;
}

/* A metric behind a filter, over some tasks or groups. */
typedef struct Aggregate {
    const char *metric, *filter;
    double *values, *errors;
    size_t *sizes, n;
    DbResult row;
} Aggregate;

static void add_member(Aggregate *aggregate, double value, double error, size_t size) {
    aggregate->values[aggregate->n] = value;
    aggregate->errors[aggregate->n] = error;
    aggregate->sizes[aggregate->n++] = size;
}

/* The leaves that have the metric behind that filter; those that lack it are left out, as upstream leaves
 * them out. */
static void add_leaves(const RunScores *scores, const TaskGroup *group, Aggregate *aggregate) {
    for (size_t i = 0; i < group->n_leaves; i++) {
        const TaskScores *leaf = scores_of(scores, group->leaves[i]);
        const ScoreRow *row = row_of(leaf, aggregate->metric, aggregate->filter);
        if (!row)
            continue;
        add_member(aggregate, row->value, row->error, leaf->info->n_documents);
        aggregate->row.n += (int64_t)leaf->info->n_documents;
        aggregate->row.n_unextracted += (int64_t)leaf->unextracted[row->filter_index];
        aggregate->row.higher_is_better = row->config->higher_is_better;
    }
}

static Aggregate new_aggregate(const char *metric, const char *filter, size_t room, Arena *arena) {
    return (Aggregate){.metric = metric,
                       .filter = filter,
                       .values = arena_alloc(arena, (room + 1) * sizeof(double)),
                       .errors = arena_alloc(arena, (room + 1) * sizeof(double)),
                       .sizes = arena_alloc(arena, (room + 1) * sizeof(size_t)),
                       .row = {.metric = metric, .filter = filter, .is_group = true}};
}

static const TaskGroup *group_named(const TaskSet *set, const char *name) {
    for (size_t i = 0; i < task_set_group_count(set); i++)
        if (strcmp(task_set_group(set, i)->name, name) == 0)
            return task_set_group(set, i);
    return NULL;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What v0.4.0 makes of a group's metric: how many documents are below the group, and the value, if any member
 * has one. */
typedef struct Combined {
    bool found;
    double value, error;
    size_t size;
} Combined;

static Combined combined(const RunScores *scores, const TaskGroup *group, const char *metric,
                         const char *filter, Arena *arena);

static Combined combined_member(const RunScores *scores, const char *name, const char *metric,
                                const char *filter, Arena *arena) {
    const TaskGroup *inner = group_named(scores->set, name);
    if (inner)
        return combined(scores, inner, metric, filter, arena);
    for (size_t t = 0; t < scores->n_tasks; t++) {
        const TaskScores *leaf = &scores->tasks[t];
        if (strcmp(leaf->info->name, name) != 0)
            continue;
        const ScoreRow *row = row_of(leaf, metric, filter);
        return (Combined){.found = row != NULL,
                          .value = row ? row->value : 0,
                          .error = row ? row->error : 0,
                          .size = leaf->info->n_documents};
    }
    return (Combined){0};
}

/* v0.4.0 merges a group's members sorted by name; a member group counts with its own value and error, and
 * members without the metric with their documents. Of a metric that the last of them lacks it forgets to take
 * the root, and shows the error's square. Groups do not contain themselves and are nested a few levels deep,
 * which their opening made sure of. */
static Combined combined(const RunScores *scores, const TaskGroup *group, const char *metric,
                         const char *filter, Arena *arena) {
    size_t n = group->n_children;
    Aggregate parts = new_aggregate(metric, filter, n, arena);
    const char **names = arena_alloc(arena, (n + 1) * sizeof *names);
    size_t *others = arena_alloc(arena, (n + 1) * sizeof *others), without = 0;
    Combined all = {0}, member = {0};
    if (n > 0)
        memcpy(names, group->children, n * sizeof *names);
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++) {
        member = combined_member(scores, names[i], metric, filter, arena);
        all.size += member.size;
        without += member.found ? 0 : member.size;
        if (!member.found)
            continue;
        others[parts.n] = without;
        without = 0;
        add_member(&parts, member.value, member.error, member.size);
    }
    all.found = parts.n > 0;
    if (all.found)
        all.error =
            stat_combined_stderr(parts.values, parts.errors, parts.sizes, others, parts.n, &all.value);
    if (all.found && !member.found)
        all.error *= all.error;
    return all;
}

static bool is_v0_4_0(const TaskGroup *group) {
    return group->n_leaves > 0 && text_equal(task_info(group->leaves[0])->compat, compat_name(COMPAT_V0_4_0));
}

/* Stores a group's metric behind one filter; *found tells whether any of its tasks has it. */
static int store_aggregate(const RunScores *scores, const TaskGroup *group, const GroupMetric *metric,
                           const char *filter, const Place *place, bool *found, Error *error) {
    Arena arena = {0};
    Aggregate aggregate = new_aggregate(metric->metric, filter, group->n_leaves, &arena);
    aggregate.row.name = group->name;
    add_leaves(scores, group, &aggregate);
    *found = aggregate.n > 0;
    int result = 0;
    if (*found) {
        DbResult *row = &aggregate.row;
        row->value = stat_group_mean(aggregate.values, aggregate.sizes, aggregate.n, metric->weight_by_size);
        row->stderr_value = stat_pooled_stderr(aggregate.errors, aggregate.sizes, aggregate.n);
        if (is_v0_4_0(group)) {
            const Combined old = combined(scores, group, metric->metric, filter, &arena);
            row->value = old.value;
            row->stderr_value = old.error;
        }
        result = db_result(place->db, place->run_id, row, error);
    }
    arena_free(&arena);
    return result;
}

/* The filters of a group's tasks, each once, in the order in which they are met. */
static size_t filters_of(const TaskGroup *group, const char **out, size_t room) {
    size_t n = 0;
    for (size_t i = 0; i < group->n_leaves; i++) {
        const TaskInfo *info = task_info(group->leaves[i]);
        for (size_t f = 0; f < info->n_filters; f++) {
            size_t k = 0;
            while (k < n && strcmp(out[k], info->filters[f].name) != 0)
                k++;
            if (k == n && n < room)
                out[n++] = info->filters[f].name;
        }
    }
    return n;
}

/* A metric that none of its tasks has is passed over, as upstream does. */
static int store_group_metric(const RunScores *scores, const TaskGroup *group, const GroupMetric *metric,
                              const Place *place, Log *log, Error *error) {
    enum { MOST_FILTERS = 64 };
    const char *all[MOST_FILTERS];
    size_t n = metric->n_filters > 0 ? metric->n_filters : filters_of(group, all, MOST_FILTERS);
    const char *const *filters = metric->n_filters > 0 ? metric->filters : all;
    bool any = false;
    for (size_t f = 0; f < n; f++) {
        bool found;
        if (store_aggregate(scores, group, metric, filters[f], place, &found, error))
            return -1;
        any |= found;
    }
    if (!any)
        log_warning(log, "group %s: no task in it has the metric \"%s\"%s; it has no mean of it", group->name,
                    metric->metric, metric->n_filters > 0 ? " behind the filters that it names" : "");
    return 0;
}

int scores_store(RunScores *scores, size_t iterations, int n_threads, Db *db, int64_t run_id, Log *log,
                 Error *error) {
    const Place place = {db, run_id};
    for (size_t i = 0; i < scores->n_tasks; i++)
        if (store_task(&scores->tasks[i], iterations, n_threads, &place, error))
            return error_prefix(error, "task %s", scores->tasks[i].info->name);
    for (size_t i = 0; i < task_set_group_count(scores->set); i++) {
        const TaskGroup *group = task_set_group(scores->set, i);
        for (size_t m = 0; m < group->n_metrics; m++)
            if (store_group_metric(scores, group, &group->metrics[m], &place, log, error))
                return -1;
    }
    return 0;
}
