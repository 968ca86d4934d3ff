/* What other programs make of our Markdown and LaTeX. Each test is skipped, saying so, where its program is
 * absent. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/reports/support.h"

static bool has_program(const char *name) {
    char command[128];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
    if (system(command) == 0)
        return true;
    printf("skipped: there is no %s\n", name);
    return false;
}

/* Runs a command in the fixture's folder with `text` in the file "in"; what it printed. */
static char *run_on(const Fixture *fixture, const char *text, const char *command) {
    char path[512];
    Error error = {0};
    Buffer line = {0}, out = {0};
    snprintf(path, sizeof path, "%s/in", fixture->folder);
    succeed(file_write_atomic(path, text, strlen(text), &error), &error);
    buffer_printf(&line, "cd '%s' && (%s) >out 2>&1", fixture->folder, command);
    int status = system(line.data);
    snprintf(path, sizeof path, "%s/out", fixture->folder);
    succeed(file_read(&out, path, 1 << 24, &error), &error);
    if (status != 0)
        fail_msg("%s ended with %d: %.3000s", command, status, out.data ? out.data : "");
    buffer_free(&line);
    return buffer_take(&out);
}

#define ODD_NAME "org/m|o<d>e_l$1%&#~^{}\\*`x`"

/* Names with every sign that some format reads as markup, numbers that are none, a group and a paper's row.
 */
static void add_odd_runs(Db *db) {
    static const char *const children[] = {"t_1|<b>"};
    for (int which = 0; which < 2; which++) {
        int64_t run =
            add_run(db, which ? "two" : "one", which ? "meta-llama/Llama-3.2-1B-Instruct" : ODD_NAME);
        add_task(db, run, children[0], "1.0", 0);
        add_result(db, run, children[0], "acc_norm", 0.25, 0.0433);
        add_result(db, run, children[0], "perplexity", NAN, NAN);
        add_task(db, run, "arc_challenge", "1.0", 0);
        add_result(db, run, "arc_challenge", "acc_norm", 0.38, 0.01);
        add_group(db, run, "g&_%", children, 1, 0.25, 0.0433);
        finish_run(db, run);
    }
}

static char *paper(Db *db, const char *table, const char *format) {
    Error error = {0};
    Buffer out = {0};
    succeed(report_paper(db, "zebra-llama", table, format, &out, &error), &error);
    return buffer_take(&out);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

static void test_pandoc_reads_the_tables(void **state) {
    Fixture *fixture = *state;
    if (!has_program("pandoc"))
        skip();
    add_odd_runs(fixture->db);
    char *text = make_report(report_markdown, fixture->db, 0);
    char *html = run_on(fixture, text, "pandoc --wrap=none -f gfm -t html in");
    assert_contains(html, "org/m|o&lt;d&gt;e_l$1%&amp;#~^{}\\*`x`");
    assert_true(count(html, "<table>") >= 3);
    free(html);
    free(text);
    text = paper(fixture->db, "1", "markdown");
    html = run_on(fixture, text, "pandoc --wrap=none -f gfm -t html in");
    /* One table, with a line of headings, one of metrics, 22 printed rows and three of ours. */
    assert_int_equal(count(html, "<table>"), 1);
    assert_int_equal(count(html, "<tr"), 1 + 1 + 22 + 3);
    assert_contains(html, "MambaInLlama-1B-50%* [");
    free(html);
    free(text);
}

static void test_cmark_reads_the_tables_as_text(void **state) {
    Fixture *fixture = *state;
    if (!has_program("cmark"))
        skip();
    add_odd_runs(fixture->db);
    char *text = make_report(report_markdown, fixture->db, 0);
    char *html = run_on(fixture, text, "cmark in");
    assert_contains(html, "org/m|o&lt;d&gt;e_l$1%&amp;#~^{}\\*`x`");
    assert_lacks(html, "<d>");
    assert_lacks(html, "<b>");
    assert_lacks(html, "raw HTML");
    free(html);
    free(text);
}

static void test_latex_sets_the_tables(void **state) {
    Fixture *fixture = *state;
    if (!has_program("pdflatex"))
        skip();
    add_odd_runs(fixture->db);
    char *results = make_report(report_latex, fixture->db, 0), *ours = paper(fixture->db, "1", "latex");
    Buffer document = {0};
    buffer_printf(&document,
                  "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs}\n"
                  "\\begin{document}\n%s\n%s\n\\end{document}\n",
                  results, ours);
    char *said =
        run_on(fixture, document.data, "pdflatex -interaction=nonstopmode -halt-on-error in && ls in.pdf");
    assert_contains(said, "in.pdf");
    assert_lacks(said, "Missing character");
    assert_lacks(said, "\n!");
    free(said);
    free(results);
    free(ours);
    buffer_free(&document);
}

/* The keys of a model card, to the letter; tests/oracle/check_model_card.py has the hub's own client read
 * one. */
static void test_model_card(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    Buffer out = {0};
    add_odd_runs(fixture->db);
    succeed(report_model_card(fixture->db, 1, &out, &error), &error);
    assert_string_equal(
        out.data, "model-index:\n- name: \"org/m|o<d>e_l$1%&#~^{}\\\\*`x`\"\n  results:\n"
                  "  - task:\n      type: text-generation\n    dataset:\n      name: \"g&_%\"\n"
                  "      type: \"org/data\"\n      split: \"test\"\n      args:\n"
                  "        num_few_shot: 0\n    metrics:\n    - type: \"acc\"\n"
                  "      value: 0.2500\n      args:\n        stderr: 0.0433\n        documents: 4\n"
                  "  - task:\n      type: text-generation\n    dataset:\n      name: \"t_1|<b>\"\n"
                  "      type: \"org/data\"\n      split: \"test\"\n      args:\n"
                  "        num_few_shot: 0\n    metrics:\n    - type: \"acc_norm\"\n"
                  "      value: 0.2500\n      args:\n        stderr: 0.0433\n        documents: 2\n"
                  "  - task:\n      type: text-generation\n    dataset:\n      name: \"arc_challenge\"\n"
                  "      type: \"org/data\"\n      split: \"test\"\n      args:\n"
                  "        num_few_shot: 0\n    metrics:\n    - type: \"acc_norm\"\n"
                  "      value: 0.3800\n      args:\n        stderr: 0.0100\n        documents: 2\n");
    assert_int_equal(report_model_card(fixture->db, 77, &out, &error), -1);
    assert_contains(error.message, "has no run 77");
    buffer_free(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
const struct CMUnitTest formats_tests[] = {TEST(test_pandoc_reads_the_tables),
                                           TEST(test_cmark_reads_the_tables_as_text),
                                           TEST(test_latex_sets_the_tables), TEST(test_model_card)};
const size_t n_formats_tests = sizeof formats_tests / sizeof *formats_tests;
