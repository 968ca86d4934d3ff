#include "reports/markdown.h"

#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "reports/table.h"

enum { MAX_FILES_PER_ROLE = 16 };

/* A line of the table of data: one task, or several of a group. */
typedef struct DataLine {
    const char *name, *dataset_path, *dataset_name, *split;
    int64_t n_tasks, n_documents, n_documents_total, n_requests, n_truncated;
} DataLine;

static const char *common(const char *a, const char *b) {
    return text_equal(a, b) ? a : "";
}

static void add_task(DataLine *line, const ReportEntry *task) {
    bool first = line->n_tasks++ == 0;
    line->dataset_path = first ? task->dataset_path : common(line->dataset_path, task->dataset_path);
    line->dataset_name = first ? task->dataset_name : common(line->dataset_name, task->dataset_name);
    line->split = first ? task->split : common(line->split, task->split);
    line->n_documents += task->n_documents;
    line->n_documents_total += task->n_documents_total;
    line->n_requests += task->n_requests;
    line->n_truncated += task->n_truncated;
}

/* The tasks right below a group that have no line of their own. */
static DataLine group_line(const ReportRun *run, size_t row, Arena *arena) {
    const ReportRow *group = &run->rows[row];
    DataLine line = {0};
    for (size_t i = row + 1; i < run->n_rows && run->rows[i].depth > group->depth; i++)
        if (run->rows[i].depth == group->depth + 1 && report_is_folded(run, &run->rows[i]) &&
            run->rows[i].entry->n_truncated == 0)
            add_task(&line, run->rows[i].entry);
    line.name = arena_printf(arena, "%s: %lld tasks", group->entry->name, (long long)line.n_tasks);
    return line;
}

static void put_line(Table *table, const DataLine *line, Arena *arena) {
    const int64_t counts[] = {line->n_documents, line->n_documents_total, line->n_requests,
                              line->n_truncated};
    TableCell *cells = table_row(table);
    cells[0].text = line->name;
    cells[1].text = *line->dataset_name ? arena_printf(arena, "%s %s", line->dataset_path, line->dataset_name)
                                        : line->dataset_path;
    cells[2].text = line->split;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        cells[3 + i].text = arena_printf(arena, "%lld", (long long)counts[i]);
}

static void data_table(const ReportRun *run, Arena *arena, Buffer *out) {
    static const char *const headers[] = {"Task", "Data set", "Split",    "Documents",
                                          "Of",   "Requests", "Truncated"};
    Table table = {.headers = headers, .n_columns = sizeof headers / sizeof *headers};
    for (size_t i = 0; i < run->n_rows; i++) {
        const ReportEntry *entry = run->rows[i].entry;
        DataLine line = {.name = entry->name};
        if (entry->is_group)
            line = group_line(run, i, arena);
        else if (!report_is_folded(run, &run->rows[i]) || entry->n_truncated > 0)
            add_task(&line, entry);
        if (line.n_tasks > 0)
            put_line(&table, &line, arena);
    }
    buffer_append_text(out, "### Data\n\n");
    table_markdown(&table, arena, out);
    buffer_append_char(out, '\n');
    table_free(&table);
}

static void put_file(Table *table, const ReportFile *file, Arena *arena) {
    TableCell *cells = table_row(table);
    cells[0].text = file->role;
    cells[1].text = file->name;
    cells[2].text = arena_printf(arena, "%lld", (long long)file->bytes);
    cells[3].text = file->sha256;
}

/* Many files as one line; its hash covers their names and hashes in order. */
static void put_files(Table *table, const ReportFile *files, size_t n, Arena *arena) {
    ReportFile all = {.role = files[0].role, .name = arena_printf(arena, "%zu files, hashed together", n)};
    char hex[SHA256_HEX];
    Sha256 *hash = sha256_begin();
    for (size_t i = 0; i < n; i++) {
        sha256_update_field(hash, files[i].name, strlen(files[i].name));
        sha256_update_field(hash, files[i].sha256, strlen(files[i].sha256));
        all.bytes += files[i].bytes;
    }
    sha256_end(hash, hex);
    all.sha256 = arena_strdup(arena, hex);
    put_file(table, &all, arena);
}

static void files_table(const ReportRun *run, Arena *arena, Buffer *out) {
    static const char *const headers[] = {"Role", "File", "Bytes", "SHA-256"};
    Table table = {.headers = headers, .n_columns = sizeof headers / sizeof *headers};
    for (size_t start = 0, end; start < run->n_files; start = end) {
        for (end = start + 1; end < run->n_files && text_equal(run->files[end].role, run->files[start].role);)
            end++;
        if (end - start > MAX_FILES_PER_ROLE)
            put_files(&table, &run->files[start], end - start, arena);
        else
            for (size_t i = start; i < end; i++)
                put_file(&table, &run->files[i], arena);
    }
    if (table.n_rows > 0) {
        buffer_append_text(out, "### Files\n\n");
        table_markdown(&table, arena, out);
        buffer_append_char(out, '\n');
    }
    table_free(&table);
}

void markdown_provenance(const ReportRun *run, Arena *arena, Buffer *out) {
    data_table(run, arena, out);
    files_table(run, arena, out);
}
