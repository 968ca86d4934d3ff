/* oneDNN's matrix product as a yardstick for bench/gemm: y[rows][outputs] = x[rows][inputs] times the
 * weight's transpose, bfloat16 in, float32 out. Built with `make ONEDNN=1`; without it nothing here is
 * compiled. */
#ifndef ZEVAL_BENCH_ONEDNN_H
#define ZEVAL_BENCH_ONEDNN_H

#ifdef BENCH_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#if DNNL_VERSION_MAJOR != 2
#error "bench/onednn.h is written for oneDNN 2 (Debian 12)"
#endif

#include "bench/ceiling.h"
#include "runner/floats.h"

/* One shape's product. Its weights stand in `places`, one behind the other, as a model's layers do. */
typedef struct OneDnn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t product;
    dnnl_memory_t x, weight, y;
    uint8_t *packed; /* the weights in oneDNN's order; NULL: as they are */
    size_t place_bytes, n_places;
} OneDnn;

static inline void onednn_check(dnnl_status_t status, const char *what) {
    if (status == dnnl_success)
        return;
    fprintf(stderr, "oneDNN cannot %s (status %d)\n", what, (int)status);
    exit(1);
}

static inline dnnl_memory_desc_t onednn_matrix(size_t rows, size_t columns, dnnl_data_type_t type,
                                               dnnl_format_tag_t order) {
    dnnl_memory_desc_t matrix;
    onednn_check(dnnl_memory_desc_init_by_tag(
                     &matrix, 2, (dnnl_dims_t){(dnnl_dim_t)rows, (dnnl_dim_t)columns}, type, order),
                 "describe a matrix");
    return matrix;
}

static inline dnnl_memory_t onednn_memory(OneDnn *d, const dnnl_memory_desc_t *matrix, void *data) {
    dnnl_memory_t memory;
    onednn_check(dnnl_memory_create(&memory, matrix, d->engine, data), "take memory");
    return memory;
}

/* The weights of all places, brought into the order that the product asks for. */
static inline void onednn_pack(OneDnn *d, const dnnl_memory_desc_t *plain, const dnnl_memory_desc_t *wanted,
                               uint8_t *weights) {
    dnnl_primitive_desc_t description;
    dnnl_primitive_t reorder;
    size_t plain_bytes = dnnl_memory_desc_get_size(plain);
    d->place_bytes = dnnl_memory_desc_get_size(wanted);
    d->packed = (uint8_t *)floats_alloc(d->n_places * d->place_bytes / sizeof(float));
    onednn_check(dnnl_reorder_primitive_desc_create(&description, plain, d->engine, wanted, d->engine, NULL),
                 "describe packing");
    onednn_check(dnnl_primitive_create(&reorder, description), "make packing");
    for (size_t i = 0; i < d->n_places; i++) {
        dnnl_memory_t from = onednn_memory(d, plain, weights + i * plain_bytes),
                      to = onednn_memory(d, wanted, d->packed + i * d->place_bytes);
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
        onednn_check(dnnl_primitive_execute(reorder, d->stream, 2, arguments), "pack");
        dnnl_stream_wait(d->stream);
        dnnl_memory_destroy(from);
        dnnl_memory_destroy(to);
    }
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(description);
}

/* x: [rows][inputs] bfloat16; weights: n_places times [outputs][inputs] bfloat16; y: [rows][outputs]. */
static inline void onednn_open(OneDnn *d, size_t outputs, size_t inputs, size_t rows, void *x,
                               uint8_t *weights, size_t n_places, float *y, bool packed) {
    dnnl_matmul_desc_t operation;
    dnnl_primitive_desc_t description;
    *d = (OneDnn){.place_bytes = outputs * inputs * 2, .n_places = n_places};
    onednn_check(dnnl_engine_create(&d->engine, dnnl_cpu, 0), "start");
    onednn_check(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags), "start");
    dnnl_memory_desc_t from = onednn_matrix(rows, inputs, dnnl_bf16, dnnl_ab),
                       plain = onednn_matrix(inputs, outputs, dnnl_bf16, dnnl_ba),
                       wanted = onednn_matrix(inputs, outputs, dnnl_bf16, dnnl_format_tag_any),
                       to = onednn_matrix(rows, outputs, dnnl_f32, dnnl_ab);
    onednn_check(dnnl_matmul_desc_init(&operation, &from, packed ? &wanted : &plain, NULL, &to),
                 "describe a product");
    onednn_check(dnnl_primitive_desc_create(&description, &operation, NULL, d->engine, NULL),
                 "make a product");
    onednn_check(dnnl_primitive_create(&d->product, description), "make a product");
    if (packed)
        onednn_pack(d, &plain, dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0), weights);
    d->x = onednn_memory(d, &from, x);
    d->y = onednn_memory(d, &to, y);
    d->weight = onednn_memory(d, dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0),
                              packed ? d->packed : weights);
    dnnl_primitive_desc_destroy(description);
}

static inline void onednn_run(OneDnn *d, uint8_t *weights, size_t place) {
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, d->x}, {DNNL_ARG_WEIGHTS, d->weight}, {DNNL_ARG_DST, d->y}};
    uint8_t *data = (d->packed ? d->packed : weights) + place * d->place_bytes;
    onednn_check(dnnl_memory_set_data_handle(d->weight, data), "take weights");
    onednn_check(dnnl_primitive_execute(d->product, d->stream, 3, arguments), "multiply");
    onednn_check(dnnl_stream_wait(d->stream), "finish");
}

static inline void onednn_close(OneDnn *d) {
    dnnl_memory_destroy(d->x);
    dnnl_memory_destroy(d->weight);
    dnnl_memory_destroy(d->y);
    dnnl_primitive_destroy(d->product);
    dnnl_stream_destroy(d->stream);
    dnnl_engine_destroy(d->engine);
    free(d->packed);
}
#endif
#endif
