/* zeval tokenize */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "runner/runner.h"

static int tokenize_line(const Tokenizer *tokenizer, const char *line, size_t bytes, const char *where,
                         SpecialPolicy policy, TokenIds *ids, Error *error) {
    cJSON *json;
    const char *text;
    if (json_parse(&json, line, bytes, where, error))
        return -1;
    ids->n = 0;
    int result = cJSON_IsObject(json)
                     ? json_get_string(json, "text", &text, where, error)
                     : error_set(error, "%s: found %s, expected an object with the field \"text\"", where,
                                 json_type_name(json));
    if (result == 0 && tokenizer_encode(tokenizer, text, strlen(text), policy, ids, error))
        result = error_prefix(error, "%s", where);
    cJSON_Delete(json);
    return result;
}

static void print_ids(const TokenIds *ids, Buffer *line) {
    buffer_clear(line);
    buffer_append_text(line, "{\"ids\": [");
    for (size_t i = 0; i < ids->n; i++)
        buffer_printf(line, "%s%d", i ? ", " : "", ids->ids[i]);
    buffer_append_text(line, "]}\n");
    fwrite(line->data, 1, line->size, stdout);
}

static int tokenize(const Tokenizer *tokenizer, const char *input, SpecialPolicy policy, Error *error) {
    LineReader *reader;
    if (input ? line_reader_open(&reader, input, error) : line_reader_open_stdin(&reader, error))
        return -1;
    TokenIds ids = {0};
    Buffer out = {0}, where = {0};
    const char *line;
    size_t bytes;
    int got, result = 0;
    while (result == 0 && (got = line_reader_next(reader, &line, &bytes, error)) != 0) {
        buffer_clear(&where);
        buffer_printf(&where, "%s:%zu", input ? input : "standard input", line_reader_number(reader));
        result = got < 0 ? -1 : tokenize_line(tokenizer, line, bytes, where.data, policy, &ids, error);
        if (result == 0)
            print_ids(&ids, &out);
    }
    token_ids_free(&ids);
    buffer_free(&out);
    buffer_free(&where);
    line_reader_close(reader);
    return result;
}

int command_tokenize(int argc, char **argv, Error *error) {
    const char *path = NULL, *input = NULL;
    bool special = false;
    const Option options[] = {
        {"tokenizer", "PATH", OPTION_TEXT, &path, 0, 0, true,
         "a tokenizer.json (plain or gzip) or a folder with one"},
        {"input", "FILE", OPTION_TEXT, &input, 0, 0, false, "JSON Lines to read (default: standard input)"},
        {"special", NULL, OPTION_FLAG, &special, 0, 0, false,
         "add the special tokens that the tokenizer puts around a text (BOS, EOS)"},
        {0}};
    const Usage usage = {
        .command = "tokenize",
        .synopsis = "--tokenizer PATH [--special]",
        .about = "Reads JSON Lines of {\"text\": ...} and prints {\"ids\": [...]} for each, in order.\n"
                 "Special-token strings in a text are parsed as such.",
        .examples = "  echo '{\"text\": \"Hello world\"}' | zeval tokenize --tokenizer ./Llama-3.2-1B",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    Tokenizer *tokenizer;
    if (tokenizer_open(&tokenizer, path, error))
        return -1;
    int result = tokenize(tokenizer, input, special ? SPECIAL_ADD : SPECIAL_NONE, error);
    tokenizer_close(tokenizer);
    return result;
}
