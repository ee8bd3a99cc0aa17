/* What the simulator's own speed is measured with (tests/gpusim/speed.c): arithmetic that hangs on the data,
 * so that nothing of it can be left out. */
#include <stdint.h>

/* Integer and f32 work in equal parts, as address arithmetic and element-wise kernels have it. */
extern "C" __global__ void mix(const float *in, float *out, int rounds)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = in[i], y = in[i + 1], sum = 0;
    uint32_t h = i, k = 7;
    for (int r = 0; r < rounds; r++) {
#pragma unroll
        for (int step = 0; step < 8; step++) {
            x = x * 0.999f + y;
            y = y - x * 0.01f;
            sum += x > 0 ? x : y;
            h = (h << 5 | h >> 27) ^ (k + step);
            k = k * 5 + (h & 0xff);
        }
    }
    out[i] = sum + x + y + (float)(h ^ k);
}

/* m16n8k16 products of bf16, eight accumulators in flight. */
extern "C" __global__ void products(const uint32_t *in, float *out, int rounds)
{
    uint32_t a[4], b[2];
    float d[8][4] = {};
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int j = 0; j < 4; j++) {
        a[j] = in[6 * i + j];
    }
    b[0] = in[6 * i + 4];
    b[1] = in[6 * i + 5];
    for (int r = 0; r < rounds; r++) {
#pragma unroll
        for (int n = 0; n < 8; n++) {
            asm volatile(
                "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                "{%0,%1,%2,%3};"
                : "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
                : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
        }
    }
    for (int n = 0; n < 8; n++) {
        out[8 * i + n] = d[n][0] + d[n][1] + d[n][2] + d[n][3];
    }
}
