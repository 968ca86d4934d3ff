/* Snapshots as bytes. Layout, all numbers little-endian:
 *
 *     "zeval state 1\n"
 *     u32 n, n bytes of text: what the model must be (see describe)
 *     u64 position
 *     float32 cache blocks, each whole; then the recurrent state
 *     64 bytes: SHA-256 of all that, in hex
 */
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "runner/engine.h"

static const char magic[] = "zeval state 1\n";
enum { MAGIC_BYTES = sizeof magic - 1, DIGEST_BYTES = SHA256_HEX - 1, DESCRIPTION_MAX_BYTES = 1 << 20 };
/* No sequence is longer; keeps sums of positions far from overflow. */
static const uint64_t position_max = UINT64_C(1) << 40;

/* Everything a state's meaning depends on: the layers, the sizes, the arithmetic, the weights. */
static void describe(const Engine *engine, Buffer *out) {
    const ModelInfo *info = &engine->info;
    char weights[SHA256_HEX];
    checkpoint_fingerprint(&engine->model.checkpoint, weights);
    buffer_printf(out, "%s of %" PRId64 " wide layers", info->family, info->hidden_size);
    for (int64_t i = 0; i < info->n_layers; i++)
        buffer_printf(out, "%s%s", i ? "," : " ", mixer_name(info->mixers[i]));
    buffer_printf(out, "; %s; %zu numbers per %d tokens and %zu more; weights %s",
                  dtype_name(engine_dtype(engine)), engine->pool.block_floats, BLOCK_TOKENS,
                  engine->pool.recurrent_floats, weights);
}

static size_t blocks_at(const StatePool *pool, uint64_t position) {
    return pool->block_floats ? (size_t)((position + BLOCK_TOKENS - 1) / BLOCK_TOKENS) : 0;
}

static void append_number(Buffer *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        buffer_append_char(out, (char)(value >> (8 * i) & 0xff));
}

static uint64_t read_number(const uint8_t *data, int bytes) {
    uint64_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | data[bytes];
    return value;
}

static void digest(const void *data, size_t bytes, char hex[SHA256_HEX]) {
    Sha256 *hash = sha256_begin();
    sha256_update(hash, data, bytes);
    sha256_end(hash, hex);
}

int state_save(Buffer *out, const Engine *engine, const State *state, Error *error) {
    const StatePool *pool = &engine->pool;
    if (state && state->pool != pool)
        return error_set(error, "cannot save a state: it belongs to another engine");
    size_t begin = out->size;
    Buffer description = {0};
    char hash[SHA256_HEX];
    describe(engine, &description);
    buffer_append(out, magic, MAGIC_BYTES);
    append_number(out, description.size, 4);
    buffer_append(out, description.data, description.size);
    append_number(out, (uint64_t)state_position(state), 8);
    for (size_t i = 0; state && i < state->n_blocks; i++)
        buffer_append(out, state->blocks[i]->data, pool->block_floats * sizeof(float));
    if (state && state->recurrent)
        buffer_append(out, state->recurrent, pool->recurrent_floats * sizeof(float));
    digest(out->data + begin, out->size - begin, hash);
    buffer_append(out, hash, DIGEST_BYTES);
    buffer_free(&description);
    return 0;
}

/* The saved description must be this engine's, word for word. */
static int check_description(const Engine *engine, const uint8_t *text, size_t bytes, Error *error) {
    Buffer description = {0};
    describe(engine, &description);
    int status = 0;
    if (bytes != description.size || memcmp(text, description.data, bytes) != 0)
        status = error_set(error, "cannot restore a state: it was saved from %.*s; this model is %s",
                           (int)(bytes < 400 ? bytes : 400), (const char *)text, description.data);
    buffer_free(&description);
    return status;
}

/* The position, the blocks and the recurrent state, with nothing behind them. */
static int restore_body(State **out, StatePool *pool, const uint8_t *body, size_t bytes, Error *error) {
    uint64_t position = bytes < 8 ? 0 : read_number(body, 8);
    size_t n_blocks = position > position_max ? 0 : blocks_at(pool, position), floats = 0;
    if (bytes < 8 || position > position_max || !mem_mul(n_blocks, pool->block_floats, &floats) ||
        floats > bytes || (bytes - 8) % sizeof(float) != 0 ||
        (bytes - 8) / sizeof(float) != (position ? floats + pool->recurrent_floats : 0))
        return error_set(error,
                         "cannot restore a state: a position of %" PRIu64 " does not go with %zu bytes",
                         position, bytes);
    if (position == 0) {
        *out = NULL;
        return 0;
    }
    State *state;
    if (state_begin(&state, pool, NULL, false, false, (size_t)position, error))
        return -1;
    body += 8;
    for (size_t i = 0; i < n_blocks; i++, body += pool->block_floats * sizeof(float))
        memcpy(state->blocks[i]->data, body, pool->block_floats * sizeof(float));
    if (state->recurrent)
        memcpy(state->recurrent, body, pool->recurrent_floats * sizeof(float));
    state->position = (int64_t)position;
    *out = state;
    return 0;
}

int state_restore(State **out, Engine *engine, const void *bytes, size_t n, Error *error) {
    const uint8_t *data = bytes;
    char hash[SHA256_HEX];
    *out = NULL;
    if (n < MAGIC_BYTES || memcmp(data, magic, MAGIC_BYTES) != 0)
        return error_set(error, "cannot restore a state: %zu bytes that do not begin with \"zeval state 1\"",
                         n);
    if (n < MAGIC_BYTES + 4 + DIGEST_BYTES)
        return error_set(error, "cannot restore a state: it is cut short at %zu bytes", n);
    size_t at = MAGIC_BYTES + 4, end = n - DIGEST_BYTES;
    uint64_t description = read_number(data + MAGIC_BYTES, 4);
    if (description > DESCRIPTION_MAX_BYTES || description > end - at)
        return error_set(error,
                         "cannot restore a state: its description claims %" PRIu64
                         " bytes, but %zu follow and "
                         "%d are allowed",
                         description, end - at, DESCRIPTION_MAX_BYTES);
    digest(data, end, hash);
    if (memcmp(hash, data + end, DIGEST_BYTES) != 0)
        return error_set(error, "cannot restore a state: its bytes are damaged, their checksum differs");
    if (check_description(engine, data + at, (size_t)description, error))
        return -1;
    at += (size_t)description;
    return restore_body(out, &engine->pool, data + at, end - at, error);
}
