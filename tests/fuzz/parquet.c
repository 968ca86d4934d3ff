/* Fuzz target: any bytes are a Parquet file; reading all its rows ends without harm. */
#include <stdint.h>
#include <stdlib.h>

#include "tasks/parquet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const ParquetLimits limits = {.page_bytes = 1 << 16, .n_values = 100000};
    Arena arena = {0};
    Error error = {0};
    Buffer line = {0};
    ParquetReader *reader;
    Value *rows;
    size_t n;
    int got;
    if (parquet_open_bytes(&reader, data, size, "fuzz", &limits, &error))
        return error.message[0] ? 0 : (abort(), 0);
    while ((got = parquet_next(reader, &arena, &rows, &n, &error)) > 0) {
        for (size_t i = 0; i < n; i++) {
            buffer_clear(&line);
            value_append_json(&line, &rows[i]);
        }
        arena_reset(&arena);
    }
    if (got < 0 && !error.message[0])
        abort();
    buffer_free(&line);
    arena_free(&arena);
    parquet_close(reader);
    return 0;
}
