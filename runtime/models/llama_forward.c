/*
 * The forward of a decoder (MODEL_SPECS 5.3): ids and embeddings of new tokens to logits.
 *
 *   embed -> [ norm, q|k|v, RoPE into pages, attention over pages, norm, SwiGLU ] x layers -> norm -> head
 */
#include "runtime/models/llama_parts.h"

#include <math.h>

/* Image tokens: the caller's rows over those of the stand-in token, run by run. */
static void place_embeddings(sa_llama *llama)
{
    size_t row = 0, width = llama->config.hidden;
    for (size_t i = 0; i < llama->step.count; i++) {
        const sa_llama_item *item = &llama->step.items[i];
        const float *from = item->embeddings;
        for (size_t t = 0; t < item->count;) {
            size_t run = 0;
            while (t + run < item->count && item->tokens[t + run] == SA_LLAMA_EMBEDDING) {
                run++;
            }
            if (run > 0) {
                sa_stream_copy(llama->stream, llama->buffer.x + (row + t) * width, from,
                               run * width * sizeof(float));
                from += run * width;
            }
            t += run > 0 ? run : 1;
        }
        row += item->count;
    }
}

/* Is the residual stream still made of numbers behind this layer? */
static void watch(sa_llama *llama, int layer)
{
    llama_watch *w = &llama->watch;
    bool last = layer + 1 == (int)llama->config.layers;
    size_t width = llama->config.hidden, first = last ? w->chosen : w->first,
           count = last ? w->kept : w->count;
    if (w->x == NULL || w->found) {
        return;
    }
    sa_stream_download(llama->stream, w->x, llama->buffer.x + first * width, count * width * sizeof(float));
    sa_stream_wait(llama->stream, NULL);
    for (size_t i = 0; i < count * width && !w->found; i++) {
        w->found = !isfinite(w->x[i]);
    }
    w->layer = layer;
}

sa_attention_paged_args llama_attention(const sa_llama *llama, const llama_layer *layer, size_t items)
{
    const sa_llama_config *c = &llama->config;
    return (sa_attention_paged_args){
        .count = items,
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .items = llama->items,
        .pages = llama->buffer.integers + 3 * llama->step.stride,
        .dtype = llama->options.precision,
        .q = llama->buffer.wide,
        .ldq = (c->heads + 2 * c->kv_heads) * c->head_dim,
        .k_pages = layer->k_pages,
        .v_pages = layer->v_pages,
        .out = llama->buffer.y,
        .ldo = c->heads * c->head_dim,
        .workspace = llama->buffer.workspace,
    };
}

static sa_rope_append_args rotation(const sa_llama *llama, const llama_layer *layer)
{
    const sa_llama_config *c = &llama->config;
    return (sa_rope_append_args){
        .rows = llama->step.rows,
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .dtype = llama->options.precision,
        .qkv = llama->buffer.wide,
        .position = llama->buffer.integers + llama->step.stride,
        .slot = llama->buffer.integers + 2 * llama->step.stride,
        .table = llama->weights.rope,
        .k_pages = layer->k_pages,
        .v_pages = layer->v_pages,
    };
}

/*
 * The rows whose logits are wanted, the last ones of each item, to the front of a buffer. Row by row: they
 * move towards the front, and may move by less than their number.
 */
static void keep_chosen(sa_llama *llama, void *buffer, size_t row_bytes)
{
    size_t row = 0, chosen = 0;
    for (size_t i = 0; i < llama->step.count; i++) {
        const sa_llama_item *item = &llama->step.items[i];
        row += item->count - item->logits;
        for (size_t r = 0; r < item->logits; r++, row++, chosen++) {
            if (row != chosen) {
                sa_stream_copy(llama->stream, (unsigned char *)buffer + chosen * row_bytes,
                               (const unsigned char *)buffer + row * row_bytes, row_bytes);
            }
        }
    }
}

void llama_forward(sa_llama *llama)
{
    const sa_ops *ops = llama->ops;
    sa_stream *stream = llama->stream;
    sa_dtype t = llama->options.precision;
    const sa_llama_config *c = &llama->config;
    const llama_weights *w = &llama->weights;
    llama_buffers *b = &llama->buffer;
    size_t rows = llama->step.rows;

    ops->embed(stream, &(sa_embed_args){.rows = rows,
                                        .d = c->hidden,
                                        .vocabulary = c->vocabulary,
                                        .ids = b->integers,
                                        .table = w->embed,
                                        .packed = w->embed_packed,
                                        .dtype = t,
                                        .y = b->x});
    place_embeddings(llama);
    watch(llama, -1);

    for (size_t i = 0; i < c->layers; i++) {
        const llama_layer *layer = &w->layer[i];
        sa_rmsnorm_run(&layer->norm1, ops, stream, rows, b->x, b->y, t);
        sa_linear_run(&layer->qkv, ops, stream, t, rows, b->y, SA_ACT_NONE, NULL, b->wide, t);
        sa_rope_append_args rope = rotation(llama, layer);
        ops->rope_append(stream, &rope); /* wide in place, k and v into the pages */
        sa_attention_paged_args attention = llama_attention(llama, layer, llama->step.count);
        ops->attention_paged(stream, &attention); /* wide, pages -> y */
        if (i + 1 == c->layers) {                 /* from here on a row serves its own logits alone */
            keep_chosen(llama, b->x, c->hidden * sizeof(float));
            keep_chosen(llama, b->y, c->heads * c->head_dim * llama_size_t(llama));
            rows = llama->step.logit_rows;
        }
        sa_linear_run(&layer->out, ops, stream, t, rows, b->y, SA_ACT_NONE, b->x, b->x, SA_F32);

        sa_rmsnorm_run(&layer->norm2, ops, stream, rows, b->x, b->y, t);
        sa_linear_run(&layer->gate_up, ops, stream, t, rows, b->y, SA_ACT_NONE, NULL, b->wide, t);
        ops->gate(stream, &(sa_gate_args){
                              .rows = rows, .width = c->mlp_dim, .dtype = t, .x = b->wide, .y = b->gated});
        sa_linear_run(&layer->down, ops, stream, t, rows, b->gated, SA_ACT_NONE, b->x, b->x, SA_F32);
        watch(llama, (int)i);
    }

    sa_rmsnorm_run(&w->norm, ops, stream, rows, b->x, b->y, t);
    sa_linear_run(&w->head, ops, stream, t, rows, b->y, SA_ACT_NONE, NULL, b->logits, SA_F32);
}
