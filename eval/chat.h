/* A model's chat template, as its files have it. */
#ifndef ZEVAL_EVAL_CHAT_H
#define ZEVAL_EVAL_CHAT_H

#include "base/error.h"

/* All strings are new; free with chat_template_free. */
typedef struct ChatTemplate {
    char *source, *name; /* name NULL: the only or the default one */
    char *bos_token, *eos_token;
    char *variables; /* the other special tokens, a JSON object */
} ChatTemplate;

/* Reads the template of a model that zoo_resolve understands, or of a folder with tokenizer files, in
 * transformers' order: chat_template.jinja (for a name additional_chat_templates/NAME.jinja),
 * chat_template.json, and the key chat_template of tokenizer_config.json, which is a string or a list of
 * named ones, of which "default" is taken if no name is asked for. A model without a template, or without one
 * of that name, is ERROR_USAGE and the message says which there are. */
int chat_template_read(ChatTemplate *out, const char *model, const char *name, Error *error);
void chat_template_free(ChatTemplate *chat);

#endif
