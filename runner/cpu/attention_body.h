/* Softmax over tiles of keys, over lanes.h. */

/* The scores of the LANES keys from `at` on, scaled; those outside [first, end) become `other`. */
ALWAYS_INLINE Lanes lanes_counting(Lanes a, size_t at, size_t first, size_t end, float other) {
    if (at + LANES <= first || at >= end)
        return lanes_set1(other);
    if (end < at + LANES)
        a = lanes_join(a, lanes_set1(other), end - at);
    return first > at ? lanes_join(lanes_set1(other), a, first - at) : a;
}

static float attend_weights(float *scores, size_t first, size_t end, size_t n, float scale, float *max,
                            float *sum) {
    Lanes largest = lanes_set1(*max), total = lanes_set1(0.0f);
    for (size_t i = 0; i < n; i += LANES) {
        Lanes a = lanes_multiply(lanes_load(scores + i), lanes_set1(scale));
        a = lanes_counting(a, i, first, end, -INFINITY);
        lanes_store(scores + i, a);
        largest = lanes_max(largest, a);
    }
    float new_max = lanes_largest(largest), factor[LANES];
    for (size_t i = 0; i < n; i += LANES) {
        Lanes weight = lanes_exp(lanes_add(lanes_load(scores + i), lanes_set1(-new_max)));
        weight = lanes_counting(weight, i, first, end, 0.0f);
        lanes_store(scores + i, weight);
        total = lanes_add(total, weight);
    }
    lanes_store(factor, lanes_exp(lanes_set1(*max - new_max)));
    *sum = *sum * factor[0] + lanes_sum(total);
    *max = new_max;
    return factor[0];
}

static void scale(float *x, float factor, size_t n) {
    for (size_t i = 0; i < n; i += LANES)
        lanes_store(x + i, lanes_multiply(lanes_load(x + i), lanes_set1(factor)));
}

static void interleave(float *out, const uint16_t *a, const uint16_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t word = (uint32_t)a[i] | (uint32_t)b[i] << 16;
        memcpy(out + i, &word, sizeof word);
    }
}
