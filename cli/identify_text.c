#include "identify_text.h"

#include <math.h>

static json_t *match_json(const um_identification *id, const um_match *m)
{
    if (m->phase < 0) {
        return json_null();
    }
    return json_pack("{s:o, s:[i,i,i], s:f, s:f, s:[f,f,f], s:f, s:i, s:f, s:f, s:f, s:[f,f], s:f}", "phase",
                     cli_json_text(id->phase[m->phase]), "zone", m->zone[0], m->zone[1], m->zone[2], "off_zone_mrad",
                     m->off_zone_mrad, "rotation_deg", m->rotation_deg, "euler_deg", m->euler_deg[0], m->euler_deg[1],
                     m->euler_deg[2], "score", m->score, "matched", m->matched, "explained", m->explained, "seen", m->seen,
                     "scale", m->scale, "shift_px", m->shift_y, m->shift_x, "ellipse_ratio", m->ellipse_ratio);
}

static json_t *component_json(const um_identification *id, int64_t c)
{
    const um_identified *i = &id->component[c];
    bool named = i->verdict == UM_VERDICT_PHASE;
    json_t *scores = json_object();
    for (size_t p = 0; p < id->phases; p++) {
        json_object_set_new(scores, id->phase[p], cli_json_real(i->score_of[p]));
    }
    const um_match *m = &i->best;
    return json_pack("{s:I, s:s, s:o, s:f, s:o, s:f, s:o, s:o, s:o, s:o, s:I, s:o, s:s, s:o}", "index", (json_int_t)c, "verdict",
                     um_verdict_word(i->verdict), "phase", named ? cli_json_text(id->phase[m->phase]) : json_null(), "score",
                     m->score, "runner_up", i->runner_up.phase >= 0 ? cli_json_text(id->phase[i->runner_up.phase]) : json_null(),
                     "margin", i->margin, "chance", cli_json_real(i->chance), "zone",
                     m->phase >= 0 ? json_pack("[i,i,i]", m->zone[0], m->zone[1], m->zone[2]) : json_null(), "best",
                     match_json(id, m), "second", match_json(id, &i->runner_up), "spots", (json_int_t)i->spots, "orientation",
                     named ? json_integer(i->orientation) : json_null(), "reason", i->reason, "scores", scores);
}

json_t *cli_identify_json(const um_identification *id)
{
    json_t *components = json_array(), *phases = json_array(), *relations = json_array();
    for (int64_t c = 0; c < id->k; c++) {
        json_array_append_new(components, component_json(id, c));
    }
    for (size_t p = 0; p < id->phases; p++) {
        json_array_append_new(phases, json_pack("{s:o, s:I}", "name", cli_json_text(id->phase[p]), "directions",
                                                (json_int_t)id->directions[p]));
    }
    for (size_t r = 0; r < id->relations; r++) {
        const um_relation *x = &id->relation[r];
        json_array_append_new(relations, json_pack("{s:[I,I], s:f, s:[f,f,f]}", "components", (json_int_t)x->a, (json_int_t)x->b,
                                                   "angle_deg", x->angle_deg, "axis", x->axis[0], x->axis[1], x->axis[2]));
    }
    return json_pack("{s:o, s:o, s:o, s:{s:f, s:[f,f], s:o, s:o, s:[o,o], s:o, s:f, s:f}}", "components", components, "phases",
                     phases, "orientations", relations, "calibration", "scale_per_A", id->scale_per_A, "center", id->cy, id->cx,
                     "scale_found", cli_json_real(id->scale), "scale_spread", cli_json_real(id->scale_spread), "center_shift_px",
                     cli_json_real(id->shift_y), cli_json_real(id->shift_x), "ellipse_ratio", cli_json_real(id->ellipse_ratio),
                     "voltage_kV", id->voltage_kV, "precession_mrad", id->precession_mrad);
}

void cli_identify_say(cli *c, const um_identification *id)
{
    cli_say(c, "component  name                 zone axis   off mrad  rotation deg  score  runner-up              margin  chance");
    for (int64_t k = 0; k < id->k; k++) {
        const um_identified *i = &id->component[k];
        const um_match *m = &i->best;
        bool named = i->verdict == UM_VERDICT_PHASE;
        char zone[40] = "-", chance[16] = "-";
        if (named) {
            snprintf(zone, sizeof zone, "[%d %d %d]", m->zone[0], m->zone[1], m->zone[2]);
        }
        if (isfinite(i->chance)) {
            snprintf(chance, sizeof chance, "%.1e", i->chance);
        }
        cli_say(c, "%9lld  %-19.19s  %-10s  %8.1f  %12.1f  %.3f  %-20.20s  %7.3f  %s", (long long)k,
                named ? id->phase[m->phase] : um_verdict_word(i->verdict), zone, named ? m->off_zone_mrad : NAN,
                named ? m->rotation_deg : NAN, m->score, i->runner_up.phase >= 0 ? id->phase[i->runner_up.phase] : "-",
                i->margin, chance);
        cli_say(c, "           %s", i->reason);
    }
    if (isfinite(id->scale)) {
        cli_say(c, "calibration: %.5g 1/\u00c5 per px, %+.2f %% of the given; centre (%.2f, %.2f) px; ellipse %.4f",
                id->scale_per_A * id->scale, 100.0 * (id->scale - 1.0), id->cy + id->shift_y, id->cx + id->shift_x,
                id->ellipse_ratio);
    }
}
