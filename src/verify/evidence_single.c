/* Suspicions about a component by itself. */
#include "evidence_internal.h"

#include <math.h>
#include <stdlib.h>

/* ---- hot pixels --------------------------------------------------------------------------------- */

enum { BEAM = 6 /* px around it are left out of rings */ };
static const double SPIKE = 4, CERTAIN = 8;

static double largest_neighbour(const um_inquiry *q, int64_t c, int64_t j, double *error)
{
    int64_t y = j / q->shape.kx;
    int64_t x = j % q->shape.kx;
    double most = 0;
    *error = 0;
    for (int64_t v = y - 1; v <= y + 1; v++) {
        for (int64_t u = x - 1; u <= x + 1; u++) {
            int64_t i = v * q->shape.kx + u;
            if (v < 0 || u < 0 || v >= q->shape.ky || u >= q->shape.kx || i == j ||
                !um_used(q->pixel_mask, i)) {
                continue;
            }
            most = fmax(most, um_h(q, c, i));
            *error = fmax(*error, q->out->pattern_error[c * q->m + i]);
        }
    }
    return most;
}

static um_status look_for_spikes(um_inquiry *q, int64_t c)
{
    int64_t spikes = 0;
    int64_t worst = -1;
    for (int64_t j = 0; j < q->m; j++) {
        double error = 0;
        double value = um_h(q, c, j);
        double around = value > 0 ? largest_neighbour(q, c, j, &error) : 0;
        double own = q->out->pattern_error[c * q->m + j];
        if (value > SPIKE * around && value - around > CERTAIN * sqrt(own * own + error * error)) {
            spikes++;
            worst = worst < 0 || value > um_h(q, c, worst) ? j : worst;
        }
    }
    if (spikes == 0) {
        return UM_OK;
    }
    return um_suspect(q->out, UM_SUSPECT_HOT_PIXEL, c, -1,
                      "%lld pixels are more than %.0f times their neighbours, the strongest (ky %lld, kx %lld) holds %.2g %% "
                      "of the pattern: hot pixels; repair with --hot-pixels 10 or mask them",
                      (long long)spikes, SPIKE, (long long)(worst / q->shape.kx), (long long)(worst % q->shape.kx),
                      100 * um_h(q, c, worst) / q->pattern_sum[c]);
}

/* ---- background, film --------------------------------------------------------------------------- */

/* Variance that is left after the mean over the four neighbours is taken out, as part of all; noise taken out. */
static double roughness(const um_inquiry *q, int64_t c)
{
    double rough = 0;
    double all = 0;
    double mean = q->pattern_sum[c] / (double)q->m_used;
    for (int64_t y = 1; y + 1 < q->shape.ky; y++) {
        for (int64_t x = 1; x + 1 < q->shape.kx; x++) {
            int64_t j = y * q->shape.kx + x;
            const int64_t around[4] = {j - 1, j + 1, j - q->shape.kx, j + q->shape.kx};
            double sum = 0;
            bool whole = um_used(q->pixel_mask, j);
            for (int i = 0; i < 4; i++) {
                whole = whole && um_used(q->pixel_mask, around[i]);
                sum += um_h(q, c, around[i]);
            }
            double error = q->out->pattern_error[c * q->m + j];
            if (whole && isfinite(error)) {
                double left = um_h(q, c, j) - sum / 4;
                double over = um_h(q, c, j) - mean;
                rough += left * left - 1.25 * error * error;
                all += over * over - error * error;
            }
        }
    }
    return all > 0 ? fmax(rough, 0) / all : NAN;
}

/* Part of a pattern's variance that the distance from the middle tells, relative to the root of the sum pattern, so
 * that the beam does not outweigh the rest; ring: distance of the largest mean after the profile has risen by half, 0 =
 * it only falls. */
static um_status radial_part(um_inquiry *q, int64_t c, double *part, int64_t *ring)
{
    int64_t bins = (q->shape.ky < q->shape.kx ? q->shape.ky : q->shape.kx) / 2; /* whole circles */
    double *sum = calloc(3 * (size_t)bins, sizeof *sum);
    if (sum == NULL) {
        return um_fail(q->ctx, UM_ERROR_MEMORY, "no memory for a radial profile");
    }
    double *squares = sum + bins;
    double *count = sum + 2 * bins;
    double total = 0;
    double used = 0;
    double all = 0;
    for (int64_t j = 0; j < q->m; j++) {
        double v = (double)(j / q->shape.kx) - q->center[0];
        double u = (double)(j % q->shape.kx) - q->center[1];
        int64_t r = (int64_t)(sqrt(v * v + u * u) + 0.5);
        double error = q->out->pattern_error[c * q->m + j];
        bool beam = llabs(j / q->shape.kx - q->beam / q->shape.kx) <= BEAM &&
                    llabs(j % q->shape.kx - q->beam % q->shape.kx) <= BEAM;
        if (q->contrast[j] > 0 && !beam && r < bins && isfinite(error)) {
            double value = um_h(q, c, j) * sqrt(q->contrast[j]);
            double square = value * value; /* with its noise: what is uncertain is no ring */
            sum[r] += value;
            squares[r] += square;
            count[r] += 1;
            all += square;
            total += value;
            used += 1;
        }
    }
    all -= used > 0 ? total * total / used : 0;
    double within = 0;
    double last = INFINITY;
    double most = 0;
    *ring = 0;
    for (int64_t r = 0; r < bins; r++) {
        double level = count[r] > 0 ? sum[r] / count[r] : last;
        within += count[r] > 0 ? squares[r] - sum[r] * level : 0;
        if (level > 1.5 * last && level > most && count[r] > 8) {
            most = level;
            *ring = r;
        }
        last = fmin(last, level);
    }
    *part = all > 0 ? 1 - fmax(within, 0) / all : NAN;
    free(sum);
    return UM_OK;
}

