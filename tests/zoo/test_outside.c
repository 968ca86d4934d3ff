/* What surrounds a pull: disks, proxies, certificates, and a web server that is none of ours. */
#include "tests/zoo/tests.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* ---- disks */

static void pull(World *world) {
    PullResult result;
    pull_and_check(world, &result);
    pull_result_free(&result);
}

/* A file may grow to a megabyte only: a write fails in the middle, whoever runs the test. */
static void test_a_write_that_fails_in_the_middle(void **state) {
    World *world = *state;
    Buffer sentence;
    assert_int_equal(child_wait(world, child_pull(world, "test/model", true), &sentence), ERROR_FAILED);
    assert_non_null(strstr(sentence.data, "cannot write"));
    assert_non_null(strstr(sentence.data, "File too large"));
    assert_true(store_is_sound(world));
    pull(world);
    buffer_free(&sentence);
}

/* Mounts a small file system of its own at the store; false (after saying so) where that is not allowed. */
static bool mount_store(World *world, const char *size) {
    char *store = world_path(world, "hub");
    assert_int_equal(file_make_directories(store, NULL), 0);
    bool mounted = mount("zeval-test", store, "tmpfs", 0, size) == 0;
    if (!mounted)
        printf("skipped: only root may mount a file system to fill\n");
    free(store);
    return mounted;
}

static void unmount_store(World *world) {
    char *store = world_path(world, "hub");
    umount(store);
    free(store);
}

static void test_a_disk_that_fills_up(void **state) {
    World *world = *state;
    if (!mount_store(world, "size=4m"))
        skip();
    char *filler = world_path(world, "hub/filler"), *bytes = mem_alloc_zero(1, 2 << 20);
    Buffer sentence;
    /* Too small from the beginning: said before a byte is fetched. */
    assert_int_equal(file_write_atomic(filler, bytes, 2 << 20, NULL), 0);
    pull_expecting_error(world, "GB free");
    assert_int_equal(hub_server_counts(world->hub).content_bytes, 0);
    unlink(filler);
    /* Somebody else fills it meanwhile. */
    hub_server_throttle(world->hub, 2 << 20);
    pid_t child = child_pull(world, "test/model", false);
    world_await_content(world, 1);
    int file = open(filler, O_WRONLY | O_CREAT, 0600);
    while (write(file, bytes, 64 << 10) > 0) {
    }
    close(file);
    assert_int_equal(child_wait(world, child, &sentence), ERROR_FAILED);
    assert_non_null(strstr(sentence.data, "No space left on device"));
    buffer_free(&sentence);
    assert_true(store_is_sound(world));
    unlink(filler);
    hub_server_throttle(world->hub, 0);
    pull(world);
    unmount_store(world);
    free(filler);
    free(bytes);
}

static void test_a_store_that_is_read_only(void **state) {
    World *world = *state;
    char *store = world_path(world, "hub"), *folder;
    Error error = {0};
    if (!mount_store(world, "size=16m"))
        skip();
    pull(world);
    assert_int_equal(mount("zeval-test", store, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=16m"), 0);
    if (zoo_resolve("test/model", &folder, &error)) /* it can be used */
        fail_msg("%s", error.message);
    free(folder);
    pull_expecting_error(world, "cannot write to"); /* but not added to */
    unmount_store(world);
    free(store);
}

/* The Python client's cache on another file system cannot be linked to: its bytes are copied, not fetched. */
static void test_a_cache_on_another_file_system(void **state) {
    World *world = *state;
    struct stat here, there;
    char other[] = "/dev/shm/zeval-test-XXXXXX", command[128];
    if (stat(world->folder, &here) != 0 || stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev ||
        !mkdtemp(other)) {
        printf("skipped: there is no second file system at /dev/shm\n");
        skip();
    }
    setenv("ZEVAL_STORE", other, 1);
    PullResult result;
    Error error = {0};
    assert_int_equal(zoo_pull(&result, "test/model", &world->options, &error), 0);
    pull_result_free(&result);
    unsetenv("ZEVAL_STORE");
    setenv("HF_HUB_CACHE", other, 1);
    long long sent = hub_server_counts(world->hub).content_bytes;
    pull(world);
    assert_int_equal(hub_server_counts(world->hub).content_bytes, sent);
    unsetenv("HF_HUB_CACHE");
    snprintf(command, sizeof command, "rm -rf '%s'", other);
    assert_int_equal(system(command), 0);
}

/* ---- the way there */

static void test_a_proxy_is_used(void **state) {
    World *world = *state;
    setenv("http_proxy", hub_server_endpoint(world->hub), 1);
    setenv("HF_ENDPOINT", "http://hub.invalid", 1);
    pull(world);
    HubCounts counts = hub_server_counts(world->hub);
    assert_true(counts.requests[PART_API] > 0);
    assert_int_equal(counts.tokens[PART_API], 0); /* in the clear it goes to no other machine */
    unsetenv("http_proxy");
}

/* ---- certificates, made here by an authority that is made here */

typedef struct Authority {
    EVP_PKEY *key;
    X509 *certificate;
} Authority;

static X509 *make_certificate(EVP_PKEY *key, const char *name, long from_s, long to_s) {
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), to_s & 0xffff);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), to_s);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    return certificate;
}

