/* A checkpoint in a folder on the web: a server of files that lists nothing and names no hashes. Which files
 * there are is found by asking for the names that a runtime reads; their sizes and ETags come from the
 * server, their hashes from the bytes that arrive first, and from then on those are what the folder's files
 * are. The commit is a hash over the files' names and hashes. */
#ifndef ZEVAL_ZOO_WEB_H
#define ZEVAL_ZOO_WEB_H

#include "zoo/store.h"

/* Finds the files, or, with `locked`, asks for exactly its files. What was fetched before from the same
 * address with the same ETag and size has its hash, the rest is `unhashed`; the commit is empty. Weights are
 * model.safetensors, else the shards of its index, else the pickled ones. ERROR_USAGE if there is no
 * checkpoint; free the listing. */
int web_list(HubListing *out, const Hub *hub, const HubName *name, const Shelf *shelf,
             const LockEntry *locked, Error *error);
/* Fills in the commit: all files have hashes. */
void web_commit(HubListing *listing);

/* Remembers that the file behind the name of an unhashed one (HubFile.hash, `key` here) has the bytes of a
 * blob; *hash is read back. The keeper makes sure that the blob is verified. */
int web_remember(const Shelf *shelf, const char *key, const char *hash, Error *error);
bool web_recall(const Shelf *shelf, const char *key, int64_t bytes, char hash[65]);
/* Forgets blobs that are gone. */
void web_forget(const Shelf *shelf);

#endif
