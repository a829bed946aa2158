/* unmix image: sum, mean, max and variance patterns, virtual images and centre of mass, in one
 * pass. */
#include "scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {.name = "output", .letter = 'o', .kind = CLI_FOLDER, .value = "DIR",
     .help = "Folder for the pictures; made if it is not there."},
    {.name = "aperture", .letter = 'a', .kind = CLI_TEXT, .value = "NAME:SHAPE:...", .repeat = true,
     .help = "Virtual image from NAME:disc:cy,cx,r or NAME:annulus:cy,cx,r0,r1 or "
             "NAME:rect:cy,cx,hy,hx in px of the prepared pattern. Default: a bright field and "
             "an annular series around the beam."},
    {.name = "beam", .kind = CLI_TEXT, .value = "cy,cx",
     .help = "Centre of the default apertures, px; default: found in the mean pattern."},
    {0}};

typedef struct job {
    cli *c;
    const char *folder;
    const um_matrix_info *info;
    json_t *files;
    um_npz *npz;
} job;

/* NaN where the mask excludes. malloc'ed. */
static double *masked(const double *values, const uint8_t *mask, size_t count)
{
    double *out = malloc(count * sizeof *out);
    for (size_t i = 0; out != NULL && i < count; i++) {
        out[i] = mask != NULL && mask[i] ? NAN : values[i];
    }
    return out;
}

static um_status write_tiff(job *j, const char *path, const double *values, int64_t ny, int64_t nx,
                            const um_axis *axis)
{
    size_t count = (size_t)(ny * nx);
    float *single = malloc(count * sizeof *single);
    if (single == NULL) {
        return cli_fail(j->c, UM_ERROR_MEMORY, "no memory for a picture");
    }
    for (size_t i = 0; i < count; i++) {
        single[i] = (float)values[i];
    }
    um_status status =
        um_tiff_write(j->c->ctx, path, 1, ny, nx, single, axis->scale, axis->units);
    free(single);
    return status;
}

static um_status write_pair(job *j, const char *name, const double *values, int64_t ny, int64_t nx,
                            const um_axis *axis, um_picture_style style)
{
    static const char *const suffixes[] = {".tif", ".png"};
    um_status status = UM_OK;
    style.scale = axis->scale;
    style.units = axis->units[0] != '\0' ? axis->units : "px";
    style.low = style.high = NAN;
    style.color_bar = true;
    for (int i = 0; i < 2 && status == UM_OK; i++) {
        char *path = cli_format("%s/%s%s", j->folder, name, suffixes[i]);
        if (path == NULL) {
            return cli_fail(j->c, UM_ERROR_MEMORY, "no memory for a name");
        }
        status = i == 0 ? write_tiff(j, path, values, ny, nx, axis)
                        : um_picture_write(j->c->ctx, path, values, ny, nx, &style);
        json_array_append_new(j->files, cli_json_text(path));
        free(path);
    }
    const int64_t shape[2] = {ny, nx};
    return status == UM_OK ? um_npz_add(j->npz, name, UM_F64, 2, shape, values) : status;
}

static um_status write_pattern(job *j, const char *name, const double *values, const char *label,
                               bool log_scale)
{
    um_shape s = j->info->shape;
    double *shown = masked(values, j->info->signal_mask, (size_t)(s.ky * s.kx));
    if (shown == NULL) {
        return cli_fail(j->c, UM_ERROR_MEMORY, "no memory for a picture");
    }
    um_picture_style style = {.colors = UM_COLORS_MAGMA, .log_scale = log_scale,
                              .color_label = label, .title = name, .mask = j->info->signal_mask};
    um_status status = write_pair(j, name, shown, s.ky, s.kx, &j->info->axes[3], style);
    free(shown);
    return status;
}

static um_status write_map(job *j, const char *name, const double *values, const char *label,
                           um_colors colors)
{
    um_shape s = j->info->shape;
    double *shown = masked(values, j->info->navigation_mask, (size_t)(s.ny * s.nx));
    if (shown == NULL) {
        return cli_fail(j->c, UM_ERROR_MEMORY, "no memory for a picture");
    }
    um_picture_style style = {.colors = colors, .color_label = label, .title = name,
                              .mask = j->info->navigation_mask};
    um_status status = write_pair(j, name, shown, s.ny, s.nx, &j->info->axes[1], style);
    free(shown);
    return status;
}

