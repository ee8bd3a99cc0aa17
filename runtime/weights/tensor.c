/*
 * Reading the elements of a tensor: conversions between floating types, and the scan for values that are not
 * finite.
 */
#include <math.h>
#include <stdio.h>

#include "runtime/weights/weights.h"

bool sa_dtype_is_float(sa_dtype dtype)
{
    return dtype == SA_F32 || dtype == SA_F16 || dtype == SA_BF16 || dtype == SA_F64;
}

const char *sa_shape_format(const size_t *shape, int rank, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int axis = 0; axis < rank && used < size; axis++) {
        used += (size_t)snprintf(text + used, size - used, "%s%zu", axis > 0 ? ", " : "", shape[axis]);
    }
    if (used < size) {
        snprintf(text + used, size - used, "]");
    }
    return text;
}

/*
 * sa_f16_to_f32 without branches, so that the loop below becomes vector code: all three cases (zero and
 * subnormal, normal, infinite or NaN) are computed and one is selected.
 */
static inline uint32_t widen_f16(uint32_t value)
{
    uint32_t sign = (value & 0x8000u) << 16;
    uint32_t exponent = value & 0x7c00u;
    uint32_t normal = ((value & 0x7fffu) << 13) + (112u << 23); /* 112 = 127 - 15, the two biases */
    uint32_t special = normal + (112u << 23);                   /* exponent 31 to 255 */
    float fraction = (float)(int32_t)(value & 0x3ffu) * 0x1p-24f;
    uint32_t subnormal;
    memcpy(&subnormal, &fraction, sizeof subnormal);
    uint32_t magnitude = exponent == 0x7c00u ? special : normal;
    return sign | (exponent == 0 ? subnormal : magnitude);
}

/*
 * The loops load through memcpy because data may be unaligned; compilers turn that into plain vector loads.
 */
static void read_f16(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + 2 * i, sizeof half);
        uint32_t bits = widen_f16(half);
        memcpy(&out[i], &bits, sizeof bits);
    }
}

static void read_bf16(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, data + 2 * i, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}

static void read_f64(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, data + 8 * i, sizeof value);
        out[i] = (float)value;
    }
}

void sa_tensor_read_f32(const sa_tensor *tensor, size_t begin, size_t count, float *out)
{
    SA_ASSERT(sa_dtype_is_float(tensor->dtype));
    SA_ASSERT(begin <= tensor->count && count <= tensor->count - begin);
    if (count == 0) {
        return; /* an empty tensor's data may be NULL */
    }
    const unsigned char *data = tensor->data + begin * sa_dtype_size(tensor->dtype);
    switch (tensor->dtype) {
    case SA_F16: read_f16(data, count, out); break;
    case SA_BF16: read_bf16(data, count, out); break;
    case SA_F64: read_f64(data, count, out); break;
    default: memcpy(out, data, count * sizeof *out); break;
    }
}

/*
 * Not finite: all exponent bits set. By bit pattern, since arithmetic tests may be folded away by compiler
 * flags.
 */
static size_t count_exponents_16(const unsigned char *data, size_t count, uint16_t mask)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, data + 2 * i, sizeof bits);
        found += (bits & mask) == mask;
    }
    return found;
}

static size_t count_exponents_32(const unsigned char *data, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, data + 4 * i, sizeof bits);
        found += (bits & 0x7f800000u) == 0x7f800000u;
    }
    return found;
}

static size_t count_exponents_64(const unsigned char *data, size_t count)
{
    const uint64_t mask = 0x7ff0000000000000u;
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, data + 8 * i, sizeof bits);
        found += (bits & mask) == mask;
    }
    return found;
}

size_t sa_tensor_count_nonfinite(const sa_tensor *tensor)
{
    switch (tensor->dtype) {
    case SA_F32: return count_exponents_32(tensor->data, tensor->count);
    case SA_F16: return count_exponents_16(tensor->data, tensor->count, 0x7c00u);
    case SA_BF16: return count_exponents_16(tensor->data, tensor->count, 0x7f80u);
    case SA_F64: return count_exponents_64(tensor->data, tensor->count);
    default: return 0;
    }
}

/* Round to nearest even by way of an f32 addition that shifts the fraction out; NaN stays NaN (quieted). */
size_t sa_tensor_count_beyond_f16(const sa_tensor *tensor)
{
    enum { BLOCK = 512 };
    float block[BLOCK];
    size_t beyond = 0;
    bool wide = sa_dtype_is_float(tensor->dtype) && tensor->dtype != SA_F16;
    for (size_t done = 0; wide && done < tensor->count; done += BLOCK) {
        size_t n = tensor->count - done < BLOCK ? tensor->count - done : BLOCK;
        sa_tensor_read_f32(tensor, done, n, block);
        for (size_t i = 0; i < n; i++) { /* halfway between the largest f16 and 2^16 is rounded up, to even */
            beyond += fabsf(block[i]) >= 65520.0f;
        }
    }
    return beyond;
}

static sa_f16 narrow_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (sa_f16)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    }
    if (magnitude >=
        0x477ff000u) { /* 65520, halfway between the largest half and 2^16: up from there is infinity */
        return (sa_f16)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { /* below 2^-14: a multiple of 2^-24, which the addition of 0.5 rounds to */
        float shifted;
        memcpy(&shifted, &magnitude, sizeof shifted);
        shifted += 0.5f;
        memcpy(&bits, &shifted, sizeof bits);
        return (sa_f16)(sign | (bits - 0x3f000000u));
    }
    uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u) - (112u << 23);
    return (sa_f16)(sign | rounded >> 13);
}

static void narrow_block(const float *block, size_t count, sa_dtype to, unsigned char *out)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t half = to == SA_F16 ? narrow_f16(block[i]) : sa_bf16_from_f32(block[i]);
        memcpy(out + 2 * i, &half, sizeof half);
    }
}

static size_t count_nonfinite(const void *data, sa_dtype dtype, size_t count)
{
    sa_tensor piece = {.dtype = dtype, .data = data, .count = count};
    return sa_tensor_count_nonfinite(&piece);
}

size_t sa_tensor_convert(const sa_tensor *tensor, size_t begin, size_t count, sa_dtype to, void *out)
{
    SA_ASSERT(to == SA_F32 || to == SA_F16 || to == SA_BF16);
    enum { BLOCK = 512 };
    float block[BLOCK];
    unsigned char *place = out;
    for (size_t done = 0; done < count; done += BLOCK) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        sa_tensor_read_f32(tensor, begin + done, n, block);
        if (to == SA_F32) {
            memcpy(place + 4 * done, block, n * sizeof block[0]);
        } else {
            narrow_block(block, n, to, place + 2 * done);
        }
    }
    /* NaN and infinity stay what they are, so the difference is what the rounding made. */
    return count_nonfinite(out, to, count) -
           count_nonfinite(tensor->data + begin * sa_dtype_size(tensor->dtype), tensor->dtype, count);
}
