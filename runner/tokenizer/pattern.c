/* Patterns of tokenizer files. They are written for Oniguruma's Ruby syntax; most of it means the same to
 * PCRE2, and `translate` rewrites what does not: classes whose members differ (\s, \w), letters that mean
 * something else (\h, \v, (?m)), and quantifiers that look possessive but are not ({n,m}+). What has no
 * translation is refused, so that a pattern never silently splits in another way than the reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

enum {
    MAX_PATTERN_BYTES = 1 << 16,
    MATCH_LIMIT = 10 * 1000 * 1000,
    HEAP_LIMIT_KIB = 256 * 1024,
};

/* White_Space: PCRE2's own \s has U+180E as well. */
#define SPACE_SET                                                                                            \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{" \
    "3000}"
#define NOT_SPACE_SET                                                                                        \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"          \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}"
/* PCRE2's own \w lacks marks and connectors. Outside [...] Oniguruma also counts Latin-1's other numbers. */
#define WORD_SET "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define WORD_ALONE_SET WORD_SET "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

typedef struct Escape {
    char letter;
    const char *outside, *inside; /* a character class; NULL: refused */
} Escape;
static const Escape escapes[] = {
    {'s', "[" SPACE_SET "]", SPACE_SET},
    {'S', "[^" SPACE_SET "]", NOT_SPACE_SET},
    {'w', "[" WORD_ALONE_SET "]", WORD_SET},
    {'W', "[^" WORD_ALONE_SET "]", NULL},
    {'h', "[0-9a-fA-F]", "0-9a-fA-F"},
    {'H', "[^0-9a-fA-F]", NULL},
    {'v', "\\x{b}", "\\x{b}"},
};

/* [:name:] inside a class. */
static const struct {
    const char *name, *set;
} posix_classes[] = {
    {"alpha", "\\p{Alphabetic}"}, {"digit", "\\p{Nd}"},        {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"upper", "\\p{Uppercase}"},  {"lower", "\\p{Lowercase}"}, {"punct", "\\p{P}\\p{S}"},
    {"space", SPACE_SET},         {"xdigit", "0-9a-fA-F"},     {"word", WORD_SET},
    {"ascii", "\\x{0}-\\x{7f}"},
};

typedef struct Translation {
    const char *source;
    size_t bytes, at;
    Buffer out;
    const char *where;
    Error *error;
} Translation;

static char peek(const Translation *t, size_t ahead) {
    return t->at + ahead < t->bytes ? t->source[t->at + ahead] : '\0';
}

static int refuse(const Translation *t, const char *what) {
    return error_set(t->error, "%s: the pattern \"%.*s\" has %s at byte %zu, which is not supported",
                     t->where, (int)(t->bytes < 200 ? t->bytes : 200), t->source, what, t->at);
}

static void copy(Translation *t, size_t bytes) {
    bytes = bytes < t->bytes - t->at ? bytes : t->bytes - t->at;
    buffer_append(&t->out, t->source + t->at, bytes);
    t->at += bytes;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_script(const char *name, size_t bytes) {
    char pattern[64];
    int code, length = snprintf(pattern, sizeof pattern, "\\p{sc:%.*s}", (int)bytes, name);
    PCRE2_SIZE offset;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern, (PCRE2_SIZE)length, PCRE2_UTF, &code, &offset, NULL);
    pcre2_code_free(compiled);
    return compiled != NULL;
}

/* \p{Han} means the characters of the script, to PCRE2 also those that it shares with other scripts. */
static void translate_property(Translation *t) {
    const char *name = t->source + t->at + 3, *close = memchr(name, '}', t->bytes - t->at - 3);
    size_t bytes = close ? (size_t)(close - name) : 0, hat = bytes && *name == '^';
    if (bytes > 2 && bytes < 40 && is_script(name + hat, bytes - hat)) {
        copy(t, 3 + hat);
        buffer_append_text(&t->out, "sc:");
    } else {
        copy(t, 3);
    }
}

static int translate_escape(Translation *t, bool in_class) {
    char letter = peek(t, 1);
    if ((letter == 'p' || letter == 'P') && peek(t, 2) == '{') {
        translate_property(t);
        return 0;
    }
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        if (escapes[i].letter != letter)
            continue;
        const char *text = in_class ? escapes[i].inside : escapes[i].outside;
        if (!text)
            return refuse(t, "a complemented class inside [...]");
        buffer_append_text(&t->out, text);
        t->at += 2;
        return 0;
    }
    if (letter == 'u' && is_hex(peek(t, 2)) && is_hex(peek(t, 3)) && is_hex(peek(t, 4)) &&
        is_hex(peek(t, 5))) {
        buffer_printf(&t->out, "\\x{%.4s}", t->source + t->at + 2);
        t->at += 6;
        return 0;
    }
    copy(t, 2);
    return 0;
}

