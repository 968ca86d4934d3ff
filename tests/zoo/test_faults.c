/* Every fault ends in success after trying again, or in one clear sentence; what is in the store is whole. */
#include "tests/zoo/tests.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    HubPart part;
    HubFault fault;
    long long argument;
} passing[] = {
    {PART_CONTENT, FAULT_CUT, 1000000},
    {PART_CONTENT, FAULT_SHORT, 1000000},
    {PART_CONTENT, FAULT_FLIP, 0},
    {PART_CONTENT, FAULT_STALL, 500000},
    {PART_CONTENT, FAULT_BUSY, 1},
    {PART_CONTENT, FAULT_BROKEN, 0},
    {PART_CONTENT, FAULT_HTML, 0},
    {PART_CONTENT, FAULT_ENDLESS, 0},
    {PART_CONTENT, FAULT_DROP, 0},
    {PART_CONTENT, FAULT_CHANGED, 0},
    {PART_CONTENT, FAULT_NO_RANGES, 0},
    {PART_CONTENT, FAULT_WRONG_RANGE, 0},
    {PART_RESOLVE, FAULT_BROKEN, 0},
    {PART_RESOLVE, FAULT_DROP, 0},
    {PART_RESOLVE, FAULT_OTHER_COMMIT, 0},
    {PART_RESOLVE, FAULT_HTML, 0},
    {PART_API, FAULT_BROKEN, 0},
    {PART_API, FAULT_DROP, 0},
    {PART_API, FAULT_BUSY, 0},
};

static void overcome_faults(int64_t part_bytes) {
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        void *fresh;
        PullResult result;
        if (part_bytes && (passing[i].part != PART_CONTENT || passing[i].fault == FAULT_BUSY))
            continue; /* nothing of it concerns ranges */
        assert_int_equal(world_open(&fresh), 0);
        World *world = fresh;
        world->options.part_bytes = part_bytes;
        hub_server_fault(world->hub, passing[i].part, passing[i].fault, passing[i].argument, 1);
        pull_and_check(world, &result);
        pull_result_free(&result);
        assert_int_equal(world_close(&fresh), 0);
    }
}

static void test_faults_that_pass_are_overcome(void **state) {
    (void)state;
    overcome_faults(0);
}

static void test_faults_in_one_of_many_ranges_are_overcome(void **state) {
    (void)state;
    overcome_faults(WEIGHTS_BYTES / 5);
}

static const struct {
    HubPart part;
    HubFault fault;
    long long argument;
    const char *words;
} lasting[] = {
    {PART_API, FAULT_GATED, 0, "/test/model while logged in"},
    {PART_API, FAULT_MISSING, 0, "the hub has none of that name"},
    {PART_API, FAULT_BROKEN, 0, "answered HTTP 500; gave up after 5 attempts"},
    {PART_API, FAULT_BUSY, 0, "HTTP 429 (too many requests); gave up"},
    {PART_API, FAULT_BUSY, 86400, "asks to come back in 86400 s"},
    {PART_API, FAULT_LOOP, 0, "redirected more than 10 times"},
    {PART_API, FAULT_HTML, 0, "answered with a web page, expected JSON"},
    {PART_API, FAULT_ENDLESS, 0, "is longer than"},
    {PART_API, FAULT_DROP, 0, "Empty reply from server; gave up"},
    {PART_RESOLVE, FAULT_GATED, 0, "/test/model while logged in"},
    {PART_RESOLVE, FAULT_LOOP, 0, "redirected more than 10 times"},
    {PART_RESOLVE, FAULT_OTHER_COMMIT, 0, "answered with commit ffffffffffffffffffffffffffffffffffffffff"},
    {PART_CONTENT, FAULT_FLIP, 0, "its bytes hash to"},
    {PART_CONTENT, FAULT_SHORT, 1000000, "the server ended after 1000000 of 3145728 bytes; gave up"},
    {PART_CONTENT, FAULT_HTML, 0, "of 3145728 bytes; gave up"},
    {PART_CONTENT, FAULT_ENDLESS, 0, "sends more than the 3145728 bytes of its list"},
    {PART_CONTENT, FAULT_MISSING, 0, "the hub has none of that name"},
};

static void test_faults_that_last_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        void *fresh;
        PullResult result;
        assert_int_equal(world_open(&fresh), 0);
        World *world = fresh;
        hub_server_fault(world->hub, lasting[i].part, lasting[i].fault, lasting[i].argument, -1);
        pull_expecting_error(world, lasting[i].words);
        hub_server_fault(world->hub, lasting[i].part, FAULT_NONE, 0, 0);
        pull_and_check(world, &result); /* and nothing that was left behind is in the way */
        pull_result_free(&result);
        assert_int_equal(world_close(&fresh), 0);
    }
}

