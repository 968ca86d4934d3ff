/* The browser of documents: what the model was asked, how it scored each choice, and whether it was right.
 * Documents come by the ten thousand, so a page shows an even sample: the first of each task. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "reports/html.h"

enum { MAX_DOCUMENTS = 200, MIN_PER_TASK = 2, MAX_PROMPT_BYTES = 6000, MAX_CHOICES = 64, SNIPPET_BYTES = 90 };

typedef struct Choice {
    const char *text; /* the choice's own text; "" if the task has none */
    const char *context, *continuation;
    double loglikelihood;
    int64_t n_tokens, n_truncated;
    bool is_greedy, scored;
} Choice;

typedef struct Document {
    int64_t doc_id, gold;
    const char *target;
    const char *context;
    bool one_context;
    Choice choices[MAX_CHOICES];
    size_t n_choices;
    const char *metrics; /* "acc 1, acc_norm 0" */
    double accuracy;     /* the metric acc; NAN if there is none */
} Document;

/* Up to `bytes` bytes at the text's end, cut between characters. */
static const char *tail(const char *text, size_t bytes) {
    size_t size = strlen(text);
    if (size <= bytes)
        return text;
    text += size - bytes;
    while (((unsigned char)*text & 0xc0) == 0x80)
        text++;
    return text;
}

static int read_choices(Db *db, int64_t task_id, Document *document, sqlite3_stmt *statement, Arena *arena,
                        Error *error) {
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, task_id);
    sqlite3_bind_int64(statement, 2, document->doc_id);
    document->one_context = true;
    int result;
    while ((result = report_step(db, statement, error)) == 1 && document->n_choices < MAX_CHOICES) {
        Choice *choice = &document->choices[document->n_choices++];
        *choice = (Choice){.context = report_text(statement, 0, arena),
                           .text = report_text(statement, 1, arena),
                           .continuation = report_text(statement, 2, arena),
                           .loglikelihood = report_real(statement, 3),
                           .is_greedy = sqlite3_column_int(statement, 4) != 0,
                           .n_tokens = sqlite3_column_int64(statement, 5),
                           .n_truncated = sqlite3_column_int64(statement, 6)};
        choice->scored = !isnan(choice->loglikelihood);
        if (document->n_choices == 1)
            document->context = choice->context;
        else if (!text_equal(choice->context, document->context))
            document->one_context = false;
    }
    return result < 0 ? -1 : 0;
}

static int read_metrics(Db *db, int64_t task_id, Document *document, sqlite3_stmt *statement, Arena *arena,
                        Error *error) {
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, task_id);
    sqlite3_bind_int64(statement, 2, document->doc_id);
    document->metrics = "";
    document->accuracy = NAN;
    int result;
    while ((result = report_step(db, statement, error)) == 1) {
        const char *name = report_text(statement, 0, arena);
        double value = report_real(statement, 1);
        document->metrics = arena_printf(arena, "%s%s%s %.6g", document->metrics,
                                         *document->metrics ? ", " : "", name, value);
        if (text_equal(name, "acc"))
            document->accuracy = value;
    }
    return result;
}

/* The choice with the highest log-likelihood, the first of equals as in acc; -1 if none is scored. */
static int64_t picked(const Document *document) {
    int64_t best = -1;
    for (size_t i = 0; i < document->n_choices; i++)
        if (document->choices[i].scored &&
            (best < 0 || document->choices[i].loglikelihood > document->choices[best].loglikelihood))
            best = (int64_t)i;
    return best;
}

static void snippet(const char *context, Buffer *out) {
    const char *end = tail(context, SNIPPET_BYTES);
    size_t to_next_word = end == context ? 0 : strcspn(end, " \n") + 1;
    if (to_next_word > 1 && to_next_word < strlen(end) / 2)
        end += to_next_word;
    buffer_append_text(out, "<span class=\"snippet\">");
    buffer_append_text(out, end == context ? "" : "…");
    html_text(out, end);
    buffer_append_text(out, "</span>");
}

