#include "run_methods.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const double NOTABLE = 1.2; /* squared residual by that of counting noise */
enum { FEW = 10 };                 /* particles: Garwood's interval is wider than 0.48 .. 1.84 times the number */

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* ---- limits ------------------------------------------------------------------------------------- */

UM_PRINTF(2, 3) static void limit(json_t *list, const char *format, ...)
{
    va_list arguments;
    char *line = NULL;
    va_start(arguments, format);
    if (vasprintf(&line, format, arguments) >= 0) {
        json_array_append_new(list, cli_json_text(line));
        free(line);
    }
    va_end(arguments);
}

static void limits_of_fit(json_t *list, const json_t *fit)
{
    const json_t *choice = json_object_get(fit, "choose");
    const json_t *nmf = json_object_get(fit, "nmf");
    if (json_is_false(json_object_get(choice, "structure"))) {
        limit(list, "The counts give no evidence for more than one pattern: %s", text(choice, "why"));
    } else if (number(choice, "low") < number(choice, "high")) {
        limit(list, "The evidence allows %.0f to %.0f components; %.0f were taken.", number(choice, "low"),
              number(choice, "high"), number(choice, "recommended"));
    }
    if (json_is_false(json_object_get(nmf, "converged"))) {
        limit(list, "The factorisation did not converge.");
    }
    if (number(nmf, "noise_ratio") > NOTABLE) {
        limit(list, "The model leaves %.3g times the squared residual of counting noise: something varies that %.0f components do "
                    "not describe.",
              number(nmf, "noise_ratio"), number(nmf, "k"));
    }
    const json_t *components = json_object_get(json_object_get(fit, "verify"), "components");
    int faults = 0;
    for (size_t i = 0; i < json_array_size(components); i++) {
        const json_t *suspicions = json_object_get(json_array_get(components, i), "suspicions");
        for (size_t k = 0; k < json_array_size(suspicions); k++) {
            faults += json_is_true(json_object_get(json_array_get(suspicions, k), "fault"));
        }
    }
    if (faults > 0) {
        limit(list, "%d suspicion%s that a component is no phase of its own: see the evidence below.", faults,
              faults == 1 ? "" : "s");
    }
    const json_t *verdict = json_object_get(json_object_get(fit, "verify"), "fit");
    if (json_is_true(json_object_get(verdict, "unmodelled"))) {
        limit(list, "Something is not in the model: %s", text(verdict, "unmodelled_reason"));
    }
}

static void limits_of_scans(json_t *list, const runner *r)
{
    const char *file = NULL;
    json_t *why = NULL;
    json_object_foreach(r->unparted, file, why) {
        limit(list, "%s has no particles: %s", file, json_string_value(why));
    }
}

/* Few particles and such as are larger than the field, a line each. */
static void limits_of_rows(json_t *list, const um_measure *m)
{
    int64_t few = 0;
    int64_t held = 0;
    int64_t crossing = 0;
    for (int64_t i = 0; i < m->condition_rows; i++) {
        const um_measure_row *row = &m->condition_row[i];
        held += row->particles > 0;
        few += row->particles > 0 && row->counted > 0 && row->counted < FEW;
        crossing += row->particles > 0 && row->counted <= 0;
    }
    if (few > 0) {
        limit(list, "%lld of %lld numbers stand on fewer than %d particles: read their intervals, which are wide.", (long long)few,
              (long long)held, (int)FEW);
    }
    if (crossing > 0) {
        limit(list, "%lld of %lld have only particles that reach from border to border (as a matrix does): no number follows.",
              (long long)crossing, (long long)held);
    }
}

static void limits_of_particles(json_t *list, const um_measure *m)
{
    int unnamed = 0;
    int bare = 0;
    int thin = 0;
    for (int32_t i = 0; i < m->phases; i++) {
        unnamed += !m->phase[i].named;
    }
    for (int32_t i = 0; i < m->scans; i++) {
        bare += !isfinite(m->scan[i].step_x_nm);
        thin += !isfinite(m->scan[i].thickness_nm);
    }
    if (m->particles == 0) {
        limit(list, "No particle was found: there is nothing to count.");
    }
    if (unnamed > 0) {
        limit(list, "%d of %d classes have no name of a phase: they are called by their number.", unnamed, (int)m->phases);
    }
    if (bare > 0) {
        limit(list, "%d of %d scans have no step in nm: they have no sizes and no densities.", bare, (int)m->scans);
    }
    if (thin > 0) {
        limit(list, "The thickness is not known for %d of %d scans: numbers are per area only, and fractions by volume take one "
                    "thickness for all positions.",
              thin, (int)m->scans);
    }
    limits_of_rows(list, m);
}

