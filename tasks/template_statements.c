/* The statements of a template: what stands between {% and %}. */
#include <string.h>

#include "tasks/template_tree.h"

static int expect_statement_end(Parser *parser) {
    if (parser->token->kind != TOKEN_STATEMENT_END)
        return parser_fail(parser, "found %s where %%} was expected", parser_found(parser));
    parser->token++;
    return 0;
}

static int parse_statements(Parser *parser, const char *until, Node **out);

/* The body of a block and the word that ends it. */
static int parse_body(Parser *parser, const char *end, Node **out) {
    if (expect_statement_end(parser) || parse_statements(parser, end, out))
        return -1;
    if (!parser_take_word(parser, end))
        return parser_fail(parser, "found %s where %s was expected", parser_found(parser), end);
    return expect_statement_end(parser);
}

/* What is assigned to: names, or attributes of namespaces, one or more, chained by next. */
static int parse_targets(Parser *parser, bool with_attributes, Node **out) {
    bool parenthesis = parser_take_operator(parser, "(");
    do {
        *out = parser_node(parser, NODE_NAME);
        if (parser_expect_name(parser, &(*out)->name, "a name"))
            return -1;
        if (with_attributes && parser_take_operator(parser, ".")) {
            (*out)->a = parser_node(parser, NODE_NAME);
            (*out)->a->name = (*out)->name;
            (*out)->kind = NODE_ATTRIBUTE;
            if (parser_expect_name(parser, &(*out)->name, "an attribute's name"))
                return -1;
        }
        out = &(*out)->next;
    } while (parser_take_operator(parser, ","));
    return parenthesis ? parser_expect_operator(parser, ")") : 0;
}

/* The parser stands at a word among those that end the block. */
static int parse_if(Parser *parser, Node *node) {
    static const char ends[] = "elif else endif";
    if (parser_expression(parser, &node->a) || expect_statement_end(parser))
        return -1;
    if (parse_statements(parser, ends, &node->body))
        return -1;
    if (parser_take_word(parser, "elif")) {
        node->other = parser_node(parser, NODE_IF);
        if (parser_enter(parser) || parse_if(parser, node->other))
            return -1;
        parser->depth--;
        return 0;
    }
    if (parser_take_word(parser, "else"))
        return parse_body(parser, "endif", &node->other);
    if (!parser_take_word(parser, "endif"))
        return parser_fail(parser, "found %s where endif was expected", parser_found(parser));
    return expect_statement_end(parser);
}

static int parse_for(Parser *parser, Node *node) {
    if (parse_targets(parser, false, &node->c))
        return -1;
    if (!parser_take_word(parser, "in"))
        return parser_fail(parser, "found %s where 'in' was expected", parser_found(parser));
    if (parser_tuple(parser, false, &node->a))
        return -1;
    if (parser_take_word(parser, "if") && parser_expression(parser, &node->b))
        return -1;
    node->recursive = parser_take_word(parser, "recursive");
    parser->loops++;
    if (expect_statement_end(parser) || parse_statements(parser, "else endfor", &node->body))
        return -1;
    parser->loops--;
    if (parser_take_word(parser, "else"))
        return parse_body(parser, "endfor", &node->other);
    if (!parser_take_word(parser, "endfor"))
        return parser_fail(parser, "found %s where endfor was expected", parser_found(parser));
    return expect_statement_end(parser);
}

/* {% set names = value %}, or {% set name %}text{% endset %}. */
static int parse_set(Parser *parser, Node *node) {
    if (parse_targets(parser, true, &node->c))
        return -1;
    if (parser_take_operator(parser, "="))
        return parser_tuple(parser, true, &node->a) ? -1 : expect_statement_end(parser);
    if (node->c->next)
        return parser_fail(parser, "found %s where '=' was expected", parser_found(parser));
    Node *capture = parser_node(parser, NODE_CAPTURE);
    node->a = capture;
    return parser_filters(parser, &node->a) || parse_body(parser, "endset", &capture->body) ? -1 : 0;
}

static int parse_parameters(Parser *parser, Node **out) {
    if (parser_expect_operator(parser, "("))
        return -1;
    while (!parser_take_operator(parser, ")")) {
        *out = parser_node(parser, NODE_NAME);
        if (parser_expect_name(parser, &(*out)->name, "a parameter's name"))
            return -1;
        if (parser_take_operator(parser, "=") && parser_expression(parser, &(*out)->a))
            return -1;
        out = &(*out)->next;
        if (!parser_take_operator(parser, ","))
            return parser_expect_operator(parser, ")");
    }
    return 0;
}

static int parse_macro_body(Parser *parser, const char *end, Node *macro) {
    int loops = parser->loops;
    parser->loops = 0; /* a break inside cannot leave a loop outside */
    int status = parse_body(parser, end, &macro->body);
    parser->loops = loops;
    return status;
}

static int parse_macro(Parser *parser, Node *node) {
    if (parser_expect_name(parser, &node->name, "a macro's name") || parse_parameters(parser, &node->c))
        return -1;
    return parse_macro_body(parser, "endmacro", node);
}

