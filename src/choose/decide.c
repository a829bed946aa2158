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

void um_choose_decide(um_choose_result *r)
{
    int64_t most = r->row[r->rows - 1].k;
    if (!r->counts) {
        r->recommended = least_of(r->elbow > 0 ? r->elbow : 1, most);
        r->low = 1;
        r->high = most;
        r->structure = true;
        r->why = "the values are not counts, so that nothing parts noise from structure: the elbow of the "
                 "scree curve is all there is";
        return;
    }
    int64_t spectrum = most_of(r->above, r->above_binned);
    int64_t low = spectrum;
    int64_t high = spectrum;
    if (r->split) {
        int64_t held = most_of(r->held_out, r->held_out_binned);
        low = least_of(low, held);
        high = most_of(high, held);
    }
    r->structure = high > 1;
    r->recommended = most_of(1, least_of(spectrum, most));
    r->low = most_of(1, least_of(low, most));
    r->high = most_of(1, least_of(high, most));
    r->why = "singular values above the edge of counting noise";
}
