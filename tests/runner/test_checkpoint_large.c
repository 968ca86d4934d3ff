/* Checkpoints larger than memory should ever hold: files that are mostly holes, as large as real ones. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "runner/checkpoint/warm_up.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"

static char *make_folder(void) {
    const char *root = getenv("TMPDIR");
    char *folder = path_join(root ? root : "/tmp", "zeval-large-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

/* A file of `bytes`, a hole but for `head` at its begin and `tail` at its end. False where the file system
 * has no holes. */
static bool put_sparse(const char *folder, const char *name, const Buffer *head, const Buffer *tail,
                       off_t bytes) {
    struct stat status;
    char *path = path_join(folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    bool made = ftruncate(file, bytes) == 0 &&
                pwrite(file, head->data, head->size, 0) == (ssize_t)head->size &&
                (tail->size == 0 ||
                 pwrite(file, tail->data, tail->size, bytes - (off_t)tail->size) == (ssize_t)tail->size) &&
                fstat(file, &status) == 0 && (off_t)status.st_blocks * 512 < bytes / 16;
    close(file);
    free(path);
    return made;
}

static void remove_file(const char *folder, const char *name) {
    char *path = path_join(folder, name);
    unlink(path);
    free(path);
}

/* ---- a model of Llama-3.2-1B's shape */

enum { WIDTH = 2048, MLP = 8192, LAYERS = 16, KEYS = 512, VOCABULARY = 128256 };

static size_t add_tensor(Buffer *header, size_t at, const char *name, size_t rows, size_t cols) {
    size_t end = at + rows * (cols ? cols : 1) * 2;
    buffer_printf(header, "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%zu", at ? "," : "{", name, rows);
    if (cols)
        buffer_printf(header, ",%zu", cols);
    buffer_printf(header, "],\"data_offsets\":[%zu,%zu]}", at, end);
    return end;
}

static size_t add_layer(Buffer *header, size_t at, int layer) {
    static const struct {
        const char *name;
        size_t rows, cols;
    } tensors[] = {{"input_layernorm", WIDTH, 0},      {"post_attention_layernorm", WIDTH, 0},
                   {"self_attn.q_proj", WIDTH, WIDTH}, {"self_attn.k_proj", KEYS, WIDTH},
                   {"self_attn.v_proj", KEYS, WIDTH},  {"self_attn.o_proj", WIDTH, WIDTH},
                   {"mlp.gate_proj", MLP, WIDTH},      {"mlp.up_proj", MLP, WIDTH},
                   {"mlp.down_proj", WIDTH, MLP}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        char name[128];
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, tensors[i].name);
        at = add_tensor(header, at, name, tensors[i].rows, tensors[i].cols);
    }
    return at;
}

static bool put_large_llama(const char *folder) {
    Buffer header = {0}, head = {0}, none = {0};
    Error error = {0};
    size_t at = add_tensor(&header, 0, "model.embed_tokens.weight", VOCABULARY, WIDTH);
    for (int i = 0; i < LAYERS; i++)
        at = add_layer(&header, at, i);
    at = add_tensor(&header, at, "model.norm.weight", WIDTH, 0);
    buffer_append_char(&header, '}');
    for (int i = 0; i < 8; i++)
        buffer_append_char(&head, (char)(header.size >> (8 * i) & 0xff));
    buffer_append(&head, header.data, header.size);
    bool made = put_sparse(folder, "model.safetensors", &head, &none, (off_t)(head.size + at));
    Buffer config = {0};
    buffer_printf(&config,
                  "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":%d,\"intermediate_size\":%d,"
                  "\"num_hidden_layers\":%d,\"num_attention_heads\":32,\"num_key_value_heads\":8,"
                  "\"vocab_size\":%d,\"tie_word_embeddings\":true}",
                  WIDTH, MLP, LAYERS, VOCABULARY);
    char *path = path_join(folder, "config.json");
    if (file_write_atomic(path, config.data, config.size, &error))
        fail_msg("%s", error.message);
    free(path);
    buffer_free(&config);
    buffer_free(&header);
    buffer_free(&head);
    return made;
}

