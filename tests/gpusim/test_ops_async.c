/*
 * What goes between shared memory and elsewhere against plain C: cp.async of every size with its groups and
 * zero fill, mbarrier, ldmatrix, stmatrix and movmatrix.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gpusim/harness.h"
#include "tests/gpusim/probe.h"

enum { LANES = 32, WARP = 32 };
#define HEAD ".version 8.0\n.target sm_90\n.address_size 64\n"

/* ---- cp.async ---- */

enum { SLOTS = 3, SLOT = 16 * LANES };

/* How much of its source a lane copies. */
typedef enum { WHOLE, PART, IGNORED, COPIES } part;
static const struct {
    const char *name;
    uint32_t bytes;
} copies[] = {{"ca", 4}, {"ca", 8}, {"ca", 16}, {"cg", 16}};
enum { KINDS = sizeof copies / sizeof copies[0] };

/*
 * Each lane copies into three slots, a group each, over a background of 0xff; each slot is read as soon as
 * its group has been waited for, the last one by the lane's neighbour.
 */
static void say_copy_kernel(int kind, part how, char *text, size_t room)
{
    static const char *const rest[] = {"", ", %size", ", %ignored"};
    const uint32_t bytes = copies[kind].bytes;
    char copy[SLOTS][128];
    for (int n = 0; n < SLOTS; n++) {
        snprintf(copy[n], sizeof copy[n], "cp.async.%s.shared.global [%%at+%d], [%%from+%d], %u%s;",
                 copies[kind].name, n * SLOT, n * SLOT, bytes, rest[how]);
    }
    snprintf(
        text, room,
        ".visible .entry copy%d_%d(.param .u64 in, .param .u64 out)\n{\n.reg .b32 %%t, %%at, %%size, %%w<4>, "
        "%%other;\n.reg .b64 %%from, %%to, %%x; .reg .pred %%ignored; .shared .align 16 .b8 slots[%d];\n"
        "mov.u32 %%t, %%tid.x; rem.u32 %%size, %%t, %u; setp.eq.u32 %%ignored, %%size, 1;\n"
        "ld.param.u64 %%from, [in]; ld.param.u64 %%to, [out]; mul.wide.u32 %%x, %%t, 16;\n"
        "add.s64 %%from, %%from, %%x; add.s64 %%to, %%to, %%x; shl.b32 %%t, %%t, 4; mov.u32 %%at, slots;\n"
        "xor.b32 %%other, %%t, 16; add.u32 %%other, %%other, %%at; add.u32 %%at, %%at, %%t;\n"
        "mov.b32 %%w0, -1; st.shared.v4.b32 [%%at], {%%w0, %%w0, %%w0, %%w0};\n"
        "st.shared.v4.b32 [%%at+%d], {%%w0, %%w0, %%w0, %%w0}; st.shared.v4.b32 [%%at+%d], {%%w0, %%w0, "
        "%%w0, "
        "%%w0};\n%s\ncp.async.commit_group;\n%s\ncp.async.commit_group;\n%s\n%s\n"
        "ld.shared.v4.b32 {%%w0, %%w1, %%w2, %%w3}, [%%at]; st.global.v4.b32 [%%to], {%%w0, %%w1, %%w2, "
        "%%w3};\n%s\n"
        "ld.shared.v4.b32 {%%w0, %%w1, %%w2, %%w3}, [%%at+%d]; st.global.v4.b32 [%%to+%d], {%%w0, %%w1, "
        "%%w2, "
        "%%w3};\n%s bar.sync 0;\n"
        "ld.shared.v4.b32 {%%w0, %%w1, %%w2, %%w3}, [%%other+%d]; st.global.v4.b32 [%%to+%d], {%%w0, %%w1, "
        "%%w2, %%w3};\nret;\n}\n",
        kind, (int)how, SLOTS * SLOT, bytes + 1, SLOT, 2 * SLOT, copy[0], copy[1], copy[2],
        kind % 2 ? "cp.async.commit_group; cp.async.wait_group 2;" : "cp.async.wait_group 1;",
        kind % 2 ? "cp.async.wait_group 1;" : "cp.async.wait_group 0;", SLOT, SLOT,
        kind % 2 ? "cp.async.wait_group 0;" : "cp.async.wait_all;", 2 * SLOT, 2 * SLOT);
}

