/* See filters.h. One function per step, found through a table. */
#include "eval/filters.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "tasks/strings.h"

enum { MOST_GROUPS = 32, MOST_CHOICES = 26 };

typedef struct Step {
    const TaskFilterStep *config;
    Regex *pattern;
    Regex **ignored; /* [config->n_ignored_regexes] */
} Step;

struct Filter {
    const TaskFilter *config;
    bool v0_4_0;
    Step *steps; /* [config->n_steps] */
};

/* A pipeline at work on one document. */
typedef struct Work {
    const Filter *filter;
    const TaskDocument *document;
    Arena *arena;
    const char **texts; /* [n] */
    bool *missed;       /* [n] some step found nothing that it looked for in this one */
    size_t n;
    bool is_list;
    Error *error;
} Work;

/* ---- texts */

const char *text_lower(Arena *arena, const char *text) {
    const Value value = value_string(text);
    return string_lower(arena, &value).as.text;
}

static const char *upper(Arena *arena, const char *text) {
    const Value value = value_string(text);
    return string_upper(arena, &value).as.text;
}

static bool is_punctuation(uint32_t code, bool ascii_only) {
    if (ascii_only)
        return code < 128 && code > 32 && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", (int)code);
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

const char *text_without_punctuation(Arena *arena, const char *text, bool ascii_only) {
    size_t bytes = strlen(text), n = 0;
    char *out = arena_alloc(arena, bytes + 1);
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        size_t length = utf8_decode(text + at, bytes - at, &code);
        if (!is_punctuation(code, ascii_only)) {
            memcpy(out + n, text + at, length);
            n += length;
        }
        at += length;
    }
    return out;
}

const char *text_without_digits(Arena *arena, const char *text) {
    char *out = arena_alloc(arena, strlen(text) + 1), *end = out;
    for (; *text; text++)
        if (*text < '0' || *text > '9')
            *end++ = *text;
    return out;
}

int text_without_matches(Arena *arena, Regex *const *regexes, size_t n, const char *text, const char **out,
                         Error *error) {
    Buffer rest = {0};
    int result = 0;
    *out = text;
    for (size_t i = 0; i < n && result == 0; i++) {
        buffer_clear(&rest);
        result = regex_remove(regexes[i], *out, strlen(*out), &rest, error);
        if (result == 0)
            *out = arena_strndup(arena, rest.data, rest.size);
    }
    buffer_free(&rest);
    return result;
}

static const char *stripped(Arena *arena, const char *text, size_t bytes) {
    text_lstrip(&text, &bytes);
    text_rstrip(&text, &bytes);
    return arena_strndup(arena, text, bytes);
}

/* ---- regular expressions */

/* What findall gives for one match: the whole of it, its group, or its first group that is not empty; NULL if
 * all groups are empty. */
static const char *found_text(const Regex *regex, const char *text, const RegexSpan *spans, Arena *arena) {
    size_t n = regex_groups(regex);
    if (n <= 1) {
        RegexSpan span = spans[n];
        return span.start == SIZE_MAX ? "" : stripped(arena, text + span.start, span.end - span.start);
    }
    for (size_t g = 1; g <= n && g < MOST_GROUPS; g++)
        if (spans[g].start != SIZE_MAX && spans[g].end > spans[g].start)
            return stripped(arena, text + spans[g].start, spans[g].end - spans[g].start);
    return NULL;
}

static int count_matches(const Regex *regex, const char *text, int64_t *n, Error *error) {
    RegexWalk walk = regex_walk(regex, text, strlen(text));
    RegexSpan span;
    int more;
    *n = 0;
    while ((more = regex_next(&walk, &span, 1, error)) > 0)
        ++*n;
    return more;
}

/* The match that findall(text)[select] is, stripped; *out NULL if there is none. */
static int find(const Regex *regex, const char *text, int64_t select, Arena *arena, const char **out,
                Error *error) {
    RegexSpan spans[MOST_GROUPS];
    int64_t n;
    *out = NULL;
    if (select < 0) {
        if (count_matches(regex, text, &n, error))
            return -1;
        select += n;
        if (select < 0)
            return 0;
    }
    RegexWalk walk = regex_walk(regex, text, strlen(text));
    int more;
    while ((more = regex_next(&walk, spans, MOST_GROUPS, error)) > 0)
        if (select-- == 0) {
            *out = found_text(regex, text, spans, arena);
            return 0;
        }
    return more;
}

/* v0.4.0: the first group of the first match. */
static int find_first_group(const Regex *regex, const char *text, Arena *arena, const char **out,
                            Error *error) {
    RegexSpan spans[2];
    RegexWalk walk = regex_walk(regex, text, strlen(text));
    int found = regex_next(&walk, spans, 2, error);
    *out = NULL;
    if (found > 0 && regex_groups(regex) > 0 && spans[1].start != SIZE_MAX)
        *out = stripped(arena, text + spans[1].start, spans[1].end - spans[1].start);
    return found < 0 ? -1 : 0;
}

