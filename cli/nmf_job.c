#include "nmf_job.h"
#include "forecast.h"

#include "unmix/online.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const start_names[] = {"auto",     "separable", "nndsvd", "nndsvda",
                                          "nndsvdar", "random",    "file"};

void nmf_job_clear(nmf_job *job)
{
    um_nmf_result_free(job->result);
    um_choose_result_free(job->choice);
    cli_overview_free(&job->overview);
    cli_scan_close(&job->scan);
    free(job->report);
    free(job->checkpoint);
    free(job->link);
    free(job->run);
    json_decref(job->files);
    json_decref(job->each);
    json_decref(job->online);
    um_online_free(job->follower);
}

/* ---- the number of components ---------------------------------------------------------------- */

static um_status choose_k(nmf_job *job)
{
    cli *c = job->c;
    const um_choose_options choose = {.weights = job->options.weights, .sums = job->overview.sums, .brief = true};
    um_shape shape = um_matrix_get_info(job->scan.matrix)->shape;
    um_choose_result *r = NULL;
    if (shape.ny * shape.nx < 2 || shape.ky * shape.kx < 2) {
        job->options.k = 1; /* there is nothing to choose */
        return UM_OK;
    }
    um_status status = um_choose(job->scan.matrix, &choose, &r);
    if (status != UM_OK) {
        return status;
    }
    job->choice = r;
    job->options.k = r->recommended;
    cli_note(c, "-k was not given: k = %lld%s; the evidence allows %lld to %lld%s (%s)", (long long)r->recommended,
             r->more && r->recommended == r->high ? " or more" : "", (long long)r->low, (long long)r->high,
             r->more ? " and more" : "", r->why);
    job->overview.sums = r->sums; /* of use to the fit */
    job->options.sums = r->sums;
    r->sums = NULL;
    return UM_OK;
}

/* ---- what it will take ----------------------------------------------------------------------- */

static um_status forecast(nmf_job *job)
{
    size_t peak = 0;
    um_status status = um_nmf_forecast(job->scan.matrix, &job->options, &peak);
    if (status == UM_OK) {
        job->planned_bytes = cli_forecast_resident(job->c, peak);
    }
    return status;
}

um_status nmf_job_plan(nmf_job *job)
{
    const int64_t usual = 10;
    cli *c = job->c;
    job->options.k = cli_given(c, "k") ? cli_integer(c, "k") : usual;
    um_status status = forecast(job);
    return status != UM_OK ? status
                           : cli_tell_plan(c, &job->scan, job->options.k,
                                           um_nmf_plan(job->scan.matrix, &job->options),
                                           job->planned_bytes);
}

/* ---- runs ------------------------------------------------------------------------------------ */

static um_status one_run(nmf_job *job, int i, uint64_t seed)
{
    cli *c = job->c;
    um_nmf_options options = job->options;
    if (i > 0 && !cli_given(c, "start")) {
        options.start = UM_START_RANDOM;
    }
    um_context_set_seed(c->ctx, seed + (uint64_t)i);
    um_nmf_result *r = NULL;
    um_status status = um_nmf(job->scan.matrix, &options, &r);
    if (status != UM_OK) {
        return status;
    }
    status = cli_overview_take(c, job->scan.matrix, &r->sums, &r->virtual_map, &job->overview);
    job->options.sums = job->overview.sums;
    if (status != UM_OK) {
        um_nmf_result_free(r);
        return status;
    }
    job->run[i] = (nmf_run){seed + (uint64_t)i, options.start, r->converged, r->iterations,
                            r->frobenius_error, r->weighted_error};
    bool better = job->result == NULL ||
                  (r->loss == UM_LOSS_KL ? r->divergence < job->result->divergence
                                         : r->weighted_error < job->result->weighted_error);
    if (better) {
        um_nmf_result_free(job->result);
        job->result = r;
        job->best = i;
    } else {
        um_nmf_result_free(r);
    }
    if (job->runs > 1) {
        cli_note(c, "run %d of %d: seed %llu, %s start: error %.7g%s", i + 1, job->runs,
                 (unsigned long long)job->run[i].seed, start_names[options.start],
                 job->run[i].frobenius_error, job->run[i].converged ? "" : " (not converged)");
    }
    return UM_OK;
}

