/* Twins of upstream's Python functions. To add one: write it here and add its line to the table at the end.
 */
#include "tasks/functions.h"

#include <string.h>

#include "base/text.h"
#include "tasks/strings.h"

static int column(const Value *document, const char *name, ValueKind kind, const Value **out, Error *error) {
    *out = value_get(document, name);
    if (!*out)
        return error_set(error, "the column '%s' is missing", name);
    if ((*out)->kind == kind)
        return 0;
    return error_set(error, "the column '%s' is %s; %s was expected", name, value_kind_name((*out)->kind),
                     value_kind_name(kind));
}

static Value concat(Arena *arena, const Value *a, const Value *b) {
    char *text = arena_alloc(arena, a->n + b->n + 1);
    memcpy(text, a->as.text, a->n);
    memcpy(text + a->n, b->as.text, b->n);
    return value_string_n(text, a->n + b->n);
}

/* The document with one more column at its end (or that column replaced). */
static Value with_column(Arena *arena, const Value *document, const char *name, Value value) {
    Value out = *document;
    out.as.pairs = arena_alloc(arena, (document->n + 1) * sizeof(ValuePair));
    memcpy(out.as.pairs, document->as.pairs, document->n * sizeof(ValuePair));
    size_t i = 0;
    while (i < out.n && strcmp(out.as.pairs[i].key, name) != 0)
        i++;
    out.as.pairs[i] = (ValuePair){.key = name, .value = value};
    out.n += i == out.n;
    return out;
}

/* ---- hellaswag: lm_eval/tasks/hellaswag/utils.py */

/* re.sub("\\[.*?\\]", "", text): the nearest closing bracket, on the same line. */
static Value remove_brackets(Arena *arena, const Value *text) {
    char *out = arena_alloc(arena, text->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text->n; i++) {
        size_t span = text->as.text[i] == '[' ? strcspn(text->as.text + i, "]\n") : 0;
        if (span > 0 && text->as.text[i + span] == ']')
            i += span;
        else
            out[n++] = text->as.text[i];
    }
    return value_string_n(out, n);
}

static Value hellaswag_clean(Arena *arena, const Value *text) {
    const Value title = value_string(" [title]"), stop = value_string(". ");
    const Value two = value_string("  "), one = value_string(" ");
    Value clean = string_strip(arena, text, STRIP_BOTH, NULL);
    clean = string_replace(arena, &clean, &title, &stop, -1);
    clean = remove_brackets(arena, &clean);
    return string_replace(arena, &clean, &two, &one, -1);
}

static int hellaswag_label(const Value *document, Value *out, Error *error) {
    const Value *label = value_get(document, "label");
    int64_t integer;
    if (!label)
        return error_set(error, "the column 'label' is missing");
    if (!value_as_int(label, &integer) &&
        !(label->kind == VALUE_STRING && text_to_int(label->as.text, &integer)))
        return error_set(error, "the column 'label' is %s; the number of an ending was expected",
                         value_kind_name(label->kind));
    *out = value_int(integer);
    return 0;
}

static int hellaswag_process_docs(const Value *document, Arena *arena, Value *out, Error *error) {
    const Value *activity, *ctx_a, *ctx_b, *endings;
    Value label;
    if (column(document, "activity_label", VALUE_STRING, &activity, error) ||
        column(document, "ctx_a", VALUE_STRING, &ctx_a, error) ||
        column(document, "ctx_b", VALUE_STRING, &ctx_b, error) ||
        column(document, "endings", VALUE_LIST, &endings, error) || hellaswag_label(document, &label, error))
        return -1;
    Value capital = string_capitalize(arena, ctx_b);
    const char *query = arena_printf(arena, "%s: %s %s", activity->as.text, ctx_a->as.text, capital.as.text);
    const Value text = value_string(query);
    Value choices = value_list(arena, endings->n);
    for (size_t i = 0; i < endings->n; i++) {
        if (endings->as.items[i].kind != VALUE_STRING)
            return error_set(error, "the column 'endings' holds %s; strings were expected",
                             value_kind_name(endings->as.items[i].kind));
        choices.as.items[i] = hellaswag_clean(arena, &endings->as.items[i]);
    }
    *out = with_column(arena, document, "query", hellaswag_clean(arena, &text));
    *out = with_column(arena, out, "choices", choices);
    *out = with_column(arena, out, "gold", label);
    return 0;
}

/* ---- winogrande: lm_eval/tasks/winogrande/preprocess_winogrande.py */

