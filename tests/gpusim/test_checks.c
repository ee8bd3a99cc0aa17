/*
 * Bugs planted in kernels/planted.cu must be found and named: kind, kernel, line, block, thread, address, and
 * the other party of a race. Each runs in a process of its own, under several seeds. Their clean twins, and
 * lock-free kernels that are right, must give no report at all. On a real driver only the latter run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gpusim/harness.h"

#define SOURCE "tests/gpusim/kernels/planted.cu"

enum { SEEDS = 4, MOST = 32 };

/* ---- expectations ---- */

/* Whatever is NULL or ANY may be anything. Lines are named by their "MARK ..." in planted.cu. */
#define ANY UINT32_MAX
typedef struct {
    const char *kind, *kernel, *mark, *other_mark;
    uint32_t block, thread; /* x; ANY */
    bool has_address;
    uint64_t address;
} expectation;

/* "planted.cu:LINE" of the line that ends in "// MARK name". */
static void line_of(const char *mark, char *to, size_t size)
{
    char text[512], wanted[80];
    FILE *file = fopen(SOURCE, "r");
    assert_non_null(file);
    int wanted_length = snprintf(wanted, sizeof wanted, "// MARK %s\n", mark);
    for (int number = 1; fgets(text, sizeof text, file) != NULL; number++) {
        size_t length = strlen(text);
        if (length > (size_t)wanted_length && strcmp(text + length - wanted_length, wanted) == 0) {
            snprintf(to, size, "planted.cu:%d", number);
            fclose(file);
            return;
        }
    }
    fail_msg("no MARK %s in " SOURCE, mark);
}

static bool stands_at(const gpu_party *party, const char *mark)
{
    char line[64];
    if (mark == NULL) {
        return true;
    }
    line_of(mark, line, sizeof line);
    return strcmp(party->source, line) == 0;
}

static bool fits(const gpu_finding *f, const expectation *e)
{
    return strcmp(f->kind, e->kind) == 0 && (e->kernel == NULL || strcmp(f->kernel, e->kernel) == 0) &&
           stands_at(&f->at, e->mark) && f->has_other == (e->other_mark != NULL) &&
           (e->other_mark == NULL || stands_at(&f->other, e->other_mark)) &&
           (e->block == ANY || f->at.block[0] == e->block) &&
           (e->thread == ANY || f->at.thread[0] == e->thread) &&
           (!e->has_address || f->address == e->address);
}

static void print_findings(const gpu_finding *found, int count)
{
    for (int i = 0; i < count && i < MOST; i++) {
        const gpu_finding *f = &found[i];
        print_error("  %s in %s, %s, block %u thread %u, address 0x%llx; other %s block %u thread %u: %s\n",
                    f->kind, f->kernel, f->at.source, f->at.block[0], f->at.thread[0],
                    (unsigned long long)f->address, f->other.source, f->other.block[0], f->other.thread[0],
                    f->message);
    }
}

/* The first finding that fits; all others must be of the same kind and kernel. */
static const gpu_finding *expect(const gpu_finding *found, int count, const expectation *e)
{
    const gpu_finding *good = NULL;
    bool strange = count > MOST;
    for (int i = 0; i < count && i < MOST; i++) {
        good = good == NULL && fits(&found[i], e) ? &found[i] : good;
        strange |= strcmp(found[i].kind, e->kind) != 0 ||
                   (e->kernel != NULL && strcmp(found[i].kernel, e->kernel) != 0);
    }
    if (good == NULL || strange) {
        print_findings(found, count);
        fail_msg("%s: %d findings, %s", e->kind, count, good == NULL ? "none that fits" : "others beside it");
    }
    return good;
}

/* Launches that trap leave a failed context: nothing is freed, which is no leak then. */
static void launch(const char *kernel, unsigned blocks, unsigned threads, int error, void **args)
{
    int status = gpu_launch_status(kernel, (gpu_dim){blocks, 1, 1}, (gpu_dim){threads, 1, 1}, 0, args);
    if (status != error) {
        printf("%s: status %d, expected %d\n", kernel, status, error);
        exit(3);
    }
}

static uint64_t upload_numbers(size_t count)
{
    int *numbers = malloc(count * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (int)gpu_pick(1, i, 1000);
    }
    uint64_t memory = gpu_upload(numbers, count * sizeof *numbers);
    free(numbers);
    return memory;
}

