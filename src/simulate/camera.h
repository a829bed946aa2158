/* The camera: where a pattern falls on it, which pixels are wrong, and what is stored of a signal. */
#ifndef UM_CAMERA_H
#define UM_CAMERA_H

#include "counts.h"
#include "unmix/instrument.h"

enum { UM_AFTERGLOW_MOST = 9 }; /* earlier positions whose light is still seen */

typedef struct um_hot_pixel {
    int64_t pixel;
    double counts;
} um_hot_pixel;

typedef struct um_camera {
    um_instrument instrument;
    um_shape shape;
    uint64_t seed;
    double top; /* largest value stored; infinite for floats that nothing limits */
    bool shifts;
    int afterglow; /* earlier positions that are seen: those with a weight of at least 0.001 */
    double glow[UM_AFTERGLOW_MOST + 1];
    um_hot_pixel *hot;
    int64_t *dead;
    size_t hots, deads;
} um_camera;

UM_CHECK um_status um_camera_create(um_context *ctx, const um_instrument *instrument, um_shape shape,
                                    um_camera **out);
void um_camera_free(um_camera *camera);
/* How the pattern at position (y, x) is moved; a function of the seed and the position. */
um_shift um_camera_shift(const um_camera *camera, int64_t y, int64_t x);
/* What hot pixel i adds at a position: Poisson counts, or their mean without noise. */
double um_camera_hot_counts(const um_camera *camera, size_t i, int64_t position);
/* Stores signal (ky*kx, electrons) as values of the instrument's dtype; returns how many are at the top. */
int64_t um_camera_store(const um_camera *camera, int64_t position, const double *signal, void *values);
/* Whether counts are stored as they are, so that they can be drawn in their place. */
bool um_camera_stores_counts(const um_camera *camera);

/* Refuses what makes no sense, naming it. */
UM_CHECK um_status um_instrument_check(um_context *ctx, const um_instrument *instrument);

#endif
