/* What a hub's answers may not hold, and what names may not be. */
#include "tests/zoo/tests.h"

#define ID "0123456789abcdef0123456789abcdef01234567"
#define ENTRY(path, size)                                                                                    \
    "[{\"type\": \"file\", \"oid\": \"" ID "\", \"size\": " size ", \"path\": \"" path "\"}]"

static const struct {
    const char *listing, *words;
} hostile[] = {
    {ENTRY("../escape.json", "1"), "leads outside its folder"},
    {ENTRY("/etc/escape.json", "1"), "leads outside its folder"},
    {ENTRY("a/../../b.json", "1"), "leads outside its folder"},
    {ENTRY("a\\\\b.json", "1"), "leads outside its folder"},
    {ENTRY("a\\u0001b.json", "1"), "leads outside its folder"},
    {ENTRY("a\\nb.json", "1"), "leads outside its folder"},
    {ENTRY("", "1"), "leads outside its folder"},
    {ENTRY("config.json", "9223372036854775808"), "size"},
    {ENTRY("config.json", "-1"), "size"},
    {ENTRY("config.json", "1.5"), "size"},
    {ENTRY("config.json", "\"1\""), "size"},
    {"[{\"type\": \"file\", \"oid\": \"../../x\", \"size\": 1, \"path\": \"config.json\"}]",
     "hexadecimal digits"},
    {"[{\"type\": \"file\", \"oid\": \"" ID "\", \"size\": 1, \"path\": \"a.json\"},"
     " {\"type\": \"file\", \"oid\": \"" ID "\", \"size\": 1, \"path\": \"A.json\"}]",
     "some disks cannot tell apart"},
    {"[{\"type\": \"file\", \"oid\": \"" ID "\", \"size\": 1, \"path\": \"m.safetensors\","
     " \"lfs\": {\"oid\": \"" ID "\", \"size\": 1}}]",
     "expected 64 hexadecimal digits"},
    {"{\"error\": \"no\"}", "expected an array"},
    {"[1]", "has no \"type\""},
    {"[", "the JSON is wrong or incomplete"},
    {"[]", "lists no file that a runtime reads"},
    {ENTRY("config.json", "70000000000000"), "GB free"},
};

static void test_hostile_listings_are_refused(void **state) {
    World *world = *state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        hub_server_listing(world->hub, hostile[i].listing);
        pull_expecting_error(world, hostile[i].words);
    }
}

static void refuse_listing_of(World *world, int n, const char *words) {
    Buffer text = {0};
    buffer_append_char(&text, '[');
    for (int i = 0; i < n; i++)
        buffer_printf(&text, "%s{\"type\":\"file\",\"oid\":\"" ID "\",\"size\":1,\"path\":\"%d\"}",
                      i ? "," : "", i);
    buffer_append_char(&text, ']');
    hub_server_listing(world->hub, text.data);
    pull_expecting_error(world, words);
    buffer_free(&text);
}

static void test_a_huge_listing_is_refused(void **state) {
    refuse_listing_of(*state, 100001, "more than 100000 files");
    refuse_listing_of(*state, 1000000, "is longer than"); /* on one page */
}

static void test_names_that_are_no_names(void **state) {
    World *world = *state;
    static const char *const names[] = {"..",
                                        "../x",
                                        "/etc/passwd",
                                        "a/b/c",
                                        "org/..",
                                        "org/a--b",
                                        "org/a\nb",
                                        "org/.hidden",
                                        "",
                                        "org/",
                                        "/name",
                                        "org/name@",
                                        "org/name@../x",
                                        "org/n@a/../b",
                                        "org/name@-x",
                                        "org/na me",
                                        "datasets/x",
                                        "org/name@a\tb",
                                        "org/n\x80"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        PullResult result;
        Error error = {0};
        if (zoo_pull(&result, names[i], &world->options, &error) == 0)
            fail_msg("found that \"%s\" can be pulled, expected wrong usage", names[i]);
        assert_int_equal(error.kind, ERROR_USAGE);
    }
    assert_int_equal(hub_server_counts(world->hub).requests[PART_API], 0);
}

#define HERE(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

int run_listing_tests(void) {
    const struct CMUnitTest tests[] = {
        HERE(test_hostile_listings_are_refused),
        HERE(test_a_huge_listing_is_refused),
        HERE(test_names_that_are_no_names),
    };
    return cmocka_run_group_tests_name("zoo: listings", tests, NULL, NULL);
}
