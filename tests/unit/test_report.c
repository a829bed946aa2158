#include "report_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static um_context *new_context(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    return ctx;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/unmix-report-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static char *file_in_folder(const char *name)
{
    return um_format("%s/%s", folder, name);
}

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_int_equal(fseek(file, 0, SEEK_SET), 0);
    char *text = calloc((size_t)size + 1, 1);
    assert_int_equal(fread(text, 1, (size_t)size, file), (size_t)size);
    assert_int_equal(fclose(file), 0);
    return text;
}

/* The page of a model; the file is gone again. */
static char *report_of(um_context *ctx, um_model *model, const um_report_options *options)
{
    char *path = file_in_folder("report.html");
    um_status status = um_report_write(ctx, model, path, options);
    if (status != UM_OK) {
        fail_msg("%s", um_context_message(ctx));
    }
    char *page = read_all(path);
    assert_int_equal(unlink(path), 0);
    free(path);
    return page;
}

/* k reflections that move with the component, a direct beam, stripes as loadings. */
static um_model *make_model(um_context *ctx, int64_t k, um_shape shape, double beam)
{
    um_model_spec spec = {.k = k, .shape = shape, .method = "NMF"};
    const int64_t sizes[4] = {shape.ny, shape.nx, shape.ky, shape.kx};
    for (int i = 0; i < 4; i++) {
        spec.axes[i] = (um_axis){.scale = i < 2 ? 5.2 : 0.02, .size = sizes[i], .navigate = i < 2};
        snprintf(spec.axes[i].units, sizeof spec.axes[i].units, "%s", i < 2 ? "nm" : "1/Å");
    }
    um_model *model = NULL;
    assert_int_equal(um_model_create(ctx, &spec, &model), UM_OK);
    int64_t m = shape.ky * shape.kx;
    int64_t n = shape.ny * shape.nx;
    double *mean = calloc((size_t)m, sizeof *mean);
    for (int64_t c = 0; c < k; c++) {
        for (int64_t q = 0; q < m; q++) {
            double y = (double)(q / shape.kx);
            double x = (double)(q % shape.kx);
            double r = hypot(y - 0.5 * (double)(shape.ky - 1), x - 0.5 * (double)(shape.kx - 1));
            double spot = hypot(y - (double)((5 * c + 2) % shape.ky), x - (double)(3 * c + 1));
            double v = 0.001 + exp(-spot * spot) + beam * exp(-r * r / 2);
            um_model_factors(model)[c * m + q] = (float)v;
            mean[q] += v / (double)k;
        }
        for (int64_t p = 0; p < n; p++) {
            um_model_loadings(model)[p * k + c] = p % k == c ? 1000 : 1;
        }
    }
    assert_int_equal(um_model_set_array(model, "mean_pattern", 2, (int64_t[]){shape.ky, shape.kx},
                                        mean),
                     UM_OK);
    free(mean);
    return model;
}

static void set_map(um_model *model, const char *name, double value)
{
    um_shape s = um_model_shape(model);
    double *map = calloc((size_t)(s.ny * s.nx), sizeof *map);
    for (int64_t i = 0; i < s.ny * s.nx; i++) {
        map[i] = value + 0.001 * (double)(i % 7);
    }
    assert_int_equal(um_model_set_array(model, name, 2, (int64_t[]){s.ny, s.nx}, map), UM_OK);
    free(map);
}

/* Every element that is opened is closed, in order. */
static void check_structure(const char *page)
{
    const char *stack[64];
    size_t length[64];
    int depth = 0;
    const char *p = strstr(page, "<html");
    assert_non_null(p);
    while ((p = strchr(p, '<')) != NULL) {
        const char *end = strchr(p, '>');
        assert_non_null(end);
        bool closing = p[1] == '/';
        const char *name = p + 1 + closing;
        size_t n = strcspn(name, " >/\n");
        bool is_void = end[-1] == '/' || strncmp(name, "meta", n) == 0;
        if (closing) {
            assert_true(depth > 0);
            depth--;
            if (length[depth] != n || strncmp(stack[depth], name, n) != 0) {
                fail_msg("<%.*s> closed by </%.*s>", (int)length[depth], stack[depth], (int)n, name);
            }
        } else if (!is_void) {
            assert_true(depth < 64);
            stack[depth] = name;
            length[depth++] = n;
        }
        p = end;
    }
    assert_int_equal(depth, 0);
    assert_null(strstr(page, "http:"));
    assert_null(strstr(page, "https:"));
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "@import"));
    const char *numbers[] = {" nan", "\"nan", ">nan", "-nan", " inf", "\"inf", ">inf<", "-inf"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_null(strstr(page, numbers[i])); /* no number that is none */
    }
}

