#include "gen_files.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void give_up(const char *what)
{
    perror(what);
    abort();
}

void gen_put(gen_bytes *bytes, const void *data, size_t count)
{
    if (count == 0) {
        return;
    }
    if (bytes->size + count > bytes->capacity) {
        bytes->capacity = 2 * (bytes->size + count);
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (bytes->data == NULL) {
            give_up("realloc");
        }
    }
    memcpy(bytes->data + bytes->size, data, count);
    bytes->size += count;
}

void gen_put_text(gen_bytes *bytes, const char *text)
{
    gen_put(bytes, text, strlen(text));
}

void gen_put_fill(gen_bytes *bytes, int value, size_t count)
{
    unsigned char byte = (unsigned char)value;
    for (size_t i = 0; i < count; i++) {
        gen_put(bytes, &byte, 1);
    }
}

void gen_put_le(gen_bytes *bytes, uint64_t value, int width)
{
    for (int i = 0; i < width; i++) {
        unsigned char byte = (unsigned char)(value >> (8 * i));
        gen_put(bytes, &byte, 1);
    }
}

void gen_put_be(gen_bytes *bytes, uint64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        unsigned char byte = (unsigned char)(value >> (8 * i));
        gen_put(bytes, &byte, 1);
    }
}

void gen_clear(gen_bytes *bytes)
{
    free(bytes->data);
    *bytes = (gen_bytes){0};
}

void gen_folder_make(char folder[256])
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, 256, "%s/unmix prüfung ü Å-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(folder) == NULL) {
        give_up(folder);
    }
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

void gen_folder_remove(const char *folder)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void gen_path(char path[512], const char *folder, const char *name)
{
    snprintf(path, 512, "%s/%s", folder, name);
}

void gen_write(const char *path, const void *data, size_t count)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || (count > 0 && fwrite(data, 1, count, file) != count) ||
        fclose(file) != 0) {
        give_up(path);
    }
}

uint32_t gen_value(int64_t p, int64_t q, uint32_t limit)
{
    uint64_t x = ((uint64_t)p + 1) * 0x9E3779B97F4A7C15u + ((uint64_t)q + 1) * 0xC2B2AE3D27D4EB4Fu;
    x ^= x >> 29;
    x *= 0xBF58476D1CE4E5B9u;
    x ^= x >> 32;
    return (uint32_t)(x & (limit - 1u));
}

void gen_npy_head(gen_bytes *out, int version, const char *dictionary)
{
    size_t fixed = version == 1 ? 10 : 12;
    size_t whole = (fixed + strlen(dictionary) + 1 + 63) / 64 * 64;
    unsigned char magic[8] = {0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)version, 0};
    gen_put(out, magic, 8);
    gen_put_le(out, whole - fixed, version == 1 ? 2 : 4);
    gen_put_text(out, dictionary);
    gen_put_fill(out, ' ', whole - fixed - strlen(dictionary) - 1);
    gen_put_fill(out, '\n', 1);
}

static void put_element(gen_bytes *out, const char *descr, uint32_t value)
{
    int width = descr[2] - '0';
    uint64_t bits = value;
    if (descr[1] == 'f' && width == 4) {
        float number = (float)value;
        uint32_t word;
        memcpy(&word, &number, 4);
        bits = word;
    } else if (descr[1] == 'f') {
        double number = value;
        memcpy(&bits, &number, 8);
    }
    if (descr[0] == '>') {
        gen_put_be(out, bits, width);
    } else {
        gen_put_le(out, bits, width);
    }
}

void gen_npy(gen_bytes *out, int version, const char *descr, int ndim, const int64_t *shape,
             uint32_t limit)
{
    char text[256];
    int n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    int64_t count = 1;
    for (int i = 0; i < ndim; i++) {
        n += snprintf(text + n, sizeof text - (size_t)n, "%lld,", (long long)shape[i]);
        count *= shape[i];
    }
    snprintf(text + n, sizeof text - (size_t)n, "), }");
    gen_npy_head(out, version, text);
    int64_t pixels = ndim >= 3 ? shape[ndim - 1] * shape[ndim - 2] : ndim > 0 ? shape[ndim - 1] : 1;
    for (int64_t i = 0; i < count; i++) {
        put_element(out, descr, gen_value(i / pixels, i % pixels, limit));
    }
}
