/* Python's two ways to put values into a text: "%s" % values, and "{}".format(values). */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tasks/strings.h"
#include "tasks/template_tree.h"

enum { WIDTH_MAX = 1000 };

/* How a value is laid out: Python's [[fill]align][sign][0][width][.precision][type]. */
typedef struct Layout {
    char align; /* '<', '>', '^', '=', '\0' for the kind's own */
    char fill, sign, type;
    int64_t width, precision; /* precision -1: not given */
} Layout;

static const char *read_count(const char *at, int64_t *out) {
    for (*out = 0; *at >= '0' && *at <= '9'; at++)
        *out = *out > WIDTH_MAX ? *out : *out * 10 + (*at - '0');
    return at;
}

static bool as_double(const Value *value, double *out) {
    int64_t integer;
    if (value_as_int(value, &integer))
        *out = (double)integer;
    else if (value->kind == VALUE_DOUBLE)
        *out = value->as.number;
    else
        return false;
    return true;
}

/* The value's text without its sign, which goes into *sign. */
static int number_text(const Value *value, const Layout *layout, bool *negative, char *out, size_t room) {
    int64_t integer;
    double number = 0;
    bool whole = value_as_int(value, &integer), fraction = layout->type && strchr("eEfFgG%", layout->type);
    if (!as_double(value, &number))
        return -1;
    if (fraction) {
        int precision = layout->precision < 0 ? 6 : (int)layout->precision;
        bool percent = layout->type == '%';
        char format[8] = {'%', '.', '*', percent ? 'f' : layout->type, '\0'};
        *negative = number < 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int n = snprintf(out, room, format, precision, (*negative ? -number : number) * (percent ? 100 : 1));
#pragma GCC diagnostic pop
        if (percent && n > 0 && (size_t)n + 1 < room)
            strcat(out, "%");
        return 0;
    }
    if (!whole)
        integer = (int64_t)number;
    *negative = integer < 0;
    uint64_t size = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    snprintf(out, room,
             layout->type == 'x'   ? "%llx"
             : layout->type == 'X' ? "%llX"
             : layout->type == 'o' ? "%llo"
                                   : "%llu",
             (unsigned long long)size);
    return 0;
}

static void pad(Buffer *out, const Layout *layout, const char *sign, const char *text, size_t bytes,
                bool right) {
    int64_t length = (int64_t)(utf8_length(text, bytes) + strlen(sign));
    int64_t missing = layout->width > length ? layout->width - length : 0;
    char align = layout->align ? layout->align : right ? '>' : '<';
    int64_t before = align == '>' ? missing : align == '^' ? missing / 2 : 0;
    if (align == '=')
        buffer_append_text(out, sign);
    for (int64_t i = 0; i < (align == '=' ? missing : before); i++)
        buffer_append_char(out, layout->fill);
    if (align != '=')
        buffer_append_text(out, sign);
    buffer_append(out, text, bytes);
    for (int64_t i = before; i < missing && align != '='; i++)
        buffer_append_char(out, layout->fill);
}

static int append_value(Renderer *renderer, const Node *node, const Value *value, const Layout *layout,
                        Buffer *out) {
    size_t before = out->size;
    bool negative = false, number = layout->type && strchr("diouxXeEfFgG%", layout->type);
    if (layout->width > WIDTH_MAX || layout->precision > WIDTH_MAX)
        return template_fail(renderer, node, "a width or precision over %d", WIDTH_MAX);
    if (number) {
        char text[WIDTH_MAX + 400] = "";
        if (number_text(value, layout, &negative, text, sizeof text))
            return template_fail(renderer, node, "%s where the format wants a number",
                                 value_kind_name(value->kind));
        const char plus[] = {layout->sign, '\0'};
        pad(out, layout, negative ? "-" : plus, text, strlen(text), true);
    } else {
        Buffer repr = {0};
        Value text = value_to_string(renderer->arena, value);
        if (layout->type == 'r' || layout->type == 'a') {
            value_append_repr(&repr, value);
            text = string_copy(renderer->arena, repr.data, repr.size);
        }
        buffer_free(&repr);
        size_t bytes = 0;
        uint32_t code;
        for (int64_t i = 0; bytes < text.n && (layout->precision < 0 || i < layout->precision); i++)
            bytes += utf8_decode(text.as.text + bytes, text.n - bytes, &code);
        double ignored;
        pad(out, layout, "", text.as.text, bytes, layout->type != 's' && as_double(value, &ignored));
    }
    return template_spend(renderer, node, out->size - before);
}

static const char *read_percent(const char *at, Layout *layout) {
    *layout = (Layout){.fill = ' ', .precision = -1, .align = '>'};
    for (; *at && strchr("-+ 0#", *at); at++) {
        if (*at == '-')
            layout->align = '<';
        else if (*at == '0' && layout->align != '<') {
            layout->align = '=';
            layout->fill = '0';
        } else if (*at == '+' || *at == ' ')
            layout->sign = *at;
    }
    at = read_count(at, &layout->width);
    if (*at == '.')
        at = read_count(at + 1, &layout->precision);
    layout->type = *at;
    return *at ? at + 1 : at;
}

