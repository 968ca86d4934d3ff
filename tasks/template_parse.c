/* Tokens into a syntax tree, by recursive descent with Jinja's precedence: condition, or, and, not,
 * comparison,
 * + and -, ~, * / // %, unary minus, then postfix (. [] ()), filters and tests. `depth` bounds the recursion.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tasks/template_tree.h"

int parser_fail(Parser *parser, const char *format, ...) {
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

Node *parser_node(Parser *parser, NodeKind kind) {
    Node *node = arena_alloc(parser->arena, sizeof *node);
    node->kind = kind;
    node->line = parser->token->line;
    node->column = parser->token->column;
    return node;
}

const char *parser_found(const Parser *parser) {
    return token_text(parser->token);
}

/* A node that stands where `at` stands: for operators behind their first operand. */
static Node *new_node_at(Parser *parser, NodeKind kind, const Node *at, Node *a, Node *b) {
    Node *node = parser_node(parser, kind);
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
bool parser_take_operator(Parser *parser, const char *text) {
    if (!is_operator(parser->token, text))
        return false;
    parser->token++;
    return true;
}
bool parser_take_word(Parser *parser, const char *text) {
    if (!is_word(parser->token, text))
        return false;
    parser->token++;
    return true;
}

int parser_expect_operator(Parser *parser, const char *text) {
    if (parser_take_operator(parser, text))
        return 0;
    return parser_fail(parser, "found %s where '%s' was expected", parser_found(parser), text);
}

int parser_expect_name(Parser *parser, const char **out, const char *what) {
    if (parser->token->kind != TOKEN_NAME)
        return parser_fail(parser, "found %s where %s was expected", parser_found(parser), what);
    *out = (parser->token++)->text;
    return 0;
}

int parser_enter(Parser *parser) {
    if (++parser->depth > TEMPLATE_DEPTH_MAX)
        return parser_fail(parser, "the expression is nested deeper than %d levels", TEMPLATE_DEPTH_MAX);
    return 0;
}

static int parse_unary(Parser *parser, bool with_filters, Node **out);
static int parse_postfix(Parser *parser, Node **node);
static int parse_primary(Parser *parser, Node **out);

/* Expressions up to the closing bracket, chained by next. */
static int parse_list(Parser *parser, const char *close, Node **out) {
    while (!parser_take_operator(parser, close)) {
        if (parser_expression(parser, out))
            return -1;
        out = &(*out)->next;
        if (parser_take_operator(parser, ","))
            continue;
        return parser_expect_operator(parser, close);
    }
    return 0;
}

static int parse_argument(Parser *parser, bool after_keyword, Node **out) {
    bool by_name = parser_take_operator(parser, "**");
    if (by_name || parser_take_operator(parser, "*")) {
        *out = parser_node(parser, NODE_UNPACK);
        (*out)->recursive = by_name;
        return parser_expression(parser, &(*out)->a);
    }
    if (parser->token->kind != TOKEN_NAME || !is_operator(parser->token + 1, "=")) {
        if (after_keyword)
            return parser_fail(parser, "an argument by position behind one by name");
        return parser_expression(parser, out);
    }
    *out = parser_node(parser, NODE_KEYWORD);
    (*out)->name = parser->token->text;
    parser->token += 2;
    return parser_expression(parser, &(*out)->a);
}

int parser_arguments(Parser *parser, Node **out) {
    bool after_keyword = false;
    for (size_t n = 0; !parser_take_operator(parser, ")"); n++) {
        if (n == TEMPLATE_ARGUMENTS_MAX)
            return parser_fail(parser, "more than %d arguments", TEMPLATE_ARGUMENTS_MAX);
        if (parse_argument(parser, after_keyword, out))
            return -1;
        after_keyword = (*out)->kind == NODE_KEYWORD || ((*out)->kind == NODE_UNPACK && (*out)->recursive);
        out = &(*out)->next;
        if (!parser_take_operator(parser, ","))
            return parser_expect_operator(parser, ")");
    }
    return 0;
}

static int parse_dict(Parser *parser, Node *dict) {
    Node **key = &dict->body, **value = &dict->other;
    while (!parser_take_operator(parser, "}")) {
        if (parser_expression(parser, key) || parser_expect_operator(parser, ":") ||
            parser_expression(parser, value))
            return -1;
        key = &(*key)->next;
        value = &(*value)->next;
        if (parser_take_operator(parser, ","))
            continue;
        return parser_expect_operator(parser, "}");
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

/* Brackets: an expression, or a tuple. */
static int parse_parenthesis(Parser *parser, Node **out) {
    Node *list = parser_node(parser, NODE_LIST);
    if (!is_operator(parser->token, ")") && parser_expression(parser, &list->body))
        return -1;
    if (list->body && parser_take_operator(parser, ")")) {
        *out = list->body;
        return 0;
    }
    *out = list;
    list->recursive = true;
    if (!list->body)
        return parser_expect_operator(parser, ")");
    if (parser_expect_operator(parser, ","))
        return -1;
    return parse_list(parser, ")", &list->body->next);
}

static int parse_primary(Parser *parser, Node **out) {
    const Token *token = parser->token;
    Node *node = parser_node(parser, NODE_LITERAL);
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
    if (parser_take_operator(parser, "("))
        return parse_parenthesis(parser, out);
    if (parser_take_operator(parser, "[")) {
        node->kind = NODE_LIST;
        return parse_list(parser, "]", &node->body);
    }
    if (parser_take_operator(parser, "{")) {
        node->kind = NODE_DICT;
        return parse_dict(parser, node);
    }
    return parser_fail(parser, "found %s where an expression was expected", token_text(token));
}

static int parse_subscript(Parser *parser, Node *node) {
    Node **parts[] = {&node->b, &node->c, &node->other};
    for (int i = 0; i < 3; i++) {
        if (!is_operator(parser->token, ":") && !is_operator(parser->token, "]") &&
            parser_expression(parser, parts[i]))
            return -1;
        if (i == 2 || !parser_take_operator(parser, ":"))
            break;
        node->kind = NODE_SLICE;
    }
    if (node->kind == NODE_INDEX && !node->b)
        return parser_fail(parser, "an empty subscript");
    return parser_expect_operator(parser, "]");
}

static int parse_call(Parser *parser, Node **node) {
    *node = new_node_at(parser, NODE_CALL, *node, *node, NULL);
    return parser_arguments(parser, &(*node)->body);
}

static int parse_postfix(Parser *parser, Node **node) {
    for (int n = 0;; n++) {
        int status = 0;
        if (n > TEMPLATE_DEPTH_MAX)
            return parser_fail(parser, "too many subscripts in a row");
        if (parser_take_operator(parser, ".")) {
            *node = new_node_at(parser, NODE_ATTRIBUTE, *node, *node, NULL);
            if (parser->token->kind == TOKEN_LITERAL && parser->token->literal.kind == VALUE_INT) {
                (*node)->kind = NODE_INDEX;
                status = parse_primary(parser, &(*node)->b);
            } else {
                status = parser_expect_name(parser, &(*node)->name, "a name");
            }
        } else if (parser_take_operator(parser, "[")) {
            *node = new_node_at(parser, NODE_INDEX, *node, *node, NULL);
            status = parse_subscript(parser, *node);
        } else if (parser_take_operator(parser, "(")) {
            status = parse_call(parser, node);
        } else {
            return 0;
        }
        if (status)
            return -1;
    }
}

static int parse_filter(Parser *parser, Node **node) {
    *node = new_node_at(parser, NODE_FILTER, *node, *node, NULL);
    const Token *name = parser->token;
    if (parser_expect_name(parser, &(*node)->name, "a filter's name"))
        return -1;
    if (!template_knows_filter((*node)->name)) {
        parser->token = name;
        return parser_fail(parser, "there is no filter '%s'", (*node)->name);
    }
    if (!parser_take_operator(parser, "("))
        return 0;
    return parser_arguments(parser, &(*node)->body);
}

int parser_filters(Parser *parser, Node **node) {
    for (int n = 0; parser_take_operator(parser, "|"); n++)
        if (n > TEMPLATE_DEPTH_MAX)
            return parser_fail(parser, "too many filters in a row");
        else if (parse_filter(parser, node))
            return -1;
    return 0;
}

/* True if an argument without parentheses may follow a test's name: `is divisibleby 3`. */
static bool begins_operand(const Token *token) {
    static const char *const words[] = {"else", "or", "and"};
    if (token->kind == TOKEN_LITERAL)
        return true;
    if (token->kind == TOKEN_OPERATOR)
        return strcmp(token->text, "[") == 0 || strcmp(token->text, "{") == 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(token, words[i]))
            return false;
    return token->kind == TOKEN_NAME;
}

static int parse_test_arguments(Parser *parser, Node *test) {
    if (parser_take_operator(parser, "("))
        return parser_arguments(parser, &test->body);
    if (!begins_operand(parser->token))
        return 0;
    return parse_primary(parser, &test->body) || parse_postfix(parser, &test->body) ? -1 : 0;
}

static int parse_test(Parser *parser, Node **node) {
    bool negated = parser_take_word(parser, "not");
    Node *test = new_node_at(parser, NODE_TEST, *node, *node, NULL);
    const Token *name = parser->token;
    if (parser_take_word(parser, "in"))
        test->name = "in";
    else if (parser_expect_name(parser, &test->name, "a test's name"))
        return -1;
    if (!template_knows_test(test->name)) {
        parser->token = name;
        return parser_fail(parser, "there is no test '%s'", test->name);
    }
    *node = negated ? new_node_at(parser, NODE_NOT, test, test, NULL) : test;
    return parse_test_arguments(parser, test);
}

/* Postfixes behind an operand, then filters and tests, of which only calls may follow: as in Jinja, a dot or
 * a bracket behind a filter needs parentheses around what is before it. */
static int parse_suffixes(Parser *parser, Node **node) {
    if (parse_postfix(parser, node))
        return -1;
    for (int n = 0;; n++) {
        if (n > TEMPLATE_DEPTH_MAX)
            return parser_fail(parser, "too many filters in a row");
        int status;
        if (parser_take_operator(parser, "|"))
            status = parse_filter(parser, node);
        else if (parser_take_word(parser, "is"))
            status = parse_test(parser, node);
        else if (parser_take_operator(parser, "("))
            status = parse_call(parser, node);
        else
            return 0;
        if (status)
            return -1;
    }
}

/* A minus takes its operand without filters: -n|string is (-n)|string. */
static int parse_unary(Parser *parser, bool with_filters, Node **out) {
    if (parser_enter(parser))
        return -1;
    int status;
    Node *node = parser_node(parser, NODE_NEGATE);
    if (parser_take_operator(parser, "-")) {
        status = parse_unary(parser, false, &node->a);
        *out = node;
    } else if (parser_take_operator(parser, "+")) {
        node->kind = NODE_POSITIVE;
        status = parse_unary(parser, false, &node->a);
        *out = node;
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

static const BinaryLevel binary_levels[] = {{"+", OPERATOR_ADD, 0},       {"-", OPERATOR_SUBTRACT, 0},
                                            {"~", OPERATOR_CONCAT, 1},    {"*", OPERATOR_MULTIPLY, 2},
                                            {"/", OPERATOR_DIVIDE, 2},    {"//", OPERATOR_FLOOR_DIVIDE, 2},
                                            {"%", OPERATOR_REMAINDER, 2}, {"**", OPERATOR_POWER, 3}};

static int parse_binary(Parser *parser, int level, Node **out) {
    if (level > 3)
        return parse_unary(parser, true, out);
    if (parse_binary(parser, level + 1, out))
        return -1;
    for (size_t n = 0, i = 0; i < sizeof binary_levels / sizeof *binary_levels; i++) {
        if (binary_levels[i].level != level || !parser_take_operator(parser, binary_levels[i].symbol))
            continue;
        if (++n > TEMPLATE_DEPTH_MAX)
            return parser_fail(parser, "more than %d operators in a row", TEMPLATE_DEPTH_MAX);
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
        if (parser_take_operator(parser, symbols[i].symbol))
            return true;
    }
    *out = OPERATOR_IN;
    if (parser_take_word(parser, "in"))
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
        *tail = parser_node(parser, NODE_OPERAND);
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
    if (parser_enter(parser))
        return -1;
    Node *node = parser_node(parser, NODE_NOT);
    parser->token++;
    int status = parse_not(parser, &node->a);
    *out = node;
    parser->depth--;
    return status;
}

static int parse_logic(Parser *parser, bool is_or, Node **out) {
    if (is_or ? parse_logic(parser, false, out) : parse_not(parser, out))
        return -1;
    for (int n = 0; parser_take_word(parser, is_or ? "or" : "and"); n++) {
        if (n > TEMPLATE_DEPTH_MAX)
            return parser_fail(parser, "more than %d operators in a row", TEMPLATE_DEPTH_MAX);
        Node *node = new_node_at(parser, is_or ? NODE_OR : NODE_AND, *out, *out, NULL);
        if (is_or ? parse_logic(parser, false, &node->b) : parse_not(parser, &node->b))
            return -1;
        *out = node;
    }
    return 0;
}

static int parse_condition(Parser *parser, bool with_condition, Node **out) {
    if (parser_enter(parser) || parse_logic(parser, true, out))
        return -1;
    for (int n = 0; with_condition && parser_take_word(parser, "if"); n++) {
        if (n > TEMPLATE_DEPTH_MAX)
            return parser_fail(parser, "too many conditions in a row");
        Node *node = new_node_at(parser, NODE_CONDITION, *out, *out, NULL);
        if (parse_logic(parser, true, &node->b))
            return -1;
        if (parser_take_word(parser, "else") && parser_expression(parser, &node->c))
            return -1;
        *out = node;
    }
    parser->depth--;
    return 0;
}

int parser_expression(Parser *parser, Node **out) {
    return parse_condition(parser, true, out);
}

int parser_tuple(Parser *parser, bool with_condition, Node **out) {
    if (parse_condition(parser, with_condition, out))
        return -1;
    if (!is_operator(parser->token, ","))
        return 0;
    Node *list = new_node_at(parser, NODE_LIST, *out, NULL, NULL), **item = &(*out)->next;
    list->body = *out;
    list->recursive = true;
    *out = list;
    while (parser_take_operator(parser, ",")) {
        TokenKind kind = parser->token->kind;
        if (kind == TOKEN_STATEMENT_END || kind == TOKEN_OUTPUT_END)
            break;
        if (parse_condition(parser, with_condition, item))
            return -1;
        item = &(*item)->next;
    }
    return 0;
}
