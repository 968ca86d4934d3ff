/* Parquet: every row as pyarrow reads it, by hash (tests/oracle/parquet_rows.py wrote fixtures and hashes);
 * damaged files end in one sentence; data sets are found in every layout. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/parquet.h"

#define FIXTURES "tests/fixtures/parquet"
enum { FILE_BYTES_MAX = 64 << 20 };

/* Reads all rows; the digest is of their JSON lines. Returns the number of rows or -1. */
static int64_t read_rows(const void *data, size_t bytes, const char *name, char hex[SHA256_HEX],
                         Error *error) {
    static const ParquetLimits limits = {.page_bytes = 8 << 20, .n_values = 2000000};
    ParquetReader *reader;
    if (parquet_open_bytes(&reader, data, bytes, name, &limits, error))
        return -1;
    Sha256 *hash = sha256_begin();
    Buffer line = {0};
    Arena arena = {0};
    Value *rows;
    size_t n;
    int64_t total = 0;
    int got;
    while ((got = parquet_next(reader, &arena, &rows, &n, error)) > 0) {
        for (size_t i = 0; i < n; i++) {
            buffer_clear(&line);
            value_append_json(&line, &rows[i]);
            buffer_append_char(&line, '\n');
            sha256_update(hash, line.data, line.size);
        }
        total += (int64_t)n;
        arena_reset(&arena);
    }
    sha256_end(hash, hex);
    buffer_free(&line);
    arena_free(&arena);
    parquet_close(reader);
    return got < 0 ? -1 : total;
}

/* One line of a list of hashes: "folder/file rows sha256" or "folder/file refused why". */
static void check_line(const char *line, const char *root) {
    char name[256], count[32], want[SHA256_HEX], hex[SHA256_HEX] = "";
    Error error = {0};
    FileMap map;
    assert_int_equal(sscanf(line, "%255s %31s %64s", name, count, want), 3);
    char *path = path_join(root, name);
    if (file_map(&map, path, &error))
        fail_msg("%s", error.message);
    int64_t n = read_rows(map.data, map.bytes, name, hex, &error);
    if (strcmp(count, "refused") == 0) {
        if (n >= 0)
            fail_msg("%s: read, but pyarrow refuses it: %s", name, line);
        assert_message(&error, name, NULL);
    } else if (n != atoll(count) || strcmp(hex, want) != 0) {
        fail_msg("%s: found %lld rows %s %s, expected %s %s", name, (long long)n, hex, error.message, count,
                 want);
    }
    file_unmap(&map);
    free(path);
}

static void check_list(const char *list, const char *root) {
    Error error = {0};
    LineReader *reader;
    const char *line;
    size_t bytes;
    if (line_reader_open(&reader, list, &error))
        fail_msg("%s", error.message);
    while (line_reader_next(reader, &line, &bytes, &error) > 0)
        check_line(line, root);
    line_reader_close(reader);
}

static void test_rows_of_the_fixtures_are_pyarrows(void **state) {
    (void)state;
    check_list(FIXTURES "/rows.txt", "tests/fixtures");
}

static void test_rows_of_other_writers_are_pyarrows(void **state) {
    (void)state;
    check_list(FIXTURES "/others.txt", "tests/fixtures");
}

static void test_an_encrypted_file_is_called_encrypted(void **state) {
    (void)state;
    Error error = {0};
    ParquetReader *reader;
    assert_int_equal(parquet_open(&reader, FIXTURES "/encrypted.parquet", &parquet_limits, &error), -1);
    assert_message(&error, "encrypted.parquet: the file is encrypted", NULL);
}

static void test_rows_of_published_files_are_pyarrows(void **state) {
    (void)state;
    char *root = shared_path("data/parquet");
    if (!root)
        skip();
    check_list(FIXTURES "/published.txt", root);
    free(root);
}

static const char *const fixtures[] = {
    FIXTURES "/plain.parquet",         FIXTURES "/dictionary_snappy.parquet", FIXTURES "/v2_zstd_crc.parquet",
    FIXTURES "/v2_delta_gzip.parquet", FIXTURES "/v1_delta_lz4.parquet",      FIXTURES "/brotli_crc.parquet"};
