/* See profile.h. */
#include "eval/profile.h"

static const char *const stage_names[] = {[STAGE_OPENING] = "tasks, tokenizer, model opened",
                                          [STAGE_HASHING] = "files hashed",
                                          [STAGE_READING] = "documents read, tokenised",
                                          [STAGE_PLANNING] = "answers found, tree planned",
                                          [STAGE_WALKING] = "tree walked",
                                          [STAGE_ENGINE] = "engine",
                                          [STAGE_DATABASE] = "database written",
                                          [STAGE_STATISTICS] = "statistics"};

static void append_stage(const char *name, double seconds, double total, Buffer *out) {
    buffer_printf(out, "%-30s %9.3f s %5.1f %%\n", name, seconds, total > 0 ? 100 * seconds / total : 0);
}

void eval_profile_split(EvalProfile *profile, EngineProfile engine) {
    double within = 0;
    for (int i = PHASE_OUTSIDE + 1; i < ENGINE_PHASES; i++)
        within += engine.seconds[i];
    profile->engine = engine;
    profile->seconds[STAGE_WALKING] = profile->seconds[STAGE_ENGINE] - within;
    profile->seconds[STAGE_ENGINE] = within;
}

void eval_profile_text(const EvalProfile *profile, Buffer *out) {
    double rest = profile->total;
    for (int i = 0; i < EVAL_STAGES; i++) {
        append_stage(stage_names[i], profile->seconds[i], profile->total, out);
        rest -= profile->seconds[i];
    }
    append_stage("rest", rest, profile->total, out);
    append_stage("run", profile->total, profile->total, out);
    if (profile->detailed) {
        buffer_append_text(out, "\nwithin the engine:\n");
        engine_profile_text(&profile->engine, out);
    }
}