json_t *run_limits(const runner *r, const um_measure *m, const json_t *fit)
{
    json_t *list = json_array();
    limits_of_fit(list, fit);
    if (fit == NULL && r->plan.step[PLAN_NMF].wanted) {
        limit(list, "Every scan was factorised by itself: classes without a name are alike by number only.");
    }
    limits_of_scans(list, r);
    limits_of_particles(list, m);
    if (m->particles > 0) {
        limit(list, "No interval holds what the segmentation missed, joined or split: unmix verify --spotcheck draws particles to be "
                    "checked by another method.");
    }
    return list;
}

/* ---- methods ------------------------------------------------------------------------------------ */

static void write_scans(FILE *out, const runner *r, const um_measure *m)
{
    int64_t positions = 0;
    if (m->scans == 0) {
        fprintf(out, "%d scan%s analysed with unmix %s.", r->plan.file_count, r->plan.file_count == 1 ? " was" : "s were", um_version());
        return;
    }
    for (int32_t i = 0; i < m->scans; i++) {
        positions += m->scan[i].positions;
    }
    fprintf(out, "%d scan%s of %lld positions in all", (int)m->scans, m->scans == 1 ? "" : "s", (long long)positions);
    if (r->plan.conditions > 0) {
        fprintf(out, " (%d conditions: ", (int)m->conditions);
        for (int32_t i = 0; i < m->conditions; i++) {
            fprintf(out, "%s%s", i > 0 ? ", " : "", m->condition[i]);
        }
        fprintf(out, ")");
    }
    fprintf(out, " %s analysed with unmix %s.", m->scans == 1 ? "was" : "were", um_version());
    if (r->plan.recipe != NULL) {
        fprintf(out, " Patterns were prepared (");
        for (const char *line = r->plan.recipe; *line != '\0';) {
            size_t n = strcspn(line, "\n");
            fprintf(out, "%s%.*s", line == r->plan.recipe ? "" : "; ", (int)n, line);
            line += n + (line[n] != '\0');
        }
        fprintf(out, ").");
    }
}

static void write_fit(FILE *out, const runner *r, const json_t *fit)
{
    const json_t *choice = json_object_get(fit, "choose");
    const json_t *nmf = json_object_get(fit, "nmf");
    if (nmf == NULL) {
        return;
    }
    bool weighted = json_is_true(json_object_get(nmf, "weighted"));
    bool kl = json_is_string(json_object_get(nmf, "loss"));
    if (choice != NULL) {
        fprintf(out, " The number of components, %.0f, is the one for which there is evidence (%s; the evidence allows %.0f to %.0f).",
                number(choice, "recommended"), text(choice, "why"), number(choice, "low"), number(choice, "high"));
    }
    fprintf(out, " %s factorised into %.0f non-negative component patterns and their loadings, X = WH, by minimising %s",
            r->plan.joint ? "All scans were together" : "The scan was", number(nmf, "k"),
            kl         ? "the Kullback-Leibler divergence, which is the likelihood of Poisson counts"
            : weighted ? "the squared error with Poisson weights (Keenan and Kotula 2004)"
                       : "the squared error");
    fprintf(out, " (start: %s, seed %.0f). The fit %s: projected gradient %.2g of that of the empty model", text(nmf, "start"),
            number(nmf, "seed"), json_is_true(json_object_get(nmf, "converged")) ? "converged" : "did not converge",
            number(nmf, "kkt"));
    if (isfinite(number(nmf, "noise_ratio"))) {
        fprintf(out, ", mean squared residual %.4g of that of counting noise", number(nmf, "noise_ratio"));
    }
    fprintf(out, ".");
}

static void write_phases(FILE *out, const runner *r, const um_measure *m)
{
    int named = 0;
    for (int32_t i = 0; i < m->phases; i++) {
        named += m->phase[i].named;
    }
    fprintf(out, "\n\nComponents of one crystal were joined, background was left out, and the maps of the classes were cut into "
                 "particles (unmix segment; parameters below); a position may belong to several crystals.");
    if (r->plan.step[PLAN_IDENTIFY].wanted) {
        fprintf(out, " Patterns of classes were compared with kinematic patterns of the candidate structures (unmix identify); "
                     "%d of %d classes of particles were given a name.",
                named, (int)m->phases);
    }
}

