/* Built-in specimens against closed forms, and what every scene must hold. */
#include "specimen_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_context_set_threads(ctx, 2);
    um_context_set_seed(ctx, 11);
    *state = ctx;
    return 0;
}

static int tear_down(void **state)
{
    assert_int_equal(um_context_memory_in_use(*state), 0);
    um_context_free(*state);
    return 0;
}

/* Parameters as "key=value key=value". */
static um_status attempt(um_context *ctx, const char *kind, const char *parameters, um_scene **out)
{
    char *text = strdup(parameters), *rest = text;
    const char *keys[32], *values[32];
    int n = 0;
    assert_non_null(text);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char *is = strchr(word, '=');
        assert_true(n < 32 && is != NULL);
        *is = '\0';
        keys[n] = word;
        values[n++] = is + 1;
    }
    um_status status = um_specimen_build(ctx, kind, n, keys, values, out);
    free(text);
    return status;
}

static um_scene *build(um_context *ctx, const char *kind, const char *parameters)
{
    um_scene *scene = NULL;
    um_status status = attempt(ctx, kind, parameters, &scene);
    if (status != UM_OK) {
        fail_msg("%s %s: %s", kind, parameters, um_context_message(ctx));
    }
    return scene;
}

static int64_t state_named(const um_scene *s, const char *name)
{
    for (int64_t i = 0; i < s->states; i++) {
        if (strcmp(s->state[i].name, name) == 0) {
            return i;
        }
    }
    fail_msg("no state '%s'", name);
    return -1;
}

static double sum_of(const float *values, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        assert_true(values[i] >= 0.0F && isfinite(values[i]));
        sum += (double)values[i];
    }
    return sum;
}

/* Fractions add to one, entries are in the library, and electrons are lost beyond the detector only. */
static void check_scene(const um_scene *s, double least)
{
    const int64_t positions = s->ny * s->nx, pixels = s->ky * s->kx;
    double *total = calloc((size_t)s->library, sizeof *total);
    assert_non_null(total);
    for (int64_t i = 0; i < s->library; i++) {
        total[i] = sum_of(s->pattern + i * pixels, pixels);
    }
    assert_int_equal(s->start[0], 0);
    for (int64_t p = 0; p < positions; p++) {
        assert_true(fabs(sum_of(s->fraction + p * s->states, s->states) - 1.0) < 1e-6);
        double intensity = 0.0;
        assert_true(s->start[p] < s->start[p + 1]);
        for (uint64_t i = s->start[p]; i < s->start[p + 1]; i++) {
            assert_true(s->which[i] < s->library && s->weight[i] >= 0.0F);
            intensity += (double)s->weight[i] * total[s->which[i]];
        }
        assert_true(intensity > least && intensity < 1.0 + 1e-5);
        assert_true(s->thickness_nm[p] >= 0.0F);
    }
    for (int64_t i = 0; i < s->states; i++) {
        double intensity = sum_of(s->state_pattern + i * pixels, pixels);
        assert_true(intensity > least && intensity < 1.0 + 1e-5);
    }
    for (size_t i = 0; i < s->particles; i++) {
        assert_true(s->particle[i].state >= 0 && s->particle[i].state < s->states);
        assert_true(s->particle[i].length_nm >= s->particle[i].width_nm && s->particle[i].width_nm > 0.0);
    }
    free(total);
}

static const char small[] = "ny=12 nx=16 ky=48 kx=40 pixel_per_A=0.065";

static void test_every_kind_builds(void **state)
{
    static const char *const words[][2] = {{"empty", "film_nm=0"},      {"nanowire", "precession_mrad=0 angle_deg=70"},
                                           {"polycrystal", "phase=si"}, {"precipitates", "set=al-mg-si stage=4 variants=4"},
                                           {"precipitates", "zone=112"}, {"glass", "film_nm=5 diffuse_nm=0"}};
    char text[256];
    size_t kinds = 0;
    um_scene *s = NULL;
    for (const um_specimen_kind *k = um_specimen_kind_at(0); k != NULL; k = um_specimen_kind_at(++kinds)) {
        assert_ptr_equal(um_specimen_find(k->name), k);
        s = build(*state, k->name, small);
        check_scene(s, 0.5);
        snprintf(text, sizeof text, "kind = %s\nseed = 11\nny = 12\n", k->name);
        assert_non_null(strstr(s->parameters, text));
        um_scene_free(*state, s);
    }
    assert_int_equal(kinds, 6);
    s = build(*state, "empty", "ny=2 nx=2 ky=128 kx=128 pixel_per_A=0.06");
    check_scene(s, 0.98);
    um_scene_free(*state, s);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(text, sizeof text, "%s %s", small, words[i][1]);
        s = build(*state, words[i][0], text);
        check_scene(s, 0.5);
        um_scene_free(*state, s);
    }
}

