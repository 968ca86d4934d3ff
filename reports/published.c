/* Reading the tables of printed numbers. The files are ours, yet each line is checked as if they were not: an
 * edit that breaks one should say which line. */
#include "reports/published.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/embedded.h"
#include "base/file.h"
#include "base/text.h"
#include "reports/array.h"

enum { MAX_FIELDS = 64, MAX_TABLES = 500, MAX_COLUMNS = 40, MAX_ROWS = 200, MAX_NOTES = 16, FIRST_VALUE = 7 };

typedef struct Reader {
    Published *out;
    PublishedTable *table;
    const char *paper_key, *paper, *source, *where;
    const char *compat, *dtype; /* of the paper's tables that follow */
    int64_t max_length;
    Arena *arena;
    bool rule;
    size_t line;
    const char *fields[MAX_FIELDS]; /* of the line in hand; what is missing is "" */
    size_t n_fields;
} Reader;

static int fail(const Reader *reader, Error *error, const char *found, const char *expected) {
    return error_set(error, "%s, line %zu: found %s, expected %s", reader->where, reader->line, found,
                     expected);
}

static PublishedRow *last_row(const Reader *reader) {
    return reader->table && reader->table->n_rows ? &reader->table->rows[reader->table->n_rows - 1] : NULL;
}

/* "3": the column's index; false if the table has no such column. */
static bool read_column(const Reader *reader, const char *text, size_t *out) {
    int64_t number;
    if (!reader->table || !text_to_int(text, &number) || number < 1 ||
        (size_t)number > reader->table->n_columns)
        return false;
    *out = (size_t)number - 1;
    return true;
}

static int read_paper(Reader *reader, Error *error) {
    if (!*reader->fields[1] || !*reader->fields[2])
        return fail(reader, error, "a paper without a name", "its key and its name");
    reader->paper_key = reader->fields[1];
    reader->paper = reader->fields[2];
    reader->compat = reader->dtype = "";
    reader->max_length = 0;
    reader->table = NULL;
    return 0;
}

static int read_recipe(Reader *reader, Error *error) {
    int64_t max_length = 0;
    if (!reader->paper ||
        (*reader->fields[3] && (!text_to_int(reader->fields[3], &max_length) || max_length < 0)))
        return fail(reader, error, "a recipe out of place or without a length",
                    "after a paper: profile, data type, longest request");
    reader->compat = reader->fields[1];
    reader->dtype = reader->fields[2];
    reader->max_length = max_length;
    return 0;
}

static int read_table(Reader *reader, Error *error) {
    Published *out = reader->out;
    if (!reader->paper || !*reader->fields[1] || !*reader->fields[2])
        return fail(reader, error, "a table without a name or paper",
                    "a paper first, then a key and a title");
    if (out->n_tables == MAX_TABLES)
        return fail(reader, error, "too many tables", "at most 500");
    out->tables = array_grown(reader->arena, out->tables, out->n_tables, sizeof *out->tables);
    reader->table = &out->tables[out->n_tables++];
    *reader->table = (PublishedTable){.paper_key = reader->paper_key,
                                      .paper = reader->paper,
                                      .key = reader->fields[1],
                                      .title = reader->fields[2],
                                      .version = "",
                                      .compat = reader->compat,
                                      .dtype = reader->dtype,
                                      .max_length = reader->max_length};
    reader->source = "";
    reader->rule = false;
    return 0;
}

static int read_version(Reader *reader, Error *error) {
    if (!reader->table)
        return fail(reader, error, "a version before any table", "a table first");
    reader->table->version = reader->fields[1];
    return 0;
}

static int read_source(Reader *reader, Error *error) {
    (void)error;
    reader->source = reader->fields[1];
    return 0;
}

static int read_about(Reader *reader, Error *error) {
    PublishedTable *table = reader->table;
    if (!table)
        return fail(reader, error, "a remark before any table", "a table first");
    table->about = array_grown(reader->arena, table->about, table->n_about, sizeof *table->about);
    table->about[table->n_about++] = reader->fields[1];
    return 0;
}

