/*
 * runtime/data/metrics.h, compare.h, bootstrap.h against numpy and scipy
 * (weights_tools/golden/make_metrics.py), which resample by the same random numbers and measure every sample
 * anew.
 */
#include "runtime/data/compare.h"
#include "runtime/data/metrics_write.h"
#include "tests/data/results_golden.h"

enum { THREADS = 3 };

static json_t *golden;

static int read_golden(void **state)
{
    (void)state;
    golden = results_json(RESULTS_GOLDEN "figures.json");
    return 0;
}

static int free_golden(void **state)
{
    (void)state;
    json_decref(golden);
    return 0;
}

static sa_metrics_options options_of(int64_t step)
{
    return (sa_metrics_options){.step = step,
                                .seed = (uint64_t)json_integer_value(json_object_get(golden, "seed")),
                                .resamples =
                                    (size_t)json_integer_value(json_object_get(golden, "resamples"))};
}

static void check_value(double got, double want, const char *name)
{
    if (!(fabs(got - want) <= 1e-12)) {
        fail_msg("%s: %.17g, and numpy says %.17g", name, got, want);
    }
}

static void check_figure(const sa_figure *got, const json_t *figures, const char *format, unsigned number)
{
    char name[64];
    snprintf(name, sizeof name, format, number);
    const json_t *want = json_object_get(figures, name);
    assert_non_null(want);
    check_value(got->value, json_number_value(json_array_get(want, 0)), name);
    check_value(got->low, json_number_value(json_array_get(want, 1)), name);
    check_value(got->high, json_number_value(json_array_get(want, 2)), name);
}

static void check_metrics(const sa_metrics *m, const json_t *want)
{
    check_figure(&m->ciou, want, "cIoU", 0);
    check_figure(&m->giou, want, "gIoU", 0);
    for (unsigned k = 0; k < m->step_count; k++) {
        check_figure(&m->steps[k].ciou, want, "cIoU %u", k);
        check_figure(&m->steps[k].giou, want, "gIoU %u", k);
    }
    for (size_t t = 0; t < SA_METRICS_NOC; t++) {
        check_figure(&m->noc[t].mean, want, "noc %u", m->noc[t].percent);
        check_figure(&m->noc[t].failed, want, "never %u", m->noc[t].percent);
    }
    check_figure(&m->first_click, want, "hit", 0);
    check_figure(&m->prm.mae, want, "mae", 0);
    check_figure(&m->prm.mse, want, "mse", 0);
    check_figure(&m->prm.pearson, want, "pearson", 0);
    check_figure(&m->prm.spearman, want, "spearman", 0);
    check_figure(&m->prm.auc, want, "auc", 0);
    assert_int_equal(json_object_size(want), 2 + 2 * m->step_count + 2 * SA_METRICS_NOC + 6);
}

static sa_metrics measure(const sa_scores *scores, const sa_metrics_options *options, int threads)
{
    sa_pool *pool;
    sa_metrics metrics;
    assert_int_equal(sa_pool_open(&pool, threads, NULL), SA_OK);
    assert_int_equal(sa_metrics_compute(&metrics, scores, options, pool, NULL), SA_OK);
    sa_pool_close(pool);
    return metrics;
}

static void test_golden(void **state)
{
    (void)state;
    sa_scores scores = results_scores(RESULTS_GOLDEN "a.jsonl");
    assert_int_equal(scores.count, 40);
    for (int threads = 1; threads <= THREADS; threads += THREADS - 1) {
        const sa_metrics_options kept = options_of(SA_METRICS_KEPT), step = options_of(2);
        sa_metrics metrics = measure(&scores, &kept, threads);
        check_metrics(&metrics, json_object_get(golden, "kept"));
        sa_metrics_free(&metrics);
        metrics = measure(&scores, &step, threads);
        check_metrics(&metrics, json_object_get(golden, "step"));
        sa_metrics_free(&metrics);
    }
    sa_scores_free(&scores);
}

static char *as_json(const sa_metrics *metrics)
{
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    sa_json_writer w = sa_json_writer_on(stream);
    sa_metrics_write_json(metrics, &w);
    assert_int_equal(fclose(stream), 0);
    return text;
}

