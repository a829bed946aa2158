/* Scans are added one after another; tables are made when all are there. */
#include "measure_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

um_status um_measure_create(um_context *ctx, um_measure **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory");
    }
    (*out)->ctx = ctx;
    return UM_OK;
}

static void free_scan(um_measure *m, um_measure_scan *s)
{
    free(s->name);
    free(s->condition_name);
    free(s->path);
    free(s->covered);
    free(s->content);
    um_buffer_free(m->ctx, s->phase_fraction);
    um_buffer_free(m->ctx, s->overlap);
    um_buffer_free(m->ctx, s->backdrop);
}

void um_measure_free(um_measure *m)
{
    if (m == NULL) {
        return;
    }
    for (int32_t i = 0; i < m->scans; i++) {
        free_scan(m, &m->scan[i]);
    }
    for (int32_t i = 0; i < m->phases; i++) {
        free(m->phase[i].name);
    }
    for (int32_t i = 0; i < m->conditions; i++) {
        free(m->condition[i]);
    }
    for (int32_t i = 0; i < m->left_out_count; i++) {
        free(m->left_out[i]);
    }
    free(m->scan);
    free(m->phase);
    free(m->condition);
    free(m->left_out);
    free(m->particle);
    free(m->scan_row);
    free(m->condition_row);
    free(m);
}

/* ---- the scan that is added --------------------------------------------------------------------- */

/* Nanometres per unit, 0 for what is no length. */
static double nanometres(const char *units)
{
    const struct {
        const char *name;
        double nm;
    } known[] = {{"nm", 1.0}, {"um", 1e3}, {"\u00b5m", 1e3}, {"\u03bcm", 1e3}, {"A", 0.1}, {"\u00c5", 0.1},
                 {"\u212b", 0.1}, {"angstrom", 0.1}, {"pm", 1e-3}, {"mm", 1e6}, {"m", 1e9}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(units, known[i].name) == 0) {
            return known[i].nm;
        }
    }
    return 0.0;
}

static double step_of(const um_axis *axis, double given)
{
    double step = given > 0.0 ? given : fabs(axis->scale) * nanometres(axis->units);
    return isfinite(step) && step > 0.0 ? step : NAN;
}

static const double *planes(um_model *model, const char *name)
{
    const um_array *a = um_model_array(model, name);
    um_shape s = um_model_shape(model);
    bool fits = a != NULL && a->dtype == UM_F64 && um_array_size(a) == um_model_k(model) * s.ny * s.nx &&
                (a->ndim == 3 ? a->shape[1] == s.ny && a->shape[2] == s.nx : um_model_k(model) == 1);
    return fits ? a->data : NULL;
}

static char *name_of(const um_measure_input *input)
{
    if (input->name != NULL) {
        return um_strdup(input->name);
    }
    json_t *provenance = json_loads(um_model_provenance(input->model), 0, NULL);
    const char *path = json_string_value(json_object_get(json_object_get(provenance, "input"), "path"));
    path = path != NULL ? path : input->path != NULL ? input->path : "scan";
    const char *slash = strrchr(path, '/');
    char *name = um_strdup(slash != NULL && slash[1] != '\0' ? slash + 1 : path);
    json_decref(provenance);
    return name;
}

static um_status check_thickness(const um_measure_view *v)
{
    if (v->input->thickness_map == NULL && v->input->thickness_nm <= 0.0) {
        return um_fail(v->ctx, UM_ERROR_VALUE, "%s: a thickness of %g nm: it must be above 0", v->name,
                       v->input->thickness_nm);
    }
    for (int64_t p = 0; v->input->thickness_map != NULL && p < v->ny * v->nx; p++) {
        if (v->input->thickness_map[p] < 0.0 || isinf(v->input->thickness_map[p])) {
            return um_fail(v->ctx, UM_ERROR_VALUE, "%s: the thickness map holds %g nm at y %lld, x %lld", v->name,
                           v->input->thickness_map[p], (long long)(p / v->nx), (long long)(p % v->nx));
        }
    }
    return UM_OK;
}

