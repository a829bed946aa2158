/* The libraries of the candidates, and the spots of a pattern against all of them. */
#include "identify_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

um_identify_options um_identify_defaults(void)
{
    return (um_identify_options){.voltage_kV = NAN, .precession_mrad = NAN, .thickness_nm = 50.0, .scale_per_A = NAN,
                                 .cy = NAN, .cx = NAN, .scale_tolerance = 0.03, .center_tolerance = 2.0,
                                 .ellipse_tolerance = 0.02, .spot_px = 1.0, .g_min_per_A = 0.1, .step_deg = 2.0,
                                 .near_deg = 5.0, .false_rate = 0.01, .null_patterns = 40};
}

um_status um_identify_check(um_context *ctx, size_t count, um_identify_options *o, const um_frame *f)
{
    o->voltage_kV = isnan(o->voltage_kV) ? 200.0 : o->voltage_kV;
    o->precession_mrad = isnan(o->precession_mrad) ? 17.5 : o->precession_mrad;
    if (count == 0 || count > 10000) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "identify: %zu candidates: it takes 1 to 10,000 structures", count);
    }
    if (f->ky < 16 || f->kx < 16) {
        return um_fail(ctx, UM_ERROR_SHAPE, "identify: patterns of %lldx%lld px: 16x16 are the least", (long long)f->ky,
                       (long long)f->kx);
    }
    if (!(o->scale_per_A > 0.0) || !isfinite(o->scale_per_A)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "identify: the size of a detector pixel is not known: give it in 1/angstrom (--pixel)");
    }
    double half = 0.5 * o->scale_per_A * (double)(f->ky < f->kx ? f->ky : f->kx);
    if (!(half <= 4.0) || !(o->g_min_per_A >= 0.0 && o->g_min_per_A < half)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "identify: patterns that reach %.3g 1/angstrom from the beam: at most 4, and more than the least |g| of "
                       "%g: is the size of a pixel in 1/angstrom right?",
                       half, o->g_min_per_A);
    }
    if (!(f->cy >= 0.0 && f->cx >= 0.0 && f->cy < (double)f->ky && f->cx < (double)f->kx)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "identify: the direct beam at (%g, %g) is not on the detector", f->cy, f->cx);
    }
    if (!(o->scale_tolerance >= 0.0 && o->scale_tolerance <= 0.2 && o->center_tolerance >= 0.0 &&
          o->center_tolerance <= 10.0 && o->ellipse_tolerance >= 0.0 && o->ellipse_tolerance <= 0.2)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "identify: tolerances are at most 0.2 of the scale, 10 px of the centre, 0.2 of the ellipse");
    }
    if (!(o->step_deg >= 0.25 && o->step_deg <= 10.0 && o->near_deg > 0.0 && o->near_deg <= 90.0 && o->spot_px > 0.0 &&
          o->spot_px <= 20.0 && o->thickness_nm > 0.0 && o->thickness_nm <= 1e4 && o->false_rate > 0.0 &&
          o->false_rate < 1.0 && o->null_patterns >= 0 && o->null_patterns <= 10000)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "identify: the step is 0.25 .. 10 deg, spots up to 20 px, the false rate between 0 and 1, at most "
                       "10,000 null patterns");
    }
    if (!(o->voltage_kV >= 20.0 && o->voltage_kV <= 5000.0 && o->precession_mrad >= 0.0 && o->precession_mrad <= 100.0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "identify: %g kV, precession of %g mrad: 20 .. 5000 kV, 0 .. 100 mrad",
                       o->voltage_kV, o->precession_mrad);
    }
    return UM_OK;
}

um_status um_identify_begin(um_context *ctx, const um_candidate *candidates, size_t count, const um_identify_options *how,
                            const um_frame *frame, um_identify_job *out)
{
    *out = (um_identify_job){.ctx = ctx, .candidate = candidates, .phases = count, .how = *how, .frame = *frame};
    const um_identify_options *o = &out->how;
    double half = 0.5 * o->scale_per_A * (double)(frame->ky < frame->kx ? frame->ky : frame->kx);
    out->beam = (um_beam_settings){.wavelength_A = um_electron_wavelength(o->voltage_kV),
                                   .precession_rad = o->precession_mrad * 1e-3,
                                   .width_per_A = 0.5 / (10.0 * o->thickness_nm),
                                   .g_min_per_A = o->g_min_per_A,
                                   .g_max_per_A = half * (1.0 + o->scale_tolerance),
                                   .merge_per_A = 1.2 * frame->radius_px * o->scale_per_A};
    out->bounds = (um_bounds){.scale = 1.0 / o->scale_per_A, .scale_tolerance = log1p(o->scale_tolerance),
                              .center = o->center_tolerance, .strain = 0.5 * o->ellipse_tolerance};
    out->library = calloc(count, sizeof *out->library);
    if (out->library == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    um_status status = UM_OK;
    um_progress_begin(ctx, "library of patterns", "structures", (int64_t)count);
    for (size_t p = 0; p < count && status == UM_OK; p++) {
        status = um_library_make(ctx, candidates[p].crystal, &out->beam, o, &out->library[p]);
        um_progress_add(ctx, 1);
    }
    um_progress_end(ctx);
    if (status != UM_OK) {
        um_identify_end(out);
    }
    return status;
}

void um_identify_end(um_identify_job *job)
{
    for (size_t p = 0; p < job->phases && job->library != NULL; p++) {
        um_library_clear(job->ctx, &job->library[p]);
    }
    free(job->library);
    job->library = NULL;
}

void um_identify_spots(const um_identify_job *job, um_polar *polar, const um_bounds *bounds, const um_blob_spot *spots,
                       int64_t count, um_fit *fit_of)
{
    enum { STARTS = 6 };
    um_scene_of scene = {.frame = &job->frame, .spot = spots, .spots = count, .sigma_px = job->how.spot_px};
    double step = job->how.step_deg * M_PI / 180.0;
    um_scene_measure(&scene);
    um_polar_fill(polar, spots, count);
    for (size_t p = 0; p < job->phases; p++) {
        um_start start[STARTS];
        um_fit now;
        const um_library *library = &job->library[p];
        int n = um_polar_search(polar, library, (int32_t)p, start, STARTS);
        memset(&fit_of[p], 0, sizeof fit_of[p]);
        for (int i = 0; i < n; i++) {
            um_refine(library, &job->beam, &scene, bounds, &start[i], step, &now);
            if (i == 0 || now.pairing.score > fit_of[p].pairing.score) {
                fit_of[p] = now;
            }
        }
        if (n > 0) {
            um_refine_tilt(library, &job->beam, &scene, bounds, 0.5 * step, &fit_of[p]);
        }
    }
}
