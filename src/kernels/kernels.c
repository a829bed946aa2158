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

/* Nanoseconds of one thread. A stored entry costs a vector of 16 components in H and in W'X; more than one of them and neither
 * fits the second cache. A value costs its conversion and k multiply-adds, of words more; patterns that are kept as sparse rows
 * have to be unpacked first. */
double um_kernel_sparse_share(um_isa isa, um_dtype dtype, size_t k)
{
    const double entry = 5, further = 11, unpack = 0.02, unpack_entry = 0.5;
    const double tile_value = 0.09, tile_component = 0.0175, tile_word = 0.3;
    const double value = 0.04, component = 0.047, word = 0.1;
    double vectors = (double)(um_kernel_sparse_stride(k) / SPARSE_STRIDE);
    double dense = isa >= UM_ISA_AMX
                       ? tile_value + tile_component * (double)k + (dtype == UM_U16 ? tile_word : 0)
                       : value + component * (double)k + (dtype == UM_U16 ? word : 0);
    return (dense + unpack) / (entry + further * (vectors - 1) - unpack_entry);
}

double um_kernel_burn_flops(um_isa isa)
{
    double lanes = isa >= UM_ISA_AVX512 ? 16 : isa == UM_ISA_AVX2 ? 8 : 4;
    return 2 * UM_KERNEL_BURN_CHAINS * lanes;
}
