/* From evidence to a number and a range. */
#include "choose_internal.h"

static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Without counts there is no noise to compare with. */
static void decide_by_elbow(um_choose_result *r, int64_t most)
{
    r->recommended = least_of(most_of(r->elbow, 1), most);
    r->low = 1;
    r->high = most;
    r->structure = true;
    r->why = r->counts ? "values vary less than counts would (interpolated or averaged?), so nothing parts noise "
                         "from structure: the elbow of the scree curve is all there is"
                       : "the values are not taken for counts, so nothing parts noise from structure: the elbow of "
                         "the scree curve is all there is";
}

/* What decided, in words. spectrum, held: what singular values and held-out counts support, the binned scan's if
 * larger. */
static const char *reason(const um_choose_result *r, int64_t spectrum, int64_t held, int64_t most)
{
    if (spectrum > most) {
        return "more singular values are above the noise than components were compared: compare more (unmix choose --k 2..40); dozens are "
               "usual of polycrystals, whose grains unmix cluster may part better";
    }
    if (spectrum <= 1 && (!r->split || held <= 1)) {
        return "no singular value but the first is above the edge of counting noise";
    }
    if (r->above_binned > r->above) {
        return "the scan summed over small squares shows more states above the noise than the scan itself: they "
               "are faint";
    }
    if (held < spectrum) {
        return "singular values above the noise; the faintest of these states cannot be told from half of the "
               "counts";
    }
    return held > spectrum ? "singular values above the noise; held-out counts gain from more components"
                           : "singular values above the noise and held-out counts agree";
}

void um_choose_decide(um_choose_result *r)
{
    int64_t most = r->row[r->rows - 1].k;
    if (!r->counts || (!r->split && r->above > 1)) {
        decide_by_elbow(r, most);
        return;
    }
    int64_t spectrum = most_of(r->above, r->above_binned);
    r->more = spectrum > most;
    int64_t held = r->split ? most_of(r->held_out, r->held_out_binned) : spectrum;
    r->structure = spectrum > 1 || held > 1;
    /* Halves show less than the whole; left-out entries are told from most of it. */
    int64_t supported = r->split ? most_of(r->held_out_best, r->held_out_binned_best) : spectrum;
    supported = most_of(supported, r->held_out_entries_best);
    r->recommended = most_of(1, least_of(least_of(spectrum, supported), most));
    r->low = most_of(1, least_of(least_of(spectrum, held), most));
    r->high = most_of(1, least_of(most_of(spectrum, held), most));
    r->why = reason(r, spectrum, held, most);
}
