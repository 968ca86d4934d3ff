/* The hub's protocol; see hub.h. Nothing in an answer is believed: names stay inside their folder, sizes and
 * counts are bounded, hashes are hexadecimal, and further pages lie on the hub itself. */
#include "zoo/hub.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "zoo/digest.h"

enum { MOST_FILES = 100000, MOST_PAGES = 1000, MOST_PAGE_BYTES = 32 << 20, MOST_PATH_BYTES = 1024 };
enum { MOST_TOKEN_BYTES = 512, MOST_NAME_BYTES = 255 };
#define MOST_FILE_BYTES ((int64_t)1 << 46)

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static char *python_home(void) {
    const char *home = environment("HF_HOME"), *shared = environment("XDG_CACHE_HOME");
    if (home)
        return mem_strdup(home);
    if (shared)
        return path_join(shared, "huggingface");
    return path_join(environment("HOME") ? environment("HOME") : "/tmp", ".cache/huggingface");
}

char *hub_python_cache(void) {
    if (environment("HF_HUB_CACHE"))
        return mem_strdup(environment("HF_HUB_CACHE"));
    if (environment("HUGGINGFACE_HUB_CACHE"))
        return mem_strdup(environment("HUGGINGFACE_HUB_CACHE"));
    char *home = python_home(), *cache = path_join(home, "hub");
    free(home);
    return cache;
}

/* ---- the token */

static int check_token(const char *token, const char *from, Error *error) {
    for (const char *at = token; *at; at++)
        if (!isgraph((unsigned char)*at))
            return error_set(error, "the token from %s holds a character that no token has", from);
    return 0;
}

static int read_token(char **out, Error *error) {
    const char *own = environment("HF_TOKEN");
    char *home = python_home(), *file = environment("HF_TOKEN_PATH")
                                            ? mem_strdup(environment("HF_TOKEN_PATH"))
                                            : path_join(home, "token");
    Buffer text = {0};
    int result = 0;
    *out = NULL;
    if (own) {
        buffer_append_text(&text, own);
    } else if (file_exists(file)) {
        result = file_read(&text, file, MOST_TOKEN_BYTES, error);
    }
    const char *token = text.data ? text.data : "";
    size_t bytes = text.size;
    text_lstrip(&token, &bytes);
    text_rstrip(&token, &bytes);
    if (result == 0 && bytes > 0) {
        *out = mem_strndup(token, bytes);
        result = check_token(*out, own ? "HF_TOKEN" : file, error);
    }
    buffer_free(&text);
    free(file);
    free(home);
    return result;
}

const char *zoo_hub_address(void) {
    return environment("HF_ENDPOINT") ? environment("HF_ENDPOINT") : "https://huggingface.co";
}

int hub_open(Hub *out, const HubName *name, const PullOptions *options, Error *error) {
    bool web = is_web(name->repository);
    *out = (Hub){.endpoint = mem_strdup(web ? name->repository : zoo_hub_address())};
    size_t length = strlen(out->endpoint);
    while (length > 0 && out->endpoint[length - 1] == '/')
        out->endpoint[--length] = 0;
    if (!text_starts_with(out->endpoint, "https://") && !text_starts_with(out->endpoint, "http://"))
        return error_set_kind(error, ERROR_USAGE,
                              "HF_ENDPOINT is \"%s\", expected https://HOST or http://HOST", out->endpoint);
    if (!web && read_token(&out->token, error))
        return -1;
    out->http = (HttpOptions){.token = out->token,
                              .token_origin = web ? NULL : out->endpoint,
                              .parallel = options->parallel > 0 ? options->parallel : 4,
                              .stall_s = options->stall_s > 0 ? options->stall_s : 30,
                              .retry_delay_ms = options->retry_delay_ms > 0 ? options->retry_delay_ms : 500,
                              .bytes_per_second = options->bytes_per_second,
                              .stop = options->stop};
    return 0;
}

void hub_close(Hub *hub) {
    free(hub->endpoint);
    free(hub->token);
    *hub = (Hub){0};
}

/* ---- addresses */

static void append_quoted(Buffer *out, const char *text, const char *keep) {
    for (const char *at = text; *at; at++) {
        if (isalnum((unsigned char)*at) || strchr("-._~", *at) || strchr(keep, *at))
            buffer_append_char(out, *at);
        else
            buffer_printf(out, "%%%02X", (unsigned char)*at);
    }
}

