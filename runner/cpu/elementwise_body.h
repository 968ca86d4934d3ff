/* Norms, activations, rotation, scans, log-softmax over a tile of the vocabulary: one row or one step at a
 * time, over lanes.h. */

/* 1 / sqrt(mean of squares + eps) */
ALWAYS_INLINE float rms_scale(const float *x, size_t n, float eps) {
    Lanes squares = lanes_set1(0.0f);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        Lanes a = lanes_load(x + i);
        squares = lanes_fma(a, a, squares);
    }
    if (i < n) {
        Lanes a = lanes_load_part(x + i, n - i);
        squares = lanes_fma(a, a, squares);
    }
    return 1.0f / sqrtf(lanes_sum(squares) / (float)n + eps);
}

static void rms_norm(float *y, const float *x, const float *weight, size_t n, float eps) {
    float scale = rms_scale(x, n, eps);
    for (size_t i = 0; i < n; i++)
        y[i] = weight[i] * (x[i] * scale);
}

static void rms_norm_bfloat16(float *y, const float *x, const float *weight, size_t n, float eps,
                              bool twice) {
    Lanes scale = lanes_set1(rms_scale(x, n, eps));
    for (size_t i = 0; i < n; i += LANES) {
        bool whole = i + LANES <= n;
        Lanes a = lanes_multiply(whole ? lanes_load(x + i) : lanes_load_part(x + i, n - i), scale);
        if (twice)
            a = lanes_round(a);
        a = lanes_multiply(whole ? lanes_load(weight + i) : lanes_load_part(weight + i, n - i), a);
        if (whole)
            lanes_store(y + i, lanes_round(a));
        else
            lanes_store_part(y + i, lanes_round(a), n - i);
    }
}

static void round_bfloat16(float *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(x + i, lanes_round(lanes_load(x + i)));
    if (i < n)
        lanes_store_part(x + i, lanes_round(lanes_load_part(x + i, n - i)), n - i);
}

/* The n numbers of x minus `centre`, squared and summed; with `squared` false summed as they are. */
ALWAYS_INLINE float sum_around(const float *x, size_t n, float centre, const bool squared) {
    Lanes sum = lanes_set1(0.0f);
    for (size_t i = 0; i < n; i += LANES) {
        Lanes a = i + LANES <= n ? lanes_load(x + i) : lanes_load_part(x + i, n - i);
        a = lanes_add(a, lanes_set1(-centre));
        if (i + LANES > n)
            a = lanes_join(a, lanes_set1(0.0f), n - i);
        sum = squared ? lanes_fma(a, a, sum) : lanes_add(sum, a);
    }
    return lanes_sum(sum);
}

static void layer_norm(float *y, const float *x, const float *weight, const float *bias, size_t n,
                       float eps) {
    float mean = sum_around(x, n, 0.0f, false) / (float)n;
    float scale = 1.0f / sqrtf(sum_around(x, n, mean, true) / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = weight[i] * ((x[i] - mean) * scale) + bias[i];
}

/* n stored numbers in a row, widened. */
static void widen(float *out, const uint8_t *from, Dtype dtype, size_t n) {
    size_t i = 0;
    if (dtype == DTYPE_FLOAT16)
        for (; i + VEC_FLOATS <= n; i += VEC_FLOATS)
            *(UnalignedVec *)(out + i) = vec_widen(from + 2 * i, DTYPE_FLOAT16);
    for (; i < n; i++)
        out[i] = weight_element(from, dtype, i);
}

static void halve(uint16_t *out, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        out[i] = (uint16_t)(bits >> 16);
    }
}

static void add(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void silu_multiply(float *x, const float *y, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(x + i, lanes_multiply(lanes_silu(lanes_load(x + i)), lanes_load(y + i)));
    if (i < n)
        lanes_store_part(
            x + i, lanes_multiply(lanes_silu(lanes_load_part(x + i, n - i)), lanes_load_part(y + i, n - i)),
            n - i);
}

static void silu_multiply_bfloat16(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        bool whole = i + LANES <= n;
        Lanes a = lanes_round(lanes_silu(whole ? lanes_load(x + i) : lanes_load_part(x + i, n - i)));
        a = lanes_round(lanes_multiply(a, whole ? lanes_load(y + i) : lanes_load_part(y + i, n - i)));
        if (whole)
            lanes_store(x + i, a);
        else
            lanes_store_part(x + i, a, n - i);
    }
}

