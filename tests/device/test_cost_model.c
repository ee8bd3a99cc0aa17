/*
 * Times by a model: between points, before and behind them; files with every mistake; the presets; and the
 * null device, which keeps count by it.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/device/device.h"
#include "tests/check.h"

static sa_status parse(sa_cost_model *model, const char *text, sa_error *err)
{
    return sa_cost_model_parse(model, "costs", text, strlen(text), err);
}

static const char good[] = "# what, how many, milliseconds\n"
                           "encode 1 10\nencode 4 16\nencode 8 32 # and on\n\n"
                           "click 2 1\nvision 1 3\nforward 1 5\nforward 100 5\nforward 200 10";

static void expect(const sa_cost_model *model, sa_cost_stage stage, size_t batch, double ms)
{
    assert_true(fabs(sa_cost_seconds(model, stage, batch) * 1e3 - ms) < 1e-9);
}

static void test_times(void **state)
{
    (void)state;
    sa_cost_model m;
    sa_error err;
    must(parse(&m, good, &err), &err);
    expect(&m, SA_COST_ENCODE, 0, 0);
    expect(&m, SA_COST_ENCODE, 1, 10);
    expect(&m, SA_COST_ENCODE, 2, 12);
    expect(&m, SA_COST_ENCODE, 4, 16);
    expect(&m, SA_COST_ENCODE, 6, 24);
    expect(&m, SA_COST_ENCODE, 12, 48); /* as between the last two */
    expect(&m, SA_COST_CLICK, 1, 1);    /* before the first: as the first */
    expect(&m, SA_COST_CLICK, 8, 4);    /* one point: in proportion */
    expect(&m, SA_COST_FORWARD, 50, 5);
    expect(&m, SA_COST_FORWARD, 150, 7.5);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "no line for encode"},
        {"encode 1 1\nclick 1 1\nvision 1 1\n", "no line for forward"},
        {"decode 1 1\n", "line 1: the first word"},
        {"\nencode 1\n", "line 2: there is no batch"},
        {"encode 0 1\n", "no batch from 1"},
        {"encode 1 -1\n", "no batch from 1"},
        {"encode nan 1\n", "no batch from 1"},
        {"encode 1 inf\n", "no batch from 1"},
        {"encode 1 1 1\n", "no batch from 1"},
        {"encode 2 1\nencode 2 2\n", "line 2: the batch is not larger"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sa_cost_model m;
        sa_error err = {0};
        assert_int_equal(parse(&m, cases[i].text, &err), SA_BAD_INPUT);
        assert_non_null(strstr(err.reason, cases[i].reason));
        assert_string_equal(err.file, "costs");
    }
}

static void test_long_files(void **state)
{
    (void)state;
    char text[4096] = "", line[64];
    sa_cost_model m;
    sa_error err = {0};
    for (int i = 1; i <= SA_COST_POINTS + 1; i++) {
        snprintf(line, sizeof line, "encode %d %d\n", i, i);
        strcat(text, line);
    }
    assert_int_equal(parse(&m, text, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "32 points"));
    memset(text, 'x', 300);
    assert_int_equal(parse(&m, text, &err), SA_BAD_INPUT);
    assert_int_equal(sa_cost_model_parse(&m, "costs", "encode\0", 7, &err), SA_BAD_INPUT);
    assert_true(sa_cost_model_read(&m, "/nowhere/costs", &err) != SA_OK);
}

/* A token alone takes as long as reading the weights; many, as long as their products. */
static void test_presets(void **state)
{
    (void)state;
    sa_cost_model h100, a100;
    sa_error err;
    must(sa_cost_model_read(&h100, "segagent-qwen-h100", &err), &err);
    must(sa_cost_model_read(&a100, "segagent-qwen-a100", &err), &err);
    expect(&h100, SA_COST_FORWARD, 1, 1e3 * 14.2e9 / (0.8 * 3.35e12));
    expect(&h100, SA_COST_FORWARD, 10000, 1e3 * 10000 * 4.26e12 / 327 / (0.5 * 989e12));
    expect(&h100, SA_COST_VISION, 1, 1e3 * 4.22e12 / (0.5 * 989e12));
    for (int i = 0; i < SA_COST_STAGES; i++) {
        assert_true(sa_cost_seconds(&a100, (sa_cost_stage)i, 64) >=
                    sa_cost_seconds(&h100, (sa_cost_stage)i, 64));
    }
}

static void test_null_device(void **state)
{
    (void)state;
    sa_device *device;
    sa_cost_model m;
    sa_error err;
    void *memory;
    must(parse(&m, good, &err), &err);
    must(sa_device_open(&device, &(sa_device_options){.name = "null", .threads = 1}, &err), &err);
    assert_false(sa_device_computes(device));
    must(sa_device_alloc(device, (size_t)1 << 40, "a terabyte that nobody writes", &memory, &err), &err);
    assert_true((uintptr_t)memory % 256 == 0 && sa_device_allocated(device) == (size_t)1 << 40);
    sa_device_free(device, memory);
    assert_int_equal(sa_device_allocated(device), 0);
    sa_device_count(device, SA_COST_ENCODE, 4);
    assert_true(sa_device_get_work(device).seconds[SA_COST_ENCODE] == 0); /* no costs yet */
    sa_device_set_costs(device, &m);
    sa_device_work before = sa_device_get_work(device);
    sa_device_count(device, SA_COST_ENCODE, 4);
    sa_device_count(device, SA_COST_FORWARD, 150);
    sa_device_work work = sa_device_work_since(sa_device_get_work(device), before);
    assert_true(fabs(work.seconds[SA_COST_ENCODE] - 16e-3) < 1e-12);
    assert_true(work.units[SA_COST_FORWARD] == 150 && work.batches[SA_COST_FORWARD] == 1);
    sa_device_close(device);
}

/* What it says: the given answer, with other digits where they vary. */
static void test_null_answer(void **state)
{
    (void)state;
    static const int32_t tokens[] = {7, 8, 9}, others[] = {20, 21, 22, 23};
    static const bool varies[] = {false, true, false};
    sa_device *device;
    sa_stream *stream;
    sa_error err;
    int32_t said[5];
    float logprobs[5];
    sa_sample_choice choices[5] = {
        {.place = 0}, {.place = 1, .u = 0.1f}, {.place = 1, .u = 0.99f}, {.place = 2}, {.place = 77}};
    must(sa_device_open(&device, &(sa_device_options){.name = "null", .threads = 1}, &err), &err);
    must(sa_device_set_null_answer(device, tokens, varies, 3, others, 4, &err), &err);
    must(sa_stream_open(&stream, device, &err), &err);
    sa_device_ops(device)->sample(
        stream, &(sa_sample_args){.rows = 5, .choice = choices, .token = said, .logprob = logprobs});
    static const int32_t want[5] = {7, 20, 23, 9, 9};
    assert_memory_equal(said, want, sizeof want);
    sa_stream_close(stream);
    sa_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),       cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_long_files),  cmocka_unit_test(test_presets),
        cmocka_unit_test(test_null_device), cmocka_unit_test(test_null_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
