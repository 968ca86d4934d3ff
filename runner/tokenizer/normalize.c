/* Normalizers: what is done to the text before it is cut into words. A kind is a row of `kinds`. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* ---- Prepend */

static int load_prepend(Normalizer *self, const cJSON *json, Arena *arena, const char *where, Error *error) {
    const char *content;
    if (json_get_string(json, "prepend", &content, where, error))
        return -1;
    self->content = arena_strdup(arena, content);
    return 0;
}

static int apply_prepend(const Normalizer *self, const char *text, size_t bytes, Buffer *out, Trace *trace,
                         bool *at_start, Error *error) {
    (void)at_start;
    (void)error;
    if (bytes) {
        buffer_append_text(out, self->content);
        trace_make(trace, strlen(self->content), 0, 0);
    }
    buffer_append(out, text, bytes);
    trace_copy(trace, 0, bytes);
    return 0;
}

/* ---- Replace */

static int load_replace(Normalizer *self, const cJSON *json, Arena *arena, const char *where, Error *error) {
    const char *content;
    if (token_pattern_load(&self->pattern, json, where, error) ||
        json_get_string(json, "content", &content, where, error))
        return -1;
    self->content = arena_strdup(arena, content);
    return 0;
}

static int apply_replace(const Normalizer *self, const char *text, size_t bytes, Buffer *out, Trace *trace,
                         bool *at_start, Error *error) {
    Cuts cuts = {0};
    int result = token_pattern_cut(&self->pattern, text, bytes, &cuts, error);
    for (size_t i = 0; !result && i < cuts.n; i++) {
        const Cut *cut = &cuts.items[i];
        if (cut->matched) {
            buffer_append_text(out, self->content);
            trace_make(trace, strlen(self->content), cut->start, cut->end);
        } else {
            buffer_append(out, text + cut->start, cut->end - cut->start);
            trace_copy(trace, cut->start, cut->end - cut->start);
        }
    }
    /* The reference gives a replacement the place of the last character it replaces. */
    if (!result && cuts.n && cuts.items[0].matched && cuts.items[0].end) {
        size_t characters = utf8_length(text, cuts.items[0].end);
        if (!*self->content || characters > 1)
            *at_start = false;
    }
    free(cuts.items);
    return result;
}

/* ---- NFC, NFD, NFKC, NFKD */

/* The library's own sort of combining marks takes time quadratic in their number, so only its tables and its
 * composition are used here: decompose each character, sort each run of marks by class, compose. */
typedef struct CodePoints {
    utf8proc_int32_t *codes;
    size_t n, capacity;
} CodePoints;

static int decompose(CodePoints *list, const char *text, size_t bytes, utf8proc_option_t options,
                     Error *error) {
    enum { LONGEST_DECOMPOSITION = 32 };
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        int boundary = 0;
        at += utf8_decode(text + at, bytes - at, &code);
        if (list->capacity - list->n < LONGEST_DECOMPOSITION) {
            list->capacity = list->capacity * 2 + 4 * LONGEST_DECOMPOSITION;
            list->codes = mem_realloc(list->codes, list->capacity * sizeof *list->codes);
        }
        utf8proc_ssize_t length = utf8proc_decompose_char((utf8proc_int32_t)code, list->codes + list->n,
                                                          LONGEST_DECOMPOSITION, options, &boundary);
        if (length < 0 || length > LONGEST_DECOMPOSITION)
            return error_set(error, "normalizing a text of %zu bytes failed at U+%04X", bytes,
                             (unsigned)code);
        list->n += (size_t)length;
    }
    return 0;
}

static size_t combining_class(utf8proc_int32_t code) {
    return utf8proc_get_property(code)->combining_class & 0xFF;
}

/* Stable counting sort of one run of marks. */
static void sort_run(utf8proc_int32_t *codes, size_t n, utf8proc_int32_t *spare) {
    size_t starts[257] = {0};
    for (size_t i = 0; i < n; i++)
        starts[combining_class(codes[i]) + 1]++;
    for (size_t i = 1; i < 257; i++)
        starts[i] += starts[i - 1];
    for (size_t i = 0; i < n; i++)
        spare[starts[combining_class(codes[i])]++] = codes[i];
    memcpy(codes, spare, n * sizeof *codes);
}

