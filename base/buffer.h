/* A growable run of bytes. Invariant: data[size] is a NUL byte whenever data is not NULL, so a Buffer that
 * holds text can be passed as a C string. Zero-initialise with {0}. */
#ifndef ZEVAL_BASE_BUFFER_H
#define ZEVAL_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>

typedef struct Buffer {
    char *data;
    size_t size;     /* bytes in use, without the closing NUL */
    size_t capacity; /* bytes allocated */
} Buffer;

void buffer_append(Buffer *buffer, const void *bytes, size_t size);
void buffer_append_text(Buffer *buffer, const char *text);
void buffer_append_char(Buffer *buffer, char c);
void buffer_printf(Buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vprintf(Buffer *buffer, const char *format, va_list arguments);
/* Makes room for `more` bytes after size and returns where they go; the caller then adds to size. */
char *buffer_reserve(Buffer *buffer, size_t more);
/* size = 0, memory kept. */
void buffer_clear(Buffer *buffer);
void buffer_free(Buffer *buffer);
/* The contents as a C string ("" when empty), owned by the caller; the buffer becomes empty. */
char *buffer_take(Buffer *buffer);

#endif
