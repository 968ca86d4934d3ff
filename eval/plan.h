/* All requests of a run as one prefix tree, and the walk through it that computes each distinct prefix once.
 *
 * Requests are added, the plan is settled for a memory budget, and plan_step scores one batch after the
 * other, depth first. The state after a node is kept while something below it has yet to be fed. A node whose
 * state has no room within the budget is fed again with each node below it; how many tokens that costs is
 * known before the first one is computed.
 *
 * Prompts to be gone on from are in the tree like requests, their last token again not fed. When the state
 * before it is there, it is taken to a generator, where many sequences grow together, each by its own tokens
 * only; the room for all that they may become is reserved beforehand.
 *
 * Invariant: a target is read off the output at the token before it, after exactly the tokens of its request,
 * so each request's log-probabilities are those of feeding it alone, and they are added up in the same order.
 */
#ifndef ZEVAL_EVAL_PLAN_H
#define ZEVAL_EVAL_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "eval/encode.h"
#include "eval/eta.h"
#include "eval/generation.h"
#include "eval/metrics.h"
#include "runner/runner.h"

typedef struct Plan Plan;

Plan *plan_create(void);
void plan_free(Plan *plan);

/* Adds a request and sets *number to its number: they count from 0. The tokens are copied as far as they are
 * new. Fails only when there are more requests than a plan can number. */
int plan_add(Plan *plan, const EncodedRequest *request, uint32_t *number, Error *error);
/* The same of a prompt to be gone on from; its answer is the text. Prompts with the same tokens, settings and
 * seed are gone on from once. `settings` must outlive the plan. */
int plan_add_prompt(Plan *plan, const EncodedRequest *prompt, const Generation *settings, uint64_t seed,
                    uint32_t *number, Error *error);
/* Has to be called before a plan with prompts is walked. */
void plan_generate_with(Plan *plan, const GenerationRules *rules);

typedef struct PlanCounts {
    size_t n_requests;      /* prompts included */
    size_t n_prompts;       /* to be gone on from, each once */
    size_t tokens_to_make;  /* most that they may become */
    size_t tokens_alone;    /* were each request fed on its own */
    size_t tokens_distinct; /* distinct prefixes of all inputs: the least that can be computed */
    size_t tokens_again;    /* fed once more because a state has no room in the budget */
    size_t n_states;        /* states to be kept on the way, each for a while */
    size_t state_bytes;     /* most that the states take at once, feeding one segment at a time */
} PlanCounts;

/* Ends the adding and decides which states are kept. budget_bytes is for states; the path from the root to
 * one leaf is fed even if it alone takes more. */
void plan_settle(Plan *plan, const ModelInfo *model, size_t budget_bytes);
/* Batches take in no further sequence when all states together would take more than `bytes`, or, if that is
 * more, than twice what one segment at a time needs: what is computed stays the same, in smaller batches.
 * Prompts, many of which have to grow at once, are held by the budget alone. Before the plan is settled; 0,
 * the default, is no such bound. */
void plan_narrow(Plan *plan, size_t bytes);
/* Of a settled plan. */
PlanCounts plan_counts(const Plan *plan);

/* Scores the next batch, about batch_tokens tokens: 1, or 0 when everything is scored, or -1. */
int plan_step(Plan *plan, Engine *engine, size_t batch_tokens, Error *error);
/* The requests that the last step answered. */
const uint32_t *plan_answered(const Plan *plan, size_t *n);
/* A generated text lives until the next step. */
Answer plan_answer(const Plan *plan, uint32_t request);
/* Tokens fed so far, generated ones not counted; at the end tokens_distinct + tokens_again. */
size_t plan_tokens_fed(const Plan *plan);
/* Tokens generated so far, and prompts whose texts are finished. */
size_t plan_tokens_made(const Plan *plan);
size_t plan_prompts_done(const Plan *plan);
/* EtaWork done so far, and what is left: that of prompts is reckoned from how many tokens it took so far
 * until one was finished. */
EtaWork plan_work_done(const Plan *plan);
EtaWork plan_work_left(const Plan *plan);
/* What the walk of a settled plan keeps states within, unless one segment at a time needs more. */
size_t plan_room_bytes(const Plan *plan);
/* The most bytes that states were reckoned to take at once so far. */
size_t plan_peak_bytes(const Plan *plan);

#endif
