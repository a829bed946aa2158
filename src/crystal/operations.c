/* Symmetry operations as a file writes them. */
#include "crystal_internal.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- "x, 1/2-y, z" ------------------------------------------------------------------------------- */

static bool parse_row(const char **text, int rotation[3], double *shift)
{
    const char *p = *text;
    int sign = 1, terms = 0;
    bool pending = false; /* a sign waits for its term */
    memset(rotation, 0, 3 * sizeof *rotation);
    *shift = 0.0;
    for (;; p++) {
        char c = (char)tolower((unsigned char)*p);
        if (c == ' ' || c == '\t') {
            continue;
        }
        if (c == '+' || c == '-') {
            if (pending) {
                return false;
            }
            sign = c == '-' ? -1 : 1;
            pending = true;
        } else if (c >= 'x' && c <= 'z') {
            if (!pending && terms > 0) {
                return false;
            }
            rotation[c - 'x'] += sign;
            terms++;
            sign = 1;
            pending = false;
        } else if (isdigit((unsigned char)c) || c == '.') {
            char *end = NULL;
            double value = strtod(p, &end);
            if (end == p || (!pending && terms > 0)) {
                return false;
            }
            if (*end == '/') {
                const char *below = end + 1;
                double divisor = strtod(below, &end);
                if (end == below || !(fabs(divisor) >= 1.0)) {
                    return false;
                }
                value /= divisor;
            }
            *shift += sign * value;
            terms++;
            sign = 1;
            pending = false;
            p = end - 1;
        } else {
            break;
        }
    }
    *text = p;
    return terms > 0 && !pending && isfinite(*shift);
}

static int determinant(int m[3][3])
{
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/* Decimals of thirds and sixths (0.3333, .66667) become exact. */
static double exact_shift(double shift)
{
    double twelfths = round(shift * 12.0);
    double exact = fabs(shift - twelfths / 12.0) < 1e-3 ? twelfths / 12.0 : shift;
    return exact - floor(exact);
}

bool um_symmetry_parse(const char *text, int rotation[3][3], double shift[3])
{
    for (int i = 0; i < 3; i++) {
        if (!parse_row(&text, rotation[i], &shift[i])) {
            return false;
        }
        shift[i] = exact_shift(shift[i]);
        if (*text++ != (i < 2 ? ',' : '\0')) {
            return false;
        }
    }
    return abs(determinant(rotation)) == 1;
}

/* Index of the operation that is "a after b", or of any that equals it; -1: none. */
static int product(const um_symmetry *s, int a, int b)
{
    int rotation[3][3];
    double shift[3];
    for (int i = 0; i < 3; i++) {
        shift[i] = s->shift[a][i];
        for (int k = 0; k < 3; k++) {
            shift[i] += (double)s->rotation[a][i][k] * s->shift[b][k];
            rotation[i][k] = 0;
            for (int m = 0; m < 3; m++) {
                rotation[i][k] += s->rotation[a][i][m] * s->rotation[b][m][k];
            }
        }
    }
    for (int o = 0; o < s->count; o++) {
        bool same = memcmp(s->rotation[o], rotation, sizeof rotation) == 0;
        for (int i = 0; i < 3 && same; i++) {
            double apart = s->shift[o][i] - shift[i];
            same = fabs(apart - round(apart)) < 1e-3;
        }
        if (same) {
            return o;
        }
    }
    return -1;
}

/* Lengths of the axes and angles between them must stay: R' G R = G within 2 % of |a||b|. */
static bool fits_cell(int r[3][3], const um_crystal *crystal)
{
    double image[3][3] = {{0}};
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 9; k++) {
            image[i][k % 3] += (double)r[k / 3][i] * crystal->direct[k / 3][k % 3];
        }
    }
    for (int i = 0; i < 9; i++) {
        const double *a = crystal->direct[i / 3], *b = crystal->direct[i % 3];
        const double *c = image[i / 3], *d = image[i % 3];
        double before = a[0] * b[0] + a[1] * b[1] + a[2] * b[2], after = c[0] * d[0] + c[1] * d[1] + c[2] * d[2];
        if (fabs(after - before) > 0.02 * crystal->cell[i / 3] * crystal->cell[i % 3]) {
            return false;
        }
    }
    return true;
}

/* spglib reads memory that it never set when it is given operations that are no group. */
um_status um_symmetry_check_group(um_context *ctx, const char *path, const um_crystal *crystal, um_symmetry *s)
{
    for (int a = 0; a < s->count; a++) {
        if (!fits_cell(s->rotation[a], crystal)) {
            return um_fail(ctx, UM_ERROR_VALUE, "%s: symmetry operation %d does not map the cell onto itself", path,
                           a + 1);
        }
        for (int b = 0; b < s->count; b++) {
            if (product(s, a, b) < 0) {
                return um_fail(ctx, UM_ERROR_VALUE,
                               "%s: the symmetry operations do not form a group: %d after %d is not among them", path,
                               a + 1, b + 1);
            }
        }
    }
    return UM_OK;
}

/* Drops the last operation if it was there before. */
static void drop_repeated(um_symmetry *s)
{
    int last = s->count - 1;
    for (int o = 0; o < last; o++) {
        if (memcmp(s->rotation[o], s->rotation[last], sizeof s->rotation[o]) == 0 &&
            fabs(s->shift[o][0] - s->shift[last][0]) + fabs(s->shift[o][1] - s->shift[last][1]) +
                    fabs(s->shift[o][2] - s->shift[last][2]) <
                1e-3) {
            s->count--;
            return;
        }
    }
}

um_status um_symmetry_parse_loop(um_context *ctx, const um_cif *cif, const um_cif_item *item, um_symmetry *out)
{
    for (size_t i = 0; i < item->values; i++) {
        const char *text = item->value[i];
        if (text == NULL) {
            continue;
        }
        if (out->count == UM_MOST_OPERATIONS) {
            return um_fail(ctx, UM_ERROR_FORMAT, "%s: more than %d symmetry operations: no space group has that many",
                           cif->path, UM_MOST_OPERATIONS);
        }
        if (!um_symmetry_parse(text, out->rotation[out->count], out->shift[out->count])) {
            return um_fail(ctx, UM_ERROR_FORMAT, "%s: '%.60s' is not a symmetry operation such as 'x, 1/2-y, z'",
                           cif->path, text);
        }
        out->count++;
        drop_repeated(out);
    }
    return UM_OK;
}