enum { N_FIXTURES = sizeof fixtures / sizeof *fixtures };

static void test_cut_files_are_refused(void **state) {
    (void)state;
    for (size_t f = 0; f < N_FIXTURES; f++) {
        char hex[SHA256_HEX];
        Error error = {0};
        FileMap map;
        assert_int_equal(file_map(&map, fixtures[f], &error), 0);
        for (size_t bytes = 0; bytes < map.bytes; bytes += 101) {
            error.message[0] = '\0';
            assert_int_equal(read_rows(map.data, bytes, "cut", hex, &error), -1);
            assert_message(&error, "cut: ", NULL);
        }
        file_unmap(&map);
    }
}

/* A fuzzer's file with the first timestamp of all, whose whole second is out of range in milliseconds: the
 * sanitizers see an overflow where it is multiplied. */
static void test_the_first_timestamp_of_all_does_no_harm(void **state) {
    (void)state;
    char hex[SHA256_HEX];
    Error error = {0};
    FileMap map;
    assert_int_equal(file_map(&map, FIXTURES "/first_timestamp.parquet", &error), 0);
    if (read_rows(map.data, map.bytes, "first", hex, &error) < 0)
        assert_message(&error, "first: ", NULL);
    file_unmap(&map);
}

/* A flipped bit gives rows or a sentence, never harm; with check sums on, a flipped page is always refused.
 */
static void test_flipped_bits_do_no_harm(void **state) {
    (void)state;
    for (size_t f = 0; f < N_FIXTURES; f++) {
        char hex[SHA256_HEX];
        Error error = {0};
        FileMap map;
        assert_int_equal(file_map(&map, fixtures[f], &error), 0);
        uint8_t *copy = mem_alloc(map.bytes);
        memcpy(copy, map.data, map.bytes);
        for (size_t at = 4; at < map.bytes; at += 13) {
            copy[at] ^= (uint8_t)(1u << at % 8);
            error.message[0] = '\0';
            if (read_rows(copy, map.bytes, "flipped", hex, &error) < 0)
                assert_message(&error, "flipped: ", NULL);
            copy[at] = map.data[at];
        }
        free(copy);
        file_unmap(&map);
    }
}

static void test_a_check_sum_names_the_damaged_page(void **state) {
    (void)state;
    char hex[SHA256_HEX];
    Error error = {0};
    FileMap map;
    assert_int_equal(file_map(&map, FIXTURES "/brotli_crc.parquet", &error), 0);
    uint8_t *copy = mem_alloc(map.bytes);
    memcpy(copy, map.data, map.bytes);
    copy[60] ^= 1; /* inside the first page */
    assert_int_equal(read_rows(copy, map.bytes, "file.parquet", hex, &error), -1);
    assert_message(&error, "file.parquet: row group 0: column 'text', page at byte 4: its check sum is",
                   NULL);
    free(copy);
    file_unmap(&map);
}

static void test_values_beyond_the_limits_are_refused(void **state) {
    (void)state;
    const ParquetLimits few = {.page_bytes = 1 << 20, .n_values = 100},
                        small = {.page_bytes = 16, .n_values = 100000};
    Error error = {0};
    Arena arena = {0};
    ParquetReader *reader;
    Value *rows;
    size_t n;
    assert_int_equal(parquet_open(&reader, fixtures[0], &few, &error), 0);
    assert_int_equal(parquet_next(reader, &arena, &rows, &n, &error), -1);
    assert_message(&error, "row group 0 has more than 100 values", NULL);
    parquet_close(reader);
    assert_int_equal(parquet_open(&reader, fixtures[0], &small, &error), 0);
    assert_int_equal(parquet_next(reader, &arena, &rows, &n, &error), -1);
    assert_message(&error, "column 'text', page at byte 4: its header is damaged", "at most", NULL);
    parquet_close(reader);
    arena_free(&arena);
}

/* ---- data sets */

#define TASK                                                                                                 \
    "task: t\ndataset_path: org/set\ntest_split: test\noutput_type: multiple_choice\ndoc_to_text: text\n"    \
    "doc_to_choice: ['no', 'yes']\ndoc_to_target: \"{{flag|int}}\"\n"

