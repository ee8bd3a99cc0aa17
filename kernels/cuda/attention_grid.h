/* What attention_grid's launcher tells its kernels; see kernels.h for the meaning of the tensors. */
#ifndef SA_KERNELS_CUDA_ATTENTION_GRID_H
#define SA_KERNELS_CUDA_ATTENTION_GRID_H

enum {
    GRID_ANY_WARPS = 4,     /* attention_grid.cu: blocks of 64 queries, tiles of 64 keys */
    GRID_TERMS = 68,        /* floats of a query's row of terms in shared memory, most; beyond: workspace */
    GRID_GLOBAL_SIZE = 64,  /* attention_grid_global.cu: S, and keys of a tile */
    GRID_GLOBAL_ROWS = 128, /* its queries of a block */
    GRID_WINDOW_SIZE = 14,  /* attention_grid_window.cu: S */
    GRID_WINDOW_WARPS = 4,
    GRID_F32_THREADS = 256, /* attention_grid_f32.cu */
};

typedef struct {
    const void *qkv;
    const float *pad;
    const void *rel_h, *rel_w;
    void *out;
    float *terms;   /* workspace for terms, when a row has more than GRID_TERMS; else NULL */
    int side, size; /* size: S */
    int across;     /* windows across */
    int tiles;      /* blocks of queries of one window */
    int heads, head_dim;
    int terms_ld;    /* floats of a row of terms */
    int rel_columns; /* f32: columns of a packed table */
    int vector;      /* rows of a head are whole and aligned units of 16 bytes */
    float scale;     /* log2(e) / sqrt(d) */
    float root;      /* sqrt(d) */
} sa_attention_grid_launch;

#endif