static int read_column_line(Reader *reader, Error *error) {
    PublishedTable *table = reader->table;
    int64_t shots = -1;
    if (!table || table->n_rows > 0 || table->n_columns == MAX_COLUMNS)
        return fail(reader, error, "a column out of place",
                    "at most 40 of them after a table, before its rows");
    if (*reader->fields[4] && (!text_to_int(reader->fields[4], &shots) || shots < 0))
        return fail(reader, error, "a number of shots that is none", "a whole number or nothing");
    table->columns = array_grown(reader->arena, table->columns, table->n_columns, sizeof *table->columns);
    table->columns[table->n_columns++] = (PublishedColumn){.heading = reader->fields[1],
                                                           .task = reader->fields[2],
                                                           .metric = reader->fields[3],
                                                           .shots = shots,
                                                           .our_task = reader->fields[5],
                                                           .our_metric = reader->fields[6]};
    return 0;
}

static int read_mean(Reader *reader, Error *error) {
    size_t column, *members = arena_alloc(reader->arena, MAX_COLUMNS * sizeof *members), n = 0;
    if (!read_column(reader, reader->fields[1], &column))
        return fail(reader, error, "a mean of no column", "the number of a column");
    for (const char *item = reader->fields[2]; item && *item && n < MAX_COLUMNS;) {
        const char *comma = strchr(item, ',');
        size_t bytes = comma ? (size_t)(comma - item) : strlen(item);
        if (!read_column(reader, arena_strndup(reader->arena, item, bytes), &members[n++]))
            return fail(reader, error, "a member that is no column", "numbers of columns, with commas");
        item = comma ? comma + 1 : NULL;
    }
    reader->table->columns[column].members = members;
    reader->table->columns[column].n_members = n;
    return 0;
}

static int read_rule(Reader *reader, Error *error) {
    (void)error;
    reader->rule = true;
    return 0;
}

static int read_row(Reader *reader, Error *error) {
    PublishedTable *table = reader->table;
    if (!table || table->n_columns == 0 || table->n_rows == MAX_ROWS)
        return fail(reader, error, "a row out of place", "at most 200 of them after a table's columns");
    if (reader->n_fields > FIRST_VALUE + table->n_columns)
        return fail(reader, error, "a row with more values than columns", "one value for each column");
    table->rows = array_grown(reader->arena, table->rows, table->n_rows, sizeof *table->rows);
    PublishedRow *row = &table->rows[table->n_rows++];
    const char *const *fields = reader->fields;
    *row = (PublishedRow){.model = fields[1],
                          .repo = fields[2],
                          .kv = fields[3],
                          .tokens = fields[4],
                          .teacher = fields[5],
                          .params = fields[6],
                          .source = reader->source,
                          .rule_before = reader->rule};
    reader->rule = false;
    row->values = arena_alloc(reader->arena, table->n_columns * sizeof *row->values);
    row->metrics = arena_alloc(reader->arena, table->n_columns * sizeof *row->metrics);
    for (size_t c = 0; c < table->n_columns; c++) {
        double number;
        int decimals;
        row->values[c] = FIRST_VALUE + c < reader->n_fields ? fields[FIRST_VALUE + c] : "";
        if (published_number(row->values[c], &number, &decimals) && decimals > table->columns[c].decimals)
            table->columns[c].decimals = decimals;
    }
    return 0;
}

static int read_formula(Reader *reader, Error *error) {
    PublishedRow *row = last_row(reader);
    int64_t numbers[4];
    for (size_t i = 0; i < 4; i++)
        if (!row || !text_to_int(reader->fields[1 + i], &numbers[i]) || numbers[i] < (i % 2 ? 1 : 0) ||
            numbers[i] > 1000000)
            return fail(reader, error, "a formula that is none",
                        "after a row: layers, all layers, values cached, values the base caches");
    row->formula = (PublishedFormula){numbers[0], numbers[1], numbers[2], numbers[3]};
    return 0;
}

static int read_metric(Reader *reader, Error *error) {
    PublishedRow *row = last_row(reader);
    size_t column;
    if (!row || !read_column(reader, reader->fields[1], &column))
        return fail(reader, error, "a metric of no cell", "after a row: the number of a column, a metric");
    row->metrics[column] = reader->fields[2];
    return 0;
}

