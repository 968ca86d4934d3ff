/* Errors travel as values: a function that can fail returns 0, or -1 with an Error filled in. */
#ifndef ZEVAL_BASE_ERROR_H
#define ZEVAL_BASE_ERROR_H

/* What a failure means for the exit code of the program. */
typedef enum ErrorKind {
    ERROR_NONE = 0,
    ERROR_FAILED, /* exit 1: the work could not be done */
    ERROR_USAGE,  /* exit 2: the user asked for something that does not exist */
    ERROR_CHECK,  /* exit 3: done, but something the user asked to be checked did not hold */
    ERROR_STOPPED /* exit 130: the user interrupted; what was finished is kept */
} ErrorKind;

/* One sentence for the user: what was attempted, on what, what was found, what was expected. */
typedef struct Error {
    ErrorKind kind;
    char message[1024];
} Error;

/* Sets kind ERROR_FAILED and the message (cut at the buffer's end). Always returns -1, so that a caller can
 * write `return error_set(error, ...)`. `error` may be NULL. */
int error_set(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with a kind of the caller's choice. */
int error_set_kind(Error *error, ErrorKind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "PREFIX: " in front of an error that is already set: the caller knows the file, the callee the field.
 * Always returns -1. */
int error_prefix(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
