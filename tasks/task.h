/* What an open task holds; shared by the files that open it (task_set.c), draw its examples (fewshot.c) and
 * build its documents (build.c). Never changed once open, so documents can be built from several threads. */
#ifndef ZEVAL_TASKS_TASK_H
#define ZEVAL_TASKS_TASK_H

#include "tasks/config.h"
#include "tasks/dataset.h"
#include "tasks/tasks.h"

/* A compiled chat template (chat.c). */
typedef struct Chat Chat;

struct Task {
    const Value *keys; /* of its file, with what groups override */
    const Chat *chat;  /* NULL: plain text */
    bool multiturn;    /* of a chat: examples are turns of their own */
    TaskInfo info;
    TaskConfig config;
    const char *system_instruction; /* "" if none */
    bool many_contexts;   /* the first document's text is a number: the choices of all are their contexts */
    const Dataset *data;  /* the evaluated split */
    const size_t *chosen; /* [n_documents] which rows are asked about; NULL: the first ones */
    const Dataset *pool;  /* what examples are drawn from; NULL with no examples */
    size_t n_dropped;     /* examples at the beginning that are left out (task_document_dropping) */
    size_t *draws; /* [n_documents][num_fewshot] indices into pool; SIZE_MAX where an example fell away */
};

/* A row as prompts see it: with process_docs applied, if the task has it. */
int task_process(const Task *task, const Value *row, Arena *arena, Value *out, Error *error);
/* An example as prompts see it. */
int pool_document(const Task *task, size_t index, Arena *arena, Value *out, Error *error);
/* Name of the split that examples come from; NULL if the task has literal samples. */
const char *fewshot_split(const TaskConfig *config);
/* Whether documents get examples: a text that is scored as it is has none, whatever info.num_fewshot says. */
bool task_has_examples(const Task *task);
/* Draws the examples of all documents, in their order, as lm-eval draws them with that seed.
 * info.num_fewshot, info.n_documents, data and pool, not packed, must be set. */
int fewshot_draw(Task *task, uint64_t seed, Arena *arena, Error *error);

#endif