static int regex_step(const Step *step, Work *work) {
    for (size_t i = 0; i < work->n; i++) {
        const char *found, *text = work->texts[i] ? work->texts[i] : "";
        int failed =
            work->filter->v0_4_0
                ? find_first_group(step->pattern, text, work->arena, &found, work->error)
                : find(step->pattern, text, step->config->group_select, work->arena, &found, work->error);
        if (failed)
            return -1;
        work->missed[i] |= !found;
        work->texts[i] = found ? found : step->config->fallback;
    }
    return 0;
}

/* ---- multi_choice_regex */

/* The document's own choices, as answers to look for: "(A)" stands for the first. */
typedef struct Letters {
    const char *texts[MOST_CHOICES]; /* [n] the choices without what is to be ignored */
    size_t n;
    Regex *by_text, *by_letter;
} Letters;

static int simplify(const Step *step, const char *text, Arena *arena, const char **out, Error *error) {
    const TaskFilterStep *config = step->config;
    if (text_without_matches(arena, step->ignored, config->n_ignored_regexes, text, out, error))
        return -1;
    if (config->ignore_case)
        *out = text_lower(arena, *out);
    if (config->ignore_punctuation)
        *out = text_without_punctuation(arena, *out, false);
    return 0;
}

static int read_letters(const Step *step, Work *work, const cJSON *choices, Letters *letters) {
    Buffer texts = {0}, names = {0};
    const cJSON *choice;
    int result = 0;
    buffer_append_text(&names, ":[\\s]*(");
    cJSON_ArrayForEach(choice, choices) {
        if (!cJSON_IsString(choice) || letters->n == MOST_CHOICES) {
            result = error_set(work->error, "multi_choice_regex: at most %d texts were expected in 'choices'",
                               MOST_CHOICES);
            break;
        }
        const char *text = stripped(work->arena, choice->valuestring, strlen(choice->valuestring));
        if ((result = simplify(step, text, work->arena, &text, work->error)) != 0)
            break;
        buffer_append_text(&texts, letters->n ? "|" : "");
        regex_escape(text, &texts);
        buffer_printf(&names, "%s%c", letters->n ? "|" : "", (char)('A' + letters->n));
        letters->texts[letters->n++] = text;
    }
    buffer_append_char(&names, ')');
    buffer_append_text(&texts, "");
    if (result == 0)
        result = regex_compile(&letters->by_text, texts.data, work->error) ||
                         regex_compile(&letters->by_letter, names.data, work->error)
                     ? -1
                     : 0;
    buffer_free(&texts);
    buffer_free(&names);
    return result;
}

static const char *letter(Arena *arena, size_t i) {
    return arena_printf(arena, "(%c)", (char)('A' + i));
}

/* The pattern, else a choice's text, else a choice's letter behind a colon. */
static int choose(const Step *step, Work *work, const Letters *letters, const char *text, const char **out) {
    int64_t select = step->config->group_select;
    const char *simple;
    if (find(step->pattern, text, select, work->arena, out, work->error) ||
        simplify(step, text, work->arena, &simple, work->error))
        return -1;
    if (*out && **out)
        return 0;
    if (find(letters->by_text, simple, select, work->arena, out, work->error))
        return -1;
    for (size_t i = letters->n; *out && **out && i-- > 0;)
        if (strcmp(*out, letters->texts[i]) == 0) {
            *out = letter(work->arena, i);
            return 0;
        }
    if (*out && **out)
        return 0;
    if (find(letters->by_letter, text, select, work->arena, out, work->error))
        return -1;
    if (*out)
        *out = letter(work->arena, (size_t)(**out - 'A'));
    return 0;
}

static int multi_choice_step(const Step *step, Work *work) {
    const cJSON *choices;
    cJSON *document;
    Letters letters = {0};
    if (json_parse(&document, work->document->json, strlen(work->document->json), "document", work->error))
        return -1;
    int result = json_get_array(document, "choices", &choices, "multi_choice_regex: document", work->error);
    if (result == 0)
        result = read_letters(step, work, choices, &letters);
    for (size_t i = 0; i < work->n && result == 0; i++) {
        const char *found;
        result = choose(step, work, &letters, work->texts[i] ? work->texts[i] : "", &found);
        if (result)
            break;
        work->missed[i] |= !found || !*found;
        work->texts[i] = found && *found ? found : step->config->fallback;
    }
    regex_free(letters.by_text);
    regex_free(letters.by_letter);
    cJSON_Delete(document);
    return result;
}

/* ---- the other steps */

static int take_first(const Step *step, Work *work) {
    (void)step;
    work->n = 1;
    work->is_list = false;
    return 0;
}

static int take_first_k(const Step *step, Work *work) {
    size_t k = (size_t)step->config->k;
    if (work->n < k)
        return error_set(work->error, "take_first_k: found %zu responses, expected at least %zu", work->n, k);
    work->n = k;
    return 0;
}

