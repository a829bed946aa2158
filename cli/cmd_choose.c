/* unmix choose: how many components, with the evidence. */
#include "result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {.name = "k", .letter = 'k', .kind = CLI_TEXT, .value = "A..B", .preset = "2..20",
     .help = "Numbers of components to compare."},
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT", .repeat = true,
     .help = "The evidence as a page with a figure (.html), or as the object of --json (.json)."},
    {.name = "weights", .kind = CLI_CHOICE, .value = "auto|poisson|none", .preset = "auto",
     .help = "Take values for counts with Poisson noise; auto = where they are counts."},
    {0}};

/* "2..20", or "20" for 2..20. */
static um_status read_range(cli *c, um_choose_options *o)
{
    const char *text = cli_text(c, "k");
    const char *dots = strstr(text, "..");
    char *first = cli_format("%.*s", dots != NULL ? (int)(dots - text) : 1, dots != NULL ? text : "2");
    bool good = first != NULL && cli_parse_integer(first, &o->least) &&
                cli_parse_integer(dots != NULL ? dots + 2 : text, &o->most) && o->least >= 1 &&
                o->least <= o->most;
    free(first);
    if (good && !cli_given(c, "k")) {
        o->least = o->most = 0; /* fewer where the scan is small */
    }
    return good ? UM_OK
                : cli_fail(c, UM_ERROR_ARGUMENT,
                           "--k takes a range of whole numbers from 1 on, such as 2..20, not '%s'", text);
}

static json_t *integer_or_null(bool known, int64_t value)
{
    return known ? json_integer((json_int_t)value) : json_null();
}

static json_t *table_json(const um_choose_result *r)
{
    json_t *table = json_array();
    for (int64_t i = 0; i < r->rows; i++) {
        const um_choose_row *row = &r->row[i];
        json_array_append_new(
            table,
            json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "k",
                      (json_int_t)row->k, "singular_value", cli_json_real(row->singular_value),
                      "binned_singular_value", cli_json_real(row->binned_value), "scree",
                      cli_json_real(row->scree), "objective", cli_json_real(row->objective), "deviance",
                      cli_json_real(row->deviance), "deviance_error", cli_json_real(row->error),
                      "binned_deviance", cli_json_real(row->binned_deviance), "binned_deviance_error",
                      cli_json_real(row->binned_error), "entry_error", cli_json_real(row->entry_error),
                      "entry_spread", cli_json_real(row->entry_spread), "beyond_noise",
                      cli_json_real(row->beyond_noise), "median_cosine",
                      cli_json_real(row->median_cosine), "worst_cosine",
                      cli_json_real(row->worst_cosine), "start_cosine",
                      cli_json_real(row->start_cosine), "silhouette", cli_json_real(row->silhouette)));
    }
    return table;
}

static json_t *as_json(cli *c, const cli_scan *scan, const um_choose_result *r)
{
    json_t *object = json_pack("{s:I, s:I, s:I, s:b, s:s, s:b, s:o, s:b}", "recommended",
                               (json_int_t)r->recommended, "low", (json_int_t)r->low, "high",
                               (json_int_t)r->high, "structure", (int)r->structure, "why", r->why,
                               "counts", (int)r->counts, "gain",
                               r->counts ? cli_json_real(r->gain) : json_null(), "split", (int)r->split);
    json_t *values = json_array();
    for (int64_t i = 0; i < r->values; i++) {
        json_array_append_new(values, cli_json_real(r->singular_values[i]));
    }
    if (object != NULL) {
        json_object_set_new(object, "above_noise", integer_or_null(r->counts, r->above));
        json_object_set_new(object, "above_noise_binned",
                            integer_or_null(r->above_binned >= 0, r->above_binned));
        json_object_set_new(object, "held_out", integer_or_null(r->split, r->held_out));
        json_object_set_new(object, "held_out_best", integer_or_null(r->split, r->held_out_best));
        bool binned = r->split && r->binned_side > 0;
        json_object_set_new(object, "held_out_binned", integer_or_null(binned, r->held_out_binned));
        json_object_set_new(object, "held_out_binned_best",
                            integer_or_null(binned, r->held_out_binned_best));
        json_object_set_new(object, "held_out_entries",
                            integer_or_null(r->held_out_entries > 0, r->held_out_entries));
        json_object_set_new(object, "held_out_entries_best",
                            integer_or_null(r->held_out_entries > 0, r->held_out_entries_best));
        json_object_set_new(object, "more", json_boolean(r->more));
        json_object_set_new(object, "elbow", json_integer((json_int_t)r->elbow));
        json_object_set_new(object, "binned_side", json_integer((json_int_t)r->binned_side));
        json_object_set_new(object, "sampled", json_integer((json_int_t)r->sampled));
        json_object_set_new(object, "singular_values", values);
        json_object_set_new(object, "table", table_json(r));
        json_object_set_new(object, "reads", json_real(um_matrix_reads(scan->matrix)));
        json_object_set_new(object, "visits", json_real(um_matrix_visits(scan->matrix)));
        json_object_set_new(object, "seconds", json_real(cli_seconds() - c->started));
        json_object_set_new(object, "choose_seconds", json_real(r->seconds));
        json_object_set_new(object, "peak_bytes", json_integer((json_int_t)cli_peak_bytes()));
    }
    return object;
}