static void a_page_stands_alone(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_model *model = make_model(ctx, 3, (um_shape){6, 9, 24, 20}, 0);
    set_map(model, "residual_map", 0.1);
    set_map(model, "residual_map_expected", 0.1);
    double values[] = {10, 5, 2, 0.1, 0.09, 0.08};
    double history[] = {100, 20, 10, 9.9, 9.8};
    assert_int_equal(um_model_set_array(model, "singular_values", 1, (int64_t[]){6}, values), UM_OK);
    assert_int_equal(um_model_set_array(model, "objective_history", 1, (int64_t[]){5}, history),
                     UM_OK);
    assert_int_equal(
        um_model_set_provenance(
            model, "{\"input\":{\"path\":\"/data/alloy.hspy\",\"digest\":\"ab12\"},"
                   "\"command\":\"unmix nmf alloy.hspy -k 3\",\"nmf\":{\"converged\":true,"
                   "\"relative_error\":0.25,\"passes\":7}}"),
        UM_OK);
    char *page = report_of(ctx, model, NULL);
    check_structure(page);
    assert_non_null(strstr(page, "<title>NMF of alloy.hspy</title>"));
    assert_non_null(strstr(page, "Converged: 3 components explain 93.8&nbsp;%"));
    assert_non_null(strstr(page, "after 7 passes"));
    assert_non_null(strstr(page, "Component 2"));
    assert_non_null(strstr(page, "unmix nmf alloy.hspy -k 3"));
    assert_non_null(strstr(page, "0.02 Å⁻¹"));
    assert_non_null(strstr(page, "nothing beyond counting noise"));
    assert_null(strstr(page, "direct beam is not masked"));
    assert_null(strstr(page, "nearly the same pattern"));
    char *again = report_of(ctx, model, NULL);
    assert_string_equal(page, again); /* the same bytes */
    free(page);
    free(again);
    um_model_free(model);
    um_context_free(ctx);
}

static void words_from_outside_are_escaped(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_model *model = make_model(ctx, 2, (um_shape){3, 4, 10, 10}, 0);
    assert_int_equal(um_model_set_provenance(
                         model, "{\"input\":{\"path\":\"<b>&'\\\".npy\"},\"recipe\":\"</pre><i>\","
                                "\"warnings\":[\"<u>clipped</u>\"],\"command\":[\"a <b\",\"c\"],"
                                "\"weights\":\"<em>\"}"),
                     UM_OK);
    const char *notes[] = {"note <s> \xff\xfe \x01 end"};
    um_report_options options = {.notes = notes, .note_count = 1, .title = "<h6>"};
    char *page = report_of(ctx, model, &options);
    check_structure(page);
    const char *never[] = {"<b>&", "<i>", "<u>", "<em>", "<s>", "<h6>", "</pre><i>"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        assert_null(strstr(page, never[i]));
    }
    assert_non_null(strstr(page, "&lt;u&gt;clipped&lt;/u&gt;"));
    assert_non_null(strstr(page, "note &lt;s&gt; \uFFFD\uFFFD \uFFFD end"));
    free(page);
    um_model_free(model);
    um_context_free(ctx);
}

static void an_open_beam_is_told(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_shape shape = {4, 6, 32, 30};
    um_model *model = make_model(ctx, 3, shape, 50);
    char *page = report_of(ctx, model, NULL);
    check_structure(page);
    assert_non_null(strstr(page, "The direct beam is not masked."));
    assert_non_null(strstr(page, "--mask-beam"));
    assert_non_null(strstr(page, "nearly the same pattern"));
    assert_non_null(strstr(page, "It makes them alike"));
    free(page);
    uint8_t *mask = calloc((size_t)(shape.ky * shape.kx), 1);
    for (int64_t q = 0; q < shape.ky * shape.kx; q++) {
        double r = hypot((double)(q / shape.kx) - 15.5, (double)(q % shape.kx) - 14.5);
        mask[q] = r < 7;
    }
    assert_int_equal(um_model_set_signal_mask(model, mask), UM_OK);
    free(mask);
    page = report_of(ctx, model, NULL);
    assert_null(strstr(page, "The direct beam is not masked."));
    assert_null(strstr(page, "nearly the same pattern"));
    free(page);
    um_model_free(model);
    um_context_free(ctx);
}

static void components_too_many_are_told(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_model *model = make_model(ctx, 6, (um_shape){4, 6, 32, 30}, 0);
    double values[] = {10, 5, 0.9, 0.8, 0.8, 0.8, 0.8};
    double edge = 1;
    assert_int_equal(um_model_set_array(model, "singular_values", 1, (int64_t[]){7}, values), UM_OK);
    assert_int_equal(um_model_set_array(model, "noise_edge", 0, NULL, &edge), UM_OK);
    /* 1 = 2 = 3, and 0 = 5 */
    float *h = um_model_factors(model);
    memcpy(h + 2 * 960, h + 960, 960 * sizeof *h);
    memcpy(h + 3 * 960, h + 960, 960 * sizeof *h);
    memcpy(h + 5 * 960, h, 960 * sizeof *h);
    char *page = report_of(ctx, model, NULL);
    check_structure(page);
    assert_non_null(strstr(page, "k = 6 is more than the data hold"));
    assert_non_null(strstr(page, "Only 2 singular values stand"));
    assert_non_null(strstr(page, "0 and 5 (cosine 1.000)"));
    assert_non_null(strstr(page, "1–3 (cosine 1.000)"));
    free(page);
    um_model_free(model);
    um_context_free(ctx);
}