static int add_note(Reader *reader, const char *place, bool is_slip, Error *error) {
    PublishedRow *row = last_row(reader);
    PublishedNote note = {.is_slip = is_slip, .text = reader->fields[2], .column = PUBLISHED_ROW};
    size_t column;
    if (!row || row->n_notes == MAX_NOTES)
        return fail(reader, error, "a note out of place", "at most 16 of them after a row");
    if (strcmp(place, "kv") == 0)
        note.column = PUBLISHED_KV;
    else if (read_column(reader, place, &column))
        note.column = (int)column;
    else if (strcmp(place, "row") != 0)
        return fail(reader, error, "a note on nothing", "\"row\", \"kv\" or the number of a column");
    row->notes = array_grown(reader->arena, row->notes, row->n_notes, sizeof *row->notes);
    row->notes[row->n_notes++] = note;
    return 0;
}

static int read_note(Reader *reader, Error *error) {
    bool is_slip = strcmp(reader->fields[0], "slip") == 0;
    for (const char *item = reader->fields[1]; item;) {
        const char *comma = strchr(item, ',');
        size_t bytes = comma ? (size_t)(comma - item) : strlen(item);
        if (add_note(reader, arena_strndup(reader->arena, item, bytes), is_slip, error) != 0)
            return -1;
        item = comma ? comma + 1 : NULL;
    }
    return 0;
}

static const struct {
    const char *word;
    int (*read)(Reader *reader, Error *error);
} kinds[] = {{"paper", read_paper},        {"table", read_table},   {"version", read_version},
             {"source", read_source},      {"about", read_about},   {"mean", read_mean},
             {"column", read_column_line}, {"rule", read_rule},     {"row", read_row},
             {"formula", read_formula},    {"metric", read_metric}, {"note", read_note},
             {"slip", read_note},          {"recipe", read_recipe}};

static int read_line(Reader *reader, char *line, Error *error) {
    for (size_t i = 0; i < MAX_FIELDS; i++)
        reader->fields[i] = "";
    reader->n_fields = 0;
    for (char *field = line; field;) {
        char *tab = strchr(field, '\t');
        if (reader->n_fields == MAX_FIELDS)
            return fail(reader, error, "more fields than a line may have", "at most 64");
        if (tab)
            *tab = '\0';
        reader->fields[reader->n_fields++] = field;
        field = tab ? tab + 1 : NULL;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(reader->fields[0], kinds[i].word) == 0)
            return kinds[i].read(reader, error);
    return fail(reader, error, "a line of an unknown kind", "paper, table, column, row, ...");
}

int published_parse(Published *out, const char *text, size_t bytes, const char *where, Arena *arena,
                    Error *error) {
    Reader reader = {.out = out, .where = where, .arena = arena, .source = ""};
    for (size_t start = 0, end; start < bytes; start = end + 1) {
        const char *newline = memchr(text + start, '\n', bytes - start);
        end = newline ? (size_t)(newline - text) : bytes;
        reader.line++;
        if (end > start && read_line(&reader, arena_strndup(arena, text + start, end - start), error) != 0)
            return -1;
    }
    return 0;
}

/* The user's own tables, of a paper in the making or another one's. */
static int load_user_file(Published *out, Arena *arena, Error *error) {
    enum { MOST_BYTES = 16 << 20 };
    const char *path = getenv("ZEVAL_PUBLISHED");
    Buffer text = {0};
    if (!path || !*path)
        return 0;
    int result = file_read(&text, path, MOST_BYTES, error);
    if (result == 0)
        result = published_parse(out, text.data, text.size, arena_strdup(arena, path), arena, error);
    buffer_free(&text);
    return result;
}

int published_load(Published *out, Arena *arena, Error *error) {
    *out = (Published){0};
    if (load_user_file(out, arena, error) != 0)
        return -1;
    for (size_t i = 0; i < n_embedded_files; i++) {
        const EmbeddedFile *file = &embedded_files[i];
        if (text_starts_with(file->name, "reports/published/") && text_ends_with(file->name, ".tsv") &&
            published_parse(out, (const char *)file->data, file->bytes, file->name, arena, error) != 0)
            return -1;
    }
    return 0;
}

