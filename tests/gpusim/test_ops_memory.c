/*
 * Loads and stores against memcpy: every type and vector, registers of its width and wider ones, in every
 * space and through generic addresses; lanes side by side, apart, and all at one place; all lanes and some.
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

enum { LANES = 32, EACH = 32, BYTES = EACH * LANES, MOST = 4, KERNEL = 8192, SOME = 0x5a0ff0c9 };

typedef enum {
    GLOBAL,
    SHARED,
    LOCAL,
    CONST,
    PARAM,
    GENERIC_GLOBAL,
    GENERIC_SHARED,
    GENERIC_LOCAL,
    GENERIC_CONST,
    SPACES
} space;

static const struct {
    const char *name;       /* of the instruction */
    const char *address;    /* of the bytes, as the instruction takes it: %base */
    bool writable, private; /* private: each lane has bytes of its own */
} spaces[SPACES] = {
    [GLOBAL] = {".global", "add.s64 %base, %copy, 0;", true, false},
    [SHARED] = {".shared",
                "mov.u64 %base, inshared; cvta.shared.u64 %base, %base; cvta.to.shared.u64 %base, %base;",
                true, false},
    [LOCAL] = {".local",
               "mov.u64 %base, inlocal; cvta.local.u64 %base, %base; cvta.to.local.u64 %base, %base;", true,
               true},
    [CONST] = {".const",
               "mov.u64 %base, inconst; cvta.const.u64 %base, %base; cvta.to.const.u64 %base, %base;", false,
               false},
    [PARAM] = {".param", "mov.b64 %base, inparam;", false, false},
    [GENERIC_GLOBAL] = {"", "cvta.global.u64 %base, %copy;", true, false},
    [GENERIC_SHARED] = {"", "mov.u64 %base, inshared; cvta.shared.u64 %base, %base;", true, false},
    [GENERIC_LOCAL] = {"", "mov.u64 %base, inlocal; cvta.local.u64 %base, %base;", true, true},
    [GENERIC_CONST] = {"", "mov.u64 %base, inconst; cvta.const.u64 %base, %base;", false, false},
};

static const struct {
    const char *name;
    uint32_t bytes;
    bool is_signed;
} types[] = {
    {"u8", 1, false},  {"s8", 1, true},   {"b8", 1, false},  {"u16", 2, false}, {"s16", 2, true},
    {"b16", 2, false}, {"u32", 4, false}, {"s32", 4, true},  {"b32", 4, false}, {"f32", 4, false},
    {"u64", 8, false}, {"s64", 8, true},  {"b64", 8, false}, {"f64", 8, false},
};
enum { TYPES = sizeof types / sizeof types[0] };

typedef struct {
    space where;
    int type;
    uint32_t count;         /* elements of the vector */
    uint32_t register_size; /* 2, 4 or 8 */
    bool store;
} row;

/* What memory holds at first, wherever it is. */
static uint8_t byte_at(uint64_t n)
{
    return (uint8_t)(probe_hash(n) >> 13);
}

static uint32_t total_of(const row *r)
{
    return types[r->type].bytes * r->count;
}

/* ---- kernels ---- */

static char letter_of(const row *r)
{
    return r->register_size == 2 ? 'h' : r->register_size == 4 ? 'w' : 'd';
}

static void say_instruction(const row *r, char *text, size_t room)
{
    char list[64] = "", vector[16] = "";
    strcat(list, r->count > 1 ? "{" : "");
    for (uint32_t n = 0; n < r->count; n++) {
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%%%c%u", n ? ", " : "", letter_of(r), n);
    }
    if (r->count > 1) {
        strcat(list, "}");
        snprintf(vector, sizeof vector, ".v%u", r->count);
    }
    snprintf(text, room, r->store ? "st%s%s.%s [%%at+16], %s;" : "ld%s%s.%s %s, [%%at+16];",
             spaces[r->where].name, vector, types[r->type].name, list);
}

/* The lane's EACH bytes from one place to another, one by one. */
static void say_copy(char *text, size_t room, const char *to, const char *to_at, const char *from,
                     const char *from_at)
{
    text[0] = '\0';
    for (int n = 0; n < EACH; n++) {
        const size_t length = strlen(text);
        snprintf(text + length, room - length, "ld%s.u8 %%hx, [%s+%d]; st%s.u8 [%s+%d], %%hx;%s", from,
                 from_at, n, to, to_at, n, n % 4 == 3 ? "\n" : " ");
    }
}

/* Values into the registers before, out of them after: 4 words of 8 bytes at %own. */
static void say_registers(const row *r, bool out, char *text, size_t room)
{
    static const char *const widen[] = {[2] = "cvt.u64.u16", [4] = "cvt.u64.u32", [8] = "mov.b64"};
    static const char *const narrow[] = {[2] = "cvt.u16.u64", [4] = "cvt.u32.u64", [8] = "mov.b64"};
    text[0] = '\0';
    for (uint32_t n = 0; n < r->count; n++) {
        const size_t length = strlen(text);
        if (out) {
            snprintf(text + length, room - length, "%s %%dx, %%%c%u; st.global.u64 [%%own+%u], %%dx;\n",
                     widen[r->register_size], letter_of(r), n, 8 * n);
        } else {
            snprintf(text + length, room - length, "ld.global.u64 %%dx, [%%own+%u]; %s %%%c%u, %%dx;\n",
                     8 * n, narrow[r->register_size], letter_of(r), n);
        }
    }
}

