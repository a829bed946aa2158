/* Columns of pieces -> a library of the patterns that are needed, and their weights at every position.
 *
 * Every library pattern but the direct beam (0) is what something scatters out of the beam. A column whose parts would
 * scatter S_i each, alone and without depletion, scatters 1 - exp(-S) in all, S = sum of S_i, shared in proportion; the
 * direct beam keeps exp(-S). So weights of scattered patterns are mixing weights times (1 - exp(-S))/S. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct worker {
    uint8_t *used; /* slots */
    double *image;
} worker;

typedef struct assembly {
    um_context *ctx;
    const um_specimen *s;
    um_scene *scene;
    int64_t slots;
    worker *worker;
    int workers;
    int64_t *library_of; /* slot -> library, -1: not used */
    int64_t *slot_of;    /* library -> slot */
    double *scattered;   /* library; of the mix 1 */
} assembly;

/* Fractions by thickness, thickness, and the orientation of what is strongest and not background. */
static void write_truth(const assembly *a, int64_t p, const um_column *column)
{
    const um_specimen *s = a->s;
    float *fraction = a->scene->fraction + p * s->states, *angles = a->scene->orientation_deg + 3 * p;
    double total = 0.0, most = 0.0, bunge[3] = {NAN, NAN, NAN};
    for (int i = 0; i < column->count; i++) {
        total += column->piece[i].thickness_nm;
    }
    for (int i = 0; i < column->count; i++) {
        const um_piece *piece = &column->piece[i];
        const um_grain *g = &s->grain[piece->grain];
        fraction[g->state] += (float)(piece->thickness_nm / total);
        if (g->phase >= 0 && !s->state[g->state].background && piece->thickness_nm > most) {
            um_orientation o = um_grain_orientation(g, piece->path);
            um_rotation_bunge(&o, bunge);
            most = piece->thickness_nm;
        }
    }
    if (!(total > 0.0) && s->empty_state >= 0) {
        fraction[s->empty_state] = 1.0F;
    }
    a->scene->thickness_nm[p] = (float)total;
    for (int i = 0; i < 3; i++) {
        angles[i] = (float)bunge[i];
    }
}

static um_status survey_row(void *user, int64_t y, int index)
{
    assembly *a = user;
    um_term terms[UM_MOST_TERMS];
    um_column column;
    for (int64_t x = 0; x < a->s->nx; x++) {
        int64_t p = y * a->s->nx + x;
        int count = um_specimen_terms(a->s, y, x, &column, terms);
        if (count < 0) {
            return um_fail(a->ctx, UM_ERROR_UNSUPPORTED,
                           "%s: more than %d crystals above each other at position (%lld, %lld): ask for fewer, smaller "
                           "ones or a thinner specimen",
                           a->s->values.kind->name, UM_MOST_PIECES, (long long)y, (long long)x);
        }
        for (int i = 0; i < count; i++) {
            a->worker[index].used[terms[i].slot] = 1;
        }
        a->scene->start[p + 1] = (uint64_t)count + 1;
        write_truth(a, p, &column);
    }
    return UM_OK;
}

static um_status fill_row(void *user, int64_t y, int index)
{
    (void)index;
    assembly *a = user;
    um_term terms[UM_MOST_TERMS];
    um_column column;
    for (int64_t x = 0; x < a->s->nx; x++) {
        int64_t p = y * a->s->nx + x;
        uint64_t at = a->scene->start[p];
        int count = um_specimen_terms(a->s, y, x, &column, terms);
        double all = 0.0;
        for (int i = 0; i < count; i++) {
            all += terms[i].mix * a->scattered[a->library_of[terms[i].slot]];
        }
        double kept = all > 1e-12 ? -expm1(-all) / all : 1.0;
        a->scene->which[at] = 0;
        a->scene->weight[at++] = (float)exp(-all);
        for (int i = 0; i < count; i++) {
            a->scene->which[at] = (uint32_t)a->library_of[terms[i].slot];
            a->scene->weight[at++] = (float)(terms[i].mix * kept);
        }
    }
    return UM_OK;
}

static const um_spot direct_beam = {.intensity = 1.0};

static um_status add_diffuse(um_context *ctx, const um_specimen *s, double *image, double *scattered)
{
    *scattered = 1.0;
    return um_amorphous_render(ctx, UM_AMORPHOUS_DIFFUSE, &s->detector, image);
}

/* The grain that a slot belongs to: grains are in the order of their slots. */
static const um_grain *grain_of(const um_specimen *s, int64_t slot)
{
    int64_t low = 0, high = s->grains - 1;
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        if (s->grain[middle].slot <= slot) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return &s->grain[low];
}

