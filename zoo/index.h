/* The index: what is remembered of a store beside its files, in SQLite: when each blob was last verified.
 * It lies in STORE/.locks, the one place where the hub's Python client looks for no repository. The folders
 * are the truth; an index that is missing, damaged or cannot be written is begun anew or done without, and
 * then everything counts as never verified. */
#ifndef ZEVAL_ZOO_INDEX_H
#define ZEVAL_ZOO_INDEX_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ZooIndex ZooIndex;

/* NULL if there can be none. `store` must exist. */
ZooIndex *index_open(const char *store);
/* When a blob of a repository's folder was last verified, in seconds since 1970; 0: never, or it is not
 * known. */
int64_t index_verified(ZooIndex *index, const char *shelf, const char *hash);
/* It was verified now (good), or found to be wrong. Failures do not matter. */
void index_note(ZooIndex *index, const char *shelf, const char *hash, bool good);
/* Many notes at once, between these. */
void index_begin(ZooIndex *index);
void index_commit(ZooIndex *index);
/* NULL does nothing, here and above. */
void index_close(ZooIndex *index);

#endif
