/* Bytes that the disk may not have yet. A pull does not wait for the disk: that would make it as slow as the
 * disk where the network is faster. So a file that has its name survives a killed process at once, but a loss
 * of power only when the system has written it, some 30 seconds later. A note in the repository's folder,
 * itself on disk before the first file gets its name, says in which life of the machine files were added.
 * Whoever uses the repository next finds the same life, and then nothing was lost; or another, and then
 * hashes every file once and puts aside what the disk did not get. When the note is old its files are on
 * disk, and it goes. Pulls hold a shared lock while they work, and the note goes under the exclusive one
 * only. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/digest.h"
#include "zoo/store.h"

enum { SETTLED_S = 600, BOOT_BYTES = 36 };

/* An identifier of this life of the machine; "" if the system names none. */
static void read_boot(char boot[BOOT_BYTES + 1]) {
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = file >= 0 ? read(file, boot, BOOT_BYTES) : -1;
    boot[got == BOOT_BYTES ? BOOT_BYTES : 0] = 0;
    if (file >= 0)
        close(file);
}

static char *note_path(const Shelf *shelf) {
    return path_join(shelf->folder, "unsettled");
}

int shelf_writing_lock(const Shelf *shelf) {
    Buffer path = {0};
    buffer_printf(&path, "%s/.locks/%s/unsettled.lock", shelf->store, shelf->name);
    int lock = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    buffer_free(&path);
    return lock;
}

static void sync_folder(const char *folder) {
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0) {
        fsync(file);
        close(file);
    }
}

int shelf_begin_writing(const Shelf *shelf, int *lock, Error *error) {
    char *path = note_path(shelf), boot[BOOT_BYTES + 1];
    read_boot(boot);
    *lock = shelf_writing_lock(shelf);
    int result = 0;
    if (*lock < 0 || flock(*lock, LOCK_SH) != 0)
        result = error_set(error, "cannot lock %s: %s", shelf->folder, strerror(errno));
    if (result == 0)
        result = file_write_atomic(path, boot, strlen(boot), error);
    if (result == 0)
        sync_folder(shelf->folder);
    free(path);
    return result;
}

typedef struct Settling {
    size_t n_bad;
    char bad[DIGEST_HEX]; /* one of them */
} Settling;

static void check_blob(const char *path, const char *name, Settling *settling) {
    char hex[DIGEST_HEX];
    Buffer aside = {0};
    if (digest_file(path, name, hex, NULL) == 0 && strcmp(hex, name) == 0)
        return;
    buffer_printf(&aside, "%s.mismatch", path);
    rename(path, aside.data);
    settling->n_bad++;
    memcpy(settling->bad, name, strlen(name) + 1);
    buffer_free(&aside);
}

static void sync_blob(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file >= 0) {
        fdatasync(file);
        close(file);
    }
}

/* All verified files of the shelf: written to disk, or, after another life, hashed. */
static void go_through(const Shelf *shelf, bool same_life, Settling *settling) {
    char *blobs = path_join(shelf->folder, "blobs");
    DIR *open = opendir(blobs);
    for (struct dirent *entry; open && (entry = readdir(open));) {
        if (!digest_is_name(entry->d_name))
            continue;
        char *path = path_join(blobs, entry->d_name);
        if (same_life)
            sync_blob(path);
        else
            check_blob(path, entry->d_name, settling);
        free(path);
    }
    if (open)
        closedir(open);
    sync_folder(blobs);
    free(blobs);
}

int shelf_settle(const Shelf *shelf, Error *error) {
    char *path = note_path(shelf), boot[BOOT_BYTES + 1];
    struct stat status;
    Buffer text = {0};
    Settling settling = {0};
    int lock = -1;
    if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) && file_read(&text, path, 256, NULL) == 0) {
        read_boot(boot);
        bool same_life = strcmp(text.data ? text.data : "", boot) == 0;
        lock = shelf_writing_lock(shelf);
        bool alone = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0;
        bool old = time(NULL) - status.st_mtim.tv_sec > SETTLED_S;
        if (!same_life || (alone && old)) {
            go_through(shelf, same_life, &settling);
            if (alone)
                unlink(path);
        }
    }
    if (lock >= 0)
        close(lock);
    buffer_free(&text);
    free(path);
    if (settling.n_bad == 0)
        return 0;
    return error_set_kind(
        error, ERROR_CHECK,
        "%s: the machine went down before %zu files were on disk, %s for one; they were put "
        "aside, pull it again",
        shelf->folder, settling.n_bad, settling.bad);
}

int snapshot_settle(const ZooSnapshot *snapshot, Error *error) {
    if (!snapshot->ours)
        return 0;
    HubName name = {.repository = (char *)snapshot->repository, .dataset = snapshot->dataset};
    Shelf shelf;
    shelf_open(&shelf, snapshot->store, &name);
    int result = shelf_settle(&shelf, error);
    shelf_close(&shelf);
    return result;
}
