/*
 * kernels.h: every operation that the models are made of, in data-flow order. Pure C; knows no backend.
 *
 *   image -> image_resize -> patchify
 *         -> [ layernorm -> gemm (qkv) -> attention_grid -> gemm -> layernorm -> gemm -> gemm ]
 *         x depth -> convolution (im2col -> gemm) -> embedding
 *   clicks -> point_encode -> [ add -> gemm -> attention -> gemm -> layernorm ] x layers
 *         -> mask_product -> mask_resize, or mask_threshold -> mask_hash
 *   mask -> overlay -> image_place -> image_resize
 *   tokens -> embed -> [ rmsnorm -> gemm (qkv) -> rope_append -> attention_paged -> gemm -> rmsnorm
 *         -> gemm (gate | up) -> gate -> gemm ] x layers -> rmsnorm -> gemm (head) -> sample
 *
 * A backend is one sa_ops table. An op is queued on a stream and works on device memory that the caller owns;
 * it never allocates and never synchronises (the CPU backend happens to finish before it returns). Wrong
 * arguments are a bug in this program and abort; a device that fails marks the stream, later ops on it do
 * nothing, and sa_stream_wait() reports it. So a forward is a straight list of ops, with one status at its
 * end.
 *
 * Axis letters: B batch, T tokens (rows), D hidden, H heads, d head dim, C channels, h w pixels, S grid side.
 * All tensors are row-major; "ld" is the distance between rows in elements. Storage dtypes are f32 and bf16
 * ("T" below means either); every sum is in f32. bf16 rounds to nearest even. The CUDA backend takes f16
 * wherever bf16 stands (sa_device_has_f16()); what is too large for f16 becomes infinite there.
 *
 * Batch invariance: a row's result depends on that row and on the shapes n, k, d alone, never on the number
 * of rows, of items or of threads. Every reduction runs in one fixed order.
 *
 * References: tests/ref, one plain function per op. Tolerances: tests/kernels/tolerances.h.
 */
#ifndef SA_KERNELS_H
#define SA_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/dtype.h"

typedef struct sa_stream sa_stream; /* runtime/device/device.h */

typedef enum {
    SA_ACT_NONE = 0,
    SA_ACT_RELU,
    SA_ACT_GELU,      /* erf form, MODEL_SPECS 1.1 */
    SA_ACT_QUICK_GELU /* x / (1 + exp(-1.702 x)), MODEL_SPECS 1.1 */
} sa_activation;

/*
 * image_resize: Pillow's 8-bit resize of an RGB picture, equal byte for byte (MODEL_SPECS 1.5): across first,
 * then down, with 8 bits between.
 *   y[i, c] = clip8((2^21 + sum_k weight[i,k] * x[first[i] + k, c]) >> 22)        along one axis
 *   x [in_height, in_width, 3] u8 in    y [out_height, out_width, 3] u8 out, no overlap    both contiguous
 *   across, down: one axis each, a table [out, 2 + taps] i32 in device memory, as sa_resize_u8_table()
 *   (runtime/image/resize.h) makes it on the host: row i is first[i], count[i] <= taps, and that many
 *   weights in 1/2^22. NULL: the axis stays as it is; with a table it may keep its size, as a window does.
 *   workspace: image_resize_workspace() bytes, 256-byte aligned.
 * Sums are integers, |sum| < 2^31 for the weights of any picture.
 * Sides >= 1, heights <= 2^19, widths <= 2^20.
 */
typedef struct {
    size_t taps;
    const int32_t *table;
} sa_resize_axis;

typedef struct {
    size_t in_height, in_width, out_height, out_width;
    const uint8_t *x;
    uint8_t *y;
    sa_resize_axis across, down;
    void *workspace;
} sa_image_resize_args;

