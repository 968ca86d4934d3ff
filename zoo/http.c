/* The engine of requests; see http.h. Each task is a small machine: waiting for its turn, running, done. What
 * a running one needs is kept in as many slots as there are connections, so that a data set of many thousand
 * files costs little. */
#include "zoo/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/progress.h"
#include "base/text.h"

enum {
    MOST_ATTEMPTS = 5, /* without a new byte */
    MOST_TRIES = 200,  /* with new bytes each time */
    MOST_HOPS = 10,
    MOST_ERROR_BODY = 64 << 10,
    MOST_RETRY_AFTER_S = 300,
    CONNECT_TIMEOUT_S = 15,
    LOCK_POLL_MS = 100,
    POLL_MS = 100
};

typedef enum RunState { RUN_WAITING, RUN_ACTIVE, RUN_DONE } RunState;

/* Where a task stands. */
typedef struct Turn {
    RunState state;
    int attempts, tries;
    double wake_s; /* not before */
} Turn;

/* A slot: a task under way. */
typedef struct Run {
    HttpTask *task; /* NULL: the slot is free */
    Turn *turn;
    const HttpOptions *options;
    CURL *easy;
    struct curl_slist *lines;
    char *url;      /* of the hop at hand */
    double heard_s; /* when the server last said something */
    int hops;
    int64_t ignored;
    HttpRange range;
    HttpHeaders headers;
    bool left_home;      /* a hop has led to another host: the token stays behind until the next attempt */
    bool begun;          /* begin was called for this answer */
    HttpVerdict verdict; /* what a callback decided when it is not GO */
    Error error;
    char curl_message[CURL_ERROR_SIZE];
} Run;

/* All of them. */
typedef struct Engine {
    CURLM *multi;
    const HttpOptions *options;
    HttpTask *tasks;
    Turn *turns;
    size_t n, first_open; /* those before it are done */
    Run *runs;            /* [options->parallel] */
    int active;
} Engine;

bool http_same_origin(const char *a, const char *b) {
    bool same = true;
    CURLU *urls[2] = {curl_url(), curl_url()};
    const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    if (curl_url_set(urls[0], CURLUPART_URL, a, 0) || curl_url_set(urls[1], CURLUPART_URL, b, 0))
        same = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && same; i++) {
        char *values[2] = {NULL, NULL};
        for (int u = 0; u < 2; u++)
            curl_url_get(urls[u], parts[i], &values[u], CURLU_DEFAULT_PORT);
        same = values[0] && values[1] && strcasecmp(values[0], values[1]) == 0;
        curl_free(values[0]);
        curl_free(values[1]);
    }
    curl_url_cleanup(urls[0]);
    curl_url_cleanup(urls[1]);
    return same;
}

/* A token in the clear is for this machine's own servers only. */
static bool may_carry_token(const Run *run) {
    const HttpOptions *options = run->options;
    if (!options->token || run->left_home || !http_same_origin(run->url, options->token_origin))
        return false;
    return text_starts_with(run->url, "https://") || text_starts_with(run->url, "http://127.0.0.1") ||
           text_starts_with(run->url, "http://localhost") || text_starts_with(run->url, "http://[::1]");
}

/* ---- what libcurl calls */

static void keep_header(const char *line, size_t bytes, const char *name, char *out, size_t room) {
    size_t length = strlen(name);
    if (bytes <= length || line[length] != ':' || strncasecmp(line, name, length) != 0)
        return;
    const char *value = line + length + 1;
    size_t left = bytes - length - 1;
    text_lstrip(&value, &left);
    text_rstrip(&value, &left);
    if (left < room) {
        memcpy(out, value, left);
        out[left] = 0;
    }
}

/* Link: <https://host/next?cursor=..>; rel="next" */
static void keep_next_link(const char *line, size_t bytes, HttpHeaders *headers) {
    char value[sizeof headers->next_link] = "";
    keep_header(line, bytes, "link", value, sizeof value);
    char *rel = strstr(value, "rel=\"next\""), *open = rel ? rel : value;
    while (rel && open > value && *open != '<')
        open--;
    char *close = rel && *open == '<' ? strchr(open, '>') : NULL;
    if (close && close < rel)
        snprintf(headers->next_link, sizeof headers->next_link, "%.*s", (int)(close - open - 1), open + 1);
}

