/* A pool of threads that share one loop at a time; see threads.h.
 *
 * A loop is open or closed, which is a bit of `gate`; beside it stands how many workers are inside. A worker
 * may enter an open loop only, the caller returns when it has closed the loop and nobody is inside: so no
 * worker ever sees half a loop, and a worker that wakes late is not waited for. The indices lie in one slot
 * per thread, a contiguous range each; a thread takes from the front of its own and, when that is empty, from
 * the back of another's.
 *
 * Waiting is spinning for a moment, since the next loop of a model's layers is microseconds away, and then
 * sleeping in the kernel (futex). A pool with more threads than processors never spins: the one waited for
 * may want the processor. What two threads write lies on different cache lines. */
#include "base/threads.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/progress.h"

enum { LINE = 64, SPIN_MICROSECONDS = 200, PAUSES_PER_LOOK = 16 };
static const uint32_t OPEN = (uint32_t)1 << 31; /* in gate; the other bits count the workers inside */

/* A thread's share: [low half, high half) of `range` are still to be taken. */
typedef struct Slot {
    _Alignas(LINE) _Atomic uint64_t range;
    _Alignas(LINE) double busy_s;
} Slot;

typedef struct Worker {
    ThreadPool *pool;
    pthread_t thread;
    int index;
} Worker;

struct ThreadPool {
    int n_threads;
    bool spins, measures;
    Worker *workers; /* [n_threads - 1]; the caller of thread_pool_run is thread 0 */
    Slot *slots;     /* [n_threads] */
    double wall_s;
    /* the loop; written while it is closed and nobody is inside */
    ThreadBody *body;
    void *context;
    size_t base;    /* of the indices in the slots */
    size_t n_slots; /* that the loop was spread over */
    _Alignas(LINE) _Atomic uint32_t gate;
    _Atomic uint32_t caller_sleeps;
    _Alignas(LINE) _Atomic uint32_t loop; /* counts loops: what a waiting worker looks at */
    _Atomic uint32_t n_sleeping;
    _Atomic bool stopping;
};

/* ---- waiting */

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* True as soon as *word is not `value`; false when it has been for a while. */
static bool spin_while(const ThreadPool *pool, _Atomic uint32_t *word, uint32_t value) {
    if (atomic_load(word) != value)
        return true;
    if (!pool->spins)
        return false;
    double end = clock_seconds() + SPIN_MICROSECONDS * 1e-6;
    do {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            relax();
            if (atomic_load_explicit(word, memory_order_relaxed) != value)
                return true;
        }
    } while (clock_seconds() < end);
    return false;
}

