/* What `unmix measure`, `unmix verify --spotcheck` and `unmix run` do with segmented scans. */
#ifndef MEASURE_JOB_H
#define MEASURE_JOB_H

#include "cli.h"

/* Options that say how scans are measured: shared by the commands that do. */
#define MEASURE_OPTIONS                                                                                          \
    {.name = "thickness", .kind = CLI_TEXT, .value = "[CONDITION=]NM|MAP", .repeat = true,                       \
     .help = "Thickness of the foil in nm, a number or a map of the scan (.npy, .tif, file.h5:/path): densities per " \
             "volume and fractions by volume follow."},                                                         \
    {.name = "log-ratio", .kind = CLI_TEXT, .value = "[CONDITION=]ZERO,ALL", .repeat = true,                     \
     .help = "Thickness from two maps, zero-loss and unfiltered intensity: t = L ln(ALL / ZERO); needs "        \
             "--mean-free-path."},                                                                              \
    {.name = "mean-free-path", .kind = CLI_REAL, .value = "NM", .least = 1e-6,                                   \
     .help = "L of --log-ratio: mean free path of inelastic scattering in nm."},                                \
    {.name = "height", .kind = CLI_TEXT, .value = "[PHASE=]none|diameter|length|width|NM", .repeat = true,      \
     .help = "How far particles reach along the beam, as their mean diameter, length or width, or in nm; their number " \
             "per volume is that per area / (thickness + height). Default none: what shows, per volume of the foil."}, \
    {.name = "step", .kind = CLI_REAL, .value = "NM", .least = 1e-6,                                             \
     .help = "Scan step in nm, in place of that of the models."}

/* Adds the models that `operands` name ("CONDITION=MODEL" or "MODEL") and makes the tables. */
UM_CHECK um_status measure_job_make(cli *c, const char *const *operands, int count, um_measure **out);
/* The object of --json. */
json_t *measure_job_json(const um_measure *m);
/* One row per particle, per scan and phase, per condition and phase; malloc'ed text of CSV with units in the header. */
char *measure_particles_csv(const um_measure *m);
char *measure_rows_csv(const um_measure *m, bool by_scan);
void measure_job_say(cli *c, const um_measure *m);
/* A cell of CSV: quoted where it has to be. NaN: an empty one. */
void measure_csv_text(FILE *out, const char *text);
void measure_csv_number(FILE *out, double value);

#endif
