/* Fetching one file; see download.h. The lock of a hash is the Python client's own (flock), so any two
 * programs that pull the same file do it once. Whatever makes the bytes doubtful (the file changed on the
 * server, ranges are ignored, the hash is wrong) drops them all, and one part fetches the whole file alone.
 */
#include "zoo/download.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/web.h"

enum { MOST_MISMATCHES = 2, BUFFER_BYTES = 512 << 10, SMALL_BYTES = 1 << 20 };
/* A file is cut from twice this size on. */
static const int64_t least_part_bytes = 32 << 20, most_lag_bytes = 64 << 20;

static void close_files(Download *download) {
    hasher_free(download->hasher);
    download->hasher = NULL;
    partial_close(&download->partial);
    if (download->lock >= 0)
        close(download->lock); /* which also lets the lock go */
    download->lock = -1;
}

/* ---- what is here */

static int64_t length(const Part *part) {
    return part->end - part->begin;
}

/* How many bytes are here without a gap. */
static int64_t front(Download *download) {
    if (download->sole)
        return download->sole->done;
    while (download->first_open < download->n_parts &&
           download->parts[download->first_open].done == length(&download->parts[download->first_open]))
        download->first_open++;
    if (download->first_open == download->n_parts)
        return download->file->bytes;
    const Part *part = &download->parts[download->first_open];
    return part->begin + part->done;
}

int64_t download_have(const Download *download) {
    if (download->done)
        return download->file->bytes;
    if (download->sole)
        return download->sole->done + (int64_t)download->sole->held;
    int64_t have = 0;
    for (size_t i = 0; i < download->n_parts; i++)
        have += download->parts[i].done + (int64_t)download->parts[i].held;
    return have;
}

/* A small file is hashed at its end instead. */
static void hash_from_the_beginning(Download *download) {
    hasher_free(download->hasher);
    download->hasher = download->file->bytes <= SMALL_BYTES
                           ? NULL
                           : hasher_begin(download->partial.out, download->file->hash, download->file->bytes);
}

/* Puts what a part holds into the partial file, and notes it. */
static int write_held(Part *part, Error *error) {
    Download *download = part->download;
    size_t i = download->sole ? 0 : (size_t)(part - download->parts);
    if (part->held == 0)
        return 0;
    if (partial_write(&download->partial, part->buffer, part->held, part->begin + part->done, error))
        return error_prefix(error, "%s", download->what);
    part->done += (int64_t)part->held;
    part->held = 0;
    part->written_s = clock_seconds();
    if (download->hasher)
        hasher_advance(download->hasher, front(download));
    if (partial_note(&download->partial, i, part->done, error))
        return error_prefix(error, "%s", download->what);
    return 0;
}

static void drop_buffer(Part *part) {
    free(part->buffer);
    part->buffer = NULL;
    part->held = 0;
}

/* Drops all bytes; from now on `part` fetches the whole file. `aside`: where to keep them, NULL: nowhere. */
static int start_over(Part *part, const char *aside, Error *error) {
    Download *download = part->download;
    hasher_free(download->hasher);
    download->hasher = NULL;
    if (partial_restart(&download->partial, aside, error))
        return error_prefix(error, "%s", download->what);
    for (size_t i = 0; i < download->n_parts; i++) {
        download->parts[i].done = 0;
        drop_buffer(&download->parts[i]);
    }
    part->begin = 0;
    part->end = download->file->bytes;
    part->generation = ++download->generation;
    download->sole = part;
    download->etag[0] = 0;
    hash_from_the_beginning(download);
    return 0;
}

/* The same, to be tried again; `error` already says why. */
static HttpVerdict start_over_again(Part *part, Error *error) {
    Error broken;
    if (start_over(part, NULL, &broken)) {
        *error = broken;
        return HTTP_FATAL;
    }
    return HTTP_AGAIN;
}

/* ---- before an attempt */

/* The file's bytes may lie in the other store already; if they hash right, they get a second name here, or,
 * where that is another file system, a copy. */
static bool take_from_second_store(const Download *download) {
    if (!download->second_store)
        return false;
    Buffer path = {0};
    buffer_printf(&path, "%s/%s/blobs/%s", download->second_store, download->shelf->name,
                  download->file->hash);
    bool taken = file_size(path.data) == download->file->bytes &&
                 shelf_take(download->shelf, path.data, download->file->hash) == 0;
    buffer_free(&path);
    return taken;
}

