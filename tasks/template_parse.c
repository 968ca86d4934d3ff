/* Tokens into a syntax tree, by recursive descent with Jinja's precedence: condition, or, and, not,
 * comparison,
 * + and -, ~, * / // %, unary minus, then postfix (. [] ()), filters and tests. `depth` bounds the recursion.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tasks/template_tree.h"

typedef struct Parser {
    const Token *token; /* the next one; never behind TOKEN_END */
    Arena *arena;
    const char *where;
    int depth;
    Error *error;
} Parser;

static int fail(Parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(Parser *parser, const char *format, ...) {
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return error_set(parser->error, "%s: line %u, column %u: %s", parser->where, parser->token->line,
                     parser->token->column, what);
}

static const char *token_text(const Token *token) {
    static const char *const names[] = {"text", "{{", "}}", "{%", "%}"};
    if (token->kind == TOKEN_END)
        return "the end of the template";
    if (token->kind == TOKEN_LITERAL)
        return token->literal.kind == VALUE_STRING ? "a string" : "a number";
    return token->kind <= TOKEN_STATEMENT_END ? names[token->kind] : token->text;
}

static Node *new_node(Parser *parser, NodeKind kind) {
    Node *node = arena_alloc(parser->arena, sizeof *node);
    node->kind = kind;
    node->line = parser->token->line;
    node->column = parser->token->column;
    return node;
}

/* A node that stands where `at` stands: for operators behind their first operand. */
static Node *new_node_at(Parser *parser, NodeKind kind, const Node *at, Node *a, Node *b) {
    Node *node = new_node(parser, kind);
    node->line = at->line;
    node->column = at->column;
    node->a = a;
    node->b = b;
    return node;
}

static bool is_operator(const Token *token, const char *text) {
    return token->kind == TOKEN_OPERATOR && strcmp(token->text, text) == 0;
}
static bool is_word(const Token *token, const char *text) {
    return token->kind == TOKEN_NAME && strcmp(token->text, text) == 0;
}
static bool take_operator(Parser *parser, const char *text) {
    if (!is_operator(parser->token, text))
        return false;
    parser->token++;
    return true;
}
static bool take_word(Parser *parser, const char *text) {
    if (!is_word(parser->token, text))
        return false;
    parser->token++;
    return true;
}

static int expect_operator(Parser *parser, const char *text) {
    if (take_operator(parser, text))
        return 0;
    return fail(parser, "found %s where '%s' was expected", token_text(parser->token), text);
}

static int expect_name(Parser *parser, const char **out, const char *what) {
    if (parser->token->kind != TOKEN_NAME)
        return fail(parser, "found %s where %s was expected", token_text(parser->token), what);
    *out = (parser->token++)->text;
    return 0;
}

static int enter(Parser *parser) {
    if (++parser->depth > TEMPLATE_DEPTH_MAX)
        return fail(parser, "the expression is nested deeper than %d levels", TEMPLATE_DEPTH_MAX);
    return 0;
}

static int parse_expression(Parser *parser, Node **out);
static int parse_unary(Parser *parser, bool with_filters, Node **out);

/* Expressions up to the closing bracket, chained by next. */
static int parse_list(Parser *parser, const char *close, Node **out, size_t max) {
    size_t n = 0;
    while (!take_operator(parser, close)) {
        if (n++ == max)
            return fail(parser, "more than %zu arguments", max);
        if (parser->token->kind == TOKEN_NAME && is_operator(parser->token + 1, "="))
            return fail(parser, "arguments given by name ('%s=') are not supported", parser->token->text);
        if (parse_expression(parser, out))
            return -1;
        out = &(*out)->next;
        if (take_operator(parser, ","))
            continue;
        if (expect_operator(parser, close))
            return -1;
        return 0;
    }
    return 0;
}

static int parse_dict(Parser *parser, Node *dict) {
    Node **key = &dict->body, **value = &dict->other;
    while (!take_operator(parser, "}")) {
        if (parse_expression(parser, key) || expect_operator(parser, ":") || parse_expression(parser, value))
            return -1;
        key = &(*key)->next;
        value = &(*value)->next;
        if (take_operator(parser, ","))
            continue;
        return expect_operator(parser, "}");
    }
    return 0;
}

static bool word_literal(const char *word, Value *out) {
    static const struct {
        const char *word;
        ValueKind kind;
        bool truth;
    } words[] = {{"true", VALUE_BOOL, true},   {"True", VALUE_BOOL, true},  {"false", VALUE_BOOL, false},
                 {"False", VALUE_BOOL, false}, {"none", VALUE_NULL, false}, {"None", VALUE_NULL, false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i].word) != 0)
            continue;
        *out = words[i].kind == VALUE_BOOL ? value_bool(words[i].truth) : value_null();
        return true;
    }
    return false;
}

