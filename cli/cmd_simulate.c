/* unmix simulate: a scan with a known answer, and the answer. */
#include "simulate.h"

#include <string.h>

static um_status show(const simulate_settings *s, const simulate_made *made, const um_instrument *instrument,
                      double seconds)
{
    cli *c = s->c;
    um_shape shape = made->shape;
    const char *scan = simulate_text(s, "output");
    const char *truth = simulate_text(s, "truth");
    double patterns = (double)(shape.ny * shape.nx);
    if (c->json) {
        return cli_print_json(
            c, json_pack("{s:o, s:o, s:o, s:[I,I,I,I], s:s, s:I, s:I, s:f, s:f, s:I, s:f, s:f, s:I}", "path",
                         cli_json_text(scan), "truth",
                         truth != NULL ? cli_json_text(truth) : json_null(), "specimen",
                         s->kind != NULL ? cli_json_text(s->kind) : json_null(), "shape", (json_int_t)shape.ny,
                         (json_int_t)shape.nx, (json_int_t)shape.ky, (json_int_t)shape.kx, "dtype",
                         um_dtype_name(instrument->dtype), "states", (json_int_t)made->states, "particles",
                         (json_int_t)made->particles, "counts",
                         instrument->counts, "border_px", made->border_px, "seed",
                         (json_int_t)um_context_seed(c->ctx), "seconds", seconds,
                         "patterns_per_second", patterns / seconds, "peak_bytes",
                         (json_int_t)cli_peak_bytes()));
    }
    char text[32];
    double bytes = patterns * (double)(shape.ky * shape.kx) * (double)um_dtype_size(instrument->dtype);
    cli_say(c, "scan      %s", scan);
    cli_say(c, "shape     %lld x %lld positions, %lld x %lld pixels, %s, %s", (long long)shape.ny,
            (long long)shape.nx, (long long)shape.ky, (long long)shape.kx,
            um_dtype_name(instrument->dtype), cli_bytes_text(bytes, text));
    cli_say(c, "states    %lld", (long long)made->states);
    if (made->particles > 0) {
        cli_say(c, "particles %lld", (long long)made->particles);
    }
    if (instrument->counts > 0.0) {
        cli_say(c, "counts    %g per pattern%s", instrument->counts,
                instrument->noise ? "" : ", without noise");
    }
    if (truth != NULL) {
        cli_say(c, "truth     %s", truth);
    }
    cli_say(c, "time      %s, %.0f patterns/s", cli_seconds_text(seconds, text), patterns / seconds);
    return UM_OK;
}

static um_status simulate(simulate_settings *s)
{
    cli *c = s->c;
    const um_scene_files files = {.scan = simulate_text(s, "output"),
                                  .truth = simulate_text(s, "truth"),
                                  .compression = simulate_text(s, "compression"),
                                  .overwrite = c->force};
    if (files.scan == NULL) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "say where the scan goes: -o SCAN.hspy");
    }
    if (files.truth != NULL && strcmp(files.scan, files.truth) == 0) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "%s: scan and truth need two names", files.scan);
    }
    um_status status = cli_check_output(c, files.scan, ".hspy .npy .blo");
    if (status == UM_OK && files.truth != NULL) {
        status = cli_check_output(c, files.truth, ".hspy .npz");
    }
    if (status == UM_OK && files.compression != NULL && !cli_has_suffix(files.scan, ".hspy")) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--compression is for .hspy files, not %s", files.scan);
    }
    um_instrument instrument;
    simulate_made made = {0};
    double start = cli_seconds();
    status = status == UM_OK ? simulate_instrument(s, &instrument) : status;
    if (status == UM_OK) {
        status = s->kind != NULL ? simulate_specimen(s, &instrument, &files, &made)
                                 : simulate_layout(s, &instrument, &files, &made);
    }
    return status == UM_OK ? show(s, &made, &instrument, cli_seconds() - start) : status;
}

static um_status run(cli *c)
{
    simulate_settings s = {.c = c, .spec = c->operands > 0 ? c->operand[0] : NULL};
    um_status status = simulate_read_spec(&s);
    if (status == UM_OK) {
        status = cli_given(c, "list") ? simulate_list(&s) : simulate(&s);
    }
    simulate_settings_free(&s);
    return status;
}

const cli_command cli_command_simulate = {
    .name = "simulate",
    .summary = "make a scan with a known answer",
    .operands = "[SPECIMEN|SPEC.ini]",
    .description =
        "Writes a scan whose answer is known exactly: end-member patterns laid out over the scan, mixed "
        "at borders by a Gaussian probe, with Poisson noise. The truth holds the noise-free patterns "
        "(unit sum), the expected counts of each state at each position, the label (strongest state) "
        "and the fractions; 'unmix score' compares a result with it.\n\n"
        "Every state has --counts in a pattern, however strong the end members are; with "
        "--keep-intensities only the mean pattern has. The same seed gives the same bytes for any number of threads.\n\n"
        "Or the scan of a built-in specimen, made from crystals along the beam: nanowire, precipitates, "
        "nanoparticles and others. --list shows them, 'unmix simulate nanowire --list' the parameters that --set "
        "changes. Its truth holds the fractions by thickness, orientations and particles as well.\n\n"
        "SPEC.ini holds the same settings in sections [simulate] and [instrument], the long options as keys "
        "(border = 0.7, no-noise = true), and [specimen] with kind = nanowire and its parameters; options on "
        "the command line win.",
    .examples = "unmix simulate -o scan.hspy --truth truth.hspy # built-in crystals in Voronoi grains\n"
                "unmix simulate -o scan.hspy --truth truth.hspy --patterns ends.npy --size 64x128 "
                "--counts 3e4 # your own end members\n"
                "unmix simulate nanowire -o wire.hspy --truth truth.hspy --set bend_mrad=40 # a built-in specimen\n"
                "unmix simulate specimen.ini -o scan.npy --seed 3 # from a spec file\n",
    .options = simulate_options,
    .least_operands = 0,
    .most_operands = 1,
    .run = run,
};
