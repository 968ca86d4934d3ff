/* Any bytes as a safetensors file: what is accepted must keep the reader's invariants. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runner/checkpoint/tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *data, size_t size) {
    Tensor *tensors;
    size_t n;
    Error error = {0};
    if (safetensors_parse(&tensors, &n, data, size, "fuzz", &error)) {
        if (error.kind == ERROR_NONE || tensors)
            abort();
        return;
    }
    volatile uint8_t sink = 0;
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].data < data || tensors[i].bytes > (size_t)(data + size - tensors[i].data))
            abort();
        for (size_t k = 0; k < tensors[i].bytes; k++)
            sink = (uint8_t)(sink ^ tensors[i].data[k]);
    }
    tensors_free(tensors, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check(data, size);
    if (size == 0)
        return 0;
    /* The same with a header length that fits: the first byte says how many data bytes follow the header. */
    size_t n_data = data[0] < size ? data[0] : size - 1, length = size - 1 - n_data;
    uint8_t *framed = calloc(1, 8 + size);
    if (!framed)
        return 0;
    for (size_t i = 0; i < 8; i++)
        framed[i] = (uint8_t)(length >> (8 * i));
    memcpy(framed + 8, data + 1, size - 1);
    check(framed, 8 + size - 1);
    free(framed);
    return 0;
}
