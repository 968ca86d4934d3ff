/* A prefix tree over token sequences, built as they come: two sequences share the nodes of what they have in
 * common at their beginning.
 *
 * Invariants: a node holds one or more tokens, the root none; the children of a node begin with different
 * tokens; every added sequence ends where some node ends. So the tokens of all nodes together are one for
 * each distinct prefix, and the tree's memory grows with those, not with the sequences. Adding takes time in
 * proportion to the sequence's length. */
#ifndef ZEVAL_EVAL_TREE_H
#define ZEVAL_EVAL_TREE_H

#include <stddef.h>
#include <stdint.h>

enum { TREE_ROOT = 0 };
#define TREE_NONE UINT32_MAX

typedef struct TreeNode {
    size_t first; /* its tokens are tokens[first, first + n) of the tree */
    uint32_t n;
    uint32_t parent;
    uint32_t child;          /* the one added last */
    uint32_t next, previous; /* siblings: the one added before, the one added after */
} TreeNode;

typedef struct PrefixTree {
    int32_t *tokens; /* one for each distinct prefix */
    size_t n_tokens, tokens_capacity;
    TreeNode *nodes;
    uint32_t n_nodes, nodes_capacity;
    uint32_t *table; /* nodes by parent and first token, open addressing; 0: empty */
    size_t table_size;
} PrefixTree;

void tree_init(PrefixTree *tree);
void tree_free(PrefixTree *tree);
/* Adds a sequence (n >= 1) and returns the node that ends where it ends. That stays true of the node's number
 * whatever is added later. */
uint32_t tree_add(PrefixTree *tree, const int32_t *tokens, size_t n);

#endif