static int winogrande_text(const Value *document, Arena *arena, Value *out, Error *error) {
    (void)arena;
    const Value *answer;
    if (column(document, "answer", VALUE_STRING, &answer, error))
        return -1;
    bool first = strcmp(answer->as.text, "1") == 0;
    if (!first && strcmp(answer->as.text, "2") != 0)
        return error_set(error, "the column 'answer' is '%.20s'; '1' or '2' was expected", answer->as.text);
    *out = value_int(first ? 0 : 1);
    return 0;
}

static int winogrande_gap(const Value *document, const Value **sentence, size_t *gap, Error *error) {
    if (column(document, "sentence", VALUE_STRING, sentence, error))
        return -1;
    *gap = strcspn((*sentence)->as.text, "_");
    if (*gap < (*sentence)->n)
        return 0;
    return error_set(error, "the column 'sentence' has no '_' to fill in");
}

static int winogrande_target(const Value *document, Arena *arena, Value *out, Error *error) {
    const Value *sentence;
    size_t gap;
    if (winogrande_gap(document, &sentence, &gap, error))
        return -1;
    Value rest = value_string_n(sentence->as.text + gap + 1, sentence->n - gap - 1);
    *out = string_strip(arena, &rest, STRIP_BOTH, NULL);
    return 0;
}

static int winogrande_choice(const Value *document, Arena *arena, Value *out, Error *error) {
    const Value *sentence, *options[2];
    size_t gap;
    if (winogrande_gap(document, &sentence, &gap, error) ||
        column(document, "option1", VALUE_STRING, &options[0], error) ||
        column(document, "option2", VALUE_STRING, &options[1], error))
        return -1;
    Value start = string_copy(arena, sentence->as.text, gap);
    *out = value_list(arena, 2);
    for (int i = 0; i < 2; i++)
        out->as.items[i] = concat(arena, &start, options[i]);
    return 0;
}

/* ---- super_glue/copa: lm_eval/tasks/super_glue/copa/utils.py */

static int copa_text(const Value *document, Arena *arena, Value *out, Error *error) {
    const Value *premise, *question;
    if (column(document, "premise", VALUE_STRING, &premise, error) ||
        column(document, "question", VALUE_STRING, &question, error))
        return -1;
    bool cause = strcmp(question->as.text, "cause") == 0;
    if (!cause && strcmp(question->as.text, "effect") != 0)
        return error_set(error, "the column 'question' is '%.20s'; 'cause' or 'effect' was expected",
                         question->as.text);
    Value text = string_strip(arena, premise, STRIP_BOTH, NULL);
    while (text.n > 0 && ((unsigned char)text.as.text[text.n - 1] & 0xC0) == 0x80)
        text.n--;
    text.n -= text.n > 0; /* the full stop */
    const Value connector = value_string(cause ? " because" : " therefore");
    *out = concat(arena, &text, &connector);
    return 0;
}

/* " " and the choice with a small first letter. */
static int copa_option(const Value *document, Arena *arena, const char *name, Value *out, Error *error) {
    const Value *choice;
    uint32_t code;
    if (column(document, name, VALUE_STRING, &choice, error))
        return -1;
    size_t length = choice->n ? utf8_decode(choice->as.text, choice->n, &code) : 0;
    Value first = string_copy(arena, choice->as.text, length);
    first = string_lower(arena, &first);
    *out = value_string(arena_printf(arena, " %s%s", first.as.text, choice->as.text + length));
    return 0;
}

static int copa_choice(const Value *document, Arena *arena, Value *out, Error *error) {
    *out = value_list(arena, 2);
    return copa_option(document, arena, "choice1", &out->as.items[0], error) ||
                   copa_option(document, arena, "choice2", &out->as.items[1], error)
               ? -1
               : 0;
}

static int copa_target(const Value *document, Arena *arena, Value *out, Error *error) {
    const Value *label;
    if (column(document, "label", VALUE_INT, &label, error))
        return -1;
    return copa_option(document, arena, label->as.integer == 0 ? "choice1" : "choice2", out, error);
}

/* ---- pubmedqa: lm_eval/tasks/pubmedqa/preprocess_pubmedqa.py */

static int pubmedqa_text(const Value *document, Arena *arena, Value *out, Error *error) {
    const Value *contexts, *question;
    if (column(document, "CONTEXTS", VALUE_LIST, &contexts, error) ||
        column(document, "QUESTION", VALUE_STRING, &question, error))
        return -1;
    Buffer text = {0};
    buffer_append_text(&text, "Abstract: ");
    for (size_t i = 0; i < contexts->n; i++) {
        if (i)
            buffer_append_char(&text, '\n');
        value_append_str(&text, &contexts->as.items[i]);
    }
    buffer_printf(&text, "\nQuestion: %s\nAnswer:", question->as.text);
    *out = string_copy(arena, text.data, text.size);
    buffer_free(&text);
    return 0;
}

