/* Names of patterns: symmetry, libraries, scores, and patterns of known crystals. */
#include "identify_internal.h"

#include "specimen_internal.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static um_context *ctx;

static um_crystal *structure(const char *name)
{
    um_crystal *x = NULL;
    assert_int_equal(um_structure_make(ctx, name, &x), UM_OK);
    return x;
}

static um_laue laue_of(const um_crystal *x)
{
    um_reflections *all = NULL;
    um_laue laue;
    assert_int_equal(um_reflections_make(ctx, x, 1.2, &all), UM_OK);
    um_laue_find(x, all, &laue);
    um_reflections_free(ctx, all);
    return laue;
}

/* International Tables: orders of the Laue classes. */
static void laue_groups_have_the_order_of_their_class(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int order;
    } known[] = {{"al", 48}, {"gaas", 48}, {"gaas-wurtzite", 24}, {"mgo", 48}, {"theta-prime", 16}, {"t1", 24}, {"beta-double-prime", 4}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        um_crystal *x = structure(known[i].name);
        um_laue laue = laue_of(x);
        int proper = 0;
        assert_int_equal(laue.count, known[i].order);
        for (int k = 0; k < laue.count; k++) {
            proper += laue.proper[k];
        }
        assert_int_equal(2 * proper, laue.count);
        um_crystal_free(x);
    }
    const double cell[6] = {5.1, 6.2, 7.3, 81.0, 95.0, 104.0};
    const um_atom atoms[2] = {{.z = 13, .occupancy = 1.0}, {.z = 29, .position = {0.31, 0.22, 0.43}, .occupancy = 1.0}};
    um_crystal *x = NULL;
    assert_int_equal(um_crystal_create(ctx, "triclinic", cell, atoms, 2, &x), UM_OK);
    assert_int_equal(laue_of(x).count, 2);
    um_crystal_free(x);
}

/* Every direction has exactly one image in the zone (but on its borders). */
static void each_direction_has_one_image_in_the_zone(void **state)
{
    (void)state;
    static const char *const names[] = {"al", "t1", "beta-double-prime"};
    um_random random = {3, UM_STREAM_TEST};
    for (int n = 0; n < 3; n++) {
        um_crystal *x = structure(names[n]);
        um_laue laue = laue_of(x);
        for (int i = 0; i < 50; i++) {
            double z = 2.0 * um_random_uniform(random, (uint64_t)(2 * i)) - 1.0, turn = 2.0 * M_PI * um_random_uniform(random, (uint64_t)(2 * i + 1));
            const double v[3] = {sqrt(1.0 - z * z) * cos(turn), sqrt(1.0 - z * z) * sin(turn), z};
            int inside = 0;
            for (int k = 0; k < laue.count; k++) {
                double image[3];
                for (int r = 0; r < 3; r++) {
                    image[r] = laue.q[k][r][0] * v[0] + laue.q[k][r][1] * v[1] + laue.q[k][r][2] * v[2];
                }
                inside += um_laue_is_canonical(&laue, image);
            }
            assert_int_equal(inside, 1);
        }
        um_crystal_free(x);
    }
}

static void twins_are_a_third_of_a_turn_apart(void **state)
{
    (void)state;
    static const int a[3] = {1, -1, 0}, b[3] = {-1, 1, 0}, right[3] = {1, 1, 1};
    um_crystal *x = structure("gaas");
    um_laue laue = laue_of(x);
    um_orientation one, two;
    double axis[3];
    assert_int_equal(um_orientation_zone(ctx, x, a, right, &one), UM_OK);
    assert_int_equal(um_orientation_zone(ctx, x, b, right, &two), UM_OK);
    assert_true(fabs(um_laue_angle(&laue, &one, &two, axis) - 60.0) < 1e-6);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(fabs(axis[i]) - 1.0 / sqrt(3.0)) < 1e-6);
    }
    assert_true(um_laue_angle(&laue, &one, &one, axis) < 1e-4);
    um_crystal_free(x);
}

