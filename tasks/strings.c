/* Python's str methods on string values; see strings.h. */
#include "tasks/strings.h"

#include <string.h>
#include <utf8proc.h>

#include "base/text.h"

Value string_copy(Arena *arena, const char *text, size_t bytes) {
    return value_string_n(arena_strndup(arena, text, bytes), bytes);
}

static Value take_buffer(Arena *arena, Buffer *buffer) {
    Value text = string_copy(arena, buffer->data ? buffer->data : "", buffer->size);
    buffer_free(buffer);
    return text;
}

static bool is_stripped(uint32_t code, const Value *chars) {
    if (!chars)
        return text_is_space(code);
    for (size_t i = 0; i < chars->n;) {
        uint32_t other;
        i += utf8_decode(chars->as.text + i, chars->n - i, &other);
        if (other == code)
            return true;
    }
    return false;
}

/* Where the last character of text[0, bytes) begins. */
static size_t last_char(const char *text, size_t bytes) {
    size_t at = bytes - 1;
    while (at > 0 && bytes - at < 4 && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    return at;
}

Value string_strip(Arena *arena, const Value *text, StripSide side, const Value *chars) {
    const char *start = text->as.text, *end = start + text->n;
    uint32_t code;
    while ((side & STRIP_LEFT) && start < end) {
        size_t length = utf8_decode(start, (size_t)(end - start), &code);
        if (!is_stripped(code, chars))
            break;
        start += length;
    }
    while ((side & STRIP_RIGHT) && start < end) {
        size_t at = last_char(start, (size_t)(end - start));
        utf8_decode(start + at, (size_t)(end - start) - at, &code);
        if (!is_stripped(code, chars))
            break;
        end = start + at;
    }
    return string_copy(arena, start, (size_t)(end - start));
}

static void append_code(Buffer *out, uint32_t code) {
    char bytes[4];
    buffer_append(out, bytes, utf8_encode(code, bytes));
}

static bool is_cased(uint32_t code) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
           category == UTF8PROC_CATEGORY_LT;
}

/* A capital sigma behind a letter and before none is written as a final sigma. */
static bool is_final_sigma(const char *text, size_t at, size_t bytes) {
    uint32_t code;
    if (at == 0)
        return false;
    size_t before = last_char(text, at);
    utf8_decode(text + before, at - before, &code);
    if (!is_cased(code))
        return false;
    if (at + 2 >= bytes)
        return true;
    utf8_decode(text + at + 2, bytes - at - 2, &code);
    return !is_cased(code);
}

static void append_lower(Buffer *out, const char *text, size_t from, size_t bytes) {
    enum { CAPITAL_SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2, DOTTED_I = 0x130, DOT_ABOVE = 0x307 };
    for (size_t i = from; i < bytes;) {
        uint32_t code;
        size_t length = utf8_decode(text + i, bytes - i, &code);
        if (code == CAPITAL_SIGMA && is_final_sigma(text, i, bytes)) {
            append_code(out, FINAL_SIGMA);
        } else if (code == DOTTED_I) {
            append_code(out, 'i');
            append_code(out, DOT_ABOVE);
        } else {
            append_code(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)code));
        }
        i += length;
    }
}

Value string_lower(Arena *arena, const Value *text) {
    Buffer out = {0};
    append_lower(&out, text->as.text, 0, text->n);
    return take_buffer(arena, &out);
}

Value string_upper(Arena *arena, const Value *text) {
    Buffer out = {0};
    for (size_t i = 0; i < text->n;) {
        uint32_t code;
        i += utf8_decode(text->as.text + i, text->n - i, &code);
        const SpecialCasing *special = special_casing(code);
        if (special)
            buffer_append_text(&out, special->upper);
        else
            append_code(&out, (uint32_t)utf8proc_toupper((utf8proc_int32_t)code));
    }
    return take_buffer(arena, &out);
}

