/* The browser of documents: what the model was asked, how it scored each choice, what it wrote, and whether
 * it was right. Documents come by the ten thousand, so they travel packed: per run an index (what lists are
 * filtered and sorted by), per task packs of a few hundred documents that the page opens when they are looked
 * at or searched. reports/page/page.js reads what is written here:
 *
 *   index    [{name, metrics, binary, id, values, flags, length, margin, packs}], one object per task;
 *            values are per metric, the rest per document; packs are [number, first document in it]
 *   details  [{p prompt, g gold, t target, o generated, f [[filter, answer, found]],
 *            c [[text, log-probability, tokens, greedy, cut off, own context]]}] */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "reports/html.h"
#include "reports/pack.h"

enum { PACK_BYTES = 192 << 10, MAX_CHOICES = 256, MAX_METRICS = 64 };
enum { FLAG_TRUNCATED = 1, FLAG_NOT_EXTRACTED = 2 };

typedef struct Choice {
    const char *text, *context;
    const char *generated; /* NULL: nothing was to be generated */
    double loglikelihood;
    int64_t n_tokens, n_truncated;
    bool is_greedy;
} Choice;

/* A task's columns of the index, as JSON arrays in the making. */
typedef struct Columns {
    Buffer id, flags, length, margin, packs, values[MAX_METRICS];
    const char *metrics[MAX_METRICS]; /* "acc", "exact_match (strict-match)" */
    bool binary[MAX_METRICS];
    size_t n_metrics, n_documents;
} Columns;

/* What is being written. */
typedef struct Writer {
    Db *db;
    Buffer *out;
    Arena arena; /* of the document in hand */
    Buffer pack; /* details that are not packed yet */
    size_t n_packs;
    sqlite3_stmt *documents, *requests, *metrics, *outputs;
    int has_request, has_metric, has_output; /* 1: the cursor is on a row */
} Writer;

static void number(Buffer *out, double value, int decimals) {
    if (isfinite(value))
        buffer_printf(out, "%.*f", decimals, value);
    else
        buffer_append_text(out, "null");
}

static void string(Buffer *out, const char *text) {
    text_append_json(out, text, strlen(text));
}

static void next_item(Buffer *column) {
    buffer_append_char(column, column->size ? ',' : '[');
}

static void array(Buffer *out, const char *name, const Buffer *column) {
    buffer_printf(out, ",\"%s\":%s%s]", name, column->size ? "" : "[", column->size ? column->data : "");
}

/* ---- packs */

static void write_pack(Writer *writer, const Buffer *json) {
    buffer_printf(writer->out, "<script type=\"text/plain\" id=\"pack-%zu\">", writer->n_packs++);
    pack_gzip(writer->out, json->data, json->size);
    buffer_append_text(writer->out, "</script>\n");
}

static void flush_pack(Writer *writer) {
    if (writer->pack.size == 0)
        return;
    buffer_append_char(&writer->pack, ']');
    write_pack(writer, &writer->pack);
    buffer_clear(&writer->pack);
}

/* ---- one document */

static int64_t cursor_document(sqlite3_stmt *statement) {
    return sqlite3_column_int64(statement, 0);
}

/* Moves a cursor past rows of documents before `doc_id`; 1 if it is on a row of that document. */
static int cursor_at(Writer *writer, sqlite3_stmt *statement, int *has, int64_t doc_id, Error *error) {
    while (*has == 1 && cursor_document(statement) < doc_id)
        *has = report_step(writer->db, statement, error);
    return *has < 0 ? -1 : *has == 1 && cursor_document(statement) == doc_id;
}

static int read_choices(Writer *writer, int64_t doc_id, Choice *choices, size_t *n, int64_t *length,
                        Error *error) {
    int at;
    *n = 0;
    while ((at = cursor_at(writer, writer->requests, &writer->has_request, doc_id, error)) == 1) {
        sqlite3_stmt *row = writer->requests;
        const char *choice = report_text(row, 2, &writer->arena);
        if (*n == 0)
            *length = report_counter(row, 6);
        if (*n < MAX_CHOICES)
            choices[(*n)++] = (Choice){.context = report_text(row, 1, &writer->arena),
                                       .text = *choice ? choice : report_text(row, 3, &writer->arena),
                                       .loglikelihood = report_real(row, 4),
                                       .is_greedy = sqlite3_column_int(row, 5) != 0,
                                       .n_tokens = report_counter(row, 7),
                                       .n_truncated = report_counter(row, 8),
                                       .generated = sqlite3_column_type(row, 9) == SQLITE_NULL
                                                        ? NULL
                                                        : report_text(row, 9, &writer->arena)};
        writer->has_request = report_step(writer->db, row, error);
        if (writer->has_request < 0)
            return -1;
    }
    return at;
}

