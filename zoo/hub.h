/* The public hub's protocol: which commit a revision is, which files it has with their sizes and hashes, and
 * the addresses they are fetched from. Followed after the hub's Python client (huggingface_hub: hf_api.py,
 * file_download.py, constants.py). */
#ifndef ZEVAL_ZOO_HUB_H
#define ZEVAL_ZOO_HUB_H

#include "zoo/http.h"
#include "zoo/names.h"

typedef struct HubFile {
    char *path;      /* inside the repository: relative, no "..", no control characters */
    char git_id[41]; /* the git blob id: of the file, or of its pointer where the file is large */
    char hash[65];   /* what names the bytes: SHA-256 of a large file, the git blob id of a small one */
    int64_t bytes;
    /* The server names no hash (a folder on the web): the hash of the bytes that come is believed, and `hash`
     * is until then a name for the address, the ETag and the size. */
    bool unhashed;
    char etag[128]; /* of an unhashed file, as it was first seen; "" if the server has no strong one */
} HubFile;

typedef struct HubListing {
    char commit[41];
    HubFile *files; /* sorted by path */
    size_t n;
} HubListing;

typedef struct Hub {
    char *endpoint; /* $HF_ENDPOINT, else https://huggingface.co; no closing slash */
    char *token;    /* $HF_TOKEN, else the token file of the Python client, else NULL */
    HttpOptions http;
} Hub;

/* For the repository `name`; one that is a folder on the web has its server for a hub, and gets no token. */
int hub_open(Hub *out, const HubName *name, const PullOptions *options, Error *error);
void hub_close(Hub *hub);

/* Asks which commit a revision is and lists its files. At most 100,000 files, each below 64 TiB. */
bool hub_name_is_storable(const char *path);
/* Refuses names that differ in case only, and sorts by path. */
int hub_check_clashes(HubListing *listing, Error *error);
int hub_list(HubListing *out, const Hub *hub, const HubName *name, Error *error);
void hub_listing_free(HubListing *listing);

/* Where to fetch a file of a commit; the page that a person visits. New strings. */
char *hub_file_url(const Hub *hub, const HubName *name, const char *commit, const char *path);
char *hub_page(const Hub *hub, const HubName *name);

/* The folder of the Python client's cache: $HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub,
 * $XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub. New string. */
char *hub_python_cache(void);

#endif
