/* See replay.h. All records in one array, sorted by task, document and request once everything is read. */
#include "eval/replay.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { MOST_DOCUMENTS = 1 << 30, MOST_REQUESTS = 1 << 16 };

typedef struct Record {
    const char *task, *file;
    int64_t doc_id, idx;
    bool is_text;
    const char *text;
    double loglikelihood;
    bool is_greedy;
    const char *prompt_sha256; /* NULL: not recorded */
    size_t line;
} Record;

struct Replay {
    Arena arena;
    const char **files;
    size_t n_files;
    Record *records;
    size_t n, capacity;
};

const char *replay_path(const char *model) {
    static const char prefix[] = "replay:";
    return text_starts_with(model, prefix) ? model + sizeof prefix - 1 : NULL;
}

/* ---- reading */

/* A line on its way into records. */
typedef struct Line {
    Replay *replay;
    Record record; /* what all records of the line share */
    const cJSON *json;
    Error *error;
} Line;

static int fail(const Line *line, const char *what) {
    return error_set(line->error, "%s:%zu: %s", line->record.file, line->record.line, what);
}

static void add(Line *line, const Record *record) {
    Replay *replay = line->replay;
    if (replay->n == replay->capacity) {
        replay->capacity = replay->capacity ? replay->capacity * 2 : 1024;
        replay->records = mem_realloc(replay->records, replay->capacity * sizeof *replay->records);
    }
    replay->records[replay->n++] = *record;
}

static bool read_number(const cJSON *item, double *out) {
    if (cJSON_IsNumber(item)) {
        *out = item->valuedouble;
        return true;
    }
    return cJSON_IsString(item) && text_to_double(item->valuestring, out);
}

static bool read_truth(const cJSON *item, bool *out) {
    bool is_text = cJSON_IsString(item);
    *out = cJSON_IsTrue(item) || (is_text && strcmp(item->valuestring, "True") == 0);
    return cJSON_IsBool(item) || *out || (is_text && strcmp(item->valuestring, "False") == 0);
}

/* A text, a pair, or a number; lm-eval writes numbers and truth values as text inside lists. */
static int read_response(Line *line, const cJSON *item, bool bare_text, Record *out) {
    if (cJSON_IsString(item) && bare_text) {
        out->is_text = true;
        out->text = arena_strdup(&line->replay->arena, item->valuestring);
        return 0;
    }
    const cJSON *number = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 0) : item;
    const cJSON *truth = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 1) : NULL;
    if (cJSON_IsArray(item) && (cJSON_GetArraySize(item) != 2 || !read_truth(truth, &out->is_greedy)))
        return fail(line, "a response: a text, a number or a pair [log-likelihood, is greedy] was expected");
    if (!read_number(number, &out->loglikelihood) || !isfinite(out->loglikelihood))
        return fail(line, "a response: the log-likelihood is no number");
    return 0;
}

static int read_plain(Line *line) {
    const cJSON *response = cJSON_GetObjectItemCaseSensitive(line->json, "response");
    Record record = line->record;
    const char *task;
    if (json_get_string(line->json, "task", &task, record.file, line->error) ||
        json_opt_int(line->json, "idx", 0, MOST_REQUESTS, &record.idx, record.file, line->error))
        return error_prefix(line->error, "line %zu", record.line);
    if (!response)
        return fail(line, "neither 'response' nor 'resps' is there");
    record.task = arena_strdup(&line->replay->arena, task);
    if (read_response(line, response, true, &record))
        return -1;
    add(line, &record);
    return 0;
}

static bool looks_generated(const cJSON *line) {
    const cJSON *arguments = cJSON_GetObjectItemCaseSensitive(line, "arguments");
    const cJSON *first = arguments ? arguments->child : NULL;
    return first && cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(first, "arg_1"));
}

/* A line of lm-eval's samples: resps holds a list of repeats for each request. Repeats of a generated text
 * count on; of other answers, which are the same, the first is taken. */
