/* YAML text into values as PyYAML reads it: block and flow mappings and lists, all scalar styles, plain
 * scalars typed as null, truth value, integer or float (dates and times are text as Python prints them),
 * anchors, aliases and merge keys (<<), and the tag `!function module.name`. Refused by name: other tags,
 * several documents, keys that are not strings, values that contain themselves. */
#ifndef ZEVAL_TASKS_YAML_H
#define ZEVAL_TASKS_YAML_H

#include "tasks/value.h"

/* The file's root, a mapping. Every value and pair carries its line. `name` begins every message. */
int yaml_parse(Value *out, Arena *arena, const char *text, size_t bytes, const char *name, Error *error);

#endif
