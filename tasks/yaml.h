/* YAML text into values: block and flow mappings and lists, all scalar styles, plain scalars typed as null,
 * truth value, integer or float, and the tag `!function module.name`. Refused by name: anchors and aliases,
 * other tags, several documents, keys that are not strings, equal keys. */
#ifndef ZEVAL_TASKS_YAML_H
#define ZEVAL_TASKS_YAML_H

#include "tasks/value.h"

/* The file's root, a mapping. Every value and pair carries its line. `name` begins every message. */
int yaml_parse(Value *out, Arena *arena, const char *text, size_t bytes, const char *name, Error *error);

#endif
