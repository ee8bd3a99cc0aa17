/*
 * Where lanes are and where they go: special registers, brx.idx, calls by address, exit, nanosleep and
 * bar.red against plain C. Blocks are of three dimensions, with a last warp that is not full.
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
#include "tests/gpusim/probe.h"

#define HEAD ".version 8.0\n.target sm_80\n.address_size 64\n"
/* %i: the thread's number in the grid, of blocks of %ntid.x threads; %o: its 4 bytes of out. */
#define INDEX                                                                                                \
    "mov.u32 %t, %tid.x; mov.u32 %i, %ctaid.x; mov.u32 %n, %ntid.x; mad.lo.u32 %i, %i, %n, %t;\n"            \
    "ld.param.u64 %o, [out]; mul.wide.u32 %x, %i, 4; add.s64 %o, %o, %x;\n"
#define REGISTERS ".reg .b32 %t, %i, %n, %r, %s, %u; .reg .b64 %o, %x, %f; .reg .pred %p, %q;\n"

/* Runs kernel k(out) and fetches `count` words. */
static void run_kernel(const char *text, gpu_dim grid, gpu_dim block, unsigned shared, uint32_t *words,
                       size_t count)
{
    gpu_open_text(text);
    uint64_t out = gpu_zeros(count * 4);
    gpu_launch("k", grid, block, shared, GPU_ARGS(&out));
    gpu_download(words, out, count * 4);
    gpu_free(out);
    gpu_close();
}

/* ---- special registers ---- */

static const gpu_dim grid = {3, 2, 2}, block = {5, 3, 4};
enum { THREADS = 5 * 3 * 4, BLOCKS = 3 * 2 * 2, STATIC = 256, DYNAMIC = 1040 };

/* What a register holds for thread t of a block at x, y, z of the grid. */
typedef uint32_t rule(uint32_t t, gpu_dim at);
#define RULE(NAME, EXPR)                                                                                     \
    static uint32_t NAME(uint32_t t, gpu_dim at)                                                             \
    {                                                                                                        \
        (void)t, (void)at;                                                                                   \
        return (uint32_t)(EXPR);                                                                             \
    }
RULE(tid_x, t % block.x)
RULE(tid_y, t / block.x % block.y)
RULE(tid_z, t / block.x / block.y)
RULE(ntid_x, block.x)
RULE(ntid_y, block.y)
RULE(ntid_z, block.z)
RULE(ctaid_x, at.x)
RULE(ctaid_y, at.y)
RULE(ctaid_z, at.z)
RULE(nctaid_x, grid.x)
RULE(nctaid_y, grid.y)
RULE(nctaid_z, grid.z)
RULE(laneid, t % 32)
RULE(warpid, t / 32)
RULE(mask_eq, 1u << t % 32)
RULE(mask_lt, (1u << t % 32) - 1)
RULE(mask_le, 2 * (1ull << t % 32) - 1)
RULE(mask_gt, ~(2 * (1ull << t % 32) - 1))
RULE(mask_ge, ~((1u << t % 32) - 1))
RULE(dynamic_bytes, DYNAMIC)
RULE(all_bytes, STATIC + DYNAMIC)
RULE(warp_size, 32)
RULE(kept_first, (STATIC + DYNAMIC + 15) / 16 * 16)
RULE(kept_second, kept_first(t, at) + 512)
RULE(kept_end, kept_first(t, at) + 1024)
RULE(kept_bytes, 1024)

