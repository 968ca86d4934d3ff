/* The groups of the zoo's tests, and what they share. */
#ifndef ZEVAL_TESTS_ZOO_H
#define ZEVAL_TESTS_ZOO_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/base.h"
#include "tests/zoo/hub/server.h"
#include "zoo/zoo.h"

int run_find_tests(void);
int run_registry_tests(void);
int run_pull_tests(void);
int run_fault_tests(void);
int run_listing_tests(void);
int run_store_tests(void);
int run_carry_tests(void);
int run_outside_tests(void);
int run_web_tests(void);

/* A hub with a small model and a folder of its own for everything that a pull reads and writes; the
 * environment points at both. */
typedef struct World {
    char folder[64];
    HubServer *hub;
    char *weights; /* WEIGHTS_BYTES of noise: "model.safetensors" */
    PullOptions options;
} World;
enum { WEIGHTS_BYTES = 3 << 20 };

int world_open(void **state);
int world_close(void **state);

/* Pulls test/model and checks every file of the snapshot against the hub's bytes; fails the test if not. */
void pull_and_check(World *world, PullResult *result);
/* Pulls and expects an error whose sentence holds `words`. */
void pull_expecting_error(World *world, const char *words);
/* True if every file in blobs/ without a suffix is what its name says. Prints what is not. */
bool store_is_sound(const World *world);
/* Waits until the hub has begun to send `n` contents; fails the test after two minutes. */
void world_await_content(World *world, int n);
/* Starts a process that pulls `name` with the world's options for parts, parallel connections and patience;
 * with `small_files` no file that it writes may grow over a megabyte. SIGTERM asks it to stop. One at a time.
 */
pid_t child_pull(const World *world, const char *name, bool small_files);
/* Waits for it, at most two minutes: its ErrorKind, 0 if all went well, -1 if a signal ended it. The sentence
 * that it said is the caller's to free. */
int child_wait(const World *world, pid_t child, Buffer *sentence);
/* What such a process does: the arguments after "pull". */
int child_main(char **arguments);
char *world_path(const World *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
