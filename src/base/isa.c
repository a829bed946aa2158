#include "context_internal.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

const char *um_isa_name(um_isa isa)
{
    switch (isa) {
    case UM_ISA_SCALAR:
        return "scalar";
    case UM_ISA_AVX2:
        return "avx2";
    case UM_ISA_AVX512:
        return "avx512";
    case UM_ISA_VNNI:
        return "vnni";
    case UM_ISA_AMX:
        return "amx";
    }
    return "unknown";
}

#if defined(__x86_64__) && defined(__linux__)
/* Tiles of bytes and bf16, and the system's leave to use them: their registers are large, so it wants to be asked, once
 * for all threads of a process. */
static bool has_tiles(void)
{
    enum { BF16 = 1 << 22, TILE = 1 << 24, INT8 = 1 << 25, ASK = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
           (d & (BF16 | TILE | INT8)) == (BF16 | TILE | INT8) &&
           syscall(SYS_arch_prctl, ASK, TILE_DATA) == 0;
}
#else
static bool has_tiles(void)
{
    return false;
}
#endif

static um_isa best_of_cpu(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        if (!__builtin_cpu_supports("avx512vnni")) {
            return UM_ISA_AVX512;
        }
        return has_tiles() ? UM_ISA_AMX : UM_ISA_VNNI;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return UM_ISA_AVX2;
    }
#endif
    return UM_ISA_SCALAR;
}

um_isa um_isa_choose(void)
{
    um_isa best = best_of_cpu();
    const char *wish = getenv("UNMIX_ISA");
    for (um_isa isa = UM_ISA_SCALAR; wish != NULL && isa <= best; isa++) {
        if (strcmp(wish, um_isa_name(isa)) == 0) {
            return isa;
        }
    }
    return best;
}