static bool same(const um_scene *a, const um_scene *b)
{
    size_t positions = (size_t)a->ny * (size_t)a->nx, pixels = (size_t)a->ky * (size_t)a->kx;
    if (a->library != b->library || a->states != b->states || a->particles != b->particles ||
        memcmp(a->start, b->start, (positions + 1) * sizeof *a->start) != 0) {
        return false;
    }
    size_t entries = (size_t)a->start[positions];
    return memcmp(a->which, b->which, entries * sizeof *a->which) == 0 &&
           memcmp(a->weight, b->weight, entries * sizeof *a->weight) == 0 &&
           memcmp(a->pattern, b->pattern, (size_t)a->library * pixels * sizeof(float)) == 0 &&
           memcmp(a->state_pattern, b->state_pattern, (size_t)a->states * pixels * sizeof(float)) == 0 &&
           memcmp(a->fraction, b->fraction, positions * (size_t)a->states * sizeof(float)) == 0 &&
           memcmp(a->thickness_nm, b->thickness_nm, positions * sizeof(float)) == 0 &&
           memcmp(a->orientation_deg, b->orientation_deg, 3 * positions * sizeof(float)) == 0 &&
           strcmp(a->parameters, b->parameters) == 0;
}

static void test_seed_decides_and_threads_do_not(void **state)
{
    for (size_t i = 0; i < 5; i++) { /* `empty` has nothing to draw */
        const char *kind = um_specimen_kind_at(i)->name;
        um_scene *two = build(*state, kind, small);
        um_context_set_threads(*state, 1);
        um_scene *one = build(*state, kind, small);
        um_context_set_seed(*state, 12);
        um_scene *other = build(*state, kind, small);
        assert_true(same(one, two));
        assert_false(same(one, other));
        um_context_set_threads(*state, 2);
        um_context_set_seed(*state, 11);
        um_scene_free(*state, one);
        um_scene_free(*state, two);
        um_scene_free(*state, other);
    }
}

/* Half a turn about the wire takes one twin into the other: their patterns are mirrored at the 111 row and share it. */
static void test_twins_share_the_row_of_111(void **state)
{
    um_scene *s = build(*state, "nanowire",
                        "ny=2 nx=8 bend_mrad=0 tilt_x_mrad=0 tilt_y_mrad=0 precession_mrad=0 film_nm=0 diffuse_nm=0");
    const float *a = s->state_pattern + state_named(s, "GaAs zinc blende, twin A") * 96 * 96;
    const float *b = s->state_pattern + state_named(s, "GaAs zinc blende, twin B") * 96 * 96;
    /* 111: a/sqrt(3) = 3.264 A, 0.3064 1/A = 9.43 px to the right of the beam. */
    assert_true(a[48 * 96 + 57] > 1e-4F);
    double off = 0.0, all = 0.0;
    for (int y = 1; y < 96; y++) {
        for (int x = 0; x < 96; x++) {
            double here = (double)a[y * 96 + x], there = (double)b[y * 96 + x];
            assert_true(fabs(here - (double)b[(96 - y) * 96 + x]) < 1e-6 + 1e-4 * here);
            if (abs(y - 48) <= 1) {
                assert_true(fabs(here - there) < 1e-6 + 1e-4 * here);
            } else {
                off += fabs(here - there);
                all += here + there;
            }
        }
    }
    assert_true(off > 0.2 * all);
    um_scene_free(*state, s);
}

static void test_hexagonal_section(void **state)
{
    static const char *const turns[] = {"ny=61 nx=2 step_nm=2 ky=16 kx=16 film_nm=0 turn_deg=0",
                                        "ny=61 nx=2 step_nm=2 ky=16 kx=16 film_nm=0 turn_deg=30"};
    for (int edge = 0; edge < 2; edge++) {
        um_scene *s = build(*state, "nanowire", turns[edge]);
        for (int y = 0; y < 61; y++) {
            double off = fabs(2.0 * (double)(y - 30)), r = 50.0;
            double expected = edge != 0 ? (off < 0.5 * sqrt(3.0) * r ? 2.0 * (r - off / sqrt(3.0)) : 0.0)
                                        : fmin(sqrt(3.0) * r, 2.0 * sqrt(3.0) * fmax(0.0, r - off));
            assert_true(fabs((double)s->thickness_nm[2 * y] - expected) < 1e-4);
            assert_int_equal(expected > 0.0, s->fraction[2 * y * s->states + state_named(s, "vacuum")] == 0.0F);
            assert_int_equal(expected > 0.0, !isnan(s->orientation_deg[6 * y]));
        }
        um_scene_free(*state, s);
    }
}

