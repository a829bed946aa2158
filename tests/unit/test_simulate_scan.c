#include "base_internal.h"
#include "unmix/simulate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/unmix_simulate_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static um_context *new_context(int threads)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_context_set_seed(ctx, 9);
    um_context_set_threads(ctx, threads);
    return ctx;
}

static char *in_folder(const char *name)
{
    char *path = um_format("%s/%s", folder, name);
    assert_non_null(path);
    return path;
}

/* Simulates to .npy and .npz, takes both back, and leaves no file. */
static void simulate(um_context *ctx, const um_simulation *sim, const um_instrument *instrument,
                     um_array **scan, um_model **truth)
{
    char *scan_path = in_folder("scan.npy");
    char *truth_path = in_folder("truth.npz");
    const um_scene_files files = {.scan = scan_path, .truth = truth_path};
    assert_int_equal(um_simulate(ctx, sim, instrument, &files), UM_OK);
    assert_int_equal(um_simulate(ctx, sim, instrument, &files), UM_ERROR_EXISTS);
    um_context_set_memory(ctx, 0); /* a small budget was for the simulation */
    assert_int_equal(um_array_read(ctx, scan_path, scan), UM_OK);
    if (truth != NULL) {
        assert_int_equal(um_model_load(ctx, truth_path, truth), UM_OK);
    }
    assert_int_equal(unlink(scan_path), 0);
    assert_int_equal(unlink(truth_path), 0);
    free(scan_path);
    free(truth_path);
}

static double sum_of(const um_array *array)
{
    double sum = 0.0;
    for (int64_t i = 0; i < um_array_size(array); i++) {
        sum += um_array_get(array, i);
    }
    return sum;
}

static um_simulation small_simulation(void)
{
    um_simulation sim = um_simulation_defaults();
    sim.ny = 13;
    sim.nx = 21;
    sim.ky = 24;
    sim.kx = 32;
    sim.states = 4;
    return sim;
}

static um_instrument instrument_of(double counts)
{
    um_instrument instrument = um_instrument_defaults();
    instrument.counts = counts;
    return instrument;
}

static void bytes_depend_on_neither_threads_nor_memory(void **state)
{
    (void)state;
    const int threads[] = {1, 2, 3};
    um_array *scans[4] = {NULL};
    um_context *contexts[4];
    um_simulation sim = small_simulation();
    const um_instrument instrument = instrument_of(800.0);
    sim.ny = 120; /* several blocks */
    sim.nx = 100;
    for (int i = 0; i < 4; i++) {
        contexts[i] = new_context(threads[i % 3]);
        if (i == 3) {
            um_context_set_memory(contexts[i], 3000000);
        }
        simulate(contexts[i], &sim, &instrument, &scans[i], NULL);
        assert_int_equal(um_array_size(scans[i]), 120 * 100 * 24 * 32);
    }
    for (int i = 1; i < 4; i++) {
        assert_memory_equal(scans[0]->data, scans[i]->data, 2 * (size_t)um_array_size(scans[0]));
    }
    um_context_set_seed(contexts[0], 10);
    um_array *other = NULL;
    simulate(contexts[0], &sim, &instrument, &other, NULL);
    assert_memory_not_equal(scans[0]->data, other->data, 2 * (size_t)um_array_size(other));
    um_array_free(other);
    for (int i = 0; i < 4; i++) {
        um_array_free(scans[i]);
        assert_int_equal(um_context_memory_in_use(contexts[i]), 0);
        um_context_free(contexts[i]);
    }
}

