/* The writer's lock: an advisory lock on the file DATABASE-lock, with the holder's process id written inside
 * for the sentence that refuses a second writer.
 *
 * The lock belongs to the open file description, so it dies with its process however that ends, and two
 * connections inside one process exclude each other too. The file itself stays: removing it would let a third
 * process lock a new file while a second one still waits on the removed one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "db/internal.h"

static long lock_holder(int file) {
    char text[32] = {0};
    if (pread(file, text, sizeof text - 1, 0) <= 0)
        return 0;
    return strtol(text, NULL, 10);
}

static int lock_refused(int file, const char *path, Error *error) {
    long holder = lock_holder(file);
    if (holder > 0)
        return error_set(error,
                         "cannot write to results database '%s': process %ld is writing to it; wait until it "
                         "has finished, or give this run another --db",
                         path, holder);
    return error_set(error,
                     "cannot write to results database '%s': another process is writing to it; wait until it "
                     "has finished, or give this run another --db",
                     path);
}

int lock_take(int *lock, const char *full_path, const char *path, Error *error) {
    size_t bytes = strlen(full_path) + sizeof "-lock";
    char *name = mem_alloc(bytes);
    snprintf(name, bytes, "%s-lock", full_path);
    int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    int open_errno = errno;
    free(name);
    if (file < 0)
        return error_set(error, "cannot write to results database '%s': cannot make '%s-lock' beside it: %s",
                         path, path, strerror(open_errno));

    struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(file, F_OFD_SETLK, &whole_file) != 0) {
        int lock_errno = errno;
        int result =
            lock_errno == EAGAIN || lock_errno == EACCES
                ? lock_refused(file, path, error)
                : error_set(error, "cannot write to results database '%s': cannot lock '%s-lock': %s", path,
                            path, strerror(lock_errno));
        close(file);
        return result;
    }

    /* The id inside serves the other side's message only, so a disk too full to hold it is no failure here:
     * the first transaction will say so better. */
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    ssize_t written = ftruncate(file, 0) == 0 ? pwrite(file, text, (size_t)length, 0) : -1;
    (void)written;
    *lock = file;
    return 0;
}

void lock_release(int lock) {
    if (lock >= 0)
        close(lock);
}