static size_t on_header(char *line, size_t one, size_t bytes, void *argument) {
    Run *run = argument;
    HttpHeaders *headers = &run->headers;
    run->heard_s = clock_seconds();
    if (bytes > 5 && memcmp(line, "HTTP/", 5) == 0) /* the head of a new answer */
        headers->etag[0] = headers->content_range[0] = headers->next_link[0] = headers->length[0] =
            headers->type[0] = 0;
    keep_header(line, bytes, "etag", headers->etag, sizeof headers->etag);
    keep_header(line, bytes, "content-range", headers->content_range, sizeof headers->content_range);
    keep_header(line, bytes, "content-length", headers->length, sizeof headers->length);
    keep_header(line, bytes, "content-type", headers->type, sizeof headers->type);
    keep_next_link(line, bytes, headers);
    if (!run->left_home) {
        keep_header(line, bytes, "x-error-code", headers->error_code, sizeof headers->error_code);
        keep_header(line, bytes, "x-repo-commit", headers->repo_commit, sizeof headers->repo_commit);
        keep_header(line, bytes, "x-linked-etag", headers->linked_etag, sizeof headers->linked_etag);
        keep_header(line, bytes, "x-linked-size", headers->linked_size, sizeof headers->linked_size);
    }
    return one * bytes;
}

static HttpVerdict begin_once(Run *run, long status) {
    if (run->begun)
        return HTTP_GO;
    run->begun = true;
    return run->task->begin ? run->task->begin(run->task->context, (int)status, &run->headers, &run->error)
                            : HTTP_GO;
}

static size_t on_body(char *data, size_t one, size_t bytes, void *argument) {
    Run *run = argument;
    long status = 0;
    run->heard_s = clock_seconds();
    curl_easy_getinfo(run->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 206) {
        run->ignored += (int64_t)bytes;
        return run->ignored > MOST_ERROR_BODY ? 0 : one * bytes;
    }
    run->verdict = begin_once(run, status);
    if (run->verdict == HTTP_GO)
        run->verdict = run->task->receive(run->task->context, data, bytes, &run->error);
    return run->verdict == HTTP_GO ? one * bytes : 0;
}

/* ---- one hop */

static void leave_hop(Run *run, CURLM *multi) {
    if (run->easy) {
        curl_multi_remove_handle(multi, run->easy);
        curl_easy_cleanup(run->easy);
    }
    curl_slist_free_all(run->lines);
    run->easy = NULL;
    run->lines = NULL;
}

static void set_request_lines(Run *run) {
    char line[192];
    const HttpRange *range = &run->range;
    run->lines = curl_slist_append(run->lines, "Accept-Encoding: identity");
    if (range->from > 0 || range->to >= 0) {
        int used = snprintf(line, sizeof line, "%lld-", (long long)range->from);
        if (range->to >= 0)
            snprintf(line + used, sizeof line - (size_t)used, "%lld", (long long)range->to);
        curl_easy_setopt(run->easy, CURLOPT_RANGE, line);
        if (range->if_range && *range->if_range == '"') { /* a weak ETag is no ground for joining bytes */
            snprintf(line, sizeof line, "If-Range: %s", range->if_range);
            run->lines = curl_slist_append(run->lines, line);
        }
    }
    if (may_carry_token(run)) {
        curl_easy_setopt(run->easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(run->easy, CURLOPT_XOAUTH2_BEARER, run->options->token);
    }
    curl_easy_setopt(run->easy, CURLOPT_HTTPHEADER, run->lines);
}

static int start_hop(Run *run, CURLM *multi, Error *error) {
    const HttpOptions *options = run->options;
    CURL *easy = run->easy = curl_easy_init();
    if (!easy)
        return error_set(error, "%s: libcurl cannot begin a request", run->task->what);
    const char *own_ca = getenv("SSL_CERT_FILE") ? getenv("SSL_CERT_FILE") : getenv("CURL_CA_BUNDLE");
    if (own_ca && *own_ca)
        curl_easy_setopt(easy, CURLOPT_CAINFO, own_ca);
    curl_easy_setopt(easy, CURLOPT_URL, run->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "zeval");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, options->bytes_per_second > 0 ? 16L << 10 : 512L << 10);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, run->curl_message);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, run);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, run);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, run);
    curl_easy_setopt(easy, CURLOPT_NOBODY, run->task->head ? 1L : 0L);
    set_request_lines(run);
    run->begun = false;
    run->heard_s = clock_seconds();
    run->ignored = 0;
    run->verdict = HTTP_GO;
    run->curl_message[0] = 0;
    curl_multi_add_handle(multi, easy);
    return 0;
}

/* ---- slots */

static Run *free_slot(const Engine *engine) {
    for (int i = 0; i < engine->options->parallel; i++)
        if (!engine->runs[i].task)
            return &engine->runs[i];
    return NULL;
}

