/* The table of particles against closed forms and against the scan; thin plates along their length. */
#include "specimen_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static um_context *ctx;

static um_scene *build(const char *kind, uint64_t seed, int n, const char *const *keys, const char *const *values)
{
    um_scene *scene = NULL;
    um_context_set_seed(ctx, seed);
    if (um_specimen_build(ctx, kind, n, keys, values, &scene) != UM_OK) {
        fail_msg("%s: %s", kind, um_context_message(ctx));
    }
    return scene;
}
#define BUILD(kind, seed, keys, values) build(kind, seed, sizeof(keys) / sizeof((keys)[0]), keys, values)

static double matter(const um_scene *s, int64_t p, int64_t state)
{
    return (double)s->fraction[p * s->states + state] * (double)s->thickness_nm[p];
}

/* A cylinder covers pi r^2 |n_z| + 2 r l sqrt(1 - n_z^2); plates of T1 lie at 54.7 degrees to [001], theta' flat or on edge. */
static void test_areas_and_volumes_of_plates(void **state)
{
    (void)state;
    static const char *const keys[] = {"ny", "nx", "step_nm", "ky", "kx", "pixel_per_A", "precession_mrad", "tilt_x_mrad",
                                       "tilt_y_mrad", "stage", "thickness_nm", "number_density", "thickness_step_nm"};
    static const char *const values[] = {"160", "160", "3", "8", "8", "0.2", "0", "0", "0", "2", "120", "1500", "200"};
    um_scene *s = BUILD("precipitates", 5, keys, values);
    int whole = 0, cut = 0, border = 0;
    double listed = 0.0, found = 0.0;
    for (size_t i = 0; i < s->particles; i++) {
        const um_particle *p = &s->particle[i];
        const char *name = s->state[p->state].name;
        bool inclined = strncmp(name, "T1", 2) == 0, flat = strstr(name, "[0,0,1]") != NULL || strstr(name, "[001]") != NULL;
        double nz = inclined ? 1.0 / sqrt(3.0) : flat ? 1.0 : 0.0;
        assert_true(p->in_foil > 0.0 && p->in_foil < 1.0 + 1e-12 && p->in_field >= 0.0 && p->in_field < 1.0 + 1e-12);
        listed += p->volume_nm3 * p->in_field;
        cut += p->in_foil < 1.0;
        border += p->in_field < 1.0;
        if (p->in_foil == 1.0) {
            double r = 0.5 * p->length_nm, l = p->volume_nm3 / (M_PI * r * r);
            double area = M_PI * r * r * nz + 2.0 * r * l * sqrt(1.0 - nz * nz);
            assert_true(l > 0.3 && l < 8.0);
            assert_true(fabs(p->area_nm2 / area - 1.0) < 0.02);
            whole++;
        }
    }
    for (int64_t p = 0; p < s->ny * s->nx; p++) {
        for (int64_t i = 0; i < s->states; i++) {
            found += s->state[i].background ? 0.0 : 9.0 * matter(s, p, i);
        }
    }
    assert_true(whole > 10 && cut > 10 && border > 3);
    assert_true(fabs(found / listed - 1.0) < 0.02);
    um_scene_free(ctx, s);
}

/* Spheres in glass: pi d^2 / 4 and pi d^3 / 6, or the rest of one that a surface cuts. */
static void test_areas_and_volumes_of_spheres(void **state)
{
    (void)state;
    static const char *const keys[] = {"ny", "nx", "step_nm", "ky", "kx", "pixel_per_A", "precession_mrad", "crystals",
                                       "thickness_step_nm"};
    static const char *const values[] = {"100", "100", "2", "8", "8", "0.2", "0", "20", "200"};
    um_scene *s = BUILD("glass", 3, keys, values);
    for (size_t i = 0; i < s->particles; i++) {
        const um_particle *p = &s->particle[i];
        double d = p->length_nm, ball = M_PI / 6.0 * d * d * d;
        assert_true(fabs(p->volume_nm3 - ball * p->in_foil) < 1e-9 * ball);
        if (p->in_foil == 1.0) {
            assert_true(fabs(p->area_nm2 / (M_PI / 4.0 * d * d) - 1.0) < 0.02);
        } else { /* the cap beyond a surface at distance a from the middle: pi (r - a)^2 (2 r + a) / 3 */
            double r = 0.5 * d, rest = ball;
            for (int side = 0; side < 2; side++) {
                double a = side == 0 ? p->depth_nm : 50.0 - p->depth_nm;
                rest -= a < r ? M_PI * (r - a) * (r - a) * (2.0 * r + a) / 3.0 : 0.0;
            }
            assert_true(fabs(p->in_foil - rest / ball) < 0.01);
        }
    }
    assert_true(s->particles >= 15);
    um_scene_free(ctx, s);
}

/* A plate seen on edge crosses the rows of the scan: in each row lies what the strip of one step cuts out of the disc,
 * l / cos * 2 sqrt(r^2 - a^2) per step, a = distance of the row from its middle along it. Without averages over the step a
 * plate thinner than that is dashes: rows differ by as much as their mean. */
static void test_plates_vary_along_their_length_as_discs_do(void **state)
{
    (void)state;
    static const char *const keys[] = {"ny", "nx", "step_nm", "ky", "kx", "pixel_per_A", "precession_mrad", "tilt_x_mrad",
                                       "tilt_y_mrad", "stage", "size_scale", "thickness_nm", "number_density",
                                       "thickness_step_nm", "angle_deg", "size_spread"};
    static const char *const values[] = {"60", "60", "6", "8", "8", "0.2", "0", "0", "0", "2", "2", "600", "60", "600", "17", "0"};
    int plates = 0;
    double squares = 0.0, rows = 0.0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        um_scene *s = BUILD("precipitates", seed, keys, values);
        for (size_t i = 0; i < s->particles; i++) {
            const um_particle *p = &s->particle[i];
            double angle = p->angle_deg * M_PI / 180.0, r = 0.5 * p->length_nm, l = p->volume_nm3 / (M_PI * r * r);
            int others = 0;
            for (size_t k = 0; k < s->particles; k++) {
                others += s->particle[k].state == p->state;
            }
            if (p->width_nm > 6.0 || p->in_foil < 1.0 || p->in_field < 1.0 || others > 1 || fabs(sin(angle)) < 0.9) {
                continue; /* upright thin plates that nothing cuts */
            }
            plates++;
            for (int64_t y = 0; y < s->ny; y++) {
                double a = 6.0 * ((double)y - p->y_px) / fabs(sin(angle)), sum = 0.0;
                for (int64_t x = 0; x < s->nx; x++) {
                    sum += 6.0 * matter(s, y * s->nx + x, p->state);
                }
                if (fabs(a) < 0.8 * r) {
                    double expected = l / fabs(sin(angle)) * 2.0 * sqrt(r * r - a * a);
                    squares += pow(sum / expected - 1.0, 2.0);
                    rows++;
                }
            }
        }
        um_scene_free(ctx, s);
    }
    print_message("%d plates, %g rows: %.1f %% apart\n", plates, rows, 100.0 * sqrt(squares / rows));
    assert_true(plates >= 3 && rows > 20.0);
    assert_true(sqrt(squares / rows) < 0.03);
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_context_set_threads(ctx, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(um_context_memory_in_use(ctx), 0);
    um_context_free(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_areas_and_volumes_of_plates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_areas_and_volumes_of_spheres, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_plates_vary_along_their_length_as_discs_do, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