/* Runs a kernel of (out) with 64 threads of one block; for others see the bodies. */
static void run_out(const char *kernel, unsigned blocks, unsigned threads, int error)
{
    gpu_open("planted");
    uint64_t out = gpu_zeros(4096);
    launch(kernel, blocks, threads, error, GPU_ARGS(&out));
    if (error == 0) {
        gpu_free(out);
        gpu_close();
    }
}

enum { ILLEGAL_ADDRESS = 700, MISALIGNED = 716 };

/* ---- races in shared memory, barriers, shuffles ---- */

static void mirror_bug(uint64_t *shared)
{
    (void)shared;
    run_out("mirror_bug", 1, 64, 0);
}

/* Either party may be the later one; thread t meets thread 63 - t, at the word of the one that writes. */
static void expect_mirror(const gpu_finding *found, int count, const char *kind, const char *kernel,
                          const char *write, const char *read, uint64_t base)
{
    expectation e = {
        .kind = kind, .kernel = kernel, .mark = read, .other_mark = write, .block = 0, .thread = ANY};
    bool reads = false;
    for (int i = 0; i < count && i < MOST; i++) {
        reads |= fits(&found[i], &e);
    }
    if (!reads) {
        e.mark = write;
        e.other_mark = read;
    }
    const gpu_finding *f = expect(found, count, &e);
    const uint32_t writer = reads ? f->other.thread[0] : f->at.thread[0];
    assert_int_equal(f->at.thread[0] + f->other.thread[0], 63);
    assert_int_equal(f->address, base + writer * 4);
}

static void test_missing_barrier(void **state)
{
    (void)state;
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int count = gpu_run_findings(seed, mirror_bug, shared, found, MOST);
        expect_mirror(found, count, "race_shared", "mirror_bug", "mirror write", "mirror read", 0);
    }
}

/* One body for each planted bug, and what must be found of it; an address is relative to shared[0]. */
typedef struct {
    const char *name;
    void (*body)(uint64_t *shared);
    expectation expected;
    bool is_relative;
} planted;

static void test_planted(void **state)
{
    const planted *p = *state;
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int count = gpu_run_findings(seed, p->body, shared, found, MOST);
        expectation e = p->expected;
        e.address += p->is_relative ? shared[0] : 0;
        expect(found, count, &e);
    }
}

static void read_past(uint64_t *shared)
{
    gpu_open("planted");
    int n = 100;
    uint64_t in = upload_numbers(100), out = gpu_zeros(400);
    shared[0] = in;
    launch("neighbour_bug", 2, 64, ILLEGAL_ADDRESS, GPU_ARGS(&in, &out, &n));
}

static void write_past(uint64_t *shared)
{
    gpu_open("planted");
    int n = 100;
    uint64_t out = shared[0] = gpu_alloc(400);
    launch("fill_bug", 2, 64, ILLEGAL_ADDRESS, GPU_ARGS(&out, &n));
}

static void shared_write_past(uint64_t *shared)
{
    (void)shared;
    run_out("shift_bug", 1, 64, ILLEGAL_ADDRESS);
}

static void shared_read_past(uint64_t *shared)
{
    (void)shared;
    run_out("shift_read_bug", 1, 64, ILLEGAL_ADDRESS);
}

static void misaligned(uint64_t *shared)
{
    gpu_open("planted");
    uint64_t in = shared[0] = upload_numbers(256), out = gpu_alloc(1024);
    launch("quads_bug", 1, 32, MISALIGNED, GPU_ARGS(&in, &out));
}

static void shared_unwritten(uint64_t *shared)
{
    (void)shared;
    run_out("hole_bug", 1, 64, 0);
}

static void global_unwritten(uint64_t *shared)
{
    gpu_open("planted");
    void *set;
    gpu_find("cuMemsetD8_v2", &set);
    uint64_t in = shared[0] = gpu_alloc(256), out = gpu_alloc(256);
    ((int (*)(uint64_t, unsigned char, size_t))set)(in, 1, 160);
    launch("copy_bug", 1, 64, 0, GPU_ARGS(&in, &out));
    gpu_free(in);
    gpu_free(out);
    gpu_close();
}

static void copy_unwaited(uint64_t *shared)
{
    (void)shared;
    gpu_open("planted");
    uint64_t in = upload_numbers(256), out = gpu_alloc(1024);
    launch("staged_bug", 1, 64, 0, GPU_ARGS(&in, &out));
    gpu_free(in);
    gpu_free(out);
    gpu_close();
}

