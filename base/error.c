/* Errors as values; see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set(Error *error, ErrorKind kind, const char *format, va_list arguments) {
    if (!error)
        return;
    error->kind = kind;
    vsnprintf(error->message, sizeof error->message, format, arguments);
}

int error_set(Error *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set(error, ERROR_FAILED, format, arguments);
    va_end(arguments);
    return -1;
}

int error_set_kind(Error *error, ErrorKind kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set(error, kind, format, arguments);
    va_end(arguments);
    return -1;
}

int error_prefix(Error *error, const char *format, ...) {
    if (!error)
        return -1;
    char whole[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(whole, sizeof whole, format, arguments);
    va_end(arguments);
    if (length < 0)
        return -1;
    size_t used = strlen(whole);
    const char *parts[] = {": ", error->message};
    for (int i = 0; i < 2; i++) {
        size_t room = sizeof whole - 1 - used, bytes = strlen(parts[i]);
        bytes = bytes < room ? bytes : room;
        memcpy(whole + used, parts[i], bytes);
        used += bytes;
    }
    whole[used] = '\0';
    memcpy(error->message, whole, sizeof whole);
    return -1;
}
