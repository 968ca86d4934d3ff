/* The registry: every public checkpoint of the facts page has an entry, and users' files come first. */
#include "tests/zoo/tests.h"

#include <strings.h>
#include <unistd.h>

static void open_registry(Registry *registry, const char *file) {
    Error error = {0};
    if (zoo_registry_open(registry, file, &error))
        fail_msg("%s", error.message);
}

static void test_names_are_unique_and_lower_case(void **state) {
    (void)state;
    Registry registry;
    open_registry(&registry, "");
    assert_true(registry.n >= 100);
    for (size_t i = 0; i < registry.n; i++) {
        const RegistryEntry *entry = &registry.entries[i];
        assert_ptr_equal(zoo_registry_find(&registry, entry->name), entry);
        assert_ptr_equal(zoo_registry_find(&registry, entry->repository), entry);
        for (size_t a = 0; a < entry->n_aliases; a++)
            assert_ptr_equal(zoo_registry_find(&registry, entry->aliases[a]), entry);
        for (const char *at = entry->name; *at; at++)
            assert_false(*at >= 'A' && *at <= 'Z');
        assert_true(entry->dataset || entry->family);
    }
    assert_null(zoo_registry_find(&registry, "no-such-model"));
    zoo_registry_close(&registry);
}

static void test_an_entry_says_what_is_known(void **state) {
    (void)state;
    Registry registry;
    open_registry(&registry, "");
    const RegistryEntry *entry = zoo_registry_find(&registry, "Zebra-Llama-8B-8MLA-24Mamba-DPO");
    assert_non_null(entry);
    assert_string_equal(entry->name, "zebra-llama-8b-8mla-24m2-dpo");
    assert_string_equal(entry->repository, "amd/Zebra-Llama-8B-8MLA-24Mamba-DPO");
    assert_string_equal(entry->parameters, "8.38B");
    assert_string_equal(entry->licence, "apache-2.0");
    assert_int_equal(entry->access, ACCESS_OPEN);
    assert_true(entry->n_published > 0);
    assert_null(entry->revision);
    entry = zoo_registry_find(&registry, "llama-3.2-1b-instruct");
    assert_int_equal(entry->access, ACCESS_GATED);
    assert_true(zoo_registry_find(&registry, "arc")->dataset);
    zoo_registry_close(&registry);
}

