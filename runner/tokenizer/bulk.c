/* JSON Lines through a tokenizer. Lines are gathered into a batch, the batch is cut into runs of lines, the
 * threads of a pool take one run after the other, and what they wrote is printed in the order of the lines.
 */
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/json_line.h"
#include "runner/tokenizer/tokenizer_internal.h"

enum { BATCH_BYTES = 4 << 20, RUN_BYTES = 64 << 10 };

typedef struct Line {
    size_t start, bytes; /* in the batch's text */
} Line;

/* Some lines of a batch that follow each other, and what they become. */
typedef struct Run {
    size_t first, n;
    Buffer out;
    int result;
    Error error;
} Run;

typedef struct Bulk {
    const Tokenizer *tokenizer;
    const BulkOptions *options;
    Buffer text;
    Line *lines;
    size_t n_lines, lines_capacity;
    size_t first_number; /* of the batch's first line in the file */
    Run *runs;
    size_t n_runs, runs_capacity;
} Bulk;

/* Working memory of one run. */
typedef struct LineScratch {
    Buffer text, where;
    TokenIds ids;
    TokenSpans spans;
} LineScratch;

static void append_id(Buffer *out, int64_t id) {
    char digits[24], *at = digits + sizeof digits;
    do
        *--at = (char)('0' + id % 10);
    while (id /= 10);
    buffer_append(out, at, (size_t)(digits + sizeof digits - at));
}

static void append_ids(Buffer *out, const TokenIds *ids) {
    buffer_append_text(out, "{\"ids\": [");
    for (size_t i = 0; i < ids->n; i++) {
        if (i)
            buffer_append(out, ", ", 2);
        append_id(out, ids->ids[i]);
    }
    buffer_append_char(out, ']');
}

static void append_spans(Buffer *out, const TokenSpans *spans) {
    buffer_append_text(out, ", \"offsets\": [");
    for (size_t i = 0; i < spans->n; i++) {
        buffer_append_text(out, i ? ", [" : "[");
        append_id(out, (int64_t)spans->items[i].start);
        buffer_append(out, ", ", 2);
        append_id(out, (int64_t)spans->items[i].end);
        buffer_append_char(out, ']');
    }
    buffer_append_char(out, ']');
}

static int encode_line(const Bulk *bulk, const char *line, size_t bytes, LineScratch *scratch, Buffer *out,
                       Error *error) {
    const char *where = scratch->where.data;
    scratch->ids.n = 0;
    if (json_line_text(line, bytes, "text", &scratch->text, where, error))
        return -1;
    scratch->spans.n = 0;
    if (tokenizer_encode_spans(bulk->tokenizer, scratch->text.data, scratch->text.size, bulk->options->policy,
                               &scratch->ids, bulk->options->offsets ? &scratch->spans : NULL, error))
        return error_prefix(error, "%s", where);
    append_ids(out, &scratch->ids);
    if (bulk->options->offsets)
        append_spans(out, &scratch->spans);
    buffer_append_text(out, "}\n");
    return 0;
}

static int decode_line(const Bulk *bulk, const char *line, size_t bytes, LineScratch *scratch, Buffer *out,
                       Error *error) {
    const char *where = scratch->where.data;
    if (json_line_ids(line, bytes, "ids", &scratch->ids, where, error))
        return -1;
    buffer_clear(&scratch->text);
    if (tokenizer_decode(bulk->tokenizer, scratch->ids.ids, scratch->ids.n, bulk->options->skip_special,
                         &scratch->text, error))
        return error_prefix(error, "%s", where);
    buffer_append_text(out, "{\"text\": ");
    text_append_json(out, scratch->text.data ? scratch->text.data : "", scratch->text.size);
    buffer_append_text(out, "}\n");
    return 0;
}

