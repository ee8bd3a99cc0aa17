/*
 * sample against the reference: every cut and their combinations, ties, cold and hot, broken logits, and the
 * frequencies of the tokens. A row whose u, top_p or min_p lies nearer to a border than roundings allow is
 * left out, and the test counts that these are few.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20261202 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

typedef struct {
    size_t rows, vocabulary;
    float *logits;
    sa_sample_choice *choice;
} sample_data;

typedef struct {
    check_buffer token, logprob;
} sampled;

/* Choices of every kind, one after the other. */
static sa_sample_choice some_choice(uint64_t seed, uint64_t row)
{
    static const float temperatures[] = {1.0f, 0.0f, 0.5f, 1.7f, 0.01f};
    static const float top_ps[] = {1.0f, 0.9f, 0.5f, 0.05f};
    static const float min_ps[] = {0.0f, 0.05f, 0.9f};
    static const uint32_t top_ks[] = {0, 1, 7, 50, 100000};
    return (sa_sample_choice){.temperature = temperatures[pick(seed, 5 * row, COUNT(temperatures))],
                              .top_p = top_ps[pick(seed, 5 * row + 1, COUNT(top_ps))],
                              .min_p = min_ps[pick(seed, 5 * row + 2, COUNT(min_ps))],
                              .top_k = top_ks[pick(seed, 5 * row + 3, COUNT(top_ks))],
                              .u = sa_philox_unit(sa_philox_block(seed, row, 2).word[0])};
}

static sample_data make_data(size_t rows, size_t vocabulary, float scale, uint64_t seed)
{
    sample_data data = {rows, vocabulary, normal_new(rows * vocabulary, scale, seed),
                        malloc((rows + 1) * sizeof(sa_sample_choice))};
    for (size_t r = 0; r < rows; r++) {
        data.choice[r] = some_choice(seed, r);
    }
    return data;
}

static void free_data(sample_data *data)
{
    free(data->logits);
    free(data->choice);
}

/* Rows [first, first + rows). */
static sampled run_sample(const test_level *level, const sample_data *data, size_t first, size_t rows)
{
    sampled out = {check_buffer_new(rows * sizeof(int32_t)), check_buffer_new(rows * sizeof(float))};
    sa_sample_args args = {.rows = rows,
                           .vocabulary = data->vocabulary,
                           .logits = data->logits + first * data->vocabulary,
                           .choice = data->choice + first,
                           .token = (int32_t *)(void *)out.token.bytes,
                           .logprob = (float *)(void *)out.logprob.bytes};
    check_buffer work = check_buffer_new(level->ops->sample_workspace(level->stream, &args));
    args.workspace = work.bytes;
    level->ops->sample(level->stream, &args);
    check_buffer_free(&work);
    return out;
}

static void free_sampled(sampled *out)
{
    check_buffer_free(&out->token);
    check_buffer_free(&out->logprob);
}

static int32_t token_of(const sampled *out, size_t row)
{
    int32_t token;
    memcpy(&token, out->token.bytes + row * sizeof token, sizeof token);
    return token;
}

/* How many decided rows have another token than the reference; *left_out gets the undecided ones. */
static size_t wrong_tokens(const sample_data *data, const sampled *out, float range, size_t *left_out)
{
    size_t wrong = 0;
    *left_out = 0;
    for (size_t r = 0; r < data->rows; r++) {
        const sa_sample_choice *choice = &data->choice[r];
        double cold = choice->temperature > 0.0f ? (double)choice->temperature : 1.0;
        ref_sampled want = ref_sample(data->logits + r * data->vocabulary, data->vocabulary, choice);
        if (want.margin <= 2.0 * tolerance_sample_share(data->vocabulary, (double)range / cold)) {
            ++*left_out;
        } else {
            wrong += token_of(out, r) != want.token;
        }
    }
    return wrong;
}

/* The log-probabilities of the tokens that were chosen, right or not. */
static bool logprobs_right(const test_level *level, const sample_data *data, const sampled *out, float range)
{
    float *want = malloc((data->rows + 1) * sizeof *want);
    for (size_t r = 0; r < data->rows; r++) {
        const float *row = data->logits + r * data->vocabulary;
        const sa_sample_choice greedy = {.top_p = 1.0f};
        ref_sampled best = ref_sample(row, data->vocabulary, &greedy);
        want[r] = (float)(best.logprob + ((double)row[token_of(out, r)] - (double)row[best.token]));
    }
    tolerance t = tolerance_sample_logprob(data->vocabulary, (double)range);
    check_spec spec = {.label = label(level, "log-probability, vocabulary %zu", data->vocabulary),
                       .absolute = t.absolute,
                       .relative = t.relative,
                       .seed = SEED,
                       .rank = 1,
                       .axes = {data->rows}};
    bool right = check_close(out->logprob.bytes, SA_F32, want, &spec);
    free(want);
    return right;
}

