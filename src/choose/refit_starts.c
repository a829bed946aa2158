/* Fits of all counts from other starts, beside the result. */
#include "refit_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RANDOM_STARTS = 6, STARTS = RANDOM_STARTS + 2, PASSES = 200, ROUNDS = 8 };
/* In units of what fitting noise gains: when a fit ends, and what is as good as the result. */
static const double GAIN = 1e-3, AS_GOOD = 0.1, HAS_IT = 0.95;

static um_status image_of(um_refit *r, um_subspace *image)
{
    um_scaled *s = &r->part;
    size_t rank = s->n < s->m ? s->n : s->m;
    size_t l = um_subspace_size(r->k, 0, rank);
    float *o = NULL;
    UM_TRY(um_buffer_alloc(s->ctx, l * s->ld, sizeof *o, "directions", &o));
    um_random_basis(s, l, o);
    um_sample_view view = {.scaled = *s, .sample = &r->sample, .sound = true};
    UM_TRY(um_subspace_rounds(s, l, ROUNDS, um_sample_walk, &view, o, image));
    s->norm2 = image->norm2;
    return UM_OK;
}

static um_status fit_image(um_refit *r, const um_subspace *image, int64_t passes, um_nmf_state *fit, double *objective)
{
    const um_nmf_run run = {.scaled = &r->part,
                            .subspace = image,
                            .gain = GAIN * um_nmf_unit(&r->part, r->k, image->norm2),
                            .turn = INFINITY,
                            .max_passes = passes};
    bool converged = false;
    um_nmf_normalise(&r->part, fit);
    UM_TRY(um_nmf_iterate(&run, fit, &converged));
    *objective = fit->history[fit->passes - 1];
    return UM_OK;
}

/* The objective of the result's patterns on this image. */
static um_status judge_result(um_refit *r, const um_subspace *image, double *objective)
{
    um_scaled *s = &r->part;
    um_nmf_state fit;
    um_status status = um_nmf_state_create(s, r->k, PASSES, &fit);
    if (status == UM_OK) {
        memcpy(fit.h, r->h, r->k * s->ld * sizeof *fit.h);
        memcpy(fit.h_last, r->h, r->k * s->ld * sizeof *fit.h);
        for (size_t i = 0; i < s->n * r->k; i++) {
            fit.w[i] = 1;
        }
        status = fit_image(r, image, PASSES, &fit, objective);
    }
    um_nmf_state_free(s->ctx, &fit);
    return status;
}

static um_status begin(um_refit *r, const um_subspace *image, int i, um_nmf_state *fit)
{
    um_scaled *s = &r->part;
    um_nmf_options options = um_nmf_defaults((int64_t)r->k);
    options.start = i == 0 ? UM_START_SEPARABLE : i == 1 ? UM_START_NNDSVD : UM_START_RANDOM;
    uint64_t seed = um_context_seed(s->ctx);
    um_context_set_seed(s->ctx, seed + (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15) + 1);
    um_status status = um_nmf_start(s, &options, fit, image);
    um_context_set_seed(s->ctx, seed);
    return status;
}

typedef struct comparison {
    double reference;       /* objective of the result */
    double cosine[STARTS];  /* of one component in all */
    double *all;            /* starts_alike x k */
} comparison;

static um_status try_start(um_refit *r, const um_subspace *image, int i, comparison *cmp)
{
    um_scaled *s = &r->part;
    um_nmf_state fit;
    double objective = INFINITY;
    um_status status = um_nmf_state_create(s, r->k, PASSES, &fit);
    status = status == UM_OK ? begin(r, image, i, &fit) : status;
    status = status == UM_OK ? fit_image(r, image, PASSES, &fit, &objective) : status;
    double worse = (objective - cmp->reference) / um_nmf_unit(s, r->k, cmp->reference);
    um_debug(s->ctx, "start %d again: %.3f of the floor above the result, %lld passes", i, worse, (long long)fit.passes);
    if (status == UM_OK && worse <= AS_GOOD) {
        status = um_refit_match(r, fit.h);
        for (size_t c = 0; c < r->k; c++) {
            cmp->all[(size_t)r->evidence->starts_alike * r->k + c] = r->cosine[c * r->k + (size_t)r->assigned[c]];
        }
        r->evidence->starts_alike++;
    }
    r->evidence->starts++;
    um_nmf_state_free(s->ctx, &fit);
    return status;
}

static void fill_cards(um_refit *r, comparison *cmp)
{
    size_t alike = (size_t)r->evidence->starts_alike;
    for (size_t c = 0; c < r->k && alike > 0; c++) {
        um_card *card = &r->evidence->cards[c];
        size_t have = 0;
        for (size_t i = 0; i < alike; i++) {
            cmp->cosine[i] = cmp->all[i * r->k + c];
            have += cmp->cosine[i] > HAS_IT;
        }
        card->start_cosine = um_median(cmp->cosine, alike);
        card->start_share = (double)have / (double)alike;
    }
}

um_status um_refit_starts(um_refit *r)
{
    um_context *ctx = r->part.ctx;
    um_subspace image = {.count = 0};
    comparison cmp = {.all = calloc(STARTS * r->k, sizeof *cmp.all)};
    if (cmp.all == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %zu components", r->k);
    }
    um_status status = image_of(r, &image);
    status = status == UM_OK ? judge_result(r, &image, &cmp.reference) : status;
    um_progress_begin(ctx, "other starts", "starts", STARTS);
    for (int i = 0; i < STARTS && status == UM_OK; i++) {
        status = um_check_cancel(ctx);
        status = status == UM_OK ? try_start(r, &image, i, &cmp) : status;
        um_progress_add(ctx, 1);
    }
    um_progress_end(ctx);
    if (status == UM_OK) {
        fill_cards(r, &cmp);
    }
    um_subspace_free(ctx, &image);
    free(cmp.all);
    return status;
}
