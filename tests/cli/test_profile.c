#include <stdlib.h>
#include <string.h>

#include "tests/cli/tests.h"

/* Everything the tables say once wanted, and the same table of results, the same scores, as without: with
 * another number of threads, the threads bound to processors and the weights copied. */
static void test_profile_and_pinning_change_no_result(void **state) {
    (void)state;
    static const char *const lines[] = {"tasks, tokenizer, model opened ",
                                        "documents read, tokenised ",
                                        "database written ",
                                        "\nrun ",
                                        "\nlinear layers ",
                                        "\nstate-space scan ",
                                        "\nattention ",
                                        "\noutput head ",
                                        "waiting ",
                                        "threads: 3, measured at the start"};
    Output plain, output;
    test_run_expecting(0, &plain, "run --quiet --model demo --tasks demo_recall --limit 20 --db %s/plain.db",
                       test_folder);
    assert_null(strstr(plain.error.data ? plain.error.data : "", "linear layers"));
    test_run_expecting(0, &output,
                       "run --quiet --model demo --tasks demo_recall --limit 20 --db %s/plain.db --no-reuse "
                       "--profile --pin --copy-weights --threads 3",
                       test_folder);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(output.error.data, lines[i]))
            fail_msg("\"%s\" is not in: %s", lines[i], output.error.data);
    assert_null(strstr(output.out.data, "linear layers"));
    test_output_free(&plain);
    test_output_free(&output);
}

int run_profile_tests(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_profile_and_pinning_change_no_result)};
    return cmocka_run_group_tests_name("profile", tests, test_make_folder, test_remove_folder);
}