/* Brackets: an expression, or a tuple, which prints and indexes as a list here. */
static int parse_parenthesis(Parser *parser, Node **out) {
    Node *list = new_node(parser, NODE_LIST);
    if (!is_operator(parser->token, ")") && parse_expression(parser, &list->body))
        return -1;
    if (list->body && take_operator(parser, ")")) {
        *out = list->body;
        return 0;
    }
    *out = list;
    if (!list->body)
        return expect_operator(parser, ")");
    if (expect_operator(parser, ","))
        return -1;
    return parse_list(parser, ")", &list->body->next, SIZE_MAX);
}

static int parse_primary(Parser *parser, Node **out) {
    const Token *token = parser->token;
    Node *node = new_node(parser, NODE_LITERAL);
    *out = node;
    if (token->kind == TOKEN_LITERAL) {
        node->literal = token->literal;
        parser->token++;
        while (parser->token->kind == TOKEN_LITERAL && node->literal.kind == VALUE_STRING &&
               parser->token->literal.kind == VALUE_STRING) { /* strings side by side are one string */
            const Value *more = &(parser->token++)->literal;
            char *text = arena_alloc(parser->arena, node->literal.n + more->n + 1);
            memcpy(text, node->literal.as.text, node->literal.n);
            memcpy(text + node->literal.n, more->as.text, more->n);
            node->literal = value_string_n(text, node->literal.n + more->n);
        }
        return 0;
    }
    if (token->kind == TOKEN_NAME) {
        if (!word_literal(token->text, &node->literal)) {
            node->kind = NODE_NAME;
            node->name = token->text;
        }
        parser->token++;
        return 0;
    }
    if (take_operator(parser, "("))
        return parse_parenthesis(parser, out);
    if (take_operator(parser, "[")) {
        node->kind = NODE_LIST;
        return parse_list(parser, "]", &node->body, SIZE_MAX);
    }
    if (take_operator(parser, "{")) {
        node->kind = NODE_DICT;
        return parse_dict(parser, node);
    }
    return fail(parser, "found %s where an expression was expected", token_text(token));
}

static int parse_subscript(Parser *parser, Node *node) {
    Node **parts[] = {&node->b, &node->c, &node->other};
    for (int i = 0; i < 3; i++) {
        if (!is_operator(parser->token, ":") && !is_operator(parser->token, "]") &&
            parse_expression(parser, parts[i]))
            return -1;
        if (i == 2 || !take_operator(parser, ":"))
            break;
        node->kind = NODE_SLICE;
    }
    if (node->kind == NODE_INDEX && !node->b)
        return fail(parser, "an empty subscript");
    return expect_operator(parser, "]");
}