static void test_inclined_boundary(void **state)
{
    (void)state;
    /* The boundary is the plane x + z = 10: it leaves a foil of 40 nm at x = -10 and 30. */
    const um_seed two[2] = {{{0, 0, 0}, 5}, {{10, 0, 10}, 6}};
    for (int x = -40; x <= 40; x += 2) {
        um_column c = {.count = 0};
        double share[2] = {0.0, 0.0}, expected = fmax(0.0, fmin(1.0, (30.0 - (double)x) / 40.0));
        um_voronoi_column(two, 2, 40.0, (double)x, 3.0, &c);
        for (int i = 0; i < c.count; i++) {
            share[c.piece[i].grain - 5] += c.piece[i].thickness_nm / 40.0;
        }
        assert_true(fabs(share[0] - expected) < 1e-5 && fabs(share[0] + share[1] - 1.0) < 1e-5);
    }
}

/* Against the nearest seed at many depths. */
static void test_voronoi_columns_by_sampling(void **state)
{
    enum { SEEDS = 30, DEPTHS = 4000 };
    um_dice dice = um_dice_make(*state, 99, 0);
    um_seed seed[SEEDS];
    for (int i = 0; i < SEEDS; i++) {
        seed[i].grain = i;
        for (int k = 0; k < 3; k++) {
            seed[i].at_nm[k] = 100.0 * (um_dice_uniform(&dice) - 0.5);
        }
    }
    for (int p = 0; p < 20; p++) {
        double x = 80.0 * (um_dice_uniform(&dice) - 0.5), y = 80.0 * (um_dice_uniform(&dice) - 0.5), share[SEEDS] = {0};
        um_column c = {.count = 0};
        um_voronoi_column(seed, SEEDS, 90.0, x, y, &c);
        for (int d = 0; d < DEPTHS; d++) {
            double z = 90.0 * (((double)d + 0.5) / DEPTHS - 0.5), least = INFINITY;
            int nearest = 0;
            for (int i = 0; i < SEEDS; i++) {
                double square = pow(x - seed[i].at_nm[0], 2) + pow(y - seed[i].at_nm[1], 2) + pow(z - seed[i].at_nm[2], 2);
                nearest = square < least ? i : nearest;
                least = fmin(square, least);
            }
            share[nearest] += 90.0 / DEPTHS;
        }
        for (int i = 0; i < c.count; i++) {
            share[c.piece[i].grain] -= c.piece[i].thickness_nm;
        }
        for (int i = 0; i < SEEDS; i++) {
            assert_true(fabs(share[i]) < 2.1 * 90.0 / DEPTHS);
        }
    }
}

/* Centres in the foil are Poisson; what plates cover of it, where they overlap once only, is 1 - exp(-density * volume). */
static void test_particles_have_their_density(void **state)
{
    um_scene *s = build(*state, "precipitates",
                        "ny=48 nx=80 step_nm=5 ky=16 kx=16 pixel_per_A=0.1 precession_mrad=0 number_density=50000 "
                        "size_scale=0.4 size_spread=0");
    const double volume_um3 = 0.24 * 0.4 * 0.08, expected = 50000.0 * volume_um3;
    double inside = 0.0, matrix = 0.0;
    for (size_t i = 0; i < s->particles; i++) {
        const um_particle *p = &s->particle[i];
        inside += p->x_px >= -0.5 && p->x_px < 79.5 && p->y_px >= -0.5 && p->y_px < 47.5 && p->depth_nm >= 0.0 &&
                  p->depth_nm < 80.0;
    }
    assert_true(fabs(inside - expected) < 4.0 * sqrt(expected));
    /* Stage 3: 800 of 24 nm x 1.2 nm to 2500 of 24 nm x 0.56 nm. */
    double plate_nm3 = M_PI * 144.0 * (800.0 * 1.2 + 2500.0 * 0.56) / 3300.0;
    for (int64_t p = 0; p < 48 * 80; p++) {
        matrix += (double)s->fraction[p * s->states + state_named(s, "Al matrix")] / (48.0 * 80.0);
    }
    double covered = 1.0 - exp(-50000e-9 * plate_nm3);
    assert_true(fabs(1.0 - matrix - covered) < 0.2 * covered);
    um_scene_free(*state, s);
}

