/*
 * SAM (Segment Anything, Kirillov et al. 2023; MODEL_SPECS section 2) as the engine holds it: weights,
 * memory, slots. Inside of runtime/models; the rest of the program sees segmenter.h.
 *
 *   sam_load.c    weights from a file into one device block
 *   sam_encode.c  picture -> embedding, the forward of the image encoder
 *   sam_decode.c  embedding + clicks -> mask logits and scores, the forward of prompts and decoder
 *   sam_picture.c picture -> pixels in the frame
 *   sam.c         memory plan, prompts and masks, the segmenter interface
 *
 * Axes: B pictures, N prompts, T tokens of a prompt (1 + masks + clicks), g grid side (64), G = g*g, D hidden
 * of the encoder, C channels of embedding and decoder, s = 4g side of the low-resolution masks, M masks that
 * are returned. "t" marks buffers in the working precision; the residual streams (x, tokens, keys) are f32 in
 * any precision.
 */
#ifndef SA_MODELS_SAM_H
#define SA_MODELS_SAM_H

#include "runtime/models/model.h"
#include "runtime/models/sam_tensors.h"
#include "runtime/models/segmenter.h"

/* Rows of the table of point_encode: what a token's position is marked with, or what stands in its place. */
enum {
    SAM_NEGATIVE = 0,
    SAM_POSITIVE,
    SAM_BOX_FIRST,
    SAM_BOX_SECOND,
    SAM_NOT_A_POINT,
    SAM_IOU_TOKEN,
    SAM_MASK_TOKENS
};

typedef struct {
    sa_norm norm1, norm2;
    sa_linear qkv, proj, lin1, lin2;
    void *rel_h, *rel_w; /* NULL: no relative position */
    size_t window;       /* 0: global */
} sam_block;

typedef struct {
    sa_linear q, k, v, out;
} sam_attention;

typedef struct {
    sam_attention self, to_image, from_image;
    sa_norm norm1, norm2, norm3, norm4;
    sa_linear lin1, lin2;
} sam_two_way;

typedef struct {
    sa_linear *layer; /* [depth], ReLU between */
    size_t depth;
} sam_mlp;

typedef struct {
    /* image encoder */
    sa_linear patch;
    float *position;  /* [G, D] or NULL */
    sam_block *block; /* [depth] */
    sa_linear neck1, neck2;
    sa_norm neck_norm1, neck_norm2;
    /* prompt encoder */
    float *gaussian;      /* [2, C/2] */
    float *token_table;   /* [SAM_MASK_TOKENS + mask tokens, C] */
    float *no_mask;       /* [1, C] */
    float *grid_position; /* [G, C], computed at load */
    sa_linear mask1, mask2, mask3;
    sa_norm mask_norm1, mask_norm2;
    /* mask decoder */
    sam_two_way *layer; /* [layers] */
    sam_attention final;
    sa_norm final_norm;
    sa_linear up1, up2;
    sa_norm up_norm;
    sam_mlp *hyper; /* [M], of the masks 1 .. M */
    sam_mlp iou;
    sa_linear *mlp_layers; /* of hyper and iou, one behind the other */
} sam_weights;

/* Buffers of one encode of at most B pictures. */
typedef struct {
    uint8_t *pixels; /* [B, side, side, 3] resized pictures */
    float *x;        /* [B*G, D] */
    void *y;         /* [B*G, D] t */
    void *wide;      /* [B*G, the widest of 3D, mlp, patch row] t, and workspace of the neck */
    float *neck;     /* [B*G, C] */
    void *neck_t;    /* [B*G, C] t */
    void *workspace;
} sam_encode_buffers;

/* Buffers of one decode of at most N prompts with R token rows in all. */
typedef struct {
    float *uv;                 /* [R, 2] */
    int32_t *kind;             /* [R] */
    float *tokens, *position;  /* [R, C] */
    void *tokens_t, *tokens_p; /* [R, C] t: tokens, tokens + position */
    void *tq, *tk, *tv, *ta;   /* [R, C] t: projections and attention of tokens */
    void *hidden;              /* [R, mlp] t */
    float *keys;               /* [N*G, C] */
    void *keys_t, *keys_p;     /* [N*G, C] t: keys, keys + grid position */
    void *ik, *iv, *iq, *ia;   /* [N*G, C/rate] t: projections and attention of the image side */
    float *low;                /* [N, s, s] states fed back */
    void *mask_t;              /* mask prompt on its way, t */
    void *mask_rows;           /* workspace of its convolutions */
    float *mask_f;             /* f32 results between */
    float *up1;                /* [N*G*4, C/4] */
    void *up1_t;               /* t */
    void *up2;                 /* [N*G*16, C/8] t */
    void *out_tokens;          /* [N, 1 + mask tokens, C] t */
    void *mlp_a, *mlp_b;       /* [N, C] t */
    float *hyper;              /* [N, M, C/8] */
    float *scores;             /* [batch, mask tokens], of a whole call */
    float *logits;             /* [batch, M, s, s] */
    void *workspace;
} sam_decode_buffers;

