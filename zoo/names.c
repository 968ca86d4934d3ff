/* Names of repositories and revisions; see names.h. Whatever passes here is safe as a path and in a URL. */
#include "zoo/names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { MOST_REPOSITORY_BYTES = 96, MOST_REVISION_BYTES = 200 };

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
    Buffer folder = {0};
    const char *slash = strchr(name->repository, '/');
    buffer_printf(&folder, "%s--%.*s--%s", name->dataset ? "datasets" : "models",
                  (int)(slash - name->repository), name->repository, slash + 1);
    return buffer_take(&folder);
}