/* To the last bit, which print shows. */
static void test_threads(void **state)
{
    (void)state;
    sa_scores scores = results_scores(RESULTS_GOLDEN "a.jsonl");
    const sa_metrics_options options = options_of(SA_METRICS_KEPT);
    sa_metrics one = measure(&scores, &options, 1), many = measure(&scores, &options, 5);
    char *a = as_json(&one), *b = as_json(&many);
    assert_string_equal(a, b);
    sa_metrics_options other = options;
    other.seed++;
    sa_metrics_free(&many);
    many = measure(&scores, &other, 5);
    free(b);
    b = as_json(&many);
    assert_string_not_equal(a, b);
    free(a);
    free(b);
    sa_metrics_free(&one);
    sa_metrics_free(&many);
    sa_scores_free(&scores);
}

static size_t golden_count(const json_t *object, const char *key)
{
    return (size_t)json_integer_value(json_object_get(object, key));
}

static void test_compare(void **state)
{
    (void)state;
    const json_t *want = json_object_get(golden, "compare");
    const sa_metrics_options options = options_of(SA_METRICS_KEPT);
    sa_scores a = results_scores(RESULTS_GOLDEN "a.jsonl"), b = results_scores(RESULTS_GOLDEN "b.jsonl");
    sa_pool *pool;
    sa_comparison c;
    assert_int_equal(sa_pool_open(&pool, 2, NULL), SA_OK);
    assert_int_equal(sa_compare(&c, &a, &b, &options, pool, NULL), SA_OK);
    check_figure(&c.delta, want, "delta", 0);
    check_figure(&c.ciou, want, "cIoU", 0);
    check_value(c.p, json_number_value(json_object_get(want, "p")), "p");
    assert_int_equal(c.pairs, golden_count(want, "pairs"));
    assert_int_equal(c.wins, golden_count(want, "wins"));
    assert_int_equal(c.losses, golden_count(want, "losses"));
    assert_int_equal(c.ties, golden_count(want, "ties"));
    assert_int_equal(c.only_a, golden_count(want, "only_a"));
    assert_int_equal(c.only_b, golden_count(want, "only_b"));
    assert_true(c.wins > 0 && c.losses > 0 && c.ties > 0 && c.only_a > 0 && c.only_b > 0);
    /* A run against itself: no difference, and no doubt about it. */
    assert_int_equal(sa_compare(&c, &a, &a, &options, pool, NULL), SA_OK);
    assert_true(c.delta.value == 0.0 && c.delta.low == 0.0 && c.delta.high == 0.0 && c.p == 1.0);
    assert_int_equal(c.ties, a.count);
    /* Nothing in common. */
    sa_scores none = {0};
    sa_error err;
    assert_int_equal(sa_compare(&c, &a, &none, &options, pool, &err), SA_BAD_INPUT);
    sa_pool_close(pool);
    sa_scores_free(&a);
    sa_scores_free(&b);
}

static void test_sign_flips(void **state)
{
    (void)state;
    double all[20], mixed[20];
    for (int i = 0; i < 20; i++) {
        all[i] = 0.1;
        mixed[i] = i % 2 == 0 ? 0.1 : -0.1;
    }
    /* Twenty equal signs: two of 2^20 choices are as far. Ten of each: every choice is at least as far from
     * 0. */
    assert_true(sa_sign_flip_test(all, 20, 10000, 3) < 0.0005);
    assert_true(sa_sign_flip_test(mixed, 20, 10000, 3) == 1.0);
    assert_true(sa_sign_flip_test(all, 0, 100, 3) == 1.0);
}

/* ---- made by hand ---- */

static sa_rle rle_of(const uint32_t *counts, size_t count)
{
    sa_rle rle;
    assert_int_equal(sa_rle_from_counts(&rle, counts, count, 10, 10, NULL), SA_OK);
    return rle;
}

/* A trajectory of masks that are the first n pixels, against the first 50. */
static sa_result trajectory(char *id, const uint32_t *pixels, size_t count, sa_result_step *steps)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t counts[] = {0, pixels[i], 100 - pixels[i]};
        steps[i] = (sa_result_step){.mask = rle_of(counts, 3), .predicted_iou = NAN};
    }
    return (sa_result){.id = id,
                       .height = 10,
                       .width = 10,
                       .mask = steps[count - 1].mask,
                       .steps = steps,
                       .step_count = count};
}

static void add_trajectory(sa_scores *scores, char *id, const uint32_t *pixels, size_t count)
{
    static const uint32_t half[] = {0, 50, 50};
    sa_result_step steps[8] = {{0}};
    sa_result result = trajectory(id, pixels, count, steps);
    sa_rle truth = rle_of(half, 3);
    assert_int_equal(sa_scores_add(scores, &result, &truth, id, NULL), SA_OK);
    sa_rle_free(&truth);
    for (size_t i = 0; i < count; i++) {
        sa_rle_free(&steps[i].mask);
    }
}

