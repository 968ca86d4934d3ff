/* Growable lists that the stages hand to each other. */
#include <stdlib.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* Doubles a list's room; sizes follow from text that is already in memory. */
static void *grown(void *items, size_t *capacity, size_t bytes_each) {
    *capacity = *capacity ? *capacity * 2 : 64;
    return mem_realloc(items, *capacity * bytes_each);
}

void token_ids_append(TokenIds *list, int32_t id) {
    if (list->n == list->capacity)
        list->ids = grown(list->ids, &list->capacity, sizeof *list->ids);
    list->ids[list->n++] = id;
}

void token_ids_free(TokenIds *list) {
    free(list->ids);
    *list = (TokenIds){0};
}

void token_spans_append(TokenSpans *list, TokenSpan span) {
    if (list->n == list->capacity)
        list->items = grown(list->items, &list->capacity, sizeof *list->items);
    list->items[list->n++] = span;
}

void token_spans_free(TokenSpans *list) {
    free(list->items);
    *list = (TokenSpans){0};
}

void cuts_append(Cuts *cuts, size_t start, size_t end, bool matched) {
    if (cuts->n == cuts->capacity)
        cuts->items = grown(cuts->items, &cuts->capacity, sizeof *cuts->items);
    cuts->items[cuts->n++] = (Cut){start, end, matched};
}

void pieces_clear(Pieces *pieces) {
    buffer_clear(&pieces->text);
    pieces->n = 0;
    pieces->stable = 0;
    pieces->open = false;
    pieces->trace.n = 0;
}

void pieces_free(Pieces *pieces) {
    buffer_free(&pieces->text);
    free(pieces->items);
    trace_free(&pieces->trace);
    *pieces = (Pieces){0};
}

void pieces_copy(Pieces *pieces, const char *text, size_t from, size_t n) {
    buffer_append(&pieces->text, text + from, n);
    trace_copy(&pieces->trace, from, n);
}

static size_t pieces_end(const Pieces *pieces) {
    return pieces->n ? pieces->items[pieces->n - 1].start + pieces->items[pieces->n - 1].bytes : 0;
}

static void append_piece(Pieces *pieces, Piece piece) {
    if (pieces->n == pieces->capacity)
        pieces->items = grown(pieces->items, &pieces->capacity, sizeof *pieces->items);
    pieces->items[pieces->n++] = piece;
}

void pieces_close(Pieces *pieces, int32_t id, bool at_start) {
    size_t start = pieces_end(pieces), bytes = pieces->text.size - start;
    if (bytes || id >= 0)
        append_piece(pieces, (Piece){start, bytes, id, at_start});
}

void pieces_close_token(Pieces *pieces) {
    size_t start = pieces_end(pieces);
    append_piece(pieces, (Piece){start, pieces->text.size - start, -1, false});
}
