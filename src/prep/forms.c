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

#define DEFINE_COUNT(suffix, type)                                                                 \
    static void count_##suffix(const type *restrict x, size_t count, um_form_facts *facts)         \
    {                                                                                              \
        type most = 0;                                                                             \
        for (size_t i = 0; i < count;) {                                                           \
            size_t n = count - i < LANE ? count - i : LANE;                                        \
            type nonzero = 0;                                                                      \
            type large = 0;                                                                        \
            for (size_t j = 0; j < n; j++) {                                                       \
                type v = x[i + j];                                                                 \
                nonzero = (type)(nonzero + (v != 0));                                              \
                large = (type)(large + (v > UM_PACKED_MOST));                                      \
                most = v > most ? v : most;                                                        \
            }                                                                                      \
            facts->nonzero += nonzero;                                                             \
            facts->large += large;                                                                 \
            i += n;                                                                                \
        }                                                                                          \
        facts->most = most > facts->most ? most : facts->most;                                     \
    }
DEFINE_COUNT(u8, uint8_t)
DEFINE_COUNT(u16, uint16_t)

void um_form_measure(um_dtype dtype, const void *data, size_t values, um_form_facts *facts)
{
    *facts = (um_form_facts){.values = values, .whole = true};
    if (dtype == UM_U8) {
        count_u8(data, values, facts);
        return;
    }
    if (dtype == UM_U16) {
        count_u16(data, values, facts);
        return;
    }
    uint16_t batch[BATCH];
    const char *from = data;
    for (size_t i = 0; i < values && facts->whole; i += BATCH) {
        size_t n = values - i < BATCH ? values - i : BATCH;
        const char *part = from + i * um_dtype_size(dtype);
        facts->whole = loops[dtype].narrow(part, n, batch) && !has_minus_zero(dtype, part, n);
        count_u16(batch, n, facts);
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

/* A list of places and values. */
typedef struct entry_list {
    uint16_t *at;
    void *values;
    uint32_t width;
    size_t count;
} entry_list;

static inline void list_add(entry_list *list, size_t at, uint16_t value)
{
    list->at[list->count] = (uint16_t)at;
    if (list->width == 1) {
        ((uint8_t *)list->values)[list->count] = (uint8_t)value;
    } else {
        ((uint16_t *)list->values)[list->count] = value;
    }
    list->count++;
}

/* Adds the values above `least` of x with their places from `at` on. Eight bytes are passed over at once
 * where nothing can be among them. */
static void list_u8(const uint8_t *x, size_t count, size_t at, uint8_t least, entry_list *list)
{
    /* Bits that are set only in values above the power of two minus one below or at `least`. */
    uint64_t high = least == 0 ? 0xffffffffffffffffU : 0xf0f0f0f0f0f0f0f0U;
    uint64_t carry = least == 0 ? 0 : 0x0101010101010101U;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t word;
        memcpy(&word, x + i, sizeof word);
        /* 15 + 1 carries into the upper half of its byte; 255 + 1 is masked out beforehand. */
        uint64_t probe = least == 0 ? word : ((word & 0x0f0f0f0f0f0f0f0fU) + carry) | word;
        if ((probe & high) == 0) {
            continue;
        }
        for (size_t j = 0; j < 8; j++) {
            if (x[i + j] > least) {
                list_add(list, at + i + j, x[i + j]);
            }
        }
    }
    for (; i < count; i++) {
        if (x[i] > least) {
            list_add(list, at + i, x[i]);
        }
    }
}

static void list_u16(const uint16_t *x, size_t count, size_t at, uint16_t least, entry_list *list)
{
    for (size_t i = 0; i < count;) {
        size_t n = count - i < 8 ? count - i : 8;
        unsigned any = 0;
        for (size_t j = 0; j < n; j++) {
            any |= x[i + j] > least;
        }
        for (size_t j = 0; any != 0 && j < n; j++) {
            if (x[i + j] > least) {
                list_add(list, at + i + j, x[i + j]);
            }
        }
        i += n;
    }
}

/* Lists `count` values from `first` on, places counted from there. */
static void list_values(um_dtype dtype, const void *data, size_t first, size_t count, uint8_t least,
                        entry_list *list)
{
    if (dtype == UM_U8) {
        list_u8((const uint8_t *)data + first, count, 0, least, list);
        return;
    }
    uint16_t batch[BATCH];
    for (size_t i = 0; i < count; i += BATCH) {
        size_t n = count - i < BATCH ? count - i : BATCH;
        list_u16(as_u16(dtype, data, first + i, n, batch), n, i, least, list);
    }
}

static void encode_packed(um_dtype dtype, const void *data, const um_form_facts *facts, char *to)
{
    size_t values = facts->values;
    uint32_t *spans = (uint32_t *)(void *)to;
    to += round_up(spans_of(values) * sizeof *spans);
    uint8_t *pairs = (uint8_t *)to;
    to += round_up((values + 1) / 2);
    entry_list list = {.at = (uint16_t *)(void *)to,
                       .values = to + round_up(facts->large * sizeof(uint16_t)),
                       .width = width_of(facts->most)};
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

static void encode_sparse(um_dtype dtype, const void *data, size_t rows, const um_form_facts *facts,
                          char *to)
{
    size_t m = facts->values / rows;
    uint32_t *start = (uint32_t *)(void *)to;
    to += round_up((rows + 1) * sizeof *start);
    entry_list list = {.at = (uint16_t *)(void *)to,
                       .values = to + round_up(facts->nonzero * sizeof(uint16_t)),
                       .width = width_of(facts->most)};
    for (size_t r = 0; r < rows; r++) {
        start[r] = (uint32_t)list.count;
        list_values(dtype, data, r * m, m, 0, &list);
    }
    start[rows] = (uint32_t)list.count;
}

void um_form_encode(um_form form, um_dtype dtype, const void *data, size_t rows,
                    const um_form_facts *facts, void *to)
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
        encode_packed(dtype, data, facts, body);
    } else {
        head.entries = (uint32_t)facts->nonzero;
        encode_sparse(dtype, data, rows, facts, body);
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
