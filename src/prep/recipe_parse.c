/* The values of a recipe: text to numbers, with the accepted form in every refusal. */
#include "recipe_internal.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static um_status refuse(um_recipe *recipe, um_recipe_number number, const char *value,
                        const char *form)
{
    return um_fail(recipe->ctx, UM_ERROR_ARGUMENT, "%s: %s: expected %s",
                   um_recipe_key_name(number), value[0] != '\0' ? value : "nothing given", form);
}

/* Between `least` and `most` finite numbers with commas between them; the count, or -1. */
static int parse_numbers(const char *text, double *out, int least, int most)
{
    for (int n = 0; n < most; n++) {
        char *end = NULL;
        out[n] = strtod(text, &end);
        if (end == text || !isfinite(out[n])) {
            return -1;
        }
        while (isspace((unsigned char)*end)) {
            end++;
        }
        if (*end == '\0') {
            return n + 1 >= least ? n + 1 : -1;
        }
        if (*end != ',') {
            return -1;
        }
        text = end + 1;
    }
    return -1;
}

/* A non-negative integer at *text, or `absent` when none stands there. */
static bool parse_index(const char **text, int64_t absent, int64_t *out)
{
    while (isspace((unsigned char)**text)) {
        (*text)++;
    }
    *out = absent;
    if (isdigit((unsigned char)**text)) {
        char *end = NULL;
        errno = 0;
        *out = strtoll(*text, &end, 10);
        *text = end;
        if (errno != 0) {
            return false;
        }
    }
    while (isspace((unsigned char)**text)) {
        (*text)++;
    }
    return true;
}

static bool skip(const char **text, char wanted)
{
    if (**text != wanted) {
        return false;
    }
    (*text)++;
    return true;
}

static bool parse_range(const char *text, um_range *out)
{
    um_range r;
    bool good = parse_index(&text, 0, &r.y0) && skip(&text, ':') && parse_index(&text, -1, &r.y1) &&
                skip(&text, ',') && parse_index(&text, 0, &r.x0) && skip(&text, ':') &&
                parse_index(&text, -1, &r.x1) && *text == '\0';
    if (!good || (r.y1 >= 0 && r.y1 <= r.y0) || (r.x1 >= 0 && r.x1 <= r.x0)) {
        return false;
    }
    *out = r;
    return true;
}

static um_status set_range(um_recipe *recipe, um_recipe_number number, const char *value,
                           um_range *out)
{
    return parse_range(value, out)
               ? UM_OK
               : refuse(recipe, number, value, "y0:y1,x0:x1 with y0 < y1 and x0 < x1");
}

static um_status set_bin(um_recipe *recipe, um_recipe_number number, const char *value,
                         int64_t *out)
{
    const char *text = value;
    int64_t bin = 0;
    if (!parse_index(&text, 0, &bin) || *text != '\0' || bin < 1 || bin > 4096) {
        return refuse(recipe, number, value, "a whole number from 1 to 4096");
    }
    *out = bin;
    return UM_OK;
}

static um_status set_radius(um_recipe *recipe, um_recipe_number number, const char *value,
                            double *out)
{
    double radius = 0;
    if (parse_numbers(value, &radius, 1, 1) != 1 || radius <= 0) {
        return refuse(recipe, number, value, "a radius in pixels above 0");
    }
    *out = radius;
    return UM_OK;
}

static um_status set_beam(um_recipe *recipe, um_recipe_number number, const char *value)
{
    double at[2];
    const double farthest = 1e6;
    if (parse_numbers(value, at, 2, 2) != 2 || fabs(at[0]) > farthest || fabs(at[1]) > farthest) {
        return refuse(recipe, number, value, "cy,cx in pixels, at most 1e6 from the corner");
    }
    recipe->beam_y = at[0];
    recipe->beam_x = at[1];
    return UM_OK;
}

