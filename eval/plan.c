/* Adding requests to a plan and settling it; see plan.h. Everything is done by passes over the nodes in
 * preorder, so that no tree is too deep. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "eval/plan_tree.h"

enum { MAX_REQUESTS = 1 << 30 }; /* a tree has at most two nodes for each, numbered by 32 bits */

Plan *plan_create(void) {
    Plan *plan = mem_alloc_zero(1, sizeof *plan);
    tree_init(&plan->tree);
    return plan;
}

void plan_free(Plan *plan) {
    if (!plan)
        return;
    for (uint32_t i = 0; plan->states && i < plan->n_nodes; i++)
        state_release(plan->states[i]);
    prompts_free(plan);
    tree_free(&plan->tree);
    arena_free(&plan->arena);
    free(plan->nodes);
    free(plan->states);
    free(plan->wants);
    free(plan->items);
    free(plan->stack);
    free(plan->answered);
    free(plan);
}

void plan_push(uint32_t **array, size_t *n, size_t *capacity, uint32_t value) {
    if (*n == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 64;
        *array = mem_realloc(*array, *capacity * sizeof **array);
    }
    (*array)[(*n)++] = value;
}

int plan_add(Plan *plan, const EncodedRequest *request, uint32_t *number, Error *error) {
    if (plan->n_items == MAX_REQUESTS)
        return error_set(error, "a run has more than %d requests, which is the most it can have",
                         MAX_REQUESTS);
    if (plan->n_items == plan->items_capacity) {
        plan->items_capacity = plan->items_capacity ? plan->items_capacity * 2 : 256;
        plan->items = mem_realloc(plan->items, plan->items_capacity * sizeof *plan->items);
    }
    const TokenIds *tokens = &request->tokens;
    *number = plan->n_items;
    plan->items[plan->n_items++] = (Item){.end = tree_add(&plan->tree, tokens->ids, tokens->n - 1),
                                          .n_context = (uint32_t)request->n_context,
                                          .last = tokens->ids[tokens->n - 1],
                                          .answer = {.is_greedy = true}};
    plan->counts.tokens_alone += tokens->n - 1;
    return 0;
}

int plan_add_prompt(Plan *plan, const EncodedRequest *prompt, const Generation *settings, uint64_t seed,
                    uint32_t *number, Error *error) {
    if (plan_add(plan, prompt, number, error))
        return -1;
    if (plan->n_prompts == plan->prompts_capacity) {
        plan->prompts_capacity = plan->prompts_capacity ? plan->prompts_capacity * 2 : 256;
        plan->prompts = mem_realloc(plan->prompts, plan->prompts_capacity * sizeof *plan->prompts);
    }
    plan->items[*number].is_prompt = true;
    plan->prompts[plan->n_prompts++] = (Prompt){.item = *number, .settings = settings, .seed = seed};
    return 0;
}

void plan_generate_with(Plan *plan, const GenerationRules *rules) {
    plan->rules = rules;
}

/* ---- settling: the nodes in preorder, siblings in the order they were added */

static void number_nodes(Plan *plan) {
    const PrefixTree *tree = &plan->tree;
    uint32_t *stack = NULL, *number = mem_alloc(tree->n_nodes * sizeof *number), n = 0;
    size_t n_stack = 0, capacity = 0;
    plan->n_nodes = tree->n_nodes;
    plan->nodes = mem_alloc_zero((size_t)tree->n_nodes + 1, sizeof *plan->nodes);
    plan_push(&stack, &n_stack, &capacity, TREE_ROOT);
    while (n_stack) {
        uint32_t from = stack[--n_stack];
        const TreeNode *node = &tree->nodes[from];
        number[from] = n;
        PlanNode *to = &plan->nodes[n];
        *to = (PlanNode){.first = node->first, .n = node->n, .after = n + 1};
        if (n > 0) {
            to->parent = number[node->parent];
            to->depth = node_end(&plan->nodes[to->parent]);
        }
        n++;
        for (uint32_t child = node->child; child != TREE_NONE; child = tree->nodes[child].next)
            plan_push(&stack, &n_stack, &capacity, child);
    }
    for (uint32_t i = n - 1; i > 0; i--) {
        PlanNode *parent = &plan->nodes[plan->nodes[i].parent];
        if (parent->after < plan->nodes[i].after)
            parent->after = plan->nodes[i].after;
    }
    for (uint32_t i = 0; i < plan->n_items; i++)
        plan->items[i].end = number[plan->items[i].end];
    free(number);
    free(stack);
}

/* The tokens stay; what finds a node by its tokens has done its work. */
static void drop_tree(PrefixTree *tree) {
    free(tree->nodes);
    free(tree->table);
    tree->nodes = NULL;
    tree->table = NULL;
}

