#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "reports/published.h"
#include "tests/reports/support.h"

static void parse_fails(const char *text, const char *expected) {
    Arena arena = {0};
    Published published = {0};
    Error error = {0};
    assert_int_equal(published_parse(&published, text, strlen(text), "file.tsv", &arena, &error), -1);
    assert_contains(error.message, expected);
    arena_free(&arena);
}

static void test_every_value_is_there(void **state) {
    (void)state;
    Arena arena = {0};
    Published published;
    Error error = {0};
    succeed(published_load(&published, &arena, &error), &error);
    size_t values = 0, slips = 0;
    for (size_t t = 0; t < published.n_tables; t++)
        for (size_t r = 0; r < published.tables[t].n_rows; r++) {
            const PublishedRow *row = &published.tables[t].rows[r];
            assert_true(*row->source);
            for (size_t c = 0; c < published.tables[t].n_columns; c++)
                values += *row->values[c] != '\0';
            for (size_t i = 0; i < row->n_notes; i++)
                slips += row->notes[i].is_slip;
        }
    assert_int_equal(published.n_tables, 82);
    assert_int_equal(values, 3509);
    assert_true(slips >= 15);
    arena_free(&arena);
}

/* Every printed mean recomputes but the one that a slip explains; every KV-cache size is printed as the
 * formula gives it, or marked as a slip. */
static void test_means_and_caches_recompute(void **state) {
    (void)state;
    Arena arena = {0};
    Published published;
    Error error = {0};
    succeed(published_load(&published, &arena, &error), &error);
    size_t means = 0, off = 0;
    for (size_t t = 0; t < published.n_tables; t++) {
        const PublishedTable *table = &published.tables[t];
        for (size_t i = 0; i < table->n_rows * table->n_columns; i++) {
            const PublishedRow *row = &table->rows[i / table->n_columns];
            double mean, tolerance, printed;
            int decimals;
            if (!published_mean(table, row, i % table->n_columns, &mean, &tolerance) ||
                !published_number(row->values[i % table->n_columns], &printed, &decimals))
                continue;
            means++;
            if (fabs(mean - printed) > tolerance + 1e-9) {
                off++;
                assert_string_equal(row->model, "Zebra-Llama-8B, 8MLA-24M2");
                assert_string_equal(table->key, "1");
            }
        }
        for (size_t r = 0; r < table->n_rows; r++) {
            const PublishedRow *row = &table->rows[r];
            double kv = published_formula_kv(row), unit = strchr(row->kv, '.') ? 0.1 : 1;
            bool slip = false;
            for (size_t i = 0; i < row->n_notes; i++)
                slip = slip || (row->notes[i].is_slip && row->notes[i].column == PUBLISHED_KV);
            if (!isnan(kv) && !slip && fabs(strtod(row->kv, NULL) - kv) > unit)
                fail_msg("%s %s, %s: printed %s, formula %f", table->paper_key, table->key, row->model,
                         row->kv, kv);
        }
    }
    assert_true(means > 150);
    assert_int_equal(off, 1);
    arena_free(&arena);
}

