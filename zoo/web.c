/* Folders on the web; see web.h. Nothing in an answer is believed: names of shards stay inside the folder,
 * sizes and counts are bounded, and a web page in a file's place is no file. */
#include "zoo/web.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/digest.h"
#include "zoo/walk.h"

enum { MOST_SHARDS = 4096, MOST_INDEX_BYTES = 32 << 20, HASH_BYTES = 64, COMMIT_BYTES = 40 };
#define MOST_FILE_BYTES ((int64_t)1 << 46)

/* What a runtime reads beside the weights. */
static const char *const side_files[] = {"config.json",
                                         "generation_config.json",
                                         "tokenizer.json",
                                         "tokenizer_config.json",
                                         "tokenizer.model",
                                         "special_tokens_map.json",
                                         "added_tokens.json",
                                         "vocab.json",
                                         "merges.txt",
                                         "vocab.txt",
                                         "qwen.tiktoken",
                                         "chat_template.jinja",
                                         "chat_template.json",
                                         "hybrid_config.json",
                                         "mla_layer_config.json",
                                         "MLA_config.json",
                                         "mamba_config.json"};

/* In the order of preference, each beside the index of its shards. */
static const char *const weights[][2] = {{"model.safetensors", "model.safetensors.index.json"},
                                         {"pytorch_model.bin", "pytorch_model.bin.index.json"}};

/* ---- asking whether a file is there */

typedef struct Probe {
    HubFile file;
    HttpTask task;
    char *url, *what;
    bool found;
} Probe;

typedef struct Probes {
    const Hub *hub;
    const HubName *name;
    Probe *items;
    size_t n;
} Probes;

/* A server that answers every address with its front page has none of these files. */
static bool is_page(const Probe *probe, const HttpHeaders *headers) {
    return text_starts_with(headers->type, "text/html") && !text_ends_with(probe->file.path, ".html");
}

static HttpVerdict probe_head(void *context, int status, const HttpHeaders *headers, Error *error) {
    Probe *probe = context;
    (void)status;
    if (is_page(probe, headers)) {
        if (probe->task.optional)
            return HTTP_GO;
        error_set(error, "%s: %s is a web page", probe->what, probe->url);
        return HTTP_FATAL;
    }
    if (!text_to_int(headers->length, &probe->file.bytes) || probe->file.bytes < 0 ||
        probe->file.bytes > MOST_FILE_BYTES) {
        error_set(error, "%s: %s has the length \"%s\", expected a number of bytes up to 2^46", probe->what,
                  probe->url, headers->length);
        return HTTP_FATAL;
    }
    if (headers->etag[0] == '"') /* a weak one says nothing about bytes */
        memcpy(probe->file.etag, headers->etag, sizeof probe->file.etag);
    probe->found = true;
    return HTTP_GO;
}

static HttpVerdict probe_receive(void *context, const void *data, size_t bytes, Error *error) {
    (void)context;
    (void)data;
    (void)bytes;
    (void)error;
    return HTTP_GO; /* an answer to HEAD has no body */
}

static void add_probe(Probes *probes, const char *path, bool optional) {
    probes->items = mem_realloc(probes->items, (probes->n + 1) * sizeof *probes->items);
    Probe *probe = &probes->items[probes->n++];
    Buffer what = {0};
    buffer_printf(&what, "looking for %s of %s", path, probes->name->repository);
    *probe = (Probe){.file.path = mem_strdup(path),
                     .url = hub_file_url(probes->hub, probes->name, "", path),
                     .what = buffer_take(&what),
                     .task.optional = optional};
}

/* Asks for those from `first` on, several at once. */
static int run_probes(Probes *probes, size_t first, Error *error) {
    size_t n = probes->n - first;
    HttpTask *tasks = mem_alloc_zero(n + 1, sizeof *tasks);
    for (size_t i = 0; i < n; i++) {
        Probe *probe = &probes->items[first + i];
        tasks[i] = (HttpTask){.url = probe->url,
                              .what = probe->what,
                              .context = probe,
                              .begin = probe_head,
                              .receive = probe_receive,
                              .head = true,
                              .optional = probe->task.optional};
    }
    int result = http_run(tasks, n, &probes->hub->http, NULL, NULL, error);
    free(tasks);
    return result;
}

static bool is_found(const Probes *probes, const char *path) {
    for (size_t i = 0; i < probes->n; i++)
        if (probes->items[i].found && strcmp(probes->items[i].file.path, path) == 0)
            return true;
    return false;
}

