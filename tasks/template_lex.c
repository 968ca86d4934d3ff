/* Template text into tokens. Invariant: `at` never passes the closing NUL, and line and column are those of
 * `at`. A comment becomes nothing; a minus at a tag's edge takes the white space of the text beside it. In
 * chat templates a block also takes the indent before it, unless a plus forbids it, and the newline behind
 * it. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"
#include "tasks/template_tree.h"

/* What the tag before a text does to it. */
typedef enum NextText {
    NEXT_KEEP,
    NEXT_STRIP,  /* white space goes */
    NEXT_NEWLINE /* one newline goes */
} NextText;

typedef struct Lexer {
    const char *begin, *at;
    TemplateStyle style;
    uint32_t line, column;
    Arena *arena;
    Token *tokens;
    size_t n, room;
    NextText next;
    int braces; /* open { inside the tag: a } then closes a mapping, not the tag */
    const char *where;
    Error *error;
} Lexer;

static int fail(const Lexer *lexer, const char *what) {
    return error_set(lexer->error, "%s: line %u, column %u: %s", lexer->where, lexer->line, lexer->column,
                     what);
}

static void advance(Lexer *lexer, size_t bytes) {
    for (; bytes > 0 && *lexer->at; bytes--, lexer->at++) {
        if (*lexer->at == '\n') {
            lexer->line++;
            lexer->column = 1;
        } else if (((unsigned char)*lexer->at & 0xC0) != 0x80) {
            lexer->column++;
        }
    }
}

static Token *push(Lexer *lexer, TokenKind kind) {
    if (lexer->n == lexer->room) {
        size_t room = lexer->room ? lexer->room * 2 : 32;
        Token *grown = arena_alloc(lexer->arena, room * sizeof *grown);
        if (lexer->n)
            memcpy(grown, lexer->tokens, lexer->n * sizeof *grown);
        lexer->tokens = grown;
        lexer->room = room;
    }
    lexer->tokens[lexer->n] = (Token){.kind = kind, .line = lexer->line, .column = lexer->column, .text = ""};
    return &lexer->tokens[lexer->n++];
}

/* Where the white space that begins the text's last line begins, if there is nothing else in it: at its end
 * otherwise. A line also begins where the text does, if the template or a line began there. */
static const char *line_indent(const char *start, size_t bytes, bool at_line_begin) {
    const char *end = start + bytes, *line = end;
    while (line > start && line[-1] != '\n')
        line--;
    const char *rest = line;
    size_t left = (size_t)(end - line);
    text_lstrip(&rest, &left);
    return left == 0 && (line > start || at_line_begin) ? line : end;
}

static void push_text(Lexer *lexer, const char *start, size_t bytes) {
    if (bytes == 0)
        return;
    Token *token = push(lexer, TOKEN_TEXT);
    token->text = arena_strndup(lexer->arena, start, bytes);
    token->bytes = bytes;
}

/* What the last tag takes of the text behind it. */
static size_t taken_by_last(const Lexer *lexer, const char *text, size_t bytes) {
    const char *rest = text;
    size_t left = bytes;
    if (lexer->next == NEXT_STRIP)
        text_lstrip(&rest, &left);
    else if (lexer->next == NEXT_NEWLINE && bytes > 0 && *text == '\n')
        left--;
    return bytes - left;
}

/* Text up to the tag at `end` or the template's end, narrowed where a tag beside it asks for that. */
static void lex_text_until(Lexer *lexer, const char *end, bool is_block) {
    const char *start = lexer->at;
    size_t whole = (size_t)(end - start), bytes = whole, taken = taken_by_last(lexer, start, bytes);
    bool line_begin = taken > 0 ? start[taken - 1] == '\n' : lexer->at == lexer->begin;
    start += taken;
    bytes -= taken;
    char sign = *end && end[1] ? end[2] : '\0';
    if (sign == '-')
        text_rstrip(&start, &bytes);
    else if (sign != '+' && is_block && lexer->style == TEMPLATE_CHAT)
        bytes = (size_t)(line_indent(start, bytes, line_begin) - start);
    push_text(lexer, start, bytes);
    advance(lexer, whole);
    lexer->next = NEXT_KEEP;
}

