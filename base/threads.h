/* A small pool of threads for loops whose iterations do not depend on each other. */
#ifndef ZEVAL_BASE_THREADS_H
#define ZEVAL_BASE_THREADS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct ThreadPool ThreadPool;

/* A pool that runs loops on n_threads threads, the caller's included (1 to 1024; 0: one per processor). */
int thread_pool_create(ThreadPool **out, int n_threads, Error *error);
void thread_pool_destroy(ThreadPool *pool);
int thread_pool_size(const ThreadPool *pool);

/* Calls body(context, i, thread) once for every i in [0, n), spread over the threads; `thread` is in [0,
 * size), for per-thread scratch memory. Returns when all are done. Each thread begins with a contiguous share
 * of its own, the same for the same n, and then helps where others are behind; which thread runs which i is
 * not determined, so results must not depend on it. One loop at a time, and none from inside a body. */
typedef void ThreadBody(void *context, size_t i, int thread);
void thread_pool_run(ThreadPool *pool, size_t n, ThreadBody *body, void *context);

/* Binds the pool's own threads each to one of the processors this process may use, from the second on and
 * again from the first when there are more threads. The caller's thread stays free to move, so that threads
 * it starts later are free too. Worth it where moving is dear (several sockets, nothing else running): a
 * thread then finds the memory that it touched first, and what it began with last time, near. */
int thread_pool_pin(ThreadPool *pool, Error *error);

/* Time spent in loops since measuring was switched on: by the clock on the wall, and summed over the threads
 * that were inside bodies. Off at first; on, it costs each thread two readings of the clock a loop. */
typedef struct ThreadTimes {
    double wall_s, busy_s;
} ThreadTimes;
void thread_pool_measure(ThreadPool *pool, bool on);
ThreadTimes thread_pool_times(const ThreadPool *pool);

/* Processors this process may use. */
int thread_processors(void);

#endif
