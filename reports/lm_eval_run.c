/* See lm_eval_run.h. The database may come from elsewhere: what is no JSON is left out, and groups that
 * contain each other end at some depth. */
#include "reports/lm_eval_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/results.h"

enum { MOST_ENTRIES = 100000, GROUP_DEPTH_MAX = 16 };

/* Of all output types together: no type has two that would have to change places. */
static const char *const metric_order[] = {"perplexity",
                                           "acc",
                                           "f1",
                                           "mcc",
                                           "acc_norm",
                                           "acc_bytes",
                                           "exact_match",
                                           "acc_mutual_info",
                                           "word_perplexity",
                                           "byte_perplexity",
                                           "bits_per_byte"};

int lm_metric_rank(const char *name) {
    enum { N = sizeof metric_order / sizeof *metric_order };
    for (int i = 0; i < N; i++)
        if (strcmp(metric_order[i], name) == 0)
            return i;
    return N;
}

void lm_append_string(Buffer *out, const char *text) {
    if (text)
        text_append_json(out, text, strlen(text));
    else
        buffer_append_text(out, "null");
}

static void new_line(Buffer *out, size_t depth) {
    buffer_append_char(out, '\n');
    for (size_t i = 0; i < depth; i++)
        buffer_append_text(out, "  ");
}

/* A string literal at *at, which is moved behind it. */
static void copy_string(const char **at, Buffer *out) {
    const char *start = (*at)++;
    while (**at && **at != '"')
        *at += **at == '\\' && (*at)[1] ? 2 : 1;
    *at += **at == '"';
    buffer_append(out, start, (size_t)(*at - start));
}

void lm_indent(const char *json, Buffer *out) {
    size_t depth = 0;
    while (*json) {
        char c = *json;
        if (c == '"') {
            copy_string(&json, out);
            continue;
        }
        json++;
        if ((c == '{' && *json == '}') || (c == '[' && *json == ']')) {
            buffer_append_char(out, c);
            buffer_append_char(out, *json++);
        } else if (c == '{' || c == '[') {
            buffer_append_char(out, c);
            new_line(out, ++depth);
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
            new_line(out, depth);
            buffer_append_char(out, c);
        } else if (c == ',') {
            buffer_append_char(out, c);
            new_line(out, depth);
            json += *json == ' ';
        } else {
            buffer_append_char(out, c);
        }
    }
}

/* ---- reading */

/* A text column, NULL where it is. */
static const char *text_or_null(sqlite3_stmt *statement, int column, Arena *arena) {
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NULL
                                                                 : report_text(statement, column, arena);
}

static const char *checked_config(const char *config) {
    cJSON *json = NULL;
    bool right =
        config && json_parse(&json, config, strlen(config), "config", NULL) == 0 && cJSON_IsObject(json);
    cJSON_Delete(json);
    return right ? config : "{}";
}

static int read_run(Db *db, LmRun *run, Error *error) {
    sqlite3_stmt *statement =
        report_query(db,
                     "SELECT model_name, dtype, backend, build, started_at, finished_at, chat_template,"
                     " system_instruction, fewshot_as_multiturn, sample_limit, n_parameters, max_length, "
                     "fewshot_seed, special_tokens"
                     " FROM runs WHERE run_id = ?1 AND finished_at IS NOT NULL",
                     run->run_id, error);
    if (!statement)
        return -1;
    Arena *arena = &run->arena;
    int found = report_step(db, statement, error);
    if (found == 0)
        error_set_kind(error, ERROR_USAGE, "%s has no complete run %lld", db_path(db),
                       (long long)run->run_id);
    if (found == 1) {
        run->model = report_public_name(report_text(statement, 0, arena), arena);
        run->dtype = report_text(statement, 1, arena);
        run->backend = report_text(statement, 2, arena);
        run->build = report_text(statement, 3, arena);
        run->started = report_text(statement, 4, arena);
        run->finished = report_text(statement, 5, arena);
        run->chat_template = text_or_null(statement, 6, arena);
        run->system_instruction = text_or_null(statement, 7, arena);
        run->fewshot_as_multiturn = sqlite3_column_int(statement, 8) != 0;
        run->limit = sqlite3_column_double(statement, 9);
        run->n_parameters = report_counter(statement, 10);
        run->max_length = report_counter(statement, 11);
        run->fewshot_seed = report_counter(statement, 12);
        run->special_tokens = text_or_null(statement, 13, arena);
    }
    sqlite3_finalize(statement);
    return found == 1 ? 0 : -1;
}

