/*
 * Decoders of the LLaMA family (Touvron et al. 2023; MODEL_SPECS 5.3): tokens to logits over a paged KV
 * cache, for many sequences at once, prefill and decode alike.
 *
 *   open -> [ forward: new tokens of some sequences -> logits of the chosen rows -> sample, or read ]
 *
 * The model owns the memory of the pages, not the book of who holds them: a caller gives each item's page
 * list, with places for the new tokens already in it (runtime/engine/kv.h). All memory is taken at open. An
 * item's results are the same bit for bit in any batch, in pieces of any size, and with any number of
 * threads. A model is used by one thread at a time.
 */
#ifndef SA_MODELS_LLAMA_H
#define SA_MODELS_LLAMA_H

#include "runtime/device/device.h"
#include "runtime/models/llama_config.h"
#include "runtime/models/llama_tensors.h"

typedef struct sa_llama sa_llama;

typedef struct {
    sa_dtype precision; /* SA_F32, SA_BF16, or SA_F16 where the device has it: of weights, activations, KV */
    size_t context;     /* tokens of one sequence at most; 0: the config's positions */
    size_t pages;       /* KV pages in all; 0: one sequence of full context */
    size_t rows;        /* new tokens of one forward at most, >= 1 */
    size_t items;       /* sequences of one forward at most, >= 1 */
    size_t logit_rows;  /* rows of one forward whose logits are wanted at most, >= 1 */
} sa_llama_options;

/* f32, the config's context, pages for one sequence, 512 rows, 1 item, 1 row of logits. */
sa_llama_options sa_llama_default_options(void);

/* Opens a model directory: config.json and weights under their plain Hugging Face names. */
sa_status sa_llama_open(sa_llama **llama, sa_device *device, const char *path,
                        const sa_llama_options *options, sa_error *err);

/*
 * Opens the decoder of a larger model, which has read the config and matched the tensors itself, on the
 * stream where that model works; neither stream, weights nor tensors are taken over. `path` is for errors.
 */
sa_status sa_llama_open_part(sa_llama **llama, sa_device *device, sa_stream *stream, const char *path,
                             const sa_llama_config *config, const sa_weights *weights,
                             const sa_llama_tensors *tensors, const sa_llama_options *options, sa_error *err);
void sa_llama_close(sa_llama *llama);

const sa_llama_config *sa_llama_get_config(const sa_llama *llama);
size_t sa_llama_context(const sa_llama *llama); /* tokens of one sequence at most */
size_t sa_llama_pages(const sa_llama *llama);   /* KV pages in all */

/* In place of a token: the item's next embedding row. */
#define SA_LLAMA_EMBEDDING (-1)

/* One sequence's part of a forward. */
typedef struct {
    size_t start;            /* tokens that stand in its pages already */
    size_t count;            /* new tokens, >= 1 */
    const int32_t *tokens;   /* [count] ids, or SA_LLAMA_EMBEDDING */
    const float *embeddings; /* device memory [number of SA_LLAMA_EMBEDDING, D]; NULL if there are none */
    const int32_t *pages;    /* page list of start + count tokens */
    size_t shared; /* beginning of the list that is also the item's before this one; 0 always works */
    size_t logits; /* of how many of its last rows logits are wanted, <= count */
} sa_llama_item;

/*
 * Queues the forward of `count` items: their keys and values into their pages, and the logits of the chosen
 * rows, in the order of the items, ready for the two calls below. SA_BAD_INPUT for a token outside of the
 * vocabulary and for an item longer than the context; nothing has been written then. No page that one item
 * writes may be in another item's list. Embeddings must stay as they are until the next call has returned.
 */
sa_status sa_llama_forward(sa_llama *llama, const sa_llama_item *items, size_t count, sa_error *err);

/*
 * The next token of each of the last forward's rows of logits, and its log-probability (the op sample);
 * choices, tokens and logprobs [rows]. Logits that are no numbers are SA_BAD_INPUT, naming the item and the
 * layer that they come from.
 */
sa_status sa_llama_sample(sa_llama *llama, const sa_sample_choice *choices, int32_t *tokens, float *logprobs,
                          sa_error *err);

/* Rows [first, first + count) of the last forward's logits [., V] as f32 on the host. */
sa_status sa_llama_read_logits(sa_llama *llama, size_t first, size_t count, float *out, sa_error *err);

/* Queues the copy of one page's keys and values, all layers, to another page (sa_kv_append()). */
void sa_llama_copy_page(sa_llama *llama, int32_t from, int32_t to);

/* Device memory held, and the flops of the useful work of one new token behind `length` others. */
typedef struct {
    size_t weight_bytes, activation_bytes, kv_bytes, page_bytes;
} sa_llama_memory;
sa_llama_memory sa_llama_get_memory(const sa_llama *llama);
double sa_llama_flops(const sa_llama *llama, size_t length, bool with_logits);

#endif
