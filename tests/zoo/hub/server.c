/* A thread per connection, one request per connection. */
#include "tests/zoo/hub/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/digest.h"

enum { MOST_FILES = 256, REQUEST_BYTES = 16384, BLOCK = 1 << 18 };

typedef struct ServedFile {
    char path[256], git_id[DIGEST_HEX], hash[DIGEST_HEX];
    const char *data;
    size_t bytes;
    bool large;
} ServedFile;

typedef struct Fault {
    HubFault fault;
    long long argument;
    int left;
} Fault;

struct HubServer {
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    int listener, port, connections;
    bool stopping, no_parquet, no_etags;
    char last_revision[256];
    char endpoint[64], commit[41];
    ServedFile files[MOST_FILES];
    size_t n_files, files_per_page, bytes_per_second;
    const char *listing;
    Fault faults[3];
    HubCounts counts;
};

/* One request being answered. */
typedef struct Exchange {
    HubServer *server;
    int socket;
    char request[REQUEST_BYTES], method[8], target[2048];
    HubPart part;
    Fault fault;
} Exchange;

/* ---- sending */

static bool send_all(Exchange *exchange, const void *data, size_t bytes) {
    const char *at = data;
    while (bytes > 0) {
        ssize_t sent = send(exchange->socket, at, bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

static void send_text(Exchange *exchange, const char *status, const char *headers, const char *body) {
    Buffer answer = {0};
    buffer_printf(&answer, "HTTP/1.1 %s\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n", status,
                  headers, strlen(body));
    if (strcmp(exchange->method, "HEAD") != 0)
        buffer_append_text(&answer, body);
    send_all(exchange, answer.data, answer.size);
    buffer_free(&answer);
}

/* Until the client or the server goes. */
static void hold(Exchange *exchange) {
    for (int i = 0; i < 200; i++) {
        char byte;
        ssize_t got = recv(exchange->socket, &byte, 1, MSG_DONTWAIT);
        if (exchange->server->stopping || got == 0 || (got < 0 && errno != EAGAIN))
            return;
        usleep(50000);
    }
}

static void send_endless(Exchange *exchange) {
    static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    char block[4096];
    memset(block, ' ', sizeof block);
    bool open = send_all(exchange, head, sizeof head - 1);
    for (long i = 0; i < 1L << 16 && open && !exchange->server->stopping; i++)
        open = send_all(exchange, block, sizeof block);
}

static void send_file_bytes(Exchange *exchange, const ServedFile *file, size_t from, size_t to) {
    size_t limit = exchange->server->bytes_per_second, sent = 0;
    double start_s = clock_seconds();
    while (from < to && !exchange->server->stopping) {
        size_t bytes = to - from < BLOCK ? to - from : BLOCK;
        if (limit && bytes > limit / 20 + 1)
            bytes = limit / 20 + 1;
        if (!send_all(exchange, file->data + from, bytes))
            break;
        from += bytes;
        sent += bytes;
        while (limit && (double)sent / (double)limit > clock_seconds() - start_s &&
               !exchange->server->stopping)
            usleep(2000);
    }
    pthread_mutex_lock(&exchange->server->lock);
    exchange->server->counts.content_bytes += (long long)sent;
    pthread_mutex_unlock(&exchange->server->lock);
}

/* The value of a request's header up to the line's end, NULL if it has none. */
static const char *find_header(const Exchange *exchange, const char *name, char *out, size_t room) {
    char line[64];
    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *at = strcasestr(exchange->request, line);
    if (!at)
        return NULL;
    at += strlen(line);
    snprintf(out, room, "%.*s", (int)strcspn(at, "\r"), at);
    return out;
}

/* Which bytes are to be sent, [*from, *to); true if the request asks for some of them. */
static bool asked_range(const Exchange *exchange, const char *etag, size_t *from, size_t *to) {
    char range[64], if_range[128];
    unsigned long long first = 0, last = 0;
    if (exchange->fault.fault == FAULT_NO_RANGES || !find_header(exchange, "range", range, sizeof range) ||
        (find_header(exchange, "if-range", if_range, sizeof if_range) && strcmp(if_range, etag) != 0))
        return false;
    int n = sscanf(range, "bytes=%llu-%llu", &first, &last);
    if (n < 1 || first > *to)
        return false;
    *from = (size_t)first;
    if (n == 2 && last + 1 < *to)
        *to = (size_t)last + 1;
    return true;
}

static void send_content(Exchange *exchange, const ServedFile *file, size_t from, size_t to) {
    HubFault fault = exchange->fault.fault;
    size_t argument = (size_t)exchange->fault.argument;
    if ((fault == FAULT_CUT || fault == FAULT_STALL || fault == FAULT_NO_RANGES) && to > from + argument &&
        argument > 0)
        to = from + argument;
    if ((fault == FAULT_FLIP || fault == FAULT_CHANGED) && to > from) {
        char flipped = (char)(file->data[from] ^ 1);
        send_all(exchange, &flipped, 1);
        from++;
    }
    send_file_bytes(exchange, file, from, to);
    if (fault == FAULT_STALL)
        hold(exchange);
}

static void send_file(Exchange *exchange, const ServedFile *file, const char *headers) {
    HubFault fault = exchange->fault.fault;
    size_t from = 0, to = file->bytes;
    char etag[DIGEST_HEX + 2];
    Buffer head = {0};
    snprintf(etag, sizeof etag, "\"%s\"", file->hash);
    if (exchange->server->no_etags)
        etag[0] = 0;
    if (fault == FAULT_CHANGED)
        etag[1] = etag[1] == '0' ? '1' : '0';
    bool part = asked_range(exchange, etag, &from, &to);
    size_t last = to, argument = (size_t)exchange->fault.argument;
    if (fault == FAULT_SHORT && argument < to)
        to = argument > from ? argument : from;
    buffer_printf(
        &head, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: application/octet-stream\r\nETag: %s\r\n%s",
        part ? "206 Partial Content" : "200 OK", etag, headers);
    if (part)
        buffer_printf(&head, "Content-Range: bytes %zu-%zu/%zu\r\n", from + (fault == FAULT_WRONG_RANGE),
                      last - 1, file->bytes);
    buffer_printf(&head, "Content-Length: %zu\r\n\r\n", to - from);
    send_all(exchange, head.data, head.size);
    buffer_free(&head);
    if (strcmp(exchange->method, "HEAD") != 0)
        send_content(exchange, file, from, to);
}

/* ---- faults that are whole answers; true if the request is done with */
static bool answer_fault(Exchange *exchange) {
    char headers[256];
    switch (exchange->fault.fault) {
    case FAULT_BUSY:
        snprintf(headers, sizeof headers, "Retry-After: %lld\r\n", exchange->fault.argument);
        send_text(exchange, "429 Too Many Requests", headers, "slow down");
        return true;
    case FAULT_BROKEN:
        send_text(exchange, "500 Internal Server Error", "", "oops");
        return true;
    case FAULT_GATED:
        send_text(exchange, "403 Forbidden", "X-Error-Code: GatedRepo\r\n", "no");
        return true;
    case FAULT_MISSING:
        send_text(exchange, "404 Not Found", "", "no");
        return true;
    case FAULT_LOOP:
        snprintf(headers, sizeof headers, "Location: %.200s\r\n", exchange->target);
        send_text(exchange, "302 Found", headers, "");
        return true;
    case FAULT_HTML:
        send_text(exchange, "200 OK", "Content-Type: text/html\r\n",
                  "<html><body>Please log in</body></html>");
        return true;
    case FAULT_ENDLESS:
        send_endless(exchange);
        return true;
    case FAULT_DROP:
        return true;
    default:
        return false;
    }
}

/* ---- the protocol */

static void answer_revision(Exchange *exchange) {
    Buffer body = {0};
    HubServer *server = exchange->server;
    snprintf(server->last_revision, sizeof server->last_revision, "%.255s", exchange->target);
    if (server->no_parquet && strstr(exchange->target, "convert")) {
        send_text(exchange, "404 Not Found", "X-Error-Code: RevisionNotFound\r\n", "none");
        return;
    }
    buffer_printf(&body, "{\"id\": \"test/model\", \"sha\": \"%s\", \"siblings\": [", server->commit);
    for (size_t i = 0; i < server->n_files; i++)
        buffer_printf(&body, "%s{\"rfilename\": \"%s\"}", i ? ", " : "", server->files[i].path);
    buffer_append_text(&body, "]}");
    send_text(exchange, "200 OK", "Content-Type: application/json\r\n", body.data);
    buffer_free(&body);
}

static void append_entry(Buffer *body, const ServedFile *file, bool first) {
    buffer_printf(body, "%s{\"type\": \"file\", \"oid\": \"%s\", \"size\": %zu, \"path\": \"%s\"",
                  first ? "" : ", ", file->git_id, file->bytes, file->path);
    if (file->large)
        buffer_printf(body, ", \"lfs\": {\"oid\": \"%s\", \"size\": %zu, \"pointerSize\": 135}", file->hash,
                      file->bytes);
    buffer_append_char(body, '}');
}

static void answer_tree(Exchange *exchange) {
    HubServer *server = exchange->server;
    Buffer body = {0};
    char link[2200] = "";
    const char *cursor = strstr(exchange->target, "cursor=");
    size_t first = cursor ? (size_t)atoll(cursor + 7) : 0;
    size_t page = server->files_per_page ? server->files_per_page : server->n_files;
    if (server->listing) {
        send_text(exchange, "200 OK", "Content-Type: application/json\r\n", server->listing);
        return;
    }
    buffer_append_char(&body, '[');
    for (size_t i = first; i < server->n_files && i < first + page; i++)
        append_entry(&body, &server->files[i], i == first);
    buffer_append_text(&body, "]");
    if (first + page < server->n_files)
        snprintf(link, sizeof link, "Link: <%s%.*s?recursive=true&cursor=%zu>; rel=\"next\"\r\n",
                 server->endpoint, (int)strcspn(exchange->target, "?"), exchange->target, first + page);
    send_text(exchange, "200 OK", link, body.data);
    buffer_free(&body);
}

static const ServedFile *find_file(const HubServer *server, const char *path) {
    for (size_t i = 0; i < server->n_files; i++)
        if (strcmp(server->files[i].path, path) == 0)
            return &server->files[i];
    return NULL;
}

static void answer_resolve(Exchange *exchange) {
    HubServer *server = exchange->server;
    const char *revision = strstr(exchange->target, "/resolve/") + 9, *path = strchr(revision, '/');
    const ServedFile *file = path ? find_file(server, path + 1) : NULL;
    const char *commit = exchange->fault.fault == FAULT_OTHER_COMMIT
                             ? "ffffffffffffffffffffffffffffffffffffffff"
                             : server->commit;
    char headers[1024];
    if (!file) {
        send_text(exchange, "404 Not Found", "X-Error-Code: EntryNotFound\r\n", "none");
        return;
    }
    if (!file->large) {
        snprintf(headers, sizeof headers, "X-Repo-Commit: %s\r\n", commit);
        send_file(exchange, file, headers);
        return;
    }
    snprintf(headers, sizeof headers,
             "Location: http://localhost:%d/content/%s\r\nX-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\n"
             "X-Repo-Commit: %s\r\n",
             server->port, file->hash, file->hash, file->bytes, commit);
    send_text(exchange, "302 Found", headers, "");
}

static void answer_content(Exchange *exchange) {
    const char *hash = exchange->target + strlen("/content/");
    for (size_t i = 0; i < exchange->server->n_files; i++)
        if (strcmp(exchange->server->files[i].hash, hash) == 0) {
            send_file(exchange, &exchange->server->files[i], "");
            return;
        }
    send_text(exchange, "404 Not Found", "", "none");
}

/* A folder of plain files, without any protocol: /files/PATH. */
static void answer_plain(Exchange *exchange) {
    const ServedFile *file = find_file(exchange->server, exchange->target + strlen("/files/"));
    if (file)
        send_file(exchange, file, "");
    else
        send_text(exchange, "404 Not Found", "Content-Type: text/html\r\n", "none");
}

/* Counts the request and takes the fault that is due for its part. */
static void account(Exchange *exchange) {
    HubServer *server = exchange->server;
    bool get_plain = text_starts_with(exchange->target, "/files/") && strcmp(exchange->method, "HEAD") != 0;
    exchange->part = get_plain                                                   ? PART_CONTENT
                     : strstr(exchange->target, "/content/") == exchange->target ? PART_CONTENT
                     : strstr(exchange->target, "/api/") == exchange->target     ? PART_API
                                                                                 : PART_RESOLVE;
    pthread_mutex_lock(&server->lock);
    Fault *fault = &server->faults[exchange->part];
    server->counts.requests[exchange->part]++;
    server->counts.tokens[exchange->part] += strcasestr(exchange->request, "\r\nauthorization:") != NULL;
    server->counts.ranges += strcasestr(exchange->request, "\r\nrange:") != NULL;
    server->counts.if_ranges += strcasestr(exchange->request, "\r\nif-range:") != NULL;
    if (fault->left != 0) {
        exchange->fault = *fault;
        fault->left -= fault->left > 0;
    }
    pthread_mutex_unlock(&server->lock);
}

static void answer(Exchange *exchange) {
    if (sscanf(exchange->request, "%7s %2047s", exchange->method, exchange->target) != 2)
        return;
    /* As a proxy it is asked for whole addresses; whatever their host, they are answered here. */
    const char *path =
        text_starts_with(exchange->target, "http://") ? strchr(exchange->target + 7, '/') : NULL;
    if (path)
        memmove(exchange->target, path, strlen(path) + 1);
    account(exchange);
    if (answer_fault(exchange))
        return;
    if (text_starts_with(exchange->target, "/files/"))
        answer_plain(exchange);
    else if (exchange->part == PART_CONTENT)
        answer_content(exchange);
    else if (exchange->part == PART_RESOLVE && strstr(exchange->target, "/resolve/"))
        answer_resolve(exchange);
    else if (strstr(exchange->target, "/tree/"))
        answer_tree(exchange);
    else
        answer_revision(exchange);
}

static void *serve_connection(void *argument) {
    Exchange *exchange = argument;
    HubServer *server = exchange->server;
    size_t used = 0;
    ssize_t got;
    while (!strstr(exchange->request, "\r\n\r\n") && used < REQUEST_BYTES - 1 &&
           (got = recv(exchange->socket, exchange->request + used, REQUEST_BYTES - 1 - used, 0)) > 0)
        used += (size_t)got;
    answer(exchange);
    shutdown(exchange->socket, SHUT_WR);
    close(exchange->socket);
    free(exchange);
    pthread_mutex_lock(&server->lock);
    server->connections--;
    pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static void *accept_connections(void *argument) {
    HubServer *server = argument;
    for (;;) {
        int socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (socket < 0 || server->stopping) {
            if (socket >= 0)
                close(socket);
            if (server->stopping)
                return NULL;
            continue;
        }
        Exchange *exchange = mem_alloc_zero(1, sizeof *exchange);
        exchange->server = server;
        exchange->socket = socket;
        pthread_t thread;
        pthread_mutex_lock(&server->lock);
        server->connections++;
        pthread_mutex_unlock(&server->lock);
        pthread_create(&thread, NULL, serve_connection, exchange);
        pthread_detach(thread);
    }
}

HubServer *hub_server_start(int port) {
    HubServer *server = mem_alloc_zero(1, sizeof *server);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = 1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server->listener, 64) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &length) != 0) {
        perror("the test hub cannot listen on loopback");
        abort();
    }
    server->port = ntohs(address.sin_port);
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%d", server->port);
    hub_server_commit(server, "0123456789abcdef0123456789abcdef01234567");
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->idle, NULL);
    pthread_create(&server->acceptor, NULL, accept_connections, server);
    return server;
}

