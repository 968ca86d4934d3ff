/* zeval show */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/registry_lines.h"
#include "runner/runner.h"
#include "zoo/zoo.h"

enum { STRIP_WIDTH = 60, RULER_STEP = 10, TYPICAL_TOKENS = 2048 };

/* One letter per mixer; a kind without a row shows as the first letter of its name. */
static const struct {
    const char *mixer;
    char letter;
} letters[] = {{"attention", 'A'}, {"mla", 'L'}, {"mamba2", 'M'}, {"mamba1", 'S'}, {"llamba", 'D'}};

static char mixer_letter(const char *name) {
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (strcmp(letters[i].mixer, name) == 0)
            return letters[i].letter;
    return (char)(name[0] >= 'a' && name[0] <= 'z' ? name[0] - 'a' + 'A' : name[0]);
}

/* "LMML", first layer first. */
static char *layer_pattern(const ModelInfo *info) {
    Buffer pattern = {0};
    for (int64_t i = 0; i < info->n_layers; i++)
        buffer_append_char(&pattern, mixer_letter(mixer_name(info->mixers[i])));
    return buffer_take(&pattern);
}

/* "2 mla (L), 2 mamba2 (M)", in the order of first use. */
static void append_legend(Buffer *out, const ModelInfo *info) {
    for (int64_t i = 0; i < info->n_layers; i++) {
        int64_t before = 0, n = 0;
        for (int64_t k = 0; k < info->n_layers; k++) {
            before += k < i && info->mixers[k] == info->mixers[i];
            n += info->mixers[k] == info->mixers[i];
        }
        const char *name = mixer_name(info->mixers[i]);
        if (before == 0)
            buffer_printf(out, "%s%" PRId64 " %s (%c)", i ? ", " : "", n, name, mixer_letter(name));
    }
}

/* 1300000 as "1.3 M". */
static void append_rounded(Buffer *out, double n, double unit, const char *const *names, size_t n_names) {
    size_t i = 0;
    while (i + 1 < n_names && n >= unit) {
        n /= unit;
        i++;
    }
    buffer_printf(out, n < 100 && i ? "%.3g %s" : "%.0f %s", n, names[i]);
}

