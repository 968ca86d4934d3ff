/* Reading again what was pulled. When each file was last read is kept in the store's index, so that a sample
 * can begin with those that have waited longest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/digest.h"
#include "zoo/index.h"
#include "zoo/store.h"
#include "zoo/walk.h"

/* A file of a snapshot. */
typedef struct Item {
    const char *below, *target, *hash; /* target NULL: its bytes are gone */
    int64_t verified;
} Item;

typedef struct Checker {
    const ZooSnapshot *snapshot;
    char *shelf;
    ZooIndex *index;
    Arena arena;
    Item *items;
    size_t n;
} Checker;

static int add_item(void *context, const char *path, const char *below) {
    Checker *checker = context;
    char *target = realpath(path, NULL);
    const char *hash = target ? path_name(target) : "";
    checker->items = mem_realloc(checker->items, (checker->n + 1) * sizeof *checker->items);
    checker->items[checker->n++] = (Item){.below = arena_strdup(&checker->arena, below),
                                          .target = target ? arena_strdup(&checker->arena, target) : NULL,
                                          .hash = arena_strdup(&checker->arena, hash),
                                          .verified = index_verified(checker->index, checker->shelf, hash)};
    free(target);
    return 0;
}

static int compare_items(const void *a, const void *b) {
    const Item *first = a, *second = b;
    int order = (first->verified > second->verified) - (first->verified < second->verified);
    return order ? order : strcmp(first->below, second->below);
}

static int open_checker(Checker *out, const ZooSnapshot *snapshot, Error *error) {
    HubName name = {.repository = (char *)snapshot->repository, .dataset = snapshot->dataset};
    *out = (Checker){.snapshot = snapshot};
    if (access(snapshot->folder, R_OK | X_OK) != 0)
        return error_set(error, "cannot look into %s: %s", snapshot->folder, strerror(errno));
    out->shelf = hub_name_folder(&name);
    /* Nothing is written into another program's cache. */
    char *own = zoo_store_folder();
    out->index = strcmp(own, snapshot->store) == 0 ? index_open(snapshot->store) : NULL;
    free(own);
    walk_files(snapshot->folder, add_item, out);
    if (out->n > 0)
        qsort(out->items, out->n, sizeof *out->items, compare_items);
    return 0;
}

static void close_checker(Checker *checker) {
    index_close(checker->index);
    free(checker->items);
    free(checker->shelf);
    arena_free(&checker->arena);
}

static VerifyState check(const Item *item, Buffer *what) {
    char hex[DIGEST_HEX] = "";
    Error error = {0};
    if (!item->target) {
        buffer_append_text(what, "the bytes that it is linked to are gone");
        return VERIFY_BAD;
    }
    if (!digest_is_name(item->hash)) {
        buffer_append_text(what, "it is not named by a hash, so there is nothing to hold it against");
        return VERIFY_UNKNOWN;
    }
    if (digest_file(item->target, item->hash, hex, &error)) {
        buffer_append_text(what, error.message);
        return VERIFY_BAD;
    }
    if (strcmp(hex, item->hash) == 0)
        return VERIFY_GOOD;
    buffer_printf(what, "its bytes hash to %s, expected %s", hex, item->hash);
    return VERIFY_BAD;
}

int zoo_verify(const ZooSnapshot *snapshot, double share, VerifyReport *report, void *context,
               size_t *n_checked, size_t *n_bad, Error *error) {
    Checker checker;
    *n_bad = *n_checked = 0;
    if (open_checker(&checker, snapshot, error))
        return -1;
    size_t wanted = share < 1 ? (size_t)(share * (double)checker.n + 0.999999) : checker.n;
    for (size_t i = 0; i < checker.n && i < (wanted > 0 ? wanted : 1); i++) {
        Buffer what = {0};
        VerifyState state = check(&checker.items[i], &what);
        *n_bad += state == VERIFY_BAD;
        ++*n_checked;
        report(context, snapshot, checker.items[i].below, state, what.data);
        if (state != VERIFY_UNKNOWN)
            index_note(checker.index, checker.shelf, checker.items[i].hash, state == VERIFY_GOOD);
        buffer_free(&what);
    }
    close_checker(&checker);
    return 0;
}

int64_t zoo_verified_at(const ZooSnapshot *snapshot) {
    Checker checker;
    if (open_checker(&checker, snapshot, NULL))
        return 0;
    int64_t verified = checker.n > 0 ? checker.items[0].verified : 0;
    close_checker(&checker);
    return verified;
}
