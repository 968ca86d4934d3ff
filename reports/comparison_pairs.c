/* Pairing two runs' documents and testing each task and metric.
 *
 * Rows come ordered by task, metric, filter and document, so one test's values are neighbours: they are
 * gathered until the next test begins. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "reports/array.h"
#include "reports/comparison.h"

enum {
    MAX_RESAMPLES = 9999,
    MIN_RESAMPLES = 999,
    MAX_DRAWS = 500000000,
    SEED = 1234,
    MAX_TESTS = 100000,
    MAX_WARNINGS = 32
};

/* The values of the test in hand. */
typedef struct Gathered {
    double *a, *b;
    int64_t *documents;
    size_t n, capacity;
} Gathered;

static void gather(Gathered *values, int64_t document, double a, double b) {
    if (values->n == values->capacity) {
        values->capacity = values->capacity ? 2 * values->capacity : 1024;
        values->a = mem_realloc(values->a, values->capacity * sizeof *values->a);
        values->b = mem_realloc(values->b, values->capacity * sizeof *values->b);
        values->documents = mem_realloc(values->documents, values->capacity * sizeof *values->documents);
    }
    values->a[values->n] = a;
    values->b[values->n] = b;
    values->documents[values->n++] = document;
}

static void free_gathered(Gathered *values) {
    free(values->a);
    free(values->b);
    free(values->documents);
}

static bool is_binary(const Gathered *values) {
    for (size_t i = 0; i < values->n; i++)
        if ((values->a[i] != 0 && values->a[i] != 1) || (values->b[i] != 0 && values->b[i] != 1))
            return false;
    return true;
}

static void test_binary(const Gathered *values, size_t flips, Arena *arena, PairTest *test) {
    test->flips_a = arena_alloc(arena, (flips + 1) * sizeof *test->flips_a);
    test->flips_b = arena_alloc(arena, (flips + 1) * sizeof *test->flips_b);
    for (size_t i = 0; i < values->n; i++) {
        if (values->a[i] > values->b[i] && test->only_a++ < flips)
            test->flips_a[test->n_flips_a++] = values->documents[i];
        if (values->b[i] > values->a[i] && test->only_b++ < flips)
            test->flips_b[test->n_flips_b++] = values->documents[i];
    }
    test->p = paired_mcnemar(test->only_a, test->only_b);
    test->low = test->difference.mean - 1.959963984540054 * test->difference.stderr_value;
    test->high = test->difference.mean + 1.959963984540054 * test->difference.stderr_value;
}

static void test_by_bootstrap(const double *differences, size_t n, PairTest *test) {
    size_t affordable = MAX_DRAWS / n;
    test->resamples = affordable > MAX_RESAMPLES   ? MAX_RESAMPLES
                      : affordable < MIN_RESAMPLES ? MIN_RESAMPLES
                                                   : affordable;
    PairedBootstrap found = paired_bootstrap(differences, n, test->resamples, SEED);
    test->p = found.p;
    test->low = found.low;
    test->high = found.high;
}

static void finish_test(const Gathered *values, size_t flips, Arena *arena, PairTest *test) {
    test->n = values->n;
    test->p = test->p_holm = test->low = test->high = NAN;
    test->mean_a = test->mean_b = NAN;
    test->difference = (PairedMean){NAN, NAN, NAN};
    if (values->n == 0)
        return;
    double *differences = mem_alloc_zero(values->n, sizeof *differences);
    for (size_t i = 0; i < values->n; i++)
        differences[i] = values->b[i] - values->a[i];
    test->mean_a = paired_mean(values->a, values->n).mean;
    test->mean_b = paired_mean(values->b, values->n).mean;
    test->difference = paired_mean(differences, values->n);
    test->is_binary = is_binary(values);
    if (test->is_binary)
        test_binary(values, flips, arena, test);
    else
        test_by_bootstrap(differences, values->n, test);
    free(differences);
}

