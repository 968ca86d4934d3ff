/* A checkpoint's files in memory of the process's own instead of mapped ones. */
#ifndef ZEVAL_RUNNER_CHECKPOINT_COPY_H
#define ZEVAL_RUNNER_CHECKPOINT_COPY_H

#include "base/threads.h"
#include "runner/checkpoint/checkpoint.h"

/* Reads all files into memory in large pages, at the addresses where they were mapped, so that weights that
 * are in use stay where they are. Each tensor is read by all threads, every one its contiguous share, which
 * is what it will multiply by later: the pages lie on that thread's node. An error if there is no memory for
 * it; some files may then be copied, and others mapped still. */
int checkpoint_copy(Checkpoint *checkpoint, ThreadPool *pool, Error *error);

#endif
