/* Whatever is wrong outside ends in one clear sentence, the right exit code, and nothing half-written. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "db/db.h"
#include "tests/cli/tests.h"

#define SOURCE_MODEL "tests/fixtures/models/llama_tiny"

static char *in_folder(const char *name) {
    return path_join(test_folder, name);
}

static void put(const char *name, const void *bytes, size_t size) {
    char *path = in_folder(name), *folder = path_folder(path);
    assert_int_equal(file_make_directories(folder, NULL), 0);
    assert_int_equal(file_write_atomic(path, bytes, size, NULL), 0);
    free(folder);
    free(path);
}

static void put_text(const char *name, const char *text) {
    put(name, text, strlen(text));
}

/* The program fails with this exit code and says one line that holds each of `parts`. */
static void check_fails(int status, const char *const *parts, const char *words, const char *argument) {
    Output output;
    Buffer command = {0};
    buffer_printf(&command, "%s '%s'", words, argument);
    test_run_expecting(status, &output, "%s", command.data);
    for (; *parts; parts++)
        if (!strstr(output.error.data, *parts))
            fail_msg("%s\nfound: %s\nexpected to hold: %s", command.data, output.error.data, *parts);
    const char *line = strstr(output.error.data, "zeval: ");
    assert_non_null(line);
    assert_ptr_equal(strchr(line, '\n'), output.error.data + output.error.size - 1); /* one sentence */
    buffer_free(&command);
    test_output_free(&output);
}

#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- checkpoints: a good one with one file replaced */

static void copy_model(const char *name) {
    static const char *const files[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        Buffer bytes = {0};
        char *from = path_join(SOURCE_MODEL, files[i]);
        assert_int_equal(file_read(&bytes, from, 1 << 26, NULL), 0);
        char target[128];
        snprintf(target, sizeof target, "%s/%s", name, files[i]);
        put(target, bytes.data, bytes.size);
        buffer_free(&bytes);
        free(from);
    }
}

static void check_model_fails(const char *name, const char *const *parts) {
    char *folder = in_folder(name);
    check_fails(1, parts, "logits --ids 1 --output /tmp/zeval-never.npy --model", folder);
    assert_false(file_exists("/tmp/zeval-never.npy"));
    free(folder);
}

/* Replaces `from` by `to` in the model's config.json. */
static void edit_config(const char *name, const char *from, const char *to) {
    copy_model(name);
    Buffer text = {0}, edited = {0};
    assert_int_equal(file_read(&text, SOURCE_MODEL "/config.json", 1 << 20, NULL), 0);
    char *at = strstr(text.data, from);
    if (!at)
        fail_msg("config.json holds no %s", from);
    buffer_append(&edited, text.data, (size_t)(at - text.data));
    buffer_append_text(&edited, to);
    buffer_append_text(&edited, at + strlen(from));
    char target[128];
    snprintf(target, sizeof target, "%s/config.json", name);
    put(target, edited.data, edited.size);
    buffer_free(&text);
    buffer_free(&edited);
}

/* Replaces the header of the model's safetensors file; the tensors' bytes stay. */
static void edit_header(const char *name, const char *from, const char *to) {
    copy_model(name);
    Buffer file = {0}, header = {0}, out = {0};
    assert_int_equal(file_read(&file, SOURCE_MODEL "/model.safetensors", 1 << 26, NULL), 0);
    uint64_t bytes = 0;
    for (int i = 0; i < 8; i++)
        bytes |= (uint64_t)(unsigned char)file.data[i] << (8 * i);
    buffer_append(&header, file.data + 8, bytes);
    char *at = strstr(header.data, from);
    if (!at)
        fail_msg("the header holds no %s: %.300s", from, header.data);
    Buffer edited = {0};
    buffer_append(&edited, header.data, (size_t)(at - header.data));
    buffer_append_text(&edited, to);
    buffer_append_text(&edited, at + strlen(from));
    for (int i = 0; i < 8; i++)
        buffer_append_char(&out, (char)((uint64_t)edited.size >> (8 * i)));
    buffer_append(&out, edited.data, edited.size);
    buffer_append(&out, file.data + 8 + bytes, file.size - 8 - bytes);
    char target[128];
    snprintf(target, sizeof target, "%s/model.safetensors", name);
    put(target, out.data, out.size);
    buffer_free(&file);
    buffer_free(&header);
    buffer_free(&edited);
    buffer_free(&out);
}

