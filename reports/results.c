/* Loading runs and laying out their rows.
 *
 * Row order is lm-eval's: groups that are in no other group by name, each followed by its members by name,
 * recursively; then the tasks in no group by name. Every entry gets one row, also in a file whose groups
 * contain each other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "reports/lm_eval_run.h"
#include "reports/results.h"

enum { MAX_DEPTH = 32, MAX_ENTRIES = 100000, FOLD_FROM = 13 };

static int compare_entries(const void *a, const void *b) {
    const ReportEntry *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : (int)left->is_group - (int)right->is_group;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ReportEntry *find_entry(const ReportRun *run, const char *name, bool is_group) {
    ReportEntry wanted = {.name = name, .is_group = is_group};
    return bsearch(&wanted, run->entries, run->n_entries, sizeof wanted, compare_entries);
}

const ReportEntry *report_find(const ReportRun *run, const char *name, bool is_group) {
    return find_entry(run, name, is_group);
}

/* The number of rows a statement will give, from "SELECT count(*) ...". */
static int count_rows(Db *db, const char *sql, int64_t parameter, size_t *out, Error *error) {
    sqlite3_stmt *statement = report_query(db, sql, parameter, error);
    if (!statement)
        return -1;
    int result = report_step(db, statement, error);
    int64_t count = result == 1 ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    if (result < 0)
        return -1;
    if (count > MAX_ENTRIES)
        return error_set(error, "results database '%s' holds %lld rows where at most %d make sense",
                         db_path(db), (long long)count, MAX_ENTRIES);
    *out = (size_t)count;
    return 0;
}

static void read_task(sqlite3_stmt *statement, Arena *arena, ReportEntry *entry) {
    *entry = (ReportEntry){.task_id = sqlite3_column_int64(statement, 0),
                           .name = report_text(statement, 1, arena),
                           .alias = report_text(statement, 2, arena),
                           .version = report_text(statement, 3, arena),
                           .output_type = report_text(statement, 4, arena),
                           .dataset_path = report_text(statement, 5, arena),
                           .dataset_name = report_text(statement, 6, arena),
                           .split = report_text(statement, 7, arena),
                           .num_fewshot = sqlite3_column_int64(statement, 8),
                           .n_documents = report_counter(statement, 9),
                           .n_documents_total = report_counter(statement, 10),
                           .n_requests = report_counter(statement, 11),
                           .n_truncated = report_counter(statement, 12),
                           .n_dropped = report_counter(statement, 13),
                           .chance = report_real(statement, 14),
                           .version_is_text = sqlite3_column_int(statement, 15) != 0,
                           .config = report_text(statement, 16, arena)};
}

static int load_tasks(Db *db, ReportRun *run, Arena *arena, Error *error) {
    sqlite3_stmt *statement = report_query(
        db,
        "WITH per_document AS (SELECT q.task_id, q.doc_id, count(*) AS n, total(q.n_truncated > 0) AS cut"
        "  FROM tasks t JOIN requests q USING (task_id) WHERE t.run_id = ?1 GROUP BY q.task_id, q.doc_id),"
        " per_task AS (SELECT task_id, sum(n) AS n, CAST(sum(cut) AS INTEGER) AS cut, avg(1.0 / n) AS chance"
        "  FROM per_document GROUP BY task_id)"
        "SELECT t.task_id, t.name, t.alias, t.version, t.output_type, t.dataset_path, t.dataset_name, "
        "t.split,"
        " t.num_fewshot, t.n_documents, t.n_documents_total, p.n, p.cut,"
        " (SELECT count(*) FROM documents d WHERE d.task_id = t.task_id AND d.n_dropped_shots > 0),"
        " CASE WHEN t.output_type = 'multiple_choice' THEN p.chance END,"
        " CASE WHEN json_valid(t.config) THEN json_type(t.config, '$.metadata.version') = 'text' END, "
        "t.config"
        " FROM tasks t LEFT JOIN per_task p USING (task_id) WHERE t.run_id = ?1 ORDER BY t.name LIMIT 100000",
        run->run_id, error);
    if (!statement)
        return -1;
    int result;
    while ((result = report_step(db, statement, error)) == 1) {
        ReportEntry *entry = &run->entries[run->n_entries++];
        read_task(statement, arena, entry);
        run->n_documents += entry->n_documents;
        run->n_requests += entry->n_requests;
        run->n_truncated += entry->n_truncated;
        run->n_dropped += entry->n_dropped;
    }
    sqlite3_finalize(statement);
    return result;
}

