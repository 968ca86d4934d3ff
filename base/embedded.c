/* Lookup in the table that the build generates; see embedded.h. */
#include "base/embedded.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *key, const void *entry) {
    return strcmp(key, ((const EmbeddedFile *)entry)->name);
}

const EmbeddedFile *embedded_find(const char *name) {
    return bsearch(name, embedded_files, n_embedded_files, sizeof *embedded_files, compare);
}
