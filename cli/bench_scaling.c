/* How the time of a factorisation grows with positions, components and pixels, and with one thread. */
#include "bench.h"

#include <math.h>
#include <string.h>

enum { MOST_POINTS = 6 };

typedef struct sweep {
    const char *name;
    int count;
    struct {
        int64_t ny, nx, side, k;
    } point[MOST_POINTS];
} sweep;


static const sweep sweeps[] = {
    {"positions", 4, {{100, 100, 64, 8}, {200, 200, 64, 8}, {500, 500, 64, 8}, {1000, 1000, 64, 8}}},
    {"components", 4, {{200, 200, 64, 4}, {200, 200, 64, 8}, {200, 200, 64, 16}, {200, 200, 64, 32}}},
    {"pixels", 4, {{200, 200, 32, 8}, {200, 200, 64, 8}, {200, 200, 128, 8}, {200, 200, 192, 8}}},
};

static double variable(const sweep *s, int i)
{
    return strcmp(s->name, "positions") == 0    ? (double)(s->point[i].ny * s->point[i].nx)
           : strcmp(s->name, "components") == 0 ? (double)s->point[i].k
                                                : (double)(s->point[i].side * s->point[i].side);
}

/* Least squares line through log y over log x. */
static double slope(int count, const double *x, const double *y)
{
    double mx = 0.0, my = 0.0, sxy = 0.0, sxx = 0.0;
    for (int i = 0; i < count; i++) {
        mx += log(x[i]) / count;
        my += log(y[i]) / count;
    }
    for (int i = 0; i < count; i++) {
        sxy += (log(x[i]) - mx) * (log(y[i]) - my);
        sxx += (log(x[i]) - mx) * (log(x[i]) - mx);
    }
    return sxy / sxx;
}

static um_status measure(bench *b, const sweep *s, json_t *list)
{
    double x[MOST_POINTS], seconds[MOST_POINTS], per_read[MOST_POINTS];
    json_t *points = json_array();
    um_status status = UM_OK;
    int64_t k = b->k;
    for (int i = 0; status == UM_OK && i < s->count; i++) {
        json_t *row[2] = {NULL, NULL};
        bench_scan scan = {"scaling", s->point[i].ny, s->point[i].nx, s->point[i].side,
                           s->point[i].side, UM_U8, 1000.0, NULL};
        b->k = 8; /* states of the scan: what is factorised stays the same */
        status = bench_scan_make(b, &scan);
        b->k = s->point[i].k;
        for (int all = 0; status == UM_OK && all < 2; all++) {
            status = bench_nmf(b, scan.path, NULL, all == 1 ? b->threads : 1, false, 2, &row[all]);
        }
        bench_scan_drop(b, &scan);
        if (status == UM_OK) {
            double one = json_number_value(json_object_get(row[0], "seconds"));
            x[i] = variable(s, i);
            seconds[i] = json_number_value(json_object_get(row[1], "seconds"));
            per_read[i] = seconds[i] / json_number_value(json_object_get(row[1], "passes"));
            json_array_append_new(
                points, json_pack("{s:f, s:f, s:f, s:f, s:O, s:O, s:O}", s->name, x[i], "seconds", seconds[i],
                                  "one_thread_seconds", one, "speedup", one / seconds[i], "reads",
                                  json_object_get(row[1], "reads"), "passes",
                                  json_object_get(row[1], "passes"), "peak_bytes",
                                  json_object_get(row[1], "peak_bytes")));
        }
        json_decref(row[0]);
        json_decref(row[1]);
    }
    b->k = k;
    if (status != UM_OK) {
        json_decref(points);
        return status;
    }
    json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:o}", "over", s->name, "slope",
                                          slope(s->count, x, seconds), "slope_per_pass",
                                          slope(s->count, x, per_read), "points", points));
    return UM_OK;
}

um_status bench_scaling(bench *b)
{
    json_t *list = json_array();
    um_status status = UM_OK;
    bool keep = b->keep;
    b->keep = false; /* every point has the same name */
    json_object_set_new(b->report, "scaling", list);
    for (size_t i = 0; status == UM_OK && i < sizeof sweeps / sizeof *sweeps; i++) {
        status = measure(b, &sweeps[i], list);
    }
    b->keep = keep;
    return status;
}