static int load_children(Db *db, ReportEntry *group, int64_t group_id, Arena *arena, Error *error) {
    if (count_rows(db, "SELECT count(*) FROM group_members WHERE group_id = ?1", group_id, &group->n_children,
                   error) != 0)
        return -1;
    group->children = arena_alloc(arena, (group->n_children + 1) * sizeof *group->children);
    sqlite3_stmt *statement = report_query(
        db, "SELECT child FROM group_members WHERE group_id = ?1 ORDER BY child", group_id, error);
    if (!statement)
        return -1;
    size_t n = 0;
    int result;
    while ((result = report_step(db, statement, error)) == 1 && n < group->n_children)
        group->children[n++] = report_text(statement, 0, arena);
    sqlite3_finalize(statement);
    group->n_children = n;
    qsort(group->children, n, sizeof *group->children, compare_names);
    return result < 0 ? -1 : 0;
}

static int load_groups(Db *db, ReportRun *run, size_t room, Arena *arena, Error *error) {
    sqlite3_stmt *statement = report_query(db,
                                           "SELECT group_id, name, alias, version, weight_by_size"
                                           " FROM task_groups WHERE run_id = ?1 ORDER BY name",
                                           run->run_id, error);
    if (!statement)
        return -1;
    int result;
    while ((result = report_step(db, statement, error)) == 1 && run->n_entries < room) {
        ReportEntry *entry = &run->entries[run->n_entries++];
        *entry = (ReportEntry){.is_group = true,
                               .name = report_text(statement, 1, arena),
                               .alias = report_text(statement, 2, arena),
                               .version = report_text(statement, 3, arena),
                               .weight_by_size = sqlite3_column_int(statement, 4) != 0,
                               .num_fewshot = -1,
                               .chance = NAN};
        if (load_children(db, entry, sqlite3_column_int64(statement, 0), arena, error) != 0) {
            result = -1;
            break;
        }
    }
    sqlite3_finalize(statement);
    return result < 0 ? -1 : 0;
}

/* Results come ordered by name, so each entry's metrics are neighbours in one array. */
static int load_metrics(Db *db, ReportRun *run, Arena *arena, Error *error) {
    size_t n = 0, i = 0;
    if (count_rows(db, "SELECT count(*) FROM results WHERE run_id = ?1", run->run_id, &n, error) != 0)
        return -1;
    ReportMetric *metrics = arena_alloc(arena, (n + 1) * sizeof *metrics);
    sqlite3_stmt *statement = report_query(
        db,
        "SELECT name, is_group, metric, filter, value, stderr, n, higher_is_better, n_unextracted"
        " FROM results WHERE run_id = ?1 ORDER BY name, is_group, metric || ',' || filter",
        run->run_id, error);
    if (!statement)
        return -1;
    int result;
    while ((result = report_step(db, statement, error)) == 1 && i < n) {
        ReportEntry *entry =
            find_entry(run, report_text(statement, 0, arena), sqlite3_column_int(statement, 1) != 0);
        if (!entry)
            continue;
        ReportMetric *metric = &metrics[i++];
        *metric = (ReportMetric){.metric = report_text(statement, 2, arena),
                                 .filter = report_text(statement, 3, arena),
                                 .value = report_real(statement, 4),
                                 .stderr_value = report_real(statement, 5),
                                 .n = sqlite3_column_int64(statement, 6),
                                 .higher_is_better = sqlite3_column_int(statement, 7) != 0,
                                 .n_unextracted = report_counter(statement, 8)};
        if (entry->n_metrics == 0)
            entry->metrics = metric;
        entry->n_metrics++;
    }
    sqlite3_finalize(statement);
    return result < 0 ? -1 : 0;
}