static LmEntry read_task(sqlite3_stmt *statement, Arena *arena) {
    return (LmEntry){.name = report_text(statement, 0, arena),
                     .alias = report_text(statement, 1, arena),
                     .version = report_text(statement, 2, arena),
                     .output_type = report_text(statement, 3, arena),
                     .num_fewshot = report_counter(statement, 4),
                     .n_documents = report_counter(statement, 5),
                     .n_documents_total = report_counter(statement, 6),
                     .task_id = sqlite3_column_int64(statement, 7),
                     .first_task = sqlite3_column_int64(statement, 7),
                     .config = checked_config(text_or_null(statement, 8, arena))};
}

/* A group without a configuration is one of before groups without aggregates were kept. */
static LmEntry read_group(sqlite3_stmt *statement, Arena *arena) {
    const char *config = text_or_null(statement, 4, arena);
    return (LmEntry){.is_group = true,
                     .adds_up = !config || strstr(config, "\"aggregate_metric_list\""),
                     .name = report_text(statement, 0, arena),
                     .alias = report_text(statement, 1, arena),
                     .version = report_text(statement, 2, arena),
                     .task_id = sqlite3_column_int64(statement, 3),
                     .first_task = INT64_MAX,
                     .config = checked_config(config)};
}

static int read_entries(Db *db, LmRun *run, const char *sql, LmEntry (*read)(sqlite3_stmt *, Arena *),
                        Error *error) {
    sqlite3_stmt *statement = report_query(db, sql, run->run_id, error);
    int more = statement ? 1 : -1;
    while (statement && run->n_entries < MOST_ENTRIES && (more = report_step(db, statement, error)) > 0) {
        if ((run->n_entries & (run->n_entries + 1)) == 0) {
            LmEntry *bigger = arena_alloc(&run->arena, (2 * run->n_entries + 2) * sizeof *bigger);
            if (run->n_entries)
                memcpy(bigger, run->entries, run->n_entries * sizeof *bigger);
            run->entries = bigger;
        }
        run->entries[run->n_entries++] = read(statement, &run->arena);
    }
    sqlite3_finalize(statement);
    return more < 0 ? -1 : 0;
}

static LmEntry *entry_named(LmRun *run, const char *name, bool group_first) {
    LmEntry *found = NULL;
    for (size_t i = 0; i < run->n_entries; i++)
        if (strcmp(run->entries[i].name, name) == 0 && (!found || run->entries[i].is_group == group_first))
            found = &run->entries[i];
    return found;
}

static int read_members(Db *db, LmRun *run, LmEntry *group, Error *error) {
    sqlite3_stmt *statement = report_query(
        db, "SELECT child FROM group_members WHERE group_id = ?1 ORDER BY position", group->task_id, error);
    int more = statement ? 1 : -1;
    group->children = arena_alloc(&run->arena, (run->n_entries + 1) * sizeof *group->children);
    while (statement && group->n_children < run->n_entries &&
           (more = report_step(db, statement, error)) > 0) {
        LmEntry *child = entry_named(run, report_text(statement, 0, &run->arena), true);
        if (!child || child == group)
            continue;
        child->is_member = true;
        group->children[group->n_children++] = child;
    }
    sqlite3_finalize(statement);
    return more < 0 ? -1 : 0;
}

/* What a group has of all that is below it: the place of its first task, and the documents of all tasks, each
 * as often as groups have it, which is how upstream counts. marks: 1 while the sum is being made, so that a
 * group that contains itself adds nothing, 2 behind it. */
