/* Peak memory before work starts: the buffers of each stage, added up as the code takes them. */
#include "factor_internal.h"

typedef struct sizes {
    const um_matrix *matrix;
    size_t n, m, ld, rank, threads, pattern;
} sizes;

static sizes sizes_of(const um_matrix *matrix)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    sizes z = {
        .matrix = matrix,
        .n = (size_t)(info->shape.ny * info->shape.nx),
        .m = (size_t)(info->shape.ky * info->shape.kx),
        .threads = (size_t)um_context_threads(um_matrix_get_context(matrix)),
    };
    z.ld = um_kernel_stride(z.m);
    z.rank = z.n < z.m ? z.n : z.m;
    z.pattern = z.m * um_dtype_size(info->dtype);
    return z;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

um_status um_require_k(const um_matrix *matrix, int64_t k, int64_t most)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    int64_t rows = info->shape.ny * info->shape.nx;
    int64_t columns = info->shape.ky * info->shape.kx;
    most = rows < most ? rows : most;
    most = columns < most ? columns : most;
    return k >= 1 && k <= most ? UM_OK
                               : um_fail(um_matrix_get_context(matrix), UM_ERROR_ARGUMENT,
                                         "-k %lld: 1 to %lld components are possible here",
                                         (long long)k, (long long)most);
}

/* Workers beyond the first are done without when the budget is small: one is what cannot be spared. */
static size_t exact_pass(const sizes *z, size_t k)
{
    size_t transposed = um_matrix_is_sparse(z->matrix) ? z->m * um_kernel_sparse_stride(k) : 0;
    size_t worker = most(k * z->ld, transposed) * sizeof(float) + k * z->ld * sizeof(double);
    size_t tile = 2 * UM_GROUP_ROWS * z->pattern;
    return worker + tile + ((k + 1) * z->ld + transposed) * sizeof(float);
}

/* Sums and the two vectors of weights, held throughout. */
static size_t scaling(const sizes *z)
{
    return 3 * z->m * sizeof(double) + 2 * z->n * sizeof(double) + (z->ld + z->n) * sizeof(float);
}

static size_t model(const sizes *z, size_t k)
{
    return k * (z->n + z->m) * sizeof(float);
}

/* Read 0: the sample, its projections, and the basis twice. */
static size_t sample(const sizes *z, size_t l)
{
    size_t bytes = um_subspace_bytes(z->n, z->m, l);
    double share = um_sample_share(z->n, z->pattern, bytes);
    size_t rows = (size_t)um_matrix_sample_size(z->matrix, share);
    return rows * (z->pattern + sizeof(um_sample_slot) + (l + 1) * sizeof(float)) +
           2 * l * (z->ld * sizeof(float) + z->m * sizeof(double)) + exact_pass(z, l) -
           UM_GROUP_ROWS * z->pattern;
}

static size_t subspace(const sizes *z, size_t k, int oversampling)
{
    size_t l = um_subspace_size(k, oversampling, z->rank);
    size_t basis = l * (z->ld + z->n) * sizeof(float) + l * z->m * sizeof(double);
    size_t sums = 4 * z->m * sizeof(double);
    return most(sample(z, l), basis + l * z->m * sizeof(double) + sums + exact_pass(z, l));
}

size_t um_svd_plan(const um_matrix *matrix, const um_svd_options *options)
{
    sizes z = sizes_of(matrix);
    size_t k = options->k > 0 ? (size_t)options->k : 1;
    size_t count = k > UM_SCREE_VALUES ? k : UM_SCREE_VALUES;
    size_t kept = um_subspace_size(k, options->oversampling, z.rank) * z.ld * sizeof(float) +
                  z.n * count * sizeof(float);
    return scaling(&z) + most(subspace(&z, k, options->oversampling), kept + model(&z, k));
}

size_t um_nmf_plan(const um_matrix *matrix, const um_nmf_options *options)
{
    sizes z = sizes_of(matrix);
    size_t k = options->k > 0 ? (size_t)options->k : 1;
    size_t count = k > UM_SCREE_VALUES ? k : UM_SCREE_VALUES;
    size_t spectrum =
        um_subspace_size(k, 0, z.rank) * z.ld * sizeof(float) + z.n * count * sizeof(float);
    size_t state = k * (2 * z.ld + z.n) * sizeof(float);
    /* The automatic start holds two trials, W'X and H in f64, and (for long scans) a sample. */
    size_t start = spectrum + 3 * state + 2 * z.n * k * sizeof(double) +
                   2 * k * z.m * sizeof(double) + z.n * (count + 1) * sizeof(float);
    size_t passes = state + 2 * k * z.m * sizeof(double) + exact_pass(&z, k);
    size_t end = state + model(&z, k) + k * z.ld * sizeof(float) +
                 2 * (z.n + z.m) * sizeof(double) * 2 + 2 * UM_GROUP_ROWS * z.pattern;
    return scaling(&z) + most(most(subspace(&z, k, 0), start), most(passes, end));
}
