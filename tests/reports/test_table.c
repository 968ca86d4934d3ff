/* Table layout. The expected tables are what pytablewriter 1.2.1, which lm-eval prints with, makes of the
 * same cells. */
#include "tests/reports/support.h"

#include <stdlib.h>

#include "reports/table.h"

static void assert_table(const char *const *headers, size_t n_columns, const char *const *cells,
                         size_t n_rows, const char *expected) {
    Table table = {.headers = headers, .n_columns = n_columns};
    for (size_t row = 0; row < n_rows; row++) {
        TableCell *out = table_row(&table);
        for (size_t c = 0; c < n_columns; c++)
            out[c].text = cells[row * n_columns + c];
    }
    Arena arena = {0};
    Buffer text = {0};
    table_markdown(&table, &arena, &text);
    assert_string_equal(text.data, expected);
    buffer_free(&text);
    arena_free(&arena);
    table_free(&table);
}

static const char *const two[] = {"Value", "Stderr"};

static void test_numbers_are_shortened_and_padded(void **state) {
    (void)state;
    static const char *const cells[] = {"0.5000", "0.0100", "0.0000", "0.1000"};
    assert_table(two, 2, cells, 2,
                 "|Value|Stderr|\n"
                 "|----:|-----:|\n"
                 "|  0.5|  0.01|\n"
                 "|  0.0|  0.10|\n");
    static const char *const zero[] = {"0.0000", "1.0000"};
    assert_table(two, 2, zero, 1,
                 "|Value|Stderr|\n"
                 "|----:|-----:|\n"
                 "|    0|     1|\n");
    static const char *const signs[] = {"-0.5000", "-0.0000", "-1.0000", "0.1000"};
    assert_table(two, 2, signs, 2,
                 "|Value|Stderr|\n"
                 "|----:|-----:|\n"
                 "| -0.5|   0.0|\n"
                 "| -1.0|   0.1|\n");
}

static void test_numbers_beside_a_text(void **state) {
    (void)state;
    static const char *const above[] = {"1.0000", "0.0012", "0.5000", "0.0000", "1.0000", "   N/A"};
    assert_table(two, 2, above, 3,
                 "|Value|Stderr|\n"
                 "|----:|------|\n"
                 "|  1.0|0.0012|\n"
                 "|  0.5|     0|\n"
                 "|  1.0|   N/A|\n");
    static const char *const below[] = {"1.0000", "   N/A", "0.7500", "0.1000", "1.0000", "0.0000"};
    assert_table(two, 2, below, 3,
                 "|Value|Stderr|\n"
                 "|----:|------|\n"
                 "| 1.00|   N/A|\n"
                 "| 0.75|0.1000|\n"
                 "| 1.00|0.0000|\n");
    static const char *const both[] = {"0.5000", "0.0500", "0.2500", "   N/A",
                                       "0.1000", "0.0500", "1",      "0.0400"};
    assert_table(two, 2, both, 4,
                 "|Value|Stderr|\n"
                 "|----:|------|\n"
                 "| 0.50|  0.05|\n"
                 "| 0.25|   N/A|\n"
                 "| 0.10|  0.05|\n"
                 "| 1.00|  0.04|\n");
}

static void test_nan_and_empty_cells(void **state) {
    (void)state;
    static const char *const cells[] = {"nan", "", "0.1200", ""};
    assert_table(two, 2, cells, 2,
                 "|Value|Stderr|\n"
                 "|----:|------|\n"
                 "|  NaN|      |\n"
                 "| 0.12|      |\n");
    static const char *const only[] = {"nan", "0.1000"};
    assert_table(two, 2, only, 1,
                 "|Value|Stderr|\n"
                 "|-----|-----:|\n"
                 "|NaN  |   0.1|\n");
}

static void test_wide_characters(void **state) {
    (void)state;
    static const char *const headers[] = {"T", "n"};
    static const char *const cells[] = {"日本語", "5", "e\u0301", "25"};
    assert_table(headers, 2, cells, 2,
                 "|  T   | n |\n"
                 "|------|--:|\n"
                 "|日本語|  5|\n"
                 "|e\u0301     | 25|\n");
}

static void test_markup_is_escaped(void **state) {
    (void)state;
    static const char *const headers[] = {"T"};
    static const char *const cells[] = {"a|b`c<d>\n*e*"};
    assert_table(headers, 1, cells, 1,
                 "|        T         |\n"
                 "|------------------|\n"
                 "|a\\|b\\`c\\<d\\> \\*e\\*|\n");
}

const struct CMUnitTest table_tests[] = {
    cmocka_unit_test(test_numbers_are_shortened_and_padded), cmocka_unit_test(test_numbers_beside_a_text),
    cmocka_unit_test(test_nan_and_empty_cells), cmocka_unit_test(test_wide_characters),
    cmocka_unit_test(test_markup_is_escaped)};
const size_t n_table_tests = sizeof table_tests / sizeof *table_tests;
