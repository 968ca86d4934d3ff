/* The inside of a plan, shared by plan.c (adding, settling) and walk.c (feeding).
 *
 * Nodes are in preorder: a node's parent comes before it, everything below it directly after it. A unit is a
 * node that segments end at: a leaf, a node whose state is kept, or one that prompts end at. A segment begins
 * at the unit's base, the nearest node above it whose state is kept (the root's is the empty sequence), and
 * so runs through the nodes in between, whose states are not. */
#ifndef ZEVAL_EVAL_PLAN_TREE_H
#define ZEVAL_EVAL_PLAN_TREE_H

#include <stdbool.h>

#include "eval/plan.h"
#include "eval/tree.h"
#include "runner/generate.h"

typedef struct PlanNode {
    size_t first; /* its tokens are tokens[first, first + n) */
    uint32_t n;
    uint32_t depth; /* tokens above it */
    uint32_t parent;
    uint32_t after; /* the first node that is not below it */
    uint32_t base;
    uint32_t pending; /* segments that have yet to begin at its state */
    uint32_t open;    /* segments and kept nodes based on it that are not done */
    bool is_kept;
    bool generates;   /* prompts end at it */
    bool is_answered; /* its wants are */
    bool appends;     /* to the last block of its base's state, which only one segment can */
    bool is_appended; /* its own is appended to, or may be by texts that are gone on with */
    size_t wants;     /* its wants are wants[wants, the next node's wants) */
    size_t below;     /* bytes of states that what is based on it takes at most, one segment at a time */
} PlanNode;

/* A request has targets at a node; `next` is the token that follows the node in it. */
typedef struct Want {
    uint32_t item;
    int32_t next;
} Want;

/* A request: its input ends where node `end` ends. */
typedef struct Item {
    uint32_t end, n_context;
    int32_t last; /* the token that the walk never feeds */
    bool is_prompt;
    Answer answer;
} Item;

/* A prompt: an item that is gone on from. */
typedef struct Prompt {
    uint32_t item, node;
    const Generation *settings;
    uint64_t seed;
} Prompt;

struct Plan {
    PrefixTree tree; /* after settling only its tokens */
    PlanNode *nodes; /* [n_nodes + 1]; the last one ends the wants */
    State **states;  /* [n_nodes] */
    uint32_t n_nodes;
    Want *wants;
    Item *items;
    uint32_t n_items, items_capacity;
    PlanCounts counts;
    size_t bytes_per_token, bytes_fixed, budget, vocab_size;
    size_t block_tokens, tile_tokens, passing_per_token, passing_fixed; /* as in ModelInfo */
    size_t narrow, room; /* bytes of states: asked for by plan_narrow, and what the walk keeps within */

    const GenerationRules *rules;
    Prompt *prompts; /* settled: by node, equal ones together */
    size_t n_prompts, prompts_capacity;
    Generator *generator;
    struct Job **jobs; /* sequences in the generator */
    size_t n_jobs, jobs_capacity;
    size_t tokens_made, prompts_done, tokens_of_done;
    Arena texts; /* of the last step */
    bool is_begun;

    /* What the walk costs, in operations of the engine: each token its share of the weights, each earlier
     * token that it looks back at, each position with targets its row of the output; and all three of a
     * generated token. */
    double cost_per_token, cost_per_key, cost_per_row, cost_per_made;
    EtaWork work_all, work_done; /* of segments */

    uint32_t *stack; /* nodes to be fed, the next one on top */
    size_t n_stack, stack_capacity;
    uint32_t *answered;
    size_t n_answered, answered_capacity;
    size_t used, peak; /* bytes of kept states */
    size_t tokens_fed;
    Arena arena; /* of one batch */
};

static inline bool is_leaf(const PlanNode *nodes, uint32_t i) {
    return nodes[i].after == i + 1;
}

static inline bool is_unit(const PlanNode *nodes, uint32_t i) {
    return nodes[i].is_kept || nodes[i].generates || is_leaf(nodes, i);
}

static inline uint32_t node_end(const PlanNode *node) {
    return node->depth + node->n;
}

/* Tokens of the segment that ends at a unit. */
static inline size_t segment_tokens(const PlanNode *nodes, uint32_t unit) {
    return node_end(&nodes[unit]) - node_end(&nodes[nodes[unit].base]);
}

