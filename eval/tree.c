/* See tree.h. */
#include "eval/tree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { FIRST_TABLE_SIZE = 1024 };

void tree_init(PrefixTree *tree) {
    *tree = (PrefixTree){.n_nodes = 1, .nodes_capacity = 256, .table_size = FIRST_TABLE_SIZE};
    tree->nodes = mem_alloc_zero(tree->nodes_capacity, sizeof *tree->nodes);
    tree->nodes[TREE_ROOT] =
        (TreeNode){.parent = TREE_NONE, .child = TREE_NONE, .next = TREE_NONE, .previous = TREE_NONE};
    tree->table = mem_alloc_zero(tree->table_size, sizeof *tree->table);
}

void tree_free(PrefixTree *tree) {
    free(tree->tokens);
    free(tree->nodes);
    free(tree->table);
    *tree = (PrefixTree){0};
}

/* ---- finding a child */

/* The place of the child of `parent` that begins with `token`, or the empty place where it would go. */
static size_t table_place(const PrefixTree *tree, uint32_t parent, int32_t token) {
    uint64_t mixed = ((uint64_t)parent << 32 | (uint32_t)token) * 0x9E3779B97F4A7C15u;
    size_t mask = tree->table_size - 1, at = (size_t)(mixed >> 32) & mask;
    for (; tree->table[at]; at = (at + 1) & mask) {
        const TreeNode *node = &tree->nodes[tree->table[at]];
        if (node->parent == parent && tree->tokens[node->first] == token)
            break;
    }
    return at;
}

static void table_put(PrefixTree *tree, uint32_t node) {
    const TreeNode *put = &tree->nodes[node];
    tree->table[table_place(tree, put->parent, tree->tokens[put->first])] = node;
}

/* At most half full, so that a search ends soon. */
static void table_grow(PrefixTree *tree) {
    if (tree->n_nodes < tree->table_size / 2)
        return;
    free(tree->table);
    tree->table_size *= 2;
    tree->table = mem_alloc_zero(tree->table_size, sizeof *tree->table);
    for (uint32_t i = 1; i < tree->n_nodes; i++)
        table_put(tree, i);
}

/* ---- adding nodes */

static uint32_t new_node(PrefixTree *tree, TreeNode node) {
    if (tree->n_nodes == tree->nodes_capacity) {
        tree->nodes_capacity *= 2;
        tree->nodes = mem_realloc(tree->nodes, tree->nodes_capacity * sizeof *tree->nodes);
    }
    tree->nodes[tree->n_nodes] = node;
    return tree->n_nodes++;
}

static uint32_t add_leaf(PrefixTree *tree, uint32_t parent, const int32_t *tokens, size_t n) {
    while (tree->n_tokens + n > tree->tokens_capacity) {
        tree->tokens_capacity = tree->tokens_capacity ? tree->tokens_capacity * 2 : 4096;
        tree->tokens = mem_realloc(tree->tokens, tree->tokens_capacity * sizeof *tree->tokens);
    }
    memcpy(tree->tokens + tree->n_tokens, tokens, n * sizeof *tokens);
    uint32_t sibling = tree->nodes[parent].child;
    uint32_t leaf = new_node(tree, (TreeNode){.first = tree->n_tokens,
                                              .n = (uint32_t)n,
                                              .parent = parent,
                                              .child = TREE_NONE,
                                              .next = sibling,
                                              .previous = TREE_NONE});
    if (sibling != TREE_NONE)
        tree->nodes[sibling].previous = leaf;
    tree->nodes[parent].child = leaf;
    tree->n_tokens += n;
    table_put(tree, leaf);
    table_grow(tree);
    return leaf;
}

/* Cuts a node after its first n tokens. The lower part keeps the number, because sequences that end at the
 * node end there; the upper part takes the node's place below its parent. */
static uint32_t split(PrefixTree *tree, uint32_t lower, uint32_t n) {
    TreeNode old = tree->nodes[lower];
    size_t place = table_place(tree, old.parent, tree->tokens[old.first]);
    TreeNode above = old;
    above.n = n;
    above.child = lower;
    uint32_t upper = new_node(tree, above);
    if (old.previous != TREE_NONE)
        tree->nodes[old.previous].next = upper;
    else
        tree->nodes[old.parent].child = upper;
    if (old.next != TREE_NONE)
        tree->nodes[old.next].previous = upper;
    TreeNode *below = &tree->nodes[lower];
    below->first += n;
    below->n -= n;
    below->parent = upper;
    below->next = below->previous = TREE_NONE;
    tree->table[place] = upper;
    table_put(tree, lower);
    table_grow(tree);
    return upper;
}

static uint32_t common_length(const int32_t *a, const int32_t *b, size_t n) {
    size_t at = 0;
    while (at < n && a[at] == b[at])
        at++;
    return (uint32_t)at;
}

uint32_t tree_add(PrefixTree *tree, const int32_t *tokens, size_t n) {
    uint32_t node = TREE_ROOT;
    for (size_t at = 0; at < n;) {
        uint32_t child = tree->table[table_place(tree, node, tokens[at])];
        if (!child)
            return add_leaf(tree, node, tokens + at, n - at);
        const TreeNode *found = &tree->nodes[child];
        size_t most = n - at < found->n ? n - at : found->n;
        uint32_t common = common_length(tokens + at, tree->tokens + found->first, most);
        node = common < found->n ? split(tree, child, common) : child;
        at += common;
    }
    return node;
}
