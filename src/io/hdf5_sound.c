/* Are the stored chunks of a small dataset as long as they must be? */
#include "hdf5_internal.h"

#include <stdlib.h>

enum { MOST_CHUNKS = 256 };
static const hsize_t MOST_STORED = (hsize_t)1 << 20;

static bool chunk_sound(hid_t dataset, int rank, hsize_t index, const um_chunk_pipeline *pipeline,
                        size_t chunk_bytes)
{
    hsize_t offset[UM_H5_MAX_RANK];
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    if (H5Dget_chunk_info(dataset, H5S_ALL, index, offset, &mask, &address, &size) < 0 ||
        size > MOST_STORED) {
        return false;
    }
    if (rank < 1 || size == 0) {
        return false;
    }
    size_t capacity = um_chunk_capacity(chunk_bytes > size ? chunk_bytes : (size_t)size);
    um_bytes data = {malloc(capacity), (size_t)size, capacity};
    um_bytes other = {malloc(capacity), 0, capacity};
    uint32_t read_mask = 0;
    bool sound = data.data != NULL && other.data != NULL &&
                 H5Dread_chunk(dataset, H5P_DEFAULT, offset, &read_mask, data.data) >= 0 &&
                 um_chunk_decode(pipeline, read_mask, &data, &other, chunk_bytes) == NULL;
    free(data.data);
    free(other.data);
    return sound;
}

bool um_h5_chunks_sound(hid_t dataset)
{
    hid_t creation = H5Dget_create_plist(dataset);
    hid_t type = H5Dget_type(dataset);
    bool sound = true;
    if (H5Pget_layout(creation) == H5D_CHUNKED) {
        um_chunk_pipeline pipeline = {0};
        hsize_t chunk[UM_H5_MAX_RANK];
        hsize_t chunks = 0;
        size_t bytes = H5Tget_size(type);
        int rank = H5Pget_chunk(creation, UM_H5_MAX_RANK, chunk);
        sound = rank > 0 && rank <= UM_H5_MAX_RANK && um_h5_pipeline(creation, &pipeline) &&
                H5Dget_num_chunks(dataset, H5S_ALL, &chunks) >= 0 && chunks <= MOST_CHUNKS;
        for (int d = 0; sound && d < rank; d++) {
            sound = um_mul_size(bytes, (size_t)chunk[d], &bytes);
        }
        sound = sound && bytes <= MOST_STORED;
        for (hsize_t i = 0; sound && i < chunks; i++) {
            sound = chunk_sound(dataset, rank, i, &pipeline, bytes);
        }
    }
    H5Tclose(type);
    H5Pclose(creation);
    return sound;
}
