/* Maps of classes. */
#include "image_internal.h"

#include <math.h>
#include <stdlib.h>

enum { DISTINCT = 8 };

void um_label_color(int64_t label, uint8_t rgb[3])
{
    static const uint8_t colors[DISTINCT][3] = {
        {0xE6, 0x9F, 0x00}, {0x56, 0xB4, 0xE9}, {0x00, 0x9E, 0x73}, {0xF0, 0xE4, 0x42},
        {0x00, 0x72, 0xB2}, {0xD5, 0x5E, 0x00}, {0xCC, 0x79, 0xA7}, {0x5A, 0x5A, 0x5A}};
    int64_t round = label >= 0 ? label / DISTINCT % 3 : 0;
    for (int i = 0; i < 3; i++) {
        int value = label >= 0 ? colors[label % DISTINCT][i] : 0xE4;
        rgb[i] = (uint8_t)(round == 1 ? value * 11 / 20 : round == 2 ? (value + 255) / 2 : value);
    }
}

um_status um_labels_render(um_context *ctx, const double *labels, int64_t ny, int64_t nx,
                           int min_size_px, uint8_t **pixels, int64_t *height, int64_t *width)
{
    int64_t longest = ny > nx ? ny : nx;
    int64_t factor = longest < min_size_px ? (min_size_px + longest - 1) / longest : 1;
    size_t size = 0;
    *height = ny * factor;
    *width = nx * factor;
    *pixels = um_mul4(*height, *width, 3, 1, &size) ? malloc(size) : NULL;
    if (*pixels == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a picture");
    }
    for (int64_t y = 0; y < *height; y++) {
        for (int64_t x = 0; x < *width; x++) {
            double label = labels[y / factor * nx + x / factor];
            uint8_t *rgb = *pixels + 3 * (y * *width + x);
            if (isnan(label)) {
                rgb[0] = rgb[1] = rgb[2] = (x + y) % 6 < 3 ? 255 : 190;
            } else {
                um_label_color((int64_t)label, rgb);
            }
        }
    }
    return UM_OK;
}
