/* Are the stored chunks of a dataset as long as they must be? */
#include "hdf5_internal.h"

#include <stdlib.h>

static bool chunk_sound(hid_t dataset, hid_t space, hsize_t index, const um_chunk_pipeline *pipeline,
                        size_t chunk_bytes)
{
    hsize_t offset[UM_H5_MAX_RANK];
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    size_t capacity = um_chunk_capacity(chunk_bytes);
    if (H5Dget_chunk_info(dataset, space, index, offset, &mask, &address, &size) < 0 ||
        size == 0 || size > capacity) {
        return false;
    }
    um_bytes data = {malloc(capacity), (size_t)size, capacity};
    um_bytes other = {malloc(capacity), 0, capacity};
    uint32_t read_mask = 0;
    bool sound = data.data != NULL && other.data != NULL &&
                 H5Dread_chunk(dataset, H5P_DEFAULT, offset, &read_mask, data.data) >= 0 &&
                 um_chunk_decode(pipeline, read_mask, &data, &other, chunk_bytes, NULL) == NULL;
    free(data.data);
    free(other.data);
    return sound;
}

bool um_h5_chunks_sound(hid_t dataset, size_t most_bytes, hsize_t most_chunks)
{
    hid_t creation = H5Dget_create_plist(dataset);
    hid_t type = H5Dget_type(dataset);
    hid_t space = H5Dget_space(dataset); /* release 1.10 does not take H5S_ALL here */
    bool sound = true;
    if (H5Pget_layout(creation) == H5D_CHUNKED) {
        um_chunk_pipeline pipeline = {0};
        hsize_t chunk[UM_H5_MAX_RANK];
        hsize_t chunks = 0;
        size_t bytes = H5Tget_size(type);
        int rank = H5Pget_chunk(creation, UM_H5_MAX_RANK, chunk);
        sound = rank > 0 && rank <= UM_H5_MAX_RANK && um_h5_pipeline(creation, &pipeline) &&
                H5Dget_num_chunks(dataset, space, &chunks) >= 0 && chunks <= most_chunks;
        for (int d = 0; sound && d < rank; d++) {
            sound = um_mul_size(bytes, (size_t)chunk[d], &bytes);
        }
        sound = sound && bytes <= most_bytes;
        for (hsize_t i = 0; sound && i < chunks; i++) {
            sound = chunk_sound(dataset, space, i, &pipeline, bytes);
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Pclose(creation);
    return sound;
}