static um_status look_for_no_crystal(um_inquiry *q, int64_t c)
{
    if (q->shape.ky < 16 || q->shape.kx < 16) {
        return UM_OK;
    }
    double part = 0;
    int64_t ring = 0;
    UM_TRY(radial_part(q, c, &part, &ring));
    int64_t present = 0;
    for (int64_t p = 0; p < q->n; p++) {
        present += um_share(q, p, c) > 0.02;
    }
    double everywhere = (double)present / (double)q->n_used;
    double rough = roughness(q, c);
    if (part > 0.8 && ring > 0) {
        return um_suspect(q->out, UM_SUSPECT_FILM, c, -1,
                          "%.0f %% of its contrast depends on the distance from the middle only, with a ring at %lld px: a film or "
                          "glass",
                          100 * part, (long long)ring);
    }
    if (rough < 0.02 && part > 0.5 && everywhere > 0.8) {
        return um_suspect(q->out, UM_SUSPECT_BACKGROUND, c, -1,
                          "its pattern is smooth and %.0f %% of all positions hold it: background", 100 * everywhere);
    }
    return UM_OK;
}

/* ---- one position ------------------------------------------------------------------------------- */

/* More than half of the squares of its loadings (noise leaves a little of every component everywhere). */
static um_status look_for_lone(um_inquiry *q, int64_t c)
{
    int64_t most = 0;
    double squares = 0;
    for (int64_t p = 0; p < q->n; p++) {
        double w = um_w(q, p, c);
        most = w > um_w(q, most, c) ? p : most;
        squares += w * w;
    }
    double part = squares > 0 ? um_w(q, most, c) * um_w(q, most, c) / squares : 0;
    if (part <= 0.5 || q->n_used < 50) {
        return UM_OK;
    }
    return um_suspect(q->out, UM_SUSPECT_LONE, c, -1,
                      "it lives in one position (y %lld, x %lld: %.0f %% of its squared loadings): a cosmic ray, a fault of the "
                      "detector, or a grain no larger than the step; look at the pattern there",
                      (long long)(most / q->shape.nx), (long long)(most % q->shape.nx), 100 * part);
}

/* ---- thickness, tilt ---------------------------------------------------------------------------- */

static um_status look_at_signal(um_inquiry *q, int64_t c)
{
    double n = 0;
    double x = 0;
    double y = 0;
    double xx = 0;
    double yy = 0;
    double xy = 0;
    for (int64_t p = 0; p < q->n; p++) {
        double share = um_share(q, p, c);
        if (um_used(q->position_mask, p)) {
            double s = q->signal[p];
            n += 1;
            x += share;
            y += s;
            xx += share * share;
            yy += s * s;
            xy += share * s;
        }
    }
    double vx = n * xx - x * x;
    double vy = n * yy - y * y;
    double r = vx > 0 && vy > 0 ? (n * xy - x * y) / sqrt(vx * vy) : NAN;
    q->out->cards[c].signal_correlation = r;
    bool varies = vy > 4 * n * fmax(y, 1); /* four times the variance of counts */
    if (fabs(r) > 0.9 && varies && n > 50) {
        return um_suspect(q->out, UM_SUSPECT_THICKNESS, c, -1,
                          "its share follows the counts of the position (correlation %.2f): thickness or tilt may be what it "
                          "tells",
                          r);
    }
    return UM_OK;
}

um_status um_suspect_singles(um_inquiry *q)
{
    for (int64_t c = 0; c < q->k; c++) {
        UM_TRY(um_check_cancel(q->ctx));
        UM_TRY(look_for_spikes(q, c));
        UM_TRY(look_for_no_crystal(q, c));
        UM_TRY(look_for_lone(q, c));
        UM_TRY(look_at_signal(q, c));
    }
    return UM_OK;
}