static void test_a_cut_download_goes_on_where_it_was(void **state) {
    World *world = *state;
    PullResult result;
    hub_server_fault(world->hub, PART_CONTENT, FAULT_CUT, 1 << 20, 2);
    pull_and_check(world, &result);
    HubCounts counts = hub_server_counts(world->hub);
    assert_true(counts.ranges >= 2);
    assert_true(counts.content_bytes < WEIGHTS_BYTES + 4096);
    pull_result_free(&result);
}

/* What an earlier process left is hashed again and continued, whatever it is. */
static void test_a_partial_file_is_taken_up(void **state) {
    World *world = *state;
    PullResult result;
    pull_and_check(world, &result);
    pull_result_free(&result);
    const char *hash = hub_server_hash(world->hub, "model.safetensors");
    char *blob = world_path(world, "hub/models--test--model/blobs/%s", hash),
         *partial = world_path(world, "hub/models--test--model/blobs/%s.incomplete", hash);
    const size_t sizes[] = {0, 1000, WEIGHTS_BYTES, WEIGHTS_BYTES + 5};
    for (size_t i = 0; i < 4; i++) {
        char *bytes = mem_alloc_zero(1, WEIGHTS_BYTES + 5);
        memcpy(bytes, world->weights, WEIGHTS_BYTES);
        unlink(blob);
        assert_int_equal(file_write_atomic(partial, bytes, sizes[i], NULL), 0);
        pull_and_check(world, &result);
        pull_result_free(&result);
        bytes[10] ^= 1; /* the same with a damaged beginning */
        unlink(blob);
        assert_int_equal(file_write_atomic(partial, bytes, sizes[i], NULL), 0);
        pull_and_check(world, &result);
        pull_result_free(&result);
        free(bytes);
    }
    free(blob);
    free(partial);
}

static void test_wrong_bytes_are_kept_aside(void **state) {
    World *world = *state;
    hub_server_fault(world->hub, PART_CONTENT, FAULT_FLIP, 0, -1);
    pull_expecting_error(world, "kept as");
    const char *hash = hub_server_hash(world->hub, "model.safetensors");
    char *aside = world_path(world, "hub/models--test--model/blobs/%s.mismatch", hash),
         *blob = world_path(world, "hub/models--test--model/blobs/%s", hash), *folder;
    assert_int_equal(file_size(aside), WEIGHTS_BYTES);
    assert_false(file_exists(blob));
    assert_int_equal(zoo_resolve("test/model", &folder, NULL), -1);
    free(aside);
    free(blob);
}

static void test_ranges_ignored_or_wrong(void **state) {
    World *world = *state;
    PullResult result;
    char *partial = world_path(world, "hub/models--test--model/blobs/%s.incomplete",
                               hub_server_hash(world->hub, "model.safetensors"));
    char *folder = path_folder(partial);
    file_make_directories(folder, NULL);
    assert_int_equal(file_write_atomic(partial, world->weights, 1 << 20, NULL), 0);
    hub_server_fault(world->hub, PART_CONTENT, FAULT_NO_RANGES, 0, -1);
    pull_and_check(world, &result);
    pull_result_free(&result);
    char *blob = world_path(world, "hub/models--test--model/blobs/%s",
                            hub_server_hash(world->hub, "model.safetensors"));
    unlink(blob);
    assert_int_equal(file_write_atomic(partial, world->weights, 1 << 20, NULL), 0);
    hub_server_fault(world->hub, PART_CONTENT, FAULT_WRONG_RANGE, 0, 1);
    pull_and_check(world, &result);
    pull_result_free(&result);
    free(partial);
    free(folder);
    free(blob);
}

/* What a server's lists and answers may not do while a file is fetched in parts, however often. */
static void test_a_file_in_parts(void **state) {
    World *world = *state;
    PullResult result;
    world->options.part_bytes = 100000;
    pull_and_check(world, &result);
    HubCounts counts = hub_server_counts(world->hub);
    assert_true(counts.requests[PART_CONTENT] >= WEIGHTS_BYTES / 100000);
    assert_true(counts.if_ranges > 0);
    assert_int_equal(counts.content_bytes, result.bytes);
    pull_result_free(&result);
}

static void test_a_server_without_ranges_gives_the_whole_file_once(void **state) {
    World *world = *state;
    PullResult result;
    world->options.part_bytes = WEIGHTS_BYTES / 3;
    world->options.parallel = 1;
    hub_server_fault(world->hub, PART_CONTENT, FAULT_NO_RANGES, 0, -1);
    pull_and_check(world, &result);
    assert_int_equal(hub_server_counts(world->hub).requests[PART_CONTENT], 1);
    pull_result_free(&result);
}

