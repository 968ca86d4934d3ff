/* Character classes, repair of ill-formed UTF-8, and the byte-level alphabet. Classes follow Unicode's
 * properties as the reference's language defines them, not C locales. */
#include <utf8proc.h>

#include "runner/tokenizer/tokenizer_internal.h"

static bool in_range(uint32_t code, uint32_t first, uint32_t last) {
    return code - first <= last - first;
}

bool unicode_is_space(uint32_t code) {
    if (code < 0x80)
        return code == ' ' || in_range(code, 0x09, 0x0D);
    return code == 0x85 || code == 0xA0 || code == 0x1680 || in_range(code, 0x2000, 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool unicode_is_numeric(uint32_t code) {
    if (code < 0x80)
        return in_range(code, '0', '9');
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

/* Punctuation of later Unicode versions than the reference's table (Unicode 8), in order. */
static const uint32_t later_punctuation[][2] = {
    {0x61D, 0x61D},     {0x9FD, 0x9FD},     {0xA76, 0xA76},     {0xC77, 0xC77},     {0xC84, 0xC84},
    {0x1B7D, 0x1B7E},   {0x2E43, 0x2E4F},   {0x2E52, 0x2E5D},   {0x10EAD, 0x10EAD}, {0x10F55, 0x10F59},
    {0x10F86, 0x10F89}, {0x1144B, 0x1144F}, {0x1145A, 0x1145B}, {0x1145D, 0x1145D}, {0x11660, 0x1166C},
    {0x116B9, 0x116B9}, {0x1183B, 0x1183B}, {0x11944, 0x11946}, {0x119E2, 0x119E2}, {0x11A3F, 0x11A46},
    {0x11A9A, 0x11A9C}, {0x11A9E, 0x11AA2}, {0x11B00, 0x11B09}, {0x11C41, 0x11C45}, {0x11C70, 0x11C71},
    {0x11EF7, 0x11EF8}, {0x11F43, 0x11F4F}, {0x11FFF, 0x11FFF}, {0x12FF1, 0x12FF2}, {0x16E97, 0x16E9A},
    {0x16FE2, 0x16FE2}, {0x1E95E, 0x1E95F}};

bool unicode_is_punctuation(uint32_t code) {
    if (code < 0x80)
        return in_range(code, '!', '/') || in_range(code, ':', '@') || in_range(code, '[', '`') ||
               in_range(code, '{', '~');
    if (code == 0x166D || code == 0x111C9) /* were punctuation then */
        return true;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    if (category < UTF8PROC_CATEGORY_PC || category > UTF8PROC_CATEGORY_PO)
        return false;
    for (size_t i = 0; i < sizeof later_punctuation / sizeof *later_punctuation; i++)
        if (in_range(code, later_punctuation[i][0], later_punctuation[i][1]))
            return false;
    return true;
}

bool unicode_is_word(uint32_t code) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL)
        return true; /* letters, marks, decimal and letter numbers */
    if (category == UTF8PROC_CATEGORY_PC || code == 0x200C || code == 0x200D)
        return true;
    /* Symbols that count as alphabetic: circled and squared letters. */
    return in_range(code, 0x24B6, 0x24E9) || in_range(code, 0x1F130, 0x1F149) ||
           in_range(code, 0x1F150, 0x1F169) || in_range(code, 0x1F170, 0x1F189);
}

/* Length of the longest well-formed start of a character at text: *length bytes; true if it is a whole one.
 * Unicode's table of well-formed sequences: only the second byte's range depends on the first. */
static bool well_formed(const unsigned char *text, size_t bytes, size_t *length) {
    unsigned char lead = text[0], low = 0x80, high = 0xBF;
    size_t need;
    *length = 1;
    if (lead < 0x80)
        return true;
    if (lead < 0xC2 || lead > 0xF4)
        return false;
    need = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    for (; *length < need; ++*length) {
        if (*length >= bytes || text[*length] < low || text[*length] > high)
            return false;
        low = 0x80;
        high = 0xBF;
    }
    return true;
}

void unicode_append_repaired(Buffer *out, const char *text, size_t bytes, Trace *trace) {
    const unsigned char *at = (const unsigned char *)text;
    size_t done = 0, good = 0; /* [done, good) is well-formed and not yet copied */
    while (good < bytes) {
        size_t length;
        if (at[good] < 0x80) {
            good++;
            continue;
        }
        if (well_formed(at + good, bytes - good, &length)) {
            good += length;
            continue;
        }
        buffer_append(out, text + done, good - done);
        trace_copy(trace, done, good - done);
        buffer_append(out, "\xEF\xBF\xBD", 3);
        trace_make(trace, 3, good, good + length);
        done = good += length;
    }
    buffer_append(out, text + done, good - done);
    trace_copy(trace, done, good - done);
}

size_t unicode_unfinished_tail(const char *text, size_t bytes) {
    const unsigned char *at = (const unsigned char *)text;
    for (size_t back = 1; back <= 3 && back <= bytes; back++) {
        size_t length;
        unsigned char byte = at[bytes - back];
        if (byte >= 0x80 && byte < 0xC0)
            continue;
        if (!well_formed(at + bytes - back, back, &length) && length == back && byte >= 0xC2 && byte <= 0xF4)
            return back;
        return 0;
    }
    return 0;
}

/* Printable Latin-1 stands for itself; the other 68 bytes take the characters from U+0100 in order. */
uint32_t unicode_from_byte(uint8_t byte) {
    if (byte <= 0x20)
        return 0x100u + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return 0x121u + (byte - 0x7Fu);
    return byte == 0xAD ? 0x143u : byte;
}

int unicode_to_byte(uint32_t code) {
    if (code >= 0x100 && code <= 0x120)
        return (int)(code - 0x100);
    if (code >= 0x121 && code <= 0x142)
        return (int)(code - 0x121 + 0x7F);
    if (code == 0x143)
        return 0xAD;
    return code < 0x100 && unicode_from_byte((uint8_t)code) == code ? (int)code : -1;
}

void unicode_append(Buffer *out, uint32_t code) {
    char bytes[4];
    buffer_append(out, bytes, utf8_encode(code, bytes));
}
