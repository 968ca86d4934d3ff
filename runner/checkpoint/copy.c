#include "runner/checkpoint/copy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"

enum { STEP_BYTES = 2 * 1024 * 1024 };

typedef struct Copy {
    const uint8_t *from;
    uint8_t *to;
    size_t bytes;
} Copy;

/* Whole pages that were read are given back to the file: or its pages and the copy's would be resident at
 * once. */
static void copy_step(void *context, size_t i, int thread) {
    (void)thread;
    const Copy *copy = context;
    size_t at = i * STEP_BYTES, n = copy->bytes - at < STEP_BYTES ? copy->bytes - at : STEP_BYTES;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)(copy->from + at), end = begin + n;
    memcpy(copy->to + at, copy->from + at, n);
    begin = (begin + page - 1) / page * page;
    end = end / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static int compare_offsets(const void *a, const void *b) {
    size_t left = *(const size_t *)a, right = *(const size_t *)b;
    return (left > right) - (left < right);
}

/* Where the file's parts begin: its first byte, its tensors, its end. Free it. */
static size_t *part_offsets(const TensorFile *file) {
    size_t n = file->n_tensors, *offsets = mem_alloc((n + 2) * sizeof *offsets);
    for (size_t i = 0; i < n; i++)
        offsets[i] = (size_t)(file->tensors[i].data - file->map.data);
    offsets[n] = 0;
    offsets[n + 1] = file->map.bytes;
    qsort(offsets, n + 2, sizeof *offsets, compare_offsets);
    return offsets;
}

static int copy_file(TensorFile *file, ThreadPool *pool, Error *error) {
    uint8_t *twin = file_map_twin(&file->map, error);
    if (!twin)
        return -1;
    size_t *offsets = part_offsets(file);
    for (size_t i = 0; i <= file->n_tensors; i++) {
        Copy copy = {file->map.data + offsets[i], twin + offsets[i], offsets[i + 1] - offsets[i]};
        thread_pool_run(pool, (copy.bytes + STEP_BYTES - 1) / STEP_BYTES, copy_step, &copy);
    }
    free(offsets);
    return file_map_replace(&file->map, twin, error);
}

int checkpoint_copy(Checkpoint *checkpoint, ThreadPool *pool, Error *error) {
    for (size_t i = 0; i < checkpoint->n_files; i++)
        if (copy_file(&checkpoint->files[i], pool, error))
            return error_prefix(error, "copying %s", checkpoint->files[i].path);
    return 0;
}
