/* The Poisson likelihood of one pattern: only the entries that are not zero are looked at. They are listed once,
 * with what each component has there, so that every loop below runs over contiguous numbers. */

/* An append without a branch: most entries are zero, but not predictably. */
#define KL_LIST(T, name)                                                                           \
    static size_t kl_list_##name(const void *data, size_t m, const float *on, uint32_t *column,    \
                                 float *value)                                                     \
    {                                                                                              \
        const T *x = data;                                                                         \
        size_t n = 0;                                                                              \
        for (size_t j = 0; j < m; j++) {                                                           \
            column[n] = (uint32_t)j;                                                               \
            value[n] = (float)x[j];                                                                \
            n += (size_t)((x[j] > 0) & (on[j] > 0));                                               \
        }                                                                                          \
        return n;                                                                                  \
    }
KL_LIST(uint8_t, u8)
KL_LIST(uint16_t, u16)
KL_LIST(uint32_t, u32)
KL_LIST(int8_t, i8)
KL_LIST(int16_t, i16)
KL_LIST(int32_t, i32)
KL_LIST(float, f32)
KL_LIST(double, f64)
#undef KL_LIST

static void kl_gather(const float *h, size_t ld, size_t k, const uint32_t *column, size_t n,
                      float *panel, size_t stride)
{
    size_t whole = (n + LANES - 1) / LANES * LANES;
    for (size_t c = 0; c < k; c++) {
        const float *from = h + c * ld;
        float *to = panel + c * stride;
        for (size_t i = 0; i < n; i++) {
            to[i] = from[column[i]];
        }
        for (size_t i = n; i < whole; i++) {
            to[i] = 0;
        }
    }
}

INLINE vf at_least(vf x, vf least)
{
    vi keep = x > least;
    return (vf)(((vi)x & keep) | ((vi)least & ~keep));
}

static void kl_model(size_t k, size_t n, const float *panel, size_t stride, const double *w,
                     float *y)
{
    for (size_t i = 0; i < n; i += LANES) {
        vf sum = {0};
        for (size_t c = 0; c < k; c++) {
            sum += spread((float)w[c]) * *(const vf *)(panel + c * stride + i);
        }
        *(vf *)(y + i) = at_least(sum, spread(UM_KL_LEAST));
    }
}

/* Moves y by delta times `last`, and gives the first two derivatives of sum(x log y) along `next`. */
INLINE void kl_derivatives(size_t n, const float *x, float *y, float delta, const float *last,
                           const float *next, double out[2])
{
    vf move = spread(delta);
    out[0] = out[1] = 0;
    for (size_t i0 = 0; i0 < n; i0 += CARRY_COLUMNS) {
        size_t i1 = min_size(n, i0 + CARRY_COLUMNS);
        vf first = {0};
        vf second = {0};
        for (size_t i = i0; i < i1; i += LANES) {
            vf yi = *(const vf *)(y + i) + move * *(const vf *)(last + i);
            yi = at_least(yi, spread(UM_KL_LEAST));
            vf per_y = *(const vf *)(next + i) / yi;
            vf share = *(const vf *)(x + i) * per_y;
            *(vf *)(y + i) = yi;
            first += share;
            second += share * per_y;
        }
        out[0] += (double)sum_lanes(first);
        out[1] += (double)sum_lanes(second);
    }
}

/* One unknown by Newton's method, damped where a full step might overshoot: x log y is self-concordant with the
 * constant 1/sqrt(x), and the objective cannot rise (Hien & Gillis, J. Sci. Comput. 87:93, 2021). */
static double kl_step(double w, double gradient, double curvature, double concordance)
{
    if (!(curvature > 0)) {
        return gradient > 0 ? -w : 0;
    }
    double to = w - gradient / curvature;
    double step = (to > 0 ? to : 0) - w;
    double length = concordance * sqrt(curvature) * fabs(step);
    return gradient > 0 && length > 0.683 ? step / (1 + length) : step;
}

static double kl_solve(size_t k, size_t n, const float *panel, size_t stride, const float *x,
                       const double *sum, double concordance, double *w, float *y, int sweeps,
                       double stop)
{
    double moved = 0;
    kl_model(k, n, panel, stride, w, y);
    float delta = 0;
    const float *last = panel;
    for (int s = 0; s < sweeps; s++) {
        double size = 0;
        moved = 0;
        for (size_t c = 0; c < k; c++) {
            double derivative[2];
            kl_derivatives(n, x, y, delta, last, panel + c * stride, derivative);
            double step = kl_step(w[c], sum[c] - derivative[0], derivative[1], concordance);
            w[c] += step;
            delta = (float)step;
            last = panel + c * stride;
            moved += fabs(step) * sum[c];
            size += w[c] * sum[c];
        }
        if (moved <= stop * size) {
            break;
        }
    }
    for (size_t c = 0; c < k; c++) {
        w[c] = (double)(float)w[c];
    }
    kl_model(k, n, panel, stride, w, y);
    return moved;
}

/* log x of positive normal numbers, to 2e-7: x = 2^e m, log m = 2 artanh((m - 1) / (m + 1)), |.| < 0.172. */
INLINE vf log_lanes(vf x)
{
    vi e = ((vi)x - 0x3f3504f3) >> 23;
    vf m = (vf)((vi)x - (e << 23));
    vf t = (m - 1) / (m + 1);
    vf t2 = t * t;
    vf series = t2 * (1.0F / 3 + t2 * (1.0F / 5 + t2 * (1.0F / 7 + t2 * (1.0F / 9))));
    return __builtin_convertvector(e, vf) * 0.693147181F + 2 * (t + t * series);
}

static double kl_ratio(size_t n, const float *x, const float *y, float *ratio)
{
    double total = 0;
    for (size_t i0 = 0; i0 < n; i0 += CARRY_COLUMNS) {
        size_t i1 = min_size(n, i0 + CARRY_COLUMNS);
        vf sum = {0};
        for (size_t i = i0; i < i1; i += LANES) {
            vf xi = *(const vf *)(x + i);
            vf r = xi / *(const vf *)(y + i);
            *(vf *)(ratio + i) = r;
            sum += xi * log_lanes(at_least(r, spread(1e-37F)));
        }
        total += (double)sum_lanes(sum);
    }
    return total;
}

static void kl_spread(const uint32_t *column, const float *ratio, size_t n, const float *w,
                      size_t stride, float *bt)
{
    for (size_t c = 0; c < stride; c += UM_KERNEL_PACK) {
        for (size_t i = 0; i < n; i++) {
            float *b = bt + column[i] * stride + c;
            vf r = spread(ratio[i]);
            for (size_t l = 0; l < UM_KERNEL_PACK; l += LANES) {
                *(vf *)(b + l) += r * *(const vf *)(w + c + l);
            }
        }
    }
}