static void test_broken_configs(void **state) {
    (void)state;
    put_text("empty-folder/readme", "nothing here");
    check_model_fails("empty-folder", PARTS("config.json"));
    copy_model("not-json");
    put_text("not-json/config.json", "{\"hidden_size\": ");
    check_model_fails("not-json", PARTS("config.json", "JSON"));
    copy_model("not-object");
    put_text("not-object/config.json", "[1, 2]");
    check_model_fails("not-object", PARTS("config.json", "array"));
    edit_config("wrong-type", "\"hidden_size\": ", "\"hidden_size\": \"large\", \"x\": ");
    check_model_fails("wrong-type", PARTS("config.json", "hidden_size", "a string"));
    edit_config("unknown-architecture", "LlamaForCausalLM", "GrokForCausalLM");
    check_model_fails("unknown-architecture", PARTS("config.json", "GrokForCausalLM"));
    edit_config("absurd", "\"num_hidden_layers\": ", "\"num_hidden_layers\": 1000000000, \"x\": ");
    check_model_fails("absurd", PARTS("config.json", "num_hidden_layers"));
    edit_config("negative", "\"hidden_size\": ", "\"hidden_size\": -4, \"x\": ");
    check_model_fails("negative", PARTS("config.json", "hidden_size", "-4"));
}

