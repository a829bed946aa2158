/* Scan files of instruments, with known content. */
#include "gen_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_f64(gen_bytes *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    gen_put_le(out, bits, 8);
}

static void blo_header(gen_bytes *out, const gen_blo *blo)
{
    gen_put_text(out, "IMGBLO");
    gen_put_le(out, blo->magic != 0 ? blo->magic : 0x0102, 2);
    gen_put_le(out, 0x1000, 4);
    gen_put_le(out, 0x1000 + (uint64_t)blo->nx * blo->ny, 4);
    gen_put_le(out, 131135, 4);
    gen_put_le(out, blo->side, 2);
    gen_put_le(out, 0, 2);
    gen_put_le(out, blo->nx, 2);
    gen_put_le(out, blo->ny, 2);
    gen_put_le(out, 2500, 2);
    put_f64(out, blo->step_nm);
    put_f64(out, blo->step_nm);
    gen_put_le(out, 200000, 4);
    gen_put_le(out, blo->sdp, 2);
    gen_put_le(out, 2000, 4);
    put_f64(out, 42339.65);
    gen_put_fill(out, 0, 240 - out->size);
}

void gen_blo_file(gen_bytes *out, const gen_blo *blo)
{
    int width = blo->bits == 16 ? 2 : 1;
    int64_t records = blo->records > 0 ? blo->records : (int64_t)blo->nx * blo->ny;
    int64_t pixels = (int64_t)blo->side * blo->side;
    blo_header(out, blo);
    gen_put_text(out, "Precession angle : 0.8\xb0\r\n"); /* a degree sign of Latin-1 */
    gen_put_text(out, blo->gamma_on ? "Camera gamma : on\r\n" : "Camera gamma : off\r\n");
    if (blo->bits == 16 && !blo->no_note) {
        gen_put_text(out, "Blo Bit Depth: 16 bits\r\n");
    }
    gen_put_fill(out, 0, 0x1000 - out->size);
    gen_put_fill(out, 7, (size_t)blo->nx * blo->ny);
    for (int64_t p = 0; p < records; p++) {
        gen_put(out, "\xaa\x55", 2);
        gen_put_le(out, (uint64_t)p, 4);
        for (int64_t q = 0; q < pixels; q++) {
            gen_put_le(out, gen_value(p, q, blo->limit), width);
        }
    }
}

void gen_mib_shape(const gen_mib *mib, int64_t *ky, int64_t *kx)
{
    *ky = mib->raw && mib->quad ? 2 * mib->rows : mib->rows;
    *kx = !mib->raw ? mib->width : mib->quad ? 512 : 256;
}

static void mib_header(gen_bytes *out, const gen_mib *mib, int64_t frame, int64_t *nanoseconds)
{
    char text[700];
    size_t size = mib->quad ? 768 : 384;
    int64_t width = !mib->raw ? mib->width : (mib->quad ? 1024 : 256) * (mib->depth == 24 ? 2 : 1);
    bool peak = mib->peak_line > 0 && frame >= mib->peak_first &&
                (frame - mib->peak_first) % mib->peak_line == 0;
    int64_t exposure_ns = peak ? 20000000 : 1000000;
    int64_t minute = *nanoseconds / 60000000000;
    double second = (double)(*nanoseconds % 60000000000) * 1e-9;
    int n = snprintf(text, sizeof text,
                     "MQ1,%06lld,%05zu,%02d,%04lld,%04lld,%c%02d,%6s,%s,2021-05-07 18:%02d:%09.6f,"
                     "%f,0,0,0,%s",
                     (long long)(mib->first_pattern + frame + 1), size, mib->quad ? 4 : 1,
                     (long long)width, (long long)mib->rows, mib->raw ? 'R' : 'U',
                     mib->raw ? 64 : mib->bits, mib->quad ? "2x2" : "1x1", mib->quad ? "0F" : "01",
                     (int)minute, second, 1e-9 * (double)exposure_ns,
                     mib->empty_thresholds ? "," : "4.0E+1,5.11E+2,0,0,0,0,0,0,3RX,011,511,");
    if (!mib->no_mq1a) {
        snprintf(text + n, sizeof text - (size_t)n,
                 "MQ1A,2021-05-07T16:%02d:%012.9fZ,%lldns,%d,", (int)minute, second,
                 (long long)exposure_ns, mib->depth);
    }
    size_t start = out->size;
    gen_put_text(out, text);
    gen_put_fill(out, 0, size - (out->size - start));
    bool line_end = mib->line > 0 && (frame + 1) % mib->line == 0;
    *nanoseconds += 2000000 + (line_end ? 20800 : 10 * (frame % 3));
}