/*
 * mem: the bytes, and room for them to be changed; values: the lanes' registers. `at`: the lane's place in
 * its space is 16 bytes behind it (so that the offset in the address counts).
 */
static void say_kernel(const row *r, int number, char *text, size_t room)
{
    static char fill[2560], back[2560], in[512], out[512], instruction[128];
    const char *name = r->where == GLOBAL || r->where == GENERIC_GLOBAL ? ".global" : spaces[r->where].name;
    say_copy(fill, sizeof fill, name, "%place", ".global", "%from");
    say_copy(back, sizeof back, ".global", "%to", name, "%place");
    say_registers(r, false, in, sizeof in);
    say_registers(r, true, out, sizeof out);
    say_instruction(r, instruction, sizeof instruction);
    const bool writable = spaces[r->where].writable;
    snprintf(
        text, room,
        ".visible .entry k%d(.param .u64 mem, .param .u64 values, .param .u32 stride, .param .u32 lanes,\n"
        ".param .align 16 .b8 inparam[%d])\n{\n.reg .b16 %%h<4>, %%hx; .reg .b32 %%w<4>, %%t, %%m, "
        "%%stride;\n"
        ".reg .b64 %%d<4>, %%dx, %%base, %%copy, %%at, %%own, %%from, %%to, %%place; .reg .pred %%p;\n"
        ".shared .align 16 .b8 inshared[%d]; .local .align 16 .b8 inlocal[%d];\n"
        "mov.u32 %%t, %%tid.x; ld.param.u32 %%stride, [stride]; ld.param.u32 %%m, [lanes];\n"
        "ld.param.u64 %%from, [mem]; add.s64 %%copy, %%from, %d; ld.param.u64 %%own, [values];\n"
        "shr.u32 %%m, %%m, %%t; and.b32 %%m, %%m, 1; setp.ne.u32 %%p, %%m, 0;\n"
        "mul.wide.u32 %%dx, %%t, 32; add.s64 %%own, %%own, %%dx;\n%s\n"
        "add.s64 %%from, %%from, %%dx; add.s64 %%to, %%copy, %%dx; add.s64 %%place, %%base, %%dx;\n"
        "mul.wide.u32 %%dx, %%t, %%stride; add.s64 %%at, %%base, %%dx; sub.s64 %%at, %%at, 16;\n"
        "%s bar.sync 0;\n%s\n@%%p %s\nbar.sync 0;\n%s\n%s ret;\n}\n",
        number, BYTES, BYTES, BYTES, BYTES, spaces[r->where].address, writable ? fill : "", in, instruction,
        out, writable ? back : "");
}

/* ---- references ---- */

static uint64_t extended(uint64_t value, const row *r)
{
    const uint32_t unused = 64 - 8 * types[r->type].bytes;
    value = types[r->type].is_signed ? (uint64_t)((int64_t)(value << unused) >> unused) : value;
    return r->register_size == 8 ? value : value & ((1ull << 8 * r->register_size) - 1);
}

/* One launch; the lanes of `lanes` run the instruction. */
static bool is_wrong(const row *r, int number, uint32_t stride, uint32_t lanes)
{
    struct {
        uint8_t bytes[BYTES];
    } block;
    static uint8_t memory[2 * BYTES], want[BYTES];
    static uint64_t values[LANES][MOST], before[LANES][MOST];
    char name[16];
    for (uint64_t n = 0; n < BYTES; n++) {
        memory[n] = want[n] = block.bytes[n] = byte_at(n);
        memory[BYTES + n] = byte_at(n);
    }
    for (uint64_t n = 0; n < LANES; n++) {
        for (uint64_t k = 0; k < MOST; k++) {
            values[n][k] = before[n][k] = probe_hash(1000 + n * MOST + k);
            before[n][k] = r->register_size == 8 || k >= r->count
                               ? before[n][k]
                               : before[n][k] & ((1ull << 8 * r->register_size) - 1);
        }
    }
    uint64_t mem = gpu_upload(memory, sizeof memory), regs = gpu_upload(values, sizeof values);
    snprintf(name, sizeof name, "k%d", number);
    gpu_launch(name, (gpu_dim){1, 1, 1}, (gpu_dim){LANES, 1, 1}, 0,
               GPU_ARGS(&mem, &regs, &stride, &lanes, &block));
    gpu_download(memory, mem, sizeof memory);
    gpu_download(values, regs, sizeof values);
    gpu_free(mem), gpu_free(regs);
    for (uint32_t n = 0; n < LANES; n++) {
        for (uint32_t k = 0; k < r->count && lanes >> n & 1; k++) {
            const uint32_t bytes = types[r->type].bytes;
            uint64_t loaded = 0;
            if (r->store) {
                memcpy(want + (size_t)n * stride + k * bytes, &before[n][k], bytes);
            } else {
                memcpy(&loaded, want + (size_t)n * stride + k * bytes, bytes);
                before[n][k] = extended(loaded, r);
            }
        }
    }
    return memcmp(memory + BYTES, want, BYTES) != 0 || memcmp(values, before, sizeof values) != 0;
}