static int parse_postfix(Parser *parser, Node **node) {
    for (int n = 0;; n++) {
        if (n > TEMPLATE_DEPTH_MAX)
            return fail(parser, "too many subscripts in a row");
        if (take_operator(parser, ".")) {
            *node = new_node_at(parser, NODE_ATTRIBUTE, *node, *node, NULL);
            if (parser->token->kind == TOKEN_LITERAL && parser->token->literal.kind == VALUE_INT) {
                (*node)->kind = NODE_INDEX;
                if (parse_primary(parser, &(*node)->b))
                    return -1;
            } else if (expect_name(parser, &(*node)->name, "a name")) {
                return -1;
            }
        } else if (take_operator(parser, "[")) {
            *node = new_node_at(parser, NODE_INDEX, *node, *node, NULL);
            if (parse_subscript(parser, *node))
                return -1;
        } else if (take_operator(parser, "(")) {
            *node = new_node_at(parser, NODE_CALL, *node, *node, NULL);
            if (parse_list(parser, ")", &(*node)->body, TEMPLATE_ARGUMENTS_MAX))
                return -1;
        } else {
            return 0;
        }
    }
}

static int parse_filter(Parser *parser, Node **node) {
    *node = new_node_at(parser, NODE_FILTER, *node, *node, NULL);
    const Token *name = parser->token;
    if (expect_name(parser, &(*node)->name, "a filter's name"))
        return -1;
    if (!template_knows_filter((*node)->name)) {
        parser->token = name;
        return fail(parser, "there is no filter '%s'", (*node)->name);
    }
    if (!take_operator(parser, "("))
        return 0;
    return parse_list(parser, ")", &(*node)->body, TEMPLATE_ARGUMENTS_MAX);
}

static int parse_test(Parser *parser, Node **node) {
    bool negated = take_word(parser, "not");
    Node *test = new_node_at(parser, NODE_TEST, *node, *node, NULL);
    const Token *name = parser->token;
    if (expect_name(parser, &test->name, "a test's name"))
        return -1;
    if (!template_knows_test(test->name)) {
        parser->token = name;
        return fail(parser, "there is no test '%s'", test->name);
    }
    *node = negated ? new_node_at(parser, NODE_NOT, test, test, NULL) : test;
    return 0;
}

/* Postfixes, filters and tests behind an operand. */
static int parse_suffixes(Parser *parser, Node **node) {
    if (parse_postfix(parser, node))
        return -1;
    for (int n = 0;; n++) {
        if (n > TEMPLATE_DEPTH_MAX)
            return fail(parser, "too many filters in a row");
        int status;
        if (take_operator(parser, "|"))
            status = parse_filter(parser, node);
        else if (take_word(parser, "is"))
            status = parse_test(parser, node);
        else
            return 0;
        if (status || parse_postfix(parser, node))
            return -1;
    }
}

/* A minus takes its operand without filters: -n|string is (-n)|string. */
static int parse_unary(Parser *parser, bool with_filters, Node **out) {
    if (enter(parser))
        return -1;
    int status;
    Node *node = new_node(parser, NODE_NEGATE);
    if (take_operator(parser, "-")) {
        status = parse_unary(parser, false, &node->a);
        *out = node;
    } else if (take_operator(parser, "+")) {
        status = parse_unary(parser, false, out);
    } else {
        status = parse_primary(parser, out);
    }
    if (!status)
        status = with_filters ? parse_suffixes(parser, out) : parse_postfix(parser, out);
    parser->depth--;
    return status;
}

typedef struct BinaryLevel {
    const char *symbol;
    Operator op;
    int level; /* higher binds tighter */
} BinaryLevel;

static const BinaryLevel binary_levels[] = {{"+", OPERATOR_ADD, 0},      {"-", OPERATOR_SUBTRACT, 0},
                                            {"~", OPERATOR_CONCAT, 1},   {"*", OPERATOR_MULTIPLY, 2},
                                            {"/", OPERATOR_DIVIDE, 2},   {"//", OPERATOR_FLOOR_DIVIDE, 2},
                                            {"%", OPERATOR_REMAINDER, 2}};

