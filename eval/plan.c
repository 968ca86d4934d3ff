/* See plan.h. Two engine calls per batch: the shared prefixes, then the rests. */
#include "eval/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct Item {
    int32_t *tokens; /* [n_tokens] */
    size_t n_tokens, n_context;
    Answer *answer;
    size_t group;
    TargetResult *results; /* [n_tokens - n_context], in order of position */
} Item;

typedef struct Group {
    size_t first, n; /* its items */
    size_t n_shared;
    State *state; /* after the shared prefix */
} Group;

struct Plan {
    Item *items;
    size_t n_items, items_capacity;
    Group *groups;
    size_t n_groups, groups_capacity;
    size_t n_tokens;
    Arena arena;
};

Plan *plan_create(void) {
    return mem_alloc_zero(1, sizeof(Plan));
}

void plan_clear(Plan *plan) {
    plan->n_items = plan->n_groups = plan->n_tokens = 0;
    arena_reset(&plan->arena);
}

void plan_free(Plan *plan) {
    if (!plan)
        return;
    arena_free(&plan->arena);
    free(plan->items);
    free(plan->groups);
    free(plan);
}

size_t plan_requests(const Plan *plan) {
    return plan->n_items;
}

size_t plan_tokens(const Plan *plan) {
    return plan->n_tokens;
}