static um_status make_view(um_measure *m, const um_measure_input *input, const char *name, um_measure_view *v)
{
    um_shape s = um_model_shape(input->model);
    const um_axis *axes = um_model_axes(input->model);
    *v = (um_measure_view){.ctx = m->ctx, .input = input, .name = name, .k = um_model_k(input->model), .ny = s.ny,
                           .nx = s.nx, .segments = planes(input->model, "segments"),
                           .fractions = planes(input->model, "fractions"), .loadings = um_model_loadings(input->model),
                           .excluded = um_model_navigation_mask(input->model),
                           .step_y = step_of(&axes[0], input->step_nm), .step_x = step_of(&axes[1], input->step_nm)};
    if (v->segments == NULL) {
        return um_fail(m->ctx, UM_ERROR_VALUE, "%s: has no particles (array `segments`): run unmix segment on it", name);
    }
    v->phase_of = calloc((size_t)v->k, sizeof *v->phase_of);
    return v->phase_of != NULL ? check_thickness(v) : um_fail(m->ctx, UM_ERROR_MEMORY, "no memory");
}

/* ---- what is kept of it ------------------------------------------------------------------------- */

static um_status find_condition(um_measure *m, const char *name, int32_t *out)
{
    for (int32_t i = 0; i < m->conditions; i++) {
        if (strcmp(m->condition[i], name) == 0) {
            *out = i;
            return UM_OK;
        }
    }
    char **grown = realloc(m->condition, (size_t)(m->conditions + 1) * sizeof *grown);
    if (grown != NULL) {
        m->condition = grown;
    }
    char *copy = um_strdup(name);
    if (grown == NULL || copy == NULL) {
        free(copy);
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory");
    }
    m->condition[m->conditions] = copy;
    *out = m->conditions++;
    return UM_OK;
}

/* A dark or bright field to draw on; the counts of positions where there is none. */
static um_status keep_backdrop(um_measure *m, um_model *model, um_measure_scan *s)
{
    static const char *const names[] = {"virtual_bright_field", "virtual_dark_field", "sum_map"};
    const um_array *a = NULL;
    for (size_t i = 0; a == NULL && i < sizeof names / sizeof names[0]; i++) {
        a = um_model_array(model, names[i]);
        a = a != NULL && um_array_size(a) == s->ny * s->nx ? a : NULL;
    }
    if (a == NULL) {
        return UM_OK;
    }
    UM_TRY(um_buffer_alloc(m->ctx, (size_t)(s->ny * s->nx), sizeof(float), "a picture of the scan", &s->backdrop));
    for (int64_t p = 0; p < s->ny * s->nx; p++) {
        s->backdrop[p] = (float)um_array_get(a, p);
    }
    return UM_OK;
}

/* How much of each phase is where, and how often classes lie above each other. */
static um_status keep_maps(um_measure *m, const um_measure_view *v, um_measure_scan *s)
{
    int64_t n = v->ny * v->nx;
    s->phases = m->phases;
    s->covered = calloc((size_t)m->phases + 1, sizeof *s->covered);
    s->content = calloc((size_t)m->phases + 1, sizeof *s->content);
    uint8_t *seen = NULL;
    if (s->covered == NULL || s->content == NULL) {
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory");
    }
    UM_TRY(um_buffer_alloc(m->ctx, (size_t)(m->phases * n + 1), sizeof(float), "maps of phases", &s->phase_fraction));
    UM_TRY(um_buffer_alloc(m->ctx, (size_t)n, 1, "a map of overlap", &s->overlap));
    UM_TRY(um_buffer_alloc(m->ctx, (size_t)n, 1, "positions of a phase", &seen));
    for (int32_t phase = 0; phase < m->phases; phase++) {
        memset(seen, 0, (size_t)n);
        for (int64_t c = 0; c < v->k; c++) {
            for (int64_t p = 0; p < n && v->phase_of[c] == phase; p++) {
                if (v->segments[c * n + p] > 0.0 && um_view_uses(v, p)) {
                    double fraction = um_view_fraction(v, c, p);
                    s->phase_fraction[phase * n + p] += (float)fraction;
                    s->content[phase] += fraction * um_view_depth(v, p);
                    s->overlap[p] = (uint8_t)(s->overlap[p] < 255 ? s->overlap[p] + 1 : 255);
                    s->covered[phase] += !seen[p];
                    seen[p] = 1;
                }
            }
        }
    }
    um_buffer_free(m->ctx, seen);
    return UM_OK;
}

