/* Opening the scan that a command works on, as its options say. */
#ifndef SCAN_H
#define SCAN_H

#include "cli.h"

typedef struct cli_scan {
    const char *path;
    um_source *source;
    um_recipe *recipe;
    um_matrix *matrix; /* after cli_scan_bind() */
} cli_scan;

/* Opens `path` with --scan, --allow-short and --raw. cli_scan_close() in every case. */
UM_CHECK um_status cli_scan_open(cli *c, const char *path, cli_scan *scan);
/* Makes the recipe from --recipe and the preparation options (these win), without touching data. */
UM_CHECK um_status cli_scan_recipe(cli *c, cli_scan *scan);
/* Binds the recipe to the source: learns from the data what the recipe needs. */
UM_CHECK um_status cli_scan_bind(cli *c, cli_scan *scan);
/* The three of them. */
UM_CHECK um_status cli_scan_prepare(cli *c, const char *path, cli_scan *scan);
void cli_scan_close(cli_scan *scan);

json_t *cli_json_shape(um_shape shape);
json_t *cli_json_axes(const um_axis axes[4]);
/* Parses the text as a JSON object; an empty one when it is none. */
json_t *cli_json_object(const char *text);

#endif
