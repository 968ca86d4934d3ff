/* Encoding: repair, cut at added tokens, normalize, cut at normalized added tokens, cut into words, merge. */
#include <stdlib.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* Working memory of one call, so that a Tokenizer can be shared between threads. */
typedef struct Scratch {
    Buffer repaired, normal;
    Pieces raw, pieces, spare;
    Cuts cuts;
    BpeScratch bpe;
    /* With spans only. */
    Trace input;
    TokenSpans normal_spans, ranges;
} Scratch;

/* What is to be encoded, and where the result goes. */
typedef struct Job {
    const Tokenizer *tokenizer;
    const char *text;
    size_t bytes;
    SpecialPolicy policy;
    TokenIds *ids;
    TokenSpans *spans; /* NULL: not wanted */
} Job;

static void scratch_free(Scratch *scratch) {
    buffer_free(&scratch->repaired);
    buffer_free(&scratch->normal);
    pieces_free(&scratch->raw);
    pieces_free(&scratch->pieces);
    pieces_free(&scratch->spare);
    free(scratch->cuts.items);
    bpe_scratch_free(&scratch->bpe);
    trace_free(&scratch->input);
    token_spans_free(&scratch->normal_spans);
    token_spans_free(&scratch->ranges);
}

/* Turns every stage's trace on; the first one's input is the text as it came. */
static void begin_trace(const Job *job, Scratch *scratch) {
    Trace *input = &scratch->input;
    TokenSpans bytes = {0};
    for (size_t i = 0; i < job->bytes; i++)
        token_spans_append(&bytes, (TokenSpan){i, i + 1});
    *input = (Trace){.on = true, .source = bytes.items, .n_source = bytes.n};
    if (utf8_valid(job->text, job->bytes))
        trace_copy(input, 0, job->bytes);
    else
        unicode_append_repaired(&scratch->repaired, job->text, job->bytes, input);
    token_spans_free(&bytes);
    input->source = NULL;
    scratch->raw.trace = (Trace){.on = true, .source = input->spans, .n_source = input->n};
    scratch->pieces.trace.on = scratch->spare.trace.on = true;
    scratch->bpe.ranges = &scratch->ranges;
}

/* Makes the text valid UTF-8. */
static void repair(Job *job, Scratch *scratch) {
    if (job->spans && job->bytes)
        begin_trace(job, scratch);
    else if (job->bytes && !utf8_valid(job->text, job->bytes))
        unicode_append_repaired(&scratch->repaired, job->text, job->bytes, NULL);
    if (scratch->repaired.size) {
        job->text = scratch->repaired.data;
        job->bytes = scratch->repaired.size;
    }
}

/* The part of the raw text that `piece` is, normalized into scratch->normal. */
static int normalize(const Tokenizer *tokenizer, const Piece *piece, Scratch *scratch, bool *at_start,
                     Error *error) {
    const Trace *trace = &scratch->raw.trace;
    buffer_clear(&scratch->normal);
    buffer_append(&scratch->normal, scratch->raw.text.data + piece->start, piece->bytes);
    scratch->normal_spans.n = 0;
    for (size_t i = 0; trace->on && i < piece->bytes; i++)
        token_spans_append(&scratch->normal_spans, trace->spans[piece->start + i]);
    return normalizers_apply(tokenizer->normalizers, tokenizer->n_normalizers, &scratch->normal,
                             trace->on ? &scratch->normal_spans : NULL, at_start, error);
}

/* Cuts out the added tokens and normalizes what lies between them. */
static int extract(const Job *job, Scratch *scratch, Error *error) {
    const AddedTokens *added = &job->tokenizer->added;
    bool skip_special = job->policy & SPECIAL_AS_TEXT;
    Trace *trace = &scratch->pieces.trace;
    added_tokens_cut(added, &added->raw, job->text, job->bytes, true, skip_special, &scratch->raw);
    for (size_t i = 0; i < scratch->raw.n; i++) {
        const Piece *piece = &scratch->raw.items[i];
        bool at_start = piece->at_start;
        if (piece->id >= 0) {
            trace->source = scratch->raw.trace.spans;
            trace->n_source = scratch->raw.trace.n;
            pieces_copy(&scratch->pieces, scratch->raw.text.data, piece->start, piece->bytes);
            pieces_close(&scratch->pieces, piece->id, false);
            continue;
        }
        if (normalize(job->tokenizer, piece, scratch, &at_start, error))
            return -1;
        trace->source = scratch->normal_spans.items;
        trace->n_source = scratch->normal_spans.n;
        if (scratch->normal.size)
            added_tokens_cut(added, &added->normalized, scratch->normal.data, scratch->normal.size, at_start,
                             skip_special, &scratch->pieces);
    }
    return 0;
}

