/* MT19937 with CPython's seeding and derived draws; see random.h. */
#include "base/random.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { N = 624, M = 397 };

static void seed_by_number(Random *random, uint32_t seed) {
    random->state[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        random->state[i] = 1812433253u * (random->state[i - 1] ^ (random->state[i - 1] >> 30)) + i;
    random->index = N;
}

void random_seed(Random *random, uint64_t seed) {
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t n_key = key[1] ? 2 : 1, *mt = random->state, i = 1, j = 0;
    seed_by_number(random, 19650218u);
    for (int k = 0; k < N; k++) {
        mt[i] = (mt[i] ^ ((mt[i - 1] ^ (mt[i - 1] >> 30)) * 1664525u)) + key[j] + j;
        if (++i == N) {
            mt[0] = mt[N - 1];
            i = 1;
        }
        j = (j + 1) % n_key;
    }
    for (int k = 0; k < N - 1; k++) {
        mt[i] = (mt[i] ^ ((mt[i - 1] ^ (mt[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i == N) {
            mt[0] = mt[N - 1];
            i = 1;
        }
    }
    mt[0] = 0x80000000u;
}

static void refill(Random *random) {
    uint32_t *mt = random->state;
    for (int i = 0; i < N; i++) {
        uint32_t y = (mt[i] & 0x80000000u) | (mt[(i + 1) % N] & 0x7fffffffu);
        mt[i] = mt[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    random->index = 0;
}

uint32_t random_u32(Random *random) {
    if (random->index >= N)
        refill(random);
    uint32_t y = random->state[random->index++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double random_double(Random *random) {
    uint32_t a = random_u32(random) >> 5, b = random_u32(random) >> 6;
    return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

uint64_t random_bits(Random *random, int bits) {
    if (bits <= 32)
        return random_u32(random) >> (32 - bits);
    uint64_t low = random_u32(random); /* words come low to high */
    return low | (uint64_t)(random_u32(random) >> (64 - bits)) << 32;
}

uint64_t random_below(Random *random, uint64_t n) {
    int bits = 64 - __builtin_clzll(n);
    uint64_t draw;
    do
        draw = random_bits(random, bits);
    while (draw >= n);
    return draw;
}

/* CPython switches from a copied pool to a set of chosen indices when the pool would be the larger of the
 * two. */
static size_t sample_set_size(size_t k) {
    size_t size = 21, power = 1;
    if (k <= 5)
        return size;
    while (power < 3 * k)
        power *= 4;
    return size + power;
}

static void sample_from_pool(Random *random, size_t n, size_t k, size_t *out) {
    size_t *pool = mem_alloc(n * sizeof *pool);
    for (size_t i = 0; i < n; i++)
        pool[i] = i;
    for (size_t i = 0; i < k; i++) {
        size_t j = random_below(random, n - i);
        out[i] = pool[j];
        pool[j] = pool[n - i - 1];
    }
    free(pool);
}

/* k is small against n here (CPython's rule sees to that), so looking back through the draws is cheap enough.
 */
static void sample_by_rejection(Random *random, size_t n, size_t k, size_t *out) {
    for (size_t i = 0; i < k; i++) {
        bool taken;
        do {
            out[i] = random_below(random, n);
            taken = false;
            for (size_t j = 0; j < i && !taken; j++)
                taken = out[j] == out[i];
        } while (taken);
    }
}

void random_sample(Random *random, size_t n, size_t k, size_t *out) {
    if (n <= sample_set_size(k))
        sample_from_pool(random, n, k, out);
    else
        sample_by_rejection(random, n, k, out);
}

void random_shuffle(Random *random, size_t *items, size_t n) {
    for (size_t i = n; i-- > 1;) {
        size_t j = random_below(random, i + 1), kept = items[i];
        items[i] = items[j];
        items[j] = kept;
    }
}

void random_choices(Random *random, size_t n, size_t k, size_t *out) {
    for (size_t i = 0; i < k; i++)
        out[i] = (size_t)(random_double(random) * (double)n);
}