/* A state's cache grows by blocks of tokens and its last one may be a copy: what that rounds up to at most.
 */
enum { BLOCK_SLACK_TOKENS = 32 };

/* Cache blocks that the segment of a unit adds: the one that it begins in is a copy, unless it appends to it.
 */
static inline size_t blocks_bytes(const Plan *plan, uint32_t unit, bool appends, size_t bytes_per_token) {
    static const size_t RECORD = 128; /* of a block, and what allocating it costs */
    size_t begin = node_end(&plan->nodes[plan->nodes[unit].base]), end = node_end(&plan->nodes[unit]);
    size_t tokens = plan->block_tokens, before = (appends ? begin + tokens - 1 : begin) / tokens;
    return ((end + tokens - 1) / tokens - before) * (tokens * bytes_per_token + RECORD);
}

/* Those of a unit that was fed live until everything below it is done. */
static inline size_t lasting_bytes(const Plan *plan, uint32_t unit) {
    return blocks_bytes(plan, unit, plan->nodes[unit].appends, plan->bytes_per_token);
}

/* A state's own record and its list of blocks. */
static inline size_t record_bytes(const Plan *plan, uint32_t unit) {
    return 256 + node_end(&plan->nodes[unit]);
}

/* What else a unit's state takes, until the last segment has begun at it. */
static inline size_t own_bytes(const Plan *plan, uint32_t unit) {
    return plan->bytes_fixed + record_bytes(plan, unit);
}

static inline size_t unit_bytes(const Plan *plan, uint32_t unit) {
    return lasting_bytes(plan, unit) + own_bytes(plan, unit);
}

/* Whether nobody goes on from a unit and its segment is fed within one tile, of which a batch's segments
 * before it have taken `at` tokens: then the engine keeps one layer of it at a time. */
static inline bool is_passing(const Plan *plan, uint32_t unit, size_t at) {
    const PlanNode *node = &plan->nodes[unit];
    return !node->is_kept && !node->generates && at + segment_tokens(plan->nodes, unit) <= plan->tile_tokens;
}

static inline size_t passing_bytes(const Plan *plan, uint32_t unit) {
    return blocks_bytes(plan, unit, false, plan->passing_per_token) + plan->passing_fixed +
           record_bytes(plan, unit);
}

/* A request's first target at a node, as a position in the sequence. */
static inline uint32_t first_target(const Plan *plan, const PlanNode *node, const Want *want) {
    uint32_t first = plan->items[want->item].n_context - 1;
    return first > node->depth ? first : node->depth;
}

/* What a unit's segment with n_rows positions that have targets costs. */
static inline EtaWork segment_work(const Plan *plan, uint32_t unit, size_t n_rows) {
    double begin = node_end(&plan->nodes[plan->nodes[unit].base]), end = node_end(&plan->nodes[unit]);
    return (EtaWork){{[WORK_LINEAR] = (end - begin) * plan->cost_per_token,
                      [WORK_ATTENTION] = (end * end - begin * begin) / 2 * plan->cost_per_key,
                      [WORK_HEAD] = (double)n_rows * plan->cost_per_row}};
}

/* One more element on a growing array. */
void plan_push(uint32_t **array, size_t *n, size_t *capacity, uint32_t value);

/* ---- generating, plan_generate.c */

/* Brings the prompts into order once the nodes are numbered, and marks the nodes that they end at. */
void prompts_settle(Plan *plan);
/* Most tokens that the prompts that end at a node may become; sequences that they make; bytes that these
 * take, at most, above the node's own. */
uint32_t prompts_longest(const Plan *plan, uint32_t node);
size_t prompts_jobs(const Plan *plan, uint32_t node);
size_t prompts_bytes(const Plan *plan, uint32_t node);
/* Begins the sequences of a node, whose state is borrowed. */
void prompts_begin(Plan *plan, Engine *engine, uint32_t node, State *state);
/* Lets all sequences grow by some tokens, until one of them ends. */
int prompts_grow(Plan *plan, Error *error);
void prompts_free(Plan *plan);

/* walk.c: something that was based on a node, or a sequence begun at it, is done. */
void plan_close(Plan *plan, uint32_t node);

#endif
