/* See budget.h. Linux says what is free in /proc/meminfo and what a process holds in /proc/self/statm; where
 * neither can be read, a modest machine is assumed. */
#include "eval/budget.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const size_t ASSUMED_FREE = (size_t)2 << 30;

static size_t free_bytes(void) {
    char line[128];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && !kib && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) != 1)
            kib = 0;
    if (file)
        fclose(file);
    return kib ? (size_t)kib * 1024 : ASSUMED_FREE;
}

/* What the process holds that is not mapped from files, and what it is going to: the libraries' own pages,
 * the database's cache, the engine's workspace, which are not all touched before the first batch. */
static size_t held_bytes(void) {
    static const size_t GOING_TO = (size_t)24 << 20;
    unsigned long long size, resident = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%llu %llu %llu", &size, &resident, &shared) != 3)
        resident = shared = 0;
    if (file)
        fclose(file);
    size_t pages = resident > shared ? (size_t)(resident - shared) : 0;
    return pages * (size_t)sysconf(_SC_PAGESIZE) + GOING_TO;
}

/* A walk is as fast with states of a few hundred tokens of which it fills the engine's tiles as with more. A
 * model's states are about the smaller the fewer weights it has, and what is small next to these costs
 * nothing. */
static size_t narrow_bytes(size_t weights) {
    static const size_t SHARE = 10, LEAST = (size_t)4 << 20;
    return weights / SHARE > LEAST ? weights / SHARE : LEAST;
}

Budget budget_find(const RunParts *parts) {
    size_t held = held_bytes(), weights = 0, asked = parts->options->memory_bytes;
    for (size_t i = 0; i < parts->model.n_files; i++)
        weights += (size_t)parts->model.files[i].bytes;
    Budget budget = {
        .is_asked = asked > 0, .narrow_bytes = narrow_bytes(weights), .fixed_bytes = held + weights};
    if (asked) {
        budget.process_bytes = asked;
        budget.state_bytes = asked > budget.fixed_bytes ? asked - budget.fixed_bytes : 0;
        return budget;
    }
    size_t room = free_bytes();
    budget.state_bytes = room > weights ? (room - weights) / 2 : 0;
    budget.process_bytes = budget.fixed_bytes + budget.state_bytes;
    return budget;
}