static void append_bytes(Buffer *out, size_t bytes) {
    static const char *const names[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    append_rounded(out, (double)bytes, 1024, names, 5);
}

static void append_field(Buffer *out, const char *name) {
    buffer_printf(out, "%-13s ", name);
}

/* The numbers of every tenth layer, each above its letter. */
static void append_ruler(Buffer *out, size_t from, size_t end) {
    append_field(out, "");
    size_t at = from;
    for (size_t tick = (from + RULER_STEP - 1) / RULER_STEP * RULER_STEP; tick < end; tick += RULER_STEP) {
        char number[24];
        at += (size_t)snprintf(number, sizeof number, "%*s%zu", (int)(tick - at), "", tick);
        buffer_append_text(out, number);
    }
    buffer_append_char(out, '\n');
}

static void append_layers(Buffer *out, const ModelInfo *info) {
    char *pattern = layer_pattern(info);
    size_t size = strlen(pattern);
    append_field(out, "layers");
    append_legend(out, info);
    buffer_append_char(out, '\n');
    for (size_t at = 0; at < size; at += STRIP_WIDTH) {
        if (size > RULER_STEP)
            append_ruler(out, at, at + STRIP_WIDTH < size ? at + STRIP_WIDTH : size);
        append_field(out, "");
        buffer_printf(out, "%.*s\n", STRIP_WIDTH, pattern + at);
    }
    free(pattern);
}

static void append_sequence(Buffer *out, const ModelInfo *info, int64_t tokens) {
    buffer_printf(out, "%" PRId64 " tokens ", tokens);
    append_bytes(out, info->state_bytes_fixed + (size_t)tokens * info->state_bytes_per_token);
}

/* What a sequence takes: caches that grow with it, recurrent states that do not. */
static void append_state(Buffer *out, const ModelInfo *info, Dtype dtype) {
    int64_t longest = info->max_position_embeddings;
    append_field(out, "state");
    if (info->state_bytes_per_token) {
        append_bytes(out, info->state_bytes_per_token);
        buffer_append_text(out, info->state_bytes_fixed ? " a token and " : " a token");
    }
    if (info->state_bytes_fixed) {
        append_bytes(out, info->state_bytes_fixed);
        buffer_append_text(out, info->state_bytes_per_token ? " a sequence" : " a sequence of any length");
    }
    buffer_printf(out, ", computing in %s\n", dtype_name(dtype));
    if (info->state_bytes_per_token == 0)
        return;
    append_field(out, "");
    append_sequence(out, info, longest && longest < TYPICAL_TOKENS ? longest : TYPICAL_TOKENS);
    if (longest > TYPICAL_TOKENS) {
        buffer_append_text(out, ", ");
        append_sequence(out, info, longest);
    }
    buffer_append_char(out, '\n');
}

static void append_files(Buffer *out, const ModelInfo *info) {
    for (size_t i = 0; i < info->n_weight_files; i++) {
        append_field(out, i ? "" : "files");
        buffer_printf(out, "%s, ", path_name(info->weight_files[i]));
        append_bytes(out, (size_t)file_size(info->weight_files[i]));
        buffer_append_char(out, '\n');
    }
}

static void describe(Buffer *out, const ModelInfo *info, Dtype dtype, const char *folder) {
    static const char *const counts[] = {"", "K", "M", "G", "T"};
    append_field(out, "family");
    buffer_printf(out, "%s (%s)\n", info->family, info->architecture);
    append_layers(out, info);
    append_field(out, "width");
    buffer_printf(out, "%" PRId64 ", vocabulary %" PRId64, info->hidden_size, info->vocab_size);
    if (info->max_position_embeddings)
        buffer_printf(out, ", up to %" PRId64 " tokens", info->max_position_embeddings);
    buffer_append_char(out, '\n');
    append_field(out, "parameters");
    buffer_printf(out, "%" PRId64 " (", info->n_parameters);
    append_rounded(out, (double)info->n_parameters, 1000, counts, 5);
    buffer_printf(out, "), stored as %s\n", dtype_name(info->weights_dtype));
    append_state(out, info, dtype);
    append_field(out, "folder");
    buffer_printf(out, "%s\n", folder);
    append_files(out, info);
}

static void add_number(cJSON *json, const char *name, double value) {
    cJSON_AddNumberToObject(json, name, value);
}

static void describe_json(Buffer *out, const ModelInfo *info, Dtype dtype, const char *folder) {
    cJSON *json = cJSON_CreateObject();
    char *pattern = layer_pattern(info);
    cJSON_AddStringToObject(json, "folder", folder);
    cJSON_AddStringToObject(json, "family", info->family);
    cJSON_AddStringToObject(json, "architecture", info->architecture);
    add_number(json, "layers", (double)info->n_layers);
    cJSON_AddStringToObject(json, "pattern", pattern);
    cJSON *mixers = cJSON_AddArrayToObject(json, "mixers");
    for (int64_t i = 0; i < info->n_layers; i++)
        cJSON_AddItemToArray(mixers, cJSON_CreateString(mixer_name(info->mixers[i])));
    add_number(json, "hidden_size", (double)info->hidden_size);
    add_number(json, "vocab_size", (double)info->vocab_size);
    add_number(json, "max_position_embeddings", (double)info->max_position_embeddings);
    add_number(json, "parameters", (double)info->n_parameters);
    cJSON_AddStringToObject(json, "weights_dtype", dtype_name(info->weights_dtype));
    cJSON_AddStringToObject(json, "dtype", dtype_name(dtype));
    add_number(json, "state_bytes_per_token", (double)info->state_bytes_per_token);
    add_number(json, "state_bytes_fixed", (double)info->state_bytes_fixed);
    cJSON *files = cJSON_AddArrayToObject(json, "files");
    for (size_t i = 0; i < info->n_weight_files; i++) {
        cJSON *file = cJSON_CreateObject();
        cJSON_AddStringToObject(file, "name", path_name(info->weight_files[i]));
        add_number(file, "bytes", (double)file_size(info->weight_files[i]));
        cJSON_AddItemToArray(files, file);
    }
    char *text = cJSON_Print(json);
    buffer_append_text(out, text);
    buffer_append_char(out, '\n');
    cJSON_free(text);
    cJSON_Delete(json);
    free(pattern);
}

/* What the registry has of a name; nothing of a folder. */
static int show_registry(const char *model, bool *known, Error *error) {
    Buffer text = {0};
    *known = false;
    if (strcmp(model, "demo") == 0 || file_is_directory(model))
        return 0;
    int result = registry_lines(&text, model, known, error);
    if (text.size > 0)
        fwrite(text.data, 1, text.size, stdout);
    buffer_free(&text);
    return result;
}

static int show(const char *model, const char *dtype, bool as_json, Error *error) {
    EngineOptions options = {.n_threads = 1};
    Engine *engine;
    char *folder;
    bool known = false;
    if (dtype_parse(dtype, &options.dtype, error) || (!as_json && show_registry(model, &known, error)))
        return -1;
    if (zoo_resolve(model, &folder, error)) {
        if (!known || error->kind != ERROR_USAGE)
            return -1;
        printf("%-13s it is not on this machine; `zeval pull %s` fetches it\n", "here", model);
        return 0;
    }
    char *origin = zoo_provenance(folder);
    bool data_set = origin && text_starts_with(origin, "datasets/");
    free(origin);
    if (data_set) { /* nothing to open */
        printf("%-13s %s\n", "folder", folder);
        free(folder);
        return 0;
    }
    options.model_folder = folder;
    int result = engine_open(&engine, &options, error);
    if (result == 0) {
        Buffer text = {0};
        (as_json ? describe_json : describe)(&text, engine_info(engine), options.dtype, folder);
        fwrite(text.data, 1, text.size, stdout);
        buffer_free(&text);
    }
    engine_close(engine);
    free(folder);
    return result;
}

int command_show(int argc, char **argv, Error *error) {
    const char *model = NULL, *dtype = "float32";
    bool json = false;
    const Option options[] = {
        {"model", "NAME", OPTION_TEXT, &model, 0, 0, false, "the same as NAME in front"},
        {"dtype", "NAME", OPTION_TEXT, &dtype, 0, 0, false,
         "arithmetic whose states are counted: float32 (default) or bfloat16"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print one JSON object"},
        {0}};
    const Usage usage = {
        .command = "show",
        .synopsis = "NAME [--dtype NAME] [--json]",
        .about =
            "Says what the registry knows of NAME: repository, licence, base and teacher, the rows of\n"
            "published tables that it is. If it is on this machine (or a folder, or \"demo\"), opens the\n"
            "checkpoint, which checks every tensor's name, shape and type, and says:\n"
            "\n"
            "  layers      one letter each, the first layer first: A attention, L latent attention (MLA),\n"
            "              M Mamba2, S Mamba1, D discrete Mamba2; with a ruler that counts from 0\n"
            "  parameters  of all weights that are used, a tied output counted once\n"
            "  state       memory of one sequence: the caches of attention and latent attention grow with\n"
            "              each token, the states of Mamba layers have one size; below, what that comes\n"
            "              to for a long sequence and for the longest that config.json names\n"
            "\n"
            "Weights are mapped, not read: this takes no time however large they are, unless --dtype\n"
            "bfloat16 has to round them first.",
        .examples = "  zeval show demo\n  zeval show zebra-llama-1b-4mla-12m2-dpo\n"
                    "  zeval show ./Zebra-Llama-1B --dtype bfloat16 --json",
        .options = options};
    if (argc > 1 && argv[1][0] != '-') {
        model = argv[1];
        memmove(&argv[1], &argv[2], (size_t)(argc - 1) * sizeof *argv);
        argc--;
    }
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    if (!model)
        return error_set_kind(error, ERROR_USAGE, "show what? Expected: zeval show NAME");
    return show(model, dtype, json, error);
}