static void test_names_are_found_in_any_spelling(void **state) {
    (void)state;
    Arena arena = {0};
    Published published;
    const PublishedTable *table;
    Error error = {0};
    succeed(published_load(&published, &arena, &error), &error);
    succeed(published_find(&published, "zebra-llama", "1", &table, &error), &error);
    assert_string_equal(table->title, "Table 1 (zero-shot)");
    assert_int_equal(table->n_rows, 22);
    succeed(published_find(&published, "Zebra Llama", "table 1 zero shot", &table, &error), &error);
    succeed(published_find(&published, "MAMBA-IN-LLAMA", "3", &table, &error), &error);
    assert_int_equal(published_find(&published, "zebra", "1", &table, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_contains(error.message, "no paper \"zebra\" is known; known are: amd-hybridlm-blog, llamba,");
    assert_int_equal(published_find(&published, "llamba", "99", &table, &error), -1);
    assert_contains(error.message, "no table \"99\" of llamba is known; known are: 1, 3, 2, throughput");
    arena_free(&arena);
}

static void test_numbers_are_whole_texts(void **state) {
    (void)state;
    double number;
    int decimals;
    assert_true(published_number("37.90", &number, &decimals));
    assert_true(number == 37.9 && decimals == 2);
    assert_true(published_number("-4", &number, &decimals) && decimals == 0);
    static const char *const texts[] = {"",           "-",   "3.9×", "~17 h", "1.36B",
                                        "13.20±0.96", "12.", ".5",   "1e3",   "nan"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(published_number(texts[i], &number, &decimals));
}

static void test_broken_files_are_refused(void **state) {
    (void)state;
#define HEAD "paper\tp\tP\ntable\t1\tT\ncolumn\tA\ta\tacc\t0\n"
    parse_fails("table\t1\tT\n", "file.tsv, line 1: found a table without a name or paper");
    parse_fails("paper\tp\n", "line 1: found a paper without a name");
    parse_fails("nonsense\n", "line 1: found a line of an unknown kind");
    parse_fails("row\tm\n", "line 1: found a row out of place");
    parse_fails(HEAD "row\tm\t\t\t\t\t\t1\t2\n", "line 4: found a row with more values than columns");
    parse_fails(HEAD "mean\t2\t1\n", "found a mean of no column");
    parse_fails(HEAD "mean\t1\t1,7\n", "found a member that is no column");
    parse_fails(HEAD "note\trow\tx\n", "found a note out of place");
    parse_fails(HEAD "row\tm\nnote\t4\tx\n", "line 5: found a note on nothing");
    parse_fails(HEAD "row\tm\nformula\t1\t0\t3\t4\n", "found a formula that is none");
    parse_fails(HEAD "row\tm\nmetric\t0\tacc\n", "found a metric of no cell");
    parse_fails("paper\tp\tP\ntable\t1\tT\ncolumn\tA\ta\tacc\t-3\n", "found a number of shots that is none");
    Buffer wide = {0};
    for (int i = 0; i < 70; i++)
        buffer_append_char(&wide, '\t');
    parse_fails(wide.data, "more fields than a line may have");
    buffer_free(&wide);
}

static char *list(const PublishedQuery *query, const char *format) {
    Error error = {0};
    Buffer out = {0};
    succeed(report_published(query, format, &out, &error), &error);
    return buffer_take(&out);
}

static void test_queries(void **state) {
    (void)state;
    Error error = {0};
    Buffer out = {0};
    char *text = list(&(PublishedQuery){0}, "csv");
    assert_contains(text, "paper,key,title,rows,values\n");
    assert_contains(text, "\nzebra-llama,1,Table 1 (zero-shot),22,198\n");
    free(text);
    PublishedQuery slip = {.paper = "zebra-llama", .table = "1", .model = "8b-8mla", .task = "hellas*"};
    text = list(&slip, "markdown");
    assert_contains(
        text, "| zebra-llama | 1     | Zebra-Llama-8B, 8MLA-24M2 |   2.73% | hellaswag | acc_norm |     0 "
              "| 78.4 \\[1\\] |\n");
    assert_contains(text, "\\[1\\] printed 78.4; the repository's README has 78.6");
    free(text);
    text = list(&slip, "json");
    cJSON *json = NULL;
    succeed(json_parse(&json, text, strlen(text), "published", &error), &error);
    const cJSON *value = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "values"), 0);
    assert_string_equal(cJSON_GetObjectItem(value, "hf_repo")->valuestring,
                        "amd/Zebra-Llama-8B-8MLA-24Mamba-DPO");
    assert_string_equal(cJSON_GetObjectItem(value, "value")->valuestring, "78.4");
    assert_contains(cJSON_GetObjectItem(value, "slips")->valuestring, "78.6");
    assert_contains(cJSON_GetObjectItem(value, "source")->valuestring, "openreview");
    cJSON_Delete(json);
    free(text);
    assert_int_equal(report_published(&(PublishedQuery){.model = "no such model"}, "csv", &out, &error), -1);
    assert_contains(error.message, "no published value matches");
    assert_int_equal(report_published(&(PublishedQuery){.paper = "nobody"}, "csv", &out, &error), -1);
    assert_contains(error.message, "no paper \"nobody\" is known");
    assert_int_equal(report_published(&(PublishedQuery){0}, "docx", &out, &error), -1);
    assert_contains(error.message, "--format: found \"docx\", expected markdown, html, latex, csv or json");
    buffer_free(&out);
}

const struct CMUnitTest published_tests[] = {cmocka_unit_test(test_every_value_is_there),
                                             cmocka_unit_test(test_means_and_caches_recompute),
                                             cmocka_unit_test(test_names_are_found_in_any_spelling),
                                             cmocka_unit_test(test_numbers_are_whole_texts),
                                             cmocka_unit_test(test_broken_files_are_refused),
                                             cmocka_unit_test(test_queries)};
const size_t n_published_tests = sizeof published_tests / sizeof *published_tests;
