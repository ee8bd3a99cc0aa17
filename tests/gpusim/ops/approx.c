/*
 * Approximate functions of f32: ex2, lg2, rcp, sqrt, rsqrt, sin, cos, tanh, div; rcp and rsqrt of f64. The
 * device's own results are not published to the bit; PTX gives their greatest error. Here the result is the
 * nearest one (approx.h); with GPUSIM_NOISE it is off by a seeded amount within the error that PTX allows, so
 * that no test depends on it.
 */
#include "tests/gpusim/ops/approx.h"

/*
 * Greatest errors by the PTX ISA, "Floating Point Instructions", less what two roundings to f32 (2^-24 each)
 * may add: ex2, lg2 2^-22; rcp 1 ulp; sqrt 2^-23; rsqrt 2^-22.9; sin, cos 2^-20.5; tanh 2^-11; div 2 ulp.
 */
#define APPROX(name, EXPR, RELATIVE, ABSOLUTE)                                                               \
    SIM_HANDLER(name)                                                                                        \
    {                                                                                                        \
        const float *a = sim_f32(w, i->a);                                                                   \
        float in[SIM_LANES], r[SIM_LANES];                                                                   \
        const bool ftz = i->mods & SIM_FTZ;                                                                  \
        SIM_EACH                                                                                             \
        {                                                                                                    \
            in[l] = ftz ? sim_flush(a[l]) : a[l];                                                            \
        }                                                                                                    \
        SIM_EACH                                                                                             \
        {                                                                                                    \
            const double x = in[l];                                                                          \
            r[l] = (float)(EXPR);                                                                            \
        }                                                                                                    \
        if (sim_options.noise) {                                                                             \
            sim_perturb(r, in, RELATIVE, ABSOLUTE);                                                          \
        }                                                                                                    \
        SIM_EACH                                                                                             \
        {                                                                                                    \
            r[l] = sim_nan(ftz ? sim_flush(r[l]) : r[l]);                                                    \
        }                                                                                                    \
        sim_store_u32(sim_u32(w, i->dst), (const uint32_t *)(const void *)r, mask);                          \
    }

APPROX(ex2, sim_exp2(x), 0x1p-23f, 0)
APPROX(lg2, sim_log2(x), 0x1p-23f, 0x1p-23f)
APPROX(rcp, 1.0 / x, 0x1p-24f, 0)
APPROX(root, __builtin_sqrt(x), 0x1p-24f, 0)
APPROX(rsqrt, 1.0 / __builtin_sqrt(x), 0x1p-24f, 0)
APPROX(sine, sim_sine(x, 0.0), 0, 0x1p-21f)
APPROX(cosine, sim_sine(x, 0.5), 0, 0x1p-21f)
APPROX(tanh_f32, sim_tanh(x), 0x1.ffp-12f, 0)

/* div.approx gives 0 for 2^126 < |b| < 2^128 (NaN if a is infinite); div.full, with flags set, does not. */
SIM_HANDLER(divide)
{
    const float *a = sim_f32(w, i->a), *b = sim_f32(w, i->b);
    float in[SIM_LANES], r[SIM_LANES];
    const bool ftz = i->mods & SIM_FTZ, full = i->flags;
    SIM_EACH
    {
        const float x = ftz ? sim_flush(a[l]) : a[l], y = ftz ? sim_flush(b[l]) : b[l];
        const bool large = __builtin_fabsf(y) > 0x1p126f && __builtin_fabsf(y) < __builtin_inff();
        const float inverse = large && !full ? 0.0f : 1.0f;
        in[l] = x;
        r[l] = large && !full ? x * inverse : x / y;
    }
    if (sim_options.noise) {
        sim_perturb(r, in, 0x1p-23f, 0);
    }
    SIM_EACH
    {
        r[l] = sim_nan(ftz ? sim_flush(r[l]) : r[l]);
    }
    sim_store_u32(sim_u32(w, i->dst), (const uint32_t *)(const void *)r, mask);
}

/*
 * rcp.approx.ftz.f64 and rsqrt.approx.ftz.f64 read the upper half of their operand and give the upper half of
 * the result; subnormals are zeros. rsqrt.approx.f64 without .ftz is the full function.
 */
static inline double flush64(double x)
{
    return __builtin_fabs(x) < 0x1p-1022 ? __builtin_copysign(0.0, x) : x;
}

static inline uint64_t upper(double x)
{
    return sim_bits64(flush64(x)) & 0xffffffff00000000ull;
}

/* A NaN with its payload in the lower half is a NaN still. */
static inline double upper_operand(double x)
{
    return x != x ? x : sim_double(upper(x));
}

SIM_OP1(rcp64, uint64_t, double, upper(1.0 / upper_operand(x)))
SIM_OP1(rsqrt64, uint64_t, double, upper(1.0 / __builtin_sqrt(upper_operand(x))))
SIM_OP1(rsqrt64_full, double, double, 1.0 / __builtin_sqrt(x))

bool SIM_NAME(sim_lower_approx)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    static const struct {
        const char *opcode;
        sim_handler *f32, *f64;
    } rows[] = {{"ex2", ex2, NULL},    {"lg2", lg2, NULL},        {"rcp", rcp, rcp64},
                {"sqrt", root, NULL},  {"rsqrt", rsqrt, rsqrt64}, {"sin", sine, NULL},
                {"cos", cosine, NULL}, {"tanh", tanh_f32, NULL},  {"div", divide, NULL}};
    const ptx_type type = ptx_nth_type(p, 0);
    sim_handler *run = NULL;
    if (type != PTX_F32 && type != PTX_F64) {
        return SIM_NAME(sim_lower_half)(l, p, inst);
    }
    sim_lower_operands(l, p, inst, type);
    inst->mods = sim_float_mods(p);
    inst->flags = ptx_has(p, "full");
    for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
        if (strcmp(rows[n].opcode, p->opcode) == 0) {
            run = type == PTX_F32 ? rows[n].f32 : rows[n].f64;
        }
    }
    if (type == PTX_F64 && !(inst->mods & SIM_FTZ)) {
        run = run == rsqrt64 ? rsqrt64_full : NULL;
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_SFU);
}

const sim_op SIM_NAME(sim_ops_approx)[] = {
    {"ex2", SIM_NAME(sim_lower_approx)},
    {"lg2", SIM_NAME(sim_lower_approx)},
    {"rsqrt", SIM_NAME(sim_lower_approx)},
    {"sin", SIM_NAME(sim_lower_approx)},
    {"cos", SIM_NAME(sim_lower_approx)},
    {"tanh", SIM_NAME(sim_lower_approx)},
    {NULL, NULL},
};
