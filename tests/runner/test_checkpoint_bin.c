/* Checkpoints as torch.save writes them: the same logits as from safetensors, and a corpus of files that are
 * wrong in one way each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "runner/checkpoint/checkpoint.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"
#include "tests/runner/torch_writer.h"

/* ---- files that torch wrote */

static const struct {
    const char *safetensors, *bin;
    Dtype dtype; /* of the latter */
    size_t n_files;
} pairs[] = {
    {"tests/fixtures/models/llama_tiny", "tests/fixtures/checkpoints/llama_tiny_bin", DTYPE_FLOAT32, 1},
    {"tests/fixtures/models/mamba_in_llama_tiny", "tests/fixtures/checkpoints/mamba_in_llama_tiny_bin",
     DTYPE_FLOAT32, 1},
    {"tests/fixtures/models/zebra_tiny", "tests/fixtures/checkpoints/zebra_tiny_bin", DTYPE_BFLOAT16, 1},
    {"tests/fixtures/models/llama_tiny_f16", "tests/fixtures/checkpoints/llama_tiny_f16_bin", DTYPE_FLOAT16,
     1},
    {"tests/fixtures/models/llama_tiny_tied_bf16", "tests/fixtures/checkpoints/llama_tiny_tied_bf16_bin",
     DTYPE_BFLOAT16, 2},
};

static void test_bin_gives_the_bits_of_safetensors(void **unused) {
    (void)unused;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        Engine *expected = open_engine(pairs[i].safetensors, 1), *engine = open_engine(pairs[i].bin, 1);
        const ModelInfo *info = engine_info(engine);
        int32_t ids[40];
        random_ids(engine, 3, ids, 40);
        float *a = score_logits(expected, ids, 40, NULL), *b = score_logits(engine, ids, 40, NULL);
        assert_same_bits(a, b, 40 * (size_t)info->vocab_size, pairs[i].bin);
        assert_int_equal(info->n_parameters, engine_info(expected)->n_parameters);
        assert_int_equal(info->weights_dtype, pairs[i].dtype);
        assert_int_equal(info->n_weight_files, pairs[i].n_files);
        for (size_t k = 0; k < info->n_weight_files; k++)
            assert_true(text_ends_with(info->weight_files[k], ".bin"));
        free(a);
        free(b);
        engine_close(expected);
        engine_close(engine);
    }
}

/* ---- archives made here */

/* 24 bytes: a storage of 6 floats. */
static const char storage_bytes[] = "abcdefghijklmnopqrstuvwx";

static Buffer make_torch_zip(const char *pickle, size_t bytes) {
    const Part parts[] = {{"m/data.pkl", pickle, bytes},
                          {"m/data/0", storage_bytes, 24},
                          {"m/byteorder", "little", 6},
                          {"m/version", "3\n", 2}};
    return make_zip(parts, 4);
}

#define STORAGE(class, key, n) "(X\7\0\0\0storagectorch\n" class "\nX\1\0\0\0" key "X\3\0\0\0cpuK" n "tQ"
#define FLOATS STORAGE("FloatStorage", "0", "\6")
#define TENSOR(storage, offset, size, stride) REBUILD "(" storage offset size stride "\x89" DICT "tR"
/* 2 rows of 3, at the storage's begin */
#define GOOD TENSOR(FLOATS, "K\0", "K\2K\3\x86", "K\3K\1\x86")
#define NAME_A "X\1\0\0\0a"
#define NAME_B "X\1\0\0\0b"
#define FILE_OF(entries) PROTO DICT "(" entries "u."
static const char good_pickle[] = FILE_OF(NAME_A GOOD);

/* Parses from memory of exactly that size, so that the sanitizers see a byte read behind it. */
static int parse(const char *data, size_t bytes, Tensor **tensors, size_t *n, uint8_t **memory,
                 Error *error) {
    *memory = malloc(bytes ? bytes : 1);
    assert_non_null(*memory);
    if (bytes)
        memcpy(*memory, data, bytes);
    *error = (Error){0};
    return torch_file_parse(tensors, n, *memory, bytes, "FILE", error);
}

