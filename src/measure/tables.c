/* Rows of the tables: counts, densities, fractions and mean sizes of one phase in a scan or in a condition. */
#include "measure_internal.h"

#include <stdlib.h>

static const um_estimate UNKNOWN = {NAN, NAN, NAN, false};

/* What the scans of a row hold of its phase: arrays over these scans, and sums over its particles. */
typedef struct holding {
    const um_measure *m;
    const um_measure_row *row;
    int32_t count;
    double *counted, *all, *area, *volume, *covered, *positions, *content, *exposure; /* by scan */
    double weights, squares, all_weights, all_squares;
    double areas, area_squares, largest_area;          /* of particles, in positions */
    double contents, content_squares, largest_content;
    double any_area, any_content;                      /* the largest in any scan: what none here could have been */
    bool crossing;                                     /* a particle reaches from border to border */
} holding;

static bool belongs(const holding *h, int32_t scan)
{
    return h->row->scan >= 0 ? scan == h->row->scan : h->m->scan[scan].condition == h->row->condition;
}

static void take_scans(holding *h, int32_t *place)
{
    for (int32_t i = 0; i < h->m->scans; i++) {
        const um_measure_scan *s = &h->m->scan[i];
        place[i] = -1;
        if (belongs(h, i)) {
            int32_t n = place[i] = h->count++;
            bool known = h->row->phase < s->phases;
            h->area[n] = s->area_um2;
            h->volume[n] = s->area_um2 * 1e-3 * (s->thickness_nm + h->row->height_nm);
            h->positions[n] = (double)s->positions;
            h->exposure[n] = s->exposure;
            h->covered[n] = known ? (double)s->covered[h->row->phase] : 0.0;
            h->content[n] = known ? s->content[h->row->phase] : 0.0;
        }
    }
}

static void take_particles(holding *h, const int32_t *place, um_measure_row *row)
{
    for (int64_t i = 0; i < h->m->particles; i++) {
        const um_measured *p = &h->m->particle[i];
        if (p->phase == row->phase) {
            h->any_area = fmax(h->any_area, (double)p->positions);
            h->any_content = fmax(h->any_content, p->content);
        }
        if (place[p->scan] < 0) {
            continue;
        }
        h->all[place[p->scan]] += p->weight;
        h->all_weights += p->weight;
        h->all_squares += p->weight * p->weight;
        if (p->phase == row->phase) {
            h->counted[place[p->scan]] += p->weight;
            h->weights += p->weight;
            h->squares += p->weight * p->weight;
            h->areas += (double)p->positions;
            h->largest_area = fmax(h->largest_area, (double)p->positions);
            h->largest_content = fmax(h->largest_content, p->content);
            h->area_squares += (double)p->positions * (double)p->positions;
            h->contents += p->content;
            h->content_squares += p->content * p->content;
            h->crossing = h->crossing || p->weight == 0.0;
            row->particles++;
            row->cut += p->border != 0;
        }
    }
}

/* x / a over scans, where an interval of the sum of x is known. */
static um_estimate pool(const holding *h, const double *x, const double *a, double low, double high, double unit)
{
    double total = 0.0;
    for (int32_t i = 0; i < h->count; i++) {
        total += a[i];
    }
    um_pooled p = {.count = h->count, .x = x, .a = a, .low = low / total, .high = high / total, .unit = unit};
    return um_pool(&p);
}

static um_estimate density(const holding *h, const double *extent)
{
    double low = 0.0;
    double high = 0.0;
    if (h->crossing && h->weights <= 0.0) {
        return UNKNOWN; /* larger than the field: no number per area follows */
    }
    um_weighted_count_interval(h->weights, h->squares, 1.0, &low, &high);
    return pool(h, h->counted, extent, low, high, h->weights > 0.0 ? h->squares / h->weights : 1.0);
}

static um_estimate count_fraction(const holding *h)
{
    double low = 0.0;
    double high = 1.0;
    if (!(h->all_weights > 0.0) || (h->crossing && h->weights <= 0.0)) {
        return UNKNOWN;
    }
    double p = h->weights / h->all_weights;
    double trials = h->all_weights * h->all_weights / h->all_squares;
    um_wilson_interval(p * trials, trials, &low, &high);
    um_estimate e = pool(h, h->counted, h->all, low * h->all_weights, high * h->all_weights,
                         (1.0 - p) * h->all_squares / h->all_weights);
    e.high = fmin(e.high, 1.0);
    return e;
}

/* A share of the field: the sum of the sizes of particles, whose number is a Poisson count. */
static um_estimate share(const holding *h, const double *x, const double *field, double sum, double squares,
                         double largest)
{
    double low = 0.0;
    double high = 0.0;
    double total = 0.0;
    for (int32_t i = 0; i < h->count; i++) {
        total += x[i];
    }
    um_weighted_count_interval(sum, squares, largest, &low, &high);
    if (!(largest > 0.0)) {
        high = NAN; /* nobody has seen one: of what size would it be? */
    }
    double scale = sum > 0.0 ? total / sum : 1.0; /* positions that two particles of the phase share count once */
    um_estimate e = pool(h, x, field, low * scale, high * scale, sum > 0.0 ? squares / sum * scale : 1.0);
    e.high = isfinite(e.high) ? fmin(e.high, 1.0) : NAN;
    if (h->crossing) {
        e.low = e.high = NAN; /* no sample of separate particles */
        e.scatter = false;
    }
    return e;
}

