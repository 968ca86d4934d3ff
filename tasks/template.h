/* Templates: the part of Jinja that task files and chat templates use, with Jinja's meaning. A template is
 * compiled once and rendered for many documents, from several threads at a time. */
#ifndef ZEVAL_TASKS_TEMPLATE_H
#define ZEVAL_TASKS_TEMPLATE_H

#include "base/error.h"
#include "base/memory.h"
#include "tasks/value.h"

typedef struct Template Template;

/* Whose settings of Jinja. */
typedef enum TemplateStyle {
    TEMPLATE_TASK,        /* lm-eval's for task files: an undefined name is an error */
    TEMPLATE_TASK_V0_4_0, /* the same, and a newline that ends the template goes */
    TEMPLATE_CHAT /* transformers' for chat templates: lines with nothing but a block vanish, an undefined
                   * name is empty, and there are raise_exception, strftime_now and {% generation %} */
} TemplateStyle;

/* Compiles text into arena, which must outlive the template. `where` ("arc_easy.yaml: doc_to_text") begins
 * every message about it, followed by line and column inside the template. */
int template_compile(const Template **out, Arena *arena, const char *text, TemplateStyle style,
                     const char *where, Error *error);

/* Compiles a chat template. `date`, YYYY-MM-DD, is what its strftime_now shows; NULL stands for 2024-07-26,
 * so that what a template makes does not change from day to day. */
int template_compile_chat(const Template **out, Arena *arena, const char *text, const char *date,
                          const char *where, Error *error);

/* Renders with the items of the dict `variables` as names. The string lives in arena. A render that takes
 * more than 10 million steps or makes more than 64 MiB of text is an error. */
int template_render(const Template *template, const Value *variables, Arena *arena, Value *out, Error *error);

/* True if the template is one {{ expression }} with no text around it; then template_evaluate gives the
 * expression's value itself instead of its printed form. */
bool template_is_expression(const Template *template);
int template_evaluate(const Template *template, const Value *variables, Arena *arena, Value *out,
                      Error *error);

#endif