static void test_clicks(void **state)
{
    (void)state;
    const sa_metrics_options options = {.step = SA_METRICS_KEPT, .resamples = 100};
    sa_scores scores = {0};
    char ids[4][2] = {"a", "b", "c", "d"};
    add_trajectory(&scores, ids[0], (uint32_t[]){0, 40, 45, 50}, 4); /* 80 % at 1, 90 % at 2 */
    add_trajectory(&scores, ids[1], (uint32_t[]){50, 0}, 2);         /* begins there */
    add_trajectory(&scores, ids[2], (uint32_t[]){0, 39}, 2);         /* just short of 80 % */
    sa_metrics m = measure(&scores, &options, 1);
    assert_int_equal(m.noc_cap, 3);
    check_value(m.noc[0].mean.value, (1 + 0 + 3) / 3.0, "NoC@80");
    check_value(m.noc[1].mean.value, (2 + 0 + 3) / 3.0, "NoC@85");
    check_value(m.noc[2].mean.value, (2 + 0 + 3) / 3.0, "NoC@90");
    check_value(m.noc[0].failed.value, 1 / 3.0, "never 80");
    /* A trajectory that ended keeps its last mask. */
    assert_int_equal(m.step_count, 4);
    check_value(m.steps[3].giou.value, (1.0 + 0.0 + 0.78) / 3, "gIoU after 3");
    check_value(m.steps[0].giou.value, 1.0 / 3, "gIoU after 0");
    /* Nobody predicted anything. */
    assert_int_equal(m.prm.states, 0);
    assert_true(isnan(m.prm.mae.value) && isnan(m.prm.spearman.value) && isnan(m.prm.auc.low));
    char *text = as_json(&m);
    assert_non_null(strstr(text, "\"mae\":null,\"mae_interval\":[null,null]"));
    free(text);
    sa_metrics_free(&m);
    sa_scores_free(&scores);
}

/* Everybody says 0.1, whose mean over three need not be 0.1. */
static void test_constant(void **state)
{
    (void)state;
    const sa_metrics_options options = {.step = SA_METRICS_KEPT, .resamples = 50};
    sa_scores scores = {0};
    char ids[3][2] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        add_trajectory(&scores, ids[i], (uint32_t[]){0, (uint32_t)(10 + 15 * i)}, 2);
        scores.items[i].states[1].predicted = 0.1;
    }
    sa_metrics m = measure(&scores, &options, 1);
    assert_int_equal(m.prm.states, 3);
    check_value(m.prm.mae.value, (0.1 + 0.4 + 0.7) / 3, "MAE");
    assert_true(isnan(m.prm.pearson.value) && isnan(m.prm.spearman.value));
    check_value(m.prm.auc.value, 0.5, "AUC"); /* 0.2 is bad, 0.5 and 0.8 are good, and all tie */
    sa_metrics_free(&m);
    sa_scores_free(&scores);
}

static void test_refusals(void **state)
{
    (void)state;
    static const uint32_t whole[] = {100};
    sa_scores scores = {0};
    sa_error err = {0};
    sa_pool *pool;
    sa_metrics metrics;
    const sa_metrics_options options = {.step = SA_METRICS_KEPT, .resamples = 10};
    assert_int_equal(sa_pool_open(&pool, 1, NULL), SA_OK);
    assert_int_equal(sa_metrics_compute(&metrics, &scores, &options, pool, &err), SA_BAD_INPUT);
    sa_pool_close(pool);
    char id[] = "x";
    add_trajectory(&scores, id, (uint32_t[]){0}, 1);
    sa_result result = {.id = id, .height = 10, .width = 10, .mask = rle_of(whole, 1)};
    sa_rle truth = rle_of(whole, 1);
    assert_int_equal(sa_scores_add(&scores, &result, &truth, "row", &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "has been there before"));
    truth.height = 20;
    truth.width = 5;
    char other[] = "y";
    result.id = other;
    assert_int_equal(sa_scores_add(&scores, &result, &truth, "row", &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "10 x 10 pixels (height x width), and the truth is 20 x 5"));
    assert_int_equal(scores.count, 1);
    sa_rle_free(&result.mask);
    sa_rle_free(&truth);
    sa_scores_free(&scores);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_threads), cmocka_unit_test(test_compare),
        cmocka_unit_test(test_sign_flips), cmocka_unit_test(test_clicks),  cmocka_unit_test(test_constant),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, read_golden, free_golden);
}
