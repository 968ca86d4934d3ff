/* The walk through a settled plan; see plan.h and plan_tree.h.
 *
 * The stack holds nodes that have yet to be fed, so the last ones pushed, the deepest, come first. A batch
 * takes nodes off the stack as long as it has room for their tokens and the budget has room for their states
 * and for whatever the widest of them needs below it: so what is begun can always be finished. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "eval/plan_tree.h"

/* A target of the batch with the request that wants it. */
typedef struct Wanted {
    Target target;
    uint32_t item;
} Wanted;

/* A unit in the batch. */
typedef struct Unit {
    uint32_t node, base;
    Wanted *wanted;          /* [n_wanted] by position, then token */
    size_t n_wanted, n_rows; /* distinct positions of these */
} Unit;

typedef struct Batch {
    Unit *units;
    Segment *segments;
    size_t n;
} Batch;

/* ---- choosing the nodes */

static void push_children(Plan *plan, uint32_t node) {
    const PlanNode *nodes = plan->nodes;
    size_t first = plan->n_stack;
    for (uint32_t i = node + 1; i < nodes[node].after; i = nodes[i].after)
        plan_push(&plan->stack, &plan->n_stack, &plan->stack_capacity, i);
    for (size_t a = first, b = plan->n_stack; a + 1 < b; a++) { /* the first child on top */
        uint32_t swap = plan->stack[--b];
        plan->stack[b] = plan->stack[a];
        plan->stack[a] = swap;
    }
}

/* Replaces nodes on top that are not units by their children; false when the stack is empty. */
static bool next_unit(Plan *plan, uint32_t *unit) {
    while (plan->n_stack) {
        uint32_t top = plan->stack[plan->n_stack - 1];
        if (top > 0 && is_unit(plan->nodes, top)) {
            *unit = top;
            return true;
        }
        plan->n_stack--;
        push_children(plan, top);
    }
    return false;
}

/* What does not fit waits for sequences that grow to end; when nothing else is under way it is fed all the
 * same. */
static Batch choose_units(Plan *plan, size_t batch_tokens, size_t width) {
    size_t tokens = 0, bytes = 0, widest = 0, n = 0, capacity = 0, jobs = plan->n_jobs;
    uint32_t *chosen = NULL, unit;
    while (next_unit(plan, &unit)) {
        size_t more_tokens = segment_tokens(plan->nodes, unit), more_jobs = prompts_jobs(plan, unit);
        size_t more_bytes = unit_bytes(plan, unit) + prompts_bytes(plan, unit);
        size_t below = plan->nodes[unit].below > widest ? plan->nodes[unit].below : widest;
        bool fits = tokens + more_tokens <= batch_tokens && (more_jobs == 0 || jobs + more_jobs <= width) &&
                    plan->used + bytes + more_bytes + below <= plan->budget;
        if (!fits && (n > 0 || plan->n_jobs > 0))
            break;
        plan_push(&chosen, &n, &capacity, unit);
        plan->n_stack--;
        tokens += more_tokens;
        bytes += more_bytes;
        jobs += more_jobs;
        widest = below;
    }
    if (plan->used + bytes > plan->peak)
        plan->peak = plan->used + bytes;
    Batch batch = {.n = n,
                   .units = arena_alloc(&plan->arena, n * sizeof *batch.units),
                   .segments = arena_alloc(&plan->arena, n * sizeof *batch.segments)};
    for (size_t i = 0; i < n; i++)
        batch.units[i] = (Unit){.node = chosen[i], .base = plan->nodes[chosen[i]].base};
    free(chosen);
    return batch;
}

/* ---- making segments */

