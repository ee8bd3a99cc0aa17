/* What the cost of the checks is measured with (tests/gpusim/speed_checks.c): the two shapes of work that
 * most of a model's time goes to. */
#include <cuda_bf16.h>
#include <stdint.h>

/* c [n,n] = a [n,n] b [n,n] in f32, tiles of 16 x 16 in shared memory. n % 16 == 0. */
extern "C" __global__ void matmul(const float *a, const float *b, float *c, int n)
{
    __shared__ float as[16][16], bs[16][16];
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * 16 + ty, column = blockIdx.x * 16 + tx;
    float sum = 0.0f;
    for (int first = 0; first < n; first += 16) {
        as[ty][tx] = a[row * n + first + tx];
        bs[ty][tx] = b[(first + ty) * n + column];
        __syncthreads();
        for (int i = 0; i < 16; i++) {
            sum = fmaf(as[ty][i], bs[i][tx], sum);
        }
        __syncthreads();
    }
    c[row * n + column] = sum;
}

#define TILE 64
#define STEP 32
#define ROW (STEP + 8) /* keeps the rows of an ldmatrix apart */

__device__ static void copy16(void *to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((uint32_t)__cvta_generic_to_shared(to)),
                 "l"(from)
                 : "memory");
}

__device__ static void load4(uint32_t to[4], const __nv_bfloat16 *from)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(from)));
}

/* c [n,n] f32 = a [n,n] b [n,n]^T, both bf16: two stages of asynchronous copies, 4 warps of 32 x 32. n % 64
 * == 0. */
extern "C" __global__ void gemm(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int n)
{
    __shared__ __align__(16) __nv_bfloat16 as[2][TILE][ROW], bs[2][TILE][ROW];
    int t = threadIdx.x, lane = t % 32, warp = t / 32, top = warp / 2 * 32, left = warp % 2 * 32;
    float sum[2][4][4] = {};
    for (int k = -STEP; k < n; k += STEP) {
        int next = (k + STEP) / STEP % 2;
        for (int i = t; k + STEP < n && i < TILE * STEP / 8; i += 128) {
            int row = i / (STEP / 8), column = i % (STEP / 8) * 8;
            copy16(&as[next][row][column], &a[(blockIdx.y * TILE + row) * n + k + STEP + column]);
            copy16(&bs[next][row][column], &b[(blockIdx.x * TILE + row) * n + k + STEP + column]);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
        for (int h = 0; k >= 0 && h < STEP; h += 16) {
            uint32_t fa[2][4], fb[2][4];
            for (int i = 0; i < 2; i++) {
                load4(fa[i], &as[1 - next][top + 16 * i + lane % 16][h + lane / 16 * 8]);
                load4(fb[i], &bs[1 - next][left + 16 * i + lane % 16][h + lane / 16 * 8]);
            }
            for (int i = 0; i < 2; i++) {
                for (int j = 0; j < 4; j++) {
                    float *d = sum[i][j];
                    asm volatile(
                        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
                        "{%8,%9}, {%0,%1,%2,%3};"
                        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                        : "r"(fa[i][0]), "r"(fa[i][1]), "r"(fa[i][2]), "r"(fa[i][3]), "r"(fb[j / 2][j % 2]),
                          "r"(fb[j / 2][j % 2 + 2]));
                }
            }
        }
        asm volatile("cp.async.wait_group 0;" ::: "memory");
        __syncthreads();
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 4; j++) {
            float *to = c + (blockIdx.y * TILE + top + 16 * i + lane / 4) * n + blockIdx.x * TILE + left +
                        8 * j + lane % 4 * 2;
            *(float2 *)to = make_float2(sum[i][j][0], sum[i][j][1]);
            *(float2 *)(to + 8 * n) = make_float2(sum[i][j][2], sum[i][j][3]);
        }
    }
}
