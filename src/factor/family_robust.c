/* Outliers apart: X' = WH + E + noise, E >= 0 and sparse, with L_r sum(E) in the objective. E is not kept: given W and H it is
 * what an entry exceeds the model by beyond the limit, so it is found anew where it is needed, before a row of W is solved
 * and before B is gathered. Only entries with counts can exceed. */
#include "nmf_family.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct um_robust {
    um_family *f;
    double limit;
    float *h;      /* k x ld, in counts */
    float *a;      /* n x k: E H' */
    double *b;     /* k x m: W'E */
    double squares; /* |E|^2 */
    um_companion next;
};

typedef struct robust_state {
    uint32_t *column;
    float *x, *y, *panel;
    double *w, *b;
    double squares;
    void *next;
} robust_state;

enum { LIST_PAD = 16 };

static size_t room_of(const um_scaled *s)
{
    return (s->m + LIST_PAD) / LIST_PAD * LIST_PAD;
}

size_t um_robust_bytes(size_t n, size_t m, size_t k)
{
    return n * (k * sizeof(float) + sizeof(double)) + k * m * (sizeof(float) + 3 * sizeof(double)) +
           2 * (3 + k) * (m + LIST_PAD) * sizeof(float);
}

static void state_stop(void *user, void *state)
{
    um_robust *r = user;
    um_context *ctx = r->f->scaled->ctx;
    robust_state *st = state;
    if (st != NULL) {
        if (st->next != NULL && r->next.visitor->stop != NULL) {
            r->next.visitor->stop(r->next.user, st->next);
        }
        um_buffer_free(ctx, st->column);
        um_buffer_free(ctx, st->x);
        um_buffer_free(ctx, st->y);
        um_buffer_free(ctx, st->panel);
        um_buffer_free(ctx, st->b);
        free(st->w);
        free(st);
    }
}

static um_status state_create(um_robust *r, bool gathers, void **state)
{
    const um_scaled *s = r->f->scaled;
    size_t k = r->f->state->k;
    size_t room = room_of(s);
    robust_state *st = calloc(1, sizeof *st);
    if (st == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    *state = st;
    UM_TRY(um_buffer_alloc(s->ctx, room, sizeof(uint32_t), "a pattern", &st->column));
    UM_TRY(um_buffer_alloc(s->ctx, room, sizeof(float), "a pattern", &st->x));
    UM_TRY(um_buffer_alloc(s->ctx, room, sizeof(float), "a pattern", &st->y));
    UM_TRY(um_buffer_alloc(s->ctx, k * room, sizeof(float), "components at a pattern", &st->panel));
    st->w = calloc(k, sizeof *st->w);
    if (st->w == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    return gathers ? um_buffer_alloc(s->ctx, k * s->m, sizeof(double), "outliers of a worker", &st->b)
                   : UM_OK;
}

static um_status before_start(void *user, void **state)
{
    return state_create(user, false, state);
}

static um_status after_start(void *user, void **state)
{
    um_robust *r = user;
    UM_TRY(state_create(r, true, state));
    robust_state *st = *state;
    return r->next.visitor != NULL ? r->next.visitor->start(r->next.user, &st->next) : UM_OK;
}

/* The outliers of row r in X', to the front of the lists; how many. W is to be multiplied by scale, or is as it is. *share: of the counts of the row. */
static size_t find_outliers(const um_robust *r, const um_tile *tile, size_t row, const double *scale,
                            robust_state *st, double *share)
{
    const um_scaled *s = r->f->scaled;
    const um_nmf_state *state = r->f->state;
    size_t k = state->k;
    size_t p = (size_t)tile->position[row];
    double u = (double)s->u[p];
    *share = 0;
    if (!(u > 0)) {
        return 0;
    }
    const char *data = (const char *)tile->data + row * s->m * um_dtype_size(tile->dtype);
    size_t n = s->kernels->kl_list[tile->dtype](data, s->m, s->v, st->column, st->x);
    s->kernels->kl_gather(r->h, s->ld, k, st->column, n, st->panel, room_of(s));
    double total = 0;
    double out = 0;
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        double y = 0;
        for (size_t c = 0; c < k; c++) {
            y += (double)st->panel[c * room_of(s) + i] * (double)state->w[p * k + c] * (scale != NULL ? scale[c] : 1);
        }
        double weight = u * (double)s->v[st->column[i]];
        double x = (double)st->x[i];
        /* At least so many counts, where one count is more than the noise that is assumed. */
        double e = (x - y / u) * weight - r->limit * fmax(1, weight);
        total += x;
        if (e > 0) {
            out += e / weight;
            st->column[found] = st->column[i];
            st->y[found++] = (float)e;
        }
    }
    *share = total > 0 ? out / total : 0;
    return found;
}

static um_status before_visit(void *user, void *state, const um_tile *tile)
{
    um_robust *r = user;
    robust_state *st = state;
    const um_scaled *s = r->f->scaled;
    size_t k = r->f->state->k;
    for (size_t row = 0; row < tile->rows; row++) {
        double share = 0;
        float *a = r->a + (size_t)tile->position[row] * k;
        size_t n = find_outliers(r, tile, row, r->f->state->scale, st, &share);
        for (size_t c = 0; c < k; c++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++) {
                sum += (double)st->y[i] * (double)r->f->state->h[c * s->ld + st->column[i]];
            }
            a[c] = (float)sum;
        }
    }
    return UM_OK;
}