static void sort_marks(CodePoints *list) {
    utf8proc_int32_t *spare = NULL;
    for (size_t start = 0, end; start < list->n; start = end + 1) {
        for (end = start; end < list->n && combining_class(list->codes[end]); end++)
            ;
        if (end - start < 2)
            continue;
        if (!spare)
            spare = mem_alloc(list->n * sizeof *spare);
        sort_run(list->codes + start, end - start, spare);
    }
    free(spare);
}

static int apply_form(const char *text, size_t bytes, utf8proc_option_t form, Buffer *out, Error *error) {
    utf8proc_option_t options = UTF8PROC_STABLE | form;
    CodePoints list = {0};
    size_t ascii = 0;
    while (ascii < bytes && (unsigned char)text[ascii] < 0x80)
        ascii++;
    if (ascii == bytes) {
        buffer_append(out, text, bytes);
        return 0;
    }
    int result = decompose(&list, text, bytes, UTF8PROC_DECOMPOSE | (options & ~UTF8PROC_COMPOSE), error);
    if (!result) {
        sort_marks(&list);
        if (form & UTF8PROC_COMPOSE) {
            utf8proc_ssize_t n = utf8proc_normalize_utf32(list.codes, (utf8proc_ssize_t)list.n, options);
            list.n = n > 0 ? (size_t)n : 0;
        }
        for (size_t i = 0; i < list.n; i++)
            unicode_append(out, (uint32_t)list.codes[i]);
    }
    free(list.codes);
    return result;
}

/* True if normalization never joins the character with what stands before it. */
static bool starts_group(uint32_t code) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    bool jamo = code >= 0x1160 && code <= 0x11FF;
    return !jamo && category != UTF8PROC_CATEGORY_MN && category != UTF8PROC_CATEGORY_MC &&
           category != UTF8PROC_CATEGORY_ME && combining_class((utf8proc_int32_t)code) == 0;
}

/* The same character by character, so that each has its span: a character and the marks after it are one. */
static int apply_form_traced(const char *text, size_t bytes, utf8proc_option_t form, Buffer *out,
                             Trace *trace, Error *error) {
    for (size_t start = 0, end; start < bytes; start = end) {
        uint32_t code;
        size_t before = out->size;
        end = start + utf8_decode(text + start, bytes - start, &code);
        while (end < bytes) {
            size_t length = utf8_decode(text + end, bytes - end, &code);
            if (starts_group(code))
                break;
            end += length;
        }
        if (apply_form(text + start, end - start, form, out, error))
            return -1;
        if (out->size - before == end - start && memcmp(out->data + before, text + start, end - start) == 0)
            trace_copy(trace, start, end - start);
        else
            trace_make(trace, out->size - before, start, end);
    }
    return 0;
}

#define UNICODE_FORM(name, options)                                                                          \
    static int apply_##name(const Normalizer *self, const char *text, size_t bytes, Buffer *out,             \
                            Trace *trace, bool *at_start, Error *error) {                                    \
        (void)self;                                                                                          \
        (void)at_start;                                                                                      \
        return trace ? apply_form_traced(text, bytes, options, out, trace, error)                            \
                     : apply_form(text, bytes, options, out, error);                                         \
    }
UNICODE_FORM(nfc, UTF8PROC_COMPOSE)
UNICODE_FORM(nfd, UTF8PROC_DECOMPOSE)
UNICODE_FORM(nfkc, UTF8PROC_COMPOSE | UTF8PROC_COMPAT)
UNICODE_FORM(nfkd, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT)

/* ---- Strip */

static int load_strip(Normalizer *self, const cJSON *json, Arena *arena, const char *where, Error *error) {
    (void)arena;
    return json_get_bool(json, "strip_left", &self->strip_left, where, error) ||
                   json_get_bool(json, "strip_right", &self->strip_right, where, error)
               ? -1
               : 0;
}

