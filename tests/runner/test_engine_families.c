/* How families are recognised, what their configurations may say, and what they report of themselves. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "runner/families/family.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"

/* ---- facts */

static void expect_facts(const char *name, const char *family, const char *mixers, size_t bytes_per_token,
                         size_t bytes_fixed) {
    char *folder = path_join("tests/fixtures/models", name);
    Engine *engine = open_engine(folder, 1);
    const ModelInfo *info = engine_info(engine);
    Buffer found = {0};
    for (int64_t i = 0; i < info->n_layers; i++)
        buffer_printf(&found, "%s%s", i ? " " : "", mixer_name(info->mixers[i]));
    assert_string_equal(info->family, family);
    assert_string_equal(found.data, mixers);
    assert_int_equal(info->state_bytes_per_token, bytes_per_token);
    assert_int_equal(info->state_bytes_fixed, bytes_fixed);
    buffer_free(&found);
    engine_close(engine);
    free(folder);
}

/* Sizes in bytes by the formulas; rows of latents and state matrices are padded to 16 numbers, which
 * the widths of published models need no padding for. */
static void test_models_report_what_they_are(void **unused) {
    (void)unused;
    expect_facts("nemotron_tiny", "nemotron", "attention attention", 2 * 2 * 2 * 16 * 4, 0);
    expect_facts("x_ecomla_tiny_plain", "x-ecomla", "mla mla", 2 * (16 + 4) * 4, 0);
    expect_facts("x_ecomla_tiny", "x-ecomla", "mla mla mla", (2 * (32 + 6) + 16 + 6) * 4, 0);
    expect_facts("mamba_in_llama_tiny", "mamba-in-llama", "mamba1 attention", 2 * 2 * 16 * 4,
                 (96 * 16 + 3 * 96) * 4);
    expect_facts("mamba2_in_llama_tiny_all", "mamba-in-llama", "mamba2 mamba2", 0,
                 2 * (4 * 10 * 16 + 3 * (40 + 2 * 20)) * 4);
    expect_facts("llamba_tiny", "llamba", "llamba llamba", 0, 2 * (6 * 16 * 5 + 3 * (48 + 2 * 3 * 5)) * 4);
    expect_facts("mamba2_tiny", "mamba2", "mamba2 mamba2 mamba2", 0,
                 3 * (6 * 16 * 5 + 3 * (48 + 2 * 2 * 5)) * 4);
    expect_facts("mamba2_tiny_attention", "mamba2", "mamba2 attention mamba2", 2 * (10 + 10) * 4,
                 (2 * (6 * 16 * 7 + 3 * (72 + 2 * 7)) + 3 * (4 + 2 * 2) * 10) * 4);
}

/* Caches hold what the arithmetic rounds to; recurrent states stay float32. */
static void test_bfloat16_halves_the_caches(void **unused) {
    (void)unused;
    static const char *const names[] = {"llama_tiny", "x_ecomla_tiny", "mamba_in_llama_tiny", "zebra_tiny"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *folder = path_join("tests/fixtures/models", names[i]);
        Engine *wide = open_engine(folder, 1), *narrow = open_engine_as(folder, DTYPE_BFLOAT16, 1);
        assert_int_equal(engine_info(wide)->state_bytes_per_token,
                         2 * engine_info(narrow)->state_bytes_per_token);
        assert_int_equal(engine_info(wide)->state_bytes_fixed, engine_info(narrow)->state_bytes_fixed);
        engine_close(wide);
        engine_close(narrow);
        free(folder);
    }
}

static void test_state_bytes_of_wide_heads_are_the_formula(void **unused) {
    (void)unused;
    char *folder = make_random_llama(false); /* one key/value head of 64 */
    Engine *engine = open_engine(folder, 1);
    assert_int_equal(engine_info(engine)->state_bytes_per_token, 2 * 64 * 4);
    assert_int_equal(engine_info(engine)->state_bytes_fixed, 0);
    engine_close(engine);
    remove_random_llama(folder);
}

