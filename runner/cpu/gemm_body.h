/* Linear layers over weights in their files' layout: one instruction set's table. The including file defines
 * GEMM_STRIPS, and GEMM_FUNCTION, the name of the table. With vec_dot(sum, a, b), which adds the products of
 * a's and b's pairs of bfloat16, inputs and weights are such pairs, and there are vec_pairs, vec_pair_lanes,
 * vec_fours (four floats from memory, again and again) and vec_rotate (each lane has what the next one had);
 * without it they are multiplied in float32, weights of either type.
 *
 * Whichever kernel it comes from, an output is the same chain of multiply-adds over k (or pairs of k) inside
 * each block of K_BLOCK or K_BLOCK_PAIRS, and the blocks are added in order. */
#include "runner/cpu/lanes.h"

#include "runner/cpu/gemm_words_body.h"

#include "runner/cpu/gemm_wide_body.h"

#include "runner/cpu/gemm_narrow_body.h"

#include "runner/cpu/gemm_tile_body.h"

#include "runner/cpu/attention_body.h"

const GemmKernels *GEMM_FUNCTION(void) {
    static const GemmKernels table = {.lanes = VEC_FLOATS,
                                      .rows = GEMM_STRIPS * VEC_FLOATS,
                                      .inputs_per_word = INPUTS_PER_WORD,
                                      .pack = gemm_pack,
                                      .pack_words = gemm_pack_words,
                                      .pack_row = gemm_pack_row,
                                      .wide = gemm_wide,
                                      .narrow = gemm_narrow,
                                      .unpack = gemm_unpack,
                                      .gate = gemm_gate,
                                      .summarise = gemm_summarise,
                                      .attend_weigh = attend_weigh,
                                      .attend_share = attend_share,
                                      .attend_weigh_rows = attend_weigh_rows,
                                      .attend_share_rows = attend_share_rows};
    return &table;
}