/* Without noise the scan is loadings x factors of the truth, and the dose is what was asked for. */
static void truth_is_the_noise_free_scan(void **state)
{
    (void)state;
    um_context *ctx = new_context(2);
    um_simulation sim = small_simulation();
    um_instrument instrument = instrument_of(0.0);
    instrument.noise = false;
    instrument.dtype = UM_F32;
    const double doses[] = {800.0, 2400.0, 0.0};
    double sums[3];
    for (int d = 0; d < 3; d++) {
        um_array *scan = NULL;
        um_model *truth = NULL;
        instrument.counts = doses[d];
        simulate(ctx, &sim, &instrument, &scan, &truth);
        const float *w = um_model_loadings(truth);
        const float *h = um_model_factors(truth);
        const um_array *labels = um_model_array(truth, "labels");
        const um_array *fractions = um_model_array(truth, "fractions");
        assert_non_null(labels);
        assert_non_null(fractions);
        for (int64_t p = 0; p < 13 * 21; p++) {
            double total = 0.0;
            int64_t label = (int64_t)um_array_get(labels, p);
            for (int64_t s = 0; s < 4; s++) {
                double fraction = um_array_get(fractions, 4 * p + s);
                assert_true(fraction <= um_array_get(fractions, 4 * p + label));
                total += fraction;
            }
            assert_true(fabs(total - 1.0) < 1e-6);
            for (int64_t q = 0; q < 24 * 32; q += 7) {
                double model = 0.0;
                for (int64_t s = 0; s < 4; s++) {
                    model += (double)w[4 * p + s] * (double)h[s * 24 * 32 + q];
                }
                double stored = um_array_get(scan, p * 24 * 32 + q);
                assert_true(fabs(stored - model) <= 1e-6 * model);
            }
        }
        sums[d] = sum_of(scan);
        um_array_free(scan);
        um_model_free(truth);
    }
    /* Unit-sum patterns without scaling: one count per pattern. */
    assert_true(fabs(sums[0] / (800.0 * 13 * 21) - 1.0) < 1e-6);
    assert_true(fabs(sums[1] / sums[0] - 3.0) < 1e-6);
    assert_true(fabs(sums[2] / (13 * 21) - 1.0) < 1e-6);
    um_context_free(ctx);
}

static void given_patterns_keep_their_relative_intensity(void **state)
{
    (void)state;
    um_context *ctx = new_context(2);
    const float patterns[2 * 6] = {1, 0, 0, 0, 0, 1, 0, 3, 3, 0, 0, 0};
    const int32_t labels[4] = {0, 1, 1, 0};
    um_simulation sim = um_simulation_defaults();
    sim.patterns = patterns;
    sim.states = 2;
    sim.ky = 2;
    sim.kx = 3;
    sim.ny = 1;
    sim.nx = 4;
    sim.layout = UM_LAYOUT_LABELS;
    sim.labels = labels;
    sim.border_px = 0.0;
    um_instrument instrument = instrument_of(100.0);
    instrument.noise = false;
    sim.keep_intensities = true;
    um_array *scan = NULL;
    um_model *truth = NULL;
    simulate(ctx, &sim, &instrument, &scan, &truth);
    const uint16_t *values = scan->data;
    /* Sums 2 and 6, mean 4: 50 and 150 counts. */
    const uint16_t expected[12] = {25, 0, 0, 0, 0, 25, 0, 75, 75, 0, 0, 0};
    assert_memory_equal(values, expected, sizeof expected);
    um_shape shape = um_model_shape(truth);
    assert_int_equal(shape.nx, 4);
    const um_axis *axes = um_model_axes(truth);
    assert_string_equal(axes[1].units, "nm");
    assert_true(fabs(axes[3].scale - 0.025) < 1e-12 && fabs(axes[3].offset + 0.025) < 1e-12);
    um_array_free(scan);
    um_model_free(truth);
    /* Without it every state has the counts asked for. */
    sim.keep_intensities = false;
    simulate(ctx, &sim, &instrument, &scan, NULL);
    const uint16_t equal[12] = {50, 0, 0, 0, 0, 50, 0, 50, 50, 0, 0, 0};
    assert_memory_equal(scan->data, equal, sizeof equal);
    um_array_free(scan);
    sim.keep_intensities = true;
    /* What a byte cannot hold becomes its largest value. */
    instrument.counts = 600.0;
    instrument.dtype = UM_U8;
    simulate(ctx, &sim, &instrument, &scan, NULL);
    assert_int_equal(((uint8_t *)scan->data)[6 + 1], 255);
    assert_int_equal(((uint8_t *)scan->data)[0], 150);
    um_array_free(scan);
    um_context_free(ctx);
}

