/* GET requests, several at once, over libcurl's multi interface. What this file promises: a request is tried
 * again after faults that may pass (a broken or silent connection, 408, 429, 5xx), with growing pauses or as
 * long as the server says; redirects are followed by hand, so that the token goes to the host it is meant for
 * and to no other, and never from https to http; servers' certificates are verified, always. */
#ifndef ZEVAL_ZOO_HTTP_H
#define ZEVAL_ZOO_HTTP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

typedef struct HttpOptions {
    const char *token;        /* NULL: none */
    const char *token_origin; /* any URL of the only scheme, host and port that may see the token; NULL: the
                                 server is no hub */
    int parallel, stall_s, retry_delay_ms;
    int64_t bytes_per_second; /* of all connections together; 0: as fast as it goes */
    const volatile sig_atomic_t *stop;
} HttpOptions;

/* Headers of the answer at hand, "" where there is none. The hub's own headers (x_*) are kept from any hop on
 * the token's host, since the hub sends them with its redirect. */
typedef struct HttpHeaders {
    char etag[128], content_range[96], error_code[64], repo_commit[64], linked_etag[128], linked_size[32];
    char length[32], type[96]; /* Content-Length, Content-Type */
    char next_link[2048];
} HttpHeaders;

typedef enum HttpVerdict {
    HTTP_GO = 0,
    HTTP_FATAL = -1, /* give up; the Error says why */
    HTTP_AGAIN = 1,  /* drop this attempt and try again; the Error says why, should it have been the last */
    HTTP_WAIT = 2,   /* not now, ask `ready` again soon; this attempt does not count */
    HTTP_DONE = 3    /* ready: nothing left to fetch */
} HttpVerdict;

/* Which bytes of a file are asked for. */
typedef struct HttpRange {
    int64_t from, to;     /* from 0 to -1 is the whole file, to -1 its end; else `to` is the last byte */
    const char *if_range; /* the ETag that the file must still have, or all of it comes; "" or NULL: any */
} HttpRange;

/* One request and what is done with its answer. Callbacks run on the caller's thread. */
typedef struct HttpTask {
    const char *url;
    const char *what; /* for messages: "file config.json of amd/Zebra" */
    const char *page; /* what to visit when access is refused; NULL: nothing */
    void *context;
    /* Before each attempt: GO, WAIT, DONE or FATAL; *range is what the answer should hold. May be NULL. */
    HttpVerdict (*ready)(void *context, HttpRange *range, Error *error);
    /* The head of a 200 or 206 answer, before its first byte. May be NULL. */
    HttpVerdict (*begin)(void *context, int status, const HttpHeaders *headers, Error *error);
    HttpVerdict (*receive)(void *context, const void *data, size_t bytes, Error *error);
    /* An attempt has ended before its time, and another will follow. Non-zero gives up. May be NULL. */
    int (*broken)(void *context, Error *error);
    /* The whole answer has come. May be NULL. */
    HttpVerdict (*finish)(void *context, Error *error);
    bool head;            /* only the head of the answer is wanted (HEAD): nothing is received */
    bool optional;        /* an answer of 403, 404 or 410 says that there is none: `missing`, no error */
    bool missing;         /* set by http_run */
    bool progressed;      /* set by callbacks when new bytes were kept: the count of attempts starts over */
    HttpHeaders *headers; /* receives those of the answer; NULL: nobody wants them */
} HttpTask;

/* Runs tasks until all are done or one has failed. `tick` (may be NULL) is called about ten times a second.
 */
int http_run(HttpTask *tasks, size_t n, const HttpOptions *options, void (*tick)(void *), void *tick_context,
             Error *error);

/* Fetches a document of at most max_bytes into `out`; `headers` (may be NULL) receives the headers. */
int http_get(Buffer *out, const char *url, const char *what, const char *page, size_t max_bytes,
             const HttpOptions *options, HttpHeaders *headers, Error *error);

/* True if two URLs have the same scheme, host and port. */
bool http_same_origin(const char *a, const char *b);

#endif