static bool add_ring(um_recipe *recipe, const char *text, bool annulus)
{
    double n[4];
    int count = annulus ? 4 : 3;
    if (parse_numbers(text, n, count, count) != count) {
        return false;
    }
    um_ring ring = {n[0], n[1], annulus ? n[2] : 0, annulus ? n[3] : n[2]};
    if (ring.inner_px < 0 || ring.outer_px <= ring.inner_px) {
        return false;
    }
    um_ring *rings = realloc(recipe->rings, (recipe->ring_count + 1) * sizeof *rings);
    if (rings == NULL) {
        return false;
    }
    recipe->rings = rings;
    rings[recipe->ring_count++] = ring;
    return true;
}

static bool add_rectangle(um_recipe *recipe, const char *text)
{
    um_range range;
    if (!parse_range(text, &range)) {
        return false;
    }
    um_range *all = realloc(recipe->rectangles, (recipe->rectangle_count + 1) * sizeof *all);
    if (all == NULL) {
        return false;
    }
    recipe->rectangles = all;
    all[recipe->rectangle_count++] = range;
    return true;
}

/* Shapes with ';' between them. */
static um_status add_shapes(um_recipe *recipe, um_recipe_number number, const char *value)
{
    const char *text = value;
    size_t rings = recipe->ring_count;
    size_t rectangles = recipe->rectangle_count;
    for (;;) {
        size_t length = strcspn(text, ";");
        char *part = um_format("%.*s", (int)length, text);
        bool good = part != NULL;
        if (good && number == UM_KEY_MASK_RECTANGLE) {
            good = add_rectangle(recipe, part);
        } else if (good) {
            good = add_ring(recipe, part, number == UM_KEY_MASK_ANNULUS);
        }
        free(part);
        if (!good) {
            recipe->ring_count = rings;
            recipe->rectangle_count = rectangles;
            return refuse(recipe, number, value,
                          number == UM_KEY_MASK_RECTANGLE ? "y0:y1,x0:x1[;y0:y1,x0:x1...]"
                          : number == UM_KEY_MASK_ANNULUS ? "cy,cx,r0,r1[;...] with r0 < r1"
                                                          : "cy,cx,r[;...] with r > 0");
        }
        if (text[length] == '\0') {
            return UM_OK;
        }
        text += length + 1;
    }
}

static um_status set_choice(um_recipe *recipe, um_recipe_number number, const char *value,
                            const char *act, bool *out)
{
    if (strcmp(value, act) != 0 && strcmp(value, "error") != 0) {
        return um_fail(recipe->ctx, UM_ERROR_ARGUMENT, "%s: %s: expected error or %s",
                       um_recipe_key_name(number), value, act);
    }
    *out = strcmp(value, act) == 0;
    return UM_OK;
}

static um_status set_hot(um_recipe *recipe, um_recipe_number number, const char *value)
{
    double sigma = 0;
    if (value[0] == '\0') {
        return refuse(recipe, number, value, "a number of standard deviations or a file");
    }
    bool given = parse_numbers(value, &sigma, 1, 1) == 1;
    if (given && sigma <= 0) {
        return refuse(recipe, number, value, "a number above 0 or a file");
    }
    recipe->hot_sigma = given ? sigma : NAN;
    return UM_OK;
}

static um_status set_affine(um_recipe *recipe, um_recipe_number number, const char *value)
{
    double n[6] = {0};
    int count = parse_numbers(value, n, 2, 6);
    if (count == 2) {
        n[3] = n[1];
        n[1] = n[2] = 0;
    }
    double determinant = n[0] * n[3] - n[1] * n[2];
    if ((count != 2 && count != 4 && count != 6) || fabs(determinant) < 1e-6) {
        return refuse(recipe, number, value,
                      "sy,sx or a,b,c,d or a,b,c,d,oy,ox that can be undone");
    }
    memcpy(recipe->affine, n, sizeof n);
    return UM_OK;
}

