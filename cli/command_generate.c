/* zeval generate */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "runner/generate.h"
#include "runner/stop_text.h"
#include "zoo/zoo.h"

typedef struct GenerateArguments {
    const char *model, *prompt, *dtype, *isa;
    int64_t max_new_tokens, top_k, seed, threads;
    double temperature, top_p;
    OptionList stop;
    bool json, copy_weights;
} GenerateArguments;

/* What the callback prints to. */
typedef struct Output {
    const Tokenizer *tokenizer;
    TokenStream stream;
    TokenIds ids;
    StopText stop;
    size_t printed; /* bytes of the text */
    bool live;      /* print as it comes */
    const volatile sig_atomic_t *interrupted;
} Output;

/* Prints what no stop string can take back. */
static void print_safe(Output *output) {
    if (output->live && output->stop.safe > output->printed) {
        fwrite(output->stop.text.data + output->printed, 1, output->stop.safe - output->printed, stdout);
        fflush(stdout);
        output->printed = output->stop.safe;
    }
}

static int on_token(void *context, int32_t token, Error *error) {
    Output *output = context;
    token_ids_append(&output->ids, token);
    if (token_stream_push(&output->stream, output->tokenizer, token, &output->stop.text, error))
        return -1;
    stop_text_update(&output->stop);
    print_safe(output);
    return output->stop.stopped || *output->interrupted ? 1 : 0;
}

/* The characters that were still incomplete, and what might have become a stop string. */
static int finish_text(Output *output, Error *error) {
    if (!output->stop.stopped) {
        if (token_stream_finish(&output->stream, output->tokenizer, &output->stop.text, error))
            return -1;
        stop_text_update(&output->stop);
    }
    stop_text_finish(&output->stop);
    print_safe(output);
    return 0;
}

static void print_id_list(const char *name, const TokenIds *ids, Buffer *json) {
    buffer_printf(json, "\"%s\": [", name);
    for (size_t i = 0; i < ids->n; i++)
        buffer_printf(json, "%s%d", i ? ", " : "", ids->ids[i]);
    buffer_append_char(json, ']');
}

static void print_json(const TokenIds *prompt, const Output *output) {
    Buffer json = {0};
    buffer_append_char(&json, '{');
    print_id_list("prompt_ids", prompt, &json);
    buffer_append_text(&json, ", ");
    print_id_list("ids", &output->ids, &json);
    buffer_append_text(&json, ", \"text\": ");
    text_append_json(&json, output->stop.text.data ? output->stop.text.data : "", output->stop.text.size);
    buffer_append_text(&json, "}\n");
    fwrite(json.data, 1, json.size, stdout);
    buffer_free(&json);
}

static int continue_prompt(const GenerateArguments *arguments, const Tokenizer *tokenizer, Engine *engine,
                           Error *error) {
    TokenIds prompt = {0};
    Output output = {.tokenizer = tokenizer,
                     .stop = {.stops = arguments->stop.items, .n_stops = arguments->stop.n},
                     .live = !arguments->json,
                     .interrupted = interrupts_catch()};
    int32_t eos[2] = {tokenizer_eos_id(tokenizer), engine_info(engine)->eos_token_id};
    int result = tokenizer_encode(tokenizer, arguments->prompt, strlen(arguments->prompt), SPECIAL_ADD,
                                  &prompt, error);
    if (result == 0 && prompt.n == 0)
        result =
            error_set_kind(error, ERROR_USAGE, "--prompt: it has no tokens, and this tokenizer adds no BOS");
    GenerateOptions options = {.prompt = prompt.ids,
                               .n_prompt = prompt.n,
                               .max_new_tokens = (size_t)arguments->max_new_tokens,
                               .temperature = arguments->temperature,
                               .top_k = arguments->top_k,
                               .top_p = arguments->top_p,
                               .seed = (uint64_t)arguments->seed,
                               .stop_ids = eos,
                               .n_stop_ids = 2};
    if (result == 0)
        result = engine_generate(engine, &options, on_token, &output, error);
    if (result == 0)
        result = finish_text(&output, error);
    if (result == 0 && arguments->json)
        print_json(&prompt, &output);
    else if (result == 0)
        putchar('\n');
    token_stream_free(&output.stream);
    token_ids_free(&output.ids);
    buffer_free(&output.stop.text);
    token_ids_free(&prompt);
    return result;
}

