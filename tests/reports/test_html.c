#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/reports/support.h"

/* Every tag is closed in the right order: enough of a parser for our own page, where texts are escaped. */
static void assert_well_nested(const char *page) {
    static const char *const empty[] = {"meta", "line", "rect", "circle", "input", "br", "!DOCTYPE"};
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
            /* What is no markup ends with the element that holds it. */
            if (strncmp(name, "script", n) == 0)
                open = strstr(open, "</script>") - 1;
        }
    }
    assert_int_equal(depth, 0);
}

/* The text of pack `number`, as the page's script unpacks it. */
static char *unpack(const char *page, int number) {
    char mark[64];
    snprintf(mark, sizeof mark, "<script type=\"text/plain\" id=\"pack-%d\">", number);
    const char *at = strstr(page, mark);
    if (!at)
        fail_msg("there is no pack %d in\n%s", number, page);
    at += strlen(mark);
    size_t letters = strcspn(at, "<"), room = 1 << 22;
    unsigned char *packed = malloc(letters + 4);
    z_stream stream = {.next_in = packed};
    assert_int_equal(letters % 4, 0);
    stream.avail_in = (uInt)EVP_DecodeBlock(packed, (const unsigned char *)at, (int)letters);
    char *text = calloc(room, 1);
    stream.next_out = (unsigned char *)text;
    stream.avail_out = (uInt)room - 1;
    assert_int_equal(inflateInit2(&stream, 16 + 15), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    inflateEnd(&stream);
    free(packed);
    return text;
}

static void assert_pack(const char *page, int number, const char *expected) {
    char *text = unpack(page, number);
    assert_string_equal(text, expected);
    free(text);
}

static const char *const choices[] = {"alpha", "beta", "gamma", "delta"};

static void test_page_shows_results_and_documents(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 5);
    add_document(fixture->db, run, "t", 0, "What is first?", choices, 1);
    add_document(fixture->db, run, "t", 1, "What is second?", choices, 2);
    add_result(fixture->db, run, "t", "acc", 0.5, 0.1);
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    assert_contains(page, "<h1>org/model</h1>");
    assert_contains(page,
                    "<th scope=\"row\" style=\"padding-left:0.70rem\">t</th><td class=\"metric\">acc ↑</td>"
                    "<td class=\"n\">0.5000</td><td class=\"n\">0.1000</td>");
    /* the bar, its whisker over 1.96 standard errors, and guessing one of four */
    assert_contains(page, "width=\"50.000%\"");
    assert_contains(page, "<line class=\"whisker\" x1=\"30.400%\" y1=\"9\" x2=\"69.600%\" y2=\"9\"/>");
    assert_contains(page, "<line class=\"chance\" x1=\"25.000%\"");
    assert_pack(page, 0,
                "[{\"p\":\"What is first?\",\"g\":1,\"t\":\"x\",\"c\":[[\"alpha\",-7.5000,2,0,0],"
                "[\"beta\",-1.2500,2,0,0],[\"gamma\",-7.5000,2,0,0],[\"delta\",-7.5000,2,0,5]]},"
                "{\"p\":\"What is second?\",\"g\":1,\"t\":\"x\",\"c\":[[\"alpha\",-7.5000,2,0,0],"
                "[\"beta\",-7.5000,2,0,0],[\"gamma\",-1.2500,2,0,0],[\"delta\",-7.5000,2,0,5]]}]");
    assert_pack(page, 1,
                "[{\"name\":\"t\",\"metrics\":[\"acc\"],\"binary\":[true],\"values\":[[1,0]],"
                "\"id\":[0,1],\"flags\":[1,1],\"length\":[9,9],\"margin\":[6.2500,-6.2500],"
                "\"packs\":[[0,0]]}]");
    /* every document lost 5 tokens of one request */
    assert_contains(page, "<summary>2 documents that did not fit</summary>");
    assert_contains(page, "<tr><th scope=\"row\">t</th><td class=\"n\">0</td><td class=\"n\">1</td>"
                          "<td class=\"n\">5</td><td class=\"n\">0</td></tr>");
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
    /* What the contexts share is the prompt, up to the end of a word. */
    assert_pack(page, 0,
                "[{\"p\":\"So \",\"g\":1,\"t\":\"x\",\"c\":[[\"So Ann\",null,0,0,0,\"Ann\"],"
                "[\"So Bea\",null,0,0,0,\"Bea\"],[\"So Ann\",null,0,0,0,\"Ann\"],"
                "[\"So Bea\",null,0,0,0,\"Bea\"]]}]");
    free(page);
}

