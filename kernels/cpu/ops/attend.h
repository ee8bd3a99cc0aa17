/*
 * The heart of both attention ops: a block of queries against packed keys and values, in the manner of
 * FlashAttention (Dao et al. 2022): keys come in blocks, each block's scores live in a scratch tile, and sums
 * are rescaled when a row's maximum grows. All products run on the micro-kernel of tile.h.
 *
 * Keys stand in columns 0 .. columns-1. They form rows of `width` columns (SAM's key rows; one row for plain
 * attention), padded to whole vectors, and the score of query i with column c starts as
 *   row[i][c / width] + column[i][c % width]
 * before q.k is added: so relative position and the masking of padding columns (HIDDEN) cost no extra pass.
 */
#ifndef SA_KERNELS_CPU_OPS_ATTEND_H
#define SA_KERNELS_CPU_OPS_ATTEND_H

#include "kernels/cpu/ops/pack.h"

enum {
    QUERY_BLOCK = 48,          /* rows of a scratch tile: 8 micro-tiles share each panel of keys */
    KEY_BLOCK = 256,           /* columns of a scratch tile */
    SCORE_LD = KEY_BLOCK + 16, /* not a power of two, so that rows fall into different cache sets */
    MOST_HEAD_DIM = 128,
};

#define HIDDEN (-1e30f) /* far below any score, and finite: HIDDEN - HIDDEN is 0, not NaN */

SA_INLINE size_t round_up_to(size_t count, size_t multiple)
{
    return (count + multiple - 1) / multiple * multiple;
}

typedef struct {
    sa_dtype dtype;
    size_t head_dim;
    size_t columns, width; /* multiples of VL; width divides columns */
    uint32_t *k;           /* [panels][steps over head_dim][PANEL] words */
    uint32_t *v;           /* [panels over head_dim][steps over columns][PANEL] words */
} attend_keys;

SA_INLINE size_t attend_key_panels(size_t columns)
{
    return (columns + PANEL - 1) / PANEL;
}

SA_INLINE size_t attend_k_bytes(size_t columns, size_t head_dim, sa_dtype dtype)
{
    return attend_key_panels(columns) * tile_steps(head_dim, dtype) * tile_step_bytes();
}

SA_INLINE size_t attend_v_steps(size_t columns, sa_dtype dtype)
{
    return tile_steps(attend_key_panels(columns) * PANEL, dtype);
}

SA_INLINE size_t attend_v_bytes(size_t columns, size_t head_dim, sa_dtype dtype)
{
    return (head_dim + PANEL - 1) / PANEL * attend_v_steps(columns, dtype) * tile_step_bytes();
}

/* What one thread works in. */
typedef struct {
    float *scores;    /* [QUERY_BLOCK, SCORE_LD]; becomes the probabilities in place, in the keys' dtype */
    float *out;       /* [QUERY_BLOCK, MOST_HEAD_DIM] sums of p*v */
    float *peak;      /* [QUERY_BLOCK] the row's largest score so far */
    float *total;     /* [QUERY_BLOCK] sum of p so far */
    unsigned char *q; /* [QUERY_BLOCK, head_dim] in the keys' dtype */
} attend_scratch;

enum { ATTEND_SCRATCH_FLOATS = QUERY_BLOCK * (SCORE_LD + MOST_HEAD_DIM + 1 + 1 + MOST_HEAD_DIM) };

SA_INLINE attend_scratch attend_scratch_on(float *memory)
{
    attend_scratch s;
    s.scores = memory;
    s.out = s.scores + QUERY_BLOCK * SCORE_LD;
    s.q = (unsigned char *)(s.out + QUERY_BLOCK * MOST_HEAD_DIM);
    s.peak = s.out + 2 * QUERY_BLOCK * MOST_HEAD_DIM;
    s.total = s.peak + QUERY_BLOCK;
    return s;
}

typedef struct {
    const float *row[QUERY_BLOCK], *column[QUERY_BLOCK]; /* one pair for each query */
} attend_terms;

SA_INLINE void attend_start_scores(const attend_keys *keys, const attend_terms *terms, float *scores,
                                   size_t rows, size_t first, size_t count)
{
    for (size_t i = 0; i < rows; i++) {
        const float *row = terms->row[i] + first / keys->width;
        const float *column = terms->column[i];
        size_t place = first % keys->width;
        for (size_t j = 0; j < count; j += VL) {
            vf_store(scores + i * SCORE_LD + j, vf_load(column + place) + *row);
            place += VL;
            if (place == keys->width) {
                place = 0;
                row++;
            }
        }
    }
}

/*
 * Scores of one row to probabilities, in place; returns the factor for the row's earlier sums.
 * p = 2^((score - peak) * scale), scale = log2(e) / sqrt(head_dim).
 */