/* What is accepted must lie inside the file; what is refused must say why. */
static int parse_and_check(const char *data, size_t bytes) {
    Tensor *tensors;
    size_t n;
    uint8_t *memory;
    Error error;
    int status = parse(data, bytes, &tensors, &n, &memory, &error);
    if (status && (tensors || !text_starts_with(error.message, "FILE: ")))
        fail_msg("refused with \"%s\"", error.message);
    for (size_t i = 0; i < n; i++)
        if (tensors[i].data < memory || tensors[i].bytes > (size_t)(memory + bytes - tensors[i].data))
            fail_msg("tensor %s does not lie inside its file", tensors[i].name);
    tensors_free(tensors, n);
    free(memory);
    return status;
}

static void expect_refused(const char *data, size_t bytes, const char *words) {
    Tensor *tensors;
    size_t n;
    uint8_t *memory;
    Error error;
    int status = parse(data, bytes, &tensors, &n, &memory, &error);
    free(memory);
    assert_null(tensors);
    if (status != -1 || !strstr(error.message, words) || !strstr(error.message, "FILE"))
        fail_msg("the message is \"%s\", expected \"%s\" in it", error.message, words);
}

static void test_torch_tensors_lie_in_their_storages(void **unused) {
    (void)unused;
    static const char pickle[] = FILE_OF(
        NAME_A "q\1" GOOD "q\2" /* a, remembered */
               "X\1\0\0\0t"
               "h\2" /* the same again */
        NAME_B "ctorch._utils\n_rebuild_parameter\n" TENSOR(
            FLOATS, "K\4", "K\2\x85",
            "K\1\x85") "\x88" DICT "\x87R"
                       "X\1\0\0\0e" TENSOR(FLOATS, "K\6", "K\0K\5\x86", "K\1K\1\x86") "X\1\0\0\0s" TENSOR(
                           FLOATS, "K\5", ")", ")") "X\1\0\0\0u" TENSOR(FLOATS, "\x8a\1\1",
                                                                        "M\1\0J\2\0\0\0\x86",
                                                                        "K\x63K\1\x86"));
    Buffer zip = make_torch_zip(pickle, sizeof pickle - 1);
    Tensor *tensors;
    size_t n;
    uint8_t *memory;
    Error error;
    if (parse(zip.data, zip.size, &tensors, &n, &memory, &error))
        fail_msg("%s", error.message);
    static const struct {
        const char *name;
        size_t offset, bytes;
        int n_dims;
    } expected[] = {{"a", 0, 24, 2}, {"b", 16, 8, 1}, {"e", 24, 0, 2},
                    {"s", 20, 4, 0}, {"t", 0, 24, 2}, {"u", 4, 8, 2}};
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(tensors[i].name, expected[i].name);
        assert_int_equal(tensors[i].bytes, expected[i].bytes);
        assert_int_equal(tensors[i].n_dims, expected[i].n_dims);
        assert_memory_equal(tensors[i].data, storage_bytes + expected[i].offset, expected[i].bytes);
    }
    assert_string_equal(tensors[0].type_name, "F32");
    tensors_free(tensors, n);
    free(memory);
    buffer_free(&zip);
}

#define CASE(pickle, words)                                                                                  \
    { pickle, sizeof(pickle) - 1, words }

