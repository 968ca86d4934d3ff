/* Stop strings in text that comes in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "runner/stop_text.h"
#include "tests/runner/runner_tests.h"

/* Feeds text in pieces of n bytes, and checks on the way that what is shown never changes and never holds a
 * part of a stop string that follows. */
static void check(const char *const *stops, size_t n_stops, const char *text, const char *expected) {
    for (size_t n = 1; n <= strlen(text); n++) {
        StopText stop = {.stops = stops, .n_stops = n_stops};
        size_t shown = 0;
        for (size_t at = 0; at < strlen(text) && !stop.stopped; at += n) {
            size_t left = strlen(text) - at;
            buffer_append(&stop.text, text + at, left < n ? left : n);
            stop_text_update(&stop);
            assert_true(stop.safe >= shown && stop.safe <= stop.text.size);
            shown = stop.safe;
            if (shown > strlen(expected) || memcmp(stop.text.data, expected, shown) != 0)
                fail_msg("pieces of %zu bytes of \"%s\": showed \"%.*s\", expected \"%s\"", n, text,
                         (int)shown, stop.text.data, expected);
        }
        assert_int_equal(stop.stopped, strlen(expected) < strlen(text));
        stop_text_finish(&stop);
        assert_int_equal(stop.safe, strlen(expected));
        assert_string_equal(stop.text.data, expected);
        buffer_free(&stop.text);
    }
}

static void test_text_ends_before_the_first_stop_string(void **unused) {
    (void)unused;
    check((const char *[]){"\n\n"}, 1, "one\ntwo\n\nthree", "one\ntwo");
    check((const char *[]){"aab"}, 1, "aaaaab", "aaa");
    check((const char *[]){"abab", "x"}, 2, "abaabaxab", "abaaba");
    check((const char *[]){"x"}, 1, "xyz", "");
    check((const char *[]){"zz"}, 1, "no such thing, z", "no such thing, z");
    check((const char *[]){"Q:", "\nQ"}, 2, "A\nQ: B", "A");
    check((const char *[]){"\xC3\xA9"}, 1, "caf\xC3\xA8 caf\xC3\xA9", "caf\xC3\xA8 caf");
    check(NULL, 0, "anything", "anything");
}

/* Both strings are complete at once, or one is complete while the other might still come. */
static void test_stop_strings_within_each_other(void **unused) {
    (void)unused;
    StopText stop = {.stops = (const char *[]){"bc", "abcd"}, .n_stops = 2};
    buffer_append_text(&stop.text, "xab");
    stop_text_update(&stop);
    assert_false(stop.stopped);
    assert_int_equal(stop.safe, 1);
    buffer_append_text(&stop.text, "c");
    stop_text_update(&stop);
    assert_true(stop.stopped);
    assert_string_equal(stop.text.data, "xa");
    assert_int_equal(stop.safe, 2);
    buffer_free(&stop.text);
    stop = (StopText){.stops = (const char *[]){"bc", "abcd"}, .n_stops = 2};
    buffer_append_text(&stop.text, "xabcd");
    stop_text_update(&stop);
    assert_string_equal(stop.text.data, "x");
    buffer_free(&stop.text);
}

int run_stop_text_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_ends_before_the_first_stop_string),
        cmocka_unit_test(test_stop_strings_within_each_other),
    };
    return cmocka_run_group_tests_name("stop_text", tests, NULL, NULL);
}
