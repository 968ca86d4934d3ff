/* Kernels for any processor. */
#include "runner/cpu/kernels.h"

#include "runner/cpu/vec_portable.h"
#define KERNELS_NAME "portable"
#define KERNELS_FUNCTION kernels_portable
#include "runner/cpu/kernels_body.h"
