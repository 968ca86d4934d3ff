/* Weights in memory of the engine's own. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "tests/runner/folders.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"
#include "tests/sanitized.h"

enum { N = 40 };

static Engine *open_copied(const char *folder, int n_threads) {
    Engine *engine = NULL;
    Error error = {0};
    EngineOptions options = {.model_folder = folder, .n_threads = n_threads, .copy_weights = true};
    if (engine_open(&engine, &options, &error))
        fail_msg("%s: %s", folder, error.message);
    return engine;
}

/* Zeros over a whole file, in place: whoever has it mapped sees them. */
static void wipe(const char *path) {
    int64_t bytes = file_size(path);
    char *zeros = mem_alloc_zero((size_t)bytes, 1);
    int file = open(path, O_WRONLY);
    assert_true(file >= 0 && write(file, zeros, (size_t)bytes) == bytes);
    close(file);
    free(zeros);
}

/* The bits are those of mapped weights, and stay so when the files change; of one file, of shards and of
 * PyTorch's format, of files that fill large pages and of small ones. */
static void test_copied_weights_are_the_engines_own(void **unused) {
    (void)unused;
    char *large = make_random_llama(false);
    const char *const folders[] = {large, "tests/fixtures/models/zebra_tiny",
                                   "tests/fixtures/checkpoints/zebra_tiny_bin",
                                   "tests/fixtures/models/llama_tiny_f16"};
    for (size_t m = 0; m < sizeof folders / sizeof *folders; m++) {
        char *folder = folder_make("copy");
        int32_t ids[N];
        folder_copy(folders[m], "*", folder);
        Engine *mapped = open_engine(folder, 2), *copied = open_copied(folder, 2);
        size_t n = N * (size_t)engine_info(mapped)->vocab_size;
        random_ids(mapped, m, ids, N);
        float *expected = score_logits(mapped, ids, N, NULL);
        for (size_t i = 0; i < engine_info(copied)->n_weight_files; i++)
            wipe(engine_info(copied)->weight_files[i]);
        float *found = score_logits(copied, ids, N, NULL), *wiped = score_logits(mapped, ids, N, NULL);
        assert_same_bits(expected, found, n, folders[m]);
        assert_memory_not_equal(expected, wiped,
                                n * sizeof *expected); /* or the files were not what is used */
        free(expected);
        free(found);
        free(wiped);
        engine_close(mapped);
        engine_close(copied);
        folder_remove(folder);
    }
    remove_random_llama(large);
}

/* Where addresses run out, opening fails with the file's name: in a child, whose limit they are. (A sanitizer
 * needs addresses itself.) */
static void test_no_room_for_a_copy_is_said(void **unused) {
    (void)unused;
    if (SANITIZED)
        skip();
    char *folder = make_random_llama(false);
    pid_t child = fork();
    if (child == 0) {
        Engine *engine = NULL;
        Error error = {0};
        EngineOptions options = {.model_folder = folder, .n_threads = 1};
        if (engine_open(&engine, &options, &error))
            _exit(2);
        engine_close(engine);
        options.copy_weights = true;
        int64_t lowest = 0, highest = (int64_t)1 << 34;
        bool said = false;
        while (highest - lowest > 65536 && !said) {
            rlim_t limit = (rlim_t)((lowest + highest) / 2);
            setrlimit(RLIMIT_AS, &(struct rlimit){limit, RLIM_INFINITY});
            error = (Error){0};
            if (engine_open(&engine, &options, &error) == 0) {
                engine_close(engine);
                highest = (int64_t)limit;
            } else {
                lowest = (int64_t)limit;
                said = strstr(error.message, "copying ") && strstr(error.message, "bytes of memory");
            }
        }
        _exit(said ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    remove_random_llama(folder);
}

int run_copy_tests(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_copied_weights_are_the_engines_own),
                                       cmocka_unit_test(test_no_room_for_a_copy_is_said)};
    return cmocka_run_group_tests_name("weights in memory of the engine's own", tests, NULL, NULL);
}
