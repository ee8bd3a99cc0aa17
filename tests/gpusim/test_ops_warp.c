/*
 * Instructions between the lanes of a warp against plain C: shfl in every mode and segment, vote, match,
 * redux, with all lanes and with half of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gpusim/harness.h"
#include "tests/gpusim/probe.h"

enum { LANES = 32 };
typedef struct {
    uint32_t r, p;
} result;

/* What an instruction gives `lane`; x: the lanes' operands, b: their second ones; members: who takes part. */
typedef result rule(const uint32_t *x, const uint32_t *b, int lane, uint32_t members, uint32_t c);

/* ---- shfl: as the PTX ISA's pseudo code says ---- */

static result shuffled(const uint32_t *x, int lane, int from, bool inside)
{
    return (result){x[inside ? from : lane], inside};
}

static int segment_end(int lane, uint32_t c)
{
    const int segment = (int)(c >> 8 & 31);
    return (lane & segment) | ((int)(c & 31) & ~segment);
}

static result shfl_up(const uint32_t *x, const uint32_t *b, int lane, uint32_t members, uint32_t c)
{
    (void)members;
    const int from = lane - (int)(b[lane] & 31);
    return shuffled(x, lane, from, from >= segment_end(lane, c));
}

static result shfl_down(const uint32_t *x, const uint32_t *b, int lane, uint32_t members, uint32_t c)
{
    (void)members;
    const int from = lane + (int)(b[lane] & 31);
    return shuffled(x, lane, from, from <= segment_end(lane, c));
}

static result shfl_bfly(const uint32_t *x, const uint32_t *b, int lane, uint32_t members, uint32_t c)
{
    (void)members;
    const int from = lane ^ (int)(b[lane] & 31);
    return shuffled(x, lane, from, from <= segment_end(lane, c));
}

static result shfl_idx(const uint32_t *x, const uint32_t *b, int lane, uint32_t members, uint32_t c)
{
    (void)members;
    const int segment = (int)(c >> 8 & 31), from = (lane & segment) | ((int)(b[lane] & 31) & ~segment);
    return shuffled(x, lane, from, from <= segment_end(lane, c));
}

/* ---- the others: what the members' operands have in common ---- */

#define EACH_MEMBER(n)                                                                                       \
    for (int n = 0; n < LANES; n++)                                                                          \
        if (members >> n & 1)
#define RULE(name)                                                                                           \
    static result name(const uint32_t *x, const uint32_t *b, int lane, uint32_t members, uint32_t c)

static uint32_t odd(const uint32_t *x, uint32_t members)
{
    uint32_t r = 0;
    EACH_MEMBER(n) r |= (x[n] & 1) << n;
    return r;
}

RULE(ballot)
{
    (void)b, (void)lane, (void)c;
    return (result){odd(x, members), 0};
}

RULE(vote_all)
{
    (void)b, (void)lane, (void)c;
    return (result){0, odd(x, members) == members};
}

RULE(vote_any)
{
    (void)b, (void)lane, (void)c;
    return (result){0, odd(x, members) != 0};
}

RULE(vote_uni)
{
    (void)b, (void)lane, (void)c;
    return (result){0, odd(x, members) == members || odd(x, members) == 0};
}

RULE(match_any)
{
    (void)b, (void)c;
    uint32_t r = 0;
    EACH_MEMBER(n) r |= (uint32_t)(x[n] == x[lane]) << n;
    return (result){r, 0};
}

RULE(match_all)
{
    (void)b, (void)c;
    const bool alike = match_any(x, b, lane, members, c).r == members;
    return (result){alike ? members : 0, alike};
}

#define REDUX(name, T, start, EXPR)                                                                          \
    RULE(name)                                                                                               \
    {                                                                                                        \
        (void)b, (void)lane, (void)c;                                                                        \
        T r = start;                                                                                         \
        EACH_MEMBER(n)                                                                                       \
        {                                                                                                    \
            const T y = (T)x[n];                                                                             \
            r = EXPR;                                                                                        \
        }                                                                                                    \
        return (result){(uint32_t)r, 0};                                                                     \
    }
