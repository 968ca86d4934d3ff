/* zeval list, zeval du */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "zoo/zoo.h"

static void field(Buffer *out, const char *name, const char *value) {
    if (!value)
        return;
    buffer_printf(out, "%s\"%s\": ", out->size > 1 ? ", " : "", name);
    text_append_json(out, value, strlen(value));
}

static void print_line(Buffer *line) {
    buffer_append_text(line, "}\n");
    fwrite(line->data, 1, line->size, stdout);
    buffer_free(line);
}

/* ---- what can be pulled */

static const char *access_text(ZooAccess access) {
    static const char *const texts[] = {
        [ACCESS_UNKNOWN] = NULL, [ACCESS_OPEN] = "open", [ACCESS_GATED] = "gated"};
    return texts[access];
}

static void print_entry_json(const RegistryEntry *entry) {
    Buffer line = {0};
    buffer_append_char(&line, '{');
    field(&line, "name", entry->name);
    field(&line, "kind", entry->dataset ? "dataset" : "model");
    field(&line, "repository", entry->repository);
    field(&line, "revision", entry->revision);
    field(&line, "family", entry->family);
    field(&line, "parameters", entry->parameters);
    field(&line, "stage", entry->stage);
    field(&line, "licence", entry->licence);
    field(&line, "access", access_text(entry->access));
    field(&line, "base", entry->base);
    field(&line, "teacher", entry->teacher);
    field(&line, "weights", entry->weights);
    field(&line, "note", entry->note);
    buffer_append_text(&line, ", \"aliases\": [");
    for (size_t i = 0; i < entry->n_aliases; i++) {
        buffer_append_text(&line, i ? ", " : "");
        text_append_json(&line, entry->aliases[i], strlen(entry->aliases[i]));
    }
    buffer_append_text(&line, "], \"published\": [");
    for (size_t i = 0; i < entry->n_published; i++) {
        Buffer row = {0};
        buffer_append_char(&row, '{');
        field(&row, "paper", entry->published[i].paper);
        field(&row, "table", entry->published[i].table);
        field(&row, "row", entry->published[i].row);
        buffer_printf(&line, "%s%s}", i ? ", " : "", row.data);
        buffer_free(&row);
    }
    buffer_append_char(&line, ']');
    print_line(&line);
}

static const char *or_dash(const char *text) {
    return text ? text : "-";
}

static void print_model(const RegistryEntry *entry, const int widths[2]) {
    printf("  %-*s  %*s  %-5s  %-5s  %s%s%s\n", widths[0], entry->name, widths[1], or_dash(entry->parameters),
           or_dash(access_text(entry->access)), entry->n_published ? "table" : "", entry->repository,
           entry->licence ? "  " : "", entry->licence ? entry->licence : "");
}

static void print_data_set(const RegistryEntry *entry, const int widths[2]) {
    printf("  %-*s  datasets/%s%s%s\n", widths[0], entry->name, entry->repository, entry->licence ? "  " : "",
           entry->licence ? entry->licence : "");
}

static void widen(int *width, const char *text) {
    *width = text && (int)strlen(text) > *width ? (int)strlen(text) : *width;
}

/* Models under their families, then data sets. */
static void print_entries(const Registry *registry) {
    int widths[2] = {0, 0};
    for (size_t i = 0; i < registry->n; i++) {
        widen(&widths[0], registry->entries[i].name);
        widen(&widths[1], registry->entries[i].parameters);
    }
    const char *heading = "";
    for (int data_sets = 0; data_sets < 2; data_sets++)
        for (size_t i = 0; i < registry->n; i++) {
            const RegistryEntry *entry = &registry->entries[i];
            if (entry->dataset != (data_sets == 1))
                continue;
            const char *group = data_sets ? "data sets" : entry->family ? entry->family : "other models";
            if (strcmp(group, heading) != 0)
                printf("%s%s\n", *heading ? "\n" : "", group);
            heading = group;
            (data_sets ? print_data_set : print_model)(entry, widths);
        }
}

static int list_available(const char *file, bool json, Error *error) {
    Registry registry;
    if (zoo_registry_open(&registry, file, error))
        return -1;
    for (size_t i = 0; i < registry.n && json; i++)
        print_entry_json(&registry.entries[i]);
    if (!json) {
        print_entries(&registry);
        printf("\n\"table\": one of its rows is in a paper's printed table. Fetch one with `zeval pull "
               "NAME`.\n");
    }
    zoo_registry_close(&registry);
    return 0;
}

