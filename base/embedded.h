/* Files that ship inside the binary: the built-in task files, the demo checkpoint and its data, the registry
 * of checkpoints, the papers' numbers. The build generates the table from the folders that the Makefile's
 * EMBEDDED names; a file's name is its path from the project's root. */
#ifndef ZEVAL_BASE_EMBEDDED_H
#define ZEVAL_BASE_EMBEDDED_H

#include <stddef.h>
#include <stdint.h>

typedef struct EmbeddedFile {
    const char *name; /* "tasks/library/arc/arc_easy.yaml" */
    const uint8_t *data;
    size_t bytes;
} EmbeddedFile;

/* Sorted by name. */
extern const EmbeddedFile embedded_files[];
extern const size_t n_embedded_files;

/* NULL if there is none of that name. */
const EmbeddedFile *embedded_find(const char *name);

#endif