void hub_server_stop(HubServer *server) {
    server->stopping = true;
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    close(server->listener);
    pthread_mutex_lock(&server->lock);
    while (server->connections > 0)
        pthread_cond_wait(&server->idle, &server->lock);
    pthread_mutex_unlock(&server->lock);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->idle);
    free(server);
}

const char *hub_server_endpoint(const HubServer *server) {
    return server->endpoint;
}

static void digest_text(const char *kind, const void *data, size_t bytes, char hex[DIGEST_HEX]) {
    Digest *digest = digest_begin(kind, (int64_t)bytes);
    digest_update(digest, data, bytes);
    digest_end(digest, hex);
}

void hub_server_add(HubServer *server, const char *path, const void *data, size_t bytes, bool large) {
    static const char git[] = "0123456789012345678901234567890123456789",
                      sha256[] = "0123456789012345678901234567890123456789012345678901234567890123";
    ServedFile *file = NULL;
    for (size_t i = 0; i < server->n_files; i++)
        if (strcmp(server->files[i].path, path) == 0)
            file = &server->files[i];
    if (!file)
        file = &server->files[server->n_files++];
    *file = (ServedFile){.data = data, .bytes = bytes, .large = large};
    snprintf(file->path, sizeof file->path, "%s", path);
    digest_text(git, data, bytes, file->git_id);
    digest_text(large ? sha256 : git, data, bytes, file->hash);
}

