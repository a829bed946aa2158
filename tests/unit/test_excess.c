/* Localised excess of a map: planted where a test knows it, absent from noise, and from maps that are wrong everywhere. */
#include "factor_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NY = 40, NX = 50, N = NY * NX };

/* Normal numbers of mean 1 from a fixed sequence. */
static void fill(double *map, double *spread, double sigma)
{
    uint64_t state = 12345;
    for (int p = 0; p < N; p++) {
        double sum = 0;
        for (int i = 0; i < 12; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            sum += (double)(state >> 11) / 9007199254740992.0;
        }
        map[p] = 1 + sigma * (sum - 6);
        spread[p] = sigma;
    }
}

static um_excess search(const double *map, const double *spread)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_excess found;
    assert_int_equal(um_find_excess(ctx, NY, NX, map, spread, &found), UM_OK);
    um_context_free(ctx);
    return found;
}

static void noise_has_none(void **state)
{
    (void)state;
    double map[N];
    double spread[N];
    fill(map, spread, 0.1);
    um_excess found = search(map, spread);
    assert_true(found.positions == 0 && found.y == -1 && found.x == -1);
    /* Three times wider everywhere than noise explains: no place. */
    fill(map, spread, 0.3);
    for (int p = 0; p < N; p++) {
        spread[p] = 0.1;
    }
    assert_int_equal(search(map, spread).positions, 0);
}

static void a_planted_square_is_found(void **state)
{
    (void)state;
    double map[N];
    double spread[N];
    fill(map, spread, 0.1);
    for (int y = 20; y < 23; y++) {
        for (int x = 31; x < 34; x++) {
            map[y * NX + x] += 0.5; /* 5 standard deviations each, 15 of the mean of nine */
        }
    }
    um_excess found = search(map, spread);
    assert_true(found.positions >= 1 && found.positions <= 25);
    assert_int_equal(found.y, 21);
    assert_int_equal(found.x, 32);
    assert_true(fabs(found.sigmas - 15) < 3.5);
}

static void excluded_positions_do_not_count(void **state)
{
    (void)state;
    double map[N];
    double spread[N];
    fill(map, spread, 0.1);
    for (int p = 0; p < N; p++) {
        if (p % NX < 10) {
            map[p] = p % 2 == 0 ? (double)NAN : 100;
            spread[p] = p % 2 == 0 ? 0.1 : (double)NAN;
        }
    }
    assert_int_equal(search(map, spread).positions, 0);
    for (int p = 0; p < N; p++) {
        map[p] = NAN;
    }
    assert_int_equal(search(map, spread).positions, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_has_none),
        cmocka_unit_test(a_planted_square_is_found),
        cmocka_unit_test(excluded_positions_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
