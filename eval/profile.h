/* Where a run's time went, stage by stage; within the engine, runner.h's EngineProfile says more. */
#ifndef ZEVAL_EVAL_PROFILE_H
#define ZEVAL_EVAL_PROFILE_H

#include "base/buffer.h"
#include "runner/runner.h"

typedef enum EvalStage {
    STAGE_OPENING,  /* task files and data sets, tokenizer, weights mapped */
    STAGE_HASHING,  /* model and tokenizer files; nothing for those whose hash is remembered */
    STAGE_READING,  /* documents, prompts, tokens, on all threads */
    STAGE_PLANNING, /* answers looked up, the tree of prefixes */
    STAGE_WALKING,  /* the tree, besides the engine; part of the next stage unless detailed */
    STAGE_ENGINE,
    STAGE_DATABASE,  /* writing */
    STAGE_STATISTICS /* aggregates and their standard errors */
} EvalStage;
enum { EVAL_STAGES = STAGE_STATISTICS + 1 };

typedef struct EvalProfile {
    double seconds[EVAL_STAGES];
    double total; /* of the whole call */
    bool detailed;
    EngineProfile engine; /* if detailed */
} EvalProfile;

/* Keeps what the engine measured, and moves what its calls did not take from STAGE_ENGINE to STAGE_WALKING.
 */
void eval_profile_split(EvalProfile *profile, EngineProfile engine);
/* Appends a table of stages and, if detailed, one of the engine's phases. */
void eval_profile_text(const EvalProfile *profile, Buffer *out);

#endif
