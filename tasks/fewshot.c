/* Which examples a document gets: lm-eval's pools and samplers (spec: pool order, the n+1 rule), with
 * Python's generator carried from document to document. */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "tasks/task.h"

const char *fewshot_split(const TaskConfig *config) {
    if (config->fewshot_split)
        return config->fewshot_split;
    if (config->fewshot_samples)
        return NULL;
    if (config->training_split)
        return config->training_split;
    return config->validation_split ? config->validation_split : config->test_split;
}

/* lm-eval's question "are examples drawn from the evaluated split": it compares the two keys of the file, so
 * two that are not given count as equal. */
static bool same_split(const TaskConfig *config) {
    return text_equal(config->fewshot_split, config->test_split);
}

/* Whether the document itself is kept out of its examples. main asks same_split; v0.4.0 always did it, but by
 * comparing what process_docs had made of the one with what it had not of the other. */
static bool drops_itself(const Task *task) {
    const TaskConfig *config = &task->config;
    if (config->compat == COMPAT_MAIN)
        return same_split(config);
    return !config->process_docs || config->process_pool;
}

/* Copies up to n of the candidates into the draws of document d. */
static void keep(Task *task, size_t d, bool drop, const size_t *candidates, size_t n_candidates) {
    const Value *document = &task->data->rows[task->chosen ? task->chosen[d] : d];
    size_t *draws = task->draws + d * (size_t)task->info.num_fewshot;
    size_t n = (size_t)task->info.num_fewshot, kept = 0;
    for (size_t i = 0; i < n_candidates && kept < n; i++)
        if (!drop || !value_equal(&task->pool->rows[candidates[i]], document))
            draws[kept++] = candidates[i];
    while (kept < n)
        draws[kept++] = SIZE_MAX;
}

static int too_few(const Task *task, size_t wanted, Error *error) {
    return error_set(error,
                     "%s: %zu few-shot examples have to be drawn for each document, but there are only %zu",
                     task->info.name, wanted, task->pool->n);
}

static int draw_first(Task *task, Error *error) {
    size_t n = (size_t)task->info.num_fewshot, *all = mem_alloc(task->pool->n * sizeof *all);
    /* main takes the document away and then n rows, v0.4.0 n rows (n + 1 of the same split) and then it */
    size_t asked = n + same_split(&task->config), first = task->pool->n;
    if (task->config.compat == COMPAT_V0_4_0 && asked < first)
        first = asked;
    for (size_t i = 0; i < task->pool->n; i++)
        all[i] = i;
    for (size_t d = 0; d < task->info.n_documents; d++)
        keep(task, d, drops_itself(task), all, first);
    free(all);
    return n > task->pool->n ? too_few(task, n, error) : 0;
}

bool task_has_examples(const Task *task) {
    return task->info.num_fewshot > 0 && task->config.output_type != OUTPUT_LOGLIKELIHOOD_ROLLING;
}

int fewshot_draw(Task *task, uint64_t seed, Arena *arena, Error *error) {
    bool same = same_split(&task->config);
    size_t n = (size_t)task->info.num_fewshot, n_drawn = n + same, bytes;
    if (!task_has_examples(task))
        return 0;
    if (!mem_mul(task->info.n_documents, n * sizeof(size_t), &bytes))
        return error_set(error, "%s: too many few-shot examples", task->info.name);
    task->draws = arena_alloc(arena, bytes);
    if (task->config.fewshot_first_n)
        return draw_first(task, error);
    if (n_drawn > task->pool->n)
        return too_few(task, n_drawn, error);
    Random random;
    random_seed(&random, seed);
    size_t *sample = mem_alloc(n_drawn * sizeof *sample);
    for (size_t d = 0; d < task->info.n_documents; d++) {
        random_sample(&random, task->pool->n, n_drawn, sample);
        keep(task, d, drops_itself(task), sample, n_drawn);
    }
    free(sample);
    return 0;
}
