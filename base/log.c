/* Leveled messages; see log.h. */
#include "base/log.h"

#include <stdarg.h>

void log_write(Log *log, LogLevel level, const char *format, ...) {
    static const char *const labels[] = {"error: ", "warning: ", "", "debug: "};
    if (!log || level > log->level)
        return;
    va_list arguments;
    va_start(arguments, format);
    flockfile(log->stream);
    fprintf(log->stream, "zeval: %s", labels[level]);
    vfprintf(log->stream, format, arguments);
    fputc('\n', log->stream);
    fflush(log->stream);
    funlockfile(log->stream);
    va_end(arguments);
}