static void lex_text(Lexer *lexer) {
    const char *end = lexer->at;
    while (*end && !(end[0] == '{' && (end[1] == '{' || end[1] == '%' || end[1] == '#')))
        end++;
    lex_text_until(lexer, end, *end && end[1] != '{');
}

/* What a tag that ends in `sign` and then its bracket takes of the text behind it. */
static NextText next_text(const Lexer *lexer, char sign) {
    if (sign == '-')
        return NEXT_STRIP;
    return sign != '+' && lexer->style == TEMPLATE_CHAT ? NEXT_NEWLINE : NEXT_KEEP;
}

static int lex_comment(Lexer *lexer) {
    const char *start = lexer->at + 2; /* the sign of {#-#} is the first one */
    start += *start == '-' || *start == '+';
    const char *end = strstr(start, "#}");
    if (!end)
        return fail(lexer, "a comment {# without its #}");
    lexer->next = next_text(lexer, end > start ? end[-1] : ' ');
    advance(lexer, (size_t)(end + 2 - lexer->at));
    return 0;
}

/* Length of "{% word %}" at `text`, with its sign before the closing bracket in *sign; 0 if it is not there.
 */
static size_t bare_tag(const char *text, const char *word, char *sign) {
    const char *at = text;
    if (strncmp(at, "{%", 2) != 0)
        return 0;
    at += 2;
    at += *at == '-' || *at == '+';
    at += strspn(at, " \t\n");
    if (strncmp(at, word, strlen(word)) != 0)
        return 0;
    at += strlen(word);
    at += strspn(at, " \t\n");
    *sign = *at == '-' || *at == '+' ? *at++ : ' ';
    return strncmp(at, "%}", 2) == 0 ? (size_t)(at + 2 - text) : 0;
}

/* "{% raw %}...{% endraw %}": text in which nothing is a tag. 1 if it is here. */
static int lex_raw(Lexer *lexer) {
    char sign;
    size_t begin = bare_tag(lexer->at, "raw", &sign), close = 0;
    if (begin == 0 || sign == '+') /* which Jinja takes for a statement, and there is none of that name */
        return 0;
    const char *end = lexer->at + begin;
    while (*end && (close = bare_tag(end, "endraw", &sign)) == 0)
        end++;
    if (close == 0)
        return fail(lexer, "{% raw %} without its {% endraw %}");
    char begin_sign;
    bare_tag(lexer->at, "raw", &begin_sign);
    advance(lexer, begin);
    lexer->next = begin_sign == '-' ? NEXT_STRIP : NEXT_KEEP;
    lex_text_until(lexer, end, true);
    advance(lexer, close);
    lexer->next = next_text(lexer, sign);
    return 1;
}

static int append_code(const Lexer *lexer, uint32_t code, Buffer *out) {
    char bytes[4];
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return fail(lexer, "an escape that names no character");
    buffer_append(out, bytes, utf8_encode(code, bytes));
    return 0;
}

/* One escape behind a backslash; unknown ones stay as written, as in Python. */
static int lex_escape(Lexer *lexer, Buffer *out) {
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = lexer->at[1];
    const char *simple = c ? strchr(from, c) : NULL;
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (simple) {
        buffer_append_char(out, to[simple - from]);
        advance(lexer, 2);
    } else if (digits > 0) {
        char hex[9] = {0};
        strncpy(hex, lexer->at + 2, digits);
        if (strspn(hex, "0123456789abcdefABCDEF") != digits)
            return fail(lexer, "an escape without its hexadecimal digits");
        if (append_code(lexer, (uint32_t)strtoul(hex, NULL, 16), out))
            return -1;
        advance(lexer, 2 + digits);
    } else if (c >= '0' && c <= '7') {
        char octal[4] = {0};
        size_t n = strspn(lexer->at + 1, "01234567");
        memcpy(octal, lexer->at + 1, n < 3 ? n : 3);
        if (append_code(lexer, (uint32_t)strtoul(octal, NULL, 8), out))
            return -1;
        advance(lexer, 1 + strlen(octal));
    } else {
        buffer_append_char(out, '\\');
        advance(lexer, 1);
        if (c == '\n') {
            out->size--;
            advance(lexer, 1);
        }
    }
    return 0;
}

