/* What Parquet's physical values mean: numbers, texts, and the strings that Python prints for decimals, dates
 * and times (str of decimal.Decimal, datetime and uuid.UUID). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tasks/parquet_file.h"

enum { DECIMAL_BYTES_MAX = 32, DECIMAL_DIGITS_MAX = 78, JULIAN_UNIX_EPOCH = 2440588 };
enum { SECONDS_PER_DAY = 86400, NANOS_PER_SECOND = 1000000000 };

static Value text_value(Arena *arena, const Buffer *text) {
    return value_string_n(arena_strndup(arena, text->data, text->size), text->size);
}

/* The digits of a number of at most 32 bytes, highest first, behind one another at the end of `digits`; the
 * number is divided down to 0 on the way. Returns how many. */
static int take_digits(uint8_t *number, size_t bytes, char digits[DECIMAL_DIGITS_MAX]) {
    int n = 0;
    bool more = true;
    while (more) {
        unsigned rest = 0;
        more = false;
        for (size_t i = 0; i < bytes; i++) {
            unsigned part = rest << 8 | number[i];
            number[i] = (uint8_t)(part / 10);
            rest = part % 10;
            more |= number[i] > 0;
        }
        digits[DECIMAL_DIGITS_MAX - ++n] = (char)('0' + rest);
    }
    return n;
}

/* A decimal of `bytes` bytes, highest first, whose sign is beside it, as str(Decimal) prints it: with an
 * exponent where its first digit stands more than 6 places behind the point. */
static Value decimal_value(Arena *arena, bool negative, uint8_t *number, size_t bytes, int scale) {
    char digits[DECIMAL_DIGITS_MAX];
    int n = take_digits(number, bytes, digits);
    const char *at = digits + sizeof digits - n;
    Buffer text = {0};
    if (negative)
        buffer_append_char(&text, '-');
    int exponent = n - 1 - scale; /* of the first digit */
    if (scale > 0 && exponent < -6) {
        buffer_append_char(&text, *at);
        if (n > 1)
            buffer_printf(&text, ".%.*s", n - 1, at + 1);
        buffer_printf(&text, "E%+d", exponent);
    } else if (scale >= n) {
        static const char zeros[] = "0000000";
        buffer_printf(&text, "0.%.*s%.*s", scale - n, zeros, n, at); /* at most 6, by the exponent */
    } else {
        buffer_printf(&text, "%.*s", n - scale, at);
        if (scale)
            buffer_printf(&text, ".%.*s", scale, at + n - scale);
    }
    Value value = text_value(arena, &text);
    buffer_free(&text);
    return value;
}

static int decimal_from_bytes(const ParquetNode *leaf, Arena *arena, const uint8_t *data, size_t bytes,
                              Value *out, Error *error) {
    uint8_t number[DECIMAL_BYTES_MAX];
    bool negative = bytes > 0 && data[0] & 0x80;
    while (bytes > DECIMAL_BYTES_MAX && data[0] == (negative ? 0xff : 0))
        data++, bytes--;
    if (bytes == 0 || bytes > DECIMAL_BYTES_MAX || (bytes == DECIMAL_BYTES_MAX && (data[0] >> 7) != negative))
        return error_set(error, "a decimal of %zu bytes; 1 to %d were expected", bytes, DECIMAL_BYTES_MAX);
    unsigned carry = negative; /* of the two's complement */
    for (size_t i = bytes; i-- > 0;) {
        carry += (uint8_t)(negative ? ~data[i] : data[i]);
        number[i] = (uint8_t)carry;
        carry >>= 8;
    }
    *out = decimal_value(arena, negative, number, bytes, leaf->scale);
    return 0;
}

static Value decimal_from_integer(const ParquetNode *leaf, Arena *arena, int64_t integer) {
    uint64_t magnitude = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    uint8_t number[8];
    for (size_t i = sizeof number; i-- > 0; magnitude >>= 8)
        number[i] = (uint8_t)magnitude;
    return decimal_value(arena, integer < 0, number, sizeof number, leaf->scale);
}