/* "[:name:]" */
static int translate_posix_class(Translation *t) {
    const char *at = t->source + t->at + 2;
    size_t left = t->bytes - t->at - 2;
    for (size_t i = 0; i < sizeof posix_classes / sizeof *posix_classes; i++) {
        size_t bytes = strlen(posix_classes[i].name);
        if (left < bytes + 2 || memcmp(at, posix_classes[i].name, bytes) != 0 ||
            memcmp(at + bytes, ":]", 2) != 0)
            continue;
        buffer_append_text(&t->out, posix_classes[i].set);
        t->at += bytes + 4;
        return 0;
    }
    return refuse(t, "an unknown [: :] class");
}

/* From '[' to its ']'. */
static int translate_class(Translation *t) {
    copy(t, 1);
    if (peek(t, 0) == '^')
        copy(t, 1);
    if (peek(t, 0) == ']')
        copy(t, 1);
    while (t->at < t->bytes && peek(t, 0) != ']') {
        char c = peek(t, 0);
        if (c == '\\') {
            if (translate_escape(t, true))
                return -1;
        } else if (c == '[' && peek(t, 1) == ':') {
            if (translate_posix_class(t))
                return -1;
        } else if (c == '[' || (c == '&' && peek(t, 1) == '&')) {
            return refuse(t, c == '[' ? "a class inside a class" : "an intersection of classes");
        } else {
            copy(t, 1);
        }
    }
    copy(t, 1);
    return 0;
}

/* "(?im-x:" : Ruby's m is everybody else's s. */
static void translate_group(Translation *t) {
    copy(t, 1);
    if (peek(t, 0) != '?')
        return;
    copy(t, 1);
    while (strchr("imx-", peek(t, 0)) && peek(t, 0)) {
        if (peek(t, 0) == 'm') {
            buffer_append_char(&t->out, 's');
            t->at++;
        } else {
            copy(t, 1);
        }
    }
}

/* "{n,m}+" repeats the repetition; to PCRE2 it would be possessive. */
static int translate_braces(Translation *t) {
    size_t length = 1;
    while ((peek(t, length) >= '0' && peek(t, length) <= '9') || peek(t, length) == ',')
        length++;
    if (peek(t, length) != '}' || peek(t, length + 1) != '+') {
        copy(t, 1);
        return 0;
    }
    if (peek(t, 2) != ',' || (peek(t, 1) != '0' && peek(t, 1) != '1'))
        return refuse(t, "a repeated {n,m}");
    buffer_append_char(&t->out, peek(t, 1) == '0' ? '*' : '+');
    t->at += length + 2;
    return 0;
}

static int translate(Translation *t) {
    while (t->at < t->bytes) {
        int result = 0;
        switch (peek(t, 0)) {
        case '\\':
            result = translate_escape(t, false);
            break;
        case '[':
            result = translate_class(t);
            break;
        case '(':
            translate_group(t);
            break;
        case '{':
            result = translate_braces(t);
            break;
        default:
            copy(t, 1);
        }
        if (result)
            return -1;
    }
    return 0;
}

static int compile(TokenPattern *out, const char *text, size_t bytes, uint32_t options, const char *where,
                   Error *error) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    out->limits = pcre2_match_context_create(NULL);
    if (context && out->limits) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        pcre2_set_match_limit(out->limits, MATCH_LIMIT);
        pcre2_set_heap_limit(out->limits, HEAP_LIMIT_KIB);
        out->code = pcre2_compile((PCRE2_SPTR)text, bytes, options, &code, &offset, context);
    }
    pcre2_compile_context_free(context);
    if (!out->code) {
        PCRE2_UCHAR message[200] = "no memory";
        if (code)
            pcre2_get_error_message(code, message, sizeof message);
        token_pattern_free(out);
        return error_set(error, "%s: the pattern \"%.200s\" is not a regular expression: %s", where, text,
                         (const char *)message);
    }
    pcre2_jit_compile(out->code, PCRE2_JIT_COMPLETE); /* where there is no JIT, the interpreter matches */
    return 0;
}

