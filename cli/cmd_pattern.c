/* unmix pattern: the diffraction pattern of a crystal from its CIF, and its reflections. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT",
     .help = "The picture: .tif (32-bit values, calibrated) or .png (for people)."},
    {.name = "table", .kind = CLI_FILE, .value = "OUT.csv",
     .help = "All reflections: hkl, |g|, s, |F|, extinction distance, intensity, place."},
    {.name = "zone", .letter = 'z', .kind = CLI_TEXT, .value = "u,v,w", .preset = "0,0,1",
     .help = "Zone axis that points at the electron source."},
    {.name = "right", .kind = CLI_TEXT, .value = "h,k,l",
     .help = "Reflection that lies to the right; default the shortest vector of the zone."},
    {.name = "euler", .kind = CLI_TEXT, .value = "phi1,Phi,phi2",
     .help = "Orientation by Bunge's angles in degrees instead of --zone: the crystal is turned by Rz(phi1) Rx(Phi) "
             "Rz(phi2)."},
    {.name = "matrix", .kind = CLI_TEXT, .value = "9 NUMBERS",
     .help = "Orientation by a rotation matrix instead, row by row: crystal (x along a, z along c*) to microscope (x "
             "right, y up, z to the source)."},
    {.name = "tilt", .kind = CLI_TEXT, .value = "x,y",
     .help = "Then tilt the crystal, so that the zone axis leans by x mrad to the right and y mrad up."},
    {.name = "voltage", .kind = CLI_REAL, .value = "KV", .preset = "200", .least = 1, .most = 5000,
     .help = "Accelerating voltage in kV."},
    {.name = "thickness", .kind = CLI_REAL, .value = "NM", .preset = "20", .least = 0.01, .most = 10000,
     .help = "Thickness of the crystal in nm."},
    {.name = "precession", .kind = CLI_REAL, .value = "MRAD", .preset = "0", .least = 0, .most = 200,
     .help = "Half angle of the precession cone in mrad; 0 = a beam that stands still."},
    {.name = "rocking", .kind = CLI_CHOICE, .value = "two-beam|kinematic|linear|lorentzian", .preset = "two-beam",
     .help = "How the intensity falls with the excitation error; the last two are envelopes of width --smax."},
    {.name = "smax", .kind = CLI_REAL, .value = "PER_A", .preset = "0.05", .least = 1e-6, .most = 10,
     .help = "Largest excitation error in 1/\u00c5 of what is drawn; the width of the envelopes."},
    {.name = "size", .kind = CLI_TEXT, .value = "KYxKX", .preset = "256x256", .help = "Pixels, rows x columns."},
    {.name = "scale", .kind = CLI_REAL, .value = "PER_A", .least = 1e-6, .most = 10,
     .help = "Size of a pixel in 1/\u00c5; default such that the shorter side spans 3 1/\u00c5."},
    {.name = "center", .kind = CLI_TEXT, .value = "cy,cx", .help = "Direct beam, px; default the middle pixel."},
    {.name = "convergence", .kind = CLI_REAL, .value = "MRAD", .preset = "1", .least = 0, .most = 200,
     .help = "Half angle of the beam in mrad: discs of that radius."},
    {.name = "sigma", .kind = CLI_REAL, .value = "PX", .least = 0.01, .most = 10000,
     .help = "Gaussian spots of this standard deviation instead of discs."},
    {.name = "rotation", .kind = CLI_REAL, .value = "DEG", .preset = "0", .least = -360, .most = 360,
     .help = "Turn the pattern counter-clockwise."},
    {.name = "ellipse", .kind = CLI_TEXT, .value = "RATIO,DEG",
     .help = "Elliptical distortion: long over short axis, and the direction of the long one from the right, "
             "counter-clockwise."},
    {.name = "symmetry", .kind = CLI_REAL, .value = "PER_A", .preset = "1", .least = 1e-6, .most = 10,
     .help = "Tell how much opposite reflections up to this |g| in 1/\u00c5 differ."},
    {.name = "direct-beam", .kind = CLI_REAL, .value = "X", .preset = "1", .least = 0, .most = 1e9,
     .help = "Intensity of the direct beam in the picture, relative to the strongest reflection."},
    {0}};

typedef struct job {
    cli *c;
    um_crystal *crystal;
    um_orientation orientation;
    um_illumination beam;
    um_detector detector;
    um_spot *spots;
    size_t count;
    um_friedel friedel;
} job;

/* Exactly `count` numbers between commas or blanks. */
static um_status take_numbers(cli *c, const char *option, double *out, int count)
{
    const char *text = cli_text(c, option);
    const char *p = text;
    for (int i = 0; i < count; i++) {
        char *end = NULL;
        p += strspn(p, " ,");
        out[i] = strtod(p, &end);
        if (end == p || !isfinite(out[i]) || strchr(" ,", *end) == NULL) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--%s takes %d numbers between commas, not '%s'", option, count, text);
        }
        p = end;
    }
    if (p[strspn(p, " ")] != '\0') {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--%s takes %d numbers between commas, not '%s'", option, count, text);
    }
    return UM_OK;
}

