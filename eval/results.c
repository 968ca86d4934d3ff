/* See results.h. What a twin needs of the document it reads from the document's JSON. */
#include "eval/results.h"

#include <math.h>
#include <string.h>

#include "base/base.h"

size_t results_words(const char *text) {
    size_t bytes = strlen(text), n = 1;
    bool inside = false;
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        at += utf8_decode(text + at, bytes - at, &code);
        bool space = text_is_space(code);
        n += space && !inside;
        inside = space;
    }
    return n;
}

static int read_labels(const cJSON *document, size_t n, const cJSON **labels, Error *error) {
    const cJSON *targets;
    if (json_get_object(document, "mc2_targets", &targets, "document", error) ||
        json_get_array(targets, "labels", labels, "document: mc2_targets", error))
        return -1;
    if ((size_t)cJSON_GetArraySize(*labels) == n)
        return 0;
    return error_set(error, "document: mc2_targets: found %d labels, expected %zu, one for each choice",
                     cJSON_GetArraySize(*labels), n);
}

static double plain_sum(const double *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

/* numpy adds up to seven numbers one after the other and more in eight lanes, which join in pairs: the last
 * bits of a sum depend on it. */
static double numpy_sum(const double *values, size_t n) {
    double lanes[8];
    size_t i = 8;
    if (n < 8)
        return plain_sum(values, n);
    memcpy(lanes, values, sizeof lanes);
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            lanes[k] += values[i + k];
    double sum =
        ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    for (; i < n; i++)
        sum += values[i];
    return sum;
}

/* Which choices the document calls true. */
static void read_truth(const cJSON *labels, bool until_first_false, bool *is_true) {
    const cJSON *label;
    bool false_seen = false;
    cJSON_ArrayForEach(label, labels) {
        double value = cJSON_IsNumber(label) ? label->valuedouble : -1;
        false_seen |= value == 0;
        *is_true++ = until_first_false ? !false_seen : value == 1;
    }
}

static int mc2_of(const Scored *scored, const cJSON *document, MetricItem *out, Error *error) {
    size_t n = scored->document->n_choices, n_true = 0, n_false = 0;
    const cJSON *labels;
    if (read_labels(document, n, &labels, error))
        return -1;
    double *all = arena_alloc(scored->arena, 3 * n * sizeof *all), *right = all + n, *wrong = right + n;
    bool *is_true = arena_alloc(scored->arena, n * sizeof *is_true);
    read_truth(labels, scored->v0_4_0, is_true);
    for (size_t i = 0; i < n; i++) {
        all[i] = exp(scored->answers[i].loglikelihood);
        if (is_true[i])
            right[n_true++] = all[i];
        else
            wrong[n_false++] = all[i];
    }
    double total = scored->v0_4_0 ? plain_sum(right, n_true) + plain_sum(wrong, n_false) : numpy_sum(all, n);
    for (size_t i = 0; i < n_true; i++)
        right[i] /= total;
    out->value = scored->v0_4_0 ? plain_sum(right, n_true) : numpy_sum(right, n_true);
    return 0;
}

int results_mc2(const Scored *scored, MetricItem *out, Error *error) {
    cJSON *document;
    if (json_parse(&document, scored->document->json, strlen(scored->document->json), "document", error))
        return -1;
    int result = mc2_of(scored, document, out, error);
    cJSON_Delete(document);
    return result;
}

int results_wikitext(const Scored *scored, bool words, MetricItem *out, Error *error) {
    cJSON *document;
    const char *page;
    if (json_parse(&document, scored->document->json, strlen(scored->document->json), "document", error))
        return -1;
    int result = json_get_string(document, "page", &page, "document", error);
    if (result == 0)
        *out = (MetricItem){scored->answers[0].loglikelihood,
                            (double)(words ? results_words(page) : strlen(page))};
    cJSON_Delete(document);
    return result;
}
