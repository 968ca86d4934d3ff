/* See generation.h.
 *
 * Tokens are decoded as they come only to find out when to stop. The text itself is made as upstream makes
 * it, from all tokens at once, and a token too many does not change it, for it is cut before the stop string.
 */
#include "eval/generation.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 64 << 20, DEFAULT_NEW_TOKENS = 256, DEFAULT_TOP_K = 50 };

/* ---- rules */

/* eos_token_id: an id or a list of them. */
static void add_eos_ids(GenerationRules *rules, const cJSON *config) {
    const cJSON *eos = cJSON_GetObjectItemCaseSensitive(config, "eos_token_id"), *item;
    int64_t id;
    if (json_to_int(eos, 0, INT32_MAX, &id))
        token_ids_append(&rules->stop_ids, (int32_t)id);
    if (cJSON_IsArray(eos))
        cJSON_ArrayForEach(item, eos) if (json_to_int(item, 0, INT32_MAX, &id))
            token_ids_append(&rules->stop_ids, (int32_t)id);
}

/* What texts are drawn from where a task does not say; null stands for everything. */
static void read_drawing(GenerationRules *rules, const cJSON *config) {
    const cJSON *top_k = cJSON_GetObjectItemCaseSensitive(config, "top_k"),
                *top_p = cJSON_GetObjectItemCaseSensitive(config, "top_p");
    int64_t k;
    if (cJSON_IsNull(top_k))
        rules->top_k = 0;
    else if (json_to_int(top_k, 0, INT32_MAX, &k))
        rules->top_k = k;
    if (cJSON_IsNumber(top_p) && top_p->valuedouble > 0 && top_p->valuedouble <= 1)
        rules->top_p = top_p->valuedouble;
}

/* What else of the file would change a text. Values that change nothing are those a number or `false` equal
 * to `neutral`, null and an empty list. */
static bool changes_nothing(const cJSON *value, double neutral) {
    return cJSON_IsNull(value) || (cJSON_IsArray(value) && cJSON_GetArraySize(value) == 0) ||
           (cJSON_IsNumber(value) && value->valuedouble == neutral) || (cJSON_IsFalse(value) && neutral == 0);
}

static void read_penalties(GenerationRules *rules, const cJSON *config) {
    static const struct {
        const char *key;
        double neutral;
    } others[] = {{"num_beams", 1},
                  {"no_repeat_ngram_size", 0},
                  {"min_length", 0},
                  {"min_new_tokens", 0},
                  {"bad_words_ids", 0},
                  {"suppress_tokens", 0},
                  {"begin_suppress_tokens", 0},
                  {"forced_bos_token_id", -1},
                  {"forced_eos_token_id", -1},
                  {"sequence_bias", 0},
                  {"guidance_scale", 1},
                  {"penalty_alpha", 0},
                  {"exponential_decay_length_penalty", 0},
                  {"diversity_penalty", 0},
                  {"force_words_ids", 0},
                  {"constraints", 0}};
    const cJSON *penalty = cJSON_GetObjectItemCaseSensitive(config, "repetition_penalty");
    if (cJSON_IsNumber(penalty) && penalty->valuedouble > 0)
        rules->repetition_penalty = penalty->valuedouble;
    else if (penalty && !cJSON_IsNull(penalty))
        rules->refused = "repetition_penalty";
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(config, others[i].key);
        if (value && !changes_nothing(value, others[i].neutral))
            rules->refused = others[i].key;
    }
}

/* NULL if there is no such file. */
static int read_config(const char *folder, const char *name, cJSON **out, Error *error) {
    char *path = path_join(folder, name);
    *out = NULL;
    int result = file_exists(path) ? json_parse_file(out, path, MAX_CONFIG_BYTES, error) : 0;
    free(path);
    return result;
}

int generation_rules_init(GenerationRules *rules, const Tokenizer *tokenizer, const char *folder,
                          Compat compat, Error *error) {
    bool main_profile = compat == COMPAT_MAIN;
    cJSON *config, *text;
    *rules = (GenerationRules){.tokenizer = tokenizer,
                               .eos_always = main_profile,
                               .keep_special = !main_profile,
                               .ask_to_draw = !main_profile,
                               .top_k = DEFAULT_TOP_K,
                               .top_p = 1,
                               .repetition_penalty = 1};
    if (read_config(folder, "generation_config.json", &config, error))
        return -1;
    if (!config && read_config(folder, "config.json", &config, error))
        return -1;
    if (config)
        add_eos_ids(rules, config);
    read_drawing(rules, config);
    read_penalties(rules, config);
    cJSON_Delete(config);
    if (main_profile && tokenizer_eos_id(tokenizer) >= 0)
        token_ids_append(&rules->stop_ids, tokenizer_eos_id(tokenizer));
    if (read_config(folder, "tokenizer_config.json", &text, error))
        return -1;
    /* Where the file does not say, transformers of that time cleaned up and those of today do not. */
    const cJSON *clean_up = cJSON_GetObjectItemCaseSensitive(text, "clean_up_tokenization_spaces");
    rules->clean_up = cJSON_IsBool(clean_up) ? cJSON_IsTrue(clean_up) : !main_profile;
    cJSON_Delete(text);
    return 0;
}