static int lex_string(Lexer *lexer) {
    Token *token = push(lexer, TOKEN_LITERAL);
    Buffer text = {0};
    int status = 0;
    char quote = *lexer->at;
    advance(lexer, 1);
    while (!status && *lexer->at && *lexer->at != quote) {
        if (*lexer->at == '\\') {
            status = lex_escape(lexer, &text);
        } else {
            buffer_append_char(&text, *lexer->at);
            advance(lexer, 1);
        }
    }
    if (!status && !*lexer->at)
        status = error_set(lexer->error, "%s: line %u, column %u: a string without its closing quote",
                           lexer->where, token->line, token->column);
    if (!status) {
        advance(lexer, 1);
        token->literal =
            value_string_n(arena_strndup(lexer->arena, text.data ? text.data : "", text.size), text.size);
    }
    buffer_free(&text);
    return status;
}

/* Length of the digits of `set` at `text`, with single underscores between them. */
static size_t digits_length(const char *text, const char *set) {
    size_t length = strspn(text, set);
    while (length > 0 && text[length] == '_' && text[length + 1] && strchr(set, text[length + 1]))
        length += 1 + strspn(text + length + 1, set);
    return length;
}

/* Length of the number at `text`; *fraction tells whether it has a point or an exponent. */
static size_t number_length(const char *text, bool *fraction) {
    static const char digits[] = "0123456789";
    size_t length = digits_length(text, digits),
           more = text[length] == '.' ? digits_length(text + length + 1, digits) : 0;
    *fraction = more > 0;
    if (more > 0)
        length += 1 + more;
    size_t sign = text[length] == 'e' || text[length] == 'E' ? strspn(text + length + 1, "+-") : 2;
    more = sign < 2 ? digits_length(text + length + 1 + sign, digits) : 0;
    *fraction = *fraction || more > 0;
    return more > 0 ? length + 1 + sign + more : length;
}

/* 10 for what does not begin as 0x1, 0o7 or 0b1 do. */
static int base_of(const char *text, size_t *length) {
    static const struct {
        int base;
        const char *letters, *digits;
    } bases[] = {{16, "xX", "0123456789abcdefABCDEF"}, {8, "oO", "01234567"}, {2, "bB", "01"}};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        *length = 0;
        if (text[0] == '0' && text[1] && strchr(bases[i].letters, text[1]))
            *length = digits_length(text + 2, bases[i].digits);
        if (*length > 0) {
            *length += 2;
            return bases[i].base;
        }
    }
    return 10;
}

static int lex_number(Lexer *lexer) {
    char digits[40] = {0};
    bool fraction = false;
    size_t length, n = 0;
    int base = base_of(lexer->at, &length);
    if (base == 10)
        length = number_length(lexer->at, &fraction);
    if (length >= sizeof digits)
        return fail(lexer, "a number is too long");
    for (size_t i = base == 10 ? 0 : 2; i < length; i++)
        if (lexer->at[i] != '_')
            digits[n++] = lexer->at[i];
    Token *token = push(lexer, TOKEN_LITERAL);
    int64_t integer = 0;
    double number = 0;
    errno = 0;
    if (base != 10)
        integer = strtoll(digits, NULL, base);
    else if (fraction ? !text_to_double(digits, &number) : !text_to_int(digits, &integer))
        errno = ERANGE;
    if (errno)
        return fail(lexer, "a number is out of range");
    token->literal = fraction ? value_double(number) : value_int(integer);
    advance(lexer, length);
    return 0;
}

/* Length of the name at `text`: letters, marks, digits and _ of any script; 0 if there is none. */
static size_t name_length(const char *text) {
    size_t length = 0;
    for (;;) {
        uint32_t code = 0;
        size_t bytes = utf8_decode(text + length, strnlen(text + length, 4), &code);
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
        bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_MC;
        if (!letter && code != '_' && category != UTF8PROC_CATEGORY_ND && category != UTF8PROC_CATEGORY_NL)
            return length;
        length += bytes;
    }
}