/* Civil date of a day counted from 1970-01-01 (proleptic Gregorian). */
static void append_date(Buffer *out, int64_t day) {
    int64_t shifted = day + 719468; /* days since 0000-03-01 */
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097, of_era = shifted - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    int64_t of_month = of_year - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    buffer_printf(out, "%04lld-%02lld-%02lld", (long long)(year + era * 400 + (month <= 2)), (long long)month,
                  (long long)of_month);
}

/* HH:MM:SS with the fraction's 6 digits, 9 where nanoseconds are not 0, as Python and pandas print it. */
static void append_clock(Buffer *out, int64_t second, int64_t nanos) {
    buffer_printf(out, "%02d:%02d:%02d", (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
    if (nanos % 1000)
        buffer_printf(out, ".%09lld", (long long)nanos);
    else if (nanos)
        buffer_printf(out, ".%06lld", (long long)(nanos / 1000));
}

static int64_t floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static Value timestamp_value(Arena *arena, int64_t second, int64_t nanos, bool utc) {
    Buffer text = {0};
    int64_t day = floor_divide(second, SECONDS_PER_DAY);
    append_date(&text, day);
    buffer_append_char(&text, ' ');
    append_clock(&text, second - day * SECONDS_PER_DAY, nanos);
    if (utc)
        buffer_append_text(&text, "+00:00");
    Value value = text_value(arena, &text);
    buffer_free(&text);
    return value;
}

static int time_value(const ParquetNode *leaf, Arena *arena, int64_t integer, Value *out, Error *error) {
    int64_t units = leaf->units_per_second, second = floor_divide(integer, units);
    int64_t nanos = (integer % units + units) % units * (NANOS_PER_SECOND / units);
    if (leaf->meaning == MEANING_TIMESTAMP) {
        *out = timestamp_value(arena, second, nanos, leaf->utc);
        return 0;
    }
    if (second < 0 || second >= SECONDS_PER_DAY)
        return error_set(error, "a time of day of %lld seconds", (long long)second);
    Buffer text = {0};
    append_clock(&text, second, nanos);
    *out = text_value(arena, &text);
    buffer_free(&text);
    return 0;
}

/* What does not fit into 63 bits is the text of its digits. */
static Value unsigned_value(const ParquetNode *leaf, Arena *arena, int64_t integer) {
    if (leaf->type == PARQUET_INT32)
        return value_int((int64_t)(uint32_t)integer);
    if (integer >= 0)
        return value_int(integer);
    const char *digits = arena_printf(arena, "%llu", (unsigned long long)integer);
    return value_string(digits);
}

int parquet_from_integer(const ParquetNode *leaf, Arena *arena, int64_t integer, Value *out, Error *error) {
    switch (leaf->meaning) {
    case MEANING_UNSIGNED:
        *out = unsigned_value(leaf, arena, integer);
        return 0;
    case MEANING_DECIMAL:
        *out = decimal_from_integer(leaf, arena, integer);
        return 0;
    case MEANING_DATE: {
        Buffer text = {0};
        append_date(&text, integer);
        *out = text_value(arena, &text);
        buffer_free(&text);
        return 0;
    }
    case MEANING_TIME:
    case MEANING_TIMESTAMP:
        return time_value(leaf, arena, integer, out, error);
    default:
        *out = value_int(integer);
        return 0;
    }
}

static uint64_t little_endian(const uint8_t *data, size_t bytes) {
    uint64_t number = 0;
    for (size_t i = bytes; i-- > 0;)
        number = number << 8 | data[i];
    return number;
}

static double float16(uint64_t bits) {
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 1023) / 1024, sign = bits & 0x8000 ? -1 : 1;
    if (exponent == 31)
        return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1 + fraction, exponent - 15) : ldexp(fraction, -14));
}