um_status nmf_job_fit(nmf_job *job)
{
    cli *c = job->c;
    um_shape shape = um_matrix_get_info(job->scan.matrix)->shape;
    um_status status = UM_OK;
    job->overview.matrix = job->scan.matrix;
    if (shape.ky > 1 && shape.kx > 1) {
        job->options.choose_aperture = cli_overview_aperture;
        job->options.aperture_user = &job->overview;
    }
    if (job->options.held == NULL) {
        job->options.k = cli_integer(c, "k");
    }
    if (status == UM_OK && !cli_given(c, "k")) {
        status = choose_k(job);
    }
    job->run = calloc((size_t)job->runs, sizeof *job->run);
    if (status == UM_OK && job->run == NULL) {
        status = cli_fail(c, UM_ERROR_MEMORY, "no memory for %d runs", job->runs);
    }
    if (status == UM_OK) {
        status = forecast(job);
    }
    if (status == UM_OK && c->verbose) {
        char text[32];
        cli_note(c, "peak memory will be about %s", cli_bytes_text((double)job->planned_bytes, text));
    }
    uint64_t seed = um_context_seed(c->ctx);
    for (int i = 0; i < job->runs && status == UM_OK; i++) {
        status = one_run(job, i, seed);
    }
    um_context_set_seed(c->ctx, seed);
    if (status == UM_CANCELLED && job->checkpoint != NULL && access(job->checkpoint, F_OK) == 0) {
        return cli_fail(c, status, "cancelled; the same command with --resume goes on from %s",
                        job->checkpoint);
    }
    return status;
}

/* ---- storing --------------------------------------------------------------------------------- */

static json_t *runs_json(const nmf_job *job)
{
    json_t *list = json_array();
    for (int i = 0; i < job->runs; i++) {
        const nmf_run *r = &job->run[i];
        json_array_append_new(
            list, json_pack("{s:I, s:s, s:b, s:I, s:o, s:o, s:b}", "seed", (json_int_t)r->seed,
                            "start", start_names[r->start], "converged", (int)r->converged,
                            "iterations", (json_int_t)r->iterations, "frobenius_error",
                            cli_json_real(r->frobenius_error), "weighted_error",
                            cli_json_real(r->weighted_error), "kept", (int)(i == job->best)));
    }
    return list;
}

static json_t *second_json(const um_second_pass *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "first", (json_int_t)s->first, "components",
                     (json_int_t)s->components, "positions_before", (json_int_t)s->before,
                     "positions_after", (json_int_t)s->after, "positions_taken", (json_int_t)s->taken,
                     "pixels", (json_int_t)s->pixels, "gain",
                     cli_json_real(1 - s->squares_after / s->squares_before));
}

/* The facts of the fit: in the provenance and on --json. */
static json_t *facts_json(const nmf_job *job)
{
    const um_nmf_result *r = job->result;
    json_t *object = json_pack(
        "{s:I, s:b, s:I, s:f, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:s, s:I, s:f, s:I}", "k",
        (json_int_t)um_model_k(r->model), "converged", (int)r->converged, "passes",
        (json_int_t)r->passes, "reads", um_matrix_reads(job->scan.matrix),
        "iterations", (json_int_t)r->iterations, "frobenius_error",
        cli_json_real(r->frobenius_error), "relative_error", cli_json_real(r->relative_error),
        "weighted_error", cli_json_real(r->weighted_error), "noise_ratio",
        cli_json_real(r->noise_ratio), "kkt", cli_json_real(r->kkt), "weighted", (int)r->weighted,
        "start", job->online != NULL ? "online" : start_names[job->run[job->best].start], "seed",
        (json_int_t)job->run[job->best].seed, "seconds", cli_seconds() - job->c->started,
        "peak_bytes", (json_int_t)cli_peak_bytes());
    if (object != NULL) {
        json_object_set_new(object, "planned_bytes", json_integer(job->planned_bytes));
        json_object_set_new(object, "visits", /* from the file or from memory */
                            json_real(um_matrix_visits(job->scan.matrix)));
        json_object_set_new(object, "floor", cli_json_real(r->floor));
        json_object_set_new(object, "lower_bound", cli_json_real(r->lower_bound));
        json_object_set_new(object, "remaining", cli_json_real(r->remaining));
        json_object_set_new(object, "stop",
                            json_string(r->stop == UM_STOP_FLOOR ? "floor" : "tolerance"));
        json_object_set_new(object, "stopped", json_string(r->stopped));
    }
    if (object != NULL && r->loss == UM_LOSS_KL) {
        json_object_set_new(object, "loss", json_string("kl"));
        json_object_set_new(object, "divergence", cli_json_real(r->divergence));
    }
    if (object != NULL && isfinite(r->fit_cost)) {
        json_object_set_new(object, "fit_cost", cli_json_real(r->fit_cost));
        json_object_set_new(object, "variant_steps", json_integer((json_int_t)r->variant_steps));
        json_object_set_new(object, "removed", json_integer((json_int_t)r->removed));
        json_object_set_new(object, "removed_noise", cli_json_real(r->removed_noise));
    }
    if (object != NULL && r->second.first > 0) {
        json_object_set_new(object, "second_pass", second_json(&r->second));
    }
    if (object != NULL && job->online != NULL) {
        json_object_set(object, "online", job->online);
    }
    if (object != NULL && r->more_reads != NULL) {
        json_object_set_new(object, "more_reads", json_string(r->more_reads));
    }
    if (object != NULL && r->excess.positions > 0) {
        json_object_set_new(object, "localised_excess",
                            json_pack("{s:I, s:I, s:I, s:f}", "positions",
                                      (json_int_t)r->excess.positions, "y", (json_int_t)r->excess.y,
                                      "x", (json_int_t)r->excess.x, "sigmas", r->excess.sigmas));
    }
    if (object != NULL && job->choice != NULL) {
        const um_choose_result *choice = job->choice;
        json_object_set_new(object, "k_reason", json_string(choice->why));
        json_object_set_new(object, "k_low", json_integer((json_int_t)choice->low));
        json_object_set_new(object, "k_high", json_integer((json_int_t)choice->high));
        json_object_set_new(object, "k_more", json_boolean(choice->more));
        json_object_set_new(object, "choose_seconds", json_real(choice->seconds));
    }
    if (object != NULL && job->runs > 1) {
        json_object_set_new(object, "runs", runs_json(job));
    }
    return object;
}

