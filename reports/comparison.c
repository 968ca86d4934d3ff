/* `zeval compare`: every pair of the runs asked for, each task tested on the documents that both scored. */
#include "reports/comparison.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"
#include "reports/array.h"
#include "reports/sheet.h"

/* ---- which runs are meant */

static bool is_called(const ReportRun *run, const char *name) {
    return strcasecmp(run->model, name) == 0 || strcasecmp(path_name(run->model), name) == 0;
}

static const ReportRun *find_run(Db *db, const ReportSet *set, const char *name, Error *error) {
    const ReportRun *found = NULL;
    int64_t id;
    bool is_id = text_to_int(name, &id);
    for (size_t i = 0; i < set->n_runs; i++) {
        const ReportRun *run = &set->runs[i];
        if (is_id && run->run_id == id)
            return run;
        if (!is_called(run, name))
            continue;
        if (found) {
            error_set_kind(
                error, ERROR_USAGE,
                "--runs: several finished runs are of model \"%s\", %lld and %lld among them: say which "
                "by number",
                name, (long long)found->run_id, (long long)run->run_id);
            return NULL;
        }
        found = run;
    }
    if (!found)
        error_set_kind(
            error, ERROR_USAGE,
            "--runs: results database '%s' has no finished run \"%s\"; `zeval runs --db %s` lists what it "
            "has",
            db_path(db), name, db_path(db));
    return found;
}

/* ---- tables */

enum {
    T_TASK,
    T_METRIC,
    T_N,
    T_A,
    T_B,
    T_DIFFERENCE,
    T_INTERVAL,
    T_ONLY_A,
    T_ONLY_B,
    T_EFFECT,
    T_TEST,
    T_P,
    T_HOLM,
    N_TEST_COLUMNS
};
static const SheetColumn test_columns[N_TEST_COLUMNS] = {{"Task", NULL, false},
                                                         {"Metric", NULL, false},
                                                         {"Documents", NULL, true},
                                                         {"A", NULL, true},
                                                         {"B", NULL, true},
                                                         {"B - A", NULL, true},
                                                         {"95 % interval", NULL, true},
                                                         {"Only A right", NULL, true},
                                                         {"Only B right", NULL, true},
                                                         {"Effect", NULL, true},
                                                         {"Test", NULL, false},
                                                         {"p", NULL, true},
                                                         {"p, Holm", NULL, true}};

/* What a document adds to a perplexity is a log-likelihood, and that is what is compared. */
static bool is_of_likelihoods(const PairTest *test) {
    return strstr(test->metric, "perplexity") || strcmp(test->metric, "bits_per_byte") == 0;
}

static const char *metric_name(const PairTest *test, Arena *arena) {
    bool plain = !*test->filter || strcmp(test->filter, "none") == 0;
    const char *name = is_of_likelihoods(test) ? arena_printf(arena, "log-likelihood behind %s", test->metric)
                                               : test->metric;
    return plain ? name : arena_printf(arena, "%s (%s)", name, test->filter);
}

static const char *four(double value, Arena *arena) {
    const char *text = isnan(value) ? "NaN" : arena_printf(arena, "%.4f", value);
    return *text == '-' && strspn(text, "-0.") == strlen(text) ? text + 1 : text;
}

static const char *chance(double p, Arena *arena) {
    return isnan(p) ? "" : p < 0.0001 ? arena_printf(arena, "%.1e", p) : arena_printf(arena, "%.4f", p);
}

/* McNemar's odds ratio of the disagreements, or the standardised mean difference. */
static const char *effect_text(const PairTest *test, Arena *arena) {
    if (!test->is_binary && fabs(test->difference.effect) > 1e6)
        return "d infinite"; /* the differences do not vary but for rounding */
    if (!test->is_binary)
        return isnan(test->difference.effect) ? "" : arena_printf(arena, "d = %.2f", test->difference.effect);
    if (test->only_a + test->only_b == 0)
        return "";
    if (test->only_a == 0)
        return "odds infinite";
    return arena_printf(arena, "odds %.2f", (double)test->only_b / (double)test->only_a);
}