void generation_rules_free(GenerationRules *rules) {
    token_ids_free(&rules->stop_ids);
}

/* ---- settings */

static bool is_token_count(const char *key) {
    return strcmp(key, "max_gen_toks") == 0 || strcmp(key, "max_new_tokens") == 0 ||
           strcmp(key, "max_tokens") == 0 || strcmp(key, "max_completion_tokens") == 0;
}

static int check_keys(const cJSON *settings, Error *error) {
    static const char *const known[] = {"until", "do_sample", "temperature",
                                        "top_k", "top_p",     "repetition_penalty"};
    const cJSON *item;
    cJSON_ArrayForEach(item, settings) {
        bool found = is_token_count(item->string) || (strcmp(item->string, "num_beams") == 0 &&
                                                      cJSON_IsNumber(item) && item->valuedouble == 1);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found |= strcmp(item->string, known[i]) == 0;
        if (!found)
            return error_set(
                error,
                "generation_kwargs: found \"%.60s\", which this program cannot do; expected until, "
                "max_gen_toks, do_sample, temperature, top_k, top_p, repetition_penalty",
                item->string);
    }
    return 0;
}

static int read_token_count(Generation *out, const cJSON *settings, Error *error) {
    static const char *const names[] = {"max_gen_toks", "max_new_tokens", "max_tokens",
                                        "max_completion_tokens"};
    int64_t n = DEFAULT_NEW_TOKENS;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cJSON_GetObjectItemCaseSensitive(settings, names[i])) {
            if (json_get_int(settings, names[i], 1, 1 << 24, &n, "generation_kwargs", error))
                return -1;
            break;
        }
    out->max_new_tokens = (size_t)n;
    return 0;
}

/* A temperature of 0, or none, is greedy unless sampling is asked for. */
static int read_sampling(Generation *out, const GenerationRules *rules, const cJSON *settings, Error *error) {
    static const char where[] = "generation_kwargs";
    const cJSON *asked = cJSON_GetObjectItemCaseSensitive(settings, "do_sample");
    bool sample = false;
    out->top_k = rules->top_k;
    out->top_p = rules->top_p;
    out->repetition_penalty = rules->repetition_penalty;
    if (rules->refused)
        return error_set(
            error,
            "the model's generation_config.json sets \"%s\", which would change every text and which this "
            "program cannot do; remove it from the file to generate without it",
            rules->refused);
    if (json_opt_bool(settings, "do_sample", &sample, where, error) ||
        json_opt_double(settings, "temperature", &out->temperature, where, error) ||
        json_opt_double(settings, "top_p", &out->top_p, where, error) ||
        json_opt_double(settings, "repetition_penalty", &out->repetition_penalty, where, error) ||
        json_opt_int(settings, "top_k", 0, INT32_MAX, &out->top_k, where, error))
        return -1;
    if (!(out->temperature >= 0) || !(out->top_p > 0 && out->top_p <= 1))
        return error_set(
            error,
            "generation_kwargs: found temperature %g and top_p %g, expected a temperature of 0 or "
            "more and a top_p above 0 up to 1",
            out->temperature, out->top_p);
    if (!(out->repetition_penalty > 0))
        return error_set(error, "generation_kwargs: found repetition_penalty %g, expected more than 0",
                         out->repetition_penalty);
    if (sample && out->temperature <= 0)
        return error_set(error,
                         "generation_kwargs: do_sample is true, expected a temperature above 0 with it");
    if ((cJSON_IsBool(asked) || rules->ask_to_draw) && !sample)
        out->temperature = 0;
    return 0;
}

