/* See python_regex.h. A pattern is rewritten in one pass from left to right, then given to PCRE2. */
#include "base/python_regex.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { MATCH_LIMIT = 10000000, HEAP_LIMIT_KIB = 65536, MOST_PATTERN_BYTES = 1 << 16 };

struct Regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    uint32_t n_groups;
};

/* ---- from Python's spelling to PCRE2's */

typedef struct Rewrite {
    const char *pattern, *at;
    Buffer out;
    bool in_class;
    bool at_class_start; /* a ] here is a member */
    bool ascii;          /* (?a) */
    Error *error;
} Rewrite;

static int refuse(const Rewrite *rewrite, const char *what) {
    return error_set(rewrite->error, "regular expression '%.200s', byte %zu: %s", rewrite->pattern,
                     (size_t)(rewrite->at - rewrite->pattern), what);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \xhh, \uhhhh and \Uhhhhhhhh, of exactly that many digits. */
static int rewrite_code(Rewrite *rewrite, int digits) {
    uint32_t code = 0;
    for (int i = 0; i < digits; i++) {
        int value = hex_value(rewrite->at[2 + i]);
        if (value < 0)
            return refuse(rewrite, "too few hexadecimal digits behind the backslash");
        code = code << 4 | (uint32_t)value;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return refuse(rewrite, "there is no such character");
    buffer_printf(&rewrite->out, "\\x{%x}", code);
    rewrite->at += 2 + digits;
    return 0;
}

static int rewrite_escape(Rewrite *rewrite) {
    char c = rewrite->at[1];
    if (!c)
        return refuse(rewrite, "a backslash at the end");
    if (c == 'x')
        return rewrite_code(rewrite, 2);
    if (c == 'u')
        return rewrite_code(rewrite, 4);
    if (c == 'U')
        return rewrite_code(rewrite, 8);
    if (c == 'Z' && !rewrite->in_class) {
        buffer_append_text(&rewrite->out, "\\z");
        rewrite->at += 2;
        return 0;
    }
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter && !strchr(rewrite->in_class ? "abfnrtvdDsSwW" : "abfnrtvdDsSwWAB", c))
        return refuse(rewrite, "Python knows no such escape");
    if (c == 'v') /* to PCRE2 a class of characters */
        buffer_append_text(&rewrite->out, "\\x0b");
    else if ((c == 's' || c == 'S') && !rewrite->ascii &&
             !rewrite->in_class) /* four separators more than PCRE2's */
        buffer_append_text(&rewrite->out, c == 's' ? "[\\s\\x1c-\\x1f]" : "[^\\s\\x1c-\\x1f]");
    else if (c == 's' && !rewrite->ascii)
        buffer_append_text(&rewrite->out, "\\s\\x1c-\\x1f");
    else
        buffer_append(&rewrite->out, rewrite->at, 2);
    rewrite->at += 2;
    return 0;
}

/* Behind "(?": what Python has, (?flags), (?flags:...), (?:, (?=, (?!, (?<=, (?<!, (?>, (?P<, (?P=, (?#, (?(.
 */
static int rewrite_group(Rewrite *rewrite) {
    const char *at = rewrite->at + 2;
    if (strchr(":=!>#(", *at) && *at)
        return 0;
    if (*at == '<')
        return at[1] == '=' || at[1] == '!' ? 0 : refuse(rewrite, "Python knows no such group");
    if (*at == 'P')
        return at[1] == '<' || at[1] == '=' ? 0 : refuse(rewrite, "Python knows no such group");
    size_t flags = strspn(at, "aiLmsux-");
    if (flags == 0 || (at[flags] != ')' && at[flags] != ':'))
        return refuse(rewrite, "Python knows no such group");
    if (memchr(at, 'L', flags))
        return refuse(rewrite, "the flag L does not go with text");
    bool whole = at[flags] == ')';
    if (whole && rewrite->at != rewrite->pattern)
        return refuse(rewrite, "flags of the whole pattern must stand at its start");
    if (memchr(at, 'a', flags)) {
        if (!whole)
            return refuse(rewrite, "the flag a is only known for a whole pattern");
        rewrite->ascii = true;
    }
    buffer_append_text(&rewrite->out, "(?");
    for (size_t i = 0; i < flags; i++)
        if (at[i] != 'a' && at[i] != 'u')
            buffer_append_char(&rewrite->out, at[i]);
    buffer_append_char(&rewrite->out, at[flags]);
    rewrite->at = at + flags + 1;
    return 0;
}

static int rewrite_next(Rewrite *rewrite) {
    char c = *rewrite->at;
    if (c == '\\') {
        rewrite->at_class_start = false;
        return rewrite_escape(rewrite);
    }
    if (rewrite->in_class) {
        bool closes = c == ']' && !rewrite->at_class_start;
        if (c == '[')
            buffer_append_char(&rewrite->out, '\\');
        rewrite->at_class_start = false;
        rewrite->in_class = !closes;
    } else if (c == '[') {
        rewrite->in_class = rewrite->at_class_start = true;
        if (rewrite->at[1] == '^') {
            buffer_append_char(&rewrite->out, c);
            rewrite->at++;
            c = '^';
        }
    } else if (c == '(' && rewrite->at[1] == '*') {
        return refuse(rewrite, "nothing to repeat");
    } else if (c == '(' && rewrite->at[1] == '?') {
        const char *before = rewrite->at;
        if (rewrite_group(rewrite))
            return -1;
        if (rewrite->at != before)
            return 0;
        if (before[2] == '(') { /* (?(1)...: no start of a group of its own */
            buffer_append_text(&rewrite->out, "(?(");
            rewrite->at += 3;
            return 0;
        }
    } else if (c == '{' && rewrite->at[1] == ',') { /* {,n} */
        buffer_append_text(&rewrite->out, "{0");
        rewrite->at++;
        return 0;
    }
    buffer_append_char(&rewrite->out, c);
    rewrite->at++;
    return 0;
}

static int rewrite_pattern(Rewrite *rewrite) {
    if (strlen(rewrite->pattern) > MOST_PATTERN_BYTES)
        return refuse(rewrite, "the pattern is too long");
    buffer_append_text(&rewrite->out, "");
    while (*rewrite->at)
        if (rewrite_next(rewrite))
            return -1;
    return 0;
}

/* ---- compiling */

static int compile(Regex *regex, const Rewrite *rewrite) {
    uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | (rewrite->ascii ? 0 : PCRE2_UCP);
    int code;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        regex->code = pcre2_compile((PCRE2_SPTR)rewrite->out.data, (PCRE2_SIZE)rewrite->out.size, options,
                                    &code, &offset, context);
        pcre2_compile_context_free(context);
    }
    if (!regex->code) {
        PCRE2_UCHAR message[256] = "no memory";
        if (context)
            pcre2_get_error_message(code, message, sizeof message);
        return error_set(rewrite->error, "regular expression '%.200s': %s", rewrite->pattern,
                         (const char *)message);
    }
    regex->data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    regex->limits = pcre2_match_context_create(NULL);
    if (!regex->data || !regex->limits)
        return error_set(rewrite->error, "regular expression '%.200s': no memory", rewrite->pattern);
    pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(regex->limits, HEAP_LIMIT_KIB);
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->n_groups);
    return 0;
}