/* The closed form against a sum over 20,000 azimuths with the true sphere. */
static void intensities_are_the_mean_over_the_cone(void **state)
{
    (void)state;
    enum { AZIMUTHS = 20000 };
    um_crystal *x = structure("mgo");
    um_reflections *all = NULL;
    um_mark_spot marks[200];
    const um_beam_settings beam = {.wavelength_A = um_electron_wavelength(200.0), .precession_rad = 0.0175, .width_per_A = 0.003,
                                   .g_min_per_A = 0.1, .g_max_per_A = 1.0};
    um_orientation o = um_orientation_euler(20.0, 2.0, 40.0);
    assert_int_equal(um_reflections_make(ctx, x, 1.1, &all), UM_OK);
    int64_t n = um_marks_make(all, &beam, &o, 0.0, marks, 200);
    assert_true(n > 10);
    for (int64_t i = 0; i < n; i++) {
        um_reflection r;
        double g[3], sum = 0.0;
        assert_int_equal(um_reflection_make(ctx, x, marks[i].hkl, &r), UM_OK);
        for (int k = 0; k < 3; k++) {
            g[k] = o.m[k][0] * r.g[0] + o.m[k][1] * r.g[1] + o.m[k][2] * r.g[2];
        }
        assert_true(fabs(g[0] - marks[i].x) < 1e-9 && fabs(g[1] - marks[i].y) < 1e-9);
        for (int a = 0; a < AZIMUTHS; a++) {
            double t = 2.0 * M_PI * a / AZIMUTHS, s = um_excitation_error(beam.wavelength_A, g, 17.5 * cos(t), 17.5 * sin(t));
            sum += 1.0 / (1.0 + s * s / (beam.width_per_A * beam.width_per_A)) / AZIMUTHS;
        }
        double expected = (r.re_A * r.re_A + r.im_A * r.im_A) * sum, found = pow(marks[i].amplitude, 3.0);
        assert_true(fabs(found - expected) < 0.02 * expected);
    }
    um_reflections_free(ctx, all);
    um_crystal_free(x);
}

/* Quantiles of a Gumbel distribution of ln(s / (1 - s)). */
static void chances_are_those_of_the_distribution(void **state)
{
    (void)state;
    enum { N = 4000 };
    double *score = calloc(N, sizeof *score);
    assert_non_null(score);
    for (int i = 0; i < N; i++) {
        double u = (i + 0.5) / N, x = 0.4 - 0.3 * log(-log(u));
        score[i] = 1.0 / (1.0 + exp(-x));
    }
    for (int i = 0; i < 3; i++) {
        const double chance[3] = {0.5, 0.1, 0.01};
        double x = 0.4 - 0.3 * log(-log(1.0 - chance[i]));
        assert_true(fabs(um_null_chance(score, N, 1.0 / (1.0 + exp(-x))) - chance[i]) < 0.05 * chance[i]);
    }
    assert_true(um_null_chance(score, N, 1.0) < 1e-9 && um_null_chance(score, N, 0.0) > 0.999);
    free(score);
}

/* ---- patterns of known crystals --------------------------------------------------------------------------- */

enum { SIDE = 112, PATTERNS = 6 };

typedef struct truth {
    const char *name;
    double euler[3];
} truth;
static const truth truths[4] = {
    {"al", {37.0, 2.0, 10.0}}, {"gaas", {80.0, 88.0, 46.0}}, {"si", {5.0, 33.0, 30.0}}, {"t1", {140.0, 89.0, 31.0}}};

static um_detector detector_of(double scale, double ratio, double dy, double dx)
{
    return (um_detector){.ky = SIDE, .kx = SIDE, .cy = SIDE / 2 + dy, .cx = SIDE / 2 + dx, .scale_per_A = scale,
                         .ellipse_ratio = ratio, .ellipse_deg = 25.0, .radius_px = 1.6};
}

static void render(const truth *t, const um_detector *d, double *image)
{
    um_crystal *x = structure(t->name);
    um_reflections *all = NULL;
    um_spot *spots = NULL;
    size_t count = 0;
    um_illumination beam = um_illumination_defaults();
    beam.precession_mrad = 17.5;
    beam.thickness_nm = 40.0;
    um_orientation o = um_orientation_euler(t->euler[0], t->euler[1], t->euler[2]);
    assert_int_equal(um_reflections_make(ctx, x, 1.8, &all), UM_OK);
    assert_int_equal(um_diffract(ctx, all, &o, &beam, &spots, &count), UM_OK);
    assert_int_equal(um_pattern_render(ctx, d, spots, count, image), UM_OK);
    free(spots);
    um_reflections_free(ctx, all);
    um_crystal_free(x);
}