static um_status take_indices(cli *c, const char *option, int out[3])
{
    double number[3];
    um_status status = take_numbers(c, option, number, 3);
    for (int i = 0; i < 3 && status == UM_OK; i++) {
        if (number[i] != floor(number[i]) || fabs(number[i]) > 1000.0) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--%s takes three whole numbers, not '%s'", option,
                            cli_text(c, option));
        }
        out[i] = (int)number[i];
    }
    return status;
}

static um_status take_orientation(job *j)
{
    cli *c = j->c;
    int uvw[3], hkl[3];
    double number[9];
    um_status status = UM_OK;
    int ways = cli_given(c, "zone") + cli_given(c, "euler") + cli_given(c, "matrix");
    if (ways > 1) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--zone, --euler and --matrix exclude each other");
    }
    if (cli_given(c, "right") && (cli_given(c, "euler") || cli_given(c, "matrix"))) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--right goes with --zone: --euler and --matrix say what lies there");
    }
    if (cli_given(c, "euler")) {
        status = take_numbers(c, "euler", number, 3);
        if (status == UM_OK) {
            j->orientation = um_orientation_euler(number[0], number[1], number[2]);
        }
    } else if (cli_given(c, "matrix")) {
        status = take_numbers(c, "matrix", number, 9);
        if (status == UM_OK) {
            status = um_orientation_matrix(c->ctx, number, &j->orientation);
        }
    } else {
        status = take_indices(c, "zone", uvw);
        if (status == UM_OK && cli_given(c, "right")) {
            status = take_indices(c, "right", hkl);
        }
        if (status == UM_OK) {
            status = um_orientation_zone(c->ctx, j->crystal, uvw, cli_given(c, "right") ? hkl : NULL, &j->orientation);
        }
    }
    if (status == UM_OK && cli_given(c, "tilt")) {
        status = take_numbers(c, "tilt", number, 2);
        if (status == UM_OK && hypot(number[0], number[1]) > 1600.0) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--tilt %s: that is more than a right angle; tilts are in mrad",
                            cli_text(c, "tilt"));
        }
        if (status == UM_OK) {
            j->orientation = um_orientation_tilt(j->orientation, number[0], number[1]);
        }
    }
    return status;
}

static um_status take_detector(job *j)
{
    cli *c = j->c;
    um_detector *d = &j->detector;
    double ellipse[2] = {1.0, 0.0}, center[2];
    char rest = 0;
    int ky = 0, kx = 0;
    if (sscanf(cli_text(c, "size"), "%dx%d%c", &ky, &kx, &rest) != 2 || ky < 1 || kx < 1 || ky > 8192 || kx > 8192) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--size takes KYxKX up to 8192x8192, not '%s'", cli_text(c, "size"));
    }
    center[0] = (double)(ky / 2);
    center[1] = (double)(kx / 2);
    um_status status = cli_given(c, "center") ? take_numbers(c, "center", center, 2) : UM_OK;
    if (status == UM_OK && cli_given(c, "ellipse")) {
        status = take_numbers(c, "ellipse", ellipse, 2);
    }
    if (status == UM_OK && !(ellipse[0] >= 0.1 && ellipse[0] <= 10.0)) {
        status = cli_fail(c, UM_ERROR_ARGUMENT, "--ellipse: the ratio must lie in 0.1 .. 10, not %g", ellipse[0]);
    }
    if (status == UM_OK && (fabs(center[0]) > 1e6 || fabs(center[1]) > 1e6)) {
        status = cli_fail(c, UM_ERROR_ARGUMENT, "--center %s is not near the detector", cli_text(c, "center"));
    }
    double wavelength = um_electron_wavelength(j->beam.voltage_kV);
    *d = (um_detector){.ky = ky, .kx = kx, .cy = center[0], .cx = center[1], .rotation_deg = cli_real(c, "rotation"),
                       .ellipse_ratio = ellipse[0], .ellipse_deg = ellipse[1]};
    d->scale_per_A = cli_given(c, "scale") ? cli_real(c, "scale") : 3.0 / (double)(ky < kx ? ky : kx);
    d->sigma_px = cli_real(c, "sigma");
    d->radius_px =
        cli_given(c, "sigma") ? 0.0 : um_disc_radius(cli_real(c, "convergence"), wavelength, d->scale_per_A);
    if (!cli_given(c, "sigma") && !(d->radius_px > 0.0)) {
        status = cli_fail(c, UM_ERROR_ARGUMENT, "--convergence 0 gives no discs: pass --sigma for Gaussian spots");
    }
    return status;
}

