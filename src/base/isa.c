#include "context_internal.h"

#include <stdlib.h>
#include <string.h>

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
    }
    return "unknown";
}

static um_isa best_of_cpu(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        return __builtin_cpu_supports("avx512vnni") ? UM_ISA_VNNI : UM_ISA_AVX512;
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