static void test_row(SheetBook *book, Sheet *sheet, const PairTest *test) {
    Arena *arena = book->arena;
    SheetCell *cells = sheet_row(book, sheet, false);
    cells[T_TASK].text = test->task;
    cells[T_METRIC].text = metric_name(test, arena);
    cells[T_N].text = arena_printf(arena, "%zu", test->n);
    cells[T_A].text = four(test->mean_a, arena);
    cells[T_B].text = four(test->mean_b, arena);
    cells[T_DIFFERENCE].text = four(test->difference.mean, arena);
    if (!isnan(test->low))
        cells[T_INTERVAL].text =
            arena_printf(arena, "%s to %s", four(test->low, arena), four(test->high, arena));
    if (test->is_binary) {
        cells[T_ONLY_A].text = arena_printf(arena, "%zu", test->only_a);
        cells[T_ONLY_B].text = arena_printf(arena, "%zu", test->only_b);
    }
    cells[T_EFFECT].text = effect_text(test, arena);
    cells[T_TEST].text = test->n == 0 ? "" : test->is_binary ? "McNemar, exact" : "paired bootstrap";
    cells[T_P].text = chance(test->p, arena);
    cells[T_HOLM].text = chance(test->p_holm, arena);
}

static const SheetColumn flip_columns[] = {{"Task", NULL, false},
                                           {"Metric", NULL, false},
                                           {"Only A right: documents", NULL, false},
                                           {"Only B right: documents", NULL, false}};

static const char *id_list(const int64_t *ids, size_t n, size_t all, Arena *arena) {
    Buffer text = {0};
    for (size_t i = 0; i < n; i++)
        buffer_printf(&text, "%s%lld", i ? ", " : "", (long long)ids[i]);
    if (all > n)
        buffer_printf(&text, "%s%zu more", n ? ", and " : "", all - n);
    const char *out = arena_strdup(arena, text.data ? text.data : "");
    buffer_free(&text);
    return out;
}

static void flip_sheet(SheetBook *book, const PairComparison *pair) {
    Sheet *sheet = NULL;
    for (size_t i = 0; i < pair->n_tests; i++) {
        const PairTest *test = &pair->tests[i];
        if (!test->is_binary || test->is_group || test->only_a + test->only_b == 0)
            continue;
        if (!sheet)
            sheet = sheet_add(book, SHEET_FOR_READERS, "flips", "Documents that flipped", flip_columns, 4);
        SheetCell *cells = sheet_row(book, sheet, false);
        cells[0].text = test->task;
        cells[1].text = metric_name(test, book->arena);
        cells[2].text = id_list(test->flips_a, test->n_flips_a, test->only_a, book->arena);
        cells[3].text = id_list(test->flips_b, test->n_flips_b, test->only_b, book->arena);
    }
}

/* ---- records for programs */

static const SheetColumn record_columns[] = {{"run_a", NULL, true},      {"run_b", NULL, true},
                                             {"task", NULL, false},      {"metric", NULL, false},
                                             {"filter", NULL, false},    {"n_documents", NULL, true},
                                             {"a", NULL, true},          {"b", NULL, true},
                                             {"difference", NULL, true}, {"stderr", NULL, true},
                                             {"low", NULL, true},        {"high", NULL, true},
                                             {"only_a", NULL, true},     {"only_b", NULL, true},
                                             {"d_z", NULL, true},        {"test", NULL, false},
                                             {"resamples", NULL, true},  {"p", NULL, true},
                                             {"p_holm", NULL, true},     {"n_other_prompt", NULL, true}};
static const SheetColumn flip_record_columns[] = {
    {"run_a", NULL, true},   {"run_b", NULL, true},  {"task", NULL, false},       {"metric", NULL, false},
    {"filter", NULL, false}, {"doc_id", NULL, true}, {"right_in_run", NULL, true}};
static const SheetColumn warning_columns[] = {
    {"run_a", NULL, true}, {"run_b", NULL, true}, {"warning", NULL, false}};
enum { N_RECORD_COLUMNS = sizeof record_columns / sizeof *record_columns };

static SheetCell exact(double value, Arena *arena) {
    return (SheetCell){.text = report_exact(value, arena), .is_number = true};
}

