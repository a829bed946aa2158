/* The tables of unmix score. */
#include "score_text.h"

#include <math.h>
#include <string.h>

enum { NUMBER = 24, LONGEST_NAME = 32 };

/* Numbers that have no meaning are a dash. */
static const char *number(double value, int decimals, char text[NUMBER])
{
    if (isfinite(value)) {
        snprintf(text, NUMBER, "%.*f", decimals, value);
    } else {
        snprintf(text, NUMBER, "-");
    }
    return text;
}

static const char *percent(double value, char text[NUMBER])
{
    return number(100.0 * value, 2, text);
}

/* Bytes to pad: names may hold letters of several bytes. */
static int padded(const char *name, int width)
{
    int more = 0;
    for (const char *p = name; *p != '\0'; p++) {
        more += ((unsigned char)*p & 0xC0) == 0x80;
    }
    return width + more;
}

static int name_width(const um_score_view *view)
{
    int width = 8;
    for (int64_t i = 0; i < view->count; i++) {
        int length = (int)strlen(view->name[i]) - (padded(view->name[i], 0)) + (int)view->background[i] * 2;
        width = length > width ? length : width;
    }
    return width < LONGEST_NAME ? width : LONGEST_NAME;
}

static void say_patterns(cli *c, const um_score *score)
{
    int width = name_width(&score->by_state);
    cli_say(c, "Patterns and maps of the matched components");
    cli_say(c, "%-*s %9s %8s %7s %14s %10s", width, "state", "component", "cosine", "dip", "shared lacking",
            "sharpness");
    for (int64_t t = 0; t < score->states; t++) {
        const um_state_score *state = &score->state[t];
        char component[NUMBER];
        snprintf(component, sizeof component, "%s", state->absent ? "absent" : "none");
        char shared[NUMBER] = "-";
        char a[NUMBER];
        char b[NUMBER];
        if (score->component_of[t] >= 0) {
            snprintf(component, sizeof component, "%lld", (long long)score->component_of[t]);
            snprintf(shared, sizeof shared, "%d of %d", (int)state->shared_missing, (int)state->shared);
        }
        cli_say(c, "%-*s %9s %8.5f %7s %14s %10s%s", padded(state->name, width), state->name, component,
                score->cosine[t], number(state->dip, 4, a), shared, number(state->sharpness, 2, b),
                state->geometry_only ? "  (positions of reflections only)" : "");
    }
}

static void say_nearest(cli *c, const um_score *score)
{
    cli_say(c, "\n%9s  %8s  %s", "component", "cosine", "nearest state");
    for (int64_t r = 0; r < score->components; r++) {
        int64_t counted = score->state_of[r];
        int64_t nearest = score->nearest_state[r];
        cli_say(c, "%9lld  %8.5f  %s%s%s%s", (long long)r, score->nearest_cosine[r], score->state[nearest].name,
                counted != nearest ? " (counted for " : "", counted != nearest ? score->state[counted].name : "",
                counted != nearest ? ")" : "");
    }
}

static void say_classes(cli *c, const char *title, const um_score_view *view)
{
    int width = name_width(view);
    cli_say(c, "\n%s", title);
    cli_say(c, "%-*s %9s %9s %9s %7s %7s %7s  %17s  %14s  %17s", width, "", "positions", "called", "precision",
            "recall", "F1", "IoU", "precision 1, 2 px", "recall 1, 2 px", "fraction bias rms");
    for (int64_t i = 0; i < view->count; i++) {
        const um_class_score *s = &view->classes[i];
        const um_fraction_score *f = &view->fractions[i];
        char text[10][NUMBER];
        char name[UM_SCORE_NAME + 3];
        snprintf(name, sizeof name, "%s%s", view->name[i], view->background[i] ? " *" : "");
        cli_say(c, "%-*s %9lld %9lld %9s %7s %7s %7s  %8s %8s  %6s %7s  %+9.4f %7s", padded(name, width), name,
                (long long)s->positions, (long long)s->called, number(s->precision, 4, text[0]),
                number(s->recall, 4, text[1]), number(s->f1, 4, text[2]), number(s->iou, 4, text[3]),
                number(s->precision_within[1], 4, text[4]), number(s->precision_within[2], 4, text[5]),
                number(s->recall_within[1], 4, text[6]), number(s->recall_within[2], 4, text[7]),
                f->mean_found - f->mean_true, number(f->rms, 4, text[8]));
    }
    char text[3][NUMBER];
    cli_say(c, "right                     %8s %%, within 1 px %s %%, within 2 px %s %%", percent(view->accuracy[0], text[0]),
            percent(view->accuracy[1], text[1]), percent(view->accuracy[2], text[2]));
    cli_say(c, "all called the commonest  %8s %%, within 1 px %s %%, within 2 px %s %%", percent(view->baseline[0], text[0]),
            percent(view->baseline[1], text[1]), percent(view->baseline[2], text[2]));
    if (isfinite(view->baseline_background[0])) {
        cli_say(c, "all called background *   %8s %%, within 1 px %s %%, within 2 px %s %%",
                percent(view->baseline_background[0], text[0]), percent(view->baseline_background[1], text[1]),
                percent(view->baseline_background[2], text[2]));
    }
    cli_say(c, "error of fractions        %8s rms", number(view->fraction_rms, 4, text[0]));
}