/* |g across| that still reaches the detector. */
static double reach(const um_detector *d)
{
    double y = fmax(d->cy, (double)d->ky - d->cy), x = fmax(d->cx, (double)d->kx - d->cx);
    double px = hypot(fmax(y, 0.0), fmax(x, 0.0)) + d->radius_px + 6.0 * d->sigma_px + 1.0;
    return px * d->scale_per_A * sqrt(fmax(d->ellipse_ratio, 1.0 / d->ellipse_ratio));
}

static bool on_detector(const um_detector *d, const um_spot *spot)
{
    double row = 0.0, column = 0.0, margin = d->radius_px + 6.0 * d->sigma_px;
    um_detector_place(d, spot->x_per_A, spot->y_per_A, &row, &column);
    return row > -0.5 - margin && row < (double)d->ky - 0.5 + margin && column > -0.5 - margin &&
           column < (double)d->kx - 0.5 + margin;
}

static um_status diffract(job *j)
{
    cli *c = j->c;
    um_reflections *all = NULL;
    double wavelength = um_electron_wavelength(j->beam.voltage_kV);
    double across = fmin(reach(&j->detector), 0.9 / wavelength);
    /* A reflection on the sphere lies above the plane by about lambda g^2 / 2. */
    double above = (1.0 - sqrt(1.0 - across * across * wavelength * wavelength)) / wavelength + j->beam.s_max_per_A +
                   across * tan(j->beam.precession_mrad * 1e-3) * 1.02;
    um_status status = um_reflections_make(c->ctx, j->crystal, hypot(across, above), &all);
    if (status == UM_OK) {
        status = um_diffract(c->ctx, all, &j->orientation, &j->beam, &j->spots, &j->count);
    }
    um_reflections_free(c->ctx, all);
    if (status == UM_OK) {
        status = um_friedel_compare(c->ctx, j->spots, j->count, j->beam.precession_mrad, cli_real(c, "symmetry"),
                                    &j->friedel);
    }
    size_t kept = 0;
    for (size_t i = 0; i < j->count; i++) {
        if (on_detector(&j->detector, &j->spots[i])) {
            j->spots[kept++] = j->spots[i];
        }
    }
    j->count = kept;
    return status;
}

static um_status write_picture(job *j, const char *path)
{
    cli *c = j->c;
    const um_detector *d = &j->detector;
    size_t pixels = (size_t)(d->ky * d->kx);
    double *image = calloc(pixels, sizeof *image);
    float *single = calloc(pixels, sizeof *single);
    um_spot direct = {.intensity = cli_real(c, "direct-beam") * (j->count > 0 ? j->spots[0].intensity : 1.0)};
    um_status status = UM_OK;
    if (image == NULL || single == NULL) {
        status = cli_fail(c, UM_ERROR_MEMORY, "no memory for a picture of %lldx%lld px", (long long)d->ky,
                          (long long)d->kx);
    }
    if (status == UM_OK) {
        status = um_pattern_render(c->ctx, d, j->spots, j->count, image);
    }
    if (status == UM_OK && direct.intensity > 0.0) {
        status = um_pattern_render(c->ctx, d, &direct, 1, image);
    }
    if (status == UM_OK && cli_has_suffix(path, ".png")) {
        um_picture_style style = {.colors = UM_COLORS_MAGMA, .low = 0.0, .high = NAN, .gamma = 0.4,
                                  .scale = d->scale_per_A, .units = "1/A", .title = j->crystal->name};
        status = um_picture_write(c->ctx, path, image, d->ky, d->kx, &style);
    } else if (status == UM_OK) {
        for (size_t i = 0; i < pixels; i++) {
            single[i] = (float)image[i];
        }
        status = um_tiff_write(c->ctx, path, 1, d->ky, d->kx, single, d->scale_per_A, "1/A");
    }
    free(image);
    free(single);
    return status;
}

