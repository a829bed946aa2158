#include "io_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>

/* libtiff's messages go here, not to stderr. */
typedef struct complaint {
    char text[160];
} complaint;

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list values)
{
    (void)tiff;
    (void)module;
    complaint *c = user;
    if (c->text[0] == '\0') {
        vsnprintf(c->text, sizeof c->text, format, values);
        for (char *p = c->text; *p != '\0'; p++) {
            *p = (unsigned char)*p < ' ' ? ' ' : *p;
        }
    }
    return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format,
                      va_list values)
{
    (void)tiff;
    (void)user;
    (void)module;
    (void)format;
    (void)values;
    return 1;
}

static TIFF *open_tiff(const char *path, const char *mode, complaint *c)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL) {
        return NULL;
    }
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, c);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, c);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)UM_ARRAY_LIMIT);
    TIFF *tiff = TIFFOpenExt(path, mode, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* ImageJ's own way for letters outside ASCII: \u00c5. */
static void escape_units(char *out, size_t size, const char *units)
{
    size_t n = 0;
    out[0] = '\0';
    for (const unsigned char *p = (const unsigned char *)units; *p != '\0' && n + 8 < size; p++) {
        if (*p < 0x80) {
            out[n++] = *p >= ' ' ? (char)*p : ' ';
            out[n] = '\0';
        } else if (*p >> 5 == 6 && p[1] >> 6 == 2) {
            n += (size_t)snprintf(out + n, size - n, "\\u%04x", (*p & 0x1fu) << 6 | (p[1] & 0x3fu));
            p++;
        } else if (*p >> 4 == 14 && p[1] >> 6 == 2 && p[2] >> 6 == 2) {
            n += (size_t)snprintf(out + n, size - n, "\\u%04x",
                                  (*p & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu));
            p += 2;
        }
    }
}

static char *imagej_description(int64_t pages, size_t count, const float *data, const char *units)
{
    char unit[128];
    double low = INFINITY;
    double high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(data[i])) {
            low = fmin(low, (double)data[i]);
            high = fmax(high, (double)data[i]);
        }
    }
    escape_units(unit, sizeof unit, units != NULL && units[0] != '\0' ? units : "pixel");
    if (!(low < high)) {
        low = 0.0;
        high = 1.0;
    }
    return um_format("ImageJ=1.53t\nimages=%lld\nslices=%lld\nunit=%s\nloop=false\nmin=%.9g\n"
                     "max=%.9g\n",
                     (long long)pages, (long long)pages, unit, low, high);
}

/* A directory without its pixels. */
static bool write_directory(TIFF *tiff, int64_t ny, int64_t nx, double scale,
                            const char *description)
{
    float resolution = scale > 0.0 && isfinite(scale) ? (float)(1.0 / scale) : 1.0f;
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)nx);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)ny);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 32);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_IEEEFP);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, (uint32_t)ny);
    TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_NONE);
    TIFFSetField(tiff, TIFFTAG_XRESOLUTION, resolution);
    TIFFSetField(tiff, TIFFTAG_YRESOLUTION, resolution);
    TIFFSetField(tiff, TIFFTAG_SOFTWARE, "unmix");
    if (description != NULL) {
        TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, description);
    }
    return TIFFDeferStrileArrayWriting(tiff) == 1 && TIFFWriteCheck(tiff, 0, "page") == 1 &&
           TIFFWriteDirectory(tiff) == 1;
}

/* ImageJ takes all pages of its own stacks from one run of pixels after the first page's offset, so
 * the directories go first and the pages follow without gaps. */
static bool write_pages(TIFF *tiff, int64_t pages, int64_t ny, int64_t nx, const float *data,
                        double scale, const char *description)
{
    tmsize_t bytes = (tmsize_t)((size_t)(ny * nx) * sizeof *data);
    for (int64_t i = 0; i < pages; i++) {
        if (!write_directory(tiff, ny, nx, scale, i == 0 ? description : NULL)) {
            return false;
        }
    }
    for (int64_t i = 0; i < pages; i++) {
        const float *page = data + (size_t)i * (size_t)(ny * nx);
        if (TIFFSetDirectory(tiff, (tdir_t)i) != 1 ||
            TIFFWriteEncodedStrip(tiff, 0, (void *)page, bytes) != bytes ||
            TIFFForceStrileArrayWriting(tiff) != 1) {
            return false;
        }
    }
    return true;
}