static void test_broken_weights(void **state) {
    (void)state;
    copy_model("no-weights");
    char *path = in_folder("no-weights/model.safetensors");
    assert_int_equal(unlink(path), 0);
    free(path);
    check_model_fails("no-weights", PARTS("safetensors"));
    copy_model("short");
    put("short/model.safetensors", "\x05\x00", 2);
    check_model_fails("short", PARTS("model.safetensors"));
    copy_model("long-header");
    put("long-header/model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10);
    check_model_fails("long-header", PARTS("model.safetensors", "header"));
    copy_model("cut");
    char *cut = in_folder("cut/model.safetensors");
    assert_int_equal(truncate(cut, file_size(cut) - 1000), 0);
    free(cut);
    check_model_fails("cut", PARTS("model.safetensors"));
    edit_header("tensor-missing", "model.norm.weight", "model.morn.weight");
    check_model_fails("tensor-missing", PARTS("model.norm.weight"));
    edit_header("wrong-dtype", "\"BF16\"", "\"I16\"");
    check_model_fails("wrong-dtype", PARTS("I16"));
    edit_header("unknown-dtype", "\"BF16\"", "\"Q99\"");
    check_model_fails("unknown-dtype", PARTS("Q99"));
    edit_header("wrong-shape", "\"shape\":[", "\"shape\":[1,");
    check_model_fails("wrong-shape", PARTS("shape"));
    edit_header("huge-shape", "\"shape\":[", "\"shape\":[4294967296,4294967296,4294967296,");
    check_model_fails("huge-shape", PARTS("model.safetensors"));
    edit_header("overlap", "\"data_offsets\":[0,", "\"data_offsets\":[4,");
    check_model_fails("overlap", PARTS("model.safetensors"));
    edit_header("outside", "\"data_offsets\":[0,", "\"data_offsets\":[0,99999999");
    check_model_fails("outside", PARTS("model.safetensors"));
}

static void test_broken_shards(void **state) {
    (void)state;
    copy_model("escape");
    char *single = in_folder("escape/model.safetensors");
    unlink(single);
    free(single);
    put_text("escape/model.safetensors.index.json",
             "{\"weight_map\": {\"model.norm.weight\": \"../x.safetensors\"}}");
    check_model_fails("escape", PARTS("index.json", "../x.safetensors"));
    put_text("escape/model.safetensors.index.json",
             "{\"weight_map\": {\"model.norm.weight\": \"absent.safetensors\"}}");
    check_model_fails("escape", PARTS("absent.safetensors"));
    put_text("escape/model.safetensors.index.json", "{\"weight_map\": 3}");
    check_model_fails("escape", PARTS("weight_map", "a number"));
}

/* ---- tasks and data sets */

static const char task_yaml[] =
    "task: mine\ndataset_path: my/data\ntest_split: test\noutput_type: multiple_choice\n"
    "doc_to_text: \"{{question}}\"\ndoc_to_choice: \"{{choices}}\"\ndoc_to_target: gold\n"
    "metric_list:\n  - metric: acc\nmetadata:\n  version: 1.0\n";

static void check_task_fails(int status, const char *const *parts) {
    char *folder = path_join(test_folder, "");
    Buffer command = {0};
    buffer_printf(&command, "requests --tasks %smine.yaml --data", folder);
    check_fails(status, parts, command.data, folder);
    buffer_free(&command);
    free(folder);
}

static void test_broken_tasks_and_data(void **state) {
    (void)state;
    Output output;
    put_text("mine.yaml", task_yaml);
    put_text("my/data/default/test.jsonl",
             "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": 1}\n");
    test_run_expecting(0, &output, "requests --tasks %s/mine.yaml --data %s", test_folder, test_folder);
    assert_non_null(strstr(output.out.data, "\"context\": \"q\", \"continuation\": \" b\""));
    test_output_free(&output);
    put_text("my/data/default/test.jsonl", "");
    check_task_fails(1, PARTS("test.jsonl"));
    put_text("my/data/default/test.jsonl", "{\"question\": \"q\"\n");
    check_task_fails(1, PARTS("test.jsonl:1"));
    put_text("my/data/default/test.jsonl", "{\"choices\": [\"a\", \"b\"], \"gold\": 1}\n");
    check_task_fails(1, PARTS("question"));
    char *data = in_folder("my/data/default/test.jsonl");
    unlink(data);
    free(data);
    check_task_fails(1, PARTS("my/data"));
    put_text("mine.yaml", "task: mine\ndoc_to_txet: x\n");
    check_task_fails(1, PARTS("mine.yaml", "doc_to_txet"));
    put_text("mine.yaml", "task: [mine\n");
    check_task_fails(1, PARTS("mine.yaml"));
    put_text("mine.yaml",
             "task: mine\ndataset_path: my/data\ntest_split: test\noutput_type: multiple_choice\n"
             "doc_to_text: \"{{question\"\ndoc_to_choice: [a]\ndoc_to_target: 0\n");
    check_task_fails(1, PARTS("mine.yaml", "doc_to_text"));
}

/* ---- databases */

static void test_broken_databases(void **state) {
    (void)state;
    char *missing = in_folder("missing.db"), *garbage = in_folder("garbage.db"),
         *newer = in_folder("newer.db");
    char *foreign = in_folder("foreign.db");
    check_fails(1, PARTS("missing.db"), "report --db", missing);
    assert_false(file_exists(missing));
    put_text("garbage.db",
             "this is no database, but it is long enough to be looked at as one, byte by byte, and more");
    check_fails(1, PARTS("garbage.db"), "report --db", garbage);
    check_fails(1, PARTS("garbage.db"), "run --model demo --tasks demo --quiet --db", garbage);
    Output output;
    test_run_expecting(0, &output, "run --model demo --tasks demo --limit 1 --quiet --db '%s'", newer);
    test_output_free(&output);
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(newer, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "PRAGMA user_version = 999", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    check_fails(1, PARTS("newer.db", "999"), "report --db", newer);
    check_fails(1, PARTS("newer.db", "999"), "run --model demo --tasks demo --quiet --db", newer);
    assert_int_equal(sqlite3_open(foreign, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "CREATE TABLE recipes(name)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    check_fails(1, PARTS("foreign.db"), "run --model demo --tasks demo --quiet --db", foreign);
    check_fails(1, PARTS("/nonexistent/x.db"), "run --model demo --tasks demo --quiet --db",
                "/nonexistent/x.db");
    free(missing);
    free(garbage);
    free(newer);
    free(foreign);
}

/* Another process that has the database open for writing is no hindrance. */
static void test_two_writers_on_one_database(void **state) {
    (void)state;
    char *path = in_folder("busy.db");
    Db *db;
    Output output;
    assert_int_equal(db_open(&db, path, DB_WRITE, NULL), 0);
    test_run_expecting(0, &output, "run --model demo --tasks demo --limit 1 --quiet --db '%s'", path);
    test_output_free(&output);
    db_close(db);
    free(path);
}

/* No file may grow beyond a limit, which is what a full disk looks like from inside. With room again the same
 * run goes on in the same database. */
static void test_full_disk(void **state) {
    (void)state;
    char *path = in_folder("full.db"), *messages = in_folder("messages");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {200000, 200000};
        signal(SIGXFSZ, SIG_IGN);
        if (!freopen("/dev/null", "w", stdout) || !freopen(messages, "w", stderr) ||
            setrlimit(RLIMIT_FSIZE, &limit))
            _exit(99);
        execl(test_program(), "zeval", "run", "--model", "demo", "--tasks", "demo", "--batch-tokens", "300",
              "--quiet", "--db", path, (char *)NULL);
        _exit(98);
    }
    int status;
    waitpid(child, &status, 0);
    Buffer text = {0};
    assert_int_equal(file_read(&text, messages, 1 << 20, NULL), 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        fail_msg("exit status %d: %s", status, text.data);
    assert_non_null(strstr(text.data, "full.db"));
    Output output;
    test_run_expecting(0, &output, "run --model demo --tasks demo --quiet --db '%s'", path);
    test_output_free(&output);
    buffer_free(&text);
    free(messages);
    free(path);
}

static void test_full_output(void **state) {
    (void)state;
    Buffer command = {0};
    buffer_printf(&command, "%s --help >/dev/full 2>/dev/null", test_program());
    int status = system(command.data);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    buffer_free(&command);
}

/* ---- tokenizers */

static void test_broken_tokenizers_and_texts(void **state) {
    (void)state;
    check_fails(1, PARTS("no-such"), "tokenize --tokenizer", "/no-such/tokenizer.json");
    put_text("cut/tokenizer.json", "{\"model\": {\"type\": \"BPE\"");
    char *path = in_folder("cut/tokenizer.json");
    check_fails(1, PARTS("tokenizer.json"), "tokenize --tokenizer", path);
    free(path);
    put_text("bad.jsonl", "{\"text\": \"fine\"}\n{\"txet\": \"x\"}\n");
    Output output;
    test_run_expecting(0, &output, "generate --model demo --max-new-tokens 1"); /* lays the demo model out */
    test_output_free(&output);
    Buffer command = {0};
    buffer_printf(&command, "tokenize --tokenizer %s/cache/demo-model --input", test_folder);
    char *bad = in_folder("bad.jsonl");
    check_fails(1, PARTS("bad.jsonl:2", "text"), command.data, bad);
    free(bad);
    buffer_free(&command);
}

int run_bad_input_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_configs),
        cmocka_unit_test(test_broken_weights),
        cmocka_unit_test(test_broken_shards),
        cmocka_unit_test(test_broken_tasks_and_data),
        cmocka_unit_test(test_broken_databases),
        cmocka_unit_test(test_two_writers_on_one_database),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_full_output),
        cmocka_unit_test(test_broken_tokenizers_and_texts),
    };
    return cmocka_run_group_tests_name("bad input", tests, test_make_folder, test_remove_folder);
}
