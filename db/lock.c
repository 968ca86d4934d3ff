/* Who is at work, by locks on bytes of the file DATABASE-lock: byte 0 is held for the moment of making or
 * migrating the database, byte N by worker N for as long as it lives.
 *
 * A lock belongs to the open file description, so it dies with its process however that ends: no clock and no
 * process id has to be trusted to find out that a worker is dead. The file itself stays: removing it would
 * let a process lock a new file while another one still uses the removed one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "db/internal.h"

enum { WAIT_MS = 20, MOST_WAITS = 1500 };

int lock_open(int *lock, const char *full_path, const char *path, Error *error) {
    size_t bytes = strlen(full_path) + sizeof "-lock";
    char *name = mem_alloc(bytes);
    snprintf(name, bytes, "%s-lock", full_path);
    *lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    int open_errno = errno;
    free(name);
    if (*lock < 0)
        return error_set(error, "cannot write to results database '%s': cannot make '%s-lock' beside it: %s",
                         path, path, strerror(open_errno));
    return 0;
}

static struct flock byte_lock(int64_t byte, short type) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
}

int lock_byte(int lock, int64_t byte, const char *path, Error *error) {
    struct flock ours = byte_lock(byte, F_WRLCK);
    for (int waits = 0; fcntl(lock, F_OFD_SETLK, &ours) != 0; waits++) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return error_set(error, "cannot write to results database '%s': cannot lock '%s-lock': %s", path,
                             path, strerror(errno));
        if (waits == MOST_WAITS)
            return error_set(
                error,
                "cannot write to results database '%s': another process has held '%s-lock' for %d "
                "seconds; wait until it has finished, or give this run another --db",
                path, path, MOST_WAITS * WAIT_MS / 1000);
        nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000L}, NULL);
    }
    return 0;
}

void unlock_byte(int lock, int64_t byte) {
    struct flock none = byte_lock(byte, F_UNLCK);
    fcntl(lock, F_OFD_SETLK, &none);
}

bool lock_is_held(int lock, int64_t byte) {
    struct flock probe = byte_lock(byte, F_WRLCK);
    return fcntl(lock, F_OFD_GETLK, &probe) == 0 && probe.l_type != F_UNLCK;
}
