/* Kernels for x86-64 processors with AVX2 and FMA. */
#include "runner/cpu/kernels.h"

#ifdef __AVX2__
#include "runner/cpu/vec_avx2.h"
#define KERNELS_NAME "avx2"
#define KERNELS_FUNCTION kernels_avx2
#include "runner/cpu/kernels_body.h"
#else
const Kernels *kernels_avx2(void) {
    return NULL;
}
#endif