/* ---- mean sizes --------------------------------------------------------------------------------- */

typedef enum size_kind { DIAMETER, LENGTH, WIDTH } size_kind;

static double size_of(const um_measured *p, size_kind kind)
{
    return kind == DIAMETER ? p->diameter_nm : kind == LENGTH ? p->length_nm : p->width_nm;
}

/* Large particles touch the border more often: each that does not stands for (W - 1)(H - 1) places of which it fits
 * into (W - 1 - w)(H - 1 - h) (Miles 1974, Lantuejoul 1978). */
static double fit_weight(const um_measure_scan *s, const um_measured *p)
{
    double wide = (double)(s->nx - 1 - (p->x1 - p->x0 + 1));
    double tall = (double)(s->ny - 1 - (p->y1 - p->y0 + 1));
    return (double)(s->nx - 1) * (double)(s->ny - 1) / (wide * tall);
}

static um_estimate mean_size(const holding *h, const int32_t *place, size_kind kind)
{
    double sum = 0.0;
    double weights = 0.0;
    double error = 0.0;
    double number = 0.0;
    double mean = NAN;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < h->m->particles; i++) {
            const um_measured *p = &h->m->particle[i];
            if (p->phase != h->row->phase || place[p->scan] < 0 || p->border != 0) {
                continue;
            }
            double w = fit_weight(&h->m->scan[p->scan], p);
            double size = size_of(p, kind);
            if (pass == 0) {
                sum += w * size;
                weights += w;
                number += 1.0;
            } else {
                error += w * w * (size - mean) * (size - mean);
            }
        }
        mean = number > 0.0 ? sum / weights : NAN;
    }
    if (number < 2.0) {
        return (um_estimate){mean, NAN, NAN, false};
    }
    double half = um_student_point(number - 1.0) * sqrt(number / (number - 1.0) * error) / weights;
    return (um_estimate){mean, fmax(0.0, mean - half), mean + half, false};
}

static double height_of(const um_measure *m, const um_measure_row *sizes)
{
    const um_measure_phase *phase = &m->phase[sizes->phase];
    switch (phase->height) {
    case UM_HEIGHT_DIAMETER:
        return sizes->diameter_nm.value;
    case UM_HEIGHT_LENGTH:
        return sizes->length_nm.value;
    case UM_HEIGHT_WIDTH:
        return sizes->width_nm.value;
    case UM_HEIGHT_NM:
        return phase->height_nm;
    case UM_HEIGHT_NONE:
        break;
    }
    return 0.0;
}

/* ---- a row -------------------------------------------------------------------------------------- */

static void fill_numbers(holding *h, um_measure_row *row)
{
    double thickness = 0.0;
    double positions = 0.0;
    int32_t known = 0;
    row->scans = h->count;
    row->counted = h->weights;
    for (int32_t i = 0; i < h->m->scans; i++) {
        const um_measure_scan *s = &h->m->scan[i];
        if (belongs(h, i)) {
            row->area_um2 += s->area_um2;
            thickness += (double)s->positions * s->thickness_nm;
            positions += (double)s->positions;
            known += isfinite(s->thickness_nm);
        }
    }
    row->thickness_nm = thickness / positions;
    row->per_um2 = density(h, h->area);
    row->per_um3 = density(h, h->volume);
    row->count_fraction = count_fraction(h);
    row->area_fraction = share(h, h->covered, h->positions, h->areas, h->area_squares,
                               h->areas > 0.0 ? h->largest_area : h->any_area);
    /* Some scans by thickness and others without would not be of one unit. */
    row->volume_fraction = known > 0 && known < h->count
                               ? UNKNOWN
                               : share(h, h->content, h->exposure, h->contents, h->content_squares,
                                       h->contents > 0.0 ? h->largest_content : h->any_content);
}

um_status um_measure_fill_row(const um_measure *m, um_measure_row *row, const um_measure_row *whole)
{
    enum { ARRAYS = 8 };
    size_t room = (size_t)m->scans + 1;
    int32_t *place = calloc(room, sizeof *place);
    double *numbers = calloc(ARRAYS * room, sizeof *numbers);
    if (place == NULL || numbers == NULL) {
        free(place);
        free(numbers);
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory for tables");
    }
    holding h = {.m = m, .row = row};
    double **slots[ARRAYS] = {&h.counted, &h.all, &h.area, &h.volume, &h.covered, &h.positions, &h.content, &h.exposure};
    for (int i = 0; i < ARRAYS; i++) {
        *slots[i] = numbers + (size_t)i * room;
    }
    for (int32_t i = 0; i < m->scans; i++) {
        place[i] = belongs(&h, i) ? 0 : -1;
    }
    row->diameter_nm = mean_size(&h, place, DIAMETER);
    row->length_nm = mean_size(&h, place, LENGTH);
    row->width_nm = mean_size(&h, place, WIDTH);
    row->height_nm = height_of(m, whole != NULL ? whole : row);
    take_scans(&h, place);
    take_particles(&h, place, row);
    fill_numbers(&h, row);
    free(numbers);
    free(place);
    return UM_OK;
}
