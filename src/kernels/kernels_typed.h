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

/* nr rows by nc components over columns j0 .. j1; nr and nc are constants where this is inlined. */
INLINE void NAME(project_tile)(const T *x, size_t m, size_t j0, size_t j1, const float *h, size_t ld,
                               const int nr, const int nc, double *a, size_t k)
{
    vf sum[PROJECT_ROWS][PROJECT_COMPONENTS];
    memset(sum, 0, sizeof sum);
    size_t j = j0;
    for (; j + LANES <= j1; j += LANES) {
        vf xr[PROJECT_ROWS];
        for (int r = 0; r < nr; r++) {
            xr[r] = NAME(load)(x + (size_t)r * m + j);
        }
        for (int c = 0; c < nc; c++) {
            vf hc = *(const vf *)(h + (size_t)c * ld + j);
            for (int r = 0; r < nr; r++) {
                sum[r][c] += xr[r] * hc;
            }
        }
    }
    if (j < j1) {
        for (int r = 0; r < nr; r++) {
            vf xr = NAME(load_part)(x + (size_t)r * m + j, j1 - j);
            for (int c = 0; c < nc; c++) {
                sum[r][c] += xr * *(const vf *)(h + (size_t)c * ld + j);
            }
        }
    }
    for (int r = 0; r < nr; r++) {
        for (int c = 0; c < nc; c++) {
            a[(size_t)r * k + (size_t)c] += (double)sum_lanes(sum[r][c]);
        }
    }
}

#define PROJECT_CASE(n)                                                                            \
    case n:                                                                                        \
        NAME(project_tile)(x, m, j0, j1, h, ld, nr, n, a, k);                                      \
        break;

INLINE void NAME(project_rows)(const T *x, size_t m, size_t j0, size_t j1, const float *h, size_t ld,
                               const int nr, size_t nc, double *a, size_t k)
{
    switch (nc) {
        COMPONENT_CASES_TO_3(PROJECT_CASE)
#if PROJECT_COMPONENTS > 3
        COMPONENT_CASES_4_5(PROJECT_CASE)
#endif
    default:
        break;
    }
}

static void NAME(project)(const void *data, size_t rows, size_t m, const float *h, size_t ld, size_t k,
                          double *a)
{
    const T *x = data;
    memset(a, 0, rows * k * sizeof *a);
    for (size_t j0 = 0; j0 < m; j0 += COLUMN_BLOCK) {
        size_t j1 = min_size(m, j0 + COLUMN_BLOCK);
        size_t nc = 0;
        for (size_t c = 0; c < k; c += nc) {
            nc = even_share(k - c, PROJECT_COMPONENTS);
            size_t r = 0;
            for (; r + PROJECT_ROWS <= rows; r += PROJECT_ROWS) {
                NAME(project_rows)(x + r * m, m, j0, j1, h + c * ld, ld, PROJECT_ROWS, nc,
                                   a + r * k + c, k);
            }
            for (; r < rows; r++) {
                NAME(project_rows)(x + r * m, m, j0, j1, h + c * ld, ld, 1, nc, a + r * k + c, k);
            }
        }
    }
}

INLINE void NAME(accumulate_tile)(const T *x, size_t rows, size_t m, size_t j, size_t count,
                                  const float *w, size_t k, const int nc, const int nv, float *b,
                                  size_t ld)
{
    vf sum[ACCUMULATE_COMPONENTS][ACCUMULATE_VECTORS];
    for (int c = 0; c < nc; c++) {
        for (int v = 0; v < nv; v++) {
            sum[c][v] = *(const vf *)(b + (size_t)c * ld + j + (size_t)(v * LANES));
        }
    }
    for (size_t r = 0; r < rows; r++) {
        vf xv[ACCUMULATE_VECTORS];
        for (int v = 0; v < nv; v++) {
            const T *p = x + r * m + j + (size_t)(v * LANES);
            xv[v] = count == 0 ? NAME(load)(p) : NAME(load_part)(p, count);
        }
        for (int c = 0; c < nc; c++) {
            for (int v = 0; v < nv; v++) {
                sum[c][v] += w[r * k + (size_t)c] * xv[v];
            }
        }
    }
    for (int c = 0; c < nc; c++) {
        for (int v = 0; v < nv; v++) {
            *(vf *)(b + (size_t)c * ld + j + (size_t)(v * LANES)) = sum[c][v];
        }
    }
}

INLINE void NAME(accumulate_columns)(const T *x, size_t rows, size_t m, const float *w, size_t k,
                                     const int nc, float *b, size_t ld)
{
    size_t j = 0;
    for (; j + ACCUMULATE_VECTORS * LANES <= m; j += ACCUMULATE_VECTORS * LANES) {
        NAME(accumulate_tile)(x, rows, m, j, 0, w, k, nc, ACCUMULATE_VECTORS, b, ld);
    }
    for (; j + LANES <= m; j += LANES) {
        NAME(accumulate_tile)(x, rows, m, j, 0, w, k, nc, 1, b, ld);
    }
    if (j < m) {
        NAME(accumulate_tile)(x, rows, m, j, m - j, w, k, nc, 1, b, ld);
    }
}

#define ACCUMULATE_CASE(n)                                                                         \
    case n:                                                                                        \
        NAME(accumulate_columns)(x, rows, m, w + c, k, n, b + c * ld, ld);                         \
        break;

static void NAME(accumulate)(const void *data, size_t rows, size_t m, const float *w, size_t k,
                             float *b, size_t ld)
{
    const T *x = data;
    size_t nc = 0;
    for (size_t c = 0; c < k; c += nc) {
        nc = even_share(k - c, ACCUMULATE_COMPONENTS);
        switch (nc) {
            COMPONENT_CASES_TO_3(ACCUMULATE_CASE)
            COMPONENT_CASES_4_5(ACCUMULATE_CASE)
#if ACCUMULATE_COMPONENTS > 5
            COMPONENT_CASES_6_10(ACCUMULATE_CASE)
#endif
        default:
            break;
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
