/* Books for programs: CSV and JSON. */
#include <string.h>

#include "base/json.h"
#include "reports/sheet.h"

static const char *key_of(const SheetColumn *column) {
    return column->key ? column->key : column->heading;
}

/* A field is quoted when it holds what would end it, or blanks at its ends. */
static void csv_field(Buffer *out, const char *text) {
    size_t bytes = strlen(text);
    bool quote = strpbrk(text, ",\"\r\n") || (bytes && (text[0] == ' ' || text[bytes - 1] == ' '));
    if (!quote) {
        buffer_append_text(out, text);
        return;
    }
    buffer_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            buffer_append_char(out, '"');
        buffer_append_char(out, *text);
    }
    buffer_append_char(out, '"');
}

void sheet_write_csv(const SheetBook *book, Buffer *out) {
    const Sheet *sheet = NULL;
    for (size_t i = book->n_sheets; i-- > 0;)
        sheet = book->sheets[i]->use & SHEET_FOR_PROGRAMS ? book->sheets[i] : sheet;
    for (size_t c = 0; sheet && c < sheet->n_columns; c++) {
        buffer_append_text(out, c ? "," : "");
        csv_field(out, key_of(&sheet->columns[c]));
    }
    for (size_t i = 0; sheet && i < sheet->n_rows * sheet->n_columns; i++) {
        buffer_append_text(out, i % sheet->n_columns ? "," : "\n");
        csv_field(out, sheet->cells[i].text);
    }
    buffer_append_char(out, '\n');
}

/* JSON's grammar: -? (0 | [1-9][0-9]*) (.[0-9]+)? ([eE][-+]?[0-9]+)? */
static bool is_json_number(const char *text) {
    static const char digits[] = "0123456789";
    text += *text == '-';
    size_t n = strspn(text, digits);
    if (n == 0 || (*text == '0' && n > 1))
        return false;
    text += n;
    if (*text == '.') {
        if ((n = strspn(text + 1, digits)) == 0)
            return false;
        text += 1 + n;
    }
    if (*text == 'e' || *text == 'E') {
        text += 1 + (text[1] == '-' || text[1] == '+');
        if ((n = strspn(text, digits)) == 0)
            return false;
        text += n;
    }
    return *text == '\0';
}

/* A number goes out with the digits it has: cJSON would write 7.80 as 7.7999999999999998. */
static cJSON *json_value(const SheetCell *cell) {
    if (cell->is_number && !*cell->text)
        return cJSON_CreateNull();
    if (cell->is_number && is_json_number(cell->text))
        return cJSON_CreateRaw(cell->text);
    return cJSON_CreateString(cell->text);
}

static cJSON *json_rows(const Sheet *sheet) {
    cJSON *array = cJSON_CreateArray();
    for (size_t row = 0; row < sheet->n_rows; row++) {
        cJSON *object = cJSON_CreateObject();
        for (size_t c = 0; c < sheet->n_columns; c++)
            cJSON_AddItemToObject(object, key_of(&sheet->columns[c]),
                                  json_value(&sheet->cells[row * sheet->n_columns + c]));
        cJSON_AddItemToArray(array, object);
    }
    return array;
}

void sheet_write_json(const SheetBook *book, Buffer *out) {
    cJSON *root = cJSON_CreateObject();
    if (book->title)
        cJSON_AddStringToObject(root, "title", book->title);
    cJSON *lines = cJSON_AddArrayToObject(root, "about");
    for (size_t i = 0; i < book->n_lines; i++)
        cJSON_AddItemToArray(lines, cJSON_CreateString(book->lines[i]));
    for (size_t i = 0; i < book->n_sheets; i++)
        if (book->sheets[i]->use & SHEET_FOR_PROGRAMS)
            cJSON_AddItemToObject(root, book->sheets[i]->name, json_rows(book->sheets[i]));
    char *text = cJSON_Print(root);
    buffer_append_text(out, text);
    buffer_append_char(out, '\n');
    cJSON_free(text);
    cJSON_Delete(root);
}
