// Two kernels whose machine code needs few registers, and many: what the tests of fat binaries read.
extern "C" __global__ void few(float *p)
{
    p[threadIdx.x] += 1;
}

extern "C" __global__ void many(float *p, int n)
{
    float value[48];
#pragma unroll
    for (int i = 0; i < 48; i++) {
        value[i] = p[i * 1024 + threadIdx.x];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 48; i++) {
        p[(47 - i) * 1024 + threadIdx.x] = value[i] * value[(i + 7) % 48] + n;
    }
}
