/* The loops for one pixel type T, of one byte when BYTES is defined; NAME(f) names them. */

/* WIDE values: of u16 the low or the high bytes. `any` gathers all bits of what was read. */
INLINE vi NAME(load)(const T *x, bool high, vi *any)
{
#if defined(BYTES)
    (void)high;
    (void)any;
    return LOAD_BYTES(x);
#else
    vi v = LOAD(x);
    *any = OR(*any, v);
    return high ? V(srli_epi16)(v, 8) : AND(v, V(set1_epi16)(255));
#endif
}

/* Adds the sums of nr rows by nc components over `count` columns, a multiple of UM_GRID_PACK; nr and nc are
 * constants where this is inlined. Returns whether there were high bytes. */
INLINE bool NAME(project_tile)(const T *x, size_t m, size_t count, const int16_t *h, size_t k, bool high,
                               const int nr, const int nc, double *a)
{
    vi sum[TILE_ROWS][TILE_COMPONENTS];
    vi any = ZERO;
#pragma GCC unroll 16
    for (int r = 0; r < nr; r++) {
#pragma GCC unroll 16
        for (int c = 0; c < nc; c++) {
            sum[r][c] = ZERO;
        }
    }
    for (size_t j = 0; j < count; j += UM_GRID_PACK, h += k * UM_GRID_PACK) {
#pragma GCC unroll 16
        for (int i = 0; i < UM_GRID_PACK; i += WIDE) {
            vi xr[TILE_ROWS];
#pragma GCC unroll 16
            for (int r = 0; r < nr; r++) {
                xr[r] = NAME(load)(x + (size_t)r * m + j + (size_t)i, high, &any);
                __builtin_prefetch(x + (size_t)(nr + r) * m + j + (size_t)i, 0, 3);
            }
#pragma GCC unroll 16
            for (int c = 0; c < nc; c++) {
                vi hc = load_once(h + c * UM_GRID_PACK + i);
#pragma GCC unroll 16
                for (int r = 0; r < nr; r++) {
                    ADD_PRODUCTS(sum[r][c], xr[r], hc);
                }
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < nr; r++) {
#pragma GCC unroll 16
        for (int c = 0; c < nc; c++) {
            a[(size_t)r * k + (size_t)c] += sum_lanes(sum[r][c]) * (high ? 256 : 1);
        }
    }
    return any_above_byte(any);
}

INLINE void NAME(project_rows)(const T *x, size_t rows, size_t m, size_t count, const int16_t *h, size_t k,
                               const int nc, double *a)
{
    size_t r = 0;
    for (; r + TILE_ROWS <= rows; r += TILE_ROWS) {
        if (NAME(project_tile)(x + r * m, m, count, h, k, false, TILE_ROWS, nc, a + r * k)) {
            NAME(project_tile)(x + r * m, m, count, h, k, true, TILE_ROWS, nc, a + r * k);
        }
    }
    for (; r < rows; r++) {
        if (NAME(project_tile)(x + r * m, m, count, h, k, false, 1, nc, a + r * k)) {
            NAME(project_tile)(x + r * m, m, count, h, k, true, 1, nc, a + r * k);
        }
    }
}

#define PROJECT_CASE(n)                                                                            \
    case n:                                                                                        \
        NAME(project_rows)(x, rows, m, count, h + c * UM_GRID_PACK, k, n, a + c);                  \
        break;

static void NAME(project_columns)(const T *x, size_t rows, size_t m, size_t count, const int16_t *h,
                                  size_t k, double *a)
{
    size_t nc = 0;
    for (size_t c = 0; c < k; c += nc) {
        nc = even_share(k - c, TILE_COMPONENTS);
        switch (nc) {
            TILE_CASES(PROJECT_CASE)
        default:
            break;
        }
    }
}

static void NAME(project)(const void *data, size_t rows, size_t m, const int16_t *h, size_t k, double *a)
{
    const T *x = data;
    memset(a, 0, rows * k * sizeof *a);
    size_t whole = m / UM_GRID_PACK * UM_GRID_PACK;
    size_t count = 0;
    for (size_t j = 0; j < whole; j += count) {
        count = even_share(whole - j, MOST_PIXELS);
        count = (count + UM_GRID_PACK - 1) / UM_GRID_PACK * UM_GRID_PACK;
        NAME(project_columns)(x + j, rows, m, count, h + j * k, k, a);
    }
    for (size_t r = 0; r < rows && whole < m; r++) {
        T rest[UM_GRID_PACK] = {0};
        memcpy(rest, x + r * m + whole, (m - whole) * sizeof(T));
        NAME(project_columns)(rest, 1, m, UM_GRID_PACK, h + whole * k, k, a + r * k);
    }
}

/* WIDE columns from x on, in pairs of rows a stride apart; an odd last row is paired with itself. */
INLINE bool NAME(pair_rows)(const T *x, size_t rows, size_t stride, bool high, vi *pairs)
{
    vi any = ZERO;
    for (size_t r = 0; r == 0 || r < rows; r += 2, pairs += 2) {
        const T *x0 = x + r * stride;
        const T *x1 = x + min_size(r + 1, rows - 1) * stride;
        __builtin_prefetch(x0 + AHEAD / sizeof(T), 0, 3);
        __builtin_prefetch(x1 + AHEAD / sizeof(T), 0, 3);
#if defined(BYTES)
        (void)high;
        pair_bytes(x0, x1, pairs);
#else
        vi v0 = NAME(load)(x0, high, &any);
        vi v1 = NAME(load)(x1, high, &any);
        pair_words(v0, v1, pairs);
#endif
    }
    return any_above_byte(any);
}

INLINE void NAME(accumulate_columns)(const T *x, size_t rows, size_t stride, const pair *w, size_t k,
                                     const float *step, float *b)
{
    vi pairs[2 * GROUP_PAIRS];
    bool high = NAME(pair_rows)(x, rows, stride, false, pairs);
    add_columns(pairs, (rows + 1) / 2, w, k, step, 1, b);
    if (high) {
        NAME(pair_rows)(x, rows, stride, true, pairs);
        add_columns(pairs, (rows + 1) / 2, w, k, step, 256, b);
    }
}

static void NAME(accumulate)(const void *data, size_t rows, size_t m, const int16_t *w16, size_t k,
                             const float *step, float *b)
{
    const T *x = data;
    const pair *w = (const pair *)(const void *)w16;
    size_t j = 0;
    for (; j + WIDE <= m; j += WIDE) {
        NAME(accumulate_columns)(x + j, rows, m, w, k, step, b + um_kernel_packed(k, 0, j));
    }
    if (j < m) {
        T rest[2 * GROUP_PAIRS * WIDE] = {0};
        for (size_t r = 0; r < rows; r++) {
            memcpy(rest + r * WIDE, x + r * m + j, (m - j) * sizeof(T));
        }
        NAME(accumulate_columns)(rest, rows, WIDE, w, k, step, b + um_kernel_packed(k, 0, j));
    }
}

#undef T
#undef NAME
#undef BYTES
#undef PROJECT_CASE
