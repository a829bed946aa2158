/* Which particles to look at with another method, and what the verdicts say. */
#include "measure_internal.h"

#include <stdlib.h>

typedef struct draw {
    double key; /* uniform: the smallest keys of a phase are drawn */
    int64_t particle;
} draw;

static int by_key(const void *a, const void *b)
{
    const draw *x = a;
    const draw *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : (x->particle > y->particle) - (x->particle < y->particle);
}

static int by_particle(const void *a, const void *b)
{
    const um_spot_check *x = a;
    const um_spot_check *y = b;
    return (x->particle > y->particle) - (x->particle < y->particle);
}

/* How many of each phase: the least that each is due, then one by one where most is missing to its share. */
static void allot(const int64_t *has, int32_t phases, int64_t particles, int64_t count, int64_t *take)
{
    int64_t left = count;
    int64_t due = count / (2 * (int64_t)phases);
    for (int32_t i = 0; i < phases; i++) {
        int64_t least = due > 1 ? due : 1;
        take[i] = has[i] < least ? has[i] : least;
        left -= take[i];
    }
    while (left > 0) {
        int32_t best = -1;
        double most = -INFINITY;
        for (int32_t i = 0; i < phases; i++) {
            double missing = (double)count * (double)has[i] / (double)particles - (double)take[i];
            if (take[i] < has[i] && missing > most) {
                most = missing;
                best = i;
            }
        }
        if (best < 0) {
            return;
        }
        take[best]++;
        left--;
    }
}

static void pick(const um_measure *m, int32_t phase, int64_t take, int64_t has, draw *keys, um_spot_check *spots,
                 int64_t *drawn)
{
    const um_random random = {um_context_seed(m->ctx), UM_STREAM_SPOTCHECK};
    int64_t n = 0;
    for (int64_t i = 0; i < m->particles; i++) {
        if (m->particle[i].phase == phase) {
            keys[n++] = (draw){um_random_uniform(random, (uint64_t)i), i};
        }
    }
    qsort(keys, (size_t)n, sizeof *keys, by_key);
    for (int64_t i = 0; i < take; i++) {
        spots[(*drawn)++] = (um_spot_check){keys[i].particle, has};
    }
}

um_status um_spotcheck_draw(const um_measure *m, int64_t count, um_spot_check **spots, int64_t *drawn)
{
    *spots = NULL;
    *drawn = 0;
    size_t phases = (size_t)m->phases + 1;
    int64_t *has = calloc(2 * phases, sizeof *has);
    draw *keys = calloc((size_t)m->particles + 1, sizeof *keys);
    um_spot_check *list = calloc((size_t)m->particles + 1, sizeof *list);
    um_status status = has != NULL && keys != NULL && list != NULL ? UM_OK : um_fail(m->ctx, UM_ERROR_MEMORY, "no memory");
    int64_t inhabited = 0;
    for (int64_t i = 0; status == UM_OK && i < m->particles; i++) {
        inhabited += has[m->particle[i].phase]++ == 0;
    }
    if (status == UM_OK && (count < 1 || count < inhabited)) {
        status = um_fail(m->ctx, UM_ERROR_ARGUMENT, "a spot check of %lld particles: there are %lld phases, take at least one "
                                                    "of each",
                         (long long)count, (long long)inhabited);
    }
    if (status == UM_OK && m->phases > 0) {
        allot(has, m->phases, m->particles > 0 ? m->particles : 1, count < m->particles ? count : m->particles, has + phases);
    }
    for (int32_t i = 0; status == UM_OK && i < m->phases; i++) {
        pick(m, i, has[phases + (size_t)i], has[i], keys, list, drawn);
    }
    free(has);
    free(keys);
    if (status != UM_OK) {
        free(list);
        return status;
    }
    qsort(list, (size_t)*drawn, sizeof *list, by_particle);
    *spots = list;
    return UM_OK;
}

um_estimate um_spotcheck_proportion(const um_spot_verdicts *phases, int64_t count)
{
    double all = 0.0;
    double right = 0.0;
    double squares = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double n = (double)phases[i].checked;
        double particles = (double)phases[i].particles;
        if (n > 0.0) {
            all += particles;
            right += particles * (double)phases[i].right / n;
            squares += particles * particles / n;
        }
    }
    um_estimate e = {NAN, NAN, NAN, false};
    if (all > 0.0) {
        double trials = all * all / squares;
        e.value = right / all;
        um_wilson_interval(e.value * trials, trials, &e.low, &e.high);
    }
    return e;
}
