/* A decoder's weights: from the tensors of a file to layers in one block of device memory. */
#include <math.h>
#include <stdlib.h>

#include "runtime/models/llama_parts.h"

/*
 * transformers computes frequencies and angles in f32, and angles of thousands of radians keep that rounding:
 * here it is done step for step as there, only sine and cosine themselves are exact.
 */
static float frequency(const sa_rope_config *rope, size_t head_dim, size_t i)
{
    float exponent = (float)(2 * i) / (float)head_dim;
    float plain = 1.0f / (float)pow(rope->theta, (double)exponent);
    if (rope->kind == SA_ROPE_PLAIN) {
        return plain;
    }
    float divided = plain / (float)rope->factor;
    if (rope->kind == SA_ROPE_LINEAR) {
        return divided;
    }
    double wavelength = 2.0 * M_PI / (double)plain, original = (double)rope->original;
    if (wavelength < original / rope->high) {
        return plain;
    }
    if (wavelength > original / rope->low) {
        return divided;
    }
    float smooth = (float)((original / wavelength - rope->low) / (rope->high - rope->low));
    return (1.0f - smooth) * divided + smooth * plain;
}

void llama_rope_table(const sa_rope_config *rope, size_t head_dim, size_t count, float *table)
{
    size_t half = head_dim / 2;
    for (size_t i = 0; i < half; i++) {
        float step = frequency(rope, head_dim, i);
        for (size_t p = 0; p < count; p++) {
            float angle = (float)p * step;
            table[p * head_dim + i] = (float)cos((double)angle);
            table[p * head_dim + half + i] = (float)sin((double)angle);
        }
    }
}

static float *load_rope(const sa_llama *llama, sa_loader *l)
{
    size_t count = llama->options.context, head_dim = llama->config.head_dim;
    float *host = sa_load_host(l, count * head_dim * sizeof(float));
    if (host != NULL) {
        llama_rope_table(&llama->config.rope, head_dim, count, host);
    }
    return sa_load_values(l, host, count * head_dim);
}

/* A model and the tensors that it is loaded from. */
typedef struct {
    sa_llama *llama;
    const sa_llama_tensors *tensors;
} loading;

static void load_all(sa_loader *l, void *model)
{
    const loading *both = model;
    const sa_llama_tensors *t = both->tensors;
    llama_weights *w = &both->llama->weights;
    float eps = both->llama->config.eps;
    w->embed_packed = t->head == NULL; /* tied: the head's is the one copy */
    w->embed = w->embed_packed ? NULL : sa_load_table(l, t->embed);
    w->rope = load_rope(both->llama, l);
    for (size_t i = 0; i < both->llama->config.layers; i++) {
        const sa_llama_layer_tensors *from = &t->layer[i];
        llama_layer *layer = &w->layer[i];
        layer->norm1 = sa_load_norm(l, from->norm1, NULL, eps);
        layer->norm2 = sa_load_norm(l, from->norm2, NULL, eps);
        layer->qkv = sa_load_fused(l, from->qkv, 3);
        layer->out = sa_load_fused(l, &from->out, 1);
        layer->gate_up = sa_load_fused(l, from->gate_up, 2);
        layer->down = sa_load_fused(l, &from->down, 1);
    }
    w->norm = sa_load_norm(l, t->norm, NULL, eps);
    w->head = sa_load_linear(l, t->head != NULL ? t->head : t->embed, NULL);
    w->embed = w->embed_packed ? w->head.w : w->embed;
}

sa_status llama_load(sa_llama *llama, const sa_weights *weights, const sa_llama_tensors *tensors,
                     sa_error *err)
{
    llama->weights.layer = calloc(llama->config.layers, sizeof *llama->weights.layer);
    if (llama->weights.layer == NULL) {
        return sa_fail(err, SA_NO_ROOM, llama->path, NULL, "no memory for the layers of a model");
    }
    loading both = {llama, tensors};
    return sa_load_model(llama->device, llama->stream, weights, llama->options.precision, load_all, &both,
                         &llama->weight_memory, &llama->weight_bytes, err);
}
