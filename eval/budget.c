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

Budget budget_find(const RunParts *parts) {
    size_t held = held_bytes(), weights = 0, asked = parts->options->memory_bytes;
    for (size_t i = 0; i < parts->model.n_files; i++)
        weights += (size_t)parts->model.files[i].bytes;
    size_t fixed = held + weights;
    if (asked)
        return (Budget){
            .process_bytes = asked, .state_bytes = asked > fixed ? asked - fixed : 0, .fixed_bytes = fixed};
    size_t room = free_bytes(), states = room > weights ? (room - weights) / 2 : 0;
    return (Budget){.process_bytes = fixed + states, .state_bytes = states, .fixed_bytes = fixed};
}