static um_status after_visit(void *user, void *state, const um_tile *tile)
{
    um_robust *r = user;
    robust_state *st = state;
    um_nmf_state *fit = r->f->state;
    size_t k = fit->k;
    size_t m = r->f->scaled->m;
    for (size_t row = 0; row < tile->rows; row++) {
        size_t p = (size_t)tile->position[row];
        size_t n = find_outliers(r, tile, row, NULL, st, &r->f->outlier_share[p]);
        for (size_t i = 0; i < n; i++) {
            double e = (double)st->y[i];
            st->squares += e * e;
            for (size_t c = 0; c < k; c++) {
                st->b[c * m + st->column[i]] += e * (double)fit->w[p * k + c];
            }
        }
    }
    return r->next.visitor != NULL ? r->next.visitor->visit(r->next.user, st->next, tile) : UM_OK;
}

static um_status after_merge(void *user, void *state)
{
    um_robust *r = user;
    robust_state *st = state;
    size_t count = r->f->state->k * r->f->scaled->m;
    for (size_t i = 0; i < count; i++) {
        r->b[i] += st->b[i];
    }
    memset(st->b, 0, count * sizeof *st->b);
    r->squares += st->squares;
    st->squares = 0;
    return r->next.visitor != NULL ? r->next.visitor->merge(r->next.user, st->next) : UM_OK;
}

static const um_visitor before_visitor = {.start = before_start, .visit = before_visit, .stop = state_stop};
static const um_visitor after_visitor = {.start = after_start, .visit = after_visit, .merge = after_merge,
                                         .stop = state_stop};

um_status um_robust_create(um_family *f, double limit, um_robust **out)
{
    um_scaled *s = f->scaled;
    size_t k = f->state->k;
    um_robust *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for outliers");
    }
    *out = r;
    r->f = f;
    r->limit = limit;
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof(float), "components", &r->h));
    UM_TRY(um_buffer_alloc(s->ctx, s->n * k, sizeof(float), "outliers", &r->a));
    return um_buffer_alloc(s->ctx, k * s->m, sizeof(double), "outliers", &r->b);
}

void um_robust_free(um_context *ctx, um_robust *r)
{
    if (r != NULL) {
        um_buffer_free(ctx, r->h);
        um_buffer_free(ctx, r->a);
        um_buffer_free(ctx, r->b);
        free(r);
    }
}

const float *um_robust_begin(um_robust *r, um_exact_pass *pass)
{
    const um_scaled *s = r->f->scaled;
    size_t k = r->f->state->k;
    for (size_t i = 0; i < k * s->ld; i++) {
        double v = (double)s->v[i % s->ld];
        r->h[i] = v > 0 ? (float)((double)r->f->state->h[i] / v) : 0;
    }
    memset(r->b, 0, k * s->m * sizeof *r->b);
    r->squares = 0;
    r->next = pass->after;
    pass->before = (um_companion){&before_visitor, r};
    pass->after = (um_companion){&after_visitor, r};
    return r->a;
}

double um_robust_end(const um_robust *r, double *b)
{
    for (size_t i = 0; i < r->f->state->k * r->f->scaled->m; i++) {
        b[i] -= r->b[i];
    }
    return r->squares;
}
