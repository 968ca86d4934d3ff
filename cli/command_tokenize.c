/* zeval tokenize */
#include <stdio.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "runner/runner.h"

static int process(const Tokenizer *tokenizer, const char *input, BulkOptions *bulk, Error *error) {
    LineReader *reader;
    if (input ? line_reader_open(&reader, input, error) : line_reader_open_stdin(&reader, error))
        return -1;
    bulk->name = input ? input : "standard input";
    int result = tokenizer_process_lines(tokenizer, reader, bulk, stdout, error);
    line_reader_close(reader);
    return result;
}

int command_tokenize(int argc, char **argv, Error *error) {
    const char *path = NULL, *input = NULL;
    bool special = false, as_text = false, offsets = false, decode = false, skip_special = false;
    int64_t n_threads = 0;
    const Option options[] = {
        {"tokenizer", "PATH", OPTION_TEXT, &path, 0, 0, true,
         "a tokenizer.json (plain or gzip) or a folder with one"},
        {"input", "FILE", OPTION_TEXT, &input, 0, 0, false, "JSON Lines to read (default: standard input)"},
        {"special", NULL, OPTION_FLAG, &special, 0, 0, false,
         "add the special tokens that the tokenizer puts around a text (BOS, EOS)"},
        {"special-as-text", NULL, OPTION_FLAG, &as_text, 0, 0, false,
         "take special-token strings in a text as text like any other"},
        {"offsets", NULL, OPTION_FLAG, &offsets, 0, 0, false,
         "also print which bytes of the text each token stands for"},
        {"decode", NULL, OPTION_FLAG, &decode, 0, 0, false,
         "the way back: read {\"ids\": [...]}, print {\"text\": ...}"},
        {"skip-special", NULL, OPTION_FLAG, &skip_special, 0, 0, false,
         "with --decode: leave special tokens out of the text"},
        {"threads", "N", OPTION_INT, &n_threads, 0, 1024, false, "threads (default: one per processor)"},
        {0}};
    const Usage usage = {
        .command = "tokenize",
        .synopsis = "--tokenizer PATH [--special] [--decode]",
        .about = "Reads JSON Lines of {\"text\": ...} and prints {\"ids\": [...]} for each, in order.\n"
                 "Special-token strings in a text are parsed as such, unless --special-as-text is given.",
        .examples = "  echo '{\"text\": \"Hello world\"}' | zeval tokenize --tokenizer ./Llama-3.2-1B\n"
                    "  echo '{\"ids\": [9906, 1917]}' | zeval tokenize --tokenizer ./Llama-3.2-1B --decode",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    if (skip_special && !decode)
        return error_set_kind(error, ERROR_USAGE, "--skip-special is for --decode");
    BulkOptions bulk = {.policy = (special ? SPECIAL_ADD : 0) | (as_text ? SPECIAL_AS_TEXT : 0),
                        .offsets = offsets,
                        .decode = decode,
                        .skip_special = skip_special,
                        .n_threads = (int)n_threads};
    Tokenizer *tokenizer;
    if (tokenizer_open(&tokenizer, path, error))
        return -1;
    int result = process(tokenizer, input, &bulk, error);
    tokenizer_close(tokenizer);
    return result;
}
