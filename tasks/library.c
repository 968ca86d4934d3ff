/* The index of task files. All of it lives in one arena; parsed files are kept, so that a template that many
 * tasks include is read once. */
#include "tasks/library.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/embedded.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "tasks/yaml.h"

enum { FILE_BYTES_MAX = 4 << 20, INCLUDE_DEPTH_MAX = 16, FOLDER_DEPTH_MAX = 12, FILES_MAX = 100000 };

static const char *const embedded_roots[] = {"tasks/library", "zoo/demo/tasks"};
/* What v0.4.0 has otherwise, and what it has not. */
static const char old_files[] = "tasks/library/v0.4.0/";
static const char *const later_tasks[] = {"arc_challenge_chat", "commonsense_qa", "gsm8k_cot_llama"};

enum { RANK_USER, RANK_PROFILE, RANK_BUILT_IN };

/* Pointers by name, in open addressing. */
typedef struct NameSlot {
    const char *name;
    void *item;
} NameSlot;
typedef struct NameTable {
    NameSlot *slots; /* [room], a power of two or 0 */
    size_t n, room;
} NameTable;

struct Library {
    Arena arena;
    Compat compat;
    const char *root; /* the user's folder of task files; NULL if none */
    size_t n_files;
    LibraryEntry **entries; /* sorted by name once opened */
    size_t n_entries, entries_room;
    const char **faults;
    size_t n_faults, faults_room;
    NameTable files_by_name, entries_by_name;
};

/* The includes being read, innermost first: what finds a cycle. */
typedef struct IncludeChain {
    const LibraryFile *file;
    const struct IncludeChain *outer;
    int depth;
} IncludeChain;

/* Where a name is in the table, or where it would go: a slot with the name NULL. */
static NameSlot *find_slot(const NameTable *table, const char *name) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (const char *at = name; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    for (size_t i = hash & (table->room - 1);; i = (i + 1) & (table->room - 1))
        if (!table->slots[i].name || strcmp(table->slots[i].name, name) == 0)
            return &table->slots[i];
}

static void *table_get(const NameTable *table, const char *name) {
    return table->room ? find_slot(table, name)->item : NULL;
}

/* The name, which is not there yet, must live as long as the table. */
static void table_put(NameTable *table, const char *name, void *item) {
    if (table->n * 2 >= table->room) {
        NameTable old = *table;
        table->room = old.room ? old.room * 2 : 256;
        table->slots = mem_alloc_zero(table->room, sizeof *table->slots);
        for (size_t i = 0; i < old.room; i++)
            if (old.slots[i].name)
                *find_slot(table, old.slots[i].name) = old.slots[i];
        free(old.slots);
    }
    *find_slot(table, name) = (NameSlot){name, item};
    table->n++;
}

static void *grow(void *items, size_t n, size_t *room) {
    if (n < *room)
        return items;
    *room = *room ? *room * 2 : 64;
    return mem_realloc(items, *room * sizeof(void *));
}

static LibraryFile *find_file(Library *library, const char *name, const char *root, bool embedded) {
    const char *key = arena_printf(&library->arena, "%d%s\n%s", embedded, root, name);
    LibraryFile *file = table_get(&library->files_by_name, key);
    if (file)
        return file;
    file = arena_alloc(&library->arena, sizeof *file);
    table_put(&library->files_by_name, key, file);
    library->n_files++;
    *file = (LibraryFile){.name = arena_strdup(&library->arena, name),
                          .root = arena_strdup(&library->arena, root),
                          .embedded = embedded};
    return file;
}

static int parse_text(Library *library, LibraryFile *file, const char *text, size_t bytes, Error *error) {
    char hex[SHA256_HEX];
    sha256_text(text, bytes, hex);
    file->sha256 = arena_strdup(&library->arena, hex);
    file->bytes = (int64_t)bytes;
    if (yaml_parse(&file->keys, &library->arena, text, bytes, file->name, error))
        return -1;
    file->parsed = true;
    return 0;
}

static int parse_file(Library *library, LibraryFile *file, Error *error) {
    if (file->parsed)
        return 0;
    if (file->embedded) {
        const EmbeddedFile *embedded = embedded_find(file->name);
        if (!embedded)
            return error_set(error, "%s: there is no such built-in task file", file->name);
        return parse_text(library, file, (const char *)embedded->data, embedded->bytes, error);
    }
    Buffer text = {0};
    int status = file_read(&text, file->name, FILE_BYTES_MAX, error);
    if (!status)
        status = parse_text(library, file, text.data ? text.data : "", text.size, error);
    buffer_free(&text);
    return status;
}

