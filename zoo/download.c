/* Fetching one file; see download.h. The lock of a hash is the Python client's own (flock), so any two
 * programs that pull the same file do it once. */
#include "zoo/download.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum { MOST_MISMATCHES = 2, FLUSH_BYTES = 16 << 20 };

static int failed(const Download *download, const char *verb, Error *error) {
    return error_set(error, "%s: cannot %s %s: %s", download->what, verb, download->partial, strerror(errno));
}

static void close_files(Download *download) {
    hasher_free(download->hasher);
    download->hasher = NULL;
    if (download->out >= 0)
        close(download->out);
    if (download->lock >= 0)
        close(download->lock); /* which also lets the lock go */
    download->out = download->lock = -1;
}

/* ---- before an attempt */

/* The file's bytes may lie in the other store already; if they hash right, they get a second name here. */
static bool take_from_second_store(Download *download) {
    if (!download->second_store)
        return false;
    Buffer path = {0};
    char hex[DIGEST_HEX];
    buffer_printf(&path, "%s/%s/blobs/%s", download->second_store, download->shelf->name,
                  download->file->hash);
    bool taken = file_size(path.data) == download->file->bytes &&
                 digest_file(path.data, download->file->hash, hex, NULL) == 0 &&
                 strcmp(hex, download->file->hash) == 0 && link(path.data, download->blob) == 0;
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

static void start_over(Download *download) {
    hasher_free(download->hasher);
    download->hasher = hasher_begin(download->out, download->file->hash, download->file->bytes);
    download->offset = 0;
}

/* Goes on behind what an earlier run left; more than the file can hold is none of its bytes. */
static int take_up_partial(Download *download, Error *error) {
    struct stat status;
    if (fstat(download->out, &status) != 0)
        return failed(download, "examine", error);
    start_over(download);
    if (status.st_size <= download->file->bytes)
        download->offset = status.st_size;
    hasher_advance(download->hasher, download->offset);
    return 0;
}

static HttpVerdict settle(Download *download, Error *error);

static HttpVerdict download_ready(void *context, int64_t *offset, Error *error) {
    Download *download = context;
    HttpVerdict verdict = take_lock(download, error);
    if (verdict != HTTP_GO)
        return verdict;
    if (file_size(download->blob) == download->file->bytes || take_from_second_store(download)) {
        close_files(download);
        download->done = true;
        return HTTP_DONE;
    }
    if (download->out < 0) {
        download->out = open(download->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (download->out < 0 || take_up_partial(download, error))
            return download->out < 0 ? (failed(download, "open", error), HTTP_FATAL) : HTTP_FATAL;
    }
    if (download->offset == download->file->bytes) {
        /* All bytes are here: an empty file, or one that was cut off just before it got its name. */
        verdict = settle(download, error);
        if (verdict != HTTP_AGAIN)
            return verdict == HTTP_GO ? HTTP_DONE : verdict;
        if (download->offset == download->file->bytes)
            return HTTP_FATAL; /* an empty file whose hash cannot be */
    }
    *offset = download->offset;
    return HTTP_GO;
}

/* ---- the answer */

/* "bytes 100-199/200" must go on where we are, in a file of the size we expect. */
static HttpVerdict check_range(Download *download, const char *range, Error *error) {
    long long first, last, total;
    int used = 0;
    if (sscanf(range, "bytes %lld-%lld/%lld%n", &first, &last, &total, &used) != 3 || range[used] ||
        first != download->offset || total != download->file->bytes) {
        error_set(error,
                  "%s: the server answered the range from %lld with \"%s\", expected a range of %lld bytes",
                  download->what, (long long)download->offset, range, (long long)download->file->bytes);
        start_over(download);
        return HTTP_AGAIN;
    }
    return HTTP_GO;
}

static HttpVerdict download_head(void *context, int status, const HttpHeaders *headers, Error *error) {
    Download *download = context;
    int64_t size;
    if (headers->repo_commit[0] && strcmp(headers->repo_commit, download->commit) != 0) {
        error_set(error, "%s: the hub answered with commit %s, asked was %s", download->what,
                  headers->repo_commit, download->commit);
        return HTTP_AGAIN;
    }
    if (text_to_int(headers->linked_size, &size) && size != download->file->bytes) {
        error_set(error, "%s: the hub says it has %lld bytes, its list says %lld", download->what,
                  (long long)size, (long long)download->file->bytes);
        return HTTP_AGAIN;
    }
    if (status == 206)
        return check_range(download, headers->content_range, error);
    if (download->offset > 0)
        start_over(download); /* the server sends all of it again */
    return HTTP_GO;
}

static HttpVerdict download_receive(void *context, const void *data, size_t bytes, Error *error) {
    Download *download = context;
    if ((int64_t)bytes > download->file->bytes - download->offset) {
        error_set(error, "%s: the server sends more than the %lld bytes of its list", download->what,
                  (long long)download->file->bytes);
        start_over(download);
        return HTTP_AGAIN;
    }
    for (size_t done = 0; done < bytes;) {
        ssize_t wrote =
            pwrite(download->out, (const char *)data + done, bytes - done, download->offset + (int64_t)done);
        if (wrote < 0 && errno != EINTR) {
            failed(download, "write", error);
            return HTTP_FATAL;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    download->offset += (int64_t)bytes;
    hasher_advance(download->hasher, download->offset);
    /* The disk starts on what is here while more arrives, so that the wait at the end is short. */
    if (download->offset / FLUSH_BYTES > (download->offset - (int64_t)bytes) / FLUSH_BYTES)
        sync_file_range(download->out, 0, download->offset, SYNC_FILE_RANGE_WRITE);
    if (download->offset > download->fetched) {
        download->fetched = download->offset;
        download->task->progressed = true;
    }
    return HTTP_GO;
}

/* ---- the end */

/* Bytes that hash to something else are kept under a name that nobody uses, and fetched once more. */
static HttpVerdict put_aside(Download *download, const char *found, Error *error) {
    Buffer aside = {0};
    buffer_printf(&aside, "%s.mismatch", download->blob);
    int renamed = rename(download->partial, aside.data);
    error_set(error, "%s: its bytes hash to %s, expected %s; they are kept as %s and not used",
              download->what, found, download->file->hash, renamed == 0 ? aside.data : download->partial);
    buffer_free(&aside);
    close(download->out);
    download->out = -1;
    download->fetched = 0;
    if (++download->mismatches >= MOST_MISMATCHES)
        return HTTP_FATAL;
    download->out = open(download->partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (download->out < 0)
        return HTTP_FATAL;
    start_over(download);
    return HTTP_AGAIN;
}

static HttpVerdict settle(Download *download, Error *error) {
    char hex[DIGEST_HEX];
    Hasher *hasher = download->hasher;
    download->hasher = NULL;
    if (hasher_end(hasher, hex, download->what, error))
        return HTTP_FATAL;
    if (strcmp(hex, download->file->hash) != 0)
        return put_aside(download, hex, error);
    if (ftruncate(download->out, download->file->bytes) != 0 || fchmod(download->out, 0644) != 0 ||
        fdatasync(download->out) != 0) {
        failed(download, "finish", error);
        return HTTP_FATAL;
    }
    if (rename(download->partial, download->blob) != 0) {
        failed(download, "rename", error);
        return HTTP_FATAL;
    }
    close_files(download);
    download->done = true;
    return HTTP_GO;
}

static HttpVerdict download_finish(void *context, Error *error) {
    Download *download = context;
    if (download->offset < download->file->bytes) {
        error_set(error, "%s: the server ended after %lld of %lld bytes", download->what,
                  (long long)download->offset, (long long)download->file->bytes);
        return HTTP_AGAIN;
    }
    return settle(download, error);
}

void download_begin(Download *out, HttpTask *task, const Hub *hub, const HubName *name, const Shelf *shelf,
                    const char *commit, const HubFile *file, const char *page) {
    Buffer what = {0};
    buffer_printf(&what, "fetching %s of %s", file->path, name->repository);
    *out = (Download){.file = file,
                      .shelf = shelf,
                      .commit = commit,
                      .url = hub_file_url(hub, name, commit, file->path),
                      .what = buffer_take(&what),
                      .blob = shelf_blob(shelf, file->hash, ""),
                      .partial = shelf_blob(shelf, file->hash, ".incomplete"),
                      .lock = -1,
                      .out = -1,
                      .task = task};
    *task = (HttpTask){.url = out->url,
                       .what = out->what,
                       .page = page,
                       .context = out,
                       .ready = download_ready,
                       .begin = download_head,
                       .receive = download_receive,
                       .finish = download_finish};
}

void download_end(Download *download) {
    close_files(download);
    free(download->url);
    free(download->what);
    free(download->blob);
    free(download->partial);
}
