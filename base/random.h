/* Python's `random.Random`, draw for draw: the Mersenne Twister MT19937 with CPython's seeding and its way of
 * making integers and floats (CPython Lib/random.py, Modules/_randommodule.c). */
#ifndef ZEVAL_BASE_RANDOM_H
#define ZEVAL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct Random {
    uint32_t state[624];
    int index;
} Random;

void random_seed(Random *random, uint64_t seed);
uint32_t random_u32(Random *random);
/* random(): uniform in [0, 1), 53 bits. */
double random_double(Random *random);
/* getrandbits(bits), 1 to 64. */
uint64_t random_bits(Random *random, int bits);
/* randrange(n), n > 0. */
uint64_t random_below(Random *random, uint64_t n);
/* sample(range(n), k) into out[k]; k <= n. */
void random_sample(Random *random, size_t n, size_t k, size_t *out);
/* shuffle of items[n]. */
void random_shuffle(Random *random, size_t *items, size_t n);
/* choices(range(n), k=k) into out[k]; n > 0. */
void random_choices(Random *random, size_t n, size_t k, size_t *out);

#endif
