/* The tables of a measurement: JSON, CSV and text. */
#include "measure_job.h"

#include <math.h>
#include <string.h>

/* ---- JSON --------------------------------------------------------------------------------------- */

static json_t *estimate_json(um_estimate e)
{
    return json_pack("{s:o, s:o, s:o, s:s}", "value", cli_json_real(e.value), "low", cli_json_real(e.low), "high",
                     cli_json_real(e.high), "interval", e.scatter ? "scatter" : "counting");
}

static json_t *border_json(int border)
{
    static const char *const names[] = {"top", "left", "bottom", "right", "excluded"};
    json_t *list = json_array();
    for (int i = 0; i < 5; i++) {
        if ((border & 1 << i) != 0) {
            json_array_append_new(list, json_string(names[i]));
        }
    }
    return list;
}

static json_t *particle_json(const um_measure *m, const um_measured *p)
{
    const um_measure_scan *s = &m->scan[p->scan];
    return json_pack(
        "{s:I, s:o, s:o, s:i, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:[f, f], s:[o, o], s:[I, I], s:o, s:o, s:o, s:o, s:f}", "id", (json_int_t)p->id,
        "scan", cli_json_text(s->name), "condition", cli_json_text(s->condition_name), "class", (int)p->component,
        "phase", cli_json_text(m->phase[p->phase].name), "area_px", (json_int_t)p->positions, "area_nm2",
        cli_json_real(p->area_nm2), "equivalent_diameter_nm", cli_json_real(p->diameter_nm), "length_nm",
        cli_json_real(p->length_nm), "width_nm", cli_json_real(p->width_nm), "orientation_deg",
        cli_json_real(p->angle_deg), "centre_px", p->y_px, p->x_px, "centre_nm", cli_json_real(p->y_px * s->step_y_nm),
        cli_json_real(p->x_px * s->step_x_nm), "at_px", (json_int_t)p->at_y, (json_int_t)p->at_x, "mean_fraction",
        cli_json_real(p->mean_fraction), "mean_loading", cli_json_real(p->mean_loading), "volume_nm3",
        cli_json_real(p->volume_nm3), "border", border_json(p->border), "weight", p->weight);
}

static json_t *row_json(const um_measure *m, const um_measure_row *r)
{
    json_t *o = json_pack("{s:o, s:i, s:I, s:I, s:f, s:o, s:o, s:o}", "phase", cli_json_text(m->phase[r->phase].name),
                          "scans", (int)r->scans, "particles", (json_int_t)r->particles, "cut_by_border", (json_int_t)r->cut,
                          "counted", r->counted, "area_um2", cli_json_real(r->area_um2), "thickness_nm",
                          cli_json_real(r->thickness_nm), "height_nm", cli_json_real(r->height_nm));
    const struct {
        const char *key;
        um_estimate value;
    } all[] = {{"density_per_um2", r->per_um2},       {"density_per_um3", r->per_um3},
               {"count_fraction", r->count_fraction}, {"area_fraction", r->area_fraction},
               {"volume_fraction", r->volume_fraction}, {"equivalent_diameter_nm", r->diameter_nm},
               {"length_nm", r->length_nm},           {"width_nm", r->width_nm}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        json_object_set_new(o, all[i].key, estimate_json(all[i].value));
    }
    return o;
}

static json_t *scan_json(const um_measure *m, int32_t i)
{
    const um_measure_scan *s = &m->scan[i];
    json_t *rows = json_array();
    for (int32_t k = 0; k < m->phases; k++) {
        json_array_append_new(rows, row_json(m, &m->scan_row[i * m->phases + k]));
    }
    return json_pack("{s:o, s:o, s:o, s:[I, I], s:[o, o], s:o, s:o}", "scan", cli_json_text(s->name), "condition",
                     cli_json_text(s->condition_name), "model", s->path != NULL ? cli_json_text(s->path) : json_null(),
                     "shape", (json_int_t)s->ny, (json_int_t)s->nx, "step_nm", cli_json_real(s->step_y_nm),
                     cli_json_real(s->step_x_nm), "thickness_nm", cli_json_real(s->thickness_nm), "phases", rows);
}

