#include "factor_internal.h"

#include <stdlib.h>

um_status um_nmf_state_create(um_scaled *s, size_t k, int64_t max_passes, um_nmf_state *state)
{
    *state = (um_nmf_state){.k = k};
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof(float), "components", &state->h));
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof(float), "components", &state->h_last));
    UM_TRY(um_buffer_alloc(s->ctx, s->n * k, sizeof(float), "loadings", &state->w));
    state->scale = calloc(k, sizeof *state->scale);
    state->history = calloc((size_t)max_passes + 1, sizeof *state->history);
    state->history_kkt = calloc((size_t)max_passes + 1, sizeof *state->history_kkt);
    if (state->scale == NULL || state->history == NULL || state->history_kkt == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for the state of the fit");
    }
    for (size_t c = 0; c < k; c++) {
        state->scale[c] = 1;
    }
    return UM_OK;
}

void um_nmf_state_free(um_context *ctx, um_nmf_state *state)
{
    um_buffer_free(ctx, state->h);
    um_buffer_free(ctx, state->h_last);
    um_buffer_free(ctx, state->w);
    free(state->scale);
    free(state->history);
    free(state->history_kkt);
}
