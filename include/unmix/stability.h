/* unmix/stability.h - whether the components of a result come back: from independent halves of the counts, and from
 * other starts. docs/verify.md.
 *
 * Each count x of a pixel is split by fair coins into two halves (counter-based random numbers: seed, position, pixel),
 * which for Poisson counts are independent Poisson counts of half the mean. A factorisation is fitted to each half, from
 * starts of its own, and components are matched one to one to those of the result. With L and L' the counts that the
 * halves give a component at a position, L + L' has the variance of L - L', so |L - L'| is one draw of the standard error
 * at the whole dose, with everything in it that the analytic one leaves out: that patterns are uncertain, and that several
 * factorisations fit alike. Starts: random numbers, the SVD and the purest patterns, fitted to all counts. */
#ifndef UNMIX_STABILITY_H
#define UNMIX_STABILITY_H

#include "unmix/evidence.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills half_cosine .. start_share of the cards, refit_positions, starts and starts_alike, and adds suspicions
 * (UM_SUSPECT_UNSTABLE). `matrix` as the model was made of. Fits are to low-rank images of at most 4096 positions (fewer
 * where that is more than 128 MiB of values): all, or those where each component is strongest and an even choice of the
 * others. Values that are no counts are not split.
 * Cost: one read, then arithmetic in memory. Memory: um_refit_plan(). Errors: UM_ERROR_SHAPE for another scan. */
UM_CHECK UM_API um_status um_evidence_refit(um_matrix *matrix, um_model *model, um_evidence *evidence);
/* Bytes of budgeted buffers at its peak, beside those of the pass. */
UM_API size_t um_refit_plan(const um_matrix *matrix, int64_t k);

#ifdef __cplusplus
}
#endif
#endif