SA_INLINE float attend_softmax_row(sa_dtype dtype, float *row, size_t count, float scale, float *peak,
                                   float *total)
{
    vf most = vf_set(HIDDEN);
    for (size_t j = 0; j < count; j += VL) {
        most = vf_max(vf_load(row + j), most); /* a NaN is left to the exponential */
    }
    float before = *peak;
    float after = vf_max_lane(most);
    after = after > before ? after : before;
    vf sum = {0};
    for (size_t j = 0; j < count; j += VL) {
        vf x = (vf_load(row + j) - after) * scale;
        vf p = dtype == SA_F32 ? vf_exp2_negative(x) : vf_exp2_negative_short(x);
        sum += p;
        if (dtype == SA_F32) {
            vf_store(row + j, p);
        } else { /* behind the reader: element j of bf16 stands at half the distance of float j */
            vf_to_bf16((sa_bf16 *)row + j, p);
        }
    }
    float keep = 1.0f;
    if (after > before) { /* of the first block, and of hidden keys alone, nothing is kept */
        keep = before > HIDDEN ? vf_exp2_negative(vf_set((before - after) * scale))[0] : 0.0f;
    }
    *peak = after;
    *total = *total * keep + vf_sum(sum);
    return keep;
}

SA_INLINE void attend_rescale(float *out, size_t head_dim, float keep)
{
    if (keep != 1.0f) {
        for (size_t j = 0; j < head_dim; j += VL) {
            vf_store(out + j, vf_load(out + j) * keep);
        }
    }
}

/* One block of key columns: scores, probabilities, p*v. */
SA_INLINE void attend_block(sa_dtype dtype, const attend_keys *keys, const attend_terms *terms,
                            attend_scratch *s, size_t rows, size_t first, size_t count)
{
    size_t size = sa_dtype_size(dtype);
    size_t k_steps = tile_steps(keys->head_dim, dtype);
    attend_start_scores(keys, terms, s->scores, rows, first, count);
    for (size_t j = 0; j < count; j += PANEL) {
        int vectors = count - j < PANEL ? (int)((count - j) / VL) : TILE_VECTORS;
        tile_rows(dtype, rows, vectors, k_steps, s->q, keys->head_dim * size,
                  keys->k + (first + j) / PANEL * k_steps * PANEL, s->scores + j, SCORE_LD);
    }
    float scale = LOG2_E / sqrtf((float)keys->head_dim);
    for (size_t i = 0; i < rows; i++) {
        float keep =
            attend_softmax_row(dtype, s->scores + i * SCORE_LD, count, scale, &s->peak[i], &s->total[i]);
        attend_rescale(s->out + i * MOST_HEAD_DIM, keys->head_dim, keep);
    }
    size_t v_steps = attend_v_steps(keys->columns, dtype);
    for (size_t j = 0; j < keys->head_dim; j += PANEL) {
        size_t left = keys->head_dim - j;
        int vectors = left < PANEL ? (int)((left + VL - 1) / VL) : TILE_VECTORS;
        const uint32_t *v = keys->v + (j / PANEL * v_steps + tile_steps(first, dtype)) * PANEL;
        tile_rows(dtype, rows, vectors, tile_steps(count, dtype), (const unsigned char *)s->scores,
                  SCORE_LD * sizeof(float), v, s->out + j, MOST_HEAD_DIM);
    }
}

/*
 * s->q holds `rows` <= QUERY_BLOCK queries; afterwards s->out holds their attention, normalised, in f32.
 * head_dim need not be a multiple of VL: what lies past it in s->out is scratch.
 */
SA_INLINE void attend_rows(sa_dtype dtype, const attend_keys *keys, const attend_terms *terms,
                           attend_scratch *s, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        memset(s->out + i * MOST_HEAD_DIM, 0, round_up_to(keys->head_dim, VL) * sizeof(float));
        s->peak[i] = HIDDEN;
        s->total[i] = 0.0f;
    }
    for (size_t first = 0; first < keys->columns; first += KEY_BLOCK) {
        size_t count = keys->columns - first < KEY_BLOCK ? keys->columns - first : KEY_BLOCK;
        attend_block(dtype, keys, terms, s, rows, first, count);
    }
    for (size_t i = 0; i < rows; i++) {
        attend_rescale(s->out + i * MOST_HEAD_DIM, keys->head_dim, 1.0f / s->total[i]);
    }
}

/* Row i of s->out, rounded to `dtype`, into element `index` of `to`. */
SA_INLINE void attend_store_row(const attend_scratch *s, size_t i, size_t head_dim, void *to, sa_dtype dtype,
                                size_t index)
{
    for (size_t j = 0; j < head_dim; j += VL) {
        vf_store_as(to, dtype, index + j, vf_load(s->out + i * MOST_HEAD_DIM + j), head_dim - j);
    }
}

#endif
