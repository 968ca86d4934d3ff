/* `zeval published`: which printed numbers there are. */
#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "reports/published.h"
#include "reports/reports.h"
#include "reports/sheet.h"

static const char *lower(const char *text, Arena *arena) {
    char *out = arena_strdup(arena, text);
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return out;
}

bool published_matches(const char *pattern, const char *name, Arena *arena) {
    if (!pattern)
        return true;
    const char *wanted = lower(pattern, arena), *found = lower(name, arena);
    return strpbrk(wanted, "*?") ? text_glob(wanted, found) : strstr(found, wanted) != NULL;
}

static bool wanted_table(const PublishedQuery *query, const PublishedTable *table) {
    if (query->paper && !published_same_name(query->paper, table->paper_key) &&
        !published_same_name(query->paper, table->paper))
        return false;
    return !query->table || published_same_name(query->table, table->key) ||
           published_same_name(query->table, table->title);
}

static size_t count_values(const PublishedTable *table) {
    size_t n = 0;
    for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
        n += *table->rows[i / table->n_columns].values[i % table->n_columns] != '\0';
    return n;
}

static void overview(const Published *published, SheetBook *book) {
    static const SheetColumn columns[] = {{"Paper", "paper", false},
                                          {"Key", "key", false},
                                          {"Title", "title", false},
                                          {"Rows", "rows", true},
                                          {"Values", "values", true}};
    Sheet *sheet = sheet_add(book, SHEET_FOR_ALL, "tables", NULL, columns, 5);
    for (size_t t = 0; t < published->n_tables; t++) {
        const PublishedTable *table = &published->tables[t];
        SheetCell *row = sheet_row(book, sheet, false);
        row[0].text = table->paper_key;
        row[1].text = table->key;
        row[2].text = table->title;
        row[3] = (SheetCell){.text = arena_printf(book->arena, "%zu", table->n_rows), .is_number = true};
        row[4] =
            (SheetCell){.text = arena_printf(book->arena, "%zu", count_values(table)), .is_number = true};
    }
}

enum {
    PAPER,
    TABLE,
    MODEL,
    KV,
    TASK,
    METRIC,
    SHOTS,
    VALUE,
    N_SHORT,
    REPO = N_SHORT,
    TOKENS,
    TEACHER,
    PARAMS,
    NOTES,
    SLIPS,
    VERSION,
    SOURCE,
    N_FULL
};
static const SheetColumn value_columns[N_FULL] = {
    {"Paper", "paper", false},        {"Table", "table", false},     {"Model", "model", false},
    {"KV size", "kv_cache", true},    {"Task", "task", false},       {"Metric", "metric", false},
    {"Shots", "num_fewshot", true},   {"Value", "value", true},      {"Repository", "hf_repo", false},
    {"Tokens", "train_tokens", true}, {"Teacher", "teacher", false}, {"Parameters", "params", true},
    {"Notes", "notes", false},        {"Slips", "slips", false},     {"Version", "paper_version", false},
    {"Source", "source", false}};

/* The notes or slips about a cell, in one text; those of the whole row too. */
static const char *join_notes(const PublishedTable *table, const PublishedRow *row, size_t column, bool slips,
                              Arena *arena) {
    const char *out = "";
    for (size_t i = 0; !slips && i < table->n_about; i++)
        out = arena_printf(arena, "%s%s%s", out, *out ? "; " : "", table->about[i]);
    for (size_t i = 0; i < row->n_notes; i++)
        if (row->notes[i].is_slip == slips &&
            (row->notes[i].column < 0 || (size_t)row->notes[i].column == column))
            out = arena_printf(arena, "%s%s%s", out, *out ? "; " : "", row->notes[i].text);
    return out;
}

static void put_value(SheetBook *book, Sheet *sheet, const PublishedTable *table, size_t r, size_t c) {
    const PublishedRow *row = &table->rows[r];
    const PublishedColumn *column = &table->columns[c];
    SheetCell *cells = sheet_row(book, sheet, false);
    const char *metric = row->metrics[c] ? row->metrics[c] : column->metric;
    const char *texts[N_FULL] = {table->paper_key, table->key,  row->model,   row->kv,
                                 column->task,     metric,      "",           row->values[c],
                                 row->repo,        row->tokens, row->teacher, row->params};
    for (size_t i = 0; i < sheet->n_columns; i++)
        cells[i].text = texts[i] ? texts[i] : "";
    cells[SHOTS] = (SheetCell){
        .text = column->shots < 0 ? "" : arena_printf(book->arena, "%lld", (long long)column->shots),
        .is_number = true};
    if (sheet->n_columns == N_SHORT) {
        for (size_t i = 0; i < row->n_notes; i++)
            if (row->notes[i].is_slip && (row->notes[i].column < 0 || (size_t)row->notes[i].column == c))
                sheet_mark(book, sheet, &cells[row->notes[i].column == PUBLISHED_KV ? KV : VALUE],
                           row->notes[i].text);
        return;
    }
    cells[NOTES].text = join_notes(table, row, c, false, book->arena);
    cells[SLIPS].text = join_notes(table, row, c, true, book->arena);
    cells[VERSION].text = table->version;
    cells[SOURCE].text = row->source;
}

static size_t list_values(const Published *published, const PublishedQuery *query, SheetBook *book) {
    Sheet *brief = sheet_add(book, SHEET_FOR_READERS, "brief", NULL, value_columns, N_SHORT);
    Sheet *full = sheet_add(book, SHEET_FOR_PROGRAMS, "values", NULL, value_columns, N_FULL);
    for (size_t t = 0; t < published->n_tables; t++) {
        const PublishedTable *table = &published->tables[t];
        if (!wanted_table(query, table))
            continue;
        for (size_t r = 0; r < table->n_rows; r++) {
            const PublishedRow *row = &table->rows[r];
            if (!published_matches(query->model, row->model, book->arena) &&
                !published_matches(query->model, row->repo, book->arena))
                continue;
            for (size_t c = 0; c < table->n_columns; c++)
                if (*row->values[c] && published_matches(query->task, table->columns[c].task, book->arena)) {
                    put_value(book, brief, table, r, c);
                    put_value(book, full, table, r, c);
                }
        }
    }
    return full->n_rows;
}

/* A paper or table that is not there is named; what remains is that no model or task matched. */
static int check_names(const Published *published, const PublishedQuery *query, Error *error) {
    bool paper = false, table = false;
    for (size_t t = 0; t < published->n_tables; t++) {
        PublishedQuery only_paper = {.paper = query->paper};
        paper = paper || wanted_table(&only_paper, &published->tables[t]);
        table = table || wanted_table(query, &published->tables[t]);
    }
    const PublishedTable *ignored;
    if (query->paper && (!paper || (!table && query->table)))
        return published_find(published, query->paper, query->table ? query->table : "", &ignored, error);
    return error_set_kind(error, ERROR_USAGE,
                          "no published value matches: `zeval published` lists papers and tables, and "
                          "`zeval published --paper P` all values of a paper");
}

int report_published(const PublishedQuery *query, const char *format, Buffer *out, Error *error) {
    Arena arena = {0};
    Published published;
    SheetFormat how;
    SheetBook book = {.arena = &arena};
    int result = sheet_format_find(format, &how, error) || published_load(&published, &arena, error) ? -1 : 0;
    if (result == 0 && !query->paper && !query->table && !query->model && !query->task)
        overview(&published, &book);
    else if (result == 0 && list_values(&published, query, &book) == 0)
        result = check_names(&published, query, error);
    if (result == 0)
        sheet_write(&book, how, out);
    arena_free(&arena);
    return result;
}