static void say_particle_row(cli *c, const char *name, int width, const um_particle_score *p)
{
    char text[6][NUMBER];
    char interval[2 * NUMBER] = "-";
    if (isfinite(p->density_found_low)) {
        snprintf(interval, sizeof interval, "%.4g .. %.4g", p->density_found_low, p->density_found_high);
    }
    cli_say(c, "%-*s %9lld %9lld %9lld %9s %9s %7lld %7lld %9s %9s  %-20s %9s", padded(name, width), name,
            (long long)p->particles, (long long)p->regions, (long long)p->hits, number(p->precision, 4, text[0]),
            number(p->recall, 4, text[1]), (long long)p->faint, (long long)p->merged,
            number(p->density_true, 1, text[2]), number(p->density_found, 1, text[3]), interval,
            percent(p->density_error, text[4]));
}

static void say_particles(cli *c, const um_score_view *view)
{
    if (view->particles == NULL) {
        return;
    }
    int width = name_width(view);
    cli_say(c, "\nParticles: regions of called maps that share a quarter of all their positions with one particle");
    cli_say(c, "%-*s %9s %9s %9s %9s %9s %7s %7s %9s %9s  %-20s %9s", width, "", "particles", "regions", "hits", "precision",
            "recall", "faint", "merged", "true/um2", "found/um2", "95 % by counting", "error %");
    for (int64_t i = 0; i < view->count; i++) {
        if (!view->background[i]) {
            say_particle_row(c, view->name[i], width, &view->particles[i]);
        }
    }
    say_particle_row(c, "all", width, &view->particles[view->count]);
}

static void say_crystals(cli *c, const um_crystal_score *x)
{
    char text[4][NUMBER];
    if (x == NULL) {
        return;
    }
    cli_say(c, "\nCrystals   %lld of %lld found, %lld segments: precision %s, recall %s, F1 %s, mean IoU %s",
            (long long)x->hits, (long long)x->particles, (long long)x->found, number(x->precision, 4, text[0]),
            number(x->recall, 4, text[1]), number(x->f1, 4, text[2]), number(x->iou, 4, text[3]));
    cli_say(c, "           %lld in a class of the right state; %lld are too thin for the least fraction anywhere",
            (long long)x->right_state, (long long)x->faint);
}

static bool phases_differ(const um_score *score)
{
    return score->by_phase.count > 0 && score->by_phase.count != score->by_state.count;
}

void cli_score_say(cli *c, const um_score *score)
{
    say_patterns(c, score);
    say_nearest(c, score);
    say_classes(c, "Positions by state; a component without a state counts for the nearest one", &score->by_state);
    say_particles(c, &score->by_state);
    if (phases_differ(score)) {
        say_classes(c, "Positions by phase", &score->by_phase);
        say_particles(c, &score->by_phase);
    }
    say_crystals(c, score->crystals);
    cli_say(c, "\nlabels right      %.3f %% by the strongest component of one to one (calling everything the commonest "
               "state: %.3f %%)",
            100.0 * score->label_accuracy, 100.0 * score->baseline);
    cli_say(c, "error of fractions %.4f rms of shares of counts, one to one", score->fraction_rms);
    if (score->components > score->states) {
        cli_say(c, "%lld components have no state; one to one, positions where one is strongest count as wrong",
                (long long)(score->components - score->states));
    }
    if (isfinite(score->cut_off_per_px)) {
        cli_say(c, "sharpness: power beyond %.3f per position, the cut-off of a probe of %.2f positions, in units of the truth's",
                score->cut_off_per_px, score->probe_px);
    } else {
        cli_say(c, "no sharpness: the probe is not known or too small for the scan step to see its cut-off (--probe)");
    }
}