REDUX(redux_add, uint32_t, 0, r + y)
REDUX(redux_and, uint32_t, UINT32_MAX, r &y)
REDUX(redux_or, uint32_t, 0, r | y)
REDUX(redux_xor, uint32_t, 0, r ^ y)
REDUX(redux_min_u32, uint32_t, UINT32_MAX, y < r ? y : r)
REDUX(redux_max_u32, uint32_t, 0, y > r ? y : r)
REDUX(redux_min_s32, int32_t, INT32_MAX, y < r ? y : r)
REDUX(redux_max_s32, int32_t, INT32_MIN, y > r ? y : r)

/* ---- kernels: %x, %b operands; %r, %p results; %po is on where x is odd ---- */

static const struct {
    const char *text; /* members stands for the mask */
    rule *rule;
    bool all_only; /* may read any lane, so all must take part */
    uint32_t c;
} rows[] = {
    {"shfl.sync.up.b32 %r|%p, %x, %b, 0, members;", shfl_up, true, 0},
    {"shfl.sync.up.b32 %r|%p, %x, %b, 0x1800, members;", shfl_up, true, 0x1800},
    {"shfl.sync.down.b32 %r|%p, %x, %b, 31, members;", shfl_down, true, 31},
    {"shfl.sync.down.b32 %r|%p, %x, %b, 0x101f, members;", shfl_down, true, 0x101f},
    {"shfl.sync.down.b32 %r|%p, %x, %b, 0x1c03, members;", shfl_down, true, 0x1c03},
    {"shfl.sync.bfly.b32 %r|%p, %x, %b, 31, members;", shfl_bfly, true, 31},
    {"shfl.sync.bfly.b32 %r|%p, %x, %b, 0x1807, members;", shfl_bfly, true, 0x1807},
    {"shfl.sync.idx.b32 %r|%p, %x, %b, 31, members;", shfl_idx, true, 31},
    {"shfl.sync.idx.b32 %r|%p, %x, %b, 0x181f, members;", shfl_idx, true, 0x181f},
    {"shfl.sync.idx.b32 %r|%p, %x, %b, 9, members;", shfl_idx, true, 9},
    {"vote.sync.ballot.b32 %r, %po, members;", ballot, false, 0},
    {"vote.sync.all.pred %p, %po, members;", vote_all, false, 0},
    {"vote.sync.any.pred %p, %po, members;", vote_any, false, 0},
    {"vote.sync.uni.pred %p, %po, members;", vote_uni, false, 0},
    {"match.any.sync.b32 %r, %x, members;", match_any, false, 0},
    {"match.all.sync.b32 %r|%p, %x, members;", match_all, false, 0},
    {"redux.sync.add.u32 %r, %x, members;", redux_add, false, 0},
    {"redux.sync.add.s32 %r, %x, members;", redux_add, false, 0},
    {"redux.sync.and.b32 %r, %x, members;", redux_and, false, 0},
    {"redux.sync.or.b32 %r, %x, members;", redux_or, false, 0},
    {"redux.sync.xor.b32 %r, %x, members;", redux_xor, false, 0},
    {"redux.sync.min.u32 %r, %x, members;", redux_min_u32, false, 0},
    {"redux.sync.max.u32 %r, %x, members;", redux_max_u32, false, 0},
    {"redux.sync.min.s32 %r, %x, members;", redux_min_s32, false, 0},
    {"redux.sync.max.s32 %r, %x, members;", redux_max_s32, false, 0},
};

enum { ROWS = sizeof rows / sizeof rows[0], ROUNDS = 24, SOME = 0x5a0ff0c9 };