static int read_stops(Generation *out, const GenerationRules *rules, const cJSON *settings, Error *error) {
    const cJSON *until = cJSON_GetObjectItemCaseSensitive(settings, "until"), *item;
    size_t n = cJSON_IsArray(until) ? (size_t)cJSON_GetArraySize(until) : 1;
    out->stops = mem_alloc_zero(n + 1, sizeof *out->stops);
    out->has_empty = cJSON_IsString(until) && !*until->valuestring;
    if (cJSON_IsString(until) && *until->valuestring)
        out->stops[out->n_stops++] = until->valuestring;
    else if (cJSON_IsArray(until))
        cJSON_ArrayForEach(item, until) {
            if (!cJSON_IsString(item))
                return error_set(error, "generation_kwargs: until holds %s, expected strings",
                                 json_type_name(item));
            if (*item->valuestring)
                out->stops[out->n_stops++] = item->valuestring;
            else
                out->has_empty = true;
        }
    int32_t eos = tokenizer_eos_id(rules->tokenizer);
    const char *text = eos >= 0 ? tokenizer_token_text(rules->tokenizer, eos) : NULL;
    if (text && *text && (rules->eos_always || out->n_stops == 0))
        out->stops[out->n_stops++] = text;
    return 0;
}

int generation_parse(Generation *out, const GenerationRules *rules, const char *json, Error *error) {
    *out = (Generation){.json = mem_strdup(json)};
    if (json_parse(&out->parsed, json, strlen(json), "generation_kwargs", error) ||
        check_keys(out->parsed, error) || read_token_count(out, out->parsed, error) ||
        read_sampling(out, rules, out->parsed, error) || read_stops(out, rules, out->parsed, error)) {
        generation_free(out);
        return -1;
    }
    return 0;
}

void generation_free(Generation *generation) {
    cJSON_Delete(generation->parsed);
    free(generation->stops);
    free(generation->json);
    *generation = (Generation){0};
}

/* ---- tokens to text */

static bool ends_text(const Writer *writer, int32_t token) {
    const TokenIds *ids = &writer->rules->stop_ids;
    for (size_t i = 0; i < ids->n; i++)
        if (ids->ids[i] == token)
            return true;
    /* A special token that is a stop string, which the text would not show. */
    const char *text = tokenizer_token_text(writer->rules->tokenizer, token);
    for (size_t i = 0; text && i < writer->settings->n_stops; i++)
        if (strcmp(text, writer->settings->stops[i]) == 0)
            return true;
    return false;
}

int writer_token(void *context, int32_t token, Error *error) {
    Writer *writer = context;
    const Tokenizer *tokenizer = writer->rules->tokenizer;
    writer->n_tokens++;
    /* A model may have more outputs than its tokenizer has tokens: such a one has no text. */
    if (!tokenizer_token_text(tokenizer, token))
        return writer->settings->has_empty ? 1 : 0;
    token_ids_append(&writer->ids, token);
    if (ends_text(writer, token))
        return 1;
    if (token_stream_push(&writer->stream, tokenizer, token, &writer->stop.text, error))
        return -1;
    writer->stop.stops = writer->settings->stops;
    writer->stop.n_stops = writer->settings->n_stops;
    stop_text_update(&writer->stop);
    return writer->stop.stopped || writer->settings->has_empty ? 1 : 0;
}

static void replace_all(Buffer *text, const char *from, const char *to) {
    Buffer out = {0};
    const char *at = text->data, *found;
    for (; (found = strstr(at, from)); at = found + strlen(from)) {
        buffer_append(&out, at, (size_t)(found - at));
        buffer_append_text(&out, to);
    }
    buffer_append_text(&out, at);
    buffer_free(text);
    *text = out;
}

/* transformers' clean_up_tokenization, in its order. */
static void clean_up_spaces(Buffer *text) {
    static const char *const pairs[][2] = {{" .", "."},     {" ?", "?"},     {" !", "!"},   {" ,", ","},
                                           {" ' ", "'"},    {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"},
                                           {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strstr(text->data, pairs[i][0]))
            replace_all(text, pairs[i][0], pairs[i][1]);
}

int writer_finish(Writer *writer, Buffer *text, Error *error) {
    Buffer whole = {0};
    buffer_append_text(&whole, "");
    if (tokenizer_decode(writer->rules->tokenizer, writer->ids.ids, writer->ids.n,
                         !writer->rules->keep_special, &whole, error)) {
        buffer_free(&whole);
        return -1;
    }
    /* A NUL byte ends a text: it cannot be stored. */
    if (writer->rules->clean_up)
        clean_up_spaces(&whole);
    for (size_t i = 0; i < writer->settings->n_stops; i++) {
        char *found = strstr(whole.data, writer->settings->stops[i]);
        if (found)
            *found = '\0';
    }
    buffer_append_text(text, whole.data);
    buffer_free(&whole);
    return 0;
}

void writer_free(Writer *writer) {
    token_ids_free(&writer->ids);
    token_stream_free(&writer->stream);
    buffer_free(&writer->stop.text);
}
