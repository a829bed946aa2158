/* The fused exact pass over patterns in memory: the loop that all factorisations spend their arithmetic in. */
#include "bench.h"

#include <math.h>

typedef struct kernel_case {
    um_dtype dtype;
    int64_t k;
    double density;
    bool sparse, blas;
} kernel_case;

static const kernel_case cases[] = {
    {UM_U8, 3, 0.19, false, false},  {UM_U8, 10, 0.19, false, true},   {UM_U8, 32, 0.19, false, false},
    {UM_U16, 3, 0.19, false, false}, {UM_U16, 10, 0.19, false, false}, {UM_U16, 32, 0.19, false, false},
    {UM_U8, 10, 0.04, true, false},
};

/* `seconds` are of 4 k operations and one visit a value, of all of them even where only stored ones are visited. */
static json_t *row_of(const char *name, const um_bench_problem *p, double seconds, double cpu_seconds,
                      const um_bench_kernels_result *r)
{
    double values = (double)p->patterns * (double)p->pixels;
    double flops = 4.0 * values * (double)p->components / seconds;
    double bytes = values * (double)um_dtype_size(p->dtype) / seconds;
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "name", name, "dtype",
                     um_dtype_name(p->dtype), "patterns", (json_int_t)p->patterns, "pixels",
                     (json_int_t)p->pixels, "k", (json_int_t)p->components, "density",
                     r->stored / values, "seconds", seconds, "cpu_seconds_per_thread", cpu_seconds,
                     "GFLOPS", flops / 1e9, "GBps", bytes / 1e9, "limit_GFLOPS", r->fma_flops / 1e9,
                     "limit_GBps", r->read_bytes / 1e9);
}

static um_status measure(bench *b, const kernel_case *one, int64_t patterns, int64_t pixels, json_t *list)
{
    const um_bench_problem problem = {.patterns = patterns,
                                      .pixels = pixels,
                                      .components = one->k,
                                      .dtype = one->dtype,
                                      .density = one->density,
                                      .sparse = one->sparse,
                                      .blas = one->blas && !b->quick,
                                      .repeats = b->quick ? 1 : 5};
    um_bench_kernels_result r;
    um_status status = um_bench_kernels(b->c->ctx, &problem, &r);
    if (status != UM_OK) {
        return status;
    }
    json_t *dense = row_of("exact pass", &problem, r.dense_seconds, r.dense_seconds_cpu, &r);
    double memory = json_number_value(json_object_get(dense, "GBps")) * 1e9 / r.read_bytes;
    json_object_set_new(dense, "of_f32_fma", json_real(r.dense_fraction));
    json_object_set_new(dense, "of_f32_fma_cpu", json_real(r.dense_fraction_cpu));
    json_object_set_new(dense, "of_memory_read", json_real(memory));
    json_object_set_new(dense, "bound_by",
                        json_string(r.dense_fraction >= memory ? "multiply-adds" : "memory"));
    if (r.blas_seconds > 0.0) {
        json_object_set_new(dense, "times_blas", json_real(r.blas_seconds / r.dense_seconds));
    }
    json_array_append_new(list, dense);
    if (one->sparse) {
        json_t *sparse = row_of("sparse rows", &problem, r.sparse_seconds, r.sparse_seconds_cpu, &r);
        json_object_set_new(sparse, "times_dense", json_real(r.dense_seconds / r.sparse_seconds));
        json_object_set_new(sparse, "ns_per_entry_and_thread",
                            json_real(r.sparse_seconds * b->threads / r.stored * 1e9));
        json_object_set_new(sparse, "bound_by", json_string("gathers"));
        json_array_append_new(list, sparse);
    }
    return UM_OK;
}

um_status bench_kernels(bench *b, bool large)
{
    json_t *list = json_array();
    um_status status = UM_OK;
    json_object_set_new(b->report, "kernels", list);
    int64_t patterns = b->quick ? 256 : large ? 49152 : 8192, pixels = b->quick ? 1024 : 20736;
    for (size_t i = 0; status == UM_OK && i < sizeof cases / sizeof *cases; i++) {
        status = measure(b, &cases[i], patterns, pixels, list);
    }
    return status;
}
