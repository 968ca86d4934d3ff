/* generate_until: settings as lm-evaluation-harness reads them, and the texts that it would have taken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "eval/plan.h"
#include "tests/eval/tests.h"

static Tokenizer *tokenizer;
static GenerationRules rules, old_rules;

static int open_tokenizer(void **state) {
    (void)state;
    Error error = {0};
    if (tokenizer_open(&tokenizer, "zoo/demo/model", &error) ||
        generation_rules_init(&rules, tokenizer, "zoo/demo/model", COMPAT_MAIN, &error) ||
        generation_rules_init(&old_rules, tokenizer, "zoo/demo/model", COMPAT_V0_4_0, &error))
        fail_msg("%s", error.message);
    return 0;
}

static int close_tokenizer(void **state) {
    (void)state;
    generation_rules_free(&rules);
    generation_rules_free(&old_rules);
    tokenizer_close(tokenizer);
    return 0;
}

/* ---- settings */

static Generation parse(const GenerationRules *with, const char *json) {
    Generation settings;
    Error error = {0};
    if (generation_parse(&settings, with, json, &error))
        fail_msg("%s: %s", json, error.message);
    return settings;
}

static void test_defaults_are_upstreams(void **state) {
    (void)state;
    Generation settings = parse(&rules, "{\"until\": [\"\\n\\n\"]}");
    assert_int_equal(settings.max_new_tokens, 256);
    assert_true(settings.temperature == 0);
    assert_int_equal(settings.n_stops, 2);
    assert_string_equal(settings.stops[0], "\n\n");
    assert_string_equal(settings.stops[1], tokenizer_token_text(tokenizer, tokenizer_eos_id(tokenizer)));
    generation_free(&settings);
}

static void test_eos_is_a_stop_of_tasks_without_stops_only_in_the_old_profile(void **state) {
    (void)state;
    Generation settings = parse(&old_rules, "{\"until\": [\"Q:\", \"\"]}");
    assert_int_equal(settings.n_stops, 1);
    generation_free(&settings);
    settings = parse(&old_rules, "{\"until\": []}");
    assert_int_equal(settings.n_stops, 1);
    assert_string_equal(settings.stops[0], tokenizer_token_text(tokenizer, tokenizer_eos_id(tokenizer)));
    generation_free(&settings);
}

static void test_names_of_the_token_count(void **state) {
    (void)state;
    static const char *const json[] = {"{\"max_gen_toks\": 7, \"max_tokens\": 9}", "{\"max_new_tokens\": 7}",
                                       "{\"max_tokens\": 7}", "{\"max_completion_tokens\": 7}"};
    for (size_t i = 0; i < sizeof json / sizeof *json; i++) {
        Generation settings = parse(&rules, json[i]);
        assert_int_equal(settings.max_new_tokens, 7);
        generation_free(&settings);
    }
}