json_t *measure_job_json(const um_measure *m)
{
    json_t *phases = json_array();
    json_t *particles = json_array();
    json_t *scans = json_array();
    json_t *conditions = json_array();
    json_t *left_out = json_array();
    for (int32_t i = 0; i < m->phases; i++) {
        json_array_append_new(phases, json_pack("{s:o, s:b}", "name", cli_json_text(m->phase[i].name), "named",
                                                (int)m->phase[i].named));
    }
    for (int64_t i = 0; i < m->particles; i++) {
        json_array_append_new(particles, particle_json(m, &m->particle[i]));
    }
    for (int32_t i = 0; i < m->scans; i++) {
        json_array_append_new(scans, scan_json(m, i));
    }
    for (int32_t i = 0; i < m->conditions; i++) {
        json_t *rows = json_array();
        for (int32_t k = 0; k < m->phases; k++) {
            json_array_append_new(rows, row_json(m, &m->condition_row[i * m->phases + k]));
        }
        json_array_append_new(conditions, json_pack("{s:o, s:o}", "condition", cli_json_text(m->condition[i]), "phases", rows));
    }
    for (int32_t i = 0; i < m->left_out_count; i++) {
        json_array_append_new(left_out, cli_json_text(m->left_out[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "phases", phases, "particles", particles, "scans", scans, "conditions",
                     conditions, "left_out", left_out);
}

/* ---- CSV ---------------------------------------------------------------------------------------- */

void measure_csv_text(FILE *out, const char *text)
{
    if (text[strcspn(text, ",\"\n\r")] == '\0') {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', out);
        }
        fputc(*text, out);
    }
    fputc('"', out);
}

void measure_csv_number(FILE *out, double value)
{
    if (isfinite(value)) {
        fprintf(out, "%.8g", value);
    }
}

static void numbers(FILE *out, const double *values, int count)
{
    for (int i = 0; i < count; i++) {
        fputc(',', out);
        measure_csv_number(out, values[i]);
    }
}

char *measure_particles_csv(const um_measure *m)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    fputs("condition,scan,particle,class,phase,area_px,area_nm2,equivalent_diameter_nm,length_nm,width_nm,orientation_deg,"
          "centre_y_px,centre_x_px,centre_y_nm,centre_x_nm,mean_fraction,mean_loading_counts,volume_nm3,counting_weight,"
          "border\n",
          out);
    for (int64_t i = 0; i < m->particles; i++) {
        const um_measured *p = &m->particle[i];
        const um_measure_scan *s = &m->scan[p->scan];
        measure_csv_text(out, s->condition_name);
        fputc(',', out);
        measure_csv_text(out, s->name);
        fprintf(out, ",%lld,%d,", (long long)p->id, (int)p->component);
        measure_csv_text(out, m->phase[p->phase].name);
        const double values[] = {(double)p->positions, p->area_nm2, p->diameter_nm, p->length_nm, p->width_nm,
                                 p->angle_deg, p->y_px, p->x_px, p->y_px * s->step_y_nm, p->x_px * s->step_x_nm,
                                 p->mean_fraction, p->mean_loading, p->volume_nm3, p->weight};
        numbers(out, values, sizeof values / sizeof values[0]);
        fprintf(out, ",%s%s%s%s%s\n", p->border & UM_BORDER_TOP ? "T" : "", p->border & UM_BORDER_LEFT ? "L" : "",
                p->border & UM_BORDER_BOTTOM ? "B" : "", p->border & UM_BORDER_RIGHT ? "R" : "",
                p->border & UM_BORDER_EXCLUDED ? "X" : "");
    }
    return fclose(out) == 0 ? text : NULL;
}

static void estimate_columns(FILE *out, const char *name)
{
    fprintf(out, ",%s,%s_low95,%s_high95", name, name, name);
}

static void row_csv(FILE *out, const um_measure *m, const um_measure_row *r)
{
    measure_csv_text(out, m->condition[r->condition]);
    if (r->scan >= 0) {
        fputc(',', out);
        measure_csv_text(out, m->scan[r->scan].name);
    }
    fputc(',', out);
    measure_csv_text(out, m->phase[r->phase].name);
    fprintf(out, ",%d,%lld,%lld", (int)r->scans, (long long)r->particles, (long long)r->cut);
    const double facts[] = {r->counted, r->area_um2, r->thickness_nm, r->height_nm};
    numbers(out, facts, 4);
    const um_estimate all[] = {r->per_um2,         r->per_um3,     r->count_fraction, r->area_fraction,
                               r->volume_fraction, r->diameter_nm, r->length_nm,      r->width_nm};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const double three[] = {all[i].value, all[i].low, all[i].high};
        numbers(out, three, 3);
    }
    fprintf(out, ",%s\n", r->per_um2.scatter ? "scatter" : "counting");
}

char *measure_rows_csv(const um_measure *m, bool by_scan)
{
    static const char *const names[] = {"density_per_um2", "density_per_um3", "count_fraction", "area_fraction",
                                        "volume_fraction", "equivalent_diameter_nm", "length_nm", "width_nm"};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    fprintf(out, "condition,%sphase,scans,particles,cut_by_border,counted,area_um2,thickness_nm,height_nm",
            by_scan ? "scan," : "");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        estimate_columns(out, names[i]);
    }
    fputs(",density_interval\n", out);
    const um_measure_row *rows = by_scan ? m->scan_row : m->condition_row;
    for (int64_t i = 0; i < (by_scan ? m->scan_rows : m->condition_rows); i++) {
        row_csv(out, m, &rows[i]);
    }
    return fclose(out) == 0 ? text : NULL;
}

/* ---- for people --------------------------------------------------------------------------------- */

static const char *shown(um_estimate e, double unit, char text[48])
{
    if (!isfinite(e.value)) {
        snprintf(text, 48, "-");
    } else if (isfinite(e.low)) {
        snprintf(text, 48, "%.3g (%.3g .. %.3g)", e.value * unit, e.low * unit, e.high * unit);
    } else {
        snprintf(text, 48, "%.3g", e.value * unit);
    }
    return text;
}

void measure_job_say(cli *c, const um_measure *m)
{
    char t[4][48];
    cli_say(c, "%-14s %-22s %9s  %-24s %-24s %-22s %-22s", "condition", "phase", "particles", "per um2 (95 %)",
            "per um3 (95 %)", "area, % (95 %)", "length, nm (95 %)");
    for (int64_t i = 0; i < m->condition_rows; i++) {
        const um_measure_row *r = &m->condition_row[i];
        cli_say(c, "%-14s %-22s %9lld  %-24s %-24s %-22s %-22s", m->condition[r->condition], m->phase[r->phase].name,
                (long long)r->particles, shown(r->per_um2, 1, t[0]), shown(r->per_um3, 1, t[1]),
                shown(r->area_fraction, 100, t[2]), shown(r->length_nm, 1, t[3]));
    }
    for (int32_t i = 0; i < m->left_out_count; i++) {
        cli_say(c, "not counted: %s", m->left_out[i]);
    }
    for (int32_t i = 0; i < m->scans; i++) {
        if (!isfinite(m->scan[i].step_y_nm)) {
            cli_say(c, "%s has no scan step in nm: sizes and densities are left out; pass --step NM", m->scan[i].name);
        }
    }
}
