/* Runs all tests of the tasks room. */
#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *folder_make(void) {
    const char *base = getenv("TMPDIR");
    char *folder = path_join(base && *base ? base : "/tmp", "zeval-tasks-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
    (void)status, (void)type, (void)ftw;
    return remove(path);
}

void folder_remove(char *folder) {
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

void folder_write(const char *folder, const char *name, const char *text) {
    Error error = {0};
    char *path = path_join(folder, name), *parent = path_folder(path);
    if (file_make_directories(parent, &error) || file_write_atomic(path, text, strlen(text), &error))
        fail_msg("%s", error.message);
    free(parent);
    free(path);
}

int open_task(TaskSet **set, const char *name, const char *data_root, const char *include_path,
              int num_fewshot, Error *error) {
    const TaskOptions options = {.names = &name,
                                 .n_names = 1,
                                 .data_root = data_root,
                                 .include_path = include_path,
                                 .num_fewshot = num_fewshot,
                                 .fewshot_seed = 1234};
    return task_set_open(set, &options, error);
}

char *shared_path(const char *name) {
    const char *root = getenv("ZEVAL_SHARED");
    char *path = path_join(root && *root ? root : "../shared", name);
    if (file_exists(path) || file_is_directory(path))
        return path;
    printf("skipped: %s is not there\n", path);
    free(path);
    return NULL;
}

void assert_message(const Error *error, ...) {
    va_list texts;
    va_start(texts, error);
    for (const char *text; (text = va_arg(texts, const char *));)
        if (!strstr(error->message, text))
            fail_msg("'%s' is not in: %s", text, error->message);
    va_end(texts);
}

int main(void) {
    const struct {
        const char *name;
        const struct CMUnitTest *tests;
        size_t n;
    } groups[] = {{"tasks: values", value_tests, n_value_tests},
                  {"tasks: yaml", yaml_tests, n_yaml_tests},
                  {"tasks: templates", template_tests, n_template_tests},
                  {"tasks: chat templates", chat_template_tests, n_chat_template_tests},
                  {"tasks: library", library_tests, n_library_tests},
                  {"tasks: bad input", input_tests, n_input_tests},
                  {"tasks: few-shot", fewshot_tests, n_fewshot_tests},
                  {"tasks: selection", selection_tests, n_selection_tests},
                  {"tasks: parquet", parquet_tests, n_parquet_tests},
                  {"tasks: rows", rows_tests, n_rows_tests},
                  {"tasks: goldens", golden_tests, n_golden_tests}};
    int failed = 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        failed += _cmocka_run_group_tests(groups[i].name, groups[i].tests, groups[i].n, NULL, NULL);
    return failed > 0;
}
