/* Snapshots written to bytes and restored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"

static const char *const folders[] = {"tests/fixtures/models/llama_tiny", "tests/fixtures/models/zebra_tiny",
                                      "tests/fixtures/models/zebra_tiny_lora_norm",
                                      "tests/fixtures/models/llama_tiny_tied_bf16"};
enum { N_FOLDERS = sizeof folders / sizeof *folders };

/* A state after n tokens, and its bytes. */
static State *make_state(Engine *engine, size_t n, Buffer *bytes) {
    int32_t *ids = mem_alloc(n * sizeof *ids);
    State *state = NULL;
    Error error = {0};
    random_ids(engine, 9, ids, n);
    free(score_logits(engine, ids, n, &state));
    free(ids);
    if (state_save(bytes, engine, state, &error))
        fail_msg("%s", error.message);
    return state;
}

static State *restore(Engine *engine, const Buffer *bytes) {
    State *state;
    Error error = {0};
    if (state_restore(&state, engine, bytes->data, bytes->size, &error))
        fail_msg("%s", error.message);
    return state;
}

/* Also by a second engine of the same checkpoint, as another process would have it. */
static void test_restored_state_continues_with_the_same_bits(void **unused) {
    (void)unused;
    static const size_t lengths[] = {1, 15, 16, 37};
    for (size_t i = 0; i < N_FOLDERS; i++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            Engine *engine = open_engine(folders[i], 1), *other = open_engine(folders[i], 2);
            size_t vocab_size = (size_t)engine_info(engine)->vocab_size;
            Buffer bytes = {0};
            int32_t ids[20];
            random_ids(engine, 10, ids, 20);
            State *state = make_state(engine, lengths[k], &bytes), *restored = restore(other, &bytes);
            assert_int_equal(state_position(restored), lengths[k]);
            float *a = score_logits(engine, ids, 20, &state), *b = score_logits(other, ids, 20, &restored);
            assert_same_bits(a, b, 20 * vocab_size, folders[i]);
            assert_int_equal(state_position(restored), lengths[k] + 20);
            free(a);
            free(b);
            state_release(state);
            state_release(restored);
            buffer_free(&bytes);
            engine_close(engine);
            engine_close(other);
        }
}

static void test_empty_sequence_can_be_saved(void **unused) {
    (void)unused;
    Engine *engine = open_engine(folders[1], 1);
    Buffer bytes = {0};
    assert_int_equal(state_save(&bytes, engine, NULL, NULL), 0);
    assert_null(restore(engine, &bytes));
    buffer_free(&bytes);
    engine_close(engine);
}

static void expect_refused(Engine *engine, const void *bytes, size_t n, const char *words) {
    State *state;
    Error error = {0};
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    if (n)
        memcpy(exact, bytes, n);
    int status = state_restore(&state, engine, exact, n, &error);
    free(exact);
    assert_int_equal(status, -1);
    assert_null(state);
    if (!strstr(error.message, "cannot restore a state") || !strstr(error.message, words))
        fail_msg("the message is \"%s\", expected \"%s\" in it", error.message, words);
}

static void test_state_of_another_model_is_refused(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FOLDERS; i++) {
        Engine *from = open_engine(folders[i], 1), *to = open_engine(folders[(i + 1) % N_FOLDERS], 1);
        Buffer bytes = {0};
        Error error = {0};
        State *state = make_state(from, 5, &bytes);
        expect_refused(to, bytes.data, bytes.size, "it was saved from");
        assert_int_equal(state_save(&bytes, to, state, &error), -1);
        assert_non_null(strstr(error.message, "another engine"));
        state_release(state);
        buffer_free(&bytes);
        engine_close(from);
        engine_close(to);
    }
}

/* The same shapes, other numbers. */
static void test_state_of_other_weights_is_refused(void **unused) {
    (void)unused;
    char *a = make_random_llama(false), *b = make_random_llama(true);
    Engine *from = open_engine(a, 1), *to = open_engine(b, 1);
    Buffer bytes = {0};
    state_release(make_state(from, 5, &bytes));
    expect_refused(to, bytes.data, bytes.size, "it was saved from");
    buffer_free(&bytes);
    engine_close(from);
    engine_close(to);
    remove_random_llama(a);
    remove_random_llama(b);
}

/* A true checksum over what precedes it, so that the fields behind it are what is judged. */
static void seal(Buffer *bytes) {
    char hex[SHA256_HEX];
    size_t body = bytes->size - (SHA256_HEX - 1);
    Sha256 *hash = sha256_begin();
    sha256_update(hash, bytes->data, body);
    sha256_end(hash, hex);
    memcpy(bytes->data + body, hex, SHA256_HEX - 1);
}

static void test_broken_states_are_refused(void **unused) {
    (void)unused;
    Engine *engine = open_engine(folders[1], 1);
    Buffer bytes = {0};
    state_release(make_state(engine, 5, &bytes));
    for (size_t n = 0; n < bytes.size; n += n < 300 || n + 300 > bytes.size ? 1 : 97)
        expect_refused(engine, bytes.data, n, "");
    for (size_t i = 0; i < bytes.size; i += i < 300 || i + 300 > bytes.size ? 1 : 97) {
        bytes.data[i] ^= 0x10;
        expect_refused(engine, bytes.data, bytes.size, "");
        bytes.data[i] ^= 0x10;
    }
    size_t description = (unsigned char)bytes.data[14] | (size_t)(unsigned char)bytes.data[15] << 8;
    char *position = bytes.data + 18 + description;
    assert_int_equal(*position, 5);
    for (int i = 0; i < 256; i++) {
        memset(position, 0, 8);
        position[i % 8] = (char)(i < 8 ? 0x7f : i);
        seal(&bytes);
        if (i % 8 != 0 || i == 0 || i > 16)
            expect_refused(engine, bytes.data, bytes.size, "does not go with");
    }
    memset(position, 0xff, 8);
    seal(&bytes);
    expect_refused(engine, bytes.data, bytes.size, "a position of 18446744073709551615 does not go with");
    memset(bytes.data + 14, 0xff, 4);
    seal(&bytes);
    expect_refused(engine, bytes.data, bytes.size, "its description claims 4294967295 bytes");
    buffer_append_char(&bytes, 'x');
    expect_refused(engine, bytes.data, bytes.size, "");
    buffer_free(&bytes);
    engine_close(engine);
}

int run_state_bytes_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restored_state_continues_with_the_same_bits),
        cmocka_unit_test(test_empty_sequence_can_be_saved),
        cmocka_unit_test(test_state_of_another_model_is_refused),
        cmocka_unit_test(test_state_of_other_weights_is_refused),
        cmocka_unit_test(test_broken_states_are_refused),
    };
    return cmocka_run_group_tests_name("state_bytes", tests, NULL, NULL);
}