/*
 * patchify: cuts a padded, normalised picture into the rows of a patch embedding.
 *   y[b, (r*g + c), (ch*p + i)*p + j] = inside ? (pixels[b][r*p+i, c*p+j, ch] - mean[ch]) / std[ch] : 0
 *   where inside means r*p+i < height[b] and c*p+j < width[b]; g = side / p.
 *   y [B, g*g, 3*p*p] T out     pixels[b] [height, width, 3] u8 in (device memory), height, width <= side
 * Needs p >= 1, side % p == 0.
 * Moves 3*h*w + g*g*3*p*p*size(T) bytes per image.
 */
typedef struct {
    size_t batch, side, patch;
    const uint8_t *const *pixels; /* host array of device pointers [B] */
    const size_t *height, *width; /* host arrays [B] */
    float mean[3], std[3];        /* in units of 0..255 */
    void *y;
    sa_dtype dtype;
} sa_patchify_args;

/*
 * gemm: c[i,j] = act( sum_k a[i,k] * w[j,k] + bias[j] ) + residual[i % residual_rows, j]
 *   a [m,k] T in, ld lda    w [n,k] T in, packed by gemm_pack    bias [n] f32 in or NULL
 *   residual [residual_rows,n] f32 in or NULL, ld ldr; may be c if it has m rows
 *   c [m,n] f32 or bf16 out, ld ldc
 * The sum runs over k in order, in f32. m == 0 does nothing; n, k >= 1; lda >= k, ldc >= n, with a residual
 * ldr >= n; bf16 needs an even k. a and c must not overlap.
 * 2*m*n*k flops; moves (m*k + n*k)*size(T) + m*n*size(c) bytes.
 */
typedef struct {
    size_t m, n, k;
    sa_dtype dtype; /* of a and of the packed w */
    const void *a;
    size_t lda;
    const void *w;
    const float *bias;
    sa_activation act;
    const float *residual;
    size_t ldr, residual_rows; /* residual_rows 0 means m */
    void *c;
    sa_dtype c_dtype;
    size_t ldc;
} sa_gemm_args;

/*
 * gemm_pack: brings a weight matrix into the order in which gemm reads it; done once, at load.
 *   packed [gemm_packed_bytes(n, k, dtype)] out, 256-byte aligned
 *   source [n,k] f32, f16 or bf16 in, contiguous, any byte alignment
 */
typedef struct {
    size_t n, k;
    const void *source;
    sa_dtype source_dtype;
    void *packed;
    sa_dtype dtype; /* f32 or bf16 */
} sa_gemm_pack_args;

/*
 * layernorm: y[r,:] = act( (x[r,:] - mean(x[r,:])) / sqrt(var(x[r,:]) + eps) * w + b ), biased variance
 *   x [rows,d] f32 in, contiguous    w, b [d] f32 in
 *   y [rows,d] f32 or bf16 out, contiguous; may be x if f32
 * With channels-last maps this is LayerNorm2d too. Moves rows*d*(4 + size(y)) bytes.
 */
typedef struct {
    size_t rows, d;
    float eps;
    const float *x, *w, *b;
    sa_activation act;
    void *y;
    sa_dtype y_dtype;
} sa_layernorm_args;

/*
 * attention_grid: self-attention of a ViT over a square grid of tokens, in windows or global, with SAM's
 * decomposed relative position (segment_anything/modeling/image_encoder.py; MODEL_SPECS 2.2). For token q at
 * (h,w) of its window:
 *   logit[q, (kh,kw)] = d^-1/2 * <q, k> + <q, rel_h[h - kh + S - 1]> + <q, rel_w[w - kw + S - 1]>
 *   out[q] = sum over the window of softmax(logit) * v
 *   qkv [B, g*g, 3*H*d] T in: row = q(H,d) | k(H,d) | v(H,d)    out [B, g*g, H*d] T out
 *   S = window, or g when window is 0. If g % window != 0 the map is padded at the bottom and right to a
 *   multiple of the window; padded tokens are keys like any other, and their q|k|v is `pad_qkv` [3*H*d] f32
 *   (the qkv bias, rounded to T here), which may be NULL if nothing is padded.
 *   rel_h, rel_w: tables packed by rel_pack, or both NULL for no relative position.
 *   workspace: attention_grid_workspace() bytes, 256-byte aligned.
 * 4*d flops for each query-key pair; scores live in tiles, never as a whole. 1 <= d <= 128, even in bf16; out
 * and qkv must not overlap.
 */