static HttpVerdict take_lock(Download *download, Error *error) {
    if (download->lock >= 0)
        return HTTP_GO;
    char *path = shelf_lock(download->shelf, download->file->hash);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    HttpVerdict verdict = HTTP_GO;
    if (lock < 0) {
        error_set(error, "%s: cannot open %s: %s", download->what, path, strerror(errno));
        verdict = HTTP_FATAL;
    } else if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        download->lock = lock;
    } else {
        close(lock);
        verdict = HTTP_WAIT;
    }
    free(path);
    return verdict;
}

/* The bytes of an unhashed file have been seen: from now on it has their hash. */
static void take_hash(Download *download, const char *hash) {
    memcpy(download->file->hash, hash, strlen(hash) + 1);
    download->file->unhashed = false;
    free(download->blob);
    download->blob = shelf_blob(download->shelf, hash, "");
}

/* Another process has fetched the unhashed file meanwhile. */
static void recall(Download *download) {
    char hash[DIGEST_HEX];
    const HubFile *file = download->file;
    if (file->unhashed && file->etag[0] && web_recall(download->shelf, file->hash, file->bytes, hash))
        take_hash(download, hash);
}

/* Goes on behind what an earlier run left. */
static int take_up(Download *download, Error *error) {
    PartialState state;
    if (partial_open(&download->partial, &state, error))
        return error_prefix(error, "%s", download->what);
    memcpy(download->etag, state.etag, sizeof download->etag);
    for (size_t i = 0; i < download->n_parts; i++) {
        Part *part = &download->parts[i];
        part->done = state.done[i] < length(part) ? state.done[i] : length(part);
    }
    hash_from_the_beginning(download);
    if (download->hasher)
        hasher_advance(download->hasher, front(download));
    return 0;
}

static HttpVerdict settle(Part *part, Error *error);

/* Lets all of a file's tasks through, one after the other, to the end. */
static HttpVerdict part_ready(void *context, HttpRange *range, Error *error) {
    Part *part = context;
    Download *download = part->download;
    HttpVerdict verdict = download->done ? HTTP_DONE : take_lock(download, error);
    if (verdict != HTTP_GO)
        return verdict;
    if (download->partial.out < 0) {
        recall(download);
        if (file_size(download->blob) == download->file->bytes || take_from_second_store(download)) {
            close_files(download);
            download->done = true;
            return HTTP_DONE;
        }
        if (take_up(download, error))
            return HTTP_FATAL;
    }
    /* Nothing but an ETag says that the rest would be of the same file. */
    if (download->file->unhashed && !download->file->etag[0] && download_have(download) > 0 &&
        start_over(part, NULL, error))
        return HTTP_FATAL;
    if (download->sole && download->sole != part)
        return HTTP_WAIT;
    if (front(download) == download->file->bytes) {
        /* All bytes are here: an empty file, or one that was cut off just before it got its name. */
        verdict = settle(part, error);
        if (verdict != HTTP_AGAIN)
            return verdict == HTTP_GO ? HTTP_DONE : verdict;
        if (download->file->bytes == 0)
            return HTTP_FATAL; /* an empty file whose hash cannot be */
    }
    if (part->done == length(part)) /* the last one that has a gap brings the file to its end */
        return HTTP_WAIT;
    *range = (HttpRange){.from = part->begin + part->done,
                         .to = part->end < download->file->bytes ? part->end - 1 : -1,
                         .if_range = download->etag};
    part->generation = download->generation;
    return HTTP_GO;
}

/* ---- the answer */

/* "bytes 100-199/200" must go on where we are, within what was asked for, in a file of the size we expect. */
static HttpVerdict check_range(Part *part, const char *text, Error *error) {
    long long first, last, total;
    int used = 0;
    const Download *download = part->download;
    if (sscanf(text, "bytes %lld-%lld/%lld%n", &first, &last, &total, &used) == 3 && !text[used] &&
        first == part->begin + part->done && last >= first && last < part->end &&
        total == download->file->bytes)
        return HTTP_GO;
    error_set(error,
              "%s: the server answered the range from %lld with \"%s\", expected a range of %lld bytes",
              download->what, (long long)(part->begin + part->done), text, (long long)download->file->bytes);
    return start_over_again(part, error);
}

static HttpVerdict keep_etag(Download *download, const char *etag, Error *error) {
    snprintf(download->etag, sizeof download->etag, "%s", etag);
    if (partial_note_etag(&download->partial, etag, error) == 0)
        return HTTP_GO;
    error_prefix(error, "%s", download->what);
    return HTTP_FATAL;
}

/* Bytes of two states of a file must not be joined. */
static HttpVerdict check_etag(Part *part, const char *etag, Error *error) {
    Download *download = part->download;
    if (!download->etag[0] && etag[0])
        return keep_etag(download, etag, error);
    if (!etag[0] || strcmp(download->etag, etag) == 0)
        return HTTP_GO;
    error_set(error, "%s: the file changed on the server between two ranges (ETag %s, before %s)",
              download->what, etag, download->etag);
    return start_over_again(part, error);
}