static um_status write_tiff(um_context *ctx, const char *part, int64_t pages, int64_t ny, int64_t nx,
                            const float *data, double scale, const char *units)
{
    complaint c = {""};
    size_t page = (size_t)(ny * nx);
    /* Classic TIFF ends at 4 GiB; leave room for the directories. */
    bool big = (uint64_t)page * (uint64_t)pages * 4 + (uint64_t)pages * 512 > 0xfff00000u;
    char *description = imagej_description(pages, page * (size_t)pages, data, units);
    TIFF *tiff = description != NULL ? open_tiff(part, big ? "w8" : "w", &c) : NULL;
    bool good = tiff != NULL;
    if (tiff != NULL) {
        good = write_pages(tiff, pages, ny, nx, data, scale, description);
        good = TIFFFlush(tiff) == 1 && good;
        TIFFClose(tiff);
    }
    free(description);
    return good && c.text[0] == '\0' ? UM_OK
                                     : um_fail(ctx, UM_ERROR_IO, "%s: cannot be written: %s", part,
                                               c.text[0] != '\0' ? c.text : "no memory");
}

um_status um_tiff_write(um_context *ctx, const char *path, int64_t pages, int64_t ny, int64_t nx,
                        const float *data, double scale, const char *units)
{
    size_t bytes = 0;
    char *part = NULL;
    if (pages <= 0 || ny <= 0 || nx <= 0 || ny > INT32_MAX || nx > INT32_MAX ||
        pages > UINT16_MAX - 1 || !um_mul4(pages, ny, nx, 4, &bytes)) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: cannot hold %lld pages of %lld x %lld", path,
                       (long long)pages, (long long)ny, (long long)nx);
    }
    UM_TRY(um_part_begin(ctx, path, true, &part));
    um_status status = write_tiff(ctx, part, pages, ny, nx, data, scale, units);
    if (status == UM_OK) {
        status = um_part_commit(ctx, part, path);
    } else {
        unlink(part);
    }
    free(part);
    return status;
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct page {
    uint32_t width, height;
    um_dtype dtype;
} page;

static um_status page_facts(um_context *ctx, const char *path, TIFF *tiff, page *out)
{
    uint16_t bits = 1;
    uint16_t samples = 1;
    uint16_t kind = SAMPLEFORMAT_UINT;
    out->width = 0;
    out->height = 0;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &out->width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &out->height);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &kind);
    char text[8];
    snprintf(text, sizeof text, "%c%u",
             kind == SAMPLEFORMAT_IEEEFP ? 'f'
             : kind == SAMPLEFORMAT_INT  ? 'i'
                                         : 'u',
             (unsigned)bits);
    if (samples != 1 || bits < 8 || !um_dtype_parse(text, &out->dtype)) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: has %u channels of %u bits: save grey pages of 8, 16 or 32 bits", path,
                       (unsigned)samples, (unsigned)bits);
    }
    if (out->width == 0 || out->height == 0) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: has a page without pixels", path);
    }
    return UM_OK;
}

static bool read_rows(TIFF *tiff, const page *p, unsigned char *dst, size_t row)
{
    if ((size_t)TIFFScanlineSize(tiff) != row) {
        return false;
    }
    for (uint32_t y = 0; y < p->height; y++) {
        if (TIFFReadScanline(tiff, dst + (size_t)y * row, y, 0) != 1) {
            return false;
        }
    }
    return true;
}

