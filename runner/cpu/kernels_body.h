/* One instruction set's table: includes the bodies and lists what they define. The including file defines
 * what lanes.h wants, KERNELS_NAME, KERNELS_FUNCTION, and KERNELS_GEMM, the table of the linear layers'
 * kernels. */
#include "runner/cpu/lanes.h"

#include "runner/cpu/elementwise_body.h"
#include "runner/cpu/scan_body.h"

const Kernels *KERNELS_FUNCTION(void) {
    static const Kernels table = {.name = KERNELS_NAME,
                                  .widen = widen,
                                  .halve = halve,
                                  .rms_norm = rms_norm,
                                  .layer_norm = layer_norm,
                                  .round_bfloat16 = round_bfloat16,
                                  .rms_norm_bfloat16 = rms_norm_bfloat16,
                                  .silu_multiply_bfloat16 = silu_multiply_bfloat16,
                                  .rotate_bfloat16 = rotate_bfloat16,
                                  .add = add,
                                  .silu_multiply = silu_multiply,
                                  .silu = silu,
                                  .square_relu = square_relu,
                                  .rotate = rotate,
                                  .multiply_add = multiply_add,
                                  .scan_head = scan_head,
                                  .scan_channels = scan_channels,
                                  .convolve = convolve,
                                  .softplus = softplus,
                                  .interleave = interleave,
                                  .summarise = summarise};
    return &table;
}
