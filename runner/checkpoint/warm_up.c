#include "runner/checkpoint/warm_up.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/memory.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

/* A step is short enough to stop after, and long enough for a disk to read ahead. */
static const size_t STEP_BYTES = (size_t)8 << 20, WORTH_A_THREAD = (size_t)32 << 20;

struct WarmUp {
    pthread_t thread;
    const Checkpoint *checkpoint;
    atomic_bool stop;
};

/* Older kernels know no MADV_POPULATE_READ, but begin to read what they are told will be needed. */
static void touch(const uint8_t *data, size_t bytes) {
    void *start = (void *)(uintptr_t)data;
    if (madvise(start, bytes, MADV_POPULATE_READ))
        madvise(start, bytes, MADV_WILLNEED);
}

static void *touch_files(void *context) {
    WarmUp *warm_up = context;
    for (size_t i = 0; i < warm_up->checkpoint->n_files; i++) {
        const FileMap *map = &warm_up->checkpoint->files[i].map;
        for (size_t at = 0; at < map->bytes && !atomic_load(&warm_up->stop); at += STEP_BYTES)
            touch(map->data + at, map->bytes - at < STEP_BYTES ? map->bytes - at : STEP_BYTES);
    }
    return NULL;
}

WarmUp *warm_up_begin(const Checkpoint *checkpoint) {
    size_t bytes = 0;
    for (size_t i = 0; i < checkpoint->n_files; i++)
        bytes += checkpoint->files[i].map.bytes;
    if (bytes < WORTH_A_THREAD)
        return NULL;
    WarmUp *warm_up = mem_alloc_zero(1, sizeof *warm_up);
    warm_up->checkpoint = checkpoint;
    if (pthread_create(&warm_up->thread, NULL, touch_files, warm_up)) {
        free(warm_up);
        return NULL;
    }
    return warm_up;
}

void warm_up_end(WarmUp *warm_up) {
    if (!warm_up)
        return;
    atomic_store(&warm_up->stop, true);
    pthread_join(warm_up->thread, NULL);
    free(warm_up);
}
