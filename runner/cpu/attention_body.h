/* Scores, softmax and weighted sums over cache blocks, over lanes.h. */

/* Query rows whose sums fit the registers. */
enum { ROWS_AT_ONCE = LANE_VECS == 1 ? 8 : LANE_VECS == 2 ? 4 : 2 };

ALWAYS_INLINE void scores_of_rows(const int rows, float *scores, size_t scores_stride, const float *const *q,
                                  const float *keys, size_t width, float scale) {
    Lanes sum[ATTEND_ROWS];
    for (int r = 0; r < rows; r++)
        sum[r] = lanes_set1(0.0f);
    for (size_t d = 0; d < width; d++) {
        Lanes key = lanes_load(keys + d * BLOCK_TOKENS);
        for (int r = 0; r < rows; r++)
            sum[r] = lanes_fma(lanes_set1(q[r][d]), key, sum[r]);
    }
    for (int r = 0; r < rows; r++)
        lanes_store(scores + (size_t)r * scores_stride, lanes_multiply(sum[r], lanes_set1(scale)));
}

static void attend_scores(float *scores, size_t scores_stride, const float *const *q, size_t n_rows,
                          const float *keys, size_t width, float scale) {
    size_t r = 0;
    for (; r + ROWS_AT_ONCE <= n_rows; r += ROWS_AT_ONCE)
        scores_of_rows(ROWS_AT_ONCE, scores + r * scores_stride, scores_stride, q + r, keys, width, scale);
    for (; r < n_rows; r++)
        scores_of_rows(1, scores + r * scores_stride, scores_stride, q + r, keys, width, scale);
}

static float attend_softmax(float *scores, size_t n) {
    size_t last = (n - 1) / LANES * LANES, n_last = n - last;
    Lanes largest = lanes_join(lanes_load(scores + last), lanes_set1(-INFINITY), n_last);
    for (size_t i = 0; i < last; i += LANES)
        largest = lanes_max(largest, lanes_load(scores + i));
    Lanes minus_max = lanes_set1(-lanes_largest(largest)), sum = lanes_set1(0.0f), weight;
    for (size_t i = 0; i < last; i += LANES) {
        weight = lanes_exp(lanes_add(lanes_load(scores + i), minus_max));
        lanes_store(scores + i, weight);
        sum = lanes_add(sum, weight);
    }
    weight = lanes_exp(lanes_add(lanes_load(scores + last), minus_max));
    weight = lanes_join(weight, lanes_set1(0.0f), n_last);
    lanes_store(scores + last, weight);
    return lanes_sum(lanes_add(sum, weight));
}

/* Rows are taken together as long as all of them have a weight for a token, to have several sums in flight.
 */
ALWAYS_INLINE void values_of_rows(const int rows, float *out, size_t out_stride, const float *scores,
                                  size_t scores_stride, const size_t *counts, const float *values,
                                  size_t values_stride, size_t width) {
    size_t common = counts[0];
    for (int r = 1; r < rows; r++)
        common = counts[r] < common ? counts[r] : common;
    for (size_t d = 0; d < width; d += LANES) {
        Lanes sum[ATTEND_ROWS];
        for (int r = 0; r < rows; r++)
            sum[r] = lanes_load(out + (size_t)r * out_stride + d);
        for (size_t j = 0; j < common; j++) {
            Lanes value = lanes_load(values + j * values_stride + d);
            for (int r = 0; r < rows; r++)
                sum[r] = lanes_fma(lanes_set1(scores[(size_t)r * scores_stride + j]), value, sum[r]);
        }
        for (int r = 0; r < rows; r++) {
            for (size_t j = common; j < counts[r]; j++)
                sum[r] = lanes_fma(lanes_set1(scores[(size_t)r * scores_stride + j]),
                                   lanes_load(values + j * values_stride + d), sum[r]);
            lanes_store(out + (size_t)r * out_stride + d, sum[r]);
        }
    }
}

static void attend_values(float *out, size_t out_stride, const float *scores, size_t scores_stride,
                          const size_t *counts, size_t n_rows, const float *values, size_t values_stride,
                          size_t width) {
    size_t r = 0;
    for (; r + ROWS_AT_ONCE <= n_rows; r += ROWS_AT_ONCE)
        values_of_rows(ROWS_AT_ONCE, out + r * out_stride, out_stride, scores + r * scores_stride,
                       scores_stride, counts + r, values, values_stride, width);
    for (; r < n_rows; r++)
        values_of_rows(1, out + r * out_stride, out_stride, scores + r * scores_stride, scores_stride,
                       counts + r, values, values_stride, width);
}
