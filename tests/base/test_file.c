#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/base.h"
#include "tests/base/tests.h"

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/zeval-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static char *in_folder(const char *name) {
    return path_join(folder, name);
}

static void write_plain(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    fclose(file);
}

static void test_lines_of_plain_and_gzip_files(void **state) {
    (void)state;
    static const char text[] = "first\r\n\nthird without end";
    char *paths[2] = {in_folder("plain.txt"), in_folder("packed.gz")};
    write_plain(paths[0], text, sizeof text - 1);
    gzFile packed = gzopen(paths[1], "wb");
    gzwrite(packed, text, sizeof text - 1);
    gzclose(packed);
    for (int i = 0; i < 2; i++) {
        LineReader *reader;
        const char *line;
        size_t bytes;
        Error error = {0};
        assert_int_equal(line_reader_open(&reader, paths[i], &error), 0);
        assert_int_equal(line_reader_next(reader, &line, &bytes, &error), 1);
        assert_string_equal(line, "first");
        assert_int_equal(line_reader_next(reader, &line, &bytes, &error), 1);
        assert_int_equal(bytes, 0);
        assert_int_equal(line_reader_next(reader, &line, &bytes, &error), 1);
        assert_string_equal(line, "third without end");
        assert_int_equal(line_reader_number(reader), 3);
        assert_int_equal(line_reader_next(reader, &line, &bytes, &error), 0);
        line_reader_close(reader);
        free(paths[i]);
    }
}

static void test_many_lines_across_chunks(void **state) {
    (void)state;
    char *path = in_folder("many.txt");
    FILE *file = fopen(path, "wb");
    for (int i = 0; i < 20000; i++)
        fprintf(file, "%d %*s\n", i, i % 97, "x");
    fclose(file);
    LineReader *reader;
    const char *line;
    size_t bytes;
    int n = 0;
    assert_int_equal(line_reader_open(&reader, path, NULL), 0);
    while (line_reader_next(reader, &line, &bytes, NULL) == 1) {
        assert_int_equal(atoi(line), n++);
        assert_int_equal(strlen(line), bytes);
    }
    assert_int_equal(n, 20000);
    line_reader_close(reader);
    free(path);
}

static void test_truncated_gzip_is_an_error(void **state) {
    (void)state;
    char *path = in_folder("cut.gz");
    gzFile packed = gzopen(path, "wb");
    for (int i = 0; i < 100000; i++)
        gzprintf(packed, "%d\n", i * 7919 % 65537);
    gzclose(packed);
    assert_int_equal(truncate(path, file_size(path) / 2), 0);
    LineReader *reader;
    const char *line;
    size_t bytes;
    int got;
    Error error = {0};
    assert_int_equal(line_reader_open(&reader, path, &error), 0);
    while ((got = line_reader_next(reader, &line, &bytes, &error)) == 1)
        ;
    assert_int_equal(got, -1);
    assert_non_null(strstr(error.message, "cut.gz"));
    line_reader_close(reader);
    Buffer whole = {0};
    assert_int_equal(file_read(&whole, path, 1 << 30, &error), -1);
    buffer_free(&whole);
    free(path);
}

static void test_more_than_allowed_is_refused(void **state) {
    (void)state;
    char *path = in_folder("bomb.gz");
    char zeros[4096] = {0};
    gzFile packed = gzopen(path, "wb");
    for (int i = 0; i < 4096; i++)
        gzwrite(packed, zeros, sizeof zeros);
    gzclose(packed);
    Buffer out = {0};
    Error error = {0};
    assert_int_equal(file_read(&out, path, 1 << 20, &error), -1);
    assert_non_null(strstr(error.message, "more than 1048576 bytes"));
    assert_int_equal(out.size, 0);
    buffer_free(&out);
    free(path);
}