static int apply_strip(const Normalizer *self, const char *text, size_t bytes, Buffer *out, Trace *trace,
                       bool *at_start, Error *error) {
    (void)error;
    size_t start = 0, end = bytes;
    uint32_t code;
    while (self->strip_left && start < end) {
        size_t length = utf8_decode(text + start, end - start, &code);
        if (!unicode_is_space(code))
            break;
        start += length;
    }
    while (self->strip_right && start < end) {
        size_t last = end - 1;
        while (last > start && ((unsigned char)text[last] & 0xC0) == 0x80)
            last--;
        utf8_decode(text + last, end - last, &code);
        if (!unicode_is_space(code))
            break;
        end = last;
    }
    if (start)
        *at_start = false;
    buffer_append(out, text + start, end - start);
    trace_copy(trace, start, end - start);
    return 0;
}

/* ---- Lowercase */

static int apply_lowercase(const Normalizer *self, const char *text, size_t bytes, Buffer *out, Trace *trace,
                           bool *at_start, Error *error) {
    (void)self;
    (void)at_start;
    (void)error;
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        size_t start = at, before = out->size;
        at += utf8_decode(text + at, bytes - at, &code);
        if (code == 0x130) /* the one letter whose lower case is two characters */
            buffer_append(out, "i\xCC\x87", 3);
        else
            unicode_append(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)code));
        trace_make(trace, out->size - before, start, at);
    }
    return 0;
}

/* ---- ByteLevel */

static int apply_byte_level(const Normalizer *self, const char *text, size_t bytes, Buffer *out, Trace *trace,
                            bool *at_start, Error *error) {
    (void)self;
    (void)at_start;
    (void)error;
    for (size_t i = 0; i < bytes; i++) {
        size_t before = out->size;
        unicode_append(out, unicode_from_byte((uint8_t)text[i]));
        trace_make(trace, out->size - before, i, i + 1);
    }
    return 0;
}

static const NormalizerKind kinds[] = {
    {"Prepend", load_prepend, apply_prepend},
    {"Replace", load_replace, apply_replace},
    {"NFC", NULL, apply_nfc},
    {"NFD", NULL, apply_nfd},
    {"NFKC", NULL, apply_nfkc},
    {"NFKD", NULL, apply_nfkd},
    {"Strip", load_strip, apply_strip},
    {"Lowercase", NULL, apply_lowercase},
    {"ByteLevel", NULL, apply_byte_level},
};

int normalizer_load(Normalizer *out, const char *type, const cJSON *json, Arena *arena, const char *where,
                    Error *error) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, type) == 0) {
            out->kind = &kinds[i];
            return out->kind->load ? out->kind->load(out, json, arena, where, error) : 0;
        }
    }
    return error_set(error, "%s: the normalizer \"%s\" is not supported", where, type);
}

void normalizer_free(Normalizer *normalizer) {
    token_pattern_free(&normalizer->pattern);
}

/* The output's spans become the input's of the next stage. */
static void take_spans(Trace *trace, TokenSpans *spans) {
    TokenSpans made = {trace->spans, trace->n, trace->capacity};
    *trace = (Trace){.on = true, .spans = spans->items, .capacity = spans->capacity};
    *spans = made;
}

int normalizers_apply(const Normalizer *normalizers, size_t n, Buffer *text, TokenSpans *spans,
                      bool *at_start, Error *error) {
    Buffer spare = {0};
    Trace trace = {.on = spans != NULL};
    int result = 0;
    for (size_t i = 0; i < n && !result && text->size; i++) {
        buffer_clear(&spare);
        if (spans) {
            trace.source = spans->items;
            trace.n_source = spans->n;
        }
        result = normalizers[i].kind->apply(&normalizers[i], text->data, text->size, &spare,
                                            spans ? &trace : NULL, at_start, error);
        Buffer swap = *text;
        *text = spare;
        spare = swap;
        if (spans)
            take_spans(&trace, spans);
    }
    buffer_free(&spare);
    trace_free(&trace);
    return result;
}