static void test_broken_pickles_are_refused(void **unused) {
    (void)unused;
    static const struct {
        const char *pickle;
        size_t bytes;
        const char *words;
    } cases[] = {
        /* calls */
        CASE(PROTO "cos\nsystem\nX\2\0\0\0id\x85R.", "asks for os.system"),
        CASE(PROTO "cposix\nsystem\n)R.", "asks for posix.system"),
        CASE(PROTO "c__builtin__\neval\nX\3\0\0\0"
                   "1+1"
                   "\x85R.",
             "asks for __builtin__.eval"),
        CASE(PROTO "cbuiltins\nexec\n.", "asks for builtins.exec"),
        CASE(FILE_OF(NAME_A "cos\nsystem\nX\2\0\0\0id\x85R"), "asks for os.system"),
        CASE(PROTO DICT DICT NAME_A "ctorch\nload\n)Rsb.", "asks for torch.load"),
        CASE(PROTO "ccollections\nOrderedDict.__class__\n.", "OrderedDict.__class__"),
        CASE(PROTO "ccoll\x1b[1m\nOrderedDict\n.", "asks for coll?[1m.OrderedDict"),
        CASE(PROTO "ctorch.serialization\nFloatStorage\n.", "asks for torch.serialization.FloatStorage"),
        CASE(PROTO "ctorch\nFloatStorage\n)R.", "REDUCE calls FloatStorage, which is no function"),
        CASE(PROTO "K\1)R.", "REDUCE calls a whole number"),
        CASE(PROTO "ccollections\nOrderedDict\nK\1R.", "with a whole number, expected a tuple"),
        CASE(PROTO "ccollections\nOrderedDict\nK\1\x85R.", "OrderedDict is called with arguments"),
        CASE(PROTO "(cos\nsystem\n", "asks for os.system"),
        /* operations that are not needed */
        CASE(PROTO "(X\2\0\0\0idios\nsystem\n.", "uses the operation INST (0x69)"),
        CASE(PROTO ")\x81.", "uses the operation NEWOBJ (0x81)"),
        CASE(PROTO "X\2\0\0\0osX\6\0\0\0system\x93.", "uses the operation STACK_GLOBAL"),
        CASE(PROTO "(o.", "uses the operation OBJ"),
        CASE(PROTO "\x82\1.", "uses the operation EXT1"),
        CASE(PROTO "Pid\n.", "uses the operation PERSID"),
        CASE(PROTO "N.", "uses the operation NONE"),
        CASE(PROTO "\xff.", "without a name (0xff)"),
        /* the machine */
        CASE("\x80\4}.", "declares pickle protocol 4"),
        CASE("}" PROTO ".", "at byte 1, expected 2 at byte 0"),
        CASE("", "ends in the middle of an operation"),
        CASE(PROTO "}", "ends in the middle of an operation"),
        CASE(PROTO "X\377\377\377\377a", "ends in the middle of an operation"),
        CASE(PROTO "J\1\2", "ends in the middle of an operation"),
        CASE(PROTO "\x8a\377"
                   "a",
             "ends in the middle of an operation"),
        CASE(PROTO "\x8a\11"
                   "123456789.",
             "a whole number of 9 bytes"),
        CASE(PROTO "ctorch", "a global name without an end"),
        CASE(PROTO ".", "stops with 0 values"),
        CASE(")" PROTO ".", "at byte 1, expected 2 at byte 0"),
        CASE("(t" PROTO ".", "at byte 2, expected 2 at byte 0"),
        CASE(PROTO "}}.", "stops with 2 values"),
        CASE(PROTO "}(.", "1 open marks"),
        CASE(PROTO "}.}", "1 more bytes"),
        CASE(PROTO "t.", "closes a mark that was never set"),
        CASE(PROTO "}u.", "closes a mark that was never set"),
        CASE(PROTO "}(u\x86.", "takes a value from an empty stack"),
        CASE(PROTO "K\1(K\2\x86.", "takes a value from an empty stack"),
        CASE(PROTO "R.", "takes a value from an empty stack"),
        CASE(PROTO "b.", "takes a value from an empty stack"),
        CASE(PROTO "Q.", "takes a value from an empty stack"),
        CASE(PROTO "s.", "takes a value from an empty stack"),
        CASE(PROTO "q\0.", "takes a value from an empty stack"),
        CASE(PROTO "h\5.", "recalls value number 5"),
        CASE(PROTO "j\377\377\377\377.", "recalls value number 4294967295"),
        CASE(PROTO "}r\377\377\377\177.", "remembers a value as number 2147483647 after"),
        CASE(PROTO "}(K\1u.", "sets 1 keys and values"),
        CASE(PROTO ")(K\1K\2u.", "of a tuple, expected pairs and a dictionary"),
        CASE(PROTO ")}b.", "BUILD sets attributes of a tuple"),
        CASE(PROTO "})b.", "from a tuple, expected two dictionaries"),
        /* storages */
        CASE(PROTO "K\1Q.", "a persistent id is a whole number"),
        CASE(PROTO ")Q.", "a persistent id is a tuple, expected a tuple of 5"),
        CASE(PROTO "(X\7\0\0\0storageK\1X\1\0\0\0"
                   "0X\3\0\0\0cpuK\6tQ.",
             "has a whole number at 1, expected a global name"),
        CASE(PROTO "(X\7\0\0\0storagXctorch\nFloatStorage\nX\1\0\0\0"
                   "0X\3\0\0\0cpuK\6tQ.",
             "stands for \"storagX\""),
        CASE(PROTO "(X\7\0\0\0storageccollections\nOrderedDict\nX\1\0\0\0"
                   "0X\3\0\0\0cpuK\6tQ.",
             "class is collections.OrderedDict"),
        CASE(PROTO "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
                   "0X\3\0\0\0cpuJ\377\377\377\377tQ.",
             "a negative number of elements"),
        CASE(FILE_OF(NAME_A TENSOR(STORAGE("FloatStorage", "1", "\6"), "K\0", ")", ")")),
             "tensor a: its storage data/1 is not in the archive"),
        CASE(FILE_OF(NAME_A TENSOR(STORAGE("FloatStorage", "\0", "\6"), "K\0", ")", ")")),
             "its storage data/? is not in the archive"),
        CASE(FILE_OF(NAME_A TENSOR(STORAGE("HalfStorage", "0", "\6"), "K\0", ")", ")")),
             "has 24 bytes, expected 6 elements of 2"),
        CASE(FILE_OF(NAME_A TENSOR(STORAGE("FloatStorage", "0", "\7"), "K\0", ")", ")")),
             "has 24 bytes, expected 7 elements of 4"),
        /* tensors */
        CASE(FILE_OF(NAME_A REBUILD ")R"), "called with 0 arguments, expected 6 or 7"),
        CASE(FILE_OF(NAME_A TENSOR("K\1", "K\0", ")", ")")),
             "argument 0 is a whole number, expected a storage"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, ")", ")", ")")), "argument 1 is a tuple, expected a whole number"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "K\0", "K\6", ")")), "argument 2 is a whole number"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "K\0", "K\6\x85", ")")), "1 sizes and 0 strides"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t",
                                   "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t")),
             "9 sizes and 9 strides"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "K\0", "J\377\377\377\377\x85", "K\1\x85")),
             "size[0] is not a non-negative whole number"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "K\0", "K\6\x85", "J\377\377\377\377\x85")),
             "stride[0] is not a non-negative whole number"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "J\377\377\377\377", "K\6\x85", "K\1\x85")),
             "offset[0] is not a non-negative whole number"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "K\0", "K\3K\2\x86", "K\1K\3\x86")),
             "tensor a: its elements do not lie row after row (strides [1, 3])"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "K\0", "K\6\x85", "K\0\x85")), "do not lie row after row"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "K\1", "K\6\x85", "K\1\x85")),
             "6 elements from 1 on lie outside its storage data/0 of 6"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "\x8a\10\377\377\377\377\377\377\377\177", "K\6\x85", "K\1\x85")),
             "lie outside its storage"),
        CASE(FILE_OF(NAME_A TENSOR(FLOATS, "K\0", "\x8a\5\0\0\0\0\1\x8a\5\0\0\0\0\1\x86",
                                   "\x8a\5\0\0\0\0\1K\1\x86")),
             "its shape is too large"),
        CASE(FILE_OF(NAME_A "ctorch._utils\n_rebuild_parameter\n)R"),
             "_rebuild_parameter is called with nothing"),
        CASE(FILE_OF(NAME_A "ctorch._utils\n_rebuild_parameter\n}\x88}\x87R"), "called with a dictionary"),
        /* the table */
        CASE(PROTO ").", "holds a tuple, expected a dictionary of tensors"),
        CASE(PROTO GOOD ".", "holds a tensor, expected a dictionary"),
        CASE(FILE_OF(NAME_A "}"), "tensor a: is a dictionary, expected a tensor"),
        CASE(FILE_OF(NAME_A FLOATS), "is a storage, expected a tensor"),
        CASE(FILE_OF(GOOD GOOD), "name is a tensor, expected 1 to 1024 bytes"),
        CASE(FILE_OF("X\0\0\0\0" GOOD), "name is empty, too long or broken"),
        CASE(FILE_OF("X\2\0\0\0a\0" GOOD), "name is empty, too long or broken"),
        CASE(FILE_OF(NAME_A GOOD NAME_B GOOD NAME_A GOOD), "names tensor a twice"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buffer zip = make_torch_zip(cases[i].pickle, cases[i].bytes);
        expect_refused(zip.data, zip.size, cases[i].words);
        buffer_free(&zip);
    }
}

