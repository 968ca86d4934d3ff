/* Where a run's numbers came from: settings, data, files, and what did not fit. */
#include <stdlib.h>

#include "reports/html.h"

enum { MAX_TRUNCATED = 500 };

static void text_cell(Buffer *out, const char *text) {
    buffer_append_text(out, "<td>");
    html_text(out, text);
    buffer_append_text(out, "</td>");
}

static void count_cell(Buffer *out, int64_t count) {
    buffer_printf(out, "<td class=\"n\">%lld</td>", (long long)count);
}

static void data_table(const ReportRun *run, Arena *arena, Buffer *out) {
    static const char *const headings[] = {"Task", "Data set", "Split", "Documents", "Of", "Requests", "Cut"};
    html_table_begin(out, "Data", true);
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        html_heading(out, headings[i], i >= 3);
    buffer_append_text(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < run->n_rows; i++) {
        const ReportEntry *entry = run->rows[i].entry;
        if (entry->is_group)
            continue;
        buffer_append_text(out, "<tr><th scope=\"row\">");
        html_text(out, *entry->alias ? entry->alias : entry->name);
        buffer_append_text(out, "</th>");
        text_cell(out, *entry->dataset_name
                           ? arena_printf(arena, "%s %s", entry->dataset_path, entry->dataset_name)
                           : entry->dataset_path);
        text_cell(out, entry->split);
        count_cell(out, entry->n_documents);
        count_cell(out, entry->n_documents_total);
        count_cell(out, entry->n_requests);
        count_cell(out, entry->n_truncated);
        buffer_append_text(out, "</tr>\n");
    }
    html_table_end(out);
}

static void files_table(const ReportRun *run, Buffer *out) {
    html_table_begin(out, "Files", true);
    html_heading(out, "Role", false);
    html_heading(out, "File and SHA-256", false);
    html_heading(out, "Bytes", true);
    buffer_append_text(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < run->n_files; i++) {
        buffer_append_text(out, "<tr>");
        text_cell(out, run->files[i].role);
        buffer_append_text(out, "<td>");
        html_text(out, run->files[i].name);
        buffer_append_text(out, "<div class=\"hash\">");
        html_text(out, run->files[i].sha256);
        buffer_append_text(out, "</div></td>");
        count_cell(out, run->files[i].bytes);
        buffer_append_text(out, "</tr>\n");
    }
    html_table_end(out);
}

void html_provenance(const ReportRun *run, Arena *arena, Buffer *out) {
    ReportSetting settings[REPORT_MAX_SETTINGS];
    size_t n = report_settings(run, arena, settings);
    buffer_append_text(out, "<h3>What was run</h3>\n<dl class=\"pairs\">");
    for (size_t i = 0; i < n; i++) {
        if (!*settings[i].value)
            continue;
        buffer_append_text(out, "<dt>");
        html_text(out, settings[i].name);
        buffer_append_text(out, "</dt><dd>");
        html_text(out, settings[i].value);
        buffer_append_text(out, "</dd>\n");
    }
    buffer_append_text(out, "</dl>\n<details><summary>Data of each task</summary><div class=\"inside\">\n");
    data_table(run, arena, out);
    buffer_printf(out,
                  "</div></details>\n<details><summary>%zu files with their SHA-256</summary>"
                  "<div class=\"inside\">\n",
                  run->n_files);
    files_table(run, out);
    buffer_append_text(out, "</div></details>\n");
}

static void truncated_row(sqlite3_stmt *row, Arena *arena, Buffer *out) {
    buffer_append_text(out, "<tr><th scope=\"row\">");
    html_text(out, report_text(row, 0, arena));
    buffer_append_text(out, "</th>");
    for (int column = 1; column < 5; column++)
        count_cell(out, report_counter(row, column));
    buffer_append_text(out, "</tr>\n");
}

int html_truncated(Db *db, const ReportRun *run, Arena *arena, Buffer *out, Error *error) {
    static const char *const headings[] = {"Task", "Document", "Requests cut", "Most tokens cut",
                                           "Examples left out"};
    sqlite3_stmt *statement =
        report_query(db,
                     "SELECT task, doc_id, n_requests, n_tokens, n_dropped_shots FROM v_truncated"
                     " WHERE run_id = ?1 ORDER BY n_tokens DESC, task, doc_id",
                     run->run_id, error);
    if (!statement)
        return -1;
    Buffer rows = {0};
    int64_t n = 0;
    int result;
    while ((result = report_step(db, statement, error)) == 1)
        if (n++ < MAX_TRUNCATED)
            truncated_row(statement, arena, &rows);
    sqlite3_finalize(statement);
    if (n > 0 && result == 0) {
        buffer_printf(out,
                      "<details><summary>%s documents that did not fit%s</summary><div class=\"inside\">\n",
                      report_grouped(n, arena),
                      n > MAX_TRUNCATED ? arena_printf(arena, ": the %d most cut", MAX_TRUNCATED) : "");
        html_table_begin(out, "Documents that did not fit", true);
        for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
            html_heading(out, headings[i], i >= 1);
        buffer_append_text(out, "</tr></thead><tbody>\n");
        buffer_append(out, rows.data, rows.size);
        html_table_end(out);
        buffer_append_text(out, "</div></details>\n");
    }
    buffer_free(&rows);
    return result;
}