typedef struct {
    bool filled;
    size_t height, width;         /* of the picture */
    size_t new_height, new_width; /* resized, in the frame of side `image_size` */
} sam_slot;

/* What was started and is to be finished. */
typedef struct {
    const size_t *slots;               /* of pictures; NULL: */
    const sa_segmenter_query *queries; /* clicks */
    sa_segmenter_answer *answers;
    size_t count;
} sam_pending;

typedef struct {
    sa_device *device;
    sa_stream *stream;
    const sa_ops *ops;
    sa_sam_config config;
    sa_segmenter_options options;
    char path[512];

    size_t grid, channels, masks, mask_tokens, low_side, inner; /* g, C, M, M + 1, s, C / rate */
    size_t max_tokens;                                          /* of one prompt */
    size_t at_once; /* pictures or prompts that go through the layers together: B and N at most */

    sam_weights weights;
    void *weight_memory, *slot_memory, *buffer_memory;
    size_t weight_bytes, slot_bytes, buffer_bytes;

    sam_slot *slots;
    float *embedding;               /* [slots*G, C] */
    void *slot_k, *slot_v, *slot_q; /* [slots*G, inner] t: layer 0's image side for prompts without a mask */

    sam_encode_buffers encode;
    sam_decode_buffers decode;

    /* host side of one call, taken at open */
    const uint8_t **pixel_pointers; /* [at_once] */
    size_t *heights, *widths;       /* [at_once] */
    void *host_memory;              /* holds the following */
    uint8_t *host_pixels;           /* [at_once, side, side, 3] */
    void *resize_memory;
    size_t resize_bytes;
    int32_t *host_tables;        /* [at_once, 2, longest table] of image_resize; NULL if the host resizes */
    float *uv;                   /* [batch * max_tokens, 2] */
    int32_t *kind;               /* [batch * max_tokens] */
    sa_attention_item *items[3]; /* [at_once] of each kind of attention */
    struct sam_prompt *prompts;  /* [at_once] */
    sam_pending pending;
    float *host_scores;      /* [batch, mask tokens] */
    uint64_t *bits;          /* device: one mask of the largest picture */
    uint64_t *host_hashes;   /* [batch] */
    uint64_t *hashes;        /* device: [batch] */
    void *mask_hash_memory;  /* device */
    uint8_t *picture;        /* device: one picture as it came, of at most picture_bytes */
    int32_t *picture_tables; /* device: of image_resize, across and down */
    void *picture_workspace; /* device */
    size_t picture_bytes, picture_workspace_bytes; /* 0 if the host resizes */
    void *mask_resize_memory;
    size_t mask_resize_bytes, bits_words;
} sa_sam;

/* One prompt of a decode, checked and brought into the frame. */
typedef struct sam_prompt {
    size_t slot;
    size_t first_token, tokens; /* its rows of the token buffers */
    bool has_mask;              /* decode.low holds its state */
} sam_prompt;

/* Matches the file with the table of tensors and packs it into one block of device memory. */
sa_status sam_load(sa_sam *sam, const sa_weights *weights, sa_error *err);
/* The position of every grid cell, through the device's own point_encode; after the buffers are there. */
void sam_place_grid(sa_sam *sam);

/* Room for the host's resizing of the worst picture; before the plans. */
sa_status sam_resize_measure(sa_sam *sam, sa_error *err);
void sam_resize_plan_host(sa_sam *sam, sa_arena *arena);
void sam_resize_plan(sa_sam *sam, sa_arena *arena); /* on the device */
/* Queues a picture's resizing into place `index` of encode.pixels; it must stay until the stream was waited
 * for. */
void sam_place_picture(sa_sam *sam, const sa_image *picture, size_t index, sam_slot *slot);

/* Plans (arena measuring) or takes (arena real) the buffers. */
void sam_encode_plan(sa_sam *sam, sa_arena *arena);
void sam_decode_plan(sa_sam *sam, sa_arena *arena);

/*
 * encode.pixels -> embedding rows of the slots; pictures [count] described by pixel_pointers, heights,
 * widths.
 */
void sam_encode(sa_sam *sam, const size_t *slots, size_t count);
/* Layer 0's image side of one slot, as every prompt without a mask needs it. */
void sam_prepare_slot(sa_sam *sam, size_t slot);
/* uv, kind and low of `count` prompts -> logits and scores, those of prompts [first, first + count). */
void sam_decode(sa_sam *sam, const sam_prompt *prompts, size_t count, size_t rows, size_t first);

/* newH, newW of MODEL_SPECS 2.6; a very long picture keeps at least one row. */
void sam_size_in_frame(const sa_sam *sam, size_t height, size_t width, size_t *new_height, size_t *new_width);

static inline size_t sam_size_t(const sa_sam *sam)
{
    return sa_dtype_size(sam->options.precision);
}

#endif