static void copy_fixture(const char *fixture, const char *folder, const char *name) {
    Error error = {0};
    FileMap map;
    char *path = path_join(folder, name), *parent = path_folder(path);
    if (file_map(&map, fixture, &error) || file_make_directories(parent, &error) ||
        file_write_atomic(path, map.data, map.bytes, &error))
        fail_msg("%s", error.message);
    file_unmap(&map);
    free(parent);
    free(path);
}

/* Opens the task with the folder's data; NULL with the error if that fails. */
static TaskSet *open_folder(const char *folder, Error *error) {
    TaskSet *set = NULL;
    char *tasks = path_join(folder, "tasks"), *data = path_join(folder, "data");
    int status = open_task(&set, "t", data, tasks, 0, error);
    free(tasks);
    free(data);
    return status ? NULL : set;
}

static void test_splits_are_found_in_every_layout(void **state) {
    (void)state;
    static const char *const layouts[][3] = {
        {"default/test.parquet"},
        {"default/test-00000-of-00002.parquet", "default/test-00001-of-00002.parquet"},
        {"default/test/0000.parquet", "default/test/0001.parquet"},
        {"data/test-00000-of-00001.parquet"}};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        Error error = {0};
        char *folder = folder_make();
        size_t n = 0;
        folder_write(folder, "tasks/t.yaml", TASK);
        for (; layouts[i][n]; n++) {
            char name[128];
            snprintf(name, sizeof name, "data/org/set/%s", layouts[i][n]);
            copy_fixture(fixtures[n], folder, name);
        }
        TaskSet *set = open_folder(folder, &error);
        if (!set)
            fail_msg("%s", error.message);
        const TaskInfo *info = task_info(task_set_task(set, 0));
        assert_int_equal(info->n_documents, 40 * n);
        assert_int_equal(info->n_files, 1 + n);
        for (size_t k = 0; k < n; k++) {
            assert_string_equal(info->files[1 + k].role, "dataset");
            assert_non_null(strstr(info->files[1 + k].name, layouts[i][k]));
        }
        task_set_close(set);
        folder_remove(folder);
    }
}

static void test_missing_and_contradictory_parts_are_refused(void **state) {
    (void)state;
    Error error = {0};
    char *folder = folder_make();
    folder_write(folder, "tasks/t.yaml", TASK);
    copy_fixture(fixtures[0], folder, "data/org/set/default/test-00001-of-00002.parquet");
    assert_null(open_folder(folder, &error));
    assert_message(&error, "part 0 of the split test is missing", "test-00000-of-00002.parquet", NULL);
    copy_fixture(fixtures[0], folder, "data/org/set/default/test-00000-of-00001.parquet");
    assert_null(open_folder(folder, &error));
    assert_message(&error, "holds the split test twice", NULL);
    folder_write(folder, "data/org/set/default/test.parquet", "PAR1 and no more");
    assert_null(open_folder(folder, &error));
    assert_message(&error, "default/test.parquet: not a whole Parquet file", NULL);
    folder_remove(folder);
}

const struct CMUnitTest parquet_tests[] = {
    cmocka_unit_test(test_rows_of_the_fixtures_are_pyarrows),
    cmocka_unit_test(test_rows_of_other_writers_are_pyarrows),
    cmocka_unit_test(test_an_encrypted_file_is_called_encrypted),
    cmocka_unit_test(test_rows_of_published_files_are_pyarrows),
    cmocka_unit_test(test_cut_files_are_refused),
    cmocka_unit_test(test_the_first_timestamp_of_all_does_no_harm),
    cmocka_unit_test(test_flipped_bits_do_no_harm),
    cmocka_unit_test(test_a_check_sum_names_the_damaged_page),
    cmocka_unit_test(test_values_beyond_the_limits_are_refused),
    cmocka_unit_test(test_splits_are_found_in_every_layout),
    cmocka_unit_test(test_missing_and_contradictory_parts_are_refused)};
const size_t n_parquet_tests = sizeof parquet_tests / sizeof *parquet_tests;
