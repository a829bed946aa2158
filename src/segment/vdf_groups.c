/* Parts of dark-field images that lie at the same place are one crystal; crystals of the same reflections one class. */
#include "vdf.h"

#include "linkage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- sightings -------------------------------------------------------------------------------------- */

static um_status add(um_vdf *v, int64_t vector, const int32_t *label, int32_t id)
{
    um_sighting *more = realloc(v->sighting, ((size_t)v->sightings + 1) * sizeof *more);
    if (more == NULL) {
        return um_fail(v->ctx, UM_ERROR_MEMORY, "no memory for parts of dark-field images");
    }
    v->sighting = more;
    um_sighting *s = &more[v->sightings++];
    *s = (um_sighting){.vector = vector, .group = -1};
    UM_TRY(um_buffer_alloc(v->ctx, (size_t)v->positions, 1, "parts of dark-field images", &s->map));
    for (int64_t i = 0; i < v->positions; i++) {
        s->map[i] = label[i] == id;
        s->area += label[i] == id;
        s->counts += label[i] == id ? v->net[vector * v->positions + i] : 0;
    }
    return UM_OK;
}

/* Correlation of neighbours in a row and in a column, of roots: what is noise is not alike. */
static double continuity(const um_vdf *v, const double *map)
{
    double sum[3] = {0, 0, 0};
    double square = 0;
    double n = 0;
    for (int64_t i = 0; i < v->positions; i++) {
        double a = sqrt(map[i]);
        sum[0] += a;
        square += a * a;
        n++;
    }
    double mean = sum[0] / n;
    double pairs = 0;
    double product = 0;
    for (int64_t i = 0; i + 1 < v->positions; i++) {
        if (i % v->shape.nx + 1 < v->shape.nx) {
            product += (sqrt(map[i]) - mean) * (sqrt(map[i + 1]) - mean);
            pairs++;
        }
        if (i + v->shape.nx < v->positions) {
            product += (sqrt(map[i]) - mean) * (sqrt(map[i + v->shape.nx]) - mean);
            pairs++;
        }
    }
    double variance = square / n - mean * mean;
    return variance > 0 && pairs > 0 ? product / pairs / variance : 0;
}

um_status um_vdf_find_sightings(um_vdf *v)
{
    int32_t *label = NULL;
    UM_TRY(um_buffer_alloc(v->ctx, (size_t)v->positions, sizeof *label, "particles", &label));
    um_status status = UM_OK;
    for (int64_t i = 0; status == UM_OK && i < v->vectors->count; i++) {
        const double *map = v->net + i * v->positions;
        int64_t count = 0;
        double level = NAN;
        if (continuity(v, map) < v->options->least_continuity) {
            continue;
        }
        status = um_find_particles(v->ctx, v->shape.ny, v->shape.nx, map, v->position_mask, v->options, &level, label, &count);
        for (int32_t id = 1; status == UM_OK && id <= count; id++) {
            status = add(v, i, label, id);
        }
        status = status == UM_OK ? um_check_cancel(v->ctx) : status;
    }
    um_buffer_free(v->ctx, label);
    return status;
}

/* ---- crystals and classes --------------------------------------------------------------------------- */

static double shared_part(const um_vdf *v, const um_sighting *a, const um_sighting *b)
{
    double both = 0;
    for (int64_t i = 0; i < v->positions; i++) {
        both += a->map[i] & b->map[i];
    }
    return both / ((double)a->area + (double)b->area - both);
}

static um_status cut(um_vdf *v, double *distance, int64_t n, double height, int32_t *label, int64_t *count)
{
    um_merge *merges = calloc((size_t)n + 1, sizeof *merges);
    double *size = calloc((size_t)n + 1, sizeof *size);
    um_status status = merges != NULL && size != NULL ? UM_OK : um_fail(v->ctx, UM_ERROR_MEMORY, "no memory for a linkage");
    for (int64_t i = 0; status == UM_OK && i < n; i++) {
        size[i] = 1;
    }
    status = status == UM_OK ? um_average_merges(v->ctx, distance, size, n, merges) : status;
    if (status == UM_OK) {
        *count = um_merges_cut(merges, n, 1, height, label);
        status = *count >= 0 ? UM_OK : um_fail(v->ctx, UM_ERROR_MEMORY, "no memory for a linkage");
    }
    free(size);
    free(merges);
    return status;
}

/* Drops groups seen by too few reflections, and numbers the others. */
static void keep_groups(um_vdf *v, int32_t *label, int64_t count)
{
    v->groups = 0;
    for (int32_t g = 0; g < count; g++) {
        int64_t seen = 0;
        for (int64_t i = 0; i < v->sightings; i++) {
            seen += label[i] == g;
        }
        for (int64_t i = 0; i < v->sightings && seen >= v->options->least_vectors; i++) {
            v->sighting[i].group = label[i] == g ? (int32_t)v->groups : v->sighting[i].group;
        }
        v->groups += seen >= v->options->least_vectors;
    }
}

/* 1 - the part of the reflections of two crystals that both have. */
static double reflections_apart(const um_vdf *v, int32_t a, int32_t b)
{
    double both = 0;
    double either = 0;
    for (int64_t k = 0; k < v->vectors->count; k++) {
        bool in_a = false;
        bool in_b = false;
        for (int64_t i = 0; i < v->sightings; i++) {
            in_a = in_a || (v->sighting[i].vector == k && v->sighting[i].group == a);
            in_b = in_b || (v->sighting[i].vector == k && v->sighting[i].group == b);
        }
        both += in_a && in_b;
        either += in_a || in_b;
    }
    return either > 0 ? 1 - both / either : 1;
}

um_status um_vdf_group(um_vdf *v)
{
    size_t n = (size_t)v->sightings;
    double *distance = NULL;
    int32_t *label = calloc(n + 1, sizeof *label);
    int64_t count = 0;
    if (label == NULL) {
        return um_fail(v->ctx, UM_ERROR_MEMORY, "no memory for crystals");
    }
    um_status status = um_buffer_alloc(v->ctx, n * n + 1, sizeof *distance, "likeness of dark-field images", &distance);
    for (size_t i = 0; status == UM_OK && i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            distance[i * n + j] = 1 - shared_part(v, &v->sighting[i], &v->sighting[j]);
        }
        status = um_check_cancel(v->ctx);
    }
    status = status == UM_OK && n > 0 ? cut(v, distance, v->sightings, 1 - v->options->overlap, label, &count) : status;
    if (status == UM_OK) {
        keep_groups(v, label, count);
        v->class_of = calloc((size_t)v->groups + 1, sizeof *v->class_of);
        status = v->class_of != NULL ? UM_OK : um_fail(v->ctx, UM_ERROR_MEMORY, "no memory for crystals");
    }
    for (int64_t i = 0; status == UM_OK && i < v->groups; i++) {
        for (int64_t j = 0; j < v->groups; j++) {
            distance[i * v->groups + j] = reflections_apart(v, (int32_t)i, (int32_t)j);
        }
    }
    if (status == UM_OK && v->groups > 0) {
        status = cut(v, distance, v->groups, 1 - v->options->same_vectors, v->class_of, &v->classes);
    }
    um_buffer_free(v->ctx, distance);
    free(label);
    return status;
}
