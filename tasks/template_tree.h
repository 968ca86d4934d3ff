/* What the parts of the template engine share: tokens (template_lex.c), the syntax tree (template_parse.c,
 * template_statements.c), the renderer's state (template.c, template_eval.c, template_operators.c,
 * template_objects.c), and the tables of filters, tests, methods and functions (template_filters.c,
 * template_methods.c, template_tests.c, template_calls.c). */
#ifndef ZEVAL_TASKS_TEMPLATE_TREE_H
#define ZEVAL_TASKS_TEMPLATE_TREE_H

#include <time.h>

#include "tasks/template.h"

enum { TEMPLATE_DEPTH_MAX = 200, TEMPLATE_ARGUMENTS_MAX = 16, TEMPLATE_BYTES_MAX = 256 << 10 };

typedef enum TokenKind {
    TOKEN_TEXT,
    TOKEN_OUTPUT_BEGIN,    /* {{ */
    TOKEN_OUTPUT_END,      /* }} */
    TOKEN_STATEMENT_BEGIN, /* {% */
    TOKEN_STATEMENT_END,   /* %} */
    TOKEN_NAME,
    TOKEN_LITERAL,  /* a string or a number */
    TOKEN_OPERATOR, /* text is one of the operators */
    TOKEN_END
} TokenKind;

typedef struct Token {
    TokenKind kind;
    uint32_t line, column;
    const char *text; /* TEXT, NAME, OPERATOR */
    size_t bytes;
    Value literal;
} Token;

/* Cuts a whole template into tokens, the last of which is TOKEN_END. *tokens is allocated in arena. */
int template_lex(Token **tokens, size_t *n, Arena *arena, const char *text, TemplateStyle style,
                 const char *where, Error *error);

typedef enum NodeKind {
    /* statements, chained by next */
    NODE_TEXT,     /* literal */
    NODE_OUTPUT,   /* a */
    NODE_SET,      /* targets in c = a */
    NODE_IF,       /* if a then body, otherwise other */
    NODE_FOR,      /* for targets in c in a (if b): body; if there was nothing: other; recursive */
    NODE_MACRO,    /* name, parameters in c (names, defaults in a): body */
    NODE_SCOPE,    /* body with names of its own; targets in c, each with its value in a */
    NODE_BREAK,    /* out of the loop */
    NODE_CONTINUE, /* on with the loop */
    /* expressions */
    NODE_LITERAL,   /* literal */
    NODE_NAME,      /* name */
    NODE_LIST,      /* items in body; recursive: a tuple */
    NODE_DICT,      /* keys in body, values in other */
    NODE_ATTRIBUTE, /* a.name */
    NODE_INDEX,     /* a[b] */
    NODE_SLICE,     /* a[b:c:other], each may be NULL */
    NODE_CALL,      /* a(arguments in body); caller in c: NODE_MACRO */
    NODE_FILTER,    /* a|name(arguments in body) */
    NODE_TEST,      /* a is name(arguments in body) */
    NODE_CAPTURE,   /* what the statements in body print */
    NODE_NOT,       /* not a */
    NODE_NEGATE,    /* -a */
    NODE_POSITIVE,  /* +a */
    NODE_BINARY,    /* a op b */
    NODE_COMPARE,   /* a, then body: NODE_OPERANDs (op, a), all of which must hold pairwise */
    NODE_OPERAND,
    NODE_AND,       /* a and b */
    NODE_OR,        /* a or b */
    NODE_CONDITION, /* a if b else c; c may be NULL */
    NODE_KEYWORD,   /* in arguments: name = a */
    NODE_UNPACK     /* in arguments: *a, or if recursive **a */
} NodeKind;

typedef enum Operator {
    OPERATOR_ADD,
    OPERATOR_SUBTRACT,
    OPERATOR_MULTIPLY,
    OPERATOR_POWER,
    OPERATOR_DIVIDE,
    OPERATOR_FLOOR_DIVIDE,
    OPERATOR_REMAINDER,
    OPERATOR_CONCAT,
    OPERATOR_EQUAL,
    OPERATOR_NOT_EQUAL,
    OPERATOR_LESS,
    OPERATOR_LESS_EQUAL,
    OPERATOR_GREATER,
    OPERATOR_GREATER_EQUAL,
    OPERATOR_IN,
    OPERATOR_NOT_IN
} Operator;

typedef struct Node Node;
struct Node {
    NodeKind kind;
    Operator op;
    uint32_t line, column;
    const char *name;
    Value literal;
    bool recursive;
    Node *a, *b, *c;
    Node *body, *other; /* lists chained by next */
    Node *next;
};

struct Template {
    const char *where;
    TemplateStyle style;
    const Node *statements;
    struct tm date;
};