typedef struct {
    size_t batch, side, window, heads, head_dim;
    sa_dtype dtype;
    const void *qkv;
    const float *pad_qkv;
    const void *rel_h, *rel_w;
    void *out;
    void *workspace;
} sa_attention_grid_args;

/*
 * rel_pack: relative-position table for attention_grid, rounded to the dtype of its queries.
 *   packed [rel_packed_bytes(S, d, dtype)] out, 256-byte aligned    source [2S-1, d] f32 in    d <= 128
 */
typedef struct {
    size_t size, head_dim; /* S, d */
    const float *source;
    void *packed;
    sa_dtype dtype; /* f32 or bf16 */
} sa_rel_pack_args;

/*
 * im2col: the rows that turn a convolution into a gemm.
 *   y[b, oy*ow + ox, (ky*kernel + kx)*C + c] = x[b, oy*stride + ky - pad, ox*stride + kx - pad, c], 0 outside
 *   x [B,h,w,C] f32 or bf16 in    y [B, oh*ow, kernel*kernel*C] same dtype out
 *   oh = (h + 2*pad - kernel)/stride + 1, ow likewise
 * Needs kernel, stride >= 1; pad < kernel <= h + 2*pad, w + 2*pad. x and y must not overlap.
 */
typedef struct {
    size_t batch, height, width, channels, kernel, stride, pad;
    sa_dtype dtype;
    const void *x;
    void *y;
} sa_im2col_args;

/*
 * convolution: over channels-last maps, as im2col and gemm make it one after the other.
 *   y[b, oy*ow + ox, j] = bias[j] + sum over ky, kx, c of
 *       x[b, oy*stride + ky - pad, ox*stride + kx - pad, c] * w[j, (ky*kernel + kx)*C + c], x being 0 outside
 *   x [B,h,w,C] T in    w [n, kernel*kernel*C] T in, packed by gemm_pack    bias [n] f32 in or NULL
 *   y [B, oh*ow, n] f32 out, oh and ow as in im2col
 *   workspace: convolution_workspace() bytes, 256-byte aligned.
 * The needs of im2col and of gemm. 2*B*oh*ow*n*kernel*kernel*C flops.
 */
typedef struct {
    size_t batch, height, width, channels, kernel, stride, pad, n;
    sa_dtype dtype;
    const void *x, *w;
    const float *bias;
    float *y;
    void *workspace;
} sa_convolution_args;

/*
 * add: y[r,:] = a[r % a_rows,:] + b[r % b_rows,:], summed in f32, rounded to y's dtype
 *   a [a_rows,d] f32 in    b [b_rows,d] f32 in, or NULL for none    y [rows,d] f32 or bf16 out
 * Needs d, a_rows >= 1, with b also b_rows >= 1. a and b may overlap. y may be a or b itself if it is f32 and
 * that one has `rows` rows; otherwise it overlaps neither.
 */
typedef struct {
    size_t rows, d;
    const float *a;
    size_t a_rows;
    const float *b;
    size_t b_rows;
    void *y;
    sa_dtype y_dtype;
} sa_add_args;

/*
 * point_encode: random Fourier features of points plus a learned vector by kind (MODEL_SPECS 2.3).
 *   p = 2*pi * ((2*u-1, 2*v-1) . G);  y[i] = [sin p | cos p] + table[kind[i]]       for kind >= 0
 *   y[i] = table[-kind[i] - 2] alone for kind <= -2;  y[i] = [sin p | cos p] alone for kind == -1
 *   uv [n,2] f32 in, 0..1 over the padded frame    G [2,C/2] f32 in    table [kinds,C] f32 in
 *   y [n,C] f32 out
 *   kind [n] i32 in
 * Needs an even C.
 */
typedef struct {
    size_t n, channels;
    const float *uv;
    const int32_t *kind;
    const float *gaussian, *table;
    float *y;
} sa_point_encode_args;

