#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/reports/support.h"

/* Every tag is closed in the right order: enough of a parser for our own page, where texts are escaped. */
static void assert_well_nested(const char *page) {
    static const char *const empty[] = {"meta", "line", "rect", "!DOCTYPE"};
    char stack[64][32];
    int depth = 0;
    for (const char *open = strchr(page, '<'); open; open = strchr(open + 1, '<')) {
        const char *name = open + 1 + (open[1] == '/');
        size_t n = strcspn(name, " />");
        bool is_empty = false;
        for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
            is_empty = is_empty || (strlen(empty[i]) == n && strncmp(empty[i], name, n) == 0);
        if (is_empty)
            continue;
        assert_true(n > 0 && n < 32);
        if (open[1] == '/') {
            assert_true(depth > 0);
            depth--;
            if (strlen(stack[depth]) != n || strncmp(stack[depth], name, n) != 0)
                fail_msg("expected </%s>, found %.40s", stack[depth], open);
        } else {
            assert_true(depth < 64);
            memcpy(stack[depth], name, n);
            stack[depth++][n] = '\0';
        }
    }
    assert_int_equal(depth, 0);
}

static const char *const choices[] = {"alpha", "beta", "gamma", "delta"};

static void test_page_shows_results_and_documents(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 5);
    add_document(fixture->db, run, "t", 0, "What is first?", choices, 1);
    add_document(fixture->db, run, "t", 1, "What is second?", choices, 2);
    add_result(fixture->db, run, "t", "acc", 0.5, 0.25);
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    assert_contains(page, "<h1>org/model</h1>");
    assert_contains(page,
                    "<th scope=\"row\" style=\"padding-left:0.75rem\">t</th><td class=\"metric\">acc ↑</td>"
                    "<td class=\"n\">0.5000</td><td class=\"n\">0.2500</td>");
    /* the bar, its whisker from 0.25 to 0.75, and guessing one of four */
    assert_contains(page, "width=\"50.000%\"");
    assert_contains(page, "<line class=\"whisker\" x1=\"25.000%\" y1=\"9\" x2=\"75.000%\" y2=\"9\"/>");
    assert_contains(page, "<line class=\"chance\" x1=\"25.000%\"");
    assert_contains(page,
                    "<span class=\"right\">✓ right</span> #0 <span class=\"snippet\">What is first?</span>");
    assert_contains(page,
                    "<span class=\"wrong\">✗ wrong</span> #1 <span class=\"snippet\">What is second?</span>");
    assert_contains(page,
                    "gamma<span class=\"tag picked\">most likely</span></td><td class=\"n\">-1.2500</td>");
    assert_contains(page, "beta<span class=\"tag gold\">gold</span></td><td class=\"n\">-7.5000</td>");
    free(page);
}

/* winogrande: the choices are in the contexts, and all continue alike. */
static void test_contexts_that_differ_are_shown(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 0);
    add_document(fixture->db, run, "t", 0, "unused", choices, 1);
    static const char *const contexts[] = {"So Ann", "So Bea"};
    char key[65];
    for (int idx = 0; idx < 4; idx++) {
        snprintf(key, sizeof key, "%064d", idx);
        DbRequest request = {.task = "t",
                             .idx = idx,
                             .context = contexts[idx % 2],
                             .continuation = " left.",
                             .choice = contexts[idx % 2],
                             .response_key = key};
        succeed(db_request(fixture->db, run, &request, &error), &error);
    }
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    assert_contains(page, "<span class=\"snippet\">So Ann</span> →  left.</td>");
    assert_contains(page,
                    "<span class=\"snippet\">So Bea</span> →  left.<span class=\"tag gold\">gold</span>");
    assert_lacks(page, "most likely");
    assert_lacks(page, "<pre");
    free(page);
}

static void test_page_loads_nothing(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 5);
    add_result(fixture->db, run, "t", "acc", 0.5, 0.25);
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_contains(page, "content=\"default-src 'none'; style-src 'unsafe-inline'\"");
    static const char *const loading[] = {"http://", "https://", "<script", "<link",
                                          "src=",    "url(",     "@import"};
    for (size_t i = 0; i < sizeof loading / sizeof *loading; i++)
        assert_lacks(page, loading[i]);
    free(page);
}

static void test_hostile_texts_stay_text(void **state) {
    Fixture *fixture = *state;
    static const char hostile[] =
        "<script>alert(1)</script>\"' onmouseover='x' &amp; \x01\x1b[31m \xff\xfe]]> <!--";
    static const char shown[] =
        "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onmouseover=&#39;x&#39; &amp;amp; "
        "\xef\xbf\xbd\xef\xbf\xbd[31m \xef\xbf\xbd\xef\xbf\xbd]]&gt; &lt;!--";
    const char *const hostile_choices[] = {hostile, "b", "c", "d"};
    int64_t run = add_run(fixture->db, "run", hostile);
    add_task(fixture->db, run, hostile, hostile, 0);
    add_document(fixture->db, run, hostile, 0, hostile, hostile_choices, 0);
    add_result(fixture->db, run, hostile, "acc", 0.5, NAN);
    const char *const members[] = {hostile};
    add_group(fixture->db, run, "<b>g</b>", members, 1, 0.5, NAN);
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    assert_contains(page, shown);
    assert_contains(page, "&lt;b&gt;g&lt;/b&gt;");
    assert_lacks(page, "<script");
    assert_lacks(page, "<b>");
    assert_lacks(page, "\x1b");
    assert_lacks(page, "\xff");
    free(page);
}