Value string_capitalize(Arena *arena, const Value *text) {
    Buffer out = {0};
    if (text->n > 0) {
        uint32_t code;
        size_t length = utf8_decode(text->as.text, text->n, &code);
        const SpecialCasing *special = special_casing(code);
        if (special)
            buffer_append_text(&out, special->title);
        else
            append_code(&out, (uint32_t)utf8proc_totitle((utf8proc_int32_t)code));
        append_lower(&out, text->as.text, length, text->n);
    }
    return take_buffer(arena, &out);
}

ptrdiff_t string_find(const Value *text, const Value *part, size_t from) {
    if (from > text->n)
        return -1;
    if (part->n == 0)
        return (ptrdiff_t)from;
    const char *at = text->as.text + from;
    size_t rest = text->n - from;
    /* One byte has a search of its own: a sanitizer looks at the whole rest for every call of the general
     * one. */
    const char *found =
        part->n == 1 ? memchr(at, part->as.text[0], rest) : memmem(at, rest, part->as.text, part->n);
    return found ? found - text->as.text : -1;
}

Value string_replace(Arena *arena, const Value *text, const Value *from, const Value *to, int64_t limit) {
    Buffer out = {0};
    size_t at = 0;
    while (limit != 0 && at <= text->n) {
        ptrdiff_t found = string_find(text, from, at);
        if (found < 0)
            break;
        buffer_append(&out, text->as.text + at, (size_t)found - at);
        buffer_append(&out, to->as.text, to->n);
        at = (size_t)found + from->n;
        if (from->n == 0) {
            if (at >= text->n)
                break;
            uint32_t code;
            size_t length = utf8_decode(text->as.text + at, text->n - at, &code);
            buffer_append(&out, text->as.text + at, length);
            at += length;
        }
        limit--;
    }
    if (at < text->n)
        buffer_append(&out, text->as.text + at, text->n - at);
    return take_buffer(arena, &out);
}

/* The next piece from *at: its end, and *at behind the separator; false when no separator follows. */
static bool split_once(const Value *text, const Value *separator, size_t *at, size_t *end) {
    if (separator) {
        ptrdiff_t found = string_find(text, separator, *at);
        if (found < 0)
            return false;
        *end = (size_t)found;
        *at = (size_t)found + separator->n;
        return true;
    }
    uint32_t code;
    size_t i = *at, length = 0;
    while (i < text->n) {
        length = utf8_decode(text->as.text + i, text->n - i, &code);
        if (text_is_space(code))
            break;
        i += length;
    }
    if (i >= text->n)
        return false;
    *end = i;
    while (i < text->n) {
        length = utf8_decode(text->as.text + i, text->n - i, &code);
        if (!text_is_space(code))
            break;
        i += length;
    }
    *at = i;
    return true;
}

static size_t skip_leading_space(const Value *text) {
    const char *start = text->as.text;
    size_t bytes = text->n;
    text_lstrip(&start, &bytes);
    return text->n - bytes;
}

Value string_split(Arena *arena, const Value *text, const Value *separator, int64_t limit) {
    size_t first = separator ? 0 : skip_leading_space(text), at = first, end = 0, n = 0;
    while ((limit < 0 || (int64_t)n < limit) && split_once(text, separator, &at, &end))
        n++;
    bool has_rest = separator || at < text->n;
    Value list = value_list(arena, n + has_rest);
    at = first;
    for (size_t i = 0; i < n; i++) {
        size_t start = at;
        split_once(text, separator, &at, &end);
        list.as.items[i] = string_copy(arena, text->as.text + start, end - start);
    }
    if (has_rest)
        list.as.items[n] = string_copy(arena, text->as.text + at, text->n - at);
    return list;
}

bool string_is_digits(const Value *text) {
    for (size_t i = 0; i < text->n; i++)
        if (text->as.text[i] < '0' || text->as.text[i] > '9')
            return false;
    return text->n > 0;
}
