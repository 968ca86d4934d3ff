/* runner: loads a checkpoint and computes log-probabilities. A Model is immutable once loaded; an Engine runs
 * it on a backend; a State is what the layers remember of a token sequence and can be forked at no cost in
 * tokens.
 *
 * The one hot call is engine_score: a batch of segments of many sequences in, log-probabilities of the wanted
 * targets out. Numeric promise: on the CPU a segment's results are the same bits whatever else is in the
 * batch, however the sequence was cut into segments and however many threads there are. The instruction sets
 * with a fused multiply-add (avx2, avx512) agree with each other, "portable" differs in the last bits. */
#ifndef ZEVAL_RUNNER_RUNNER_H
#define ZEVAL_RUNNER_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "runner/tokenizer/tokenizer.h"

/* Bumped whenever any score may change in its bits: stored scores of another version are not reused. */
#define ENGINE_NUMERICS_VERSION 8

typedef enum Dtype { DTYPE_FLOAT32, DTYPE_BFLOAT16, DTYPE_FLOAT16 } Dtype;
const char *dtype_name(Dtype dtype); /* "float32", "bfloat16", "float16" */
int dtype_parse(const char *name, Dtype *out, Error *error);

/* What a layer mixes the sequence with. */
typedef enum MixerKind { MIXER_ATTENTION, MIXER_MLA, MIXER_MAMBA2, MIXER_MAMBA1, MIXER_LLAMBA } MixerKind;
enum { MIXER_KINDS = MIXER_LLAMBA + 1 };
const char *mixer_name(MixerKind kind); /* "attention", "mla", "mamba2", "mamba1", "llamba" */

/* Facts of a loaded model; lives as long as the engine. */
typedef struct ModelInfo {
    const char *family;       /* "llama", "zebra-llama", ... */
    const char *architecture; /* the config's own word: "LlamaForCausalLM" */
    int64_t n_layers, hidden_size, vocab_size;
    int64_t max_position_embeddings; /* 0 if the config names none */
    int64_t n_parameters;            /* elements of all distinct weights, a tied head counted once */
    Dtype weights_dtype;             /* of the embedding, as stored */
    const MixerKind *mixers;         /* [n_layers] */
    size_t state_bytes_per_token;    /* what a sequence's caches grow by with each token */
    size_t state_bytes_fixed;        /* of its recurrent state, whatever its length */
    size_t state_block_tokens;       /* caches grow by so many tokens at once; a fork copies a part block */
    /* The same of a segment whose state nobody wants, and that is computed within one tile. */
    size_t passing_bytes_per_token, passing_bytes_fixed;
    size_t tile_tokens; /* computed at once: a batch's tokens are cut into so many after another */
    const char *const *weight_files; /* [n_weight_files] paths of the checkpoint's files that were read */
    size_t n_weight_files;
    int32_t bos_token_id, eos_token_id; /* the config's; -1 if absent */
} ModelInfo;

typedef struct Engine Engine;

typedef struct EngineOptions {
    const char *model_folder; /* config.json, weights; tokenizer files are not read here */
    Dtype dtype;              /* of the arithmetic; float32 is the reference */
    const char *backend;      /* "cpu" (NULL means that too) */
    int n_threads;            /* 0: one per processor */
    bool pin_threads;         /* each but the calling one stays on a processor (base/threads.h) */
    bool copy_weights; /* into memory of the process's own, in large pages, instead of mapping their files */
    const char
        *instruction_set; /* portable, avx2, avx512, avx512_bf16; NULL: what ZEVAL_ISA says, or the best */
} EngineOptions;

/* Opens a checkpoint folder: recognises the family from the files, maps the weights, checks every tensor's
 * presence, shape and dtype against the config. On failure *out is NULL and the error names file and field or
 * tensor. */
int engine_open(Engine **out, const EngineOptions *options, Error *error);
void engine_close(Engine *engine);
/* Begins to read the weights in the background, for a caller who has other work before the first batch. */
void engine_warm_up(Engine *engine);
const ModelInfo *engine_info(const Engine *engine);
Dtype engine_dtype(const Engine *engine);
const char *engine_backend(const Engine *engine);
/* "avx512", "avx2", "portable": which kernels the CPU backend chose. */
const char *engine_instruction_set(const Engine *engine);