/* Four crystals, a ring and nothing, under Poisson noise, with a camera that is not quite what the axes say. */
static um_model *make_model(double scale, double ratio, double dy, double dx)
{
    um_model_spec spec = {.k = PATTERNS, .shape = {2, 3, SIDE, SIDE}, .method = "test"};
    for (int i = 0; i < 4; i++) {
        spec.axes[i] = (um_axis){.scale = i < 2 ? 1.0 : 0.03, .size = i == 0 ? 2 : i == 1 ? 3 : SIDE, .navigate = i < 2};
        snprintf(spec.axes[i].units, sizeof spec.axes[i].units, "%s", i < 2 ? "nm" : "1/\u00c5");
    }
    um_model *model = NULL;
    assert_int_equal(um_model_create(ctx, &spec, &model), UM_OK);
    um_detector d = detector_of(scale, ratio, dy, dx);
    double *image = calloc(SIDE * SIDE, sizeof *image);
    assert_non_null(image);
    for (int c = 0; c < PATTERNS; c++) {
        double sum = 0.0;
        memset(image, 0, SIDE * SIDE * sizeof *image);
        if (c < 4) {
            render(&truths[c], &d, image);
        }
        for (int q = 0; q < SIDE * SIDE; q++) {
            sum += image[q];
        }
        for (int q = 0; q < SIDE * SIDE; q++) {
            double r = hypot(q / SIDE - d.cy, q % SIDE - d.cx), ring = (r - 16.0) / 2.0;
            double mean = (c < 4 ? 1e5 * image[q] / sum : 0.0) + 20.0 * exp(-r / 15.0) + (c == 4 ? 30.0 * exp(-0.5 * ring * ring) : 0.0);
            um_model_factors(model)[c * SIDE * SIDE + q] =
                (float)um_random_poisson((um_random){(uint64_t)c, UM_STREAM_TEST}, (uint64_t)q, mean);
        }
        um_model_loadings(model)[c * PATTERNS + c] = 1.0F;
    }
    free(image);
    return model;
}

static um_candidate candidates[9];
static size_t candidate_count;

static um_identification *identify(um_model *model, const um_identify_options *how)
{
    um_identification *id = NULL;
    assert_int_equal(um_identify_model(ctx, model, candidates, candidate_count, how, &id), UM_OK);
    return id;
}

static double off_truth(const um_identification *id, int c)
{
    const um_crystal *x = candidates[id->component[c].best.phase].crystal;
    um_laue laue = laue_of(x);
    um_orientation o = um_orientation_euler(truths[c].euler[0], truths[c].euler[1], truths[c].euler[2]);
    double axis[3];
    return um_laue_angle(&laue, &o, &id->component[c].best.orientation, axis);
}

static void known_crystals_are_named_and_turned_right(void **state)
{
    (void)state;
    um_model *model = make_model(0.03 * 1.015, 1.012, 0.8, -0.6);
    um_identification *id = identify(model, NULL);
    for (int c = 0; c < 4; c++) {
        const um_identified *i = &id->component[c];
        assert_int_equal(i->verdict, UM_VERDICT_PHASE);
        assert_string_equal(id->phase[i->best.phase], truths[c].name);
        assert_true(off_truth(id, c) < 1.5);
        assert_true(i->margin > 0.02 && i->chance < 0.01 && i->best.score <= 1.0);
        assert_true(fabs(i->best.scale - 1.015) < 0.004);
        um_orientation again = um_orientation_euler(i->best.euler_deg[0], i->best.euler_deg[1], i->best.euler_deg[2]);
        for (int k = 0; k < 9; k++) { /* the angles that are told are those of the orientation */
            assert_true(fabs(again.m[k / 3][k % 3] - i->best.orientation.m[k / 3][k % 3]) < 1e-6);
        }
        assert_int_equal(i->orientation, 0);
    }
    assert_int_equal(id->component[4].verdict, UM_VERDICT_AMORPHOUS);
    assert_true(fabs(id->component[4].halo_per_A - 16.0 * 0.03) < 0.05);
    assert_int_equal(id->component[5].verdict, UM_VERDICT_BACKGROUND);
    assert_true(fabs(id->scale - 1.015) < 0.003 && fabs(id->shift_y - 0.8) < 0.15 && fabs(id->shift_x + 0.6) < 0.15);
    assert_true(fabs(id->ellipse_ratio - 1.012) < 0.007); /* few spots: drawn towards a circle */
    um_identification_free(id);
    um_model_free(model);
}