void hub_server_remove(HubServer *server, const char *path) {
    for (size_t i = 0; i < server->n_files; i++)
        if (strcmp(server->files[i].path, path) == 0)
            server->files[i--] = server->files[--server->n_files];
}

const char *hub_server_hash(const HubServer *server, const char *path) {
    return find_file(server, path)->hash;
}

const char *hub_server_last_revision(const HubServer *server) {
    return server->last_revision;
}

void hub_server_no_parquet(HubServer *server, bool none) {
    server->no_parquet = none;
}

void hub_server_no_etags(HubServer *server, bool none) {
    server->no_etags = none;
}

void hub_server_commit(HubServer *server, const char *commit) {
    memcpy(server->commit, commit, sizeof server->commit);
}

void hub_server_pages(HubServer *server, size_t files_per_page) {
    server->files_per_page = files_per_page;
}

void hub_server_listing(HubServer *server, const char *json) {
    server->listing = json;
}

void hub_server_fault(HubServer *server, HubPart part, HubFault fault, long long argument, int count) {
    pthread_mutex_lock(&server->lock);
    server->faults[part] = (Fault){fault, argument, count};
    pthread_mutex_unlock(&server->lock);
}

void hub_server_throttle(HubServer *server, size_t bytes_per_second) {
    server->bytes_per_second = bytes_per_second;
}

HubCounts hub_server_counts(HubServer *server) {
    pthread_mutex_lock(&server->lock);
    HubCounts counts = server->counts;
    pthread_mutex_unlock(&server->lock);
    return counts;
}
