#include "forms.h"

#include <string.h>

/* Encoded groups begin with this; sizes in it let a decoder find the parts. */
typedef struct form_head {
    uint32_t width;   /* bytes of a value (narrow), of a value in a list (packed, sparse) */
    uint32_t entries; /* in the list */
} form_head;

/* Lists of large values are cut at every so many values, so that two bytes tell the place. */
enum { LIST_SPAN = 65536, BATCH = 4096, LANE = 128 };

static size_t round_up(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

static uint32_t width_of(uint32_t most)
{
    return most <= UINT8_MAX ? 1 : 2;
}

static bool is_narrowest(um_dtype dtype, uint32_t width)
{
    return um_dtype_size(dtype) == width;
}

static size_t spans_of(size_t values)
{
    return (values + LIST_SPAN - 1) / LIST_SPAN;
}

/* ---- values of any type as u16, BATCH at a time ---------------------------------------------- */

/* The loops go without branches, so that the compiler makes vectors of them. */
#define DEFINE_TYPE(suffix, type)                                                                  \
    static bool narrow_##suffix(const void *data, size_t count, uint16_t *restrict to)             \
    {                                                                                              \
        const type *restrict from = data;                                                          \
        unsigned bad = 0;                                                                          \
        for (size_t i = 0; i < count; i++) {                                                       \
            bool inside = (double)from[i] >= 0.0 && (double)from[i] <= 65535.0;                        \
            uint16_t v = inside ? (uint16_t)from[i] : 0;                                           \
            to[i] = v;                                                                             \
            bad |= !inside || (type)v != from[i];                                                  \
        }                                                                                          \
        return bad == 0;                                                                           \
    }                                                                                              \
    static void widen_##suffix(const uint16_t *restrict from, size_t count, void *data)            \
    {                                                                                              \
        type *restrict to = data;                                                                  \
        for (size_t i = 0; i < count; i++) {                                                       \
            to[i] = (type)from[i];                                                                 \
        }                                                                                          \
    }                                                                                              \
    static void unpack_##suffix(const uint8_t *restrict from, size_t count, void *data)            \
    {                                                                                              \
        type *restrict to = data;                                                                  \
        size_t i = 0;                                                                              \
        for (; i + LANE <= count; i += LANE) {                                                     \
            const uint8_t *restrict pair = from + i / 2;                                           \
            for (size_t j = 0; j < LANE / 2; j++) {                                                \
                to[i + j] = (type)(pair[j] & 15);                                                  \
            }                                                                                      \
            for (size_t j = 0; j < LANE / 2; j++) {                                                \
                to[i + LANE / 2 + j] = (type)(pair[j] >> 4);                                       \
            }                                                                                      \
        }                                                                                          \
        for (; i < count; i++) {                                                                   \
            to[i] = (type)(i % 2 == 0 ? from[i / 2] & 15 : from[i / 2] >> 4);                      \
        }                                                                                          \
    }                                                                                              \
    static void scatter_##suffix(const uint16_t *restrict at, const void *values, uint32_t width,  \
                                 size_t count, void *data)                                         \
    {                                                                                              \
        type *restrict to = data;                                                                  \
        if (width == 1) {                                                                          \
            const uint8_t *restrict v = values;                                                    \
            for (size_t i = 0; i < count; i++) {                                                   \
                to[at[i]] = (type)v[i];                                                            \
            }                                                                                      \
        } else {                                                                                   \
            const uint16_t *restrict v = values;                                                   \
            for (size_t i = 0; i < count; i++) {                                                   \
                to[at[i]] = (type)v[i];                                                            \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_TYPE(u8, uint8_t)
DEFINE_TYPE(u16, uint16_t)
DEFINE_TYPE(u32, uint32_t)
DEFINE_TYPE(i8, int8_t)
DEFINE_TYPE(i16, int16_t)
DEFINE_TYPE(i32, int32_t)
DEFINE_TYPE(f32, float)
DEFINE_TYPE(f64, double)

typedef struct type_loops {
    bool (*narrow)(const void *data, size_t count, uint16_t *restrict to);
    void (*widen)(const uint16_t *restrict from, size_t count, void *data);
    void (*unpack)(const uint8_t *restrict from, size_t count, void *data);
    void (*scatter)(const uint16_t *restrict at, const void *values, uint32_t width, size_t count,
                    void *data);
} type_loops;
#define LOOPS(suffix) {narrow_##suffix, widen_##suffix, unpack_##suffix, scatter_##suffix}
static const type_loops loops[UM_DTYPE_COUNT] = {
    [UM_U8] = LOOPS(u8),   [UM_U16] = LOOPS(u16), [UM_U32] = LOOPS(u32), [UM_I8] = LOOPS(i8),
    [UM_I16] = LOOPS(i16), [UM_I32] = LOOPS(i32), [UM_F32] = LOOPS(f32), [UM_F64] = LOOPS(f64),
};

/* -0.0 equals 0 but is not the same bits. */
static bool has_minus_zero(um_dtype dtype, const void *data, size_t count)
{
    uint64_t found = 0;
    if (dtype == UM_F32) {
        const uint32_t *bits = data;
        for (size_t i = 0; i < count; i++) {
            found |= bits[i] == 0x80000000U;
        }
    } else if (dtype == UM_F64) {
        const uint64_t *bits = data;
        for (size_t i = 0; i < count; i++) {
            found |= bits[i] == 0x8000000000000000U;
        }
    }
    return found != 0;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static void add_tally(const um_pixel_kernels *kernels, um_dtype dtype, const void *x, size_t count,
                      um_form_facts *facts)
{
    um_tally tally = {facts->nonzero, facts->large, facts->most};
    kernels->tally[dtype](x, count, UM_PACKED_MOST, &tally);
    facts->nonzero = tally.nonzero;
    facts->large = tally.large;
    facts->most = tally.most;
}

void um_form_measure(const um_pixel_kernels *kernels, um_dtype dtype, const void *data,
                     size_t values, um_form_facts *facts)
{
    *facts = (um_form_facts){.values = values, .whole = true};
    if (dtype == UM_U8 || dtype == UM_U16) {
        add_tally(kernels, dtype, data, values, facts);
        return;
    }
    uint16_t batch[BATCH];
    const char *from = data;
    for (size_t i = 0; i < values && facts->whole; i += BATCH) {
        size_t n = values - i < BATCH ? values - i : BATCH;
        const char *part = from + i * um_dtype_size(dtype);
        facts->whole = loops[dtype].narrow(part, n, batch) && !has_minus_zero(dtype, part, n);
        add_tally(kernels, UM_U16, batch, n, facts);
    }
}

size_t um_form_size(um_form form, um_dtype dtype, size_t rows, const um_form_facts *facts)
{
    uint32_t width = width_of(facts->most);
    size_t head = sizeof(form_head);
    if (form == UM_FORM_RAW) {
        return facts->values * um_dtype_size(dtype);
    }
    if (!facts->whole || rows == 0) {
        return SIZE_MAX;
    }
    switch (form) {
    case UM_FORM_NARROW:
        return is_narrowest(dtype, width) ? SIZE_MAX : head + facts->values * width;
    case UM_FORM_PACKED:
        return head + round_up(spans_of(facts->values) * sizeof(uint32_t)) +
               round_up((facts->values + 1) / 2) + round_up(facts->large * sizeof(uint16_t)) +
               facts->large * width;
    case UM_FORM_SPARSE:
        return facts->values / rows > UM_SPARSE_COLUMNS
                   ? SIZE_MAX
                   : head + round_up((rows + 1) * sizeof(uint32_t)) +
                         round_up(facts->nonzero * sizeof(uint16_t)) + facts->nonzero * width;
    default:
        return SIZE_MAX;
    }
}

/* ---- encoding -------------------------------------------------------------------------------- */

/* `count` values as u16: in place, or widened or narrowed into the batch. */
static const uint16_t *as_u16(um_dtype dtype, const void *data, size_t first, size_t count,
                              uint16_t *batch)
{
    if (dtype == UM_U16) {
        return (const uint16_t *)data + first;
    }
    (void)loops[dtype].narrow((const char *)data + first * um_dtype_size(dtype), count, batch);
    return batch;
}

static void encode_narrow(um_dtype dtype, const void *data, size_t values, uint32_t width, char *to)
{
    uint16_t batch[BATCH];
    for (size_t i = 0; i < values; i += BATCH) {
        size_t n = values - i < BATCH ? values - i : BATCH;
        const uint16_t *v = as_u16(dtype, data, i, n, batch);
        if (width == 2) {
            memcpy(to + 2 * i, v, 2 * n);
            continue;
        }
        uint8_t *restrict bytes = (uint8_t *)to + i;
        for (size_t j = 0; j < n; j++) {
            bytes[j] = (uint8_t)v[j];
        }
    }
}

#define PACK(v) ((uint8_t)((v) > UM_PACKED_MOST ? UM_PACKED_MOST + 1 : (v)))
#define DEFINE_PACK(suffix, type)                                                                  \
    static void pack_##suffix(const type *restrict x, size_t count, uint8_t *restrict to)          \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + LANE <= count; i += LANE) {                                                     \
            for (size_t j = 0; j < LANE / 2; j++) {                                                \
                uint8_t low = PACK(x[i + j]);                                                      \
                uint8_t high = PACK(x[i + LANE / 2 + j]);                                          \
                to[i / 2 + j] = (uint8_t)(low | (uint8_t)(high << 4));                             \
            }                                                                                      \
        }                                                                                          \
        for (; i < count; i += 2) {                                                                \
            uint8_t high = i + 1 < count ? PACK(x[i + 1]) : 0;                                     \
            to[i / 2] = (uint8_t)(PACK(x[i]) | (uint8_t)(high << 4));                              \
        }                                                                                          \
    }
DEFINE_PACK(u8, uint8_t)
DEFINE_PACK(u16, uint16_t)

/* A list of places and values, being filled. */
typedef struct entry_list {
    const um_pixel_kernels *kernels;
    uint16_t *at;
    char *values;
    uint32_t width;
    size_t count, room;
} entry_list;

/* Lists what is above `least` of `count` values from `first` on, places counted from there. */
static void list_values(um_dtype dtype, const void *data, size_t first, size_t count, uint8_t least,
                        entry_list *list)
{
    um_dtype type = dtype == UM_U8 ? UM_U8 : UM_U16;
    uint16_t batch[BATCH];
    size_t most = type == dtype ? count : BATCH;
    for (size_t i = 0; i < count; i += most) {
        size_t n = count - i < most ? count - i : most;
        const void *x = type == dtype
                            ? (const char *)data + (first + i) * um_dtype_size(dtype)
                            : (const void *)as_u16(dtype, data, first + i, n, batch);
        uint16_t *at = list->at + list->count;
        size_t found =
            list->kernels->list[type](x, n, least, list->room - list->count, at,
                                      list->values + list->count * list->width, list->width);
        for (size_t e = 0; i > 0 && e < found; e++) {
            at[e] = (uint16_t)(at[e] + i);
        }
        list->count += found;
    }
}

static void encode_packed(const um_pixel_kernels *kernels, um_dtype dtype, const void *data, const um_form_facts *facts, char *to)
{
    size_t values = facts->values;
    uint32_t *spans = (uint32_t *)(void *)to;
    to += round_up(spans_of(values) * sizeof *spans);
    uint8_t *pairs = (uint8_t *)to;
    to += round_up((values + 1) / 2);
    entry_list list = {.kernels = kernels,
                       .at = (uint16_t *)(void *)to,
                       .values = to + round_up(facts->large * sizeof(uint16_t)),
                       .width = width_of(facts->most),
                       .room = facts->large};
    uint16_t batch[BATCH];
    for (size_t i = 0; dtype != UM_U8 && i < values; i += BATCH) {
        size_t n = values - i < BATCH ? values - i : BATCH;
        pack_u16(as_u16(dtype, data, i, n, batch), n, pairs + i / 2);
    }
    if (dtype == UM_U8) {
        pack_u8(data, values, pairs);
    }
    for (size_t s = 0; s < spans_of(values); s++) {
        size_t first = s * LIST_SPAN;
        size_t count = values - first < LIST_SPAN ? values - first : LIST_SPAN;
        size_t before = list.count;
        if (facts->large > 0) {
            list_values(dtype, data, first, count, UM_PACKED_MOST, &list);
        }
        spans[s] = (uint32_t)(list.count - before);
    }
}

static void encode_sparse(const um_pixel_kernels *kernels, um_dtype dtype, const void *data,
                          size_t rows, const um_form_facts *facts, char *to)
{
    size_t m = facts->values / rows;
    uint32_t *start = (uint32_t *)(void *)to;
    to += round_up((rows + 1) * sizeof *start);
    entry_list list = {.kernels = kernels,
                       .at = (uint16_t *)(void *)to,
                       .values = to + round_up(facts->nonzero * sizeof(uint16_t)),
                       .width = width_of(facts->most),
                       .room = facts->nonzero};
    for (size_t r = 0; r < rows; r++) {
        start[r] = (uint32_t)list.count;
        list_values(dtype, data, r * m, m, 0, &list);
    }
    start[rows] = (uint32_t)list.count;
}

void um_form_encode(const um_pixel_kernels *kernels, um_form form, um_dtype dtype, const void *data,
                    size_t rows, const um_form_facts *facts, void *to)
{
    if (form == UM_FORM_RAW) {
        memcpy(to, data, facts->values * um_dtype_size(dtype));
        return;
    }
    form_head head = {width_of(facts->most), 0};
    char *body = (char *)to + sizeof head;
    if (form == UM_FORM_NARROW) {
        encode_narrow(dtype, data, facts->values, head.width, body);
    } else if (form == UM_FORM_PACKED) {
        head.entries = (uint32_t)facts->large;
        encode_packed(kernels, dtype, data, facts, body);
    } else {
        head.entries = (uint32_t)facts->nonzero;
        encode_sparse(kernels, dtype, data, rows, facts, body);
    }
    memcpy(to, &head, sizeof head);
}

/* ---- decoding -------------------------------------------------------------------------------- */

static void decode_narrow(um_dtype dtype, const char *from, size_t values, uint32_t width, void *data)
{
    if (width == 2) {
        loops[dtype].widen((const uint16_t *)(const void *)from, values, data);
        return;
    }
    uint16_t batch[BATCH];
    for (size_t i = 0; i < values; i += BATCH) {
        size_t n = values - i < BATCH ? values - i : BATCH;
        const uint8_t *restrict bytes = (const uint8_t *)from + i;
        for (size_t j = 0; j < n; j++) {
            batch[j] = bytes[j];
        }
        loops[dtype].widen(batch, n, (char *)data + i * um_dtype_size(dtype));
    }
}

static void decode_packed(um_dtype dtype, const form_head *head, const char *from, size_t values,
                          void *data)
{
    const uint32_t *spans = (const uint32_t *)(const void *)from;
    from += round_up(spans_of(values) * sizeof *spans);
    loops[dtype].unpack((const uint8_t *)from, values, data);
    from += round_up((values + 1) / 2);
    const uint16_t *at = (const uint16_t *)(const void *)from;
    const char *large = from + round_up(head->entries * sizeof *at);
    size_t done = 0;
    for (size_t s = 0; s < spans_of(values); s++) {
        loops[dtype].scatter(at + done, large + done * head->width, head->width, spans[s],
                             (char *)data + s * LIST_SPAN * um_dtype_size(dtype));
        done += spans[s];
    }
}

um_sparse_rows um_form_rows(const void *from, size_t rows)
{
    form_head head;
    memcpy(&head, from, sizeof head);
    const char *start = (const char *)from + sizeof head;
    const char *column = start + round_up((rows + 1) * sizeof(uint32_t));
    return (um_sparse_rows){
        .start = (const uint32_t *)(const void *)start,
        .column = (const uint16_t *)(const void *)column,
        .value = column + round_up(head.entries * sizeof(uint16_t)),
        .value_dtype = head.width == 1 ? UM_U8 : UM_U16,
    };
}

static void decode_sparse(um_dtype dtype, const void *from, size_t rows, size_t values, void *data)
{
    um_sparse_rows x = um_form_rows(from, rows);
    uint32_t width = (uint32_t)um_dtype_size(x.value_dtype);
    size_t m = values / rows;
    memset(data, 0, values * um_dtype_size(dtype));
    for (size_t r = 0; r < rows; r++) {
        loops[dtype].scatter(x.column + x.start[r], (const char *)x.value + x.start[r] * width, width,
                             x.start[r + 1] - x.start[r],
                             (char *)data + r * m * um_dtype_size(dtype));
    }
}

void um_form_decode(um_form form, um_dtype dtype, const void *from, size_t rows, size_t values,
                    void *data)
{
    form_head head;
    memcpy(&head, from, sizeof head);
    const char *body = (const char *)from + sizeof head;
    if (form == UM_FORM_RAW) {
        memcpy(data, from, values * um_dtype_size(dtype));
    } else if (form == UM_FORM_NARROW) {
        decode_narrow(dtype, body, values, head.width, data);
    } else if (form == UM_FORM_PACKED) {
        decode_packed(dtype, &head, body, values, data);
    } else {
        decode_sparse(dtype, from, rows, values, data);
    }
}