/* ---- all of them ---- */

static row table[4096];
static int table_rows;

static void fill_table(void)
{
    table_rows = 0;
    for (int n = 0; n < SPACES * TYPES * 3 * 3 * 2; n++) {
        const row r = {.where = n % SPACES,
                       .type = n / SPACES % TYPES,
                       .count = 1u << n / SPACES / TYPES % 3,
                       .register_size = 2u << n / SPACES / TYPES / 3 % 3,
                       .store = n / SPACES / TYPES / 9};
        const bool is_float =
            types[r.type].name[0] == 'f'; /* f32 goes to registers of 4 bytes and no others */
        if (total_of(&r) <= 16 && r.register_size >= types[r.type].bytes &&
            (!is_float || r.register_size == types[r.type].bytes) && (!r.store || spaces[r.where].writable)) {
            table[table_rows++] = r;
        }
    }
}

static char *say_module(void)
{
    const size_t room = (size_t)(table_rows + 4) * KERNEL;
    char *text = malloc(room);
    assert_non_null(text);
    size_t length = (size_t)sprintf(
        text, ".version 8.0\n.target sm_80\n.address_size 64\n.const .align 16 .b8 inconst[%d] = {", BYTES);
    for (uint64_t n = 0; n < BYTES; n++) {
        length += (size_t)sprintf(text + length, "%s%u", n ? "," : "", byte_at(n));
    }
    length += (size_t)sprintf(text + length, "};\n");
    for (int n = 0; n < table_rows; n++) {
        say_kernel(&table[n], n, text + length, KERNEL);
        length += strlen(text + length);
    }
    return text;
}

/* Side by side, apart, and (what is only read) all at one place. */
static int wrong_launches(int n)
{
    const row *r = &table[n];
    int bad = is_wrong(r, n, 32, UINT32_MAX) + is_wrong(r, n, 32, SOME);
    if (!spaces[r->where].private) {
        bad += is_wrong(r, n, total_of(r), UINT32_MAX) + is_wrong(r, n, total_of(r), SOME);
        bad += r->store ? 0 : is_wrong(r, n, 0, UINT32_MAX);
    }
    return bad;
}

static void test_loads_and_stores(void **state)
{
    (void)state;
    int wrong = 0;
    char instruction[128];
    fill_table();
    char *text = say_module();
    gpu_open_text(text);
    free(text);
    for (int n = 0; n < table_rows; n++) {
        const int bad = wrong_launches(n);
        if (bad) {
            say_instruction(&table[n], instruction, sizeof instruction);
            print_error("%s (space %d): %d launches wrong\n", instruction, (int)table[n].where, bad);
            wrong++;
        }
    }
    gpu_close();
    print_message("%d kernels, %d wrong\n", table_rows, wrong);
    assert_int_equal(wrong, 0);
}

/* isspacep of an address of every space: each is in its own and in no other. */
static void test_isspacep(void **state)
{
    (void)state;
    static const char *const names[] = {"global", "shared", "local", "const"};
    char text[4096] =
        ".version 8.0\n.target sm_80\n.address_size 64\n.const .b32 inconst = 1; .global .b32 inglobal;\n"
        ".visible .entry where(.param .u64 out)\n{\n.reg .b64 %a, %out; .reg .b32 %r; .reg .pred %p;\n"
        ".shared .b32 inshared; .local .b32 inlocal; ld.param.u64 %out, [out];\n";
    uint32_t is[4][4];
    for (int from = 0; from < 4; from++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "mov.u64 %%a, in%s; cvta.%s.u64 %%a, %%a;\n",
                 names[from], names[from]);
        for (int n = 0; n < 4; n++) {
            length = strlen(text);
            snprintf(text + length, sizeof text - length,
                     "isspacep.%s %%p, %%a; selp.u32 %%r, 1, 0, %%p; st.global.u32 [%%out+%d], %%r;\n",
                     names[n], 16 * from + 4 * n);
        }
    }
    strcat(text, "ret;\n}\n");
    gpu_open_text(text);
    uint64_t out = gpu_zeros(sizeof is);
    gpu_launch("where", (gpu_dim){1, 1, 1}, (gpu_dim){1, 1, 1}, 0, GPU_ARGS(&out));
    gpu_download(is, out, sizeof is);
    for (int n = 0; n < 12; n++) { /* a const variable may count as a global one too */
        assert_int_equal(is[n / 4][n % 4], n / 4 == n % 4);
    }
    assert_int_equal(is[3][3], 1);
    gpu_free(out);
    gpu_close();
}

static int run(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loads_and_stores),
                                       cmocka_unit_test(test_isspacep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return probe_run_levels(run);
}
