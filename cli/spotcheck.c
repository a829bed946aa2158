#include "spotcheck.h"
#include "measure_job.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char HEADER[] = "number,particle,class,phase,y_px,x_px,y_nm,x_nm,length_nm,width_nm,area_px,phase_particles,verdict";
enum { PARTICLE = 1, PHASE = 3, VERDICT = 12, COLUMNS = 13, LONGEST = 4096 };

static um_status measure_result(cli *c, um_measure **out)
{
    um_model *model = NULL;
    um_measure *m = NULL;
    um_status status = cli_model_load(c, c->operand[0], &model);
    status = status == UM_OK ? um_measure_create(c->ctx, &m) : status;
    if (status == UM_OK) {
        um_measure_input input = {.name = c->operand[0], .path = c->operand[0], .model = model, .thickness_nm = NAN};
        status = um_measure_add(m, &input);
    }
    um_model_free(model);
    if (status != UM_OK) {
        um_measure_free(m);
        return status;
    }
    *out = m;
    return UM_OK;
}

/* ---- drawing ------------------------------------------------------------------------------------ */

static char *list_csv(const um_measure *m, const um_spot_check *spots, int64_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    fprintf(out, "%s\n", HEADER);
    for (int64_t i = 0; i < count; i++) {
        const um_measured *p = &m->particle[spots[i].particle];
        const um_measure_scan *s = &m->scan[p->scan];
        fprintf(out, "%lld,%lld,%d,", (long long)i + 1, (long long)p->id, (int)p->component);
        measure_csv_text(out, m->phase[p->phase].name);
        fprintf(out, ",%lld,%lld", (long long)p->at_y, (long long)p->at_x);
        const double values[] = {(double)p->at_y * s->step_y_nm, (double)p->at_x * s->step_x_nm, p->length_nm, p->width_nm};
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            fputc(',', out);
            measure_csv_number(out, values[k]);
        }
        fprintf(out, ",%lld,%lld,\n", (long long)p->positions, (long long)spots[i].phase_particles);
    }
    return fclose(out) == 0 ? text : NULL;
}

um_status spotcheck_draw(cli *c)
{
    const char *given = cli_text(c, "spots");
    char *path = given != NULL ? cli_format("%s", given) : cli_with_suffix(c->operand[0], "-spotcheck.csv");
    um_measure *m = NULL;
    um_spot_check *spots = NULL;
    int64_t drawn = 0;
    um_status status = path != NULL ? cli_check_output(c, path, ".csv") : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    status = status == UM_OK ? measure_result(c, &m) : status;
    status = status == UM_OK ? um_spotcheck_draw(m, cli_integer(c, "spotcheck"), &spots, &drawn) : status;
    if (status == UM_OK) {
        char *text = list_csv(m, spots, drawn);
        status = text != NULL ? cli_write_text(c, path, text) : cli_fail(c, UM_ERROR_MEMORY, "no memory");
        free(text);
    }
    if (status == UM_OK && c->json) {
        status = cli_print_json(c, json_pack("{s:I, s:I, s:I, s:o}", "drawn", (json_int_t)drawn, "particles",
                                             (json_int_t)m->particles, "seed", (json_int_t)um_context_seed(c->ctx), "file",
                                             cli_json_text(path)));
    } else if (status == UM_OK) {
        cli_say(c, "%lld of %lld particles drawn at random (seed %llu)", (long long)drawn, (long long)m->particles,
                (unsigned long long)um_context_seed(c->ctx));
        cli_say(c, "wrote %s", path);
        cli_say(c, "Look at each, write yes or no into the column verdict, and pass it as --verdicts.");
    }
    free(spots);
    free(path);
    um_measure_free(m);
    return status;
}

/* ---- verdicts ----------------------------------------------------------------------------------- */

/* Splits a line of CSV in place; quotes are taken away. Returns the number of fields. */
static int split(char *line, char *field[COLUMNS])
{
    int count = 0;
    char *read = line;
    while (count < COLUMNS) {
        char *write = read;
        bool quoted = *read == '"';
        field[count++] = write;
        read += quoted;
        while (*read != '\0' && (quoted || *read != ',')) {
            if (quoted && read[0] == '"' && read[1] != '"') {
                quoted = false;
                read++;
                continue;
            }
            read += quoted && read[0] == '"';
            *write++ = *read++;
        }
        bool more = *read == ',';
        *write = '\0';
        if (!more) {
            return count;
        }
        read++;
    }
    return COLUMNS + 1;
}

/* 1 right, 0 wrong, -1 not looked at, -2 not understood. */
static int verdict_of(const char *text)
{
    static const char *const yes[] = {"yes", "y", "1", "true", "right"};
    static const char *const no[] = {"no", "n", "0", "false", "wrong"};
    text += strspn(text, " \t");
    size_t length = strcspn(text, " \t");
    if (length == 0 || (length == 1 && text[0] == '?')) {
        return -1;
    }
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strlen(yes[i]) == length && strncasecmp(text, yes[i], length) == 0) {
            return 1;
        }
        if (strlen(no[i]) == length && strncasecmp(text, no[i], length) == 0) {
            return 0;
        }
    }
    return -2;
}

typedef struct tally {
    cli *c;
    const um_measure *m;
    const char *path;
    um_spot_verdicts *phase;
    int64_t unchecked;
    uint8_t *seen; /* by particle */
} tally;

