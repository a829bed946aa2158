/* unmix/specimen.h - specimens with a known answer: crystals placed in a volume and seen along the beam.
 *
 * Each built-in kind makes a um_scene from named parameters and the context's seed. The tables here are what the command
 * line and the documents print: there is no second list. Physics and its limits are in docs/specimens.md. */
#ifndef UNMIX_SPECIMEN_H
#define UNMIX_SPECIMEN_H

#include "unmix/crystal.h"
#include "unmix/scene.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum um_parameter_type {
    UM_PARAMETER_INTEGER,
    UM_PARAMETER_REAL,
    UM_PARAMETER_CHOICE,
    UM_PARAMETER_FILE /* a path, or "" for what is built in */
} um_parameter_type;

typedef struct um_specimen_parameter {
    const char *name;
    const char *unit; /* "" = none */
    um_parameter_type type;
    const char *preset;
    double low, high;    /* of numbers, both allowed */
    const char *choices; /* "one|two"; NULL for what is no choice */
    const char *help;    /* one line */
} um_specimen_parameter;

typedef struct um_specimen_kind {
    const char *name;
    const char *summary; /* one line */
    const um_specimen_parameter *parameter;
    size_t parameters;
} um_specimen_kind;

/* The kinds 0, 1, ...; NULL past the last. Static. */
UM_API const um_specimen_kind *um_specimen_kind_at(size_t index);
/* The kind of this name, or NULL. */
UM_API const um_specimen_kind *um_specimen_find(const char *name);

/* Makes the scene: parameters keys[i] = values[i] (text, as typed; a later one overrides an earlier), presets for the
 * others. The same kind, parameters and seed give the same bytes for any number of threads. Refused with one line:
 * an unknown kind or key, a value that is none or out of range, more than 64 crystals in one column.
 * Cost: about 2-20 ms of one core for each pattern of the library. Memory: that of the scene, and 24 bytes per pixel and
 * thread. The caller frees the scene with um_scene_free(). */
UM_CHECK UM_API um_status um_specimen_build(um_context *ctx, const char *kind, int n, const char *const *keys,
                                            const char *const *values, um_scene **out);

/* Names of the structures that specimens are made of and whose atoms are known, 0, 1, ...; NULL past the last. Static.
 * docs/specimens/structures.md has their origin. */
UM_API const char *um_structure_name(size_t index);
/* The structure of that name, all atoms of the cell; um_crystal_free(). UM_ERROR_ARGUMENT: there is none. */
UM_CHECK UM_API um_status um_structure_make(um_context *ctx, const char *name, um_crystal **out);

#ifdef __cplusplus
}
#endif
#endif
