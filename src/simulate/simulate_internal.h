/* Parts of the simulator: where the states are, and what the truth says. */
#ifndef UM_SIMULATE_INTERNAL_H
#define UM_SIMULATE_INTERNAL_H

#include "base_internal.h"
#include "unmix/instrument.h"
#include "unmix/simulate.h"

/* Fraction of each state at each position, positions x states, each row summing to 1: the layout seen
 * through the probe. A budgeted buffer that the caller frees. */
UM_CHECK um_status um_layout_fractions(um_context *ctx, const um_simulation *simulation,
                                       float **fractions);

/* A simulation as a scene. *counts: per pattern; 0 is replaced by what the patterns give as they are. */
UM_CHECK um_status um_layout_scene(um_context *ctx, const um_simulation *simulation, double *counts,
                                   um_scene **out);

/* A sampled Gaussian, cut at four standard deviations or `most` steps; weight is malloc'ed. */
typedef struct um_kernel {
    int64_t radius;
    double *weight; /* of distance 0 .. radius, 1 at 0 */
} um_kernel;
UM_CHECK um_status um_kernel_make(um_context *ctx, double sigma_px, int64_t most, um_kernel *out);
/* Convolves each state's map with that Gaussian and divides by the part of it that falls inside the scan,
 * so that rows go on summing to 1. In place. */
UM_CHECK um_status um_layout_blur(um_context *ctx, int64_t ny, int64_t nx, int64_t states,
                                  double sigma_px, float *fractions);

/* The parts of um_scene_write(). Axes of its files; its provenance, malloc'ed; and the truth. camera: see camera.h. */
struct um_camera;
void um_scene_axes(const um_scene *scene, um_axis axes[4]);
UM_CHECK um_status um_scene_provenance(um_context *ctx, const um_scene *scene, const um_instrument *instrument,
                                       char **json);
/* pattern: state_pattern as the instrument shows it (states x ky x kx). */
UM_CHECK um_status um_scene_truth(um_context *ctx, const um_scene *scene, const struct um_camera *camera,
                                  const float *pattern, const char *provenance, um_model **out);


/* Refuses scenes that are not what scene.h says. */
UM_CHECK um_status um_scene_check(um_context *ctx, const um_scene *scene);

#endif