static void add_extension(X509 *certificate, int which, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, which, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static Authority make_authority(const World *world) {
    Authority out = {.key = EVP_RSA_gen(2048)};
    out.certificate = make_certificate(out.key, "zeval test authority", -86400, 86400);
    X509_set_issuer_name(out.certificate, X509_get_subject_name(out.certificate));
    add_extension(out.certificate, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(out.certificate, out.key, EVP_sha256());
    char *path = world_path(world, "authority.pem");
    FILE *file = fopen(path, "w");
    PEM_write_X509(file, out.certificate);
    fclose(file);
    free(path);
    return out;
}

/* Writes server.pem and server.key for localhost, valid between two moments from now. */
static void make_server(const World *world, const Authority *authority, long from_s, long to_s) {
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *certificate = make_certificate(key, "localhost", from_s, to_s);
    X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate));
    add_extension(certificate, NID_subject_alt_name, "DNS:localhost");
    X509_sign(certificate, authority->key, EVP_sha256());
    char *paths[] = {world_path(world, "server.pem"), world_path(world, "server.key")};
    FILE *file = fopen(paths[0], "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    file = fopen(paths[1], "w");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    free(paths[0]);
    free(paths[1]);
}

static void drop_authority(Authority *authority) {
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

static int free_port(void) {
    HubServer *finder = hub_server_start(0);
    int port = atoi(strrchr(hub_server_endpoint(finder), ':') + 1);
    hub_server_stop(finder);
    return port;
}

/* Starts a program in the world's folder, silent. */
static pid_t start(const World *world, const char *const *arguments) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        if (chdir(world->folder) == 0)
            execvp(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    return child;
}

static void trust_server_at(const World *world, int port) {
    char endpoint[64], *authority = world_path(world, "authority.pem");
    snprintf(endpoint, sizeof endpoint, "https://localhost:%d", port);
    setenv("HF_ENDPOINT", endpoint, 1);
    setenv("SSL_CERT_FILE", authority, 1);
    free(authority);
}

/* A certificate that is over, and one that is not valid yet, from an authority that is trusted. */
static void test_certificates_out_of_their_time(void **state) {
    World *world = *state;
    static const struct {
        long from_s, to_s;
        const char *words;
    } times[] = {{-172800, -3600, "certificate has expired"}, {3600, 7200, "certificate is not yet valid"}};
    if (system("openssl version >/dev/null 2>&1") != 0) {
        printf("skipped: there is no openssl program to serve with\n");
        skip();
    }
    Authority authority = make_authority(world);
    world->options.retry_delay_ms = 100; /* the server needs a moment to listen */
    world->options.stall_s = 20;
    for (size_t i = 0; i < 2; i++) {
        char port[16];
        snprintf(port, sizeof port, "%d", free_port());
        make_server(world, &authority, times[i].from_s, times[i].to_s);
        const char *arguments[] = {"openssl", "s_server",   "-accept", port,     "-key", "server.key",
                                   "-cert",   "server.pem", "-www",    "-quiet", NULL};
        pid_t server = start(world, arguments);
        trust_server_at(world, atoi(port));
        pull_expecting_error(world, times[i].words);
        pull_expecting_error(world, "this machine's clock says ");
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    unsetenv("SSL_CERT_FILE");
    drop_authority(&authority);
}

/* ---- nginx */

static void write_in(const World *world, const char *name, const void *data, size_t bytes) {
    char *path = world_path(world, "www/%s", name), *folder = path_folder(path);
    assert_int_equal(file_make_directories(folder, NULL), 0);
    assert_int_equal(file_write_atomic(path, data, bytes, NULL), 0);
    chmod(path, 0644);
    free(folder);
    free(path);
}

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

/* The hub's documents and files as plain files. */
static void lay_out_hub(World *world) {
    static const char config[] = "{\"model_type\": \"test\"}\n", tokenizer[] = "{}\n";
    Buffer listing = {0};
    buffer_printf(&listing,
                  "[{\"type\":\"file\",\"path\":\"config.json\",\"size\":%zu,\"oid\":\"%s\"},"
                  "{\"type\":\"file\",\"path\":\"tokenizer.json\",\"size\":%zu,\"oid\":\"%s\"},"
                  "{\"type\":\"file\",\"path\":\"model.safetensors\",\"size\":%d,\"oid\":\"" COMMIT
                  "\",\"lfs\":{\"oid\":\"%s\",\"size\":%d}}]",
                  sizeof config - 1, hub_server_hash(world->hub, "config.json"), sizeof tokenizer - 1,
                  hub_server_hash(world->hub, "tokenizer.json"), WEIGHTS_BYTES,
                  hub_server_hash(world->hub, "model.safetensors"), WEIGHTS_BYTES);
    write_in(world, "api/models/test/model/revision/main", "{\"sha\": \"" COMMIT "\"}",
             strlen("{\"sha\": \"" COMMIT "\"}"));
    write_in(world, "api/models/test/model/tree/" COMMIT, listing.data, listing.size);
    write_in(world, "test/model/resolve/" COMMIT "/config.json", config, sizeof config - 1);
    write_in(world, "test/model/resolve/" COMMIT "/tokenizer.json", tokenizer, sizeof tokenizer - 1);
    write_in(world, "test/model/resolve/" COMMIT "/model.safetensors", world->weights, WEIGHTS_BYTES);
    buffer_free(&listing);
}

static void configure_nginx(const World *world, int port) {
    Buffer text = {0};
    const char *root = world->folder;
    buffer_printf(&text,
                  "daemon off; master_process off; error_log %s/error.log; pid %s/nginx.pid;\n"
                  "events { worker_connections 64; }\n"
                  "http { log_format f escape=none '$server_protocol $status $http_range $http_if_range';\n"
                  "access_log %s/access.log f; client_body_temp_path %s/t; proxy_temp_path %s/t;\n"
                  "fastcgi_temp_path %s/t; uwsgi_temp_path %s/t; scgi_temp_path %s/t;\n"
                  "server { listen 127.0.0.1:%d ssl http2; root %s/www;\n"
                  "ssl_certificate %s/server.pem; ssl_certificate_key %s/server.key; } }\n",
                  root, root, root, root, root, root, root, root, port, root, root, root);
    char *path = world_path(world, "nginx.conf");
    assert_int_equal(file_write_atomic(path, text.data, text.size, NULL), 0);
    free(path);
    buffer_free(&text);
}

static size_t count_lines(const char *text, const char *words) {
    size_t n = 0;
    for (const char *at = text; at && (at = strstr(at, words)); at++)
        n++;
    return n;
}

/* The same files without the hub's documents: an address with what the server says about files is enough. */
static void pull_plain_folder(World *world) {
    Buffer name = {0};
    PullResult result;
    Error error = {0};
    buffer_printf(&name, "%s/test/model/resolve/" COMMIT "/", getenv("HF_ENDPOINT"));
    if (zoo_pull(&result, name.data, &world->options, &error))
        fail_msg("%s", error.message);
    char *weights = path_join(result.folder, "model.safetensors"), hex[SHA256_HEX];
    assert_int_equal(result.n_files, 3);
    assert_int_equal(sha256_file(weights, hex, NULL), 0);
    assert_string_equal(hex, hub_server_hash(world->hub, "model.safetensors"));
    free(weights);
    pull_result_free(&result);
    buffer_free(&name);
}

/* A server that others wrote, over TLS with HTTP/2: files, ranges, ETags and If-Range mean there what they
 * mean here. */
static void test_nginx(void **state) {
    World *world = *state;
    int port = free_port();
    char *conf = world_path(world, "nginx.conf"), *log = world_path(world, "access.log");
    if (system("PATH=$PATH:/usr/sbin nginx -v >/dev/null 2>&1") != 0) {
        printf("skipped: there is no nginx\n");
        free(conf);
        free(log);
        skip();
    }
    Authority authority = make_authority(world);
    make_server(world, &authority, -3600, 3600);
    lay_out_hub(world);
    configure_nginx(world, port);
    Buffer program = {0};
    buffer_printf(&program, "%s:/usr/sbin", getenv("PATH"));
    setenv("PATH", program.data, 1);
    const char *arguments[] = {"nginx", "-p", world->folder, "-c", conf, NULL};
    pid_t server = start(world, arguments);
    trust_server_at(world, port);
    world->options.retry_delay_ms = 100;
    world->options.stall_s = 20;
    world->options.part_bytes = WEIGHTS_BYTES / 7;
    world->options.parallel = 1;
    pull(world);
    Buffer text = {0};
    assert_int_equal(file_read(&text, log, 1 << 20, NULL), 0);
    assert_int_equal(count_lines(text.data, "HTTP/2.0 206 bytes="), 8);
    assert_true(count_lines(text.data, " \"") > 0); /* If-Range with an ETag of nginx's making */
    assert_int_equal(count_lines(text.data, "HTTP/1"), 0);
    buffer_clear(&text);
    pull_plain_folder(world);
    assert_int_equal(file_read(&text, log, 1 << 20, NULL), 0);
    assert_int_equal(count_lines(text.data, "HTTP/2.0 206 bytes="), 8 + 8);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    unsetenv("SSL_CERT_FILE");
    drop_authority(&authority);
    buffer_free(&program);
    buffer_free(&text);
    free(conf);
    free(log);
}

#define HERE(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

int run_outside_tests(void) {
    const struct CMUnitTest tests[] = {
        HERE(test_a_write_that_fails_in_the_middle),
        HERE(test_a_disk_that_fills_up),
        HERE(test_a_store_that_is_read_only),
        HERE(test_a_cache_on_another_file_system),
        HERE(test_a_proxy_is_used),
        HERE(test_certificates_out_of_their_time),
        HERE(test_nginx),
    };
    return cmocka_run_group_tests_name("zoo: outside", tests, NULL, NULL);
}