/* Where v0.4.0 has a metric among those of an entry, as it computes them: a task's filter by filter, a
 * group's as it meets them in its members. SIZE_MAX if the entry has none of it. */
static size_t computed_place(const ReportRun *run, const ReportEntry *entry, const ReportMetric *metric,
                             int depth) {
    enum { MOST_METRICS = 1000, MOST_LEVELS = 4 };
    for (size_t i = 0; i < entry->n_children && depth < MOST_LEVELS; i++) {
        const ReportEntry *child = find_entry(run, entry->children[i], true);
        child = child ? child : find_entry(run, entry->children[i], false);
        size_t place = child ? computed_place(run, child, metric, depth + 1) : SIZE_MAX;
        if (place != SIZE_MAX)
            return i * MOST_METRICS + place % MOST_METRICS;
    }
    for (size_t i = 0; i < entry->n_metrics && !entry->is_group; i++)
        if (text_equal(entry->metrics[i].metric, metric->metric) &&
            text_equal(entry->metrics[i].filter, metric->filter))
            return entry->metrics[i].place;
    return SIZE_MAX;
}

/* A task's place of a metric: filter by filter in its configuration's order, each in upstream's. */
static void place_metrics(const ReportEntry *task, ReportMetric *metrics, Arena *arena) {
    size_t n;
    const char **filters = lm_filters(task->config ? task->config : "", arena, &n);
    for (size_t i = 0; i < task->n_metrics; i++) {
        size_t filter = 0;
        while (filter < n && !text_equal(filters[filter], metrics[i].filter))
            filter++;
        metrics[i].place = filter * 32 + (size_t)lm_metric_rank(metrics[i].metric);
    }
}

static int compare_places(const void *a, const void *b) {
    const ReportMetric *left = a, *right = b;
    return (left->place > right->place) - (left->place < right->place);
}

/* v0.4.0 sorted nothing. */
static void order_as_computed(ReportRun *run, Arena *arena) {
    for (int groups = 0; groups < 2; groups++)
        for (size_t i = 0; i < run->n_entries; i++) {
            ReportEntry *entry = &run->entries[i];
            if (entry->is_group != groups || entry->n_metrics == 0)
                continue;
            ReportMetric *metrics = arena_alloc(arena, entry->n_metrics * sizeof *metrics);
            memcpy(metrics, entry->metrics, entry->n_metrics * sizeof *metrics);
            for (size_t m = 0; m < entry->n_metrics && groups; m++)
                metrics[m].place = computed_place(run, entry, &metrics[m], 0);
            if (!groups)
                place_metrics(entry, metrics, arena);
            qsort(metrics, entry->n_metrics, sizeof *metrics, compare_places);
            entry->metrics = metrics;
        }
}

static int load_files(Db *db, ReportRun *run, Arena *arena, Error *error) {
    size_t n = 0;
    if (count_rows(db, "SELECT count(*) FROM run_files WHERE run_id = ?1", run->run_id, &n, error) != 0)
        return -1;
    ReportFile *files = arena_alloc(arena, (n + 1) * sizeof *files);
    sqlite3_stmt *statement = report_query(db,
                                           "SELECT role, name, sha256, bytes FROM run_files WHERE run_id = ?1"
                                           " ORDER BY CASE role WHEN 'model' THEN 1 WHEN 'tokenizer' THEN 2"
                                           " WHEN 'task' THEN 3 WHEN 'dataset' THEN 4 ELSE 5 END, role, name",
                                           run->run_id, error);
    if (!statement)
        return -1;
    int result;
    while ((result = report_step(db, statement, error)) == 1 && run->n_files < n)
        files[run->n_files++] =
            (ReportFile){.role = report_text(statement, 0, arena),
                         .name = report_public_name(report_text(statement, 1, arena), arena),
                         .sha256 = report_text(statement, 2, arena),
                         .bytes = report_counter(statement, 3)};
    sqlite3_finalize(statement);
    run->files = files;
    return result < 0 ? -1 : 0;
}

