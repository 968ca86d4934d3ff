/* Pulls in processes of their own. They are programs started anew and not forks that go on: this process has
 * the hub's threads, and a fork may find the locks of malloc, OpenSSL or a sanitizer held by a thread it has
 * not got. */
#include "tests/zoo/tests.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEGABYTE = 1 << 20, PATIENCE_S = 120 };

static volatile sig_atomic_t stop;

static void ask_to_stop(int signal) {
    (void)signal;
    stop = 1;
}

static int64_t number(const char *text) {
    int64_t value = 0;
    return text_to_int(text, &value) ? value : 0;
}

int child_main(char **arguments) {
    PullResult result;
    Error error = {0};
    PullOptions options = {.part_bytes = number(arguments[1]),
                           .parallel = (int)number(arguments[2]),
                           .stall_s = (int)number(arguments[3]),
                           .retry_delay_ms = (int)number(arguments[4]),
                           .stop = &stop};
    struct rlimit limit = {number(arguments[5]) ? MEGABYTE : RLIM_INFINITY, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGTERM, ask_to_stop);
    setrlimit(RLIMIT_FSIZE, &limit);
    if (zoo_pull(&result, arguments[0], &options, &error) == 0) {
        pull_result_free(&result);
        return 0;
    }
    fputs(error.message, stdout);
    return (int)error.kind;
}

pid_t child_pull(const World *world, const char *name, bool small_files) {
    char part[24], parallel[24], stall[24], delay[24], *said = world_path(world, "sentence");
    snprintf(part, sizeof part, "%" PRId64, world->options.part_bytes);
    snprintf(parallel, sizeof parallel, "%d", world->options.parallel);
    snprintf(stall, sizeof stall, "%d", world->options.stall_s);
    snprintf(delay, sizeof delay, "%d", world->options.retry_delay_ms);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int file = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        dup2(file, STDOUT_FILENO);
        execl("/proc/self/exe", "test_zoo", "pull", name, part, parallel, stall, delay,
              small_files ? "1" : "0", (char *)NULL);
        _exit(127);
    }
    free(said);
    assert_true(child > 0);
    return child;
}

int child_wait(const World *world, pid_t child, Buffer *sentence) {
    char *said = world_path(world, "sentence");
    int status = 0;
    pid_t ended = 0;
    for (double start_s = clock_seconds(); ended == 0 && clock_seconds() - start_s < PATIENCE_S;) {
        ended = waitpid(child, &status, WNOHANG);
        if (ended == 0)
            usleep(1000);
    }
    if (ended == 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        fail_msg("found a pull that has not ended after %d s", PATIENCE_S);
    }
    *sentence = (Buffer){0};
    assert_int_equal(file_read(sentence, said, 4096, NULL), 0);
    free(said);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