static void prompt(const char *context, Buffer *out) {
    const char *shown = tail(context, MAX_PROMPT_BYTES);
    if (shown != context)
        buffer_printf(out, "<p class=\"note\">The prompt's end; %zu bytes before it are left out.</p>",
                      (size_t)(shown - context));
    buffer_append_text(out, "<pre tabindex=\"0\">");
    html_text(out, shown);
    buffer_append_text(out, "</pre>");
}

static void choice_row(const Document *document, size_t i, bool is_picked, Buffer *out) {
    const Choice *choice = &document->choices[i];
    bool is_gold = document->gold == (int64_t)i;
    buffer_printf(out, "<tr%s><td class=\"choice\">", is_gold ? " class=\"gold\"" : "");
    if (!document->one_context) {
        /* Where contexts differ (winogrande), the choice is in the context. */
        buffer_append_text(out, "<span class=\"snippet\">");
        html_text(out, tail(choice->context, 400));
        buffer_append_text(out, "</span> → ");
    }
    html_text(out, document->one_context && *choice->text ? choice->text : choice->continuation);
    if (is_gold)
        buffer_append_text(out, "<span class=\"tag gold\">gold</span>");
    if (is_picked)
        buffer_append_text(out, "<span class=\"tag picked\">most likely</span>");
    buffer_append_text(out, "</td><td class=\"n\">");
    if (choice->scored)
        buffer_printf(out, "%.4f", choice->loglikelihood);
    else
        buffer_append_text(out, "—");
    buffer_printf(out, "</td><td class=\"n\">%lld</td><td>%s</td><td class=\"n\">",
                  (long long)choice->n_tokens, choice->is_greedy ? "yes" : "no");
    if (choice->n_truncated > 0)
        buffer_printf(out, "%lld", (long long)choice->n_truncated);
    buffer_append_text(out, "</td></tr>");
}

static void write_document(const Document *document, Buffer *out) {
    int64_t best = picked(document);
    buffer_append_text(out, "<details><summary>");
    if (!isnan(document->accuracy))
        buffer_append_text(out, document->accuracy > 0.5 ? "<span class=\"right\">✓ right</span> "
                                                         : "<span class=\"wrong\">✗ wrong</span> ");
    buffer_printf(out, "#%lld ", (long long)document->doc_id);
    if (document->context)
        snippet(document->context, out);
    buffer_append_text(out, "</summary><div class=\"inside\">");
    if (document->context && document->one_context)
        prompt(document->context, out);
    buffer_append_text(out,
                       "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">Continuation"
                       "</th><th scope=\"col\" class=\"n\">Log-likelihood</th><th scope=\"col\" class=\"n\">"
                       "Tokens</th><th scope=\"col\">Greedy</th><th scope=\"col\" class=\"n\">Cut off</th>"
                       "</tr></thead><tbody>");
    for (size_t i = 0; i < document->n_choices; i++)
        choice_row(document, i, document->n_choices > 1 && best == (int64_t)i, out);
    buffer_append_text(out, "</tbody></table></div>");
    if (*document->metrics) {
        buffer_append_text(out, "<p class=\"note\">");
        html_text(out, document->metrics);
        if (document->gold < 0 && *document->target) {
            buffer_append_text(out, "; target: ");
            html_text(out, tail(document->target, 400));
        }
        buffer_append_text(out, "</p>");
    }
    buffer_append_text(out, "</div></details>\n");
}

/* The statements of a task's documents. */
typedef struct Queries {
    sqlite3_stmt *documents, *choices, *metrics;
} Queries;