static void place(ReportRun *run, ReportEntry *entry, int depth, bool in_sum) {
    bool has_line = !entry->is_group || entry->n_metrics > 0;
    if (entry->placed)
        return;
    entry->placed = true;
    if (depth == 0)
        run->tops[run->n_tops++] = entry;
    if (has_line)
        run->rows[run->n_rows++] = (ReportRow){.entry = entry, .depth = depth, .in_sum = in_sum};
    for (size_t i = 0; entry->is_group && depth < MAX_DEPTH && i < entry->n_children; i++) {
        ReportEntry *child = find_entry(run, entry->children[i], true);
        if (!child)
            child = find_entry(run, entry->children[i], false);
        if (child)
            place(run, child, depth + 1, in_sum || has_line);
    }
}

static bool has_parent(const ReportRun *run, const ReportEntry *entry) {
    for (size_t g = 0; g < run->n_entries; g++) {
        const ReportEntry *group = &run->entries[g];
        if (group->n_children && group != entry &&
            bsearch(&entry->name, group->children, group->n_children, sizeof *group->children, compare_names))
            return true;
    }
    return false;
}

static void lay_out(ReportRun *run, Arena *arena) {
    run->rows = arena_alloc(arena, (run->n_entries + 1) * sizeof *run->rows);
    run->tops = arena_alloc(arena, (run->n_entries + 1) * sizeof *run->tops);
    for (size_t i = 0; i < run->n_entries && report_is_v0_4_0(run); i++)
        if (!has_parent(run, &run->entries[i]))
            place(run, &run->entries[i], 0, false); /* tasks among groups */
    for (size_t i = 0; i < run->n_entries; i++)
        if (run->entries[i].is_group && !has_parent(run, &run->entries[i]))
            place(run, &run->entries[i], 0, false);
    /* Groups that are left contain each other. */
    for (size_t i = 0; i < run->n_entries; i++)
        if (run->entries[i].is_group)
            place(run, &run->entries[i], 0, false);
    for (size_t i = 0; i < run->n_entries; i++)
        place(run, &run->entries[i], 0, false);
    size_t n_members = 0;
    for (size_t i = 0; i < run->n_rows; i++)
        n_members += run->rows[i].in_sum && !run->rows[i].entry->is_group;
    run->n_folded = n_members >= FOLD_FROM ? n_members : 0;
}

static int load_run(Db *db, ReportRun *run, Arena *arena, Error *error) {
    size_t n_tasks = 0, n_groups = 0;
    if (count_rows(db, "SELECT count(*) FROM tasks WHERE run_id = ?1", run->run_id, &n_tasks, error) != 0 ||
        count_rows(db, "SELECT count(*) FROM task_groups WHERE run_id = ?1", run->run_id, &n_groups, error) !=
            0)
        return -1;
    run->entries = arena_alloc(arena, (n_tasks + n_groups + 1) * sizeof *run->entries);
    if (load_tasks(db, run, arena, error) != 0 || load_groups(db, run, n_tasks + n_groups, arena, error) != 0)
        return -1;
    qsort(run->entries, run->n_entries, sizeof *run->entries, compare_entries);
    if (load_metrics(db, run, arena, error) != 0 || load_files(db, run, arena, error) != 0)
        return -1;
    if (report_is_v0_4_0(run))
        order_as_computed(run, arena);
    lay_out(run, arena);
    return 0;
}

/* -1 for NULL: nobody counted. */
static int64_t counted(sqlite3_stmt *statement, int column) {
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? -1 : report_counter(statement, column);
}