static void write_numbers(FILE *out, const um_measure *m)
{
    bool scatter = false;
    bool height = false;
    bool thick = false;
    for (int64_t i = 0; i < m->condition_rows; i++) {
        scatter = scatter || m->condition_row[i].per_um2.scatter || m->condition_row[i].area_fraction.scatter;
        height = height || m->condition_row[i].height_nm > 0;
        thick = thick || isfinite(m->condition_row[i].per_um3.value);
    }
    fprintf(out, "\n\n%lld particles were measured. Lengths and widths are the sides of the rectangle with the second moments of a "
                 "particle, of those that the border does not cut, weighted by (W \u2212 1)(H \u2212 1) / ((W \u2212 1 \u2212 w)(H \u2212 1 \u2212 h)) for "
                 "a particle of w x h in a field of W x H positions (Miles 1974; Lantu\u00e9joul 1978). For numbers, a particle at one "
                 "border counts one half, at two that meet one quarter, at opposite ones nothing.",
            (long long)m->particles);
    if (thick) {
        fprintf(out, " Numbers per volume are those per area divided by the thickness%s.",
                height ? " plus the extent of the particles along the beam" : " of the foil");
    }
    fprintf(out, " Intervals hold 95 %%: of weighted counts and of fractions by area and volume those of Fay and Feuer (1997), which "
                 "for whole counts are Garwood's (1936); of fractions by count Wilson's (1927); of mean sizes Student's.");
    if (m->scans > m->conditions) {
        fprintf(out, " Where scans of a condition differ by more than counting (chi-squared test, 5 %%) %s.",
                scatter ? "the scatter between scans was taken, by Student's t" : "their scatter would be taken; none do");
    }
}

char *run_methods_text(const runner *r, const um_measure *m, const json_t *fit)
{
    char *all = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&all, &size);
    if (out == NULL) {
        return NULL;
    }
    write_scans(out, r, m);
    write_fit(out, r, fit);
    if (m->scans > 0) {
        write_phases(out, r, m);
        write_numbers(out, m);
    }
    return fclose(out) == 0 ? all : NULL;
}

/* ---- parameters --------------------------------------------------------------------------------- */

static void write_step(FILE *out, const runner *r, const plan_step *step)
{
    char *words[PLAN_ROOM];
    const char *file = r->plan.files[0];
    cli sub = {0};
    if (plan_command(r->c, &r->plan, step, &file, 1, NULL, 0, words, &sub) == UM_OK) {
        fprintf(out, "[%s]\n", step->command->name);
        for (const cli_option *o = step->command->options; o != NULL && o->name != NULL; o++) {
            const char *value = o->kind == CLI_SWITCH ? (cli_given(&sub, o->name) ? "yes" : "no") : cli_text(&sub, o->name);
            for (int i = 0; o->repeat && i < cli_count(&sub, o->name); i++) {
                fprintf(out, "%s = %s\n", o->name, cli_text_at(&sub, o->name, i));
            }
            if (value != NULL && !(o->repeat && cli_count(&sub, o->name) > 0)) {
                fprintf(out, "%s = %s\n", o->name, value);
            }
        }
        fprintf(out, "\n");
    }
    sub.ctx = NULL; /* borrowed */
    cli_clear(&sub);
}

char *run_parameters_text(const runner *r, const json_t *provenance)
{
    static const char *const learnt[] = {"segmentation", "calibration"};
    char *all = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&all, &size);
    if (out == NULL) {
        return NULL;
    }
    fprintf(out, "unmix %s, seed %llu\n\n", um_version(), (unsigned long long)um_context_seed(r->c->ctx));
    if (r->plan.recipe != NULL) {
        fprintf(out, "[prep]\n%s\n", r->plan.recipe);
    }
    for (int i = 0; i < PLAN_STAGES; i++) {
        if (r->plan.step[i].wanted) {
            write_step(out, r, &r->plan.step[i]);
        }
    }
    for (size_t i = 0; i < sizeof learnt / sizeof learnt[0]; i++) {
        const json_t *value = json_object_get(provenance, learnt[i]);
        char *words = value != NULL ? json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
        if (words != NULL) {
            fprintf(out, "%s, as done: %s\n\n", learnt[i], words);
        }
        free(words);
    }
    return fclose(out) == 0 ? all : NULL;
}