/* Memory that this process has resident, mapped files included. */
static int64_t resident_bytes(void) {
    long long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lld %lld", &total, &resident), 2);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static void test_opening_a_large_checkpoint_maps_it(void **unused) {
    (void)unused;
    char *folder = make_folder();
    bool made = put_large_llama(folder);
    if (made) {
        int64_t before = resident_bytes();
        double start = clock_seconds();
        Engine *engine = open_engine(folder, 1);
        double seconds = clock_seconds() - start;
        int64_t more = resident_bytes() - before;
        printf("2.47 GB of weights: opened in %.3f s, %lld MB resident\n", seconds, (long long)(more >> 20));
        assert_int_equal(engine_info(engine)->n_parameters, 1235814400);
        if (more > 256 << 20)
            fail_msg("%lld bytes became resident, expected less than 256 MiB", (long long)more);
        engine_close(engine);
    } else
        printf("skipped: no files with holes in %s\n", folder);
    remove_file(folder, "model.safetensors");
    remove_file(folder, "config.json");
    assert_int_equal(rmdir(folder), 0);
    free(folder);
    if (!made)
        skip();
}

/* ---- weights that come in the background */

static bool is_resident(const FileMap *map) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (map->bytes + page - 1) / page, found = 0;
    unsigned char *pages = mem_alloc(n);
    assert_int_equal(mincore((void *)(uintptr_t)map->data, map->bytes, pages), 0);
    for (size_t i = 0; i < n; i++)
        found += pages[i] & 1;
    free(pages);
    return found == n;
}

/* The whole file becomes resident without a look at it; what is ended at once ends. */
static void test_a_warm_up_brings_the_weights(void **unused) {
    (void)unused;
    enum { ROWS = 20, COLS = 1 << 20 };
    char *folder = make_folder();
    Buffer header = {0}, head = {0}, none = {0};
    Error error = {0};
    Checkpoint checkpoint;
    size_t at = add_tensor(&header, 0, "a", ROWS, COLS);
    buffer_append_char(&header, '}');
    for (int i = 0; i < 8; i++)
        buffer_append_char(&head, (char)(header.size >> (8 * i) & 0xff));
    buffer_append(&head, header.data, header.size);
    put_sparse(folder, "model.safetensors", &head, &none, (off_t)(head.size + at));
    if (checkpoint_open(&checkpoint, folder, &error))
        fail_msg("%s", error.message);
    warm_up_end(warm_up_begin(&checkpoint));
    WarmUp *warm_up = warm_up_begin(&checkpoint);
    assert_non_null(warm_up);
    double end = clock_seconds() + 60;
    while (!is_resident(&checkpoint.files[0].map))
        if (clock_seconds() > end)
            fail_msg("after a minute the weights are not in memory");
        else
            usleep(1000);
    warm_up_end(warm_up);
    checkpoint_close(&checkpoint);
    if (checkpoint_open(&checkpoint, "tests/fixtures/models/llama_tiny", &error))
        fail_msg("%s", error.message);
    assert_null(warm_up_begin(&checkpoint)); /* not worth a thread */
    checkpoint_close(&checkpoint);
    remove_file(folder, "model.safetensors");
    assert_int_equal(rmdir(folder), 0);
    free(folder);
    buffer_free(&header);
    buffer_free(&head);
}

/* ---- an archive with members beyond 4 GiB */

static const int64_t big_bytes = (int64_t)4600 * 1000 * 1000;

static void append_number(Buffer *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        buffer_append_char(out, (char)(value >> (8 * i) & 0xff));
}