static void barrier_divergent(uint64_t *shared)
{
    (void)shared;
    run_out("gather_barrier_bug", 1, 64, 0);
}

static void shuffle_divergent(uint64_t *shared)
{
    (void)shared;
    run_out("half_shuffle_bug", 1, 32, 0);
}

static void shuffle_last(uint64_t *shared)
{
    (void)shared;
    run_out("half_shuffle_last_bug", 1, 32, 0);
}

static void shuffle_far(uint64_t *shared)
{
    (void)shared;
    run_out("far_shuffle_bug", 1, 32, 0);
}

static void freed_memory(uint64_t *shared)
{
    gpu_open("planted");
    uint64_t in = shared[0] = upload_numbers(32), out = gpu_alloc(128);
    gpu_free(in);
    launch("consume", 1, 32, ILLEGAL_ADDRESS, GPU_ARGS(&in, &out));
}

static void leak(uint64_t *shared)
{
    gpu_open("planted");
    shared[0] = gpu_zeros(1000);
}

/* ---- races between blocks ---- */

static void blocks_overlap(uint64_t *shared)
{
    (void)shared;
    gpu_open("planted");
    uint64_t out = shared[0] = gpu_zeros(128);
    launch("overlap_bug", 2, 32, 0, GPU_ARGS(&out));
    gpu_free(out);
    gpu_close();
}

static void test_blocks_write(void **state)
{
    (void)state;
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int count = gpu_run_findings(seed, blocks_overlap, shared, found, MOST);
        expectation e = {.kind = "race_global",
                         .kernel = "overlap_bug",
                         .mark = "blocks write",
                         .other_mark = "blocks write",
                         .block = ANY,
                         .thread = ANY};
        const gpu_finding *f = expect(found, count, &e);
        assert_int_equal(f->at.block[0] + f->other.block[0], 1);
        assert_int_equal(f->at.thread[0], f->other.thread[0]);
        assert_int_equal(f->address, shared[0] + 4 * f->at.thread[0]);
    }
}

static void blocks_exchange(uint64_t *shared)
{
    gpu_open("planted");
    uint64_t values = shared[0] = gpu_zeros(256), old = gpu_zeros(256);
    launch("exchange_bug", 2, 32, 0, GPU_ARGS(&old, &values));
    gpu_free(values);
    gpu_free(old);
    gpu_close();
}

/* A race between a read and a write, whichever came first: who did what. */
static bool is_race(const gpu_finding *f, const char *kernel, const char *read, const char *write,
                    const gpu_party **reader, const gpu_party **writer)
{
    const bool reads = stands_at(&f->at, read);
    *reader = reads ? &f->at : &f->other;
    *writer = reads ? &f->other : &f->at;
    return strcmp(f->kind, "race_global") == 0 && strcmp(f->kernel, kernel) == 0 && f->has_other &&
           stands_at(*reader, read) && stands_at(*writer, write);
}

/* The word is the writer's. */
static bool is_exchange(const gpu_finding *f, uint64_t values)
{
    const gpu_party *reader, *writer;
    return is_race(f, "exchange_bug", "blocks read", "blocks exchange", &reader, &writer) &&
           reader->block[0] + writer->block[0] == 1 && reader->thread[0] == writer->thread[0] &&
           f->address == values + 128 * writer->block[0] + 4 * writer->thread[0];
}

static void blocks_swap(uint64_t *shared)
{
    gpu_open("planted");
    int at = 3;
    uint64_t words = gpu_zeros(32);
    shared[0] = words + 4 * (uint64_t)at;
    launch("swapped_bug", 4, 32, 0, GPU_ARGS(&words, &at));
    gpu_free(words);
    gpu_close();
}

static bool is_swap(const gpu_finding *f, uint64_t word)
{
    const gpu_party *reader, *writer;
    return is_race(f, "swapped_bug", "foretelling read", "count", &reader, &writer) && f->address == word;
}

/* On every seed there are findings, and every one is what it should be. */
static void expect_only(void (*body)(uint64_t *shared), bool (*is_it)(const gpu_finding *f, uint64_t address))
{
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int good = 0, count = gpu_run_findings(seed, body, shared, found, MOST);
        for (int i = 0; i < count && i < MOST; i++) {
            good += is_it(&found[i], shared[0]);
        }
        if (good == 0 || good != count) {
            print_findings(found, count);
            fail_msg("race_global: %d findings, %d that fit", count, good);
        }
    }
}

