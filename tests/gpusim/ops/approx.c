/*
 * Approximate functions: ex2, lg2, rcp, sqrt, rsqrt, sin, cos, tanh, div. The device's own results are not
 * published to the bit; PTX gives their greatest error. Here the result is the host's, right to about one
 * unit in the last place; with GPUSIM_NOISE it is off by a seeded amount within the error that PTX allows, so
 * that no test depends on it.
 */
#include <math.h>

#include "tests/gpusim/ops/arith.h"

/* A number of -1 .. 1 that depends on seed and operand alone. */
static float noise(uint32_t bits)
{
    uint64_t x = (bits + 1) * 0x9E3779B97F4A7C15ull ^ sim_options.seed * 0xD1B54A32D192ED03ull;
    x ^= x >> 29;
    x *= 0xBF58476D1CE4E5B9ull;
    return (float)(int32_t)(x >> 32) * 0x1p-31f;
}

/* r, off by up to `relative` of itself plus `absolute`. */
static float perturbed(float r, float x, float relative, float absolute)
{
    if (!sim_options.noise || r != r || r == 0.0f || fabsf(r) == INFINITY) {
        return r;
    }
    return r + noise(sim_bits(x)) * (relative * fabsf(r) + absolute);
}

/* Errors: PTX ISA, "Floating Point Instructions": ex2 2 ulp, lg2 2^-22 absolute, rcp and rsqrt 1 ulp, sqrt
 * 2^-23, sin and cos 2^-20.5 absolute in -pi .. pi, tanh 2^-11, div 2 ulp. */
#define APPROX(name, EXPR, RELATIVE, ABSOLUTE)                                                               \
    SIM_HANDLER(name)                                                                                        \
    {                                                                                                        \
        const float *a = sim_f32(w, i->a);                                                                   \
        float r[SIM_LANES];                                                                                  \
        const bool ftz = i->mods & SIM_FTZ;                                                                  \
        for (uint32_t l = 0; l < SIM_LANES; l++) {                                                           \
            const float x = ftz ? sim_flush(a[l]) : a[l];                                                    \
            const float y = perturbed(EXPR, x, RELATIVE, ABSOLUTE);                                          \
            r[l] = sim_nan(ftz ? sim_flush(y) : y);                                                          \
        }                                                                                                    \
        sim_store_u32(sim_u32(w, i->dst), (const uint32_t *)(const void *)r, mask);                          \
    }

APPROX(ex2, exp2f(x), 0x1p-22f, 0)
APPROX(lg2, log2f(x), 0, 0x1p-22f)
APPROX(rcp, 1.0f / x, 0x1p-23f, 0)
APPROX(root, sqrtf(x), 0x1p-23f, 0)
APPROX(rsqrt, (float)(1.0 / sqrt((double)x)), 0x1p-22f, 0)
APPROX(sine, sinf(x), 0, 0x1p-21f)
APPROX(cosine, cosf(x), 0, 0x1p-21f)
APPROX(tanh_f32, tanhf(x), 0x1p-11f, 0)

SIM_HANDLER(divide)
{
    const float *a = sim_f32(w, i->a), *b = sim_f32(w, i->b);
    float r[SIM_LANES];
    const bool ftz = i->mods & SIM_FTZ;
    for (uint32_t l = 0; l < SIM_LANES; l++) {
        const float x = ftz ? sim_flush(a[l]) : a[l], y = ftz ? sim_flush(b[l]) : b[l];
        const float q = perturbed(x / y, x, 0x1p-22f, 0);
        r[l] = sim_nan(ftz ? sim_flush(q) : q);
    }
    sim_store_u32(sim_u32(w, i->dst), (const uint32_t *)(const void *)r, mask);
}

/* rcp.approx.ftz.f64, rsqrt.approx.ftz.f64: good to 20 bits and more; subnormals are zeros, the low half is
 * zero. */
#define APPROX64(name, EXPR)                                                                                 \
    SIM_HANDLER(name)                                                                                        \
    {                                                                                                        \
        const double *a = sim_f64(w, i->a);                                                                  \
        uint64_t r[SIM_LANES];                                                                               \
        for (uint32_t l = 0; l < SIM_LANES; l++) {                                                           \
            const double x = fabs(a[l]) < 0x1p-1022 ? copysign(0.0, a[l]) : a[l];                            \
            r[l] = sim_bits64(EXPR) & 0xffffffff00000000ull;                                                 \
        }                                                                                                    \
        sim_store_u64(sim_u64(w, i->dst), r, mask);                                                          \
    }
APPROX64(rcp64, 1.0 / x)
APPROX64(rsqrt64, 1.0 / sqrt(x))

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
    for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
        if (strcmp(rows[n].opcode, p->opcode) == 0) {
            run = type == PTX_F32 ? rows[n].f32 : rows[n].f64;
        }
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
