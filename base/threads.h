/* A small pool of threads for loops whose iterations do not depend on each other. */
#ifndef ZEVAL_BASE_THREADS_H
#define ZEVAL_BASE_THREADS_H

#include <stddef.h>

#include "base/error.h"

typedef struct ThreadPool ThreadPool;

/* A pool that runs loops on n_threads threads, the caller's included (1 to 1024; 0: one per processor). */
int thread_pool_create(ThreadPool **out, int n_threads, Error *error);
void thread_pool_destroy(ThreadPool *pool);
int thread_pool_size(const ThreadPool *pool);

/* Calls body(context, i, thread) once for every i in [0, n), spread over the threads in the order they become
 * free; `thread` is in [0, size), for per-thread scratch memory. Returns when all are done. Which thread runs
 * which i is not determined, so results must not depend on it. */
typedef void ThreadBody(void *context, size_t i, int thread);
void thread_pool_run(ThreadPool *pool, size_t n, ThreadBody *body, void *context);

/* Processors this process may use. */
int thread_processors(void);

#endif