/* How many bytes the contexts have in common, up to the end of a word. */
static size_t common_prefix(const Choice *choices, size_t n) {
    size_t common = n ? strlen(choices[0].context) : 0;
    for (size_t i = 1; i < n; i++) {
        size_t same = 0;
        while (same < common && choices[i].context[same] == choices[0].context[same])
            same++;
        common = same;
    }
    bool whole = true;
    for (size_t i = 0; i < n; i++)
        whole = whole && choices[i].context[common] == '\0';
    while (!whole && common > 0 && choices[0].context[common - 1] != ' ' &&
           choices[0].context[common - 1] != '\n')
        common--;
    return common;
}

/* How much more likely the right choice is than the best wrong one; of a single continuation, its own
 * log-probability. */
static double margin_of(const Choice *choices, size_t n, int64_t gold) {
    if (n == 1)
        return choices[0].loglikelihood;
    if (gold < 0 || (size_t)gold >= n)
        return NAN;
    double best = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if ((int64_t)i != gold)
            best = fmax(best, choices[i].loglikelihood);
    return choices[gold].loglikelihood - best;
}

static void write_choices(Buffer *out, const Choice *choices, size_t n, size_t prefix) {
    for (size_t i = 0; i < n; i++) {
        const char *own = choices[i].context + prefix;
        buffer_append_text(out, i ? ",[" : ",\"c\":[[");
        string(out, choices[i].text);
        buffer_append_char(out, ',');
        number(out, choices[i].loglikelihood, 4);
        buffer_printf(out, ",%lld,%d,%lld", (long long)choices[i].n_tokens, choices[i].is_greedy,
                      (long long)choices[i].n_truncated);
        if (*own) {
            buffer_append_char(out, ',');
            string(out, own);
        }
        buffer_append_char(out, ']');
    }
    if (n)
        buffer_append_char(out, ']');
}

/* A filter's answers are stored as a JSON list, one for each request: of one text, the text; of others the
 * list as it is. */
static const char *answer_text(const char *json, Arena *arena) {
    cJSON *list = NULL;
    const char *out = json;
    if (json_parse(&list, json, strlen(json), "answers", NULL) == 0 && cJSON_GetArraySize(list) == 1 &&
        cJSON_IsString(cJSON_GetArrayItem(list, 0)))
        out = arena_strdup(arena, cJSON_GetArrayItem(list, 0)->valuestring);
    cJSON_Delete(list);
    return out;
}

/* What each filter made of generated texts; the answers of other documents are their log-probabilities. */
static int write_answers(Writer *writer, int64_t doc_id, bool generated, bool *missed, Error *error) {
    bool any = false;
    int at;
    while ((at = cursor_at(writer, writer->outputs, &writer->has_output, doc_id, error)) == 1) {
        const char *filter = report_text(writer->outputs, 1, &writer->arena);
        const char *answer = answer_text(report_text(writer->outputs, 2, &writer->arena), &writer->arena);
        bool found = sqlite3_column_int(writer->outputs, 3) != 0;
        if (generated) {
            *missed = *missed || !found;
            buffer_append_text(&writer->pack, any ? ",[" : ",\"f\":[[");
            string(&writer->pack, filter);
            buffer_append_char(&writer->pack, ',');
            string(&writer->pack, answer);
            buffer_printf(&writer->pack, ",%s]", found ? "true" : "false");
            any = true;
        }
        writer->has_output = report_step(writer->db, writer->outputs, error);
        if (writer->has_output < 0)
            return -1;
    }
    if (any)
        buffer_append_char(&writer->pack, ']');
    return at;
}

