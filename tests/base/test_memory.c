#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/base/tests.h"

static void test_arena_memory_is_zeroed_aligned_and_survives_growth(void **state) {
    (void)state;
    Arena arena = {0};
    char *kept[500];
    for (int i = 0; i < 500; i++) {
        kept[i] = arena_alloc(&arena, (size_t)i * 7);
        assert_int_equal((uintptr_t)kept[i] % 16, 0);
        for (int j = 0; j < i * 7; j++)
            assert_int_equal(kept[i][j], 0);
        memset(kept[i], i & 0xff, (size_t)i * 7);
    }
    for (int i = 1; i < 500; i++)
        assert_int_equal((unsigned char)kept[i][i * 7 - 1], i & 0xff);
    arena_reset(&arena);
    assert_int_equal(*(char *)arena_alloc(&arena, 1), 0);
    assert_string_equal(arena_printf(&arena, "%d-%s", 42, "x"), "42-x");
    arena_free(&arena);
}

static void test_products_that_overflow_are_refused(void **state) {
    (void)state;
    size_t product;
    void *memory;
    Error error = {0};
    assert_false(mem_mul(SIZE_MAX / 2, 3, &product));
    assert_true(mem_mul(6, 7, &product));
    assert_int_equal(product, 42);
    assert_int_equal(mem_try_alloc(&memory, SIZE_MAX / 2, 3, "the tensor", &error), -1);
    assert_null(memory);
    assert_non_null(strstr(error.message, "the tensor"));
}

static void test_buffer_is_always_a_c_string(void **state) {
    (void)state;
    Buffer buffer = {0};
    for (int i = 0; i < 1000; i++) {
        buffer_printf(&buffer, "%d,", i);
        assert_int_equal(strlen(buffer.data), buffer.size);
    }
    buffer_clear(&buffer);
    assert_string_equal(buffer.data, "");
    buffer_free(&buffer);
    char *empty = buffer_take(&buffer);
    assert_string_equal(empty, "");
    free(empty);
}

static void test_sha256_of_known_texts(void **state) {
    (void)state;
    char hex[SHA256_HEX], fields[2][SHA256_HEX];
    sha256_text("abc", 3, hex); /* FIPS 180-2, appendix B.1 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *split[2][2] = {{"ab", "c"}, {"a", "bc"}};
    for (int i = 0; i < 2; i++) {
        Sha256 *hash = sha256_begin();
        for (int j = 0; j < 2; j++)
            sha256_update_field(hash, split[i][j], strlen(split[i][j]));
        sha256_end(hash, fields[i]);
    }
    assert_string_not_equal(fields[0], fields[1]);
}

int run_memory_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_memory_is_zeroed_aligned_and_survives_growth),
        cmocka_unit_test(test_products_that_overflow_are_refused),
        cmocka_unit_test(test_buffer_is_always_a_c_string),
        cmocka_unit_test(test_sha256_of_known_texts),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