static um_status slot_pattern(um_context *ctx, const um_specimen *s, int64_t slot, double *image, double *scattered)
{
    if (slot == UM_BEAM_SLOT) {
        *scattered = 0.0;
        return um_pattern_render(ctx, &s->detector, &direct_beam, 1, image);
    }
    if (slot == UM_DIFFUSE_SLOT) {
        return add_diffuse(ctx, s, image, scattered);
    }
    const um_grain *g = grain_of(s, slot);
    int64_t node = slot - g->slot;
    double thickness = g->thickest_nm * (double)(node % g->thickness_nodes + 1) / (double)g->thickness_nodes;
    double path = g->drift_nodes > 1 ? (double)(node / g->thickness_nodes) / (double)(g->drift_nodes - 1) : 0.5;
    return um_specimen_pattern(ctx, s, g, path, thickness, image, scattered);
}

/* Amorphous patterns have unit sum and weigh by depth, so their mix is scaled here, once for the library pattern. */
static um_status library_item(void *user, int64_t item, int index)
{
    assembly *a = user;
    const int64_t pixels = a->scene->ky * a->scene->kx;
    double *image = a->worker[index].image;
    int64_t slot = a->slot_of[item];
    memset(image, 0, (size_t)pixels * sizeof *image);
    UM_TRY(slot_pattern(a->ctx, a->s, slot, image, &a->scattered[item]));
    bool amorphous = slot >= UM_FIRST_GRAIN_SLOT && grain_of(a->s, slot)->phase < 0;
    double scale = amorphous ? a->scattered[item] : 1.0;
    for (int64_t q = 0; q < pixels; q++) {
        a->scene->pattern[item * pixels + q] = (float)(scale * image[q]);
    }
    return UM_OK;
}

/* The whole pattern of a state that fills the column alone. */
static um_status state_item(void *user, int64_t item, int index)
{
    assembly *a = user;
    const um_specimen *s = a->s;
    const int64_t pixels = a->scene->ky * a->scene->kx;
    double *image = a->worker[index].image, *other = image + pixels, own = 0.0, thickness = s->reference_nm[item];
    memset(image, 0, 2 * (size_t)pixels * sizeof *image);
    if (s->reference[item] >= 0) {
        const um_grain *g = &s->grain[s->reference[item]];
        UM_TRY(um_specimen_pattern(a->ctx, s, g, 0.5, thickness, image, &own));
        for (int64_t q = 0; q < pixels && g->phase < 0; q++) {
            image[q] *= own;
        }
    }
    double diffuse = s->diffuse_nm > 0.0 ? thickness / s->diffuse_nm : 0.0, unit = 0.0;
    UM_TRY(add_diffuse(a->ctx, s, other, &unit));
    double all = own + diffuse, kept = all > 1e-12 ? -expm1(-all) / all : 1.0;
    for (int64_t q = 0; q < pixels; q++) {
        image[q] = kept * (image[q] + diffuse * other[q]);
    }
    um_spot beam = direct_beam;
    beam.intensity = exp(-all);
    UM_TRY(um_pattern_render(a->ctx, &s->detector, &beam, 1, image));
    for (int64_t q = 0; q < pixels; q++) {
        a->scene->state_pattern[item * pixels + q] = (float)image[q];
    }
    return UM_OK;
}

static um_status number_slots(um_context *ctx, um_specimen *s, int64_t *slots)
{
    static const double most = 1e8;
    double count = UM_FIRST_GRAIN_SLOT;
    *slots = UM_FIRST_GRAIN_SLOT;
    for (int64_t i = 0; i < s->grains; i++) {
        um_grain *g = &s->grain[i];
        count += (double)g->drift_nodes * (double)g->thickness_nodes;
        if (count > most) {
            return um_fail(ctx, UM_ERROR_UNSUPPORTED, "%s: the library would need more than %g patterns: take larger steps",
                           s->values.kind->name, most);
        }
        g->slot = *slots;
        *slots += (int64_t)g->drift_nodes * g->thickness_nodes;
    }
    return UM_OK;
}

/* Slots that any worker found in use become the library, in their order; the beam is always there. */
static um_status choose_library(assembly *a)
{
    int64_t count = 0;
    UM_TRY(um_buffer_alloc(a->ctx, (size_t)a->slots, sizeof *a->library_of, "the patterns in use", &a->library_of));
    UM_TRY(um_buffer_alloc(a->ctx, (size_t)a->slots, sizeof *a->slot_of, "the patterns in use", &a->slot_of));
    for (int64_t slot = 0; slot < a->slots; slot++) {
        bool used = slot == UM_BEAM_SLOT;
        for (int w = 0; w < a->workers; w++) {
            used = used || a->worker[w].used[slot] != 0;
        }
        a->library_of[slot] = used ? count : -1;
        a->slot_of[count] = slot;
        count += used;
    }
    a->scene->library = count;
    UM_TRY(um_buffer_alloc(a->ctx, (size_t)count, sizeof *a->scattered, "the patterns in use", &a->scattered));
    size_t pixels = 0;
    if (!um_mul4(a->scene->library, a->scene->ky, a->scene->kx, 1, &pixels)) {
        return um_fail(a->ctx, UM_ERROR_UNSUPPORTED, "the library of patterns is too large");
    }
    return um_buffer_alloc(a->ctx, pixels, sizeof(float), "the library of patterns", &a->scene->pattern);
}