static void read_run(sqlite3_stmt *statement, Arena *arena, ReportRun *run) {
    *run = (ReportRun){.run_id = sqlite3_column_int64(statement, 0),
                       .fingerprint = report_text(statement, 1, arena),
                       .model = report_public_name(report_text(statement, 2, arena), arena),
                       .model_sha256 = report_text(statement, 3, arena),
                       .family = report_text(statement, 4, arena),
                       .architecture = report_text(statement, 5, arena),
                       .n_parameters = sqlite3_column_int64(statement, 6),
                       .state_bytes_per_token = sqlite3_column_int64(statement, 7),
                       .state_bytes_fixed = sqlite3_column_int64(statement, 8),
                       .dtype = report_text(statement, 9, arena),
                       .backend = report_text(statement, 10, arena),
                       .numerics_version = sqlite3_column_int64(statement, 11),
                       .compat = report_text(statement, 12, arena),
                       .max_length = sqlite3_column_int64(statement, 13),
                       .add_bos = sqlite3_column_int(statement, 14) != 0,
                       .fewshot_seed = sqlite3_column_int64(statement, 15),
                       .limit = sqlite3_column_double(statement, 16),
                       .build = report_text(statement, 17, arena),
                       .settings_json = report_text(statement, 18, arena),
                       .tokens_alone = counted(statement, 19),
                       .tokens_distinct = counted(statement, 20),
                       .tokens_computed = counted(statement, 21),
                       .tokens_generated = counted(statement, 22),
                       .memory_bytes = counted(statement, 23),
                       .n_threads = counted(statement, 24),
                       .planning_seconds = report_real(statement, 25),
                       .scoring_seconds = report_real(statement, 26),
                       .chat_template_name = report_text(statement, 27, arena),
                       .chat_template_sha256 = report_text(statement, 28, arena),
                       .system_instruction = report_text(statement, 29, arena),
                       .on_truncation = report_text(statement, 30, arena),
                       .fewshot_as_multiturn = sqlite3_column_int(statement, 31) != 0};
}

static void forget_cost(ReportRun *run) {
    run->tokens_computed = run->tokens_generated = run->memory_bytes = run->n_threads = -1;
    run->planning_seconds = run->scoring_seconds = NAN;
}

static int no_run(Db *db, int64_t run_id, Error *error) {
    if (run_id == 0)
        return error_set(
            error,
            "results database '%s' has no finished run: `zeval run --db %s ...` makes one, and the "
            "same command finishes one that was interrupted",
            db_path(db), db_path(db));
    size_t n = 0;
    if (count_rows(db, "SELECT count(*) FROM runs WHERE run_id = ?1", run_id, &n, error) != 0)
        return -1;
    if (n == 0)
        return error_set_kind(
            error, ERROR_USAGE,
            "results database '%s' has no run %lld: `zeval runs --db %s` lists those it has", db_path(db),
            (long long)run_id, db_path(db));
    return error_set(
        error,
        "run %lld in results database '%s' is not finished: start it again with the same settings, "
        "and it goes on where it was",
        (long long)run_id, db_path(db));
}

/* Whether every run that was asked for by a list is there; keeps those in the order of the database. */
static int keep_listed(Db *db, const ReportOptions *options, ReportSet *set, Error *error) {
    size_t n = 0;
    for (size_t i = 0; i < options->n_run_ids; i++) {
        bool found = false;
        for (size_t r = 0; r < set->n_runs; r++)
            found = found || set->runs[r].run_id == options->run_ids[i];
        if (!found)
            return no_run(db, options->run_ids[i], error);
    }
    for (size_t r = 0; r < set->n_runs; r++)
        for (size_t i = 0; i < options->n_run_ids; i++)
            if (set->runs[r].run_id == options->run_ids[i]) {
                set->runs[n++] = set->runs[r];
                break;
            }
    set->n_runs = n;
    return 0;
}

