/* Softmax over tiles of keys, queries in the lanes: no lane ever meets another one, so that maximum and sum
 * are plain vectors. Of the same vectors as the linear layers' kernels, whose packed inputs the weights
 * become. Weights are powers of two of scores times scale * log2(e). */

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

/* a where the key counts for the lane, b elsewhere. */
ALWAYS_INLINE Vec where_counting(const AttendTile *tile, size_t lane, size_t key, Vec a, Vec b) {
    BitsVec first, end, at = (uint32_t)key - (BitsVec){0};
    memcpy(&first, tile->first + lane, sizeof first);
    memcpy(&end, tile->end + lane, sizeof end);
    BitsVec counts = (BitsVec)(first <= at) & (BitsVec)(at < end);
    return (Vec)((counts & (BitsVec)a) | (~counts & (BitsVec)b));
}

/* One vector of lanes; returns its factor. */
ALWAYS_INLINE Vec weigh_lanes(const AttendTile *tile, size_t lane, const bool masked) {
    const Vec scale = vec_set1(tile->scale), lowest = vec_set1(ATTEND_NO_MAX);
    const float *scores = tile->scores + lane;
    Vec before = vec_load(tile->max + lane), largest = lowest, total = vec_set1(0.0f);
    for (size_t i = 0; i < tile->n; i++) {
        Vec a = vec_load(scores + i * tile->width);
        largest = vec_max(masked ? where_counting(tile, lane, i, a, lowest) : a, largest);
    }
    largest = vec_max(largest * scale, before);
    for (size_t i = 0; i < tile->n; i += INPUTS_PER_WORD) {
        Vec a[INPUTS_PER_WORD];
        for (size_t j = 0; j < INPUTS_PER_WORD; j++) {
            a[j] = vec_power_of_two(vec_fma(vec_load(scores + (i + j) * tile->width), scale, -largest));
            if (masked)
                a[j] = where_counting(tile, lane, i + j, a[j], vec_set1(0.0f));
            total += a[j];
        }
        *(UnalignedVec *)(tile->weights + i / INPUTS_PER_WORD * tile->width + lane) =
            weight_word(a, tile->round);
    }
    Vec factor = vec_power_of_two(before - largest);
    *(UnalignedVec *)(tile->sum + lane) = vec_fma(vec_load(tile->sum + lane), factor, total);
    *(UnalignedVec *)(tile->max + lane) = largest;
    return factor;
}

/* sums[i][lane] *= factor */
static void shrink_lanes(const AttendTile *tile, size_t lane, Vec factor) {
    for (size_t i = 0; i < tile->n_sums; i++) {
        UnalignedVec *sum = (UnalignedVec *)(tile->sums + i * tile->width + lane);
        *sum *= factor;
    }
}

static void attend_weigh(const AttendTile *tile) {
    for (size_t lane = 0; lane < tile->width; lane += VEC_FLOATS) {
        Vec factor = tile->all_count ? weigh_lanes(tile, lane, false) : weigh_lanes(tile, lane, true);
        BitsVec changed = (BitsVec)(factor != vec_set1(1.0f));
        uint32_t any = 0;
        for (size_t i = 0; i < VEC_FLOATS; i++)
            any |= changed[i];
        if (any)
            shrink_lanes(tile, lane, factor);
    }
}

/* sums[i][lane] /= sum */
static void attend_share(const AttendTile *tile) {
    for (size_t lane = 0; lane < tile->width; lane += VEC_FLOATS)
        shrink_lanes(tile, lane, vec_set1(1.0f) / vec_load(tile->sum + lane));
}
