/* Quantum Detectors Merlin .mib. Rows are delivered in the order of the file: nothing is flipped. */
#include "mib_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool mib_recognise(const um_probe *probe, const um_open_options *options)
{
    (void)options;
    return probe->dataset == NULL && probe->head_size >= 4 &&
           (memcmp(probe->head, "MQ1,", 4) == 0 || memcmp(probe->head, "HDR,", 4) == 0);
}

/* Calls with `count` frames of one file, beginning with frame `at` of it. */
static um_status read_processed(um_source *source, const um_mib_file *file, int64_t at,
                                int64_t count, unsigned char *dst)
{
    const um_mib *mib = source->state;
    um_frames frames = {.file = file->file,
                        .offset = mib->layout.header,
                        .stride = mib->layout.header + mib->layout.image,
                        .big_endian = true};
    return um_frames_run(source, file->path, &frames, at, count, dst);
}

/* Frames as stored that are fetched together before they are decoded. */
enum { RAW_BATCH_BYTES = 4 << 20 };

static int64_t raw_batch(const um_mib_layout *layout)
{
    return layout->image < RAW_BATCH_BYTES ? RAW_BATCH_BYTES / layout->image : 1;
}

static size_t raw_row(const um_mib_layout *layout)
{
    return 2 * (size_t)layout->raw_width * sizeof(uint16_t);
}

static um_status read_raw(um_source *source, const um_mib_file *file, int64_t at, int64_t count,
                          unsigned char *dst)
{
    const um_mib *mib = source->state;
    const um_mib_layout *layout = &mib->layout;
    size_t pattern = (size_t)(layout->ky * layout->kx) * um_dtype_size(layout->dtype);
    size_t stride = (size_t)(layout->header + layout->image);
    size_t row = raw_row(layout);
    int64_t batch = raw_batch(layout) < count ? raw_batch(layout) : count;
    unsigned char *scratch = NULL;
    UM_TRY(um_buffer_alloc(source->ctx, row + (size_t)(batch * layout->image), 1, "frames as stored",
                           &scratch));
    unsigned char *images = scratch + row;
    um_status status = UM_OK;
    for (int64_t i = 0; i < count && status == UM_OK; i += batch) {
        int64_t n = count - i < batch ? count - i : batch;
        status = um_file_gather(file->file, file->path, images, (size_t)layout->image, stride, n,
                                (at + i) * (int64_t)stride + layout->header);
        for (int64_t j = 0; j < n && status == UM_OK; j++) {
            um_mib_raw_decode(layout, images + j * layout->image, scratch,
                              dst + (size_t)(i + j) * pattern);
        }
    }
    um_buffer_free(source->ctx, scratch);
    return status;
}

/* Frames first .. first+count-1 of the series, cut at the ends of files. */
static um_status read_frames(um_source *source, int64_t first, int64_t count, unsigned char *dst)
{
    const um_mib *mib = source->state;
    const um_source_info *info = &source->info;
    size_t pattern = (size_t)(info->shape.ky * info->shape.kx) * um_dtype_size(info->dtype);
    for (int i = 0; i < mib->count && count > 0; i++) {
        const um_mib_file *file = &mib->files[i];
        int64_t at = first - file->first;
        if (at >= file->frames) {
            continue;
        }
        int64_t n = file->frames - at < count ? file->frames - at : count;
        UM_TRY(mib->layout.raw_width > 0 ? read_raw(source, file, at, n, dst)
                                         : read_processed(source, file, at, n, dst));
        first += n;
        count -= n;
        dst += (size_t)n * pattern;
    }
    return UM_OK;
}