static SheetCell counted(int64_t value, Arena *arena) {
    return (SheetCell){.text = arena_printf(arena, "%lld", (long long)value), .is_number = true};
}

static void record_row(SheetBook *book, Sheet *sheet, const PairComparison *pair, const PairTest *test) {
    Arena *arena = book->arena;
    SheetCell none = {.text = "", .is_number = true};
    const SheetCell cells[N_RECORD_COLUMNS] = {counted(pair->a->run_id, arena),
                                               counted(pair->b->run_id, arena),
                                               {.text = test->task},
                                               {.text = test->metric},
                                               {.text = test->filter},
                                               counted((int64_t)test->n, arena),
                                               exact(test->mean_a, arena),
                                               exact(test->mean_b, arena),
                                               exact(test->difference.mean, arena),
                                               exact(test->difference.stderr_value, arena),
                                               exact(test->low, arena),
                                               exact(test->high, arena),
                                               test->is_binary ? counted((int64_t)test->only_a, arena) : none,
                                               test->is_binary ? counted((int64_t)test->only_b, arena) : none,
                                               exact(test->difference.effect, arena),
                                               {.text = test->n == 0      ? ""
                                                        : test->is_binary ? "mcnemar_exact"
                                                                          : "paired_bootstrap"},
                                               test->is_binary ? none
                                                               : counted((int64_t)test->resamples, arena),
                                               exact(test->p, arena),
                                               exact(test->p_holm, arena),
                                               counted((int64_t)test->n_other_prompt, arena)};
    memcpy(sheet_row(book, sheet, false), cells, sizeof cells);
}

static void flip_records(SheetBook *book, Sheet *sheet, const PairComparison *pair, const PairTest *test) {
    for (size_t i = 0; i < test->n_flips_a + test->n_flips_b; i++) {
        bool in_a = i < test->n_flips_a;
        SheetCell *cells = sheet_row(book, sheet, false);
        cells[0] = counted(pair->a->run_id, book->arena);
        cells[1] = counted(pair->b->run_id, book->arena);
        cells[2].text = test->task;
        cells[3].text = test->metric;
        cells[4].text = test->filter;
        cells[5] = counted(in_a ? test->flips_a[i] : test->flips_b[i - test->n_flips_a], book->arena);
        cells[6] = counted(in_a ? pair->a->run_id : pair->b->run_id, book->arena);
    }
}

/* ---- the report */

typedef struct Sheets {
    Sheet *tests, *flips, *warnings;
} Sheets;

static Sheets record_sheets(SheetBook *book) {
    return (Sheets){sheet_add(book, SHEET_FOR_PROGRAMS, "tests", NULL, record_columns, N_RECORD_COLUMNS),
                    sheet_add(book, SHEET_FOR_PROGRAMS, "flips", NULL, flip_record_columns, 7),
                    sheet_add(book, SHEET_FOR_PROGRAMS, "warnings", NULL, warning_columns, 3)};
}

/* "A: run 1, demo, float32, 0-shot". */
static const char *letter_line(char letter, const ReportRun *run, Arena *arena) {
    return arena_printf(arena, "%c is run %lld: %s", letter, (long long)run->run_id,
                        report_label(run, arena));
}

