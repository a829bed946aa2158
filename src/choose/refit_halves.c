/* Fits to two independent halves of the counts: how far do they agree, and how large does that make the errors? */
#include "refit_internal.h"

#include <math.h>
#include <stdlib.h>

enum { PASSES = 200, LAST_PASSES = 20 };
static const double GAIN = 1e-3;

typedef struct both {
    um_half half[2];
    um_nmf_state fit[2];
    int64_t *of[2];   /* component of each half that belongs to one of the result */
    double *total[2]; /* sums of the patterns of each half, in counts */
    double *own;      /* k: counts of each component in the sample */
} both;

static um_status fit_half(um_refit *r, um_half *half, uint64_t variant, um_nmf_state *fit)
{
    um_scaled *s = &half->scaled;
    um_nmf_options options = um_nmf_defaults((int64_t)r->k);
    UM_TRY(um_nmf_state_create(s, r->k, PASSES, fit));
    uint64_t seed = um_context_seed(s->ctx);
    um_context_set_seed(s->ctx, seed + (variant + 100) * UINT64_C(0x9e3779b97f4a7c15)); /* starts of its own */
    um_status status = um_nmf_start_auto(s, &options, &half->image, fit);
    um_context_set_seed(s->ctx, seed);
    UM_TRY(status);
    const um_nmf_run run = {.scaled = s,
                            .subspace = &half->image,
                            .gain = GAIN * um_nmf_unit(s, r->k, half->image.norm2),
                            .turn = INFINITY,
                            .max_passes = LAST_PASSES};
    bool converged = false;
    um_nmf_normalise(s, fit);
    return um_nmf_iterate(&run, fit, &converged);
}

static um_status match_half(um_refit *r, both *b, int h)
{
    const um_scaled *s = &b->half[h].scaled;
    UM_TRY(um_refit_match(r, b->fit[h].h));
    for (size_t c = 0; c < r->k; c++) {
        size_t own = (size_t)r->assigned[c];
        b->of[h][c] = r->assigned[c];
        b->total[h][c] = 0;
        for (size_t j = 0; j < s->m; j++) {
            b->total[h][c] += s->v[j] > 0 ? (double)(b->fit[h].h[own * s->ld + j] / s->v[j]) : 0;
        }
    }
    return UM_OK;
}

/* Counts of component c of the result at a row, in half h. */
static double counts_in(const um_refit *r, const both *b, int h, size_t row, size_t c)
{
    double u = (double)b->half[h].scaled.u[row];
    double w = (double)b->fit[h].w[row * r->k + (size_t)b->of[h][c]];
    return u > 0 ? w * b->total[h][c] / u : 0;
}

static void compare_loadings(um_refit *r, both *b)
{
    um_card *cards = r->evidence->cards;
    double *squares = calloc(3 * r->k, sizeof *squares);
    if (squares == NULL) {
        return; /* the numbers stay unknown */
    }
    double *sum = squares + r->k;
    double *rows = sum + r->k;
    for (size_t i = 0; i < r->sample.rows; i++) {
        size_t p = (size_t)r->sample.slot[i].position;
        size_t c = (size_t)um_refit_strongest(r, p);
        for (size_t d = 0; d < r->k; d++) {
            b->own[d] += um_refit_counts(r, p, d);
        }
        double one = counts_in(r, b, 0, i, c);
        double other = counts_in(r, b, 1, i, c);
        squares[c] += (one - other) * (one - other);
        sum[c] += one + other;
        rows[c] += 1;
    }
    for (size_t c = 0; c < r->k; c++) {
        cards[c].half_loading_error = rows[c] > 0 && sum[c] > 0 ? sqrt(squares[c] * rows[c]) / sum[c] : NAN;
    }
    free(squares);
}

/* Cosine of a pattern with noise of relative variance e each: 1 / (1 + e), e = 2 / part of that of the result. */
static double expected_cosine(const um_refit *r, size_t c, double part)
{
    const um_scaled *s = &r->scaled;
    const double *error = r->evidence->pattern_error + c * s->m;
    double squares = 0;
    double noise = 0;
    for (size_t j = 0; j < s->m; j++) {
        double h = (double)r->h[c * s->ld + j];
        double e = s->v[j] > 0 && isfinite(error[j]) ? error[j] * (double)s->v[j] : 0;
        squares += h * h;
        noise += e * e;
    }
    double signal = squares - noise;
    return signal > 0 && part > 0 ? 1 / (1 + 2 * noise / (part * signal)) : NAN;
}

/* Patterns of unit sum: half of their difference has the error of their mean. Of a sample that holds part f of a
 * component's counts the error is larger by 1 / sqrt(f) than that of the whole scan. */
static void compare_patterns(um_refit *r, const both *b, size_t c)
{
    const um_scaled *s = &r->scaled;
    um_card *card = &r->evidence->cards[c];
    const float *one = b->fit[0].h + (size_t)b->of[0][c] * s->ld;
    const float *other = b->fit[1].h + (size_t)b->of[1][c] * s->ld;
    um_pattern_cosines(s, 1, one, other, &card->half_cosine);
    double difference = 0;
    double squares = 0;
    for (size_t j = 0; j < s->m; j++) {
        if (s->v[j] > 0) {
            double x = (double)(one[j] / s->v[j]) / b->total[0][c];
            double y = (double)(other[j] / s->v[j]) / b->total[1][c];
            difference += (x - y) * (x - y) / 4;
            squares += (x + y) * (x + y) / 4;
        }
    }
    double all = 0;
    for (size_t p = 0; p < s->n; p++) {
        all += s->u[p] > 0 ? um_refit_counts(r, p, c) : 0;
    }
    double part = all > 0 ? fmin(b->own[c] / all, 1) : 1;
    card->noise_cosine = expected_cosine(r, c, part);
    card->half_pattern_error = squares > 0 ? sqrt(part * difference / squares) : NAN;
}

static um_status compare(um_refit *r, both *b)
{
    for (int h = 0; h < 2; h++) {
        UM_TRY(fit_half(r, &b->half[h], (uint64_t)h, &b->fit[h]));
        UM_TRY(match_half(r, b, h));
    }
    compare_loadings(r, b);
    for (size_t c = 0; c < r->k; c++) {
        compare_patterns(r, b, c);
    }
    return UM_OK;
}

um_status um_refit_halves(um_refit *r)
{
    um_scaled *s = &r->part;
    size_t rank = s->n < s->m ? s->n : s->m;
    const um_split split = {.scaled = s,
                            .from = &r->sample,
                            .u = s->u,
                            .v = s->v,
                            .unit = r->unit,
                            .stream = UM_STREAM_SPLIT,
                            .directions = um_subspace_size(r->k, 0, rank)};
    both b = {.own = calloc(5 * r->k, sizeof *b.own)};
    if (b.own == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", r->k);
    }
    for (int h = 0; h < 2; h++) {
        b.total[h] = b.own + (1 + (size_t)h) * r->k;
        b.of[h] = calloc(r->k, sizeof *b.of[h]);
    }
    um_status status = b.of[0] != NULL && b.of[1] != NULL
                           ? um_halves_make(&split, b.half)
                           : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", r->k);
    if (status == UM_OK) {
        status = compare(r, &b);
    }
    for (int h = 0; h < 2; h++) {
        um_nmf_state_free(s->ctx, &b.fit[h]);
        free(b.of[h]);
    }
    um_halves_free(s->ctx, b.half);
    free(b.own);
    return status;
}