int regex_compile(Regex **out, const char *pattern, Error *error) {
    Rewrite rewrite = {.pattern = pattern, .at = pattern, .error = error};
    Regex *regex = mem_alloc_zero(1, sizeof *regex);
    int result = -1;
    if (!utf8_valid(pattern, strlen(pattern)))
        error_set(error, "a regular expression that is not UTF-8");
    else
        result = rewrite_pattern(&rewrite) || compile(regex, &rewrite) ? -1 : 0;
    buffer_free(&rewrite.out);
    if (result)
        regex_free(regex);
    else
        *out = regex;
    return result;
}

void regex_free(Regex *regex) {
    if (!regex)
        return;
    pcre2_match_context_free(regex->limits);
    pcre2_match_data_free(regex->data);
    pcre2_code_free(regex->code);
    free(regex);
}

size_t regex_groups(const Regex *regex) {
    return regex->n_groups;
}

/* ---- matching */

RegexWalk regex_walk(const Regex *regex, const char *text, size_t bytes) {
    return (RegexWalk){.regex = regex, .text = text, .bytes = bytes};
}

int regex_next(RegexWalk *walk, RegexSpan *spans, size_t n_spans, Error *error) {
    const Regex *regex = walk->regex;
    if (walk->next > walk->bytes)
        return 0;
    /* Behind an empty match the next one may not be empty at the same place. */
    uint32_t options = walk->after_empty ? PCRE2_NOTEMPTY_ATSTART : 0;
    int code = pcre2_match(regex->code, (PCRE2_SPTR)walk->text, walk->bytes, walk->next, options, regex->data,
                           regex->limits);
    if (code == PCRE2_ERROR_NOMATCH) {
        walk->next = walk->bytes + 1;
        return 0;
    }
    if (code < 0) {
        PCRE2_UCHAR message[256];
        pcre2_get_error_message(code, message, sizeof message);
        return error_set(error, "a regular expression on %zu bytes of text: %s", walk->bytes,
                         (const char *)message);
    }
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(regex->data);
    for (size_t i = 0; i < n_spans && i <= regex->n_groups; i++) {
        bool took_part = (int)i < code && found[2 * i] != PCRE2_UNSET;
        spans[i] = took_part ? (RegexSpan){found[2 * i], found[2 * i + 1]} : (RegexSpan){SIZE_MAX, SIZE_MAX};
    }
    walk->next = found[1];
    walk->after_empty = found[0] >= found[1];
    return 1;
}