static int write_metrics(Writer *writer, int64_t doc_id, Columns *columns, Error *error) {
    double values[MAX_METRICS];
    int at;
    for (size_t m = 0; m < columns->n_metrics; m++)
        values[m] = NAN;
    while ((at = cursor_at(writer, writer->metrics, &writer->has_metric, doc_id, error)) == 1) {
        const char *name = report_text(writer->metrics, 1, &writer->arena);
        for (size_t m = 0; m < columns->n_metrics; m++)
            if (strcmp(columns->metrics[m], name) == 0)
                values[m] = report_real(writer->metrics, 2);
        writer->has_metric = report_step(writer->db, writer->metrics, error);
        if (writer->has_metric < 0)
            return -1;
    }
    for (size_t m = 0; m < columns->n_metrics; m++) {
        next_item(&columns->values[m]);
        if (columns->binary[m] && isfinite(values[m]))
            buffer_printf(&columns->values[m], "%d", values[m] == 1);
        else
            number(&columns->values[m], values[m], 6);
    }
    return at;
}

static int write_document(Writer *writer, int64_t doc_id, int64_t gold, const char *target, Columns *columns,
                          Error *error) {
    Choice *choices = arena_alloc(&writer->arena, MAX_CHOICES * sizeof *choices);
    size_t n;
    int64_t length = 0;
    bool missed = false, truncated = false, scored = false;
    Buffer *pack = &writer->pack;
    if (read_choices(writer, doc_id, choices, &n, &length, error) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        truncated = truncated || choices[i].n_truncated > 0;
        scored = scored || !isnan(choices[i].loglikelihood);
    }
    if (writer->pack.size == 0) {
        next_item(&columns->packs);
        buffer_printf(&columns->packs, "[%zu,%zu]", writer->n_packs, columns->n_documents);
    }
    buffer_append_text(pack, pack->size ? ",{\"p\":" : "[{\"p\":");
    size_t prefix = common_prefix(choices, n);
    string(pack, n ? arena_strndup(&writer->arena, choices[0].context, prefix) : "");
    if (gold >= 0 && (size_t)gold < n)
        buffer_printf(pack, ",\"g\":%lld", (long long)gold);
    if (*target) {
        buffer_append_text(pack, ",\"t\":");
        string(pack, target);
    }
    if (n && choices[0].generated) {
        buffer_append_text(pack, ",\"o\":");
        string(pack, choices[0].generated);
    }
    if (write_answers(writer, doc_id, n && choices[0].generated, &missed, error) < 0)
        return -1;
    if (scored || n > 1)
        write_choices(pack, choices, n, prefix);
    buffer_append_char(pack, '}');
    next_item(&columns->id);
    buffer_printf(&columns->id, "%lld", (long long)doc_id);
    next_item(&columns->flags);
    buffer_printf(&columns->flags, "%d",
                  (truncated ? FLAG_TRUNCATED : 0) | (missed ? FLAG_NOT_EXTRACTED : 0));
    next_item(&columns->length);
    buffer_printf(&columns->length, "%lld", (long long)length);
    next_item(&columns->margin);
    number(&columns->margin, margin_of(choices, n, gold), 4);
    columns->n_documents++;
    return write_metrics(writer, doc_id, columns, error);
}

/* ---- one task */

/* "acc" for filter "none", else "exact_match (strict-match)": in SQL, so that every statement agrees. */
#define METRIC_NAME "metric || CASE WHEN filter IN ('none', '') THEN '' ELSE ' (' || filter || ')' END"

static int read_metric_names(Writer *writer, int64_t task_id, Columns *columns, Arena *arena, Error *error) {
    sqlite3_stmt *statement =
        report_query(writer->db,
                     "SELECT " METRIC_NAME ", min(value IN (0, 1)) FROM document_metrics"
                     " WHERE task_id = ?1 AND value IS NOT NULL GROUP BY 1 ORDER BY 1",
                     task_id, error);
    if (!statement)
        return -1;
    int result;
    while ((result = report_step(writer->db, statement, error)) == 1 && columns->n_metrics < MAX_METRICS) {
        columns->metrics[columns->n_metrics] = report_text(statement, 0, arena);
        columns->binary[columns->n_metrics++] = sqlite3_column_int(statement, 1) != 0;
    }
    sqlite3_finalize(statement);
    return result < 0 ? -1 : 0;
}

