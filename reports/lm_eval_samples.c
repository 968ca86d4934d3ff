/* See lm_eval_samples.h. Documents, requests, answers of filters and metrics are read side by side, all in
 * the order of the documents, and written as they come. */
#include "reports/lm_eval_samples.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/results.h"

enum { FLUSH_BYTES = 1 << 20 };

/* A statement whose first column is a document's number. */
typedef struct Cursor {
    sqlite3_stmt *statement;
    bool there;
    int64_t doc_id;
} Cursor;

typedef struct Writer {
    Db *db;
    LmRun *run;
    const LmEntry *task;
    FILE *file;
    Buffer text;
    Sha256 *hash; /* over the hashes of all samples */
    Arena arena;  /* of one sample */
    Error *error;
} Writer;

static int advance(Writer *writer, Cursor *cursor) {
    int found = report_step(writer->db, cursor->statement, writer->error);
    cursor->there = found > 0;
    if (cursor->there)
        cursor->doc_id = sqlite3_column_int64(cursor->statement, 0);
    return found < 0 ? -1 : 0;
}

/* `filter` is bound to ?2 if the query has it. */
static int open_cursor(Writer *writer, const char *sql, const char *filter, Cursor *out) {
    out->statement = report_query(writer->db, sql, writer->task->task_id, writer->error);
    if (!out->statement)
        return -1;
    if (sqlite3_bind_parameter_count(out->statement) > 1)
        sqlite3_bind_text(out->statement, 2, filter, -1, SQLITE_STATIC);
    return advance(writer, out);
}

/* Behind rows of earlier documents. */
static int catch_up(Writer *writer, Cursor *cursor, int64_t doc_id) {
    while (cursor->there && cursor->doc_id < doc_id)
        if (advance(writer, cursor))
            return -1;
    return 0;
}

/* ---- one sample */

static void hash_of(const char *text, size_t bytes, char hex[SHA256_HEX]) {
    sha256_text(text ? text : "", bytes, hex);
}

/* Python's str of a float as a JSON string. */
static void append_number_text(Buffer *out, double number) {
    buffer_append_char(out, '"');
    text_append_double(out, number);
    buffer_append_char(out, '"');
}

/* What requests of a document add to the sample's parts. */
typedef struct Requests {
    Buffer arguments, responses, filtered;
    size_t n;
} Requests;

static void append_arguments(Buffer *out, sqlite3_stmt *row, Arena *arena) {
    const char *generation = report_text(row, 4, arena);
    buffer_append_text(out, "{\"arg_0\": ");
    lm_append_string(out, report_text(row, 2, arena));
    if (sqlite3_column_type(row, 3) != SQLITE_NULL) {
        buffer_append_text(out, ", \"arg_1\": ");
        lm_append_string(out, report_text(row, 3, arena));
    } else if (*generation) {
        buffer_printf(out, ", \"arg_1\": %s", generation);
    }
    buffer_append_char(out, '}');
}

/* A request's answer as it is logged: a text, a number as text, or such a number with a truth value. */
static void append_answer(Buffer *out, const LmEntry *task, sqlite3_stmt *row, Arena *arena) {
    if (strcmp(task->output_type, "generate_until") == 0) {
        lm_append_string(out, report_text(row, 7, arena));
    } else if (strcmp(task->output_type, "loglikelihood_rolling") == 0) {
        append_number_text(out, report_real(row, 5));
    } else {
        buffer_append_char(out, '[');
        append_number_text(out, report_real(row, 5));
        buffer_printf(out, ", \"%s\"]", sqlite3_column_int(row, 6) ? "True" : "False");
    }
}

/* The requests of a document that generates text are repeats of one. */
static int read_requests(Writer *writer, Cursor *cursor, int64_t doc_id, Requests *out) {
    bool generates = strcmp(writer->task->output_type, "generate_until") == 0;
    if (catch_up(writer, cursor, doc_id))
        return -1;
    for (; cursor->there && cursor->doc_id == doc_id; out->n++) {
        const char *comma = out->n ? ", " : "";
        bool repeat = generates && out->n > 0;
        if (!repeat) {
            buffer_printf(&out->arguments, "%s\"gen_args_%zu\": ", comma, out->n);
            append_arguments(&out->arguments, cursor->statement, &writer->arena);
        }
        buffer_printf(&out->responses, "%s%s", comma, repeat ? "" : "[");
        append_answer(&out->responses, writer->task, cursor->statement, &writer->arena);
        buffer_append_text(&out->responses, generates ? "" : "]");
        buffer_append_text(&out->filtered, comma);
        append_answer(&out->filtered, writer->task, cursor->statement, &writer->arena);
        if (advance(writer, cursor))
            return -1;
    }
    buffer_append_text(&out->responses, generates && out->n ? "]" : "");
    return 0;
}

