/* Where the chunks of an array lie, read from the file itself.
 *
 * Release 1.10 of libhdf5 tells a chunk's address only by walking over all chunks before it, and a chunk's bytes only
 * under its lock. The usual index, a version 1 B-tree that a version 3 layout message points to, is simple, and its
 * place follows from the object's address. Anything else, and anything that looks wrong, is left to the library. */
#include "hdf5_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PREFIX = 16,           /* of a version 1 object header */
    MOST_HEADER = 1 << 20, /* bytes of one block of messages */
    MOST_BLOCKS = 64,
    NODE_HEAD = 24,
    MOST_LEVELS = 16,
    MOST_CHILDREN = 4096,
    LAYOUT_MESSAGE = 8,
    CONTINUATION_MESSAGE = 16
};

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        value = value << 8 | p[i];
    }
    return value;
}

/* Through the page cache: what belongs together lies apart. */
static bool fetch(const um_file *file, void *dst, size_t count, uint64_t offset)
{
    return offset <= (uint64_t)file->size && count <= (uint64_t)file->size - offset &&
           pread(file->fd, dst, count, (off_t)offset) == (ssize_t)count;
}

/* ---- the object header ---------------------------------------------------------------------- */

typedef struct block {
    uint64_t address, size;
} block;

/* The address of the B-tree in a layout message of an array of `rank` dimensions; false if it is of another kind. */
static bool tree_of_layout(const unsigned char *message, size_t size, int rank, uint64_t *tree)
{
    const unsigned char version = 3;
    const unsigned char chunked = 2;
    if (size < 11 || message[0] != version || message[1] != chunked || message[2] != rank + 1) {
        return false;
    }
    *tree = little(message + 3, 8);
    return true;
}

/* Looks through one block of messages; more blocks are added to the list. 1: found, 0: not here, -1: wrong. */
static int search_block(const unsigned char *bytes, size_t size, int rank, block *list, int *blocks,
                        uint64_t *tree)
{
    for (size_t at = 0; size - at >= 8;) {
        unsigned type = (unsigned)little(bytes + at, 2);
        size_t length = (size_t)little(bytes + at + 2, 2);
        const unsigned char *message = bytes + at + 8;
        if (length > size - at - 8) {
            return -1;
        }
        if (type == LAYOUT_MESSAGE) {
            return tree_of_layout(message, length, rank, tree) ? 1 : -1;
        }
        if (type == CONTINUATION_MESSAGE && length >= 16 && *blocks < MOST_BLOCKS) {
            list[(*blocks)++] = (block){little(message, 8), little(message + 8, 8)};
        }
        at += 8 + length;
    }
    return 0;
}

static bool find_tree(const um_file *file, uint64_t header, int rank, uint64_t *tree)
{
    unsigned char prefix[PREFIX];
    block list[MOST_BLOCKS];
    int blocks = 1;
    int found = 0;
    if (!fetch(file, prefix, sizeof prefix, header) || prefix[0] != 1) {
        return false;
    }
    list[0] = (block){header + PREFIX, little(prefix + 8, 4)};
    for (int i = 0; i < blocks && found == 0; i++) {
        unsigned char *bytes = list[i].size <= MOST_HEADER ? malloc((size_t)list[i].size + 1) : NULL;
        found = bytes != NULL && fetch(file, bytes, (size_t)list[i].size, list[i].address)
                    ? search_block(bytes, (size_t)list[i].size, rank, list, &blocks, tree)
                    : -1;
        free(bytes);
    }
    return found == 1;
}

/* ---- the tree ------------------------------------------------------------------------------- */

typedef struct walk {
    const um_file *file;
    const um_h5_grid *grid;
    um_h5_chunk_entry *entries;
    size_t nodes, most_nodes;
} walk;