static const struct {
    const char *name;
    rule *rule;
} specials[] = {
    {"%tid.x", tid_x},
    {"%tid.y", tid_y},
    {"%tid.z", tid_z},
    {"%ntid.x", ntid_x},
    {"%ntid.y", ntid_y},
    {"%ntid.z", ntid_z},
    {"%ctaid.x", ctaid_x},
    {"%ctaid.y", ctaid_y},
    {"%ctaid.z", ctaid_z},
    {"%nctaid.x", nctaid_x},
    {"%nctaid.y", nctaid_y},
    {"%nctaid.z", nctaid_z},
    {"%laneid", laneid},
    {"%warpid", warpid},
    {"%lanemask_eq", mask_eq},
    {"%lanemask_lt", mask_lt},
    {"%lanemask_le", mask_le},
    {"%lanemask_gt", mask_gt},
    {"%lanemask_ge", mask_ge},
    {"%dynamic_smem_size", dynamic_bytes},
    {"%total_smem_size", all_bytes},
    {"WARP_SZ", warp_size},
    {"%reserved_smem_offset_begin", kept_first},
    {"%reserved_smem_offset_0", kept_first},
    {"%reserved_smem_offset_1", kept_second},
    {"%reserved_smem_offset_end", kept_end},
    {"%reserved_smem_offset_cap", kept_bytes},
};
enum { SPECIALS = sizeof specials / sizeof specials[0] };

static void test_special_registers(void **state)
{
    (void)state;
    static uint32_t got[BLOCKS][THREADS][SPECIALS];
    static char text[8192] =
        HEAD ".visible .entry k(.param .u64 out)\n{\n.reg .b32 %t, %b, %v, %w; .reg .b64 %o, %x;\n"
             ".shared .align 4 .b8 fixed[256];\n"
             "mov.u32 %v, %tid.z; mad.lo.u32 %t, %v, 3, 0; mov.u32 %v, %tid.y; add.u32 %t, %t, %v;\n"
             "mov.u32 %v, %tid.x; mad.lo.u32 %t, %t, 5, %v; mov.u32 %v, %ctaid.z; mov.u32 %w, %ctaid.y;\n"
             "mad.lo.u32 %b, %v, 2, %w; mov.u32 %v, %ctaid.x; mad.lo.u32 %b, %b, 3, %v;\n"
             "mad.lo.u32 %b, %b, 60, %t; mov.u32 %v, fixed; st.shared.u32 [%v], 0;\n";
    int wrong = 0;
    size_t length = strlen(text);
    length += (size_t)sprintf(text + length,
                              "ld.param.u64 %%o, [out]; mul.wide.u32 %%x, %%b, %d; add.s64 %%o, %%o, "
                              "%%x;\n",
                              4 * SPECIALS);
    for (int n = 0; n < SPECIALS; n++) {
        length += (size_t)sprintf(text + length, "mov.u32 %%v, %s; st.global.u32 [%%o+%d], %%v;\n",
                                  specials[n].name, 4 * n);
    }
    strcpy(text + length, "ret;\n}\n");
    run_kernel(text, grid, block, DYNAMIC, &got[0][0][0], BLOCKS * THREADS * SPECIALS);
    for (uint32_t n = 0; n < BLOCKS * THREADS * SPECIALS; n++) {
        const uint32_t b = n / SPECIALS / THREADS, t = n / SPECIALS % THREADS, s = n % SPECIALS;
        const gpu_dim at = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
        const uint32_t want = specials[s].rule(t, at);
        if (got[b][t][s] != want && wrong++ < 8) {
            print_error("%s of thread %u in block %u: %u, not %u\n", specials[s].name, t, b, got[b][t][s],
                        want);
        }
    }
    assert_int_equal(wrong, 0);
}

/* Clocks never go back and do move; the multiprocessor is one of those that there are; both halves fit the
 * whole. */
