/* The progress line; see progress.h. */
#include "base/progress.h"

#include <time.h>
#include <unistd.h>

#include "base/buffer.h"

double clock_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void progress_format_duration(double seconds, Buffer *out) {
    int64_t whole = (int64_t)(seconds + 0.5);
    if (seconds < 1)
        buffer_printf(out, "%d ms", (int)(seconds * 1000));
    else if (whole < 60)
        buffer_printf(out, "%d s", (int)whole);
    else if (whole < 3600)
        buffer_printf(out, "%d min %02d s", (int)(whole / 60), (int)(whole % 60));
    else
        buffer_printf(out, "%lld h %02d min", (long long)(whole / 3600), (int)(whole % 3600 / 60));
}

void progress_format(const Progress *progress, double now_s, Buffer *out) {
    int64_t worked = progress->done - progress->start_done, left = progress->total - progress->done;
    double elapsed = now_s - progress->start_s;
    buffer_printf(out, "%s %lld/%lld %s", progress->label, (long long)progress->done,
                  (long long)progress->total, progress->unit);
    if (progress->total > 0)
        buffer_printf(out, " (%d %%)", (int)(100.0 * (double)progress->done / (double)progress->total));
    if (worked <= 0 || elapsed <= 0)
        return;
    double rate = (double)worked / elapsed;
    buffer_printf(out, rate < 10 ? ", %.2f/s" : ", %.0f/s", rate);
    buffer_append_text(out, left > 0 ? ", ETA " : ", took ");
    double left_s = progress->left_s >= 0 ? progress->left_s : (double)left / rate;
    progress_format_duration(left > 0 ? left_s : elapsed, out);
}

static void print(Progress *progress, bool last) {
    Buffer line = {0};
    progress->last_print_s = clock_seconds();
    progress_format(progress, progress->last_print_s, &line);
    if (progress->live)
        fprintf(progress->stream, "\r%s\033[K%s", line.data, last ? "\n" : "");
    else
        fprintf(progress->stream, "%s\n", line.data);
    fflush(progress->stream);
    buffer_free(&line);
}

void progress_begin(Progress *progress, FILE *stream, const char *label, const char *unit,
                    int64_t already_done, int64_t total) {
    double now = clock_seconds();
    *progress = (Progress){.stream = stream,
                           .label = label,
                           .unit = unit,
                           .done = already_done,
                           .start_done = already_done,
                           .total = total,
                           .start_s = now,
                           .last_print_s = now,
                           .left_s = -1,
                           .live = stream && isatty(fileno(stream))};
}

void progress_update(Progress *progress, int64_t done) {
    progress->done = done;
    if (progress->stream && clock_seconds() - progress->last_print_s >= (progress->live ? 0.1 : 10.0))
        print(progress, false);
}

void progress_end(Progress *progress) {
    if (progress->stream)
        print(progress, true);
}
