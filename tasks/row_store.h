/* Rows of a data set as bytes. Trees of values are what tasks are opened with; while a model is scored, which
 * is long, only the rows that are still going to be asked for are kept, and as little of each as can be. */
#ifndef ZEVAL_TASKS_ROW_STORE_H
#define ZEVAL_TASKS_ROW_STORE_H

#include "tasks/value.h"

typedef struct RowStore RowStore;

/* Copies those of the n rows for which kept[i] is set. Rows are what data files can hold: null, truth values,
 * numbers, strings, lists, dicts. To be freed with row_store_free. */
RowStore *row_store_create(const Value *rows, size_t n, const bool *kept);
void row_store_free(RowStore *store);
/* Row i, which was kept, as it was. It lives as long as both the store and the arena. Several threads may ask
 * at once, each with its own arena. */
Value row_store_get(const RowStore *store, size_t i, Arena *arena);
/* What it takes. */
size_t row_store_bytes(const RowStore *store);

#endif
