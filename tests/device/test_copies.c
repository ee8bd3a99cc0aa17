/*
 * Copies through a stream: larger than the staging ring, many more than it has pieces, in order with each
 * other, from host memory that is overwritten as soon as the contract allows; and the counts of device
 * memory. The same on the CPU and, with SEGAGENT_TEST_DEVICE=cuda, on a GPU.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/device/device.h"
#include "tests/check.h"
#include "tests/kernels/fixture.h"

enum { LARGE = 21 * 1000 * 1000 + 7, SMALL = 1000 };

typedef struct {
    sa_device *device;
    sa_stream *stream;
} rig;

static rig open_rig(void)
{
    rig r;
    sa_error err;
    const sa_device_options options = {.name = test_device(), .threads = 1};
    must(sa_device_open(&r.device, &options, &err), &err);
    must(sa_stream_open(&r.stream, r.device, &err), &err);
    return r;
}

static void close_rig(rig *r)
{
    assert_int_equal(sa_device_allocated(r->device), 0);
    sa_stream_close(r->stream);
    sa_device_close(r->device);
}

static unsigned char *take(rig *r, size_t bytes)
{
    sa_error err;
    void *memory;
    must(sa_device_alloc(r->device, bytes, "a test", &memory, &err), &err);
    assert_int_equal((uintptr_t)memory % 256, 0);
    return memory;
}

static void wait_for(rig *r)
{
    sa_error err;
    must(sa_stream_wait(r->stream, &err), &err);
}

static unsigned char *random_bytes(size_t bytes, uint64_t seed)
{
    unsigned char *out = malloc(bytes + 4);
    assert_non_null(out);
    for (size_t i = 0; i < bytes; i += 4) {
        uint32_t word = sa_philox_block(seed, i, 0).word[0];
        memcpy(out + i, &word, 4);
    }
    return out;
}

/* Up, across, down: neither the ring's end nor the last, shorter piece loses or moves a byte. */
static void test_large(void **state)
{
    (void)state;
    rig r = open_rig();
    unsigned char *from = random_bytes(LARGE, 1), *to = calloc(LARGE + 1, 1);
    unsigned char *a = take(&r, LARGE), *b = take(&r, LARGE);
    sa_stream_upload(r.stream, a, from, LARGE);
    sa_stream_copy(r.stream, b, a, LARGE);
    sa_stream_download(r.stream, to, b, LARGE);
    wait_for(&r);
    assert_memory_equal(to, from, LARGE);
    assert_int_equal(to[LARGE], 0);
    sa_device_free(r.device, a);
    sa_device_free(r.device, b);
    free(from);
    free(to);
    close_rig(&r);
}

/* Ten times more copies under way than the ring has pieces, of all sizes from 0 on, each download behind its
 * upload. */
static void test_many(void **state)
{
    (void)state;
    rig r = open_rig();
    unsigned char *from = random_bytes(SMALL, 2), *to = calloc(SMALL, SMALL), *device = take(&r, SMALL);
    for (size_t i = 0; i < SMALL; i++) {
        from[0] = (unsigned char)i;
        sa_stream_upload(r.stream, device, from, i);
        sa_stream_download(r.stream, to + i * SMALL, device, i);
        wait_for(&r); /* from is free again, by the contract */
    }
    for (size_t i = 0; i < 640; i++) {
        sa_stream_download(r.stream, to, device, SMALL / 2);
        sa_stream_upload(r.stream, device + i % 500, from + i % 500, 1);
    }
    wait_for(&r);
    for (size_t i = 1; i < SMALL; i++) {
        assert_int_equal(to[i * SMALL], (unsigned char)i);
        assert_memory_equal(to + i * SMALL + 1, from + 1, i - 1);
    }
    sa_device_free(r.device, device);
    free(from);
    free(to);
    close_rig(&r);
}

/* A GPU's backend says that it has read the memory of an upload when the call returns. */
static void test_upload_reads_at_once(void **state)
{
    (void)state;
    rig r = open_rig();
    unsigned char *from = random_bytes(SMALL, 3), *want = malloc(SMALL), *to = calloc(SMALL, 1);
    unsigned char *device = take(&r, SMALL);
    memcpy(want, from, SMALL);
    sa_stream_upload(r.stream, device, from, SMALL);
    memset(from, 0, SMALL);
    sa_stream_download(r.stream, to, device, SMALL);
    wait_for(&r);
    assert_memory_equal(to, want, SMALL);
    sa_device_free(r.device, device);
    free(from);
    free(want);
    free(to);
    close_rig(&r);
}

static void test_reach(void **state)
{
    (void)state;
    rig r = open_rig();
    unsigned char *from = random_bytes(SMALL, 4), *to = calloc(SMALL, 1), *staging = take(&r, SMALL);
    const void *reached = sa_stream_reach(r.stream, from, SMALL, staging);
    assert_true(reached == (sa_device_reads_host(r.device) ? from : staging));
    sa_stream_download(r.stream, to, reached, SMALL);
    wait_for(&r);
    assert_memory_equal(to, from, SMALL);
    sa_device_free(r.device, staging);
    free(from);
    free(to);
    close_rig(&r);
}

static void test_counts(void **state)
{
    (void)state;
    rig r = open_rig();
    size_t before = sa_device_allocation_count(r.device);
    unsigned char *a = take(&r, 1000), *b = take(&r, 0), *c = take(&r, 77);
    assert_int_equal(sa_device_allocated(r.device), 1077);
    assert_int_equal(sa_device_allocation_count(r.device), before + 3);
    sa_device_free(r.device, b);
    sa_device_free(r.device, a);
    sa_device_free(r.device, NULL);
    assert_int_equal(sa_device_allocated(r.device), 77);
    sa_device_free(r.device, c);
    sa_error err;
    void *none = NULL;
    assert_int_equal(sa_device_alloc(r.device, SIZE_MAX / 4, "the moon", &none, &err), SA_NO_ROOM);
    assert_non_null(strstr(err.reason, "the moon"));
    assert_null(none);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_upload_reads_at_once),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
