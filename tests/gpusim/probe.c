/* Kernels that run one instruction for many operands, see probe.h. */
#include "tests/gpusim/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/gpusim/harness.h"

enum { PROBE_CASES = 4096 };

uint64_t probe_hash(uint64_t x)
{
    x += 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

/* ---- operands ---- */

static const uint64_t probe_integers[] = {0,
                                          1,
                                          2,
                                          3,
                                          7,
                                          8,
                                          15,
                                          16,
                                          31,
                                          32,
                                          33,
                                          63,
                                          64,
                                          65,
                                          127,
                                          128,
                                          255,
                                          256,
                                          0x7fff,
                                          0x8000,
                                          0xffff,
                                          0x10000,
                                          0x7fffffff,
                                          0x80000000,
                                          0x80000001,
                                          0xffffffff,
                                          0xfffffffe,
                                          0x100000000,
                                          0x7fffffffffffffff,
                                          0x8000000000000000,
                                          0x8000000000000001,
                                          0xffffffffffffffff,
                                          0xfffffffffffffffe,
                                          0xaaaaaaaaaaaaaaaa,
                                          0x0123456789abcdef};
static const uint32_t probe_f32[] = {
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000,
    0x00800001, 0x3f800000, 0xbf800000, 0x3f800001, 0x3f7fffff, 0x3f000000, 0xbf000000, 0x40490fdb,
    0x34000000, 0x33800000, 0x4b800000, 0x4b7fffff, 0x4effffff, 0x4f000000, 0xcf000000, 0x4f800000,
    0x5f000000, 0xdf000000, 0x5f800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000,
    0xffc00001, 0x7f800001, 0x7e800001, 0x3fc00000, 0x40200000, 0xc0200000, 0x477fe000, 0x477ff000,
    0x38800000, 0x33000000, 0x33000001};
static const uint64_t probe_f64[] = {
    0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x800fffffffffffff, 0x0010000000000000,
    0x3ff0000000000000, 0xbff0000000000000, 0x3ff0000000000001, 0x3fe0000000000000, 0xc004000000000000,
    0x7fefffffffffffff, 0xffefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
    0x7ff0000000000001, 0x41dfffffffc00000, 0xc1e0000000000000, 0xc1e0000000200000, 0x41efffffffe00000,
    0x43e0000000000000, 0xc3e0000000000000, 0x43f0000000000000, 0x36a0000000000000, 0x3690000000000000,
    0x3690000000000001, 0x47efffffe0000000, 0x47effffff0000000, 0x3ca0000000000000, 0x4330000000000001};
static const uint16_t probe_f16[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x83ff, 0x0400, 0x8400, 0x3c00,
                                     0xbc00, 0x3c01, 0x3bff, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfe01,
                                     0x7c01, 0x3800, 0x1400, 0x6400, 0x4248, 0x5bff, 0x2e66};
static const uint16_t probe_bf16[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x007f, 0x807f, 0x0080, 0x8080, 0x3f80,
                                      0xbf80, 0x3f81, 0x3f7f, 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0, 0xffc1,
                                      0x7f81, 0x3f00, 0x3b80, 0x4049, 0x1f80, 0x5f7f, 0x2066};

#define PROBE_PICK(table, n) ((table)[(n) % (sizeof(table) / sizeof(*(table)))])

/* The n-th edge value of a kind. */
static uint64_t probe_edge(char kind, uint64_t n, uint64_t random)
{
    switch (kind) {
    case 'f': return PROBE_PICK(probe_f32, n);
    case 'F': return PROBE_PICK(probe_f64, n);
    case 'h': return PROBE_PICK(probe_f16, n);
    case 'b': return PROBE_PICK(probe_bf16, n);
    case 'H': return PROBE_PICK(probe_f16, n) | (uint64_t)PROBE_PICK(probe_f16, random) << 16;
    case 'B': return PROBE_PICK(probe_bf16, n) | (uint64_t)PROBE_PICK(probe_bf16, random) << 16;
    case 'n': return n % 72;
    default: return PROBE_PICK(probe_integers, n);
    }
}

/* Random: all bits, or (integers) few of them, or (floats) of moderate size. */
static uint64_t probe_random(char kind, uint64_t r)
{
    const uint64_t bits = probe_hash(r), how = r % 3;
    switch (kind) {
    case 'f': return how ? (bits & 0x807fffff) | (0x3c000000 + (((bits >> 32) & 15) << 23)) : bits;
    case 'F': return how ? (bits & 0x800fffffffffffff) | (0x3fa0000000000000 + ((r >> 8 & 127) << 52)) : bits;
    case 'h':
    case 'H':
    case 'b':
    case 'B':
    case 'y':
    case 'x': return bits;
    case 'n': return how ? bits % 72 : bits;
    default: return how ? bits >> (bits & 63) : bits;
    }
}

uint64_t probe_mask(char kind)
{
    if (kind == 'I' || kind == 'F' || kind == 'd') {
        return ~0ull;
    }
    return kind != '\0' && strchr("shbx", kind) ? 0xffff : 0xffffffff;
}

static char probe_width(char kind)
{
    return probe_mask(kind) == 0xffff ? 'h' : probe_mask(kind) == ~0ull ? 'd' : 'w';
}

/* Is the destination as wide as the first source? */
static bool in_place_too(const probe *p)
{
    return p->dst != '-' && p->in[0] && probe_width(p->dst) == probe_width(p->in[0]) && strstr(p->text, "$a");
}

static probe_in probe_case(const probe *p, uint64_t index)
{
    const uint64_t edges = 48, r = probe_hash(index * 31 + 7);
    uint64_t v[3] = {0};
    for (int n = 0; p->in[n] && n < 3; n++) {
        const char kind = p->in[n];
        const uint64_t place = n == 0 ? index % edges : n == 1 ? index / edges : r >> 16;
        const bool edge = index < edges * edges || (n == 2 && r % 2);
        v[n] = (edge ? probe_edge(kind, place, r >> 24) : probe_random(kind, r * 3 + (uint64_t)n)) &
               probe_mask(kind);
    }
    return (probe_in){.a = v[0], .b = v[1], .c = v[2], .p = (r >> 8) & 1};
}

/* ---- text ---- */

typedef struct {
    char *at;
    size_t length, capacity;
} probe_text;

static void probe_say(probe_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void probe_say(probe_text *t, const char *format, ...)
{
    va_list list;
    if (t->capacity - t->length < 4096) {
        t->capacity = 2 * t->capacity + 16384;
        t->at = realloc(t->at, t->capacity);
        assert_non_null(t->at);
    }
    va_start(list, format);
    t->length += (size_t)vsnprintf(t->at + t->length, t->capacity - t->length, format, list);
    va_end(list);
}

/*
 * The instruction with registers for its placeholders: %hd %wd %dd, %ha ..., predicates %pP %pQ %pp. The
 * guard stands before each where the text has several, with "; " between them.
 */
static void probe_say_instruction(probe_text *t, const probe *p, const char *guard, bool in_place)
{
    probe_say(t, "%s", guard);
    for (const char *at = p->text; *at; at++) {
        if (*at != '$') {
            probe_say(t, "%c%s", *at, at > p->text && at[-1] == ';' ? guard : "");
            continue;
        }
        at++;
        if (*at == 'd') {
            probe_say(t, "%%%c%c", probe_width(p->dst), in_place ? 'a' : 'd');
        } else if (*at >= 'a' && *at <= 'c') {
            probe_say(t, "%%%c%c", probe_width(p->in[*at - 'a']), *at);
        } else {
            probe_say(t, "%%p%c", *at);
        }
    }
    probe_say(t, ";\n");
}

/* Stores $d (extended to 64 bits) and the predicates at place `run` of the results. */
static void probe_say_store(probe_text *t, const probe *p, int run, char name)
{
    probe_say(t, "mov.b64 %%dr, 0;\n");
    switch (p->dst == '-' ? '-' : probe_width(p->dst)) {
    case 'h': probe_say(t, "cvt.u64.u16 %%dr, %%h%c;\n", name); break;
    case 'w': probe_say(t, "cvt.u64.u32 %%dr, %%w%c;\n", name); break;
    case 'd': probe_say(t, "mov.b64 %%dr, %%d%c;\n", name); break;
    }
    probe_say(t, "st.global.u64 [%%dout+%d], %%dr;\nselp.u32 %%w1, 1, 0, %%pP;\nselp.u32 %%w2, 2, 0, %%pQ;\n",
              16 * run);
    probe_say(t, "or.b32 %%w1, %%w1, %%w2;\nst.global.u32 [%%dout+%d], %%w1;\n", 16 * run + 8);
}

/* Destinations before a run: P on, Q off. */
static void probe_say_preset(probe_text *t)
{
    probe_say(t, "mov.b16 %%hd, 0x5a5a;\nmov.b32 %%wd, 0x5a5a5a5a;\nmov.b64 %%dd, 0x5a5a5a5a5a5a5a5a;\n");
    probe_say(t, "setp.eq.u32 %%pP, 0, 0;\nsetp.ne.u32 %%pQ, 0, 0;\n");
}

static void probe_say_kernel(probe_text *t, const probe *p, int number)
{
    probe_say(t, ".visible .entry probe%d(.param .u64 out, .param .u64 in, .param .u32 guards)\n{\n", number);
    probe_say(t, ".reg .b16 %%ha, %%hb, %%hc, %%hd;\n.reg .b32 %%wa, %%wb, %%wc, %%wd, %%w1, %%w2, %%w3;\n");
    probe_say(t,
              ".reg .b64 %%da, %%db, %%dc, %%dd, %%dr, %%dout, %%din;\n.reg .pred %%pP, %%pQ, %%pp, %%pg;\n");
    probe_say(t, "mov.u32 %%w1, %%ctaid.x;\nmov.u32 %%w2, %%ntid.x;\nmov.u32 %%w3, %%tid.x;\n");
    probe_say(t,
              "mad.lo.s32 %%w3, %%w1, %%w2, %%w3;\nld.param.u64 %%dout, [out];\nld.param.u64 %%din, [in];\n");
    probe_say(t, "mul.wide.u32 %%dr, %%w3, 48;\nadd.s64 %%dout, %%dout, %%dr;\n");
    probe_say(t, "mul.wide.u32 %%dr, %%w3, 32;\nadd.s64 %%din, %%din, %%dr;\n");
    for (int n = 0; n < 3; n++) {
        const char name = (char)('a' + n);
        probe_say(t, "ld.global.u64 %%d%c, [%%din+%d];\n", name, 8 * n);
        probe_say(t, "cvt.u32.u64 %%w%c, %%d%c;\ncvt.u16.u64 %%h%c, %%d%c;\n", name, name, name, name);
    }
    probe_say(t, "ld.global.u32 %%w1, [%%din+24];\nand.b32 %%w2, %%w1, 1;\nsetp.ne.u32 %%pp, %%w2, 0;\n");
    probe_say(t, "and.b32 %%w2, %%w1, 2;\nsetp.ne.u32 %%pg, %%w2, 0;\n");
    probe_say_preset(t);
    probe_say_instruction(t, p, "", false);
    probe_say_store(t, p, 0, 'd');
    probe_say_preset(t);
    probe_say_instruction(t, p, "@%pg ", false);
    probe_say_store(t, p, 1, 'd');
    if (in_place_too(p)) {
        probe_say_preset(t);
        probe_say_instruction(t, p, "", true);
        probe_say_store(t, p, 2, 'a');
    }
    probe_say(t, "ret;\n}\n\n");
}

/* ---- runs ---- */

typedef struct {
    uint64_t d;
    uint32_t predicates, unused;
} probe_result;

static bool probe_close(double got, double want, double relative, double absolute)
{
    const double size = want < 0 ? -want : want, error = got > want ? got - want : want - got;
    return got == want || error <= relative * size + absolute;
}

static bool probe_agrees(const probe *p, uint64_t got, uint64_t want)
{
    float g, e;
    const uint32_t gb = (uint32_t)got, wb = (uint32_t)want;
    if (p->dst == 'F' && (want << 1) > 0xffe0000000000000ull) {
        return (got << 1) > 0xffe0000000000000ull;
    }
    if ((p->relative <= 0 && p->absolute <= 0) || (wb & 0x7fffffff) >= 0x7f800000) {
        return got == want;
    }
    memcpy(&g, &gb, 4);
    memcpy(&e, &wb, 4);
    return g == g && probe_close(g, e, p->relative, p->absolute);
}

/* The number of cases that differ; the first ones are told. */
static int probe_check(const probe *p, int run, const probe_result *r, uint64_t index, const char *what)
{
    const probe_in in = probe_case(p, index);
    const bool on = run != 1 || ((probe_hash(index) >> 3) & 1);
    probe_out want = {
        .d = 0x5a5a5a5a5a5a5a5a & (p->dst == '-' ? 0 : probe_mask(p->dst)), .p = true, .q = false};
    if (on) {
        const probe_out given = p->reference(p, in);
        want.d = p->dst == '-' ? 0 : given.d & probe_mask(p->dst);
        want.p = strstr(p->text, "$P") ? given.p : true;
        want.q = strstr(p->text, "$Q") ? given.q : false;
    }
    const uint32_t predicates = (want.p ? 1 : 0) | (want.q ? 2 : 0);
    if (predicates == r->predicates && (probe_agrees(p, r->d, want.d) || (!on && r->d == want.d))) {
        return 0;
    }
    if (what) {
        print_error("%s (%s, case %llu): a %llx b %llx c %llx p %d: got %llx %x, expected %llx %x\n", p->text,
                    what, (unsigned long long)index, (unsigned long long)in.a, (unsigned long long)in.b,
                    (unsigned long long)in.c, in.p, (unsigned long long)r->d, r->predicates,
                    (unsigned long long)want.d, predicates);
    }
    return 1;
}

static int probe_run(const probe *p, int number)
{
    static const char *const what[3] = {"all lanes", "guarded", "in place"};
    static uint64_t in[PROBE_CASES][4];
    static probe_result out[PROBE_CASES][3];
    const int runs = in_place_too(p) ? 3 : 2;
    char name[32];
    int wrong = 0;
    for (uint64_t n = 0; n < PROBE_CASES; n++) {
        const probe_in c = probe_case(p, n);
        const uint64_t guard = (probe_hash(n) >> 3) & 1;
        memcpy(in[n], (uint64_t[4]){c.a, c.b, c.c, (c.p ? 1 : 0) | guard << 1}, sizeof in[n]);
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_zeros(sizeof out);
    snprintf(name, sizeof name, "probe%d", number);
    uint32_t unused = 0;
    gpu_launch(name, (gpu_dim){PROBE_CASES / 128, 1, 1}, (gpu_dim){128, 1, 1}, 0,
               GPU_ARGS(&to, &from, &unused));
    gpu_download(out, to, sizeof out);
    gpu_free(from);
    gpu_free(to);
    for (uint64_t n = 0; n < PROBE_CASES; n++) {
        for (int run = 0; run < runs; run++) {
            wrong += probe_check(p, run, &out[n][run], n, wrong < 3 ? what[run] : NULL);
        }
    }
    if (wrong) {
        print_error("%s: %d of %d wrong\n", p->text, wrong, runs * PROBE_CASES);
    }
    return wrong;
}

static struct {
    probe *first, **end;
} rows;

void probe_add(probe *row)
{
    *(rows.first ? rows.end : &rows.first) = row;
    rows.end = &row->next;
}

/* A module of all rows, then each of them. */
int probe_all(void)
{
    probe_text t = {0};
    int wrong = 0, number = 0;
    probe_say(&t, ".version 8.0\n.target sm_90\n.address_size 64\n\n");
    for (const probe *p = rows.first; p; p = p->next) {
        probe_say_kernel(&t, p, number++);
    }
    gpu_open_text(t.at);
    free(t.at);
    number = 0;
    for (const probe *p = rows.first; p; p = p->next) {
        wrong += probe_run(p, number++) != 0;
    }
    gpu_close();
    print_message("%d instructions, %d wrong\n", number, wrong);
    return wrong;
}

/* Runs the tests once for each level of the simulator's handlers that this machine has. */
int probe_run_levels(int (*tests)(void))
{
    const char *levels[3] = {"plain", "avx2", "avx512"};
    int count = 1, failed = 0;
#if defined(__x86_64__)
    count += __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
    count += count == 2 && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") ? 1 : 0;
#endif
    for (int n = 0; n < count; n++) {
        int status = 1;
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            setenv("GPUSIM_ISA", levels[n], 1);
            exit(tests() == 0 ? 0 : 1);
        }
        waitpid(child, &status, 0);
        if (status != 0) {
            fprintf(stderr, "level %s: failed\n", levels[n]);
            failed = 1;
        }
    }
    return failed;
}