static void test_clocks(void **state)
{
    (void)state;
    enum { WORDS = 12, ALL = 96 };
    static struct {
        uint64_t clock[2], timer[2];
        uint32_t low[2], smid, nsmid;
    } got[ALL];
    assert_int_equal(sizeof got[0], 4 * WORDS);
    run_kernel(
        HEAD ".visible .entry k(.param .u64 out)\n{\n" REGISTERS INDEX
             "ld.param.u64 %o, [out]; mul.wide.u32 %x, %i, 48; add.s64 %o, %o, %x;\n"
             "mov.u64 %x, %clock64; mov.u32 %r, %clock; mov.u64 %f, %globaltimer;\n"
             "st.global.u64 [%o], %x; st.global.u64 [%o+16], %f; st.global.u32 [%o+32], %r;\n"
             "mov.u32 %n, 0;\nloop: add.u32 %n, %n, 1; setp.lt.u32 %p, %n, 100; @%p bra loop;\n"
             "nanosleep.u32 2000; nanosleep.u32 %n;\n"
             "mov.u64 %x, %clock64; mov.u32 %r, %clock; mov.u64 %f, %globaltimer;\n"
             "st.global.u64 [%o+8], %x; st.global.u64 [%o+24], %f; st.global.u32 [%o+36], %r;\n"
             "mov.u32 %r, %smid; mov.u32 %s, %nsmid; st.global.u32 [%o+40], %r; st.global.u32 [%o+44], %s;\n"
             "ret;\n}\n",
        (gpu_dim){ALL / 32, 1, 1}, (gpu_dim){32, 1, 1}, 0, (uint32_t *)(void *)got, ALL * WORDS);
    for (int n = 0; n < ALL; n++) {
        assert_true(got[n].clock[1] >= got[n].clock[0] + 100);
        assert_true((uint32_t)(got[n].low[1] - got[n].low[0]) >= 100);
        assert_true(got[n].low[0] - (uint32_t)got[n].clock[0] < 1000);
        assert_true(got[n].timer[1] >= got[n].timer[0] && got[n].timer[0] > 0);
        assert_true(got[n].smid < got[n].nsmid);
    }
}

/* ---- ways through a kernel ---- */

/* brx.idx: the lanes of a warp go four ways and meet again; one of the ways is an exit, the last two are one.
 */
static void test_brx(void **state)
{
    (void)state;
    uint32_t got[128];
    run_kernel(HEAD ".visible .entry k(.param .u64 out)\n{\n" REGISTERS INDEX
                    "mul.lo.u32 %r, %i, 7; shr.u32 %r, %r, 1; and.b32 %r, %r, 3; mov.u32 %s, 1000;\n"
                    "ways: .branchtargets one, two, three, two;\nbrx.idx %r, ways;\n"
                    "one: add.u32 %s, %i, 1; bra end;\n"
                    "three: st.global.u32 [%o], 77; exit;\n"
                    "two: mad.lo.u32 %s, %i, 2, %r;\n"
                    "end: st.global.u32 [%o], %s; ret;\n}\n",
               (gpu_dim){2, 1, 1}, (gpu_dim){64, 1, 1}, 0, got, 128);
    for (uint32_t n = 0; n < 128; n++) {
        const uint32_t way = n * 7 / 2 % 4;
        assert_int_equal(got[n], way == 0 ? n + 1 : way == 2 ? 77 : 2 * n + way);
    }
}

/* Functions by their address, from a register and from a table; lanes of a warp call different ones, one
 * recurses. */