static um_status mib_read(um_source *source, um_rect rect, void *dst)
{
    const um_mib *mib = source->state;
    const um_source_info *info = &source->info;
    size_t pattern = (size_t)(info->shape.ky * info->shape.kx) * um_dtype_size(info->dtype);
    bool rows_join = rect.nx == info->shape.nx;
    int64_t runs = rows_join ? 1 : rect.ny;
    int64_t count = rows_join ? rect.ny * rect.nx : rect.nx;
    for (int64_t i = 0; i < runs; i++) {
        int64_t first = mib->skip + (rect.y0 + i) * info->shape.nx + rect.x0;
        UM_TRY(read_frames(source, first, count, (unsigned char *)dst + (size_t)(i * count) * pattern));
    }
    return UM_OK;
}

static void mib_will_read(um_source *source, um_rect rect)
{
    const um_mib *mib = source->state;
    int64_t stride = mib->layout.header + mib->layout.image;
    int64_t first = mib->skip + rect.y0 * source->info.shape.nx + rect.x0;
    int64_t end = first + (rect.ny - 1) * source->info.shape.nx + rect.nx;
    if (rect.ny > 1 && rect.nx < source->info.shape.nx) {
        return; /* a part of rows: too much lies between */
    }
    for (int i = 0; i < mib->count; i++) {
        const um_mib_file *file = &mib->files[i];
        int64_t from = first > file->first ? first - file->first : 0;
        int64_t to = end - file->first < file->frames ? end - file->first : file->frames;
        if (from < to) {
            um_file_will_read(file->file, from * stride, (to - from) * stride);
        }
    }
}

static void mib_close(um_source *source)
{
    um_mib_series_close(source->state);
    source->state = NULL;
}

static const um_source_ops mib_ops = {mib_read, mib_close, mib_will_read, NULL, NULL};

static um_status read_first_header(um_context *ctx, const um_probe *probe, um_mib_header *header)
{
    const char *head = (const char *)probe->head;
    if (probe->head[0] == 'H') {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: is the side file of a Merlin scan: open the .mib beside it",
                       probe->path);
    }
    if (!um_mib_header_parse(head, probe->head_size, header)) {
        return um_fail(ctx, UM_ERROR_FORMAT,
                       "%s: begins like a Merlin frame but its header (size, width, height, pixel "
                       "type) is damaged",
                       probe->path);
    }
    if (header->size > probe->file_size) {
        return um_fail(ctx, UM_ERROR_TRUNCATED, "%s: ends inside its first header of %lld bytes",
                       probe->path, (long long)header->size);
    }
    if ((size_t)header->size <= probe->head_size) {
        return UM_OK;
    }
    char *bytes = malloc((size_t)header->size);
    int fd = open(probe->path, O_RDONLY | O_CLOEXEC);
    um_status status =
        bytes != NULL && fd >= 0
            ? um_pread_all(ctx, probe->path, fd, bytes, (size_t)header->size, 0)
            : um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened again", probe->path);
    size_t size = (size_t)header->size;
    if (status == UM_OK && !um_mib_header_parse(bytes, size, header)) {
        status = um_fail(ctx, UM_ERROR_FORMAT, "%s: its first frame header is damaged",
                         probe->path);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(bytes);
    return status;
}

static json_t *describe(const um_mib *mib, const um_mib_header *h, const char *how, json_t *side)
{
    json_t *m = json_object();
    json_t *thresholds = json_array();
    json_t *files = json_array();
    for (int i = 0; i < h->thresholds_given; i++) {
        json_array_append_new(thresholds, json_real(h->thresholds[i]));
    }
    for (int i = 0; i < mib->count; i++) {
        const char *slash = strrchr(mib->files[i].path, '/');
        const char *name = slash != NULL ? slash + 1 : mib->files[i].path;
        json_t *text = json_string(name);
        json_array_append_new(files, text != NULL ? text : um_json_latin1(name, strlen(name)));
    }
    json_object_set_new(m, "raw", json_boolean(h->kind == 'R'));
    json_object_set_new(m, "counter_depth", json_integer(h->depth));
    json_object_set_new(m, "chips", json_integer(h->chips));
    json_object_set_new(m, "layout", um_json_latin1(h->layout, strlen(h->layout)));
    json_object_set_new(m, "acquired",
                        um_json_latin1(h->utc_time[0] != '\0' ? h->utc_time : h->local_time,
                                       strlen(h->utc_time[0] != '\0' ? h->utc_time
                                                                     : h->local_time)));
    double exposure = h->exposure_ns >= 0.0 ? 1e-9 * h->exposure_ns : h->shutter_s;
    json_t *number = json_real(exposure); /* NULL for what is no finite number */
    if (number != NULL) {
        json_object_set_new(m, "exposure_s", number);
    }
    json_object_set_new(m, "thresholds_keV", thresholds);
    json_object_set_new(m, "frames", json_integer(mib->frames));
    json_object_set_new(m, "frames_skipped", json_integer(mib->skip));
    json_object_set_new(m, "scan_shape_from", json_string(how));
    json_object_set_new(m, "files", files);
    if (side != NULL) {
        json_object_set(m, "hdr", side);
    }
    return m;
}