static void silu(float *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(x + i, lanes_silu(lanes_load(x + i)));
    if (i < n)
        lanes_store_part(x + i, lanes_silu(lanes_load_part(x + i, n - i)), n - i);
}

static void square_relu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < 0.0f ? 0.0f : x[i] * x[i];
}

static void rotate(float *x, const float *cosines, const float *sines, size_t half) {
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[half + i];
        x[i] = a * cosines[i] - b * sines[i];
        x[half + i] = b * cosines[i] + a * sines[i];
    }
}

/* The pairs (*a, *b), turned by the angles of cosines c and sines s. */
ALWAYS_INLINE void rotate_lanes_bfloat16(Lanes *a, Lanes *b, Lanes c, Lanes s) {
    c = lanes_round(c);
    s = lanes_round(s);
    Lanes minus_s = lanes_multiply(s, lanes_set1(-1.0f)), ac = lanes_round(lanes_multiply(*a, c)),
          bc = lanes_round(lanes_multiply(*b, c)), as = lanes_round(lanes_multiply(*a, s));
    *a = lanes_round(lanes_add(ac, lanes_round(lanes_multiply(*b, minus_s))));
    *b = lanes_round(lanes_add(bc, as));
}

static void rotate_bfloat16(float *x, const float *cosines, const float *sines, size_t half) {
    size_t i = 0;
    for (; i + LANES <= half; i += LANES) {
        Lanes a = lanes_load(x + i), b = lanes_load(x + half + i);
        rotate_lanes_bfloat16(&a, &b, lanes_load(cosines + i), lanes_load(sines + i));
        lanes_store(x + i, a);
        lanes_store(x + half + i, b);
    }
    if (i < half) {
        size_t n = half - i;
        Lanes a = lanes_load_part(x + i, n), b = lanes_load_part(x + half + i, n);
        rotate_lanes_bfloat16(&a, &b, lanes_load_part(cosines + i, n), lanes_load_part(sines + i, n));
        lanes_store_part(x + i, a, n);
        lanes_store_part(x + half + i, b, n);
    }
}

static void multiply_add(float *out, const float *a, const float *b, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(out + i, lanes_fma(lanes_load(a + i), lanes_load(b + i), lanes_load(out + i)));
    if (i < n)
        lanes_store_part(out + i,
                         lanes_fma(lanes_load_part(a + i, n - i), lanes_load_part(b + i, n - i),
                                   lanes_load_part(out + i, n - i)),
                         n - i);
}

static void interleave(float *out, const uint16_t *a, const uint16_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t word = (uint32_t)a[i] | (uint32_t)b[i] << 16;
        memcpy(out + i, &word, sizeof word);
    }
}

/* ---- log-softmax over a tile of the vocabulary */

static TileSummary summarise(const float *logits, size_t n) {
    TileSummary summary = {logits[0], 0, 0.0};
    size_t i = 0;
    Lanes largest = lanes_set1(-INFINITY);
    for (; i + LANES <= n; i += LANES)
        largest = lanes_max(largest, lanes_load(logits + i));
    float max = lanes_largest(largest);
    for (; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    for (i = 0; i < n; i++)
        if (logits[i] == max) {
            summary.max = max;
            summary.argmax = (int32_t)i;
            break;
        }
    Lanes minus_max = lanes_set1(-summary.max), sums = lanes_set1(0.0f);
    for (i = 0; i + LANES <= n; i += LANES)
        sums = lanes_add(sums, lanes_exp(lanes_add(lanes_load(logits + i), minus_max)));
    if (i < n) {
        Lanes terms = lanes_exp(lanes_add(lanes_load_part(logits + i, n - i), minus_max));
        sums = lanes_add(sums, lanes_join(terms, lanes_set1(0.0f), n - i));
    }
    summary.sum = (double)lanes_sum(sums);
    return summary;
}