static int read_sample(Line *line, const cJSON *responses) {
    const cJSON *prompt = cJSON_GetObjectItemCaseSensitive(line->json, "prompt_hash"), *repeats;
    bool generated = looks_generated(line->json);
    Record record = line->record;
    if (!record.task)
        return fail(line, "lm-eval's samples are read from files called samples_TASK_TIME.jsonl");
    if (cJSON_IsString(prompt))
        record.prompt_sha256 = arena_strdup(&line->replay->arena, prompt->valuestring);
    if (!cJSON_IsArray(responses) || cJSON_GetArraySize(responses) > MOST_REQUESTS)
        return fail(line, "resps: a list was expected");
    cJSON_ArrayForEach(repeats, responses) {
        if (cJSON_GetArraySize(repeats) < 1)
            return fail(line, "resps: a list of responses was expected for each request");
        const cJSON *one = repeats->child;
        do {
            if (read_response(line, one, generated, &record))
                return -1;
            add(line, &record);
            record.idx++;
            record.prompt_sha256 = NULL;
            one = one->next;
        } while (one && generated && record.idx < MOST_REQUESTS);
    }
    return 0;
}

static int read_line(Replay *replay, const char *file, const char *task, size_t number, const char *text,
                     size_t bytes, Error *error) {
    cJSON *json;
    if (json_parse(&json, text, bytes, file, error))
        return error_prefix(error, "line %zu", number);
    Line line = {.replay = replay,
                 .record = {.task = task, .file = file, .line = number},
                 .json = json,
                 .error = error};
    const cJSON *responses = cJSON_GetObjectItemCaseSensitive(json, "resps");
    int result = json_get_int(json, "doc_id", 0, MOST_DOCUMENTS, &line.record.doc_id, file, error);
    if (result)
        error_prefix(error, "line %zu", number);
    else
        result = responses ? read_sample(&line, responses) : read_plain(&line);
    cJSON_Delete(json);
    return result;
}

/* TASK of samples_TASK_2025-01-31T12-00-00.000000.jsonl; NULL if the name is another. */
static const char *task_of_file(Arena *arena, const char *path) {
    static const char prefix[] = "samples_";
    const char *name = path_name(path), *end = strrchr(name, '_');
    if (!end || !text_starts_with(name, prefix) || end < name + sizeof prefix)
        return NULL;
    const char *start = name + sizeof prefix - 1;
    return arena_strndup(arena, start, (size_t)(end - start));
}

static int read_file(Replay *replay, const char *file, Error *error) {
    LineReader *reader;
    const char *text, *task = task_of_file(&replay->arena, file);
    size_t bytes;
    int more;
    if (line_reader_open(&reader, file, error))
        return -1;
    while ((more = line_reader_next(reader, &text, &bytes, error)) > 0)
        if (strspn(text, " \t") < bytes &&
            read_line(replay, file, task, line_reader_number(reader), text, bytes, error)) {
            more = -1;
            break;
        }
    line_reader_close(reader);
    return more;
}

/* ---- files */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_file(Replay *replay, const char *path) {
    replay->files = mem_realloc(replay->files, (replay->n_files + 1) * sizeof *replay->files);
    replay->files[replay->n_files++] = arena_strdup(&replay->arena, path);
}

static int list_files(Replay *replay, const char *path, Error *error) {
    if (!file_is_directory(path)) {
        if (!file_exists(path))
            return error_set_kind(error, ERROR_USAGE, "replay: there is no file or folder %s", path);
        add_file(replay, path);
        return 0;
    }
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (text_ends_with(entry->d_name, ".jsonl") || text_ends_with(entry->d_name, ".jsonl.gz")) {
            char *file = path_join(path, entry->d_name);
            add_file(replay, file);
            free(file);
        }
    if (folder)
        closedir(folder);
    if (replay->n_files == 0)
        return error_set_kind(error, ERROR_USAGE, "replay: the folder %s holds no *.jsonl", path);
    qsort(replay->files, replay->n_files, sizeof *replay->files, compare_names);
    return 0;
}

size_t replay_file_count(const Replay *replay) {
    return replay->n_files;
}