static void processed_image(gen_bytes *out, const gen_mib *mib, int64_t p)
{
    for (int64_t q = 0; q < mib->rows * mib->width; q++) {
        gen_put_be(out, gen_value(p, q, mib->limit), mib->bits / 8);
    }
}

/* Pixels of a stored row in the order of the pattern: 256, or the four chips of a quad. */
static void stored_row(const gen_mib *mib, int64_t p, int64_t y, uint32_t *row)
{
    if (!mib->quad) {
        for (int64_t x = 0; x < 256; x++) {
            row[x] = gen_value(p, y * 256 + x, mib->limit);
        }
        return;
    }
    int64_t upper = y * 512;
    int64_t lower = (2 * mib->rows - 1 - y) * 512;
    for (int64_t x = 0; x < 256; x++) {
        row[768 + x] = gen_value(p, upper + x, mib->limit);
        row[512 + x] = gen_value(p, upper + 256 + x, mib->limit);
        row[256 + 255 - x] = gen_value(p, lower + x, mib->limit);
        row[255 - x] = gen_value(p, lower + 256 + x, mib->limit);
    }
}

/* Words of 64 bits, most significant byte first, the first pixel in the lowest bits. */
static void put_words(gen_bytes *out, const uint32_t *row, int64_t width, int bits_per_pixel,
                      int shift)
{
    int per_word = 64 / bits_per_pixel;
    uint64_t mask = bits_per_pixel == 1 ? 1 : bits_per_pixel == 8 ? 0xff : 0xfff;
    for (int64_t x = 0; x < width; x += per_word) {
        uint64_t word = 0;
        for (int i = 0; i < per_word; i++) {
            word |= (row[x + i] >> shift & mask) << (i * bits_per_pixel);
        }
        gen_put_be(out, word, 8);
    }
}

static void raw_image(gen_bytes *out, const gen_mib *mib, int64_t p)
{
    uint32_t row[1024];
    int64_t width = mib->quad ? 1024 : 256;
    int bits = mib->depth == 1 ? 1 : mib->depth == 6 ? 8 : 16;
    for (int half = mib->depth == 24 ? 0 : 1; half < 2; half++) {
        for (int64_t y = 0; y < mib->rows; y++) {
            stored_row(mib, p, y, row);
            put_words(out, row, width, bits, half == 0 ? 12 : 0);
        }
    }
}

void gen_mib_file(gen_bytes *out, const gen_mib *mib)
{
    int64_t nanoseconds = 51 * INT64_C(60000000000) + INT64_C(10905800928);
    for (int64_t i = 0; i < mib->frames; i++) {
        mib_header(out, mib, i, &nanoseconds);
        if (mib->raw) {
            raw_image(out, mib, mib->first_pattern + i);
        } else {
            processed_image(out, mib, mib->first_pattern + i);
        }
    }
}

void gen_mib_side(gen_bytes *out, const char *lines)
{
    gen_put_text(out, "HDR,\t\n");
    gen_put_text(out, lines);
    gen_put_text(out, "End\t");
    gen_put_fill(out, ' ', out->size < 2048 ? 2048 - out->size : 0);
}