static void test_a_users_file_comes_first(void **state) {
    World *world = *state;
    static const char text[] =
        "[{\"name\": \"llamba-1b\", \"repository\": \"me/mine\", \"revision\": \"v3\"}]";
    char *file = world_path(world, "registry.json");
    Registry registry;
    Error error = {0};
    assert_int_equal(file_write_atomic(file, text, sizeof text - 1, NULL), 0);
    setenv("ZEVAL_REGISTRY", file, 1);
    open_registry(&registry, NULL);
    assert_string_equal(zoo_registry_find(&registry, "llamba-1b")->repository, "me/mine");
    assert_string_equal(zoo_registry_find(&registry, "llamba-1b")->revision, "v3");
    zoo_registry_close(&registry);
    unsetenv("ZEVAL_REGISTRY");
    static const struct {
        const char *text, *words;
    } bad[] = {{"{}", "expected an array"},
               {"[{\"name\": \"x\"}]", "\"repository\" is missing"},
               {"[{\"name\": \"x\", \"repository\": \"../x\"}]", "expected ORG/NAME"},
               {"[{\"name\": \"x\", \"repository\": \"a/b\", \"revision\": \"../x\"}]", "no revision"},
               {"[{\"name\": \"x\", \"repository\": \"a/b\", \"gated\": 3}]", "gated"},
               {"[{\"name\": \"x\", \"repository\": \"a/b\", \"kind\": \"pet\"}]", "\"pet\""},
               {"[{\"name\": \"x\", \"repository\": \"a/b\", \"aliases\": [1]}]", "expected strings"},
               {"[3]", "expected an object"},
               {"[", "the JSON is wrong or incomplete"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(file_write_atomic(file, bad[i].text, strlen(bad[i].text), NULL), 0);
        assert_int_equal(zoo_registry_open(&registry, file, &error), -1);
        if (!strstr(error.message, bad[i].words) || !strstr(error.message, "registry.json"))
            fail_msg("found: %s\nexpected: %s", error.message, bad[i].words);
    }
    free(file);
}

/* ---- the facts page writes repositories in shorthand: "org/A-{1B,3B}(-Instruct), -C; other/B" */

static bool ends_with_name(const char *repository, const char *suffix) {
    size_t length = strlen(repository), tail = strlen(suffix);
    return length >= tail && strcasecmp(repository + length - tail, suffix) == 0;
}

static bool registry_has(const Registry *registry, const char *name) {
    for (size_t i = 0; i < registry->n; i++)
        if (strchr(name, '/') ? strcmp(registry->entries[i].repository, name) == 0
                              : ends_with_name(registry->entries[i].repository, name))
            return true;
    return false;
}

/* Checks every name that a shorthand with {a,b} and (optional) stands for; returns how many there are. */
static int check_shorthand(const Registry *registry, const char *text) {
    const char *open = strpbrk(text, "{("), *close = open ? strpbrk(open, "})") : NULL;
    int n = 0;
    if (!open || !close) {
        if (!registry_has(registry, text))
            fail_msg("found no registry entry for \"%s\" of the facts page, expected one", text);
        return 1;
    }
    char *choices = mem_strndup(open + 1, (size_t)(close - open - 1));
    for (char *at = choices; at;) {
        char *comma = strchr(at, ',');
        Buffer one = {0};
        if (comma)
            *comma = 0;
        buffer_printf(&one, "%.*s%s%s", (int)(open - text), text, at, close + 1);
        n += check_shorthand(registry, one.data);
        buffer_free(&one);
        at = comma ? comma + 1 : NULL;
    }
    if (*open == '(') {
        Buffer without = {0};
        buffer_printf(&without, "%.*s%s", (int)(open - text), text, close + 1);
        n += check_shorthand(registry, without.data);
        buffer_free(&without);
    }
    free(choices);
    return n;
}

/* Splits a table cell at commas outside braces and at semicolons; " (a remark)" is left out. */
static int check_cell(const Registry *registry, const char *cell) {
    int depth = 0, n = 0;
    Buffer name = {0};
    for (const char *at = cell;; at++) {
        if (at[0] == ' ' && at[1] == '(') {
            at += strcspn(at, ")");
            continue;
        }
        depth += (*at == '{') - (*at == '}');
        if (*at && !((*at == ',' || *at == ';') && depth == 0)) {
            if (*at != ' ')
                buffer_append_char(&name, *at);
            continue;
        }
        /* A name that ends in a star stands for names that nobody has listed. */
        if (name.size > 0 && name.data[name.size - 1] != '*')
            n += check_shorthand(registry, name.data);
        buffer_clear(&name);
        if (!*at)
            break;
    }
    buffer_free(&name);
    return n;
}

static void test_every_checkpoint_of_the_facts_page_is_here(void **state) {
    (void)state;
    const char *shared = getenv("ZEVAL_SHARED") ? getenv("ZEVAL_SHARED") : "../shared";
    char *path = path_join(shared, "spec/paper_facts.md");
    LineReader *reader;
    const char *line;
    size_t bytes;
    bool inside = false;
    int n = 0;
    Registry registry;
    if (!file_exists(path)) {
        printf("skipped: there is no %s\n", path);
        free(path);
        skip();
    }
    open_registry(&registry, "");
    assert_int_equal(line_reader_open(&reader, path, NULL), 0);
    while (line_reader_next(reader, &line, &bytes, NULL) == 1) {
        if (text_starts_with(line, "## "))
            inside = strstr(line, "Public checkpoints") != NULL;
        if (!inside || !text_starts_with(line, "| ") || text_starts_with(line, "| repo"))
            continue;
        const char *from = text_starts_with(line, "| datasets: ") ? line + 12 : line + 2;
        char *cell = mem_strndup(from, (size_t)(strstr(from, " |") - from));
        n += check_cell(&registry, cell);
        free(cell);
    }
    line_reader_close(reader);
    printf("%d repositories of the facts page have an entry\n", n);
    assert_true(n > 80);
    zoo_registry_close(&registry);
    free(path);
}

/* Of every task file in the program, so that none is forgotten. */
static void test_every_data_set_of_the_tasks_is_here(void **state) {
    (void)state;
    Registry registry;
    size_t n = 0;
    open_registry(&registry, "");
    for (size_t i = 0; i < n_embedded_files; i++) {
        const EmbeddedFile *file = &embedded_files[i];
        if (!text_starts_with(file->name, "tasks/library/") || file->bytes == 0)
            continue;
        char *text = mem_strndup((const char *)file->data, file->bytes), *save = NULL;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            char path[128] = "";
            if (sscanf(line, "dataset_path: %127s", path) != 1 || !strchr(path, '/') ||
                text_starts_with(path, "zeval/"))
                continue;
            const RegistryEntry *entry = zoo_registry_find(&registry, path);
            if (!entry || !entry->dataset)
                fail_msg("%s reads %s, which is not in the registry", file->name, path);
            n++;
        }
        free(text);
    }
    assert_true(n > 10);
    zoo_registry_close(&registry);
}

int run_registry_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_unique_and_lower_case),
        cmocka_unit_test(test_an_entry_says_what_is_known),
        cmocka_unit_test_setup_teardown(test_a_users_file_comes_first, world_open, world_close),
        cmocka_unit_test(test_every_checkpoint_of_the_facts_page_is_here),
        cmocka_unit_test(test_every_data_set_of_the_tasks_is_here),
    };
    return cmocka_run_group_tests_name("zoo: registry", tests, NULL, NULL);
}
