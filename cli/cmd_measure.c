/* unmix measure: particles of segmented scans, and what they tell of phases and conditions. */
#include "measure_job.h"

#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT", .repeat = true,
     .help = "A file .json (everything), .csv (particles) or .html (the page), or a folder for all of them: measure.json, "
             "particles.csv, scans.csv, conditions.csv, measure.html."},
    MEASURE_OPTIONS,
    {.name = "title", .kind = CLI_TEXT, .value = "TEXT", .help = "Title of the page."},
    {0}};

static const char SUFFIXES[] = ".json .csv .html";

static bool is_file(const char *path)
{
    return cli_has_suffix(path, ".json") || cli_has_suffix(path, ".csv") || cli_has_suffix(path, ".html");
}

static um_status check_outputs(cli *c)
{
    static const char *const names[] = {"measure.json", "particles.csv", "scans.csv", "conditions.csv", "measure.html"};
    um_status status = UM_OK;
    for (int i = 0; i < cli_count(c, "output") && status == UM_OK; i++) {
        const char *path = cli_text_at(c, "output", i);
        if (is_file(path)) {
            status = cli_check_output(c, path, SUFFIXES);
            continue;
        }
        status = cli_check_folder(c, path);
        for (size_t k = 0; k < sizeof names / sizeof names[0] && status == UM_OK; k++) {
            char *file = cli_format("%s/%s", path, names[k]);
            status = file != NULL ? cli_check_output(c, file, SUFFIXES) : cli_fail(c, UM_ERROR_MEMORY, "no memory");
            free(file);
        }
    }
    return status;
}

/* Writes text that was made for it; takes it over. */
static um_status write_text(cli *c, const char *path, char *text, json_t *files)
{
    um_status status = text != NULL ? cli_write_text(c, path, text) : cli_fail(c, UM_ERROR_MEMORY, "no memory for %s", path);
    json_array_append_new(files, cli_json_text(path));
    free(text);
    return status;
}

static um_status write_page(cli *c, const um_measure *m, const char *path, json_t *files)
{
    char *command = cli_command_line(c->argc, c->argv);
    um_series_page page = {.title = cli_text(c, "title"), .command = command, .overwrite = c->force};
    um_status status = um_report_series(c->ctx, m, path, &page);
    json_array_append_new(files, cli_json_text(path));
    free(command);
    return status;
}

static um_status write_file(cli *c, const um_measure *m, const char *path, json_t *files)
{
    if (cli_has_suffix(path, ".html")) {
        return write_page(c, m, path, files);
    }
    if (cli_has_suffix(path, ".csv")) {
        return write_text(c, path, measure_particles_csv(m), files);
    }
    json_t *object = measure_job_json(m);
    char *text = object != NULL ? json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(object);
    return write_text(c, path, text, files);
}

static um_status write_folder(cli *c, const um_measure *m, const char *folder, json_t *files)
{
    char *path[] = {cli_format("%s/particles.csv", folder), cli_format("%s/scans.csv", folder),
                    cli_format("%s/conditions.csv", folder), cli_format("%s/measure.json", folder),
                    cli_format("%s/measure.html", folder)};
    bool fine = true;
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        fine = fine && path[i] != NULL;
    }
    um_status status = fine ? write_file(c, m, path[0], files) : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    status = status == UM_OK ? write_text(c, path[1], measure_rows_csv(m, true), files) : status;
    status = status == UM_OK ? write_text(c, path[2], measure_rows_csv(m, false), files) : status;
    status = status == UM_OK ? write_file(c, m, path[3], files) : status;
    status = status == UM_OK ? write_file(c, m, path[4], files) : status;
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        free(path[i]);
    }
    return status;
}

static um_status tell(cli *c, const um_measure *m, json_t *files)
{
    if (c->json) {
        json_t *object = measure_job_json(m);
        if (object != NULL) {
            json_object_set(object, "files", files);
        }
        return cli_print_json(c, object);
    }
    measure_job_say(c, m);
    for (size_t i = 0; i < json_array_size(files); i++) {
        cli_say(c, "wrote %s", json_string_value(json_array_get(files, i)));
    }
    return UM_OK;
}

static um_status run(cli *c)
{
    um_measure *m = NULL;
    json_t *files = json_array();
    um_status status = c->operands > 0 ? check_outputs(c)
                                       : cli_fail(c, UM_ERROR_ARGUMENT, "name at least one result of unmix segment");
    status = status == UM_OK ? measure_job_make(c, c->operand, c->operands, &m) : status;
    for (int i = 0; status == UM_OK && i < cli_count(c, "output"); i++) {
        const char *path = cli_text_at(c, "output", i);
        status = is_file(path) ? write_file(c, m, path, files) : write_folder(c, m, path, files);
    }
    status = status == UM_OK ? tell(c, m, files) : status;
    json_decref(files);
    um_measure_free(m);
    return status;
}

const cli_command cli_command_measure = {
    .name = "measure",
    .summary = "measure and count the particles of segmented scans, with 95 % intervals",
    .operands = "[CONDITION=]MODEL...",
    .description =
        "A table of the particles of results of unmix segment: phase (unmix identify names it, else the class), area, "
        "equivalent diameter, length, width, orientation, place, mean fraction and loading, and which border cuts it. And per "
        "scan and per condition: number per area and per volume, fractions of phases by count, area and volume, mean sizes. "
        "Several models of one condition are several scans of it.\n\n"
        "A particle that touches one border of the scan counts one half, two borders that meet a quarter, opposite ones "
        "nothing: over fields side by side each particle then counts once. Mean sizes are those of particles that no border "
        "cuts, weighted by how seldom one of their size is not cut.\n\n"
        "Intervals hold 95 %: of counts Garwood's exact one, with weights and for fractions by area and volume that of Fay and "
        "Feuer, for fractions by count Wilson's, of mean sizes Student's. Where several scans of a condition differ by more "
        "than counting (chi-squared test at 5 %), the scatter between scans is told instead, by Student's t. What a "
        "segmentation misses, or finds twice, no interval here holds: see unmix verify --spotcheck.",
    .examples = "unmix measure segmented.hspy # tables\n"
                "unmix measure 0h=a.hspy 12h=b.hspy 12h=c.hspy --thickness 80 -o measured # CSV, JSON and a page\n",
    .options = options,
    .least_operands = 0, /* a run in which nothing was segmented parses these options as well */
    .most_operands = -1,
    .run = run,
};