/* Some of what transformers' LlamaRotaryEmbedding has for Llama-3.1-8B and Llama-3.2-1B: around the band
 * where the scaled frequencies blend with the plain ones. A thousandth of a radian is soon reached far from
 * the start, so every bit counts. */
static void test_llama3_frequencies_are_the_reference(void **unused) {
    (void)unused;
    static const struct {
        RopeConfig config;
        size_t from;
        float frequencies[8];
    } cases[] = {{{.width = 128, .factor = 8},
                  28,
                  {0.00321144611F, 0.00216657063F, 0.00137189368F, 0.00085675146F, 0.000524846022F,
                   0.00031269365F, 0.000178507791F, 9.55621217e-05F}},
                 {{.width = 64, .factor = 32},
                  14,
                  {0.00321144611F, 0.00129054801F, 0.000429556705F, 9.70828623e-05F, 1.94616387e-05F}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        RopeConfig config = cases[i].config;
        Rope rope;
        config.theta = 500000;
        config.scaling = ROPE_LLAMA3;
        config.low_freq_factor = 1;
        config.high_freq_factor = 4;
        config.original_positions = 8192;
        rope_init(&rope, &config);
        for (size_t k = 0; k < 8 && cases[i].frequencies[k] > 0; k++)
            assert_same_bits(&rope.frequencies[cases[i].from + k], &cases[i].frequencies[k], 1, "frequency");
        rope_free(&rope);
    }
}

/* ---- configurations */

#define SIZES                                                                                                \
    "\"hidden_size\":32,\"intermediate_size\":12,\"num_hidden_layers\":2,\"vocab_size\":9,"                  \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2"
#define LLAMA "{\"architectures\":[\"LlamaForCausalLM\"],\"rms_norm_eps\":1e-5," SIZES
#define QWEN2 "{\"architectures\":[\"Qwen2ForCausalLM\"]," SIZES
#define QWEN3 "{\"architectures\":[\"Qwen3ForCausalLM\"]," SIZES
#define MISTRAL "{\"architectures\":[\"MistralForCausalLM\"]," SIZES
#define NEMOTRON "{\"architectures\":[\"NemotronForCausalLM\"]," SIZES
#define BLOCKS "{\"d_model\":32,\"intermediate_size\":12,\"n_layer\":2,\"attn_layers\":[]"
#define MLA                                                                                                  \
    "{\"hidden_size\":32,\"num_attention_heads\":4,\"q_lora_rank\":8,\"kv_lora_rank\":4,"                    \
    "\"qk_nope_head_dim\":4,\"qk_rope_head_dim\":4,\"v_head_dim\":4"
#define SIDE "{\"d_model\":32,\"intermediate_size\":12,\"n_layer\":2,\"d_xb\":16,\"rms_norm_eps\":1e-5"
#define LLAMBA                                                                                               \
    "{\"model_type\":\"llamba\",\"d_model\":32,\"n_layer\":2,\"vocab_size\":9,"                              \
    "\"mlp_cfg\":{\"intermediate_size\":12}"
#define MAMBA2 "{\"d_model\":32,\"n_layer\":2,\"vocab_size\":9"
#define MAMBA2_ATTENTION MAMBA2 ",\"attn_layer_idx\":[1],\"ssm_cfg\":{\"layer\":\"Mamba2\"},\"attn_cfg\":{"
#define NO_BIASES "\"causal\":true,\"qkv_proj_bias\":false,\"out_proj_bias\":false"
#define MAMBA2_HF                                                                                            \
    "{\"architectures\":[\"Mamba2ForCausalLM\"],\"hidden_size\":32,\"num_hidden_layers\":2,"                 \
    "\"vocab_size\":9,\"head_dim\":8"

/* The texts of the files; without a family, config.json is to tell. */
static int read_texts(ModelConfig *out, const Family *family, const char *const texts[FAMILY_FILES],
                      Error *error) {
    static const char *const names[FAMILY_FILES] = {"config.json", "one.json", "two.json"};
    cJSON *parsed[FAMILY_FILES] = {0};
    ConfigFile files[FAMILY_FILES];
    for (size_t i = 0; i < FAMILY_FILES; i++) {
        if (texts[i] && json_parse(&parsed[i], texts[i], strlen(texts[i]), names[i], error))
            fail_msg("%s", error->message);
        files[i] = (ConfigFile){parsed[i], names[i]};
    }
    if (!family)
        family = family_of_config(parsed[0], names[0], error);
    int status = family ? family_read_config(out, family, files, error) : -1;
    for (size_t i = 0; i < FAMILY_FILES; i++)
        cJSON_Delete(parsed[i]);
    return status;
}

static void expect_read(ModelConfig *out, const Family *family, const char *config, const char *one,
                        const char *two) {
    Error error = {0};
    if (read_texts(out, family, (const char *const[]){config, one, two}, &error))
        fail_msg("%s", error.message);
}

static void test_sliding_windows_follow_their_keys(void **unused) {
    (void)unused;
    ModelConfig config;
    expect_read(&config, NULL, MISTRAL "}", NULL, NULL);
    assert_int_equal(config.attention.window, 4096);
    expect_read(&config, NULL, MISTRAL ",\"sliding_window\":null}", NULL, NULL);
    assert_int_equal(config.attention.window, 0);
    expect_read(&config, NULL, QWEN2 ",\"sliding_window\":7}", NULL, NULL);
    assert_int_equal(config.attention.window, 0);
    expect_read(&config, NULL,
                QWEN2 ",\"sliding_window\":7,\"use_sliding_window\":true,\"max_window_layers\":1}", NULL,
                NULL);
    assert_int_equal(config.attention.window, 7);
    assert_int_equal(config.attention.window_layers, 1);
}

static void test_transformers_differ_by_their_traits(void **unused) {
    (void)unused;
    ModelConfig config;
    expect_read(&config, NULL, QWEN2 "}", NULL, NULL);
    assert_true(config.attention.qkv_bias && !config.attention.o_bias && !config.attention.qk_norms);
    expect_read(&config, NULL, QWEN3 "}", NULL, NULL);
    assert_true(config.attention.qk_norms && !config.attention.qkv_bias);
    assert_int_equal(config.attention.head_dim, 128);
    expect_read(&config, NULL, NEMOTRON ",\"kv_channels\":20,\"rope_percent\":0.5}", NULL, NULL);
    assert_int_equal(config.attention.head_dim, 20);
    assert_int_equal(config.rope.width, 10);
    assert_true(config.norm == NORM_LAYER_1P && config.mlp == MLP_SQUARED_RELU);
}

static void test_ranks_are_inherited_from_the_layer_before(void **unused) {
    (void)unused;
    ModelConfig config;
    expect_read(&config, &family_x_ecomla, LLAMA "}", BLOCKS "}",
                MLA ",\"layer_rank_list\":{\"0\":{\"q_rank\":6,\"kv_rank\":5}}}");
    assert_int_equal(config.ranks[0].q, 6);
    assert_int_equal(config.ranks[1].q, 6);
    assert_int_equal(config.ranks[1].kv, 5);
    assert_int_equal(config.mla.n_kv_heads, 4);
    assert_true(config.rope.scaling == ROPE_PLAIN);
}

static void test_zebra_shares_keys_and_values_unless_told_not_to(void **unused) {
    (void)unused;
    ModelConfig config;
    expect_read(&config, &family_zebra_llama, LLAMA "}",
                MLA ",\"intermediate_size\":12,\"mla_layers\":[0,1],\"num_key_value_heads\":2}", NULL);
    assert_int_equal(config.mla.n_kv_heads, 2);
    expect_read(&config, &family_zebra_llama, LLAMA "}",
                MLA ",\"intermediate_size\":12,\"mla_layers\":[0,1],\"num_key_value_heads\":2,"
                    "\"use_full_kv_head\":true}",
                NULL);
    assert_int_equal(config.mla.n_kv_heads, 4);
}

static void test_the_kind_of_mamba_follows_its_keys(void **unused) {
    (void)unused;
    ModelConfig config;
    expect_read(&config, &family_mamba_in_llama, LLAMA "}",
                SIDE ",\"attn_layers\":[1],\"ssm_cfg\":{\"expand\":1}}", NULL);
    assert_int_equal(config.mixers[0], MIXER_MAMBA1);
    assert_int_equal(config.mixers[1], MIXER_ATTENTION);
    assert_int_equal(config.mamba1.dt_rank, 2);
    expect_read(&config, &family_mamba_in_llama, LLAMA "}",
                SIDE ",\"attn_layers\":[],\"ssm_cfg\":{\"ngroups\":4,\"d_state\":8}}", NULL);
    assert_int_equal(config.mixers[1], MIXER_MAMBA2);
    assert_int_equal(config.mamba2.x_groups, 2);
}

static void test_vocabularies_are_padded_as_in_the_reference(void **unused) {
    (void)unused;
    ModelConfig config;
    expect_read(&config, NULL, LLAMBA ",\"ssm_cfg\":{\"n_v_heads\":4,\"n_qk_heads\":2}}", NULL, NULL);
    assert_int_equal(config.vocab_size, 16);
    expect_read(&config, NULL, MAMBA2 ",\"pad_vocab_size_multiple\":5,\"ssm_cfg\":{\"layer\":\"Mamba2\"}}",
                NULL, NULL);
    assert_int_equal(config.vocab_size, 10);
    assert_true(config.tied_head && config.mlp == MLP_NONE);
}

/* Frequencies of Llama-3.1-8B after a cast to bfloat16, and angles of SmolLM's when positions and products
 * are cast as well, as PyTorch gives them. */
static void test_bfloat16_runs_round_rotary_tables_as_the_reference_does(void **unused) {
    (void)unused;
    static const struct {
        size_t position, channel;
        float angle;
    } cases[] = {{257, 0, 256}, {259, 1, 195}, {1023, 3, 432}, {2047, 9, 154}};
    ModelConfig config;
    Rope rope;
    Error error = {0};
    rope_init(&rope, &(RopeConfig){.width = 128,
                                   .theta = 500000,
                                   .scaling = ROPE_LLAMA3,
                                   .factor = 8,
                                   .low_freq_factor = 1,
                                   .high_freq_factor = 4,
                                   .original_positions = 8192,
                                   .rounding = ROPE_ROUND_FREQUENCIES});
    assert_true(rope.frequencies[1] == 0.81640625F && rope.frequencies[2] == 0.6640625F &&
                rope.frequencies[20] == 0.0166015625F);
    rope_free(&rope);
    rope_init(&rope, &(RopeConfig){.width = 64, .theta = 10000, .rounding = ROPE_ROUND_ANGLES});
    assert_int_equal(rope_extend(&rope, 2048, &error), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float cosine = (float)cos((double)cases[i].angle);
        assert_same_bits(&rope.cosines[cases[i].position * 32 + cases[i].channel], &cosine, 1, "cosine");
    }
    rope_free(&rope);
    expect_read(&config, &family_mamba_in_llama, LLAMA "}",
                SIDE ",\"attn_layers\":[1],\"ssm_cfg\":{\"expand\":1}}", NULL);
    assert_int_equal(config.rope.rounding, ROPE_ROUND_FREQUENCIES);
    expect_read(&config, &family_x_ecomla, LLAMA "}", BLOCKS "}", MLA "}");
    assert_int_equal(config.rope.rounding, ROPE_ROUND_ANGLES);
    expect_read(&config, &family_x_ecomla, LLAMA "}", BLOCKS "}",
                MLA ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":8}}");
    assert_int_equal(config.rope.rounding, ROPE_EXACT);
}

static void test_wrong_combinations_are_named(void **unused) {
    (void)unused;
    static const struct {
        const Family *family;
        const char *texts[FAMILY_FILES];
        const char *words;
    } cases[] = {
        {NULL, {MISTRAL ",\"sliding_window\":0}"}, "sliding_window"},
        {NULL, {QWEN2 ",\"use_sliding_window\":3}"}, "use_sliding_window"},
        {NULL, {QWEN3 ",\"head_dim\":7}"}, "rotary width of a head is 7"},
        {NULL, {NEMOTRON ",\"hidden_act\":\"silu\"}"}, "hidden_act"},
        {NULL, {NEMOTRON ",\"partial_rotary_factor\":1.5}"}, "partial_rotary_factor is 1.5"},
        {NULL, {NEMOTRON ",\"partial_rotary_factor\":0.1}"}, "leaves nothing to rotate"},
        {NULL, {"{\"architectures\":[\"GPT2LMHeadModel\"]}"}, "Qwen3ForCausalLM"},
        {NULL, {"{}"}, "Llamba (model_type \"llamba\")"},
        {&family_x_ecomla,
         {LLAMA "}", "{\"d_model\":32,\"intermediate_size\":12,\"n_layer\":3}", MLA "}"},
         "n_layer is 3, but config.json's num_hidden_layers is 2"},
        {&family_x_ecomla,
         {LLAMA "}", "{\"intermediate_size\":12,\"attn_layers\":[1]}", MLA "}"},
         "attn_layers keeps layers"},
        {&family_x_ecomla, {LLAMA "}", BLOCKS "}", "{\"hidden_size\":31}"}, "hidden_size is 31"},
        {&family_x_ecomla, {LLAMA "}", BLOCKS "}", MLA ",\"layer_rank_list\":[]}"}, "layer_rank_list"},
        {&family_x_ecomla,
         {LLAMA "}", BLOCKS "}", MLA ",\"layer_rank_list\":{\"1\":{\"q_rank\":0,\"kv_rank\":1}}}"},
         "layer_rank_list entry 1"},
        {&family_x_ecomla, {LLAMA "}", BLOCKS "}", MLA ",\"rope_scaling\":{\"type\":\"linear\"}}"}, "linear"},
        {&family_mamba_in_llama,
         {QWEN2 "}", SIDE ",\"attn_layers\":[],\"ssm_cfg\":{}}"},
         "the base model is of the family qwen2"},
        {&family_mamba_in_llama, {LLAMA "}", SIDE ",\"attn_layers\":[]}"}, "ssm_cfg"},
        {&family_mamba_in_llama,
         {LLAMA "}", SIDE ",\"attn_layers\":[2],\"ssm_cfg\":{}}"},
         "attn_layers has an entry that is no layer number from 0 to 1"},
        {&family_mamba_in_llama,
         {LLAMA "}", SIDE ",\"attn_layers\":[],\"ssm_cfg\":{\"repeat_kv_before_conv\":false}}"},
         "repeat_kv_before_conv false"},
        {&family_mamba_in_llama,
         {LLAMA "}", SIDE ",\"attn_layers\":[],\"d_inner\":40,\"ssm_cfg\":{}}"},
         "d_xb 16 does not divide d_inner 40"},
        {&family_mamba_in_llama,
         {LLAMA ",\"rms_norm_eps\":1e-6}",
          "{\"intermediate_size\":12,\"d_xb\":16,\"rms_norm_eps\":1e-4,\"attn_layers\":[0],\"ssm_cfg\":{}}"},
         "rms_norm_eps is 0.0001, but config.json's"},
        {NULL, {LLAMBA "}"}, "ssm_cfg"},
        {NULL, {LLAMBA ",\"ssm_cfg\":{\"n_v_heads\":5}}"}, "n_v_heads 5 does not divide"},
        {NULL, {LLAMBA ",\"ssm_cfg\":{\"activation\":\"silu\"}}"}, "activation is \"silu\""},
        {NULL,
         {LLAMBA ",\"lm_head_bias\":true,\"ssm_cfg\":{\"n_v_heads\":4,\"n_qk_heads\":4}}"},
         "lm_head_bias"},
        {NULL, {MAMBA2 ",\"ssm_cfg\":{\"layer\":\"Mamba1\"}}"}, "layer is \"Mamba1\""},
        {NULL, {MAMBA2 ",\"rms_norm\":false,\"ssm_cfg\":{}}"}, "rms_norm is false"},
        {NULL, {MAMBA2 ",\"d_intermediate\":8,\"ssm_cfg\":{}}"}, "d_intermediate is 8"},
        {NULL, {MAMBA2 ",\"attn_layer_idx\":[2],\"ssm_cfg\":{}}"}, "attn_layer_idx has an entry"},
        {NULL, {MAMBA2 ",\"attn_layer_idx\":[1],\"ssm_cfg\":{}}"}, "attn_cfg"},
        {NULL, {MAMBA2_ATTENTION "\"num_heads\":2}}"}, "attn_cfg.causal is missing, which means false"},
        {NULL,
         {MAMBA2_ATTENTION "\"num_heads\":2,\"causal\":true,\"qkv_proj_bias\":true}}"},
         "qkv_proj_bias is true"},
        {NULL, {MAMBA2_ATTENTION "\"num_heads\":2,\"d_conv\":3," NO_BIASES "}}"}, "d_conv 3"},
        {NULL, {MAMBA2_ATTENTION "\"num_heads\":2,\"softmax_scale\":1," NO_BIASES "}}"}, "a softmax_scale"},
        {NULL,
         {MAMBA2_ATTENTION "\"num_heads\":2,\"rotary_emb_dim\":18," NO_BIASES "}}"},
         "rotary_emb_dim 18"},
        {NULL, {MAMBA2_ATTENTION "\"num_heads\":64,\"rotary_emb_dim\":2," NO_BIASES "}}"}, "head_dim 0"},
        {NULL, {MAMBA2 ",\"ssm_cfg\":{\"headdim\":7}}"}, "heads of width 7 (headdim)"},
        {NULL, {MAMBA2 ",\"ssm_cfg\":{\"headdim\":16,\"ngroups\":3}}"}, "3 groups (ngroups)"},
        {NULL, {MAMBA2 ",\"ssm_cfg\":{\"dt_limit\":[0.5,0.1]}}"}, "dt_limit begins at 0.5"},
        {NULL, {MAMBA2_HF ",\"num_heads\":9}"}, "num_heads is 9"},
        {NULL, {MAMBA2_HF ",\"num_heads\":8,\"time_step_limit\":3}"}, "time_step_limit"},
        {NULL, {MAMBA2_HF ",\"num_heads\":8,\"use_bias\":true}"}, "use_bias is true"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ModelConfig config;
        Error error = {0};
        if (read_texts(&config, cases[i].family, cases[i].texts, &error) == 0)
            fail_msg("case %zu (%s) was accepted", i, cases[i].words);
        if (!strstr(error.message, cases[i].words))
            fail_msg("the message is \"%s\", expected \"%s\" in it", error.message, cases[i].words);
    }
}

int run_engine_family_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models_report_what_they_are),
        cmocka_unit_test(test_bfloat16_halves_the_caches),
        cmocka_unit_test(test_state_bytes_of_wide_heads_are_the_formula),
        cmocka_unit_test(test_llama3_frequencies_are_the_reference),
        cmocka_unit_test(test_sliding_windows_follow_their_keys),
        cmocka_unit_test(test_transformers_differ_by_their_traits),
        cmocka_unit_test(test_ranks_are_inherited_from_the_layer_before),
        cmocka_unit_test(test_zebra_shares_keys_and_values_unless_told_not_to),
        cmocka_unit_test(test_the_kind_of_mamba_follows_its_keys),
        cmocka_unit_test(test_vocabularies_are_padded_as_in_the_reference),
        cmocka_unit_test(test_bfloat16_runs_round_rotary_tables_as_the_reference_does),
        cmocka_unit_test(test_wrong_combinations_are_named),
    };
    return cmocka_run_group_tests_name("engine families", tests, NULL, NULL);
}