static int generate(const GenerateArguments *arguments, Error *error) {
    EngineOptions options = {.n_threads = (int)arguments->threads,
                             .instruction_set = arguments->isa,
                             .copy_weights = arguments->copy_weights};
    Tokenizer *tokenizer = NULL;
    Engine *engine = NULL;
    char *folder;
    if (dtype_parse(arguments->dtype, &options.dtype, error) || zoo_resolve(arguments->model, &folder, error))
        return -1;
    options.model_folder = folder;
    int result = tokenizer_open(&tokenizer, folder, error);
    if (result == 0)
        result = engine_open(&engine, &options, error);
    if (result == 0)
        result = continue_prompt(arguments, tokenizer, engine, error);
    engine_close(engine);
    tokenizer_close(tokenizer);
    free(folder);
    return result;
}

int command_generate(int argc, char **argv, Error *error) {
    GenerateArguments a = {.prompt = "", .dtype = "float32", .max_new_tokens = 128, .top_p = 1};
    const Option options[] = {
        {"model", "NAME", OPTION_TEXT, &a.model, 0, 0, true, "checkpoint folder, or \"demo\""},
        {"prompt", "TEXT", OPTION_TEXT, &a.prompt, 0, 0, false,
         "text to continue (default: empty, BOS alone)"},
        {"max-new-tokens", "N", OPTION_INT, &a.max_new_tokens, 1, 1e9, false,
         "most tokens to make (default 128)"},
        {"temperature", "T", OPTION_NUMBER, &a.temperature, 0, 100, false,
         "0 (default): the most likely token each time; above, draw"},
        {"top-k", "K", OPTION_INT, &a.top_k, 0, 1e9, false,
         "draw among the K most likely tokens (default 0: all)"},
        {"top-p", "P", OPTION_NUMBER, &a.top_p, 1e-9, 1, false,
         "draw among the likeliest tokens that make up P (default 1: all)"},
        {"stop", "TEXT", OPTION_TEXTS, &a.stop, 0, 0, false,
         "end before this text; may be given more than once"},
        {"seed", "N", OPTION_INT, &a.seed, 0, 9e15, false, "seed of the draws (default 0)"},
        {"dtype", "NAME", OPTION_TEXT, &a.dtype, 0, 0, false, "type of the arithmetic (default float32)"},
        {"isa", "NAME", OPTION_TEXT, &a.isa, 0, 0, false,
         "instruction set: avx512_bf16, avx512, avx2 or portable (default: $ZEVAL_ISA, or the best)"},
        {"threads", "N", OPTION_INT, &a.threads, 1, 1024, false, "threads (default: one per processor)"},
        {"copy-weights", NULL, OPTION_FLAG, &a.copy_weights, 0, 0, false,
         "read the weights into memory in large pages instead of mapping their\nfiles: starts later, then "
         "goes "
         "faster"},
        {"json", NULL, OPTION_FLAG, &a.json, 0, 0, false,
         "print {\"prompt_ids\", \"ids\", \"text\"} at the end"},
        {0}};
    const Usage usage = {
        .command = "generate",
        .synopsis = "--model NAME --prompt TEXT [options]",
        .about =
            "Continues a prompt, printing the text as it comes: whole characters, and nothing that a --stop\n"
            "text may yet take back. Ends at EOS, before a --stop text, after --max-new-tokens, or with\n"
            "Ctrl-C, which keeps what there is.\n"
            "\n"
            "Without --temperature each token is the most likely one. With it, tokens are drawn in\n"
            "proportion to exp(logit / T): below 1 bolder choices become rarer, above 1 more frequent.\n"
            "--top-k and then --top-p first drop the unlikely ones. The same --seed draws the same text.\n"
            "The prompt is taken as it is; a chat model's template is not applied to it.",
        .examples = "  zeval generate --model demo --prompt \"Anna put the\"\n"
                    "  zeval generate --model ./m --prompt \"Once\" --temperature 0.8 --top-p 0.95 --seed 7\n"
                    "  zeval generate --model ./m --prompt \"Q: 2+2?\\nA:\" --stop \"Q:\" --json | jq .text",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    int result = parsed < 0 ? -1 : 0;
    if (parsed == 0)
        result = generate(&a, error);
    option_list_free(&a.stop);
    return result;
}
