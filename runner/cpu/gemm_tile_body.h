/* Tiles of outputs as the kernel for many rows leaves them, columns first: turned to rows, gated and packed
 * for what follows, or summarised for a softmax. */

/* A square of outputs, or the part of it that is there. */
ALWAYS_INLINE void unpack_square(float *y, size_t y_stride, const float *tile, size_t tile_stride,
                                 size_t rows, size_t columns, const float *bias, const bool round) {
    Vec a[VEC_FLOATS], add = bias ? vec_load_part(bias, columns) : vec_set1(0.0f);
    for (size_t c = 0; c < VEC_FLOATS; c++, tile += tile_stride) {
        COMPUTE_HERE(tile);
        a[c] = c < columns ? vec_load(tile) : vec_set1(0.0f);
    }
    vec_turn(a);
    for (size_t r = 0; r < VEC_FLOATS && r < rows; r++, y += y_stride) {
        Vec sum = a[r];
        if (bias)
            sum += add;
        if (round)
            sum = vec_round(sum);
        COMPUTE_HERE(y);
        memcpy(y, &sum, columns * sizeof *y);
    }
}

ALWAYS_INLINE void unpack_squares(float *y, size_t y_stride, const float *tile, size_t tile_stride,
                                  size_t rows, size_t columns, const float *bias, const bool round) {
    for (size_t row = 0; row < rows; row += VEC_FLOATS)
        for (size_t column = 0; column < columns; column += VEC_FLOATS) {
            float *to = y + row * y_stride + column;
            const float *from = tile + column * tile_stride + row, *add = bias ? bias + column : NULL;
            size_t r = rows - row, c = columns - column;
            if (r < VEC_FLOATS || c < VEC_FLOATS)
                unpack_square(to, y_stride, from, tile_stride, r, c < VEC_FLOATS ? c : VEC_FLOATS, add,
                              round);
            else
                unpack_square(to, y_stride, from, tile_stride, VEC_FLOATS, VEC_FLOATS, add, round);
        }
}

static void gemm_unpack(float *y, size_t y_stride, const float *tile, size_t tile_stride, size_t rows,
                        size_t columns, const float *bias, bool round) {
    if (round && bias)
        unpack_squares(y, y_stride, tile, tile_stride, rows, columns, bias, true);
    else if (round)
        unpack_squares(y, y_stride, tile, tile_stride, rows, columns, NULL, true);
    else if (bias)
        unpack_squares(y, y_stride, tile, tile_stride, rows, columns, bias, false);
    else
        unpack_squares(y, y_stride, tile, tile_stride, rows, columns, NULL, false);
}

/* n columns from `first` on. In three passes, each with few operations in a row: in one, a vector takes so
 * many that too few vectors are under way at once to fill the time that each operation waits for the last. */
ALWAYS_INLINE void gate_columns(float *out, const GateTile *tile, size_t first, size_t n, size_t width,
                                const bool biases, const bool round) {
    float *gate = tile->gate + first * tile->stride;
    const float *factor = tile->factor + first * tile->stride;
    const float *gate_bias = biases && tile->gate_bias ? tile->gate_bias + first : NULL,
                *factor_bias = biases && tile->factor_bias ? tile->factor_bias + first : NULL;
    for (size_t c = 0; c < n && (round || biases); c++)
        for (size_t row = 0; row < width; row += VEC_FLOATS) {
            UnalignedVec *a = (UnalignedVec *)(gate + c * tile->stride + row);
            Vec sum = *a;
            if (gate_bias)
                sum += vec_set1(gate_bias[c]);
            if (round)
                sum = vec_round(sum);
            *a = sum;
        }
    for (size_t c = 0; c < n; c++)
        for (size_t row = 0; row < width; row += VEC_FLOATS) {
            UnalignedVec *a = (UnalignedVec *)(gate + c * tile->stride + row);
            *a = vec_silu(*a);
        }
    for (size_t c = 0; c < n; c += INPUTS_PER_WORD, out += width)
        for (size_t row = 0; row < width; row += VEC_FLOATS) {
            Vec words[INPUTS_PER_WORD];
            for (size_t j = 0; j < INPUTS_PER_WORD; j++) {
                if (c + j >= n) {
                    words[j] = vec_set1(0.0f);
                    continue;
                }
                Vec a = vec_load(gate + (c + j) * tile->stride + row),
                    b = vec_load(factor + (c + j) * tile->stride + row);
                if (factor_bias)
                    b += vec_set1(factor_bias[c + j]);
                if (round) {
                    a = vec_round(a);
                    b = vec_round(b);
                }
                words[j] = a * b;
            }
            *(UnalignedVec *)(out + row) = weight_word(words, round);
        }
}

