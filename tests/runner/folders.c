#include "tests/runner/folders.h"

#include <dirent.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

char *folder_make(const char *what) {
    const char *root = getenv("TMPDIR");
    char name[96];
    snprintf(name, sizeof name, "zeval-%.64s-XXXXXX", what);
    char *folder = path_join(root ? root : "/tmp", name);
    assert_non_null(mkdtemp(folder));
    return folder;
}

void folder_put(const char *folder, const char *name, const void *data, size_t bytes) {
    char *path = path_join(folder, name);
    FILE *file = fopen(path, "wb"); /* not file_write_atomic, which waits for the disk */
    if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0)
        fail_msg("cannot write %s", path);
    free(path);
}

void folder_copy(const char *from, const char *pattern, const char *to) {
    char *path = path_join(from, pattern);
    glob_t found;
    assert_int_equal(glob(path, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        Buffer file = {0};
        assert_int_equal(file_read(&file, found.gl_pathv[i], 1 << 24, NULL), 0);
        folder_put(to, path_name(found.gl_pathv[i]), file.data, file.size);
        buffer_free(&file);
    }
    globfree(&found);
    free(path);
}

void folder_remove(char *folder) {
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char *path = path_join(folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
        free(path);
    }
    closedir(directory);
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}
