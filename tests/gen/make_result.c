/* Writes a scan and results with known numbers in every place, for programs that read them:
 *   make_result FOLDER NY NX KY KX K COMPRESSION
 * scan.hspy; linked.hspy (its data are the scan), empty.hspy, lazy.hspy, result.npz. Component c has
 * 1000*c + q at pixel q, loading c has 1000*c + p at position p; pixel (1, 2) and position (0, 1) are
 * excluded. The scan has (p * 131 + q * 7) mod 65536. */
#include "unmix/io.h"
#include "unmix/model.h"

#include <stdio.h>
#include <stdlib.h>

static char path[4096];

static const char *in_folder(const char *folder, const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void set_axes(um_axis axes[4])
{
    static const um_axis known[4] = {{.name = "y", .units = "nm", .scale = 2.5, .offset = 10},
                                     {.name = "x", .units = "nm", .scale = 2.5, .offset = 20},
                                     {.name = "ky", .units = "1/nm", .scale = 0.1, .offset = -0.3},
                                     {.name = "kx", .units = "1/nm", .scale = 0.1, .offset = -0.4}};
    for (int i = 0; i < 4; i++) {
        axes[i] = known[i];
    }
}

static um_status write_scan(um_context *ctx, const char *folder, um_shape s, const char *compression)
{
    um_sink_spec spec = {.shape = s, .dtype = UM_U16, .title = "scan", .metadata = "{\"dose\":3}",
                         .compression = compression, .overwrite = true};
    set_axes(spec.axes);
    um_sink *sink = NULL;
    um_status status = um_sink_create(ctx, in_folder(folder, "scan.hspy"), &spec, &sink);
    int64_t pixels = s.ky * s.kx;
    uint16_t *row = malloc((size_t)(s.nx * pixels) * sizeof *row);
    for (int64_t y = 0; y < s.ny && status == UM_OK && row != NULL; y++) {
        for (int64_t i = 0; i < s.nx * pixels; i++) {
            row[i] = (uint16_t)((y * s.nx + i / pixels) * 131 + i % pixels * 7);
        }
        status = um_sink_write(sink, (um_rect){y, 0, 1, s.nx}, row);
    }
    free(row);
    if (status == UM_OK) {
        status = um_sink_commit(sink);
    }
    um_sink_free(sink);
    return status;
}

static um_status fill_model(um_model *m, um_shape s, int64_t k)
{
    int64_t pixels = s.ky * s.kx;
    int64_t positions = s.ny * s.nx;
    uint8_t *signal = calloc((size_t)pixels, 1);
    uint8_t *navigation = calloc((size_t)positions, 1);
    um_status status = UM_ERROR_MEMORY;
    if (signal != NULL && navigation != NULL) {
        signal[s.kx + 2] = 1;
        navigation[1] = 1;
        for (int64_t c = 0; c < k; c++) {
            for (int64_t q = 0; q < pixels; q++) {
                um_model_factors(m)[c * pixels + q] = (float)(1000 * c + q);
            }
            for (int64_t p = 0; p < positions; p++) {
                um_model_loadings(m)[p * k + c] = (float)(1000 * c + p);
            }
        }
        status = um_model_set_signal_mask(m, signal);
    }
    if (status == UM_OK) {
        status = um_model_set_navigation_mask(m, navigation);
    }
    const double values[3] = {30, 2, 0.5};
    if (status == UM_OK) {
        status = um_model_set_array(m, "singular_values", 1, (int64_t[]){3}, values);
    }
    if (status == UM_OK) {
        status = um_model_set_array(m, "total_variance", 0, NULL, values);
    }
    if (status == UM_OK) {
        status = um_model_set_provenance(m, "{\"weights\":\"poisson\",\"seed\":7}");
    }
    free(signal);
    free(navigation);
    return status;
}

static um_status write_results(um_context *ctx, const char *folder, const um_model *m)
{
    char scan[4096];
    snprintf(scan, sizeof scan, "%s/scan.hspy", folder);
    um_save_options linked = {.data_link = scan, .overwrite = true};
    um_save_options plain = {.overwrite = true};
    um_save_options lazy = {.overwrite = true, .lazy_safe = true};
    um_status status = um_model_save(ctx, m, in_folder(folder, "linked.hspy"), &linked);
    if (status == UM_OK) {
        status = um_model_save(ctx, m, in_folder(folder, "empty.hspy"), &plain);
    }
    if (status == UM_OK) {
        status = um_model_save(ctx, m, in_folder(folder, "lazy.hspy"), &lazy);
    }
    return status == UM_OK ? um_model_save(ctx, m, in_folder(folder, "result.npz"), &plain) : status;
}

int main(int argc, char **argv)
{
    um_context *ctx = NULL;
    if (argc != 8 || um_context_create(&ctx) != UM_OK) {
        fprintf(stderr, "usage: make_result FOLDER NY NX KY KX K COMPRESSION\n");
        return 2;
    }
    const char *folder = argv[1];
    um_shape s = {strtol(argv[2], NULL, 10), strtol(argv[3], NULL, 10), strtol(argv[4], NULL, 10),
                  strtol(argv[5], NULL, 10)};
    um_model_spec spec = {.k = strtol(argv[6], NULL, 10), .shape = s, .method = "NMF"};
    set_axes(spec.axes);
    um_model *m = NULL;
    um_status status = write_scan(ctx, folder, s, argv[7]);
    if (status == UM_OK) {
        status = um_model_create(ctx, &spec, &m);
    }
    if (status == UM_OK) {
        status = fill_model(m, s, spec.k);
    }
    if (status == UM_OK) {
        status = write_results(ctx, folder, m);
    }
    if (status != UM_OK) {
        fprintf(stderr, "make_result: %s\n", um_context_message(ctx));
    }
    um_model_free(m);
    um_context_free(ctx);
    return status == UM_OK ? 0 : 1;
}