int token_pattern_compile(TokenPattern *out, const char *source, size_t bytes, bool literal,
                          const char *where, Error *error) {
    *out = (TokenPattern){0};
    if (bytes > MAX_PATTERN_BYTES)
        return error_set(error, "%s: a pattern has %zu bytes, expected at most %d", where, bytes,
                         MAX_PATTERN_BYTES);
    if (literal && bytes) {
        out->literal = mem_strndup(source, bytes);
        out->literal_bytes = bytes;
    }
    if (literal)
        return compile(out, source, bytes, PCRE2_UTF | PCRE2_LITERAL, where, error);
    Translation t = {.source = source, .bytes = bytes, .where = where, .error = error};
    int result = translate(&t);
    if (!result) {
        buffer_append(&t.out, "", 0);
        result = compile(out, t.out.data ? t.out.data : "", t.out.size,
                         PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, where, error);
    }
    buffer_free(&t.out);
    return result;
}

int token_pattern_load(TokenPattern *out, const cJSON *json, const char *where, Error *error) {
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(json, "pattern");
    const cJSON *literal = cJSON_GetObjectItemCaseSensitive(pattern, "String");
    const cJSON *regex = cJSON_GetObjectItemCaseSensitive(pattern, "Regex");
    const cJSON *source = literal ? literal : regex;
    if (!cJSON_IsString(source))
        return error_set(error,
                         "%s: field \"pattern\": found %s, expected {\"String\": ...} or {\"Regex\": ...}",
                         where, json_type_name(source ? source : pattern));
    return token_pattern_compile(out, source->valuestring, strlen(source->valuestring), source == literal,
                                 where, error);
}

void token_pattern_free(TokenPattern *pattern) {
    pcre2_code_free(pattern->code);
    pcre2_match_context_free(pattern->limits);
    free(pattern->literal);
    *pattern = (TokenPattern){0};
}

static int next_literal(const TokenPattern *pattern, const char *text, size_t bytes, size_t from,
                        size_t *start, size_t *end) {
    const char *found = memmem(text + from, bytes - from, pattern->literal, pattern->literal_bytes);
    if (!found)
        return 0;
    *start = (size_t)(found - text);
    *end = *start + pattern->literal_bytes;
    return 1;
}

/* The next match at or after `from`: 1 and its range, 0: none, -1: a limit was exceeded. */
static int next_match(const TokenPattern *pattern, pcre2_match_data *data, const char *text, size_t bytes,
                      size_t from, size_t *start, size_t *end, Error *error) {
    if (pattern->literal)
        return next_literal(pattern, text, bytes, from, start, end);
    int code =
        pcre2_match(pattern->code, (PCRE2_SPTR)text, bytes, from, PCRE2_NO_UTF_CHECK, data, pattern->limits);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT)
        code = pcre2_match(pattern->code, (PCRE2_SPTR)text, bytes, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                           data, pattern->limits);
    if (code == PCRE2_ERROR_NOMATCH)
        return 0;
    if (code < 0) {
        PCRE2_UCHAR message[200];
        pcre2_get_error_message(code, message, sizeof message);
        return error_set(error,
                         "splitting a text of %zu bytes: the tokenizer's pattern failed at byte %zu: %s",
                         bytes, from, (const char *)message);
    }
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(data);
    *start = range[0];
    *end = range[1];
    if (*start > *end || *start < from) /* possible with \K in a lookaround */
        return error_set(error, "splitting a text of %zu bytes: the tokenizer's pattern matched backwards",
                         bytes);
    return 1;
}

static size_t character_length(const char *text, size_t bytes) {
    uint32_t code;
    return bytes ? utf8_decode(text, bytes, &code) : 1;
}

int token_pattern_cut(const TokenPattern *pattern, const char *text, size_t bytes, Cuts *cuts, Error *error) {
    cuts->n = 0;
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data)
        return error_set(error, "no memory to match a pattern");
    size_t from = 0, covered = 0, start = 0, end = 0;
    bool matched_before = false;
    int found = 0;
    while (from <= bytes && (found = next_match(pattern, data, text, bytes, from, &start, &end, error)) > 0) {
        /* An empty match right after a match would never end. */
        if (start == end && matched_before && end == covered) {
            from = end + character_length(text + end, bytes - end);
            continue;
        }
        if (covered < start)
            cuts_append(cuts, covered, start, false);
        cuts_append(cuts, start, end, true);
        covered = from = end;
        matched_before = true;
    }
    pcre2_match_data_free(data);
    if (found < 0)
        return -1;
    if (covered < bytes)
        cuts_append(cuts, covered, bytes, false);
    return 0;
}
