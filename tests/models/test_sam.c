/*
 * SAM as a whole against the golden cases, in every precision and on every level that this machine has; and
 * what must hold without a reference: the same bits in any batch and with any number of threads, no
 * allocation after start-up.
 *
 * Tolerances. f32: the issue's, 1e-4 of the largest value of the embedding, 1e-4 in the scores, 99.95 % of
 * the pixels. bf16: weights and activations carry 8 bits, relative error 2^-9 at each rounding. Along the
 * residual stream (kept in f32) the errors of the ~4 roundings of each of L layers add like a random walk:
 * 2^-9 * sqrt(4 L), 2 % for the ViTs' depths and less for these; 2 % of the largest value bounds the worst of
 * some thousand elements of a tiny net too. The scores pass through three more layers: 0.03. f16, on a GPU:
 * 11 bits, an eighth of all that: 2.5e-3 of the largest value, 4e-3 in the scores; 99.5 % of the pixels, a
 * fifth of the bf16 share of flips. Masks: a pixel flips where |logit| is below the logits' error, some 2 %
 * of the largest; these random nets draw long borders through small pictures, and that many of their pixels
 * lie within a 2 % band around 0. Seen over all cases and levels: 98.3 % agree at worst; 97.5 % are asked
 * for.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/cpu_level.h"
#include "tests/check.h"
#include "tests/kernels/fixture.h"
#include "tests/models/allocations.h"
#include "tests/models/golden.h"

typedef struct {
    sa_dtype precision;
    double embedding, score, agreement; /* the last: least share of equal pixels */
} tolerance;

static const tolerance tolerance_f32 = {SA_F32, 1e-4, 1e-4, 0.9995};
static const tolerance tolerance_bf16 = {SA_BF16, 2e-2, 3e-2, 0.975};
static const tolerance tolerance_f16 = {SA_F16, 2.5e-3, 4e-3, 0.995};

static const char *const variants[][2] = {
    {"tests/golden/sam/window-pad", "tests/golden/sam/window-pad"},
    {"tests/golden/sam/head80", "tests/golden/sam/head80"},
    {"tests/golden/sam/odd", "tests/golden/sam/odd"},
    {"tests/golden/sam/original", "tests/golden/sam/original/model.pth"},
    {"tests/golden/sam/agent", "weights_tools/tiny/agent/segmenter"},
};

typedef struct {
    sa_device *device;
    sa_segmenter *segmenter;
} rig;

/* `batch` items a call, `at_once` of them through the layers together. */
static rig open_rig_with(sa_numerics numerics, const char *path, sa_dtype precision, const char *isa,
                         int threads, size_t batch, size_t at_once)
{
    rig r;
    sa_error err;
    sa_device_options device = {.name = test_device(), .threads = threads, .isa = isa, .numerics = numerics};
    must(sa_device_open(&r.device, &device, &err), &err);
    sa_segmenter_options options = sa_segmenter_default_options();
    options.precision = precision;
    options.batch = batch;
    options.slots = batch;
    options.at_once = at_once;
    options.max_pixels = 1 << 20;
    options.max_side = 4096;
    must(sa_segmenter_open(&r.segmenter, r.device, path, &options, &err), &err);
    return r;
}

static rig open_rig(const char *path, sa_dtype precision, const char *isa, int threads, size_t batch,
                    size_t at_once)
{
    return open_rig_with(SA_NUMERICS_INVARIANT, path, precision, isa, threads, batch, at_once);
}

static void close_rig(rig *r)
{
    sa_segmenter_close(r->segmenter);
    sa_device_close(r->device);
}

static sa_weights *open_cases(const char *directory)
{
    char path[256];
    sa_error err;
    sa_weights *cases;
    snprintf(path, sizeof path, "%s/cases.safetensors", directory);
    must(sa_weights_open(&cases, path, &err), &err);
    return cases;
}

/* An answer with room for everything. */
typedef struct {
    sa_segmenter_answer answer;
    sa_mask masks[GOLDEN_MASKS];
} full_answer;

static void make_answer(const sa_segmenter *segmenter, const sa_image *picture, full_answer *full)
{
    sa_error err;
    memset(full, 0, sizeof *full);
    for (int m = 0; m < GOLDEN_MASKS; m++) {
        must(sa_mask_new(&full->masks[m], picture->height, picture->width, &err), &err);
        full->answer.masks[m] = &full->masks[m];
        full->answer.states[m] = malloc(sa_segmenter_state_size(segmenter) * sizeof(float));
        assert_non_null(full->answer.states[m]);
    }
}

static void free_answer(full_answer *full)
{
    for (int m = 0; m < GOLDEN_MASKS; m++) {
        sa_mask_free(&full->masks[m]);
        free(full->answer.states[m]);
    }
}