static int lex_operator(Lexer *lexer) {
    static const char *const operators[] = {"==", "!=", "<=", ">=", "//", "**", "+", "-", "*",
                                            "/",  "%",  "~",  "<",  ">",  "=",  ".", ",", "|",
                                            "(",  ")",  "[",  "]",  "{",  "}",  ":"};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!text_starts_with(lexer->at, operators[i]))
            continue;
        Token *token = push(lexer, TOKEN_OPERATOR);
        token->text = operators[i];
        token->bytes = strlen(operators[i]);
        lexer->braces += (*lexer->at == '{') - (*lexer->at == '}');
        advance(lexer, token->bytes);
        return 0;
    }
    return fail(lexer, "a character that no expression can hold");
}

/* 1 if the tag ends here, with its token pushed. */
static int lex_tag_end(Lexer *lexer, const char *close) {
    bool output = *close == '}';
    char sign = *lexer->at;
    size_t signs = sign == '-' || (sign == '+' && !output);
    if (lexer->braces > 0 || strncmp(lexer->at + signs, close, 2) != 0)
        return 0;
    push(lexer, output ? TOKEN_OUTPUT_END : TOKEN_STATEMENT_END);
    lexer->next = output ? (sign == '-' ? NEXT_STRIP : NEXT_KEEP) : next_text(lexer, sign);
    advance(lexer, signs + 2);
    return 1;
}

static int lex_tag(Lexer *lexer) {
    bool output = lexer->at[1] == '{';
    Token begin = *push(lexer, output ? TOKEN_OUTPUT_BEGIN : TOKEN_STATEMENT_BEGIN);
    advance(lexer, lexer->at[2] == '-' || lexer->at[2] == '+' ? 3 : 2);
    lexer->braces = 0;
    while (!lex_tag_end(lexer, output ? "}}" : "%}")) {
        char c = *lexer->at;
        int status = 0;
        size_t name;
        if (c == '\0')
            return error_set(lexer->error, "%s: line %u, column %u: %s without its %s", lexer->where,
                             begin.line, begin.column, output ? "{{" : "{%", output ? "}}" : "%}");
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            advance(lexer, 1);
        } else if (c == '\'' || c == '"') {
            status = lex_string(lexer);
        } else if (c >= '0' && c <= '9') {
            status = lex_number(lexer);
        } else if ((name = name_length(lexer->at)) > 0) {
            Token *token = push(lexer, TOKEN_NAME);
            token->bytes = name;
            token->text = arena_strndup(lexer->arena, lexer->at, token->bytes);
            advance(lexer, token->bytes);
        } else {
            status = lex_operator(lexer);
        }
        if (status)
            return -1;
    }
    return 0;
}

/* The text with every line's end as \n, as Jinja takes it; where the style says so, without the last one. */
static const char *normalize(Arena *arena, const char *text, TemplateStyle style) {
    size_t bytes = strlen(text), n = 0;
    char *out = arena_alloc(arena, bytes + 1);
    for (size_t i = 0; i < bytes; i++) {
        out[n++] = text[i] == '\r' ? '\n' : text[i];
        i += text[i] == '\r' && text[i + 1] == '\n';
    }
    if (style != TEMPLATE_TASK && n > 0 && out[n - 1] == '\n')
        n--;
    out[n] = '\0';
    return out;
}

int template_lex(Token **tokens, size_t *n, Arena *arena, const char *text, TemplateStyle style,
                 const char *where, Error *error) {
    if (strlen(text) > TEMPLATE_BYTES_MAX)
        return error_set(error, "%s: a template of more than 256 KiB", where);
    const char *source = normalize(arena, text, style);
    Lexer lexer = {.begin = source,
                   .at = source,
                   .style = style,
                   .line = 1,
                   .column = 1,
                   .arena = arena,
                   .where = where,
                   .error = error};
    while (*lexer.at) {
        lex_text(&lexer);
        if (!*lexer.at)
            break;
        int raw = lex_raw(&lexer);
        if (raw < 0 || (!raw && (lexer.at[1] == '#' ? lex_comment(&lexer) : lex_tag(&lexer))))
            return -1;
    }
    push(&lexer, TOKEN_END);
    *tokens = lexer.tokens;
    *n = lexer.n;
    return 0;
}
