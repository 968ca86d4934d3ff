/* The walk through a settled plan; see plan.h and plan_tree.h.
 *
 * The stack holds nodes that have yet to be fed, so the last ones pushed, the deepest, come first. A batch
 * takes first the leaves among them, which hold no memory and give back that of what they are based on, then
 * the others in their order, as long as it has room for their tokens and there is room for their states and
 * for whatever the widest of them needs below it: so what is begun can always be finished. Where memory is
 * what ends a batch, it fills whole tiles of the engine if it can. */
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

/* Units off the stack, and what they come to. */
typedef struct Choice {
    size_t n, tokens, jobs;
    size_t bytes;         /* of states that outlive their tile */
    size_t passing, most; /* of those that do not: in the last tile that is begun, and in any */
    size_t below;         /* that the widest of them needs below it */
} Choice;

/* The units of a batch. */
typedef struct Chosen {
    uint32_t *units; /* [n] */
    size_t n, capacity;
    Choice all, cut; /* cut: those before the last one that goes on in another tile */
} Chosen;

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Tokens of the last tile if that is not full. */
static size_t in_last_tile(const Plan *plan, const Choice *choice) {
    return plan->tile_tokens ? choice->tokens % plan->tile_tokens : 0;
}

/* The first segment that begins at a state in the middle of a block and that is more than passing. */
static bool can_append(const Plan *plan, uint32_t unit) {
    const PlanNode *base = &plan->nodes[plan->nodes[unit].base];
    return !base->is_appended && !base->generates;
}

static Choice choice_with(const Plan *plan, Choice choice, uint32_t unit) {
    size_t at = in_last_tile(plan, &choice), n = segment_tokens(plan->nodes, unit);
    if (at == 0 || at + n > plan->tile_tokens)
        choice.passing = 0;
    if (is_passing(plan, unit, at))
        choice.most = larger(choice.most, choice.passing += passing_bytes(plan, unit));
    else
        choice.bytes += blocks_bytes(plan, unit, can_append(plan, unit), plan->bytes_per_token) +
                        own_bytes(plan, unit) + prompts_bytes(plan, unit);
    choice.n++;
    choice.tokens += n;
    choice.jobs += prompts_jobs(plan, unit);
    choice.below = larger(choice.below, plan->nodes[unit].below);
    return choice;
}

/* Of a choice that had to end for want of memory: as many as fill whole tiles, the last of these nearly. The
 * others come in the next batch, with what the memory given back by these has room for. */
static bool is_better_cut(const Plan *plan, const Choice *cut, const Choice *all) {
    size_t nearly = plan->tile_tokens / 4 * 3, filled = in_last_tile(plan, cut);
    return cut->n > 0 && in_last_tile(plan, all) < nearly && (filled == 0 || filled >= nearly);
}

static bool has_room(const Plan *plan, const Choice *choice) {
    return plan->used + choice->bytes + larger(choice->most, choice->below) <= plan->room;
}

static void choose(Plan *plan, Chosen *chosen, const Choice *with, uint32_t unit) {
    size_t more = with->tokens - chosen->all.tokens, at = in_last_tile(plan, &chosen->all);
    if (at + more > plan->tile_tokens)
        chosen->cut = chosen->all;
    if (!is_passing(plan, unit, at) && can_append(plan, unit))
        plan->nodes[unit].appends = plan->nodes[plan->nodes[unit].base].is_appended = true;
    plan_push(&chosen->units, &chosen->n, &chosen->capacity, unit);
    chosen->all = *with;
}

static void put_back(Plan *plan, uint32_t unit) {
    PlanNode *node = &plan->nodes[unit];
    if (node->appends)
        node->appends = plan->nodes[node->base].is_appended = false;
    plan_push(&plan->stack, &plan->n_stack, &plan->stack_capacity, unit);
}

/* Leaves below states that are kept come first, for nothing but them gives memory back. */
static void choose_leaves(Plan *plan, size_t batch_tokens, Chosen *chosen) {
    enum { MOST_LOOKED_AT = 4096 };
    size_t end = plan->n_stack, first = end > MOST_LOOKED_AT ? end - MOST_LOOKED_AT : 0, i;
    for (i = end; i-- > first;) {
        uint32_t unit = plan->stack[i];
        if (plan->nodes[unit].base == 0)
            break;
        if (!is_passing(plan, unit, 0) || !is_leaf(plan->nodes, unit))
            continue;
        Choice with = choice_with(plan, chosen->all, unit);
        if (with.tokens > batch_tokens || !has_room(plan, &with))
            break;
        choose(plan, chosen, &with, unit);
        plan->stack[i] = 0;
    }
    plan->n_stack = i = i + 1;
    for (; i < end; i++)
        if (plan->stack[i])
            plan->stack[plan->n_stack++] = plan->stack[i];
}

/* What does not fit waits for sequences that grow to end; when nothing else is under way it is fed all the
 * same. */
static Chosen choose_units(Plan *plan, size_t batch_tokens, size_t width) {
    Chosen chosen = {.all = {.jobs = plan->n_jobs}};
    uint32_t unit;
    bool fits = true;
    choose_leaves(plan, batch_tokens, &chosen);
    for (; next_unit(plan, &unit); plan->n_stack--) {
        Choice with = choice_with(plan, chosen.all, unit);
        fits = has_room(plan, &with);
        bool is_short = with.tokens <= batch_tokens && (with.jobs == chosen.all.jobs || with.jobs <= width);
        if (!(fits && is_short) && (chosen.n > 0 || plan->n_jobs > 0))
            break;
        choose(plan, &chosen, &with, unit);
    }
    if (!fits && is_better_cut(plan, &chosen.cut, &chosen.all)) {
        while (chosen.n > chosen.cut.n)
            put_back(plan, chosen.units[--chosen.n]);
        chosen.all = chosen.cut;
    }
    plan->peak = larger(plan->peak, plan->used + chosen.all.bytes + chosen.all.most);
    return chosen;
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

static Batch make_batch(Plan *plan, const uint32_t *chosen, size_t n) {
    Batch batch = {.n = n,
                   .units = arena_alloc(&plan->arena, n * sizeof *batch.units),
                   .segments = arena_alloc(&plan->arena, n * sizeof *batch.segments)};
    for (size_t i = 0; i < n; i++)
        batch.units[i] = (Unit){.node = chosen[i], .base = plan->nodes[chosen[i]].base};
    for (size_t i = 0; i < n; i++)
        make_segment(plan, &batch.units[i], &batch.segments[i]);
    return batch;
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
            plan->used -= lasting_bytes(plan, unit);
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
    plan->peak = larger(plan->peak, plan->used);
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
    Chosen chosen = choose_units(plan, batch_tokens, most_jobs(batch_tokens));
    Batch batch = make_batch(plan, chosen.units, chosen.n);
    free(chosen.units);
    if (batch.n == 0)
        return plan->n_jobs == 0 ? 0 : prompts_grow(plan, error) ? -1 : 1;
    if (engine_score(engine, batch.segments, batch.n, error))
        return -1;
    take_batch(plan, engine, &batch);
    return 1;
}