static void encode_one(rig *r, const golden_case *c, size_t slot)
{
    sa_error err;
    const sa_image *picture = &c->picture;
    must(sa_segmenter_encode(r->segmenter, &picture, &slot, 1, &err), &err);
}

static void click_one(rig *r, const golden_case *c, size_t slot, full_answer *full)
{
    sa_error err;
    sa_segmenter_query query = {.slot = slot, .prompt = c->prompt, .state = {c->state}};
    must(sa_segmenter_click(r->segmenter, &query, &full->answer, 1, &err), &err);
}

static double largest(const float *values, size_t count)
{
    double most = 0.0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)values[i]));
    }
    return most;
}

static bool check_embedding(rig *r, const golden_case *c, const tolerance *t, const char *label)
{
    sa_error err;
    size_t channels, side;
    sa_segmenter_embedding_shape(r->segmenter, &channels, &side);
    size_t count = channels * side * side;
    float *got = malloc(count * sizeof *got);
    must(sa_segmenter_read_embedding(r->segmenter, 0, got, &err), &err);
    check_spec spec = {.label = label,
                       .absolute = t->embedding * largest(c->embedding, count),
                       .rank = 3,
                       .axes = {channels, side, side}};
    bool good = check_close_f32(got, c->embedding, &spec);
    free(got);
    return good;
}

static bool check_masks(const golden_case *c, const full_answer *full, const tolerance *t, const char *label)
{
    size_t pixels = c->picture.height * c->picture.width, wrong = 0;
    for (size_t m = 0; m < GOLDEN_MASKS; m++) {
        for (size_t i = 0; i < pixels; i++) {
            bool got = sa_mask_get(&full->masks[m], i % c->picture.width, i / c->picture.width);
            wrong += got != (c->masks[m * pixels + i] != 0);
        }
    }
    double share = 1.0 - (double)wrong / (double)(GOLDEN_MASKS * pixels);
    if (!(share >= t->agreement)) {
        print_error("%s: %zu of %zu pixels differ: agreement %.5f, at least %.5f is needed\n", label, wrong,
                    GOLDEN_MASKS * pixels, share, t->agreement);
    }
    return share >= t->agreement;
}

/* The best two scores may lie closer together than the tolerance: then either may win. */
static bool check_best(const golden_case *c, const full_answer *full, const tolerance *t, const char *label)
{
    double lead = (double)(c->scores[c->best] - c->scores[full->answer.best]);
    bool good = (int)full->answer.best == c->best || lead <= 2.0 * t->score;
    if (!good) {
        print_error("%s: best mask %zu, want %d\n", label, full->answer.best, c->best);
    }
    return good;
}

static bool check_case(rig *r, const golden_case *c, const tolerance *t, const char *label)
{
    full_answer full;
    make_answer(r->segmenter, &c->picture, &full);
    encode_one(r, c, 0);
    click_one(r, c, 0, &full);
    check_spec scores = {.label = label, .absolute = t->score, .rank = 1, .axes = {GOLDEN_MASKS}};
    bool good = c->embedding == NULL || check_embedding(r, c, t, label);
    good = check_close_f32(full.answer.scores, c->scores, &scores) && good;
    good = check_masks(c, &full, t, label) && good;
    good = check_best(c, &full, t, label) && good;
    free_answer(&full);
    return good;
}

static size_t check_variant(size_t variant, const tolerance *t, const char *isa)
{
    sa_weights *cases = open_cases(variants[variant][0]);
    rig r = open_rig(variants[variant][1], t->precision, isa, 2, 1, 1);
    size_t bad = 0;
    golden_case c;
    int count = 0;
    for (; golden_read(cases, count, &c); count++) {
        char label[160];
        snprintf(label, sizeof label, "%s case %d, %s on %s", variants[variant][1], count,
                 sa_dtype_name(t->precision), isa != NULL ? isa : test_device());
        bad += !check_case(&r, &c, t, label);
        golden_free(&c);
    }
    assert_true(count >= 5);
    close_rig(&r);
    sa_weights_close(cases);
    return bad;
}

static void test_golden(const tolerance *t)
{
    size_t bad = 0, tested = 0;
    for (int level = 0; level < SA_CPU_LEVELS; level++) {
        for (size_t v = 0; test_level_wanted(level) && v < sizeof variants / sizeof *variants; v++) {
            bad += check_variant(v, t, test_on_cpu() ? sa_cpu_level_name(level) : NULL);
            tested++;
        }
    }
    assert_true(tested > 0);
    assert_int_equal(bad, 0);
}

static void test_golden_f32(void **state)
{
    (void)state;
    test_golden(&tolerance_f32);
}

