/*
 * The plain meaning of every op of kernels.h: loops written from the formulas, sums in f64, no blocking, no
 * vectors, and no code in common with the kernels. Slow on purpose.
 *
 * A reference takes the op's own arguments for shapes, strides and options, but reads the stored operands as
 * f32 arrays given apart: the same numbers, already rounded through the storage dtype, in the same layout. It
 * writes contiguous f32 rows. Operands that are f32 in the contract (bias, tables, points) are read from the
 * arguments.
 */
#ifndef SA_TESTS_REF_OPS_H
#define SA_TESTS_REF_OPS_H

#include <stdbool.h>

#include "kernels/kernels.h"

/* x * (1 + erf(x / sqrt 2)) / 2, and the other activations, in f64. */
double ref_gelu(double x);
double ref_activate(double x, sa_activation act);

/*
 * a [m,k] with args->lda, w [n,k] contiguous; want [m,n]. Reads the residual: call it before an op that
 * overwrites it.
 */
void ref_gemm(const sa_gemm_args *args, const float *a, const float *w, float *want);
void ref_layernorm(const sa_layernorm_args *args, float *want);
void ref_add(const sa_add_args *args, float *want);

/* rel_h and rel_w [2S-1, d] as they come from a file, or NULL; pad_qkv as rounded through the dtype. */
void ref_attention_grid(const sa_attention_grid_args *args, const float *qkv, const float *pad_qkv,
                        const float *rel_h, const float *rel_w, float *want);
/* The same for one token of all images and one head: out [d]. */
void ref_attention_grid_token(const sa_attention_grid_args *args, const float *qkv, const float *pad_qkv,
                              const float *rel_h, const float *rel_w, size_t token, size_t head, float *out);
/* want has the layout of args->out, ldo included; rows that no item owns are left alone. */
void ref_attention(const sa_attention_args *args, const float *q, const float *k, const float *v,
                   float *want);

void ref_im2col(const sa_im2col_args *args, const float *x, float *want);
void ref_patchify(const sa_patchify_args *args, float *want);
void ref_point_encode(const sa_point_encode_args *args, float *want);
void ref_mask_product(const sa_mask_product_args *args, const float *features, float *want);
/* The two whole stages of MODEL_SPECS 2.6: logits [height, width], before the threshold. */
void ref_mask_resize(const sa_mask_resize_args *args, double *logits);
/* A byte of 0 or 1 for each pixel: want [height, width]. */
void ref_mask_threshold(const sa_mask_threshold_args *args, uint8_t *want);
/* Word by word from their bytes, none left out. */
uint64_t ref_mask_hash(const sa_mask_hash_args *args);
/*
 * MODEL_SPECS 1.7 by its formula, without the op's table: want [height, width, 3]. `nearest` rounds halves to
 * even, otherwise the fraction is dropped. The same bytes on every machine for alphas of few binary digits.
 */
void ref_overlay(const sa_overlay_args *args, const uint8_t color[3], double alpha, bool nearest,
                 uint8_t *want);
void ref_image_place(const sa_image_place_args *args, uint8_t *want);

/* table [V,D] and x as f32. */
void ref_embed(const sa_embed_args *args, const float *table, float *want);
void ref_rmsnorm(const sa_rmsnorm_args *args, float *want);
void ref_gate(const sa_gate_args *args, const float *x, float *want);
/*
 * want_qkv [rows, (H+2*Hkv)*d]; k_pages and v_pages as f32, of which the rows' slots are written. Positions
 * and slots are read from the arguments.
 */
void ref_rope_append(const sa_rope_append_args *args, const float *qkv, float *want_qkv, float *k_pages,
                     float *v_pages);
/* want has the layout of args->out, ldo included; rows that no item owns are left alone. */
void ref_attention_paged(const sa_attention_paged_args *args, const float *q, const float *k_pages,
                         const float *v_pages, float *want);

/*
 * What sample should choose for one row. `margin` says how near another choice was: the least distance of u,
 * top_p and min_p, as shares of the whole, to where the result would change (1 if nothing is near).
 */
typedef struct {
    int32_t token;
    double logprob, margin;
} ref_sampled;

ref_sampled ref_sample(const float *logits, size_t vocabulary, const sa_sample_choice *choice);

/*
 * Nearest bf16, ties to even, found by comparing the neighbours; as the bits of a bf16. Finite values only.
 */
uint16_t ref_bf16(float value);

#endif