static const char select_pairs[] =
    "SELECT t.name, x.metric, x.filter, x.doc_id, x.value, y.value, d.json_id IS e.json_id,"
    " d.prompt_sha256 IS e.prompt_sha256"
    " FROM tasks t JOIN tasks u ON u.run_id = ?2 AND u.name = t.name"
    " JOIN document_metrics x ON x.task_id = t.task_id"
    " JOIN document_metrics y ON y.task_id = u.task_id AND y.doc_id = x.doc_id AND y.metric = x.metric"
    "  AND y.filter = x.filter"
    " JOIN documents d ON d.task_id = x.task_id AND d.doc_id = x.doc_id"
    " JOIN documents e ON e.task_id = y.task_id AND e.doc_id = y.doc_id"
    " WHERE t.run_id = ?1 ORDER BY t.name, x.metric, x.filter, x.doc_id";

static PairTest *new_test(PairComparison *out, sqlite3_stmt *row, Arena *arena) {
    out->tests = array_grown(arena, out->tests, out->n_tests, sizeof *out->tests);
    PairTest *test = &out->tests[out->n_tests++];
    *test = (PairTest){.task = report_text(row, 0, arena),
                       .metric = report_text(row, 1, arena),
                       .filter = report_text(row, 2, arena)};
    return test;
}

static bool belongs_to(const PairTest *test, sqlite3_stmt *row) {
    const char *const names[] = {test->task, test->metric, test->filter};
    for (int i = 0; i < 3; i++) {
        const char *text = (const char *)sqlite3_column_text(row, i);
        if (strcmp(names[i], text ? text : "") != 0)
            return false;
    }
    return true;
}

static void take_row(sqlite3_stmt *row, PairTest *test, Gathered *values) {
    double a = report_real(row, 4), b = report_real(row, 5);
    if (!sqlite3_column_int(row, 6)) {
        test->n_other_document++;
    } else if (isnan(a) || isnan(b)) {
        test->n_not_number++;
    } else {
        test->n_other_prompt += !sqlite3_column_int(row, 7);
        gather(values, sqlite3_column_int64(row, 3), a, b);
    }
}

/* ---- groups */

enum { MAX_DEPTH = 16 };

static bool is_below(const ReportRun *run, const ReportEntry *group, const char *task, int depth) {
    for (size_t i = 0; i < group->n_children && depth < MAX_DEPTH; i++) {
        const ReportEntry *child = report_find(run, group->children[i], true);
        if (strcmp(group->children[i], task) == 0 || (child && is_below(run, child, task, depth + 1)))
            return true;
    }
    return false;
}

/* One group's metric, gathered over its tasks as they pass by. */
typedef struct Pool {
    const ReportEntry *group;
    const char *metric, *filter;
    Gathered values;
    size_t n_tasks;
} Pool;

typedef struct Pools {
    Pool *items;
    size_t n;
} Pools;

/* A pool for each group and metric that both runs have as a mean over documents. */
static Pools make_pools(const ReportRun *a, const ReportRun *b, Arena *arena) {
    Pools pools = {0};
    for (size_t i = 0; i < a->n_entries; i++) {
        const ReportEntry *group = &a->entries[i], *other = report_find(b, group->name, true);
        if (!group->is_group || !group->weight_by_size || !other || !other->weight_by_size)
            continue;
        for (size_t m = 0; m < group->n_metrics; m++) {
            pools.items = array_grown(arena, pools.items, pools.n, sizeof *pools.items);
            pools.items[pools.n++] = (Pool){
                .group = group, .metric = group->metrics[m].metric, .filter = group->metrics[m].filter};
        }
    }
    return pools;
}

static void pour(Pools *pools, const ReportRun *run, const PairTest *test, const Gathered *values) {
    for (size_t p = 0; p < pools->n; p++) {
        Pool *pool = &pools->items[p];
        if (strcmp(pool->metric, test->metric) != 0 || strcmp(pool->filter, test->filter) != 0 ||
            !is_below(run, pool->group, test->task, 0))
            continue;
        pool->n_tasks++;
        for (size_t i = 0; i < values->n; i++)
            gather(&pool->values, values->documents[i], values->a[i], values->b[i]);
    }
}

