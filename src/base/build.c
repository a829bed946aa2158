/* What this build runs on: for --version and the provenance of results. */
#include "context_internal.h"

#include "build_config.h"

#include <dlfcn.h>
#include <string.h>

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
    snprintf(text, size, "reference BLAS");
}

const char *um_build_description(um_context *ctx)
{
    if (ctx->build == NULL) {
        char blas[160];
        blas_description(blas, sizeof blas);
        ctx->build = um_format("unmix %s, %s kernels, %s (small matrices only), HDF5 %s", UM_VERSION,
                               um_isa_name(ctx->isa), blas, UM_HDF5_VERSION);
    }
    return ctx->build != NULL ? ctx->build : "unmix " UM_VERSION;
}