/*
 * attention: out_i = softmax(d^-1/2 * q_i k_i^T) v_i for each item i and head, on ragged batches.
 *   q rows [q_row, q_row + q_count) of q [.,H*d] T, ld ldq; k and v rows [k_row, k_row + k_count), ld ldk
 *   and ldv; out rows from out_row, ld ldo, same dtype. Items may share q, k and v rows; out rows must not
 *   overlap anything.
 *   k_count >= 1. 1 <= d <= 128, even in bf16. workspace: attention_workspace() bytes, 256-byte aligned.
 */
typedef struct {
    uint32_t q_row, q_count, k_row, k_count, out_row;
} sa_attention_item;

typedef struct {
    size_t count, heads, head_dim;
    const sa_attention_item *items; /* host array [count] */
    sa_dtype dtype;
    const void *q, *k, *v;
    size_t ldq, ldk, ldv;
    void *out;
    size_t ldo;
    void *workspace;
} sa_attention_args;

/*
 * mask_product: mask logits from upscaled features and hypernetwork outputs (MODEL_SPECS 2.5).
 *   The features stand in the order in which two 2x2 stride-2 transposed convolutions computed as gemms leave
 *   them: row ((y*g + x)*4 + dy*2 + dx)*4 + ey*2 + ex is pixel (4y + 2dy + ey, 4x + 2dx + ex).
 *   logits[b, m, Y, X] = sum_c features[b, row(Y,X), c] * hyper[b, m, c]
 *   features [B, g*g*16, C] T in    hyper [B, M, C] f32 in    logits [B, M, 4g, 4g] f32 out;  M <= 8
 */
typedef struct {
    size_t batch, side, masks, channels;
    const void *features;
    sa_dtype dtype;
    const float *hyper;
    float *logits;
} sa_mask_product_args;

/*
 * mask_resize: from low-resolution logits to a mask of the picture's size (MODEL_SPECS 2.6). Bilinear without
 * antialias, align_corners false (MODEL_SPECS 1.3): [s,s] -> [frame,frame], cropped to [crop_h, crop_w], ->
 * [h,w].
 *   bits[y, x/64] bit x%64 = logit(y,x) > threshold; bits past w are 0
 *   low [s,s] f32 in    bits [h, ceil(w/64)] u64 out    workspace: mask_resize_workspace() bytes
 * Needs 1 <= s <= 16383, 1 <= h, w <= 2^19 and 1 <= crop_h, crop_w <= frame.
 */
typedef struct {
    size_t low_side, frame, crop_height, crop_width, height, width;
    float threshold;
    const float *low;
    uint64_t *bits;
    void *workspace;
} sa_mask_resize_args;

/*
 * mask_threshold: logits to a mask.
 *   bits[y, x/64] bit x%64 = logits[y,x] > threshold, NaN is not; bits past w are 0
 *   logits [h,w] f32 in    bits [h, ceil(w/64)] u64 out
 * Moves 4*h*w + h*w/8 bytes.
 */
typedef struct {
    size_t height, width;
    float threshold;
    const float *logits;
    uint64_t *bits;
} sa_mask_threshold_args;

/*
 * mask_hash: 64 bits over a mask's size and content, those of sa_mask_hash() (runtime/image/mask.h).
 *   hash[0] = word(sum over i of word(bits[i], i) + word(h, -1) + word(w, -2), -3)     all modulo 2^64, with
 *   word(x, i): x *= 0xff51afd7ed558ccd; x ^= x >> 32; x *= (2*i + 1) * 0x9e3779b97f4a7c15; x ^= x >> 32;
 *   x *= 0xc4ceb9fe1a85ec53; x ^= x >> 32                              (kernels/mask_hash.h says why)
 *   bits [h, ceil(w/64)] u64 in, at most 2^34 words; i counts all of them    hash [1] u64 out
 *   workspace: mask_hash_workspace() bytes, 256-byte aligned.
 * Needs h, w >= 1. Exact in any order. Moves h*w/8 bytes.
 */
