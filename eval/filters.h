/* What becomes of a document's generated text before it is scored: the filter pipelines of task files
 * (lm_eval/filters/), in both profiles. */
#ifndef ZEVAL_EVAL_FILTERS_H
#define ZEVAL_EVAL_FILTERS_H

#include "base/python_regex.h"
#include "tasks/tasks.h"

/* A pipeline ready to be applied. */
typedef struct Filter Filter;

/* Compiles the pipeline's patterns. `filter` and `compat` must live as long. */
int filter_create(Filter **out, const TaskFilter *filter, const char *compat, Error *error);
void filter_free(Filter *filter);

/* What a pipeline makes of a document's responses. */
typedef struct Filtered {
    const char *const *texts; /* [n], in arena; NULL for one that a `map` has no answer for */
    size_t n;
    bool is_list;     /* no step has chosen among the responses yet */
    bool unextracted; /* in one of these texts some step found nothing it looked for */
} Filtered;

/* Applies the pipeline to the responses of one document: texts[n], n > 0. */
int filter_apply(const Filter *filter, const TaskDocument *document, const char *const *texts, size_t n,
                 Arena *arena, Filtered *out, Error *error);

/* Without case, without punctuation (Unicode's, or ASCII's only), without digits: in arena. */
const char *text_lower(Arena *arena, const char *text);
const char *text_without_punctuation(Arena *arena, const char *text, bool ascii_only);
const char *text_without_digits(Arena *arena, const char *text);
/* re.sub(regex, "", text) of each in turn. */
int text_without_matches(Arena *arena, Regex *const *regexes, size_t n, const char *text, const char **out,
                         Error *error);

#endif