/* {% call macro(...) %}text{% endcall %}: the text is the macro's caller(). */
static int parse_call(Parser *parser, Node *node) {
    Node *caller = parser_node(parser, NODE_MACRO);
    caller->name = "caller";
    if (parser->token->kind == TOKEN_OPERATOR && strcmp(parser->token->text, "(") == 0 &&
        parse_parameters(parser, &caller->c))
        return -1;
    if (parser_expression(parser, &node->a))
        return -1;
    if (node->a->kind != NODE_CALL)
        return parser_fail(parser, "call: a call of a macro was expected");
    node->kind = NODE_OUTPUT;
    node->a->c = caller;
    return parse_macro_body(parser, "endcall", caller);
}

static int parse_filter_block(Parser *parser, Node *node) {
    Node *capture = parser_node(parser, NODE_CAPTURE), *filtered = parser_node(parser, NODE_FILTER);
    filtered->a = capture;
    node->kind = NODE_OUTPUT;
    node->a = filtered;
    const Token *name = parser->token;
    if (parser_expect_name(parser, &filtered->name, "a filter's name"))
        return -1;
    if (!template_knows_filter(filtered->name)) {
        parser->token = name;
        return parser_fail(parser, "there is no filter '%s'", filtered->name);
    }
    if (parser_take_operator(parser, "(") && parser_arguments(parser, &filtered->body))
        return -1;
    return parser_filters(parser, &node->a) || parse_body(parser, "endfilter", &capture->body) ? -1 : 0;
}

static int parse_with(Parser *parser, Node *node) {
    for (Node **out = &node->c; parser->token->kind != TOKEN_STATEMENT_END; out = &(*out)->next) {
        *out = parser_node(parser, NODE_NAME);
        if (parser_expect_name(parser, &(*out)->name, "a name") || parser_expect_operator(parser, "=") ||
            parser_expression(parser, &(*out)->a))
            return -1;
        if (!parser_take_operator(parser, ","))
            break;
    }
    return parse_body(parser, "endwith", &node->body);
}

static int parse_generation(Parser *parser, Node *node) {
    return parse_body(parser, "endgeneration", &node->body);
}

static int parse_leap(Parser *parser, Node *node) {
    (void)node;
    if (parser->loops == 0)
        return parser_fail(parser, "break and continue belong into a loop");
    return expect_statement_end(parser);
}

static int parse_statement(Parser *parser, Node *node) {
    static const struct {
        const char *word;
        NodeKind kind;
        int (*parse)(Parser *parser, Node *node);
        bool only_chat;
    } statements[] = {
        {"set", NODE_SET, parse_set, false},     {"if", NODE_IF, parse_if, false},
        {"for", NODE_FOR, parse_for, false},     {"macro", NODE_MACRO, parse_macro, false},
        {"call", NODE_CALL, parse_call, false},  {"filter", NODE_FILTER, parse_filter_block, false},
        {"with", NODE_SCOPE, parse_with, false}, {"generation", NODE_SCOPE, parse_generation, true},
        {"break", NODE_BREAK, parse_leap, true}, {"continue", NODE_CONTINUE, parse_leap, true}};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (statements[i].only_chat && parser->style != TEMPLATE_CHAT)
            continue;
        if (!parser_take_word(parser, statements[i].word))
            continue;
        node->kind = statements[i].kind;
        if (parser_enter(parser) || statements[i].parse(parser, node))
            return -1;
        parser->depth--;
        return 0;
    }
    return parser_fail(parser, "found %s where a statement (set, if, for, macro, ...) was expected",
                       parser_found(parser));
}

/* True if token is one of the words in `words`, which are apart by spaces. */
static bool is_one_of(const Token *token, const char *words) {
    if (token->kind != TOKEN_NAME)
        return false;
    for (const char *at = words; *at;) {
        size_t length = strcspn(at, " ");
        if (length == token->bytes && memcmp(at, token->text, length) == 0)
            return true;
        at += length + (at[length] == ' ');
    }
    return false;
}

/* Statements up to the template's end, or up to "{% word" with a word of `until`, which becomes the next
 * token. */
static int parse_statements(Parser *parser, const char *until, Node **out) {
    for (; parser->token->kind != TOKEN_END; out = &(*out)->next) {
        const Token *token = parser->token;
        if (token->kind == TOKEN_STATEMENT_BEGIN && is_one_of(token + 1, until)) {
            parser->token++;
            return 0;
        }
        *out = parser_node(parser, NODE_TEXT);
        parser->token++;
        if (token->kind == TOKEN_TEXT) {
            (*out)->literal = value_string_n(token->text, token->bytes);
        } else if (token->kind == TOKEN_OUTPUT_BEGIN) {
            (*out)->kind = NODE_OUTPUT;
            if (parser_tuple(parser, true, &(*out)->a))
                return -1;
            if (parser->token->kind != TOKEN_OUTPUT_END)
                return parser_fail(parser, "found %s where }} was expected", parser_found(parser));
            parser->token++;
        } else if (parse_statement(parser, *out)) {
            return -1;
        }
    }
    if (*until)
        return parser_fail(parser, "the template ends inside a block; expected one of: %s", until);
    return 0;
}

int template_parse(const Node **out, Arena *arena, const Token *tokens, TemplateStyle style,
                   const char *where, Error *error) {
    Parser parser = {.token = tokens, .arena = arena, .where = where, .style = style, .error = error};
    Node *statements = NULL;
    if (parse_statements(&parser, "", &statements))
        return -1;
    *out = statements;
    return 0;
}
