/* The registry: JSON files of entries, the built-in ones embedded in the program from zoo/registry/. A field
 * that nobody has seen is absent. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "zoo/names.h"
#include "zoo/zoo.h"

#define REGISTRY_PREFIX "zoo/registry/"
enum { MOST_REGISTRY_BYTES = 16 << 20, MOST_ENTRIES = 100000 };

/* Copies the optional string `key` into the arena. */
static int read_text(Arena *arena, const cJSON *object, const char *key, const char **out, const char *where,
                     Error *error) {
    const char *text = NULL;
    if (json_opt_string(object, key, &text, where, error))
        return -1;
    *out = text ? arena_strdup(arena, text) : NULL;
    return 0;
}

static int read_aliases(Arena *arena, const cJSON *object, RegistryEntry *entry, const char *where,
                        Error *error) {
    const cJSON *array, *item;
    if (!cJSON_HasObjectItem(object, "aliases"))
        return 0;
    if (json_get_array(object, "aliases", &array, where, error))
        return -1;
    entry->aliases = arena_alloc(arena, sizeof *entry->aliases * ((size_t)cJSON_GetArraySize(array) + 1));
    cJSON_ArrayForEach(item, array) {
        if (!cJSON_IsString(item))
            return error_set(error, "%s: field \"aliases\": found %s, expected strings", where,
                             json_type_name(item));
        entry->aliases[entry->n_aliases++] = arena_strdup(arena, item->valuestring);
    }
    return 0;
}

static int read_published(Arena *arena, const cJSON *object, RegistryEntry *entry, const char *where,
                          Error *error) {
    const cJSON *array, *item;
    if (!cJSON_HasObjectItem(object, "published"))
        return 0;
    if (json_get_array(object, "published", &array, where, error))
        return -1;
    entry->published = arena_alloc(arena, sizeof *entry->published * ((size_t)cJSON_GetArraySize(array) + 1));
    cJSON_ArrayForEach(item, array) {
        PublishedRow *row = &entry->published[entry->n_published++];
        const char *paper, *table, *name;
        if (json_get_string(item, "paper", &paper, where, error) ||
            json_get_string(item, "table", &table, where, error) ||
            json_get_string(item, "row", &name, where, error))
            return -1;
        *row =
            (PublishedRow){arena_strdup(arena, paper), arena_strdup(arena, table), arena_strdup(arena, name)};
    }
    return 0;
}

static int read_kind(const cJSON *object, RegistryEntry *entry, const char *where, Error *error) {
    const char *kind = "model";
    bool gated = false;
    if (json_opt_string(object, "kind", &kind, where, error) ||
        json_opt_bool(object, "gated", &gated, where, error))
        return -1;
    if (strcmp(kind, "model") != 0 && strcmp(kind, "dataset") != 0)
        return error_set(error, "%s: field \"kind\": found \"%s\", expected \"model\" or \"dataset\"", where,
                         kind);
    entry->dataset = strcmp(kind, "dataset") == 0;
    if (cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(object, "gated")))
        entry->access = gated ? ACCESS_GATED : ACCESS_OPEN;
    return 0;
}

static int read_entry(Arena *arena, const cJSON *object, RegistryEntry *entry, const char *where,
                      Error *error) {
    const struct {
        const char *key;
        const char **target;
    } texts[] = {{"name", &entry->name},
                 {"repository", &entry->repository},
                 {"revision", &entry->revision},
                 {"family", &entry->family},
                 {"parameters", &entry->parameters},
                 {"stage", &entry->stage},
                 {"licence", &entry->licence},
                 {"base", &entry->base},
                 {"teacher", &entry->teacher},
                 {"weights", &entry->weights},
                 {"note", &entry->note}};
    if (!cJSON_IsObject(object))
        return error_set(error, "%s: found %s, expected an object", where, json_type_name(object));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (read_text(arena, object, texts[i].key, texts[i].target, where, error))
            return -1;
    if (!entry->name || !entry->repository)
        return error_set(error, "%s: field \"%s\" is missing", where, entry->name ? "repository" : "name");
    if (!repository_is_valid(entry->repository))
        return error_set(error, "%s: field \"repository\": found \"%s\", expected ORG/NAME", where,
                         entry->repository);
    if (entry->revision && !revision_is_valid(entry->revision))
        return error_set(error, "%s: field \"revision\": \"%s\" is no revision's name", where,
                         entry->revision);
    return read_kind(object, entry, where, error) || read_aliases(arena, object, entry, where, error) ||
                   read_published(arena, object, entry, where, error)
               ? -1
               : 0;
}

static int add_entries(Registry *registry, const char *text, size_t bytes, const char *file, Error *error) {
    cJSON *root;
    const cJSON *item;
    if (json_parse(&root, text, bytes, file, error))
        return -1;
    size_t more = cJSON_IsArray(root) ? (size_t)cJSON_GetArraySize(root) : 0;
    int result = 0;
    if (!cJSON_IsArray(root))
        result = error_set(error, "%s: found %s, expected an array of entries", file, json_type_name(root));
    else if (more > MOST_ENTRIES - registry->n)
        result = error_set(error, "%s: found %zu entries, expected at most %d", file, more, MOST_ENTRIES);
    if (result == 0 && more > 0)
        registry->entries = mem_realloc(registry->entries, (registry->n + more) * sizeof *registry->entries);
    for (item = result == 0 ? root->child : NULL; item && result == 0; item = item->next) {
        RegistryEntry *entry = &registry->entries[registry->n];
        *entry = (RegistryEntry){0};
        char *where = arena_printf(&registry->arena, "%s, entry %zu", file, ++registry->n);
        result = read_entry(&registry->arena, item, entry, where, error);
    }
    cJSON_Delete(root);
    return result;
}

static int add_user_file(Registry *registry, const char *file, Error *error) {
    Buffer text = {0};
    int result = file_read(&text, file, MOST_REGISTRY_BYTES, error);
    if (result == 0)
        result = add_entries(registry, text.data ? text.data : "", text.size, file, error);
    buffer_free(&text);
    return result ? error_prefix(error, "reading the registry") : 0;
}

int zoo_registry_open(Registry *out, const char *file, Error *error) {
    *out = (Registry){0};
    if (!file)
        file = getenv("ZEVAL_REGISTRY");
    int result = file && *file ? add_user_file(out, file, error) : 0;
    for (size_t i = 0; i < n_embedded_files && result == 0; i++) {
        const EmbeddedFile *embedded = &embedded_files[i];
        if (text_starts_with(embedded->name, REGISTRY_PREFIX))
            result = add_entries(out, (const char *)embedded->data, embedded->bytes, embedded->name, error);
    }
    if (result)
        zoo_registry_close(out);
    return result;
}

static bool is_named(const RegistryEntry *entry, const char *name) {
    if (strcasecmp(entry->name, name) == 0 || strcasecmp(entry->repository, name) == 0)
        return true;
    for (size_t i = 0; i < entry->n_aliases; i++)
        if (strcasecmp(entry->aliases[i], name) == 0)
            return true;
    return false;
}

const RegistryEntry *zoo_registry_find(const Registry *registry, const char *name) {
    for (size_t i = 0; i < registry->n; i++)
        if (is_named(&registry->entries[i], name))
            return &registry->entries[i];
    return NULL;
}

void zoo_registry_close(Registry *registry) {
    free(registry->entries);
    arena_free(&registry->arena);
    *registry = (Registry){0};
}