/* ---- race: lm_eval/tasks/race/preprocess_race.py */

typedef struct RaceProblem {
    const Value *question, *answer, *options;
    int64_t correct; /* index of the right option */
} RaceProblem;

static int race_problem(const Value *item, RaceProblem *out, Error *error) {
    if (column(item, "question", VALUE_STRING, &out->question, error) ||
        column(item, "answer", VALUE_STRING, &out->answer, error) ||
        column(item, "options", VALUE_LIST, &out->options, error))
        return error_prefix(error, "the column 'problems'");
    out->correct = out->answer->n == 1 ? out->answer->as.text[0] - 'A' : -1;
    bool right = out->correct >= 0 && out->correct < 4 && (size_t)out->correct < out->options->n;
    for (size_t i = 0; i < out->options->n; i++)
        right = right && out->options->as.items[i].kind == VALUE_STRING;
    if (right)
        return 0;
    return error_set(error, "the column 'problems': the answer '%.10s' names none of %zu text options",
                     out->answer->as.text, out->options->n);
}

/* The column 'problems' is text: a Python list of dicts. */
static int race_problems(const Value *document, Arena *arena, Value *out, Error *error) {
    const Value *text;
    if (column(document, "problems", VALUE_STRING, &text, error))
        return -1;
    if (value_from_python(out, arena, text->as.text, text->n, error))
        return error_prefix(error, "the column 'problems'");
    if (out->kind == VALUE_LIST && out->n > 0)
        return 0;
    return error_set(error, "the column 'problems' holds no list of problems");
}

static int race_last(const Value *document, Arena *arena, RaceProblem *out, Error *error) {
    Value problems;
    if (race_problems(document, arena, &problems, error))
        return -1;
    return race_problem(&problems.as.items[problems.n - 1], out, error);
}

/* A question that ends in a gap has its answer put there: upstream keeps the part before the gap, v0.4.0 kept
 * only the gap. */
static int race_article(const Value *document, bool keeps_gap, Arena *arena, Value *out, Error *error) {
    const Value *article;
    Value problems;
    if (column(document, "article", VALUE_STRING, &article, error) ||
        race_problems(document, arena, &problems, error))
        return -1;
    Buffer text = {0};
    int status = 0;
    buffer_printf(&text, "Article: %s\n\n", article->as.text);
    for (size_t i = 0; i < problems.n && !status; i++) {
        RaceProblem problem;
        status = race_problem(&problems.as.items[i], &problem, error);
        if (status)
            break;
        const char *question = problem.question->as.text;
        const char *answer = problem.options->as.items[problem.correct].as.text;
        if (i + 1 == problems.n)
            buffer_append_text(&text, question);
        else if (text_ends_with(question, "  _  ."))
            buffer_printf(&text, "%.*s%s\n", keeps_gap ? 5 : (int)problem.question->n - 5,
                          keeps_gap ? question + problem.question->n - 5 : question, answer);
        else
            buffer_printf(&text, "Question: %s\nAnswer: %s\n", question, answer);
    }
    if (!status)
        *out = string_copy(arena, text.data, text.size);
    buffer_free(&text);
    return status;
}

static int race_text(const Value *document, Arena *arena, Value *out, Error *error) {
    return race_article(document, false, arena, out, error);
}

static int race_text_v0_4_0(const Value *document, Arena *arena, Value *out, Error *error) {
    return race_article(document, true, arena, out, error);
}

static int race_target(const Value *document, Arena *arena, Value *out, Error *error) {
    RaceProblem last;
    if (race_last(document, arena, &last, error))
        return -1;
    *out = value_int(last.correct);
    return 0;
}

static int race_choice(const Value *document, Arena *arena, Value *out, Error *error) {
    RaceProblem last;
    if (race_last(document, arena, &last, error))
        return -1;
    *out = *last.options;
    return 0;
}

/* ---- wikitext: lm_eval/tasks/wikitext/preprocess_wikitext.py */