/* What the connections may take together is divided among those that are open. */
static void share_rate(const Engine *engine) {
    for (int i = 0; i < engine->options->parallel && engine->options->bytes_per_second > 0; i++)
        if (engine->runs[i].easy)
            curl_easy_setopt(engine->runs[i].easy, CURLOPT_MAX_RECV_SPEED_LARGE,
                             (curl_off_t)(engine->options->bytes_per_second / engine->active + 1));
}

static void leave_slot(Engine *engine, Run *run) {
    leave_hop(run, engine->multi);
    free(run->url);
    *run = (Run){.options = run->options};
    engine->active--;
    share_rate(engine);
}

/* Starts the task, or lets it wait, or finds it done without a request; -1: failed. */
static int start_attempt(Engine *engine, size_t i, Error *error) {
    HttpTask *task = &engine->tasks[i];
    Turn *turn = &engine->turns[i];
    HttpRange range = {.to = -1};
    HttpVerdict verdict = task->ready ? task->ready(task->context, &range, error) : HTTP_GO;
    if (verdict == HTTP_FATAL)
        return -1;
    if (verdict == HTTP_WAIT)
        turn->wake_s = clock_seconds() + LOCK_POLL_MS / 1000.0;
    if (verdict == HTTP_DONE)
        turn->state = RUN_DONE;
    if (verdict != HTTP_GO)
        return 0;
    Run *run = free_slot(engine);
    run->task = task;
    run->turn = turn;
    run->range = range;
    run->url = mem_strdup(task->url);
    turn->state = RUN_ACTIVE;
    engine->active++;
    int result = start_hop(run, engine->multi, error);
    share_rate(engine);
    return result;
}

/* ---- what an answer means */

/* Sets the task to be tried again after a pause, or fails with run->error when it was tried often enough. */
static int try_again(Run *run, double pause_s, Error *error) {
    Turn *turn = run->turn;
    if (run->task->broken && run->task->broken(run->task->context, error))
        return -1;
    if (run->task->progressed)
        turn->attempts = 0;
    run->task->progressed = false;
    turn->attempts++;
    turn->tries++;
    if (turn->attempts >= MOST_ATTEMPTS || turn->tries >= MOST_TRIES)
        return error_set(error, "%s; gave up after %d attempts", run->error.message, turn->tries);
    if (pause_s < 0) {
        pause_s = run->options->retry_delay_ms / 1000.0;
        for (int i = 1; i < turn->attempts; i++)
            pause_s *= 2;
    }
    turn->wake_s = clock_seconds() + pause_s;
    turn->state = RUN_WAITING;
    return 0;
}

static bool says_none(long status) {
    return status == 403 || status == 404 || status == 410;
}

/* By a server that is no hub: nothing is known about it but its answer. */
static int refused_plainly(const Run *run, long status, Error *error) {
    return error_set_kind(error, says_none(status) ? ERROR_USAGE : ERROR_FAILED,
                          "%s: %s answered HTTP %ld, expected 200", run->task->what, run->url, status);
}

static int refused(const Run *run, long status, Error *error) {
    const HttpTask *task = run->task;
    if (!run->options->token_origin)
        return refused_plainly(run, status, error);
    const char *code = run->headers.error_code, *page = task->page ? task->page : run->task->url;
    bool with_token = run->options->token != NULL;
    if (strcmp(code, "GatedRepo") == 0)
        return error_set(error,
                         "%s: its owners let in only who has agreed to their terms: visit %s while logged "
                         "in, accept them, "
                         "then %s",
                         task->what, page,
                         with_token ? "try again (the token that was sent has no access yet)"
                                    : "set HF_TOKEN to a token of that account");
    if (strcmp(code, "RevisionNotFound") == 0)
        return error_set_kind(error, ERROR_USAGE, "%s: the repository has no such revision (%s)", task->what,
                              page);
    if (status == 404 || strcmp(code, "RepoNotFound") == 0)
        return error_set_kind(error, ERROR_USAGE, "%s: the hub has none of that name%s (%s)", task->what,
                              with_token ? "" : ", or it is private and needs HF_TOKEN", page);
    if (status == 401 || status == 403)
        return error_set(error, "%s: the hub refuses access (HTTP %ld)%s; see %s", task->what, status,
                         with_token ? " with the token that was sent" : " without a token: set HF_TOKEN",
                         page);
    return error_set(error, "%s: %s answered HTTP %ld, expected 200", task->what, run->url, status);
}

