/* Components that are nearly the same, told as groups. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>

static const double ALIKE = 0.9; /* cosine */

/* group[c] = the first component that c is joined with by a chain of cosines above ALIKE. */
static void find_groups(const double *cosine, int64_t k, int64_t *group)
{
    for (int64_t c = 0; c < k; c++) {
        group[c] = c;
    }
    for (int64_t a = 0; a < k; a++) {
        for (int64_t b = a + 1; b < k; b++) {
            if (cosine[a * k + b] <= ALIKE || group[a] == group[b]) {
                continue;
            }
            int64_t from = group[a] < group[b] ? group[b] : group[a];
            int64_t to = group[a] < group[b] ? group[a] : group[b];
            for (int64_t c = 0; c < k; c++) {
                group[c] = group[c] == from ? to : group[c];
            }
        }
    }
}

/* "1, 2 and 5", with runs of three and more as "1–3". */
static void put_members(um_html *html, const int64_t *group, int64_t k, int64_t wanted)
{
    int64_t last = wanted;
    for (int64_t c = 0; c < k; c++) {
        last = group[c] == wanted ? c : last;
    }
    for (int64_t c = wanted; c <= last; c++) {
        if (group[c] != wanted) {
            continue;
        }
        int64_t end = c;
        while (end < last && group[end + 1] == wanted) {
            end++;
        }
        end = end - c >= 2 ? end : c;
        um_html_put(html, c == wanted ? "" : end == last ? " and " : ", ");
        um_html_format(html, "%lld", (long long)c);
        if (end > c) {
            um_html_format(html, "–%lld", (long long)end);
        }
        c = end;
    }
}

static void put_group(um_html *html, const double *cosine, const int64_t *group, int64_t k,
                      int64_t wanted)
{
    double low = 1;
    double high = 0;
    for (int64_t a = 0; a < k; a++) {
        for (int64_t b = a + 1; b < k; b++) {
            double v = cosine[a * k + b];
            if (group[a] == wanted && group[b] == wanted && v > ALIKE) {
                low = fmin(low, v);
                high = fmax(high, v);
            }
        }
    }
    put_members(html, group, k, wanted);
    if (high - low < 5e-4) {
        um_html_format(html, " (cosine %.3f)", high);
    } else {
        um_html_format(html, " (cosines %.3f to %.3f)", low, high);
    }
}

int um_alike_put(um_html *html, const double *cosine, int64_t k, const char *before,
                 const char *after)
{
    int64_t *group = calloc((size_t)k, sizeof *group);
    if (group == NULL) {
        html->failed = true;
        return 0;
    }
    find_groups(cosine, k, group);
    int told = 0;
    for (int64_t g = 0; g < k; g++) {
        int64_t members = 0;
        for (int64_t c = 0; c < k; c++) {
            members += group[c] == g;
        }
        if (members > 1) {
            um_html_put(html, before);
            put_group(html, cosine, group, k, g);
            um_html_put(html, after);
            told++;
        }
    }
    free(group);
    return told;
}