static void check_rows(const test_levels *levels, size_t rows, size_t vocabulary, float scale, uint64_t seed)
{
    sample_data data = make_data(rows, vocabulary, scale, seed);
    float range = 2.0f * (float)PEAK * scale;
    for (size_t l = 0; l < levels->count; l++) {
        sampled out = run_sample(&levels->level[l], &data, 0, rows);
        size_t left_out;
        assert_int_equal(wrong_tokens(&data, &out, range, &left_out), 0);
        assert_true(left_out * 10 <= rows + 9);
        assert_true(logprobs_right(&levels->level[l], &data, &out, range));
        free_sampled(&out);
    }
    free_data(&data);
}

static void test_choices(void **state)
{
    static const size_t vocabularies[] = {1, 2, 3, 15, 16, 17, 63, 64, 65, 257, 1000, 2049};
    for (size_t i = 0; i < COUNT(vocabularies); i++) {
        check_rows(*state, 60, vocabularies[i], i % 2 == 0 ? 1.0f : 4.0f, SEED + i);
    }
    check_rows(*state, 0, 5, 1.0f, SEED);
}

static void test_large_vocabulary(void **state)
{
    check_rows(*state, 6, 32003, 3.0f, SEED + 100);
    check_rows(*state, 3, 151936, 1.0f, SEED + 101);
}

/* Equal logits: the first of them, and of all equal ones the share of u decides, exactly. */
static void test_equal_logits(void **state)
{
    const test_levels *levels = *state;
    static const float us[] = {0.0f, 0.49f, 0.5f, 0.999f, 0.3f, 0.3f, 0.3f, 0.3f};
    static const int32_t want[] = {0, 31, 32, 63, 0, 2, 4, 9};
    sample_data data = make_data(8, 64, 0.0f, SEED);
    for (size_t r = 0; r < 8; r++) {
        data.choice[r] = (sa_sample_choice){.temperature = 0.7f, .top_p = 1.0f, .u = us[r]};
    }
    data.choice[4].temperature = 0.0f; /* row 4: greedy; 5: top_k; 6: top_p, 16 of 64; 7: both of two kinds */
    data.choice[5].top_k = 8;
    data.choice[6].top_p = 0.25f;
    data.logits[7 * 64 + 9] = data.logits[7 * 64 + 20] = 3.0f;
    data.choice[7].top_k = 2;
    for (size_t l = 0; l < levels->count; l++) {
        sampled out = run_sample(&levels->level[l], &data, 0, 8);
        for (size_t r = 0; r < 8; r++) {
            assert_int_equal(token_of(&out, r), want[r]);
        }
        free_sampled(&out);
    }
    free_data(&data);
}

/* NaN and +inf spoil a row and no other; -inf is a token that is never chosen; all -inf spoils too. */
static void test_broken_logits(void **state)
{
    const test_levels *levels = *state;
    enum { V = 37 };
    sample_data data = make_data(7, V, 1.0f, SEED + 200);
    for (size_t i = 0; i < V; i++) {
        data.logits[3 * V + i] = -INFINITY;
        data.logits[4 * V + i] = i == 20 ? -5.0f : -INFINITY;
        data.logits[5 * V + i] = i == 0 || i == V - 1 ? data.logits[5 * V + i] : -INFINITY;
    }
    data.logits[1 * V + V - 1] = NAN;
    data.logits[2 * V + 16] = INFINITY;
    data.logits[6 * V] = NAN;
    data.choice[5] = (sa_sample_choice){.temperature = 1.0f, .top_p = 1.0f, .u = 0.9999f};
    data.choice[6] = (sa_sample_choice){.temperature = 0.0f, .top_p = 1.0f};
    for (size_t l = 0; l < levels->count; l++) {
        sampled out = run_sample(&levels->level[l], &data, 0, 7);
        static const bool spoilt[] = {false, true, true, true, false, false, true};
        for (size_t r = 0; r < 7; r++) {
            float logprob;
            memcpy(&logprob, out.logprob.bytes + r * sizeof logprob, sizeof logprob);
            assert_int_equal(token_of(&out, r) == -1, spoilt[r]);
            assert_int_equal(logprob != logprob, spoilt[r]);
        }
        assert_int_equal(token_of(&out, 4), 20);
        assert_int_equal(token_of(&out, 5) % (V - 1), 0);
        free_sampled(&out);
    }
    free_data(&data);
}

