/* Peak memory before work starts: the buffers of each stage, added up as the code takes them. */
#include "nmf_family.h"
#include "nmf_kl.h"

/* Pages of the program, LAPACK's above all, that are touched on the way: what a run over a scan of nothing adds. */
static const size_t PROGRAM = 4500000;

typedef struct sizes {
    const um_matrix *matrix;
    size_t n, m, ld, rank, pattern;
    size_t workers, tiles; /* of a pass: their number, and bytes of the patterns that they read */
    size_t kept;           /* patterns in memory from the first whole read on */
    bool all_kept;
} sizes;

static sizes sizes_of(const um_matrix *matrix)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    sizes z = {
        .matrix = matrix,
        .n = (size_t)(info->shape.ny * info->shape.nx),
        .m = (size_t)(info->shape.ky * info->shape.kx),
        .workers = 1,
    };
    z.ld = um_kernel_stride(z.m);
    z.rank = z.n < z.m ? z.n : z.m;
    z.pattern = z.m * um_dtype_size(info->dtype);
    z.tiles = 2 * UM_GROUP_ROWS * z.pattern;
    return z;
}

/* Not what a run cannot do without, but what it will take. */
static sizes sizes_of_run(const um_matrix *matrix)
{
    sizes z = sizes_of(matrix);
    const um_matrix_needs needs = um_matrix_get_needs(matrix);
    z.workers = (size_t)needs.workers;
    z.tiles = needs.tiles;
    z.kept = needs.kept;
    z.all_kept = needs.all_kept;
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

/* Numbers of components beside each other for sparse rows. */
static size_t transposed(const sizes *z, size_t k)
{
    return um_matrix_is_sparse(z->matrix, 0) ? z->m * um_kernel_sparse_stride(k) : 0;
}

/* Workers beyond the first are done without when the budget is small: one is what cannot be spared. */
static size_t any_pass(const sizes *z, size_t k, bool sparse)
{
    size_t side = sparse ? transposed(z, k) : 0;
    size_t worker = most(k * z->ld, side) * sizeof(float) + k * z->ld * sizeof(double);
    um_isa isa = um_context_isa(um_matrix_get_context(z->matrix));
    if (um_tile_kernels_get(isa) != NULL) {
        worker += um_tile_room(um_matrix_get_info(z->matrix)->dtype, z->m);
    }
    return z->workers * worker + z->tiles + ((k + 1) * z->ld + side) * sizeof(float);
}

static size_t exact_pass(const sizes *z, size_t k)
{
    return any_pass(z, k, um_matrix_is_sparse(z->matrix, k));
}

/* The same once patterns are in memory: those that found no room are read. */
static size_t later_pass(const sizes *z, size_t k)
{
    return any_pass(z, k, true) - (z->all_kept ? z->tiles : 0);
}

/* Sums and the two vectors of weights, held throughout. */
static size_t scaling(const sizes *z)
{
    return 3 * z->m * sizeof(double) + 2 * z->n * sizeof(double) + (z->ld + z->n) * sizeof(float);
}

/* With the maps and patterns that go with it. */
static size_t model(const sizes *z, size_t k, size_t maps, size_t patterns)
{
    return k * (z->n + z->m) * sizeof(float) + (maps * z->n + patterns * z->m) * sizeof(double);
}

/* Read 0: the basis, and a sample as stored, which comes through tiles that it fills in part; then its projections and
 * a basis of its own. */
static size_t sample(const sizes *z, size_t l)
{
    size_t bytes = um_subspace_bytes(z->n, z->m, l);
    double share = um_sample_share(z->n, z->pattern, bytes);
    size_t rows = (size_t)um_matrix_sample_size(z->matrix, share);
    size_t stored = rows * (z->pattern + sizeof(um_sample_slot));
    size_t coming = z->tiles < stored ? z->tiles : stored;
    size_t rounds = rows * (l + 1) * sizeof(float) + l * (z->ld * sizeof(float) + 2 * z->m * sizeof(double)) +
                    any_pass(z, l, false) - z->tiles + z->workers * UM_GROUP_ROWS * z->pattern;
    return l * z->ld * sizeof(float) + stored + most(coming, rounds);
}

/* The basis, its projections, and W'X of a fused read that also makes the sums. */
static size_t fused_read(const sizes *z, size_t l)
{
    return l * (z->ld + z->n) * sizeof(float) + 2 * l * z->m * sizeof(double) +
           4 * z->workers * z->m * sizeof(double) + exact_pass(z, l);
}

/* Whether the caller's read has filled the memory for patterns before the singular values are looked for. */
static bool sums_before(const um_svd_options *options)
{
    return options->sums_before || options->sums != NULL;
}

static size_t svd_peak(const sizes *z, const um_svd_options *options)
{
    size_t k = options->k > 0 ? (size_t)options->k : 1;
    size_t count = k > UM_SCREE_VALUES ? k : UM_SCREE_VALUES;
    size_t l = um_subspace_size(k, options->oversampling, z->rank);
    size_t kept = l * z->ld * sizeof(float) + z->n * count * sizeof(float);
    bool before = sums_before(options);
    size_t fused = fused_read(z, l) - (before && z->all_kept ? z->tiles : 0);
    return scaling(z) + most(sample(z, l) + (before ? z->kept : 0),
                             z->kept + most(fused, kept + model(z, k, 1, 4)));
}

/* The binned scan, and what is held while its singular vectors are found beside those of the scan. */
static size_t binned(const sizes *z, um_weights weights, size_t l, size_t *tiles)
{
    const um_matrix_info *info = um_matrix_get_info(z->matrix);
    const um_scaled s = {.matrix = (um_matrix *)z->matrix,
                         .m = z->m,
                         .weighted = weights == UM_WEIGHTS_POISSON ||
                                     (weights == UM_WEIGHTS_AUTO && info->counts)};
    size_t side = um_binned_side(&s, um_subspace_bytes(z->n, z->m, l));
    if (side == 0) {
        *tiles = 0;
        return 0;
    }
    *tiles =
        (((size_t)info->shape.ny + side - 1) / side) * (((size_t)info->shape.nx + side - 1) / side);
    return *tiles * (z->m * sizeof(uint32_t) + sizeof(um_sample_slot) + sizeof(float));
}

static size_t nmf_peak(const sizes *z, const um_nmf_options *options)
{
    size_t k = options->k > 0 ? (size_t)options->k : 1;
    size_t l = um_subspace_size(k, 0, z->rank);
    bool few = options->start == UM_START_AUTO;
    size_t tiles = 0;
    size_t coarse = few ? binned(z, options->weights, l, &tiles) : 0;
    size_t found = tiles > 0 ? l * z->ld * sizeof(float) + l * z->n * sizeof(float) +
                                   2 * l * z->m * sizeof(double) +
                                   2 * l * (z->ld * sizeof(float) + z->m * sizeof(double)) +
                                   tiles * l * sizeof(float) + any_pass(z, l, false) -
                                   (z->all_kept ? z->tiles : 0)
                             : 0;
    size_t read = coarse + most(fused_read(z, l), found);
    size_t held = l * (z->ld + z->n) * sizeof(float) + coarse; /* from the last of these reads on */
    size_t state = k * (2 * z->ld + z->n) * sizeof(float);
    size_t residual = (k + 2) * z->ld * sizeof(float) + 2 * (z->n + 2 * z->workers * z->m) * sizeof(double) +
                      z->ld * sizeof(float) + transposed(z, k) * sizeof(float);
    /* The automatic start holds its best trials and one more, W'X and H in f64, and (for long scans) a sample. */
    size_t rows = z->n < UM_START_ROWS ? z->n : UM_START_ROWS;
    size_t trial = k * (2 * z->ld + rows) * sizeof(float);
    size_t start =
        held + state + (UM_SURVIVORS + 1) * trial + 2 * rows * k * sizeof(double) +
        2 * k * z->m * sizeof(double) +
        rows * (l + 1) * sizeof(float) +
        (tiles > 0 ? l * (z->ld + tiles) * sizeof(float) + k * (2 * z->ld + tiles) * sizeof(float)
                   : 0);
    /* Where a place stands out: its direction, maps and patterns. */
    size_t place = few ? 4 * z->n * sizeof(double) + z->ld * sizeof(float) + 3 * z->m * sizeof(double) + z->pattern : 0;
    size_t missed = few ? 2 * k * (z->n + z->ld) * sizeof(float) + k * z->ld * sizeof(float) : 0;
    size_t passes = (few ? held : 0) + state + residual + missed + 3 * k * z->m * sizeof(double) +
                    most(later_pass(z, k), place) + um_family_bytes(options, z->n, z->m, k) +
                    um_second_pass_bytes(options, z->n, z->m, z->ld, k, z->pattern);
    if (options->loss == UM_LOSS_KL) {
        passes = state + residual + z->workers * um_kl_pass_bytes(z->m, z->ld, k) +
                 z->n * sizeof(double) + (z->all_kept ? 0 : z->tiles);
    }
    size_t excess = 4 * z->n * sizeof(double);
    size_t added = options->second_pass != 0 ? um_second_pass_most(options) : 0;
    size_t end = added * (3 * z->ld + z->n) * sizeof(float) + (few ? held + missed : 0) + state + residual + model(z, k + added, 4, 5) + excess;
    return scaling(z) +
           most(sample(z, l), z->kept + most(most(read, start), most(passes, end)));
}

size_t um_svd_plan(const um_matrix *matrix, const um_svd_options *options)
{
    sizes z = sizes_of(matrix);
    return svd_peak(&z, options);
}

size_t um_nmf_plan(const um_matrix *matrix, const um_nmf_options *options)
{
    sizes z = sizes_of(matrix);
    return nmf_peak(&z, options);
}

/* What others hold now counts; what is kept gives way to the rest, so nothing passes the budget. */
static size_t beside_others(const um_matrix *matrix, size_t bytes)
{
    um_context *ctx = um_matrix_get_context(matrix);
    size_t others = um_context_memory_in_use(ctx) - um_matrix_get_needs(matrix).kept_now;
    size_t budget = um_context_memory(ctx);
    return others + bytes < budget ? others + bytes : budget;
}

um_status um_svd_reserve(um_matrix *matrix, const um_svd_options *options)
{
    UM_TRY(um_require_k(matrix, options->k, INT64_MAX));
    size_t own = um_svd_plan(matrix, options);
    UM_TRY(um_budget_require(um_matrix_get_context(matrix), own, "the singular values"));
    return um_matrix_keep(matrix, own);
}

um_status um_nmf_reserve(um_matrix *matrix, const um_nmf_options *options)
{
    UM_TRY(um_require_k(matrix, options->k, UM_HALS_LARGEST));
    size_t own = um_nmf_plan(matrix, options);
    UM_TRY(um_budget_require(um_matrix_get_context(matrix), own, "the factorisation"));
    return um_matrix_keep(matrix, own);
}

um_status um_svd_forecast(um_matrix *matrix, const um_svd_options *options, size_t *peak)
{
    UM_TRY(um_svd_reserve(matrix, options));
    const sizes z = sizes_of_run(matrix);
    size_t sums = z.kept + z.tiles + (scaling(&z) + 4 * z.workers * z.m * sizeof(double));
    *peak = most(sums_before(options) ? beside_others(matrix, sums) : 0,
                 PROGRAM + beside_others(matrix, svd_peak(&z, options)));
    return UM_OK;
}

um_status um_nmf_forecast(um_matrix *matrix, const um_nmf_options *options, size_t *peak)
{
    UM_TRY(um_nmf_reserve(matrix, options));
    const sizes z = sizes_of_run(matrix);
    *peak = PROGRAM + beside_others(matrix, nmf_peak(&z, options));
    return UM_OK;
}
