/* What the files of the evidence share. */
#ifndef UM_EVIDENCE_INTERNAL_H
#define UM_EVIDENCE_INTERNAL_H

#include "base_internal.h"
#include "unmix/evidence.h"

typedef struct um_inquiry {
    um_context *ctx;
    um_evidence *out;
    um_shape shape;
    int64_t k, n, m;    /* components, positions, pixels: excluded ones too */
    const float *h, *w; /* k x m, n x k */
    const uint8_t *pixel_mask, *position_mask;
    double *d, *e;             /* weights of pixels 1/b and positions 1/a; 0 where excluded or empty */
    double *contrast;          /* pixels: 1/b, whatever the weights of the result */
    int64_t beam;              /* brightest pixel of the sum pattern */
    double center[2];          /* y, x of the middle of the sum pattern, px */
    double *pattern_sum;       /* k: over pixels in use */
    double *map_sum;           /* k: over positions in use */
    double *signal;            /* n: counts of each position, of the sum map or the model */
    double *expected, *spread; /* n: of the weighted residual map, mean and standard deviation by counting noise */
    double *expected_q, *spread_q; /* m: of the squared residual pattern */
    double *open;                  /* evidence_fractions.c: k x k, and critical values */
    int64_t n_used, m_used;
} um_inquiry;

static inline bool um_used(const uint8_t *mask, int64_t i)
{
    return mask == NULL || mask[i] == 0;
}
static inline double um_h(const um_inquiry *q, int64_t c, int64_t j)
{
    double x = (double)q->h[c * q->m + j];
    return um_used(q->pixel_mask, j) && x > 0 ? x : 0;
}
static inline double um_w(const um_inquiry *q, int64_t p, int64_t c)
{
    double x = (double)q->w[p * q->k + c];
    return um_used(q->position_mask, p) && x > 0 ? x : 0;
}
/* Share of the modelled counts of a position. */
double um_share(const um_inquiry *q, int64_t p, int64_t c);

/* Inverse of the rows and columns `active` of a symmetric k x k matrix, into the same places of `inverse` (0 elsewhere).
 * work: k*k. False where it is singular. */
bool um_inverse_on(int64_t k, const double *g, const bool *active, double *inverse, double *work);

/* evidence_proxies.c: what follows thickness and tilt at each position. */
typedef struct um_proxy {
    double scattered; /* part of the counts outside the direct beam */
    double y, x;      /* centre of mass of these, px from the beam */
} um_proxy;
typedef struct um_proxies {
    um_context *ctx;
    um_shape shape;
    const uint8_t *mask;
    bool found; /* a direct beam, around which to measure */
    double y, x, radius_px;
    um_proxy *at; /* positions */
} um_proxies;
/* mean: of the patterns of the scan, ky*kx. um_proxies_free() in every case. */
um_status um_proxies_make(um_context *ctx, const um_model *model, const double *mean, um_proxies *out);
void um_proxies_free(um_proxies *proxies);
/* From different workers for different positions. */
void um_proxies_add(um_proxies *proxies, int64_t position, const um_array *pattern);
um_status um_proxies_tell(const um_proxies *proxies, um_model *model, um_evidence *evidence);
/* evidence_errors.c */
/* A float64 array of the model of exactly `count` numbers, or NULL. */
const double *um_evidence_array(const um_model *model, const char *name, int64_t count);
um_status um_evidence_errors(um_inquiry *q);
/* evidence_fractions.c: intervals at a position from the covariance of its loadings that are not zero. */
um_status um_evidence_open_make(um_inquiry *q);
void um_evidence_fraction_interval(um_inquiry *q, int64_t p, const double *covariance);
/* evidence_fit.c: standard deviations of a sum of squares above its mean; fraction of the finite ones that a false discovery
 * rate of 1 % calls large (scratch: count). */
double um_sigmas_above(double observed, double mean, double spread);
double um_beyond_noise(const double *sigmas, int64_t count, double *scratch);
um_status um_evidence_fit(um_inquiry *q, um_model *model);
/* evidence_pairs.c, evidence_single.c: suspicions. */
UM_PRINTF(5, 6) um_status um_suspect(um_evidence *e, um_suspicion_kind kind, int64_t component, int64_t with,
                                     const char *format, ...);
um_status um_suspect_pairs(um_inquiry *q);
um_status um_suspect_singles(um_inquiry *q);

#endif
