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

/* Copies up to n of the candidates into draws, without the document itself if asked. */
static void keep(const Task *task, const Value *document, bool drop, const size_t *candidates,
                 size_t n_candidates, size_t *draws) {
    size_t n = (size_t)task->info.num_fewshot, kept = 0;
    for (size_t i = 0; i < n_candidates && kept < n; i++)
        if (!drop || !value_equal(&task->pool[candidates[i]], document))
            draws[kept++] = candidates[i];
    while (kept < n)
        draws[kept++] = SIZE_MAX;
}

static int too_few(const Task *task, size_t wanted, Error *error) {
    return error_set(error,
                     "%s: %zu few-shot examples have to be drawn for each document, but there are only %zu",
                     task->info.name, wanted, task->n_pool);
}

static int draw_first(Task *task, bool same, Error *error) {
    size_t n = (size_t)task->info.num_fewshot, *all = mem_alloc(task->n_pool * sizeof *all);
    for (size_t i = 0; i < task->n_pool; i++)
        all[i] = i;
    for (size_t d = 0; d < task->info.n_documents; d++)
        keep(task, &task->rows[d], same, all, task->n_pool, task->draws + d * n);
    free(all);
    return n > task->n_pool ? too_few(task, n, error) : 0;
}

int fewshot_draw(Task *task, uint64_t seed, Arena *arena, Error *error) {
    bool same = same_split(&task->config);
    size_t n = (size_t)task->info.num_fewshot, n_drawn = n + same, bytes;
    if (n == 0)
        return 0;
    if (!mem_mul(task->info.n_documents, n * sizeof(size_t), &bytes))
        return error_set(error, "%s: too many few-shot examples", task->info.name);
    task->draws = arena_alloc(arena, bytes);
    if (task->config.fewshot_first_n)
        return draw_first(task, same, error);
    if (n_drawn > task->n_pool)
        return too_few(task, n_drawn, error);
    Random random;
    random_seed(&random, seed);
    size_t *sample = mem_alloc(n_drawn * sizeof *sample);
    for (size_t d = 0; d < task->info.n_documents; d++) {
        random_sample(&random, task->n_pool, n_drawn, sample);
        keep(task, &task->rows[d], same, sample, n_drawn, task->draws + d * n);
    }
    free(sample);
    return 0;
}
