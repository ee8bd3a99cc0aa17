#include "tests/kernels/vec_probe.h"

#include "kernels/cpu/ops/vec.h"

static void probe_exp2_negative(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += VL) {
        vf_store(y + i, vf_exp2_negative(vf_load(x + i)));
    }
}

static void probe_exp2_negative_short(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += VL) {
        vf_store(y + i, vf_exp2_negative_short(vf_load(x + i)));
    }
}

static void probe_gelu(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += VL) {
        vf_store(y + i, vf_gelu(vf_load(x + i)));
    }
}

static void probe_relu(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += VL) {
        vf_store(y + i, vf_activate(vf_load(x + i), SA_ACT_RELU));
    }
}

static void probe_to_bf16(uint16_t *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += VL) {
        vf_to_bf16(y + i, vf_load(x + i));
    }
}

static void probe_from_bf16(float *y, const uint16_t *x, size_t count)
{
    for (size_t i = 0; i < count; i += VL) {
        vf_store(y + i, vf_from_bf16(x + i));
    }
}

static void probe_sum(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += VL) {
        y[i / VL] = vf_sum(vf_load(x + i));
    }
}

static void probe_max_lane(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += VL) {
        y[i / VL] = vf_max_lane(vf_load(x + i));
    }
}

#define PROBE2(level) vec_probe_##level
#define PROBE(level) PROBE2(level)
#define TEXT2(level) #level
#define TEXT(level) TEXT2(level)

const vec_probe PROBE(SA_ISA) = {
    .name = TEXT(SA_ISA),
    .exp2_negative = probe_exp2_negative,
    .exp2_negative_short = probe_exp2_negative_short,
    .gelu = probe_gelu,
    .relu = probe_relu,
    .to_bf16 = probe_to_bf16,
    .from_bf16 = probe_from_bf16,
    .lanes = VL,
    .sum = probe_sum,
    .max_lane = probe_max_lane,
};