static void test_blocks_read(void **state)
{
    (void)state;
    expect_only(blocks_exchange, is_exchange);
}

static void test_blocks_swap(void **state)
{
    (void)state;
    expect_only(blocks_swap, is_swap);
}

static void global_mirror(uint64_t *shared)
{
    gpu_open("planted");
    uint64_t room = shared[0] = gpu_zeros(256), out = gpu_alloc(256);
    launch("mirror_global_bug", 1, 64, 0, GPU_ARGS(&room, &out));
    gpu_free(room);
    gpu_free(out);
    gpu_close();
}

static void test_missing_barrier_global(void **state)
{
    (void)state;
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int count = gpu_run_findings(seed, global_mirror, shared, found, MOST);
        expect_mirror(found, count, "race_global", "mirror_global_bug", "mirror global write",
                      "mirror global read", shared[0]);
    }
}

/* Runs last_block_bug or _right with 8 blocks; the sum for _right is checked by its own test. */
static int run_last_block(const char *kernel, uint64_t *partial_address)
{
    int sum = 0;
    uint64_t in = upload_numbers(256), partial = gpu_alloc(32), done = gpu_zeros(4), out = gpu_zeros(4);
    launch(kernel, 8, 32, 0, GPU_ARGS(&in, &partial, &done, &out));
    gpu_download(&sum, out, 4);
    *partial_address = partial;
    gpu_free(in);
    gpu_free(partial);
    gpu_free(done);
    gpu_free(out);
    return sum;
}

static void last_block(uint64_t *shared)
{
    gpu_open("planted");
    run_last_block("last_block_bug", &shared[0]);
    gpu_close();
}

static void test_missing_fence(void **state)
{
    (void)state;
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int count = gpu_run_findings(seed, last_block, shared, found, MOST);
        expectation e = {.kind = "race_global",
                         .kernel = "last_block_bug",
                         .mark = "partial read",
                         .other_mark = "partial write",
                         .block = ANY,
                         .thread = ANY};
        const gpu_finding *f = expect(found, count, &e);
        assert_int_not_equal(f->at.block[0], f->other.block[0]);
        assert_int_equal(f->other.thread[0], 0);
        assert_int_equal(f->address, shared[0] + 4 * f->other.block[0]);
    }
}

static void lanes_bug(uint64_t *shared)
{
    (void)shared;
    run_out("lanes_bug", 1, 32, 0);
}

/* Lanes of one instruction are told together: of the pair, the one that comes later is sure. */
static void test_missing_syncwarp(void **state)
{
    (void)state;
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int count = gpu_run_findings(seed, lanes_bug, shared, found, MOST);
        expectation e = {.kind = "race_shared",
                         .kernel = "lanes_bug",
                         .mark = "lane read",
                         .other_mark = "lane write",
                         .block = 0,
                         .thread = ANY};
        const gpu_finding *f = expect(found, count, &e);
        assert_int_equal(f->at.thread[0] + f->other.thread[0], 31);
        assert_int_equal(f->address, f->other.thread[0] * 4);
    }
}

static void run_release(const char *kernel, uint64_t *shared)
{
    uint64_t ticket = gpu_zeros(4), room = gpu_alloc(128), flag = gpu_zeros(4), out = gpu_zeros(128);
    int got[32];
    shared[0] = room;
    launch(kernel, 2, 32, 0, GPU_ARGS(&ticket, &room, &flag, &out));
    gpu_download(got, out, sizeof got);
    gpu_free(ticket);
    gpu_free(room);
    gpu_free(flag);
    gpu_free(out);
    for (int i = 0; i < 32; i++) {
        if (got[i] != 3 * (31 - i)) {
            exit(3);
        }
    }
}

static void release_bug(uint64_t *shared)
{
    gpu_open("planted");
    run_release("release_bug", shared);
    gpu_close();
}

static void test_missing_release(void **state)
{
    (void)state;
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int count = gpu_run_findings(seed, release_bug, shared, found, MOST);
        expectation e = {.kind = "race_global",
                         .kernel = "release_bug",
                         .mark = "acquired read",
                         .other_mark = "released write",
                         .block = ANY,
                         .thread = ANY};
        const gpu_finding *f = expect(found, count, &e);
        assert_int_equal(f->at.block[0] + f->other.block[0], 1);
        assert_int_equal(f->at.thread[0] + f->other.thread[0], 31);
        assert_int_equal(f->address, shared[0] + 4 * f->other.thread[0]);
    }
}