/* The whole file comes: it does as it is where it is what the task wants, else it is taken from the start. */
static HttpVerdict take_whole(Part *part, const char *etag, Error *error) {
    Download *download = part->download;
    bool wanted = part->done == 0 && length(part) == download->file->bytes;
    if (!wanted && start_over(part, NULL, error))
        return HTTP_FATAL;
    return keep_etag(download, etag, error);
}

static HttpVerdict part_head(void *context, int status, const HttpHeaders *headers, Error *error) {
    Part *part = context;
    Download *download = part->download;
    int64_t size;
    if (part->generation != download->generation)
        return HTTP_WAIT;
    if (headers->repo_commit[0] && download->commit[0] &&
        strcmp(headers->repo_commit, download->commit) != 0) {
        error_set(error, "%s: the hub answered with commit %s, asked was %s", download->what,
                  headers->repo_commit, download->commit);
        return HTTP_AGAIN;
    }
    if (text_to_int(headers->linked_size, &size) && size != download->file->bytes) {
        error_set(error, "%s: the hub says it has %lld bytes, its list says %lld", download->what,
                  (long long)size, (long long)download->file->bytes);
        return HTTP_AGAIN;
    }
    if (download->file->unhashed && download->file->etag[0] &&
        strcmp(headers->etag, download->file->etag) != 0) {
        error_set(error, "%s: the file changed on the server meanwhile (ETag %s, before %s); pull it again",
                  download->what, headers->etag, download->file->etag);
        return HTTP_FATAL;
    }
    if (status != 206)
        return take_whole(part, headers->etag, error);
    HttpVerdict verdict = check_range(part, headers->content_range, error);
    return verdict == HTTP_GO ? check_etag(part, headers->etag, error) : verdict;
}

static HttpVerdict part_receive(void *context, const void *data, size_t bytes, Error *error) {
    Part *part = context;
    Download *download = part->download;
    if (part->generation != download->generation)
        return HTTP_WAIT;
    if ((int64_t)bytes > length(part) - part->done - (int64_t)part->held) {
        error_set(error, "%s: the server sends more than the %lld bytes of its list", download->what,
                  (long long)download->file->bytes);
        return start_over_again(part, error);
    }
    if (!part->buffer)
        part->buffer = mem_alloc(BUFFER_BYTES);
    while (bytes > 0) {
        size_t room = BUFFER_BYTES - part->held, now = bytes < room ? bytes : room;
        memcpy(part->buffer + part->held, data, now);
        part->held += now;
        data = (const char *)data + now;
        bytes -= now;
        download->fetched += (int64_t)now;
        if (part->held == BUFFER_BYTES && write_held(part, error))
            return HTTP_FATAL;
    }
    if (clock_seconds() - part->written_s > 1 && write_held(part, error))
        return HTTP_FATAL;
    if (part->done + (int64_t)part->held > part->reached) {
        part->reached = part->done + (int64_t)part->held;
        part->task->progressed = true;
    }
    return HTTP_GO;
}

/* An attempt ended early: what it brought is kept. */
static int part_broken(void *context, Error *error) {
    Part *part = context;
    bool wanted = !part->download->done && part->generation == part->download->generation;
    int result = wanted ? write_held(part, error) : 0;
    drop_buffer(part);
    return result;
}

/* ---- the end */

/* Bytes that hash to something else are kept under a name that nobody uses, and fetched once more. */
static HttpVerdict put_aside(Part *part, const char *found, Error *error) {
    Download *download = part->download;
    Buffer aside = {0};
    Error broken;
    buffer_printf(&aside, "%s.mismatch", download->blob);
    error_set(error, "%s: its bytes hash to %s, expected %s; they are kept as %s and not used",
              download->what, found, download->file->hash, aside.data);
    HttpVerdict verdict = ++download->mismatches >= MOST_MISMATCHES ? HTTP_FATAL : HTTP_AGAIN;
    if (start_over(part, aside.data, &broken)) {
        *error = broken;
        verdict = HTTP_FATAL;
    }
    buffer_free(&aside);
    for (size_t i = 0; i < download->n_parts; i++)
        download->parts[i].reached = 0;
    return verdict;
}

