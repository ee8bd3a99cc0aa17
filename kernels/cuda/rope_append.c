/* Launcher of rope_append. */
#include "kernels/cuda/rope_append.h"

#include "kernels/cuda/launchers.h"

/*
 * Heads of a block. A thread keeps its cosines and sines for all of them, so many heads read the table less
 * often; few rows are spread over more blocks.
 */
static size_t heads_a_block(const sa_stream *stream, size_t rows, size_t heads)
{
    size_t blocks = 2 * (size_t)sa_cuda_processors(stream);
    size_t splits = rows >= blocks ? 1 : (blocks + rows - 1) / rows;
    size_t each = (heads + splits - 1) / splits;
    return each < 8 ? 8 : each;
}

/* Token by token: a warp takes a whole one at a time, for which ldmatrix turns the keys. */
size_t sa_cuda_kv_place(sa_dtype dtype, size_t head_dim, bool value, size_t key, size_t column)
{
    (void)dtype;
    (void)value;
    return key * head_dim + column;
}

void sa_cuda_rope_append(sa_stream *stream, const sa_rope_append_args *args)
{
    SA_ASSERT(args->head_dim % 2 == 0 && args->head_dim >= 2 && args->head_dim <= 128);
    SA_ASSERT(args->kv_heads >= 1 && args->heads % args->kv_heads == 0 && args->heads >= 1);
    size_t size = sa_dtype_size(args->dtype), heads = args->heads + 2 * args->kv_heads;
    SA_ASSERT(heads <= SA_CUDA_MOST_YZ);
    if (args->rows == 0) {
        return;
    }
    bool quads = args->head_dim % 8 == 0 && sa_cuda_aligned(args->qkv, 4 * size) &&
                 sa_cuda_aligned(args->k_pages, 4 * size) && sa_cuda_aligned(args->v_pages, 4 * size) &&
                 sa_cuda_aligned(args->table, 16);
    size_t each = heads_a_block(stream, args->rows, heads);
    sa_cuda_rope_append_args a = {
        .qkv = args->qkv,
        .position = args->position,
        .slot = args->slot,
        .table = args->table,
        .k_pages = args->k_pages,
        .v_pages = args->v_pages,
        .heads = (uint32_t)args->heads,
        .kv_heads = (uint32_t)args->kv_heads,
        .head_dim = (uint32_t)args->head_dim,
        .heads_a_block = (uint32_t)each,
    };
    sa_cuda_kernel kernel =
        quads ? sa_cuda_by_dtype(args->dtype, SA_CUDA_rope_append_quads_f32, SA_CUDA_rope_append_quads_bf16,
                                 SA_CUDA_rope_append_quads_f16)
              : sa_cuda_by_dtype(args->dtype, SA_CUDA_rope_append_singles_f32,
                                 SA_CUDA_rope_append_singles_bf16, SA_CUDA_rope_append_singles_f16);
    double values = (double)args->rows * (double)args->head_dim;
    double moved = (double)(2 * (args->heads + args->kv_heads) + 2 * args->kv_heads);
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = kernel,
                               .grid = {sa_cuda_blocks(args->rows, 1), sa_cuda_blocks(heads, each), 1},
                               .block = {SA_ROPE_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .flops = 3.0 * values * (double)(args->heads + args->kv_heads),
                               .bytes = values * (moved * (double)size + 4.0) + 8.0 * (double)args->rows,
                           });
}
