/* The pages in a browser without a window: no word on its console, tables that sort, documents that are
 * found. Skipped, saying so, where there is no Chromium. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "tests/reports/support.h"

static const char *find_browser(void) {
    static const char *const names[] = {"chromium", "chromium-browser", "google-chrome"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char command[128];
        snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", names[i]);
        if (system(command) == 0)
            return names[i];
    }
    printf("skipped: there is no chromium\n");
    return NULL;
}

static const char *const choices[] = {"alpha", "beta", "gamma", "delta"};

/* Two runs of 60 documents: the first has every third wrong, the second every fourth. */
static void add_runs(Db *db) {
    for (int r = 0; r < 2; r++) {
        int64_t run = add_run(db, r ? "b" : "a", r ? "org/<b>model|2</b>" : "org/model");
        Error error = {0};
        add_task(db, run, "t", "1.0", 0);
        succeed(db_begin(db, &error), &error);
        for (int64_t i = 0; i < 60; i++) {
            char context[64];
            snprintf(context, sizeof context, "Question %lld%s?", (long long)i,
                     i == 37 ? " about a </script> quokka" : "");
            add_document(db, run, "t", i, context, choices, i % (3 + r) ? 1 : 2);
        }
        DbTask task = {
            .name = "t", .alias = "t", .version = "1.0", .n_documents = 60, .n_documents_total = 60};
        succeed(db_run_task(db, run, &task, &error), &error);
        succeed(db_commit(db, &error), &error);
        add_task(db, run, "u", "1.0", 0);
        add_result(db, run, "t", "acc", r ? 0.75 : 40.0 / 60, 0.06);
        add_result(db, run, "u", "acc", r ? 0.1 : 0.9, 0.05);
        finish_run(db, run);
    }
}

static void write_file(const Fixture *fixture, const char *name, const char *text) {
    char path[512];
    Error error = {0};
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    succeed(file_write_atomic(path, text, strlen(text), &error), &error);
}

/* What the browser makes of a page, and then what it said; NULL if it does not come to an end. */
static char *open_page(const Fixture *fixture, const char *browser, const char *name, char **said) {
    Buffer command = {0}, dom = {0}, words = {0};
    char path[512];
    buffer_printf(
        &command,
        "HOME='%s/profile' timeout 90 %s --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage "
        "--user-data-dir='%s/profile' --virtual-time-budget=10000 --enable-logging=stderr --dump-dom "
        "'file://%s/%s' >'%s/dom' 2>'%s/said'",
        fixture->folder, browser, fixture->folder, fixture->folder, name, fixture->folder, fixture->folder);
    int status = system(command.data);
    buffer_clear(&command);
    buffer_printf(&command, "rm -rf '%s/profile'", fixture->folder);
    assert_int_equal(system(command.data), 0);
    buffer_free(&command);
    /* What `timeout` ends with: says something about the machine, nothing about the page. */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 124) {
        printf("skipped: the browser has not come up on this machine in time\n");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/dom", fixture->folder);
    assert_int_equal(file_read(&dom, path, 1 << 26, NULL), 0);
    snprintf(path, sizeof path, "%s/said", fixture->folder);
    assert_int_equal(file_read(&words, path, 1 << 26, NULL), 0);
    *said = buffer_take(&words);
    if (status != 0)
        fail_msg("the browser ended with status %d: %.2000s", status, *said);
    return buffer_take(&dom);
}

static void test_page_works_as_it_is(void **state) {
    Fixture *fixture = *state;
    const char *browser = find_browser();
    if (!browser)
        skip();
    add_runs(fixture->db);
    char *page = make_report(report_html, fixture->db, 0), *said = NULL;
    write_file(fixture, "page.html", page);
    char *dom = open_page(fixture, browser, "page.html", &said);
    free(page);
    if (!dom)
        skip();
    assert_lacks(said, "CONSOLE");
    /* The script ran under the page's own policy: headings became buttons, documents were unpacked. */
    assert_contains(dom, "<th scope=\"col\"><button type=\"button\">Task</button></th>");
    assert_contains(dom, ">60 of 60 documents, page 1 of 3</span>");
    assert_contains(dom, "Question 24?");
    assert_lacks(dom, "Question 25?");
    free(dom);
    free(said);
}