/* re.sub("OPEN\\s*([^CLOSE]*?)\\s*CLOSE", "OPEN\\1CLOSE", text): white space just inside a pair goes. */
static Value tighten(Arena *arena, const Value *text, char open, char close) {
    char *out = arena_alloc(arena, text->n + 1);
    const char *at = text->as.text, *end = at + text->n;
    size_t n = 0;
    while (at < end) {
        const char *stop = *at == open ? memchr(at + 1, close, (size_t)(end - at - 1)) : NULL;
        out[n++] = *at++;
        if (!stop)
            continue;
        const char *inner = at;
        size_t bytes = (size_t)(stop - at);
        text_lstrip(&inner, &bytes);
        text_rstrip(&inner, &bytes);
        memcpy(out + n, inner, bytes);
        n += bytes;
        out[n++] = close;
        at = stop + 1;
    }
    return value_string_n(out, n);
}

/* re.sub("/' [0-9]/", "/'[0-9]/", text): upstream's slip, which puts the pattern's own letters in. */
static Value quote_digits(Arena *arena, const Value *text) {
    static const char put[] = "/'[0-9]/";
    char *out = arena_alloc(arena, text->n * 2 + 1);
    size_t n = 0;
    for (size_t i = 0; i < text->n;) {
        const char *at = text->as.text + i;
        bool found =
            text->n - i >= 5 && memcmp(at, "/' ", 3) == 0 && at[3] >= '0' && at[3] <= '9' && at[4] == '/';
        if (found) {
            memcpy(out + n, put, sizeof put - 1);
            n += sizeof put - 1;
            i += 5;
        } else {
            out[n++] = text->as.text[i++];
        }
    }
    return value_string_n(out, n);
}

static Value replace_all(Arena *arena, Value text, const char *const (*pairs)[2], size_t n) {
    for (size_t i = 0; i < n; i++) {
        const Value from = value_string(pairs[i][0]), to = value_string(pairs[i][1]);
        text = string_replace(arena, &text, &from, &to, -1);
    }
    return text;
}

static int wikitext_detokenizer(const Value *document, Arena *arena, Value *out, Error *error) {
    static const char *const before[][2] = {{" @-@ ", "-"}, {" @,@ ", ","}, {" @.@ ", "."},
                                            {" : ", ": "},  {" ; ", "; "},  {" . ", ". "},
                                            {" ! ", "! "},  {" ? ", "? "},  {" , ", ", "}};
    static const char pairs[][2] = {{'(', ')'}, {'[', ']'}, {'{', '}'}, {'"', '"'}, {'\'', '\''}};
    static const char *const after[][2] = {{"= = = =", "===="},    {"= = =", "==="}, {"= =", "=="},
                                           {" \u00b0 ", "\u00b0"}, {" \n", "\n"},    {"\n ", "\n"},
                                           {" N ", " 1 "},         {" 's", "'s"}};
    const Value *page, plural = value_string("s '"), joined = value_string("s'");
    if (column(document, "page", VALUE_STRING, &page, error))
        return -1;
    Value text = string_replace(arena, page, &plural, &joined, -1);
    text = quote_digits(arena, &text);
    text = replace_all(arena, text, before, sizeof before / sizeof *before);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        text = tighten(arena, &text, pairs[i][0], pairs[i][1]);
    *out = replace_all(arena, text, after, sizeof after / sizeof *after);
    return 0;
}

static const struct {
    const char *folder, *name;
    DocumentFunction *function, *v0_4_0; /* NULL: the same */
} functions[] = {{"copa", "utils.doc_to_text", copa_text, NULL},
                 {"copa", "utils.doc_to_target", copa_target, NULL},
                 {"copa", "utils.doc_to_choice", copa_choice, NULL},
                 {"hellaswag", "utils.process_docs", hellaswag_process_docs, NULL},
                 {"pubmedqa", "preprocess_pubmedqa.doc_to_text", pubmedqa_text, NULL},
                 {"race", "preprocess_race.doc_to_text", race_text, race_text_v0_4_0},
                 {"race", "preprocess_race.doc_to_target", race_target, NULL},
                 {"race", "preprocess_race.doc_to_choice", race_choice, NULL},
                 {"wikitext", "preprocess_wikitext.wikitext_detokenizer", wikitext_detokenizer, NULL},
                 {"winogrande", "preprocess_winogrande.doc_to_text", winogrande_text, NULL},
                 {"winogrande", "preprocess_winogrande.doc_to_target", winogrande_target, NULL},
                 {"winogrande", "preprocess_winogrande.doc_to_choice", winogrande_choice, NULL}};

DocumentFunction *function_find(const char *folder, const char *name, Compat compat) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].folder, folder) == 0 && strcmp(functions[i].name, name) == 0)
            return compat == COMPAT_V0_4_0 && functions[i].v0_4_0 ? functions[i].v0_4_0
                                                                  : functions[i].function;
    return NULL;
}
