/* The parts of the Markdown report. */
#ifndef ZEVAL_REPORTS_MARKDOWN_H
#define ZEVAL_REPORTS_MARKDOWN_H

#include "reports/results.h"

/* Appends the tables of data sets and files. They stay short: folded tasks share a line with their group's
 * others unless requests of theirs were cut, and many files of one role share a line with a hash over all. */
void markdown_provenance(const ReportRun *run, Arena *arena, Buffer *out);

#endif