/* "a/b/../c" as "a/c"; NULL if it leaves the folder where it begins. */
static char *normalize(Arena *arena, const char *path) {
    char *out = arena_strdup(arena, path);
    size_t length = 0;
    for (const char *at = path; *at;) {
        size_t part = strcspn(at, "/");
        bool up = part == 2 && at[0] == '.' && at[1] == '.';
        if (up && length == 0)
            return NULL;
        if (up) {
            while (length > 0 && out[--length] != '/')
                continue;
        } else if (part > 0 && !(part == 1 && *at == '.')) {
            if (length > 0)
                out[length++] = '/';
            memmove(out + length, at, part);
            length += part;
        }
        at += part + (at[part] == '/');
    }
    out[length] = '\0';
    return out;
}

/* The file that an include names, which must lie below the including file's root. */
static int resolve_include(Library *library, const LibraryFile *file, const Value *name, LibraryFile **out,
                           Error *error) {
    if (name->kind != VALUE_STRING || name->n == 0)
        return error_set(error, "%s:%u: include: found %s; a file name was expected", file->name, name->line,
                         value_kind_name(name->kind));
    Arena *arena = &library->arena;
    size_t root = strlen(file->root);
    bool below = strncmp(file->name, file->root, root) == 0 && file->name[root] == '/';
    const char *inside = below ? file->name + root + 1 : path_name(file->name), *last = strrchr(inside, '/');
    int folder = last ? (int)(last - inside) + 1 : 0;
    const char *path = *name->as.text == '/'
                           ? NULL
                           : normalize(arena, arena_printf(arena, "%.*s%s", folder, inside, name->as.text));
    if (!path)
        return error_set(error, "%s:%u: include: '%.200s' lies outside %s, where included files must be",
                         file->name, name->line, name->as.text, file->root);
    *out = find_file(library, arena_printf(arena, "%s/%s", file->root, path), file->root, file->embedded);
    return 0;
}

static void set_key(Library *library, LibraryEntry *entry, const ValuePair *pair, const char *file) {
    Value *keys = &entry->keys;
    size_t i = 0;
    while (i < keys->n && strcmp(keys->as.pairs[i].key, pair->key) != 0)
        i++;
    if (i == keys->n && i % 32 == 0) {
        ValuePair *pairs = arena_alloc(&library->arena, (i + 32) * sizeof *pairs);
        const char **files = arena_alloc(&library->arena, (i + 32) * sizeof *files);
        if (i) {
            memcpy(pairs, keys->as.pairs, i * sizeof *pairs);
            memcpy(files, entry->key_files, i * sizeof *files);
        }
        keys->as.pairs = pairs;
        entry->key_files = files;
    }
    keys->as.pairs[i] = *pair;
    entry->key_files[i] = file;
    keys->n += i == keys->n;
}

static void note_file(Library *library, LibraryEntry *entry, const LibraryFile *file) {
    for (size_t i = 0; i < entry->n_files; i++)
        if (entry->files[i] == file)
            return;
    const LibraryFile **files = arena_alloc(&library->arena, (entry->n_files + 1) * sizeof *files);
    if (entry->n_files)
        memcpy(files, entry->files, entry->n_files * sizeof *files);
    files[entry->n_files++] = file;
    entry->files = files;
}

static int merge_file(Library *library, LibraryEntry *entry, LibraryFile *file, const IncludeChain *outer,
                      Error *error);

static int merge_include(Library *library, LibraryEntry *entry, const LibraryFile *file, const Value *name,
                         const IncludeChain *chain, Error *error) {
    LibraryFile *included = NULL;
    if (resolve_include(library, file, name, &included, error))
        return -1;
    for (const IncludeChain *link = chain; link; link = link->outer)
        if (link->file == included)
            return error_set(error, "%s:%u: include: '%.200s' includes itself in a circle", file->name,
                             name->line, included->name);
    if (chain->depth >= INCLUDE_DEPTH_MAX)
        return error_set(error, "%s:%u: include: nested deeper than %d files", file->name, name->line,
                         INCLUDE_DEPTH_MAX);
    if (merge_file(library, entry, included, chain, error)) {
        if (!included->parsed)
            error_prefix(error, "%s:%u: include", file->name, name->line);
        return -1;
    }
    return 0;
}

