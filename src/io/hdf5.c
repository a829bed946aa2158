/* HDF5: HyperSpy, EMD, fpd, and any array in any other file. */
#include "hdf5_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1A, '\n'};

/* Behind a user block that is longer than the probe's head. */
static bool signature_further_on(const um_probe *probe)
{
    const int64_t longest = 1 << 20;
    int fd = open(probe->path, O_RDONLY | O_CLOEXEC);
    bool found = false;
    for (int64_t at = sizeof probe->head; fd >= 0 && !found && at <= longest; at *= 2) {
        unsigned char bytes[sizeof signature];
        found = pread(fd, bytes, sizeof bytes, at) == (ssize_t)sizeof bytes &&
                memcmp(bytes, signature, sizeof bytes) == 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    return found;
}

static bool recognise(const um_probe *probe, const um_open_options *options)
{
    (void)options;
    /* A user block of 512, 1024, ... bytes may come first. */
    for (size_t at = 0; at + sizeof signature <= probe->head_size; at = at == 0 ? 512 : 2 * at) {
        if (memcmp(probe->head + at, signature, sizeof signature) == 0) {
            return true;
        }
    }
    return probe->file_size > (int64_t)sizeof probe->head && signature_further_on(probe);
}

hid_t um_h5_open_file(const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) {
        return -1;
    }
    /* A scan that another program holds open, or on a file system without locks, can still be read. */
    H5Pset_file_locking(access, false, true);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file;
}

static um_status open_failure(um_context *ctx, const um_probe *probe)
{
    char reason[200];
    um_h5_reason(reason, sizeof reason);
    if (strstr(reason, "truncated") != NULL) {
        return um_fail(ctx, UM_ERROR_TRUNCATED,
                       "%s: the HDF5 file is cut off (%s): copy it again", probe->path, reason);
    }
    return um_fail(ctx, UM_ERROR_FORMAT, "%s: HDF5 cannot open this file (%s): it is damaged",
                   probe->path, reason[0] != '\0' ? reason : "no reason given");
}

/* The experiment of a HyperSpy file, else the whole file when it is small in things. */
static json_t *collect_metadata(hid_t file, const um_h5_found *found)
{
    json_t *metadata = json_object();
    if (metadata == NULL) {
        return NULL;
    }
    json_object_set_new(metadata, "dataset", json_string(found->path));
    const char *slash = strrchr(found->path, '/');
    bool hyperspy = strcmp(found->format, "hspy") == 0;
    char *from = hyperspy && slash != NULL
                     ? um_format("%.*s", (int)(slash - found->path), found->path)
                     : um_strdup("/");
    static const char *const parts[][2] = {{"metadata", "metadata"},
                                           {"mapped_parameters", "metadata"},
                                           {"original_metadata", "original_metadata"},
                                           {"original_parameters", "original_metadata"}};
    if (hyperspy && from != NULL) {
        char version[32];
        if (um_h5_attr_text(file, "file_format_version", version, sizeof version)) {
            json_object_set_new(metadata, "file_format_version", json_string(version));
        }
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            char *path = um_format("%s/%s", from, parts[i][0]);
            hid_t group = path != NULL ? H5Gopen2(file, path, H5P_DEFAULT) : -1;
            free(path);
            if (group >= 0) {
                json_object_set_new(metadata, parts[i][1], um_h5_group_json(group));
                H5Gclose(group);
            }
        }
    } else if (from != NULL) {
        hid_t group = H5Gopen2(file, from, H5P_DEFAULT);
        if (group >= 0) {
            json_object_set_new(metadata, "file", um_h5_group_json(group));
            H5Gclose(group);
        }
    }
    free(from);
    return metadata;
}

static um_status describe(um_context *ctx, const um_probe *probe, hid_t dataset, const char *path,
                          um_h5_layout *layout)
{
    hid_t type = H5Dget_type(dataset);
    bool number = type >= 0 && um_h5_element_type(type, layout);
    if (type >= 0) {
        H5Tclose(type);
    }
    if (!number) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: %s does not hold real numbers: name another array", probe->path, path);
    }
    if (!um_h5_extent(dataset, layout)) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: %s is not an array of 1 to %d dimensions",
                       probe->path, path, UM_H5_MAX_RANK);
    }
    for (int i = 0; i < layout->rank; i++) {
        if (layout->size[i] == 0) {
            return um_fail(ctx, UM_ERROR_SHAPE, "%s: %s is empty: dimension %d has length 0",
                           probe->path, path, i);
        }
    }
    return UM_OK;
}

static um_status open_found(um_context *ctx, const um_probe *probe, const um_open_options *options,
                            um_source *source, hid_t file, const um_h5_found *found)
{
    um_source_info *info = &source->info;
    um_h5_layout layout = {0};
    UM_TRY(describe(ctx, probe, found->dataset, found->path, &layout));
    UM_TRY(um_h5_calibrate(ctx, probe, file, found, &layout, info->axes));
    size_t bytes = 0;
    if (!um_mul4(layout.extent[0], layout.extent[1], layout.extent[2], layout.extent[3], &bytes) ||
        !um_mul_size(bytes, 8, &bytes) || bytes > (size_t)INT64_MAX) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: %s: the array is larger than memory can address",
                       probe->path, found->path);
    }
    info->format = found->format;
    info->dtype = layout.dtype;
    info->shape = (um_shape){0, 0, layout.extent[2], layout.extent[3]};
    UM_TRY(um_scan_shape(ctx, probe, options, layout.extent[0], layout.extent[1],
                         layout.extent[0] * layout.extent[1], source));
    info->axes[0].size = info->shape.ny;
    info->axes[1].size = info->shape.nx;
    source->metadata = collect_metadata(file, found);
    return um_h5_reader_attach(source, file, found->dataset, &layout);
}

static um_status open_source(um_context *ctx, const um_probe *probe, const um_open_options *options,
                             um_source *source)
{
    um_h5_guard guard;
    um_h5_enter(&guard);
    hid_t file = um_h5_open_file(probe->path);
    um_h5_found found = {.dataset = -1};
    um_status status = file >= 0 ? um_h5_find(ctx, probe, file, &found) : open_failure(ctx, probe);
    if (status == UM_OK) {
        status = open_found(ctx, probe, options, source, file, &found);
    }
    if (source->state == NULL) {
        if (found.dataset >= 0) {
            H5Dclose(found.dataset);
        }
        if (file >= 0) {
            H5Fclose(file);
        }
    }
    free(found.path);
    um_h5_leave(&guard);
    return status;
}

const um_reader um_format_hdf5 = {"hdf5", recognise, open_source};
