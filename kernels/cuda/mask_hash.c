/* Launcher of mask_hash: two kernels, words -> sums of blocks -> hash. */
#include "kernels/cuda/mask_hash.h"

#include "kernels/cuda/launchers.h"

#define MOST_WORDS ((size_t)1 << 34)

static size_t words_of(const sa_mask_hash_args *args)
{
    size_t stride = (args->width + 63) / 64;
    SA_ASSERT(args->height >= 1 && stride >= 1 && stride <= MOST_WORDS / args->height);
    return args->height * stride;
}

static unsigned parts_of(size_t words)
{
    unsigned blocks = sa_cuda_blocks(words, SA_MASK_HASH_STRIP);
    return blocks < SA_MASK_HASH_MOST_PARTS ? blocks : SA_MASK_HASH_MOST_PARTS;
}

size_t sa_cuda_mask_hash_workspace(const sa_stream *stream, const sa_mask_hash_args *args)
{
    (void)stream;
    return parts_of(words_of(args)) * sizeof(uint64_t);
}

void sa_cuda_mask_hash(sa_stream *stream, const sa_mask_hash_args *args)
{
    size_t words = words_of(args);
    sa_cuda_mask_hash_args a = {
        .bits = args->bits,
        .parts = args->workspace,
        .hash = args->hash,
        .words = words,
        .height = args->height,
        .width = args->width,
        .part_count = parts_of(words),
    };
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_mask_hash_parts,
                               .grid = {a.part_count, 1, 1},
                               .block = {SA_MASK_HASH_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .bytes = 8.0 * (double)(words + a.part_count),
                           });
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_mask_hash_finish,
                               .grid = {1, 1, 1},
                               .block = {SA_MASK_HASH_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .bytes = 8.0 * ((double)a.part_count + 1.0),
                           });
}