static um_status write_table(job *j, const char *path)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    if (file == NULL) {
        return cli_fail(j->c, UM_ERROR_MEMORY, "no memory for a table");
    }
    fprintf(file, "h,k,l,g_per_A,s_per_A,F_A,xi_nm,intensity,x_per_A,y_per_A,row_px,column_px,two_theta_mrad\n");
    for (size_t i = 0; i < j->count; i++) {
        const um_spot *s = &j->spots[i];
        double row = 0.0, column = 0.0;
        um_detector_place(&j->detector, s->x_per_A, s->y_per_A, &row, &column);
        fprintf(file, "%d,%d,%d,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g\n", s->hkl[0], s->hkl[1], s->hkl[2],
                s->g_per_A, s->s_per_A, s->f_A, s->xi_nm, s->intensity, s->x_per_A, s->y_per_A, row, column,
                s->two_theta_mrad);
    }
    um_status status = UM_OK;
    if (fclose(file) != 0) {
        status = cli_fail(j->c, UM_ERROR_MEMORY, "no memory for a table");
    }
    if (status == UM_OK) {
        status = cli_write_text(j->c, path, text);
    }
    free(text);
    return status;
}

static json_t *spots_json(const job *j)
{
    json_t *list = json_array();
    for (size_t i = 0; i < j->count; i++) {
        const um_spot *s = &j->spots[i];
        double row = 0.0, column = 0.0;
        um_detector_place(&j->detector, s->x_per_A, s->y_per_A, &row, &column);
        json_array_append_new(
            list, json_pack("{s:[i,i,i], s:f, s:f, s:f, s:o, s:f, s:f, s:f, s:f, s:f, s:f}", "hkl", s->hkl[0],
                            s->hkl[1], s->hkl[2], "g_per_A", s->g_per_A, "s_per_A", s->s_per_A, "F_A", s->f_A, "xi_nm",
                            cli_json_real(s->xi_nm), "intensity", s->intensity, "x_per_A", s->x_per_A, "y_per_A",
                            s->y_per_A, "row_px", row, "column_px", column, "two_theta_mrad", s->two_theta_mrad));
    }
    return list;
}

static json_t *crystal_json(const um_crystal *x)
{
    json_t *cell = json_array();
    for (int i = 0; i < 6; i++) {
        json_array_append_new(cell, json_real(x->cell[i]));
    }
    return json_pack("{s:o, s:o, s:f, s:I, s:i, s:i, s:i, s:o}", "name", cli_json_text(x->name), "cell", cell,
                     "volume_A3", x->volume_A3, "atoms", (json_int_t)x->atoms, "operations", x->operations,
                     "file_space_group", x->file_space_group, "space_group", x->space_group, "symbol",
                     cli_json_text(x->symbol));
}

static json_t *friedel_json(const um_friedel *f)
{
    return json_pack("{s:f, s:I, s:o, s:I, s:o}", "within_per_A", f->within_per_A, "pairs", (json_int_t)f->pairs,
                     "difference", cli_json_real(f->difference), "swept_pairs", (json_int_t)f->swept,
                     "corrected_difference", cli_json_real(f->corrected));
}

static um_status tell(job *j)
{
    cli *c = j->c;
    const um_crystal *x = j->crystal;
    const um_detector *d = &j->detector;
    double wavelength = um_electron_wavelength(j->beam.voltage_kV);
    if (c->json) {
        json_t *m = json_array();
        for (int i = 0; i < 9; i++) {
            json_array_append_new(m, json_real(j->orientation.m[i / 3][i % 3]));
        }
        return cli_print_json(
            c, json_pack("{s:o, s:o, s:f, s:f, s:[I,I], s:f, s:[f,f], s:f, s:o, s:o}", "crystal", crystal_json(x),
                         "orientation", m, "wavelength_A", wavelength, "precession_mrad", j->beam.precession_mrad,
                         "shape", (json_int_t)d->ky, (json_int_t)d->kx, "scale_per_A", d->scale_per_A, "center", d->cy,
                         d->cx, "disc_radius_px", d->radius_px, "opposite", friedel_json(&j->friedel), "reflections", spots_json(j)));
    }
    cli_say(c, "%s: %.5g %.5g %.5g A, %.5g %.5g %.5g deg, %zu atoms, space group %d %s", x->name, x->cell[0],
            x->cell[1], x->cell[2], x->cell[3], x->cell[4], x->cell[5], x->atoms, x->space_group, x->symbol);
    cli_say(c, "%g kV (%.5g A), %g nm, precession %g mrad, %.4g 1/A per px", j->beam.voltage_kV, wavelength,
            j->beam.thickness_nm, j->beam.precession_mrad, d->scale_per_A);
    if (j->friedel.pairs > 0) {
        const um_friedel *f = &j->friedel;
        cli_say(c, "opposite reflections up to %g 1/A differ by %.1f %% of their intensity (%lld pairs)", f->within_per_A,
                100.0 * f->difference, (long long)f->pairs);
        if (f->swept > 0) {
            cli_say(c, "... and by %.1f %% when the time that the cone gives to each is taken out (%lld pairs)",
                    100.0 * f->corrected, (long long)f->swept);
        }
    }
    cli_say(c, "   h   k   l  |g| 1/A    s 1/A     |F| A     xi nm  intensity   row px  col px");
    enum { SHOWN = 24 };
    for (size_t i = 0; i < j->count && i < SHOWN; i++) {
        const um_spot *s = &j->spots[i];
        double row = 0.0, column = 0.0;
        um_detector_place(d, s->x_per_A, s->y_per_A, &row, &column);
        cli_say(c, "%4d%4d%4d %8.5f %9.5f %9.4g %9.4g  %9.4g %8.2f%8.2f", s->hkl[0], s->hkl[1], s->hkl[2], s->g_per_A,
                s->s_per_A, s->f_A, s->xi_nm, s->intensity, row, column);
    }
    if (j->count > SHOWN) {
        cli_say(c, "... and %zu weaker: --table OUT.csv has all", j->count - SHOWN);
    }
    return UM_OK;
}