const char *replay_file(const Replay *replay, size_t i) {
    return replay->files[i];
}

/* ---- finding */

static int compare_places(const void *a, const void *b) {
    const Record *left = a, *right = b;
    int order = strcmp(left->task, right->task);
    if (order)
        return order;
    if (left->doc_id != right->doc_id)
        return left->doc_id < right->doc_id ? -1 : 1;
    return (left->idx > right->idx) - (left->idx < right->idx);
}

static bool same_answer(const Record *a, const Record *b) {
    if (a->is_text != b->is_text)
        return false;
    return a->is_text ? strcmp(a->text, b->text) == 0
                      : a->loglikelihood == b->loglikelihood && a->is_greedy == b->is_greedy;
}

static int sort_records(Replay *replay, Error *error) {
    if (replay->n == 0)
        return error_set(error, "replay: %s holds no answers", replay->files[0]);
    qsort(replay->records, replay->n, sizeof *replay->records, compare_places);
    for (size_t i = 1; i < replay->n; i++) {
        const Record *a = &replay->records[i - 1], *b = &replay->records[i];
        if (compare_places(a, b) == 0 && !same_answer(a, b))
            return error_set(
                error,
                "replay: two different answers to task %s, document %lld, request %lld: %s:%zu and "
                "%s:%zu",
                a->task, (long long)a->doc_id, (long long)a->idx, a->file, a->line, b->file, b->line);
    }
    return 0;
}

int replay_open(Replay **out, const char *path, Error *error) {
    Replay *replay = mem_alloc_zero(1, sizeof *replay);
    int result = list_files(replay, path, error);
    for (size_t i = 0; i < replay->n_files && result == 0; i++)
        result = read_file(replay, replay->files[i], error);
    if (result == 0)
        result = sort_records(replay, error);
    if (result)
        replay_close(replay);
    else
        *out = replay;
    return result;
}

void replay_close(Replay *replay) {
    if (!replay)
        return;
    free(replay->files);
    free(replay->records);
    arena_free(&replay->arena);
    free(replay);
}

static int check_prompt(const Record *record, const TaskDocument *document, Error *error) {
    char prompt[SHA256_HEX];
    if (!record->prompt_sha256)
        return 0;
    sha256_text(document->requests[0].context, strlen(document->requests[0].context), prompt);
    if (strcmp(prompt, record->prompt_sha256) == 0)
        return 0;
    return error_set_kind(
        error, ERROR_CHECK,
        "replay: %s:%zu: task %s, document %lld: the answer is to another prompt: it hashes to "
        "%.16s, and ours to %.16s",
        record->file, record->line, record->task, (long long)record->doc_id, record->prompt_sha256, prompt);
}

int replay_answer(const Replay *replay, const char *task, const TaskDocument *document, size_t request,
                  Answer *out, Error *error) {
    const Record wanted = {.task = task, .doc_id = document->doc_id, .idx = (int64_t)request};
    const Record *found = bsearch(&wanted, replay->records, replay->n, sizeof wanted, compare_places);
    if (!found)
        return error_set(error, "replay: no answer to task %s, document %lld, request %zu", task,
                         (long long)document->doc_id, request);
    /* Of records of the same place, the one that says which prompt it answers. */
    while (found > replay->records && compare_places(found - 1, &wanted) == 0)
        found--;
    for (const Record *one = found, *end = replay->records + replay->n;
         one < end && compare_places(one, &wanted) == 0; one++)
        if (check_prompt(one, document, error))
            return -1;
    bool generates = document->requests[request].type == OUTPUT_GENERATE_UNTIL;
    if (found->is_text != generates)
        return error_set(error,
                         "replay: %s:%zu: task %s, document %lld, request %zu: found a %s, expected a %s",
                         found->file, found->line, task, (long long)document->doc_id, request,
                         found->is_text ? "text" : "log-likelihood", generates ? "text" : "log-likelihood");
    *out = (Answer){.loglikelihood = generates ? (double)NAN : found->loglikelihood,
                    .is_greedy = found->is_greedy,
                    .text = found->text};
    return 0;
}
