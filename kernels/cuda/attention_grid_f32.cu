/*
 * attention_grid in f32: any grid, window and head size. Contract in kernels.h; the loop stands in
 * attention_f32.cuh.
 *
 * Grid (images * windows * blocks of queries, heads), block 256; 64 queries a block, 32 if d > 80. The block
 * keeps the terms of its queries, [queries][2][terms_ld], in shared memory if a row has at most GRID_TERMS
 * floats, else in the workspace.
 */
#include "kernels/cuda/attention_f32.cuh"
#include "kernels/cuda/attention_place.cuh"

template <int D> struct grid_f32_shared {
    f32_shared<D> range;
    float term[f32_shape<D>::block * 2 * GRID_TERMS];
};

struct grid_f32_source {
    const sa_attention_grid_launch &args;
    const grid_place &place;
    const float *term; /* or NULL */
    int head_dim;
    bool vector;

    __device__ __forceinline__ const float *token(int part, int y, int x) const
    {
        const int hidden = args.heads * args.head_dim, at = part * hidden + place.head * args.head_dim;
        return y >= place.down || x >= place.across
                   ? args.pad + at
                   : (const float *)args.qkv + token_at(args, place, y, x) * 3 * hidden + at;
    }

    __device__ __forceinline__ const float *row(int part, int key) const
    {
        return token(part, key / args.size, key % args.size);
    }

    __device__ __forceinline__ float start(int query, int key) const
    {
        const float *mine = term + query * 2 * args.terms_ld;
        return term == NULL ? 0.0f : mine[key / args.size] + mine[args.terms_ld + key % args.size];
    }
};

/* term[i][table][k]: query i's products with its rows of rel_h and rel_w, times sqrt(d). */
template <int D>
SA_DEVICE void fill_terms(float *term, const sa_attention_grid_launch &args, const grid_place &place,
                          const f32_shared<D> &shared, int first)
{
    const int columns = args.rel_columns, queries = place.down * place.across;
    for (int index = threadIdx.x; index < f32_shape<D>::block * 2 * args.size; index += F32_THREADS) {
        int k = index % args.size, table = index / args.size % 2, i = index / args.size / 2;
        int query = min(first + i, queries - 1);
        int at = table == 0 ? query / place.across : query % place.across;
        const float *column = (const float *)(table == 0 ? args.rel_h : args.rel_w) + args.size - 1 - at + k;
        float sum = 0.0f;
        for (int c = 0; c < args.head_dim; c++) {
            sum = fmaf(shared.q[i][c], column[(size_t)c * columns], sum);
        }
        term[(i * 2 + table) * args.terms_ld + k] = sum * args.root;
    }
}

template <int D>
SA_DEVICE void store_queries(const f32_state<D> &state, const sa_attention_grid_launch &args,
                             const grid_place &place, int first)
{
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16, hidden = args.heads * args.head_dim;
#pragma unroll
    for (int r = 0; r < f32_shape<D>::rows; r++) {
        float inverse = __frcp_rn(f32_total(state.total[r]));
        int query = first + ty * f32_shape<D>::rows + r;
        if (query >= place.down * place.across) {
            continue;
        }
        size_t token = token_at(args, place, query / place.across, query % place.across);
        float *to = (float *)args.out + token * hidden + place.head * args.head_dim;
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            if (tx + 16 * j < args.head_dim) {
                to[tx + 16 * j] = state.out[r][j] * inverse;
            }
        }
    }
}

template <int D> SA_DEVICE void attend_grid(const sa_attention_grid_launch &args, unsigned char *memory)
{
    grid_f32_shared<D> *shared = (grid_f32_shared<D> *)memory;
    const grid_place place = place_of_block(args);
    const int first = place.tile * f32_shape<D>::block, queries = place.down * place.across;
    if (first >= queries) {
        return; /* a window at the edge has fewer blocks; the whole block leaves */
    }
    grid_f32_source source = {args, place, NULL, args.head_dim, args.vector != 0};
    f32_copy<D>(
        shared->range.q[0], 4, f32_shape<D>::block, queries - first, args.head_dim, args.vector != 0,
        [&](int i) { return source.token(0, (first + i) / place.across, (first + i) % place.across); });
    if (args.rel_h != NULL) {
        size_t slot = (size_t)blockIdx.y * gridDim.x + blockIdx.x;
        float *term =
            args.terms == NULL ? shared->term : args.terms + slot * f32_shape<D>::block * 2 * args.terms_ld;
        cp_async_commit();
        cp_async_wait<0>();
        __syncthreads(); /* queries are here, for everybody */
        fill_terms<D>(term, args, place, shared->range, first);
        source.term = term; /* read behind the barrier of the first tile */
    }
    f32_state<D> state;
    f32_begin(state);
    f32_range<D>(state, shared->range, source, 0, args.size * args.size, args.scale);
    store_queries<D>(state, args, place, first);
}

#define ENTRY(D)                                                                                             \
    extern "C" __global__ void __launch_bounds__(F32_THREADS, 2)                                             \
        attention_grid_##D##_f32(const __grid_constant__ sa_attention_grid_launch args)                      \
    {                                                                                                        \
        extern __shared__ __align__(256) unsigned char shared[];                                             \
        attend_grid<D>(args, shared);                                                                        \
    }

ENTRY(32)
ENTRY(64)
ENTRY(80)
ENTRY(128)
