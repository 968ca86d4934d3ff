/* Temporary folders that tests write checkpoints into. */
#ifndef ZEVAL_TESTS_RUNNER_FOLDERS_H
#define ZEVAL_TESTS_RUNNER_FOLDERS_H

#include <stddef.h>

/* A new folder under $TMPDIR or /tmp whose name tells what it is for; free it with folder_remove. */
char *folder_make(const char *what);
void folder_put(const char *folder, const char *name, const void *data, size_t bytes);
/* Copies the files that match a shell pattern, such as "*.json". */
void folder_copy(const char *from, const char *pattern, const char *to);
/* Removes the folder and the files in it. */
void folder_remove(char *folder);

#endif