int template_format_percent(Renderer *renderer, const Node *node, const Value *format, const Value *values,
                            size_t n, Value *out) {
    Buffer text = {0};
    size_t used = 0;
    int status = 0;
    for (const char *at = format->as.text; *at && !status;) {
        size_t plain = strcspn(at, "%");
        buffer_append(&text, at, plain);
        at += plain;
        if (!*at)
            break;
        Layout layout;
        at = read_percent(at + 1, &layout);
        if (layout.type == '%')
            buffer_append_char(&text, '%');
        else if (!layout.type || !strchr("srdiouxXeEfFgG", layout.type))
            status = template_fail(renderer, node, "a %% that no format letter follows");
        else if (used == n)
            status = template_fail(renderer, node, "the format wants more than %zu values", n);
        else
            status = append_value(renderer, node, &values[used++], &layout, &text);
    }
    if (!status && used < n && values[0].kind != VALUE_DICT)
        status = template_fail(renderer, node, "the format wants %zu values of %zu", used, n);
    if (!status)
        *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return status;
}

/* What stands behind the colon of a {}. */
static int read_layout(const char *at, size_t bytes, Layout *layout) {
    const char *end = at + bytes;
    *layout = (Layout){.fill = ' ', .precision = -1};
    if (bytes > 1 && strchr("<>^=", at[1])) {
        layout->fill = *at++;
        layout->align = *at++;
    } else if (bytes > 0 && strchr("<>^=", *at)) {
        layout->align = *at++;
    }
    if (at < end && strchr("+- ", *at)) {
        layout->sign = *at == '-' ? '\0' : *at;
        at++;
    }
    if (at < end && *at == '0' && !layout->align) {
        layout->align = '=';
        layout->fill = '0';
    }
    at = read_count(at, &layout->width);
    if (at < end && *at == '.')
        at = read_count(at + 1, &layout->precision);
    if (at < end)
        layout->type = *at++;
    return at == end && (!layout->type || strchr("sdioxXeEfFgG%", layout->type)) ? 0 : -1;
}

/* The argument that a field names: "", a number, a name, then .name and [key]. */
static int field_value(Renderer *renderer, const Node *node, const char *field, const Arguments *arguments,
                       size_t *next, Value *out) {
    size_t length = strcspn(field, ".[");
    const char *name = arena_strndup(renderer->arena, field, length);
    int64_t index = (int64_t)*next;
    bool found = false;
    *out = (Value){.kind = VALUE_UNDEFINED};
    if (length == 0)
        (*next)++;
    if ((length == 0 || text_to_int(name, &index)) && index >= 0 && (uint64_t)index < arguments->n_positional)
        *out = arguments->values[index], found = true;
    for (size_t i = arguments->n_positional; i < arguments->n; i++)
        if (strcmp(arguments->names[i], name) == 0)
            *out = arguments->values[i], found = true;
    for (const char *at = field + length; *at && out->kind != VALUE_UNDEFINED;) {
        bool item = *at == '[';
        size_t bytes = strcspn(at + 1, item ? "]" : ".[");
        const char *part = arena_strndup(renderer->arena, at + 1, bytes);
        const Value key = text_to_int(part, &index) ? value_int(index) : value_string(part);
        *out = template_item(renderer, out, &key);
        at += 1 + bytes + (item && at[1 + bytes] == ']');
    }
    return !found || (out->kind == VALUE_UNDEFINED && field[length])
               ? template_fail(renderer, node, "format: there is no argument '%.50s'", field)
               : 0;
}

/* One {field!conversion:layout}. */
static int append_field(Renderer *renderer, const Node *node, const char *at, size_t bytes,
                        const Arguments *arguments, size_t *next, Buffer *out) {
    const char *colon = memchr(at, ':', bytes), *mark = memchr(at, '!', colon ? (size_t)(colon - at) : bytes);
    const char *name_end = mark ? mark : colon ? colon : at + bytes;
    Layout layout = {.fill = ' ', .precision = -1};
    Value value;
    if (colon && read_layout(colon + 1, bytes - (size_t)(colon + 1 - at), &layout))
        return template_fail(renderer, node, "format: a layout that is not supported");
    const char *field = arena_strndup(renderer->arena, at, (size_t)(name_end - at));
    if (field_value(renderer, node, field, arguments, next, &value))
        return -1;
    if (mark && mark[1] == 'r')
        layout.type = 'r';
    bool plain = value.kind == VALUE_DOUBLE && (layout.precision >= 0) && !layout.type;
    if (plain)
        layout.type = 'g';
    return append_value(renderer, node, &value, &layout, out);
}

int template_format_braces(Renderer *renderer, const Node *node, const Value *format,
                           const Arguments *arguments, Value *out) {
    Buffer text = {0};
    size_t next = 0;
    int status = 0;
    for (const char *at = format->as.text; *at && !status;) {
        size_t plain = strcspn(at, "{}"), bytes;
        buffer_append(&text, at, plain);
        at += plain;
        if (!*at)
            break;
        if (at[1] == *at) {
            buffer_append_char(&text, *at);
            at += 2;
            continue;
        }
        bytes = strcspn(at + 1, "{}");
        if (*at != '{' || at[1 + bytes] != '}')
            status = template_fail(renderer, node, "format: a single '%c'", *at);
        else
            status = append_field(renderer, node, at + 1, bytes, arguments, &next, &text);
        at += bytes + 2;
    }
    if (!status)
        *out = string_copy(renderer->arena, text.data ? text.data : "", text.size);
    buffer_free(&text);
    return status;
}