static void pair_section(SheetBook *book, const PairComparison *pair, const Sheets *records) {
    Arena *arena = book->arena;
    size_t below = 0, tested = 0;
    Sheet *sheet = sheet_add(
        book, SHEET_FOR_READERS, "pair",
        arena_printf(arena, "%s; %s", letter_line('A', pair->a, arena), letter_line('B', pair->b, arena)),
        test_columns, N_TEST_COLUMNS);
    for (size_t i = 0; i < pair->n_tests; i++) {
        test_row(book, sheet, &pair->tests[i]);
        record_row(book, records->tests, pair, &pair->tests[i]);
        flip_records(book, records->flips, pair, &pair->tests[i]);
        tested += !isnan(pair->tests[i].p_holm);
        below += pair->tests[i].p_holm < 0.05;
    }
    flip_sheet(book, pair);
    sheet_line(
        book, "Runs %lld and %lld: %zu of %zu tests find a difference at 0.05 after Holm's correction.%s",
        (long long)pair->a->run_id, (long long)pair->b->run_id, below, tested,
        strcmp(pair->a->model_sha256, pair->b->model_sha256) == 0 ? " Both are of the same model files."
                                                                  : "");
    if (!book->lead)
        book->lead = book->lines[book->n_lines - 1];
    for (size_t i = 0; i < pair->n_warnings; i++) {
        sheet_line(book, "Warning, runs %lld and %lld: %s.", (long long)pair->a->run_id,
                   (long long)pair->b->run_id, pair->warnings[i]);
        SheetCell *cells = sheet_row(book, records->warnings, false);
        cells[0] = counted(pair->a->run_id, arena);
        cells[1] = counted(pair->b->run_id, arena);
        cells[2].text = pair->warnings[i];
    }
}

typedef struct Request {
    const CompareOptions *options;
    SheetFormat format;
} Request;

enum { MAX_COMPARED = 8 };

static int write_comparison(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out,
                            Error *error) {
    const Request *request = context;
    const CompareOptions *options = request->options;
    const ReportRun *runs[MAX_COMPARED];
    SheetBook book = {.arena = arena, .title = "Runs compared on the same documents"};
    for (size_t i = 0; i < options->n_runs; i++) {
        runs[i] = find_run(db, set, options->runs[i], error);
        if (!runs[i])
            return -1;
        for (size_t j = 0; j < i; j++)
            if (runs[i] == runs[j])
                return error_set_kind(error, ERROR_USAGE, "--runs: run %lld is named twice",
                                      (long long)runs[i]->run_id);
    }
    Sheets records = record_sheets(&book);
    for (size_t i = 0; i < options->n_runs; i++)
        for (size_t j = i + 1; j < options->n_runs; j++) {
            PairComparison pair;
            if (comparison_make(db, runs[i], runs[j], (size_t)options->flips, arena, &pair, error) != 0)
                return -1;
            pair_section(&book, &pair, &records);
        }
    sheet_line(
        &book,
        "Metrics of 0 and 1 are tested by McNemar's exact test, others by a paired bootstrap with a fixed "
        "seed; Holm's correction is over the tasks of one metric and pair of runs.");
    sheet_write(&book, request->format, out);
    return 0;
}

/* Runs that any of the names may mean, so that only these are loaded; *n 0 if there is none. */
static int64_t *find_candidates(Db *db, const CompareOptions *options, Arena *arena, size_t *n) {
    sqlite3_stmt *statement =
        report_query(db, "SELECT run_id, model_name FROM runs WHERE finished_at IS NOT NULL", 0, NULL);
    int64_t *ids = NULL, id;
    *n = 0;
    while (statement && report_step(db, statement, NULL) == 1) {
        const ReportRun run = {.run_id = sqlite3_column_int64(statement, 0),
                               .model = report_public_name(report_text(statement, 1, arena), arena)};
        bool meant = false;
        for (size_t i = 0; i < options->n_runs; i++)
            meant = meant || is_called(&run, options->runs[i]) ||
                    (text_to_int(options->runs[i], &id) && id == run.run_id);
        if (!meant)
            continue;
        ids = array_grown(arena, ids, *n, sizeof *ids);
        ids[(*n)++] = run.run_id;
    }
    sqlite3_finalize(statement);
    return ids;
}

int report_comparison(Db *db, const CompareOptions *options, const char *format, Buffer *out, Error *error) {
    Request request = {.options = options};
    if (options->n_runs < 2 || options->n_runs > MAX_COMPARED)
        return error_set_kind(error, ERROR_USAGE, "--runs: found %zu, expected 2 to %d runs", options->n_runs,
                              MAX_COMPARED);
    if (sheet_format_find(format, &request.format, error) != 0)
        return -1;
    Arena arena = {0};
    ReportOptions wanted = {0};
    wanted.run_ids = find_candidates(db, options, &arena, &wanted.n_run_ids);
    int result = report_make(db, &wanted, write_comparison, &request, out, error);
    arena_free(&arena);
    return result;
}