/* ---- streams ---- */

/* produce in one stream, consume in another; with `right` the second one waits for an event of the first. */
static void run_streams(bool right, uint64_t *shared)
{
    int (*create)(void **, unsigned), (*destroy)(void *), (*wait)(void *, void *, unsigned);
    int (*event_create)(void **, unsigned), (*event_destroy)(void *), (*record)(void *, void *),
        (*sync)(void);
    int (*start)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                 void **, void **);
    void *stream[2], *event;
    gpu_find("cuStreamCreate", &create);
    gpu_find("cuStreamDestroy_v2", &destroy);
    gpu_find("cuStreamWaitEvent", &wait);
    gpu_find("cuEventCreate", &event_create);
    gpu_find("cuEventDestroy_v2", &event_destroy);
    gpu_find("cuEventRecord", &record);
    gpu_find("cuCtxSynchronize", &sync);
    gpu_find("cuLaunchKernel", &start);
    uint64_t middle = shared[0] = gpu_zeros(128), out = gpu_zeros(128);
    int failed = create(&stream[0], 1) | create(&stream[1], 1) | event_create(&event, 2) | sync();
    failed |= start(gpu_kernel("produce"), 1, 1, 1, 32, 1, 1, 0, stream[0], GPU_ARGS(&middle), NULL);
    failed |= record(event, stream[0]);
    failed |= right ? wait(stream[1], event, 0) : 0;
    failed |= start(gpu_kernel("consume"), 1, 1, 1, 32, 1, 1, 0, stream[1], GPU_ARGS(&middle, &out), NULL);
    failed |= sync() | event_destroy(event) | destroy(stream[0]) | destroy(stream[1]);
    gpu_free(middle);
    gpu_free(out);
    if (failed) {
        exit(3);
    }
}

static void streams_bug(uint64_t *shared)
{
    gpu_open("planted");
    run_streams(false, shared);
    gpu_close();
}

/* The parties are pieces of work of the host's, so the message names them. */
static void test_missing_stream_wait(void **state)
{
    (void)state;
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int count = gpu_run_findings(seed, streams_bug, shared, found, MOST);
        expectation e = {
            .kind = "stream_order", .block = ANY, .thread = ANY, .has_address = true, .address = shared[0]};
        const gpu_finding *f = expect(found, count, &e);
        assert_int_equal(f->bytes, 128);
        assert_non_null(strstr(f->message, "produce (stream"));
        assert_non_null(strstr(f->message, "consume (stream"));
    }
}

static void copy_past(uint64_t *shared)
{
    gpu_open("planted");
    uint64_t in = shared[0] = upload_numbers(240), out = gpu_alloc(1024);
    launch("staged_right", 1, 64, ILLEGAL_ADDRESS, GPU_ARGS(&in, &out));
}

/* A copy writes shared memory, but it is the read of its source that is told. */
static void test_copy_past(void **state)
{
    (void)state;
    for (int seed = 0; seed < SEEDS; seed++) {
        gpu_finding found[MOST];
        uint64_t shared[4] = {0};
        int count = gpu_run_findings(seed, copy_past, shared, found, MOST);
        expectation e = {.kind = "out_of_bounds",
                         .kernel = "staged_right",
                         .mark = "copy issued",
                         .thread = 60,
                         .has_address = true,
                         .address = shared[0] + 960};
        assert_non_null(strstr(expect(found, count, &e)->message, "read of 16 bytes"));
    }
}

/* ---- the table ---- */