static bool read_tiles(TIFF *tiff, const page *p, unsigned char *dst, size_t row)
{
    uint32_t tile_width = 0;
    uint32_t tile_height = 0;
    size_t width = um_dtype_size(p->dtype);
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_height);
    size_t whole = (size_t)TIFFTileSize(tiff);
    if (tile_width == 0 || tile_height == 0 || whole > UM_ARRAY_LIMIT ||
        whole != (size_t)tile_width * tile_height * width) {
        return false;
    }
    unsigned char *tile = malloc(whole);
    bool good = tile != NULL;
    for (uint64_t y = 0; good && y < p->height; y += tile_height) {
        for (uint64_t x = 0; good && x < p->width; x += tile_width) {
            good = TIFFReadTile(tiff, tile, (uint32_t)x, (uint32_t)y, 0, 0) >= 0;
            uint64_t rows = p->height - y < tile_height ? p->height - y : tile_height;
            uint64_t columns = p->width - x < tile_width ? p->width - x : tile_width;
            for (uint64_t i = 0; good && i < rows; i++) {
                memcpy(dst + (y + i) * row + x * width, tile + i * tile_width * width,
                       columns * width);
            }
        }
    }
    free(tile);
    return good;
}

static um_status read_pages(um_context *ctx, const char *path, TIFF *tiff, const page *first,
                            int64_t pages, const complaint *c, um_array *array)
{
    size_t row = (size_t)first->width * um_dtype_size(first->dtype);
    for (int64_t i = 0; i < pages; i++) {
        page p;
        unsigned char *dst = (unsigned char *)array->data + (size_t)i * row * first->height;
        if (i > 0 && TIFFReadDirectory(tiff) != 1) {
            return um_fail(ctx, UM_ERROR_FORMAT, "%s: page %lld cannot be read: %s", path,
                           (long long)i + 1, c->text);
        }
        UM_TRY(page_facts(ctx, path, tiff, &p));
        if (p.width != first->width || p.height != first->height || p.dtype != first->dtype) {
            return um_fail(ctx, UM_ERROR_SHAPE,
                           "%s: page %lld is %ux%u but page 1 is %ux%u: all pages must agree", path,
                           (long long)i + 1, p.height, p.width, first->height, first->width);
        }
        bool good = TIFFIsTiled(tiff) ? read_tiles(tiff, &p, dst, row)
                                      : read_rows(tiff, &p, dst, row);
        if (!good) {
            return um_fail(ctx, UM_ERROR_FORMAT, "%s: the pixels of page %lld cannot be read: %s",
                           path, (long long)i + 1, c->text);
        }
    }
    if (TIFFLastDirectory(tiff) == 0) {
        return um_fail(ctx, UM_ERROR_TRUNCATED, "%s: ends after page %lld but names a further one",
                       path, (long long)pages);
    }
    return UM_OK;
}

um_status um_tiff_read(um_context *ctx, const char *path, um_array **out)
{
    *out = NULL;
    complaint c = {""};
    page first;
    um_array *array = NULL;
    TIFF *tiff = open_tiff(path, "rm", &c);
    if (tiff == NULL) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: cannot be read as TIFF: %s", path, c.text);
    }
    um_status status = page_facts(ctx, path, tiff, &first);
    int64_t pages = status == UM_OK ? (int64_t)TIFFNumberOfDirectories(tiff) : 0;
    if (status == UM_OK) {
        const int64_t shape[3] = {pages, first.height, first.width};
        status = pages > 1 ? um_array_make(ctx, path, first.dtype, 3, shape, &array)
                           : um_array_make(ctx, path, first.dtype, 2, shape + 1, &array);
    }
    if (status == UM_OK && TIFFSetDirectory(tiff, 0) != 1) {
        status = um_fail(ctx, UM_ERROR_FORMAT, "%s: cannot be read as TIFF: %s", path, c.text);
    }
    if (status == UM_OK) {
        status = read_pages(ctx, path, tiff, &first, pages > 0 ? pages : 1, &c, array);
    }
    TIFFClose(tiff);
    if (status != UM_OK) {
        um_array_free(array);
        return status;
    }
    *out = array;
    return UM_OK;
}