um_status nmf_job_store(nmf_job *job)
{
    cli *c = job->c;
    um_model *model = job->result->model;
    job->files = json_array();
    um_status status = cli_overview_store(&job->overview, model);
    if (status == UM_OK) {
        json_t *facts = facts_json(job);
        json_object_set_new(facts, "method", json_string("NMF"));
        status = cli_set_provenance(c, &job->scan, model, facts);
    }
    if (status == UM_OK) {
        status = cli_save_models(c, model, cli_given(c, "lazy-safe"), job->link, job->files);
    }
    if (status == UM_OK && job->report != NULL) {
        um_report_options report = {.overwrite = c->force, .choice = job->choice};
        status = um_report_write(c->ctx, model, job->report, &report);
        json_array_append_new(job->files, cli_json_text(job->report));
    }
    if (status == UM_OK && cli_given(c, "each")) {
        status = nmf_each_store(job);
    }
    if (status == UM_OK && job->checkpoint != NULL) {
        unlink(job->checkpoint); /* it need not be there */
    }
    return status;
}

/* ---- telling --------------------------------------------------------------------------------- */

/* Share of the used positions where each component gives most of the counts. malloc'ed. */
static double *strongest_share(um_model *model)
{
    int64_t k = um_model_k(model);
    um_shape s = um_model_shape(model);
    double *share = calloc((size_t)k, sizeof *share);
    double *sum = calloc((size_t)k, sizeof *sum);
    int64_t used = 0;
    for (int64_t i = 0; share != NULL && sum != NULL && i < k; i++) {
        const float *h = um_model_factors(model) + i * s.ky * s.kx;
        for (int64_t q = 0; q < s.ky * s.kx; q++) {
            sum[i] += isnan(h[q]) ? 0 : (double)h[q];
        }
    }
    for (int64_t p = 0; share != NULL && sum != NULL && p < s.ny * s.nx; p++) {
        const float *w = um_model_loadings(model) + p * k;
        int64_t best = 0;
        for (int64_t i = 1; i < k; i++) {
            best = (double)w[i] * sum[i] > (double)w[best] * sum[best] ? i : best;
        }
        used += !isnan(w[0]);
        share[best] += !isnan(w[0]);
    }
    for (int64_t i = 0; share != NULL && i < k && used > 0; i++) {
        share[i] /= (double)used;
    }
    free(sum);
    return share;
}

static void say_components(cli *c, um_model *model)
{
    const um_array *share = um_model_array(model, "component_contribution");
    double *strongest = strongest_share(model);
    cli_say(c, "component  share of counts  strongest at");
    for (int64_t i = 0; i < um_model_k(model); i++) {
        cli_say(c, "%9lld  %14.2f%%  %6.2f%% of the positions", (long long)i,
                share != NULL ? 100 * um_array_get(share, i) : (double)NAN,
                strongest != NULL ? 100 * strongest[i] : (double)NAN);
    }
    free(strongest);
}

