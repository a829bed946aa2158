/* What this build runs on: for --version and the provenance of results. */
#include "context_internal.h"

#include "build_config.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* Which BLAS the process has, by what it exports or else by where it was loaded from. */
static void blas_description(char *text, size_t size)
{
    union {
        void *object;
        char *(*call)(void);
    } symbol;
    if ((symbol.object = dlsym(RTLD_DEFAULT, "openblas_get_config")) != NULL) {
        const char *config = symbol.call();
        snprintf(text, size, "%s", config != NULL ? config : "OpenBLAS");
        return;
    }
    if ((symbol.object = dlsym(RTLD_DEFAULT, "bli_info_get_version_str")) != NULL) {
        const char *version = symbol.call();
        snprintf(text, size, "BLIS %s", version != NULL ? version : "");
        return;
    }
    Dl_info where = {0};
    void *gemm = dlsym(RTLD_DEFAULT, "cblas_dgemm");
    char *path = gemm != NULL && dladdr(gemm, &where) != 0 ? realpath(where.dli_fname, NULL) : NULL;
    snprintf(text, size, "BLAS %s", path != NULL ? path : "unknown");
    free(path);
}

const char *um_build_description(um_context *ctx)
{
    if (ctx->build == NULL) {
        char blas[512];
        blas_description(blas, sizeof blas);
        ctx->build = um_format("unmix %s, %s kernels, %s (small matrices only), HDF5 %s", UM_VERSION,
                               um_isa_name(ctx->isa), blas, UM_HDF5_VERSION);
    }
    return ctx->build != NULL ? ctx->build : "unmix " UM_VERSION;
}