/* ---- the parser: template_parse.c has the expressions, template_statements.c the statements */

typedef struct Parser {
    const Token *token; /* the next one; never behind TOKEN_END */
    Arena *arena;
    const char *where;
    TemplateStyle style;
    int depth, loops; /* loops: those around the next token */
    Error *error;
} Parser;

int parser_fail(Parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *parser_found(const Parser *parser); /* the next token, for messages */
Node *parser_node(Parser *parser, NodeKind kind);
bool parser_take_operator(Parser *parser, const char *text);
bool parser_take_word(Parser *parser, const char *text);
int parser_expect_operator(Parser *parser, const char *text);
int parser_expect_name(Parser *parser, const char **out, const char *what);
int parser_enter(Parser *parser);
/* An expression; with_tuple: one or more, apart by commas; with_condition: `a if b else c` too. */
int parser_expression(Parser *parser, Node **out);
int parser_tuple(Parser *parser, bool with_condition, Node **out);
/* "|name(...)|name..." behind *node. */
int parser_filters(Parser *parser, Node **node);
/* Arguments behind an opening parenthesis, chained by next. */
int parser_arguments(Parser *parser, Node **out);
int template_parse(const Node **out, Arena *arena, const Token *tokens, TemplateStyle style,
                   const char *where, Error *error);

/* ---- rendering */

/* A name that the template has set. */
typedef struct Binding Binding;
struct Binding {
    const char *name;
    Value value;
    Binding *next;
};

/* The names of one block; a loop's and a macro's bodies have their own. */
typedef struct Scope Scope;
struct Scope {
    Binding *bindings;
    Scope *outer;
};

typedef enum Flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } Flow;

/* What a call was given. */
typedef struct Arguments {
    Value values[TEMPLATE_ARGUMENTS_MAX];
    const char *names[TEMPLATE_ARGUMENTS_MAX]; /* NULL: by position; these come first */
    size_t n, n_positional;
} Arguments;

typedef struct Renderer {
    const Template *template;
    const Value *variables;
    Scope *scope;
    Arena *arena;
    Buffer *out;
    size_t steps, bytes; /* against runaway templates */
    int depth;
    Flow flow;
    Error *error;
} Renderer;

