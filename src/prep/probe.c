/* A look at a few patterns, which decides how patterns are handed out and tells what they will take in
 * memory. It follows from the file, the recipe and the seed only. */
#include "kernels.h"
#include "matrix_internal.h"

#include <stdlib.h>

enum { PROBE_POSITIONS = 512, PROBE_SHARE = 16 };

/* Of the entries: below it patterns are kept as sparse rows, which some passes then take. */
static const double SPARSE_DENSITY = 0.08;

typedef struct probe_run {
    um_matrix *matrix;
    um_form_facts facts;
} probe_run;

static um_status probe_start(void *user, void **state)
{
    const probe_run *run = user;
    um_form_facts *facts = calloc(1, sizeof *facts);
    *state = facts;
    if (facts == NULL) {
        return um_fail(run->matrix->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    facts->whole = true;
    return UM_OK;
}

static void add_facts(um_form_facts *to, const um_form_facts *from)
{
    to->values += from->values;
    to->nonzero += from->nonzero;
    to->large += from->large;
    to->most = from->most > to->most ? from->most : to->most;
    to->whole = to->whole && from->whole;
}

static um_status probe_visit(void *user, void *state, const um_tile *tile)
{
    const probe_run *run = user;
    const um_shape s = run->matrix->info.shape;
    um_form_facts facts;
    um_form_measure(um_pixel_kernels_get(um_context_isa(run->matrix->ctx)), tile->dtype, tile->data, tile->rows * (size_t)(s.ky * s.kx), &facts);
    add_facts(state, &facts);
    return UM_OK;
}

static um_status probe_merge(void *user, void *state)
{
    probe_run *run = user;
    add_facts(&run->facts, state);
    *(um_form_facts *)state = (um_form_facts){.whole = true};
    return UM_OK;
}

static void probe_stop(void *user, void *state)
{
    (void)user;
    free(state);
}

um_status um_matrix_probe(um_matrix *m)
{
    static const um_visitor visitor = {
        .start = probe_start, .visit = probe_visit, .merge = probe_merge, .stop = probe_stop};
    if (m->probed) {
        return UM_OK;
    }
    double share = (double)PROBE_POSITIONS / (double)(m->layout.out.ny * m->layout.out.nx);
    share = share < 1.0 / PROBE_SHARE ? share : 1.0 / PROBE_SHARE;
    probe_run run = {.matrix = m, .facts = {.whole = true}};
    UM_TRY(um_matrix_sample(m, "looking at some patterns", share, &visitor, &run));
    bool narrow = m->info.dtype == UM_U8 || m->info.dtype == UM_U16;
    m->facts = run.facts;
    m->sparse = narrow && m->layout.out.ky * m->layout.out.kx <= UM_SPARSE_COLUMNS &&
                (double)run.facts.nonzero < SPARSE_DENSITY * (double)run.facts.values;
    m->probed = true;
    return UM_OK;
}

um_status um_matrix_decide_sparse(um_matrix *matrix, size_t k, bool *sparse)
{
    *sparse = false;
    if (matrix->info.dtype == UM_U8 || matrix->info.dtype == UM_U16) {
        UM_TRY(um_matrix_probe(matrix));
        *sparse = um_matrix_is_sparse(matrix, k);
    }
    return UM_OK;
}

bool um_matrix_is_sparse(const um_matrix *m, size_t k)
{
    double most = k > 0 ? um_kernel_sparse_share(um_context_isa(m->ctx), m->info.dtype, k) : 1;
    return m->sparse && (double)m->facts.nonzero <= most * (double)m->facts.values;
}

um_status um_matrix_density(um_matrix *matrix, double *density)
{
    *density = 0;
    UM_TRY(um_matrix_probe(matrix));
    if (matrix->facts.values > 0) {
        *density = (double)matrix->facts.nonzero / (double)matrix->facts.values;
    }
    return UM_OK;
}

um_status um_matrix_keep(um_matrix *matrix, size_t reserve)
{
    UM_TRY(um_matrix_probe(matrix));
    matrix->kept = true;
    matrix->reserve = reserve;
    return UM_OK;
}

um_matrix_needs um_matrix_get_needs(const um_matrix *m)
{
    size_t budget = um_context_memory(m->ctx);
    size_t used = um_context_memory_in_use(m->ctx);
    used = used > m->reserve ? used : m->reserve;
    size_t left = budget > used ? budget - used : 0;
    um_matrix_needs needs = {.workers = min_i64(um_context_threads(m->ctx), m->segments)};
    needs.kept = um_resident_forecast(m, &needs.all_kept);
    needs.kept_now = um_resident_bytes(m);
    needs.kept = needs.kept > needs.kept_now ? needs.kept : needs.kept_now;
    needs.tiles = um_is_reading(m) ? um_lanes_forecast(m, left, needs.workers) : 0;
    return needs;
}

size_t um_matrix_memory(const um_matrix *m)
{
    size_t budget = um_context_memory(m->ctx);
    size_t used = um_context_memory_in_use(m->ctx);
    used = used > m->reserve ? used : m->reserve;
    size_t left = budget > used ? budget - used : 0;
    const um_matrix_needs needs = um_matrix_get_needs(m);
    return needs.kept + needs.tiles < left ? needs.kept + needs.tiles : left;
}