static bool is_copy_wrong(int kind, part how)
{
    static uint8_t in[SLOTS * SLOT], out[SLOTS * SLOT], want[SLOTS * SLOT];
    const uint32_t bytes = copies[kind].bytes;
    char name[32];
    for (uint32_t n = 0; n < sizeof in; n++) {
        in[n] = (uint8_t)(probe_hash(n) >> 7);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        for (uint32_t lane = 0; lane < LANES; lane++) {
            const uint32_t whose = slot == 2 ? lane ^ 1 : lane, size = whose % (bytes + 1);
            const uint32_t read = how == PART ? size : how == IGNORED && size == 1 ? 0 : bytes;
            uint8_t *to = want + slot * SLOT + lane * 16;
            memset(to, 0xff, 16);
            memset(to, 0, bytes);
            memcpy(to, in + slot * SLOT + whose * 16, read);
        }
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_zeros(sizeof out);
    snprintf(name, sizeof name, "copy%d_%d", kind, (int)how);
    gpu_launch(name, (gpu_dim){1, 1, 1}, (gpu_dim){LANES, 1, 1}, 0, GPU_ARGS(&from, &to));
    gpu_download(out, to, sizeof out);
    gpu_free(from), gpu_free(to);
    return memcmp(out, want, sizeof out) != 0;
}

static void test_cp_async(void **state)
{
    (void)state;
    static char text[KINDS * COPIES * 4096] = HEAD;
    int wrong = 0;
    for (int n = 0; n < KINDS * COPIES; n++) {
        say_copy_kernel(n % KINDS, n / KINDS, text + strlen(text), 4096);
    }
    gpu_open_text(text);
    for (int n = 0; n < KINDS * COPIES; n++) {
        if (is_copy_wrong(n % KINDS, n / KINDS)) {
            print_error("cp.async.%s of %u bytes: wrong (%d)\n", copies[n % KINDS].name,
                        copies[n % KINDS].bytes, n / KINDS);
            wrong++;
        }
    }
    gpu_close();
    assert_int_equal(wrong, 0);
}

/* ---- ldmatrix and stmatrix ---- */

static const struct {
    const char *name;
    uint32_t count;
    bool transposed;
} tiles[] = {{"x1", 1, false},      {"x2", 2, false},      {"x4", 4, false},
             {"x1.trans", 1, true}, {"x2.trans", 2, true}, {"x4.trans", 4, true}};
enum { TILES = sizeof tiles / sizeof tiles[0], ROW = 8 /* elements */ };

/* The row that lane n gives the address of. */
static uint32_t row_of(uint32_t n)
{
    return (5 * n + 3) % LANES;
}

/*
 * load: memory -> shared -> registers -> out. store: values -> registers -> shared -> out. Through a generic
 * address too.
 */
static void say_tile_kernel(int tile, bool store, bool generic, char *text, size_t room)
{
    static const char *const lists[] = {[1] = "{%w0}", [2] = "{%w0, %w1}", [4] = "{%w0, %w1, %w2, %w3}"};
    const char *list = lists[tiles[tile].count], *space = generic ? "" : ".shared";
    char instruction[128];
    if (store) {
        snprintf(instruction, sizeof instruction, "stmatrix.sync.aligned.m8n8.%s%s.b16 [%%row], %s;",
                 tiles[tile].name, space, list);
    } else {
        snprintf(instruction, sizeof instruction, "ldmatrix.sync.aligned.m8n8.%s%s.b16 %s, [%%row];",
                 tiles[tile].name, space, list);
    }
    snprintf(
        text, room,
        ".visible .entry tile%d_%d_%d(.param .u64 memory, .param .u64 registers)\n{\n"
        ".reg .b32 %%t, %%w<4>, %%s<4>; .reg .b64 %%m, %%r, %%x, %%row, %%at; .shared .align 16 .b8 "
        "rows[512];\n"
        "mov.u32 %%t, %%tid.x; ld.param.u64 %%m, [memory]; ld.param.u64 %%r, [registers];\n"
        "mul.wide.u32 %%x, %%t, 16; add.s64 %%m, %%m, %%x; add.s64 %%r, %%r, %%x;\n"
        "mov.u64 %%row, rows; add.s64 %%at, %%row, %%x; ld.global.v4.b32 {%%s0, %%s1, %%s2, %%s3}, [%%m];\n"
        "st.shared.v4.b32 [%%at], {%%s0, %%s1, %%s2, %%s3}; ld.global.v4.b32 {%%w0, %%w1, %%w2, %%w3}, "
        "[%%r];\n"
        "mad.lo.u32 %%t, %%t, 5, 3; and.b32 %%t, %%t, 31; mul.wide.u32 %%x, %%t, 16; bar.sync 0;\n%s\n"
        "add.s64 %%row, %%row, %%x;\n%s\nbar.sync 0;\n"
        "st.global.v4.b32 [%%r], {%%w0, %%w1, %%w2, %%w3}; ld.shared.v4.b32 {%%s0, %%s1, %%s2, %%s3}, "
        "[%%at];\n"
        "st.global.v4.b32 [%%m], {%%s0, %%s1, %%s2, %%s3};\nret;\n}\n",
        tile, store, generic, generic ? "cvta.shared.u64 %row, %row;" : "", instruction);
}

/* Where element k (0, 1) of a lane's register n stands in memory: row t / 4, columns 2 (t % 4) and the next.
 */
static uint16_t *element_at(uint16_t memory[LANES][ROW], uint32_t lane, uint32_t n, uint32_t k,
                            bool transposed)
{
    const uint32_t row = lane / 4, column = 2 * (lane % 4) + k;
    return transposed ? &memory[row_of(8 * n + column)][row] : &memory[row_of(8 * n + row)][column];
}

static bool is_tile_wrong(int tile, bool store, bool generic)
{
    uint16_t memory[LANES][ROW], want[LANES][ROW];
    uint16_t registers[LANES][4][2], wanted[LANES][4][2];
    char name[32];
    for (uint32_t n = 0; n < LANES * ROW; n++) {
        want[n / ROW][n % ROW] = memory[n / ROW][n % ROW] = (uint16_t)(n * 97 + 11);
        wanted[n / 8][n / 2 % 4][n % 2] = registers[n / 8][n / 2 % 4][n % 2] = (uint16_t)(n * 89 + 40000);
    }
    for (uint32_t n = 0; n < LANES * tiles[tile].count * 2; n++) {
        const uint32_t lane = n % LANES, i = n / LANES / 2, k = n / LANES % 2;
        uint16_t *element = element_at(want, lane, i, k, tiles[tile].transposed);
        *(store ? element : &wanted[lane][i][k]) = store ? registers[lane][i][k] : *element;
    }
    uint64_t m = gpu_upload(memory, sizeof memory), r = gpu_upload(registers, sizeof registers);
    snprintf(name, sizeof name, "tile%d_%d_%d", tile, store, generic);
    gpu_launch(name, (gpu_dim){1, 1, 1}, (gpu_dim){LANES, 1, 1}, 0, GPU_ARGS(&m, &r));
    gpu_download(memory, m, sizeof memory);
    gpu_download(registers, r, sizeof registers);
    gpu_free(m), gpu_free(r);
    return memcmp(memory, want, sizeof want) != 0 || memcmp(registers, wanted, sizeof wanted) != 0;
}

static void test_tiles(void **state)
{
    (void)state;
    static char text[4 * TILES * 2048] = HEAD;
    int wrong = 0;
    for (int n = 0; n < 4 * TILES; n++) {
        say_tile_kernel(n % TILES, n / TILES % 2, n / TILES / 2, text + strlen(text), 2048);
    }
    gpu_open_text(text);
    for (int n = 0; n < 4 * TILES; n++) {
        if (is_tile_wrong(n % TILES, n / TILES % 2, n / TILES / 2)) {
            print_error("%s.m8n8.%s: wrong\n", n / TILES % 2 ? "stmatrix" : "ldmatrix",
                        tiles[n % TILES].name);
            wrong++;
        }
    }
    gpu_close();
    assert_int_equal(wrong, 0);
}

static void test_movmatrix(void **state)
{
    (void)state;
    uint16_t in[LANES][2], out[LANES][2];
    for (uint32_t n = 0; n < LANES * 2; n++) {
        in[n / 2][n % 2] = (uint16_t)(n * 997 + 5);
    }
    gpu_open_text(
        HEAD ".visible .entry move(.param .u64 in, .param .u64 out)\n{\n.reg .b32 %t, %w; .reg .b64 %i, %o, "
             "%x;\n"
             "mov.u32 %t, %tid.x; mul.wide.u32 %x, %t, 4; ld.param.u64 %i, [in]; ld.param.u64 %o, [out];\n"
             "add.s64 %i, %i, %x; add.s64 %o, %o, %x; ld.global.b32 %w, [%i];\n"
             "movmatrix.sync.aligned.m8n8.trans.b16 %w, %w; st.global.b32 [%o], %w; ret;\n}\n");
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_zeros(sizeof out);
    gpu_launch("move", (gpu_dim){1, 1, 1}, (gpu_dim){LANES, 1, 1}, 0, GPU_ARGS(&from, &to));
    gpu_download(out, to, sizeof out);
    for (uint32_t row = 0; row < 8; row++) {
        for (uint32_t column = 0; column < 8; column++) {
            assert_int_equal(out[4 * row + column / 2][column % 2], in[4 * column + row / 2][row % 2]);
        }
    }
    gpu_free(from), gpu_free(to);
    gpu_close();
}

/* ---- mbarrier ---- */

/* One thread: the arrivals still pending as each instruction finds them, and what the tests say. */
static void test_mbarrier_counts(void **state)
{
    (void)state;
    enum { RESULTS = 14 };
    static const char *const steps[RESULTS] = {
        "mbarrier.arrive.shared.b64 %s, [bar]; mbarrier.pending_count.b64 %r, %s;",
        "mbarrier.arrive.noComplete.shared.b64 %s, [bar], 2; mbarrier.pending_count.b64 %r, %s;",
        "mbarrier.test_wait.shared.b64 %p, [bar], %s; selp.u32 %r, 1, 0, %p;",
        "mbarrier.test_wait.parity.shared.b64 %p, [bar], 0; selp.u32 %r, 1, 0, %p;",
        "mbarrier.test_wait.parity.shared.b64 %p, [bar], 1; selp.u32 %r, 1, 0, %p;",
        "mbarrier.arrive.shared.b64 %s, [bar]; mbarrier.pending_count.b64 %r, %s;",
        "mbarrier.arrive.release.cta.shared::cta.b64 %s, [bar]; mbarrier.pending_count.b64 %r, %s;",
        "mbarrier.test_wait.shared.b64 %p, [bar], %s; selp.u32 %r, 1, 0, %p;",
        "mbarrier.test_wait.parity.shared.b64 %p, [bar], 0; selp.u32 %r, 1, 0, %p;",
        "mbarrier.arrive_drop.shared.b64 %s, [bar]; mbarrier.pending_count.b64 %r, %s;",
        "mbarrier.arrive.shared.b64 %s, [bar], 4; mbarrier.pending_count.b64 %r, %s;",
        "mbarrier.try_wait.shared.b64 %p, [bar], %s; selp.u32 %r, 1, 0, %p;",
        "mbarrier.arrive.noComplete.shared.b64 %s, [bar], 1; mbarrier.pending_count.b64 %r, %s;",
        "mbarrier.test_wait.parity.shared.b64 %p, [bar], 1; selp.u32 %r, 1, 0, %p;",
    };
    /* 5 arrivals a phase; the drop makes it 4 from the third phase on */
    static const uint32_t want[RESULTS] = {5, 4, 0, 0, 1, 2, 1, 1, 1, 5, 4, 1, 4, 1};
    char text[4096] =
        HEAD ".visible .entry counts(.param .u64 out)\n{\n.reg .b64 %s, %out; .reg .b32 %r; .reg .pred %p;\n"
             ".shared .align 8 .b64 bar; ld.param.u64 %out, [out]; mbarrier.init.shared.b64 [bar], 5;\n";
    uint32_t got[RESULTS];
    for (int n = 0; n < RESULTS; n++) {
        const size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s st.global.u32 [%%out+%d], %%r;\n", steps[n], 4 * n);
    }
    strcat(text, "mbarrier.inval.shared.b64 [bar];\nret;\n}\n");
    gpu_open_text(text);
    uint64_t out = gpu_zeros(sizeof got);
    gpu_launch("counts", (gpu_dim){1, 1, 1}, (gpu_dim){1, 1, 1}, 0, GPU_ARGS(&out));
    gpu_download(got, out, sizeof got);
    gpu_free(out);
    gpu_close();
    for (int n = 0; n < RESULTS; n++) {
        if (got[n] != want[n]) {
            print_error("step %d: %s gives %u, not %u\n", n, steps[n], got[n], want[n]);
        }
    }
    assert_memory_equal(got, want, sizeof want);
}

/*
 * Four warps hand a value round: in each phase a thread writes a word, arrives, waits and reads the word of
 * the thread 33 further on; by the state that arriving gives, then by parity.
 */
static void test_mbarrier_phases(void **state)
{
    (void)state;
    enum { THREADS = 4 * WARP, PHASES = 6 };
    uint32_t got[THREADS];
    gpu_open_text(
        HEAD ".visible .entry phases(.param .u64 out)\n{\n.reg .b64 %s, %out, %x; .reg .b32 %t, %v, %n, %at, "
             "%other, "
             "%par; .reg .pred %p, %q; .shared .align 8 .b64 bars[2]; .shared .b32 words[128];\n"
             "mov.u32 %t, %tid.x; ld.param.u64 %out, [out]; mul.wide.u32 %x, %t, 4; add.s64 %out, %out, %x;\n"
             "setp.ne.u32 %p, %t, 0; @%p bra ready; mbarrier.init.shared.b64 [bars], 128;\n"
             "mbarrier.init.shared.b64 [bars+8], 128;\nready: bar.sync 0;\n"
             "mov.u32 %at, words; mad.lo.u32 %at, %t, 4, %at; add.u32 %other, %t, 33; and.b32 %other, "
             "%other, 127;\n"
             "mov.u32 %v, words; mad.lo.u32 %other, %other, 4, %v; mov.u32 %v, %t; mov.u32 %n, 0;\n"
             "loop: st.shared.u32 [%at], %v; mbarrier.arrive.shared.b64 %s, [bars];\n"
             "wait: mbarrier.test_wait.shared.b64 %p, [bars], %s; @!%p bra wait;\n"
             "ld.shared.u32 %v, [%other]; add.u32 %v, %v, %n; and.b32 %par, %n, 1;\n"
             "mbarrier.arrive.shared.b64 %s, [bars+8];\n"
             "again: mbarrier.try_wait.parity.shared.b64 %p, [bars+8], %par; @!%p bra again;\n"
             "add.u32 %n, %n, 1; setp.lt.u32 %q, %n, 6; @%q bra loop; st.global.u32 [%out], %v; ret;\n}\n");
    uint64_t out = gpu_zeros(sizeof got);
    gpu_launch("phases", (gpu_dim){1, 1, 1}, (gpu_dim){THREADS, 1, 1}, 0, GPU_ARGS(&out));
    gpu_download(got, out, sizeof got);
    gpu_free(out);
    gpu_close();
    for (uint32_t n = 0; n < THREADS; n++) {
        assert_int_equal(got[n], (n + 33 * PHASES) % THREADS + PHASES * (PHASES - 1) / 2);
    }
}

/* Copies whose landing is an arrival: .noinc is one of those counted at the start, without it the count
 * grows. */
static void test_mbarrier_copies(void **state)
{
    (void)state;
    uint32_t in[LANES], got[2][LANES];
    for (uint32_t n = 0; n < LANES; n++) {
        in[n] = n * n + 7;
    }
    gpu_open_text(
        HEAD
        ".visible .entry land(.param .u64 in, .param .u64 out)\n{\n.reg .b64 %s, %in, %out, %x; .reg .b32 "
        "%t, "
        "%v, %at, %other; .reg .pred %p; .shared .align 8 .b64 bars[2]; .shared .align 16 .b32 words[32];\n"
        "mov.u32 %t, %tid.x; ld.param.u64 %in, [in]; ld.param.u64 %out, [out]; mul.wide.u32 %x, %t, 4;\n"
        "add.s64 %in, %in, %x; add.s64 %out, %out, %x; setp.ne.u32 %p, %t, 0; @%p bra ready;\n"
        "mbarrier.init.shared.b64 [bars], 32; mbarrier.init.shared.b64 [bars+8], 32;\nready: bar.sync 0;\n"
        "mov.u32 %v, words; mad.lo.u32 %at, %t, 4, %v; xor.b32 %other, %t, 5; mad.lo.u32 %other, %other, 4, "
        "%v;\n"
        "cp.async.ca.shared.global [%at], [%in], 4; cp.async.mbarrier.arrive.noinc.shared.b64 [bars];\n"
        "one: mbarrier.test_wait.parity.shared.b64 %p, [bars], 0; @!%p bra one;\n"
        "ld.shared.u32 %v, [%other]; st.global.u32 [%out], %v; add.s64 %in, %in, 0; bar.sync 0;\n"
        "xor.b32 %t, %t, 1; ld.param.u64 %in, [in]; mul.wide.u32 %x, %t, 4; add.s64 %in, %in, %x;\n"
        "cp.async.ca.shared.global [%at], [%in], 4; cp.async.mbarrier.arrive.shared.b64 [bars+8];\n"
        "mbarrier.arrive.shared.b64 %s, [bars+8];\n"
        "two: mbarrier.test_wait.shared.b64 %p, [bars+8], %s; @!%p bra two;\n"
        "ld.shared.u32 %v, [%other]; st.global.u32 [%out+128], %v; ret;\n}\n");
    uint64_t from = gpu_upload(in, sizeof in), out = gpu_zeros(sizeof got);
    gpu_launch("land", (gpu_dim){1, 1, 1}, (gpu_dim){LANES, 1, 1}, 0, GPU_ARGS(&from, &out));
    gpu_download(got, out, sizeof got);
    gpu_free(from), gpu_free(out);
    gpu_close();
    for (uint32_t n = 0; n < LANES; n++) {
        assert_int_equal(got[0][n], in[n ^ 5]);
        assert_int_equal(got[1][n], in[n ^ 5 ^ 1]);
    }
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cp_async),        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_movmatrix),       cmocka_unit_test(test_mbarrier_counts),
        cmocka_unit_test(test_mbarrier_phases), cmocka_unit_test(test_mbarrier_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return probe_run_levels(run);
}
