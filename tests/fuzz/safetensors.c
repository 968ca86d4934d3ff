/* Any bytes as a safetensors file: what is accepted must keep the reader's invariants. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "runner/checkpoint/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Tensor *tensors;
    size_t n;
    Error error = {0};
    if (safetensors_parse(&tensors, &n, data, size, "fuzz", &error)) {
        if (error.kind == ERROR_NONE || tensors)
            abort();
        return 0;
    }
    volatile uint8_t sink = 0;
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].data < data || tensors[i].bytes > (size_t)(data + size - tensors[i].data))
            abort();
        for (size_t k = 0; k < tensors[i].bytes; k++)
            sink = (uint8_t)(sink ^ tensors[i].data[k]);
    }
    tensors_free(tensors, n);
    return 0;
}