static void say_second_pass(cli *c, const um_second_pass *s)
{
    if (s->components == 0) {
        cli_say(c, "second pass  nothing: the residual exceeds counting noise at %lld positions, which have nothing "
                   "in common beyond noise",
                (long long)s->before);
        return;
    }
    cli_say(c, "second pass  %lld components added, from %lld positions: the residual exceeded counting noise at "
               "%lld and does at %lld now; squared weighted error %.3g %% less",
            (long long)s->components, (long long)s->taken, (long long)s->before, (long long)s->after,
            100 * (1 - s->squares_after / s->squares_before));
}

static void say_fit(const nmf_job *job)
{
    cli *c = job->c;
    const um_nmf_result *r = job->result;
    char time[32];
    char memory[32];
    say_components(c, r->model);
    if (job->each != NULL) {
        nmf_each_say(job);
    }
    cli_say(c, "\nerror        ||X - WH|| = %.8g, %.4g %% of ||X||", r->frobenius_error,
            100 * r->relative_error);
    if (isfinite(r->noise_ratio)) {
        cli_say(c, "noise        mean squared residual is %.4g of what counting noise alone gives",
                r->noise_ratio);
    }
    if (isfinite(r->fit_cost)) {
        cli_say(c, "variant      %lld steps beyond the plain fit, whose squared weighted error is %.4g %% "
                   "less%s",
                (long long)r->variant_steps, 100 * r->fit_cost, r->converged ? "" : " (not converged)");
        if (r->removed > 0) {
            cli_say(c, "             %lld components removed, which can have gained %.4g %% by fitting noise alone",
                    (long long)r->removed, 100 * r->removed_noise);
        }
    } else if (job->online != NULL) {
        cli_say(c, "online       patterns from %lld batches of the growing file; loadings found for these patterns at "
                   "%lld positions",
                (long long)json_integer_value(json_object_get(job->online, "batches")),
                (long long)json_integer_value(json_object_get(job->online, "positions")));
    } else if (r->converged) {
        cli_say(c, "convergence  reached after %lld passes: %s (projected gradient %.2g)",
                (long long)r->iterations, r->stopped, r->kkt);
    } else {
        cli_say(c, "convergence  NOT reached: projected gradient %.2g after %lld passes; raise "
                   "--max-passes",
                r->kkt, (long long)r->iterations);
    }
    if (r->second.first > 0) {
        say_second_pass(c, &r->second);
    }
    if (r->excess.positions > 0) {
        cli_say(c, "localised    the residual stands out at %lld positions, most at y %lld, x %lld (%.0f "
                   "standard deviations): a phase may be missing there; try -k %lld",
                (long long)r->excess.positions, (long long)r->excess.y, (long long)r->excess.x,
                r->excess.sigmas, (long long)um_model_k(r->model) + 1);
    }
    if (r->loss == UM_LOSS_KL) {
        cli_say(c, "likelihood   Kullback-Leibler divergence %.8g", r->divergence);
    } else if (isfinite(r->lower_bound)) {
        cli_say(c, "optimality   weighted error %.8g; no %lld components reach less than %.8g "
                   "(singular values, estimated)",
                r->weighted_error, (long long)um_model_k(r->model), r->lower_bound);
    }
    if (job->runs > 1) {
        cli_say(c, "runs         kept seed %llu (%s start) of %d",
                (unsigned long long)job->run[job->best].seed,
                start_names[job->run[job->best].start], job->runs);
    }
    cli_say(c, "cost         %.2f reads of the file, %.2f visits of its patterns, %s, peak memory %s",
            um_matrix_reads(job->scan.matrix), um_matrix_visits(job->scan.matrix),
            cli_seconds_text(cli_seconds() - c->started, time),
            cli_bytes_text((double)cli_peak_bytes(), memory));
    for (size_t i = 0; i < json_array_size(job->files); i++) {
        cli_say(c, "%s%s", i == 0 ? "wrote        " : "             ",
                json_string_value(json_array_get(job->files, i)));
    }
    if (job->report != NULL) {
        cli_say(c, "\nOpen %s in a browser to look at the components.", job->report);
    }
}

um_status nmf_job_tell(nmf_job *job)
{
    cli *c = job->c;
    if (!job->result->converged) {
        cli_warn(c, "not converged: stopped after %lld passes", (long long)job->result->iterations);
    }
    if (!c->json) {
        say_fit(job);
        return UM_OK;
    }
    json_t *object = facts_json(job);
    if (object != NULL) {
        json_object_set(object, "files", job->files);
        if (job->each != NULL) {
            json_object_set(object, "each", job->each);
        }
    }
    return cli_print_json(c, object);
}