static int parse_binary(Parser *parser, int level, Node **out) {
    if (level > 2)
        return parse_unary(parser, true, out);
    if (parse_binary(parser, level + 1, out))
        return -1;
    for (size_t n = 0, i = 0; i < sizeof binary_levels / sizeof *binary_levels; i++) {
        if (binary_levels[i].level != level || !take_operator(parser, binary_levels[i].symbol))
            continue;
        if (++n > TEMPLATE_DEPTH_MAX)
            return fail(parser, "more than %d operators in a row", TEMPLATE_DEPTH_MAX);
        Node *node = new_node_at(parser, NODE_BINARY, *out, *out, NULL);
        node->op = binary_levels[i].op;
        if (parse_binary(parser, level + 1, &node->b))
            return -1;
        *out = node;
        i = (size_t)-1; /* the same level again, from its first operator */
    }
    return 0;
}

static bool take_comparison(Parser *parser, Operator *out) {
    static const struct {
        const char *symbol;
        Operator op;
    } symbols[] = {{"==", OPERATOR_EQUAL},      {"!=", OPERATOR_NOT_EQUAL},     {"<", OPERATOR_LESS},
                   {"<=", OPERATOR_LESS_EQUAL}, {">=", OPERATOR_GREATER_EQUAL}, {">", OPERATOR_GREATER}};
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        *out = symbols[i].op;
        if (take_operator(parser, symbols[i].symbol))
            return true;
    }
    *out = OPERATOR_IN;
    if (take_word(parser, "in"))
        return true;
    if (!is_word(parser->token, "not") || !is_word(parser->token + 1, "in"))
        return false;
    parser->token += 2;
    *out = OPERATOR_NOT_IN;
    return true;
}

static int parse_comparison(Parser *parser, Node **out) {
    if (parse_binary(parser, 0, out))
        return -1;
    Operator op;
    Node *compare = NULL, **tail = NULL;
    while (take_comparison(parser, &op)) {
        if (!compare) {
            compare = new_node_at(parser, NODE_COMPARE, *out, *out, NULL);
            tail = &compare->body;
            *out = compare;
        }
        *tail = new_node(parser, NODE_OPERAND);
        (*tail)->op = op;
        if (parse_binary(parser, 0, &(*tail)->a))
            return -1;
        tail = &(*tail)->next;
    }
    return 0;
}

static int parse_not(Parser *parser, Node **out) {
    if (!is_word(parser->token, "not"))
        return parse_comparison(parser, out);
    if (enter(parser))
        return -1;
    Node *node = new_node(parser, NODE_NOT);
    parser->token++;
    int status = parse_not(parser, &node->a);
    *out = node;
    parser->depth--;
    return status;
}

static int parse_logic(Parser *parser, bool is_or, Node **out) {
    if (is_or ? parse_logic(parser, false, out) : parse_not(parser, out))
        return -1;
    for (int n = 0; take_word(parser, is_or ? "or" : "and"); n++) {
        if (n > TEMPLATE_DEPTH_MAX)
            return fail(parser, "more than %d operators in a row", TEMPLATE_DEPTH_MAX);
        Node *node = new_node_at(parser, is_or ? NODE_OR : NODE_AND, *out, *out, NULL);
        if (is_or ? parse_logic(parser, false, &node->b) : parse_not(parser, &node->b))
            return -1;
        *out = node;
    }
    return 0;
}

static int parse_expression(Parser *parser, Node **out) {
    if (enter(parser) || parse_logic(parser, true, out))
        return -1;
    for (int n = 0; take_word(parser, "if"); n++) {
        if (n > TEMPLATE_DEPTH_MAX)
            return fail(parser, "too many conditions in a row");
        Node *node = new_node_at(parser, NODE_CONDITION, *out, *out, NULL);
        if (parse_logic(parser, true, &node->b))
            return -1;
        if (take_word(parser, "else") && parse_expression(parser, &node->c))
            return -1;
        *out = node;
    }
    parser->depth--;
    return 0;
}

static int expect_statement_end(Parser *parser) {
    if (parser->token->kind != TOKEN_STATEMENT_END)
        return fail(parser, "found %s where %%} was expected", token_text(parser->token));
    parser->token++;
    return 0;
}

static int parse_statements(Parser *parser, const char *until, Node **out);

