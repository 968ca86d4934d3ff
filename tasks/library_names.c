/* Names that stand for nothing: what may have been meant. */
#include <stdio.h>
#include <string.h>

#include "tasks/library.h"

size_t text_distance(const char *a, const char *b) {
    enum { LETTERS_MAX = 64 };
    size_t row[LETTERS_MAX + 1], n = strlen(a), m = strlen(b);
    if (n > LETTERS_MAX || m > LETTERS_MAX)
        return n > m ? n : m;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]),
                   least = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = replaced < least + 1 ? replaced : least + 1;
        }
    }
    return row[m];
}

enum { SUGGESTIONS = 3 };

typedef struct Suggestions {
    const char *names[SUGGESTIONS];
    size_t distances[SUGGESTIONS], n;
} Suggestions;

/* Keeps the nearest few, nearest first. */
static void consider(Suggestions *best, const char *wanted, const char *name) {
    size_t limit = strlen(wanted) / 3 < 2 ? 2 : strlen(wanted) / 3, distance = text_distance(wanted, name);
    if (strlen(wanted) >= 3 && strstr(name, wanted))
        distance = 1;
    if (distance > limit)
        return;
    size_t i = best->n;
    while (i > 0 && best->distances[i - 1] > distance)
        i--;
    if (i >= SUGGESTIONS || (i > 0 && strcmp(best->names[i - 1], name) == 0))
        return;
    if (best->n < SUGGESTIONS)
        best->n++;
    for (size_t j = best->n - 1; j > i; j--) {
        best->names[j] = best->names[j - 1];
        best->distances[j] = best->distances[j - 1];
    }
    best->names[i] = name;
    best->distances[i] = distance;
}

static void suggest(const Library *library, const char *name, Buffer *out) {
    Suggestions best = {0};
    Arena arena = {0};
    const char **tags;
    size_t n_tags;
    library_tags(library, &arena, &tags, &n_tags);
    for (size_t i = 0; i < n_tags; i++)
        consider(&best, name, tags[i]);
    for (size_t i = 0; i < library_count(library); i++)
        consider(&best, name, library_entry(library, i)->name);
    for (size_t i = 0; i < best.n; i++)
        buffer_printf(out, "%s%s", i == 0 ? "" : i + 1 == best.n ? " or " : ", ", best.names[i]);
    arena_free(&arena);
}

int library_unknown(const Library *library, const char *name, Error *error) {
    Buffer near = {0};
    size_t n_faults;
    const char *const *faults = library_faults(library, &n_faults);
    if (library_came_later(library, name))
        return error_set_kind(error, ERROR_USAGE, "the task '%s' came after v0.4.0; --compat main has it",
                              name);
    suggest(library, name, &near);
    error_set_kind(error, ERROR_USAGE, "there is no task, group or tag '%.100s'%s%s%s", name,
                   near.size ? "; did you mean " : "; `zeval tasks` lists what there is",
                   near.size ? near.data : "", near.size ? "?" : "");
    buffer_free(&near);
    if (error && n_faults > 0) {
        size_t length = strlen(error->message);
        snprintf(error->message + length, sizeof error->message - length,
                 "; task files that cannot be read: %zu, the first is %s", n_faults, faults[0]);
    }
    return -1;
}
