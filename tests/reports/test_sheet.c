#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "reports/sheet.h"
#include "tests/reports/support.h"

static const SheetColumn columns[] = {{"Model", "model", false}, {"Value", "value", true}};

static Sheet *nasty_sheet(SheetBook *book) {
    Sheet *sheet = sheet_add(book, SHEET_FOR_ALL, "rows", NULL, columns, 2);
    SheetCell *cells = sheet_row(book, sheet, false);
    cells[0].text = "a|b<i>c_d%e&f$g#h{i}~j^k\\l";
    cells[1] = (SheetCell){.text = "7.80", .is_number = true};
    cells = sheet_row(book, sheet, true);
    cells[0].text = "[x], \"quoted\"\nline";
    cells[1].is_number = true;
    sheet_mark(book, sheet, &cells[0], "first | note");
    sheet_mark(book, sheet, &cells[0], "second");
    sheet_mark(book, sheet, &cells[1], "first | note");
    return sheet;
}

static char *written(SheetFormat format) {
    Arena arena = {0};
    Buffer out = {0};
    SheetBook book = {.arena = &arena, .title = "A & B"};
    nasty_sheet(&book);
    sheet_write(&book, format, &out);
    arena_free(&arena);
    return buffer_take(&out);
}

static void test_markdown_escapes(void **state) {
    (void)state;
    char *text = written(SHEET_MARKDOWN);
    assert_contains(text, "# A \\& B\n\n");
    assert_contains(text, "| a\\|b\\<i\\>c_d%e\\&f$g#h{i}~j^k\\\\l |   7.80 |\n");
    assert_contains(text, "| \\[x\\], \"quoted\" line \\[1,2\\]    |  \\[1\\] |\n");
    assert_contains(text, "\n\\[1\\] first \\| note  \n\\[2\\] second\n");
    free(text);
}

static void test_latex_escapes(void **state) {
    (void)state;
    char *text = written(SHEET_LATEX);
    assert_contains(text, "\\caption{A \\& B}");
    assert_contains(text, "a\\textbar{}b\\textless{}i\\textgreater{}c\\_d\\%e\\&f\\$g\\#h\\{i\\}"
                          "\\textasciitilde{}j\\textasciicircum{}k\\textbackslash{}l & 7.80 \\\\\n");
    assert_contains(
        text,
        "    \\midrule\n    {}[x], \\textquotedbl{}quoted\\textquotedbl{} line$^{1,2}$ & $^{1}$ \\\\\n");
    free(text);
}

static void test_csv_quotes(void **state) {
    (void)state;
    char *text = written(SHEET_CSV);
    assert_string_equal(text,
                        "model,value\na|b<i>c_d%e&f$g#h{i}~j^k\\l,7.80\n\"[x], \"\"quoted\"\"\nline\",\n");
    free(text);
}

static void test_json_keeps_digits(void **state) {
    (void)state;
    Error error = {0};
    cJSON *json = NULL;
    char *text = written(SHEET_JSON);
    assert_contains(text, "7.80");
    succeed(json_parse(&json, text, strlen(text), "sheet", &error), &error);
    const cJSON *rows = cJSON_GetObjectItem(json, "rows");
    assert_true(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 0), "value")->valuedouble == 7.8);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 1), "value")));
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 1), "model")->valuestring,
                        "[x], \"quoted\"\nline");
    cJSON_Delete(json);
    free(text);
}

static void test_json_numbers_that_are_none_become_texts(void **state) {
    (void)state;
    static const char *const texts[] = {"07", "1.", "+1", "nan", "inf", "1e", "-", "0x1", "1 "};
    Arena arena = {0};
    Buffer out = {0};
    Error error = {0};
    cJSON *json = NULL;
    SheetBook book = {.arena = &arena};
    Sheet *sheet = sheet_add(&book, SHEET_FOR_PROGRAMS, "rows", NULL, columns, 2);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        sheet_row(&book, sheet, false)[1] = (SheetCell){.text = texts[i], .is_number = true};
    sheet_write(&book, SHEET_JSON, &out);
    succeed(json_parse(&json, out.data, out.size, "sheet", &error), &error);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const cJSON *row = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "rows"), (int)i);
        assert_string_equal(cJSON_GetObjectItem(row, "value")->valuestring, texts[i]);
    }
    cJSON_Delete(json);
    buffer_free(&out);
    arena_free(&arena);
}

const struct CMUnitTest sheet_tests[] = {
    cmocka_unit_test(test_markdown_escapes), cmocka_unit_test(test_latex_escapes),
    cmocka_unit_test(test_csv_quotes), cmocka_unit_test(test_json_keeps_digits),
    cmocka_unit_test(test_json_numbers_that_are_none_become_texts)};
const size_t n_sheet_tests = sizeof sheet_tests / sizeof *sheet_tests;