/* Without noise every value is known: afterglow adds half of the position before, and the dose is a factor. */
static void afterglow_and_dose_are_what_they_say(void **state)
{
    (void)state;
    um_context *ctx = new_context(2);
    const float patterns[2 * 2] = {1, 0, 0, 1};
    const int32_t labels[3] = {0, 1, 1};
    um_simulation sim = um_simulation_defaults();
    sim.patterns = patterns;
    sim.states = 2;
    sim.ky = 1;
    sim.kx = 2;
    sim.ny = 1;
    sim.nx = 3;
    sim.layout = UM_LAYOUT_LABELS;
    sim.labels = labels;
    sim.border_px = 0.0;
    for (int dose = 100; dose <= 200; dose += 100) {
        um_instrument instrument = instrument_of(dose);
        instrument.noise = false;
        instrument.dtype = UM_F32;
        instrument.afterglow = 0.5;
        const double expected[6] = {1.0, 0.0, 0.5, 1.0, 0.25, 1.5};
        um_array *scan = NULL;
        simulate(ctx, &sim, &instrument, &scan, NULL);
        for (int i = 0; i < 6; i++) {
            assert_true(fabs(um_array_get(scan, i) - dose * expected[i]) < 1e-3);
        }
        um_array_free(scan);
    }
    um_context_free(ctx);
}

static void nonsense_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    um_context *ctx = new_context(2);
    char *scan = in_folder("scan.npy");
    char *truth = in_folder("truth.npz");
    float patterns[3] = {1.0F, -0.5F, 2.0F};
    um_simulation sim = small_simulation();
    um_instrument instrument = instrument_of(800.0);
    const um_scene_files files = {.scan = scan, .truth = truth};
    instrument.dtype = UM_I16;
    assert_int_equal(um_simulate(ctx, &sim, &instrument, &files), UM_ERROR_UNSUPPORTED);
    instrument.dtype = UM_U16;
    sim.border_px = NAN;
    assert_int_equal(um_simulate(ctx, &sim, &instrument, &files), UM_ERROR_ARGUMENT);
    sim.border_px = 1.0;
    sim.ny = INT64_MAX / 2;
    assert_int_equal(um_simulate(ctx, &sim, &instrument, &files), UM_ERROR_ARGUMENT);
    sim.ny = 4;
    sim.patterns = patterns;
    sim.states = 1;
    sim.ky = 1;
    sim.kx = 3;
    assert_int_equal(um_simulate(ctx, &sim, &instrument, &files), UM_ERROR_VALUE);
    patterns[1] = NAN;
    assert_int_equal(um_simulate(ctx, &sim, &instrument, &files), UM_ERROR_VALUE);
    memset(patterns, 0, sizeof patterns);
    assert_int_equal(um_simulate(ctx, &sim, &instrument, &files), UM_ERROR_VALUE);
    patterns[0] = 1.0F;
    um_context_cancel(ctx);
    assert_int_equal(um_simulate(ctx, &sim, &instrument, &files), UM_CANCELLED);
    assert_int_equal(um_context_memory_in_use(ctx), 0);
    assert_int_not_equal(access(scan, F_OK), 0); /* the folder is removed only when it is empty */
    free(scan);
    free(truth);
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_depend_on_neither_threads_nor_memory),
        cmocka_unit_test(truth_is_the_noise_free_scan),
        cmocka_unit_test(given_patterns_keep_their_relative_intensity),
        cmocka_unit_test(afterglow_and_dose_are_what_they_say),
        cmocka_unit_test(nonsense_is_refused_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