char *hub_file_url(const Hub *hub, const HubName *name, const char *commit, const char *path) {
    Buffer url = {0};
    if (is_web(name->repository))
        buffer_printf(&url, "%s/", name->repository);
    else
        buffer_printf(&url, "%s/%s%s/resolve/%s/", hub->endpoint, name->dataset ? "datasets/" : "",
                      name->repository, commit);
    append_quoted(&url, path, "/");
    return buffer_take(&url);
}

char *hub_page(const Hub *hub, const HubName *name) {
    Buffer url = {0};
    if (is_web(name->repository))
        return mem_strdup(name->repository);
    buffer_printf(&url, "%s/%s%s", hub->endpoint, name->dataset ? "datasets/" : "", name->repository);
    return buffer_take(&url);
}

static void api_url(Buffer *url, const Hub *hub, const HubName *name) {
    buffer_printf(url, "%s/api/%s/%s", hub->endpoint, name->dataset ? "datasets" : "models",
                  name->repository);
}

/* ---- the listing */

static int fetch_json(cJSON **out, const Hub *hub, const char *url, const char *what, const char *page,
                      HttpHeaders *headers, Error *error) {
    Buffer text = {0};
    int result = http_get(&text, url, what, page, MOST_PAGE_BYTES, &hub->http, headers, error);
    if (result == 0)
        result = json_parse(out, text.data ? text.data : "", text.size, url, error);
    if (result && text.size > 0 && text.data[0] == '<')
        result =
            error_set(error, "%s: %s answered with a web page, expected JSON: is it the hub?", what, url);
    buffer_free(&text);
    return result;
}

static int ask_commit(HubListing *out, const Hub *hub, const HubName *name, const char *page, Error *error) {
    Buffer url = {0}, what = {0};
    cJSON *root = NULL;
    const char *sha = "";
    api_url(&url, hub, name);
    buffer_append_text(&url, "/revision/");
    append_quoted(&url, name->revision, "");
    buffer_printf(&what, "asking for %s at revision %s", name->repository, name->revision);
    int result = fetch_json(&root, hub, url.data, what.data, page, NULL, error);
    if (result == 0)
        result = json_get_string(root, "sha", &sha, url.data, error);
    if (result == 0 && !is_commit(sha))
        result = error_set(error, "%s: field \"sha\": found \"%.60s\", expected 40 hexadecimal digits",
                           url.data, sha);
    if (result == 0 && is_commit(name->revision) && strcmp(sha, name->revision) != 0)
        result = error_set(error, "%s: the hub answered with commit %s, asked was %s", what.data, sha,
                           name->revision);
    if (result == 0)
        memcpy(out->commit, sha, sizeof out->commit);
    cJSON_Delete(root);
    buffer_free(&url);
    buffer_free(&what);
    return result;
}

bool hub_name_is_storable(const char *path) {
    if (strlen(path) > MOST_PATH_BYTES || !path_is_inside(path) || !utf8_valid(path, strlen(path)))
        return false;
    for (const char *at = path; *at; at += at[strcspn(at, "/")] ? strcspn(at, "/") + 1 : strcspn(at, "/"))
        if (strcspn(at, "/") > MOST_NAME_BYTES)
            return false;
    return true;
}

static int copy_hash(char *out, size_t digits, const char *hash, const char *path, Error *error) {
    if (strlen(hash) != digits || !digest_is_name(hash))
        return error_set(error, "file \"%.200s\": its hash is \"%.80s\", expected %zu hexadecimal digits",
                         path, hash, digits);
    memcpy(out, hash, digits + 1);
    return 0;
}

