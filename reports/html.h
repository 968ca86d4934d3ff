/* The parts of the HTML page. */
#ifndef ZEVAL_REPORTS_HTML_H
#define ZEVAL_REPORTS_HTML_H

#include "reports/results.h"

/* The page's style sheet, for the screen in light and dark, narrow screens, and paper. */
extern const char html_style[];

/* Appends text (`bytes` of it) so that it shows as it is: markup characters escaped; control characters and
 * broken UTF-8, which HTML has no way to say, as U+FFFD. Safe inside quoted attributes too. */
void html_text_bytes(Buffer *out, const char *text, size_t bytes);
void html_text(Buffer *out, const char *text);

/* Accuracy-like metrics (values between 0 and 1) of the rows of one kind as bars with standard errors;
 * appends nothing if there are none. */
void html_plot(const ReportRun *run, bool members, Buffer *out);

/* A sample of the run's documents: prompt, choices, scores, right or wrong. */
int html_documents(Db *db, const ReportRun *run, Buffer *out, Error *error);

#endif