static const planted table[] = {
    {"off by one: global read",
     read_past,
     {"out_of_bounds", "neighbour_bug", "global read", NULL, 1, 35, true, 400},
     true},
    {"off by one: global write",
     write_past,
     {"out_of_bounds", "fill_bug", "global write", NULL, 1, 36, true, 400},
     true},
    {"off by one: shared write",
     shared_write_past,
     {"out_of_bounds", "shift_bug", "shared write", NULL, 0, 63, true, 256},
     false},
    {"off by one: shared read",
     shared_read_past,
     {"out_of_bounds", "shift_read_bug", "shared read", NULL, 0, 63, true, 256},
     false},
    {"misaligned float4", misaligned, {"misaligned", "quads_bug", "misaligned", NULL, 0, 0, true, 4}, true},
    {"shared memory not written",
     shared_unwritten,
     {"uninitialised", "hole_bug", "uninitialised shared", NULL, 0, 63, true, 252},
     false},
    {"global memory not written",
     global_unwritten,
     {"uninitialised", "copy_bug", "uninitialised global", NULL, 0, ANY, false, 0},
     true},
    {"cp.async without its wait",
     copy_unwaited,
     {"async_copy_unwaited", "staged_bug", "copy read", "copy issued", 0, ANY, false, 0},
     false},
    {"barrier in a divergent branch",
     barrier_divergent,
     {"barrier_divergence", "gather_barrier_bug", "barrier", NULL, 0, ANY, false, 0},
     false},
    {"shuffle in a divergent branch",
     shuffle_divergent,
     {"shuffle_inactive", "half_shuffle_bug", "shuffle", NULL, 0, ANY, false, 0},
     false},
    {"shuffle in a divergent branch, nothing behind it",
     shuffle_last,
     {"shuffle_inactive", "half_shuffle_last_bug", "last shuffle", NULL, 0, 0, false, 0},
     false},
    {"shuffle from lanes that take no part",
     shuffle_far,
     {"shuffle_inactive", "far_shuffle_bug", "far shuffle", NULL, 0, ANY, false, 0},
     false},
    {"freed memory", freed_memory, {"use_after_free", "consume", "freed", NULL, 0, 0, true, 0}, true},
    {"leak", leak, {"leak", "", NULL, NULL, 0, 0, true, 0}, true},
};
enum { PLANTED = sizeof table / sizeof table[0] };

static int run_planted(void)
{
    struct CMUnitTest list[PLANTED + 10] = {
        cmocka_unit_test(test_blocks_swap),      cmocka_unit_test(test_copy_past),
        cmocka_unit_test(test_missing_barrier),  cmocka_unit_test(test_missing_barrier_global),
        cmocka_unit_test(test_blocks_write),     cmocka_unit_test(test_blocks_read),
        cmocka_unit_test(test_missing_syncwarp), cmocka_unit_test(test_missing_release),
        cmocka_unit_test(test_missing_fence),    cmocka_unit_test(test_missing_stream_wait),
    };
    for (int i = 0; i < PLANTED; i++) {
        list[10 + i] =
            (struct CMUnitTest){table[i].name, test_planted, NULL, NULL, (void *)(uintptr_t)&table[i]};
    }
    return cmocka_run_group_tests_name("planted bugs", list, NULL, NULL);
}

/* ---- clean twins ---- */

static void assert_numbers(uint64_t memory, size_t count, int (*want)(size_t i))
{
    int got[1024];
    gpu_download(got, memory, count * sizeof *got);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i], want(i));
    }
}

static int want_mirror(size_t i)
{
    return 3 * (63 - (int)i);
}

static int want_index(size_t i)
{
    return (int)i;
}

static int want_before(size_t i)
{
    return (int)i - 1;
}

static int want_after(size_t i)
{
    return i < 63 ? (int)i + 1 : 0;
}

static int want_shuffled(size_t i)
{
    return i < 16 ? 5 * (int)i + 5 * ((int)i ^ 1) : 5 * (int)i;
}

static int want_doubled(size_t i)
{
    return i < 16 ? 10 * (int)i : 5 * (int)i;
}

static int want_mirrored_lane(size_t i)
{
    return 3 * (31 - (int)i);
}

static int want_block(size_t i)
{
    return (int)(i / 32) + 1;
}

static int want_input(size_t i)
{
    return (int)gpu_pick(1, i, 1000);
}

static int want_one(size_t i)
{
    (void)i;
    return 1;
}

static void test_twins_of_one(void **state)
{
    (void)state;
    static const struct {
        const char *kernel;
        unsigned blocks, threads;
        int (*want)(size_t i);
    } twins[] = {
        {"mirror_right", 1, 64, want_mirror},        {"shift_right", 1, 64, want_before},
        {"shift_read_right", 1, 64, want_after},     {"hole_right", 1, 64, want_index},
        {"gather_barrier_right", 1, 64, want_index}, {"half_shuffle_right", 1, 32, want_shuffled},
        {"far_shuffle_right", 1, 32, want_doubled},  {"half_shuffle_last_right", 1, 32, want_shuffled},
        {"lanes_right", 1, 32, want_mirrored_lane},  {"overlap_right", 2, 32, want_block},
        {"reread_right", 1, 64, want_index}};
    for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++) {
        uint64_t out = gpu_zeros(256);
        launch(twins[i].kernel, twins[i].blocks, twins[i].threads, 0, GPU_ARGS(&out));
        assert_numbers(out, (size_t)twins[i].blocks * twins[i].threads, twins[i].want);
        gpu_free(out);
    }
}