static um_status write_virtual(job *j, const um_images *images)
{
    um_status status = UM_OK;
    for (int i = 0; i < images->apertures && status == UM_OK; i++) {
        char name[64];
        snprintf(name, sizeof name, "virtual_%s", images->aperture[i].name);
        status = write_map(j, name, images->virtual_map[i], "counts", UM_COLORS_GRAY);
    }
    return status;
}

static um_status write_all(job *j, const um_images *images)
{
    const um_sums *sums = images->sums;
    um_status status = write_pattern(j, "sum_pattern", sums->sum_pattern, "counts", true);
    if (status == UM_OK) {
        status = write_pattern(j, "mean_pattern", images->mean_pattern, "counts", true);
    }
    if (status == UM_OK) {
        status = write_pattern(j, "max_pattern", sums->max_pattern, "counts", true);
    }
    if (status == UM_OK) {
        status = write_pattern(j, "variance_pattern", images->variance_pattern, "counts^2", true);
    }
    if (status == UM_OK) {
        status = write_map(j, "sum_map", sums->sum_map, "counts", UM_COLORS_GRAY);
    }
    if (status == UM_OK) {
        status = write_virtual(j, images);
    }
    if (status == UM_OK) {
        status =
            write_map(j, "center_of_mass_y", images->center_of_mass_y, "px", UM_COLORS_VIRIDIS);
    }
    if (status == UM_OK) {
        status =
            write_map(j, "center_of_mass_x", images->center_of_mass_x, "px", UM_COLORS_VIRIDIS);
    }
    return status;
}

static json_t *apertures_json(const um_images *images)
{
    json_t *list = json_array();
    for (int i = 0; i < images->apertures; i++) {
        const um_aperture *a = &images->aperture[i];
        bool ring = a->kind == UM_APERTURE_ANNULUS;
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "name", a->name, "shape",
                            ring ? "annulus" : "rectangle", "cy", a->cy, "cx", a->cx,
                            ring ? "inner_px" : "half_y_px", ring ? a->inner_px : a->half_y_px,
                            ring ? "outer_px" : "half_x_px", ring ? a->outer_px : a->half_x_px));
    }
    return list;
}

static um_status tell(job *j, const cli_scan *scan, const um_images *images)
{
    cli *c = j->c;
    const um_sums *sums = images->sums;
    double used = (double)sums->positions;
    int64_t pixels = 0;
    for (int64_t q = 0; q < j->info->shape.ky * j->info->shape.kx; q++) {
        pixels += j->info->signal_mask == NULL || j->info->signal_mask[q] == 0;
    }
    double mean = used > 0 && pixels > 0 ? sums->total / used / (double)pixels : NAN;
    bool exact = j->info->counts;
    double seconds = cli_seconds() - c->started;
    if (c->json) {
        json_t *object = json_pack(
            "{s:o, s:o, s:o, s:o, s:I, s:I, s:[o, o], s:o, s:I, s:f, s:I}", "sum",
            cli_json_sum(sums->total, exact), "mean", cli_json_real(mean), "max",
            cli_json_sum(sums->maximum, exact), "min", cli_json_sum(sums->minimum, exact),
            "positions", (json_int_t)sums->positions, "pixels", (json_int_t)pixels, "beam",
            cli_json_real(images->beam_y), cli_json_real(images->beam_x), "apertures",
            apertures_json(images), "passes", (json_int_t)um_matrix_passes(scan->matrix), "seconds",
            seconds, "peak_bytes", (json_int_t)cli_peak_bytes());
        if (object != NULL) {
            json_object_set(object, "files", j->files);
        }
        return cli_print_json(c, object);
    }
    cli_say(c, "sum    %.15g", sums->total);
    cli_say(c, "mean   %.6g per pixel, %.6g per pattern", mean, sums->total / used);
    cli_say(c, "range  %.6g .. %.6g", sums->minimum, sums->maximum);
    cli_say(c, "beam   (%.2f, %.2f) px", images->beam_y, images->beam_x);
    cli_say(c, "%zu files in %s", json_array_size(j->files), j->folder);
    return UM_OK;
}

