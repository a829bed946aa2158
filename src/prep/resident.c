/* What stays in memory between passes. Each group is held in the form that suits it, in slabs that are
 * filled in the order of the visits until the room is used up; the groups that found no place are read
 * again. When someone needs memory between passes, slabs are given back. */
#include "matrix_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { UNASKED_SHARE = 4, SPARE_SHARE = 16, SLABS_AT_LEAST = 16, ALIGNMENT = 64 };
static const size_t SLAB_BYTES = (size_t)64 << 20;

typedef struct slab {
    char *base;
    size_t size, used;
} slab;

struct um_resident {
    um_matrix *matrix;
    pthread_mutex_t lock;
    um_held *groups; /* blocks * block_groups */
    slab *slabs;     /* the last one is being filled */
    size_t slab_count;
    size_t bytes, limit; /* held in slabs; at most */
    bool all_fits;       /* as prepared: no need to make anything smaller */
    bool filling, in_use;
    atomic_bool full; /* read without the lock */
    um_reclaimer reclaimer;
};

static size_t align_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t group_count(const um_matrix *m)
{
    return (size_t)(m->blocks_y * m->blocks_x * m->block_groups);
}

/* Everything as prepared, aligned. */
static size_t whole_bytes(const um_matrix *m)
{
    return (size_t)(m->layout.out.ny * m->layout.out.nx) * m->out_pattern +
           group_count(m) * ALIGNMENT;
}

/* ---- slabs ---------------------------------------------------------------------------------- */

static void drop_slab(um_resident *r)
{
    slab *s = &r->slabs[--r->slab_count];
    for (size_t g = 0; g < group_count(r->matrix); g++) {
        const char *data = r->groups[g].data;
        if (data >= s->base && data < s->base + s->size) {
            r->groups[g] = (um_held){UM_FORM_NONE, NULL};
        }
    }
    r->bytes -= s->size;
    um_buffer_free(r->matrix->ctx, s->base);
}

static void reclaim(void *user, size_t bytes)
{
    um_resident *r = user;
    pthread_mutex_lock(&r->lock);
    while (!r->in_use && r->slab_count > 0 && bytes > 0) {
        size_t size = r->slabs[r->slab_count - 1].size;
        drop_slab(r);
        bytes -= size < bytes ? size : bytes;
    }
    pthread_mutex_unlock(&r->lock);
}

static bool add_slab(um_resident *r, size_t least)
{
    size_t size = r->limit / SLABS_AT_LEAST;
    size = size < SLAB_BYTES ? size : SLAB_BYTES;
    size = r->all_fits && whole_bytes(r->matrix) < SLAB_BYTES ? whole_bytes(r->matrix) : size;
    size = size > least ? size : least;
    size_t left = r->limit > r->bytes ? r->limit - r->bytes : 0;
    size = size < left ? size : left;
    um_context *ctx = r->matrix->ctx;
    slab *slabs = realloc(r->slabs, (r->slab_count + 1) * sizeof *slabs);
    if (slabs != NULL) {
        r->slabs = slabs;
    }
    size_t used = um_context_memory_in_use(ctx);
    if (slabs == NULL || size < least || um_context_memory(ctx) < used ||
        size > um_context_memory(ctx) - used) {
        return false;
    }
    slab s = {.size = size};
    if (um_buffer_alloc(ctx, size, 1, "patterns in memory", &s.base) != UM_OK) {
        return false;
    }
    r->slabs[r->slab_count++] = s;
    r->bytes += size;
    return true;
}

/* NULL when there is no room. */
static void *claim(um_resident *r, size_t bytes)
{
    char *data = NULL;
    bytes = align_up(bytes);
    pthread_mutex_lock(&r->lock);
    slab *s = r->slab_count > 0 ? &r->slabs[r->slab_count - 1] : NULL;
    if (!r->full && (s == NULL || s->size - s->used < bytes)) {
        r->full = !add_slab(r, bytes);
        s = &r->slabs[r->slab_count - (r->slab_count > 0)];
    }
    if (!r->full) {
        data = s->base + s->used;
        s->used += bytes;
    }
    pthread_mutex_unlock(&r->lock);
    return data;
}

/* ---- groups --------------------------------------------------------------------------------- */

static um_form choose_form(const um_resident *r, size_t rows, const um_form_facts *facts)
{
    um_dtype dtype = r->matrix->info.dtype;
    um_form best = UM_FORM_RAW;
    for (um_form form = UM_FORM_RAW; form < UM_FORM_COUNT; form++) {
        bool wanted = !r->all_fits || (form == UM_FORM_SPARSE && r->matrix->sparse);
        if (wanted && um_form_size(form, dtype, rows, facts) < um_form_size(best, dtype, rows, facts)) {
            best = form;
        }
    }
    return best;
}

um_held um_resident_get(const um_matrix *m, int64_t block, int64_t group)
{
    return m->resident != NULL ? m->resident->groups[block * m->block_groups + group]
                               : (um_held){UM_FORM_NONE, NULL};
}