/* A dictionary in itself and very deep tuples: nothing follows them. */
static void test_circles_and_depth_do_no_harm(void **unused) {
    (void)unused;
    static const char circle[] = PROTO "}q\0X\1\0\0\0ah\0s.";
    Buffer zip = make_torch_zip(circle, sizeof circle - 1), deep = {0}, marks = {0};
    expect_refused(zip.data, zip.size, "is a dictionary, expected a tensor");
    buffer_free(&zip);
    buffer_append_text(&deep, PROTO ")");
    for (int i = 0; i < 300000; i++)
        buffer_append_char(&deep, (char)0x85);
    buffer_append_char(&deep, '.');
    zip = make_torch_zip(deep.data, deep.size);
    expect_refused(zip.data, zip.size, "holds a tuple");
    buffer_free(&zip);
    for (int i = 0; i < (1 << 20) + 1; i++)
        buffer_append_char(&marks, '(');
    zip = make_torch_zip(marks.data, marks.size);
    expect_refused(zip.data, zip.size, "more than 1048576 open marks");
    buffer_free(&zip);
    memset(marks.data, '}', marks.size);
    zip = make_torch_zip(marks.data, marks.size);
    expect_refused(zip.data, zip.size, "more than 1048576 values on its stack");
    buffer_free(&zip);
    buffer_free(&deep);
    buffer_free(&marks);
}