static void test_pools(Pools *pools, Arena *arena, PairComparison *out) {
    for (size_t p = 0; p < pools->n; p++) {
        Pool *pool = &pools->items[p];
        if (pool->n_tasks > 1) {
            out->tests = array_grown(arena, out->tests, out->n_tests, sizeof *out->tests);
            PairTest *test = &out->tests[out->n_tests++];
            *test =
                (PairTest){.task = arena_printf(arena, "%s, all %zu tasks", pool->group->name, pool->n_tasks),
                           .metric = pool->metric,
                           .filter = pool->filter,
                           .is_group = true};
            finish_test(&pool->values, 0, arena, test);
        }
        free_gathered(&pool->values);
    }
}

static int load_tests(Db *db, size_t flips, Arena *arena, PairComparison *out, Error *error) {
    sqlite3_stmt *statement = report_query(db, select_pairs, out->a->run_id, error);
    if (!statement)
        return -1;
    sqlite3_bind_int64(statement, 2, out->b->run_id);
    Gathered values = {0};
    Pools pools = make_pools(out->a, out->b, arena);
    PairTest *test = NULL;
    int result;
    while ((result = report_step(db, statement, error)) == 1) {
        if (!test || !belongs_to(test, statement)) {
            if (test) {
                finish_test(&values, flips, arena, test);
                pour(&pools, out->a, test, &values);
            }
            values.n = 0;
            if (out->n_tests == MAX_TESTS) {
                result =
                    error_set(error, "results database '%s' holds more than %d tasks and metrics in common",
                              db_path(db), MAX_TESTS);
                break;
            }
            test = new_test(out, statement, arena);
        }
        take_row(statement, test, &values);
    }
    if (result == 0 && test) {
        finish_test(&values, flips, arena, test);
        pour(&pools, out->a, test, &values);
    }
    test_pools(&pools, arena, out);
    sqlite3_finalize(statement);
    free_gathered(&values);
    return result;
}

static bool same_family(const PairTest *a, const PairTest *b) {
    return a->is_group == b->is_group && strcmp(a->metric, b->metric) == 0 &&
           strcmp(a->filter, b->filter) == 0;
}

static void correct(PairComparison *out) {
    double *p = mem_alloc_zero(out->n_tests, sizeof *p), *adjusted = mem_alloc_zero(out->n_tests, sizeof *p);
    for (size_t first = 0; first < out->n_tests; first++) {
        bool done = false;
        for (size_t i = 0; i < out->n_tests; i++) {
            done = done || (i < first && same_family(&out->tests[i], &out->tests[first]));
            p[i] = same_family(&out->tests[i], &out->tests[first]) ? out->tests[i].p : NAN;
        }
        if (done)
            continue;
        paired_holm(p, out->n_tests, adjusted);
        for (size_t i = 0; i < out->n_tests; i++)
            if (!isnan(p[i]))
                out->tests[i].p_holm = adjusted[i];
    }
    free(p);
    free(adjusted);
}

static void add_warning(PairComparison *out, const char *text) {
    if (out->n_warnings + 1 < MAX_WARNINGS)
        out->warnings[out->n_warnings++] = text;
    else if (out->n_warnings < MAX_WARNINGS)
        out->warnings[out->n_warnings++] = "more than these differences were found";
}

static void warn(PairComparison *out, Arena *arena, const char *what, const char *a, const char *b) {
    if (strcmp(a, b) != 0)
        add_warning(out, arena_printf(arena, "%s: %s against %s", what, a, b));
}

static const char *whole(int64_t value, Arena *arena) {
    return arena_printf(arena, "%lld", (long long)value);
}

