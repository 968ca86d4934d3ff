#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/base/tests.h"

static void check_line(int64_t already, int64_t done, double elapsed, const char *expected) {
    Progress progress;
    Buffer line = {0};
    progress_begin(&progress, NULL, "scoring", "documents", already, 1000);
    progress.done = done;
    progress_format(&progress, progress.start_s + elapsed, &line);
    assert_string_equal(line.data, expected);
    buffer_free(&line);
}

static void test_line_shows_rate_and_eta_of_this_run_only(void **state) {
    (void)state;
    check_line(0, 0, 1, "scoring 0/1000 documents (0 %)");
    check_line(0, 100, 10, "scoring 100/1000 documents (10 %), 10/s, ETA 1 min 30 s");
    check_line(500, 600, 10, "scoring 600/1000 documents (60 %), 10/s, ETA 40 s");
    check_line(0, 1000, 5, "scoring 1000/1000 documents (100 %), 200/s, took 5 s");
}

static void test_durations(void **state) {
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {
        {0.25, "250 ms"}, {12, "12 s"}, {59.6, "1 min 00 s"}, {185, "3 min 05 s"}, {7800, "2 h 10 min"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buffer text = {0};
        progress_format_duration(cases[i].seconds, &text);
        assert_string_equal(text.data, cases[i].text);
        buffer_free(&text);
    }
}

static void test_a_pipe_gets_plain_lines(void **state) {
    (void)state;
    char *text;
    size_t bytes;
    FILE *file = tmpfile();
    Progress progress;
    progress_begin(&progress, file, "scoring", "documents", 0, 10);
    for (int i = 1; i <= 10; i++)
        progress_update(&progress, i);
    progress_end(&progress);
    bytes = (size_t)ftell(file);
    rewind(file);
    text = mem_alloc(bytes + 1);
    assert_int_equal(fread(text, 1, bytes, file), bytes);
    text[bytes] = '\0';
    assert_null(strchr(text, '\r'));
    assert_ptr_equal(strchr(text, '\n'), text + bytes - 1); /* one line: ten quick updates print nothing */
    free(text);
    fclose(file);
}

static void test_log_drops_what_is_above_its_level(void **state) {
    (void)state;
    FILE *file = tmpfile();
    Log log = {.stream = file, .level = LOG_WARNING};
    log_info(&log, "not this");
    log_warning(&log, "but %s", "this");
    log_warning(NULL, "nor this");
    char text[64] = "";
    rewind(file);
    size_t got = fread(text, 1, sizeof text - 1, file);
    text[got] = '\0';
    assert_string_equal(text, "zeval: warning: but this\n");
    fclose(file);
}

int run_progress_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_shows_rate_and_eta_of_this_run_only),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_a_pipe_gets_plain_lines),
        cmocka_unit_test(test_log_drops_what_is_above_its_level),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