static void a_crystal_that_is_no_candidate_is_unknown(void **state)
{
    (void)state;
    um_model *model = make_model(0.03, 1.0, 0.0, 0.0);
    um_identification *id = NULL;
    um_candidate two[2];
    size_t n = 0;
    for (size_t p = 0; p < candidate_count; p++) { /* gaas and si stand for each other as little as t1 does */
        if (strcmp(candidates[p].name, "al") == 0 || strcmp(candidates[p].name, "mgo") == 0) {
            two[n++] = candidates[p];
        }
    }
    assert_int_equal(n, 2);
    assert_int_equal(um_identify_model(ctx, model, two, n, NULL, &id), UM_OK);
    assert_int_equal(id->component[0].verdict, UM_VERDICT_PHASE);
    for (int c = 1; c < 4; c++) {
        assert_int_equal(id->component[c].verdict, UM_VERDICT_UNKNOWN);
        assert_true(strlen(id->component[c].reason) > 20);
    }
    um_identification_free(id);
    um_model_free(model);
}

static void same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    um_model *model = make_model(0.03, 1.0, 0.0, 0.0);
    um_identify_options how = um_identify_defaults();
    how.null_patterns = 4;
    um_context_set_threads(ctx, 1);
    um_identification *one = identify(model, &how);
    um_context_set_threads(ctx, 3);
    um_identification *three = identify(model, &how);
    for (int c = 0; c < PATTERNS; c++) {
        const um_identified *a = &one->component[c], *b = &three->component[c];
        assert_memory_equal(&a->best, &b->best, sizeof a->best);
        assert_memory_equal(&a->chance, &b->chance, sizeof a->chance);
        assert_string_equal(a->reason, b->reason);
    }
    um_identification_free(one);
    um_identification_free(three);
    um_model_free(model);
}

static void the_model_tells_names_and_maps(void **state)
{
    (void)state;
    um_model *model = make_model(0.03, 1.0, 0.0, 0.0);
    um_identify_options how = um_identify_defaults();
    how.null_patterns = 0;
    um_identification *id = identify(model, &how);
    assert_int_equal(um_identification_store(ctx, id, model), UM_OK);
    const um_array *index = um_model_array(model, "phase_index"), *map = um_model_array(model, "phase_map");
    assert_non_null(index);
    assert_non_null(map);
    json_t *all = json_loads(um_model_provenance(model), 0, NULL), *list = json_object_get(all, "identification");
    assert_int_equal(json_array_size(list), PATTERNS);
    assert_int_equal(json_array_size(json_object_get(all, "phases")), candidate_count);
    for (int c = 0; c < PATTERNS; c++) {
        const char *phase = json_string_value(json_object_get(json_array_get(list, (size_t)c), "phase"));
        double at = um_array_get(index, c);
        assert_true(um_array_get(map, c) == at); /* the loadings are the unit matrix */
        assert_true((c < 4) == (at >= 0.0));
        if (c < 4) {
            assert_string_equal(phase, truths[c].name);
            assert_string_equal(json_string_value(json_array_get(json_object_get(all, "phases"), (size_t)at)), phase);
        }
    }
    json_decref(all);
    um_identification_free(id);
    um_model_free(model);
}

/* ---- libraries on disk ------------------------------------------------------------------------------------ */

static char *only_file(const char *folder, const char *key)
{
    return um_format("%s/%s.library", folder, key);
}