/* ---- for people ----------------------------------------------------------------------------- */

static void say_table(cli *c, const um_choose_result *r)
{
    char t[10][24];
    cli_say(c, "%3s  %15s  %19s  %9s  %8s  %15s  %6s  %10s", "", "singular value", "held-out deviance", "of binned", "held-out",
            "cosine of halves", "beyond", "");
    cli_say(c, "%3s  %7s %7s  %10s %8s  %9s  %8s  %7s %7s  %7s  %10s", "k", "scan", "binned", "per value", "+-", "per value",
            "entries", "median", "worst", "noise %", "silhouette");
    for (int64_t i = 0; i < r->rows; i++) {
        const um_choose_row *row = &r->row[i];
        cli_say(c, "%3lld%s %7s %7s  %10s %8s  %9s  %8s  %7s %7s  %7s  %10s", (long long)row->k,
                row->k == r->recommended ? "*" : " ", cli_number(row->singular_value, 3, t[0]),
                cli_number(row->binned_value, 3, t[1]), cli_number(row->deviance, 6, t[2]),
                cli_number(row->error, 6, t[3]), cli_number(row->binned_deviance, 5, t[4]),
                cli_number(row->entry_error, 5, t[5]), cli_number(row->median_cosine, 3, t[6]),
                cli_number(row->worst_cosine, 3, t[7]), cli_number(100 * row->beyond_noise, 2, t[8]),
                cli_number(row->silhouette, 3, t[9]));
    }
    cli_say(c, "    (singular values in units of the edge of noise)\n");
}

static void say(cli *c, const cli_scan *scan, const um_choose_result *r, json_t *files)
{
    char time[32];
    char memory[32];
    say_table(c, r);
    if (!r->structure) {
        cli_say(c, "no structure  one pattern, which only the counts vary about, describes every position");
    } else {
        cli_say(c, "components    %lld%s recommended; the evidence allows %lld to %lld%s", (long long)r->recommended,
                r->more && r->recommended == r->high ? " or more" : "", (long long)r->low, (long long)r->high,
                r->more ? " and more" : "");
    }
    cli_say(c, "why           %s", r->why);
    if (r->counts) {
        cli_say(c, "above noise   %lld singular values of the scan%s", (long long)r->above,
                r->above_binned >= 0 ? "" : " (too small to be binned)");
        if (r->above_binned >= 0) {
            cli_say(c, "              %lld of the scan summed over %lld x %lld positions",
                    (long long)r->above_binned, (long long)r->binned_side, (long long)r->binned_side);
        }
        cli_say(c, "gain          %.4g per count%s", r->gain,
                r->split ? "" : ": counts cannot be split, nothing is held out");
    }
    if (r->split) {
        cli_say(c, "held out      %lld to %lld components (halves of the counts of %lld positions)",
                (long long)r->held_out, (long long)r->held_out_best, (long long)r->sampled);
        if (r->binned_side > 0) {
            cli_say(c, "              %lld to %lld (binned)", (long long)r->held_out_binned,
                    (long long)r->held_out_binned_best);
        }
    }
    if (r->held_out_entries > 0) {
        cli_say(c, "              %lld to %lld (entries left out of the fit)", (long long)r->held_out_entries,
                (long long)r->held_out_entries_best);
    }
    cli_say(c, "elbow         %lld components (scree curve, for reference)", (long long)r->elbow);
    cli_say(c, "cost          %.2f reads of the file, %.2f visits of its patterns, %s, peak memory %s",
            um_matrix_reads(scan->matrix), um_matrix_visits(scan->matrix),
            cli_seconds_text(cli_seconds() - c->started, time),
            cli_bytes_text((double)cli_peak_bytes(), memory));
    for (size_t i = 0; i < json_array_size(files); i++) {
        cli_say(c, "%s%s", i == 0 ? "wrote         " : "              ",
                json_string_value(json_array_get(files, i)));
    }
}