/* Plates thinner than a step, against the mean over 8x8 positions of the same specimen in eighths of the step: a plate
 * seen edge-on is a line without gaps. Points alone are 7 % off in all and 1.3 apart in place. */
static void test_thin_plates_are_not_dashed(void **state)
{
    enum { N = 24, FINE = 8 };
    static const char format[] = "ny=%d nx=%d step_nm=%g ky=8 kx=8 pixel_per_A=0.2 precession_mrad=0 stage=1 size_spread=0 "
                                 "number_density=40000 thickness_step_nm=100";
    char coarse[256], fine[256];
    snprintf(coarse, sizeof coarse, format, N, N, 6.0);
    snprintf(fine, sizeof fine, format, N * FINE, N * FINE, 6.0 / FINE);
    um_scene *a = build(*state, "precipitates", coarse), *b = build(*state, "precipitates", fine);
    assert_true(a->particles == b->particles && a->states == b->states);
    double here = 0.0, there = 0.0, squares = 0.0, apart = 0.0;
    for (int64_t p = 0; p < N * N; p++) {
        for (int64_t i = 0; i < a->states; i++) {
            double mean = 0.0, own = (double)a->fraction[p * a->states + i];
            for (int64_t f = 0; f < FINE * FINE && !a->state[i].background; f++) {
                int64_t y = p / N * FINE + f / FINE, x = p % N * FINE + f % FINE;
                mean += (double)b->fraction[(y * N * FINE + x) * b->states + i] / (FINE * FINE);
            }
            if (!a->state[i].background) {
                here += own;
                there += mean;
                squares += mean * mean;
                apart += (own - mean) * (own - mean);
            }
        }
    }
    assert_true(there > 1.0 && fabs(here - there) < 0.02 * there);
    assert_true(sqrt(apart / squares) < 0.1);
    um_scene_free(*state, a);
    um_scene_free(*state, b);
}

/* Of a wire that is cut to a lamella, no more than that is in the beam; its edges are those of the wire. */
static void test_lamella(void **state)
{
    const char *common = "ny=60 nx=4 step_nm=2 ky=8 kx=8 pixel_per_A=0.2 precession_mrad=0 film_nm=0 thickness_step_nm=50";
    char cut[256];
    snprintf(cut, sizeof cut, "%s lamella_nm=30", common);
    um_scene *whole = build(*state, "nanowire", common), *lamella = build(*state, "nanowire", cut);
    double most = 0.0;
    for (int64_t p = 0; p < 60 * 4; p++) {
        assert_true(fabsf(lamella->thickness_nm[p] - fminf(whole->thickness_nm[p], 30.0F)) < 1e-4F);
        most = fmax(most, (double)whole->thickness_nm[p]);
    }
    assert_true(most > 80.0);
    um_scene_free(*state, whole);
    um_scene_free(*state, lamella);
}

static void test_spans_are_taken_once(void **state)
{
    (void)state;
    um_spans taken = {.count = 0};
    assert_true(fabs(um_spans_take(&taken, (um_span){0, 2}) - 2.0) < 1e-12);
    assert_true(fabs(um_spans_take(&taken, (um_span){5, 6}) - 1.0) < 1e-12);
    assert_true(fabs(um_spans_take(&taken, (um_span){-1, 7}) - 5.0) < 1e-12);
    assert_true(um_spans_take(&taken, (um_span){1, 6}) == 0.0 && um_spans_take(&taken, (um_span){3, 2}) == 0.0);
    assert_int_equal(taken.count, 1);
}

static void test_bunge_angles_make_the_orientation_again(void **state)
{
    um_dice dice = um_dice_make(*state, 98, 0);
    for (int i = 0; i < 50; i++) {
        um_orientation o = um_dice_orientation(&dice);
        double angles[3];
        o = i == 0 ? um_rotation_about_z(1.0) : o;
        um_rotation_bunge(&o, angles);
        um_orientation again = um_orientation_euler(angles[0], angles[1], angles[2]);
        for (int k = 0; k < 9; k++) {
            assert_true(fabs(o.m[k / 3][k % 3] - again.m[k / 3][k % 3]) < 1e-7);
        }
    }
}

