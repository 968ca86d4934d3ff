/* One progress line for long work: a terminal gets a live line, a pipe rare plain lines. */
#ifndef ZEVAL_BASE_PROGRESS_H
#define ZEVAL_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Progress {
    FILE *stream; /* NULL: silent */
    const char *label, *unit;
    int64_t done, total;
    int64_t start_done;  /* what was already done when the work began: not counted in the rate */
    double start_s;      /* clock when the work began */
    double last_print_s; /* clock of the last line */
    double left_s;       /* what is left takes by the caller's reckoning; negative: by the mean rate so far */
    bool live;           /* a terminal: rewrite the line */
} Progress;

/* Starts a line "label done/total unit rate ETA". `already_done` is work a former run left finished. */
void progress_begin(Progress *progress, FILE *stream, const char *label, const char *unit,
                    int64_t already_done, int64_t total);
/* Reports the absolute amount done; prints at most ten times a second live, every ten seconds plain. */
void progress_update(Progress *progress, int64_t done);
/* Prints the last line with the time taken. */
void progress_end(Progress *progress);

/* The text of a line at clock `now_s`, without the line's end: what the printing functions use. */
struct Buffer;
void progress_format(const Progress *progress, double now_s, struct Buffer *out);
/* "950 ms", "12 s", "3 min 05 s", "2 h 10 min". */
void progress_format_duration(double seconds, struct Buffer *out);
/* Monotonic seconds. */
double clock_seconds(void);

#endif