static int read_file(HubFile *file, const cJSON *item, const char *where, Error *error) {
    const char *path, *oid;
    const cJSON *large = cJSON_GetObjectItemCaseSensitive(item, "lfs");
    if (json_get_string(item, "path", &path, where, error))
        return -1;
    if (!hub_name_is_storable(path))
        return error_set(error,
                         "%s: a file is named \"%.200s\", which leads outside its folder or cannot be stored",
                         where, path);
    if (json_get_string(item, "oid", &oid, where, error) ||
        json_get_int(item, "size", 0, MOST_FILE_BYTES, &file->bytes, where, error) ||
        copy_hash(file->git_id, 40, oid, path, error))
        return error_prefix(error, "file \"%.200s\"", path);
    memcpy(file->hash, file->git_id, sizeof file->git_id);
    if (cJSON_IsObject(large)) {
        if (json_get_string(large, "oid", &oid, where, error) ||
            json_get_int(large, "size", 0, MOST_FILE_BYTES, &file->bytes, where, error) ||
            copy_hash(file->hash, 64, oid, path, error))
            return error_prefix(error, "large file \"%.200s\"", path);
    }
    file->path = mem_strdup(path);
    return 0;
}

static int read_page(HubListing *out, const cJSON *root, const char *where, Error *error) {
    const char *type;
    if (!cJSON_IsArray(root))
        return error_set(error, "%s: found %s, expected an array of files", where, json_type_name(root));
    size_t more = (size_t)cJSON_GetArraySize(root);
    if (more > MOST_FILES - out->n)
        return error_set(error, "%s: the repository lists more than %d files", where, MOST_FILES);
    out->files = mem_realloc(out->files, (out->n + more + 1) * sizeof *out->files);
    for (const cJSON *item = root->child; item; item = item->next) {
        if (!cJSON_IsObject(item) || json_get_string(item, "type", &type, where, error))
            return error_set(error, "%s: an entry has no \"type\", expected \"file\" or \"directory\"",
                             where);
        if (strcmp(type, "file") != 0)
            continue;
        out->files[out->n] = (HubFile){0};
        if (read_file(&out->files[out->n], item, where, error))
            return -1;
        out->n++;
    }
    return 0;
}

static int compare_paths(const void *a, const void *b) {
    const char *first = ((const HubFile *)a)->path, *second = ((const HubFile *)b)->path;
    int folded = strcasecmp(first, second);
    return folded ? folded : strcmp(first, second);
}

/* Two names that differ in case only are one file on some disks. */
int hub_check_clashes(HubListing *listing, Error *error) {
    qsort(listing->files, listing->n, sizeof *listing->files, compare_paths);
    for (size_t i = 0; i + 1 < listing->n; i++) {
        const char *a = listing->files[i].path, *b = listing->files[i + 1].path;
        if (strcasecmp(a, b) == 0)
            return error_set(
                error, "the repository lists \"%.200s\" and \"%.200s\", which some disks cannot tell apart",
                a, b);
    }
    return 0;
}

static int fetch_pages(HubListing *out, const Hub *hub, char *url, const char *what, const char *page,
                       Error *error) {
    int result = 0, n_pages = 0;
    while (url && result == 0) {
        cJSON *root = NULL;
        HttpHeaders headers = {0};
        if (++n_pages > MOST_PAGES)
            result = error_set(error, "%s: the list has more than %d pages", what, MOST_PAGES);
        else if (!http_same_origin(url, hub->endpoint))
            result = error_set(error, "%s: the list goes on at %.300s, which is not the hub %s", what, url,
                               hub->endpoint);
        else
            result = fetch_json(&root, hub, url, what, page, &headers, error);
        if (result == 0)
            result = read_page(out, root, what, error);
        cJSON_Delete(root);
        free(url);
        url = result == 0 && headers.next_link[0] ? mem_strdup(headers.next_link) : NULL;
    }
    return result;
}

int hub_list(HubListing *out, const Hub *hub, const HubName *name, Error *error) {
    Buffer url = {0}, what = {0};
    char *page = hub_page(hub, name);
    *out = (HubListing){0};
    int result = ask_commit(out, hub, name, page, error);
    if (result == 0) {
        api_url(&url, hub, name);
        buffer_printf(&url, "/tree/%s?recursive=true&expand=false", out->commit);
        buffer_printf(&what, "listing %s", name->repository);
        result = fetch_pages(out, hub, buffer_take(&url), what.data, page, error);
    }
    if (result == 0)
        result = hub_check_clashes(out, error);
    if (result)
        hub_listing_free(out);
    buffer_free(&url);
    buffer_free(&what);
    free(page);
    return result;
}

void hub_listing_free(HubListing *listing) {
    for (size_t i = 0; i < listing->n; i++)
        free(listing->files[i].path);
    free(listing->files);
    *listing = (HubListing){0};
}