/* Key: u32 bytes, u32 mask, u64 offset for each dimension and one more. Chunks beyond the array's end are no harm. */
static bool take_chunk(walk *w, const unsigned char *key, uint64_t address)
{
    const um_h5_grid *g = w->grid;
    size_t index = 0;
    bool inside = true;
    for (int i = 0; i < g->rank; i++) {
        uint64_t offset = little(key + 8 + 8 * (size_t)i, 8);
        if (offset % g->chunk[i] != 0) {
            return false;
        }
        inside = inside && offset / g->chunk[i] < g->places[i];
        index = index * (size_t)g->places[i] + (size_t)(offset / g->chunk[i]);
    }
    if (inside) {
        w->entries[index] =
            (um_h5_chunk_entry){address, (uint32_t)little(key, 4), (uint32_t)little(key + 4, 4)};
    }
    return true;
}

static bool walk_node(walk *w, uint64_t address, int level) /* -1: any level */
{
    unsigned char head[NODE_HEAD];
    size_t key = 8 + 8 * ((size_t)w->grid->rank + 1);
    if (++w->nodes > w->most_nodes || !fetch(w->file, head, sizeof head, address) ||
        memcmp(head, "TREE\1", 5) != 0 || head[5] >= MOST_LEVELS ||
        (level >= 0 && head[5] != level)) {
        return false;
    }
    size_t children = (size_t)little(head + 6, 2);
    unsigned char *body = children <= MOST_CHILDREN ? malloc(children * (key + 8) + 1) : NULL;
    bool ok = body != NULL && fetch(w->file, body, children * (key + 8), address + NODE_HEAD);
    for (size_t i = 0; i < children && ok; i++) {
        const unsigned char *at = body + i * (key + 8);
        uint64_t child = little(at + key, 8);
        ok = head[5] == 0 ? take_chunk(w, at, child) : walk_node(w, child, head[5] - 1);
    }
    free(body);
    return ok;
}

/* ---- both ----------------------------------------------------------------------------------- */

static bool header_address(hid_t dataset, uint64_t *address)
{
    hid_t file = H5Iget_file_id(dataset);
    hid_t creation = file >= 0 ? H5Fget_create_plist(file) : -1;
    size_t of_addresses = 0;
    size_t of_lengths = 0;
    bool ok = creation >= 0 && H5Pget_sizes(creation, &of_addresses, &of_lengths) >= 0 &&
              of_addresses == 8 && of_lengths == 8;
    if (creation >= 0) {
        H5Pclose(creation);
    }
    if (file >= 0) {
        H5Fclose(file);
    }
#if H5_VERS_MAJOR == 1 && H5_VERS_MINOR <= 10
    H5O_info_t info;
#else
    H5O_info1_t info;
#endif
    if (!ok || H5Oget_info1(dataset, &info) < 0) {
        return false;
    }
    *address = (uint64_t)info.addr;
    return true;
}

/* Whether the library thinks the same of a few chunks. */
static bool library_agrees(hid_t dataset, const um_h5_grid *g, const um_h5_chunk_entry *entries)
{
    const size_t asked[3] = {0, g->total / 2, g->total - 1};
    for (int i = 0; i < 3; i++) {
        hsize_t offset[UM_H5_MAX_RANK];
        size_t rest = asked[i];
        for (int d = g->rank - 1; d >= 0; d--) {
            offset[d] = rest % g->places[d] * g->chunk[d];
            rest /= g->places[d];
        }
        hsize_t size = 0;
        if (H5Dget_chunk_storage_size(dataset, offset, &size) < 0) {
            size = 0; /* this is how it tells of a chunk that was never written */
        }
        if (size != entries[asked[i]].size) {
            return false;
        }
    }
    return true;
}

bool um_h5_index_read(hid_t dataset, const um_file *file, const um_h5_grid *grid,
                      um_h5_chunk_entry *entries)
{
    uint64_t header = 0;
    uint64_t tree = 0;
    walk w = {file, grid, entries, 0, 2 * grid->total + MOST_BLOCKS};
    if (!header_address(dataset, &header) || !find_tree(file, header, grid->rank, &tree)) {
        return false;
    }
    /* An address of all ones: nothing was ever written. */
    return (tree == UINT64_MAX || walk_node(&w, tree, -1)) && library_agrees(dataset, grid, entries);
}