bool published_same_name(const char *a, const char *b) {
    for (;;) {
        while (*a && !isalnum((unsigned char)*a))
            a++;
        while (*b && !isalnum((unsigned char)*b))
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
        a++;
        b++;
    }
}

static bool is_paper(const PublishedTable *table, const char *name) {
    return published_same_name(table->paper_key, name) || published_same_name(table->paper, name);
}

/* The papers' keys, or those of one paper's tables. */
static void list_keys(const Published *published, const char *paper, Buffer *out) {
    const char *last = NULL;
    for (size_t i = 0; i < published->n_tables; i++) {
        const PublishedTable *table = &published->tables[i];
        const char *key = paper ? table->key : table->paper_key;
        if ((paper && !is_paper(table, paper)) || (!paper && text_equal(last, key)))
            continue;
        buffer_printf(out, "%s%s", out->size ? ", " : "", key);
        last = key;
    }
}

int published_find(const Published *published, const char *paper, const char *table,
                   const PublishedTable **out, Error *error) {
    bool any = false;
    for (size_t i = 0; i < published->n_tables; i++) {
        const PublishedTable *candidate = &published->tables[i];
        if (!is_paper(candidate, paper))
            continue;
        any = true;
        if (published_same_name(candidate->key, table) || published_same_name(candidate->title, table)) {
            *out = candidate;
            return 0;
        }
    }
    Buffer keys = {0};
    list_keys(published, any ? paper : NULL, &keys);
    if (any)
        error_set_kind(error, ERROR_USAGE, "no table \"%s\" of %s is known; known are: %s", table, paper,
                       keys.data);
    else
        error_set_kind(error, ERROR_USAGE, "no paper \"%s\" is known; known are: %s", paper,
                       keys.data ? keys.data : "none");
    buffer_free(&keys);
    return -1;
}

bool published_number(const char *value, double *out, int *decimals) {
    size_t sign = *value == '-', whole = strspn(value + sign, "0123456789");
    const char *point = value + sign + whole;
    size_t fraction = *point == '.' ? strspn(point + 1, "0123456789") : 0;
    if (whole == 0 || (*point == '.' && fraction == 0) || point[fraction ? 1 + fraction : 0] != '\0')
        return false;
    *decimals = (int)fraction;
    return text_to_double(value, out);
}

bool published_kv(const PublishedRow *row, double *out, int *decimals) {
    size_t bytes = strcspn(row->kv, "% ");
    char text[32];
    if (bytes == 0 || bytes >= sizeof text)
        return false;
    memcpy(text, row->kv, bytes);
    text[bytes] = '\0';
    return published_number(text, out, decimals);
}

bool published_mean(const PublishedTable *table, const PublishedRow *row, size_t column, double *mean,
                    double *tolerance) {
    const PublishedColumn *means = &table->columns[column];
    double sum = 0, rounding = pow(10, -means->decimals);
    for (size_t i = 0; i < means->n_members; i++) {
        double number;
        int decimals;
        if (!published_number(row->values[means->members[i]], &number, &decimals))
            return false;
        sum += number;
        rounding += 0.5 * pow(10, -table->columns[means->members[i]].decimals) / (double)means->n_members;
    }
    if (means->n_members == 0)
        return false;
    *mean = sum / (double)means->n_members;
    *tolerance = rounding;
    return true;
}

const char *published_our_metric(const PublishedTable *table, const PublishedRow *row, size_t column) {
    const PublishedColumn *c = &table->columns[column];
    return !*c->our_task ? "" : row->metrics[column] ? row->metrics[column] : c->our_metric;
}

double published_formula_kv(const PublishedRow *row) {
    const PublishedFormula *f = &row->formula;
    if (f->all_layers == 0)
        return NAN;
    return 100.0 * (double)f->layers / (double)f->all_layers * (double)f->cached / (double)f->base_cached;
}