typedef struct {
    size_t height, width;
    const uint64_t *bits;
    uint64_t *hash;
    void *workspace;
} sa_mask_hash_args;

/*
 * overlay: a mask painted on a picture (MODEL_SPECS 1.7).
 *   y[r, x, c] = bit (r,x) of the mask ? table[c][pixels[r,x,c]] : pixels[r,x,c]
 *   pixels [h,w,3] u8 in    bits [h, ceil(w/64)] u64 in    y [h,w,3] u8 out, may be pixels
 *   table: what each value of a channel becomes; host memory, as sa_image_paint_table() makes it
 *   (runtime/image/image.h)
 * Moves 6*h*w + h*w/8 bytes.
 */
typedef struct {
    size_t height, width;
    const uint8_t *pixels;
    const uint64_t *bits;
    const uint8_t (*table)[256]; /* host array [3] */
    uint8_t *y;
} sa_overlay_args;

/*
 * image_place: a picture on a canvas of one colour.
 *   y[r, x, c] = top <= r < top + h and left <= x < left + w ? pixels[r - top, x - left, c] : color[c]
 *   pixels [h,w,3] u8 in    y [canvas_height, canvas_width, 3] u8 out, no overlap
 * Needs top + h <= canvas_height, left + w <= canvas_width; a canvas of less than 4 GB.
 * Moves 3*(h*w + canvas_height*canvas_width) bytes.
 */
typedef struct {
    size_t height, width, canvas_height, canvas_width, top, left;
    const uint8_t *pixels;
    uint8_t color[3];
    uint8_t *y;
} sa_image_place_args;

/*
 * embed: rows of a table.
 *   y[r,:] = table[ids[r],:]
 *   table [V,D] T in    ids [rows] i32 in, device memory, 0 <= ids[r] < V    y [rows,D] f32 out
 *   packed: the table stands as gemm_pack made it of [V,D], so that a head that is the embedding is held once
 * Moves rows*D*(size(T) + 4) bytes.
 */
typedef struct {
    size_t rows, d, vocabulary;
    const int32_t *ids;
    const void *table;
    bool packed;
    sa_dtype dtype;
    float *y;
} sa_embed_args;

/*
 * rmsnorm: y[r,:] = x[r,:] / sqrt(mean(x[r,:]^2) + eps) * w          (MODEL_SPECS 1.2)
 *   x [rows,d] f32 in, contiguous    w [d] f32 in    y [rows,d] f32 or T out, contiguous; may be x if f32
 * Moves rows*d*(4 + size(y)) bytes.
 */
typedef struct {
    size_t rows, d;
    float eps;
    const float *x, *w;
    void *y;
    sa_dtype y_dtype;
} sa_rmsnorm_args;

/*
 * gate: SwiGLU's product (MODEL_SPECS 1.1).
 *   y[r,j] = x[r,j] / (1 + exp(-x[r,j])) * x[r,F+j]
 *   x [rows,2F] T in: gate | up    y [rows,F] T out, no overlap
 * Moves 3*rows*F*size(T) bytes.
 */
typedef struct {
    size_t rows, width; /* F */
    sa_dtype dtype;
    const void *x;
    void *y;
} sa_gate_args;

/*
 * KV pages: of each layer two pools [pages, Hkv, SA_KV_PAGE, d] T, keys (rotated) and values. A sequence is a
 * list of page numbers; token t of it stands in page list[t / SA_KV_PAGE], place t % SA_KV_PAGE. A slot is
 * page * SA_KV_PAGE + place. Who owns a page is runtime/engine/kv.h's business.
 * Where within its head's SA_KV_PAGE * d elements of a page an element stands is the backend's own, so that
 * its attention can read them as they are: kv_place() says it to whoever must look into a page. Pages may be
 * copied whole.
 */
#define SA_KV_PAGE 16

static inline size_t sa_kv_pages_for(size_t tokens)
{
    return tokens / SA_KV_PAGE + (tokens % SA_KV_PAGE != 0); /* for any number of them */
}

