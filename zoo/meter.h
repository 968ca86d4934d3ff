/* What a pull shows while it works: a line for each file under way and one for all, with rates and the time
 * that is left. A terminal gets them redrawn; anything else a line for each file that is done, and one for
 * all every ten seconds. */
#ifndef ZEVAL_ZOO_METER_H
#define ZEVAL_ZOO_METER_H

#include <stdbool.h>
#include <stdio.h>

#include "zoo/download.h"

typedef struct Meter {
    FILE *stream; /* NULL: silent */
    const char *title;
    const Download *downloads;
    size_t n;
    bool live;
    bool *told;          /* [n] files whose end was reported */
    double *begun_s;     /* [n] when a file's first byte of this pull came; 0: not yet */
    int64_t *begun_have; /* [n] what was there then */
    double start_s, shown_s;
    int64_t start_have;
    int n_lines; /* on the terminal now */
} Meter;

void meter_begin(Meter *out, FILE *stream, const char *title, const Download *downloads, size_t n);
/* Shows how things stand, if it is time to. */
void meter_show(Meter *meter);
/* Shows the end, or, if it did not come to that, takes the lines away. */
void meter_end(Meter *meter, bool done);

#endif
