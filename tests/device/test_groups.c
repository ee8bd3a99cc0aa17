/*
 * Groups of ops: the same results as without, whatever comes between begin and end and however often it comes
 * again. On a GPU (SEGAGENT_TEST_DEVICE=cuda) the counts say which of them were launched as graphs.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/device/device.h"
#include "tests/check.h"
#include "tests/kernels/fixture.h"

enum { WIDTH = 64, ROWS = 40, MOST_GRAPHS = 32 /* of a stream, as cuda_graph.c has it */ };

typedef struct {
    sa_device *device;
    sa_stream *stream;
    float *a, *b, *sum, *out; /* [ROWS, WIDTH], on the device */
    float host[ROWS * WIDTH];
    bool gpu;
} rig;

static float *take(rig *r)
{
    sa_error err;
    void *memory;
    must(sa_device_alloc(r->device, ROWS * WIDTH * sizeof(float), "a test", &memory, &err), &err);
    return memory;
}

static void wait_for(rig *r)
{
    sa_error err;
    must(sa_stream_wait(r->stream, &err), &err);
}

static void open_rig(rig *r)
{
    sa_error err;
    const sa_device_options options = {.name = test_device(), .threads = 1};
    setenv("SEGAGENT_CUDA_SYNC", "0", 1); /* debug builds, too */
    must(sa_device_open(&r->device, &options, &err), &err);
    must(sa_stream_open(&r->stream, r->device, &err), &err);
    r->gpu = strncmp(sa_device_name(r->device), "cuda", 4) == 0;
    r->a = take(r);
    r->b = take(r);
    r->sum = take(r);
    r->out = take(r);
    for (size_t i = 0; i < ROWS * WIDTH; i++) {
        r->host[i] = (float)i;
    }
    sa_stream_upload(r->stream, r->a, r->host, sizeof r->host);
    wait_for(r);
    for (size_t i = 0; i < ROWS * WIDTH; i++) {
        r->host[i] = 10000.0f * (float)(i % 100);
    }
    sa_stream_upload(r->stream, r->b, r->host, sizeof r->host);
    wait_for(r);
}

static void close_rig(rig *r)
{
    wait_for(r);
    sa_device_free(r->device, r->a);
    sa_device_free(r->device, r->b);
    sa_device_free(r->device, r->sum);
    sa_device_free(r->device, r->out);
    sa_stream_close(r->stream);
    sa_device_close(r->device);
}

static void add(rig *r, size_t rows, const float *a, const float *b, float *y)
{
    sa_device_ops(r->device)->add(r->stream, &(sa_add_args){.rows = rows,
                                                            .d = WIDTH,
                                                            .a = a,
                                                            .a_rows = rows,
                                                            .b = b,
                                                            .b_rows = rows,
                                                            .y = y,
                                                            .y_dtype = SA_F32});
}

/* out = a + b + (with_a ? a : b), of so many rows; the others of `out` stay as they are. */
static void queue(rig *r, size_t rows, bool with_a)
{
    add(r, rows, r->a, r->b, r->sum);
    add(r, rows, r->sum, with_a ? r->a : r->b, r->out);
}

/* The same, as a group. */
static void queue_group(rig *r, size_t rows, bool with_a)
{
    sa_stream_group_begin(r->stream);
    queue(r, rows, with_a);
    sa_stream_group_end(r->stream);
}

static void expect(rig *r, size_t rows, bool with_a)
{
    sa_stream_download(r->stream, r->host, r->out, rows * WIDTH * sizeof(float));
    wait_for(r);
    for (size_t i = 0; i < rows * WIDTH; i++) {
        float a = (float)i, b = 10000.0f * (float)(i % 100);
        assert_true(r->host[i] == a + b + (with_a ? a : b));
    }
}

