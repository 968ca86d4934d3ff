/* See stop_text.h. Invariant: a stop string that ends in text yet to come begins at `safe` or later. */
#include "runner/stop_text.h"

#include <string.h>

/* Where the stop string begins, if it ends in the bytes that are new; else the text's size. */
static size_t find_new(const StopText *stop, const char *string) {
    size_t length = strlen(string), size = stop->text.size;
    size_t from = stop->checked >= length ? stop->checked - length + 1 : 0;
    const char *found = size > from ? memmem(stop->text.data + from, size - from, string, length) : NULL;
    return found ? (size_t)(found - stop->text.data) : size;
}

/* Bytes at the text's end that may turn out to be the begin of the stop string. */
static size_t begun(const StopText *stop, const char *string) {
    size_t length = strlen(string) - 1, size = stop->text.size;
    for (length = length < size ? length : size; length > 0; length--)
        if (memcmp(stop->text.data + size - length, string, length) == 0)
            return length;
    return 0;
}

void stop_text_update(StopText *stop) {
    size_t size = stop->text.size, end = size, held = 0;
    for (size_t i = 0; i < stop->n_stops; i++) {
        size_t found = find_new(stop, stop->stops[i]), length = begun(stop, stop->stops[i]);
        end = found < end ? found : end;
        held = length > held ? length : held;
    }
    if (end < size) {
        stop->stopped = true;
        stop->text.data[end] = '\0';
        stop->text.size = end;
        held = 0;
    }
    stop->checked = stop->text.size;
    stop->safe = stop->text.size - held;
}

void stop_text_finish(StopText *stop) {
    stop->safe = stop->text.size;
}