static um_status prepare(assembly *a)
{
    um_context *ctx = a->ctx;
    um_scene *scene = a->scene;
    const um_specimen *s = a->s;
    size_t positions = (size_t)s->ny * (size_t)s->nx, shares = 0, pixels = (size_t)scene->ky * (size_t)scene->kx;
    if (!um_mul4(s->ny, s->nx, s->states, 1, &shares)) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED, "the scan has too many positions");
    }
    UM_TRY(um_buffer_alloc(ctx, positions + 1, sizeof *scene->start, "the positions", &scene->start));
    UM_TRY(um_buffer_alloc(ctx, shares, sizeof *scene->fraction, "the fractions", &scene->fraction));
    UM_TRY(um_buffer_alloc(ctx, positions, sizeof *scene->thickness_nm, "the thicknesses", &scene->thickness_nm));
    UM_TRY(um_buffer_alloc(ctx, positions, 3 * sizeof(float), "the orientations", &scene->orientation_deg));
    UM_TRY(um_buffer_alloc(ctx, (size_t)s->states, sizeof *scene->state, "the states", &scene->state));
    UM_TRY(um_buffer_alloc(ctx, (size_t)s->states * pixels, sizeof(float), "the states", &scene->state_pattern));
    memcpy(scene->state, s->state, (size_t)s->states * sizeof *scene->state);
    for (int w = 0; w < a->workers; w++) {
        UM_TRY(um_buffer_alloc(ctx, (size_t)a->slots, 1, "the patterns in use", &a->worker[w].used));
        UM_TRY(um_buffer_alloc(ctx, 2 * pixels, sizeof(double), "a pattern", &a->worker[w].image));
    }
    return UM_OK;
}

static um_status count_item(void *user, int64_t item, int index)
{
    assembly *a = user;
    (void)item;
    (void)index;
    um_progress_add(a->ctx, 1);
    return UM_OK;
}

static um_status run_stage(assembly *a, const char *stage, const char *unit, int64_t items, um_pipeline_fn work)
{
    um_progress_begin(a->ctx, stage, unit, items);
    um_status status = um_pipeline_run(a->ctx, items, a->workers, work, count_item, a);
    um_progress_end(a->ctx);
    return status;
}

static um_status run(assembly *a)
{
    um_scene *scene = a->scene;
    const int64_t positions = scene->ny * scene->nx;
    UM_TRY(prepare(a));
    UM_TRY(run_stage(a, "placing crystals", "rows", scene->ny, survey_row));
    for (int64_t p = 0; p < positions; p++) {
        scene->start[p + 1] += scene->start[p];
    }
    UM_TRY(choose_library(a));
    UM_TRY(run_stage(a, "computing patterns", "patterns", scene->library, library_item));
    UM_TRY(run_stage(a, "computing states", "patterns", scene->states, state_item));
    size_t entries = (size_t)scene->start[positions];
    UM_TRY(um_buffer_alloc(a->ctx, entries, sizeof *scene->which, "the lists of patterns", &scene->which));
    UM_TRY(um_buffer_alloc(a->ctx, entries, sizeof *scene->weight, "the lists of patterns", &scene->weight));
    UM_TRY(run_stage(a, "mixing patterns", "rows", scene->ny, fill_row));
    scene->parameters = um_values_ini(&a->s->values, um_context_seed(a->ctx));
    return scene->parameters != NULL ? UM_OK : um_fail(a->ctx, UM_ERROR_MEMORY, "no memory for the parameters");
}

um_status um_specimen_assemble(um_context *ctx, um_specimen *s, um_scene **out)
{
    assembly a = {.ctx = ctx, .s = s, .workers = um_context_threads(ctx)};
    UM_TRY(number_slots(ctx, s, &a.slots));
    a.scene = calloc(1, sizeof *a.scene);
    a.worker = calloc((size_t)a.workers, sizeof *a.worker);
    um_status status = UM_OK;
    if (a.scene == NULL || a.worker == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "no memory for the scene");
    } else {
        *a.scene = (um_scene){.ny = s->ny, .nx = s->nx, .ky = s->detector.ky, .kx = s->detector.kx,
                              .step_nm = s->step_nm, .pixel_per_A = s->detector.scale_per_A,
                              .voltage_kV = s->beam.voltage_kV, .states = s->states, .particle = s->particle,
                              .particles = s->particles, .foil_nm = s->solid ? s->thickness_nm : 0.0};
        s->particle = NULL;
        status = run(&a);
    }
    for (int w = 0; a.worker != NULL && w < a.workers; w++) {
        um_buffer_free(ctx, a.worker[w].used);
        um_buffer_free(ctx, a.worker[w].image);
    }
    free(a.worker);
    um_buffer_free(ctx, a.library_of);
    um_buffer_free(ctx, a.slot_of);
    um_buffer_free(ctx, a.scattered);
    if (status != UM_OK) {
        um_scene_free(ctx, a.scene);
        return status;
    }
    *out = a.scene;
    return UM_OK;
}