static void warn_of_settings(PairComparison *out, Arena *arena) {
    const ReportRun *a = out->a, *b = out->b;
    warn(out, arena, "the data types differ", a->dtype, b->dtype);
    warn(out, arena, "the backends differ", a->backend, b->backend);
    warn(out, arena, "the lm-eval profiles differ", a->compat, b->compat);
    warn(out, arena, "the numerics versions differ", whole(a->numerics_version, arena),
         whole(b->numerics_version, arena));
    warn(out, arena, "the longest requests differ", whole(a->max_length, arena), whole(b->max_length, arena));
    warn(out, arena, "the few-shot seeds differ", whole(a->fewshot_seed, arena),
         whole(b->fewshot_seed, arena));
    warn(out, arena, "the BOS token differs", a->add_bos ? "added" : "not added",
         b->add_bos ? "added" : "not added");
    warn(out, arena, "the limits differ", arena_printf(arena, "%.6g", a->limit),
         arena_printf(arena, "%.6g", b->limit));
}

static void warn_of_tasks(PairComparison *out, Arena *arena) {
    for (size_t i = 0; i < out->a->n_entries; i++) {
        const ReportEntry *a = &out->a->entries[i], *b = report_find(out->b, a->name, false);
        if (a->is_group)
            continue;
        if (!b) {
            warn(out, arena, arena_printf(arena, "task %s is in one run only", a->name), "there", "missing");
            continue;
        }
        warn(out, arena, arena_printf(arena, "the versions of task %s differ", a->name), a->version,
             b->version);
        warn(out, arena, arena_printf(arena, "the shots of task %s differ", a->name),
             whole(a->num_fewshot, arena), whole(b->num_fewshot, arena));
        warn(out, arena, arena_printf(arena, "task %s has other numbers of documents", a->name),
             whole(a->n_documents, arena), whole(b->n_documents, arena));
    }
    for (size_t i = 0; i < out->b->n_entries; i++)
        if (!out->b->entries[i].is_group && !report_find(out->a, out->b->entries[i].name, false))
            warn(out, arena, arena_printf(arena, "task %s is in one run only", out->b->entries[i].name),
                 "missing", "there");
}

static void warn_of_files(PairComparison *out, Arena *arena) {
    for (size_t i = 0; i < out->a->n_files; i++)
        for (size_t j = 0; j < out->b->n_files; j++) {
            const ReportFile *a = &out->a->files[i], *b = &out->b->files[j];
            bool is_data = strcmp(a->role, "dataset") == 0 || strcmp(a->role, "task") == 0;
            if (is_data && strcmp(a->role, b->role) == 0 && strcmp(a->name, b->name) == 0)
                warn(out, arena, arena_printf(arena, "the %s file %s differs", a->role, a->name), a->sha256,
                     b->sha256);
        }
}

static void warn_of_documents(PairComparison *out, Arena *arena) {
    const char *last = "";
    for (size_t i = 0; i < out->n_tests; i++) {
        const PairTest *test = &out->tests[i];
        if (strcmp(test->task, last) == 0)
            continue;
        last = test->task;
        if (test->n_other_document)
            add_warning(out, arena_printf(arena,
                                          "task %s: %zu documents of one number have other content in the "
                                          "other run and are left out",
                                          test->task, test->n_other_document));
        if (test->n_other_prompt)
            add_warning(out,
                        arena_printf(arena, "task %s: %zu of %zu documents were asked with other prompts",
                                     test->task, test->n_other_prompt, test->n));
        if (test->n_not_number)
            add_warning(out,
                        arena_printf(arena, "task %s: %zu documents have no number in a run and are left out",
                                     test->task, test->n_not_number));
    }
}

int comparison_make(Db *db, const ReportRun *a, const ReportRun *b, size_t flips, Arena *arena,
                    PairComparison *out, Error *error) {
    *out = (PairComparison){.a = a, .b = b};
    out->warnings = arena_alloc(arena, MAX_WARNINGS * sizeof *out->warnings);
    if (load_tests(db, flips, arena, out, error) != 0)
        return -1;
    if (out->n_tests == 0)
        return error_set(error,
                         "runs %lld and %lld in results database '%s' have no task and metric in common",
                         (long long)a->run_id, (long long)b->run_id, db_path(db));
    correct(out);
    warn_of_settings(out, arena);
    warn_of_files(out, arena);
    warn_of_documents(out, arena);
    warn_of_tasks(out, arena);
    return 0;
}
