/* Pulling a repository: which of its files, into which snapshot. Files are linked into the snapshot after all
 * of them are verified, config.json last, so that a snapshot with a config.json is whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/download.h"
#include "zoo/index.h"
#include "zoo/meter.h"
#include "zoo/web.h"

/* What a runtime reads. */
static const char *const runtime_files[] = {"*.json",     "*.safetensors", "tokenizer.model", "*.tiktoken",
                                            "merges.txt", "vocab.txt",     "*.jinja"};
static const char *const pickled_weights[] = {"pytorch_model*.bin"};

/* One pull under way. */
typedef struct Pull {
    const PullOptions *options;
    HubName name;
    HubListing listing;
    Shelf shelf;
    Hub hub;
    char *page;
    int lock;   /* held while files are added; -1: not yet */
    bool *want; /* by file of the listing */
    Download *downloads;
    HttpTask *tasks;
    size_t n, n_tasks;
    Meter meter;
} Pull;

/* ---- which files */

static bool matches(const char *path, const char *const *patterns, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (text_glob(patterns[i], path))
            return true;
    return false;
}

#define MATCHES(path, patterns) matches((path), (patterns), sizeof(patterns) / sizeof *(patterns))

static bool is_locked(const LockEntry *entry, const char *path) {
    for (size_t i = 0; i < entry->n_files; i++)
        if (strcmp(entry->files[i].path, path) == 0)
            return true;
    return false;
}

/* Of a model what a runtime reads at its top folder, and pickled weights only where there are no safetensors;
 * of a data set what was asked for. */
static bool is_wanted(const Pull *pull, const char *path, bool safetensors, bool only) {
    const PullOptions *options = pull->options;
    bool top = !strchr(path, '/');
    if (is_web(pull->name.repository))
        return true;
    if (options->locked)
        return is_locked(options->locked, path);
    if (options->all || matches(path, options->include, options->n_include))
        return true;
    if (pull->name.dataset)
        return !only || matches(path, options->only, options->n_only);
    return top && (MATCHES(path, runtime_files) || (!safetensors && MATCHES(path, pickled_weights)));
}

static void choose(Pull *pull) {
    const PullOptions *options = pull->options;
    bool safetensors = false, only = false;
    pull->want = mem_alloc_zero(pull->listing.n + 1, sizeof *pull->want);
    for (size_t i = 0; i < pull->listing.n; i++) {
        const char *path = pull->listing.files[i].path;
        safetensors = safetensors || (!strchr(path, '/') && text_glob("*.safetensors", path));
        only = only || matches(path, options->only, options->n_only);
    }
    for (size_t i = 0; i < pull->listing.n; i++)
        pull->want[i] = is_wanted(pull, pull->listing.files[i].path, safetensors, only);
}

/* What the lock names must be what the hub lists, before a byte is fetched. */
static int check_lock(const Pull *pull, Error *error) {
    const LockEntry *entry = pull->options->locked;
    for (size_t k = 0; entry && k < entry->n_files; k++) {
        const LockFile *wanted = &entry->files[k];
        const HubFile *found = NULL;
        for (size_t i = 0; i < pull->listing.n && !found; i++)
            if (strcmp(pull->listing.files[i].path, wanted->path) == 0)
                found = &pull->listing.files[i];
        if (!found)
            return error_set_kind(error, ERROR_CHECK, "%s at %s has no file %s, which is locked",
                                  entry->repository, entry->commit, wanted->path);
        if (found->bytes != wanted->bytes ||
            (strlen(found->hash) == 64 && strcmp(found->hash, wanted->sha256) != 0))
            return error_set_kind(error, ERROR_CHECK,
                                  "%s of %s: the hub lists %lld bytes, %s; locked are %lld bytes, %s",
                                  wanted->path, entry->repository, (long long)found->bytes, found->hash,
                                  (long long)wanted->bytes, wanted->sha256);
    }
    return 0;
}

/* A file with gaps takes less than its size. */
static int64_t disk_bytes(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 ? (int64_t)status.st_blocks * 512 : 0;
}

static int check_space(const Pull *pull, Error *error) {
    int64_t needed = 0;
    struct statvfs disk;
    for (size_t i = 0; i < pull->n; i++) {
        const Download *download = &pull->downloads[i];
        int64_t there = file_size(download->blob), begun = disk_bytes(download->partial.path);
        if (there != download->file->bytes)
            needed += begun < download->file->bytes ? download->file->bytes - begun : 0;
    }
    if (statvfs(pull->shelf.folder, &disk) != 0)
        return error_set(error, "cannot ask for the free space of %s: %s", pull->shelf.folder,
                         strerror(errno));
    double available = (double)disk.f_bavail * (double)disk.f_frsize;
    if ((double)needed > available)
        return error_set(error, "%s needs %.3f GB more on the disk of %s, which has %.3f GB free",
                         pull->name.repository, (double)needed / 1e9, pull->shelf.folder, available / 1e9);
    return 0;
}

