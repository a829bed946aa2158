/* Parts of unmix simulate: settings from options and a spec, layouts, built-in specimens. */
#ifndef CLI_SIMULATE_H
#define CLI_SIMULATE_H

#include "cli.h"

extern const cli_option simulate_options[];
enum { SIMULATE_KEYS = 33 }; /* options without the end of the table */

/* What the command line and the spec file say, as text; the command line wins. */
typedef struct simulate_settings {
    cli *c;
    const char *spec;          /* path or the name of a specimen, or NULL */
    char *text[SIMULATE_KEYS]; /* from the spec; malloc'ed */
    char *kind;                /* of specimen, or NULL; malloc'ed */
    char **key, **value;       /* its parameters, in order; malloc'ed */
    int parameters;
    bool any_key;
    char error[256];
} simulate_settings;

um_status simulate_read_spec(simulate_settings *s);
void simulate_settings_free(simulate_settings *s);
/* Takes over value unless it fails, which is for want of memory. */
bool simulate_add_parameter(simulate_settings *s, const char *name, char *value);

const char *simulate_text(const simulate_settings *s, const char *name);
um_status simulate_size(const simulate_settings *s, const char *name, int64_t *rows, int64_t *columns);
um_status simulate_real(const simulate_settings *s, const char *name, double *out);
um_status simulate_integer(const simulate_settings *s, const char *name, int64_t *out);
um_status simulate_switch(const simulate_settings *s, const char *name, bool *on);
um_status simulate_instrument(const simulate_settings *s, um_instrument *instrument);

/* What was written. */
typedef struct simulate_made {
    um_shape shape;
    int64_t states, particles;
    double border_px; /* of a layout */
} simulate_made;

um_status simulate_layout(const simulate_settings *s, const um_instrument *instrument, const um_scene_files *files,
                          simulate_made *made);
um_status simulate_specimen(simulate_settings *s, const um_instrument *instrument, const um_scene_files *files,
                            simulate_made *made);
um_status simulate_list(const simulate_settings *s);

#endif