/* ---- archives that are wrong in one field. Places are counted from the file's parts. */

enum { LOCAL, CENTRAL, END, LOCAL_NAME };
static void test_broken_archives_are_refused(void **unused) {
    (void)unused;
    static const struct {
        int part;
        size_t at;
        int bytes;
        uint64_t value;
        const char *words;
    } cases[] = {
        {LOCAL, 0, 4, 0, "no local header at byte 0"},
        {LOCAL, 6, 2, 1, "other flags"},
        {LOCAL, 8, 2, 8, "another method"},
        {LOCAL, 14, 4, 1, "another checksum"},
        {LOCAL, 18, 4, 1, "its local header says"},
        {LOCAL, 22, 4, 1, "its local header says 1 bytes"},
        {LOCAL, 26, 2, 1, "another name"},
        {LOCAL, 26, 2, 0xffff, "another name"},
        {LOCAL, 28, 2, 0xffff, "reach beyond the directory"},
        {LOCAL_NAME, 0, 1, 'n', "another name"},
        {CENTRAL, 0, 4, 0, "cut short or broken"},
        {CENTRAL, 8, 2, 0x0801, "encrypted or patched (flags 0x0801)"},
        {CENTRAL, 8, 2, 0x0808, "other flags"},
        {CENTRAL, 10, 2, 8, "is compressed (method 8, deflate), expected stored bytes"},
        {CENTRAL, 10, 2, 14, "is compressed (method 14)"},
        {CENTRAL, 16, 4, 1, "another checksum"},
        {CENTRAL, 20, 4, 1, "stores 1 bytes of"},
        {CENTRAL, 24, 4, 1, "bytes of 1"},
        {CENTRAL, 24, 4, 0xffffffff, "its extra field is broken"},
        {CENTRAL, 28, 2, 0, "0 bytes long, expected 1 to 1024"},
        {CENTRAL, 28, 2, 0xffff, "reaches beyond its end"},
        {CENTRAL, 30, 2, 0xffff, "reaches beyond its end"},
        {CENTRAL, 30, 2, 3, "extra field is broken"},
        {CENTRAL, 32, 2, 1, "cut short or broken"},
        {CENTRAL, 34, 2, 1, "split zip archive"},
        {CENTRAL, 42, 4, 3, "no local header at byte 3"},
        {CENTRAL, 42, 4, 0xfffffffe, "no local header at byte 4294967294"},
        {CENTRAL, 46, 3, 0x2f2e2e, "\"../ata.pkl\" is not inside"},
        {CENTRAL, 46, 1, '/', "is not inside the archive's folder"},
        {CENTRAL, 46, 1, 7, "the control character 0x07"},
        {CENTRAL, 46, 1, 0, "the control character 0x00"},
        {CENTRAL, 46, 1, 'n', "another name"},
        {END, 0, 4, 0, "no end record"},
        {END, 4, 2, 1, "split zip archive"},
        {END, 6, 2, 1, "split zip archive"},
        {END, 8, 2, 3, "split zip archive"},
        {END, 8, 4, 0x00030003, "more than its 3 entries"},
        {END, 8, 4, 0x00050005, "claims 5 members in 222 bytes"},
        {END, 8, 4, 0xffffffff, "claims 65535 members"},
        {END, 8, 4, 0, "more than its 0 entries"},
        {END, 12, 4, 1, "must end where the end record begins"},
        {END, 12, 4, 0xffffffff, "must end where the end record begins"},
        {END, 16, 4, 0, "must end where the end record begins"},
        {END, 16, 4, 0xfffffffe, "must end where the end record begins"},
        {END, 20, 2, 1, "no end record"},
    };
    Buffer good = make_torch_zip(good_pickle, sizeof good_pickle - 1);
    assert_int_equal(parse_and_check(good.data, good.size), 0);
    size_t end = good.size - 22, central = 0;
    for (int i = 0; i < 4; i++)
        central |= (size_t)(unsigned char)good.data[end + 16 + (size_t)i] << (8 * i);
    const size_t begins[] = {[LOCAL] = 0, [CENTRAL] = central, [END] = end, [LOCAL_NAME] = 30};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buffer zip = {0};
        buffer_append(&zip, good.data, good.size);
        for (int k = 0; k < cases[i].bytes; k++)
            zip.data[begins[cases[i].part] + cases[i].at + (size_t)k] = (char)(cases[i].value >> (8 * k));
        expect_refused(zip.data, zip.size, cases[i].words);
        buffer_free(&zip);
    }
    buffer_free(&good);
}