/* ---- the transfer */

static void show_progress(void *context) {
    Pull *pull = context;
    meter_show(&pull->meter);
}

/* Parts of a file are joined where a hash or an ETag says that they belong together. */
static int64_t part_bytes_of(const Pull *pull, const HubFile *file) {
    return file->unhashed && !file->etag[0] ? INT64_MAX : pull->options->part_bytes;
}

/* Lays out a download for each wanted file, in as many tasks as it has parts. */
static void prepare_downloads(Pull *pull, const char *second_store) {
    const HubListing *listing = &pull->listing;
    pull->downloads = mem_alloc_zero(listing->n + 1, sizeof *pull->downloads);
    for (size_t i = 0; i < listing->n; i++)
        if (pull->want[i])
            pull->n_tasks +=
                download_n_parts(listing->files[i].bytes, part_bytes_of(pull, &listing->files[i]));
    pull->tasks = mem_alloc_zero(pull->n_tasks + 1, sizeof *pull->tasks);
    HttpTask *task = pull->tasks;
    for (size_t i = 0; i < listing->n; i++) {
        if (!pull->want[i])
            continue;
        Download *download = &pull->downloads[pull->n++];
        download_begin(download, task, &pull->hub, &pull->name, &pull->shelf, listing->commit,
                       &listing->files[i], pull->page, part_bytes_of(pull, &listing->files[i]));
        download->second_store = second_store;
        task += download->n_parts;
    }
}

/* When what was fetched was verified. */
static void note_in_index(const Pull *pull) {
    ZooIndex *index = index_open(pull->shelf.store);
    index_begin(index);
    for (size_t i = 0; i < pull->n; i++)
        if (pull->downloads[i].fetched > 0)
            index_note(index, pull->shelf.name, pull->downloads[i].file->hash, true);
    index_commit(index);
    index_close(index);
}

static int transfer(Pull *pull, Error *error) {
    char *stores[2];
    store_folders(stores);
    prepare_downloads(pull, stores[1]);
    int result = check_space(pull, error);
    if (result == 0) {
        meter_begin(&pull->meter, pull->options->progress, pull->name.repository, pull->downloads, pull->n);
        result = http_run(pull->tasks, pull->n_tasks, &pull->hub.http, show_progress, pull, error);
        meter_end(&pull->meter, result == 0);
    }
    if (result == 0)
        note_in_index(pull);
    for (size_t i = 0; i < pull->n && result && pull->options->locked; i++)
        if (pull->downloads[i].mismatches > 0)
            error->kind = ERROR_CHECK;
    free(stores[0]);
    free(stores[1]);
    return result;
}

static int link_files(Pull *pull, Error *error) {
    bool web = is_web(pull->name.repository);
    int result = web ? 0 : shelf_keep_listing(&pull->shelf, &pull->listing, error);
    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < pull->n && result == 0; i++)
            if ((strcmp(pull->downloads[i].file->path, "config.json") == 0) == last)
                result = shelf_link(&pull->shelf, pull->listing.commit, pull->downloads[i].file, error);
    if (result == 0)
        result = shelf_set_ref(&pull->shelf, pull->name.revision, pull->listing.commit, error);
    return result;
}

/* ---- the whole */

static void report(const Pull *pull, PullResult *out) {
    out->commit = mem_strdup(pull->listing.commit);
    for (size_t i = 0; i < pull->n; i++) {
        const Download *download = &pull->downloads[i];
        out->n_files++;
        out->bytes += download->file->bytes;
        out->n_fetched += download->fetched > 0;
        out->bytes_fetched += download->fetched;
    }
}

/* A data set without a conversion to Parquet is taken as its main branch has it. */
static int list_files(Pull *pull, Error *error) {
    const PullOptions *options = pull->options;
    if (is_web(pull->name.repository) && (options->all || options->n_include > 0))
        return error_set_kind(error, ERROR_USAGE,
                              "%s: a folder on the web has no list of its files to take more from",
                              pull->name.repository);
    if (is_web(pull->name.repository))
        return web_list(&pull->listing, &pull->hub, &pull->name, &pull->shelf, options->locked, error);
    int result = hub_list(&pull->listing, &pull->hub, &pull->name, error);
    if (result == 0 || error->kind != ERROR_USAGE || !pull->name.dataset || !pull->name.unnamed)
        return result;
    free(pull->name.revision);
    pull->name.revision = mem_strdup("main");
    return hub_list(&pull->listing, &pull->hub, &pull->name, error);
}

