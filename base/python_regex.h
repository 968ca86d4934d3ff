/* Regular expressions as Python's `re` reads and runs them, on UTF-8 text: patterns of task files are
 * Python's. PCRE2 does the matching; what the two spell differently is rewritten, what only PCRE2 knows is
 * refused. */
#ifndef ZEVAL_BASE_PYTHON_REGEX_H
#define ZEVAL_BASE_PYTHON_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

typedef struct Regex Regex;

/* Compiles a pattern; a fault in it is an error that names the pattern and the place. */
int regex_compile(Regex **out, const char *pattern, Error *error);
void regex_free(Regex *regex);
/* Number of groups, the whole match not counted. */
size_t regex_groups(const Regex *regex);

/* A walk over all matches, as finditer gives them. */
typedef struct RegexWalk {
    const Regex *regex;
    const char *text;
    size_t bytes, next;
    bool after_empty;
} RegexWalk;
typedef struct RegexSpan {
    size_t start, end; /* bytes; start == SIZE_MAX: the group took no part */
} RegexSpan;
RegexWalk regex_walk(const Regex *regex, const char *text, size_t bytes);
/* 1 with spans[0..groups], at most n_spans of them; 0 when there is no further match; -1 when matching takes
 * too much time or memory. */
int regex_next(RegexWalk *walk, RegexSpan *spans, size_t n_spans, Error *error);

/* re.sub(pattern, "", text): appends the text without its matches to `out`. */
int regex_remove(const Regex *regex, const char *text, size_t bytes, Buffer *out, Error *error);

/* re.sub(pattern, replacement, text, count): appends the text with its first `count` matches (0: all)
 * replaced. `replacement` is a template as Python has it: \1, \g<name>, \n. An error says what is wrong with
 * it. */
int regex_replace(const Regex *regex, const char *replacement, int64_t count, const char *text, size_t bytes,
                  Buffer *out, Error *error);

/* re.escape(text), appended. */
void regex_escape(const char *text, Buffer *out);

#endif