/* Puts a file's includes and then its own keys into the entry: what comes later wins. */
static int merge_file(Library *library, LibraryEntry *entry, LibraryFile *file, const IncludeChain *outer,
                      Error *error) {
    if (parse_file(library, file, error))
        return -1;
    note_file(library, entry, file);
    IncludeChain chain = {file, outer, outer ? outer->depth + 1 : 0};
    const Value *include = value_get(&file->keys, "include");
    size_t n = !include ? 0 : include->kind == VALUE_LIST ? include->n : 1;
    for (size_t i = 0; i < n; i++) {
        const Value *name = include->kind == VALUE_LIST ? &include->as.items[i] : include;
        if (merge_include(library, entry, file, name, &chain, error))
            return -1;
    }
    for (size_t i = 0; i < file->keys.n; i++)
        if (strcmp(file->keys.as.pairs[i].key, "include") != 0)
            set_key(library, entry, &file->keys.as.pairs[i], file->name);
    return 0;
}

bool library_came_later(const Library *library, const char *name) {
    bool found = false;
    for (size_t i = 0; i < sizeof later_tasks / sizeof *later_tasks; i++)
        found |= strcmp(later_tasks[i], name) == 0;
    return found && library->compat == COMPAT_V0_4_0;
}

/* An entry of a name that is there already is hidden by the one that was there first. */
static void add_entry(Library *library, LibraryEntry *entry) {
    LibraryEntry *other = table_get(&library->entries_by_name, entry->name);
    if (other && other->rank == entry->rank && !other->rival)
        other->rival = entry->file;
    if (other || (entry->rank > RANK_USER && library_came_later(library, entry->name)))
        return;
    table_put(&library->entries_by_name, entry->name, entry);
    library->entries = grow(library->entries, library->n_entries, &library->entries_room);
    library->entries[library->n_entries++] = entry;
}

/* Makes an entry of a file; *out is NULL if it names neither a task nor a group: a template for others. */
static int read_entry(Library *library, LibraryFile *file, LibraryEntry **out, Error *error) {
    *out = NULL;
    LibraryEntry *entry = arena_alloc(&library->arena, sizeof *entry);
    entry->keys.kind = VALUE_DICT;
    entry->file = file->name;
    entry->compat = library->compat;
    entry->rank = !file->embedded                           ? RANK_USER
                  : text_starts_with(file->name, old_files) ? RANK_PROFILE
                                                            : RANK_BUILT_IN;
    if (merge_file(library, entry, file, NULL, error))
        return -1;
    const Value *group = value_get(&entry->keys, "group"), *task = value_get(&entry->keys, "task");
    if (!group && !task)
        return 0;
    entry->is_group = task && task->kind == VALUE_LIST;
    if (entry->is_group && !group)
        return error_set(error, "%s:%u: task: a list makes a group, which needs the key 'group'", file->name,
                         task->line);
    if (!entry->is_group && !task)
        return error_set(error, "%s:%u: group: the key 'task' with the list of its members is missing",
                         file->name, group->line);
    const Value *name = entry->is_group ? group : task;
    if (name->kind != VALUE_STRING || name->n == 0)
        return error_set(error, "%s:%u: %s: found %s; a name was expected", file->name, name->line,
                         entry->is_group ? "group" : "task", value_kind_name(name->kind));
    entry->name = name->as.text;
    *out = entry;
    return 0;
}

static int index_file(Library *library, const char *name, const char *root, bool embedded, Error *error) {
    LibraryEntry *entry;
    if (read_entry(library, find_file(library, name, root, embedded), &entry, error))
        return -1;
    if (entry)
        add_entry(library, entry);
    return 0;
}

/* A file of the user's; one that cannot be read is noted and left out. */
static int index_users_file(void *context, const char *path, Error *error) {
    Library *library = context;
    Error fault = {0};
    if (library->n_files > FILES_MAX)
        return error_set(error, "%s: more than %d task files", library->root, FILES_MAX);
    if (index_file(library, path, library->root, false, &fault)) {
        library->faults = grow(library->faults, library->n_faults, &library->faults_room);
        library->faults[library->n_faults++] = arena_strdup(&library->arena, fault.message);
    }
    return 0;
}

/* What library_walk calls, and how deep it is. */
typedef struct Walk {
    int (*visit)(void *context, const char *path, Error *error);
    void *context;
    Error *error;
} Walk;

