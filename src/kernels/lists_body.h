/* Which of many values stand out, for patterns that are held as lists. Values are compared 64 at once: bit i of
 * a mask tells of value i. */
#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum { MASK = 64, TALLY_BLOCK = 64 * MASK, LISTED_AT_ONCE = 4 };

#if defined(__AVX512BW__)
INLINE uint64_t above_u8(const uint8_t *x, uint8_t least)
{
    return _mm512_cmpgt_epu8_mask(_mm512_loadu_si512((const void *)x),
                                  _mm512_set1_epi8((char)least));
}

INLINE uint64_t above_u16(const uint16_t *x, uint16_t least)
{
    __m512i limit = _mm512_set1_epi16((short)least);
    uint64_t low = _mm512_cmpgt_epu16_mask(_mm512_loadu_si512((const void *)x), limit);
    uint64_t high = _mm512_cmpgt_epu16_mask(_mm512_loadu_si512((const void *)(x + 32)), limit);
    return low | high << 32;
}
#elif defined(__AVX2__)
/* Saturating subtraction leaves zero where a value is not above. */
INLINE uint64_t above_u8(const uint8_t *x, uint8_t least)
{
    __m256i limit = _mm256_set1_epi8((char)least);
    uint64_t mask = 0;
    for (int i = 0; i < 2; i++) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(x + 32 * i));
        __m256i none = _mm256_cmpeq_epi8(_mm256_subs_epu8(v, limit), _mm256_setzero_si256());
        mask |= (uint64_t)(uint32_t)~_mm256_movemask_epi8(none) << 32 * i;
    }
    return mask;
}

INLINE uint64_t above_u16(const uint16_t *x, uint16_t least)
{
    __m256i limit = _mm256_set1_epi16((short)least);
    uint64_t mask = 0;
    for (int i = 0; i < 2; i++) {
        __m256i none[2];
        for (int h = 0; h < 2; h++) {
            const uint16_t *at = x + 32 * i + 16 * h;
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);
            none[h] = _mm256_cmpeq_epi16(_mm256_subs_epu16(v, limit), _mm256_setzero_si256());
        }
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(none[0], none[1]), 0xd8);
        mask |= (uint64_t)(uint32_t)~_mm256_movemask_epi8(bytes) << 32 * i;
    }
    return mask;
}
#else
#define DEFINE_ABOVE(name, T)                                                                      \
    INLINE uint64_t name(const T *x, T least)                                                      \
    {                                                                                              \
        uint64_t mask = 0;                                                                         \
        for (int i = 0; i < MASK; i++) {                                                           \
            mask |= (uint64_t)(x[i] > least) << i;                                                 \
        }                                                                                          \
        return mask;                                                                               \
    }
DEFINE_ABOVE(above_u8, uint8_t)
DEFINE_ABOVE(above_u16, uint16_t)
#undef DEFINE_ABOVE
#endif

#define DEFINE_TALLY(suffix, T)                                                                    \
    INLINE T most_##suffix(const T *restrict x, size_t n, T most)                                  \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            most = x[i] > most ? x[i] : most;                                                      \
        }                                                                                          \
        return most;                                                                               \
    }                                                                                              \
    static void tally_##suffix(const void *data, size_t n, uint32_t limit, um_tally *out)          \
    {                                                                                              \
        const T *restrict x = data;                                                                \
        T most = 0;                                                                                \
        size_t i = 0;                                                                              \
        while (i + MASK <= n) {                                                                    \
            size_t end = i + (n - i < TALLY_BLOCK ? (n - i) / MASK * MASK : TALLY_BLOCK);          \
            most = most_##suffix(x + i, end - i, most);                                            \
            for (; i < end; i += MASK) {                                                           \
                out->nonzero += (size_t)__builtin_popcountll(above_##suffix(x + i, 0));            \
                out->large += (size_t)__builtin_popcountll(above_##suffix(x + i, (T)limit));       \
            }                                                                                      \
        }                                                                                          \
        for (; i < n; i++) {                                                                       \
            out->nonzero += x[i] != 0;                                                             \
            out->large += x[i] > limit;                                                            \
            most = x[i] > most ? x[i] : most;                                                      \
        }                                                                                          \
        out->most = most > out->most ? most : out->most;                                           \
    }
DEFINE_TALLY(u8, uint8_t)
DEFINE_TALLY(u16, uint16_t)

/* The first few of a mask are written without asking how many there are, where the list and the values leave
 * room for it: few masks have more, and branches on the number would be guessed wrong. */
#define DEFINE_LIST(name, suffix, T, V)                                                            \
    INLINE size_t name(const T *x, size_t n, T least, size_t room, uint16_t *restrict at,          \
                       V *restrict value)                                                          \
    {                                                                                              \
        size_t count = 0;                                                                          \
        size_t i = 0;                                                                              \
        for (; i + MASK <= n; i += MASK) {                                                         \
            uint64_t mask = above_##suffix(x + i, least);                                          \
            size_t found = (size_t)__builtin_popcountll(mask);                                     \
            size_t to = count;                                                                     \
            if (found > 0 && count + LISTED_AT_ONCE <= room && i + MASK < n) {                     \
                for (int f = 0; f < LISTED_AT_ONCE; f++) {                                         \
                    size_t j = i + (mask != 0 ? (size_t)__builtin_ctzll(mask) : MASK);             \
                    at[to] = (uint16_t)j;                                                          \
                    value[to++] = (V)x[j];                                                         \
                    mask &= mask - 1;                                                              \
                }                                                                                  \
            }                                                                                      \
            for (; mask != 0; mask &= mask - 1) {                                                  \
                size_t j = i + (size_t)__builtin_ctzll(mask);                                      \
                at[to] = (uint16_t)j;                                                              \
                value[to++] = (V)x[j];                                                             \
            }                                                                                      \
            count += found;                                                                        \
        }                                                                                          \
        for (; i < n; i++) {                                                                       \
            if (x[i] > least) {                                                                    \
                at[count] = (uint16_t)i;                                                           \
                value[count++] = (V)x[i];                                                          \
            }                                                                                      \
        }                                                                                          \
        return count;                                                                              \
    }
DEFINE_LIST(list_bytes, u8, uint8_t, uint8_t)
DEFINE_LIST(list_narrow, u16, uint16_t, uint8_t)
DEFINE_LIST(list_words, u16, uint16_t, uint16_t)

static size_t list_u8(const void *x, size_t n, uint32_t least, size_t room, uint16_t *at,
                      void *value, size_t width)
{
    (void)width;
    return list_bytes(x, n, (uint8_t)least, room, at, value);
}

static size_t list_u16(const void *x, size_t n, uint32_t least, size_t room, uint16_t *at,
                       void *value, size_t width)
{
    return width == 1 ? list_narrow(x, n, (uint16_t)least, room, at, value)
                      : list_words(x, n, (uint16_t)least, room, at, value);
}

#undef DEFINE_TALLY
#undef DEFINE_LIST
