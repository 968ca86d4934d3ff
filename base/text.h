/* Text: UTF-8 and the string operations of Python's str that task files and metrics rely on. "bytes" counts
 * UTF-8 bytes, "chars" Unicode code points. */
#ifndef ZEVAL_BASE_TEXT_H
#define ZEVAL_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one code point at text (bytes > 0 left). Returns how many bytes it takes (1 to 4) and sets *code;
 * an invalid sequence takes 1 byte and gives U+FFFD. */
size_t utf8_decode(const char *text, size_t bytes, uint32_t *code);
/* Writes a code point's UTF-8 to out (4 bytes of room); returns the length. */
size_t utf8_encode(uint32_t code, char out[4]);
/* Number of code points, counting each invalid byte as one. */
size_t utf8_length(const char *text, size_t bytes);
bool utf8_valid(const char *text, size_t bytes);

/* Whitespace of Python's str.isspace (also \s of its `re`). */
bool text_is_space(uint32_t code);
/* Python's strip/lstrip/rstrip without arguments: narrow [*text, *text + *bytes). */
void text_lstrip(const char **text, size_t *bytes);
void text_rstrip(const char **text, size_t *bytes);

bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);
bool text_equal(const char *a, const char *b); /* NULL equals only NULL */
/* Shell-style match of a whole name: *, ?, [..] as in Python's fnmatch. */
bool text_glob(const char *pattern, const char *name);

/* Strict numbers: the whole text must be one; false otherwise (out of range included). */
bool text_to_int(const char *text, int64_t *out);
bool text_to_double(const char *text, double *out);

struct Buffer;
/* Writes the shortest digits that read back as the same double, laid out as Python's repr lays them out: 0.1,
 * 1e-05, 1.0, inf, nan. */
void text_append_double(struct Buffer *out, double number);

/* Writes text as a JSON string literal with quotes, non-ASCII as it is (Python's ensure_ascii=False). */
void text_append_json(struct Buffer *out, const char *text, size_t bytes);

#endif