static void drop(Probes *probes, const char *path) {
    for (size_t i = 0; i < probes->n; i++)
        if (strcmp(probes->items[i].file.path, path) == 0)
            probes->items[i].found = false;
}

static void probes_free(Probes *probes) {
    for (size_t i = 0; i < probes->n; i++) {
        free(probes->items[i].file.path);
        free(probes->items[i].url);
        free(probes->items[i].what);
    }
    free(probes->items);
}

/* ---- which files */

static int add_shard(Probes *probes, const cJSON *item, const char *where, Error *error) {
    if (!cJSON_IsString(item) || !hub_name_is_storable(item->valuestring) || strchr(item->valuestring, '/'))
        return error_set(error, "%s: tensor \"%.100s\": expected the name of a file beside the index", where,
                         item->string);
    for (size_t i = probes->n; i-- > 0;) /* neighbours mostly share a shard */
        if (strcmp(probes->items[i].file.path, item->valuestring) == 0)
            return 0;
    if (probes->n > MOST_SHARDS)
        return error_set(error, "%s: it names more than %d files", where, MOST_SHARDS);
    add_probe(probes, item->valuestring, false);
    return 0;
}

/* Asks for every file that an index of shards names. */
static int find_shards(Probes *probes, const char *index, Error *error) {
    Buffer text = {0}, what = {0};
    cJSON *root = NULL;
    const cJSON *map;
    size_t first = probes->n;
    char *url = hub_file_url(probes->hub, probes->name, "", index);
    buffer_printf(&what, "reading %s of %s", index, probes->name->repository);
    int result = http_get(&text, url, what.data, NULL, MOST_INDEX_BYTES, &probes->hub->http, NULL, error);
    if (result == 0)
        result = json_parse(&root, text.data ? text.data : "", text.size, url, error);
    if (result == 0)
        result = cJSON_IsObject(root) ? json_get_object(root, "weight_map", &map, url, error)
                                      : error_set(error, "%s: expected an object", url);
    for (const cJSON *item = result == 0 ? map->child : NULL; item && result == 0; item = item->next)
        result = add_shard(probes, item, url, error);
    if (result == 0)
        result = run_probes(probes, first, error);
    cJSON_Delete(root);
    buffer_free(&text);
    buffer_free(&what);
    free(url);
    return result;
}

/* Of the weights that are there the first kind is taken, and of it the single file before the shards. */
static int choose_weights(Probes *probes, Error *error) {
    bool taken = false;
    int result = 0;
    for (size_t i = 0; i < sizeof weights / sizeof *weights && result == 0; i++) {
        const char *single = weights[i][0], *index = weights[i][1];
        if (taken)
            drop(probes, single);
        if (taken || is_found(probes, single))
            drop(probes, index);
        else if (is_found(probes, index))
            result = find_shards(probes, index, error);
        taken = taken || is_found(probes, single) || is_found(probes, index);
    }
    if (result == 0 && !taken)
        result = error_set_kind(error, ERROR_USAGE,
                                "%s has a config.json, but neither model.safetensors nor "
                                "pytorch_model.bin nor an index of their shards",
                                probes->name->repository);
    return result;
}

static int find_files(Probes *probes, Error *error) {
    for (size_t i = 0; i < sizeof side_files / sizeof *side_files; i++)
        add_probe(probes, side_files[i], true);
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        for (size_t k = 0; k < 2; k++)
            add_probe(probes, weights[i][k], true);
    if (run_probes(probes, 0, error))
        return -1;
    if (!is_found(probes, "config.json"))
        return error_set_kind(error, ERROR_USAGE,
                              "%s has no config.json (or answers with a web page): expected the folder of a "
                              "checkpoint",
                              probes->name->repository);
    return choose_weights(probes, error);
}

static int ask_for_locked(Probes *probes, const LockEntry *locked, Error *error) {
    for (size_t i = 0; i < locked->n_files; i++) {
        if (!hub_name_is_storable(locked->files[i].path))
            return error_set(error, "the lock file names \"%.200s\", which cannot be stored",
                             locked->files[i].path);
        add_probe(probes, locked->files[i].path, true);
    }
    return run_probes(probes, 0, error);
}

/* ---- what the files are */

/* A name for what the server has there now. Without an ETag nothing says whether it is still that, so nobody
 * else shall find it by that name. */