static void test_golden_bf16(void **state)
{
    (void)state;
    test_golden(&tolerance_bf16);
}

static void test_golden_f16(void **state)
{
    (void)state;
    if (test_on_cpu()) {
        skip(); /* no f16 there */
    }
    test_golden(&tolerance_f16);
}

/* The libraries of --numerics fast, where there are any, within the same tolerances; nothing is remembered.
 */
static void test_golden_fast(void **state)
{
    (void)state;
    if (test_on_cpu()) {
        skip(); /* a GPU's choice */
    }
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    const tolerance *const tolerances[] = {&tolerance_f32, &tolerance_bf16, &tolerance_f16};
    sa_weights *cases = open_cases(variants[0][0]);
    for (int i = 0; i < 3; i++) {
        rig r = open_rig_with(SA_NUMERICS_FAST, variants[0][1], tolerances[i]->precision, NULL, 2, 1, 1);
        golden_case c;
        for (int n = 0; n < 2; n++) { /* the first times all ways, the second goes the fastest */
            assert_true(golden_read(cases, n, &c));
            assert_true(check_case(&r, &c, tolerances[i], "numerics fast"));
            golden_free(&c);
        }
        close_rig(&r);
    }
    sa_weights_close(cases);
}

/* The comparison can go red: another case's answer, and a flipped mask. */
static void test_planted_faults(void **state)
{
    (void)state;
    sa_weights *cases = open_cases(variants[0][0]);
    rig r = open_rig(variants[0][1], SA_F32, NULL, 2, 1, 1);
    golden_case c;
    assert_true(golden_read(cases, 0, &c));
    print_message("what follows up to 'end' are expected complaints\n");
    c.embedding[17] += 1e-3f * (float)largest(c.embedding, 100);
    assert_false(check_case(&r, &c, &tolerance_f32, "planted: embedding"));
    golden_free(&c);
    assert_true(golden_read(cases, 0, &c));
    c.scores[1] += 2e-4f;
    assert_false(check_case(&r, &c, &tolerance_f32, "planted: score"));
    golden_free(&c);
    assert_true(golden_read(cases, 0, &c));
    c.clicks[0].x += 20.0f;
    assert_false(check_case(&r, &c, &tolerance_f32, "planted: click elsewhere"));
    golden_free(&c);
    print_message("end\n");
    close_rig(&r);
    sa_weights_close(cases);
}

enum { BATCH = 5 };

/* All of an answer, bit for bit. */
static void assert_same(const sa_segmenter *segmenter, const full_answer *a, const full_answer *b)
{
    assert_int_equal(a->answer.best, b->answer.best);
    assert_memory_equal(a->answer.scores, b->answer.scores, sizeof(float) * GOLDEN_MASKS);
    for (int m = 0; m < GOLDEN_MASKS; m++) {
        assert_memory_equal(a->answer.states[m], b->answer.states[m],
                            sa_segmenter_state_size(segmenter) * sizeof(float));
        assert_true(sa_mask_equal(&a->masks[m], &b->masks[m]));
    }
}

/* Cases 0 .. BATCH-1 in one call with `threads` threads, each in its own slot. */
static void run_together(rig *r, golden_case *c, full_answer *full)
{
    sa_error err;
    const sa_image *pictures[BATCH];
    size_t slots[BATCH];
    sa_segmenter_query queries[BATCH];
    sa_segmenter_answer answers[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        pictures[i] = &c[i].picture;
        slots[i] = i;
        queries[i] = (sa_segmenter_query){.slot = i, .prompt = c[i].prompt, .state = {c[i].state}};
        queries[i].prompt.clicks = c[i].clicks;
        make_answer(r->segmenter, pictures[i], &full[i]);
        answers[i] = full[i].answer;
    }
    must(sa_segmenter_encode(r->segmenter, pictures, slots, BATCH, &err), &err);
    must(sa_segmenter_click(r->segmenter, queries, answers, BATCH, &err), &err);
    for (size_t i = 0; i < BATCH; i++) {
        full[i].answer = answers[i];
    }
}

static void check_invariance(sa_dtype precision, int threads, size_t at_once)
{
    sa_weights *cases = open_cases(variants[0][0]);
    rig alone = open_rig(variants[0][1], precision, NULL, 1, 1, 1);
    rig together = open_rig(variants[0][1], precision, NULL, threads, BATCH, at_once);
    golden_case c[BATCH];
    full_answer batch[BATCH];
    for (int i = 0; i < BATCH; i++) {
        assert_true(golden_read(cases, i, &c[i]));
    }
    run_together(&together, c, batch);
    for (int i = 0; i < BATCH; i++) {
        full_answer single;
        make_answer(alone.segmenter, &c[i].picture, &single);
        c[i].prompt.clicks = c[i].clicks;
        encode_one(&alone, &c[i], 0);
        click_one(&alone, &c[i], 0, &single);
        assert_same(alone.segmenter, &single, &batch[i]);
        free_answer(&single);
        free_answer(&batch[i]);
        golden_free(&c[i]);
    }
    close_rig(&alone);
    close_rig(&together);
    sa_weights_close(cases);
}

