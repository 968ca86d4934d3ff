/* What this machine can do at best, measured: the denominators of every statement about speed. Each is the
 * best of a few short runs on all threads of a pool, and means something only beside work that was timed in
 * the same minute: clocks and memory rates of a shared machine change. */
#ifndef ZEVAL_BASE_CEILING_H
#define ZEVAL_BASE_CEILING_H

#include "base/error.h"
#include "base/threads.h"

/* Operations a second (a multiply-add counts as two) of a loop that does nothing but independent
 * multiply-adds in the widest registers the processor has; takes about `seconds`. 0 where the processor, or
 * this program on it, has no such instruction: f32 wants AVX2 or AVX-512, bf16 AVX-512 BF16 (pairs of
 * bfloat16 products added to a float32), int8 AVX-512 VNNI (fours of byte products added to a 32-bit
 * integer). */
double ceiling_f32(ThreadPool *pool, double seconds);
double ceiling_bf16(ThreadPool *pool, double seconds);
double ceiling_int8(ThreadPool *pool, double seconds);

/* Bytes a second of reading, each thread a contiguous part, the best of `rounds` passes over memory in huge
 * pages where the kernel grants them. */
typedef struct CeilingMemory CeilingMemory;
int ceiling_memory_open(CeilingMemory **out, ThreadPool *pool, size_t bytes, Error *error);
double ceiling_read(CeilingMemory *memory, int rounds);
void ceiling_memory_close(CeilingMemory *memory);

#endif