um_held um_resident_put(um_matrix *m, int64_t block, int64_t group, const void *data, size_t rows)
{
    um_resident *r = m->resident;
    if (r == NULL || !r->filling || r->full) {
        return (um_held){UM_FORM_NONE, NULL};
    }
    um_held held = {UM_FORM_RAW, NULL};
    if (rows > 0) {
        size_t values = rows * (size_t)(m->layout.out.ky * m->layout.out.kx);
        um_form_facts facts = {.values = values};
        if (!r->all_fits || m->sparse) {
            um_form_measure(um_pixel_kernels_get(um_context_isa(m->ctx)), m->info.dtype, data, values, &facts);
        }
        held.form = choose_form(r, rows, &facts);
        void *to = claim(r, um_form_size(held.form, m->info.dtype, rows, &facts));
        if (to == NULL) {
            return (um_held){UM_FORM_NONE, NULL};
        }
        um_form_encode(um_pixel_kernels_get(um_context_isa(m->ctx)), held.form, m->info.dtype, data, rows, &facts, to);
        held.data = to;
    }
    r->groups[block * m->block_groups + group] = held;
    return held;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* Without it everything is read again, which does as well. */
static void create(um_matrix *m)
{
    um_resident *r = calloc(1, sizeof *r);
    size_t bytes = group_count(m) * sizeof *r->groups;
    if (r == NULL || um_buffer_alloc(m->ctx, bytes, 1, "the list of patterns in memory", &r->groups) !=
                         UM_OK) {
        free(r);
        return;
    }
    r->matrix = m;
    pthread_mutex_init(&r->lock, NULL);
    r->reclaimer = (um_reclaimer){.give = reclaim, .user = r};
    um_context_add_reclaimer(m->ctx, &r->reclaimer);
    m->resident = r;
}

size_t um_resident_bytes(const um_matrix *m)
{
    return m->resident != NULL ? m->resident->bytes : 0;
}

/* Most that may be held beside what others hold now, or will. */
static size_t room(const um_matrix *m)
{
    size_t budget = um_context_memory(m->ctx);
    size_t others = um_context_memory_in_use(m->ctx) - um_resident_bytes(m);
    size_t spare = budget / SPARE_SHARE;
    if (m->kept) {
        others = others > m->reserve ? others : m->reserve;
        return budget > others + spare ? budget - others - spare : 0;
    }
    return budget > others ? (budget - others) / UNASKED_SHARE : 0;
}

void um_resident_prepare(um_matrix *m, bool whole_pass)
{
    size_t limit = room(m);
    bool wanted = whole_pass && (m->kept || (m->passes > 0 && whole_bytes(m) <= limit));
    if (m->resident == NULL && wanted && limit > 2 * group_count(m) * sizeof(um_held)) {
        create(m);
    }
    if (m->resident != NULL) {
        m->resident->filling = wanted;
    }
}

void um_resident_begin(um_matrix *m)
{
    um_resident *r = m->resident;
    if (r != NULL) {
        r->limit = room(m);
        r->all_fits = whole_bytes(m) <= r->limit;
        r->full = false;
        r->in_use = true;
    }
}

void um_resident_end(um_matrix *m)
{
    if (m->resident != NULL) {
        m->resident->in_use = false;
    }
}

/* Bytes of all patterns in the forms that were smallest for those looked at. */
static double forecast_whole(const um_matrix *m, size_t limit)
{
    double positions = (double)(m->layout.out.ny * m->layout.out.nx);
    double least = (double)whole_bytes(m);
    bool narrower = least > (double)limit;
    for (um_form form = UM_FORM_RAW; m->facts.values > 0 && form < UM_FORM_COUNT; form++) {
        size_t rows = m->facts.values / (size_t)(m->layout.out.ky * m->layout.out.kx);
        size_t bytes = um_form_size(form, m->info.dtype, rows, &m->facts);
        double whole = bytes == SIZE_MAX ? least : (double)bytes / (double)rows * positions;
        bool wanted = narrower || (form == UM_FORM_SPARSE && m->sparse);
        least = wanted && whole < least ? whole : least;
    }
    return least;
}

size_t um_resident_forecast(const um_matrix *m, bool *all)
{
    size_t limit = room(m);
    size_t list = group_count(m) * sizeof(um_held);
    int64_t threads = min_i64(um_context_threads(m->ctx), m->segments);
    size_t beside = list + (size_t)(threads * group_positions(m)) * m->out_pattern;
    double whole = forecast_whole(m, limit);
    *all = whole <= (double)limit;
    if (!m->kept && !*all) {
        return 0;
    }
    return beside + (*all ? (size_t)whole : limit);
}

void um_resident_free(um_matrix *m)
{
    um_resident *r = m->resident;
    if (r == NULL) {
        return;
    }
    um_context_remove_reclaimer(m->ctx, &r->reclaimer);
    for (size_t i = 0; i < r->slab_count; i++) {
        um_buffer_free(m->ctx, r->slabs[i].base);
    }
    um_buffer_free(m->ctx, r->groups);
    pthread_mutex_destroy(&r->lock);
    free(r->slabs);
    free(r);
    m->resident = NULL;
}
