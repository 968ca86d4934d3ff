/* The `!function` hooks of task files that this program knows: each upstream Python function that a built-in
 * task names has a twin here. Nothing in a task file is ever executed. */
#ifndef ZEVAL_TASKS_FUNCTIONS_H
#define ZEVAL_TASKS_FUNCTIONS_H

#include "tasks/config.h"

/* The twin of FOLDER/module.name, where FOLDER is that of the file which names the function: "utils" is a
 * module of many tasks. As the profile has it; NULL if there is none. */
DocumentFunction *function_find(const char *folder, const char *name, Compat compat);

#endif