static um_status store_json(cli *c, const cli_scan *scan, const um_choose_result *r, const char *path)
{
    json_t *object = as_json(c, scan, r);
    char *text = object != NULL ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    um_status status = text != NULL ? cli_write_text(c, path, text)
                                    : cli_fail(c, UM_ERROR_MEMORY, "no memory for %s", path);
    free(text);
    json_decref(object);
    return status;
}

static um_status store_page(cli *c, const cli_scan *scan, const um_choose_result *r, const char *path)
{
    char *command = cli_command_line(c->argc, c->argv);
    const um_choice_page page = {.scan = scan->path,
                                 .shape = um_matrix_get_info(scan->matrix)->shape,
                                 .command = command,
                                 .overwrite = c->force};
    um_status status = um_report_choice(c->ctx, r, path, &page);
    free(command);
    return status;
}

static um_status store(cli *c, const cli_scan *scan, const um_choose_result *r, json_t *files)
{
    um_status status = UM_OK;
    for (int i = 0; i < cli_count(c, "output") && status == UM_OK; i++) {
        const char *path = cli_text_at(c, "output", i);
        status = cli_has_suffix(path, ".json") ? store_json(c, scan, r, path)
                                               : store_page(c, scan, r, path);
        json_array_append_new(files, cli_json_text(path));
    }
    return status;
}

static um_status tell(cli *c, const cli_scan *scan, const um_choose_result *r)
{
    json_t *files = json_array();
    um_status status = store(c, scan, r, files);
    if (status == UM_OK && c->json) {
        json_t *object = as_json(c, scan, r);
        if (object != NULL) {
            json_object_set(object, "files", files);
        }
        status = cli_print_json(c, object);
    } else if (status == UM_OK) {
        say(c, scan, r, files);
    }
    json_decref(files);
    return status;
}

static um_status run(cli *c)
{
    cli_scan scan = {0};
    um_choose_result *result = NULL;
    um_choose_options choose = {.weights = (um_weights)cli_choice(c, "weights")};
    um_status status = read_range(c, &choose);
    for (int i = 0; i < cli_count(c, "output") && status == UM_OK; i++) {
        status = cli_check_output(c, cli_text_at(c, "output", i), ".html .json");
    }
    if (status == UM_OK) {
        status = cli_scan_prepare(c, c->operand[0], &scan);
    }
    if (status == UM_OK) {
        status = um_choose(scan.matrix, &choose, &result);
    }
    if (status == UM_OK) {
        status = tell(c, &scan, result);
    }
    um_choose_result_free(result);
    cli_scan_close(&scan);
    return status;
}

const cli_command cli_command_choose = {
    .name = "choose",
    .summary = "tell how many components a scan gives evidence for",
    .operands = "IN",
    .description =
        "Recommends a number of components and the range that the evidence allows, or says that there is "
        "no structure beyond one pattern and counting noise. For counts it looks at singular values "
        "against the edge of counting noise, splits every count into two halves so that models of one "
        "half are judged by the other, and matches the components of the halves and of different "
        "starts; then the same on the scan summed over small squares, where rare and faint states stand "
        "out. All numbers of components share one or two reads of the scan.\n\n"
        "Crystals that bend or change in thickness have more patterns than phases: the number told is "
        "that of distinguishable patterns.",
    .examples = "unmix choose scan.hspy # the table and the answer\n"
                "unmix choose scan.hspy --k 2..30 -o choice.html # more components; a page with a figure\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
