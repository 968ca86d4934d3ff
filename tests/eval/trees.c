/* See trees.h. The answers are found without the plan: a request's input is fed as one segment, a prompt is
 * fed anew with each token that it grows by. */
#include "tests/eval/trees.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runner/generate.h"

/* A request that goes on from somewhere in a former one, or stops there, or is the same again. Some
 * continuations are long, as in texts scored in windows, some are one token. */
static void make_request(Random *random, Trees *trees, size_t i, int64_t vocab_size) {
    EncodedRequest *out = &trees->items[i];
    const EncodedRequest *former = i ? &trees->items[random_below(random, i)] : NULL;
    size_t shared = former ? random_below(random, former->tokens.n + 1) : 0;
    size_t more = random_below(random, 3) ? random_below(random, 12) : random_below(random, 60);
    for (size_t j = 0; j < shared; j++)
        token_ids_append(&out->tokens, former->tokens.ids[j]);
    while (out->tokens.n < 2 || (more > 0 && out->tokens.n < MAX_TOKENS)) {
        token_ids_append(&out->tokens, (int32_t)random_below(random, (uint64_t)vocab_size));
        more -= more > 0;
    }
    size_t n = out->tokens.n, most = random_below(random, 3) ? 4 : n;
    out->n_context = n - 1 - random_below(random, most < n - 1 ? most : n - 1);
    if (random_below(random, 8) > 0)
        return;
    if (random_below(random, 10) == 0)
        out->tokens.n = 1; /* nothing but the token that the walk never feeds */
    out->n_context = out->tokens.n;
    trees->settings[i] = &trees->kinds[random_below(random, N_SETTINGS)];
    trees->seeds[i] = random_below(random, 3);
}

static int compare_inputs(const void *a, const void *b) {
    const EncodedRequest *x = a, *y = b;
    size_t nx = x->tokens.n - 1, ny = y->tokens.n - 1, n = nx < ny ? nx : ny;
    for (size_t i = 0; i < n; i++)
        if (x->tokens.ids[i] != y->tokens.ids[i])
            return x->tokens.ids[i] < y->tokens.ids[i] ? -1 : 1;
    return nx < ny ? -1 : nx > ny;
}

/* Sorted inputs: each adds what it does not have in common with the one before. */
static size_t count_distinct(const Trees *trees) {
    static EncodedRequest sorted[N_REQUESTS];
    memcpy(sorted, trees->items, sizeof sorted);
    qsort(sorted, N_REQUESTS, sizeof *sorted, compare_inputs);
    size_t sum = 0;
    for (size_t i = 0; i < N_REQUESTS; i++) {
        size_t common = 0, n = sorted[i].tokens.n - 1;
        while (i > 0 && common < n && common < sorted[i - 1].tokens.n - 1 &&
               sorted[i].tokens.ids[common] == sorted[i - 1].tokens.ids[common])
            common++;
        sum += n - common;
    }
    return sum;
}

/* Feeds the whole input as one segment and sums by hand. */
static Answer score_alone(Engine *engine, const EncodedRequest *request) {
    size_t n = request->tokens.n - request->n_context;
    Target targets[MAX_TOKENS];
    TargetResult results[MAX_TOKENS];
    for (size_t i = 0; i < n; i++)
        targets[i] = (Target){.position = (int32_t)(request->n_context - 1 + i),
                              .token = request->tokens.ids[request->n_context + i]};
    Segment segment = {.tokens = request->tokens.ids,
                       .n_tokens = request->tokens.n - 1,
                       .targets = targets,
                       .n_targets = n,
                       .results = results};
    assert_int_equal(engine_score(engine, &segment, 1, NULL), 0);
    Answer answer = {.is_greedy = true};
    for (size_t i = 0; i < n; i++) {
        answer.loglikelihood += results[i].logprob;
        answer.is_greedy &= results[i].argmax == targets[i].token;
    }
    return answer;
}

/* The most likely token after a sequence, read off the logits; the lowest id among equals. */
static int32_t most_likely(Engine *engine, const TokenIds *sequence) {
    size_t vocab_size = (size_t)engine_info(engine)->vocab_size, best = 0;
    float *logits = mem_alloc(vocab_size * sizeof *logits);
    Segment segment = {
        .tokens = sequence->ids, .n_tokens = sequence->n, .logits = logits, .logits_from = sequence->n - 1};
    assert_int_equal(engine_score(engine, &segment, 1, NULL), 0);
    for (size_t i = 1; i < vocab_size; i++)
        if (logits[i] > logits[best])
            best = i;
    free(logits);
    return (int32_t)best;
}