static um_status take_line(tally *t, char *line, int64_t number)
{
    char *field[COLUMNS];
    int64_t id = 0;
    line[strcspn(line, "\r\n")] = '\0';
    if (split(line, field) != COLUMNS || !cli_parse_integer(field[PARTICLE], &id)) {
        return cli_fail(t->c, UM_ERROR_FORMAT, "%s: line %lld does not have the %d columns of the list", t->path,
                        (long long)number, (int)COLUMNS);
    }
    int64_t found = -1;
    for (int64_t i = 0; i < t->m->particles && found < 0; i++) {
        const um_measured *p = &t->m->particle[i];
        found = p->id == id && strcmp(t->m->phase[p->phase].name, field[PHASE]) == 0 ? i : -1;
    }
    if (found < 0 || t->seen[found]) {
        return cli_fail(t->c, UM_ERROR_VALUE, "%s: line %lld: %s %s: the list is of another result", t->path,
                        (long long)number, field[PHASE], found < 0 ? "has no such particle" : "has this particle twice");
    }
    int verdict = verdict_of(field[VERDICT]);
    if (verdict == -2) {
        return cli_fail(t->c, UM_ERROR_VALUE, "%s: line %lld: verdict '%s': write yes, no, or nothing where it was not looked at",
                        t->path, (long long)number, field[VERDICT]);
    }
    t->seen[found] = 1;
    um_spot_verdicts *v = &t->phase[t->m->particle[found].phase];
    v->checked += verdict >= 0;
    v->right += verdict == 1;
    t->unchecked += verdict < 0;
    return UM_OK;
}

static um_status read_list(tally *t)
{
    char line[LONGEST];
    FILE *file = fopen(t->path, "r");
    if (file == NULL) {
        return cli_fail(t->c, UM_ERROR_IO, "%s: cannot be opened: %s", t->path, strerror(errno));
    }
    um_status status = UM_OK;
    bool headed = fgets(line, sizeof line, file) != NULL && strncmp(line, HEADER, strlen(HEADER)) == 0;
    if (!headed) {
        status = cli_fail(t->c, UM_ERROR_FORMAT, "%s: is no list of unmix verify --spotcheck: its first line differs", t->path);
    }
    for (int64_t n = 2; status == UM_OK && fgets(line, sizeof line, file) != NULL; n++) {
        status = line[strspn(line, " \t\r\n")] != '\0' ? take_line(t, line, n) : UM_OK;
    }
    fclose(file);
    return status;
}

static json_t *proportion_json(um_estimate e)
{
    return json_pack("{s:o, s:o, s:o}", "value", cli_json_real(e.value), "low", cli_json_real(e.low), "high",
                     cli_json_real(e.high));
}

static um_status tell(const tally *t)
{
    const um_measure *m = t->m;
    int64_t checked = 0;
    int64_t right = 0;
    json_t *phases = json_array();
    cli_say(t->c, "%-28s %9s %8s %6s  %s", "phase", "particles", "checked", "right", "proportion (95 %)");
    for (int32_t i = 0; i < m->phases; i++) {
        const um_spot_verdicts *v = &t->phase[i];
        um_estimate e = um_spotcheck_proportion(v, 1);
        checked += v->checked;
        right += v->right;
        json_array_append_new(phases, json_pack("{s:o, s:I, s:I, s:I, s:o}", "phase", cli_json_text(m->phase[i].name),
                                                "particles", (json_int_t)v->particles, "checked", (json_int_t)v->checked,
                                                "right", (json_int_t)v->right, "proportion", proportion_json(e)));
        if (v->checked > 0) {
            cli_say(t->c, "%-28s %9lld %8lld %6lld  %.3f (%.3f .. %.3f)", m->phase[i].name, (long long)v->particles,
                    (long long)v->checked, (long long)v->right, e.value, e.low, e.high);
        } else {
            cli_say(t->c, "%-28s %9lld %8d %6s  -", m->phase[i].name, (long long)v->particles, 0, "-");
        }
    }
    um_estimate all = um_spotcheck_proportion(t->phase, m->phases);
    if (checked > 0) {
        cli_say(t->c, "%-28s %9lld %8lld %6lld  %.3f (%.3f .. %.3f)", "all", (long long)m->particles, (long long)checked,
                (long long)right, all.value, all.low, all.high);
    }
    if (!t->c->json) {
        json_decref(phases);
        return UM_OK;
    }
    return cli_print_json(t->c, json_pack("{s:I, s:I, s:I, s:o, s:o}", "checked", (json_int_t)checked, "right",
                                          (json_int_t)right, "unchecked", (json_int_t)t->unchecked, "proportion",
                                          proportion_json(all), "phases", phases));
}

um_status spotcheck_read(cli *c)
{
    um_measure *m = NULL;
    um_status status = measure_result(c, &m);
    if (status != UM_OK) {
        return status;
    }
    tally t = {.c = c, .m = m, .path = cli_text(c, "verdicts")};
    t.phase = calloc((size_t)m->phases + 1, sizeof *t.phase);
    t.seen = calloc((size_t)m->particles + 1, 1);
    status = t.phase != NULL && t.seen != NULL ? UM_OK : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    for (int64_t i = 0; status == UM_OK && i < m->particles; i++) {
        t.phase[m->particle[i].phase].particles++;
    }
    status = status == UM_OK ? read_list(&t) : status;
    status = status == UM_OK ? tell(&t) : status;
    free(t.phase);
    free(t.seen);
    um_measure_free(m);
    return status;
}
