/* A hub for tests: it speaks the public hub's protocol on loopback over files that it is given, and can be
 * told to fail in every way a real one does. The hub itself answers as 127.0.0.1, its content server as
 * localhost: another host, which must never see the token. Below /files/ lie the same files without any
 * protocol: requests for their heads count as PART_RESOLVE, for their bytes as PART_CONTENT. */
#ifndef ZEVAL_TESTS_HUB_SERVER_H
#define ZEVAL_TESTS_HUB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum HubFault {
    FAULT_NONE,
    FAULT_CUT,          /* close the connection after `argument` bytes */
    FAULT_SHORT,        /* announce and send only `argument` bytes */
    FAULT_FLIP,         /* one byte of the content differs */
    FAULT_STALL,        /* send `argument` bytes, then nothing */
    FAULT_BUSY,         /* 429 with Retry-After: argument */
    FAULT_BROKEN,       /* 500 */
    FAULT_GATED,        /* 403 GatedRepo */
    FAULT_MISSING,      /* 404 */
    FAULT_LOOP,         /* redirect to itself */
    FAULT_NO_RANGES,    /* send everything whatever range was asked for, cut after `argument` bytes the first
                           time */
    FAULT_WRONG_RANGE,  /* answer a range with another */
    FAULT_HTML,         /* a web page where JSON or a file is due */
    FAULT_ENDLESS,      /* a body without end */
    FAULT_OTHER_COMMIT, /* X-Repo-Commit of another commit */
    FAULT_CHANGED,      /* the content is that of another state of the file, with an ETag of its own */
    FAULT_DROP          /* close without an answer */
} HubFault;

typedef enum HubPart { PART_API, PART_RESOLVE, PART_CONTENT } HubPart;

typedef struct HubServer HubServer;

/* Starts a server on a free port (or `port` if not 0). */
HubServer *hub_server_start(int port);
void hub_server_stop(HubServer *server);
/* "http://127.0.0.1:PORT": what HF_ENDPOINT should be. */
const char *hub_server_endpoint(const HubServer *server);

/* Adds a file to the one repository (any name is answered with it); large files have a SHA-256 and go over
 * the content server. The data is not copied. */
void hub_server_add(HubServer *server, const char *path, const void *data, size_t bytes, bool large);
void hub_server_remove(HubServer *server, const char *path);
/* The name of a file's blob: SHA-256 or git blob id. */
const char *hub_server_hash(const HubServer *server, const char *path);
/* The target of the last request for a revision. */
const char *hub_server_last_revision(const HubServer *server);
/* True: there is no conversion to Parquet, the branch does not exist. */
void hub_server_no_parquet(HubServer *server, bool none);
/* True: files have no ETag (the header is empty). */
void hub_server_no_etags(HubServer *server, bool none);
void hub_server_commit(HubServer *server, const char *commit);
/* Files to a page of the listing (0: all on one). */
void hub_server_pages(HubServer *server, size_t files_per_page);
/* Answers every listing with this text instead; NULL: the real one. Not copied. */
void hub_server_listing(HubServer *server, const char *json);

/* The next `count` requests to a part fail; -1: all of them. */
void hub_server_fault(HubServer *server, HubPart part, HubFault fault, long long argument, int count);
/* At most this many bytes a second for each file; 0: no limit. */
void hub_server_throttle(HubServer *server, size_t bytes_per_second);

typedef struct HubCounts {
    int requests[3];         /* by part */
    int tokens[3];           /* requests that carried an Authorization header */
    int ranges;              /* requests with a Range */
    int if_ranges;           /* of these, with If-Range */
    long long content_bytes; /* file bytes sent */
} HubCounts;
HubCounts hub_server_counts(HubServer *server);

#endif