/* Size and offset stand in the entry's zip64 field, in the local header too, as PyTorch writes them. */
static void append_entry(Buffer *out, bool local, const char *name, uint32_t crc, uint64_t size,
                         uint64_t offset) {
    buffer_append(out, local ? "PK\3\4\0\0" : "PK\1\2\0\0\0\0", local ? 6 : 8);
    append_number(out, 0, 8); /* flags, method, time */
    append_number(out, crc, 4);
    append_number(out, 0xffffffff, 4);
    append_number(out, 0xffffffff, 4);
    append_number(out, strlen(name), 2);
    append_number(out, local ? 20 : 28, 2);
    if (!local) {
        append_number(out, 0, 6);
        append_number(out, 0, 4);
        append_number(out, 0xffffffff, 4);
    }
    buffer_append_text(out, name);
    append_number(out, 1, 2);
    append_number(out, local ? 16 : 24, 2);
    append_number(out, size, 8);
    append_number(out, size, 8);
    if (!local)
        append_number(out, offset, 8);
}

/* One storage of 1.15e9 floats, and a pickle behind it that takes its last element. */
static bool put_large_bin(const char *folder) {
    static const char pickle[] = "\x80\2ccollections\nOrderedDict\n)RX\1\0\0\0actorch._utils\n"
                                 "_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
                                 "0X\3\0\0\0cpuJ\x80\x9b\x8b\x44tQJ\x7f\x9b\x8b\x44K\1\x85K\1\x85\x89"
                                 "ccollections\nOrderedDict\n)RtRs.";
    size_t pickle_bytes = sizeof pickle - 1;
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)pickle, (uInt)pickle_bytes);
    Buffer head = {0}, tail = {0};
    append_entry(&head, true, "m/data/0", 0, (uint64_t)big_bytes, 0);
    uint64_t second = head.size + (uint64_t)big_bytes;
    buffer_append(&tail, "\0\0\x80\x3f", 4); /* the storage's last float: 1 */
    append_entry(&tail, true, "m/data.pkl", crc, pickle_bytes, 0);
    buffer_append(&tail, pickle, pickle_bytes);
    uint64_t directory = second + tail.size - 4;
    append_entry(&tail, false, "m/data/0", 0, (uint64_t)big_bytes, 0);
    append_entry(&tail, false, "m/data.pkl", crc, pickle_bytes, second);
    uint64_t end = second + tail.size - 4;
    buffer_append(&tail, "PK\6\6", 4);
    append_number(&tail, 44, 8);
    append_number(&tail, 0, 8); /* versions, then this disk */
    append_number(&tail, 0, 4);
    append_number(&tail, 2, 8);
    append_number(&tail, 2, 8);
    append_number(&tail, end - directory, 8);
    append_number(&tail, directory, 8);
    buffer_append(&tail, "PK\6\7\0\0\0\0", 8);
    append_number(&tail, end, 8);
    append_number(&tail, 1, 4);
    buffer_append(&tail, "PK\5\6\0\0\0\0\2\0\2\0", 12);
    append_number(&tail, end - directory, 4);
    append_number(&tail, 0xffffffff, 4);
    append_number(&tail, 0, 2);
    bool made = put_sparse(folder, "pytorch_model.bin", &head, &tail, (off_t)(second + tail.size - 4));
    buffer_free(&head);
    buffer_free(&tail);
    return made;
}

static void test_archive_beyond_4_gib_is_read(void **unused) {
    (void)unused;
    char *folder = make_folder();
    bool made = put_large_bin(folder);
    if (made) {
        Checkpoint checkpoint;
        float *value = NULL;
        Error error = {0};
        if (checkpoint_open(&checkpoint, folder, &error) ||
            checkpoint_vector(&checkpoint, "a", 1, &value, &error))
            fail_msg("%s", error.message);
        assert_true(value[0] == 1.0f);
        free(value);
        checkpoint_close(&checkpoint);
    } else
        printf("skipped: no files with holes in %s\n", folder);
    remove_file(folder, "pytorch_model.bin");
    assert_int_equal(rmdir(folder), 0);
    free(folder);
    if (!made)
        skip();
}

int run_checkpoint_large_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_warm_up_brings_the_weights),
        cmocka_unit_test(test_opening_a_large_checkpoint_maps_it),
        cmocka_unit_test(test_archive_beyond_4_gib_is_read),
    };
    return cmocka_run_group_tests_name("checkpoint_large", tests, NULL, NULL);
}
