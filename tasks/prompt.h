/* How a document becomes what a model reads: a turn of question and answer (turn.c), and the context with all
 * that stands before the question (context.c). */
#ifndef ZEVAL_TASKS_PROMPT_H
#define ZEVAL_TASKS_PROMPT_H

#include "tasks/config.h"
#include "tasks/task.h"

/* What a prompt's sources say about one document. */
typedef struct Turn {
    Value text;    /* a string, or the number of a choice, which may be none of them */
    Value target;  /* a string, an integer or a list */
    Value choices; /* a list of strings; null if the task has none */
    Value prefix;  /* a string: how the answer begins; empty if the task does not say */
} Turn;

int turn_read(const Prompt *prompt, const Value *document, Arena *arena, Turn *turn, Error *error);
/* The question that a few-shot example shows, a string: the text, or the choice that it numbers. */
int turn_question(const Turn *turn, Value *out, Error *error);
/* The answer that it shows, a string. v0.4.0 shows the first of several as it is, even where it numbers a
 * choice. */
int turn_answer(const Turn *turn, Compat compat, Arena *arena, Value *out, Error *error);
/* The raw value of a source: a column, a rendered template (*rendered is true), a literal, or what a function
 * gives. */
int source_value(const Source *source, const Value *document, Arena *arena, Value *out, bool *rendered,
                 Error *error);

/* Compiles a chat template with what it is rendered with; all of it lives in arena. */
int chat_open(const Chat **out, Arena *arena, const TaskChat *settings, Error *error);
/* Renders messages, a list of mappings with role and content. With generation_prompt the assistant's turn is
 * begun; without, the text ends behind the last message's. A template that refuses a system message is asked
 * again without one, as upstream does. The string lives in arena. */
int chat_render(const Chat *chat, const Value *messages, bool generation_prompt, Arena *arena, Value *out,
                Error *error);

/* The contexts of document i of the task, whose own turn is `turn`: one, or where the choices are the
 * contexts one for each; strings in arena. */
int context_build(const Task *task, size_t i, const Value *document, const Turn *turn, Arena *arena,
                  const char *const **out, Error *error);

#endif