static const int32_t *tokens_of(Plan *plan, const Unit *unit) {
    const PlanNode *nodes = plan->nodes;
    if (nodes[unit->node].parent == unit->base)
        return plan->tree.tokens + nodes[unit->node].first;
    size_t left = segment_tokens(nodes, unit->node);
    int32_t *tokens = arena_alloc(&plan->arena, left * sizeof *tokens);
    for (uint32_t i = unit->node; i != unit->base; i = nodes[i].parent) {
        left -= nodes[i].n;
        memcpy(tokens + left, plan->tree.tokens + nodes[i].first, nodes[i].n * sizeof *tokens);
    }
    return tokens;
}

static int compare_wanted(const void *a, const void *b) {
    const Wanted *x = a, *y = b;
    if (x->target.position != y->target.position)
        return x->target.position < y->target.position ? -1 : 1;
    return x->target.token < y->target.token ? -1 : x->target.token > y->target.token;
}

static size_t count_wanted(const Plan *plan, uint32_t i) {
    const PlanNode *node = &plan->nodes[i];
    size_t n = 0;
    for (size_t w = node[0].wants; w < node[1].wants; w++)
        n += node_end(node) - first_target(plan, node, &plan->wants[w]);
    return n;
}

/* Appends what requests want of one node, positions counted from the segment's beginning. */
static void add_wanted(Plan *plan, Unit *unit, uint32_t i) {
    const PlanNode *node = &plan->nodes[i];
    uint32_t begin = node_end(&plan->nodes[unit->base]), end = node_end(node);
    const int32_t *tokens = plan->tree.tokens + node->first;
    for (size_t w = node[0].wants; w < node[1].wants; w++) {
        const Want *want = &plan->wants[w];
        for (uint32_t at = first_target(plan, node, want); at < end; at++)
            unit->wanted[unit->n_wanted++] =
                (Wanted){{.position = (int32_t)(at - begin),
                          .token = at + 1 < end ? tokens[at + 1 - node->depth] : want->next},
                         want->item};
    }
}

/* Everything wanted of the segment's nodes that no former segment through them has answered. */
static void collect_wanted(Plan *plan, Unit *unit) {
    PlanNode *nodes = plan->nodes;
    size_t n = 0;
    for (uint32_t i = unit->node; i != unit->base; i = nodes[i].parent)
        n += nodes[i].is_answered ? 0 : count_wanted(plan, i);
    unit->wanted = arena_alloc(&plan->arena, n * sizeof *unit->wanted);
    for (uint32_t i = unit->node; i != unit->base; i = nodes[i].parent) {
        if (!nodes[i].is_answered)
            add_wanted(plan, unit, i);
        nodes[i].is_answered = true;
    }
    if (n)
        qsort(unit->wanted, n, sizeof *unit->wanted, compare_wanted);
}

/* The last segment that begins at a state takes it over. */
static void set_parent(Plan *plan, Segment *segment, uint32_t base) {
    PlanNode *node = &plan->nodes[base];
    segment->parent = plan->states[base];
    segment->move_parent = --node->pending == 0 && segment->parent;
    if (!segment->move_parent)
        return;
    plan->states[base] = NULL;
    plan->used -= own_bytes(plan, base);
}

static void make_segment(Plan *plan, Unit *unit, Segment *segment) {
    collect_wanted(plan, unit);
    Target *targets = arena_alloc(&plan->arena, unit->n_wanted * sizeof *targets);
    size_t n = 0;
    for (size_t i = 0; i < unit->n_wanted; i++) {
        const Wanted *wanted = &unit->wanted[i];
        if (i > 0 && compare_wanted(wanted, wanted - 1) == 0)
            continue;
        unit->n_rows += n == 0 || targets[n - 1].position != wanted->target.position;
        targets[n++] = wanted->target;
    }
    *segment = (Segment){.tokens = tokens_of(plan, unit),
                         .n_tokens = segment_tokens(plan->nodes, unit->node),
                         .targets = targets,
                         .n_targets = n,
                         .results = arena_alloc(&plan->arena, n * sizeof(TargetResult)),
                         .want_state = plan->nodes[unit->node].is_kept || plan->nodes[unit->node].generates};
    set_parent(plan, segment, unit->base);
}