static void test_sampling_is_asked_for_by_temperature(void **state) {
    (void)state;
    static const struct {
        const char *json;
        double temperature;
    } cases[] = {{"{\"temperature\": 0.7}", 0.7},
                 {"{\"temperature\": 0.7, \"do_sample\": false}", 0},
                 {"{\"temperature\": 0.7, \"do_sample\": true}", 0.7},
                 {"{\"temperature\": 0.0, \"do_sample\": false}", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Generation settings = parse(&rules, cases[i].json);
        assert_true(settings.temperature == cases[i].temperature);
        generation_free(&settings);
    }
}

static void test_the_old_profile_draws_only_when_asked_to(void **state) {
    (void)state;
    Generation settings = parse(&old_rules, "{\"temperature\": 0.7}");
    assert_true(settings.temperature == 0);
    generation_free(&settings);
    settings = parse(&old_rules, "{\"temperature\": 0.7, \"do_sample\": true}");
    assert_true(settings.temperature == 0.7);
    generation_free(&settings);
}

/* transformers draws from the 50 most likely tokens unless a model's files or the task say otherwise. */
static void test_what_is_drawn_from(void **state) {
    (void)state;
    static const struct {
        const char *config, *settings;
        int top_k;
        double top_p;
    } cases[] = {{NULL, "", 50, 1},
                 {"{\"top_k\": 20, \"top_p\": 0.8}", "", 20, 0.8},
                 {"{\"top_k\": null, \"top_p\": null}", "", 0, 1},
                 {"{\"top_k\": -1, \"top_p\": 7}", "", 50, 1},
                 {"{\"top_k\": 20, \"top_p\": 0.8}", ", \"top_k\": 0, \"top_p\": 0.5", 0, 0.5}};
    char folder[] = "/tmp/zeval-eval-XXXXXX", json[128];
    if (!mkdtemp(folder))
        fail_msg("no folder in /tmp");
    char *path = path_join(folder, "generation_config.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        GenerationRules own;
        const char *config = cases[i].config;
        if (config)
            assert_int_equal(file_write_atomic(path, config, strlen(config), NULL), 0);
        assert_int_equal(generation_rules_init(&own, tokenizer, folder, COMPAT_MAIN, NULL), 0);
        snprintf(json, sizeof json, "{\"temperature\": 0.2%s}", cases[i].settings);
        Generation settings = parse(&own, json);
        assert_int_equal(settings.top_k, cases[i].top_k);
        assert_true(settings.top_p == cases[i].top_p);
        generation_free(&settings);
        generation_rules_free(&own);
        if (config)
            unlink(path);
    }
    free(path);
    rmdir(folder);
}

/* A model's own file changes greedy texts too; what of it is not built is refused when a text is wanted. */
static void test_settings_of_the_model(void **state) {
    (void)state;
    static const struct {
        const char *config;
        double penalty; /* 0: refused */
        const char *word;
    } cases[] = {{"{\"repetition_penalty\": 1.05, \"num_beams\": 1, \"bad_words_ids\": null}", 1.05, NULL},
                 {"{\"temperature\": 0.6, \"suppress_tokens\": [], \"early_stopping\": false}", 1, NULL},
                 {"{\"repetition_penalty\": null, \"no_repeat_ngram_size\": 0, \"min_length\": 0}", 1, NULL},
                 {"{\"repetition_penalty\": 0}", 0, "repetition_penalty"},
                 {"{\"repetition_penalty\": \"much\"}", 0, "repetition_penalty"},
                 {"{\"num_beams\": 4}", 0, "num_beams"},
                 {"{\"forced_eos_token_id\": 0}", 0, "forced_eos_token_id"},
                 {"{\"suppress_tokens\": [7]}", 0, "suppress_tokens"}};
    char folder[] = "/tmp/zeval-eval-XXXXXX";
    if (!mkdtemp(folder))
        fail_msg("no folder in /tmp");
    char *path = path_join(folder, "generation_config.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        GenerationRules own;
        Generation settings;
        Error error = {0};
        assert_int_equal(file_write_atomic(path, cases[i].config, strlen(cases[i].config), NULL), 0);
        assert_int_equal(generation_rules_init(&own, tokenizer, folder, COMPAT_MAIN, NULL), 0);
        if (cases[i].penalty > 0) {
            settings = parse(&own, "{}");
            assert_true(settings.repetition_penalty == cases[i].penalty);
            generation_free(&settings);
            settings = parse(&own, "{\"repetition_penalty\": 1.5}");
            assert_true(settings.repetition_penalty == 1.5);
            generation_free(&settings);
        } else {
            assert_int_equal(generation_parse(&settings, &own, "{}", &error), -1);
            assert_non_null(strstr(error.message, cases[i].word));
        }
        generation_rules_free(&own);
    }
    unlink(path);
    free(path);
    rmdir(folder);
}

static void test_bad_settings_are_refused_by_name(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{\"num_beams\": 4}", "num_beams"},       {"{\"until\": [1]}", "strings"},
        {"{\"max_gen_toks\": 0}", "max_gen_toks"}, {"{\"max_gen_toks\": \"9\"}", "max_gen_toks"},
        {"{\"temperature\": -1}", "temperature"},  {"{\"temperature\": 1, \"top_p\": 0}", "top_p"},
        {"{\"do_sample\": true}", "temperature"},  {"[", "generation_kwargs"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Generation settings;
        Error error = {0};
        assert_int_equal(generation_parse(&settings, &rules, cases[i][0], &error), -1);
        if (!strstr(error.message, cases[i][1]))
            fail_msg("%s: message is '%s'; expected it to name '%s'", cases[i][0], error.message,
                     cases[i][1]);
    }
}

/* ---- tokens to text */

static void write_tokens(const GenerationRules *with, const char *json, const int32_t *ids, size_t n,
                         size_t expected_n, const char *expected) {
    Generation settings = parse(with, json);
    Writer writer = {.rules = with, .settings = &settings};
    Buffer text = {0};
    size_t i = 0;
    while (i < n && writer_token(&writer, ids[i], NULL) == 0)
        i++;
    assert_int_equal(i < n ? i + 1 : n, expected_n);
    assert_int_equal(writer_finish(&writer, &text, NULL), 0);
    assert_string_equal(text.data, expected);
    writer_free(&writer);
    generation_free(&settings);
    buffer_free(&text);
}

static void test_a_text_ends_before_its_first_stop(void **state) {
    (void)state;
    TokenIds ids = {0};
    assert_int_equal(tokenizer_encode(tokenizer, "Anna put the ball.\nQ: Tom", 25, SPECIAL_NONE, &ids, NULL),
                     0);
    write_tokens(&rules, "{\"until\": []}", ids.ids, ids.n, ids.n, "Anna put the ball.\nQ: Tom");
    write_tokens(&rules, "{\"until\": [\"Anna\"]}", ids.ids, ids.n, 1, "");
    write_tokens(&rules, "{\"until\": [\"\", \"Anna\"]}", ids.ids + 1, ids.n - 1, 1, " put");
    Generation settings = parse(&rules, "{\"until\": [\"\\nQ:\", \"l.\\n\"]}");
    Writer writer = {.rules = &rules, .settings = &settings};
    Buffer text = {0};
    for (size_t i = 0; i < ids.n && writer_token(&writer, ids.ids[i], NULL) == 0; i++)
        continue;
    assert_int_equal(writer_finish(&writer, &text, NULL), 0);
    assert_string_equal(text.data, "Anna put the bal");
    writer_free(&writer);
    generation_free(&settings);
    buffer_free(&text);
    token_ids_free(&ids);
}

static void test_special_tokens_end_a_text(void **state) {
    (void)state;
    int32_t eos = tokenizer_eos_id(tokenizer);
    const char *name = tokenizer_token_text(tokenizer, eos);
    TokenIds ids = {0};
    char expected[100];
    assert_int_equal(tokenizer_encode(tokenizer, "Anna", 4, SPECIAL_NONE, &ids, NULL), 0);
    size_t n = ids.n;
    token_ids_append(&ids, eos);
    token_ids_append(&ids, ids.ids[0]);
    write_tokens(&rules, "{\"until\": []}", ids.ids, ids.n, n + 1, "Anna");
    /* The old profile shows the end token, unless it is a stop string. */
    snprintf(expected, sizeof expected, "Anna%s", name);
    write_tokens(&old_rules, "{\"until\": [\"Q:\"]}", ids.ids, ids.n, n + 1, expected);
    write_tokens(&old_rules, "{\"until\": []}", ids.ids, ids.n, n + 1, "Anna");
    token_ids_free(&ids);
}

static void test_ids_without_a_token_have_no_text(void **state) {
    (void)state;
    int32_t beyond = (int32_t)tokenizer_vocab_size(tokenizer) + 3;
    write_tokens(&rules, "{\"until\": []}", (const int32_t[]){beyond, beyond}, 2, 2, "");
}

static void test_clean_up_of_spaces(void **state) {
    (void)state;
    GenerationRules cleaning = rules, leaving = rules;
    TokenIds ids = {0};
    static const char text[] = "Anna 's ball . Tom , too ?";
    cleaning.clean_up = true;
    leaving.clean_up = false;
    assert_int_equal(tokenizer_encode(tokenizer, text, strlen(text), SPECIAL_NONE, &ids, NULL), 0);
    write_tokens(&cleaning, "{\"until\": []}", ids.ids, ids.n, ids.n, "Anna's ball. Tom, too?");
    write_tokens(&leaving, "{\"until\": []}", ids.ids, ids.n, ids.n, text);
    token_ids_free(&ids);
}

/* ---- against lm-evaluation-harness */

static char *shared_model(void) {
    const char *root = getenv("ZEVAL_SHARED");
    return path_join(root ? root : "../shared", "models/stories260K-hf");
}

static void check_texts(Engine *engine, const Encoder *encoder, const GenerationRules *with,
                        const cJSON *entries) {
    size_t n_entries = (size_t)cJSON_GetArraySize(entries), n;
    Generation *settings = mem_alloc_zero(n_entries, sizeof *settings);
    EncodedRequest prompt = {0};
    Plan *plan = plan_create();
    Error error = {0};
    uint32_t number;
    plan_generate_with(plan, with);
    for (size_t i = 0; i < n_entries; i++) {
        const cJSON *entry = cJSON_GetArrayItem(entries, (int)i);
        settings[i] = parse(with, cJSON_GetObjectItem(entry, "kwargs")->valuestring);
        if (encode_prompt(encoder, cJSON_GetObjectItem(entry, "prompt")->valuestring,
                          settings[i].max_new_tokens, &prompt, &error) ||
            plan_add_prompt(plan, &prompt, &settings[i], 0, &number, &error))
            fail_msg("%s", error.message);
    }
    plan_settle(plan, engine_info(engine), (size_t)1 << 30);
    while (plan_step(plan, engine, 4096, &error) > 0) {
        const uint32_t *answered = plan_answered(plan, &n);
        for (size_t i = 0; i < n; i++) {
            const cJSON *entry = cJSON_GetArrayItem(entries, (int)answered[i]);
            const char *expected = cJSON_GetObjectItem(entry, "text")->valuestring,
                       *found = plan_answer(plan, answered[i]).text;
            if (strcmp(found, expected) != 0)
                fail_msg("prompt %u (%s): found '%s', expected '%s'", answered[i],
                         cJSON_GetObjectItem(entry, "kwargs")->valuestring, found, expected);
        }
    }
    assert_int_equal(plan_prompts_done(plan), plan_counts(plan).n_prompts);
    plan_free(plan);
    encoded_request_free(&prompt);
    for (size_t i = 0; i < n_entries; i++)
        generation_free(&settings[i]);
    free(settings);
}

/* Texts by HFLM.generate_until (tests/oracle/generation.py). */
static void test_texts_are_upstreams(void **state) {
    (void)state;
    char *folder = shared_model();
    Engine *engine = NULL;
    Tokenizer *own = NULL;
    GenerationRules own_rules;
    Encoder encoder;
    cJSON *entries = NULL;
    Error error = {0};
    if (!file_is_directory(folder)) {
        printf("skipped: no model at %s (set ZEVAL_SHARED)\n", folder);
        free(folder);
        skip();
    }
    EngineOptions options = {.model_folder = folder};
    if (json_parse_file(&entries, "tests/fixtures/generation.json", 1 << 20, &error) ||
        engine_open(&engine, &options, &error) || tokenizer_open(&own, folder, &error) ||
        generation_rules_init(&own_rules, own, folder, COMPAT_MAIN, &error) ||
        encoder_init(&encoder, own, engine_info(engine), COMPAT_MAIN, BOS_DEFAULT, 0, &error))
        fail_msg("%s", error.message);
    assert_int_equal(cJSON_GetArraySize(entries), 110);
    check_texts(engine, &encoder, &own_rules, entries);
    cJSON_Delete(entries);
    generation_rules_free(&own_rules);
    tokenizer_close(own);
    engine_close(engine);
    free(folder);
}

int run_generate_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_upstreams),
        cmocka_unit_test(test_eos_is_a_stop_of_tasks_without_stops_only_in_the_old_profile),
        cmocka_unit_test(test_names_of_the_token_count),
        cmocka_unit_test(test_sampling_is_asked_for_by_temperature),
        cmocka_unit_test(test_the_old_profile_draws_only_when_asked_to),
        cmocka_unit_test(test_what_is_drawn_from),
        cmocka_unit_test(test_settings_of_the_model),
        cmocka_unit_test(test_bad_settings_are_refused_by_name),
        cmocka_unit_test(test_a_text_ends_before_its_first_stop),
        cmocka_unit_test(test_special_tokens_end_a_text),
        cmocka_unit_test(test_ids_without_a_token_have_no_text),
        cmocka_unit_test(test_clean_up_of_spaces),
        cmocka_unit_test(test_texts_are_upstreams),
    };
    return cmocka_run_group_tests_name("generate", tests, open_tokenizer, close_tokenizer);
}