/* "{% endX %}": the parser stands behind "{% " at a word among those that end a block. */
static int parse_if(Parser *parser, Node *node) {
    static const char ends[] = "elif else endif";
    if (parse_expression(parser, &node->a) || expect_statement_end(parser))
        return -1;
    if (parse_statements(parser, ends, &node->body))
        return -1;
    if (take_word(parser, "elif")) {
        node->other = new_node(parser, NODE_IF);
        if (enter(parser) || parse_if(parser, node->other))
            return -1;
        parser->depth--;
        return 0;
    }
    if (take_word(parser, "else") &&
        (expect_statement_end(parser) || parse_statements(parser, "endif", &node->other)))
        return -1;
    if (!take_word(parser, "endif"))
        return fail(parser, "found %s where endif was expected", token_text(parser->token));
    return expect_statement_end(parser);
}

static int parse_for(Parser *parser, Node *node) {
    if (expect_name(parser, &node->name, "a loop variable"))
        return -1;
    if (take_operator(parser, ",") && expect_name(parser, &node->name2, "a loop variable"))
        return -1;
    if (!take_word(parser, "in"))
        return fail(parser, "found %s where 'in' was expected", token_text(parser->token));
    if (parse_logic(parser, true, &node->a))
        return -1;
    if (take_word(parser, "if") && parse_expression(parser, &node->b))
        return -1;
    if (expect_statement_end(parser) || parse_statements(parser, "else endfor", &node->body))
        return -1;
    if (take_word(parser, "else") &&
        (expect_statement_end(parser) || parse_statements(parser, "endfor", &node->other)))
        return -1;
    if (!take_word(parser, "endfor"))
        return fail(parser, "found %s where endfor was expected", token_text(parser->token));
    return expect_statement_end(parser);
}

static int parse_set(Parser *parser, Node *node) {
    if (expect_name(parser, &node->name, "a name") || expect_operator(parser, "="))
        return -1;
    if (parse_expression(parser, &node->a))
        return -1;
    return expect_statement_end(parser);
}

static int parse_statement(Parser *parser, Node *node) {
    static const struct {
        const char *word;
        NodeKind kind;
        int (*parse)(Parser *parser, Node *node);
    } statements[] = {{"set", NODE_SET, parse_set}, {"if", NODE_IF, parse_if}, {"for", NODE_FOR, parse_for}};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!take_word(parser, statements[i].word))
            continue;
        node->kind = statements[i].kind;
        if (enter(parser) || statements[i].parse(parser, node))
            return -1;
        parser->depth--;
        return 0;
    }
    return fail(parser, "found %s where a statement (set, if, for) was expected", token_text(parser->token));
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
 * token.
 */
static int parse_statements(Parser *parser, const char *until, Node **out) {
    for (; parser->token->kind != TOKEN_END; out = &(*out)->next) {
        const Token *token = parser->token;
        if (token->kind == TOKEN_STATEMENT_BEGIN && is_one_of(token + 1, until)) {
            parser->token++;
            return 0;
        }
        *out = new_node(parser, NODE_TEXT);
        parser->token++;
        if (token->kind == TOKEN_TEXT) {
            (*out)->literal = value_string_n(token->text, token->bytes);
        } else if (token->kind == TOKEN_OUTPUT_BEGIN) {
            (*out)->kind = NODE_OUTPUT;
            if (parse_expression(parser, &(*out)->a))
                return -1;
            if (parser->token->kind != TOKEN_OUTPUT_END)
                return fail(parser, "found %s where }} was expected", token_text(parser->token));
            parser->token++;
        } else if (parse_statement(parser, *out)) {
            return -1;
        }
    }
    if (*until)
        return fail(parser, "the template ends inside a block; expected one of: %s", until);
    return 0;
}

int template_parse(const Node **out, Arena *arena, const Token *tokens, const char *where, Error *error) {
    Parser parser = {tokens, arena, where, 0, error};
    Node *statements = NULL;
    if (parse_statements(&parser, "", &statements))
        return -1;
    *out = statements;
    return 0;
}
