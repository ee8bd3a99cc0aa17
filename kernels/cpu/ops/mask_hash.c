/*
 * mask_hash on the CPU. Contract in kernels.h. One thread: a mask of 1024 x 683 takes a few microseconds,
 * less than it takes to wake the others.
 */
#include "kernels/mask_hash.h"
#include "kernels/cpu/ops/vec.h"

size_t SA_CPU(mask_hash_workspace)(const sa_stream *stream, const sa_mask_hash_args *args);
size_t SA_CPU(mask_hash_workspace)(const sa_stream *stream, const sa_mask_hash_args *args)
{
    (void)stream;
    (void)args;
    return 0;
}

void SA_CPU(mask_hash)(sa_stream *stream, const sa_mask_hash_args *args);
void SA_CPU(mask_hash)(sa_stream *stream, const sa_mask_hash_args *args)
{
    (void)stream;
    SA_ASSERT(args->height >= 1 && args->width >= 1);
    uint64_t sum = sa_mask_hash_sum(args->bits, args->height * ((args->width + 63) / 64));
    args->hash[0] = sa_mask_hash_finish(sum, args->height, args->width);
}
