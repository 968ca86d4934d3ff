#include <string.h>

#include "base/base.h"
#include "tests/base/tests.h"

static void test_utf8_round_trip_of_every_code_point(void **state) {
    (void)state;
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        if (code >= 0xD800 && code <= 0xDFFF)
            continue;
        char bytes[4];
        uint32_t back;
        size_t length = utf8_encode(code, bytes);
        assert_int_equal(utf8_decode(bytes, length, &back), length);
        assert_int_equal(back, code);
    }
}

static void test_invalid_utf8_is_one_replacement_per_byte(void **state) {
    (void)state;
    static const char *const bad[] = {"\x80",     "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "\xE2\x82", "\xFF"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t code;
        assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &code), 1);
        assert_int_equal(code, 0xFFFD);
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
        assert_int_equal(utf8_length(bad[i], strlen(bad[i])), strlen(bad[i]));
    }
    assert_true(utf8_valid("a\xE2\x82\xAC", 4));
    assert_int_equal(utf8_length("a\xE2\x82\xAC", 4), 2);
}

static void check_strip(const char *text, const char *left, const char *right) {
    const char *at = text;
    size_t bytes = strlen(text);
    text_lstrip(&at, &bytes);
    assert_int_equal(bytes, strlen(left));
    assert_memory_equal(at, left, bytes);
    at = text;
    bytes = strlen(text);
    text_rstrip(&at, &bytes);
    assert_int_equal(bytes, strlen(right));
    assert_memory_equal(at, right, bytes);
}

/* Expected values: Python 3.11's str.lstrip and str.rstrip. */
static void test_strip_takes_pythons_whitespace(void **state) {
    (void)state;
    check_strip(" \t\n a b \r\n", "a b \r\n", " \t\n a b");
    check_strip("\xC2\xA0\xE3\x80\x80x\xE2\x80\xA8", "x\xE2\x80\xA8", "\xC2\xA0\xE3\x80\x80x");
    check_strip("\x1cx\x1f", "x\x1f", "\x1cx");
    check_strip("\xE2\x80\x8Bx\xE2\x80\x8B", "\xE2\x80\x8Bx\xE2\x80\x8B",
                "\xE2\x80\x8Bx\xE2\x80\x8B"); /* U+200B is none */
    check_strip("   ", "", "");
    check_strip("", "", "");
}

static void test_numbers_are_strict(void **state) {
    (void)state;
    int64_t whole;
    double number;
    assert_true(text_to_int("-42", &whole));
    assert_int_equal(whole, -42);
    static const char *const bad[] = {"", " 1", "1 ", "0x10", "1.5", "9223372036854775808", "one", "+1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_to_int(bad[i], &whole));
    assert_true(text_to_double("2.5e-1", &number));
    assert_true(number == 0.25);
    assert_false(text_to_double("inf", &number));
    assert_false(text_to_double("1e999", &number));
    assert_false(text_to_double("nan", &number));
}

static void test_json_strings_escape_what_must_be_escaped(void **state) {
    (void)state;
    Buffer out = {0};
    text_append_json(&out, "a\"\\\n\t\x01\x0b\xE2\x82\xAC", 10);
    assert_string_equal(out.data, "\"a\\\"\\\\\\n\\t\\u0001\\u000b\xE2\x82\xAC\"");
    buffer_free(&out);
}

static void test_paths_that_leave_their_folder_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",    "/etc/passwd", "..", "a/../b", "a/..",
                                      "./a", "a//b",        "a/", "a\nb",   "a\\b"};
    static const char *const good[] = {"a", "a/b.safetensors", "..a", "a..b/c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(path_is_inside(bad[i]));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(path_is_inside(good[i]));
}

static void test_glob(void **state) {
    (void)state;
    assert_true(text_glob("mmlu_*", "mmlu_anatomy"));
    assert_true(text_glob("arc_[ec]*", "arc_easy"));
    assert_false(text_glob("arc_?", "arc_easy"));
}

int run_text_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_round_trip_of_every_code_point),
        cmocka_unit_test(test_invalid_utf8_is_one_replacement_per_byte),
        cmocka_unit_test(test_strip_takes_pythons_whitespace),
        cmocka_unit_test(test_numbers_are_strict),
        cmocka_unit_test(test_json_strings_escape_what_must_be_escaped),
        cmocka_unit_test(test_paths_that_leave_their_folder_are_refused),
        cmocka_unit_test(test_glob),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