static int load_runs(Db *db, const ReportOptions *options, Arena *arena, ReportSet *out, Error *error) {
    *out = (ReportSet){0};
    size_t n = 0;
    if (count_rows(db, "SELECT count(*) FROM runs", 0, &n, error) != 0)
        return -1;
    out->runs = arena_alloc(arena, (n + 1) * sizeof *out->runs);
    sqlite3_stmt *statement = report_query(
        db,
        "SELECT run_id, fingerprint, model_name, model_sha256, family, architecture, n_parameters,"
        " state_bytes_per_token, state_bytes_fixed, dtype, backend, numerics_version, compat,"
        " max_length, add_bos, fewshot_seed, sample_limit, build, settings, tokens_alone, tokens_distinct,"
        " tokens_computed, tokens_generated, memory_bytes, threads, planning_seconds, scoring_seconds,"
        " chat_template_name, chat_template_sha256, system_instruction, on_truncation,"
        " fewshot_as_multiturn FROM runs"
        " WHERE finished_at IS NOT NULL AND (?1 = 0 OR run_id = ?1) ORDER BY run_id",
        options->run_id, error);
    if (!statement)
        return -1;
    int result;
    while ((result = report_step(db, statement, error)) == 1 && out->n_runs < n)
        read_run(statement, arena, &out->runs[out->n_runs++]);
    sqlite3_finalize(statement);
    for (size_t i = 0; options->without_cost && i < out->n_runs; i++)
        forget_cost(&out->runs[i]);
    if (result < 0)
        return -1;
    if (out->n_runs == 0)
        return no_run(db, options->run_id, error);
    if (options->run_ids && keep_listed(db, options, out, error) != 0)
        return -1;
    for (size_t i = 0; i < out->n_runs; i++)
        if (load_run(db, &out->runs[i], arena, error) != 0)
            return -1;
    return 0;
}

/* A savepoint, since the caller may have a transaction of its own open. */
static int run_sql(Db *db, const char *sql, Error *error) {
    if (sqlite3_exec(db_handle(db), sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return error_set(error, "cannot read results database '%s': %s", db_path(db),
                     sqlite3_errmsg(db_handle(db)));
}

int report_make(Db *db, const ReportOptions *options, ReportWriter *write, void *context, Buffer *out,
                Error *error) {
    Arena arena = {0};
    ReportSet set;
    size_t start = out->size;
    if (run_sql(db, "SAVEPOINT report", error) != 0)
        return -1;
    int result = load_runs(db, options, &arena, &set, error);
    if (result == 0)
        result = write(db, &set, context, &arena, out, error);
    run_sql(db, "RELEASE report", NULL);
    arena_free(&arena);
    if (result != 0 && out->size > start) {
        out->size = start;
        out->data[start] = '\0';
    }
    return result;
}

bool report_is_v0_4_0(const ReportRun *run) {
    return text_equal(run->compat, "v0.4.0");
}

int64_t report_num_fewshot(const ReportRun *run, const ReportEntry *entry) {
    if (!entry->is_group)
        return entry->num_fewshot;
    int64_t shots = -1;
    if (report_is_v0_4_0(run)) { /* it took those of the first member, and knew none of groups yet */
        const ReportEntry *first = entry->n_children ? report_find(run, entry->children[0], false) : NULL;
        return first ? first->num_fewshot : 0;
    }
    for (size_t i = 0; i < entry->n_children; i++) {
        const ReportEntry *task = report_find(run, entry->children[i], false);
        if (!task)
            continue;
        if (shots >= 0 && task->num_fewshot != shots)
            return -1;
        shots = task->num_fewshot;
    }
    return shots;
}

static int task_direction(const ReportEntry *task, const char *metric) {
    for (size_t i = 0; i < task->n_metrics; i++)
        if (text_equal(task->metrics[i].metric, metric))
            return task->metrics[i].higher_is_better;
    return -1;
}

int report_direction(const ReportRun *run, const ReportEntry *entry, const ReportMetric *metric) {
    if (!entry->is_group)
        return metric->higher_is_better;
    int direction = -1;
    for (size_t i = 0; i < entry->n_children; i++) {
        const ReportEntry *task = report_find(run, entry->children[i], false);
        int found = task ? task_direction(task, metric->metric) : -1;
        if (found < 0)
            continue;
        if (direction >= 0 && found != direction)
            return -1;
        direction = found;
    }
    return direction;
}

bool report_is_folded(const ReportRun *run, const ReportRow *row) {
    return run->n_folded > 0 && row->in_sum && !row->entry->is_group;
}