static HttpVerdict settle(Part *part, Error *error) {
    Download *download = part->download;
    Hasher *hasher = download->hasher;
    char hex[DIGEST_HEX];
    if (hasher && hasher_lag(hasher) > most_lag_bytes)
        return HTTP_WAIT; /* other connections should not starve meanwhile */
    download->hasher = NULL;
    if (hasher ? hasher_end(hasher, hex, download->what, error)
               : digest_open_file(download->partial.out, download->file->hash, download->file->bytes, hex,
                                  error))
        return HTTP_FATAL;
    char key[DIGEST_HEX];
    bool unhashed = download->file->unhashed;
    memcpy(key, download->file->hash, sizeof key);
    if (unhashed)
        take_hash(download, hex);
    else if (strcmp(hex, key) != 0)
        return put_aside(part, hex, error);
    if (partial_finish(&download->partial, download->blob, error) ||
        (unhashed && download->file->etag[0] && web_remember(download->shelf, key, hex, error))) {
        error_prefix(error, "%s", download->what);
        return HTTP_FATAL;
    }
    close_files(download);
    download->done = true;
    return HTTP_GO;
}

static HttpVerdict part_finish(void *context, Error *error) {
    Part *part = context;
    Download *download = part->download;
    if (download->done) /* another part's last bytes came with this one's */
        return HTTP_GO;
    if (part->generation != download->generation)
        return HTTP_WAIT;
    if (write_held(part, error))
        return HTTP_FATAL;
    drop_buffer(part);
    if (part->done < length(part)) {
        error_set(error, "%s: the server ended after %lld of %lld bytes", download->what,
                  (long long)(part->begin + part->done), (long long)download->file->bytes);
        return HTTP_AGAIN;
    }
    return front(download) == download->file->bytes ? settle(part, error) : HTTP_WAIT;
}

/* ---- the whole */

/* At most PARTIAL_MOST_PARTS parts of whole megabytes. */
static int64_t size_of_parts(int64_t bytes, int64_t wanted) {
    int64_t part = wanted > 0 ? wanted : least_part_bytes;
    if (wanted <= 0 && bytes < 2 * part)
        return bytes > 0 ? bytes : 1;
    int64_t least = bytes / PARTIAL_MOST_PARTS + 1;
    return part >= least ? part : (least + (1 << 20) - 1) / (1 << 20) * (1 << 20);
}

size_t download_n_parts(int64_t bytes, int64_t part_bytes) {
    int64_t part = size_of_parts(bytes, part_bytes);
    return bytes > part ? (size_t)((bytes + part - 1) / part) : 1;
}

static void cut(Download *download, HttpTask *tasks, const char *page) {
    download->parts = mem_alloc_zero(download->n_parts, sizeof *download->parts);
    for (size_t i = 0; i < download->n_parts; i++) {
        int64_t begin = (int64_t)i * download->partial.part_bytes;
        int64_t end = begin + download->partial.part_bytes;
        download->parts[i] = (Part){.download = download,
                                    .task = &tasks[i],
                                    .begin = begin,
                                    .end = i + 1 < download->n_parts ? end : download->file->bytes};
        tasks[i] = (HttpTask){.url = download->url,
                              .what = download->what,
                              .page = page,
                              .context = &download->parts[i],
                              .ready = part_ready,
                              .begin = part_head,
                              .receive = part_receive,
                              .broken = part_broken,
                              .finish = part_finish};
    }
}

void download_begin(Download *out, HttpTask *tasks, const Hub *hub, const HubName *name, const Shelf *shelf,
                    const char *commit, HubFile *file, const char *page, int64_t part_bytes) {
    Buffer what = {0};
    buffer_printf(&what, "fetching %s of %s", file->path, name->repository);
    *out = (Download){.file = file,
                      .shelf = shelf,
                      .commit = commit,
                      .url = hub_file_url(hub, name, commit, file->path),
                      .what = buffer_take(&what),
                      .blob = shelf_blob(shelf, file->hash, ""),
                      .n_parts = download_n_parts(file->bytes, part_bytes),
                      .lock = -1};
    bool many = out->n_parts > 1;
    out->partial = (PartialFile){.path = shelf_blob(shelf, file->hash, many ? ".parts" : ".incomplete"),
                                 .sequential = many ? shelf_blob(shelf, file->hash, ".incomplete") : NULL,
                                 .bytes = file->bytes,
                                 .part_bytes = size_of_parts(file->bytes, part_bytes),
                                 .n_parts = out->n_parts,
                                 .out = -1};
    cut(out, tasks, page);
}

void download_end(Download *download) {
    for (size_t i = 0; i < download->n_parts; i++) {
        if (download->partial.out >= 0)
            part_broken(&download->parts[i], NULL);
        drop_buffer(&download->parts[i]);
    }
    close_files(download);
    free(download->parts);
    free(download->url);
    free(download->what);
    free(download->blob);
    free(download->partial.path);
    free(download->partial.sequential);
}
