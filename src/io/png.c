#include "io_internal.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

um_status um_png_encode(um_context *ctx, int64_t height, int64_t width, int channels,
                        const uint8_t *pixels, uint8_t **bytes, size_t *count)
{
    *bytes = NULL;
    *count = 0;
    if (height <= 0 || width <= 0 || height > 1000000 || width > 1000000 ||
        (channels != 3 && channels != 4)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "a PNG of %lld x %lld with %d channels is not possible",
                       (long long)height, (long long)width, channels);
    }
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_RGBA};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    uint8_t *buffer = malloc(size);
    if (buffer == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a PNG of %lld x %lld",
                       (long long)height, (long long)width);
    }
    if (png_image_write_to_memory(&image, buffer, &size, 0, pixels, 0, NULL) == 0) {
        free(buffer);
        return um_fail(ctx, UM_ERROR_IO, "a PNG could not be made: %s", image.message);
    }
    *bytes = buffer;
    *count = size;
    return UM_OK;
}

um_status um_png_write(um_context *ctx, const char *path, int64_t height, int64_t width,
                       int channels, const uint8_t *pixels)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    UM_TRY(um_png_encode(ctx, height, width, channels, pixels, &bytes, &count));
    um_status status = um_file_write(ctx, path, true, bytes, count);
    free(bytes);
    return status;
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct reader {
    um_context *ctx;
    const char *path;
    FILE *file;
    png_structp png;
    png_infop info;
    char message[128];
    um_array *array;
    unsigned char *row;
    uint32_t width, height;
    int channels, depth;
} reader;

static void png_failed(png_structp png, png_const_charp message)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void png_warned(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static um_status read_png_header(reader *r)
{
    png_set_user_limits(r->png, 100000, 100000);
    png_set_chunk_malloc_max(r->png, 8000000);
    png_init_io(r->png, r->file);
    png_read_info(r->png, r->info);
    r->width = png_get_image_width(r->png, r->info);
    r->height = png_get_image_height(r->png, r->info);
    if (png_get_color_type(r->png, r->info) == PNG_COLOR_TYPE_PALETTE) {
        png_set_palette_to_rgb(r->png);
    }
    png_set_expand_gray_1_2_4_to_8(r->png);
    png_set_strip_alpha(r->png);
    if (!UM_HOST_BIG_ENDIAN) {
        png_set_swap(r->png);
    }
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    r->channels = png_get_channels(r->png, r->info);
    r->depth = png_get_bit_depth(r->png, r->info);
    if ((r->channels != 1 && r->channels != 3) || (r->depth != 8 && r->depth != 16)) {
        return um_fail(r->ctx, UM_ERROR_UNSUPPORTED, "%s: is no grey or RGB picture", r->path);
    }
    return UM_OK;
}

/* Rec. 709 weights; a grey pixel keeps its exact value. */
static void luminance_row(const reader *r, const void *row, void *dst)
{
    for (size_t x = 0; x < r->width; x++) {
        double rgb[3];
        for (size_t c = 0; c < 3; c++) {
            rgb[c] = r->depth == 8 ? ((const uint8_t *)row)[3 * x + c]
                                   : ((const uint16_t *)row)[3 * x + c];
        }
        double grey = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2] + 0.5;
        if (r->depth == 8) {
            ((uint8_t *)dst)[x] = (uint8_t)grey;
        } else {
            ((uint16_t *)dst)[x] = (uint16_t)grey;
        }
    }
}

/* Interlaced files need the whole picture at once: libpng fills rows in seven turns. */
static um_status read_png_rows(reader *r)
{
    size_t row_bytes = png_get_rowbytes(r->png, r->info);
    size_t out_bytes = (size_t)r->width * (size_t)(r->depth / 8);
    size_t whole = 0;
    if (!um_mul_size(row_bytes, r->height, &whole) || whole > UM_ARRAY_LIMIT) {
        return um_fail(r->ctx, UM_ERROR_UNSUPPORTED, "%s: is a picture above 1 GiB", r->path);
    }
    const int64_t shape[2] = {r->height, r->width};
    UM_TRY(um_array_make(r->ctx, r->path, r->depth == 8 ? UM_U8 : UM_U16, 2, shape, &r->array));
    UM_TRY(um_budget_require(r->ctx, whole, r->path));
    r->row = malloc(whole);
    if (r->row == NULL) {
        return um_fail(r->ctx, UM_ERROR_MEMORY, "%s: no memory to read it", r->path);
    }
    int turns = png_get_interlace_type(r->png, r->info) == PNG_INTERLACE_NONE ? 1 : 7;
    for (int turn = 0; turn < turns; turn++) {
        for (size_t y = 0; y < r->height; y++) {
            png_read_row(r->png, r->row + y * row_bytes, NULL);
        }
    }
    for (size_t y = 0; y < r->height; y++) {
        unsigned char *dst = (unsigned char *)r->array->data + y * out_bytes;
        if (r->channels == 1) {
            memcpy(dst, r->row + y * row_bytes, out_bytes);
        } else {
            luminance_row(r, r->row + y * row_bytes, dst);
        }
    }
    return UM_OK;
}

/* Everything that libpng may leave by longjmp lives in *r, never in locals. */
static um_status read_png(reader *r)
{
    if (setjmp(png_jmpbuf(r->png)) != 0) {
        return um_fail(r->ctx, UM_ERROR_FORMAT, "%s: cannot be read as PNG: %s", r->path,
                       r->message);
    }
    UM_TRY(read_png_header(r));
    return read_png_rows(r);
}

um_status um_png_read(um_context *ctx, const char *path, um_array **out)
{
    *out = NULL;
    reader r = {.ctx = ctx, .path = path};
    um_status status = UM_OK;
    r.file = fopen(path, "rbe");
    if (r.file == NULL) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, png_failed, png_warned);
    r.info = r.png != NULL ? png_create_info_struct(r.png) : NULL;
    status = r.info != NULL ? read_png(&r)
                            : um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to read it", path);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    fclose(r.file);
    free(r.row);
    if (status != UM_OK) {
        um_array_free(r.array);
        return status;
    }
    *out = r.array;
    return UM_OK;
}