static int start_cursor(Writer *writer, sqlite3_stmt **statement, int *has, const char *sql, int64_t task_id,
                        Error *error) {
    if (!*statement)
        *statement = report_query(writer->db, sql, task_id, error);
    if (!*statement)
        return -1;
    sqlite3_reset(*statement);
    sqlite3_bind_int64(*statement, 1, task_id);
    *has = report_step(writer->db, *statement, error);
    return *has < 0 ? -1 : 0;
}

static int start_cursors(Writer *writer, int64_t task_id, int *has_document, Error *error) {
    return start_cursor(
               writer, &writer->documents, has_document,
               "SELECT d.doc_id, d.gold, t.text FROM documents d"
               " LEFT JOIN texts t ON t.text_id = d.target_id WHERE d.task_id = ?1 ORDER BY d.doc_id",
               task_id, error) ||
                   start_cursor(writer, &writer->requests, &writer->has_request,
                                "SELECT doc_id, context, choice, continuation, loglikelihood, is_greedy,"
                                " n_context_tokens, n_continuation_tokens, n_truncated, text FROM v_requests"
                                " WHERE task_id = ?1 ORDER BY doc_id, idx",
                                task_id, error) ||
                   start_cursor(writer, &writer->metrics, &writer->has_metric,
                                "SELECT doc_id, " METRIC_NAME ", value FROM document_metrics"
                                " WHERE task_id = ?1 ORDER BY doc_id",
                                task_id, error) ||
                   start_cursor(writer, &writer->outputs, &writer->has_output,
                                "SELECT doc_id, filter, value, extracted FROM v_outputs"
                                " WHERE task_id = ?1 ORDER BY doc_id, filter",
                                task_id, error)
               ? -1
               : 0;
}

static void write_columns(const char *task, const Columns *columns, Buffer *out) {
    buffer_append_text(out, "{\"name\":");
    string(out, task);
    buffer_append_text(out, ",\"metrics\":[");
    for (size_t m = 0; m < columns->n_metrics; m++) {
        buffer_append_text(out, m ? "," : "");
        string(out, columns->metrics[m]);
    }
    buffer_append_text(out, "],\"binary\":[");
    for (size_t m = 0; m < columns->n_metrics; m++)
        buffer_printf(out, "%s%s", m ? "," : "", columns->binary[m] ? "true" : "false");
    buffer_append_text(out, "],\"values\":[");
    for (size_t m = 0; m < columns->n_metrics; m++)
        buffer_printf(out, "%s%s]", m ? "," : "", columns->values[m].size ? columns->values[m].data : "[");
    buffer_append_char(out, ']');
    array(out, "id", &columns->id);
    array(out, "flags", &columns->flags);
    array(out, "length", &columns->length);
    array(out, "margin", &columns->margin);
    array(out, "packs", &columns->packs);
    buffer_append_char(out, '}');
}

static void free_columns(Columns *columns) {
    buffer_free(&columns->id);
    buffer_free(&columns->flags);
    buffer_free(&columns->length);
    buffer_free(&columns->margin);
    buffer_free(&columns->packs);
    for (size_t m = 0; m < columns->n_metrics; m++)
        buffer_free(&columns->values[m]);
}

static int write_task(Writer *writer, const ReportEntry *task, Buffer *index, Error *error) {
    Columns columns = {0};
    Arena names = {0};
    int has_document = 0;
    int result = read_metric_names(writer, task->task_id, &columns, &names, error);
    if (result == 0)
        result = start_cursors(writer, task->task_id, &has_document, error);
    while (result == 0 && has_document == 1) {
        sqlite3_stmt *row = writer->documents;
        const char *target = report_text(row, 2, &writer->arena);
        result = write_document(writer, cursor_document(row), sqlite3_column_int64(row, 1), target, &columns,
                                error) < 0
                     ? -1
                     : 0;
        if (writer->pack.size > PACK_BYTES)
            flush_pack(writer);
        arena_reset(&writer->arena);
        has_document = result == 0 ? report_step(writer->db, row, error) : 0;
    }
    flush_pack(writer);
    if (result == 0 && has_document == 0 && columns.n_documents > 0) {
        next_item(index);
        write_columns(task->name, &columns, index);
    }
    free_columns(&columns);
    arena_free(&names);
    return result < 0 || has_document < 0 ? -1 : 0;
}

