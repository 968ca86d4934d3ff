/* Kernels for x86-64 processors with AVX-512 (F, BW, VL, DQ) and FMA. */
#include "runner/cpu/kernels.h"

#ifdef __AVX512F__
#include "runner/cpu/vec_avx512.h"
#define KERNELS_NAME "avx512"
#define KERNELS_FUNCTION kernels_avx512
#include "runner/cpu/kernels_body.h"
#else
const Kernels *kernels_avx512(void) {
    return NULL;
}
#endif