/* Sleeps until woken; not at all if *word is no longer `value`. May return for no reason. */
static void futex_wait(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

/* ---- taking indices */

static uint64_t pack_range(uint64_t begin, uint64_t end) {
    return end << 32 | begin;
}

static bool take(Slot *slot, bool from_front, size_t *out) {
    uint64_t range = atomic_load_explicit(&slot->range, memory_order_relaxed), rest;
    do {
        uint64_t begin = range & UINT32_MAX, end = range >> 32;
        if (begin >= end)
            return false;
        *out = from_front ? begin : end - 1;
        rest = from_front ? pack_range(begin + 1, end) : pack_range(begin, end - 1);
    } while (!atomic_compare_exchange_weak_explicit(&slot->range, &range, rest, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void run_indices(ThreadPool *pool, int thread) {
    size_t own = (size_t)thread % pool->n_slots, i;
    for (size_t s = 0; s < pool->n_slots; s++) {
        size_t slot = own + s < pool->n_slots ? own + s : own + s - pool->n_slots;
        bool mine = slot == (size_t)thread;
        while (take(&pool->slots[slot], mine, &i))
            pool->body(pool->context, pool->base + i, thread);
    }
}

static void work(ThreadPool *pool, int thread) {
    if (!pool->measures) {
        run_indices(pool, thread);
        return;
    }
    double start = clock_seconds();
    run_indices(pool, thread);
    pool->slots[thread].busy_s += clock_seconds() - start;
}

/* ---- workers */

/* Works on the loop if it is open. */
static void join_loop(ThreadPool *pool, int thread) {
    uint32_t gate = atomic_load(&pool->gate);
    do {
        if (!(gate & OPEN))
            return;
    } while (!atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1));
    work(pool, thread);
    if (atomic_fetch_sub(&pool->gate, 1) == 1 && atomic_load(&pool->caller_sleeps))
        futex_wake(&pool->gate, 1);
}

static void *worker_main(void *argument) {
    Worker *worker = argument;
    ThreadPool *pool = worker->pool;
    uint32_t seen = 0;
    while (!atomic_load(&pool->stopping)) {
        if (!spin_while(pool, &pool->loop, seen)) {
            atomic_fetch_add(&pool->n_sleeping, 1);
            futex_wait(&pool->loop, seen);
            atomic_fetch_sub(&pool->n_sleeping, 1);
        }
        uint32_t loop = atomic_load(&pool->loop);
        if (loop != seen)
            join_loop(pool, worker->index);
        seen = loop;
    }
    return NULL;
}

/* Announces a loop, or the end. Whoever goes to sleep at this moment either counts itself first and is woken,
 * or finds the number changed and stays awake. */
static void announce(ThreadPool *pool, size_t n_wanted) {
    atomic_fetch_add(&pool->loop, 1);
    if (atomic_load(&pool->n_sleeping) > 0)
        futex_wake(&pool->loop, n_wanted < INT_MAX ? (int)n_wanted : INT_MAX);
}

/* ---- creating */

int thread_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

static void *aligned_zero(size_t bytes) {
    void *memory = aligned_alloc(LINE, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

static int start_workers(ThreadPool *pool, int n_threads, Error *error) {
    for (int i = 1; i < n_threads; i++) {
        Worker *worker = &pool->workers[i - 1];
        *worker = (Worker){.pool = pool, .index = i};
        int failure = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (failure)
            return error_set(error, "cannot start thread %d of %d: %s", i + 1, n_threads, strerror(failure));
        pool->n_threads++;
    }
    return 0;
}

int thread_pool_create(ThreadPool **out, int n_threads, Error *error) {
    *out = NULL;
    if (n_threads == 0)
        n_threads = thread_processors();
    if (n_threads < 1 || n_threads > 1024)
        return error_set(error, "the number of threads is %d, expected 1 to 1024", n_threads);
    ThreadPool *pool = aligned_zero(sizeof *pool);
    if (!pool)
        return error_set(error, "no memory for a pool of %d threads", n_threads);
    pool->n_threads = 1;
    pool->spins = n_threads <= thread_processors();
    pool->slots = aligned_zero((size_t)n_threads * sizeof *pool->slots);
    pool->workers = calloc((size_t)n_threads, sizeof *pool->workers);
    int status = pool->slots && pool->workers
                     ? start_workers(pool, n_threads, error)
                     : error_set(error, "no memory for a pool of %d threads", n_threads);
    if (status) {
        thread_pool_destroy(pool);
        return -1;
    }
    *out = pool;
    return 0;
}

void thread_pool_destroy(ThreadPool *pool) {
    if (!pool)
        return;
    atomic_store(&pool->stopping, true);
    announce(pool, INT_MAX);
    for (int i = 1; i < pool->n_threads; i++)
        pthread_join(pool->workers[i - 1].thread, NULL);
    free(pool->workers);
    free(pool->slots);
    free(pool);
}

int thread_pool_size(const ThreadPool *pool) {
    return pool->n_threads;
}

int thread_pool_pin(ThreadPool *pool, Error *error) {
    cpu_set_t allowed, one;
    int n = thread_processors(), processor = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return error_set(error, "cannot find out which processors may be used: %s", strerror(errno));
    for (int i = 0; i < pool->n_threads; i++) {
        if (i % n == 0)
            processor = -1;
        do
            processor++;
        while (processor < CPU_SETSIZE - 1 && !CPU_ISSET(processor, &allowed));
        if (i == 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(processor, &one);
        int failure = pthread_setaffinity_np(pool->workers[i - 1].thread, sizeof one, &one);
        if (failure)
            return error_set(error, "cannot bind thread %d to processor %d: %s", i + 1, processor,
                             strerror(failure));
    }
    return 0;
}

void thread_pool_measure(ThreadPool *pool, bool on) {
    pool->measures = on;
    pool->wall_s = 0;
    for (int i = 0; i < pool->n_threads; i++)
        pool->slots[i].busy_s = 0;
}

ThreadTimes thread_pool_times(const ThreadPool *pool) {
    ThreadTimes times = {.wall_s = pool->wall_s};
    for (int i = 0; i < pool->n_threads; i++)
        times.busy_s += pool->slots[i].busy_s;
    return times;
}

/* ---- one loop */

static void wait_until_left(ThreadPool *pool) {
    for (;;) {
        uint32_t gate = atomic_load(&pool->gate);
        if (gate == 0)
            return;
        if (spin_while(pool, &pool->gate, gate))
            continue;
        atomic_store(&pool->caller_sleeps, 1);
        futex_wait(&pool->gate, gate);
        atomic_store(&pool->caller_sleeps, 0);
    }
}

/* n fits the slots' halves. */
static void run_part(ThreadPool *pool, size_t base, size_t n) {
    size_t n_slots = n < (size_t)pool->n_threads ? n : (size_t)pool->n_threads;
    for (size_t s = 0; s < n_slots; s++)
        atomic_store_explicit(&pool->slots[s].range, pack_range(n * s / n_slots, n * (s + 1) / n_slots),
                              memory_order_relaxed);
    pool->n_slots = n_slots;
    pool->base = base;
    atomic_store(&pool->gate, OPEN);
    announce(pool, n_slots - 1);
    work(pool, 0);
    atomic_fetch_and(&pool->gate, ~OPEN);
    wait_until_left(pool);
}

void thread_pool_run(ThreadPool *pool, size_t n, ThreadBody *body, void *context) {
    bool alone = pool->n_threads == 1 || n <= 1;
    double start = pool->measures ? clock_seconds() : 0;
    for (size_t i = 0; alone && i < n; i++)
        body(context, i, 0);
    if (!alone) {
        pool->body = body;
        pool->context = context;
        for (size_t base = 0; base < n; base += UINT32_MAX)
            run_part(pool, base, n - base < UINT32_MAX ? n - base : UINT32_MAX);
    }
    double seconds = pool->measures ? clock_seconds() - start : 0;
    pool->wall_s += seconds;
    pool->slots[0].busy_s += alone ? seconds : 0;
}
