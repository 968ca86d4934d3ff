/* The display of a pull; see meter.h. */
#include "zoo/meter.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

enum { NAME_WIDTH = 44 };
static const double plain_every_s = 10;

void meter_begin(Meter *out, FILE *stream, const char *title, const Download *downloads, size_t n) {
    *out = (Meter){.stream = stream,
                   .title = title,
                   .downloads = downloads,
                   .n = n,
                   .live = stream && isatty(fileno(stream)),
                   .told = mem_alloc_zero(n + 1, sizeof *out->told),
                   .begun_s = mem_alloc_zero(n + 1, sizeof *out->begun_s),
                   .begun_have = mem_alloc_zero(n + 1, sizeof *out->begun_have),
                   .start_s = clock_seconds()};
    out->shown_s = out->start_s;
    for (size_t i = 0; i < n; i++) {
        const Download *download = &downloads[i];
        out->told[i] = file_size(download->blob) == download->file->bytes; /* nothing will happen to it */
        out->start_have += out->told[i] ? download->file->bytes : 0;
    }
}

static void append_size(Buffer *out, int64_t bytes) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (unit + 1 < sizeof units / sizeof *units && value >= 1000) {
        value /= 1000;
        unit++;
    }
    buffer_printf(out, unit == 0 ? "%.0f %s" : "%.2f %s", value, units[unit]);
}

/* "1.24 GB of 4.98 GB  25 %  212.00 MB/s  18 s left" */
static void append_state(Buffer *out, int64_t have, int64_t all, int64_t came, double seconds) {
    append_size(out, have);
    buffer_append_text(out, " of ");
    append_size(out, all);
    buffer_printf(out, "  %3.0f %%", all > 0 ? 100.0 * (double)have / (double)all : 100.0);
    if (came <= 0 || seconds < 0.2)
        return;
    double rate = (double)came / seconds;
    buffer_append_text(out, "  ");
    append_size(out, (int64_t)rate);
    buffer_append_text(out, "/s");
    if (have < all) {
        buffer_append_text(out, "  ");
        progress_format_duration((double)(all - have) / rate, out);
        buffer_append_text(out, " left");
    }
}

/* The end of a long name says more than its beginning. */
static void append_name(Buffer *out, const char *name) {
    size_t length = strlen(name);
    if (length > NAME_WIDTH)
        buffer_printf(out, "...%s", name + length - NAME_WIDTH + 3);
    else
        buffer_printf(out, "%-*s", NAME_WIDTH, name);
}

static void append_line(Meter *meter, Buffer *out) {
    buffer_append_text(out, meter->live ? "\033[K\n" : "\n");
    meter->n_lines++;
}

static void append_files(Meter *meter, Buffer *out, double now_s) {
    for (size_t i = 0; i < meter->n; i++) {
        const Download *download = &meter->downloads[i];
        int64_t have = download_have(download), bytes = download->file->bytes;
        bool ended = download->done && !meter->told[i], under_way = download->partial.out >= 0;
        if (under_way && meter->begun_s[i] == 0) {
            meter->begun_s[i] = now_s;
            meter->begun_have[i] = have;
        }
        if (meter->live ? !under_way : !ended)
            continue;
        buffer_append_text(out, "  ");
        append_name(out, download->file->path);
        buffer_append_text(out, "  ");
        append_state(out, have, bytes, have - meter->begun_have[i],
                     meter->begun_s[i] > 0 ? now_s - meter->begun_s[i] : 0);
        append_line(meter, out);
        meter->told[i] = true;
    }
}

static void append_total(Meter *meter, Buffer *out, double now_s) {
    int64_t have = 0, all = 0;
    size_t n_done = 0;
    Buffer name = {0};
    for (size_t i = 0; i < meter->n; i++) {
        have += meter->told[i] && !meter->downloads[i].done && meter->downloads[i].partial.out < 0
                    ? meter->downloads[i].file->bytes
                    : download_have(&meter->downloads[i]);
        all += meter->downloads[i].file->bytes;
        n_done += meter->downloads[i].done;
    }
    buffer_printf(&name, "%s: %zu of %zu files", meter->title, n_done, meter->n);
    append_name(out, name.data);
    buffer_append_text(out, "    ");
    append_state(out, have, all, have - meter->start_have, now_s - meter->start_s);
    append_line(meter, out);
    buffer_free(&name);
}

static void draw(Meter *meter, bool total) {
    Buffer text = {0};
    double now_s = clock_seconds();
    if (meter->live && meter->n_lines > 0)
        buffer_printf(&text, "\033[%dA", meter->n_lines);
    meter->n_lines = 0;
    append_files(meter, &text, now_s);
    if (total) {
        append_total(meter, &text, now_s);
        meter->shown_s = now_s;
    }
    if (meter->live)
        buffer_append_text(&text, "\033[J"); /* lines of files that are done */
    if (text.size > 0)
        fwrite(text.data, 1, text.size, meter->stream);
    fflush(meter->stream);
    buffer_free(&text);
}

void meter_show(Meter *meter) {
    if (meter->stream)
        draw(meter, meter->live || clock_seconds() - meter->shown_s >= plain_every_s);
}

void meter_end(Meter *meter, bool done) {
    if (meter->stream && done)
        draw(meter, true);
    else if (meter->stream && meter->live && meter->n_lines > 0)
        fprintf(meter->stream, "\033[%dA\033[J", meter->n_lines);
    free(meter->told);
    free(meter->begun_s);
    free(meter->begun_have);
    *meter = (Meter){0};
}