static void gather(LmRun *run, LmEntry *entry, char *marks, int depth) {
    char *mark = &marks[entry - run->entries];
    if (!entry->is_group || *mark || depth > GROUP_DEPTH_MAX)
        return;
    *mark = 1;
    for (size_t i = 0; i < entry->n_children; i++) {
        LmEntry *child = entry->children[i];
        gather(run, child, marks, depth + 1);
        if (marks[child - run->entries] == 1)
            continue;
        bool room = child->n_documents <= INT64_MAX - entry->n_documents;
        entry->n_documents = room ? entry->n_documents + child->n_documents : INT64_MAX;
        entry->first_task = child->first_task < entry->first_task ? child->first_task : entry->first_task;
    }
    *mark = 2;
}

static void gather_all(LmRun *run) {
    char *marks = memset(arena_alloc(&run->arena, run->n_entries + 1), 0, run->n_entries + 1);
    for (size_t i = run->n_tasks; i < run->n_entries; i++)
        gather(run, &run->entries[i], marks, 0);
}

/* ---- metrics */

const char **lm_filters(const char *text, Arena *arena, size_t *n) {
    cJSON *config = NULL;
    const cJSON *item, *list;
    json_parse(&config, text, strlen(text), "config", NULL);
    list = cJSON_GetObjectItemCaseSensitive(config, "filter_list");
    size_t room = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 0;
    const char **names = arena_alloc(arena, (room + 1) * sizeof *names);
    *n = 0;
    for (item = room ? list->child : NULL; item; item = item->next) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
        if (cJSON_IsString(name))
            names[(*n)++] = arena_strdup(arena, name->valuestring);
    }
    if (*n == 0)
        names[(*n)++] = "none";
    cJSON_Delete(config);
    return names;
}

static size_t filter_place(const char *const *filters, size_t n, const char *name) {
    size_t i = 0;
    while (i < n && strcmp(filters[i], name) != 0)
        i++;
    return i;
}

/* A task's metrics come filter by filter, each in upstream's order. */
static void place_task_metrics(LmRun *run, LmEntry *task) {
    size_t n;
    const char **filters = lm_filters(task->config, &run->arena, &n);
    for (size_t i = 0; i < task->n_metrics; i++) {
        task->metrics[i].major = filter_place(filters, n, task->metrics[i].filter);
        task->metrics[i].minor = (size_t)lm_metric_rank(task->metrics[i].name);
    }
}

/* Where the filter stands in an aggregate's list, which without names means all, sorted; false if it is not
 * of it. */
static bool find_filter(const cJSON *list, const char *filter, size_t *place) {
    const cJSON *item;
    *place = 0;
    cJSON_ArrayForEach(item, list) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, filter) == 0)
            return true;
        ++*place;
    }
    return *place == 0;
}

/* A group's come as it lists them. */
static void place_group_metrics(LmEntry *group) {
    cJSON *config = NULL;
    const cJSON *item;
    size_t at = 0;
    json_parse(&config, group->config, strlen(group->config), "config", NULL);
    for (size_t i = 0; i < group->n_metrics; i++)
        group->metrics[i].major = SIZE_MAX;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(config, "aggregate_metric_list")) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "metric");
        for (size_t i = 0; cJSON_IsString(name) && i < group->n_metrics; i++) {
            LmMetric *metric = &group->metrics[i];
            size_t place;
            if (metric->major == SIZE_MAX && strcmp(metric->name, name->valuestring) == 0 &&
                find_filter(cJSON_GetObjectItemCaseSensitive(item, "filter_list"), metric->filter, &place)) {
                metric->major = at;
                metric->minor = place;
            }
        }
        at++;
    }
    cJSON_Delete(config);
}

/* Few enough for an insertion sort. */
static void sort_metrics(LmEntry *entry) {
    for (size_t i = 1; i < entry->n_metrics; i++)
        for (size_t k = i; k > 0; k--) {
            LmMetric *a = &entry->metrics[k - 1], *b = &entry->metrics[k], swap = *a;
            if (a->major < b->major || (a->major == b->major && a->minor <= b->minor))
                break;
            *a = *b;
            *b = swap;
        }
}