static int want_neighbours(size_t i)
{
    return want_input(i) + (i < 99 ? want_input(i + 1) : 0);
}

static void test_twins_of_bounds(void **state)
{
    (void)state;
    int n = 100;
    uint64_t in = upload_numbers(100), out = gpu_alloc(400);
    launch("neighbour_right", 2, 64, 0, GPU_ARGS(&in, &out, &n));
    assert_numbers(out, 100, want_neighbours);
    launch("fill_right", 2, 64, 0, GPU_ARGS(&out, &n));
    assert_numbers(out, 100, want_index);
    gpu_free(in);
    gpu_free(out);
}

static int want_quads(size_t i)
{
    return want_input(i + 4);
}

static int want_staged(size_t i)
{
    return want_input((63 - i / 4) * 4 + i % 4);
}

static void test_twins_of_copies(void **state)
{
    (void)state;
    uint64_t in = upload_numbers(256), out = gpu_zeros(1024);
    launch("quads_right", 1, 32, 0, GPU_ARGS(&in, &out));
    assert_numbers(out, 128, want_quads);
    launch("staged_right", 1, 64, 0, GPU_ARGS(&in, &out));
    assert_numbers(out, 256, want_staged);
    launch("copy_right", 1, 64, 0, GPU_ARGS(&in, &out));
    assert_numbers(out, 40, want_input);
    gpu_free(in);
    gpu_free(out);
}

static void test_twins_of_blocks(void **state)
{
    (void)state;
    uint64_t old = gpu_zeros(256), values = gpu_zeros(256), out = gpu_alloc(256), address;
    launch("exchange_right", 2, 32, 0, GPU_ARGS(&old, &values));
    assert_numbers(values, 64, want_one);
    launch("mirror_global_right", 1, 64, 0, GPU_ARGS(&values, &out));
    assert_numbers(out, 64, want_mirror);
    gpu_free(old);
    gpu_free(values);
    gpu_free(out);
    unsigned counted[8] = {0};
    int at = 3;
    uint64_t words = gpu_zeros(sizeof counted);
    launch("swapped_right", 4, 32, 0, GPU_ARGS(&words, &at));
    gpu_download(counted, words, sizeof counted);
    assert_int_equal(counted[at], 4 * 32);
    gpu_free(words);
    int want = 0;
    for (size_t i = 0; i < 256; i++) {
        want += want_input(i);
    }
    assert_int_equal(run_last_block("last_block_right", &address), want);
    uint64_t shared[4];
    run_streams(true, shared);
    run_release("release_right", shared);
}

/* ---- right, without locks ---- */

static int want_prefix(size_t i)
{
    int sum = 0;
    for (size_t k = 0; k < (i + 1) * 32; k++) {
        sum += want_input(k);
    }
    return sum;
}

static void test_look_back(void **state)
{
    (void)state;
    uint64_t in = upload_numbers(32 * 24), own = gpu_alloc(96), all = gpu_alloc(96), flag = gpu_zeros(96);
    uint64_t ticket = gpu_zeros(4), out = gpu_alloc(96);
    launch("look_back", 24, 32, 0, GPU_ARGS(&in, &own, &all, &flag, &ticket, &out));
    assert_numbers(out, 24, want_prefix);
    const uint64_t memory[] = {in, own, all, flag, ticket, out};
    for (int i = 0; i < 6; i++) {
        gpu_free(memory[i]);
    }
}

static void test_spin_lock(void **state)
{
    (void)state;
    int got = 0;
    uint64_t lock = gpu_zeros(4), sum = gpu_zeros(4);
    launch("spin_lock", 6, 64, 0, GPU_ARGS(&lock, &sum));
    gpu_download(&got, sum, 4);
    assert_int_equal(got, 6 * 64);
    gpu_free(lock);
    gpu_free(sum);
}

static int want_specialised(size_t i)
{
    return want_input(i / 64 * 64 + 63 - i % 64) + 1;
}

