/* The profiles by name. */
#include <string.h>

#include "tasks/tasks.h"

static const char *const names[] = {"main", "v0.4.0"};

const char *compat_name(Compat compat) {
    return names[compat];
}

bool compat_parse(const char *name, Compat *out) {
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        *out = (Compat)i;
        return true;
    }
    return false;
}