/* What has been launched so far. */
static void expect_launches(rig *r, size_t kernels, size_t graphs)
{
    sa_device_work work = sa_device_get_work(r->device);
    if (getenv("GPUSIM_FAIL_GRAPH") != NULL) { /* from some call on there are no graphs */
        assert_true(work.kernels >= kernels && work.graphs <= graphs);
    } else if (r->gpu) {
        assert_int_equal(work.kernels, kernels);
        assert_int_equal(work.graphs, graphs);
    } else {
        assert_true(work.kernels == 0 && work.graphs == 0);
    }
}

/* The first time by themselves, then as graphs, with the arguments of each time. */
static void test_again(void **state)
{
    (void)state;
    rig r;
    open_rig(&r);
    for (size_t i = 0; i < 6; i++) {
        size_t rows = i == 3 ? 1 : ROWS - i; /* another grid, too */
        queue_group(&r, rows, i % 2 == 0);
        expect(&r, rows, i % 2 == 0);
        expect_launches(&r, 2, i);
    }
    sa_stream_group_begin(r.stream); /* other ops are another group */
    add(&r, ROWS, r.a, r.b, r.out);
    sa_stream_group_end(r.stream);
    expect_launches(&r, 3, 5);
    close_rig(&r);
}

/* Two launches of one graph before anybody waits: each has its own arguments. */
static void test_without_waiting(void **state)
{
    (void)state;
    rig r;
    open_rig(&r);
    for (size_t i = 0; i < 4; i++) {
        sa_stream_group_begin(r.stream);
        add(&r, ROWS, i == 0 ? r.a : r.sum, r.b, r.sum);
        sa_stream_group_end(r.stream);
    }
    sa_stream_download(r.stream, r.host, r.sum, sizeof r.host);
    wait_for(&r);
    for (size_t i = 0; i < ROWS * WIDTH; i++) {
        assert_true(r.host[i] == (float)i + 40000.0f * (float)(i % 100));
    }
    expect_launches(&r, 1, 3);
    close_rig(&r);
}

/* A copy in the middle keeps its place among the ops; what comes behind it is no group any more. */
static void test_copy_inside(void **state)
{
    (void)state;
    rig r;
    open_rig(&r);
    for (size_t i = 0; i < 3; i++) {
        sa_stream_group_begin(r.stream);
        add(&r, ROWS, r.a, r.b, r.sum);
        sa_stream_copy(r.stream, r.out, r.sum, sizeof r.host);
        add(&r, ROWS, r.out, r.b, r.out);
        sa_stream_group_end(r.stream);
        expect(&r, ROWS, false);
    }
    expect_launches(&r, 6, 0);
    sa_stream_group_begin(r.stream); /* nothing at all */
    sa_stream_group_end(r.stream);
    sa_stream_group_begin(r.stream); /* a wait inside */
    queue(&r, ROWS, true);
    expect(&r, ROWS, true);
    sa_stream_group_end(r.stream);
    close_rig(&r);
}

/* So many times the same op. */
static void queue_kind(rig *r, size_t kind)
{
    sa_stream_group_begin(r->stream);
    add(r, ROWS, r->a, r->b, r->sum);
    for (size_t i = 0; i <= kind; i++) {
        add(r, ROWS, r->sum, r->b, r->out);
    }
    sa_stream_group_end(r->stream);
    expect(r, ROWS, false);
}

/* More kinds than a stream keeps: the one used longest ago is forgotten, and comes back as a new one. */
static void test_many_kinds(void **state)
{
    (void)state;
    rig r;
    size_t launches = 0, rounds = 3;
    open_rig(&r);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t kind = 0; kind <= MOST_GRAPHS; kind++) {
            queue_kind(&r, kind);
            launches += kind + 2;
        }
    }
    expect_launches(&r, launches, 0);
    queue_kind(&r, MOST_GRAPHS); /* the last is still there */
    expect_launches(&r, launches, 1);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_without_waiting),
        cmocka_unit_test(test_copy_inside),
        cmocka_unit_test(test_many_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
