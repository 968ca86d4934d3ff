/* What the parts of the template engine share: tokens (template_lex.c), the syntax tree (template_parse.c),
 * the renderer's state (template.c, template_eval.c), and the table of filters, tests and methods
 * (template_functions.c). */
#ifndef ZEVAL_TASKS_TEMPLATE_TREE_H
#define ZEVAL_TASKS_TEMPLATE_TREE_H

#include "tasks/template.h"

enum { TEMPLATE_DEPTH_MAX = 200, TEMPLATE_ARGUMENTS_MAX = 8, TEMPLATE_BYTES_MAX = 256 << 10 };

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
    NODE_TEXT,   /* literal */
    NODE_OUTPUT, /* a */
    NODE_SET,    /* name = a */
    NODE_IF,     /* if a then body, otherwise other */
    NODE_FOR,    /* for name (, name2) in a: body; if there was nothing: other */
    /* expressions */
    NODE_LITERAL,   /* literal */
    NODE_NAME,      /* name */
    NODE_LIST,      /* items in body */
    NODE_DICT,      /* keys in body, values in other */
    NODE_ATTRIBUTE, /* a.name */
    NODE_INDEX,     /* a[b] */
    NODE_SLICE,     /* a[b:c:other], each may be NULL */
    NODE_CALL,      /* a(arguments in body) */
    NODE_FILTER,    /* a|name(arguments in body) */
    NODE_TEST,      /* a is name */
    NODE_NOT,       /* not a */
    NODE_NEGATE,    /* -a */
    NODE_BINARY,    /* a op b */
    NODE_COMPARE,   /* a, then body: NODE_OPERANDs (op, a), all of which must hold pairwise */
    NODE_OPERAND,
    NODE_AND,      /* a and b */
    NODE_OR,       /* a or b */
    NODE_CONDITION /* a if b else c; c may be NULL */
} NodeKind;

typedef enum Operator {
    OPERATOR_ADD,
    OPERATOR_SUBTRACT,
    OPERATOR_MULTIPLY,
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
    const char *name, *name2;
    Value literal;
    Node *a, *b, *c;
    Node *body, *other; /* lists chained by next */
    Node *next;
};

struct Template {
    const char *where;
    const Node *statements;
};

int template_parse(const Node **out, Arena *arena, const Token *tokens, const char *where, Error *error);

/* A name that the template has set. */
typedef struct Binding Binding;
struct Binding {
    const char *name;
    Value value;
    Binding *next;
};

typedef struct Renderer {
    const Template *template;
    const Value *variables;
    Binding *bindings; /* names set by the template, innermost first */
    Arena *arena;
    Buffer *out;
    size_t steps, bytes; /* against runaway templates */
    int depth;
    Error *error;
} Renderer;

/* "WHERE: line L, column C: ..." into the renderer's error; returns -1. */
int template_fail(Renderer *renderer, const Node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Counts a step, and bytes of text or items made; -1 when there are too many. */
int template_step(Renderer *renderer, const Node *node);
int template_spend(Renderer *renderer, const Node *node, size_t bytes);

/* An expression's value, which may be undefined / may not be. */
int template_evaluate_node(Renderer *renderer, const Node *node, Value *out);
int template_evaluate_defined(Renderer *renderer, const Node *node, Value *out);
/* What a loop goes over, as a list: a list's items, a string's characters, a mapping's keys. */
int template_items(Renderer *renderer, const Node *node, const Value *source, Value *out);

/* Filters take the piped value as subject, methods the object; tests and functions likewise. */
typedef int TemplateFunction(Renderer *renderer, const Node *node, const Value *subject,
                             const Value *arguments, size_t n_arguments, Value *out);
int template_filter(Renderer *renderer, const Node *node, const Value *subject, const Value *arguments,
                    size_t n_arguments, Value *out);
int template_method(Renderer *renderer, const Node *node, const Value *subject, const char *name,
                    const Value *arguments, size_t n_arguments, Value *out);
int template_test(Renderer *renderer, const Node *node, const Value *subject, bool *out);
/* True if a value of that kind has a method of that name. */
bool template_has_method(ValueKind kind, const char *name);
/* For the parser: unknown names are found when a template is compiled. */
bool template_knows_filter(const char *name);
bool template_knows_test(const char *name);

#endif