static int walk_folder(const Walk *walk, const char *folder, int depth) {
    struct dirent **names;
    Error *error = walk->error;
    if (depth > FOLDER_DEPTH_MAX)
        return error_set(error, "%s: folders are nested deeper than %d levels", folder, FOLDER_DEPTH_MAX);
    int n = scandir(folder, &names, NULL, alphasort), status = 0;
    if (n < 0)
        return error_set(error, "%s: the folder of task files cannot be read: %m", folder);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        char *path = path_join(folder, name);
        if (!status && name[0] != '.' && file_is_directory(path))
            status = walk_folder(walk, path, depth + 1);
        else if (!status && name[0] != '.' && text_ends_with(name, ".yaml"))
            status = walk->visit(walk->context, path, error);
        free(path);
        free(names[i]);
    }
    free(names);
    return status;
}

int library_walk(const char *folder, int (*visit)(void *context, const char *path, Error *error),
                 void *context, Error *error) {
    const Walk walk = {visit, context, error};
    char *name = mem_strdup(folder);
    for (size_t length = strlen(name); length > 1 && name[length - 1] == '/'; length--)
        name[length - 1] = '\0';
    int status = walk_folder(&walk, name, 0);
    free(name);
    return status;
}

/* The profile's own files, or all others. */
static int index_embedded(Library *library, bool own, Error *error) {
    for (size_t i = 0; i < n_embedded_files; i++) {
        const char *name = embedded_files[i].name;
        if (!text_ends_with(name, ".yaml") || text_starts_with(name, old_files) != own)
            continue;
        for (size_t r = 0; r < sizeof embedded_roots / sizeof *embedded_roots; r++) {
            size_t length = strlen(embedded_roots[r]);
            if (strncmp(name, embedded_roots[r], length) != 0 || name[length] != '/')
                continue;
            if (index_file(library, name, embedded_roots[r], true, error))
                return -1;
        }
    }
    return 0;
}

/* A folder's name without the slashes at its end, so that names below it begin with it and one slash. */
static const char *root_name(Arena *arena, const char *folder) {
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    return arena_strndup(arena, folder, length);
}

static int compare_entries(const void *a, const void *b) {
    return strcmp((*(LibraryEntry *const *)a)->name, (*(LibraryEntry *const *)b)->name);
}

int library_open(Library **out, const char *include_path, Compat compat, Error *error) {
    Library *library = mem_alloc_zero(1, sizeof *library);
    library->compat = compat;
    const char *root = include_path ? root_name(&library->arena, include_path) : NULL;
    library->root = root;
    if ((root && library_walk(root, index_users_file, library, error)) ||
        (compat == COMPAT_V0_4_0 && index_embedded(library, true, error)) ||
        index_embedded(library, false, error)) {
        library_close(library);
        return -1;
    }
    if (library->n_entries)
        qsort(library->entries, library->n_entries, sizeof *library->entries, compare_entries);
    *out = library;
    return 0;
}

void library_close(Library *library) {
    if (!library)
        return;
    free(library->files_by_name.slots);
    free(library->entries_by_name.slots);
    free(library->entries);
    free(library->faults);
    arena_free(&library->arena);
    free(library);
}

const char *const *library_faults(const Library *library, size_t *n) {
    *n = library->n_faults;
    return library->faults;
}

size_t library_count(const Library *library) {
    return library->n_entries;
}
const LibraryEntry *library_entry(const Library *library, size_t i) {
    return library->entries[i];
}

const LibraryEntry *library_find(const Library *library, const char *name) {
    LibraryEntry wanted = {.name = name}, *key = &wanted;
    if (library->n_entries == 0)
        return NULL;
    LibraryEntry **found =
        bsearch(&key, library->entries, library->n_entries, sizeof *library->entries, compare_entries);
    return found ? *found : NULL;
}

int library_read_file(Library *library, const char *path, const LibraryEntry **out, Error *error) {
    char *folder = path_folder(path);
    size_t root = library->root ? strlen(library->root) : 0;
    bool inside = root > 0 && strncmp(path, library->root, root) == 0 && path[root] == '/';
    LibraryFile *file = find_file(library, path, inside ? library->root : folder, false);
    free(folder);
    LibraryEntry *entry;
    if (read_entry(library, file, &entry, error))
        return -1;
    *out = entry;
    return 0;
}

int library_add_file(Library *library, const char *path, const LibraryEntry **out, Error *error) {
    if (library_read_file(library, path, out, error))
        return -1;
    return *out ? 0 : error_set(error, "%s: the key 'task' is missing; a task file names its task", path);
}

