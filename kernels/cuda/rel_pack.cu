/*
 * rel_pack: a table of relative position in the order in which attention_grid reads it (rel_pack.h). Contract
 * in kernels.h. Once per layer at load; a thread makes one 32-bit word of the packed table. Block 256.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/rel_pack.h"

SA_DEVICE float packed_value(const sa_rel_pack_launch &args, int column, int value)
{
    int row = 2 * args.size - 2 - column;
    return row >= 0 && value < args.head_dim ? args.source[(size_t)row * args.head_dim + value] : 0.0f;
}

SA_DEVICE void pack_halves(const sa_rel_pack_launch &args, sa_dtype dtype)
{
    const unsigned word = blockIdx.x * REL_PACK_THREADS + threadIdx.x;
    if (word >= args.count) {
        return;
    }
    const int half = word % 2, lane = word / 2 % 32, step = word / 64 % (args.width / 16);
    const int column = word / 64 / (args.width / 16) * 8 + lane / 4;
    const int value = step * 16 + half * 8 + lane % 4 * 2;
    ((uint32_t *)args.packed)[word] =
        half_pair(dtype, packed_value(args, column, value), packed_value(args, column, value + 1));
}

extern "C" __global__ void rel_pack_bf16(const __grid_constant__ sa_rel_pack_launch args)
{
    pack_halves(args, SA_BF16);
}

extern "C" __global__ void rel_pack_f16(const __grid_constant__ sa_rel_pack_launch args)
{
    pack_halves(args, SA_F16);
}

extern "C" __global__ void rel_pack_f32(const __grid_constant__ sa_rel_pack_launch args)
{
    const unsigned word = blockIdx.x * REL_PACK_THREADS + threadIdx.x;
    if (word < args.count) {
        ((float *)args.packed)[word] = packed_value(args, word % args.columns, word / args.columns);
    }
}