/* The spans in the user's text of the ids that one piece became. */
static void put_spans(const Piece *piece, const Scratch *scratch, TokenSpans *spans) {
    const Trace *trace = &scratch->pieces.trace;
    for (size_t i = 0; i < scratch->ranges.n; i++) {
        TokenSpan range = scratch->ranges.items[i];
        token_spans_append(
            spans, trace_join(trace->spans, trace->n, piece->start + range.start, range.end - range.start));
    }
}

static int append_text(const Job *job, Scratch *scratch, Error *error) {
    const Tokenizer *tokenizer = job->tokenizer;
    if (extract(job, scratch, error) ||
        pre_tokenizers_apply(tokenizer->pre_tokenizers, tokenizer->n_pre_tokenizers, &scratch->pieces,
                             &scratch->spare, &scratch->cuts, error))
        return -1;
    for (size_t i = 0; i < scratch->pieces.n; i++) {
        const Piece *piece = &scratch->pieces.items[i];
        scratch->ranges.n = 0;
        if (piece->id >= 0) {
            token_ids_append(job->ids, piece->id);
            if (job->spans)
                token_spans_append(&scratch->ranges, (TokenSpan){0, piece->bytes});
        } else if (bpe_encode(&tokenizer->bpe, scratch->pieces.text.data + piece->start, piece->bytes,
                              &scratch->bpe, job->ids, error)) {
            return -1;
        }
        if (job->spans)
            put_spans(piece, scratch, job->spans);
    }
    return 0;
}

/* Puts the template's ids around text ids that are already at the end of ids, from `first` on. */
static void surround(const TokenIds *template_ids, TokenIds *ids, size_t first) {
    TokenIds text = {0};
    for (size_t i = first; i < ids->n; i++)
        token_ids_append(&text, ids->ids[i]);
    ids->n = first;
    for (size_t i = 0; i < template_ids->n; i++) {
        if (template_ids->ids[i] != TEMPLATE_TEXT)
            token_ids_append(ids, template_ids->ids[i]);
        for (size_t k = 0; template_ids->ids[i] == TEMPLATE_TEXT && k < text.n; k++)
            token_ids_append(ids, text.ids[k]);
    }
    token_ids_free(&text);
}

/* The same for spans; the template's tokens stand for nothing. */
static void surround_spans(const TokenIds *template_ids, TokenSpans *spans, size_t first) {
    TokenSpans text = {0};
    for (size_t i = first; i < spans->n; i++)
        token_spans_append(&text, spans->items[i]);
    spans->n = first;
    for (size_t i = 0; i < template_ids->n; i++) {
        if (template_ids->ids[i] != TEMPLATE_TEXT)
            token_spans_append(spans, (TokenSpan){0, 0});
        for (size_t k = 0; template_ids->ids[i] == TEMPLATE_TEXT && k < text.n; k++)
            token_spans_append(spans, text.items[k]);
    }
    token_spans_free(&text);
}

int tokenizer_encode_spans(const Tokenizer *tokenizer, const char *text, size_t bytes, SpecialPolicy policy,
                           TokenIds *out, TokenSpans *spans, Error *error) {
    Scratch scratch = {0};
    Job job = {tokenizer, text, bytes, policy, out, spans};
    size_t first = out->n, first_span = spans ? spans->n : 0;
    repair(&job, &scratch);
    int result = append_text(&job, &scratch, error);
    if (result)
        out->n = first;
    else if (policy & SPECIAL_ADD)
        surround(&tokenizer->template_ids, out, first);
    if (result && spans)
        spans->n = first_span;
    else if (spans && policy & SPECIAL_ADD)
        surround_spans(&tokenizer->template_ids, spans, first_span);
    scratch_free(&scratch);
    return result;
}

int tokenizer_encode(const Tokenizer *tokenizer, const char *text, size_t bytes, SpecialPolicy policy,
                     TokenIds *out, Error *error) {
    return tokenizer_encode_spans(tokenizer, text, bytes, policy, out, NULL, error);
}