/* ---- what is here */

static void print_snapshot(const ZooSnapshot *snapshot, bool json) {
    if (!json) {
        printf("%s%s\n  %.12s  %-12s  %4zu files  %10.3f MB  %s\n", snapshot->dataset ? "datasets/" : "",
               snapshot->repository, snapshot->commit, *snapshot->refs ? snapshot->refs : "-",
               snapshot->n_files, (double)snapshot->bytes / 1e6, snapshot->folder);
        return;
    }
    Buffer line = {0};
    buffer_append_char(&line, '{');
    field(&line, "repository", snapshot->repository);
    field(&line, "kind", snapshot->dataset ? "dataset" : "model");
    field(&line, "commit", snapshot->commit);
    field(&line, "refs", snapshot->refs);
    field(&line, "folder", snapshot->folder);
    field(&line, "store", snapshot->store);
    buffer_printf(&line, ", \"n_files\": %zu, \"bytes\": %lld", snapshot->n_files,
                  (long long)snapshot->bytes);
    print_line(&line);
}

static int list_installed(bool json, Error *error) {
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n;
    int result = zoo_list(NULL, &arena, &snapshots, &n, error);
    for (size_t i = 0; i < n && result == 0; i++)
        print_snapshot(&snapshots[i], json);
    if (result == 0 && n == 0 && !json)
        fprintf(stderr, "nothing was pulled yet; `zeval list --available` shows what can be\n");
    arena_free(&arena);
    return result;
}

int command_list(int argc, char **argv, Error *error) {
    bool available = false, json = false;
    const char *registry = NULL;
    const Option options[] = {{"available", NULL, OPTION_FLAG, &available, 0, 0, false,
                               "the registry: what can be pulled by a name"},
                              {"registry", "FILE", OPTION_TEXT, &registry, 0, 0, false,
                               "your own registry file; else $ZEVAL_REGISTRY"},
                              {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print JSON Lines"},
                              {0}};
    const Usage usage = {
        .command = "list",
        .synopsis = "[options]",
        .about = "Lists the models and data sets on this machine: those that were pulled, and those\n"
                 "in the cache of the hub's Python client, which are used in place.",
        .examples = "  zeval list\n  zeval list --available",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    return available ? list_available(registry, json, error) : list_installed(json, error);
}

/* ---- what it takes */

static void print_usage_line(const ZooUsage *usage, bool json) {
    if (!json) {
        printf("%10.3f MB  %3zu revisions  %4zu files", (double)usage->bytes / 1e6, usage->n_snapshots,
               usage->n_blobs);
        if (usage->n_partial)
            printf(" (+ %zu unfinished, %.3f MB)", usage->n_partial, (double)usage->partial_bytes / 1e6);
        printf("  %s%s\n", usage->dataset ? "datasets/" : "", usage->repository);
        return;
    }
    Buffer line = {0};
    buffer_append_char(&line, '{');
    field(&line, "repository", usage->repository);
    field(&line, "kind", usage->dataset ? "dataset" : "model");
    buffer_printf(&line,
                  ", \"bytes\": %lld, \"n_snapshots\": %zu, \"n_files\": %zu, \"n_unfinished\": %zu, "
                  "\"unfinished_bytes\": %lld",
                  (long long)usage->bytes, usage->n_snapshots, usage->n_blobs, usage->n_partial,
                  (long long)usage->partial_bytes);
    print_line(&line);
}

int command_du(int argc, char **argv, Error *error) {
    bool json = false;
    const Option options[] = {{"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print JSON Lines"}, {0}};
    const Usage usage = {
        .command = "du",
        .synopsis = "[options]",
        .about = "Says how much disk each pulled repository takes; files that revisions share count once.",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    Arena arena = {0};
    ZooUsage *usages;
    size_t n;
    int64_t total = 0;
    int result = zoo_usage(&arena, &usages, &n, error);
    for (size_t i = 0; i < n && result == 0; i++) {
        print_usage_line(&usages[i], json);
        total += usages[i].bytes + usages[i].partial_bytes;
    }
    char *store = zoo_store_folder();
    if (result == 0 && !json)
        printf("%10.3f MB  in all, in %s\n", (double)total / 1e6, store);
    free(store);
    arena_free(&arena);
    return result;
}