/* Room for one more element in a growing array. */
static void *grow(void *array, size_t n, size_t *capacity, size_t bytes_each) {
    if (n < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 64;
    return mem_realloc(array, *capacity * bytes_each);
}

void plan_begin_group(Plan *plan) {
    if (plan->n_groups && plan->groups[plan->n_groups - 1].n == 0)
        return;
    plan->groups = grow(plan->groups, plan->n_groups, &plan->groups_capacity, sizeof *plan->groups);
    plan->groups[plan->n_groups++] = (Group){.first = plan->n_items};
}

void plan_add(Plan *plan, const EncodedRequest *request, Answer *answer) {
    if (plan->n_groups == 0)
        plan_begin_group(plan);
    plan->items = grow(plan->items, plan->n_items, &plan->items_capacity, sizeof *plan->items);
    size_t n = request->tokens.n;
    Item *item = &plan->items[plan->n_items++];
    *item = (Item){.tokens = arena_alloc(&plan->arena, n * sizeof(int32_t)),
                   .n_tokens = n,
                   .n_context = request->n_context,
                   .answer = answer,
                   .group = plan->n_groups - 1,
                   .results = arena_alloc(&plan->arena, (n - request->n_context) * sizeof(TargetResult))};
    memcpy(item->tokens, request->tokens.ids, n * sizeof(int32_t));
    plan->groups[plan->n_groups - 1].n++;
    plan->n_tokens += n - 1;
}

/* Length of the common prefix of a group's inputs. */
static size_t common_prefix(const Plan *plan, const Group *group) {
    const Item *first = &plan->items[group->first];
    size_t common = first->n_tokens - 1;
    for (size_t i = 1; i < group->n; i++) {
        const Item *item = first + i;
        size_t limit = item->n_tokens - 1 < common ? item->n_tokens - 1 : common, at = 0;
        while (at < limit && item->tokens[at] == first->tokens[at])
            at++;
        common = at;
    }
    return common;
}

/* Appends the targets of an item that are read off input positions [from, to), relative to `from`. */
static size_t add_targets(const Item *item, size_t from, size_t to, Target *out) {
    size_t n = 0, first = item->n_context - 1, end = item->n_tokens - 1;
    for (size_t at = first > from ? first : from; at < end && at < to; at++)
        out[n++] = (Target){.position = (int32_t)(at - from), .token = item->tokens[at + 1]};
    return n;
}

static int compare_targets(const void *a, const void *b) {
    const Target *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* The shared segment's targets are those of all its items, each once. */
static Segment shared_segment(Plan *plan, Group *group) {
    const Item *items = &plan->items[group->first];
    size_t most = 0, n = 0, kept = 0;
    bool goes_on = false;
    for (size_t i = 0; i < group->n; i++) {
        most += items[i].n_tokens - items[i].n_context;
        goes_on |= items[i].n_tokens - 1 > group->n_shared;
    }
    Target *targets = arena_alloc(&plan->arena, most * sizeof *targets);
    for (size_t i = 0; i < group->n; i++)
        n += add_targets(&items[i], 0, group->n_shared, targets + n);
    if (n)
        qsort(targets, n, sizeof *targets, compare_targets);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || compare_targets(&targets[i], &targets[kept - 1]) != 0)
            targets[kept++] = targets[i];
    return (Segment){.tokens = items[0].tokens,
                     .n_tokens = group->n_shared,
                     .targets = targets,
                     .n_targets = kept,
                     .results = arena_alloc(&plan->arena, (kept + 1) * sizeof(TargetResult)),
                     .want_state = goes_on};
}

/* Hands the shared segment's results to the items that asked for them. */
static void distribute(Plan *plan, const Group *group, const Segment *segment) {
    for (size_t i = 0; i < group->n; i++) {
        Item *item = &plan->items[group->first + i];
        Target wanted[1];
        for (size_t at = item->n_context - 1; at < group->n_shared && at < item->n_tokens - 1; at++) {
            wanted[0] = (Target){.position = (int32_t)at, .token = item->tokens[at + 1]};
            const Target *found =
                bsearch(wanted, segment->targets, segment->n_targets, sizeof *wanted, compare_targets);
            item->results[at - (item->n_context - 1)] = segment->results[found - segment->targets];
        }
    }
}

static int run_shared(Plan *plan, Engine *engine, size_t *computed, Error *error) {
    Segment *segments = arena_alloc(&plan->arena, plan->n_groups * sizeof *segments);
    Group **owners = arena_alloc(&plan->arena, plan->n_groups * sizeof(Group *));
    size_t n = 0;
    for (size_t i = 0; i < plan->n_groups; i++) {
        Group *group = &plan->groups[i];
        if (group->n == 0)
            continue;
        group->n_shared = common_prefix(plan, group);
        if (group->n_shared == 0)
            continue;
        owners[n] = group;
        segments[n++] = shared_segment(plan, group);
        *computed += group->n_shared;
    }
    if (n && engine_score(engine, segments, n, error))
        return -1;
    for (size_t i = 0; i < n; i++) {
        distribute(plan, owners[i], &segments[i]);
        owners[i]->state = segments[i].state;
    }
    return 0;
}

static int run_rests(Plan *plan, Engine *engine, size_t *computed, Error *error) {
    Segment *segments = arena_alloc(&plan->arena, plan->n_items * sizeof *segments);
    size_t n = 0;
    for (size_t i = 0; i < plan->n_items; i++) {
        Item *item = &plan->items[i];
        const Group *group = &plan->groups[item->group];
        size_t end = item->n_tokens - 1, shared = group->n_shared;
        if (shared == end)
            continue;
        Target *targets = arena_alloc(&plan->arena, (item->n_tokens - item->n_context) * sizeof *targets);
        size_t n_targets = add_targets(item, shared, end, targets);
        segments[n++] = (Segment){.parent = group->state,
                                  .tokens = item->tokens + shared,
                                  .n_tokens = end - shared,
                                  .targets = targets,
                                  .n_targets = n_targets,
                                  .results = item->results + (item->n_tokens - item->n_context - n_targets)};
        *computed += end - shared;
    }
    return n ? engine_score(engine, segments, n, error) : 0;
}

static void sum_up(Plan *plan) {
    for (size_t i = 0; i < plan->n_items; i++) {
        const Item *item = &plan->items[i];
        Answer answer = {.is_greedy = true};
        for (size_t j = 0; j < item->n_tokens - item->n_context; j++) {
            answer.loglikelihood += item->results[j].logprob;
            answer.is_greedy &= item->results[j].argmax == item->tokens[item->n_context + j];
        }
        *item->answer = answer;
    }
}

int plan_run(Plan *plan, Engine *engine, size_t *computed, Error *error) {
    *computed = 0;
    int result = run_shared(plan, engine, computed, error);
    if (result == 0)
        result = run_rests(plan, engine, computed, error);
    if (result == 0)
        sum_up(plan);
    for (size_t i = 0; i < plan->n_groups; i++) {
        state_release(plan->groups[i].state);
        plan->groups[i].state = NULL;
    }
    plan_clear(plan);
    return result;
}