static void test_specialised(void **state)
{
    (void)state;
    int rounds = 7;
    uint64_t in = upload_numbers(64 * 7), out = gpu_alloc(4 * 64 * 7);
    launch("specialised", 1, 128, 0, GPU_ARGS(&in, &out, &rounds));
    assert_numbers(out, 64 * 7, want_specialised);
    gpu_free(in);
    gpu_free(out);
}

static int want_padded(size_t i)
{
    return i < 301 ? want_input(i) : 0;
}

static void test_zero_fill(void **state)
{
    (void)state;
    int n = 301;
    uint64_t in = upload_numbers(301), out = gpu_alloc(4 * 128 * 4);
    launch("zero_fill", 4, 32, 0, GPU_ARGS(&in, &out, &n));
    assert_numbers(out, 512, want_padded);
    gpu_free(in);
    gpu_free(out);
}

static int want_flagged(size_t i)
{
    return 100 * (int)(i / 32) + 31 - (int)(i % 32);
}

static void test_flags(void **state)
{
    (void)state;
    for (int by_atomics = 0; by_atomics < 2; by_atomics++) {
        uint64_t ticket = gpu_zeros(4), room = gpu_alloc(4 * 128), flag = gpu_zeros(16),
                 out = gpu_alloc(4 * 128);
        launch("flags", 8, 32, 0, GPU_ARGS(&ticket, &room, &flag, &out, &by_atomics));
        assert_numbers(out, 128, want_flagged);
        gpu_free(ticket);
        gpu_free(room);
        gpu_free(flag);
        gpu_free(out);
    }
}

static int want_reversed(size_t i)
{
    return want_input(i / 128 * 128 + (31 - i % 128 / 4) * 4 + i % 4);
}

static void test_triple_buffer(void **state)
{
    (void)state;
    int tiles = 7;
    uint64_t in = upload_numbers(128 * 7), out = gpu_alloc(4 * 128 * 7);
    launch("triple_buffer", 1, 32, 0, GPU_ARGS(&in, &out, &tiles));
    assert_numbers(out, 128 * 7, want_reversed);
    gpu_free(in);
    gpu_free(out);
}

static void test_same_value(void **state)
{
    (void)state;
    int value = want_input(100), found = 0;
    uint64_t in = upload_numbers(1024), flag = gpu_zeros(4);
    launch("find_value", 16, 64, 0, GPU_ARGS(&in, &value, &flag));
    gpu_download(&found, flag, 4);
    assert_int_equal(found, 1);
    gpu_free(in);
    gpu_free(flag);
}

static int want_left(size_t i)
{
    int sum = 0;
    for (size_t k = 0; k < 16; k++) {
        sum += want_input(k);
    }
    return i < 16 ? sum : 0;
}

static void test_leave_early(void **state)
{
    (void)state;
    int n = 16;
    uint64_t in = upload_numbers(32), out = gpu_zeros(128);
    launch("leave_early", 1, 32, 0, GPU_ARGS(&in, &out, &n));
    assert_numbers(out, 32, want_left);
    gpu_free(in);
    gpu_free(out);
}

static int want_handed_over(size_t i)
{
    return want_input(i / 32 * 32 + 31 - i % 32);
}

static void test_mbarriers(void **state)
{
    (void)state;
    int rounds = 9;
    uint64_t in = upload_numbers(32 * 9), out = gpu_alloc(4 * 32 * 9);
    launch("mbarriers", 1, 64, 0, GPU_ARGS(&in, &out, &rounds));
    assert_numbers(out, 32 * 9, want_handed_over);
    gpu_free(in);
    gpu_free(out);
}

static int run_right(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_twins_of_one),    cmocka_unit_test(test_twins_of_bounds),
        cmocka_unit_test(test_twins_of_copies), cmocka_unit_test(test_twins_of_blocks),
        cmocka_unit_test(test_look_back),       cmocka_unit_test(test_spin_lock),
        cmocka_unit_test(test_specialised),     cmocka_unit_test(test_zero_fill),
        cmocka_unit_test(test_same_value),      cmocka_unit_test(test_leave_early),
        cmocka_unit_test(test_mbarriers),       cmocka_unit_test(test_flags),
        cmocka_unit_test(test_triple_buffer),
    };
    gpu_open("planted");
    int failed = cmocka_run_group_tests_name("right code", list, NULL, NULL);
    gpu_close();
    return failed;
}

int main(void)
{
    int failed = gpu_is_simulated() ? run_planted() : 0;
    return gpu_run_seeds(6, run_right) + failed != 0;
}
