/* A pattern of the scan: scene -> detector -> stored values. */
#ifndef UM_EXPOSURE_H
#define UM_EXPOSURE_H

#include "camera.h"

/* Makes the patterns of a scene; read-only while threads use it. */
typedef struct um_exposure {
    const um_scene *scene;
    const um_counter *counter;
    const um_camera *camera;
} um_exposure;

/* One worker's room. */
typedef struct um_film {
    uint32_t *counts;
    double *mean, *scratch, *signal;
    double *seen[UM_AFTERGLOW_MOST + 1]; /* by each of the last positions, before the afterglow */
    int64_t seen_at[UM_AFTERGLOW_MOST + 1];
    int64_t full; /* values at the top, counted up */
} um_film;
UM_CHECK um_status um_film_start(um_context *ctx, const um_exposure *exposure, um_film *film);
void um_film_stop(um_context *ctx, um_film *film);

/* Writes the pattern at (y, x) to values. */
void um_expose(const um_exposure *exposure, um_film *film, int64_t y, int64_t x, void *values);

#endif
