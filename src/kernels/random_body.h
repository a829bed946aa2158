/* Philox-4x32-10 (Salmon et al. 2011), many counters side by side; a part of pixels_body.h. The words are those of
 * um_random_words(). */
static void random_words(uint64_t seed, uint64_t stream, uint64_t first, size_t batches, uint32_t *words)
{
    enum { ROUNDS = 10, LANES_AT_ONCE = UM_RANDOM_LANES };
    const uint32_t multiplier[2] = {0xD2511F53U, 0xCD9E8D57U};
    const uint32_t weyl[2] = {0x9E3779B9U, 0xBB67AE85U};
    for (size_t b = 0; b < batches; b++) {
        uint32_t *restrict c0 = words + b * 4 * LANES_AT_ONCE;
        uint32_t *restrict c1 = c0 + LANES_AT_ONCE;
        uint32_t *restrict c2 = c1 + LANES_AT_ONCE;
        uint32_t *restrict c3 = c2 + LANES_AT_ONCE;
        uint32_t key0 = (uint32_t)seed;
        uint32_t key1 = (uint32_t)(seed >> 32);
        for (size_t l = 0; l < LANES_AT_ONCE; l++) {
            uint64_t counter = first + b * LANES_AT_ONCE + l;
            uint32_t a0 = (uint32_t)counter;
            uint32_t a1 = (uint32_t)(counter >> 32);
            uint32_t a2 = (uint32_t)stream;
            uint32_t a3 = (uint32_t)(stream >> 32);
            uint32_t k0 = key0;
            uint32_t k1 = key1;
            for (int r = 0; r < ROUNDS; r++) {
                uint64_t p0 = (uint64_t)multiplier[0] * a0;
                uint64_t p1 = (uint64_t)multiplier[1] * a2;
                uint32_t n0 = (uint32_t)(p1 >> 32) ^ a1 ^ k0;
                uint32_t n2 = (uint32_t)(p0 >> 32) ^ a3 ^ k1;
                a1 = (uint32_t)p1;
                a3 = (uint32_t)p0;
                a0 = n0;
                a2 = n2;
                k0 += weyl[0];
                k1 += weyl[1];
            }
            c0[l] = a0;
            c1[l] = a1;
            c2[l] = a2;
            c3[l] = a3;
        }
    }
}
