/* Scale bars, ticks, and the texts of numbers and units. */
#include "image_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Units as people write them; left as files do. */
static const char *const UNITS[][2] = {
    {"um", "µm"},          {"angstrom", "Å"},     {"A", "Å"},          {"$\\AA$", "Å"},
    {"1/nm", "nm⁻¹"},      {"nm^-1", "nm⁻¹"},     {"nm^{-1}", "nm⁻¹"}, {"$nm^{-1}$", "nm⁻¹"},
    {"1 / nm", "nm⁻¹"},    {"1/A", "Å⁻¹"},        {"1/Å", "Å⁻¹"},      {"A^-1", "Å⁻¹"},
    {"A^{-1}", "Å⁻¹"},     {"$A^{-1}$", "Å⁻¹"},   {"Å^-1", "Å⁻¹"},     {"$Å^{-1}$", "Å⁻¹"},
    {"$\\AA^{-1}$", "Å⁻¹"}, {"1/angstrom", "Å⁻¹"}, {"1/um", "µm⁻¹"},    {"1/µm", "µm⁻¹"},
    {"counts^2", "counts²"}, {"1 / Å", "Å⁻¹"},      {"A-1", "Å⁻¹"},        {"nm-1", "nm⁻¹"},
};

void um_units_pretty(const char *units, char pretty[32])
{
    const char *text = units != NULL ? units : "";
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (strcmp(text, UNITS[i][0]) == 0) {
            text = UNITS[i][1];
            break;
        }
    }
    snprintf(pretty, 32, "%s", text);
}

/* Writes n as superscript digits. */
static void append_power(char text[32], int n)
{
    static const char *const DIGITS[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char plain[16];
    snprintf(plain, sizeof plain, "%d", n);
    size_t used = strlen(text);
    for (const char *p = plain; *p != '\0'; p++) {
        const char *piece = *p == '-' ? "⁻" : DIGITS[*p - '0'];
        used += (size_t)snprintf(text + used, 32 - used, "%s", piece);
        used = used > 31 ? 31 : used;
    }
}

static void typographic_minus(char text[32])
{
    char copy[32];
    snprintf(copy, sizeof copy, "%s", text);
    if (copy[0] == '-') {
        snprintf(text, 32, "−%.28s", copy + 1);
    }
}

void um_number_text(double value, int digits, char text[32])
{
    if (!isfinite(value)) {
        snprintf(text, 32, "%s", isnan(value) ? "–" : value > 0 ? "∞" : "−∞");
        return;
    }
    double size = fabs(value);
    if (value == 0 || (size >= 1e-3 && size < 1e6)) {
        int whole = size >= 1 ? (int)floor(log10(size)) + 1 : 1;
        snprintf(text, 32, "%.*g", digits > whole ? digits : whole, value);
        typographic_minus(text);
        return;
    }
    int power = (int)floor(log10(size));
    double front = value / pow(10, power);
    char number[24];
    snprintf(number, sizeof number, "%.*g", digits, front);
    if (strcmp(number, "10") == 0 || strcmp(number, "-10") == 0) {
        power++;
        snprintf(number, sizeof number, "%.*g", digits, front / 10);
    }
    snprintf(text, 32, "%s×10", number);
    typographic_minus(text);
    append_power(text, power);
}

/* The largest of 1, 2, 5 x 10^n not above `limit`. */
static double round_down(double limit)
{
    double power = pow(10, floor(log10(limit)));
    static const double STEPS[] = {10, 5, 2, 1};
    for (int i = 0; i < 4; i++) {
        if (STEPS[i] * power <= limit * (1 + 1e-9)) {
            return STEPS[i] * power;
        }
    }
    return power;
}

double um_scale_bar_length(double extent, const char *units, char label[48])
{
    label[0] = '\0';
    if (!isfinite(extent) || extent <= 0) {
        return 0;
    }
    /* Of the round lengths, the one nearest to a fifth in ratio. */
    double low = round_down(extent / 5);
    double high = round_down(2.5 * low);
    double length = high / (extent / 5) < (extent / 5) / low ? high : low;
    char pretty[32];
    um_units_pretty(units, pretty);
    double shown = length;
    if (strcmp(pretty, "nm") == 0 && length >= 999.5) {
        shown = length / 1000;
        snprintf(pretty, sizeof pretty, "µm");
    }
    char number[32];
    um_number_text(shown, 1, number);
    snprintf(label, 48, "%.14s%s%.28s", number, "\u00A0", pretty[0] != '\0' ? pretty : "px");
    return length;
}

static int linear_ticks(const um_range *range, int about, double ticks[UM_TICKS])
{
    double span = range->high - range->low;
    double step = round_down(span / fmax(about - 1, 1) * 1.5);
    int count = 0;
    for (double i = ceil(range->low / step - 1e-9); count < UM_TICKS; i++) {
        double value = i * step;
        if (value > range->high + 1e-9 * span) {
            break;
        }
        ticks[count++] = value == 0 ? 0 : value;
    }
    return count;
}

/* Decades in the range; 2 and 5 between them when decades alone are fewer than three. */
static int log_ticks(const um_range *range, int about, double ticks[UM_TICKS])
{
    double least = fmax(range->low, 0) + 0.5 * range->floor;
    if (range->high <= least) {
        return 0;
    }
    int first = (int)floor(log10(least));
    int last = (int)floor(log10(range->high));
    int decades = last - first;
    int stride = decades / (about > 0 ? about : 1) + 1;
    bool between = decades < 3;
    static const double STEPS[] = {1, 2, 5};
    int count = 0;
    if (range->low == 0) {
        ticks[count++] = 0;
    }
    for (int power = first; power <= last; power += stride) {
        for (int i = 0; i < (between ? 3 : 1) && count < UM_TICKS; i++) {
            double value = STEPS[i] * pow(10, power);
            double t = um_range_fraction(range, value);
            double before = count > 0 ? um_range_fraction(range, ticks[count - 1]) : -1;
            if (value >= least && value <= range->high * (1 + 1e-9) && t - before > 0.06) {
                ticks[count++] = value;
            }
        }
    }
    return count;
}

int um_ticks_make(const um_range *range, int about, double ticks[UM_TICKS])
{
    if (range->empty || !(range->high > range->low)) {
        return 0;
    }
    int count = range->floor > 0 ? log_ticks(range, about, ticks)
                                 : linear_ticks(range, about > 3 ? about : 3, ticks);
    if (count < 2) { /* two numbers are the least that tell a scale */
        ticks[0] = range->low;
        ticks[1] = range->high;
        count = 2;
    }
    return count;
}

void um_tick_text(const double *ticks, int count, int i, char text[32])
{
    double largest = 0;
    double step = INFINITY;
    for (int j = 0; j < count; j++) {
        largest = fmax(largest, fabs(ticks[j]));
        if (j > 0) {
            step = fmin(step, ticks[j] - ticks[j - 1]);
        }
    }
    int digits = 2;
    if (isfinite(step) && step > 0 && largest > 0) {
        int more = count == 2 ? 1 : 0; /* two ends need not be round numbers */
        digits = more + (int)fmin(fmax(floor(log10(largest)) - floor(log10(step) + 1e-9) + 1, 1), 8);
    }
    um_number_text(ticks[i], digits, text);
}