static void sum_field(const um_measure_view *v, um_measure_scan *s)
{
    double thickness = 0.0;
    int64_t known = 0;
    for (int64_t p = 0; p < v->ny * v->nx; p++) {
        if (um_view_uses(v, p)) {
            double t = um_view_thickness(v, p);
            s->positions++;
            s->exposure += um_view_depth(v, p);
            thickness += isfinite(t) ? t : 0.0;
            known += isfinite(t);
        }
    }
    double used = (double)s->positions / (double)(v->ny * v->nx);
    s->thickness_nm = known > 0 ? thickness / (double)known : NAN;
    /* Of particles that move over the grid, those that touch no border count 1 and those that touch one 1/2: in all as
     * many as have their first position in (ny - 1) x (nx - 1) places. */
    s->area_um2 = (double)(v->ny - 1) * v->step_y * (double)(v->nx - 1) * v->step_x * 1e-6 * used;
}

static um_status add_scan(um_measure *m, const um_measure_input *input, um_measure_scan *s)
{
    um_measure_view v;
    UM_TRY(find_condition(m, input->condition != NULL ? input->condition : "all", &s->condition));
    s->path = um_strdup(input->path);
    s->condition_name = um_strdup(m->condition[s->condition]);
    um_status status = make_view(m, input, s->name, &v);
    s->ny = v.ny;
    s->nx = v.nx;
    s->step_y_nm = v.step_y;
    s->step_x_nm = v.step_x;
    status = status == UM_OK ? um_measure_name_phases(m, input->model, v.phase_of) : status;
    status = status == UM_OK ? um_measure_particles(m, &v, m->scans - 1) : status;
    status = status == UM_OK ? keep_maps(m, &v, s) : status;
    status = status == UM_OK ? keep_backdrop(m, input->model, s) : status;
    if (status == UM_OK) {
        sum_field(&v, s);
    }
    free(v.phase_of);
    return status;
}

um_status um_measure_add(um_measure *m, const um_measure_input *input)
{
    um_measure_scan *grown = realloc(m->scan, (size_t)(m->scans + 1) * sizeof *grown);
    if (grown == NULL) {
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory");
    }
    m->scan = grown;
    m->scan[m->scans] = (um_measure_scan){.name = name_of(input)};
    um_measure_scan *s = &m->scan[m->scans++];
    return s->name != NULL ? add_scan(m, input, s) : um_fail(m->ctx, UM_ERROR_MEMORY, "no memory");
}

um_status um_measure_set_height(um_measure *m, const char *phase, um_height_kind kind, double nm)
{
    bool found = phase == NULL;
    for (int32_t i = 0; i < m->phases; i++) {
        if (phase == NULL || strcmp(m->phase[i].name, phase) == 0) {
            m->phase[i].height = kind;
            m->phase[i].height_nm = nm;
            found = true;
        }
    }
    return found ? UM_OK : um_fail(m->ctx, UM_ERROR_ARGUMENT, "no particle is of a phase named '%s'", phase);
}

um_status um_measure_finish(um_measure *m)
{
    m->scan_rows = (int64_t)m->scans * m->phases;
    m->condition_rows = (int64_t)m->conditions * m->phases;
    m->scan_row = calloc((size_t)m->scan_rows + 1, sizeof *m->scan_row);
    m->condition_row = calloc((size_t)m->condition_rows + 1, sizeof *m->condition_row);
    if (m->scan_row == NULL || m->condition_row == NULL) {
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory for tables");
    }
    for (int64_t i = 0; i < m->condition_rows; i++) {
        um_measure_row *row = &m->condition_row[i];
        *row = (um_measure_row){.condition = (int32_t)(i / m->phases), .scan = -1, .phase = (int32_t)(i % m->phases)};
        UM_TRY(um_measure_fill_row(m, row, NULL));
    }
    for (int64_t i = 0; i < m->scan_rows; i++) {
        um_measure_row *row = &m->scan_row[i];
        *row = (um_measure_row){.scan = (int32_t)(i / m->phases), .phase = (int32_t)(i % m->phases)};
        row->condition = m->scan[row->scan].condition;
        UM_TRY(um_measure_fill_row(m, row, &m->condition_row[row->condition * m->phases + row->phase]));
    }
    return UM_OK;
}

um_status um_thickness_log_ratio(um_context *ctx, const double *zero_loss, const double *all, int64_t count,
                                 double mean_free_path_nm, double *thickness_nm)
{
    if (!(mean_free_path_nm > 0.0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "a mean free path of %g nm: it must be above 0", mean_free_path_nm);
    }
    for (int64_t i = 0; i < count; i++) {
        bool fine = zero_loss[i] > 0.0 && all[i] > 0.0 && isfinite(zero_loss[i]) && isfinite(all[i]);
        thickness_nm[i] = fine ? mean_free_path_nm * fmax(0.0, log(all[i] / zero_loss[i])) : NAN;
    }
    return UM_OK;
}
