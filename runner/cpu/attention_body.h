/* Softmax over tiles of keys, queries in the lanes: no lane ever meets another one, so that maximum and sum
 * are plain vectors. Of the same vectors as the linear layers' kernels, whose packed inputs the weights
 * become. Weights are powers of two of scores times scale * log2(e).
 *
 * A few queries, as in decoding, would leave most lanes empty: then keys are in the lanes, and only the sum,
 * whose order is the keys', goes from one to the next. */

/* 2^x for x <= 0, the value at -126 below; exactly 1 at 0, within 2e-7 elsewhere, NaN stays NaN. The integer
 * nearest to x goes into the exponent bits; for the rest, in [-1/2, 1/2], a polynomial of least relative
 * error (Remez) with 1 at 0. */
ALWAYS_INLINE Vec vec_power_of_two(Vec x) {
    const Vec magic = vec_set1(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
    x = vec_max(vec_set1(-126.0f), x);
    Vec shifted = x + magic;
    Vec r = x - (shifted - magic);
    Vec p = vec_set1(0x1.5bba14p-10f);
    p = vec_fma(p, r, vec_set1(0x1.3cea88p-7f));
    p = vec_fma(p, r, vec_set1(0x1.c6b752p-5f));
    p = vec_fma(p, r, vec_set1(0x1.ebf9bcp-3f));
    p = vec_fma(p, r, vec_set1(0x1.62e42ap-1f));
    p = vec_fma(p, r, vec_set1(1.0f));
    return (Vec)((BitsVec)p + ((BitsVec)shifted << 23)); /* the low bits of `shifted` are the integer */
}

enum { WEIGH_VECS = 4 };

/* a where the key counts for the lane, b elsewhere. */
ALWAYS_INLINE Vec where_counting(const AttendTile *tile, size_t lane, size_t key, Vec a, Vec b) {
    BitsVec first, end, at = (uint32_t)key - (BitsVec){0};
    memcpy(&first, tile->first + lane, sizeof first);
    memcpy(&end, tile->end + lane, sizeof end);
    BitsVec counts = (BitsVec)(first <= at) & (BitsVec)(at < end);
    return (Vec)((counts & (BitsVec)a) | (~counts & (BitsVec)b));
}

/* The largest score of the lanes' keys, scaled, and of the tiles before. */
ALWAYS_INLINE void find_largest(Vec largest[], const AttendTile *tile, size_t lane, const size_t vecs,
                                const bool masked) {
    const Vec scale = vec_set1(tile->scale), lowest = vec_set1(ATTEND_NO_MAX);
    const float *scores = tile->scores + lane;
    for (size_t v = 0; v < vecs; v++)
        largest[v] = lowest;
    for (size_t i = 0; i < tile->n; i++, scores += tile->width)
        for (size_t v = 0; v < vecs; v++) {
            Vec a = vec_load(scores + v * VEC_FLOATS);
            largest[v] =
                vec_max(masked ? where_counting(tile, lane + v * VEC_FLOATS, i, a, lowest) : a, largest[v]);
        }
    for (size_t v = 0; v < vecs; v++)
        largest[v] = vec_max(largest[v] * scale, vec_load(tile->max + lane + v * VEC_FLOATS));
}

/* Some vectors of lanes side by side, since each is a chain of operations that wait for each other; their
 * factors. */
ALWAYS_INLINE void weigh_lanes(Vec factors[], const AttendTile *tile, size_t lane, const size_t vecs,
                               const bool masked) {
    const Vec scale = vec_set1(tile->scale);
    const size_t n = tile->n, width = tile->width; /* read once: what is stored below might be the tile */
    const float *scores = tile->scores + lane;
    float *weights = tile->weights + lane;
    const bool round = tile->round;
    Vec largest[WEIGH_VECS], total[WEIGH_VECS];
    find_largest(largest, tile, lane, vecs, masked);
    for (size_t v = 0; v < vecs; v++)
        total[v] = vec_set1(0.0f);
    for (size_t i = 0; i < n; i += INPUTS_PER_WORD, scores += INPUTS_PER_WORD * width, weights += width)
        for (size_t v = 0; v < vecs; v++) {
            Vec a[INPUTS_PER_WORD];
            for (size_t j = 0; j < INPUTS_PER_WORD; j++) {
                Vec score = vec_load(scores + j * width + v * VEC_FLOATS);
                a[j] = vec_power_of_two(vec_fma(score, scale, -largest[v]));
                if (masked)
                    a[j] = where_counting(tile, lane + v * VEC_FLOATS, i + j, a[j], vec_set1(0.0f));
                total[v] += a[j];
            }
            *(UnalignedVec *)(weights + v * VEC_FLOATS) = weight_word(a, round);
        }
    for (size_t v = 0; v < vecs; v++) {
        float *max = tile->max + lane + v * VEC_FLOATS, *sum = tile->sum + lane + v * VEC_FLOATS;
        factors[v] = vec_power_of_two(vec_load(max) - largest[v]);
        *(UnalignedVec *)sum = vec_fma(vec_load(sum), factors[v], total[v]);
        *(UnalignedVec *)max = largest[v];
    }
}

/* sums[i][lane] *= factor */
static void shrink_lanes(const AttendTile *tile, size_t lane, Vec factor) {
    float *sums = tile->sums + lane;
    const size_t n = tile->n_sums, width = tile->width;
    for (size_t i = 0; i < n; i++, sums += width)
        *(UnalignedVec *)sums *= factor;
}

/* As many vectors as there are from `lane` on, but for WEIGH_VECS at most; returns how many. */
ALWAYS_INLINE size_t weigh_some(Vec factors[], const AttendTile *tile, size_t lane, const bool masked) {
    size_t rest = (tile->width - lane) / VEC_FLOATS;
    switch (rest) {
    case 1:
        weigh_lanes(factors, tile, lane, 1, masked);
        return 1;
    case 2:
        weigh_lanes(factors, tile, lane, 2, masked);
        return 2;
    case 3:
        weigh_lanes(factors, tile, lane, 3, masked);
        return 3;
    default:
        weigh_lanes(factors, tile, lane, WEIGH_VECS, masked);
        return WEIGH_VECS;
    }
}

static void attend_weigh(const AttendTile *tile) {
    for (size_t lane = 0; lane < tile->width;) {
        Vec factors[WEIGH_VECS];
        size_t n =
            tile->all_count ? weigh_some(factors, tile, lane, false) : weigh_some(factors, tile, lane, true);
        for (size_t v = 0; v < n; v++, lane += VEC_FLOATS)
            if (!vec_equal(factors[v], vec_set1(1.0f)))
                shrink_lanes(tile, lane, factors[v]);
    }
}

/* sums[i][lane] /= sum */
static void attend_share(const AttendTile *tile) {
    for (size_t lane = 0; lane < tile->width; lane += VEC_FLOATS)
        shrink_lanes(tile, lane, vec_set1(1.0f) / vec_load(tile->sum + lane));
}

/* ---- a few rows */

/* Of the keys from `key` on: a where they count for row r, b elsewhere. */
ALWAYS_INLINE Vec where_row_counts(const AttendRows *tile, size_t r, size_t key, Vec a, Vec b) {
    static const uint32_t numbers[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    if (tile->first[r] <= key && key + VEC_FLOATS <= tile->end[r])
        return a;
    BitsVec at;
    memcpy(&at, numbers, sizeof at);
    at += (uint32_t)key;
    BitsVec counts = (BitsVec)(at >= tile->first[r]) & (BitsVec)(at < tile->end[r]);
    return (Vec)((counts & (BitsVec)a) | (~counts & (BitsVec)b));
}

ALWAYS_INLINE Vec row_scores(const AttendRows *tile, size_t r, size_t key) {
    return vec_load(tile->scores + (key / VEC_FLOATS * tile->n_rows + r) * VEC_FLOATS);
}

/* The largest score of the row's keys, scaled, and of the tiles before. */
static float row_largest(const AttendRows *tile, size_t r) {
    const Vec lowest = vec_set1(ATTEND_NO_MAX);
    Vec largest = lowest;
    for (size_t key = 0; key < tile->n; key += VEC_FLOATS)
        largest = vec_max(where_row_counts(tile, r, key, row_scores(tile, r, key), lowest), largest);
    float most = largest[0];
    for (size_t i = 1; i < VEC_FLOATS; i++)
        most = largest[i] > most ? largest[i] : most;
    return vec_max(vec_set1(most) * vec_set1(tile->scale), vec_set1(tile->max[r]))[0];
}

/* To tile->row; returns their sum, in the order of the keys. */
static float row_weights(const AttendRows *tile, size_t r, float largest) {
    const Vec scale = vec_set1(tile->scale), zero = vec_set1(0.0f);
    float total = 0.0f;
    for (size_t key = 0; key < tile->n; key += VEC_FLOATS) {
        Vec a = vec_power_of_two(vec_fma(row_scores(tile, r, key), scale, -vec_set1(largest)));
        *(UnalignedVec *)(tile->row + key) = where_row_counts(tile, r, key, a, zero);
    }
    for (size_t key = 0; key < tile->n; key++)
        total += tile->row[key];
    return total;
}

static void scale_row(const AttendRows *tile, size_t r, float factor) {
    for (size_t i = 0; i < tile->n_sums; i += VEC_FLOATS) {
        UnalignedVec *sum = (UnalignedVec *)(tile->sums + (i * tile->n_rows + r * VEC_FLOATS));
        *sum *= vec_set1(factor);
    }
}

static void attend_weigh_rows(const AttendRows *tile) {
    for (size_t r = 0; r < tile->n_rows; r++) {
        float largest = row_largest(tile, r), total = row_weights(tile, r, largest),
              factor = vec_power_of_two(vec_set1(tile->max[r]) - vec_set1(largest))[0];
        for (size_t key = 0; INPUTS_PER_WORD == 1 && tile->round && key < tile->n; key += VEC_FLOATS)
            *(UnalignedVec *)(tile->row + key) = vec_round(vec_load(tile->row + key));
        gemm_pack_row(tile->weights + r * tile->stride, tile->row, tile->n);
        tile->sum[r] = vec_fma(vec_set1(tile->sum[r]), vec_set1(factor), vec_set1(total))[0];
        tile->max[r] = largest;
        if (factor != 1.0f)
            scale_row(tile, r, factor);
    }
}

static void attend_share_rows(const AttendRows *tile) {
    for (size_t r = 0; r < tile->n_rows; r++)
        scale_row(tile, r, (vec_set1(1.0f) / vec_set1(tile->sum[r]))[0]);
}
