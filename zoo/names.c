/* Names of repositories and revisions; see names.h. Whatever passes here is safe as a path and in a URL. */
#include "zoo/names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { MOST_REPOSITORY_BYTES = 96, MOST_REVISION_BYTES = 200, MOST_FOLDER_BYTES = 200 };
#define WEB_FOLDER "web--"

static bool only(const char *text, size_t length, const char *more) {
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(more, text[i]))
            return false;
    return length > 0;
}

bool repository_is_valid(const char *text) {
    const char *slash = strchr(text, '/');
    if (!slash || strlen(text) > MOST_REPOSITORY_BYTES || strstr(text, "..") || strstr(text, "--"))
        return false;
    if (!isalnum((unsigned char)text[0]) || text[0] == '.' || slash[1] == '.' || slash[1] == '-')
        return false;
    return only(text, (size_t)(slash - text), "._-") && only(slash + 1, strlen(slash + 1), "._-");
}

bool revision_is_valid(const char *text) {
    return strlen(text) <= MOST_REVISION_BYTES && path_is_inside(text) && !strstr(text, "..") &&
           text[0] != '-' && text[0] != '.' && !strstr(text, "/.") && only(text, strlen(text), "._-/+");
}

bool is_commit(const char *text) {
    return strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

/* ---- folders on the web */

bool is_web(const char *text) {
    return text_starts_with(text, "https:") || text_starts_with(text, "http:");
}

/* Everything that could mean something in a folder's name is quoted, so that it reads back. */
static char *web_folder(const char *address) {
    Buffer folder = {0};
    buffer_append_text(&folder, WEB_FOLDER);
    for (const char *at = address; *at; at++)
        if (isalnum((unsigned char)*at) || strchr("-._", *at))
            buffer_append_char(&folder, *at);
        else
            buffer_printf(&folder, "%%%02X", (unsigned char)*at);
    return buffer_take(&folder);
}

/* In the clear only to this machine. */
static bool is_own_host(const char *host) {
    static const char *const own[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (text_starts_with(host, own[i]) && strchr(":/", host[strlen(own[i])]))
            return true;
    return false;
}

bool web_is_valid(const char *text) {
    bool secure = text_starts_with(text, "https://");
    const char *host = secure                              ? text + strlen("https://")
                       : text_starts_with(text, "http://") ? text + strlen("http://")
                                                           : "";
    if (!isalnum((unsigned char)*host) && *host != '[')
        return false;
    if ((!secure && !is_own_host(host)) || !only(host, strlen(host), "-._~%+,=:/[]") || strstr(host, "//") ||
        strstr(host, "/.") || text_ends_with(host, "/"))
        return false;
    char *folder = web_folder(text);
    bool fits = strlen(folder) <= MOST_FOLDER_BYTES;
    free(folder);
    return fits;
}

char *web_of_folder(const char *folder) {
    if (!text_starts_with(folder, WEB_FOLDER))
        return NULL;
    Buffer text = {0};
    for (const char *at = folder + strlen(WEB_FOLDER); *at; at++) {
        char digits[3] = {at[0] == '%' ? at[1] : 0, at[0] == '%' && at[1] ? at[2] : 0, 0};
        bool quoted = strlen(digits) == 2 && strspn(digits, "0123456789ABCDEF") == 2;
        buffer_append_char(&text, quoted ? (char)strtol(digits, NULL, 16) : *at);
        at += quoted ? 2 : 0;
    }
    char *address = buffer_take(&text), *again = address ? web_folder(address) : NULL;
    if (!again || !web_is_valid(address) || strcmp(again, folder) != 0) {
        free(address);
        address = NULL;
    }
    free(again);
    return address;
}

/* ADDRESS or ADDRESS@COMMIT, with slashes at the end or without. */
static int parse_web(HubName *out, const char *text, Error *error) {
    const char *at = strrchr(text, '@');
    bool with_commit = at && is_commit(at + 1);
    size_t length = with_commit ? (size_t)(at - text) : strlen(text);
    while (length > 0 && text[length - 1] == '/')
        length--;
    *out = (HubName){.repository = mem_strndup(text, length), .unnamed = !with_commit};
    out->revision = mem_strdup(with_commit ? at + 1 : "main");
    if (web_is_valid(out->repository))
        return 0;
    hub_name_free(out);
    return error_set_kind(
        error, ERROR_USAGE,
        "\"%.300s\": expected https://HOST/PATH, a folder on the web: at most about %d "
        "characters, without \"..\", \"?\", \"#\" or a password; http:// only for localhost",
        text, MOST_FOLDER_BYTES - 40);
}

/* ---- repositories */

/* How many characters two names share at their start: enough to suggest one. */
static size_t shared_start(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && tolower((unsigned char)a[n]) == tolower((unsigned char)b[n]))
        n++;
    return n;
}

static int unknown(const char *text, const Registry *registry, Error *error) {
    const RegistryEntry *near = NULL;
    size_t best = 3;
    for (size_t i = 0; i < registry->n; i++) {
        size_t shared = shared_start(text, registry->entries[i].name);
        if (shared > best) {
            best = shared;
            near = &registry->entries[i];
        }
    }
    return error_set_kind(error, ERROR_USAGE,
                          "\"%.200s\" is neither a name in the registry nor ORG/NAME%s%s%s; `zeval list "
                          "--available` shows the registry",
                          text, near ? "; did you mean \"" : "", near ? near->name : "", near ? "\"?" : "");
}

int hub_name_parse(HubName *out, const char *text, const Registry *registry, Error *error) {
    const char *at = strrchr(text, '@');
    char *name = at ? mem_strndup(text, (size_t)(at - text)) : mem_strdup(text);
    const RegistryEntry *entry = zoo_registry_find(registry, name);
    const char *repository = entry ? entry->repository : name, *revision = at ? at + 1 : NULL;
    int result = 0;
    if (is_web(text)) {
        free(name);
        return parse_web(out, text, error);
    }
    *out = (HubName){.dataset = entry && entry->dataset};
    if (!entry && text_starts_with(name, "datasets/")) {
        repository = name + strlen("datasets/");
        out->dataset = true;
    }
    if (!revision && entry)
        revision = entry->revision;
    out->unnamed = !revision;
    if (!revision)
        revision = out->dataset ? PARQUET_REVISION : "main";
    if (!repository_is_valid(repository))
        result = unknown(text, registry, error);
    else if (!revision_is_valid(revision))
        result = error_set_kind(
            error, ERROR_USAGE,
            "\"%.200s\": \"%.200s\" is no revision's name: expected a branch, a tag or a commit", text,
            revision);
    if (result == 0) {
        out->repository = mem_strdup(repository);
        out->revision = mem_strdup(revision);
    }
    free(name);
    return result;
}

void hub_name_free(HubName *name) {
    free(name->repository);
    free(name->revision);
    *name = (HubName){0};
}

char *hub_name_folder(const HubName *name) {
    if (is_web(name->repository))
        return web_folder(name->repository);
    Buffer folder = {0};
    const char *slash = strchr(name->repository, '/');
    buffer_printf(&folder, "%s--%.*s--%s", name->dataset ? "datasets" : "models",
                  (int)(slash - name->repository), name->repository, slash + 1);
    return buffer_take(&folder);
}
