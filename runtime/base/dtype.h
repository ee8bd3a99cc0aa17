/* Element types of tensors, in files and in memory, and the conversions between the floating ones. */
#ifndef SA_BASE_DTYPE_H
#define SA_BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum {
    SA_F32 = 0,
    SA_F16,  /* IEEE half */
    SA_BF16, /* the upper half of an f32 */
    SA_F64,
    SA_U8,
    SA_I8,
    SA_I16,
    SA_I32,
    SA_I64,
    SA_BOOL,
    SA_DTYPE_COUNT
} sa_dtype;

typedef uint16_t sa_bf16;
typedef uint16_t sa_f16;

static inline size_t sa_dtype_size(sa_dtype dtype)
{
    static const unsigned char sizes[SA_DTYPE_COUNT] = {4, 2, 2, 8, 1, 1, 2, 4, 8, 1};
    return sizes[dtype];
}

/* "f32", "bf16", ...: what users read and type. */
static inline const char *sa_dtype_name(sa_dtype dtype)
{
    static const char *const names[SA_DTYPE_COUNT] = {"f32", "f16", "bf16", "f64", "u8",
                                                      "i8",  "i16", "i32",  "i64", "bool"};
    return names[dtype];
}

static inline float sa_bf16_to_f32(sa_bf16 value)
{
    uint32_t bits = (uint32_t)value << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* Round to nearest even; NaN stays NaN (quieted), infinity stays infinity. */
static inline sa_bf16 sa_bf16_from_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (sa_bf16)((bits >> 16) | 0x40u);
    }
    return (sa_bf16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* Exact: every half is an f32. */
static inline float sa_f16_to_f32(sa_f16 value)
{
    uint32_t sign = (uint32_t)(value & 0x8000u) << 16;
    uint32_t exponent = (value >> 10) & 0x1fu;
    uint32_t fraction = value & 0x3ffu;
    uint32_t bits;
    if (exponent == 0x1fu) {
        bits = sign | 0x7f800000u | (fraction << 13);
    } else if (exponent != 0) {
        bits = sign | ((exponent + 112u) << 23) | (fraction << 13);
    } else { /* zero and subnormals: fraction * 2^-24 */
        float magnitude = (float)fraction * 0x1p-24f;
        memcpy(&bits, &magnitude, sizeof bits);
        bits |= sign;
    }
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

#endif
