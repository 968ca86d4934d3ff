/* Spans of text through the stages of encoding; see tokenizer_internal.h. */
#include <stdlib.h>

#include "runner/tokenizer/tokenizer_internal.h"

static void append(Trace *trace, TokenSpan span) {
    if (trace->n == trace->capacity) {
        trace->capacity = trace->capacity ? trace->capacity * 2 : 256;
        trace->spans = mem_realloc(trace->spans, trace->capacity * sizeof *trace->spans);
    }
    trace->spans[trace->n++] = span;
}

void trace_copy(Trace *trace, size_t from, size_t n) {
    if (!trace || !trace->on)
        return;
    for (size_t i = from; i < from + n; i++)
        append(trace, trace->source[i]);
}

void trace_make(Trace *trace, size_t n, size_t from, size_t to) {
    if (!trace || !trace->on)
        return;
    TokenSpan span = trace_join(trace->source, trace->n_source, from, to - from);
    for (size_t i = 0; i < n; i++)
        append(trace, span);
}

TokenSpan trace_join(const TokenSpan *spans, size_t n_spans, size_t start, size_t n) {
    if (n == 0) {
        size_t at = start < n_spans ? spans[start].start : n_spans ? spans[n_spans - 1].end : 0;
        return (TokenSpan){at, at};
    }
    TokenSpan all = spans[start];
    for (size_t i = start + 1; i < start + n; i++) {
        all.start = spans[i].start < all.start ? spans[i].start : all.start;
        all.end = spans[i].end > all.end ? spans[i].end : all.end;
    }
    return all;
}

void trace_free(Trace *trace) {
    free(trace->spans);
    *trace = (Trace){0};
}