/* "NAME[:numbers][,plane][,mask]" */
static um_status set_center(um_recipe *recipe, um_recipe_number number, const char *value)
{
    static const char *const form = "cross-correlation[:radius_px[,search_px]][,plane][,mask] or "
                                    "com[:radius_px][,plane][,mask]";
    char text[128];
    if (snprintf(text, sizeof text, "%s", value) >= (int)sizeof text) {
        return refuse(recipe, number, value, form);
    }
    bool plane = false;
    bool mask = false;
    for (char *comma = strrchr(text, ','); comma != NULL; comma = strrchr(text, ',')) {
        bool is_plane = strcmp(comma, ",plane") == 0;
        bool is_mask = strcmp(comma, ",mask") == 0;
        if (!is_plane && !is_mask) {
            break;
        }
        plane = plane || is_plane;
        mask = mask || is_mask;
        *comma = '\0';
    }
    char *colon = strchr(text, ':');
    double n[2] = {0};
    int count = 0;
    if (colon != NULL) {
        *colon = '\0';
        count = parse_numbers(colon + 1, n, 1, 2);
    }
    bool disc = strcmp(text, "cross-correlation") == 0;
    bool mass = strcmp(text, "com") == 0;
    bool good = (disc || (mass && count < 2)) && count >= 0 &&
                (count < 1 || (n[0] >= 0.5 && n[0] <= 4096)) &&
                (count < 2 || (n[1] >= 1 && n[1] <= 512));
    if (!good) {
        return refuse(recipe, number, value, form);
    }
    recipe->center = disc ? UM_CENTER_DISC : UM_CENTER_MASS;
    recipe->center_radius_px = count > 0 ? n[0] : disc ? 5 : 12.5;
    recipe->center_search_px = count > 1 ? n[1] : 10;
    recipe->center_plane = plane;
    recipe->center_mask = mask;
    return UM_OK;
}

static um_status set_background(um_recipe *recipe, um_recipe_number number, const char *value)
{
    static const char *const form =
        "dog:s1,s2 with 0 < s1 < s2 <= 120, radial-median, h-dome:h with "
        "0 < h <= 1 or h-dome:Nc with N counts";
    double n[2] = {0};
    if (strcmp(value, "radial-median") == 0) {
        recipe->background = UM_BACKGROUND_RADIAL;
    } else if (strncmp(value, "dog:", 4) == 0) {
        if (parse_numbers(value + 4, n, 2, 2) != 2 || n[0] < 0.1 || n[1] <= n[0] || n[1] > 120) {
            return refuse(recipe, number, value, form);
        }
        recipe->background = UM_BACKGROUND_DOG;
    } else if (strncmp(value, "h-dome:", 7) == 0) {
        char text[64];
        int length = snprintf(text, sizeof text, "%s", value + 7);
        bool counts = length > 0 && length < (int)sizeof text && text[length - 1] == 'c';
        if (counts) {
            text[length - 1] = '\0';
        }
        if (length >= (int)sizeof text || parse_numbers(text, n, 1, 1) != 1 || n[0] <= 0 ||
            (!counts && n[0] > 1)) {
            return refuse(recipe, number, value, form);
        }
        recipe->background = UM_BACKGROUND_HDOME;
        recipe->background_counts = counts;
    } else {
        return refuse(recipe, number, value, form);
    }
    memcpy(recipe->background_value, n, sizeof n);
    return UM_OK;
}

static um_status set_auto(um_recipe *recipe, um_recipe_number number, const char *value)
{
    double threshold = 0;
    if (parse_numbers(value, &threshold, 1, 1) != 1 || threshold <= 0 || threshold >= 1) {
        return refuse(recipe, number, value, "a fraction between 0 and 1");
    }
    recipe->auto_threshold = threshold;
    return UM_OK;
}