/* Generated texts, and a filter that found nothing. */
static void test_generated_texts_are_shown(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    char key[65];
    int64_t run = add_run(fixture->db, "run", "org/model");
    DbTask task = {
        .name = "g", .alias = "g", .version = "3", .output_type = "generate_until", .n_documents = 2};
    succeed(db_run_task(fixture->db, run, &task, &error), &error);
    for (int i = 0; i < 2; i++) {
        const DbDocument document = {.task = "g", .doc_id = i, .json = "{}", .target = "42", .gold = -1};
        snprintf(key, sizeof key, "%064d", i);
        const DbRequest request = {.task = "g",
                                   .doc_id = i,
                                   .request_type = "generate_until",
                                   .context = "Q: 6*7?",
                                   .generation = "{}",
                                   .response_key = key,
                                   .n_context_tokens = 5};
        const DbResponse response = {.loglikelihood = NAN, .text = i ? "no idea" : "It is 42."};
        succeed(db_document(fixture->db, run, &document, &error), &error);
        succeed(db_request(fixture->db, run, &request, &error), &error);
        succeed(db_response_put(fixture->db, key, &response, &error), &error);
        succeed(db_document_output(fixture->db, run, "g", i, "strict", i ? "[\"[invalid]\"]" : "[\"42\"]", !i,
                                   &error),
                &error);
        succeed(db_document_metric(fixture->db, run, "g", i, "exact_match", "strict", !i, &error), &error);
    }
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    assert_pack(
        page, 0,
        "[{\"p\":\"Q: 6*7?\",\"t\":\"42\",\"o\":\"It is 42.\",\"f\":[[\"strict\",\"42\",true]]},"
        "{\"p\":\"Q: 6*7?\",\"t\":\"42\",\"o\":\"no idea\",\"f\":[[\"strict\",\"[invalid]\",false]]}]");
    assert_pack(
        page, 1,
        "[{\"name\":\"g\",\"metrics\":[\"exact_match (strict)\"],\"binary\":[true],\"values\":[[1,0]],"
        "\"id\":[0,1],\"flags\":[0,2],\"length\":[5,5],\"margin\":[null,null],\"packs\":[[0,0]]}]");
    free(page);
}

static void test_page_loads_nothing(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 5);
    add_result(fixture->db, run, "t", "acc", 0.5, 0.25);
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_contains(page, "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-");
    static const char *const loading[] = {
        "http://", "https://", "<link", "src=", "url(", "@import", "fetch(", "import("};
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
    assert_lacks(page, "<script>alert");
    assert_lacks(page, "<b>g");
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
    assert_contains(page, "<td class=\"metric\">perplexity ↓</td><td class=\"n\" data-v=\"1e999\">∞</td>");
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

/* Every document is there, in packs that each hold some. */
static void test_many_documents_are_packed(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 0);
    static char prompt[20001];
    for (size_t i = 0; i + 2 < sizeof prompt; i += 2)
        memcpy(prompt + i, "é", 2);
    succeed(db_begin(fixture->db, &error), &error);
    for (int64_t i = 0; i < 30; i++) {
        snprintf(prompt + sizeof prompt - 5, 5, "%02d!", (int)i);
        add_document(fixture->db, run, "t", i, prompt, choices, 1);
    }
    succeed(db_commit(fixture->db, &error), &error);
    finish_run(fixture->db, run);
    char *page = make_report(report_html, fixture->db, 0);
    assert_well_nested(page);
    char *index = unpack(page, 3), *last = unpack(page, 2);
    assert_contains(index, "\"packs\":[[0,0],[1,10],[2,20]]}]");
    assert_contains(last, "éé29!\"");
    assert_true(strlen(page) < 100000);
    free(index);
    free(last);
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
    const char *fold = strstr(page, "By subject: the 20 tasks inside groups"),
               *first = strstr(page, "member_00");
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
    assert_contains(page, "<td class=\"metric\">acc</td><td class=\"n\">0.5000</td>"
                          "<td class=\"n best\">0.6250</td></tr>");
    /* The papers' central picture: both at 1.28 kB a token. */
    assert_contains(page, "<figure class=\"plot\">");
    assert_contains(page, "run 1: org/b, float32, 0-shot: 1.28 kB a token, 50.00 %</title>");
    assert_contains(page, "run 2: org/a, float32, 0-shot: 1.28 kB a token, 62.50 %</title>");
    free(page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
const struct CMUnitTest html_tests[] = {TEST(test_page_shows_results_and_documents),
                                        TEST(test_contexts_that_differ_are_shown),
                                        TEST(test_page_loads_nothing),
                                        TEST(test_hostile_texts_stay_text),
                                        TEST(test_numbers_that_are_not_there),
                                        TEST(test_absurd_counts_do_no_harm),
                                        TEST(test_many_documents_are_packed),
                                        TEST(test_generated_texts_are_shown),
                                        TEST(test_many_group_members_are_folded),
                                        TEST(test_several_runs_have_a_column_each)};
const size_t n_html_tests = sizeof html_tests / sizeof *html_tests;