/*
 * rope_append: rotates queries and keys (halves, as NeoX: MODEL_SPECS 5.3) and puts keys and values in pages.
 *   with c, s = the cosines and sines of row position[r] of `table`, and x = any head of q or k:
 *   rotated[i] = x[i]*c[i] - x[i+d/2]*s[i],  rotated[i+d/2] = x[i+d/2]*c[i] + x[i]*s[i],    0 <= i < d/2
 *   qkv [rows, (H + 2*Hkv)*d] T in: row = q(H,d) | k(Hkv,d) | v(Hkv,d); q is rotated in place, k and v stay
 *   position [rows] i32 in, device memory, rows of the table    table [.,d] f32 in: cos(d/2) | sin(d/2)
 *   slot [rows] i32 in, device memory, all different            k_pages, v_pages: one layer's pools, out
 * Needs an even d <= 128, H % Hkv == 0. Rotates in f32, rounds once.
 * Moves rows*(2*(H + Hkv) + 2*Hkv)*d*size(T) bytes.
 */
typedef struct {
    size_t rows, heads, kv_heads, head_dim;
    sa_dtype dtype;
    void *qkv;
    const int32_t *position, *slot;
    const float *table;
    void *k_pages, *v_pages;
} sa_rope_append_args;

/*
 * attention_paged: causal attention of new tokens over their sequences' pages, their own included; prefill,
 * decode, and everything between are the same op.
 *   Item: queries i = 0 .. q_count-1 stand in rows q_row + i; the sequence has k_count tokens with them, so
 *   query i sees keys 0 .. k_count - q_count + i. Head h reads the keys and values of head h / (H / Hkv).
 *   out[q_row + i] = softmax(d^-1/2 * q k^T) v
 *   q rows of qkv as rope_append left them, ld ldq T in    k_pages, v_pages: one layer's pools, in
 *   pages i32 in, device memory: the items' page lists; an item's begins at pages[first_page]
 *   shared: the first `shared` pages of the item's list are those of the item before it (0 for the first
 *   item, and always allowed): a backend may then read them once for both.
 *   out [.,H*d] T out, ld ldo, rows q_row..; out and qkv must not overlap.
 *   1 <= q_count <= k_count; even d, 16 <= d <= 128. What a page holds past the k_count of its items may be
 *   anything, NaN too; what it holds before is finite.
 *   workspace: attention_paged_workspace() bytes, 256-byte aligned: enough for every batch that has no more
 *   items, no more queries in all, and no longer k_count than the one it is asked for.
 * One query's sums run over keys in tiles and splits of fixed length, counted from key 0, so that its bits
 * depend on its sequence alone: not on q_count (decoded or prefilled), on `shared`, on other items.
 * 4*d*H flops for each query-key pair; moves the sequences' keys and values once (shared pages once for all
 * that share them).
 */
typedef struct {
    uint32_t q_row, q_count, k_count, first_page, shared;
} sa_attention_paged_item;

typedef struct {
    size_t count, heads, kv_heads, head_dim;
    const sa_attention_paged_item *items; /* host array [count] */
    const int32_t *pages;
    sa_dtype dtype;
    const void *q;
    size_t ldq;
    const void *k_pages, *v_pages;
    void *out;
    size_t ldo;
    void *workspace;
} sa_attention_paged_args;

/*
 * sample: the next token of each row of logits, and its log-probability.
 *   temperature 0: the largest logit, of equal ones the first. Otherwise p = softmax(logits / temperature),
 *   tokens in order of falling p, of equal ones the first first; of these stay: the first top_k (0: all); the
 *   shortest beginning whose sum is >= top_p (1: all); those with p >= min_p * the largest. The token is the
 *   first whose sum, counted from the first, is > u * the sum of those that stay.
 *   logits [rows,V] f32 in    choice [rows] in, host array; u in [0, 1), from runtime/base/philox.h
 *   Each of the three cuts is made on the whole softmax, and at least one token stays. temperature 0 or >=
 *   SA_SAMPLE_COLDEST, top_p > 0, 0 <= min_p <= 1.
 *   token [rows] i32 out; -1 if a logit is NaN or +inf or all are -inf
 *   logprob [rows] f32 out: log softmax(logits)[token], whatever the temperature; NaN where token is -1
 *   workspace: sample_workspace() bytes, 256-byte aligned.
 * Sums in f32 in an order that V alone decides. Moves about rows*V*4 bytes.
 */