/* ---- taking the results */

/* A request's positions ascend within a segment and from one segment to the next, so its sum is that of
 * feeding it alone to the last bit. */
static void take_results(Plan *plan, const Unit *unit, const Segment *segment) {
    size_t at = 0;
    uint32_t begin = node_end(&plan->nodes[unit->base]);
    for (size_t i = 0; i < unit->n_wanted; i++) {
        const Wanted *wanted = &unit->wanted[i];
        at += i > 0 && compare_wanted(wanted, wanted - 1) != 0;
        const TargetResult *result = &segment->results[at];
        Item *item = &plan->items[wanted->item];
        item->answer.loglikelihood += result->logprob;
        item->answer.is_greedy &= result->argmax == wanted->target.token;
        if (begin + (uint32_t)wanted->target.position + 1 == node_end(&plan->nodes[item->end]))
            plan_push(&plan->answered, &plan->n_answered, &plan->answered_capacity, wanted->item);
    }
}

/* A node is done when everything based on it is; only then its cache blocks are nobody's any more. */
static void close_unit(Plan *plan, uint32_t unit) {
    while (unit > 0) {
        const PlanNode *node = &plan->nodes[unit];
        if (node->is_kept)
            plan->used -= blocks_bytes(plan, unit);
        else if (node->generates)
            plan->used -= unit_bytes(plan, unit);
        if (--plan->nodes[node->base].open > 0)
            return;
        unit = node->base;
    }
}

void plan_close(Plan *plan, uint32_t node) {
    if (--plan->nodes[node].open == 0)
        close_unit(plan, node);
}

static void take_unit(Plan *plan, Engine *engine, const Unit *unit, const Segment *segment) {
    uint32_t node = unit->node;
    bool is_kept = plan->nodes[node].is_kept, generates = plan->nodes[node].generates;
    take_results(plan, unit, segment);
    plan->tokens_fed += segment->n_tokens;
    plan->work_done = eta_work_sum(plan->work_done, segment_work(plan, node, unit->n_rows));
    if (is_kept || generates)
        plan->used += unit_bytes(plan, node);
    if (generates)
        prompts_begin(plan, engine, node, segment->state);
    if (is_kept)
        plan->states[node] = segment->state;
    else
        state_release(segment->state);
    if (!is_kept && !generates)
        close_unit(plan, node);
}

static void take_batch(Plan *plan, Engine *engine, const Batch *batch) {
    for (size_t i = 0; i < batch->n; i++)
        take_unit(plan, engine, &batch->units[i], &batch->segments[i]);
    for (size_t i = batch->n; i-- > 0;)
        push_children(plan, batch->units[i].node);
    if (plan->used > plan->peak)
        plan->peak = plan->used;
}

/* Sequences that grow at once: enough to keep the engine busy, since each feeds one token at a time. */
static size_t most_jobs(size_t batch_tokens) {
    enum { TOKENS_PER_JOB = 64, MOST = 256 };
    size_t n = batch_tokens / TOKENS_PER_JOB;
    return n < 1 ? 1 : n > MOST ? MOST : n;
}

int plan_step(Plan *plan, Engine *engine, size_t batch_tokens, Error *error) {
    plan->n_answered = 0;
    arena_reset(&plan->arena);
    arena_reset(&plan->texts);
    if (!plan->is_begun)
        prompts_begin(plan, engine, 0, NULL);
    plan->is_begun = true;
    Batch batch = choose_units(plan, batch_tokens, most_jobs(batch_tokens));
    if (batch.n == 0)
        return plan->n_jobs == 0 ? 0 : prompts_grow(plan, error) ? -1 : 1;
    for (size_t i = 0; i < batch.n; i++)
        make_segment(plan, &batch.units[i], &batch.segments[i]);
    if (engine_score(engine, batch.segments, batch.n, error))
        return -1;
    take_batch(plan, engine, &batch);
    return 1;
}
