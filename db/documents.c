/* Documents, requests, responses and per-document metrics: the rows that come by the ten thousand.
 *
 * Every text is stored once, found by its SHA-256: the requests of a document share their context, few-shot
 * documents of a task share nothing but runs with the same prompts share everything. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "db/internal.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static bool key_from_hex(const char *hex, uint8_t key[SHA256_BYTES]) {
    if (!hex || strlen(hex) != 2 * SHA256_BYTES)
        return false;
    for (int i = 0; i < SHA256_BYTES; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

int db_parse_key(Db *db, const char *hex, uint8_t key[SHA256_BYTES], Error *error) {
    if (key_from_hex(hex, key))
        return 0;
    return error_set(error, "results database '%s': response key '%.80s' is not a SHA-256 in lower-case hex",
                     db->path, hex ? hex : "(none)");
}

/* Stores a text unless it is there; *text_id is its id as a value, NULL for no text. */
static int put_text(Db *db, const char *text, DbValue *text_id, Error *error) {
    *text_id = (DbValue){.kind = VALUE_NULL};
    if (!text)
        return 0;
    char hex[SHA256_HEX];
    uint8_t hash[SHA256_BYTES];
    sha256_text(text, strlen(text), hex);
    key_from_hex(hex, hash);
    int64_t id = 0;
    int found = db_query_integer(db, STATEMENT_TEXT_FIND, VALUES(value_key(hash)), &id, error);
    if (found < 0)
        return -1;
    if (found == 0) {
        if (db_execute(db, STATEMENT_TEXT_INSERT, VALUES(value_key(hash), value_text(text)), error) != 0)
            return -1;
        id = sqlite3_last_insert_rowid(db->connection);
    }
    *text_id = value_integer(id);
    return 0;
}

/* The same for a context, which the next request probably shares. */
static int put_context(Db *db, const char *text, DbValue *text_id, Error *error) {
    if (text && text_equal(db->recent.text, text)) {
        *text_id = value_integer(db->recent.text_id);
        return 0;
    }
    if (put_text(db, text, text_id, error) != 0)
        return -1;
    if (text) {
        free(db->recent.text);
        db->recent.text = mem_strdup(text);
        db->recent.text_id = text_id->integer;
    }
    return 0;
}

static int put_document(Db *db, int64_t run_id, const DbDocument *document, Error *error) {
    int64_t task_id;
    DbValue json, target;
    if (db_task_id(db, run_id, document->task, &task_id, error) != 0 ||
        put_text(db, document->json, &json, error) != 0 ||
        put_text(db, document->target, &target, error) != 0)
        return -1;
    return db_execute(db, STATEMENT_DOCUMENT_PUT,
                      VALUES(value_integer(task_id), value_integer(document->doc_id), json, target,
                             value_integer(document->gold), value_text(document->prompt_sha256),
                             value_integer(document->n_dropped_shots)),
                      error);
}

int db_document(Db *db, int64_t run_id, const DbDocument *document, Error *error) {
    bool opened;
    if (scope_open(db, &opened, error) != 0)
        return -1;
    return scope_close(db, opened, put_document(db, run_id, document, error), error);
}

static int put_request(Db *db, int64_t run_id, const DbRequest *request, Error *error) {
    int64_t task_id;
    DbValue context, continuation, choice, generation;
    uint8_t key[SHA256_BYTES];
    if (db_parse_key(db, request->response_key, key, error) != 0 ||
        db_task_id(db, run_id, request->task, &task_id, error) != 0 ||
        put_context(db, request->context, &context, error) != 0 ||
        put_text(db, request->continuation, &continuation, error) != 0 ||
        put_text(db, request->choice, &choice, error) != 0 ||
        put_text(db, request->generation, &generation, error) != 0)
        return -1;
    return db_execute(db, STATEMENT_REQUEST_PUT,
                      VALUES(value_integer(task_id), value_integer(request->doc_id),
                             value_integer(request->idx), value_text(request->request_type), context,
                             continuation, choice, value_key(key), value_integer(request->n_context_tokens),
                             value_integer(request->n_continuation_tokens),
                             value_integer(request->n_truncated), generation),
                      error);
}

int db_request(Db *db, int64_t run_id, const DbRequest *request, Error *error) {
    bool opened;
    if (scope_open(db, &opened, error) != 0)
        return -1;
    return scope_close(db, opened, put_request(db, run_id, request, error), error);
}

int db_response_find(Db *db, const char *key, DbResponse *out, Error *error) {
    uint8_t bytes[SHA256_BYTES];
    if (db_parse_key(db, key, bytes, error) != 0)
        return -1;
    sqlite3_stmt *statement = db_statement(db, STATEMENT_RESPONSE_FIND, VALUES(value_key(bytes)), error);
    if (!statement)
        return -1;
    int code = sqlite3_step(statement), result = 0;
    if (code == SQLITE_ROW) {
        /* SQLite has no NaN: it stores NULL. */
        bool is_nan = sqlite3_column_type(statement, 0) == SQLITE_NULL;
        const char *text = (const char *)sqlite3_column_text(statement, 2);
        out->loglikelihood = is_nan ? NAN : sqlite3_column_double(statement, 0);
        out->is_greedy = sqlite3_column_int(statement, 1) != 0;
        free(db->found_text);
        out->text = db->found_text = text ? mem_strdup(text) : NULL;
        result = 1;
    } else if (code != SQLITE_DONE) {
        result = db_fail(db, code, error);
    }
    sqlite3_reset(statement);
    return result;
}

int db_response_put(Db *db, const char *key, const DbResponse *response, Error *error) {
    uint8_t bytes[SHA256_BYTES];
    if (db_parse_key(db, key, bytes, error) != 0)
        return -1;
    DbValue none = {.kind = VALUE_NULL};
    bool is_text = response->text != NULL;
    return db_execute(db, STATEMENT_RESPONSE_PUT,
                      VALUES(value_key(bytes), is_text ? none : value_real(response->loglikelihood),
                             is_text ? none : value_integer(response->is_greedy), value_text(response->text)),
                      error);
}

static int put_metric(Db *db, int64_t run_id, const char *task, int64_t doc_id, const char *metric,
                      const char *filter, double value, DbValue weight, Error *error) {
    int64_t task_id;
    if (db_task_id(db, run_id, task, &task_id, error) != 0)
        return -1;
    return db_execute(db, STATEMENT_METRIC_PUT,
                      VALUES(value_integer(task_id), value_integer(doc_id), value_text(metric),
                             value_text(filter), value_real(value), weight),
                      error);
}

int db_document_metric(Db *db, int64_t run_id, const char *task, int64_t doc_id, const char *metric,
                       const char *filter, double value, Error *error) {
    return put_metric(db, run_id, task, doc_id, metric, filter, value, (DbValue){.kind = VALUE_NULL}, error);
}

int db_document_weighted(Db *db, int64_t run_id, const char *task, int64_t doc_id, const char *metric,
                         const char *filter, double value, double weight, Error *error) {
    return put_metric(db, run_id, task, doc_id, metric, filter, value, value_real(weight), error);
}

int db_document_output(Db *db, int64_t run_id, const char *task, int64_t doc_id, const char *filter,
                       const char *value_json, bool extracted, Error *error) {
    int64_t task_id;
    if (db_task_id(db, run_id, task, &task_id, error) != 0)
        return -1;
    return db_execute(db, STATEMENT_OUTPUT_PUT,
                      VALUES(value_integer(task_id), value_integer(doc_id), value_text(filter),
                             value_text(value_json), value_integer(extracted)),
                      error);
}