/* "bf[R]:<F", "total:>F", F a number or otsu. */
static um_status set_threshold(um_recipe *recipe, um_recipe_number number, const char *value)
{
    static const char *const form = "bf:<F, bfR:<F or total:<F (or >F), F a number above 0 or otsu";
    const char *colon = strchr(value, ':');
    if (colon == NULL || (colon[1] != '<' && colon[1] != '>')) {
        return refuse(recipe, number, value, form);
    }
    double radius = 10;
    double factor = NAN;
    size_t length = (size_t)(colon - value);
    if (length == 5 && strncmp(value, "total", 5) == 0) {
        radius = INFINITY;
    } else if (length > 2 && length < 40 && strncmp(value, "bf", 2) == 0) {
        char text[40];
        snprintf(text, sizeof text, "%.*s", (int)(length - 2), value + 2);
        if (parse_numbers(text, &radius, 1, 1) != 1 || radius <= 0) {
            return refuse(recipe, number, value, form);
        }
    } else if (length != 2 || strncmp(value, "bf", 2) != 0) {
        return refuse(recipe, number, value, form);
    }
    if (strcmp(colon + 2, "otsu") != 0 &&
        (parse_numbers(colon + 2, &factor, 1, 1) != 1 || factor <= 0)) {
        return refuse(recipe, number, value, form);
    }
    recipe->threshold_radius_px = radius;
    recipe->threshold_factor = factor;
    recipe->threshold_above = colon[1] == '>';
    return UM_OK;
}

um_status um_recipe_parse(um_recipe *recipe, um_recipe_number number, const char *value)
{
    switch (number) {
    case UM_KEY_CROP_SCAN:
        return set_range(recipe, number, value, &recipe->crop_scan);
    case UM_KEY_CROP_SIGNAL:
        return set_range(recipe, number, value, &recipe->crop_signal);
    case UM_KEY_BIN_SCAN:
        return set_bin(recipe, number, value, &recipe->bin_scan);
    case UM_KEY_BIN_SIGNAL:
        return set_bin(recipe, number, value, &recipe->bin_signal);
    case UM_KEY_BEAM_CENTER:
        return set_beam(recipe, number, value);
    case UM_KEY_MASK_BEAM:
        return set_radius(recipe, number, value, &recipe->mask_beam_px);
    case UM_KEY_MASK_OUTSIDE:
        return set_radius(recipe, number, value, &recipe->mask_outside_px);
    case UM_KEY_MASK_DISC:
    case UM_KEY_MASK_ANNULUS:
    case UM_KEY_MASK_RECTANGLE:
        return add_shapes(recipe, number, value);
    case UM_KEY_DARK:
    case UM_KEY_GAIN:
    case UM_KEY_SIGNAL_MASK:
    case UM_KEY_NAVIGATION_MASK:
        return value[0] != '\0' ? UM_OK : refuse(recipe, number, value, "a file");
    case UM_KEY_NEGATIVE:
        return set_choice(recipe, number, value, "clip", &recipe->negative_clip);
    case UM_KEY_NOT_A_NUMBER:
        return set_choice(recipe, number, value, "zero", &recipe->not_finite_zero);
    case UM_KEY_HOT_PIXELS:
        return set_hot(recipe, number, value);
    case UM_KEY_AFFINE:
        return set_affine(recipe, number, value);
    case UM_KEY_CENTER:
        return set_center(recipe, number, value);
    case UM_KEY_BACKGROUND:
        return set_background(recipe, number, value);
    case UM_KEY_MASK_AUTO:
        return set_auto(recipe, number, value);
    case UM_KEY_NAVIGATION_THRESHOLD:
        return set_threshold(recipe, number, value);
    case UM_KEY_FRIEDEL: /* a switch: its presence is all */
    case UM_KEY_COUNT:
        break;
    }
    return um_fail(recipe->ctx, UM_ERROR_INTERNAL, "recipe: key %d is not known", (int)number);
}