static void kept_libraries_are_believed_only_whole(void **state)
{
    (void)state;
    char folder[] = "/tmp/unmix-libraries-XXXXXX", key[65];
    assert_non_null(mkdtemp(folder));
    um_crystal *x = structure("gaas-wurtzite");
    um_identify_options how = um_identify_defaults();
    how.step_deg = 6.0;
    how.cache = folder;
    um_beam_settings beam = {.wavelength_A = 0.0251, .precession_rad = 0.0175, .width_per_A = 0.001, .g_min_per_A = 0.1, .g_max_per_A = 1.2};
    um_library first, second;
    assert_int_equal(um_library_make(ctx, x, &beam, &how, &first), UM_OK);
    assert_false(first.kept);
    um_library_key(x, &beam, &how, key);
    char *path = only_file(folder, key);
    struct stat stat_of;
    assert_int_equal(stat(path, &stat_of), 0);
    for (int damage = 0; damage < 6; damage++) {
        assert_int_equal(um_library_make(ctx, x, &beam, &how, &second), UM_OK);
        assert_int_equal(second.kept, damage == 0);
        assert_int_equal(second.views, first.views);
        assert_int_equal(second.spots, first.spots);
        assert_memory_equal(second.spot, first.spot, (size_t)first.spots * sizeof *first.spot);
        um_library_clear(ctx, &second);
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        /* version, key, counts, digest, body: a byte of each; then a short file */
        const long place[5] = {3, 20, 82, 120, (long)stat_of.st_size - 9};
        if (damage < 5) {
            assert_int_equal(fseek(file, place[damage], SEEK_SET), 0);
            int byte = fgetc(file);
            assert_int_equal(fseek(file, place[damage], SEEK_SET), 0);
            fputc(byte ^ 0x55, file);
        }
        assert_int_equal(fclose(file), 0);
    }
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(um_library_make(ctx, x, &beam, &how, &second), UM_OK);
    assert_false(second.kept);
    um_library_clear(ctx, &second);
    beam.precession_rad = 0.01; /* other settings are another library */
    char other[65];
    um_library_key(x, &beam, &how, other);
    assert_string_not_equal(key, other);
    assert_int_equal(remove(path), 0);
    assert_int_equal(rmdir(folder), 0);
    free(path);
    um_library_clear(ctx, &first);
    um_crystal_free(x);
}

static void impossible_settings_are_refused(void **state)
{
    (void)state;
    um_model *model = make_model(0.03, 1.0, 0.0, 0.0);
    um_identification *id = NULL;
    um_identify_options how = um_identify_defaults();
    assert_int_equal(um_identify_model(ctx, model, candidates, 0, &how, &id), UM_ERROR_ARGUMENT);
    how.scale_per_A = 1.0; /* 56 1/angstrom to the border */
    assert_int_equal(um_identify_model(ctx, model, candidates, 1, &how, &id), UM_ERROR_ARGUMENT);
    how = um_identify_defaults();
    how.cy = -3.0;
    assert_int_equal(um_identify_model(ctx, model, candidates, 1, &how, &id), UM_ERROR_ARGUMENT);
    how = um_identify_defaults();
    how.step_deg = NAN;
    assert_int_equal(um_identify_model(ctx, model, candidates, 1, &how, &id), UM_ERROR_ARGUMENT);
    assert_null(id);
    for (int q = 0; q < SIDE * SIDE; q++) { /* not a number, nothing, everything masked */
        um_model_factors(model)[q] = NAN;
        um_model_factors(model)[SIDE * SIDE + q] = 0.0F;
        um_model_factors(model)[2 * SIDE * SIDE + q] = q % 2 ? INFINITY : -1.0F;
    }
    how = um_identify_defaults();
    how.null_patterns = 2;
    id = identify(model, &how);
    for (int c = 0; c < 3; c++) {
        assert_true(id->component[c].verdict != UM_VERDICT_PHASE);
    }
    um_identification_free(id);
    um_model_free(model);
}

static int start(void **state)
{
    (void)state;
    const char *name = NULL;
    if (um_context_create(&ctx) != UM_OK) {
        return 1;
    }
    um_context_set_threads(ctx, 2);
    for (size_t i = 0; (name = um_structure_name(i)) != NULL; i++) {
        um_candidate *c = &candidates[candidate_count++];
        snprintf(c->name, sizeof c->name, "%s", name);
        c->crystal = structure(name);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < candidate_count; i++) {
        um_crystal_free((um_crystal *)(uintptr_t)candidates[i].crystal);
    }
    um_context_free(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laue_groups_have_the_order_of_their_class),
        cmocka_unit_test(each_direction_has_one_image_in_the_zone),
        cmocka_unit_test(twins_are_a_third_of_a_turn_apart),
        cmocka_unit_test(intensities_are_the_mean_over_the_cone),
        cmocka_unit_test(chances_are_those_of_the_distribution),
        cmocka_unit_test(known_crystals_are_named_and_turned_right),
        cmocka_unit_test(a_crystal_that_is_no_candidate_is_unknown),
        cmocka_unit_test(same_bits_for_any_number_of_threads),
        cmocka_unit_test(the_model_tells_names_and_maps),
        cmocka_unit_test(kept_libraries_are_believed_only_whole),
        cmocka_unit_test(impossible_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
