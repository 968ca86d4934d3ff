/* State-space kernels, over lanes.h. A head's state is [state_width][stride], its channels fastest, so that
 * the sum over the state runs in one order for all channels at once; which channels are taken together
 * changes nothing. Per state and 16 channels a token costs three operations (decay, input, output) of which
 * only the last depends on its neighbour: SCAN_LANES groups of channels in flight hide its latency, and a
 * head's 64 x 64 floats stay in the first-level cache from token to token. */

enum { SCAN_LANES = LANE_VECS == 1 ? 4 : LANE_VECS == 2 ? 2 : 1 };

/* The channels from p on, `count` groups of LANES, of which `channels` exist. */
ALWAYS_INLINE void scan_lanes(const HeadScan *scan, size_t stride, size_t p, const int count,
                              size_t channels) {
    bool whole = channels == (size_t)count * LANES;
    for (size_t row = 0; row < scan->n_rows; row++) {
        const float *x = scan->x + row * scan->conv_stride + p, *b = scan->b + row * scan->conv_stride,
                    *c = scan->c + row * scan->conv_stride;
        float *state = scan->state + p, *y = scan->y + row * scan->y_stride + p;
        Lanes decay = lanes_set1(scan->decay[row * scan->decay_stride]);
        Lanes dt = lanes_set1(scan->dt ? scan->dt[row * scan->dt_stride] : 1.0f);
        Lanes values[SCAN_LANES], input[SCAN_LANES], sum[SCAN_LANES];
        for (int i = 0; i < count; i++) {
            values[i] = whole ? lanes_load(x + i * LANES) : lanes_load_part(x, channels);
            input[i] = lanes_multiply(dt, values[i]);
            sum[i] = lanes_set1(0.0f);
        }
        for (size_t n = 0; n < scan->state_width; n++, state += stride) {
            Lanes bn = lanes_set1(b[n]), cn = lanes_set1(c[n]);
            for (int i = 0; i < count; i++) {
                Lanes next = lanes_fma(input[i], bn, lanes_multiply(decay, lanes_load(state + i * LANES)));
                lanes_store(state + i * LANES, next);
                sum[i] = lanes_fma(cn, next, sum[i]);
            }
        }
        for (int i = 0; i < count; i++) {
            const float *skip = scan->skip + p + i * LANES;
            if (whole)
                lanes_store(y + i * LANES, lanes_add(sum[i], lanes_multiply(lanes_load(skip), values[i])));
            else
                lanes_store_part(
                    y, lanes_add(sum[i], lanes_multiply(lanes_load_part(skip, channels), values[i])),
                    channels);
        }
    }
}

static void scan_head(const HeadScan *scan) {
    size_t stride = (scan->width + LANES - 1) / LANES * LANES, p = 0;
    for (; p + SCAN_LANES * LANES <= scan->width; p += SCAN_LANES * LANES)
        scan_lanes(scan, stride, p, SCAN_LANES, SCAN_LANES * LANES);
    for (; p < scan->width; p += LANES)
        scan_lanes(scan, stride, p, 1, scan->width - p < LANES ? scan->width - p : LANES);
}

static void scan_channels(float *state, float *y, const float *x, const float *dt, const float *a,
                          const float *b, const float *c, size_t width) {
    Lanes dts = lanes_load(dt), input = lanes_multiply(dts, lanes_load(x)), sum = lanes_load(y);
    for (size_t n = 0; n < width; n++) {
        Lanes decay = lanes_exp(lanes_multiply(dts, lanes_load(a + n * LANES)));
        Lanes kept = lanes_multiply(decay, lanes_load(state + n * LANES));
        Lanes next = lanes_fma(input, lanes_set1(b[n]), kept);
        lanes_store(state + n * LANES, next);
        sum = lanes_fma(lanes_set1(c[n]), next, sum);
    }
    lanes_store(y, sum);
}

ALWAYS_INLINE Lanes convolve_lanes(Lanes sum, const float *const *in, const float *taps, size_t channels,
                                   size_t i, const bool silu, const bool rounds) {
    size_t left = channels - i;
    for (size_t j = 0; j < CONV_TAPS; j++) {
        const float *tap = taps + j * channels + i;
        sum = left >= LANES ? lanes_fma(lanes_load(tap), lanes_load(in[j] + i), sum)
                            : lanes_fma(lanes_load_part(tap, left), lanes_load_part(in[j] + i, left), sum);
    }
    if (silu)
        sum = lanes_silu(sum);
    return rounds ? lanes_round(sum) : sum;
}

static void convolve(float *out, const float *const *in, const float *taps, const float *bias,
                     size_t channels, bool silu, bool rounds) {
    size_t i = 0;
    for (; i + LANES <= channels; i += LANES)
        lanes_store(out + i, convolve_lanes(lanes_load(bias + i), in, taps, channels, i, silu, rounds));
    if (i < channels)
        lanes_store_part(
            out + i,
            convolve_lanes(lanes_load_part(bias + i, channels - i), in, taps, channels, i, silu, rounds),
            channels - i);
}

/* ln(1 + u) for u >= 0 to about 1 ulp: with w = 1 + u rounded, ln w plus what the rounding lost, (u - (w -
 * 1)) / w. ln w is the exponent of w times ln 2 and, of its mantissa m in [sqrt(1/2), sqrt(2)), 2 atanh(s), s
 * = (m - 1) / (m + 1), by a polynomial in s^2 (the coefficients of FreeBSD's logf). */
ALWAYS_INLINE Vec vec_log1p(Vec u) {
    const Vec one = vec_set1(1.0f);
    Vec w = one + u, lost = (u - (w - one)) / w;
    BitsVec bits = (BitsVec)w, exponent = (bits - 0x3f3504f3u) >> 23;
    Vec m = (Vec)(bits - (exponent << 23)), f = m - one, s = f / (f + vec_set1(2.0f)), z = s * s;
    /* the exponent as a float: 0 to 29 here, put below the point of 2^23 */
    Vec e = (Vec)(exponent | 0x4b000000u) - vec_set1(0x1p23f);
    Vec p = vec_fma(z, vec_set1(0.24279078841f), vec_set1(0.28498786688f));
    p = vec_fma(z, p, vec_set1(0.40000972152f));
    p = z * vec_fma(z, p, vec_set1(0.66666662693f));
    Vec half = vec_set1(0.5f) * f * f;
    Vec small = vec_fma(s, half + p, vec_fma(e, vec_set1(9.0580006145e-6f), lost)) - half + f;
    return vec_fma(e, vec_set1(6.9313812256e-1f), small);
}

ALWAYS_INLINE Lanes lanes_softplus(Lanes a) {
    FOR_VECS {
        BitsVec large = (BitsVec)(a.v[i] > vec_set1(20.0f));
        Vec soft = vec_log1p(vec_exp(vec_min(a.v[i], vec_set1(20.0f))));
        BitsVec is_nan = (BitsVec)(a.v[i] != a.v[i]);
        large |= is_nan;
        a.v[i] = (Vec)((large & (BitsVec)a.v[i]) | (~large & (BitsVec)soft));
    }
    return a;
}

static void softplus(float *x, const float *bias, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(x + i, lanes_softplus(lanes_add(lanes_load(x + i), lanes_load(bias + i))));
    if (i < n)
        lanes_store_part(
            x + i, lanes_softplus(lanes_add(lanes_load_part(x + i, n - i), lanes_load_part(bias + i, n - i))),
            n - i);
}