static bool is_whole(const LmEntry *task, const char *metric) {
    bool loglikelihood = strcmp(task->output_type, "loglikelihood") == 0,
         choice = strcmp(task->output_type, "multiple_choice") == 0;
    return (loglikelihood && strcmp(metric, "acc") == 0) || (choice && strcmp(metric, "exact_match") == 0);
}

/* Upstream logs int, float, (log-likelihood, count) or (right choice, choice). */
static void append_metric(Buffer *out, const LmEntry *task, const char *name, sqlite3_stmt *row) {
    bool choices = strcmp(name, "f1") == 0 || strcmp(name, "mcc") == 0;
    double value = report_real(row, 2), weight = report_real(row, 3);
    bool pair = !isnan(weight);
    buffer_append_text(out, pair ? "[" : "");
    if (is_whole(task, name) || (pair && choices))
        buffer_printf(out, "%.0f", value);
    else
        text_append_double(out, value);
    if (pair)
        buffer_printf(out, ", %.0f]", weight);
}

/* The metrics' names and their values, both in upstream's order. */
static int read_metrics(Writer *writer, Cursor *cursor, int64_t doc_id, Buffer *names, Buffer *values) {
    enum { MOST_METRICS = 64 };
    struct {
        const char *name;
        char *text;
    } found[MOST_METRICS];
    size_t n = 0;
    int result = catch_up(writer, cursor, doc_id);
    while (result == 0 && cursor->there && cursor->doc_id == doc_id && n < MOST_METRICS) {
        Buffer text = {0};
        const char *name = report_text(cursor->statement, 1, &writer->arena);
        append_metric(&text, writer->task, name, cursor->statement);
        size_t at = n++;
        for (; at > 0 && lm_metric_rank(found[at - 1].name) > lm_metric_rank(name); at--)
            found[at] = found[at - 1];
        found[at].name = name;
        found[at].text = buffer_take(&text);
        result = advance(writer, cursor);
    }
    for (size_t i = 0; i < n; i++) {
        buffer_append_text(names, i ? ", " : "");
        lm_append_string(names, found[i].name);
        buffer_append_text(values, ", ");
        lm_append_string(values, found[i].name);
        buffer_printf(values, ": %s", found[i].text);
        free(found[i].text);
    }
    return result;
}

static void append_hashes(Writer *writer, const char *document, const char *prompt, const char *target) {
    char document_hash[SHA256_HEX], target_hash[SHA256_HEX];
    Buffer indented = {0};
    lm_indent(document, &indented);
    hash_of(indented.data, indented.size, document_hash);
    hash_of(target, strlen(target), target_hash);
    buffer_free(&indented);
    buffer_printf(&writer->text,
                  ", \"doc_hash\": \"%s\", \"prompt_hash\": \"%.64s\", \"target_hash\": \"%s\"",
                  document_hash, prompt, target_hash);
    sha256_update(writer->hash, document_hash, strlen(document_hash));
    sha256_update(writer->hash, prompt, strlen(prompt));
    sha256_update(writer->hash, target_hash, strlen(target_hash));
}

typedef struct Cursors {
    Cursor documents, requests, outputs, metrics;
} Cursors;

static int append_sample(Writer *writer, Cursors *cursors, const char *filter, Requests *requests,
                         Buffer *names, Buffer *values) {
    int64_t doc_id = cursors->documents.doc_id;
    const char *document = report_text(cursors->documents.statement, 1, &writer->arena),
               *target = report_text(cursors->documents.statement, 2, &writer->arena),
               *prompt = report_text(cursors->documents.statement, 3, &writer->arena);
    if (read_requests(writer, &cursors->requests, doc_id, requests) ||
        read_metrics(writer, &cursors->metrics, doc_id, names, values) ||
        catch_up(writer, &cursors->outputs, doc_id))
        return -1;
    Buffer *text = &writer->text;
    buffer_printf(text, "{\"doc_id\": %lld, \"doc\": %s, \"target\": ", (long long)doc_id,
                  *document ? document : "null");
    lm_append_string(text, target);
    buffer_printf(text, ", \"arguments\": {%s}, \"resps\": [%s], \"filtered_resps\": ",
                  requests->n ? requests->arguments.data : "", requests->n ? requests->responses.data : "");
    if (cursors->outputs.there && cursors->outputs.doc_id == doc_id)
        buffer_append_text(text, report_text(cursors->outputs.statement, 1, &writer->arena));
    else
        buffer_printf(text, "[%s]", requests->n ? requests->filtered.data : "");
    buffer_append_text(text, ", \"filter\": ");
    lm_append_string(text, filter);
    buffer_printf(text, ", \"metrics\": [%s]", names->size ? names->data : "");
    append_hashes(writer, document, prompt, target);
    buffer_printf(text, "%s}\n", values->size ? values->data : "");
    return 0;
}