/* Acts as a reader does and writes what it saw into the page's title. */
static const char driver[] =
    "<script>(async () => {"
    "const saw = [];"
    "const wait = () => new Promise((done) => setTimeout(done, 400));"
    "const count = () => document.querySelector('.count').textContent;"
    "const control = (name) => document.querySelector(`[name=${name}]`);"
    "const choose = async (name, value) => { control(name).value = value;"
    "  control(name).dispatchEvent(new Event(name === 'search' ? 'input' : 'change')); await wait(); };"
    "const table = document.querySelector('#summary table');"
    "const first = () => table.tBodies[0].rows[0].cells[0].textContent + "
    "table.tBodies[0].rows[0].cells[3].textContent;"
    "await wait();"
    "saw.push(first());"
    "const button = table.tHead.rows[0].cells[3].querySelector('button');"
    "button.click(); saw.push(first()); button.click(); saw.push(first()); button.click(); saw.push(first());"
    "await choose('show', 'wrong'); saw.push(count());"
    "await choose('show', 'flipped'); saw.push(count());"
    "await choose('run', '1'); await choose('show', 'wrong'); saw.push(count());"
    "await choose('show', 'truncated'); saw.push(count());"
    "await choose('show', 'all'); await choose('search', 'QUOKKA question'); saw.push(count());"
    "const doc = document.querySelector('.doc'); doc.open = true; await wait();"
    "saw.push(doc.querySelector('pre').textContent);"
    "saw.push([...doc.querySelectorAll('tbody tr')].map((row) => row.cells[0].textContent + "
    "row.cells[1].textContent).join(' '));"
    "await choose('search', ''); await choose('sort', 'margin');"
    "saw.push(document.querySelector('.doc .head').firstChild.textContent);"
    "document.querySelector('[data-step=\"1\"]').click(); await wait(); saw.push(count());"
    "document.title = saw.join('; ');"
    "})();</script>";

static void test_reader_sorts_filters_and_searches(void **state) {
    Fixture *fixture = *state;
    const char *browser = find_browser();
    if (!browser)
        skip();
    add_runs(fixture->db);
    char *page = make_report(report_html, fixture->db, 0), *said = NULL;
    Buffer with_driver = {0};
    /* The driver is a script that the page's policy forbids, so the policy goes. */
    char *policy = strstr(page, "script-src 'sha256-");
    assert_non_null(policy);
    buffer_append(&with_driver, page, (size_t)(policy - page));
    buffer_append_text(&with_driver, "script-src 'unsafe-inline'");
    buffer_append_text(&with_driver, strchr(policy, '"'));
    buffer_append_text(&with_driver, driver);
    write_file(fixture, "driven.html", with_driver.data);
    char *dom = open_page(fixture, browser, "driven.html", &said);
    free(page);
    buffer_free(&with_driver);
    if (!dom)
        skip();
    assert_lacks(said, "CONSOLE");
    assert_contains(dom, "<title>t0.7500; u0.1000; t0.7500; t0.7500; "
                         "20 of 60 documents, page 1 of 1; 25 of 60 documents, page 1 of 1; "
                         "15 of 60 documents, page 1 of 1; 60 of 60 documents, page 1 of 3; "
                         "1 of 60 documents, page 1 of 1; Question 37 about a &lt;/script&gt; quokka?; "
                         "alpha-7.5000 betagoldmost likely-1.2500 gamma-7.5000 delta-7.5000; "
                         "t #0; 60 of 60 documents, page 2 of 3</title>");
    free(dom);
    free(said);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
const struct CMUnitTest browser_tests[] = {TEST(test_page_works_as_it_is),
                                           TEST(test_reader_sorts_filters_and_searches)};
const size_t n_browser_tests = sizeof browser_tests / sizeof *browser_tests;