/* ---- settling: which requests want something of which nodes */

/* Goes up from a request's end through the nodes that hold its targets; with `fill`, writes them down. */
static void visit_wants(Plan *plan, uint32_t item, bool fill) {
    const Item *it = &plan->items[item];
    int32_t next = it->last;
    if (it->is_prompt)
        return;
    for (uint32_t i = it->end;; i = plan->nodes[i].parent) {
        PlanNode *node = &plan->nodes[i];
        if (fill)
            plan->wants[--node->wants] = (Want){item, next};
        else
            node->wants++;
        if (node->depth < it->n_context)
            return;
        next = plan->tree.tokens[node->first];
    }
}

static void find_wants(Plan *plan) {
    size_t sum = 0;
    for (uint32_t i = 0; i < plan->n_items; i++)
        visit_wants(plan, i, false);
    for (uint32_t i = 0; i <= plan->n_nodes; i++) {
        sum += plan->nodes[i].wants;
        plan->nodes[i].wants = sum;
    }
    plan->wants = mem_alloc(sum * sizeof *plan->wants);
    for (uint32_t i = plan->n_items; i-- > 0;)
        visit_wants(plan, i, true);
}

/* ---- settling: which states are kept */

/* A state is kept where the tree branches, as long as the states kept above it, its own and that of the
 * longest sequence below it fit the budget together. Near the root comes first: those states save most. */
static void choose_kept(Plan *plan) {
    PlanNode *nodes = plan->nodes;
    uint32_t n = plan->n_nodes;
    uint32_t *children = mem_alloc_zero(n, sizeof *children),
             *kept_above = mem_alloc_zero(n, sizeof *kept_above);
    uint32_t *longest = mem_alloc_zero(n, sizeof *longest); /* tokens of the longest sequence through it */
    for (uint32_t i = n; i-- > 0;) {
        uint32_t end = node_end(&nodes[i]) + prompts_longest(plan, i);
        if (longest[i] < end)
            longest[i] = end;
        if (i > 0) {
            children[nodes[i].parent]++;
            if (longest[nodes[i].parent] < longest[i])
                longest[nodes[i].parent] = longest[i];
        }
    }
    size_t slack = BLOCK_SLACK_TOKENS * plan->bytes_per_token;
    for (uint32_t i = 0; i < n; i++) {
        PlanNode *node = &nodes[i];
        const PlanNode *parent = &nodes[node->parent];
        node->base = parent->is_kept ? node->parent : parent->base;
        size_t each = plan->bytes_fixed + 256 + longest[i] + slack;
        size_t bytes = (kept_above[node->base] + 2) * each + longest[i] * plan->bytes_per_token;
        bool branches = children[i] > 1 || (children[i] > 0 && node->generates);
        node->is_kept = i == 0 || (branches && bytes <= plan->budget);
        kept_above[i] = kept_above[node->base] + (i > 0 && node->is_kept);
    }
    free(children);
    free(kept_above);
    free(longest);
}

/* Positions of a node that requests have targets at: from some position on, all to the node's end. */
static size_t count_rows(const Plan *plan, uint32_t i) {
    const PlanNode *node = &plan->nodes[i];
    uint32_t end = node_end(node), first = end;
    for (size_t w = node[0].wants; w < node[1].wants; w++) {
        uint32_t target = first_target(plan, node, &plan->wants[w]);
        first = target < first ? target : first;
    }
    return end - first;
}

/* How long prompts are, on average. */
static double prompt_length(const Plan *plan) {
    double sum = 0;
    for (size_t i = 0; i < plan->n_prompts; i++)
        sum += node_end(&plan->nodes[plan->prompts[i].node]);
    return plan->n_prompts ? sum / (double)plan->n_prompts : 0;
}

static void weigh(Plan *plan, const ModelInfo *model) {
    double embedding = (double)model->vocab_size * (double)model->hidden_size;
    double weights = (double)model->n_parameters - embedding;
    size_t n_attention = 0;
    for (int64_t i = 0; model->mixers && i < model->n_layers; i++)
        n_attention += model->mixers[i] == MIXER_ATTENTION || model->mixers[i] == MIXER_MLA;
    plan->cost_per_token = weights > 0 ? 2 * weights : 1;
    plan->cost_per_key = 4 * (double)model->hidden_size * (double)n_attention;
    plan->cost_per_row = 2 * embedding;
    plan->cost_per_made =
        plan->cost_per_token + plan->cost_per_row + plan->cost_per_key * prompt_length(plan);
    for (uint32_t i = 0; i < plan->n_nodes; i++)
        plan->work_all.operations[WORK_HEAD] += (double)count_rows(plan, i) * plan->cost_per_row;
}

