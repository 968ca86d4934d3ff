/* Views of stored matrices. */
#include "runner/weight.h"

size_t dtype_bytes(Dtype dtype) {
    return dtype == DTYPE_FLOAT32 ? 4 : 2;
}

Weight weight_rows(const Weight *weight, size_t row, size_t n) {
    Weight view = *weight;
    view.data += row * weight->row_stride * dtype_bytes(weight->dtype);
    view.rows = n;
    return view;
}

Weight weight_transpose(const Weight *weight) {
    Weight view = *weight;
    view.rows = weight->cols;
    view.cols = weight->rows;
    view.row_stride = weight->col_stride;
    view.col_stride = weight->row_stride;
    return view;
}

void weight_read_row(const Weight *weight, size_t row, float *out) {
    for (size_t i = 0; i < weight->cols; i++)
        out[i] =
            weight_element(weight->data, weight->dtype, row * weight->row_stride + i * weight->col_stride);
}
