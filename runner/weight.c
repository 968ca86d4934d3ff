/* Views of stored matrices. */
#include "runner/weight.h"

#include <stdlib.h>

#include "base/memory.h"

size_t dtype_bytes(Dtype dtype) {
    return dtype == DTYPE_FLOAT32 ? 4 : 2;
}

Weight weight_rows(const Weight *weight, size_t row, size_t n) {
    Weight view = *weight;
    view.data += row * weight->row_stride * dtype_bytes(weight->dtype);
    view.rows = n;
    return view;
}

void weight_read_row(const Weight *weight, size_t row, float *out) {
    for (size_t i = 0; i < weight->cols; i++)
        out[i] =
            weight_element(weight->data, weight->dtype, row * weight->row_stride + i * weight->col_stride);
}

int weight_to_bfloat16(Weight *weight, void **owned, const char *what, Error *error) {
    size_t n;
    *owned = NULL;
    if (weight->dtype == DTYPE_BFLOAT16)
        return 0;
    uint16_t *rounded =
        mem_mul(weight->rows, weight->cols, &n) && n <= SIZE_MAX / 2 ? malloc(2 * n + 1) : NULL;
    if (!rounded)
        return error_set(error, "not enough memory to round %s to bfloat16 (%zu x %zu numbers)", what,
                         weight->rows, weight->cols);
    for (size_t row = 0, to = 0; row < weight->rows; row++)
        for (size_t col = 0; col < weight->cols; col++)
            rounded[to++] = float_to_bfloat16(weight_element(
                weight->data, weight->dtype, row * weight->row_stride + col * weight->col_stride));
    *weight = (Weight){(const uint8_t *)rounded, DTYPE_BFLOAT16, weight->rows, weight->cols, weight->cols, 1};
    *owned = rounded;
    return 0;
}