static void count_units(Plan *plan) {
    PlanNode *nodes = plan->nodes;
    size_t fed = 0;
    for (uint32_t i = plan->n_nodes; i-- > 1;) {
        if (!is_unit(nodes, i))
            continue;
        PlanNode *base = &nodes[nodes[i].base];
        size_t state = is_passing(plan, i, 0) ? passing_bytes(plan, i) : unit_bytes(plan, i);
        size_t bytes = state + prompts_bytes(plan, i) + nodes[i].below;
        base->pending++;
        base->open++;
        base->below = base->below > bytes ? base->below : bytes;
        fed += segment_tokens(nodes, i);
        plan->work_all = eta_work_sum(plan->work_all, segment_work(plan, i, 0));
        plan->counts.n_states += nodes[i].is_kept;
    }
    plan->counts.tokens_again = fed - plan->counts.tokens_distinct;
    plan->counts.state_bytes = nodes[0].below;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* What the walk keeps within. Of two long contexts the second one is fed with the few tokens that are left of
 * the first, or the engine would be given hardly any of them at a time. */
static size_t room(const Plan *plan) {
    if (plan->narrow == 0 || plan->n_prompts > 0)
        return plan->budget;
    return smaller(plan->budget, larger(plan->narrow, 2 * plan->counts.state_bytes));
}

void plan_narrow(Plan *plan, size_t bytes) {
    plan->narrow = bytes;
}

void plan_settle(Plan *plan, const ModelInfo *model, size_t budget_bytes) {
    plan->bytes_per_token = model->state_bytes_per_token;
    plan->bytes_fixed = model->state_bytes_fixed;
    plan->block_tokens = larger(model->state_block_tokens, 1);
    plan->passing_per_token = model->passing_bytes_per_token;
    plan->passing_fixed = model->passing_bytes_fixed;
    plan->tile_tokens = model->tile_tokens;
    plan->vocab_size = (size_t)model->vocab_size;
    plan->budget = budget_bytes;
    plan->counts.n_requests = plan->n_items;
    plan->counts.tokens_distinct = plan->tree.n_tokens;
    number_nodes(plan);
    drop_tree(&plan->tree);
    prompts_settle(plan);
    find_wants(plan);
    weigh(plan, model);
    choose_kept(plan);
    count_units(plan);
    plan->room = room(plan);
    plan->states = mem_alloc_zero(plan->n_nodes, sizeof(State *));
    plan_push(&plan->stack, &plan->n_stack, &plan->stack_capacity, 0);
}

PlanCounts plan_counts(const Plan *plan) {
    return plan->counts;
}

const uint32_t *plan_answered(const Plan *plan, size_t *n) {
    *n = plan->n_answered;
    return plan->answered;
}

Answer plan_answer(const Plan *plan, uint32_t request) {
    return plan->items[request].answer;
}

size_t plan_tokens_fed(const Plan *plan) {
    return plan->tokens_fed;
}

size_t plan_tokens_made(const Plan *plan) {
    return plan->tokens_made;
}

size_t plan_prompts_done(const Plan *plan) {
    return plan->prompts_done;
}

EtaWork plan_work_done(const Plan *plan) {
    EtaWork work = plan->work_done;
    work.operations[WORK_GENERATING] = (double)plan->tokens_made * plan->cost_per_made;
    return work;
}

/* Whenever a text is about to go on, it has as long to go as any other on average: all tokens so far by the
 * texts that ended. That counts what the unfinished ones have so far, as the mean length of the finished
 * ones, which at first are the short ones, does not. And none becomes longer than it may. */
static double tokens_to_make(const Plan *plan) {
    double prompts = (double)(plan->counts.n_prompts - plan->prompts_done);
    if (prompts <= 0)
        return 0;
    double unfinished = (double)(plan->tokens_made - plan->tokens_of_done);
    double longest = (double)plan->counts.tokens_to_make / (double)plan->counts.n_prompts;
    double most = fmax(prompts * longest - unfinished, 0);
    return plan->prompts_done ? fmin(prompts * (double)plan->tokens_made / (double)plan->prompts_done, most)
                              : most;
}

EtaWork plan_work_left(const Plan *plan) {
    EtaWork left = eta_work_difference(plan->work_all, plan->work_done);
    left.operations[WORK_GENERATING] = tokens_to_make(plan) * plan->cost_per_made;
    return left;
}

size_t plan_room_bytes(const Plan *plan) {
    return plan->room;
}

size_t plan_peak_bytes(const Plan *plan) {
    return plan->peak;
}