/* What an engine's time goes into. */
typedef enum EnginePhase {
    PHASE_OUTSIDE, /* between calls */
    PHASE_REST,
    PHASE_LINEAR,
    PHASE_ATTENTION,
    PHASE_SCAN,
    PHASE_CONVOLUTION,
    PHASE_HEAD
} EnginePhase;
enum { ENGINE_PHASES = PHASE_HEAD + 1 };
const char *engine_phase_name(EnginePhase phase); /* "linear layers", ... */

typedef struct EngineProfile {
    double seconds[ENGINE_PHASES];    /* on the clock */
    double waiting[ENGINE_PHASES];    /* thread-seconds in which a thread had nothing to do */
    double operations[ENGINE_PHASES]; /* of matrix products, a multiply-add being two; 0 where not counted */
    int n_threads;
    double
        ceiling; /* operations a second of this arithmetic's multiply-adds when measuring began; 0: unknown */
} EngineProfile;

/* Measures from now on; first measures the ceiling, which takes a quarter of a second. */
void engine_profile_start(Engine *engine);
/* What was measured so far; all zeros if that was never begun. */
EngineProfile engine_profile(Engine *engine);
/* Appends a table: each phase's seconds, share, waiting threads, operations a second against the ceiling. */
void engine_profile_text(const EngineProfile *profile, Buffer *out);

/* An immutable snapshot of a sequence after some tokens, reference-counted. Attention and latent caches are
 * lists of shared blocks; recurrent states belong to one snapshot. NULL stands for the empty sequence. States
 * must be released before their engine is closed. Retain and release are not thread-safe against each other.
 */
typedef struct State State;
State *state_retain(State *state);
void state_release(State *state); /* NULL is allowed */
/* Tokens the sequence has so far. */
int64_t state_position(const State *state);
/* Bytes that only this snapshot holds, which is what releasing it would give back; cache blocks shared with
 * other snapshots do not count. 0 for NULL. */
size_t state_bytes_own(const State *state);

/* Appends a snapshot as bytes that state_restore understands. The bytes begin with a description of the
 * model: its layers, sizes, arithmetic, and a fingerprint of its weights. NULL, the empty sequence, can be
 * saved too. Fails if the state belongs to another engine. */
int state_save(Buffer *out, const Engine *engine, const State *state, Error *error);
/* The state those bytes stand for, owned by the caller; NULL for the empty sequence. Going on from it gives
 * the same bits as going on from the state that was saved. Bytes that are cut short, damaged, or of a model
 * that is not this one (another number of layers, other weights) are refused with a sentence, and *out is
 * NULL. Any engine of the same checkpoint takes them, also in another process or on another day. The checksum
 * finds damage, not malice: whoever can write it can make up numbers, but not harm the process. */
int state_restore(State **out, Engine *engine, const void *bytes, size_t n, Error *error);

/* A wanted target: the log-probability of `token` following the segment's first `position`+1 tokens (that is,
 * read off the output at index `position` of the segment). */
typedef struct Target {
    int32_t position;
    int32_t token;
} Target;

typedef struct TargetResult {
    double logprob; /* natural log-softmax over the vocabulary, computed in float32, summed wider */
    int32_t argmax; /* most likely token there; the lowest id among equals */
} TargetResult;

/* One run of consecutive tokens of one sequence. */
typedef struct Segment {
    State *parent;         /* what came before; NULL for the empty sequence. Borrowed, unless move_parent. */
    const int32_t *tokens; /* [n_tokens], n_tokens >= 1, each in [0, vocab_size) */
    size_t n_tokens;
    const Target *targets; /* [n_targets], positions ascending */
    size_t n_targets;
    TargetResult *results; /* [n_targets], written */
    float *logits;         /* NULL, or [n_tokens - logits_from, vocab_size] float32, written */
    size_t logits_from;
    bool move_parent; /* the call takes over the caller's reference to `parent` and may extend it in place;
                         on failure the reference is gone too. Other segments of the same batch may
                         still borrow that parent. The call sets `parent` to NULL. */
    bool want_state;
    State *state; /* out if want_state: the sequence after the last token, owned by the caller; else NULL */
} Segment;

/* Runs a batch of independent segments (no segment's parent is another one's result). All or nothing: on
 * failure no state is handed out. Fails on a token id outside the vocabulary and on memory exhaustion. */
int engine_score(Engine *engine, Segment *segments, size_t n_segments, Error *error);

#endif
