/*
 * The packed tables of relative position, as attention_grid reads them. Column j of the packed table is row
 * 2S-2-j of the source: so the products of a query at h with columns S-1-h .. 2S-2-h are its terms for k = 0
 * .. S-1.
 *
 * bf16, f16: fragments of mma for a head of D = rel_pack_width(d) values, zeros past d and the last column:
 *
 *   [tile of 8 columns][D / 16][lane g, t] -> (column g, values 2t, 2t+1), (column g, values 2t+8, 2t+9)
 *
 * f32: [d][ld] with ld = rel_pack_columns(S), zeros past the last column.
 */
#ifndef SA_KERNELS_CUDA_REL_PACK_H
#define SA_KERNELS_CUDA_REL_PACK_H

enum { REL_PACK_THREADS = 256 };

typedef struct {
    const float *source;
    void *packed;
    unsigned count; /* of 32-bit words in packed */
    int size, head_dim;
    int width;   /* 16 bits: D */
    int columns; /* f32: ld */
} sa_rel_pack_launch;

/* The head size for which 16-bit kernels are made that a head of `head_dim` values uses. */
static inline int rel_pack_width(int head_dim)
{
    return head_dim <= 16 ? 16 : head_dim <= 32 ? 32 : head_dim <= 64 ? 64 : head_dim <= 80 ? 80 : 128;
}

static inline int rel_pack_columns(int size)
{
    return (2 * size - 1 + 31) / 32 * 32;
}

#endif
