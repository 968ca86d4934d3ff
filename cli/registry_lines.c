/* See registry_lines.h. */
#include "cli/registry_lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "zoo/zoo.h"

static void line(Buffer *out, const char *field, const char *value) {
    if (value && *value)
        buffer_printf(out, "%-13s %s\n", field, value);
}

/* The tables of papers that the checkpoint is a row of, a table to a line. */
static void append_published(Buffer *out, const RegistryEntry *entry) {
    for (size_t i = 0; i < entry->n_published; i++) {
        const PublishedRow *row = &entry->published[i];
        buffer_printf(out, "%-13s %s, %s: %s\n", i ? "" : "published", row->paper, row->table, row->row);
    }
}

static void append_entry(Buffer *out, const RegistryEntry *entry) {
    static const char *const access[] = {
        [ACCESS_UNKNOWN] = NULL, [ACCESS_OPEN] = "open", [ACCESS_GATED] = "gated: its page asks for consent"};
    Buffer aliases = {0};
    for (size_t i = 0; i < entry->n_aliases; i++)
        buffer_printf(&aliases, "%s%s", i ? ", " : "", entry->aliases[i]);
    line(out, "name", entry->name);
    line(out, "also", aliases.data);
    buffer_printf(out, "%-13s %s%s%s%s\n", "repository", entry->dataset ? "datasets/" : "", entry->repository,
                  entry->revision ? "@" : "", entry->revision ? entry->revision : "");
    line(out, "family", entry->family);
    line(out, "parameters", entry->parameters);
    line(out, "stage", entry->stage);
    line(out, "base", entry->base);
    line(out, "teacher", entry->teacher);
    line(out, "licence", entry->licence);
    line(out, "access", access[entry->access]);
    line(out, "weights", entry->weights);
    line(out, "note", entry->note);
    append_published(out, entry);
    buffer_free(&aliases);
}

int registry_lines(Buffer *out, const char *name, bool *known, Error *error) {
    Registry registry;
    if (zoo_registry_open(&registry, NULL, error))
        return -1;
    const char *at = strrchr(name, '@');
    char *plain = at ? mem_strndup(name, (size_t)(at - name)) : mem_strdup(name);
    const RegistryEntry *entry = zoo_registry_find(
        &registry, text_starts_with(plain, "datasets/") ? plain + strlen("datasets/") : plain);
    *known = entry != NULL;
    if (entry)
        append_entry(out, entry);
    free(plain);
    zoo_registry_close(&registry);
    return 0;
}
