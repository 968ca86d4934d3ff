/* Messages for people, on stderr, by level. A Log is handed down to whoever may have something to say; NULL
 * is silence. */
#ifndef ZEVAL_BASE_LOG_H
#define ZEVAL_BASE_LOG_H

#include <stdio.h>

typedef enum LogLevel { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG } LogLevel;

typedef struct Log {
    FILE *stream;
    LogLevel level; /* messages above it are dropped */
} Log;

void log_write(Log *log, LogLevel level, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_warning(log, ...) log_write((log), LOG_WARNING, __VA_ARGS__)
#define log_info(log, ...) log_write((log), LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_write((log), LOG_DEBUG, __VA_ARGS__)

#endif
