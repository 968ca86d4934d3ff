/* UTF-8 and Python's string operations; see text.h. */
#include "base/text.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

/* How many continuation bytes follow a lead byte, -1 if it cannot lead. */
static int continuation_bytes(unsigned char lead) {
    if (lead < 0x80)
        return 0;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 1;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 2;
    if (lead >= 0xF0 && lead <= 0xF4)
        return 3;
    return -1;
}

/* Overlong forms, surrogates and code points past U+10FFFF are not UTF-8. */
static bool code_allowed(uint32_t code, int continuations) {
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    return code >= smallest[continuations] && code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
}

/* Like utf8_decode, with false for an invalid sequence. */
static bool decode(const char *text, size_t bytes, uint32_t *code, size_t *length) {
    const unsigned char *at = (const unsigned char *)text;
    int continuations = continuation_bytes(at[0]);
    *length = 1;
    *code = 0xFFFD;
    if (continuations < 0 || (size_t)continuations >= bytes)
        return false;
    uint32_t value = continuations ? at[0] & (0x3Fu >> continuations) : at[0];
    for (int i = 1; i <= continuations; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return false;
        value = value << 6 | (at[i] & 0x3F);
    }
    if (!code_allowed(value, continuations))
        return false;
    *code = value;
    *length = (size_t)continuations + 1;
    return true;
}

size_t utf8_decode(const char *text, size_t bytes, uint32_t *code) {
    size_t length;
    decode(text, bytes, code, &length);
    return length;
}

size_t utf8_encode(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

size_t utf8_length(const char *text, size_t bytes) {
    size_t count = 0;
    uint32_t code;
    for (size_t at = 0; at < bytes; count++)
        at += utf8_decode(text + at, bytes - at, &code);
    return count;
}

bool utf8_valid(const char *text, size_t bytes) {
    uint32_t code;
    size_t length;
    for (size_t at = 0; at < bytes; at += length)
        if (!decode(text + at, bytes - at, &code, &length))
            return false;
    return true;
}

bool text_is_space(uint32_t code) {
    return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 || code == 0xA0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
           code == 0x202F || code == 0x205F || code == 0x3000;
}

void text_lstrip(const char **text, size_t *bytes) {
    while (*bytes) {
        uint32_t code;
        size_t length = utf8_decode(*text, *bytes, &code);
        if (!text_is_space(code))
            return;
        *text += length;
        *bytes -= length;
    }
}

void text_rstrip(const char **text, size_t *bytes) {
    while (*bytes) {
        size_t start = *bytes - 1;
        while (start > 0 && *bytes - start < 4 && ((unsigned char)(*text)[start] & 0xC0) == 0x80)
            start--;
        uint32_t code;
        size_t length = utf8_decode(*text + start, *bytes - start, &code);
        if (start + length != *bytes || !text_is_space(code))
            return;
        *bytes = start;
    }
}

bool text_starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

bool text_equal(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool text_glob(const char *pattern, const char *name) {
    return fnmatch(pattern, name, FNM_NOESCAPE) == 0;
}

bool text_to_int(const char *text, int64_t *out) {
    if (*text != '-' && (*text < '0' || *text > '9'))
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        return false;
    *out = value;
    return true;
}

bool text_to_double(const char *text, double *out) {
    if (*text != '-' && *text != '.' && (*text < '0' || *text > '9'))
        return false;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return false;
    *out = value;
    return true;
}

void text_append_double(Buffer *out, double number) {
    if (isnan(number) || isinf(number)) {
        buffer_append_text(out, isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
        return;
    }
    char digits[40];
    for (int precision = 0; precision <= 16; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        int n_digits = (int)(strchr(digits, 'e') - digits) - (digits[0] == '-') - 1;
        int decimals = n_digits < 1 ? 0 - exponent : n_digits - 1 - exponent;
        buffer_printf(out, "%.*f", decimals < 1 ? 1 : decimals, number);
        return;
    }
    *strchr(digits, 'e') = '\0';
    buffer_printf(out, "%se%s%02d", digits, exponent < 0 ? "-" : "+", abs(exponent));
}

void text_append_json(Buffer *out, const char *text, size_t bytes) {
    buffer_append_char(out, '"');
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        static const char short_forms[] = "btnvfr"; /* 8 to 13; 11 has no short form in JSON */
        if (c == '"' || c == '\\')
            buffer_printf(out, "\\%c", c);
        else if (c >= 8 && c <= 13 && c != 11)
            buffer_printf(out, "\\%c", short_forms[c - 8]);
        else if (c < 0x20)
            buffer_printf(out, "\\u%04x", c);
        else
            buffer_append_char(out, (char)c);
    }
    buffer_append_char(out, '"');
}
