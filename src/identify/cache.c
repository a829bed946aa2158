/* Libraries kept on disk: a file per structure and settings, checked whole before it is believed. */
#include "identify_internal.h"

#include "sha256.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Raised whenever the same settings would give other patterns. */
static const char version[16] = "unmix-library-1";

typedef struct header {
    char version[16], key[64];
    int64_t views, spots, bytes;
    char digest[64]; /* of all that follows */
} header;

static void add_real(um_sha256 *sha, double value)
{
    um_sha256_add(sha, &value, sizeof value);
}

void um_library_key(const um_crystal *crystal, const um_beam_settings *beam, const um_identify_options *options,
                    char hex[65])
{
    um_sha256 sha;
    um_sha256_begin(&sha);
    um_sha256_add(&sha, version, sizeof version);
    for (int i = 0; i < 6; i++) {
        add_real(&sha, crystal->cell[i]);
    }
    for (size_t i = 0; i < crystal->atoms; i++) {
        const um_atom *a = &crystal->atom[i];
        const double values[6] = {(double)a->z, a->position[0], a->position[1], a->position[2], a->occupancy, a->b_iso_A2};
        um_sha256_add(&sha, values, sizeof values);
    }
    const double settings[8] = {beam->wavelength_A, beam->precession_rad, beam->width_per_A, beam->g_min_per_A,
                                beam->g_max_per_A, beam->merge_per_A, options->step_deg,
                                options->zones > 0 ? options->near_deg : 0.0};
    um_sha256_add(&sha, settings, sizeof settings);
    for (size_t i = 0; i < options->zones; i++) {
        um_sha256_add(&sha, options->zone[i], sizeof options->zone[i]);
    }
    um_sha256_end(&sha, hex);
}

static void digest(const um_library *l, char hex[65])
{
    um_sha256 sha;
    um_sha256_begin(&sha);
    um_sha256_add(&sha, l->view, (size_t)l->views * sizeof *l->view);
    um_sha256_add(&sha, l->spot, (size_t)l->spots * sizeof *l->spot);
    um_sha256_end(&sha, hex);
}

/* Numbers that the search can use whatever the digest says. */
static bool is_sound(const um_library *l)
{
    for (int64_t i = 0; i < l->views; i++) {
        const um_view_of *v = &l->view[i];
        if (v->first < 0 || v->count < 0 || v->first > l->spots - v->count || !(v->norm >= 0.0F)) {
            return false;
        }
        for (int k = 0; k < 9; k++) {
            if (!(fabs(v->orientation.m[k / 3][k % 3]) <= 1.001)) {
                return false;
            }
        }
    }
    for (int64_t i = 0; i < l->spots; i++) {
        const um_polar_spot *s = &l->spot[i];
        if (!(s->g >= 0.0F && s->g < 100.0F && s->angle >= 0.0F && s->angle <= 3.15F && isfinite(s->amplitude))) {
            return false;
        }
    }
    return true;
}

static char *path_of(const char *folder, const char *key)
{
    return um_format("%s/%s.library", folder, key);
}

static bool read_body(um_context *ctx, FILE *file, const char *key, um_library *l)
{
    static const int64_t most = (int64_t)1 << 32;
    header h;
    char hex[65];
    struct stat stat;
    if (fread(&h, sizeof h, 1, file) != 1 || memcmp(h.version, version, sizeof version) != 0 ||
        memcmp(h.key, key, sizeof h.key) != 0 || h.views < 0 || h.spots < 0 || h.views > most || h.spots > most ||
        h.bytes != h.views * (int64_t)sizeof *l->view + h.spots * (int64_t)sizeof *l->spot ||
        fstat(fileno(file), &stat) != 0 || stat.st_size != (off_t)sizeof h + h.bytes) {
        return false;
    }
    l->views = h.views;
    l->spots = h.spots;
    if (um_buffer_alloc(ctx, (size_t)h.views + 1, sizeof *l->view, "a library of patterns", &l->view) != UM_OK ||
        um_buffer_alloc(ctx, (size_t)h.spots + 1, sizeof *l->spot, "a library of patterns", &l->spot) != UM_OK) {
        return false;
    }
    bool whole = fread(l->view, sizeof *l->view, (size_t)h.views, file) == (size_t)h.views &&
                 fread(l->spot, sizeof *l->spot, (size_t)h.spots, file) == (size_t)h.spots;
    digest(l, hex);
    return whole && memcmp(hex, h.digest, sizeof h.digest) == 0 && is_sound(l);
}

bool um_library_recall(um_context *ctx, const char *folder, const char *key, um_library *library)
{
    char *path = path_of(folder, key);
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    bool good = false;
    if (file != NULL) {
        good = read_body(ctx, file, key, library);
        fclose(file);
        if (!good) {
            um_info(ctx, "identify: %s is not sound: made again", path);
        }
    }
    if (!good) {
        um_buffer_free(ctx, library->view);
        um_buffer_free(ctx, library->spot);
        library->view = NULL;
        library->spot = NULL;
        library->views = library->spots = 0;
    }
    free(path);
    return good;
}

/* Makes the folder and those above it. */
static void make_folder(const char *folder)
{
    char *path = um_strdup(folder);
    for (char *p = path; p != NULL && *p != '\0'; p++) {
        if (*p == '/' && p != path) {
            *p = '\0';
            (void)mkdir(path, 0777);
            *p = '/';
        }
    }
    (void)mkdir(folder, 0777);
    free(path);
}

void um_library_keep(um_context *ctx, const char *folder, const char *key, const um_library *library)
{
    header h = {.views = library->views, .spots = library->spots,
                .bytes = library->views * (int64_t)sizeof *library->view + library->spots * (int64_t)sizeof *library->spot};
    char hex[65];
    digest(library, hex);
    memcpy(h.version, version, sizeof version);
    memcpy(h.key, key, sizeof h.key);
    memcpy(h.digest, hex, sizeof h.digest);
    make_folder(folder);
    char *path = path_of(folder, key), *part = um_format("%s/%s.%ld.part", folder, key, (long)getpid());
    FILE *file = path != NULL && part != NULL ? fopen(part, "wb") : NULL;
    bool good = file != NULL && fwrite(&h, sizeof h, 1, file) == 1 &&
                fwrite(library->view, sizeof *library->view, (size_t)library->views, file) == (size_t)library->views &&
                fwrite(library->spot, sizeof *library->spot, (size_t)library->spots, file) == (size_t)library->spots;
    good = (file == NULL || fclose(file) == 0) && good;
    if (!good || rename(part, path) != 0) {
        um_info(ctx, "identify: libraries are not kept in %s: %s", folder, strerror(errno));
        if (file != NULL) {
            (void)remove(part);
        }
    }
    free(path);
    free(part);
}
