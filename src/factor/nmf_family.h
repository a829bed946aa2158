/* Variants of the squared-error factorisation, each begun at the plain fit: minimise
 *
 *   F = |X' - WH|^2 / 2 + sum_c [ L_w |w_c|_1 |h_c|_2 + L_h |h_c|_1 |w_c|_2 + L_s S(w_c) |h_c|_2^2 / 2 ]
 *       + L_o sum_(c<d) <w_c, w_d> |h_c|_2 |h_d|_2 + sigma^2 N sum_c log(|w_c|_1 |h_c|_2)
 *       + L_r sum(E), with X' - E for X' and E >= 0
 *       + L_d / 2 log det of the cosines between the rows of H
 *
 * over W, H >= 0, with rows of H held where they are given, and W = P Z, Z >= 0, behind a probe P. Every term keeps
 * its value when a component's scale moves between w and h, so rows of H have unit norm between steps.
 * Chosen here alone: um_family_solve() moves W and gathers B = W'X', G = W'W at the new W in one visit (two where a
 * term couples positions: A = X'H' is then kept, and W solved in memory); um_family_move() moves H from B and G. */
#ifndef UM_NMF_FAMILY_H
#define UM_NMF_FAMILY_H

#include "factor_internal.h"

typedef struct um_probe um_probe;
typedef struct um_robust um_robust;

typedef struct um_family {
    um_scaled *scaled;
    const um_nmf_options *options;
    um_nmf_state *state;
    bool *fixed;       /* k: rows of H that are held */
    double noise2;     /* sigma^2: variance of an entry of X' */
    double *lasso;     /* k: threshold of each loading: L_w, or what relevance determination makes of it */
    double *w_sum;     /* k: |w_c|_1 */
    double *energy;    /* k: S(w_c) */
    double *h_norm;    /* k: |h_c|_2 in a step of H */
    double *g_h;       /* k x k: HH' with the terms that are quadratic in W */
    double *b, *g;     /* k x m, k x k: of the last solve */
    double *h64;       /* k x m */
    float *a;          /* n x k, where positions are coupled, or NULL */
    um_probe *probe;   /* or NULL */
    um_robust *robust; /* or NULL */
    const float *outlier_a; /* n x k: what outliers add to X'H', or NULL */
    double *outlier_share;  /* n: of the counts of a position; malloc'ed, or NULL */
    double outlier_squares;
    double volume;     /* L_d: options->dips times the mean of |w_c|^2 of the plain fit */
    double *g_move;    /* k x k: W'W with the terms that are quadratic in H */
    double *work;      /* 2 k x k */
    double squares;    /* |X' - WH|^2 of the last solve */
    const um_sample_view *part; /* the passes are over it, or NULL = the scan */
    int64_t solves, visits;
} um_family;

bool um_family_wanted(const um_nmf_options *options);
um_status um_family_check(um_context *ctx, const um_nmf_options *options);
size_t um_family_bytes(const um_nmf_options *options, size_t n, size_t m, size_t k);
/* After the plain fit, whose residual is known: the variant, its last visit of exactly the pair that is returned. */
um_status um_nmf_family_passes(um_scaled *scaled, const um_nmf_options *options, um_nmf_state *state,
                               um_residual *residual, um_nmf_result *result);

/* The plain fit of some positions in memory, from state->h: its first `held` rows stay. State is of the view. *squares:
 * what is left. */
um_status um_family_fit_more(um_sample_view *view, um_nmf_state *state, size_t held, double *squares);

/* After the plain fit: components for what it leaves unexplained, its own held; see second_pass.c. */
um_status um_nmf_second_pass(um_scaled *scaled, const um_nmf_options *options, um_nmf_state *state,
                             um_residual *residual, um_nmf_result *result);
size_t um_second_pass_most(const um_nmf_options *options); /* components that may be added */
size_t um_second_pass_bytes(const um_nmf_options *options, size_t n, size_t m, size_t ld, size_t k,
                            size_t pattern);

/* W for state->h, and what is known at that pair. */
um_status um_family_solve(um_family *f, um_residual *residual);
double um_family_objective(const um_family *f);
/* The best H for this W into h64 (k x m), not of unit norm. */
void um_family_move(um_family *f);
/* Log of the determinant of HH' of state->h, and its inverse (k x k) unless NULL. */
double um_family_volume(const um_family *f, double *inverse);

/* Puts the patterns of options->fixed_file in the place of the components most like them. */
um_status um_family_fix(um_family *f);
/* Removes empty components and joins those that are alike; how many are gone. */
size_t um_family_prune(um_family *f);

um_status um_robust_create(um_family *f, double limit, um_robust **out);
/* Puts itself before and after the pass; E H' as it will be when rows are solved. After it W'E is taken off b, and |E|^2
 * told. */
const float *um_robust_begin(um_robust *robust, um_exact_pass *pass);
double um_robust_end(const um_robust *robust, double *b);
void um_robust_free(um_context *ctx, um_robust *robust);
size_t um_robust_bytes(size_t n, size_t m, size_t k);

um_status um_probe_create(um_scaled *scaled, size_t k, double sigma_px, um_probe **out);
/* Moves W = P Z down 1/2 tr(W G W') - <A, W> + L sum(W); W in the scaled space. */
void um_probe_solve(um_probe *probe, um_nmf_state *state, const double *g, const float *a,
                    const double *lasso);
void um_probe_scale(um_probe *probe, const double *scale); /* components times scale */
void um_probe_free(um_context *ctx, um_probe *probe);
size_t um_probe_bytes(size_t n, size_t k);
/* The same with the graph term of strength `smooth`, positions one after the other. */
void um_smooth_solve(const um_scaled *scaled, um_nmf_state *state, const double *g, const float *a,
                     const double *lasso, double smooth);
/* S(w_c): squared differences between neighbours along y and x, in units of counting noise. */
double um_smooth_energy(const um_scaled *scaled, const um_nmf_state *state, size_t c);

#endif