static void test_bad_parameters_are_refused(void **state)
{
    static const char *const bad[][3] = {
        {"nanowires", "", "there is no specimen 'nanowires'"},
        {"nanowire", "nz=3", "there is no parameter 'nz'"},
        {"nanowire", "cubes=3", "there is no parameter 'cubes'"},
        {"nanowire", "ny=0", "must lie in"},
        {"nanowire", "ny=65537", "must lie in"},
        {"nanowire", "ny=2.5", "not a whole number"},
        {"nanowire", "ny=", "not a whole number"},
        {"nanowire", "diameter_nm=nan", "not a number"},
        {"nanowire", "diameter_nm=inf", "not a number"},
        {"nanowire", "diameter_nm=1e999", "not a number"},
        {"nanowire", "diameter_nm=20nm", "not a number"},
        {"nanowire", "diameter_nm=-5", "must lie in"},
        {"nanowire", "segment_nm=0.5 nx=65536 step_nm=10000", "too many"},
        {"nanowire", "cif.wurtzite=/nonexistent/x.cif", "/nonexistent/x.cif"},
        {"precipitates", "zone=113", "is not one of 001|011|111|112"},
        {"precipitates", "number_density=1e8 nx=6000", "too many"},
        {"precipitates", "number_density=1e8 size_scale=0.1 ny=8 nx=8 ky=8 kx=8", "above each other"},
        {"polycrystal", "grain_nm=2 nx=5000", "too many"},
        {"polycrystal", "ny=4 nx=4 grain_nm=2 thickness_nm=1000 step_nm=0.01", "above each other"},
        {"nanoparticles", "cubes=400 side_nm=500 ny=4 nx=4 ky=8 kx=8", "above each other"},
        {"glass", "thickness_nm=5000 thickness_step_nm=0.1 diameter_nm=5000 crystals=10000", "take larger steps"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        um_scene *scene = NULL;
        if (attempt(*state, bad[i][0], bad[i][1], &scene) == UM_OK) {
            fail_msg("%s %s was taken", bad[i][0], bad[i][1]);
        }
        assert_null(scene);
        const char *message = um_context_message(*state);
        if (strstr(message, bad[i][2]) == NULL || strchr(message, '\n') != NULL) {
            fail_msg("%s %s: %s", bad[i][0], bad[i][1], message);
        }
        assert_int_equal(um_context_memory_in_use(*state), 0);
    }
}

static void test_memory_budget_is_kept(void **state)
{
    um_scene *scene = NULL;
    size_t before = um_context_memory(*state);
    um_context_set_memory(*state, (size_t)1 << 20);
    assert_int_equal(attempt(*state, "glass", "ny=256 nx=256 ky=8 kx=8", &scene), UM_ERROR_BUDGET);
    assert_null(scene);
    um_context_set_memory(*state, before);
}

static void read_page(const char *root, const char *kind, char *page, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/docs/specimens/%s.md", root, kind);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    page[fread(page, 1, size - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
}

/* docs/specimens/KIND.md has the row of every parameter, in order. */
static void test_documents_have_every_parameter(void **state)
{
    (void)state;
    static char page[1 << 16];
    char row[1024], range[128];
    const char *root = getenv("UNMIX_SOURCE_ROOT");
    if (root == NULL) {
        skip();
    }
    const um_specimen_kind *kind = NULL;
    for (size_t k = 0; (kind = um_specimen_kind_at(k)) != NULL; k++) {
        read_page(root, kind->name, page, sizeof page);
        const char *at = page;
        for (size_t i = 0; i < kind->parameters; i++) {
            const um_specimen_parameter *p = &kind->parameter[i];
            range[0] = '\0';
            if (p->type == UM_PARAMETER_INTEGER || p->type == UM_PARAMETER_REAL) {
                snprintf(range, sizeof range, "%g .. %g", p->low, p->high);
                snprintf(row, sizeof row, "\n| `%s` | %s | %s | %s | %s |\n", p->name, p->preset, p->unit, range, p->help);
            } else {
                snprintf(row, sizeof row, "\n| `%s` | %s | %s | ", p->name, p->preset, p->unit);
            }
            at = strstr(at, row);
            if (at == NULL) {
                fail_msg("docs/specimens/%s.md: missing or out of order: %s", kind->name, row);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(test_every_kind_builds),
        T(test_seed_decides_and_threads_do_not),
        T(test_twins_share_the_row_of_111),
        T(test_hexagonal_section),
        T(test_inclined_boundary),
        T(test_voronoi_columns_by_sampling),
        T(test_particles_have_their_density),
        T(test_thin_plates_are_not_dashed),
        T(test_lamella),
        T(test_spans_are_taken_once),
        T(test_bunge_angles_make_the_orientation_again),
        T(test_bad_parameters_are_refused),
        T(test_memory_budget_is_kept),
        T(test_documents_have_every_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