static int follow(Engine *engine, Run *run, Error *error) {
    char *location = NULL;
    curl_easy_getinfo(run->easy, CURLINFO_REDIRECT_URL, &location);
    if (!location || (!text_starts_with(location, "http://") && !text_starts_with(location, "https://")))
        return error_set(error, "%s: %s redirects to %.200s, expected a web address", run->task->what,
                         run->url, location ? location : "nothing");
    if (++run->hops > MOST_HOPS)
        return error_set(error, "%s: redirected more than %d times, last by %.300s", run->task->what,
                         MOST_HOPS, run->url);
    if (text_starts_with(run->url, "https://") && text_starts_with(location, "http://"))
        return error_set(error, "%s: %.300s redirects to an address without TLS, which is not followed",
                         run->task->what, run->url);
    char *next = mem_strdup(location);
    if (!http_same_origin(run->url, next))
        run->left_home = true;
    leave_hop(run, engine->multi);
    free(run->url);
    run->url = next;
    int result = start_hop(run, engine->multi, error);
    share_rate(engine);
    return result;
}

static bool may_pass(long status) {
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

static int busy(Run *run, long status, Error *error) {
    curl_off_t wait_s = 0;
    curl_easy_getinfo(run->easy, CURLINFO_RETRY_AFTER, &wait_s);
    if (wait_s > MOST_RETRY_AFTER_S)
        return error_set(
            error,
            "%s: the hub answered HTTP %ld and asks to come back in %lld s; nothing is lost, try again then",
            run->task->what, status, (long long)wait_s);
    error_set(&run->error, "%s: %s answered HTTP %ld%s", run->task->what, run->url, status,
              status == 429 ? " (too many requests)" : "");
    return try_again(run, wait_s > 0 ? (double)wait_s : -1, error);
}

/* What a callback decided, or the end of a whole answer. */
static int settle(Run *run, HttpVerdict verdict, Error *error) {
    if (verdict == HTTP_FATAL) {
        *error = run->error;
        return -1;
    }
    if (verdict == HTTP_AGAIN)
        return try_again(run, -1, error);
    run->turn->state = verdict == HTTP_WAIT ? RUN_WAITING : RUN_DONE;
    run->turn->wake_s = clock_seconds() + LOCK_POLL_MS / 1000.0;
    if (verdict == HTTP_WAIT && run->task->broken)
        return run->task->broken(run->task->context, error);
    return 0;
}

static bool is_transient(CURLcode code) {
    static const CURLcode codes[] = {CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_PARTIAL_FILE,
                                     CURLE_OPERATION_TIMEDOUT,   CURLE_GOT_NOTHING,     CURLE_SEND_ERROR,
                                     CURLE_RECV_ERROR,           CURLE_HTTP2,           CURLE_HTTP2_STREAM,
                                     CURLE_COULDNT_RESOLVE_PROXY};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i] == code)
            return true;
    return false;
}

static int broken(Run *run, CURLcode code, Error *error) {
    const char *why = run->curl_message[0] ? run->curl_message : curl_easy_strerror(code);
    char clock[48] = "";
    time_t now = time(NULL);
    struct tm date;
    if (code == CURLE_PEER_FAILED_VERIFICATION && gmtime_r(&now, &date))
        strftime(clock, sizeof clock, " (this machine's clock says %Y-%m-%d)", &date);
    error_set(&run->error, "%s: the connection to %.300s failed: %s%s", run->task->what, run->url, why,
              clock);
    if (is_transient(code))
        return try_again(run, -1, error);
    *error = run->error;
    return -1;
}

static int on_done(Engine *engine, Run *run, CURLcode code, Error *error) {
    long status = 0;
    int result;
    curl_easy_getinfo(run->easy, CURLINFO_RESPONSE_CODE, &status);
    bool answered = code == CURLE_OK || (code == CURLE_WRITE_ERROR && run->ignored > MOST_ERROR_BODY);
    if (run->verdict != HTTP_GO)
        result = settle(run, run->verdict, error);
    else if (!answered)
        result = broken(run, code, error);
    else if (status >= 300 && status < 400 && status != 304)
        return follow(engine, run, error);
    else if (may_pass(status) || status == 416)
        result = busy(run, status, error);
    else if (run->task->optional && says_none(status)) {
        run->task->missing = true;
        result = settle(run, HTTP_DONE, error);
    } else if (status != 200 && status != 206)
        result = refused(run, status, error);
    else if ((run->verdict = begin_once(run, status)) != HTTP_GO)
        result = settle(run, run->verdict, error);
    else
        result = settle(run, run->task->finish ? run->task->finish(run->task->context, &run->error) : HTTP_GO,
                        error);
    if (run->task->headers)
        *run->task->headers = run->headers;
    leave_slot(engine, run);
    return result;
}