/* INT96: nanoseconds of the day, Julian day. */
static int int96_value(Arena *arena, const uint8_t *data, Value *out, Error *error) {
    uint64_t nanos = little_endian(data, 8), day = little_endian(data + 8, 4);
    if (nanos >= (uint64_t)SECONDS_PER_DAY * NANOS_PER_SECOND)
        return error_set(error, "a time of day of %llu nanoseconds", (unsigned long long)nanos);
    int64_t second = ((int64_t)day - JULIAN_UNIX_EPOCH) * SECONDS_PER_DAY;
    second += (int64_t)(nanos / NANOS_PER_SECOND);
    *out = timestamp_value(arena, second, (int64_t)(nanos % NANOS_PER_SECOND), false);
    return 0;
}

static void append_uuid(Buffer *out, const uint8_t *data) {
    for (int i = 0; i < 16; i++)
        buffer_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", data[i]);
}

/* Python's repr of bytes. */
static void append_bytes(Buffer *out, const uint8_t *data, size_t bytes) {
    char quote = memchr(data, '\'', bytes) && !memchr(data, '"', bytes) ? '"' : '\'';
    buffer_printf(out, "b%c", quote);
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] == '\t' || data[i] == '\n' || data[i] == '\r')
            buffer_append_text(out, data[i] == '\t' ? "\\t" : data[i] == '\n' ? "\\n" : "\\r");
        else if (data[i] == (uint8_t)quote || data[i] == '\\')
            buffer_printf(out, "\\%c", data[i]);
        else if (data[i] < ' ' || data[i] > '~')
            buffer_printf(out, "\\x%02x", data[i]);
        else
            buffer_append_char(out, (char)data[i]);
    }
    buffer_append_char(out, quote);
}

static int text_from_bytes(const ParquetNode *leaf, Arena *arena, const uint8_t *data, size_t bytes,
                           Value *out, Error *error) {
    const char *text = bytes ? (const char *)data : "";
    if (utf8_valid(text, bytes) && !memchr(text, '\0', bytes)) {
        *out = value_string_n(arena_strndup(arena, text, bytes), bytes);
        return 0;
    }
    if (leaf->meaning == MEANING_TEXT)
        return error_set(error,
                         "a text of %zu bytes is not UTF-8 or holds a NUL character, which no prompt "
                         "can hold",
                         bytes);
    Buffer shown = {0};
    append_bytes(&shown, data, bytes);
    *out = text_value(arena, &shown);
    buffer_free(&shown);
    return 0;
}

int parquet_from_bytes(const ParquetNode *leaf, Arena *arena, const uint8_t *data, size_t bytes, Value *out,
                       Error *error) {
    if (leaf->type == PARQUET_INT96)
        return int96_value(arena, data, out, error);
    if (leaf->type == PARQUET_FLOAT) {
        uint32_t bits = (uint32_t)little_endian(data, 4);
        float number;
        memcpy(&number, &bits, sizeof number);
        *out = value_double((double)number);
        return 0;
    }
    if (leaf->type == PARQUET_DOUBLE) {
        uint64_t bits = little_endian(data, 8);
        double number;
        memcpy(&number, &bits, sizeof number);
        *out = value_double(number);
        return 0;
    }
    if (leaf->type == PARQUET_INT32)
        return parquet_from_integer(leaf, arena, (int32_t)(uint32_t)little_endian(data, 4), out, error);
    if (leaf->type == PARQUET_INT64)
        return parquet_from_integer(leaf, arena, (int64_t)little_endian(data, 8), out, error);
    if (leaf->meaning == MEANING_DECIMAL)
        return decimal_from_bytes(leaf, arena, data, bytes, out, error);
    if (leaf->meaning == MEANING_FLOAT16) {
        *out = value_double(float16(little_endian(data, 2)));
        return 0;
    }
    if (leaf->meaning == MEANING_UUID) {
        Buffer text = {0};
        append_uuid(&text, data);
        *out = text_value(arena, &text);
        buffer_free(&text);
        return 0;
    }
    return text_from_bytes(leaf, arena, data, bytes, out, error);
}
