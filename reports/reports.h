/* reports: SQL in, documents out. Knows nothing of models. A report is a function of stored results alone: no
 * clock, no path of this machine, so the same results give the same bytes. */
#ifndef ZEVAL_REPORTS_REPORTS_H
#define ZEVAL_REPORTS_REPORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "db/db.h"

typedef struct ReportOptions {
    int64_t run_id; /* 0: every complete run, one column of models each */
} ReportOptions;

/* Appends the report: lm-eval's table of tasks and groups for each run, then what was run (model, files with
 * their hashes, settings). A database with no complete run is an error that says how to make one. */
int report_markdown(Db *db, const ReportOptions *options, Buffer *out, Error *error);
/* One self-contained page: nothing is loaded from elsewhere, readable in light and dark and when printed. */
int report_html(Db *db, const ReportOptions *options, Buffer *out, Error *error);
/* The same numbers for scripts: {"runs": [{..., "results": [...]}]}. */
int report_json(Db *db, const ReportOptions *options, Buffer *out, Error *error);

/* `zeval runs`: a table of the runs in a database, finished or not, with how far each got; as JSON when
 * `json`. */
int report_runs(Db *db, bool json, Buffer *out, Error *error);

#endif