/* ---- the page's section */

static int write_run(Writer *writer, const ReportRun *run, Buffer *runs, Error *error) {
    Buffer index = {0};
    int result = 0;
    for (size_t i = 0; i < run->n_rows && result == 0; i++)
        if (!run->rows[i].entry->is_group)
            result = write_task(writer, run->rows[i].entry, &index, error);
    buffer_append_text(&index, index.size ? "]" : "[]");
    next_item(runs);
    buffer_printf(runs, "{\"index\":%zu}", writer->n_packs);
    if (result == 0)
        write_pack(writer, &index);
    buffer_free(&index);
    return result;
}

static void option(Buffer *out, const char *value, const char *text) {
    buffer_printf(out, "<option value=\"%s\">", value);
    html_text(out, text);
    buffer_append_text(out, "</option>");
}

static void controls(const ReportSet *set, Arena *arena, Buffer *out) {
    buffer_printf(out, "<form class=\"controls\"><label%s>Run<select name=\"run\">",
                  set->n_runs == 1 ? " hidden" : "");
    for (size_t i = 0; i < set->n_runs; i++)
        option(out, arena_printf(arena, "%zu", i),
               set->n_runs == 1 ? "" : html_run_name(&set->runs[i], arena));
    buffer_append_text(out, "</select></label><label>Task<select name=\"task\"></select></label>"
                            "<label>Judged by<select name=\"metric\"></select></label>"
                            "<label>Show<select name=\"show\">");
    option(out, "all", "all");
    option(out, "wrong", "wrong");
    option(out, "right", "right");
    if (set->n_runs > 1)
        option(out, "flipped", "flipped between runs");
    option(out, "truncated", "truncated");
    option(out, "unextracted", "no answer extracted");
    buffer_append_text(out, "</select></label><label>Order<select name=\"sort\">");
    option(out, "number", "by task and number");
    option(out, "margin", "most wrong first");
    option(out, "margin-down", "most right first");
    option(out, "length", "longest prompt first");
    option(out, "score", "lowest score first");
    buffer_append_text(out, "</select></label><label class=\"wide\">Search<input type=\"search\" "
                            "name=\"search\" placeholder=\"words in prompts, choices and answers\"></label>"
                            "</form>\n");
}

static void pager(Buffer *out, const char *live) {
    buffer_printf(out,
                  "<div class=\"pager\"><button type=\"button\" data-step=\"-1\">Previous</button>"
                  "<span class=\"count\"%s></span>"
                  "<button type=\"button\" data-step=\"1\">Next</button></div>\n",
                  live);
}

int html_documents(Db *db, const ReportSet *set, Arena *arena, Buffer *out, Error *error) {
    int64_t n_documents = 0;
    for (size_t i = 0; i < set->n_runs; i++)
        n_documents += set->runs[i].n_documents;
    if (n_documents == 0)
        return 0;
    buffer_append_text(out, "<section id=\"documents-section\"><h2>Documents</h2>\n"
                            "<noscript><p class=\"note\">The browser of documents needs JavaScript.</p>"
                            "</noscript>\n<div id=\"browser\" hidden>\n");
    controls(set, arena, out);
    pager(out, " role=\"status\"");
    buffer_append_text(out, "<div class=\"list\"></div>\n");
    pager(out, "");
    buffer_append_text(out, "</div>\n");
    Writer writer = {.db = db, .out = out};
    Buffer runs = {0};
    int result = 0;
    for (size_t i = 0; i < set->n_runs && result == 0; i++)
        result = write_run(&writer, &set->runs[i], &runs, error);
    buffer_append_text(out, "<script type=\"application/json\" id=\"documents\">");
    buffer_append(out, runs.data, runs.size);
    buffer_append_text(out, "]</script></section>\n");
    sqlite3_finalize(writer.documents);
    sqlite3_finalize(writer.requests);
    sqlite3_finalize(writer.metrics);
    sqlite3_finalize(writer.outputs);
    arena_free(&writer.arena);
    buffer_free(&writer.pack);
    buffer_free(&runs);
    return result;
}