static int read_metrics(Db *db, LmRun *run, Error *error) {
    enum { MOST_METRICS = 256 };
    sqlite3_stmt *statement =
        report_query(db,
                     "SELECT name, is_group, metric, filter, value, stderr, higher_is_better, n"
                     " FROM results WHERE run_id = ?1 ORDER BY name, filter, metric",
                     run->run_id, error);
    int more = statement ? 1 : -1;
    while (statement && (more = report_step(db, statement, error)) > 0) {
        LmEntry *entry =
            entry_named(run, report_text(statement, 0, &run->arena), sqlite3_column_int(statement, 1) != 0);
        if (!entry || entry->n_metrics == MOST_METRICS)
            continue;
        if (!entry->metrics)
            entry->metrics = arena_alloc(&run->arena, MOST_METRICS * sizeof *entry->metrics);
        entry->metrics[entry->n_metrics++] =
            (LmMetric){.name = report_text(statement, 2, &run->arena),
                       .filter = report_text(statement, 3, &run->arena),
                       .value = report_real(statement, 4),
                       .error = report_real(statement, 5),
                       .higher_is_better = sqlite3_column_int(statement, 6) != 0,
                       .n = report_counter(statement, 7)};
    }
    sqlite3_finalize(statement);
    return more < 0 ? -1 : 0;
}

int lm_run_read(Db *db, int64_t run_id, LmRun *run, Error *error) {
    *run = (LmRun){.run_id = run_id};
    if (read_run(db, run, error) ||
        read_entries(
            db, run,
            "SELECT name, alias, version, output_type, num_fewshot, n_documents, n_documents_total, task_id,"
            " config FROM tasks WHERE run_id = ?1 ORDER BY task_id",
            read_task, error))
        return -1;
    run->n_tasks = run->n_entries;
    if (read_entries(db, run,
                     "SELECT name, alias, version, group_id, config FROM task_groups WHERE run_id = ?1 ORDER "
                     "BY group_id",
                     read_group, error) ||
        read_metrics(db, run, error))
        return -1;
    for (size_t i = run->n_tasks; i < run->n_entries; i++)
        if (read_members(db, run, &run->entries[i], error))
            return -1;
    for (size_t i = 0; i < run->n_entries; i++) {
        LmEntry *entry = &run->entries[i];
        if (entry->is_group)
            place_group_metrics(entry);
        else
            place_task_metrics(run, entry);
        sort_metrics(entry);
    }
    gather_all(run);
    return 0;
}

void lm_run_free(LmRun *run) {
    arena_free(&run->arena);
}

/* ---- orders */

static int compare_first(const void *a, const void *b) {
    const LmEntry *left = *(LmEntry *const *)a, *right = *(LmEntry *const *)b;
    return (left->first_task > right->first_task) - (left->first_task < right->first_task);
}

LmEntry **lm_run_roots(LmRun *run, size_t *n) {
    LmEntry **roots = arena_alloc(&run->arena, (run->n_entries + 1) * sizeof *roots);
    *n = 0;
    for (size_t i = 0; i < run->n_entries; i++)
        if (!run->entries[i].is_member)
            roots[(*n)++] = &run->entries[i];
    qsort(roots, *n, sizeof *roots, compare_first);
    return roots;
}

LmOrder lm_order_new(LmRun *run) {
    return (LmOrder){.entries = arena_alloc(&run->arena, (run->n_entries + 1) * sizeof(LmEntry *)),
                     .seen = memset(arena_alloc(&run->arena, run->n_entries + 1), 0, run->n_entries + 1)};
}

static void add_below(LmOrder *order, LmRun *run, LmEntry *root, bool children_first, int depth) {
    bool *seen = &order->seen[root - run->entries];
    if (*seen || depth > GROUP_DEPTH_MAX)
        return;
    *seen = true;
    if (!children_first)
        order->entries[order->n++] = root;
    for (size_t i = 0; i < root->n_children; i++)
        add_below(order, run, root->children[i], children_first, depth + 1);
    if (children_first)
        order->entries[order->n++] = root;
}

void lm_order_add(LmOrder *order, LmRun *run, LmEntry *root, bool children_first) {
    add_below(order, run, root, children_first, 0);
}