static void name_unhashed(HubFile *file, const char *url) {
    Buffer text = {0};
    buffer_printf(&text, "%s\n%s\n%lld", url, file->etag, (long long)file->bytes);
    sha256_text(text.data, text.size, file->hash);
    buffer_free(&text);
    file->unhashed = true;
}

static char *memory_path(const Shelf *shelf, const char *key) {
    Buffer path = {0};
    buffer_printf(&path, "%s/seen/%s", shelf->folder, key);
    return buffer_take(&path);
}

int web_remember(const Shelf *shelf, const char *key, const char *hash, Error *error) {
    char *path = memory_path(shelf, key), *folder = path_folder(path);
    int result = file_make_directories(folder, error);
    if (result == 0)
        result = file_write_atomic(path, hash, strlen(hash), error);
    free(folder);
    free(path);
    return result;
}

bool web_recall(const Shelf *shelf, const char *key, int64_t bytes, char hash[65]) {
    char *path = memory_path(shelf, key), *blob = NULL;
    Buffer text = {0};
    bool known = file_exists(path) && file_read(&text, path, HASH_BYTES, NULL) == 0 &&
                 text.size == HASH_BYTES && digest_is_name(text.data);
    if (known)
        blob = shelf_blob(shelf, text.data, "");
    known = known && file_size(blob) == bytes;
    if (known)
        memcpy(hash, text.data, HASH_BYTES + 1);
    buffer_free(&text);
    free(blob);
    free(path);
    return known;
}

static int forget_gone(void *context, const char *folder, const char *key) {
    char hash[HASH_BYTES + 1], *path = path_join(folder, key);
    Buffer text = {0};
    if (file_read(&text, path, HASH_BYTES, NULL) || text.size != HASH_BYTES || !digest_is_name(text.data)) {
        unlink(path);
    } else {
        memcpy(hash, text.data, sizeof hash);
        char *blob = shelf_blob(context, hash, "");
        if (!file_exists(blob))
            unlink(path);
        free(blob);
    }
    buffer_free(&text);
    free(path);
    return 0;
}

void web_forget(const Shelf *shelf) {
    char *folder = path_join(shelf->folder, "seen");
    each_name(folder, forget_gone, (void *)shelf);
    free(folder);
}

static void give_hash(HubFile *file, const char *url, const Shelf *shelf, const LockEntry *locked) {
    char hash[HASH_BYTES + 1];
    for (size_t i = 0; locked && i < locked->n_files; i++)
        if (strcmp(locked->files[i].path, file->path) == 0) {
            memcpy(file->hash, locked->files[i].sha256, sizeof file->hash);
            return;
        }
    name_unhashed(file, url);
    if (file->etag[0] && web_recall(shelf, file->hash, file->bytes, hash)) {
        memcpy(file->hash, hash, sizeof file->hash);
        file->unhashed = false;
    }
}

static void hand_over(HubListing *out, Probes *probes, const Shelf *shelf, const LockEntry *locked) {
    out->files = mem_alloc_zero(probes->n + 1, sizeof *out->files);
    for (size_t i = 0; i < probes->n; i++) {
        Probe *probe = &probes->items[i];
        if (!probe->found)
            continue;
        HubFile *file = &out->files[out->n++];
        *file = probe->file;
        probe->file.path = NULL;
        give_hash(file, probe->url, shelf, locked);
    }
}

int web_list(HubListing *out, const Hub *hub, const HubName *name, const Shelf *shelf,
             const LockEntry *locked, Error *error) {
    Probes probes = {.hub = hub, .name = name};
    *out = (HubListing){0};
    int result = locked ? ask_for_locked(&probes, locked, error) : find_files(&probes, error);
    if (result == 0) {
        hand_over(out, &probes, shelf, locked);
        result = hub_check_clashes(out, error);
    }
    if (result)
        hub_listing_free(out);
    probes_free(&probes);
    return result;
}

void web_commit(HubListing *listing) {
    Sha256 *hash = sha256_begin();
    char hex[SHA256_HEX];
    for (size_t i = 0; i < listing->n; i++) {
        sha256_update_field(hash, listing->files[i].path, strlen(listing->files[i].path));
        sha256_update_field(hash, listing->files[i].hash, strlen(listing->files[i].hash));
    }
    sha256_end(hash, hex);
    memcpy(listing->commit, hex, COMMIT_BYTES);
    listing->commit[COMMIT_BYTES] = 0;
}