static void test_numbers_that_are_not_there(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 0);
    add_task(fixture->db, run, "bare", "1.0", 0);
    add_result(fixture->db, run, "t", "acc", NAN, NAN);
    add_result(fixture->db, run, "t", "perplexity", INFINITY, NAN);
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    assert_contains(page, "<td class=\"metric\">acc ↑</td><td class=\"n\">—</td><td class=\"n\">—</td>");
    assert_contains(page, "<td class=\"metric\">perplexity ↓</td><td class=\"n\">∞</td>");
    assert_lacks(page, "nan");
    assert_lacks(page, "<figure>");
    free(page);
}

/* A database from elsewhere may say anything. */
static void test_absurd_counts_do_no_harm(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 0);
    add_task(fixture->db, run, "u", "1.0", 0);
    add_document(fixture->db, run, "t", 0, "Q", choices, 1);
    add_result(fixture->db, run, "t", "acc", 1e300, -1e300);
    finish_run(fixture->db, run);
    assert_int_equal(
        sqlite3_exec(db_handle(fixture->db),
                     "UPDATE tasks SET n_documents = 9223372036854775807, n_documents_total = -5,"
                     " num_fewshot = -9223372036854775807 - 1, alias = x'00ff00', version = NULL;"
                     "UPDATE run_files SET bytes = 9223372036854775807, sha256 = NULL;"
                     "UPDATE runs SET n_parameters = -9223372036854775807 - 1, sample_limit = 1e308,"
                     " settings = '[[[[', model_name = x'';"
                     "UPDATE requests SET n_truncated = 9223372036854775807;"
                     "UPDATE documents SET gold = 9223372036854775807; UPDATE results SET n = 'many'",
                     NULL, NULL, NULL),
        SQLITE_OK);
    static ReportFunction *const reports[] = {report_html, report_markdown, report_json};
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        char *text = make_report(reports[i], fixture->db, 0);
        assert_true(strlen(text) > 100);
        if (i == 0)
            assert_well_nested(text);
        free(text);
    }
}

static void test_long_prompts_and_many_documents_are_cut(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 0);
    static char prompt[20001];
    for (size_t i = 0; i + 2 < sizeof prompt; i += 2)
        memcpy(prompt + i, "é", 2);
    memcpy(prompt + sizeof prompt - 5, "END", 4);
    succeed(db_begin(fixture->db, &error), &error);
    for (int64_t i = 0; i < 230; i++)
        add_document(fixture->db, run, "t", i, i ? "Q" : prompt, choices, 1);
    DbTask task = {.name = "t", .alias = "t", .version = "1.0", .n_documents = 230, .n_documents_total = 230};
    succeed(db_run_task(fixture->db, run, &task, &error), &error);
    succeed(db_commit(fixture->db, &error), &error);
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    assert_contains(page, "200 of 230 documents");
    assert_contains(page, "#199 ");
    assert_lacks(page, "#200 ");
    assert_contains(page, "bytes before it are left out");
    assert_contains(page, "éEND</pre>");
    assert_lacks(page, "\xef\xbf\xbd");
    free(page);
}

static void test_many_group_members_are_folded(void **state) {
    Fixture *fixture = *state;
    static char names[20][32];
    const char *members[20];
    int64_t run = add_run(fixture->db, "run", "org/model");
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "member_%02d", i);
        members[i] = names[i];
        add_task(fixture->db, run, names[i], "1.0", 5);
        add_result(fixture->db, run, names[i], "acc", 0.5, 0.1);
    }
    add_group(fixture->db, run, "all", members, 20, 0.5, 0.02);
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    const char *fold = strstr(page, "The 20 tasks inside groups"), *first = strstr(page, "member_00");
    assert_non_null(fold);
    assert_true(first > fold);
    free(page);
}

static void test_several_runs_have_a_column_each(void **state) {
    Fixture *fixture = *state;
    for (int i = 0; i < 2; i++) {
        int64_t run = add_run(fixture->db, i ? "one" : "two", i ? "org/a" : "org/b");
        add_task(fixture->db, run, "t", "1.0", 0);
        add_result(fixture->db, run, "t", "acc", 0.5 + 0.125 * i, 0.1);
        finish_run(fixture->db, run);
    }
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    assert_contains(page, "<h1>2 runs</h1>");
    assert_contains(page, "<td>acc</td><td class=\"n\">0.5000</td><td class=\"n\">0.6250</td></tr>");
    free(page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
const struct CMUnitTest html_tests[] = {TEST(test_page_shows_results_and_documents),
                                        TEST(test_contexts_that_differ_are_shown),
                                        TEST(test_page_loads_nothing),
                                        TEST(test_hostile_texts_stay_text),
                                        TEST(test_numbers_that_are_not_there),
                                        TEST(test_absurd_counts_do_no_harm),
                                        TEST(test_long_prompts_and_many_documents_are_cut),
                                        TEST(test_many_group_members_are_folded),
                                        TEST(test_several_runs_have_a_column_each)};
const size_t n_html_tests = sizeof html_tests / sizeof *html_tests;