/* Whole lines only, as an interrupted scan leaves them, unless the missing rest is asked for. */
static void keep_whole_lines(um_context *ctx, const um_probe *probe,
                             const um_open_options *options, int64_t frames, um_mib_scan *scan)
{
    int64_t lines = frames / scan->nx;
    if (scan->ny > lines && lines > 0 && !options->allow_short && !options->growing) {
        um_warn(ctx,
                "%s: scan of %lldx%lld was interrupted after %lld frames; its %lld whole lines are "
                "read (pass --allow-short to keep the rest)",
                probe->path, (long long)scan->ny, (long long)scan->nx, (long long)frames,
                (long long)lines);
        scan->ny = lines;
    }
}

static um_status shape_scan(um_context *ctx, const um_probe *probe, const um_open_options *options,
                            const json_t *side, um_mib *mib, um_source *source, const char **how)
{
    um_mib_scan scan = {1, mib->frames, 0, probe->part ? "parts" : "options"};
    if (options->scan_ny == 0 && options->scan_nx == 0 && !probe->part) {
        UM_TRY(um_mib_scan_find(ctx, mib, side, &scan));
        keep_whole_lines(ctx, probe, options, mib->frames - scan.skip, &scan);
    }
    mib->skip = scan.skip;
    *how = scan.how;
    return um_scan_shape(ctx, probe, options, scan.ny, scan.nx, mib->frames - scan.skip, source);
}

static um_status mib_open(um_context *ctx, const um_probe *probe, const um_open_options *options,
                          um_source *source)
{
    um_mib_header header;
    um_mib_header last;
    um_source_info *info = &source->info;
    const char *how = "";
    UM_TRY(read_first_header(ctx, probe, &header));
    um_mib *mib = calloc(1, sizeof *mib);
    if (mib == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to open it", probe->path);
    }
    source->ops = &mib_ops;
    source->state = mib;
    UM_TRY(um_mib_layout_find(ctx, probe->path, &header, &mib->layout));
    UM_TRY(um_mib_series_open(source, probe->path, &header, !probe->part, mib));
    UM_TRY(um_mib_frame_header(ctx, mib, mib->frames - 1, &last));
    info->dtype = mib->layout.dtype;
    info->shape.ky = mib->layout.ky;
    info->shape.kx = mib->layout.kx;
    json_t *side = um_mib_side_read(mib->files[0].path);
    um_status status = shape_scan(ctx, probe, options, side, mib, source, &how);
    if (status == UM_OK) {
        source->metadata = describe(mib, &header, how, side);
    }
    json_decref(side);
    UM_TRY(status);
    if (mib->layout.raw_width > 0) {
        info->scratch_bytes =
            raw_row(&mib->layout) + (size_t)(raw_batch(&mib->layout) * mib->layout.image);
    }
    um_axes_default(info->axes, info->shape);
    info->block_ny = 1;
    info->block_nx = info->shape.nx;
    return UM_OK;
}

const um_reader um_format_mib = {"mib", mib_recognise, mib_open};