static void test_indirect_calls(void **state)
{
    (void)state;
    uint32_t got[128];
    run_kernel(HEAD
               ".func (.param .b32 r) triple(.param .b32 a)\n{\n.reg .b32 %v; ld.param.u32 %v, [a]; "
               "mul.lo.u32 %v, %v, "
               "3; st.param.b32 [r], %v; ret;\n}\n"
               ".func (.param .b32 r) sum(.param .b32 a)\n{\n.reg .b32 %v, %w; .reg .pred %p; ld.param.u32 "
               "%v, [a];\n"
               "setp.eq.u32 %p, %v, 0; mov.u32 %w, 0; @%p bra done; sub.u32 %w, %v, 1;\n{\n.param .b32 x; "
               ".param .b32 "
               "y;\n"
               "st.param.b32 [x], %w; call.uni (y), sum, (x); ld.param.b32 %w, [y];\n}\nadd.u32 %w, %w, %v;\n"
               "done: st.param.b32 [r], %w; ret;\n}\n"
               ".global .align 8 .u64 table[2] = {triple, sum};\n"
               ".visible .entry k(.param .u64 out)\n{\n" REGISTERS ".param .b32 x; .param .b32 y;\n" INDEX
               "shape: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
               "and.b32 %r, %i, 1; mov.u64 %x, table; mul.wide.u32 %f, %r, 8; add.s64 %x, %x, %f;\n"
               "ld.global.u64 %f, [%x]; rem.u32 %s, %i, 9; st.param.b32 [x], %s;\n"
               "call (y), %f, (x), shape; ld.param.b32 %r, [y]; mov.u64 %f, triple; st.param.b32 [x], %r;\n"
               "setp.lt.u32 %p, %s, 4;\n"
               "@!%p bra once; call (y), %f, (x), shape; ld.param.b32 %r, [y];\n"
               "once: st.global.u32 [%o], %r; ret;\n}\n",
               (gpu_dim){2, 1, 1}, (gpu_dim){64, 1, 1}, 0, got, 128);
    for (uint32_t n = 0; n < 128; n++) {
        const uint32_t v = n % 9, first = n % 2 ? v * (v + 1) / 2 : 3 * v;
        assert_int_equal(got[n], v < 4 ? 3 * first : first);
    }
}

/* bar.red over all threads, of which some say yes; bar.sync of some warps alone; barrier.sync of lanes apart.
 */
static void test_barriers(void **state)
{
    (void)state;
    enum { ALL = 96 };
    uint32_t got[4 * ALL];
    run_kernel(
        HEAD
        ".visible .entry k(.param .u64 out)\n{\n" REGISTERS ".reg .b32 %c; .shared .b32 words[96];\n" INDEX
        "add.s64 %o, %o, %x; add.s64 %o, %o, %x; add.s64 %o, %o, %x; rem.u32 %r, %t, 5;\n"
        "setp.eq.u32 %p, %r, 2; bar.red.popc.u32 %c, 1, %p; st.global.u32 [%o], %c;\n"
        "bar.red.and.pred %q, 1, !%p; selp.u32 %r, 1, 0, %q; bar.red.or.pred %q, 2, %n, %p;\n"
        "selp.u32 %s, 2, 0, %q; setp.ge.u32 %p, %t, 0; bar.red.and.pred %q, 0, %p; selp.u32 %u, 4, 0, %q;\n"
        "or.b32 %r, %r, %s; or.b32 %r, %r, %u; st.global.u32 [%o+4], %r;\n"
        "mov.u32 %s, words; mad.lo.u32 %s, %t, 4, %s; st.shared.u32 [%s], %i;\n"
        "setp.ge.u32 %p, %t, 64; @%p bra rest; bar.sync 3, 64; xor.b32 %u, %t, 63;\n"
        "mov.u32 %s, words; mad.lo.u32 %s, %u, 4, %s; ld.shared.u32 %r, [%s]; st.global.u32 [%o+8], %r;\n"
        "rest: and.b32 %u, %t, 1; setp.eq.u32 %p, %u, 0; @%p bra even; barrier.sync 4; bra end;\n"
        "even: barrier.sync 4;\n"
        "end: sub.u32 %u, 95, %t; mov.u32 %s, words; mad.lo.u32 %s, %u, 4, %s; ld.shared.u32 %r, [%s];\n"
        "st.global.u32 [%o+12], %r; ret;\n}\n",
        (gpu_dim){1, 1, 1}, (gpu_dim){ALL, 1, 1}, 0, got, 4 * ALL);
    for (uint32_t n = 0; n < ALL; n++) {
        assert_int_equal(got[4 * n], (ALL + 2) / 5);
        assert_int_equal(got[4 * n + 1], 6);
        assert_int_equal(got[4 * n + 2], n < 64 ? 63 - n : 0);
        assert_int_equal(got[4 * n + 3], 95 - n);
    }
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_special_registers), cmocka_unit_test(test_clocks),   cmocka_unit_test(test_brx),
        cmocka_unit_test(test_indirect_calls),    cmocka_unit_test(test_barriers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return probe_run_levels(run);
}