#define SA_SAMPLE_COLDEST 1e-6f /* so that 1 / temperature, times a logit, stays a number */

typedef struct {
    float temperature, top_p, min_p, u;
    uint32_t top_k;
    uint32_t place; /* of the token in its answer: nothing but the null device's business */
} sa_sample_choice;

typedef struct {
    size_t rows, vocabulary;
    const float *logits;
    const sa_sample_choice *choice; /* host array [rows] */
    int32_t *token;
    float *logprob;
    void *workspace;
} sa_sample_args;

typedef struct sa_ops {
    const char *name; /* "avx512bf16", ...: shown by `segagent doctor` */

    size_t (*image_resize_workspace)(const sa_stream *, const sa_image_resize_args *);
    void (*image_resize)(sa_stream *, const sa_image_resize_args *);
    void (*patchify)(sa_stream *, const sa_patchify_args *);

    size_t (*gemm_packed_bytes)(size_t n, size_t k, sa_dtype dtype); /* 0 if the product does not fit */
    void (*gemm_pack)(sa_stream *, const sa_gemm_pack_args *);
    void (*gemm)(sa_stream *, const sa_gemm_args *);

    void (*layernorm)(sa_stream *, const sa_layernorm_args *);

    size_t (*rel_packed_bytes)(size_t size, size_t head_dim, sa_dtype dtype);
    void (*rel_pack)(sa_stream *, const sa_rel_pack_args *);
    size_t (*attention_grid_workspace)(const sa_stream *, const sa_attention_grid_args *);
    void (*attention_grid)(sa_stream *, const sa_attention_grid_args *);

    void (*im2col)(sa_stream *, const sa_im2col_args *);
    size_t (*convolution_workspace)(const sa_stream *, const sa_convolution_args *);
    void (*convolution)(sa_stream *, const sa_convolution_args *);
    void (*add)(sa_stream *, const sa_add_args *);
    void (*point_encode)(sa_stream *, const sa_point_encode_args *);

    size_t (*attention_workspace)(const sa_stream *, const sa_attention_args *);
    void (*attention)(sa_stream *, const sa_attention_args *);

    void (*mask_product)(sa_stream *, const sa_mask_product_args *);
    size_t (*mask_resize_workspace)(const sa_stream *, const sa_mask_resize_args *);
    void (*mask_resize)(sa_stream *, const sa_mask_resize_args *);
    void (*mask_threshold)(sa_stream *, const sa_mask_threshold_args *);
    size_t (*mask_hash_workspace)(const sa_stream *, const sa_mask_hash_args *);
    void (*mask_hash)(sa_stream *, const sa_mask_hash_args *);
    void (*overlay)(sa_stream *, const sa_overlay_args *);
    void (*image_place)(sa_stream *, const sa_image_place_args *);

    void (*embed)(sa_stream *, const sa_embed_args *);
    void (*rmsnorm)(sa_stream *, const sa_rmsnorm_args *);
    void (*gate)(sa_stream *, const sa_gate_args *);
    /* column `column` of the key, or value, at place `key`: 0 <= result < SA_KV_PAGE * head_dim */
    size_t (*kv_place)(sa_dtype dtype, size_t head_dim, bool value, size_t key, size_t column);
    void (*rope_append)(sa_stream *, const sa_rope_append_args *);
    size_t (*attention_paged_workspace)(const sa_stream *, const sa_attention_paged_args *);
    void (*attention_paged)(sa_stream *, const sa_attention_paged_args *);
    size_t (*sample_workspace)(const sa_stream *, const sa_sample_args *);
    void (*sample)(sa_stream *, const sa_sample_args *);
} sa_ops;

#endif