static void say_kernel(int number, char *text, size_t room)
{
    char instruction[128];
    const char *members = strstr(rows[number].text, "members");
    snprintf(instruction, sizeof instruction, "%.*s%%members;", (int)(members - rows[number].text),
             rows[number].text);
    snprintf(
        text, room,
        ".visible .entry k%d(.param .u64 in, .param .u64 out, .param .u32 members)\n{\n"
        ".reg .b32 %%x, %%b, %%r, %%t, %%odd, %%members; .reg .b64 %%in, %%out, %%at; .reg .pred %%p, %%po, "
        "%%pm;\n"
        "mov.u32 %%t, %%tid.x; ld.param.u64 %%in, [in]; ld.param.u64 %%out, [out];\n"
        "ld.param.u32 %%members, [members];\nmul.wide.u32 %%at, %%t, 8;\n"
        "add.s64 %%in, %%in, %%at; add.s64 %%out, %%out, %%at; ld.global.v2.u32 {%%x, %%b}, [%%in];\n"
        "mov.b32 %%r, 0; setp.ne.u32 %%p, 0, 0; and.b32 %%odd, %%x, 1; setp.ne.u32 %%po, %%odd, 0;\n"
        "shr.u32 %%t, %%members, %%t; and.b32 %%t, %%t, 1; setp.eq.u32 %%pm, %%t, 0;\n@%%pm bra done;\n%s\n"
        "selp.u32 %%t, 1, 0, %%p; st.global.v2.u32 [%%out], {%%r, %%t};\ndone: ret;\n}\n",
        number, instruction);
}

/* Operands: random, all alike, few values, all odd or even: by round. */
static uint32_t operand(uint64_t round, uint64_t lane)
{
    const uint64_t r = probe_hash(round * 64 + lane) >> 11;
    switch (round % 6) {
    case 0: return (uint32_t)round;
    case 1: return (uint32_t)r & 3;
    case 2: return (uint32_t)r | 1;
    case 3: return (uint32_t)r & ~1u;
    default: return (uint32_t)r;
    }
}

static int run_row(int number, uint64_t round)
{
    uint32_t in[LANES][2], x[LANES], b[LANES];
    result got[LANES], want[LANES] = {{0, 0}};
    char name[16];
    const uint32_t members = rows[number].all_only || round & 1 ? UINT32_MAX : SOME;
    for (uint64_t n = 0; n < LANES; n++) {
        x[n] = in[n][0] = operand(round, n);
        b[n] = in[n][1] = (uint32_t)(probe_hash(round * 99 + n) >> 7 & 63);
    }
    for (int n = 0; n < LANES; n++) {
        want[n] = members >> n & 1 ? rows[number].rule(x, b, n, members, rows[number].c) : want[n];
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_zeros(sizeof got);
    uint32_t mask = members;
    snprintf(name, sizeof name, "k%d", number);
    gpu_launch(name, (gpu_dim){1, 1, 1}, (gpu_dim){LANES, 1, 1}, 0, GPU_ARGS(&from, &to, &mask));
    gpu_download(got, to, sizeof got);
    gpu_free(from);
    gpu_free(to);
    return memcmp(got, want, sizeof got) != 0;
}

static void test_between_lanes(void **state)
{
    (void)state;
    static char text[ROWS * 2048];
    int wrong = 0;
    strcpy(text, ".version 8.0\n.target sm_80\n.address_size 64\n");
    for (int n = 0; n < ROWS; n++) {
        const size_t length = strlen(text);
        say_kernel(n, text + length, sizeof text - length);
    }
    gpu_open_text(text);
    for (int n = 0; n < ROWS; n++) {
        int bad = 0;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            bad += run_row(n, round);
        }
        if (bad) {
            print_error("%s: %d of %d wrong\n", rows[n].text, bad, ROUNDS);
            wrong++;
        }
    }
    gpu_close();
    assert_int_equal(wrong, 0);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_between_lanes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return probe_run_levels(run);
}
