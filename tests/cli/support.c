#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cli/tests.h"

char test_folder[64];

int test_make_folder(void **state) {
    (void)state;
    strcpy(test_folder, "/tmp/zeval-test-XXXXXX");
    if (!mkdtemp(test_folder))
        return -1;
    char *cache = path_join(test_folder, "cache");
    setenv("ZEVAL_CACHE", cache, 1);
    free(cache);
    return 0;
}

int test_remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", test_folder);
    return system(command);
}

const char *test_program(void) {
    const char *program = getenv("ZEVAL");
    return program ? program : "build/zeval";
}

static void run(Output *output, const char *format, va_list arguments) {
    Buffer command = {0};
    buffer_printf(&command, "%s ", test_program());
    buffer_vprintf(&command, format, arguments);
    buffer_printf(&command, " </dev/null >'%s/out' 2>'%s/err'", test_folder, test_folder);
    int status = system(command.data);
    *output = (Output){.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
    char *out = path_join(test_folder, "out"), *error = path_join(test_folder, "err");
    assert_int_equal(file_read(&output->out, out, 1 << 28, NULL), 0);
    assert_int_equal(file_read(&output->error, error, 1 << 28, NULL), 0);
    free(out);
    free(error);
    buffer_free(&command);
}

void test_run(Output *output, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    run(output, format, arguments);
    va_end(arguments);
}

void test_run_expecting(int status, Output *output, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    run(output, format, arguments);
    va_end(arguments);
    if (output->status != status)
        fail_msg("zeval %s\nexit code %d, expected %d\n%.2000s\n%.2000s", format, output->status, status,
                 output->out.data, output->error.data);
}

void test_output_free(Output *output) {
    buffer_free(&output->out);
    buffer_free(&output->error);
}

char *test_shared(const char *name) {
    const char *root = getenv("ZEVAL_SHARED");
    char *path = path_join(root ? root : "../shared", name);
    if (file_exists(path))
        return path;
    printf("skipped: %s is not there\n", path);
    free(path);
    return NULL;
}