/* A word's columns stay in their lanes: what `wide` left is packed without being turned. */
ALWAYS_INLINE void gate_tile(float *out, const GateTile *tile, const bool biases, const bool round) {
    enum { AT_ONCE = 4 };
    size_t width = (tile->rows + VEC_FLOATS - 1) / VEC_FLOATS * VEC_FLOATS;
    for (size_t c = 0; c < tile->columns; c += AT_ONCE, out += AT_ONCE / INPUTS_PER_WORD * width)
        if (tile->columns - c < AT_ONCE)
            gate_columns(out, tile, c, tile->columns - c, width, biases, round);
        else
            gate_columns(out, tile, c, AT_ONCE, width, biases, round);
}

static void gemm_gate(void *out, const GateTile *tile) {
    bool biases = tile->gate_bias || tile->factor_bias;
    if (tile->round && !biases)
        gate_tile(out, tile, false, true);
    else if (tile->round)
        gate_tile(out, tile, true, true);
    else
        gate_tile(out, tile, true, false);
}

/* One vector of rows. Column c's term goes to the partial sum c mod LANES, and those are joined, as lanes_sum
 * does it. */
ALWAYS_INLINE void summarise_rows(Vec *max, BitsVec *argmax, Vec *sum, float *tile, size_t tile_stride,
                                  size_t columns, bool round) {
    Vec terms[LANES];
    *max = vec_set1(-INFINITY);
    *argmax = (BitsVec){0};
    for (size_t c = 0; c < columns; c++) {
        Vec logit = vec_load(tile + c * tile_stride);
        if (round)
            *(UnalignedVec *)(tile + c * tile_stride) = logit = vec_round(logit);
        BitsVec larger = (BitsVec)(logit > *max), here = (uint32_t)c - (BitsVec){0};
        *argmax = (larger & here) | (~larger & *argmax);
        *max = vec_max(logit, *max);
    }
    for (int i = 0; i < LANES; i++)
        terms[i] = vec_set1(0.0f);
    for (size_t c = 0; c < columns; c += LANES)
        for (size_t i = 0; i < LANES && c + i < columns; i++)
            terms[i] += vec_exp(vec_load(tile + (c + i) * tile_stride) - *max);
    for (int i = 0; i < LANES / 4; i++)
        terms[i] = (terms[i] + terms[i + 8]) + (terms[i + 4] + terms[i + 12]);
    *sum = (terms[0] + terms[2]) + (terms[1] + terms[3]);
}

static void gemm_summarise(TileSummary *out, size_t out_stride, float *tile, size_t tile_stride, size_t rows,
                           size_t columns, bool round) {
    for (size_t row = 0; row < rows; row += VEC_FLOATS) {
        Vec max, sum;
        BitsVec argmax;
        summarise_rows(&max, &argmax, &sum, tile + row, tile_stride, columns, round);
        for (size_t r = 0; r < VEC_FLOATS && row + r < rows; r++)
            out[(row + r) * out_stride] = (TileSummary){max[r], (int32_t)argmax[r], (double)sum[r]};
    }
}
