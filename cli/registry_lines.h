/* What the registry knows of a name, for `zeval show`. */
#ifndef ZEVAL_CLI_REGISTRY_LINES_H
#define ZEVAL_CLI_REGISTRY_LINES_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

/* Appends lines "FIELD VALUE"; *known says whether the registry has the name (an entry's own, an alias, a
 * repository, with @REVISION or without). */
int registry_lines(Buffer *out, const char *name, bool *known, Error *error);

#endif