static um_status make_images(cli *c, cli_scan *scan, um_images **out)
{
    int count = cli_count(c, "aperture");
    um_aperture *apertures = count > 0 ? calloc((size_t)count, sizeof *apertures) : NULL;
    if (count > 0 && apertures == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory for the apertures");
    }
    um_status status = UM_OK;
    for (int i = 0; i < count && status == UM_OK; i++) {
        status = um_aperture_parse(c->ctx, cli_text_at(c, "aperture", i), &apertures[i]);
        for (int k = 0; k < i && status == UM_OK; k++) {
            if (strcmp(apertures[i].name, apertures[k].name) == 0) {
                status = cli_fail(c, UM_ERROR_ARGUMENT, "--aperture: two are named '%s'",
                                  apertures[i].name);
            }
        }
    }
    double beam[2] = {NAN, NAN};
    const char *text = cli_text(c, "beam");
    if (status == UM_OK && text != NULL) {
        char rest = 0;
        if (sscanf(text, "%lf,%lf%c", &beam[0], &beam[1], &rest) != 2 || !isfinite(beam[0]) ||
            !isfinite(beam[1])) {
            status = cli_fail(c, UM_ERROR_ARGUMENT, "--beam takes cy,cx in px, not '%s'", text);
        }
    }
    if (status == UM_OK) {
        status = cli_scan_prepare(c, c->operand[0], scan);
    }
    if (status == UM_OK) {
        status = um_images_make(scan->matrix, apertures, count, beam[0], beam[1], out);
    }
    free(apertures);
    return status;
}

static um_status write_and_tell(job *j, cli_scan *scan, const um_images *images)
{
    char *path = cli_format("%s/images.npz", j->folder);
    if (path == NULL || j->files == NULL) {
        free(path);
        return cli_fail(j->c, UM_ERROR_MEMORY, "no memory");
    }
    j->info = um_matrix_get_info(scan->matrix);
    um_status status = cli_check_folder(j->c, j->folder);
    if (status == UM_OK) {
        status = um_npz_create(j->c->ctx, path, j->c->force, &j->npz);
    }
    if (status == UM_OK) {
        status = write_all(j, images);
    }
    if (status == UM_OK) {
        status = um_npz_commit(j->npz);
    }
    um_npz_free(j->npz);
    json_array_append_new(j->files, cli_json_text(path));
    free(path);
    return status == UM_OK ? tell(j, scan, images) : status;
}

static um_status run(cli *c)
{
    job j = {.c = c, .folder = cli_text(c, "output"), .files = json_array()};
    cli_scan scan = {0};
    um_images *images = NULL;
    um_status status = UM_OK;
    if (j.folder == NULL) {
        status = cli_fail(c, UM_ERROR_ARGUMENT, "-o DIR is needed: the folder for the pictures");
    } else if (!c->force && cli_folder_in_use(j.folder)) {
        status = cli_fail(c, UM_ERROR_EXISTS, "%s: is not empty: pass --force to replace files in "
                                              "it",
                          j.folder);
    } else {
        status = cli_check_parent(c, j.folder);
    }
    if (status == UM_OK) {
        status = make_images(c, &scan, &images);
    }
    if (status == UM_OK) {
        status = write_and_tell(&j, &scan, images);
    }
    um_images_free(images);
    cli_scan_close(&scan);
    json_decref(j.files);
    return status;
}

const cli_command cli_command_image = {
    .name = "image",
    .summary = "make sum, mean and max patterns, virtual images and centre of mass",
    .operands = "IN -o DIR",
    .description =
        "Makes, in one pass: the sum, mean, maximum and variance pattern; the total of every "
        "pattern as a map; a virtual bright field and an annular series around the direct beam, "
        "or the apertures given; and the centre of mass of every pattern.\n\n"
        "Each goes to DIR as a calibrated 32-bit TIFF and as a PNG with scale bar and colour bar, "
        "and all of them in double precision to images.npz. Sums of integers are exact.",
    .examples = "unmix image scan.hspy -o pictures # the default set\n"
                "unmix image scan.hspy -o df -a spot:disc:40,71,4 # one dark field image\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