int regex_remove(const Regex *regex, const char *text, size_t bytes, Buffer *out, Error *error) {
    RegexWalk walk = regex_walk(regex, text, bytes);
    RegexSpan span;
    size_t kept = 0;
    int more;
    buffer_append_text(out, "");
    while ((more = regex_next(&walk, &span, 1, error)) > 0) {
        if (span.start > kept)
            buffer_append(out, text + kept, span.start - kept);
        kept = span.end;
    }
    if (more == 0)
        buffer_append(out, text + kept, bytes - kept);
    return more;
}

/* ---- replacing */

enum { MOST_SPANS = 100 };

typedef struct Replacement {
    const Regex *regex;
    const char *at, *text; /* the template's next character, the text that was searched */
    const RegexSpan *spans;
    Error *error;
} Replacement;

static int append_group(const Replacement *from, size_t group, Buffer *out) {
    if (group > from->regex->n_groups || group >= MOST_SPANS)
        return error_set(from->error, "the replacement names group %zu, but the expression has %u", group,
                         (unsigned)from->regex->n_groups);
    if (from->spans[group].start != SIZE_MAX)
        buffer_append(out, from->text + from->spans[group].start,
                      from->spans[group].end - from->spans[group].start);
    return 0;
}

/* "<name>" or "<1>" behind \\g. */
static int append_named(Replacement *from, Buffer *out) {
    char name[64] = "";
    size_t length = *from->at == '<' ? strcspn(from->at + 1, ">") : 0;
    if (length == 0 || length >= sizeof name || from->at[1 + length] != '>')
        return error_set(from->error, "the replacement has a \\g without <group>");
    memcpy(name, from->at + 1, length);
    from->at += length + 2;
    if (strspn(name, "0123456789") == length)
        return append_group(from, (size_t)strtoul(name, NULL, 10), out);
    int group = pcre2_substring_number_from_name(from->regex->code, (PCRE2_SPTR)name);
    if (group < 0)
        return error_set(from->error, "the replacement names the group '%s', which the expression has not",
                         name);
    return append_group(from, (size_t)group, out);
}

/* What follows a backslash. */
static int append_escape(Replacement *from, Buffer *out) {
    static const char letters[] = "abfnrtv\\", meant[] = "\a\b\f\n\r\t\v\\";
    char c = *from->at;
    const char *found = c ? strchr(letters, c) : NULL;
    if (c >= '1' && c <= '9') {
        size_t group = (size_t)(*from->at++ - '0');
        if (*from->at >= '0' && *from->at <= '9')
            group = group * 10 + (size_t)(*from->at++ - '0');
        return append_group(from, group, out);
    }
    if (c == 'g') {
        from->at++;
        return append_named(from, out);
    }
    if (found) {
        buffer_append_char(out, meant[found - letters]);
        from->at++;
        return 0;
    }
    if (c == '\0' || c == '0' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return error_set(from->error, "the replacement has a bad escape \\%.1s", from->at);
    buffer_append_char(out, '\\');
    return 0;
}

static int append_replacement(Replacement *from, Buffer *out) {
    while (*from->at) {
        if (*from->at != '\\') {
            buffer_append_char(out, *from->at++);
            continue;
        }
        from->at++;
        if (append_escape(from, out))
            return -1;
    }
    return 0;
}

int regex_replace(const Regex *regex, const char *replacement, int64_t count, const char *text, size_t bytes,
                  Buffer *out, Error *error) {
    RegexWalk walk = regex_walk(regex, text, bytes);
    RegexSpan spans[MOST_SPANS];
    size_t kept = 0;
    int more = 0;
    buffer_append_text(out, "");
    for (int64_t done = 0; count == 0 || done < count; done++) {
        if ((more = regex_next(&walk, spans, MOST_SPANS, error)) <= 0)
            break;
        Replacement from = {regex, replacement, text, spans, error};
        if (spans[0].start > kept)
            buffer_append(out, text + kept, spans[0].start - kept);
        if (append_replacement(&from, out))
            return -1;
        kept = spans[0].end;
    }
    if (more < 0)
        return -1;
    buffer_append(out, text + kept, bytes - kept);
    return 0;
}

void regex_escape(const char *text, Buffer *out) {
    for (; *text; text++) {
        if (strchr("()[]{}?*+-|^$\\.&~# \t\n\r\v\f", *text))
            buffer_append_char(out, '\\');
        buffer_append_char(out, *text);
    }
}
