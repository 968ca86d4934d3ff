/* A pool of threads that share one loop at a time; see threads.h.
 *
 * Invariant: between runs every worker sleeps in `wake`; a run has a generation number, and a worker that has
 * seen it takes indices from `next` until they are used up. */
#include "base/threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct Worker {
    ThreadPool *pool;
    pthread_t thread;
    int index;
} Worker;

struct ThreadPool {
    int n_threads;
    Worker *workers; /* [n_threads - 1]; the caller of thread_pool_run is thread 0 */
    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
    unsigned generation;
    int n_busy;
    bool stopping;
    ThreadBody *body;
    void *context;
    size_t n;
    atomic_size_t next;
};

static void take_indices(ThreadPool *pool, int thread) {
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= pool->n)
            return;
        pool->body(pool->context, i, thread);
    }
}

static void *worker_main(void *argument) {
    Worker *worker = argument;
    ThreadPool *pool = worker->pool;
    unsigned seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->generation == seen && !pool->stopping)
            pthread_cond_wait(&pool->wake, &pool->lock);
        if (pool->stopping)
            break;
        seen = pool->generation;
        pthread_mutex_unlock(&pool->lock);
        take_indices(pool, worker->index);
        pthread_mutex_lock(&pool->lock);
        if (--pool->n_busy == 0)
            pthread_cond_signal(&pool->finished);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int thread_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

int thread_pool_create(ThreadPool **out, int n_threads, Error *error) {
    *out = NULL;
    if (n_threads == 0)
        n_threads = thread_processors();
    if (n_threads < 1 || n_threads > 1024)
        return error_set(error, "the number of threads is %d, expected 1 to 1024", n_threads);
    ThreadPool *pool = mem_alloc_zero(1, sizeof *pool);
    pool->workers = mem_alloc_zero((size_t)n_threads, sizeof *pool->workers);
    pool->n_threads = 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (int i = 1; i < n_threads; i++) {
        Worker *worker = &pool->workers[i - 1];
        *worker = (Worker){.pool = pool, .index = i};
        int failure = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (failure) {
            thread_pool_destroy(pool);
            return error_set(error, "cannot start thread %d of %d: %s", i + 1, n_threads, strerror(failure));
        }
        pool->n_threads++;
    }
    *out = pool;
    return 0;
}

void thread_pool_destroy(ThreadPool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i < pool->n_threads; i++)
        pthread_join(pool->workers[i - 1].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

int thread_pool_size(const ThreadPool *pool) {
    return pool->n_threads;
}

void thread_pool_run(ThreadPool *pool, size_t n, ThreadBody *body, void *context) {
    if (pool->n_threads == 1 || n <= 1) {
        for (size_t i = 0; i < n; i++)
            body(context, i, 0);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->body = body;
    pool->context = context;
    pool->n = n;
    atomic_store(&pool->next, 0);
    pool->n_busy = pool->n_threads - 1;
    pool->generation++;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    take_indices(pool, 0);
    pthread_mutex_lock(&pool->lock);
    while (pool->n_busy > 0)
        pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
