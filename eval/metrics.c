/* One function per metric, found through a table; see metrics.h. Ties go to the first choice, as numpy's
 * argmax does. */
#include "eval/metrics.h"

#include <string.h>

#include "base/base.h"

typedef double Score(const char *choice, double loglikelihood);

static double plain(const char *choice, double loglikelihood) {
    (void)choice;
    return loglikelihood;
}

static double per_char(const char *choice, double loglikelihood) {
    return loglikelihood / (double)utf8_length(choice, strlen(choice));
}

static double per_byte(const char *choice, double loglikelihood) {
    return loglikelihood / (double)strlen(choice);
}

static double right(const TaskDocument *document, const Answer *answers, Score *score) {
    size_t best = 0;
    double best_score = 0;
    for (size_t i = 0; i < document->n_choices; i++) {
        double value = score(document->choices[i], answers[i].loglikelihood);
        if (i == 0 || value > best_score) {
            best = i;
            best_score = value;
        }
    }
    return (int64_t)best == document->gold ? 1.0 : 0.0;
}

static double acc(const TaskDocument *document, const Answer *answers) {
    return right(document, answers, plain);
}

static double acc_norm(const TaskDocument *document, const Answer *answers) {
    return right(document, answers, per_char);
}

static double acc_bytes(const TaskDocument *document, const Answer *answers) {
    return right(document, answers, per_byte);
}

/* The right choice is what greedy decoding would have said. */
static double exact_match(const TaskDocument *document, const Answer *answers) {
    bool known = document->gold >= 0 && (size_t)document->gold < document->n_choices;
    return known && answers[document->gold].is_greedy ? 1.0 : 0.0;
}

static const struct {
    OutputType type;
    const char *name;
    MetricFunction *function;
} metrics[] = {
    {OUTPUT_MULTIPLE_CHOICE, "acc", acc},
    {OUTPUT_MULTIPLE_CHOICE, "acc_norm", acc_norm},
    {OUTPUT_MULTIPLE_CHOICE, "acc_bytes", acc_bytes},
    {OUTPUT_MULTIPLE_CHOICE, "exact_match", exact_match},
};

int metric_find(MetricFunction **out, OutputType type, const char *name, Error *error) {
    Buffer known = {0};
    *out = NULL;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        if (metrics[i].type != type)
            continue;
        if (strcmp(metrics[i].name, name) == 0)
            *out = metrics[i].function;
        buffer_printf(&known, "%s%s", known.size ? ", " : "", metrics[i].name);
    }
    if (!*out)
        error_set(error, "metric \"%s\" of a %s task: expected one of: %s", name, output_type_name(type),
                  known.size ? known.data : "(none: this output type is not scored by this build)");
    buffer_free(&known);
    return *out ? 0 : -1;
}
