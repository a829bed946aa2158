/* Sparse rows with values of type T; NAME(f) names the loops. Each column j has its k numbers side by side in
 * ht and bt, so that a stored value costs one vector operation per LANES components. */

/* Components of nv vectors; nv is constant where this is inlined. Entry i of a row adds to sum i % 4, so that
 * additions need not wait for each other. */
INLINE void NAME(project_sparse_row)(const uint16_t *column, const T *value, size_t count,
                                     const float *ht, size_t stride, const int nv, double *a,
                                     size_t k)
{
    for (size_t i0 = 0; i0 < count; i0 += SPARSE_BLOCK) {
        size_t i1 = min_size(count, i0 + SPARSE_BLOCK);
        vf sum[SPARSE_CHAINS][SPARSE_VECTORS];
        memset(sum, 0, sizeof sum);
        size_t i = i0;
        for (; i + SPARSE_CHAINS <= i1; i += SPARSE_CHAINS) {
            for (int s = 0; s < SPARSE_CHAINS; s++) {
                const float *h = ht + (size_t)column[i + (size_t)s] * stride;
                vf x = spread((float)value[i + (size_t)s]);
                for (int v = 0; v < nv; v++) {
                    sum[s][v] += x * *(const vf *)(h + v * LANES);
                }
            }
        }
        for (; i < i1; i++) {
            const float *h = ht + (size_t)column[i] * stride;
            vf x = spread((float)value[i]);
            for (int v = 0; v < nv; v++) {
                sum[0][v] += x * *(const vf *)(h + v * LANES);
            }
        }
        for (int v = 0; v < nv; v++) {
            float lanes[LANES];
            vf total = (sum[0][v] + sum[1][v]) + (sum[2][v] + sum[3][v]);
            memcpy(lanes, &total, sizeof lanes);
            for (size_t c = (size_t)v * LANES; c < min_size(k, ((size_t)v + 1) * LANES); c++) {
                a[c] += (double)lanes[c - (size_t)v * LANES];
            }
        }
    }
}

INLINE void NAME(accumulate_sparse_row)(const uint16_t *column, const T *value, size_t count,
                                        const float *w, const int nv, float *bt, size_t stride)
{
    vf wv[SPARSE_VECTORS];
    memcpy(wv, w, (size_t)nv * sizeof *wv);
    for (size_t i = 0; i < count; i++) {
        float *b = bt + (size_t)column[i] * stride;
        vf x = spread((float)value[i]);
        for (int v = 0; v < nv; v++) {
            *(vf *)(b + v * LANES) += x * wv[v];
        }
    }
}

#define SPARSE_CASES(X) X(1) X(2) X(3) X(4)

static void NAME(project_sparse)(const um_sparse_rows *x, size_t rows, const float *ht,
                                 size_t stride, size_t k, double *a)
{
    memset(a, 0, rows * k * sizeof *a);
    for (size_t c = 0; c < k; c += SPARSE_VECTORS * LANES) {
        for (size_t r = 0; r < rows; r++) {
            const uint16_t *column = x->column + x->start[r];
            const T *value = (const T *)x->value + x->start[r];
            size_t count = x->start[r + 1] - x->start[r];
            switch (min_size(SPARSE_VECTORS, (k - c + LANES - 1) / LANES)) {
#define SPARSE_CASE(n)                                                                             \
    case n:                                                                                        \
        NAME(project_sparse_row)(column, value, count, ht + c, stride, n, a + r * k + c, k - c);   \
        break;
                SPARSE_CASES(SPARSE_CASE)
#undef SPARSE_CASE
            default:
                break;
            }
        }
    }
}

static void NAME(accumulate_sparse)(const um_sparse_rows *x, size_t rows, const float *w, size_t k,
                                    float *bt, size_t stride)
{
    for (size_t c = 0; c < k; c += SPARSE_VECTORS * LANES) {
        size_t width = min_size(k - c, SPARSE_VECTORS * LANES);
        for (size_t r = 0; r < rows; r++) {
            const uint16_t *column = x->column + x->start[r];
            const T *value = (const T *)x->value + x->start[r];
            size_t count = x->start[r + 1] - x->start[r];
            float wr[SPARSE_VECTORS * LANES] = {0};
            memcpy(wr, w + r * k + c, width * sizeof *wr);
            switch ((width + LANES - 1) / LANES) {
#define SPARSE_CASE(n)                                                                             \
    case n:                                                                                        \
        NAME(accumulate_sparse_row)(column, value, count, wr, n, bt + c, stride);                  \
        break;
                SPARSE_CASES(SPARSE_CASE)
#undef SPARSE_CASE
            default:
                break;
            }
        }
    }
}

static void NAME(squares_sparse)(const um_sparse_rows *x, size_t rows, const float *v, double *q)
{
    for (size_t r = 0; r < rows; r++) {
        q[r] = 0;
        for (size_t i = x->start[r]; i < x->start[r + 1]; i++) {
            double value = (double)((const T *)x->value)[i];
            q[r] += value * value * (double)v[x->column[i]];
        }
    }
}

static void NAME(sums_sparse)(const um_sparse_rows *x, size_t rows, const float *v, double *q)
{
    for (size_t r = 0; r < rows; r++) {
        q[r] = 0;
        for (size_t i = x->start[r]; i < x->start[r + 1]; i++) {
            q[r] += (double)((const T *)x->value)[i] * (double)v[x->column[i]];
        }
    }
}

/* What an entry x of column j adds to the errors of d = on (x - w h) beyond those of d = -on w h, whose sums are a
 * closed form: x to sum_d, x (x - 2 w h) to the squares. y = w h of four entries at once. */
static void NAME(residual_sparse)(const um_sparse_rows *x, size_t rows, const float *w,
                                  const float *ht, size_t stride, size_t k, const float *on,
                                  const float *v, double *plain, double *weighted, double *sum_d,
                                  double *sum_d2)
{
    size_t nv = (k + LANES - 1) / LANES;
    for (size_t r = 0; r < rows; r++) {
        const uint16_t *column = x->column + x->start[r];
        const T *value = (const T *)x->value + x->start[r];
        size_t count = x->start[r + 1] - x->start[r];
        double sum = 0;
        double sum_v = 0;
        vf wr[UM_HALS_LARGEST / LANES];
        memset(wr, 0, nv * sizeof *wr);
        memcpy(wr, w + r * k, k * sizeof *w);
        for (size_t i = 0; i < count; i += SPARSE_CHAINS) {
            size_t n = min_size(SPARSE_CHAINS, count - i);
            vf y[SPARSE_CHAINS] = {{0}};
            for (size_t c = 0; c < nv; c++) {
                for (size_t e = 0; e < n; e++) {
                    y[e] += wr[c] * *(const vf *)(ht + (size_t)column[i + e] * stride + c * LANES);
                }
            }
            float yt[SPARSE_CHAINS];
            sum_lanes4(y, yt);
            for (size_t e = 0; e < n; e++) {
                size_t j = column[i + e];
                double xe = (double)value[i + e] * (double)on[j];
                double more = xe * (xe - 2 * (double)yt[e]);
                sum += more;
                sum_v += (double)v[j] * more;
                sum_d[j] += xe;
                sum_d2[j] += more;
            }
        }
        plain[r] = sum;
        weighted[r] = sum_v;
    }
}

#undef T
#undef NAME
#undef SPARSE_CASES