/* "WHERE: line L, column C: ..." into the renderer's error; returns -1. */
int template_fail(Renderer *renderer, const Node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Counts a step, and bytes of text or items made; -1 when there are too many. */
int template_step(Renderer *renderer, const Node *node);
int template_spend(Renderer *renderer, const Node *node, size_t bytes);
/* Counts all that a new list or mapping holds. */
int template_spend_value(Renderer *renderer, const Node *node, const Value *value);

int template_render_all(Renderer *renderer, const Node *statements);
/* What the statements print, in a scope of its own inside `outer`. */
int template_capture(Renderer *renderer, Scope *outer, Binding *bindings, const Node *statements, Value *out);
void template_bind(Renderer *renderer, Scope *scope, const char *name, Value value);
/* Binds targets, which are names or attributes of namespaces, to a value or to its items. */
int template_assign(Renderer *renderer, const Node *node, const Node *targets, const Value *value);

/* A value that is not there. One that a chat template asks for may be used as something empty; of a task's
 * template it may only be asked whether it is defined. */
Value template_undefined(const Renderer *renderer, const char *what);
/* An expression's value, which may be undefined / may be undefined if it may be used / may not be. */
int template_evaluate_node(Renderer *renderer, const Node *node, Value *out);
int template_evaluate_usable(Renderer *renderer, const Node *node, Value *out);
int template_evaluate_defined(Renderer *renderer, const Node *node, Value *out);
int template_evaluate_arguments(Renderer *renderer, const Node *list, Arguments *out);
/* What a loop goes over, as a list: a list's items, a string's characters, a mapping's keys. */
int template_items(Renderer *renderer, const Node *node, const Value *source, Value *out);
/* Byte offset of character i in a text, or the text's end if it has no more than i. */
size_t template_char_offset(const Value *text, int64_t i);
/* object.name and object[key], undefined if there is none. */
Value template_attribute(Renderer *renderer, const Value *object, const char *name);
Value template_item(Renderer *renderer, const Value *object, const Value *key);

/* template_operators.c */
int template_binary(Renderer *renderer, const Node *node, Operator op, const Value *a, const Value *b,
                    Value *out);
int template_compare(Renderer *renderer, const Node *node, Operator op, const Value *a, const Value *b,
                     bool *out);
/* Python's "text % values" and "text".format(values). */
int template_format_percent(Renderer *renderer, const Node *node, const Value *format, const Value *values,
                            size_t n, Value *out);
int template_format_braces(Renderer *renderer, const Node *node, const Value *format,
                           const Arguments *arguments, Value *out);

/* Filters take the piped value as subject, methods the object. Arguments come in the order of the parameters;
 * one that was not given is VALUE_UNDEFINED, and n is the number of the last one given. */
typedef int TemplateFunction(Renderer *renderer, const Node *node, const Value *subject,
                             const Value *arguments, size_t n_arguments, Value *out);
/* One that takes what comes. */
typedef int TemplateRawFunction(Renderer *renderer, const Node *node, const Value *subject,
                                const Arguments *arguments, Value *out);

/* Puts arguments into the order of the parameters, which are apart by commas, all but the first n_required of
 * them optional. `what` is for messages. */
int template_order(Renderer *renderer, const Node *node, const char *what, const char *parameters,
                   size_t n_required, const Arguments *given, Value *ordered, size_t *n);

int template_filter(Renderer *renderer, const Node *node, const char *name, const Value *subject,
                    const Arguments *arguments, Value *out);
int template_method(Renderer *renderer, const Node *node, const Value *subject, const char *name,
                    const Arguments *arguments, Value *out);
int template_test(Renderer *renderer, const Node *node, const char *name, const Value *subject,
                  const Arguments *arguments, bool *out);
/* Methods that filters are, too. */
TemplateFunction template_lower, template_upper, template_capitalize, template_strip, template_replace;
/* Filters that others use: "items", "escape", and an item's attribute by a name that may have dots in it,
 * with a value for what is not there; the item itself if there is no name. */
TemplateFunction template_pairs, template_escape;
int template_item_attribute(Renderer *renderer, const Node *node, const Value *item, const Value *path,
                            const Value *otherwise, Value *out);
/* template_sorting.c */
TemplateFunction template_sort, template_dictsort, template_min, template_max, template_unique,
    template_groupby;
/* template_more_filters.c */
TemplateFunction template_batch, template_slice, template_center, template_truncate, template_urlencode,
    template_regex_replace;
/* template_more_methods.c: methods of strings */
TemplateFunction template_find, template_rfind, template_index, template_rindex, template_count,
    template_startswith, template_endswith, template_center_method, template_casefold, template_swapcase,
    template_istitle, template_isascii, template_expandtabs;
/* Byte offset of the last occurrence; -1 if there is none. */
ptrdiff_t template_find_last(const Value *text, const Value *part);
int template_expect_string(Renderer *renderer, const Node *node, const Value *value);
/* Where the line that begins at `at` ends, as str.splitlines has it, and in *next where the one behind it
 * begins: \r\n is one end, and without an end *next is the text's size. */
size_t template_line_end(const Value *text, size_t at, size_t *next);
/* True if a value of that kind has a method of that name. */
bool template_has_method(ValueKind kind, const char *name);
/* For the parser: unknown names are found when a template is compiled. */
bool template_knows_filter(const char *name);
bool template_knows_test(const char *name);

/* JSON as Python's json.dumps writes it; indent below 0: one line. separators NULL: Python's. */
typedef struct JsonStyle {
    bool ascii, sort_keys, html; /* html: < > & ' as escapes, as Jinja's own filter has it */
    int64_t indent;
    const char *between_items, *behind_key;
} JsonStyle;
int template_json(Renderer *renderer, const Node *node, const Value *value, const JsonStyle *style,
                  Buffer *out);

/* ---- objects (template_objects.c): what VALUE_OBJECT points to */

typedef enum ObjectKind {
    OBJECT_NAMESPACE,
    OBJECT_MACRO,
    OBJECT_LOOP,
    OBJECT_METHOD,
    OBJECT_GLOBAL
} ObjectKind;

typedef struct TemplateObject {
    ObjectKind kind;
    const char *name;  /* of a method or a global function */
    Binding *fields;   /* of a namespace */
    const Node *node;  /* the macro or the loop */
    Scope *scope;      /* where it was defined */
    Value subject;     /* a method's; a loop's items */
    size_t index;      /* of a loop, the next six: where it is */
    int level;         /* how many loops of its own it is in */
    Value last_change; /* what changed() saw; VALUE_UNDEFINED: nothing yet */
} TemplateObject;

Value template_object(Renderer *renderer, TemplateObject object);
TemplateObject *template_as_object(const Value *value, ObjectKind kind); /* NULL if it is none of that kind */
Value template_object_attribute(Renderer *renderer, TemplateObject *object, const char *name);
/* Calls a macro, a method, a global function or a recursive loop. */
int template_call(Renderer *renderer, const Node *node, const Value *callee, const Arguments *arguments,
                  Value *out);
/* The global function of that name, VALUE_UNDEFINED if there is none. */
Value template_global(Renderer *renderer, const char *name);
/* Goes over the items with the loop's body. */
int template_loop(Renderer *renderer, const Node *node, Scope *scope, const Value *items, int level);

#endif
