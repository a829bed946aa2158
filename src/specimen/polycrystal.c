/* A foil of Voronoi grains in three dimensions: boundaries are inclined, and two or more grains share a column. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const um_specimen_parameter parameters[] = {
    UM_COMMON_PARAMETERS("64", "64", "5", "17.5", "0"),
    {"phase", "", UM_PARAMETER_CHOICE, "al", 0, 0, "al|mgo|si", "what the grains are of"},
    {"grain_nm", "nm", UM_PARAMETER_REAL, "120", 2, 1e5, NULL, "cube root of the mean volume of a grain"},
    {"thickness_nm", "nm", UM_PARAMETER_REAL, "60", 1, 5000, NULL, "of the foil"},
    {"cif.grain", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of a built-in structure"},
};

const um_specimen_kind um_polycrystal_kind = {
    "polycrystal", "a foil of Voronoi grains in random orientations, with inclined boundaries", parameters,
    sizeof parameters / sizeof parameters[0]};

static double square_distance(const um_seed *seed, double x, double y, double z)
{
    double dx = x - seed->at_nm[0], dy = y - seed->at_nm[1], dz = z - seed->at_nm[2];
    return dx * dx + dy * dy + dz * dz;
}

/* Upwards along the line: the seed that is nearest at the bottom, then always the one that comes nearest first. */
void um_voronoi_column(const um_seed *seeds, int64_t count, double thickness_nm, double x_nm, double y_nm,
                       um_column *column)
{
    double z = -0.5 * thickness_nm, top = 0.5 * thickness_nm, least = INFINITY;
    int64_t now = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = square_distance(&seeds[i], x_nm, y_nm, z);
        if (d < least || (d == least && seeds[i].at_nm[2] > seeds[now].at_nm[2])) {
            least = d;
            now = i;
        }
    }
    while (z < top) {
        double here = square_distance(&seeds[now], x_nm, y_nm, 0.0), next_z = top;
        int64_t next = now;
        for (int64_t i = 0; i < count; i++) {
            double rise = seeds[i].at_nm[2] - seeds[now].at_nm[2];
            if (rise > 0.0) {
                /* Equal squares of distance: both are z^2 - 2 z at_z + their value at z = 0. */
                double at = (square_distance(&seeds[i], x_nm, y_nm, 0.0) - here) / (2.0 * rise);
                if (at < next_z) {
                    next_z = at;
                    next = i;
                }
            }
        }
        next_z = fmax(next_z, z);
        if (next_z - z > 1e-6 * thickness_nm || next == now) {
            if (column->count >= UM_MOST_PIECES) {
                column->count = UM_MOST_PIECES + 1;
                return;
            }
            column->piece[column->count++] = (um_piece){seeds[now].grain, next_z - z, 0.5};
        }
        if (next == now) {
            return;
        }
        z = next_z;
        now = next;
    }
}

typedef struct tiling {
    int64_t count;
    um_seed seed[];
} tiling;

static void column(const um_specimen *s, double x_nm, double y_nm, um_column *out)
{
    const tiling *t = s->geometry;
    um_voronoi_column(t->seed, t->count, s->thickness_nm, x_nm, y_nm, out);
}

static um_status scatter_seeds(um_context *ctx, um_specimen *s, tiling **out)
{
    static const double most = 1e5;
    double size = um_specimen_value(s, "grain_nm"), box[3];
    box[0] = (double)s->nx * s->step_nm + 2.0 * size;
    box[1] = (double)s->ny * s->step_nm + 2.0 * size;
    box[2] = s->thickness_nm + 2.0 * size;
    double mean = ceil(box[0] * box[1] * box[2] / (size * size * size));
    if (mean > most) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED, "polycrystal: %.3g grains are too many: take larger grains or a smaller scan",
                       mean);
    }
    int64_t count = (int64_t)mean;
    tiling *t = calloc(1, sizeof *t + (size_t)count * sizeof t->seed[0]);
    if (t == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "polycrystal: no memory for its grains");
    }
    t->count = count;
    um_dice dice = um_dice_make(ctx, 5, 0);
    for (int64_t i = 0; i < count; i++) {
        t->seed[i].grain = -1;
        for (int k = 0; k < 3; k++) {
            t->seed[i].at_nm[k] = (um_dice_uniform(&dice) - 0.5) * box[k];
        }
    }
    s->geometry = t;
    *out = t;
    return UM_OK;
}

/* Marks the seeds that are seen from anywhere, and keeps those only. */
static um_status keep_seen(um_context *ctx, um_specimen *s, tiling *t)
{
    uint8_t *seen = calloc((size_t)t->count, 1);
    um_status status = seen != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "polycrystal: no memory for its grains");
    for (int64_t i = 0; i < t->count; i++) {
        t->seed[i].grain = (int32_t)i;
    }
    for (int64_t y = 0; y < s->ny && status == UM_OK; y++) {
        status = um_check_cancel(ctx);
        for (int64_t x = 0; x < s->nx; x++) {
            um_column found = {.count = 0};
            column(s, ((double)x - 0.5 * (double)(s->nx - 1)) * s->step_nm,
                   (0.5 * (double)(s->ny - 1) - (double)y) * s->step_nm, &found);
            for (int i = 0; i < found.count && i < UM_MOST_PIECES; i++) {
                seen[found.piece[i].grain] = 1;
            }
        }
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < t->count && status == UM_OK; i++) {
        if (seen[i] != 0) {
            t->seed[kept++] = t->seed[i];
        }
    }
    t->count = kept;
    free(seen);
    return status;
}

um_status um_polycrystal_make(um_context *ctx, um_specimen *s)
{
    static const um_phase_id built_in[] = {UM_PHASE_AL, UM_PHASE_MGO, UM_PHASE_SI};
    int32_t phase = 0, state = 0;
    tiling *t = NULL;
    char name[UM_SCENE_NAME];
    s->thickness_nm = um_specimen_value(s, "thickness_nm");
    s->column = column;
    UM_TRY(um_specimen_add_phase(ctx, s, built_in[(int)um_specimen_value(s, "phase")], "cif.grain", &phase));
    UM_TRY(um_specimen_add_film(ctx, s, false));
    UM_TRY(scatter_seeds(ctx, s, &t));
    UM_TRY(keep_seen(ctx, s, t));
    for (int64_t i = 0; i < t->count; i++) {
        um_dice dice = um_dice_make(ctx, 6, (uint64_t)i);
        snprintf(name, sizeof name, "%.20s grain %lld", s->phase[phase].name, (long long)i + 1);
        UM_TRY(um_specimen_add_state(ctx, s, name, s->phase[phase].name, false, false, s->thickness_nm, &state));
        um_grain g = um_grain_crystal(s, state, phase, um_dice_orientation(&dice), s->thickness_nm);
        UM_TRY(um_specimen_add_grain(ctx, s, &g, &t->seed[i].grain));
    }
    return UM_OK;
}