/* Tag number i of a task, counted from 0; NULL behind the last. */
static const char *tag_at(const LibraryEntry *entry, size_t i) {
    static const char *const keys[] = {"tag", "group"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys && !entry->is_group; k++) {
        const Value *tags = value_get(&entry->keys, keys[k]);
        size_t n = !tags ? 0 : tags->kind == VALUE_LIST ? tags->n : 1;
        if (i >= n) {
            i -= n;
            continue;
        }
        const Value *tag = tags->kind == VALUE_LIST ? &tags->as.items[i] : tags;
        return tag->kind == VALUE_STRING ? tag->as.text : "";
    }
    return NULL;
}

bool library_has_tag(const LibraryEntry *entry, const char *tag) {
    const char *own;
    for (size_t i = 0; (own = tag_at(entry, i)); i++)
        if (strcmp(own, tag) == 0)
            return true;
    return false;
}

static void override_keys(Library *library, LibraryEntry *entry, const Value *keys, const char *file) {
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->as.pairs[i].key, "task") != 0 && strcmp(keys->as.pairs[i].key, "group") != 0)
            set_key(library, entry, &keys->as.pairs[i], file);
}

const LibraryEntry *library_override(Library *library, const LibraryEntry *entry, const Value *keys,
                                     const char *file) {
    if (keys->n == 0)
        return entry;
    LibraryEntry *copy = arena_alloc(&library->arena, sizeof *copy);
    *copy = *entry;
    copy->keys = (Value){.kind = VALUE_DICT};
    copy->key_files = NULL;
    for (size_t i = 0; i < entry->keys.n; i++)
        set_key(library, copy, &entry->keys.as.pairs[i], entry->key_files[i]);
    override_keys(library, copy, keys, file);
    return copy;
}

const LibraryEntry *library_inline(Library *library, const LibraryEntry *group, const char *name,
                                   const Value *keys, bool is_group) {
    LibraryEntry *entry = arena_alloc(&library->arena, sizeof *entry);
    *entry = *group;
    entry->name = arena_printf(&library->arena, "%s::%s", group->name, name);
    entry->rival = NULL;
    entry->is_group = is_group;
    entry->keys = (Value){.kind = VALUE_DICT};
    entry->key_files = NULL;
    for (size_t i = 0; i < keys->n; i++)
        set_key(library, entry, &keys->as.pairs[i], group->file);
    return entry;
}

Value library_group_overrides(const LibraryEntry *group, Arena *arena) {
    static const char *const own[] = {"group",    "group_alias", "task", "aggregate_metric_list",
                                      "metadata", "tag"};
    Value keys = {.kind = VALUE_DICT,
                  .as.pairs = arena_alloc(arena, (group->keys.n + 1) * sizeof(ValuePair))};
    for (size_t i = 0; i < group->keys.n; i++) {
        bool is_own = false;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            is_own |= strcmp(own[k], group->keys.as.pairs[i].key) == 0;
        if (!is_own)
            keys.as.pairs[keys.n++] = group->keys.as.pairs[i];
    }
    return keys;
}

Value library_merged_keys(Arena *arena, const Value *base, const Value *over) {
    Value keys = {.kind = VALUE_DICT,
                  .as.pairs = arena_alloc(arena, (base->n + over->n + 1) * sizeof(ValuePair))};
    for (size_t i = 0; i < base->n; i++)
        if (!value_get(over, base->as.pairs[i].key))
            keys.as.pairs[keys.n++] = base->as.pairs[i];
    for (size_t i = 0; i < over->n; i++)
        keys.as.pairs[keys.n++] = over->as.pairs[i];
    return keys;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void library_tags(const Library *library, Arena *arena, const char ***out, size_t *n) {
    size_t room = 0, count = 0;
    for (size_t i = 0; i < library->n_entries; i++)
        for (size_t t = 0; tag_at(library->entries[i], t); t++)
            room++;
    const char **names = arena_alloc(arena, (room + 1) * sizeof *names);
    for (size_t i = 0; i < library->n_entries; i++)
        for (size_t t = 0; tag_at(library->entries[i], t); t++)
            if (*tag_at(library->entries[i], t))
                names[count++] = tag_at(library->entries[i], t);
    if (count)
        qsort(names, count, sizeof *names, compare_names);
    *n = 0;
    for (size_t i = 0; i < count; i++)
        if (*n == 0 || strcmp(names[*n - 1], names[i]) != 0)
            names[(*n)++] = names[i];
    *out = names;
}