/* Small maps and ones that begin where a large page can: the twin's bytes come to the map's addresses. */
static void test_a_twin_takes_a_maps_place(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 4097, (2 << 20) - 1, 2 << 20, (5 << 20) + 7};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *path = in_folder("twin"), *text = mem_alloc(sizes[i]);
        FileMap map;
        memset(text, 'a', sizes[i]);
        write_plain(path, text, sizes[i]);
        assert_int_equal(file_map(&map, path, NULL), 0);
        assert_int_equal(map.bytes, sizes[i]);
        assert_memory_equal(map.data, text, sizes[i]);
        if (sizes[i] >= 2 << 20)
            assert_int_equal((uintptr_t)map.data % (2 << 20), 0);
        const uint8_t *before = map.data;
        uint8_t *twin = file_map_twin(&map, NULL);
        assert_non_null(twin);
        memset(text, 'b', sizes[i]);
        memcpy(twin, text, sizes[i]);
        assert_int_equal(file_map_replace(&map, twin, NULL), 0);
        assert_ptr_equal(map.data, before);
        assert_memory_equal(map.data, text, sizes[i]);
        file_unmap(&map);
        free(text);
        free(path);
    }
}

static void test_missing_files_and_folders_are_named(void **state) {
    (void)state;
    FileMap map;
    Error error = {0};
    char *path = in_folder("absent");
    assert_int_equal(file_map(&map, path, &error), -1);
    assert_non_null(strstr(error.message, "absent: No such file"));
    assert_int_equal(file_map(&map, folder, &error), -1);
    assert_non_null(strstr(error.message, "found a folder, expected a file"));
    free(path);
}

/* The child may write no file beyond 1000 bytes: what a full disk looks like from inside. */
static void test_failed_write_leaves_the_old_file(void **state) {
    (void)state;
    char *path = in_folder("kept");
    assert_int_equal(file_write_atomic(path, "old", 3, NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        static char large[5000];
        struct rlimit limit = {1000, 1000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        Error error = {0};
        _exit(file_write_atomic(path, large, sizeof large, &error) == -1 && strstr(error.message, "kept")
                  ? 0
                  : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    Buffer text = {0};
    assert_int_equal(file_read(&text, path, 100, NULL), 0);
    assert_string_equal(text.data, "old");
    buffer_free(&text);
    free(path);
    char command[128], count[16] = "";
    snprintf(command, sizeof command, "ls -A '%s' | grep -c kept", folder);
    FILE *listing = popen(command, "r");
    assert_non_null(fgets(count, sizeof count, listing));
    pclose(listing);
    assert_int_equal(atoi(count), 1); /* no temporary file is left */
}

static void test_folders_and_paths(void **state) {
    (void)state;
    char *path = in_folder("a/b/c");
    assert_int_equal(file_make_directories(path, NULL), 0);
    assert_int_equal(file_make_directories(path, NULL), 0);
    assert_true(file_is_directory(path));
    char *blocked = in_folder("a/file");
    write_plain(blocked, "x", 1);
    Error error = {0};
    assert_int_equal(file_make_directories(blocked, &error), -1);
    char *parent = path_folder("x/y.z"), *here = path_folder("y.z"), *root = path_folder("/y");
    assert_string_equal(parent, "x");
    assert_string_equal(here, ".");
    assert_string_equal(root, "/");
    assert_string_equal(path_name("x/y.z"), "y.z");
    free(parent);
    free(here);
    free(root);
    free(blocked);
    free(path);
}

static void test_embedded_files_are_found(void **state) {
    (void)state;
    for (size_t i = 0; i < n_embedded_files; i++) {
        assert_ptr_equal(embedded_find(embedded_files[i].name), &embedded_files[i]);
        if (i)
            assert_true(strcmp(embedded_files[i - 1].name, embedded_files[i].name) < 0);
    }
    assert_null(embedded_find("no/such/file"));
}

int run_file_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_plain_and_gzip_files),
        cmocka_unit_test(test_many_lines_across_chunks),
        cmocka_unit_test(test_truncated_gzip_is_an_error),
        cmocka_unit_test(test_more_than_allowed_is_refused),
        cmocka_unit_test(test_missing_files_and_folders_are_named),
        cmocka_unit_test(test_failed_write_leaves_the_old_file),
        cmocka_unit_test(test_a_twin_takes_a_maps_place),
        cmocka_unit_test(test_folders_and_paths),
        cmocka_unit_test(test_embedded_files_are_found),
    };
    return cmocka_run_group_tests_name("file", tests, make_folder, remove_folder);
}
