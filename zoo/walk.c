/* Walking over folders; see walk.h. */
#include "zoo/walk.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"

enum { MOST_DEPTH = 32 };

int each_name(const char *folder, Visit *visit, void *context) {
    DIR *open = opendir(folder);
    int result = 0;
    for (struct dirent *entry; open && result == 0 && (entry = readdir(open));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = visit(context, folder, entry->d_name);
    if (open)
        closedir(open);
    return result;
}

typedef struct Walk {
    VisitFile *file;
    void *context;
    const char *top;
    int depth;
} Walk;

static int visit_walk(void *context, const char *folder, const char *name) {
    Walk *walk = context;
    char *path = path_join(folder, name);
    struct stat status;
    int result = 0;
    if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        walk->depth++;
        if (walk->depth <= MOST_DEPTH)
            result = each_name(path, visit_walk, walk);
        walk->depth--;
    } else {
        result = walk->file(walk->context, path, path + strlen(walk->top) + 1);
    }
    free(path);
    return result;
}

int walk_files(const char *top, VisitFile *file, void *context) {
    Walk walk = {.file = file, .context = context, .top = top};
    return each_name(top, visit_walk, &walk);
}
