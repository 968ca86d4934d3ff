/* zeval logits */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "runner/runner.h"
#include "zoo/zoo.h"

static int parse_ids(const OptionList *list, int64_t vocab_size, TokenIds *ids, Error *error) {
    for (size_t i = 0; i < list->n; i++) {
        int64_t id;
        if (!text_to_int(list->items[i], &id) || id < 0 || id >= vocab_size)
            return error_set_kind(error, ERROR_USAGE,
                                  "--ids: found \"%s\", expected a token id from 0 to %lld", list->items[i],
                                  (long long)vocab_size - 1);
        token_ids_append(ids, (int32_t)id);
    }
    return 0;
}

/* NumPy's format, version 1.0: magic, header length, a dict padded with spaces to a multiple of 64, the data.
 */
static int write_npy(const char *path, const float *data, size_t rows, size_t columns, Error *error) {
    char shape[96], padded[192];
    int length = snprintf(shape, sizeof shape,
                          "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, columns);
    int header = (10 + length + 1 + 63) / 64 * 64 - 10;
    snprintf(padded, sizeof padded, "%-*s\n", header - 1, shape);
    Buffer file = {0};
    buffer_append(&file, "\x93NUMPY\x01\x00", 8);
    buffer_append_char(&file, (char)(header & 0xFF));
    buffer_append_char(&file, (char)(header >> 8));
    buffer_append(&file, padded, (size_t)header);
    buffer_append(&file, data, rows * columns * sizeof *data);
    int result = file_write_atomic(path, file.data, file.size, error);
    buffer_free(&file);
    return result;
}

static int compute(Engine *engine, const OptionList *list, const char *output, Error *error) {
    size_t vocab_size = (size_t)engine_info(engine)->vocab_size;
    TokenIds ids = {0};
    void *logits = NULL;
    int result = parse_ids(list, (int64_t)vocab_size, &ids, error);
    if (result == 0)
        result = mem_try_alloc(&logits, ids.n, vocab_size * sizeof(float), "logits", error);
    Segment segment = {.tokens = ids.ids, .n_tokens = ids.n, .logits = logits};
    if (result == 0)
        result = engine_score(engine, &segment, 1, error);
    if (result == 0)
        result = write_npy(output, logits, ids.n, vocab_size, error);
    free(logits);
    token_ids_free(&ids);
    return result;
}

static int logits(const char *model, const char *dtype, const char *isa, int64_t threads,
                  const OptionList *ids, const char *output, Error *error) {
    EngineOptions options = {.n_threads = (int)threads, .instruction_set = isa};
    char *folder;
    Engine *engine = NULL;
    if (dtype_parse(dtype, &options.dtype, error) || zoo_resolve(model, &folder, error))
        return -1;
    options.model_folder = folder;
    int result = engine_open(&engine, &options, error);
    if (result == 0)
        result = compute(engine, ids, output, error);
    engine_close(engine);
    free(folder);
    return result;
}

int command_logits(int argc, char **argv, Error *error) {
    const char *model = NULL, *dtype = "float32", *isa = NULL, *output = NULL;
    OptionList ids = {0};
    int64_t threads = 0;
    const Option options[] = {
        {"model", "NAME", OPTION_TEXT, &model, 0, 0, true, "checkpoint folder, or \"demo\""},
        {"ids", "LIST", OPTION_LIST, &ids, 0, 0, true,
         "token ids, separated by commas; nothing is added to them"},
        {"output", "F.npy", OPTION_TEXT, &output, 0, 0, true,
         "NumPy file to write: float32 [number of ids, vocab_size]"},
        {"dtype", "NAME", OPTION_TEXT, &dtype, 0, 0, false, "type of the arithmetic (default float32)"},
        {"isa", "NAME", OPTION_TEXT, &isa, 0, 0, false,
         "instruction set: avx512_bf16, avx512, avx2 or portable (default: $ZEVAL_ISA, or the best)"},
        {"threads", "N", OPTION_INT, &threads, 1, 1024, false, "threads (default: one per processor)"},
        {0}};
    const Usage usage = {
        .command = "logits",
        .synopsis = "--model NAME --ids LIST --output F.npy",
        .about = "Writes the logits of every position, for comparing with other implementations.",
        .examples = "  zeval logits --model ./Llama-3.2-1B --ids 128000,9906,1917 --output logits.npy",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    int result = parsed ? parsed : logits(model, dtype, isa, threads, &ids, output, error);
    option_list_free(&ids);
    return result < 0 ? -1 : 0;
}
