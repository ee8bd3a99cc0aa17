/*
 * A decoder as the engine holds it. Inside of runtime/models; the rest of the program sees llama.h.
 *
 *   llama_config.c   config.json
 *   llama_tensors.c  the names and shapes of its weights
 *   llama_load.c     weights from a file into one device block, the table of RoPE
 *   llama_forward.c  the forward
 *   llama_diagnose.c where numbers stopped being numbers
 *   llama.c          memory, items and what is checked of them, sampling
 *
 * Axes: R rows (new tokens of all items), D hidden, H heads, Hkv kv_heads, d head dim, F mlp_dim,
 * V vocabulary, P pages, L rows of logits. "t" marks buffers in the working precision; the residual stream x
 * is f32 in any precision.
 */
#ifndef SA_MODELS_LLAMA_PARTS_H
#define SA_MODELS_LLAMA_PARTS_H

#include "runtime/models/llama.h"
#include "runtime/models/model.h"

typedef struct {
    sa_norm norm1, norm2;
    sa_linear qkv;           /* [(H + 2 Hkv) d, D] */
    sa_linear out;           /* [D, H d] */
    sa_linear gate_up;       /* [2F, D] */
    sa_linear down;          /* [D, F] */
    void *k_pages, *v_pages; /* [P, Hkv, SA_KV_PAGE d] t, in the order of kv_place() */
} llama_layer;

typedef struct {
    void *embed; /* [V, D] t; of a tied head, head.w */
    bool embed_packed;
    float *rope;        /* [context, d]: cos(d/2) | sin(d/2) */
    llama_layer *layer; /* [layers] */
    sa_norm norm;
    sa_linear head; /* [V, D] */
} llama_weights;

/* Buffers of one forward. */
typedef struct {
    int32_t *integers; /* what one upload brings: ids [R], positions [R], slots [R], page lists */
    float *x;          /* [R, D] */
    void *y;           /* [R, the wider of D and H d] t: normed rows, what attention gives */
    void *wide;        /* [R, the wider of (H + 2 Hkv) d and 2F] t: q|k|v, gate|up */
    void *gated;       /* [R, F] t */
    float *logits;     /* [L, V] */
    int32_t *token;    /* [L] */
    float *logprob;    /* [L] */
    void *workspace;   /* of attention and of sample */
} llama_buffers;

/* The last forward. */
typedef struct {
    sa_llama_item *items; /* [options.items] copies; their embeddings are still the caller's */
    size_t count, rows, logit_rows;
    size_t stride;      /* from one part of `integers` to the next */
    size_t list_length; /* of all page lists */
} llama_step;

/* Looks for the place where numbers stop being numbers; only after a forward that gave none. */
typedef struct {
    float *x;            /* host [R, D]; NULL: nobody looks */
    size_t first, count; /* rows of the item in question */
    size_t chosen, kept; /* where the rows of its logits stand behind the last layer, and how many they are */
    int layer;           /* -1: the embeddings; layers: behind the last layer */
    bool found;
} llama_watch;

struct sa_llama {
    sa_device *device;
    sa_stream *stream;
    bool owns_stream;
    const sa_ops *ops;
    sa_llama_config config;
    sa_llama_options options; /* with all defaults filled in */
    char path[512];

    llama_weights weights;
    void *weight_memory, *kv_memory, *buffer_memory, *host_memory;
    size_t weight_bytes, kv_bytes, buffer_bytes, workspace_bytes;

    llama_buffers buffer;
    int32_t *integers;              /* host side of buffer.integers */
    size_t integer_count;           /* that it has room for */
    sa_attention_paged_item *items; /* [options.items] */
    int32_t *tokens;                /* [options.rows] of step.items */
    llama_step step;
    llama_watch watch;
};

/* Matches nothing: the tensors are there. Packs them into one block of device memory. */
sa_status llama_load(sa_llama *llama, const sa_weights *weights, const sa_llama_tensors *tensors,
                     sa_error *err);
/* [count, d]: row p holds the cosines and sines of position p. */
void llama_rope_table(const sa_rope_config *rope, size_t head_dim, size_t count, float *table);

/* llama->step, its integers on the device -> keys and values in the pages, logits. */
void llama_forward(sa_llama *llama);
/* The arguments of attention for the last step, or for planning its workspace. */
sa_attention_paged_args llama_attention(const sa_llama *llama, const llama_layer *layer, size_t items);

/* The error of a row of the last forward's logits that is not finite. */
sa_status llama_tell_no_number(sa_llama *llama, size_t logit_row, sa_error *err);

/* Of one page, keys or values, of one layer. */
static inline size_t llama_page_elements(const sa_llama *llama)
{
    return llama->config.kv_heads * SA_KV_PAGE * llama->config.head_dim;
}

static inline size_t llama_size_t(const sa_llama *llama)
{
    return sa_dtype_size(llama->options.precision);
}

#endif
