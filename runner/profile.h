/* Where an engine's time goes. The calling thread tells what it turns to (profile_enter), which costs one
 * test while profiling is off and one reading of the clock while it is on; loops run on all threads, and what
 * those spend inside is measured by the pool. */
#ifndef ZEVAL_RUNNER_PROFILE_H
#define ZEVAL_RUNNER_PROFILE_H

#include <stdbool.h>

#include "base/threads.h"
#include "runner/runner.h"

typedef struct Profile {
    bool on;
    ThreadPool *pool;
    EnginePhase phase;      /* what the calling thread is at */
    double since_s;         /* when it turned to that */
    ThreadTimes since_pool; /* and what the pool had measured then */
    EngineProfile totals;
} Profile;

void profile_start(Profile *profile, ThreadPool *pool);
void profile_switch(Profile *profile, EnginePhase phase);

/* Turns to `phase`; returns what it was at, to go back to. */
static inline EnginePhase profile_enter(Profile *profile, EnginePhase phase) {
    EnginePhase before = profile->phase;
    if (profile->on)
        profile_switch(profile, phase);
    return before;
}

static inline void profile_count(Profile *profile, EnginePhase phase, double operations) {
    if (profile->on)
        profile->totals.operations[phase] += operations;
}

#endif