static void test_archives_with_wrong_members_are_refused(void **unused) {
    (void)unused;
    static const Part pickle = {"m/data.pkl", good_pickle, sizeof good_pickle - 1},
                      other = {"n/data.pkl", good_pickle, sizeof good_pickle - 1},
                      deeper = {"m/n/data.pkl", good_pickle, sizeof good_pickle - 1},
                      storage = {"m/data/0", storage_bytes, 24}, big = {"m/byteorder", "big", 3},
                      foreign = {"n/data/0", storage_bytes, 24};
    const struct {
        Part parts[3];
        size_t n;
        const char *words;
    } cases[] = {
        {{storage}, 1, "without a data.pkl"},
        {{deeper, storage}, 2, "without a data.pkl"},
        {{pickle, other, storage}, 3, "two tables of tensors"},
        {{pickle}, 1, "storage data/0 is not in the archive"},
        {{pickle, foreign}, 2, "storage data/0 is not in the archive"},
        {{pickle, storage, big}, 3, "its byte order is \"big\""},
        {{pickle, storage, storage}, 3, "member m/data/0 is there twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buffer zip = make_zip(cases[i].parts, cases[i].n);
        expect_refused(zip.data, zip.size, cases[i].words);
        buffer_free(&zip);
    }
    Buffer zip = make_zip(NULL, 0);
    expect_refused(zip.data, zip.size, "without a data.pkl");
    buffer_free(&zip);
    zip = make_torch_zip(good_pickle, sizeof good_pickle - 1);
    zip.data[30 + strlen("m/data.pkl") + 4] ^= 1; /* in the pickle, whose checksum now differs */
    expect_refused(zip.data, zip.size, "member m/data.pkl has checksum");
    buffer_free(&zip);
    expect_refused("\x80\2\x8a\nl\xfc\x9c"
                   "F",
                   8, "format PyTorch had before version 1.6");
    expect_refused("", 0, "no end record");
}

/* Two entries of the directory point at one local header. */
static void test_overlapping_members_are_refused(void **unused) {
    (void)unused;
    const Part parts[] = {{"m/data/0", storage_bytes, 24}, {"m/data/0", storage_bytes, 24}};
    Buffer zip = make_zip(parts, 2);
    size_t second = zip.size - 22 - (46 + strlen(parts[1].name));
    memset(zip.data + second + 42, 0, 4);
    expect_refused(zip.data, zip.size, "overlap");
    buffer_free(&zip);
}

static void test_bin_cut_at_any_byte_is_refused(void **unused) {
    (void)unused;
    Buffer zip = make_torch_zip(good_pickle, sizeof good_pickle - 1), torch = {0};
    for (size_t n = 0; n < zip.size; n++)
        assert_int_equal(parse_and_check(zip.data, n), -1);
    buffer_free(&zip);
    for (size_t n = 0; n + 1 < sizeof good_pickle; n++) {
        zip = make_torch_zip(good_pickle, n);
        assert_int_equal(parse_and_check(zip.data, zip.size), -1);
        buffer_free(&zip);
    }
    assert_int_equal(
        file_read(&torch, "tests/fixtures/checkpoints/llama_tiny_f16_bin/pytorch_model.bin", 1 << 20, NULL),
        0);
    for (size_t n = torch.size > 3000 ? torch.size - 3000 : 0; n < torch.size; n++)
        assert_int_equal(parse_and_check(torch.data, n), -1);
    buffer_free(&torch);
}

static void test_flipped_bytes_do_no_harm(void **unused) {
    (void)unused;
    Random random;
    random_seed(&random, 20);
    size_t accepted = 0;
    for (int i = 0; i < 6000; i++) {
        char pickle[sizeof good_pickle];
        memcpy(pickle, good_pickle, sizeof pickle);
        if (i % 2) /* with the right checksum, so that the machine sees it */
            for (size_t k = 1 + random_below(&random, 3); k > 0; k--)
                pickle[random_below(&random, sizeof pickle - 1)] = (char)random_below(&random, 256);
        Buffer zip = make_torch_zip(pickle, sizeof pickle - 1);
        if (i % 2 == 0)
            for (size_t k = 1 + random_below(&random, 3); k > 0; k--)
                zip.data[random_below(&random, zip.size)] = (char)random_below(&random, 256);
        accepted += parse_and_check(zip.data, zip.size) == 0;
        buffer_free(&zip);
    }
    assert_true(accepted > 0 && accepted < 3000);
}

/* ---- folders */

static char *make_folder(void) {
    const char *root = getenv("TMPDIR");
    char *folder = path_join(root ? root : "/tmp", "zeval-bin-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static void put_file(const char *folder, const char *name, const void *data, size_t bytes) {
    char *path = path_join(folder, name);
    Error error = {0};
    if (file_write_atomic(path, data, bytes, &error))
        fail_msg("%s", error.message);
    free(path);
}

static void remove_folder(char *folder) {
    static const char *const names[] = {"model.safetensors", "pytorch_model.bin", "a.bin",
                                        "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        free(path);
    }
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

static void test_safetensors_come_before_bin(void **unused) {
    (void)unused;
    static const char safetensors[] =
        "\x38\0\0\0\0\0\0\0{\"s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}    abcd";
    char *folder = make_folder();
    Buffer zip = make_torch_zip(good_pickle, sizeof good_pickle - 1);
    Checkpoint checkpoint;
    Error error = {0};
    put_file(folder, "pytorch_model.bin", zip.data, zip.size);
    assert_int_equal(checkpoint_open(&checkpoint, folder, &error), 0);
    assert_non_null(checkpoint_find(&checkpoint, "a"));
    checkpoint_close(&checkpoint);
    put_file(folder, "model.safetensors", safetensors, sizeof safetensors - 1);
    if (checkpoint_open(&checkpoint, folder, &error))
        fail_msg("%s", error.message);
    assert_non_null(checkpoint_find(&checkpoint, "s"));
    assert_null(checkpoint_find(&checkpoint, "a"));
    checkpoint_close(&checkpoint);
    remove_folder(folder);
    buffer_free(&zip);
}

static void test_broken_bin_shards_are_refused(void **unused) {
    (void)unused;
    static const struct {
        const char *index, *words;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"../a.bin\"}}", "not inside the checkpoint's folder"},
        {"{\"weight_map\":{\"a\":\"/tmp/a.bin\"}}", "not inside the checkpoint's folder"},
        {"{\"weight_map\":{\"a\":\"x/../../a.bin\"}}", "not inside the checkpoint's folder"},
        {"{\"weight_map\":{\"a\":\"\"}}", "not inside the checkpoint's folder"},
        {"{\"weight_map\":{\"a\":[]}}", "expected a file name"},
        {"{\"weight_map\":{\"a\":\"b.bin\"}}", "b.bin, which is missing"},
        {"{\"weight_map\":{\"a\":\"a.bin\",\"b\":\"a.bin\"}}", "says tensor b is in a.bin"},
        {"{\"weight_map\":{\"a\":\"pytorch_model.bin.index.json\"}}", "no end record of a zip archive"},
        {"{\"weight_map\":{\"a\":\"a.bin\"}", "JSON"},
    };
    char *folder = make_folder();
    Buffer zip = make_torch_zip(good_pickle, sizeof good_pickle - 1);
    put_file(folder, "a.bin", zip.data, zip.size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Checkpoint checkpoint;
        Error error = {0};
        put_file(folder, "pytorch_model.bin.index.json", cases[i].index, strlen(cases[i].index));
        assert_int_equal(checkpoint_open(&checkpoint, folder, &error), -1);
        if (!strstr(error.message, cases[i].words))
            fail_msg("the message is \"%s\", expected \"%s\" in it", error.message, cases[i].words);
    }
    remove_folder(folder);
    buffer_free(&zip);
}

int run_checkpoint_bin_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bin_gives_the_bits_of_safetensors),
        cmocka_unit_test(test_torch_tensors_lie_in_their_storages),
        cmocka_unit_test(test_broken_pickles_are_refused),
        cmocka_unit_test(test_circles_and_depth_do_no_harm),
        cmocka_unit_test(test_broken_archives_are_refused),
        cmocka_unit_test(test_archives_with_wrong_members_are_refused),
        cmocka_unit_test(test_overlapping_members_are_refused),
        cmocka_unit_test(test_bin_cut_at_any_byte_is_refused),
        cmocka_unit_test(test_flipped_bytes_do_no_harm),
        cmocka_unit_test(test_safetensors_come_before_bin),
        cmocka_unit_test(test_broken_bin_shards_are_refused),
    };
    return cmocka_run_group_tests_name("checkpoint_bin", tests, NULL, NULL);
}