/* A file that changes on the server between two ranges is noticed at once, and its bytes are never joined. */
static void test_a_file_that_changes_between_ranges(void **state) {
    World *world = *state;
    PullResult result;
    world->options.part_bytes = WEIGHTS_BYTES / 6;
    world->options.parallel = 1;
    hub_server_fault(world->hub, PART_CONTENT, FAULT_CHANGED, 0, 1);
    pull_and_check(world, &result);
    char *aside = world_path(world, "hub/models--test--model/blobs/%s.mismatch",
                             hub_server_hash(world->hub, "model.safetensors"));
    assert_false(file_exists(aside)); /* it did not take the hash to notice */
    free(aside);
    pull_result_free(&result);
}

/* A pull that is stopped keeps every part's bytes; the next one fetches the rest only. */
static void test_parts_are_taken_up(void **state) {
    World *world = *state;
    PullResult result;
    Buffer sentence;
    world->options.part_bytes = WEIGHTS_BYTES / 4;
    hub_server_throttle(world->hub, 1 << 20);
    pid_t child = child_pull(world, "test/model", false);
    world_await_content(world, 4);
    usleep(300000);
    kill(child, SIGTERM);
    assert_int_equal(child_wait(world, child, &sentence), ERROR_STOPPED);
    buffer_free(&sentence);
    hub_server_throttle(world->hub, 0);
    pull_and_check(world, &result);
    assert_in_range(result.bytes_fetched, 1, result.bytes - 1);
    pull_result_free(&result);
}

/* The record of parts may be anything; what it claims is believed only as far as the hash is right. */
static void test_a_damaged_record_of_parts(void **state) {
    World *world = *state;
    PullResult result;
    const char *hash = hub_server_hash(world->hub, "model.safetensors");
    char *partial = world_path(world, "hub/models--test--model/blobs/%s.parts", hash),
         *blob = world_path(world, "hub/models--test--model/blobs/%s", hash), *folder = path_folder(partial);
    world->options.part_bytes = WEIGHTS_BYTES / 4;
    assert_int_equal(file_make_directories(folder, NULL), 0);
    Random random;
    random_seed(&random, 3);
    for (int i = 0; i < 8; i++) {
        size_t bytes = WEIGHTS_BYTES + random_below(&random, 4096);
        char *text = mem_alloc_zero(1, bytes);
        memcpy(text + WEIGHTS_BYTES, "zeval parts 1\n",
               bytes - WEIGHTS_BYTES < 15 ? bytes - WEIGHTS_BYTES : 15);
        for (size_t k = WEIGHTS_BYTES + 16; k < bytes && i % 2; k++)
            text[k] = (char)random_u32(&random);
        assert_int_equal(file_write_atomic(partial, text, bytes, NULL), 0);
        pull_and_check(world, &result);
        pull_result_free(&result);
        unlink(blob);
        free(text);
    }
    free(partial);
    free(blob);
    free(folder);
}

static void test_a_refusal_without_a_token_asks_for_one(void **state) {
    World *world = *state;
    unsetenv("HF_TOKEN");
    hub_server_fault(world->hub, PART_API, FAULT_GATED, 0, -1);
    pull_expecting_error(world, "set HF_TOKEN to a token of that account");
    setenv("HF_TOKEN", "two words", 1);
    pull_expecting_error(world, "the token from HF_TOKEN holds a character that no token has");
}

static void test_nobody_listens(void **state) {
    World *world = *state;
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
    pull_expecting_error(world, "gave up after 5 attempts");
    setenv("HF_ENDPOINT", "ftp://127.0.0.1", 1);
    pull_expecting_error(world, "expected https://HOST or http://HOST");
}

/* Runs `openssl` with arguments; false if the machine has none or it failed. */
static bool openssl(const char *arguments) {
    Buffer command = {0};
    buffer_printf(&command, "openssl %s >/dev/null 2>&1 </dev/null", arguments);
    bool good = system(command.data) == 0;
    buffer_free(&command);
    return good;
}

/* A certificate that no known authority has signed is refused, and no token is sent; the same server is
 * talked to when its certificate is named as an authority. */
