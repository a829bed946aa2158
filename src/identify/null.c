/* How high do scores get where no candidate is right? Patterns that are as regular as the one in question, but of another lattice. */
#include "identify_internal.h"

#include <math.h>

int64_t um_null_draw(um_random random, int64_t c, int64_t draw, const um_frame *frame, const um_blob_spot *spots, int64_t count,
                     um_blob_spot *out)
{
    static const double least = 0.06, most = 0.25; /* logarithms: beyond what calibration may explain */
    uint64_t counter = ((uint64_t)c << 20 | (uint64_t)draw) * 8;
    double stretch[2], angle = M_PI * um_random_uniform(random, counter);
    for (int i = 0; i < 2; i++) {
        double size = least + (most - least) * um_random_uniform(random, counter + 1 + (uint64_t)i);
        stretch[i] = exp(um_random_uniform(random, counter + 3 + (uint64_t)i) < 0.5 ? -size : size);
    }
    double ca = cos(angle), sa = sin(angle);
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        double u = stretch[0] * (ca * spots[i].x + sa * spots[i].y), v = stretch[1] * (ca * spots[i].y - sa * spots[i].x);
        um_blob_spot s = {ca * u - sa * v, sa * u + ca * v, spots[i].amplitude};
        double row = frame->cy - s.y, column = frame->cx + s.x;
        if (row >= 1.0 && column >= 1.0 && row <= (double)frame->ky - 2.0 && column <= (double)frame->kx - 2.0) {
            out[kept++] = s;
        }
    }
    return kept;
}

/* ln(s / (1 - s)): scores end at 1, their extremes do not. */
static double logit(double score)
{
    double s = fmin(fmax(score, 1e-6), 1.0 - 1e-6);
    return log(s / (1.0 - s));
}

double um_null_chance(const double *scores, int64_t count, double score)
{
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += logit(scores[i]);
    }
    double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) {
        squares += (logit(scores[i]) - mean) * (logit(scores[i]) - mean);
    }
    double sigma = sqrt(squares / (double)(count > 1 ? count - 1 : 1));
    if (count < 2 || !(sigma > 0.0)) {
        return logit(score) > mean ? 0.0 : 1.0;
    }
    double width = sigma * sqrt(6.0) / M_PI, mode = mean - 0.57721566490153286 * width;
    return -expm1(-exp(-(logit(score) - mode) / width));
}