static int flush(Writer *writer) {
    if (fwrite(writer->text.data, 1, writer->text.size, writer->file) != writer->text.size)
        return error_set(writer->error, "cannot write: %s", strerror(errno));
    buffer_clear(&writer->text);
    return 0;
}

static int write_filter(Writer *writer, const char *filter, Cursors *cursors) {
    Requests requests = {0};
    Buffer names = {0}, values = {0};
    int result = 0;
    while (cursors->documents.there && result == 0) {
        arena_reset(&writer->arena);
        buffer_clear(&requests.arguments);
        buffer_clear(&requests.responses);
        buffer_clear(&requests.filtered);
        buffer_clear(&names);
        buffer_clear(&values);
        requests.n = 0;
        result = append_sample(writer, cursors, filter, &requests, &names, &values);
        if (result == 0 && writer->text.size > FLUSH_BYTES)
            result = flush(writer);
        if (result == 0)
            result = advance(writer, &cursors->documents);
    }
    buffer_free(&requests.arguments);
    buffer_free(&requests.responses);
    buffer_free(&requests.filtered);
    buffer_free(&names);
    buffer_free(&values);
    return result;
}

static int write_with_filter(Writer *writer, const char *filter) {
    Cursors cursors = {0};
    int result =
        open_cursor(writer,
                    "SELECT d.doc_id, x.text, y.text, d.prompt_sha256 FROM documents d"
                    " LEFT JOIN texts x ON x.text_id = d.json_id LEFT JOIN texts y ON y.text_id = d.target_id"
                    " WHERE d.task_id = ?1 ORDER BY d.doc_id",
                    filter, &cursors.documents) ||
                open_cursor(
                    writer,
                    "SELECT doc_id, idx, context, continuation, generation, loglikelihood, is_greedy, text"
                    " FROM v_requests WHERE task_id = ?1 ORDER BY doc_id, idx",
                    filter, &cursors.requests) ||
                open_cursor(writer,
                            "SELECT doc_id, value FROM document_outputs WHERE task_id = ?1 AND filter = ?2"
                            " ORDER BY doc_id",
                            filter, &cursors.outputs) ||
                open_cursor(writer,
                            "SELECT doc_id, metric, value, weight FROM document_metrics WHERE task_id = ?1"
                            " AND filter = ?2 ORDER BY doc_id, metric",
                            filter, &cursors.metrics)
            ? -1
            : write_filter(writer, filter, &cursors);
    sqlite3_finalize(cursors.documents.statement);
    sqlite3_finalize(cursors.requests.statement);
    sqlite3_finalize(cursors.outputs.statement);
    sqlite3_finalize(cursors.metrics.statement);
    return result;
}

int lm_samples_write(Db *db, LmRun *run, LmEntry *task, const char *path, Error *error) {
    Writer writer = {.db = db, .run = run, .task = task, .error = error, .hash = sha256_begin()};
    char hex[SHA256_HEX];
    size_t n;
    const char **filters = lm_filters(task->config, &run->arena, &n);
    int result = 0;
    writer.file = fopen(path, "wb");
    if (!writer.file)
        result = error_set(error, "cannot write %s: %s", path, strerror(errno));
    for (size_t i = 0; i < n && result == 0; i++)
        result = write_with_filter(&writer, filters[i]);
    if (result == 0)
        result = flush(&writer);
    if (writer.file && fclose(writer.file) != 0 && result == 0)
        result = error_set(error, "cannot write %s: %s", path, strerror(errno));
    sha256_end(writer.hash, hex);
    task->hash = arena_strdup(&run->arena, hex);
    buffer_free(&writer.text);
    arena_free(&writer.arena);
    return result ? error_prefix(error, "samples of %s", task->name) : 0;
}