static void process_run(void *context, size_t i, int thread) {
    Bulk *bulk = context;
    Run *run = &bulk->runs[i];
    LineScratch scratch = {0};
    (void)thread;
    for (size_t k = run->first; k < run->first + run->n && !run->result; k++) {
        const char *line = bulk->text.data + bulk->lines[k].start;
        size_t bytes = bulk->lines[k].bytes;
        buffer_clear(&scratch.where);
        buffer_append_text(&scratch.where, bulk->options->name);
        buffer_append_char(&scratch.where, ':');
        append_id(&scratch.where, (int64_t)(bulk->first_number + k));
        run->result = bulk->options->decode
                          ? decode_line(bulk, line, bytes, &scratch, &run->out, &run->error)
                          : encode_line(bulk, line, bytes, &scratch, &run->out, &run->error);
    }
    buffer_free(&scratch.text);
    buffer_free(&scratch.where);
    token_ids_free(&scratch.ids);
    token_spans_free(&scratch.spans);
}

/* 1: there are lines, 0: the input is at its end, -1: it cannot be read. */
static int gather_batch(Bulk *bulk, LineReader *reader, Error *error) {
    const char *line;
    size_t bytes;
    int got = 0;
    buffer_clear(&bulk->text);
    bulk->n_lines = 0;
    bulk->first_number = line_reader_number(reader) + 1;
    while (bulk->text.size < BATCH_BYTES && (got = line_reader_next(reader, &line, &bytes, error)) > 0) {
        if (bulk->n_lines == bulk->lines_capacity) {
            bulk->lines_capacity = bulk->lines_capacity ? bulk->lines_capacity * 2 : 1024;
            bulk->lines = mem_realloc(bulk->lines, bulk->lines_capacity * sizeof *bulk->lines);
        }
        bulk->lines[bulk->n_lines++] = (Line){bulk->text.size, bytes};
        buffer_append(&bulk->text, line, bytes);
        buffer_append_char(&bulk->text, '\n'); /* an empty line counts towards the batch's size as well */
    }
    return bulk->n_lines ? 1 : got;
}

static Run *add_run(Bulk *bulk, size_t first) {
    if (bulk->n_runs == bulk->runs_capacity) {
        size_t capacity = bulk->runs_capacity ? bulk->runs_capacity * 2 : 64;
        bulk->runs = mem_realloc(bulk->runs, capacity * sizeof *bulk->runs);
        memset(bulk->runs + bulk->runs_capacity, 0, (capacity - bulk->runs_capacity) * sizeof *bulk->runs);
        bulk->runs_capacity = capacity;
    }
    Run *run = &bulk->runs[bulk->n_runs++];
    run->first = first;
    run->n = 0;
    run->result = 0;
    buffer_clear(&run->out);
    return run;
}

static void cut_batch(Bulk *bulk) {
    Run *run = NULL;
    size_t bytes = 0;
    bulk->n_runs = 0;
    for (size_t i = 0; i < bulk->n_lines; i++) {
        if (!run || bytes >= RUN_BYTES) {
            run = add_run(bulk, i);
            bytes = 0;
        }
        run->n++;
        bytes += bulk->lines[i].bytes + 1;
    }
}

static int print_batch(Bulk *bulk, FILE *out, Error *error) {
    for (size_t i = 0; i < bulk->n_runs; i++) {
        Run *run = &bulk->runs[i];
        if (run->out.size && fwrite(run->out.data, 1, run->out.size, out) != run->out.size)
            return error_set(error, "writing the output failed after line %zu",
                             bulk->first_number + run->first);
        if (run->result) {
            if (error)
                *error = run->error;
            return -1;
        }
    }
    return 0;
}

int tokenizer_process_lines(const Tokenizer *tokenizer, LineReader *reader, const BulkOptions *options,
                            FILE *out, Error *error) {
    Bulk bulk = {.tokenizer = tokenizer, .options = options};
    ThreadPool *pool;
    int result = 0;
    if (thread_pool_create(&pool, options->n_threads, error))
        return -1;
    while (!result && (result = gather_batch(&bulk, reader, error)) > 0) {
        cut_batch(&bulk);
        thread_pool_run(pool, bulk.n_runs, process_run, &bulk);
        result = print_batch(&bulk, out, error);
    }
    thread_pool_destroy(pool);
    for (size_t i = 0; i < bulk.runs_capacity; i++)
        buffer_free(&bulk.runs[i].out);
    free(bulk.runs);
    free(bulk.lines);
    buffer_free(&bulk.text);
    return result;
}
