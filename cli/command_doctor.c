/* zeval doctor */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <pcre2.h>
#include <sqlite3.h>
#include <zlib.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "runner/runner.h"
#include "tasks/tasks.h"
#include "zoo/zoo.h"

enum { MOST_FACTS = 32 };

typedef struct Facts {
    Arena arena;
    const char *names[MOST_FACTS], *values[MOST_FACTS];
    size_t n;
} Facts;

static void add(Facts *facts, const char *name, const char *value) {
    facts->names[facts->n] = name;
    facts->values[facts->n++] = arena_strdup(&facts->arena, value);
}

static void add_machine(Facts *facts) {
    struct utsname system;
    if (uname(&system) == 0)
        add(facts, "system",
            arena_printf(&facts->arena, "%s %s, %s", system.sysname, system.release, system.machine));
    add(facts, "processors", arena_printf(&facts->arena, "%d", thread_processors()));
    double gibibytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE) / 1073741824.0;
    add(facts, "memory", arena_printf(&facts->arena, "%.1f GiB", gibibytes));
}

static void add_libraries(Facts *facts) {
    char pcre2[64] = "";
    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    uint32_t jit = 0;
    pcre2_config(PCRE2_CONFIG_JIT, &jit);
    char *transport = zoo_transport_version();
    add(facts, "sqlite", sqlite3_libversion());
    add(facts, "pcre2", arena_printf(&facts->arena, "%s, JIT %s", pcre2, jit ? "yes" : "no"));
    add(facts, "cjson", cJSON_Version());
    add(facts, "zlib", zlibVersion());
    add(facts, "transport", transport);
    free(transport);
}

/* Loads the built-in model and says what it runs on: the surest test that this build works on this machine.
 */
static void add_engine(Facts *facts) {
    Error error = {0};
    char *folder = NULL;
    Engine *engine = NULL;
    EngineOptions options = {0};
    int result = zoo_resolve("demo", &folder, &error);
    options.model_folder = folder;
    if (result == 0)
        result = engine_open(&engine, &options, &error);
    if (result == 0) {
        const ModelInfo *info = engine_info(engine);
        add(facts, "cpu kernels", engine_instruction_set(engine));
        add(facts, "demo model",
            arena_printf(&facts->arena, "loads: %s, %lld layers, %lld parameters", info->family,
                         (long long)info->n_layers, (long long)info->n_parameters));
    } else {
        add(facts, "demo model", arena_printf(&facts->arena, "FAILS: %s", error.message));
    }
    add(facts, "gpu", "this build has no GPU backend");
    engine_close(engine);
    free(folder);
}

static void add_tasks(Facts *facts) {
    Error error = {0};
    TaskListing *listings;
    size_t n;
    char *cache = zoo_cache_folder();
    if (task_list(NULL, COMPAT_MAIN, &facts->arena, &listings, &n, &error) == 0)
        add(facts, "built-in tasks", arena_printf(&facts->arena, "%zu tasks, groups and tags", n));
    else
        add(facts, "built-in tasks", arena_printf(&facts->arena, "FAIL: %s", error.message));
    add(facts, "cache folder", cache);
    free(cache);
}

static void print_facts(const Facts *facts, bool json) {
    Buffer out = {0};
    for (size_t i = 0; i < facts->n; i++) {
        if (!json) {
            buffer_printf(&out, "%-16s %s\n", facts->names[i], facts->values[i]);
            continue;
        }
        buffer_append_text(&out, i ? ", " : "{");
        text_append_json(&out, facts->names[i], strlen(facts->names[i]));
        buffer_append_text(&out, ": ");
        text_append_json(&out, facts->values[i], strlen(facts->values[i]));
    }
    if (json)
        buffer_append_text(&out, "}\n");
    fwrite(out.data, 1, out.size, stdout);
    buffer_free(&out);
}

int command_doctor(int argc, char **argv, Error *error) {
    bool json = false;
    const Option options[] = {{"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print JSON"}, {0}};
    const Usage usage = {
        .command = "doctor",
        .synopsis = "[--json]",
        .about = "Says what this machine and this build can do: processors, kernels, libraries, built-in\n"
                 "model and tasks. Paste it into a bug report.",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    Facts facts = {0};
    add(&facts, "version", version_text());
    add(&facts, "compiler", __VERSION__);
    add_machine(&facts);
    add_engine(&facts);
    add_libraries(&facts);
    add_tasks(&facts);
    print_facts(&facts, json);
    arena_free(&facts.arena);
    return 0;
}