static int prepare_queries(Db *db, Queries *queries, Error *error) {
    queries->documents = report_query(db,
                                      "SELECT d.doc_id, d.gold, t.text FROM documents d"
                                      " LEFT JOIN texts t ON t.text_id = d.target_id"
                                      " WHERE d.task_id = ?1 ORDER BY d.doc_id LIMIT ?2",
                                      0, error);
    queries->choices = report_query(db,
                                    "SELECT context, choice, continuation, loglikelihood, is_greedy,"
                                    " n_continuation_tokens, n_truncated FROM v_requests"
                                    " WHERE task_id = ?1 AND doc_id = ?2 ORDER BY idx",
                                    0, error);
    queries->metrics = report_query(db,
                                    "SELECT metric, value FROM document_metrics"
                                    " WHERE task_id = ?1 AND doc_id = ?2 ORDER BY metric, filter",
                                    0, error);
    return queries->documents && queries->choices && queries->metrics ? 0 : -1;
}

static void finish_queries(Queries *queries) {
    sqlite3_finalize(queries->documents);
    sqlite3_finalize(queries->choices);
    sqlite3_finalize(queries->metrics);
}

static int write_next(Db *db, const ReportEntry *task, Queries *queries, Arena *arena, Buffer *out,
                      Error *error) {
    Document *document = arena_alloc(arena, sizeof *document);
    *document = (Document){.doc_id = sqlite3_column_int64(queries->documents, 0),
                           .gold = sqlite3_column_int64(queries->documents, 1),
                           .target = report_text(queries->documents, 2, arena)};
    if (read_choices(db, task->task_id, document, queries->choices, arena, error) != 0 ||
        read_metrics(db, task->task_id, document, queries->metrics, arena, error) != 0)
        return -1;
    write_document(document, out);
    arena_reset(arena);
    return 0;
}

static int write_task(Db *db, const ReportEntry *task, int64_t limit, Queries *queries, Buffer *out,
                      Error *error) {
    sqlite3_reset(queries->documents);
    sqlite3_bind_int64(queries->documents, 1, task->task_id);
    sqlite3_bind_int64(queries->documents, 2, limit);
    int64_t shown = limit < task->n_documents ? limit : task->n_documents;
    buffer_append_text(out, "<details><summary>");
    html_text(out, task->name);
    buffer_printf(out,
                  " <span class=\"snippet\">%lld of %lld documents</span></summary><div class=\"inside\">\n",
                  (long long)shown, (long long)task->n_documents);
    Arena arena = {0};
    int result;
    while ((result = report_step(db, queries->documents, error)) == 1)
        if (write_next(db, task, queries, &arena, out, error) != 0) {
            result = -1;
            break;
        }
    arena_free(&arena);
    buffer_append_text(out, "</div></details>\n");
    return result;
}

static int write_tasks(Db *db, const ReportRun *run, bool folded, int64_t limit, Queries *queries,
                       Buffer *out, Error *error) {
    for (size_t i = 0; i < run->n_rows; i++) {
        const ReportRow *row = &run->rows[i];
        if (!row->entry->is_group && report_is_folded(run, row) == folded &&
            write_task(db, row->entry, limit, queries, out, error) != 0)
            return -1;
    }
    return 0;
}

int html_documents(Db *db, const ReportRun *run, Buffer *out, Error *error) {
    int64_t n_tasks = 0;
    for (size_t i = 0; i < run->n_entries; i++)
        n_tasks += !run->entries[i].is_group;
    if (n_tasks == 0)
        return 0;
    int64_t limit = MAX_DOCUMENTS / n_tasks;
    if (limit < MIN_PER_TASK)
        limit = MIN_PER_TASK;
    buffer_printf(
        out,
        "<h3>Documents</h3><p class=\"note\">The first %lld of each task, as the model saw them. The "
        "database holds all %lld.</p>\n",
        (long long)limit, (long long)run->n_documents);
    Queries queries = {0};
    int result = prepare_queries(db, &queries, error);
    if (result == 0)
        result = write_tasks(db, run, false, limit, &queries, out, error);
    if (result == 0 && run->n_folded > 0) {
        buffer_printf(out, "<details><summary>The %zu tasks inside groups</summary><div class=\"inside\">\n",
                      run->n_folded);
        result = write_tasks(db, run, true, limit, &queries, out, error);
        buffer_append_text(out, "</div></details>\n");
    }
    finish_queries(&queries);
    return result;
}
