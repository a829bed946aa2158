/* The loops for one pixel type T; NAME(f) names them, TO_FLOAT converts a vector of T. */

typedef T NAME(vt) __attribute__((vector_size(sizeof(T) * LANES), aligned(1)));

#ifndef LOAD
#define LOAD(p) TO_FLOAT(*(const NAME(vt) *)(p))
#endif

INLINE vf NAME(load)(const T *x)
{
    return LOAD(x);
}

/* The last, partial vector of a row. */
INLINE vf NAME(load_part)(const T *x, size_t count)
{
    T part[LANES] = {0};
    memcpy(part, x, count * sizeof(T));
    return NAME(load)(part);
}

/* The sums of nr rows by nc components go on over columns j0 .. j1; nr and nc are constants where this is
 * inlined. `h` points at the vector of the first column and component. */
INLINE void NAME(project_tile)(const T *x, size_t m, size_t j0, size_t j1, const float *h, size_t k,
                               const int nr, const int nc, float *partial)
{
    vf sum[PROJECT_ROWS][PROJECT_COMPONENTS];
    memset(sum, 0, sizeof sum);
    size_t j = j0;
    for (; j + UM_KERNEL_PACK <= j1; j += UM_KERNEL_PACK, h += k * UM_KERNEL_PACK) {
#pragma GCC unroll 16
        for (int i = 0; i < UM_KERNEL_PACK; i += LANES) {
            vf xr[PROJECT_ROWS];
#pragma GCC unroll 16
            for (int r = 0; r < nr; r++) {
                xr[r] = NAME(load)(x + (size_t)r * m + j + i);
                __builtin_prefetch(x + (size_t)(nr + r) * m + j + i, 0, 3);
            }
#pragma GCC unroll 16
            for (int c = 0; c < nc; c++) {
                vf hc = load_once(h + c * UM_KERNEL_PACK + i);
#pragma GCC unroll 16
                for (int r = 0; r < nr; r++) {
                    sum[r][c] += xr[r] * hc;
                }
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < nr && j < j1; r++) {
        T rest[UM_KERNEL_PACK] = {0};
        memcpy(rest, x + (size_t)r * m + j, (j1 - j) * sizeof(T));
#pragma GCC unroll 16
        for (int i = 0; i < UM_KERNEL_PACK; i += LANES) {
            vf xr = NAME(load)(rest + i);
#pragma GCC unroll 16
            for (int c = 0; c < nc; c++) {
                sum[r][c] += xr * *(const vf *)(h + c * UM_KERNEL_PACK + i);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < nr; r++) {
#pragma GCC unroll 16
        for (int c = 0; c < nc; c++) {
            *(vf *)(partial + ((size_t)r * k + (size_t)c) * LANES) += sum[r][c];
        }
    }
}

INLINE void NAME(project_rows)(const T *x, size_t rows, size_t m, size_t j0, size_t j1, const float *h,
                               size_t k, const int nc, float *partial)
{
    size_t r = 0;
    for (; r + PROJECT_ROWS <= rows; r += PROJECT_ROWS) {
        NAME(project_tile)(x + r * m, m, j0, j1, h, k, PROJECT_ROWS, nc, partial + r * k * LANES);
    }
    for (; r < rows; r++) {
        NAME(project_tile)(x + r * m, m, j0, j1, h, k, 1, nc, partial + r * k * LANES);
    }
}

#define PROJECT_CASE(n)                                                                            \
    case n:                                                                                        \
        NAME(project_rows)(x, rows, m, j0, j1, hc, k, n, partial + c * LANES);                     \
        break;

static void NAME(project)(const void *data, size_t rows, size_t m, const float *h, size_t k, double *a,
                          float *partial)
{
    const T *x = data;
    memset(a, 0, rows * k * sizeof *a);
    memset(partial, 0, rows * k * LANES * sizeof *partial);
    for (size_t j0 = 0; j0 < m; j0 += PROJECT_BLOCK) {
        size_t j1 = min_size(m, j0 + PROJECT_BLOCK);
        size_t nc = 0;
        for (size_t c = 0; c < k; c += nc) {
            const float *hc = PACKED(h, j0, k) + c * UM_KERNEL_PACK;
            nc = even_share(k - c, PROJECT_COMPONENTS);
            switch (nc) {
                PROJECT_CASES(PROJECT_CASE)
            default:
                break;
            }
        }
        if (j1 == m || j1 % CARRY_COLUMNS == 0) {
            carry(rows * k, partial, a);
        }
    }
}

/* Columns j .. of nv vectors by nc components; count is the length of a last, partial vector, else 0. */
INLINE void NAME(accumulate_tile)(const T *x, size_t rows, size_t m, size_t j, size_t count,
                                  const float *w, size_t k, const int nc, const int nv, float *b)
{
    const float *ahead = b + ACCUMULATE_VECTORS * LANES * k; /* beyond L2 when k is large */
    vf sum[COMPONENTS][ACCUMULATE_VECTORS];
    for (int c = 0; c < nc; c++) {
        for (int v = 0; v < nv; v++) {
            sum[c][v] = *(const vf *)(PACKED(b, j + (size_t)v * LANES, k) + c * UM_KERNEL_PACK);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        vf xv[ACCUMULATE_VECTORS];
        const T *xr = x + r * m + j;
        for (int v = 0; v < nv; v++) {
            xv[v] = count == 0 ? NAME(load)(xr + v * LANES) : NAME(load_part)(xr, count);
        }
        __builtin_prefetch(xr + ACCUMULATE_AHEAD / sizeof(T), 0, 3);
        __builtin_prefetch(ahead + (r / UM_KERNEL_PACK * k + r % UM_KERNEL_PACK) * UM_KERNEL_PACK, 1, 3);
        for (int c = 0; c < nc; c++) {
            vf wc = spread(w[r * k + (size_t)c]);
            for (int v = 0; v < nv; v++) {
                sum[c][v] += wc * xv[v];
            }
        }
    }
    for (int c = 0; c < nc; c++) {
        for (int v = 0; v < nv; v++) {
            *(vf *)(PACKED(b, j + (size_t)v * LANES, k) + c * UM_KERNEL_PACK) = sum[c][v];
        }
    }
}

#define ACCUMULATE_CASE(n)                                                                         \
    case n:                                                                                        \
        NAME(accumulate_tile)(x, rows, m, j, 0, w + c, k, n, ACCUMULATE_VECTORS, bc);              \
        break;
#define ACCUMULATE_REST_CASE(n)                                                                    \
    case n:                                                                                        \
        NAME(accumulate_tile)(x, rows, m, j, count, w + c, k, n, 1, bc);                           \
        break;

static void NAME(accumulate)(const void *data, size_t rows, size_t m, const float *w, size_t k,
                             float *b)
{
    const T *x = data;
    size_t j = 0;
    for (; j + ACCUMULATE_VECTORS * LANES <= m; j += ACCUMULATE_VECTORS * LANES) {
        size_t nc = 0;
        for (size_t c = 0; c < k; c += nc) {
            float *bc = b + c * UM_KERNEL_PACK;
            nc = even_share(k - c, COMPONENTS);
            switch (nc) {
                COMPONENT_CASES(ACCUMULATE_CASE)
            default:
                break;
            }
        }
    }
    for (; j < m; j += LANES) {
        size_t count = j + LANES <= m ? 0 : m - j;
        size_t nc = 0;
        for (size_t c = 0; c < k; c += nc) {
            float *bc = b + c * UM_KERNEL_PACK;
            nc = even_share(k - c, COMPONENTS);
            switch (nc) {
                COMPONENT_CASES(ACCUMULATE_REST_CASE)
            default:
                break;
            }
        }
    }
}

static void NAME(squares)(const void *data, size_t rows, size_t m, const float *v, double *q)
{
    const T *x = data;
    for (size_t r = 0; r < rows; r++) {
        q[r] = 0;
        for (size_t j0 = 0; j0 < m; j0 += COLUMN_BLOCK) {
            size_t j1 = min_size(m, j0 + COLUMN_BLOCK);
            vf sum = {0};
            size_t j = j0;
            for (; j + LANES <= j1; j += LANES) {
                vf xv = NAME(load)(x + r * m + j);
                sum += xv * xv * *(const vf *)(v + j);
            }
            if (j < j1) {
                vf xv = NAME(load_part)(x + r * m + j, j1 - j);
                sum += xv * xv * *(const vf *)(v + j);
            }
            q[r] += (double)sum_lanes(sum);
        }
    }
}

static void NAME(residual)(const void *data, size_t rows, size_t m, const float *w, const float *h,
                           size_t ld, size_t k, const float *on, const float *v, double *plain,
                           double *weighted, double *sum_d, double *sum_d2)
{
    const T *x = data;
    memset(plain, 0, rows * sizeof *plain);
    memset(weighted, 0, rows * sizeof *weighted);
    for (size_t j0 = 0; j0 < m; j0 += RESIDUAL_BLOCK) {
        size_t j1 = min_size(m, j0 + RESIDUAL_BLOCK);
        vf d1[RESIDUAL_BLOCK / LANES] = {{0}};
        vf d2[RESIDUAL_BLOCK / LANES] = {{0}};
        for (size_t r = 0; r < rows; r++) {
            vf sum_plain = {0};
            vf sum_weighted = {0};
            for (size_t j = j0, i = 0; j < j1; j += LANES, i++) {
                vf d = j + LANES <= j1 ? NAME(load)(x + r * m + j)
                                       : NAME(load_part)(x + r * m + j, j1 - j);
                for (size_t c = 0; c < k; c++) {
                    d -= w[r * k + c] * *(const vf *)(h + c * ld + j);
                }
                vf on_d = d * *(const vf *)(on + j);
                vf square = on_d * on_d;
                d1[i] += on_d;
                d2[i] += square;
                sum_plain += square;
                sum_weighted += square * *(const vf *)(v + j);
            }
            plain[r] += (double)sum_lanes(sum_plain);
            weighted[r] += (double)sum_lanes(sum_weighted);
        }
        float f1[RESIDUAL_BLOCK];
        float f2[RESIDUAL_BLOCK];
        memcpy(f1, d1, sizeof f1);
        memcpy(f2, d2, sizeof f2);
        for (size_t j = j0; j < j1; j++) {
            sum_d[j] += (double)f1[j - j0];
            sum_d2[j] += (double)f2[j - j0];
        }
    }
}

#undef T
#undef NAME
#undef TO_FLOAT
#undef LOAD
#undef PROJECT_CASE
#undef ACCUMULATE_CASE
#undef ACCUMULATE_REST_CASE
