/* A run that is killed at any moment goes on where it was, and its report is that of a run never killed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/cli/tests.h"

#define RUN "run --model demo --tasks demo --batch-tokens 200 --quiet --db"

static int64_t count(const char *db, const char *sql) {
    sqlite3 *handle;
    sqlite3_stmt *statement;
    int64_t n = -1;
    char *path = path_join(test_folder, db);
    assert_int_equal(sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        n = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    free(path);
    return n;
}

/* Starts the run and kills it after a while; true if it had ended by itself before. */
static bool run_and_kill(const char *db, int after_ms) {
    Buffer path = {0};
    buffer_printf(&path, "%s/%s", test_folder, db);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(99);
        execl(test_program(), "zeval", "run", "--model", "demo", "--tasks", "demo", "--batch-tokens", "200",
              "--quiet", "--db", path.data, (char *)NULL);
        _exit(98);
    }
    usleep((useconds_t)after_ms * 1000);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    buffer_free(&path);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void compare_reports(const char *format) {
    Output whole, killed;
    test_run_expecting(0, &whole, "report --db %s/whole.db --format %s --no-cost", test_folder, format);
    test_run_expecting(0, &killed, "report --db %s/killed.db --format %s --no-cost", test_folder, format);
    assert_true(whole.out.size > 100);
    assert_string_equal(killed.out.data, whole.out.data);
    test_output_free(&whole);
    test_output_free(&killed);
}

static void test_killed_runs_lose_nothing_and_score_nothing_twice(void **state) {
    (void)state;
    Output output;
    test_run_expecting(0, &output, RUN " %s/whole.db", test_folder);
    test_output_free(&output);
    /* Waits that grow until one lets the run reach its end: every phase of it is hit on the way. */
    int n_kills = 0;
    int64_t before = 0;
    for (int wait = 5; !run_and_kill("killed.db", wait); wait += 15 + wait / 8, n_kills++) {
        assert_true(wait < 120000); /* it never ends by itself */
        char *path = path_join(test_folder, "killed.db");
        int64_t now = file_size(path) > 0 ? count("killed.db", "SELECT count(*) FROM responses") : 0;
        free(path);
        assert_true(now >= before || now == -1); /* -1: killed before the tables were there */
        before = now > before ? now : before;
    }
    assert_true(n_kills > 0);
    assert_int_equal(count("killed.db", "SELECT count(*) FROM responses"),
                     count("whole.db", "SELECT count(*) FROM responses"));
    assert_int_equal(count("killed.db", "SELECT count(*) FROM runs"), 1);
    compare_reports("markdown");
    compare_reports("html");
    compare_reports("json");
    printf("killed %d times\n", n_kills);
}

/* What a killed run had answered is found, not scored again: the resumed run says so. */
static void test_resumed_run_reuses_what_was_committed(void **state) {
    (void)state;
    int wait = 20;
    char *path = path_join(test_folder, "partly.db");
    int64_t stored = 0;
    for (; stored <= 0; wait += 20) {
        remove(path);
        assert_false(wait > 5000);
        if (run_and_kill("partly.db", wait))
            skip(); /* a machine too fast to be caught in the middle */
        stored = file_size(path) > 0 ? count("partly.db", "SELECT count(*) FROM responses") : 0;
    }
    Output output;
    test_run_expecting(0, &output, "run --model demo --tasks demo --batch-tokens 200 --db '%s'", path);
    /* The same text can be asked by two documents; each is then found in the database. */
    const char *found = strstr(output.error.data, " scored now, ");
    assert_non_null(found);
    long long reused = atoll(found + strlen(" scored now, "));
    if (reused < stored)
        fail_msg("%lld responses were stored before the kill, %lld were reused", (long long)stored, reused);
    test_output_free(&output);
    free(path);
}

static void test_interrupt_finishes_the_batch_and_says_how_to_go_on(void **state) {
    (void)state;
    char *path = path_join(test_folder, "interrupted.db"), *messages = path_join(test_folder, "messages");
    int status = 0;
    for (int wait = 100; wait < 5000; wait += 50) {
        remove(path);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            if (!freopen("/dev/null", "w", stdout) || !freopen(messages, "w", stderr))
                _exit(99);
            execl(test_program(), "zeval", "run", "--model", "demo", "--tasks", "demo", "--batch-tokens",
                  "50", "--db", path, (char *)NULL);
            _exit(98);
        }
        usleep((useconds_t)wait * 1000);
        kill(child, SIGINT);
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 130)
            break;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
    Buffer text = {0};
    assert_int_equal(file_read(&text, messages, 1 << 20, NULL), 0);
    assert_non_null(strstr(text.data, "the same command goes on from there"));
    Output output;
    test_run_expecting(0, &output, RUN " '%s'", path);
    test_output_free(&output);
    buffer_free(&text);
    free(path);
    free(messages);
}

/* ---- several processes on one database */

static pid_t start_run_on(const char *db, const char *tasks, const char *limit) {
    char *path = path_join(test_folder, db);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(99);
        execl(test_program(), "zeval", "run", "--model", "demo", "--tasks", tasks, "--limit", limit,
              "--batch-tokens", "200", "--threads", "1", "--quiet", "--db", path, (char *)NULL);
        _exit(98);
    }
    free(path);
    return child;
}

static void expect_success(pid_t child) {
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The same run twice, two runs that share answers with it, and one that is killed on the way: in the end each
 * answer is there once, each run is finished, and the report is that of a run that was alone. */
static void test_processes_share_a_database(void **state) {
    (void)state;
    Output alone, shared;
    test_run_expecting(0, &alone, "run --model demo --tasks demo --limit 60 --quiet --db %s/alone.db",
                       test_folder);
    test_output_free(&alone);
    pid_t killed = start_run_on("shared.db", "demo", "60");
    usleep(60000);
    pid_t children[] = {start_run_on("shared.db", "demo", "60"), start_run_on("shared.db", "demo", "60"),
                        start_run_on("shared.db", "demo_where", "30"),
                        start_run_on("shared.db", "demo_order", "60")};
    usleep(30000);
    kill(killed, SIGKILL);
    waitpid(killed, NULL, 0);
    for (size_t i = 0; i < sizeof children / sizeof *children; i++)
        expect_success(children[i]);
    assert_int_equal(count("shared.db", "SELECT count(*) FROM runs WHERE finished_at IS NOT NULL"), 3);
    assert_int_equal(count("shared.db", "SELECT count(*) FROM claims"), 0);
    assert_int_equal(count("shared.db", "SELECT count(*) FROM responses"),
                     count("alone.db", "SELECT count(*) FROM responses"));
    int64_t run = count("shared.db", "SELECT run_id FROM v_runs WHERE n_tasks = 3");
    test_run_expecting(0, &alone, "report --db %s/alone.db --format json --no-cost", test_folder);
    test_run_expecting(0, &shared, "report --db %s/shared.db --run %lld --format json --no-cost", test_folder,
                       (long long)run);
    const char *from = strstr(alone.out.data, "\"results\""), *to = strstr(shared.out.data, "\"results\"");
    assert_non_null(from);
    assert_non_null(to);
    assert_string_equal(to, from);
    test_output_free(&alone);
    test_output_free(&shared);
}

int run_crash_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_runs_lose_nothing_and_score_nothing_twice),
        cmocka_unit_test(test_resumed_run_reuses_what_was_committed),
        cmocka_unit_test(test_interrupt_finishes_the_batch_and_says_how_to_go_on),
        cmocka_unit_test(test_processes_share_a_database),
    };
    return cmocka_run_group_tests_name("crash", tests, test_make_folder, test_remove_folder);
}