/* What a folder on the web holds has a name only when all of it is here. */
static int name_web(Pull *pull, Error *error) {
    if (!is_web(pull->name.repository))
        return 0;
    web_commit(&pull->listing);
    if (pull->name.unnamed || strcmp(pull->listing.commit, pull->name.revision) == 0)
        return 0;
    return error_set_kind(error, ERROR_CHECK, "%s: its files are those of %s now, asked was %s",
                          pull->name.repository, pull->listing.commit, pull->name.revision);
}

static int pull_online(Pull *pull, PullResult *out, Error *error) {
    if (hub_open(&pull->hub, &pull->name, pull->options, error))
        return -1;
    pull->page = hub_page(&pull->hub, &pull->name);
    if (list_files(pull, error) || check_lock(pull, error))
        return -1;
    choose(pull);
    /* What a crash of the machine has damaged is put aside, and fetched again like anything that is missing.
     */
    if (shelf_prepare(&pull->shelf, error) ||
        (shelf_settle(&pull->shelf, error) && error->kind != ERROR_CHECK))
        return -1;
    if (shelf_begin_writing(&pull->shelf, &pull->lock, error) || transfer(pull, error) ||
        name_web(pull, error) || link_files(pull, error))
        return -1;
    report(pull, out);
    out->folder = shelf_snapshot(&pull->shelf, pull->listing.commit);
    if (out->n_files == 0)
        return error_set(error,
                         "%s at %s lists no file that a runtime reads (%zu files in all); --all takes them",
                         pull->name.repository, pull->listing.commit, pull->listing.n);
    return 0;
}

static int find_offline(const HubName *name, PullResult *out, Error *error) {
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n;
    Buffer text = {0};
    buffer_printf(&text, "%s%s%s%s", name->dataset ? "datasets/" : "", name->repository,
                  name->unnamed ? "" : "@", name->unnamed ? "" : name->revision);
    int result = zoo_list(text.data, &arena, &snapshots, &n, error);
    if (result == 0 && n == 0)
        result =
            error_set_kind(error, ERROR_USAGE,
                           "%s is not on this machine at revision %s; without --offline it can be pulled",
                           name->repository, name->revision);
    if (result == 0) {
        out->folder = mem_strdup(snapshots[0].folder);
        out->commit = mem_strdup(snapshots[0].commit);
        out->n_files = snapshots[0].n_files;
        out->bytes = snapshots[0].bytes;
    }
    buffer_free(&text);
    arena_free(&arena);
    return result;
}

static void pull_close(Pull *pull) {
    for (size_t i = 0; i < pull->n; i++)
        download_end(&pull->downloads[i]);
    if (pull->lock >= 0)
        close(pull->lock);
    free(pull->downloads);
    free(pull->tasks);
    free(pull->want);
    free(pull->page);
    hub_listing_free(&pull->listing);
    shelf_close(&pull->shelf);
    hub_close(&pull->hub);
    hub_name_free(&pull->name);
}

int zoo_pull(PullResult *out, const char *name, const PullOptions *options, Error *error) {
    Registry registry;
    Pull pull = {.options = options, .lock = -1};
    *out = (PullResult){0};
    if (zoo_registry_open(&registry, options->registry_file, error))
        return -1;
    int result = hub_name_parse(&pull.name, name, &registry, error);
    zoo_registry_close(&registry);
    if (result)
        return -1;
    char *store = zoo_store_folder();
    shelf_open(&pull.shelf, store, &pull.name);
    free(store);
    out->repository = mem_strdup(pull.name.repository);
    out->dataset = pull.name.dataset;
    result = options->offline ? find_offline(&pull.name, out, error) : pull_online(&pull, out, error);
    pull_close(&pull);
    if (result)
        pull_result_free(out);
    return result;
}

bool zoo_can_pull(const char *name) {
    Registry registry;
    HubName parsed = {0};
    if (zoo_registry_open(&registry, NULL, NULL))
        return false;
    bool can = hub_name_parse(&parsed, name, &registry, NULL) == 0;
    hub_name_free(&parsed);
    zoo_registry_close(&registry);
    return can;
}

void pull_result_free(PullResult *result) {
    free(result->folder);
    free(result->repository);
    free(result->commit);
    *result = (PullResult){0};
}
