/* Linear layers for any processor. */
#include "runner/cpu/kernels.h"

#include "runner/cpu/vec_portable.h"
#define GEMM_FUNCTION gemm_portable
#define GEMM_STRIPS 2
#include "runner/cpu/gemm_body.h"
