#include "kernels_variants.h"

enum { STRIDE = 32, SPARSE_STRIDE = 16 }; /* two of the widest vectors, and one */

size_t um_kernel_stride(size_t m)
{
    return (m + STRIDE - 1) / STRIDE * STRIDE;
}

size_t um_kernel_sparse_stride(size_t k)
{
    return (k + SPARSE_STRIDE - 1) / SPARSE_STRIDE * SPARSE_STRIDE;
}

const um_kernels *um_kernels_get(um_isa isa)
{
#if defined(__x86_64__)
    if (isa >= UM_ISA_AVX512) {
        return &um_kernels_avx512;
    }
    if (isa == UM_ISA_AVX2) {
        return &um_kernels_avx2;
    }
#endif
    (void)isa;
    return &um_kernels_scalar;
}

double um_kernel_burn_flops(um_isa isa)
{
    double lanes = isa >= UM_ISA_AVX512 ? 16 : isa == UM_ISA_AVX2 ? 8 : 4;
    return 2 * UM_KERNEL_BURN_CHAINS * lanes;
}
