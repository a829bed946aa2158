/* How well a model of one half of the counts tells the other: Poisson deviance. */
#include "choose_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the model of one component: a component that happens to be zero where a count came is no proof. */
static const double FLOOR = 0.02;

typedef struct judging {
    const um_half *train, *test;
    const um_path *path;
    double *deviance; /* most x rows */
    float *column;    /* m: share of counts of each pixel in the training half */
    float **work;     /* per worker: 2 m */
} judging;

/* The mean that the fit tells for pixels j of row r, without the row's weight. */
static void model_row(const judging *k, const um_nmf_state *fit, size_t r, float *restrict mean)
{
    const um_scaled *s = &k->train->scaled;
    memset(mean, 0, s->m * sizeof *mean);
    for (size_t c = 0; c < fit->k; c++) {
        const float w = fit->w[r * fit->k + c];
        const float *restrict h = fit->h + c * s->ld;
        if (!(w > 0)) {
            continue;
        }
        for (size_t j = 0; j < s->m; j++) {
            mean[j] += w * h[j];
        }
    }
}

/* Twice sum of mean - count log(mean), the part of the deviance that depends on the fit. */
static double judge_fit(const judging *k, const um_nmf_state *fit, size_t r, float *mean,
                        const float *counts)
{
    const um_scaled *s = &k->train->scaled;
    const float row = s->u[r] > 0 ? 1 / s->u[r] : 0;
    const float least = (float)(FLOOR * (k->train->row[r] + 1));
    double sum = 0;
    model_row(k, fit, r, mean);
    for (size_t j = 0; j < s->m; j++) {
        if (s->v[j] > 0) {
            float floor = least * k->column[j];
            float x = mean[j] * row / s->v[j];
            x = x > floor ? x : floor;
            sum += (double)x - (counts[j] > 0 ? (double)(counts[j] * logf(x)) : 0);
        }
    }
    return 2 * sum;
}

static um_status judge_row(void *user, int64_t item, int worker)
{
    judging *k = user;
    const um_scaled *s = &k->train->scaled;
    size_t r = (size_t)item;
    float *counts = k->work[worker] + s->m;
    double own = 0; /* of the counts alone: the same for all k */
    for (size_t j = 0; j < s->m; j++) {
        double x = um_count_at(&k->test->sample, r * s->m + j);
        counts[j] = (float)x;
        own += x > 0 ? x * log(x) - x : 0;
    }
    for (size_t i = 0; i < k->path->most; i++) {
        k->deviance[i * k->test->sample.rows + r] +=
            2 * own + judge_fit(k, &k->path->fit[i], r, k->work[worker], counts);
    }
    return UM_OK;
}

static um_status judge(judging *k)
{
    const um_scaled *s = &k->train->scaled;
    int threads = um_context_threads(s->ctx);
    k->column = calloc(s->m, sizeof *k->column);
    k->work = calloc((size_t)threads, sizeof *k->work);
    bool made = k->column != NULL && k->work != NULL;
    for (int i = 0; made && i < threads; i++) {
        k->work[i] = calloc(2 * s->m, sizeof **k->work);
        made = k->work[i] != NULL;
    }
    for (size_t j = 0; made && j < s->m; j++) { /* half a count where none came */
        k->column[j] = (float)(fmax(k->train->column[j], 0.5) / fmax(k->train->total, 1));
    }
    um_status status = made ? um_pipeline_run(s->ctx, (int64_t)k->test->sample.rows, threads, judge_row,
                                              NULL, k)
                            : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu pixels", s->m);
    for (int i = 0; k->work != NULL && i < threads; i++) {
        free(k->work[i]);
    }
    free(k->work);
    free(k->column);
    return status;
}

um_status um_held_out(const um_half half[2], const um_path path[2], double **deviance)
{
    um_context *ctx = half[0].scaled.ctx;
    size_t rows = half[0].sample.rows;
    *deviance = calloc(path[0].most * rows, sizeof **deviance);
    if (*deviance == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %zu positions", rows);
    }
    for (int h = 0; h < 2; h++) {
        judging k = {&half[h], &half[1 - h], &path[h], *deviance, NULL, NULL};
        UM_TRY(judge(&k));
    }
    return UM_OK;
}

/* Of the sum over rows of a - b, from how it varies between rows. */
static double difference_error(const double *a, const double *b, size_t rows)
{
    double sum = 0;
    double squares = 0;
    for (size_t r = 0; r < rows; r++) {
        double d = a[r] - b[r];
        sum += d;
        squares += d * d;
    }
    return sqrt(fmax(0, squares - sum * sum / (double)rows));
}

um_held_out_choice um_held_out_choose(const double *deviance, size_t rows, size_t values, size_t most,
                                      double *mean, double *error)
{
    um_held_out_choice choice = {1, 1};
    for (size_t k = 1; k <= most; k++) {
        const double *d = deviance + (k - 1) * rows;
        mean[k - 1] = 0;
        for (size_t r = 0; r < rows; r++) {
            mean[k - 1] += d[r];
        }
        if (mean[k - 1] < mean[choice.best - 1]) {
            choice.best = (int64_t)k;
        }
    }
    const double *best = deviance + (choice.best - 1) * (int64_t)rows;
    double least = mean[choice.best - 1];
    choice.fewest = choice.best;
    for (size_t k = most; k >= 1; k--) {
        error[k - 1] = difference_error(deviance + (k - 1) * rows, best, rows);
        if ((int64_t)k < choice.best && mean[k - 1] <= least + error[k - 1]) {
            choice.fewest = (int64_t)k;
        }
        mean[k - 1] /= (double)values;
        error[k - 1] /= (double)values;
    }
    return choice;
}