/* The most frequent response; of two as frequent the one that came first. */
static int majority_vote(const Step *step, Work *work) {
    (void)step;
    size_t best = 0, best_count = 0;
    for (size_t i = 0; i < work->n; i++) {
        size_t count = 0;
        for (size_t k = 0; k < work->n; k++)
            count += text_equal(work->texts[i], work->texts[k]);
        if (count > best_count) {
            best = i;
            best_count = count;
        }
    }
    work->texts[0] = work->texts[best];
    work->missed[0] = work->missed[best];
    work->n = 1;
    return 0;
}

static int remove_whitespace(const Step *step, Work *work) {
    (void)step;
    for (size_t i = 0; i < work->n; i++) {
        const char *text = work->texts[i];
        if (text && work->filter->v0_4_0)
            work->texts[i] = text + (*text == ' ');
        else if (text)
            work->texts[i] = stripped(work->arena, text, strlen(text));
    }
    return 0;
}

static int lowercase(const Step *step, Work *work) {
    (void)step;
    for (size_t i = 0; i < work->n; i++)
        work->texts[i] = work->texts[i] ? text_lower(work->arena, work->texts[i]) : NULL;
    return 0;
}

static int uppercase(const Step *step, Work *work) {
    (void)step;
    for (size_t i = 0; i < work->n; i++)
        work->texts[i] = work->texts[i] ? upper(work->arena, work->texts[i]) : NULL;
    return 0;
}

static int map(const Step *step, Work *work) {
    const TaskFilterStep *config = step->config;
    for (size_t i = 0; i < work->n; i++) {
        size_t k = 0;
        while (k < config->n_pairs && !text_equal(config->from[k], work->texts[i]))
            k++;
        work->missed[i] |= k == config->n_pairs;
        work->texts[i] = k < config->n_pairs ? config->to[k] : config->fallback;
    }
    return 0;
}

typedef int StepFunction(const Step *step, Work *work);
static StepFunction *const step_functions[] = {[FILTER_TAKE_FIRST] = take_first,
                                               [FILTER_TAKE_FIRST_K] = take_first_k,
                                               [FILTER_MAJORITY_VOTE] = majority_vote,
                                               [FILTER_REGEX] = regex_step,
                                               [FILTER_MULTI_CHOICE_REGEX] = multi_choice_step,
                                               [FILTER_REMOVE_WHITESPACE] = remove_whitespace,
                                               [FILTER_LOWERCASE] = lowercase,
                                               [FILTER_UPPERCASE] = uppercase,
                                               [FILTER_MAP] = map};

/* ---- pipelines */

static int step_create(Step *step, const TaskFilterStep *config, Error *error) {
    step->config = config;
    step->ignored = mem_alloc_zero(config->n_ignored_regexes, sizeof *step->ignored);
    if (config->pattern && regex_compile(&step->pattern, config->pattern, error))
        return -1;
    for (size_t i = 0; i < config->n_ignored_regexes; i++)
        if (regex_compile(&step->ignored[i], config->ignored_regexes[i], error))
            return -1;
    if (step->pattern && regex_groups(step->pattern) >= MOST_GROUPS)
        return error_set(error, "regular expression '%.200s': more than %d groups", config->pattern,
                         MOST_GROUPS - 1);
    return 0;
}

int filter_create(Filter **out, const TaskFilter *config, const char *compat, Error *error) {
    Filter *filter = mem_alloc_zero(1, sizeof *filter);
    *filter = (Filter){.config = config,
                       .v0_4_0 = text_equal(compat, compat_name(COMPAT_V0_4_0)),
                       .steps = mem_alloc_zero(config->n_steps, sizeof *filter->steps)};
    for (size_t i = 0; i < config->n_steps; i++)
        if (step_create(&filter->steps[i], &config->steps[i], error)) {
            error_prefix(error, "filter %s", config->name);
            filter_free(filter);
            return -1;
        }
    *out = filter;
    return 0;
}

void filter_free(Filter *filter) {
    if (!filter)
        return;
    for (size_t i = 0; i < filter->config->n_steps; i++) {
        const Step *step = &filter->steps[i];
        regex_free(step->pattern);
        for (size_t k = 0; step->ignored && k < step->config->n_ignored_regexes; k++)
            regex_free(step->ignored[k]);
        free(step->ignored);
    }
    free(filter->steps);
    free(filter);
}

int filter_apply(const Filter *filter, const TaskDocument *document, const char *const *texts, size_t n,
                 Arena *arena, Filtered *out, Error *error) {
    Work work = {.filter = filter,
                 .document = document,
                 .arena = arena,
                 .texts = arena_alloc(arena, n * sizeof *work.texts),
                 .missed = arena_alloc(arena, n * sizeof *work.missed),
                 .n = n,
                 .is_list = true,
                 .error = error};
    memcpy(work.texts, texts, n * sizeof *texts);
    memset(work.missed, 0, n * sizeof *work.missed);
    for (size_t i = 0; i < filter->config->n_steps; i++)
        if (step_functions[filter->steps[i].config->function](&filter->steps[i], &work))
            return error_prefix(error, "filter %s, step %zu", filter->config->name, i + 1);
    *out = (Filtered){.texts = work.texts, .n = work.n, .is_list = work.is_list};
    for (size_t i = 0; i < work.n; i++)
        out->unextracted |= work.missed[i];
    return 0;
}
