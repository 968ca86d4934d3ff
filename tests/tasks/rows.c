/* Rows out of JSON, CSV and compressed files. The CSV's types were compared with pandas 2.2 (read_csv). */
#include "support.h"

#include <bzlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/row_store.h"
#include "tasks/rows.h"

typedef int RowsFrom(RowList *list, Arena *arena, const char *text, size_t bytes, const char *where,
                     Error *error);

/* Reads a text and compares the rows' JSON lines. */
static void assert_rows(RowsFrom *from, const char *text, const char *expected) {
    Arena arena = {0};
    RowList list = {0};
    Buffer lines = {0};
    Error error = {0};
    if (from(&list, &arena, text, strlen(text), "file", &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < list.n; i++) {
        value_append_json(&lines, &list.rows[i]);
        buffer_append_char(&lines, '\n');
    }
    assert_string_equal(lines.data ? lines.data : "", expected);
    buffer_free(&lines);
    free(list.rows);
    arena_free(&arena);
}

static void assert_no_rows(RowsFrom *from, const char *text, const char *first, const char *second) {
    Arena arena = {0};
    RowList list = {0};
    Error error = {0};
    if (from(&list, &arena, text, strlen(text), "file", &error) != -1)
        fail_msg("no error, but expected: %s %s", first, second);
    assert_message(&error, first, second, NULL);
    free(list.rows);
    arena_free(&arena);
}

static void test_csv_cells_are_cut_as_the_standard_says(void **state) {
    (void)state;
    assert_rows(rows_from_csv, "a,b\nx,y\n", "{\"a\": \"x\", \"b\": \"y\"}\n");
    assert_rows(rows_from_csv, "a,b\r\nx,y", "{\"a\": \"x\", \"b\": \"y\"}\n");
    assert_rows(rows_from_csv,
                "\xef\xbb\xbf"
                "a\n\"1,\"\"2\"\"\n\n3\"\n",
                "{\"a\": \"1,\\\"2\\\"\\n\\n3\"}\n");
    assert_rows(rows_from_csv, "a,b\n\n\"\",it's \"so\"\n\n", "{\"a\": null, \"b\": \"it's \\\"so\\\"\"}\n");
    assert_rows(rows_from_csv, "a\n", "");
    assert_rows(rows_from_csv, "", "");
    assert_rows(rows_from_csv, ",q\n0,Größe\n", "{\"Unnamed: 0\": 0, \"q\": \"Größe\"}\n");
}

static void test_csv_columns_have_one_type(void **state) {
    (void)state;
    assert_rows(rows_from_csv, "i,f,b,t,n,m\n1,1.5,True,1,,1\n-02,2,false,x,NA,\n",
                "{\"i\": 1, \"f\": 1.5, \"b\": true, \"t\": \"1\", \"n\": null, \"m\": 1.0}\n"
                "{\"i\": -2, \"f\": 2.0, \"b\": false, \"t\": \"x\", \"n\": null, \"m\": null}\n");
    assert_rows(rows_from_csv, "e,w,b\n1e3,None,TRUE\n-inf,nan,\n.5,word,false\n",
                "{\"e\": 1000.0, \"w\": null, \"b\": true}\n{\"e\": -Infinity, \"w\": null, \"b\": null}\n"
                "{\"e\": 0.5, \"w\": \"word\", \"b\": false}\n");
    assert_rows(rows_from_csv, "a,b\n1,True\nTrue,1\n1-2,1.2.3\n",
                "{\"a\": \"1\", \"b\": \"True\"}\n{\"a\": \"True\", \"b\": \"1\"}\n"
                "{\"a\": \"1-2\", \"b\": \"1.2.3\"}\n");
}

/* What follows is what pandas 2.2.3 gives. */
static void test_csv_with_faults_is_read_as_pandas_reads_it(void **state) {
    (void)state;
    assert_rows(rows_from_csv, "a,b\n1,2\n3\n", "{\"a\": 1, \"b\": 2.0}\n{\"a\": 3, \"b\": null}\n");
    assert_rows(rows_from_csv, "a,b\n\"x\"y \"z\",\"\"\"q\"\" \"w\n",
                "{\"a\": \"xy \\\"z\\\"\", \"b\": \"\\\"q\\\" w\"}\n");
    assert_rows(rows_from_csv, "a,a,,a\n1,2,3,4\n",
                "{\"a\": 1, \"a.1\": 2, \"Unnamed: 2\": 3, \"a.2\": 4}\n");
}

static void test_csv_numbers_are_pandas_numbers(void **state) {
    (void)state;
    assert_rows(rows_from_csv, "a,b,c,d\n0.0006582778943575542,7.25279e-158,-5e-324,1.7976931348623157e308\n",
                "{\"a\": 0.0006582778943575, \"b\": 7.252790000000001e-158, \"c\": -5e-324, \"d\": "
                "1.7976931348623157e+308}\n");
    assert_rows(rows_from_csv, "a,b,c,d\n12345678901234567890.5,+.5e1,2.,00.1\n",
                "{\"a\": 1.2345678901234567e+19, \"b\": 5.0, \"c\": 2.0, \"d\": 0.1}\n");
    assert_rows(rows_from_csv, "a,b,c,d,e\n1e400,1e,.,1e5.0,1 2\n",
                "{\"a\": \"1e400\", \"b\": \"1e\", \"c\": \".\", \"d\": \"1e5.0\", \"e\": \"1 2\"}\n");
    assert_rows(rows_from_csv, "a,b,c,d\niNf,tRUE,+infinity,Inf\n-INF,False,1,x\n",
                "{\"a\": Infinity, \"b\": true, \"c\": Infinity, \"d\": \"Inf\"}\n"
                "{\"a\": -Infinity, \"b\": false, \"c\": 1.0, \"d\": \"x\"}\n");
    assert_rows(rows_from_csv,
                "a,b,c\n99999999999999999999,1.5,9223372036854775808\n1,99999999999999999999,1.5\n",
                "{\"a\": \"99999999999999999999\", \"b\": 1.5, \"c\": 9.223372036854778e+18}\n"
                "{\"a\": \"1\", \"b\": 1.0000000000000002e+20, \"c\": 1.5}\n");
}

static void test_bad_csv_is_refused(void **state) {
    (void)state;
    assert_no_rows(rows_from_csv, "a,b\n\"1\n1\",2\n3,4,5\n", "file:4", "3 cells; the header has 2");
    assert_no_rows(rows_from_csv, "a\n\"x\n", "file:2", "a quote that is never closed");
    assert_no_rows(rows_from_csv, "a\n\xff\n", "file", "not UTF-8");
}

static void test_json_arrays_and_lines(void **state) {
    (void)state;
    assert_rows(rows_from_json, " [ {\"a\": 1} ,\n{\"a\": [\"]}\\\"\"]}\n]\n",
                "{\"a\": 1}\n{\"a\": [\"]}\\\"\"]}\n");
    assert_rows(rows_from_json, "[]", "");
    assert_rows(rows_from_json, "{\"a\": 1}\n\n{\"a\": 2}", "{\"a\": 1}\n{\"a\": 2}\n");
    assert_no_rows(rows_from_json, "[{\"a\": 1},\n 5]", "file:2", "item 1 of the array is no JSON object");
    assert_no_rows(rows_from_json, "[{\"a\": 1}\n{\"a\": 1}]", "file:2", "',' and another item");
    assert_no_rows(rows_from_json, "[{\"a\": 1},\n]", "file:2", "',' and another item");
    assert_no_rows(rows_from_json, "[\n{\"a\": x}]", "file:2:", "not valid JSON");
    assert_no_rows(rows_from_json, "[{\"a\": 1}", "file:1", "',' and another item");
    assert_no_rows(rows_from_json, "[{\"a\": 1", "file:1:", "not valid JSON");
    assert_no_rows(rows_from_json, "[{\"a\": 1}]\n[", "file:2", "text behind the end");
    assert_no_rows(rows_from_json, "{\"a\": {\"data\": []}}\n7", "file:2", "found an integer");
}

/* What follows was compared with the rows that datasets 3.6 and pyarrow make of the same lines. */
static void assert_table(const char *text, const char *expected) {
    Arena arena = {0};
    RowList list = {0};
    Buffer lines = {0};
    Error error = {0};
    if (rows_from_json(&list, &arena, text, strlen(text), "file", &error))
        fail_msg("%s", error.message);
    rows_unify(&list, &arena);
    for (size_t i = 0; i < list.n; i++) {
        value_append_json(&lines, &list.rows[i]);
        buffer_append_char(&lines, '\n');
    }
    assert_string_equal(lines.data, expected);
    buffer_free(&lines);
    free(list.rows);
    arena_free(&arena);
}

static void test_json_rows_become_columns_as_in_arrow(void **state) {
    (void)state;
    assert_table("{\"a\":1}\n{\"a\":1.5}\n", "{\"a\": 1.0}\n{\"a\": 1.5}\n");
    assert_table("{\"a\":1}\n{\"b\":\"x\"}\n", "{\"a\": 1, \"b\": null}\n{\"a\": null, \"b\": \"x\"}\n");
    assert_table("{\"a\":1,\"b\":2}\n{\"b\":3,\"a\":4}\n", "{\"a\": 1, \"b\": 2}\n{\"a\": 4, \"b\": 3}\n");
    assert_table("{\"a\":[{\"x\":1},{\"y\":[2,2.5]}]}\n{\"a\":null}\n{\"a\":[]}\n",
                 "{\"a\": [{\"x\": 1, \"y\": null}, {\"x\": null, \"y\": [2.0, 2.5]}]}\n{\"a\": null}\n"
                 "{\"a\": []}\n");
    assert_table("[{\"a\":{\"x\":1}},\n{\"a\":{\"y\":\"q\"}}]",
                 "{\"a\": {\"x\": 1, \"y\": null}}\n{\"a\": {\"x\": null, \"y\": \"q\"}}\n");
    assert_table("{\"a\":9223372036854775808}\n{\"a\":1}\n",
                 "{\"a\": 9.223372036854776e+18}\n{\"a\": 1.0}\n");
    assert_table("{\"a\":true,\"b\":1}\n{\"a\":false,\"b\":-0}\n",
                 "{\"a\": true, \"b\": 1}\n{\"a\": false, \"b\": 0}\n");
}

/* Ten thousand rows of a mapping with a key of its own would be a table of a hundred million cells. */
static void test_mappings_with_too_many_keys_stay_as_they_are(void **state) {
    (void)state;
    Arena arena = {0};
    RowList list = {0};
    Error error = {0};
    for (int i = 0; i < 10000; i++) {
        char line[64];
        int bytes = snprintf(line, sizeof line, "{\"m\": {\"k%d\": %d}}", i, i);
        assert_int_equal(rows_add_line(&list, &arena, line, (size_t)bytes, "file", 1, &error), 0);
    }
    rows_unify(&list, &arena);
    const Value *last = value_get(&list.rows[9999], "m");
    assert_int_equal(last->n, 1);
    assert_string_equal(last->as.pairs[0].key, "k9999");
    free(list.rows);
    arena_free(&arena);
}

static void test_json_as_python_writes_it(void **state) {
    (void)state;
    assert_rows(rows_from_lines, "{\"a\": NaN, \"b\": [Infinity,-Infinity, 1]}\n",
                "{\"a\": NaN, \"b\": [Infinity, -Infinity, 1]}\n");
    assert_rows(rows_from_lines, "{\"NaN\": \"-Infinity, \\\"NaN\", \"n\": null}",
                "{\"NaN\": \"-Infinity, \\\"NaN\", \"n\": null}\n");
    assert_rows(rows_from_json, "\xef\xbb\xbf[{\"a\": 1}]", "{\"a\": 1}\n");
    assert_rows(rows_from_json, "\xef\xbb\xbf{\"a\": 1}\r\n{\"a\": 2}\r\n", "{\"a\": 1}\n{\"a\": 2}\n");
    assert_rows(rows_from_json, "{\"a\":1}{\"a\":2}\n\n {\n\"a\": [3,\n4]\n}",
                "{\"a\": 1}\n{\"a\": 2}\n{\"a\": [3, 4]}\n");
    static const char *const wrong[] = {"{\"a\": nan}",       "{\"a\": 1NaN}", "{\"a\": NaN1}",
                                        "{\"a\": +Infinity}", "{\"a\": Inf}",  "{\"a\": --Infinity}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_no_rows(rows_from_lines, wrong[i], "file:1:", "not valid JSON");
}

/* ---- whole data sets */

static const char task[] = "task: t\ndataset_path: org/set\ntest_split: test\noutput_type: multiple_choice\n"
                           "doc_to_text: q\ndoc_to_choice: ['no', 'yes']\ndoc_to_target: label\n";

/* Writes data, opens the task and returns how many documents it has, or -1. */
static int64_t open_data(const char *name, const void *data, size_t bytes, Error *error) {
    char *folder = folder_make(), *tasks = path_join(folder, "tasks"), *root = path_join(folder, "data");
    char *file = path_join(root, name), *parent = path_folder(file);
    TaskSet *set = NULL;
    int64_t n = -1;
    folder_write(folder, "tasks/t.yaml", task);
    if (file_make_directories(parent, error) || file_write_atomic(file, data, bytes, error))
        fail_msg("%s", error->message);
    if (open_task(&set, "t", root, tasks, 0, error) == 0) {
        n = (int64_t)task_info(task_set_task(set, 0))->n_documents;
        task_set_close(set);
    }
    free(parent), free(file), free(root), free(tasks);
    folder_remove(folder);
    return n;
}

static void assert_documents(const char *name, const void *data, size_t bytes, int64_t expected) {
    Error error = {0};
    int64_t n = open_data(name, data, bytes, &error);
    if (n != expected)
        fail_msg("%s: %lld documents, expected %lld: %s", name, (long long)n, (long long)expected,
                 error.message);
}

static void test_every_format_is_found_and_read(void **state) {
    (void)state;
    static const char csv[] = "q,label\nIs it?,1\nWas it?,0\n";
    static const char array[] = "[{\"q\": \"Is it?\", \"label\": 1}, {\"q\": \"Was it?\", \"label\": 0}]";
    static const char lines[] = "{\"q\": \"Is it?\", \"label\": 1}\n{\"q\": \"Was it?\", \"label\": 0}\n";
    assert_documents("org/set/default/test.csv", csv, sizeof csv - 1, 2);
    assert_documents("org/set/data/test-00000-of-00001.csv", csv, sizeof csv - 1, 2);
    assert_documents("org/set/default/test.json", array, sizeof array - 1, 2);
    assert_documents("org/set/default/test.json", lines, sizeof lines - 1, 2);
    assert_documents("org/set/default/test.jsonl", lines, sizeof lines - 1, 2);
}

static void test_bzip2_is_read_in_all_its_streams(void **state) {
    (void)state;
    static const char line[] = "{\"q\": \"Is it?\", \"label\": 1}\n";
    char packed[1024];
    unsigned first = 512, second = 512;
    Error error = {0};
    assert_int_equal(BZ2_bzBuffToBuffCompress(packed, &first, (char *)line, sizeof line - 1, 9, 0, 0), BZ_OK);
    assert_int_equal(
        BZ2_bzBuffToBuffCompress(packed + first, &second, (char *)line, sizeof line - 1, 9, 0, 0), BZ_OK);
    assert_documents("org/set/default/test.jsonl.bz2", packed, first + second, 2);
    assert_int_equal(open_data("org/set/default/test.jsonl.bz2", packed, first + second - 9, &error), -1);
    assert_message(&error, "test.jsonl.bz2", "damaged or cut", NULL);
    packed[20] ^= 1;
    assert_int_equal(open_data("org/set/default/test.csv.bz2", packed, first + second, &error), -1);
    assert_message(&error, "test.csv.bz2", "damaged or cut", NULL);
}

/* ---- files that a task names itself */

typedef struct NamedCase {
    const char *keys;     /* behind the splits; every %s is the folder */
    const char *expected; /* the questions in order, or the error's end */
    bool refused;
} NamedCase;

static void check_named(const char *folder, const NamedCase *named) {
    char *data = path_join(folder, "data"), *tasks = path_join(folder, "tasks"), keys[1024], yaml[1500];
    Error error = {0};
    Arena arena = {0};
    TaskSet *set = NULL;
    Buffer questions = {0};
    snprintf(keys, sizeof keys, named->keys, folder, folder);
    snprintf(yaml, sizeof yaml,
             "task: t\ntest_split: test\noutput_type: multiple_choice\ndoc_to_text: q\n"
             "doc_to_choice: ['no', 'yes']\ndoc_to_target: label\n%s\n",
             keys);
    folder_write(folder, "tasks/t.yaml", yaml);
    int status = open_task(&set, "t", data, tasks, 0, &error);
    for (size_t i = 0; !status && i < task_info(task_set_task(set, 0))->n_documents; i++) {
        TaskDocument document;
        status = task_document(task_set_task(set, 0), i, &arena, &document, &error);
        buffer_append_text(&questions, status ? "" : document.requests[0].context);
    }
    if (named->refused)
        assert_message(&error, named->expected, NULL);
    else if (status)
        fail_msg("%s: %s", keys, error.message);
    else
        assert_string_equal(questions.data, named->expected);
    if (set)
        task_set_close(set);
    buffer_free(&questions);
    arena_free(&arena);
    free(data), free(tasks);
}

/* As load_dataset of PyPI's datasets reads them: patterns in the order of names, lists in theirs. */
static void test_files_that_a_task_names(void **state) {
    (void)state;
    static const NamedCase cases[] = {
        {"dataset_path: json\ndataset_kwargs: {data_files: {test: '%s/b.jsonl'}}", "b", false},
        {"dataset_path: json\ndataset_kwargs: {data_files: {test: ['%s/b.jsonl', '%s/a.json']}}", "ba",
         false},
        {"dataset_path: json\ndataset_kwargs: {data_files: {train: x, test: '%s/?.json*'}}", "ab", false},
        {"dataset_path: csv\ndataset_kwargs: {data_files: {test: '%s/c.csv'}, trust_remote_code: true}", "c",
         false},
        {"dataset_path: json\ntest_split: train\ndataset_kwargs: {data_files: '%s/a.json'}", "a", false},
        {"dataset_path: json\ndataset_kwargs: {data_files: {test: 'hf://datasets/org/set@main/d/*.jsonl'}}",
         "d", false},
        {"dataset_path: org/set\ndataset_kwargs: {data_files: {test: 'd/other.jsonl'}}", "s", false},
        {"dataset_path: json\ndataset_kwargs: {data_files: {train: '%s/a.json'}}",
         "data_files name no split 'test'", true},
        {"dataset_path: json\ndataset_kwargs: {data_files: '%s/a.json'}",
         "files without splits are the split 'train'", true},
        {"dataset_path: json\ndataset_kwargs: {data_files: {test: '%s/z.json'}}", "z.json is missing", true},
        {"dataset_path: json\ndataset_kwargs: {data_files: {test: '%s/c.csv'}}",
         "by its name this is no json file", true},
        {"dataset_path: json\ndataset_kwargs: {data_files: {test: 'hf://datasets/../a.json'}}",
         "would leave the data folder", true},
        {"dataset_path: json\ndataset_kwargs: {data_files: {test: 7}}",
         "t.yaml:8: dataset_kwargs: data_files: a file's name", true},
        {"dataset_path: csv\ndataset_kwargs: {data_files: {test: '%s/c.csv'}, sep: ';'}",
         "'sep' is not supported; data_files is", true},
    };
    char *folder = folder_make();
    folder_write(folder, "a.json", "[{\"q\": \"a\", \"label\": 1}]");
    folder_write(folder, "b.jsonl", "{\"q\": \"b\", \"label\": 0}\n");
    folder_write(folder, "c.csv", "q,label\nc,1\n");
    folder_write(folder, "data/org/set/d/x.jsonl", "{\"q\": \"d\", \"label\": 0}\n");
    folder_write(folder, "data/org/set/default/test.jsonl", "{\"q\": \"s\", \"label\": 0}\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_named(folder, &cases[i]);
    folder_remove(folder);
}

/* ---- rows as bytes */

static Value row_of(Arena *arena, const char *json) {
    Value row;
    Error error = {0};
    if (value_from_json(&row, arena, json, strlen(json), "row", 1, &error))
        fail_msg("%s", error.message);
    return row;
}

static void assert_row(const RowStore *store, size_t i, const Value *expected, Arena *arena) {
    Value found = row_store_get(store, i, arena);
    Buffer a = {0}, b = {0};
    value_append_json(&a, expected);
    value_append_json(&b, &found);
    assert_string_equal(b.data, a.data);
    buffer_free(&a);
    buffer_free(&b);
}

static void test_packed_rows_are_as_they_were(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{}",
        "{\"a\": 1, \"b\": [null, true, false, \"\", \"\\u0001\\u00e9\\ud83d\\ude00\"], \"c\": {\"a\": {}}}",
        "{\"a\": -1, \"c\": [], \"b\": [[-9223372036854775808, 9223372036854775807, 0, 127, -128, 65536]]}",
        "{\"b\": 1.0, \"a\": [0.1, -0.0, 1e300, -5e-324, 0, 0], \"new\": \"x\"}"};
    enum { N = sizeof texts / sizeof *texts };
    Arena arena = {0};
    Value rows[N];
    bool kept[N];
    for (size_t i = 0; i < N; i++) {
        rows[i] = row_of(&arena, texts[i]);
        kept[i] = true;
    }
    Value *numbers = rows[N - 1].as.pairs[1].value.as.items; /* Parquet files can hold these */
    numbers[4] = value_double(NAN);
    numbers[5] = value_double(-INFINITY);
    RowStore *store = row_store_create(rows, N, kept);
    for (size_t i = N; i-- > 0;)
        assert_row(store, i, &rows[i], &arena);
    row_store_free(store);
    arena_free(&arena);
}

/* More columns than the table of names has room for. */
static void test_packed_rows_have_any_number_of_columns(void **state) {
    (void)state;
    enum { N = 3, COLUMNS = 1000 };
    Arena arena = {0};
    Value rows[N];
    const bool kept[N] = {true, true, true};
    for (size_t i = 0; i < N; i++) {
        Buffer text = {0};
        for (size_t c = 0; c < COLUMNS; c++)
            buffer_printf(&text, "%s\"column %zu\": %zu", c ? ", " : "{", (c * (i + 1)) % 1009, c + i);
        buffer_append_text(&text, "}");
        rows[i] = row_of(&arena, text.data);
        buffer_free(&text);
    }
    RowStore *store = row_store_create(rows, N, kept);
    for (size_t i = 0; i < N; i++)
        assert_row(store, i, &rows[i], &arena);
    row_store_free(store);
    arena_free(&arena);
}

/* Every third of many rows, one of them longer than a block: compressed, and nothing else is kept. */
static void test_packed_rows_take_little(void **state) {
    (void)state;
    enum { N = 6000, LONG = 3000 };
    Arena arena = {0}, one = {0};
    Value *rows = mem_alloc(N * sizeof *rows);
    bool *kept = mem_alloc_zero(N, sizeof *kept);
    size_t text_bytes = 0;
    for (size_t i = 0; i < N; i++) {
        Buffer text = {0};
        buffer_printf(&text, "{\"id\": %zu, \"question\": \"", i);
        for (size_t w = 0; w < (i == LONG ? 9000 : 100); w++)
            buffer_printf(&text, "word%zu ", (i * 31 + w * w) % 97);
        buffer_append_text(&text, "\"}");
        rows[i] = row_of(&arena, text.data);
        kept[i] = i % 3 == 0;
        text_bytes += kept[i] ? text.size : 0;
        buffer_free(&text);
    }
    RowStore *store = row_store_create(rows, N, kept);
    assert_true(text_bytes > (size_t)1 << 20);
    if (row_store_bytes(store) > text_bytes * 3 / 4)
        fail_msg("%zu bytes of text take %zu bytes", text_bytes, row_store_bytes(store));
    for (size_t i = 0; i < N; i += 3) {
        assert_row(store, i, &rows[i], &one);
        arena_reset(&one);
    }
    assert_int_equal(row_store_get(store, 1, &one).kind, VALUE_NULL);
    row_store_free(store);
    arena_free(&arena);
    arena_free(&one);
    free(rows);
    free(kept);
}

const struct CMUnitTest rows_tests[] = {cmocka_unit_test(test_csv_cells_are_cut_as_the_standard_says),
                                        cmocka_unit_test(test_csv_columns_have_one_type),
                                        cmocka_unit_test(test_csv_with_faults_is_read_as_pandas_reads_it),
                                        cmocka_unit_test(test_csv_numbers_are_pandas_numbers),
                                        cmocka_unit_test(test_bad_csv_is_refused),
                                        cmocka_unit_test(test_json_arrays_and_lines),
                                        cmocka_unit_test(test_json_rows_become_columns_as_in_arrow),
                                        cmocka_unit_test(test_mappings_with_too_many_keys_stay_as_they_are),
                                        cmocka_unit_test(test_json_as_python_writes_it),
                                        cmocka_unit_test(test_every_format_is_found_and_read),
                                        cmocka_unit_test(test_bzip2_is_read_in_all_its_streams),
                                        cmocka_unit_test(test_files_that_a_task_names),
                                        cmocka_unit_test(test_packed_rows_are_as_they_were),
                                        cmocka_unit_test(test_packed_rows_have_any_number_of_columns),
                                        cmocka_unit_test(test_packed_rows_take_little)};
const size_t n_rows_tests = sizeof rows_tests / sizeof *rows_tests;