/* Number of pictures at once: 0 is as the device likes; 2 leaves one over. */
static void test_invariance(void **state)
{
    (void)state;
    if (!test_on_cpu()) { /* its threads compute nothing, and it may be a simulated one */
        check_invariance(SA_F32, 1, BATCH);
        check_invariance(SA_BF16, 2, 2);
        check_invariance(SA_F16, 1, 0);
        return;
    }
    for (int threads = 1; threads <= 4; threads++) {
        check_invariance(SA_F32, threads, BATCH);
        check_invariance(SA_BF16, threads, BATCH);
    }
    for (size_t at_once = 0; at_once < BATCH; at_once++) {
        check_invariance(SA_BF16, 2, at_once);
    }
}

/* A GPU resizes pictures itself: the embeddings are those of the host's resizing, bit for bit. */
static void test_resize_by_device(void **state)
{
    (void)state;
    sa_error err;
    size_t channels, side, slot = 0;
    sa_device *device;
    sa_device_options device_options = {.name = test_device(), .threads = 2};
    must(sa_device_open(&device, &device_options, &err), &err);
    sa_segmenter *by[2]; /* the device, the host */
    sa_segmenter_options options = sa_segmenter_default_options();
    options.max_pixels = 1 << 20;
    options.max_side = 4096;
    for (int i = 0; i < 2; i++) {
        options.device_pixels = i == 0 ? options.device_pixels : 0;
        must(sa_segmenter_open(&by[i], device, variants[0][1], &options, &err), &err);
    }
    sa_segmenter_embedding_shape(by[0], &channels, &side);
    size_t count = channels * side * side;
    float *got = malloc(2 * count * sizeof *got);
    /* larger, smaller, as the frame, one row, one column, and what needs the longest tables */
    static const size_t sizes[][2] = {{300, 200}, {30, 50}, {80, 80},    {80, 30},
                                      {1, 700},   {700, 1}, {4096, 256}, {64, 4096}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        sa_image picture = {.height = sizes[i][0], .width = sizes[i][1]};
        picture.pixels = malloc(picture.height * picture.width * 3);
        for (size_t at = 0; at < picture.height * picture.width * 3; at++) {
            picture.pixels[at] = (uint8_t)pick(20240612 + i, at, 256);
        }
        const sa_image *pictures[] = {&picture};
        for (int j = 0; j < 2; j++) {
            must(sa_segmenter_encode(by[j], pictures, &slot, 1, &err), &err);
            must(sa_segmenter_read_embedding(by[j], 0, got + (size_t)j * count, &err), &err);
        }
        assert_memory_equal(got, got + count, count * sizeof *got);
        free(picture.pixels);
    }
    free(got);
    sa_segmenter_close(by[0]);
    sa_segmenter_close(by[1]);
    sa_device_close(device);
}

static void test_no_allocation_after_start(void **state)
{
    (void)state;
    sa_weights *cases = open_cases(variants[0][0]);
    rig r = open_rig(variants[0][1], SA_BF16, NULL, 2, 1, 1);
    golden_case c;
    assert_true(golden_read(cases, 3, &c));
    full_answer full;
    make_answer(r.segmenter, &c.picture, &full);
    size_t before = sa_device_allocation_count(r.device);
    allocations = 0;
    counting = true;
    void *volatile probe = malloc(1); /* the count itself works */
    free(probe);
    assert_int_equal(allocations, 1);
    encode_one(&r, &c, 0);
    click_one(&r, &c, 0, &full);
    counting = false;
    assert_int_equal(allocations, 1);
    assert_int_equal(sa_device_allocation_count(r.device), before);
    free_answer(&full);
    golden_free(&c);
    close_rig(&r);
    sa_weights_close(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_f32),       cmocka_unit_test(test_golden_bf16),
        cmocka_unit_test(test_golden_f16),       cmocka_unit_test(test_golden_fast),
        cmocka_unit_test(test_planted_faults),   cmocka_unit_test(test_invariance),
        cmocka_unit_test(test_resize_by_device), cmocka_unit_test(test_no_allocation_after_start),
    };
    /* Some alone, for modes of the simulated GPU: "*_f16". Unset or empty: all. */
    const char *only = getenv("SEGAGENT_TEST_ONLY");
    cmocka_set_test_filter(only != NULL && only[0] != '\0' ? only : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