/* A built-in structure by its name, else a file. */
static um_status take_crystal(job *j)
{
    const char *wanted = j->c->operand[0], *name = NULL;
    for (size_t i = 0; (name = um_structure_name(i)) != NULL; i++) {
        if (strcmp(name, wanted) == 0) {
            return um_structure_make(j->c->ctx, name, &j->crystal);
        }
    }
    return um_crystal_load(j->c->ctx, wanted, &j->crystal);
}

static um_status run(cli *c)
{
    static const um_rocking rockings[] = {UM_ROCKING_TWO_BEAM, UM_ROCKING_KINEMATIC, UM_ROCKING_LINEAR,
                                          UM_ROCKING_LORENTZIAN};
    job j = {.c = c};
    const char *picture = cli_text(c, "output"), *table = cli_text(c, "table");
    j.beam = (um_illumination){.voltage_kV = cli_real(c, "voltage"), .thickness_nm = cli_real(c, "thickness"),
                               .precession_mrad = cli_real(c, "precession"),
                               .rocking = rockings[cli_choice(c, "rocking")], .s_max_per_A = cli_real(c, "smax")};
    um_status status = picture != NULL ? cli_check_output(c, picture, ".tif .tiff .png") : UM_OK;
    if (status == UM_OK && table != NULL) {
        status = cli_check_output(c, table, ".csv");
    }
    if (status == UM_OK) {
        status = take_detector(&j);
    }
    if (status == UM_OK) {
        status = take_crystal(&j);
    }
    if (status == UM_OK) {
        status = take_orientation(&j);
    }
    if (status == UM_OK) {
        status = diffract(&j);
    }
    if (status == UM_OK && picture != NULL) {
        status = write_picture(&j, picture);
    }
    if (status == UM_OK && table != NULL) {
        status = write_table(&j, table);
    }
    if (status == UM_OK) {
        status = tell(&j);
    }
    um_crystal_free(j.crystal);
    free(j.spots);
    return status;
}

const cli_command cli_command_pattern = {
    .name = "pattern",
    .summary = "the diffraction pattern of a crystal, from its CIF",
    .operands = "FILE.cif|STRUCTURE",
    .description =
        "Reads a crystal structure and writes its electron diffraction pattern in any orientation, with or without "
        "precession, as a picture and a table of reflections. STRUCTURE is one that the built-in specimens are made of: al, "
        "gaas, gaas-wurtzite, mgo, si, theta-prime, t1, beta-double-prime or mg2si.\n\n"
        "Intensities are kinematic or two-beam: each reflection by itself, from electron structure factors, excitation "
        "error and thickness. Spots that only several beams together make, and Kikuchi lines, are not there.\n\n"
        "The picture is seen as the electrons see it: x to the right, y up, the zone axis towards the source.",
    .examples = "unmix pattern al --zone 1,1,0 -o al110.png # a look\n"
                "unmix pattern GaAs.cif --zone 1,1,0 --precession 17.5 --thickness 80 -o gaas.tif --table gaas.csv "
                "# precession by 1 degree\n"
                "unmix pattern si --tilt 5,0 --json # reflections of a tilted [001] crystal\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