static void what_went_wrong_is_told(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_model *model = make_model(ctx, 2, (um_shape){5, 5, 12, 12}, 0);
    set_map(model, "residual_map", 0.3);
    set_map(model, "residual_map_expected", 0.1);
    assert_int_equal(um_model_set_provenance(model, "{\"converged\":false,\"kkt\":0.01,"
                                                    "\"tolerance\":1e-4}"),
                     UM_OK);
    um_class_score classes[2] = {
        {.truth = 0, .positions = 20, .precision = 0.9, .recall = 0.8, .f1 = 0.847},
        {.truth = 1, .positions = 5, .precision = 0.5, .recall = 0.4, .f1 = 0.444}};
    um_score score = {.states = 2,
                      .components = 2,
                      .component_of = (int64_t[]){1, -1},
                      .cosine = (double[]){0.995, 0.2},
                      .state = (um_state_score[]){{.absent = false}, {.absent = false}},
                      .label_accuracy = 0.72,
                      .baseline = 0.8,
                      .fraction_rms = 0.1,
                      .classes = classes};
    um_report_options options = {.score = &score};
    char *page = report_of(ctx, model, &options);
    check_structure(page);
    assert_non_null(strstr(page, "Not converged: 2 components"));
    assert_non_null(strstr(page, "--max-passes"));
    assert_non_null(strstr(page, "more than counting noise"));
    assert_non_null(strstr(page, "<strong>1 of 2</strong>"));
    assert_non_null(strstr(page, "72.00&nbsp;%"));
    free(page);
    um_model_free(model);
    um_context_free(ctx);
}

static void odd_shapes_and_missing_things_do_no_harm(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_shape shapes[] = {{1, 1, 1, 1},   {1, 50, 1, 64}, {40, 1, 3, 3},    {2, 300, 9, 9},
                         {3, 2, 700, 4}, {1, 3, 2, 2},   {900, 700, 4, 4}, {1, 1, 40, 40}};
    const char *provenance[] = {"{}", "[1]", "{\"input\":3,\"warnings\":{},\"converged\":\"x\"}",
                                "{\"command\":5,\"prep\":[],\"recipe\":null}"};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        um_model *model = make_model(ctx, i % 3 + 1, shapes[i], 0);
        if (i % 2 == 1) { /* nothing but NaN */
            for (int64_t p = 0; p < shapes[i].ny * shapes[i].nx; p++) {
                um_model_loadings(model)[p * ((int64_t)i % 3 + 1)] = NAN;
            }
            set_map(model, "residual_map", NAN);
            set_map(model, "residual_map_expected", NAN);
        }
        um_status status = um_model_set_provenance(model, provenance[i % 4]);
        assert_true(status == UM_OK || status != UM_ERROR_INTERNAL);
        char *page = report_of(ctx, model, NULL);
        check_structure(page);
        free(page);
        um_model_free(model);
    }
    assert_int_equal(um_context_memory_in_use(ctx), 0);
    um_context_free(ctx);
}

static void an_existing_file_is_kept(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_model *model = make_model(ctx, 1, (um_shape){2, 2, 4, 4}, 0);
    char *path = file_in_folder("kept.html");
    assert_int_equal(um_report_write(ctx, model, path, NULL), UM_OK);
    assert_int_equal(um_report_write(ctx, model, path, NULL), UM_ERROR_EXISTS);
    um_report_options options = {.overwrite = true};
    assert_int_equal(um_report_write(ctx, model, path, &options), UM_OK);
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_int_equal(um_report_write(ctx, model, "/nowhere/at/all.html", NULL), UM_ERROR_IO);
    um_model_free(model);
    um_context_free(ctx);
}

static void base64_is_right(void **state)
{
    (void)state;
    um_html html = {0};
    um_html_base64(&html, (const uint8_t *)"Man", 3);
    um_html_base64(&html, (const uint8_t *)"Ma", 2);
    um_html_base64(&html, (const uint8_t *)"M", 1);
    um_html_base64(&html, (const uint8_t *)"\xff\xfe\xfd", 3);
    assert_string_equal(html.text, "TWFuTWE=TQ==//79");
    um_html_free(&html);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_stands_alone),
        cmocka_unit_test(words_from_outside_are_escaped),
        cmocka_unit_test(an_open_beam_is_told),
        cmocka_unit_test(components_too_many_are_told),
        cmocka_unit_test(what_went_wrong_is_told),
        cmocka_unit_test(odd_shapes_and_missing_things_do_no_harm),
        cmocka_unit_test(an_existing_file_is_kept),
        cmocka_unit_test(base64_is_right),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
