/* `zeval runs`: which runs a database holds and how far each got. */
#include "base/json.h"
#include "reports/results.h"
#include "reports/table.h"

typedef struct RunLine {
    const char *model, *dtype, *backend, *started, *finished;
    int64_t run_id, n_tasks, n_requests, n_done;
    double limit;
} RunLine;

static RunLine read_line(sqlite3_stmt *statement, Arena *arena) {
    return (RunLine){.run_id = sqlite3_column_int64(statement, 0),
                     .model = report_public_name(report_text(statement, 1, arena), arena),
                     .dtype = report_text(statement, 2, arena),
                     .backend = report_text(statement, 3, arena),
                     .limit = sqlite3_column_double(statement, 4),
                     .n_tasks = sqlite3_column_int64(statement, 5),
                     .n_requests = sqlite3_column_int64(statement, 6),
                     .n_done = sqlite3_column_int64(statement, 7),
                     .started = report_text(statement, 8, arena),
                     .finished = report_text(statement, 9, arena)};
}

static void table_line(Table *table, const RunLine *line, Arena *arena) {
    TableCell *cells = table_row(table);
    cells[0].text = arena_printf(arena, "%lld", (long long)line->run_id);
    cells[1].text = line->model;
    cells[2].text = line->dtype;
    cells[3].text = line->backend;
    cells[4].text = arena_printf(arena, "%lld", (long long)line->n_tasks);
    cells[5].text = line->limit > 0 ? arena_printf(arena, "%.6g", line->limit) : "all";
    cells[6].text = arena_printf(arena, "%lld", (long long)line->n_done);
    cells[7].text = *line->finished ? "finished" : "interrupted or running";
    cells[8].text = line->started;
}

static void json_line(cJSON *array, const RunLine *line) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddNumberToObject(item, "run_id", (double)line->run_id);
    cJSON_AddStringToObject(item, "model", line->model);
    cJSON_AddStringToObject(item, "dtype", line->dtype);
    cJSON_AddStringToObject(item, "backend", line->backend);
    cJSON_AddNumberToObject(item, "n_tasks", (double)line->n_tasks);
    if (line->limit > 0)
        cJSON_AddNumberToObject(item, "limit", line->limit);
    else
        cJSON_AddNullToObject(item, "limit");
    cJSON_AddNumberToObject(item, "n_requests", (double)line->n_requests);
    cJSON_AddNumberToObject(item, "n_done", (double)line->n_done);
    cJSON_AddBoolToObject(item, "complete", *line->finished != '\0');
    cJSON_AddStringToObject(item, "started_at", line->started);
    if (*line->finished)
        cJSON_AddStringToObject(item, "finished_at", line->finished);
    else
        cJSON_AddNullToObject(item, "finished_at");
    cJSON_AddItemToArray(array, item);
}

static void finish(const Table *table, cJSON *array, bool json, Arena *arena, Buffer *out) {
    if (json) {
        char *text = cJSON_Print(array);
        buffer_append_text(out, text);
        buffer_append_char(out, '\n');
        cJSON_free(text);
    } else if (table->n_rows > 0) {
        table_markdown(table, arena, out);
    } else {
        buffer_append_text(out, "No runs yet.\n");
    }
}

int report_runs(Db *db, bool json, Buffer *out, Error *error) {
    static const char *const headers[] = {"Run",   "Model",         "Data type", "Backend", "Tasks",
                                          "Limit", "Requests done", "State",     "Started"};
    sqlite3_stmt *statement =
        /* Counting answers is what takes long, and a finished run has all of them. */
        report_query(db,
                     "SELECT run_id, model_name, dtype, backend, sample_limit,"
                     " (SELECT count(*) FROM tasks t WHERE t.run_id = r.run_id),"
                     " CASE WHEN finished_at IS NOT NULL AND plan_requests > 0 THEN plan_requests ELSE"
                     "  (SELECT n_requests FROM v_runs v WHERE v.run_id = r.run_id) END,"
                     " CASE WHEN finished_at IS NOT NULL AND plan_requests > 0 THEN plan_requests ELSE"
                     "  (SELECT n_done FROM v_runs v WHERE v.run_id = r.run_id) END,"
                     " started_at, finished_at FROM runs r ORDER BY run_id",
                     0, error);
    if (!statement)
        return -1;
    Arena arena = {0};
    Table table = {.headers = headers, .n_columns = sizeof headers / sizeof *headers};
    cJSON *array = cJSON_CreateArray();
    int result;
    while ((result = report_step(db, statement, error)) == 1) {
        RunLine line = read_line(statement, &arena);
        if (json)
            json_line(array, &line);
        else
            table_line(&table, &line, &arena);
    }
    sqlite3_finalize(statement);
    if (result == 0)
        finish(&table, array, json, &arena, out);
    cJSON_Delete(array);
    table_free(&table);
    arena_free(&arena);
    return result;
}
