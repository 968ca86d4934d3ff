/* The names of repositories and revisions, as users write them and as they become folders and URLs. */
#ifndef ZEVAL_ZOO_NAMES_H
#define ZEVAL_ZOO_NAMES_H

#include <stdbool.h>

#include "zoo/zoo.h"

/* Where the hub keeps every data set converted to Parquet, CONFIG/SPLIT/0000.parquet. */
#define PARQUET_REVISION "refs/convert/parquet"

/* A repository at a revision. */
typedef struct HubName {
    char *repository; /* "ORG/NAME", or the address of a folder on the web, "https://HOST/PATH" */
    char *
        revision; /* branch, tag or commit; of a data set PARQUET_REVISION when none was named, else "main" */
    bool dataset;
    bool unnamed; /* no revision was named: a data set may also be taken as its main branch has it */
} HubName;

/* "ORG/NAME" of letters, digits, ".", "_" and "-", as the hub allows them: no "..", no "--". */
bool repository_is_valid(const char *text);
/* The address of a folder on the web: https (http for this machine's own servers only), a host, a path
 * without
 * "..", "?", "#" and "@", no slash at the end; short enough to be a folder's name in a store. */
bool web_is_valid(const char *text);
/* True if a text is meant as one: it begins with a scheme. */
bool is_web(const char *text);
/* A branch, tag or commit that is safe in a path and in a URL. */
bool revision_is_valid(const char *text);
/* 40 hexadecimal digits. */
bool is_commit(const char *text);

/* Reads NAME[@REVISION]: a registry name or alias, ORG/NAME, datasets/ORG/NAME, or the address of a
 * folder on the web (whose only revisions are "main" and commits). ERROR_USAGE otherwise, with the nearest
 * registry name. */
int hub_name_parse(HubName *out, const char *text, const Registry *registry, Error *error);
void hub_name_free(HubName *name);

/* "models--ORG--NAME": the repository's folder in a store; of an address "web--https%3A%2F%2FHOST%2FPATH",
 * which no repository's is. New string. */
char *hub_name_folder(const HubName *name);
/* The address that is the folder "web--..."; NULL if there is none. New string. */
char *web_of_folder(const char *folder);

#endif