/* u in even steps: each token as often as its share says. */
static void test_frequencies(void **state)
{
    const test_levels *levels = *state;
    enum { ROWS = 500, V = 7 };
    sample_data data = make_data(ROWS, V, 1.0f, SEED + 300);
    double share[V], total = 0.0;
    for (size_t i = 0; i < V; i++) {
        share[i] = exp((double)data.logits[i] / 0.8);
        total += share[i];
    }
    for (size_t r = 0; r < ROWS; r++) {
        memcpy(data.logits + r * V, data.logits, V * sizeof(float));
        data.choice[r] =
            (sa_sample_choice){.temperature = 0.8f, .top_p = 1.0f, .u = ((float)r + 0.5f) / (float)ROWS};
    }
    for (size_t l = 0; l < levels->count; l++) {
        sampled out = run_sample(&levels->level[l], &data, 0, ROWS);
        double count[V] = {0};
        for (size_t r = 0; r < ROWS; r++) {
            count[token_of(&out, r)] += 1.0;
        }
        for (size_t i = 0; i < V; i++) {
            assert_true(fabs(count[i] - (double)ROWS * share[i] / total) <= 1.01);
        }
        free_sampled(&out);
    }
    free_data(&data);
}

/* Rows alone, on 1 to 5 threads, give the bits that they give among others. */
static void test_batch_and_thread_invariance(void **state)
{
    (void)state;
    enum { ROWS = 33 };
    static const int threads[] = {1, 2, 3, 5};
    sample_data data = make_data(ROWS, 1003, 2.0f, SEED + 400);
    sampled first[SA_CPU_LEVELS] = {{{0}, {0}}};
    for (size_t t = 0; t < COUNT(threads); t++) {
        test_levels levels = levels_open(threads[t]);
        for (size_t l = 0; l < levels.count; l++) {
            sampled all = run_sample(&levels.level[l], &data, 0, ROWS);
            sampled one = run_sample(&levels.level[l], &data, 5 + t, 1);
            first[l] = t == 0 ? all : first[l];
            assert_memory_equal(all.token.bytes, first[l].token.bytes, all.token.size);
            assert_memory_equal(all.logprob.bytes, first[l].logprob.bytes, all.logprob.size);
            assert_memory_equal(one.token.bytes, first[l].token.bytes + 4 * (5 + t), 4);
            assert_memory_equal(one.logprob.bytes, first[l].logprob.bytes + 4 * (5 + t), 4);
            free_sampled(&one);
            if (t != 0) {
                free_sampled(&all);
            }
        }
        levels_close(&levels);
    }
    for (size_t l = 0; l < SA_CPU_LEVELS && first[l].token.bytes != NULL; l++) {
        free_sampled(&first[l]);
    }
    free_data(&data);
}

/* A reference that cuts at another place, another u, another temperature: each is noticed. */
static void test_planted_faults(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    enum { ROWS = 100, V = 50 };
    for (int fault = 0; fault < 4; fault++) {
        sample_data data = make_data(ROWS, V, 1.0f, SEED + 500);
        for (size_t r = 0; r < ROWS; r++) {
            data.choice[r].temperature = 1.0f;
            data.choice[r].top_k = 10;
        }
        sampled out = run_sample(level, &data, 0, ROWS);
        size_t left_out;
        assert_int_equal(wrong_tokens(&data, &out, 2.0f * (float)PEAK, &left_out), 0);
        for (size_t r = 0; r < ROWS; r++) {
            sa_sample_choice *choice = &data.choice[r];
            choice->top_k = fault == 0 ? 11 : choice->top_k;
            choice->top_p = fault == 1 ? 0.8f * choice->top_p : choice->top_p;
            choice->temperature = fault == 2 ? 1.1f : choice->temperature;
            choice->u = fault == 3 ? 1.0f - choice->u - 0x1p-24f : choice->u;
        }
        assert_true(wrong_tokens(&data, &out, 2.0f * (float)PEAK, &left_out) > 0);
        free_sampled(&out);
        free_data(&data);
    }
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),        cmocka_unit_test(test_large_vocabulary),
        cmocka_unit_test(test_equal_logits),   cmocka_unit_test(test_broken_logits),
        cmocka_unit_test(test_frequencies),    cmocka_unit_test(test_batch_and_thread_invariance),
        cmocka_unit_test(test_planted_faults),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