static void test_certificates_are_verified(void **state) {
    World *world = *state;
    char *key = world_path(world, "key.pem"), *certificate = world_path(world, "certificate.pem");
    Buffer arguments = {0}, endpoint = {0};
    HubServer *port_finder = hub_server_start(0);
    const char *port = strrchr(hub_server_endpoint(port_finder), ':') + 1;
    buffer_printf(&endpoint, "https://localhost:%s", port);
    buffer_printf(&arguments,
                  "req -x509 -newkey rsa:2048 -nodes -keyout %s -out %s -days 2 -subj /CN=localhost "
                  "-addext subjectAltName=DNS:localhost",
                  key, certificate);
    bool ready = openssl(arguments.data);
    hub_server_stop(port_finder);
    if (ready) {
        pid_t server = fork();
        if (server == 0) {
            freopen("/dev/null", "w", stdout);
            freopen("/dev/null", "w", stderr);
            execlp("openssl", "openssl", "s_server", "-accept", strrchr(endpoint.data, ':') + 1, "-key", key,
                   "-cert", certificate, "-www", "-quiet", (char *)NULL);
            _exit(1);
        }
        world->options.retry_delay_ms = 100; /* the server needs a moment to listen */
        world->options.stall_s = 20;
        setenv("HF_ENDPOINT", endpoint.data, 1);
        pull_expecting_error(world, "self-signed certificate");
        setenv("SSL_CERT_FILE", certificate, 1);
        pull_expecting_error(world, "answered with a web page, expected JSON");
        unsetenv("SSL_CERT_FILE");
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    buffer_free(&arguments);
    buffer_free(&endpoint);
    free(key);
    free(certificate);
    if (!ready) {
        printf("skipped: there is no openssl program to make a certificate with\n");
        skip();
    }
}

/* Pulls with random faults, killed at random moments: in the end all is there, and never is a file in the
 * store that is not what its name says. ZEVAL_PULLS sets how many. */
static void test_random_faults_and_kills_corrupt_nothing(void **state) {
    World *world = *state;
    const char *wanted = getenv("ZEVAL_PULLS");
    int n = wanted ? atoi(wanted) : 20;
    static const HubFault faults[] = {FAULT_NONE,        FAULT_CUT,    FAULT_SHORT, FAULT_FLIP,
                                      FAULT_BROKEN,      FAULT_DROP,   FAULT_HTML,  FAULT_NO_RANGES,
                                      FAULT_WRONG_RANGE, FAULT_CHANGED};
    Random random;
    PullResult result;
    Buffer sentence;
    random_seed(&random, 20);
    hub_server_throttle(world->hub, 40 << 20);
    for (int i = 0; i < n; i++) {
        hub_server_fault(world->hub, (HubPart)random_below(&random, 3),
                         faults[random_below(&random, sizeof faults / sizeof *faults)],
                         (long long)random_below(&random, WEIGHTS_BYTES), (int)random_below(&random, 4));
        /* In one piece, or in few or many parts; a change drops what an earlier pull left. */
        world->options.part_bytes = random_below(&random, 2) ? WEIGHTS_BYTES / (int64_t)(1 + i % 7 * 5) : 0;
        pid_t child = child_pull(world, "test/model", false);
        usleep((useconds_t)random_below(&random, 120000));
        if (random_below(&random, 3) > 0)
            kill(child, SIGKILL);
        child_wait(world, child, &sentence);
        buffer_free(&sentence);
        assert_true(store_is_sound(world));
        if (random_below(&random, 3) == 0) { /* begin again */
            char *blob = world_path(world, "hub/models--test--model/blobs/%s",
                                    hub_server_hash(world->hub, "model.safetensors"));
            unlink(blob);
            free(blob);
        }
    }
    for (int part = 0; part < 3; part++)
        hub_server_fault(world->hub, (HubPart)part, FAULT_NONE, 0, 0);
    pull_and_check(world, &result);
    pull_result_free(&result);
}

#define HERE(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

int run_fault_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults_that_pass_are_overcome),
        cmocka_unit_test(test_faults_in_one_of_many_ranges_are_overcome),
        cmocka_unit_test(test_faults_that_last_are_named),
        HERE(test_a_cut_download_goes_on_where_it_was),
        HERE(test_a_partial_file_is_taken_up),
        HERE(test_wrong_bytes_are_kept_aside),
        HERE(test_ranges_ignored_or_wrong),
        HERE(test_a_file_in_parts),
        HERE(test_a_server_without_ranges_gives_the_whole_file_once),
        HERE(test_a_file_that_changes_between_ranges),
        HERE(test_parts_are_taken_up),
        HERE(test_a_damaged_record_of_parts),
        HERE(test_a_refusal_without_a_token_asks_for_one),
        HERE(test_nobody_listens),
        HERE(test_certificates_are_verified),
        HERE(test_random_faults_and_kills_corrupt_nothing),
    };
    return cmocka_run_group_tests_name("zoo: faults", tests, NULL, NULL);
}
