/* zeval prune */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "zoo/zoo.h"

typedef struct Printing {
    bool quiet, json;
} Printing;

static void print_line(void *context, const char *repository, const char *what, const char *name,
                       int64_t bytes) {
    const Printing *printing = context;
    if (printing->json) {
        Buffer line = {0};
        buffer_append_text(&line, "{\"repository\": ");
        text_append_json(&line, repository, strlen(repository));
        buffer_printf(&line, ", \"what\": \"%s\", \"name\": ", what);
        text_append_json(&line, name, strlen(name));
        buffer_printf(&line, ", \"bytes\": %lld}", (long long)bytes);
        puts(line.data);
        buffer_free(&line);
    } else if (!printing->quiet)
        printf("%10.3f MB  %s  %s %.20s\n", (double)bytes / 1e6, repository, what, name);
}

int command_prune(int argc, char **argv, Error *error) {
    bool dry_run = false, revisions = false;
    Printing printing = {0};
    const Option options[] = {
        {"dry-run", NULL, OPTION_FLAG, &dry_run, 0, 0, false, "say what would go; remove nothing"},
        {"revisions", NULL, OPTION_FLAG, &revisions, 0, 0, false,
         "also revisions that no branch or tag points at any more; those that\nwere pulled by commit are "
         "such"},
        {"quiet", NULL, OPTION_FLAG, &printing.quiet, 0, 0, false, "print the sum only"},
        {"json", NULL, OPTION_FLAG, &printing.json, 0, 0, false, "print JSON Lines, without the sum"},
        {0}};
    const Usage usage = {
        .command = "prune",
        .synopsis = "[options]",
        .about =
            "Removes from the store what nothing in it needs: downloads that were begun and given up, bytes\n"
            "that were put aside because their hash was wrong, files that no revision links to. What is\n"
            "being pulled at the moment is left alone; so is the cache of the hub's Python client.",
        .examples = "  zeval prune --dry-run\n  zeval prune --revisions",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    const PruneOptions prune = {
        .dry_run = dry_run, .revisions = revisions, .report = print_line, .context = &printing};
    PruneResult result;
    if (zoo_prune(&prune, &result, error))
        return -1;
    if (!printing.json)
        printf("%10.3f MB  %s: %zu files and revisions\n", (double)result.bytes / 1e6,
               dry_run ? "would go" : "removed", result.n);
    if (result.n_busy > 0)
        fprintf(stderr, "%zu repositories were left alone: they are being pulled\n", result.n_busy);
    return 0;
}
