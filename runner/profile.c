/* See profile.h. */
#include "runner/profile.h"

#include "base/buffer.h"
#include "base/progress.h"

const char *engine_phase_name(EnginePhase phase) {
    static const char *const names[] = {[PHASE_OUTSIDE] = "outside the engine",
                                        [PHASE_REST] = "norms, sums, embedding",
                                        [PHASE_LINEAR] = "linear layers",
                                        [PHASE_ATTENTION] = "attention",
                                        [PHASE_SCAN] = "state-space scan and gate",
                                        [PHASE_CONVOLUTION] = "convolution",
                                        [PHASE_HEAD] = "output head"};
    return names[phase];
}

void profile_start(Profile *profile, ThreadPool *pool) {
    thread_pool_measure(pool, true);
    *profile = (Profile){.on = true, .pool = pool, .phase = PHASE_OUTSIDE, .since_s = clock_seconds()};
    profile->totals.n_threads = thread_pool_size(pool);
}

/* Outside loops the calling thread works and all others wait. */
void profile_switch(Profile *profile, EnginePhase phase) {
    double now = clock_seconds(), seconds = now - profile->since_s;
    ThreadTimes times = thread_pool_times(profile->pool);
    double in_loops = times.wall_s - profile->since_pool.wall_s,
           busy = times.busy_s - profile->since_pool.busy_s;
    profile->totals.seconds[profile->phase] += seconds;
    profile->totals.waiting[profile->phase] +=
        profile->totals.n_threads * seconds - (busy + seconds - in_loops);
    profile->phase = phase;
    profile->since_s = now;
    profile->since_pool = times;
}

static void append_line(const char *name, const EngineProfile *profile, double seconds, double waiting,
                        double operations, double total, Buffer *out) {
    buffer_printf(out, "%-26s %9.3f s %5.1f %%", name, seconds, total > 0 ? 100 * seconds / total : 0);
    buffer_printf(out, "   waiting %5.1f %%",
                  seconds > 0 ? 100 * waiting / (seconds * profile->n_threads) : 0);
    if (operations > 0 && seconds > 0) {
        buffer_printf(out, "   %8.1f Gop/s", operations / seconds * 1e-9);
        if (profile->ceiling > 0)
            buffer_printf(out, " = %.3f of the ceiling", operations / seconds / profile->ceiling);
    }
    buffer_append_text(out, "\n");
}

void engine_profile_text(const EngineProfile *profile, Buffer *out) {
    double seconds = 0, waiting = 0, operations = 0;
    for (int i = PHASE_OUTSIDE + 1; i < ENGINE_PHASES; i++) {
        seconds += profile->seconds[i];
        waiting += profile->waiting[i];
        operations += profile->operations[i];
    }
    for (int i = PHASE_OUTSIDE + 1; i < ENGINE_PHASES; i++)
        if (profile->seconds[i] > 0)
            append_line(engine_phase_name((EnginePhase)i), profile, profile->seconds[i], profile->waiting[i],
                        profile->operations[i], seconds, out);
    append_line("engine, threads together", profile, seconds, waiting, operations, seconds, out);
    if (profile->ceiling > 0)
        buffer_printf(out, "ceiling: %.1f Gop/s of multiply-adds, threads: %d, measured at the start\n",
                      profile->ceiling * 1e-9, profile->n_threads);
}
