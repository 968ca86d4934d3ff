/* Fuzz target: any bytes are a CSV file and a JSON file; reading their rows ends without harm. */
#include <stdint.h>
#include <stdlib.h>

#include "tasks/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(int (*from)(RowList *, Arena *, const char *, size_t, const char *, Error *),
                     const uint8_t *data, size_t size) {
    Arena arena = {0};
    RowList list = {0};
    Error error = {0};
    Buffer line = {0};
    if (from(&list, &arena, (const char *)data, size, "fuzz", &error) && !error.message[0])
        abort();
    for (size_t i = 0; i < list.n; i++) {
        buffer_clear(&line);
        value_append_json(&line, &list.rows[i]);
    }
    buffer_free(&line);
    free(list.rows);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_one(rows_from_csv, data, size);
    read_one(rows_from_json, data, size);
    return 0;
}