/* ---- all tasks */

/* Ends attempts whose server has fallen silent. */
static int drop_stalled(Engine *engine, Error *error) {
    const HttpOptions *options = engine->options;
    for (int i = 0; i < options->parallel; i++) {
        Run *run = &engine->runs[i];
        if (!run->task || clock_seconds() - run->heard_s < options->stall_s)
            continue;
        error_set(&run->error, "%s: nothing came from %.300s for %d s", run->task->what, run->url,
                  options->stall_s);
        int result = try_again(run, -1, error);
        leave_slot(engine, run);
        if (result)
            return -1;
    }
    return 0;
}

/* Starts what is due, in the order of the tasks. */
static int start_due(Engine *engine, Error *error) {
    double now_s = clock_seconds();
    while (engine->first_open < engine->n && engine->turns[engine->first_open].state == RUN_DONE)
        engine->first_open++;
    for (size_t i = engine->first_open; i < engine->n && engine->active < engine->options->parallel; i++)
        if (engine->turns[i].state == RUN_WAITING && now_s >= engine->turns[i].wake_s &&
            start_attempt(engine, i, error))
            return -1;
    return 0;
}

static int take_messages(Engine *engine, Error *error) {
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(engine->multi, &left));) {
        if (message->msg != CURLMSG_DONE)
            continue;
        Run *run = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&run);
        if (on_done(engine, run, message->data.result, error))
            return -1;
    }
    return 0;
}

static int run_all(Engine *engine, void (*tick)(void *), void *tick_context, Error *error) {
    const HttpOptions *options = engine->options;
    int running;
    double ticked_s = clock_seconds();
    for (;;) {
        if (options->stop && *options->stop)
            return error_set_kind(
                error, ERROR_STOPPED,
                "stopped; what has arrived is kept, and the same command goes on from there");
        if (drop_stalled(engine, error) || start_due(engine, error))
            return -1;
        if (engine->first_open == engine->n)
            return 0;
        if (curl_multi_perform(engine->multi, &running) != CURLM_OK)
            return error_set(error, "libcurl cannot go on with its transfers");
        if (take_messages(engine, error))
            return -1;
        curl_multi_poll(engine->multi, NULL, 0, running ? POLL_MS : 10, NULL);
        if (tick && clock_seconds() - ticked_s >= POLL_MS / 1000.0) {
            tick(tick_context);
            ticked_s = clock_seconds();
        }
    }
}

int http_run(HttpTask *tasks, size_t n, const HttpOptions *options, void (*tick)(void *), void *tick_context,
             Error *error) {
    Engine engine = {.multi = curl_multi_init(), .options = options, .tasks = tasks, .n = n};
    if (!engine.multi)
        return error_set(error, "libcurl cannot be started");
    engine.turns = mem_alloc_zero(n + 1, sizeof *engine.turns);
    engine.runs = mem_alloc_zero((size_t)options->parallel, sizeof *engine.runs);
    for (int i = 0; i < options->parallel; i++)
        engine.runs[i].options = options;
    int result = run_all(&engine, tick, tick_context, error);
    for (int i = 0; i < options->parallel; i++)
        if (engine.runs[i].task)
            leave_slot(&engine, &engine.runs[i]);
    free(engine.runs);
    free(engine.turns);
    curl_multi_cleanup(engine.multi);
    return result;
}

/* ---- small documents */

typedef struct Document {
    Buffer *out;
    size_t max_bytes;
    const char *what;
} Document;

static HttpVerdict document_begin(void *context, int status, const HttpHeaders *headers, Error *error) {
    Document *document = context;
    (void)status;
    (void)headers;
    (void)error;
    buffer_clear(document->out);
    return HTTP_GO;
}

static HttpVerdict document_receive(void *context, const void *data, size_t bytes, Error *error) {
    Document *document = context;
    if (bytes > document->max_bytes - document->out->size) {
        error_set(error, "%s: the server's answer is longer than %zu bytes", document->what,
                  document->max_bytes);
        return HTTP_FATAL;
    }
    buffer_append(document->out, data, bytes);
    return HTTP_GO;
}

int http_get(Buffer *out, const char *url, const char *what, const char *page, size_t max_bytes,
             const HttpOptions *options, HttpHeaders *headers, Error *error) {
    Document document = {.out = out, .max_bytes = max_bytes, .what = what};
    HttpTask task = {.url = url,
                     .what = what,
                     .page = page,
                     .context = &document,
                     .begin = document_begin,
                     .receive = document_receive,
                     .headers = headers};
    return http_run(&task, 1, options, NULL, NULL, error);
}