static int collect(void *ids, int32_t token, Error *error) {
    (void)error;
    token_ids_append(ids, token);
    return 0;
}

/* All tokens that a prompt may become: no stop string is looked at. */
static void grow_alone(Engine *engine, const EncodedRequest *prompt, const Generation *settings,
                       uint64_t seed, TokenIds *out) {
    TokenIds sequence = {0};
    if (settings->temperature > 0) {
        GenerateOptions options = {.prompt = prompt->tokens.ids,
                                   .n_prompt = prompt->tokens.n,
                                   .max_new_tokens = settings->max_new_tokens,
                                   .temperature = settings->temperature,
                                   .top_k = settings->top_k,
                                   .top_p = settings->top_p,
                                   .seed = seed};
        assert_int_equal(engine_generate(engine, &options, collect, out, NULL), 0);
        return;
    }
    for (size_t i = 0; i < prompt->tokens.n; i++)
        token_ids_append(&sequence, prompt->tokens.ids[i]);
    for (size_t i = 0; i < settings->max_new_tokens; i++) {
        token_ids_append(&sequence, most_likely(engine, &sequence));
        token_ids_append(out, sequence.ids[sequence.n - 1]);
    }
    token_ids_free(&sequence);
}

static const char *text_alone(Engine *engine, Trees *trees, size_t i) {
    const Generation *settings = trees->settings[i];
    TokenIds ids = {0};
    Buffer text = {0};
    size_t n = 0;
    grow_alone(engine, &trees->items[i], settings, trees->seeds[i], &ids);
    while (n < ids.n && ids.ids[n] != tokenizer_eos_id(trees->tokenizer))
        n++;
    buffer_append_text(&text, "");
    assert_int_equal(tokenizer_decode(trees->tokenizer, ids.ids, n, true, &text, NULL), 0);
    for (size_t s = 0; s < settings->n_stops; s++) {
        char *found = strstr(text.data, settings->stops[s]);
        if (found)
            *found = '\0';
    }
    const char *kept = arena_strdup(&trees->texts, text.data);
    buffer_free(&text);
    token_ids_free(&ids);
    return kept;
}

static void make_settings(Trees *trees) {
    static const char *const json[N_SETTINGS] = {
        "{\"until\": [\"e\", \"th\"], \"max_gen_toks\": 12}", "{\"until\": [], \"max_gen_toks\": 5}",
        "{\"until\": [\"a\"], \"max_gen_toks\": 9, \"do_sample\": true, \"temperature\": 2.5}",
        "{\"until\": [\"Q:\", \"!\"], \"max_gen_toks\": 20, \"temperature\":1, \"top_k\":20, \"top_p\":0.9}"};
    Error error = {0};
    if (tokenizer_open(&trees->tokenizer, "zoo/demo/model", &error) ||
        generation_rules_init(&trees->rules, trees->tokenizer, "zoo/demo/model", COMPAT_MAIN, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (generation_parse(&trees->kinds[i], &trees->rules, json[i], &error))
            fail_msg("%s", error.message);
}

Trees *trees_make(Engine *engine, uint64_t seed) {
    Trees *trees = mem_alloc_zero(1, sizeof *trees);
    Random random;
    random_seed(&random, seed);
    make_settings(trees);
    for (size_t i = 0; i < N_REQUESTS; i++) {
        make_request(&random, trees, i, engine_info(engine)->vocab_size);
        if (trees->settings[i])
            trees->alone[i] = (Answer){.loglikelihood = NAN, .text = text_alone(engine, trees, i)};
        else
            trees->alone[i] = score_alone(engine, &trees->items[i]);
        trees->tokens_alone += trees->items[i].tokens.n - 1;
    }
    trees->tokens_distinct = count_distinct(trees);
    return trees;
}

void trees_free(Trees *trees) {
    for (size_t i = 0; i < N_REQUESTS; i++)
        encoded_request_free(&trees->items[i]);
    for (size_t i = 0; i < N_SETTINGS; i++)
        generation_free(&trees->kinds[i]);
    generation_rules_free(&trees->rules);
    tokenizer_close(trees->tokenizer);
    arena_free(&trees->texts);
    free(trees);
}
