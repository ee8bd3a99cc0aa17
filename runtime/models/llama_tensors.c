/* The walk over a decoder (tensor_table.h), in the order of the forward. */
#include "runtime/models/llama_tensors.h"

#include <stdio.h>

const sa_llama_names sa_llama_plain_names = {"model.", "lm_head."};
const char *const sa_llama_ignored[] = {"*.rotary_emb.inv_freq", NULL};

static void visit(sa_tensor_walk *w, const sa_tensor **field, const char *name, sa_shape shape)
{
    sa_tensor_visit(w, field, name, "", shape);
}

static void visit_linear(sa_tensor_walk *w, sa_tensor_pair *pair, const char *name, size_t n, size_t k,
                         bool bias)
{
    sa_tensor_visit_pair(w, pair, name, "", sa_shape2(n, k), bias ? n : 0);
}

/* q, k and v, gate and up stand apart in files, and become one product each when they are loaded. */
static void walk_layer(sa_tensor_walk *w, const sa_llama_config *c, sa_llama_layer_tensors *t)
{
    size_t d = c->hidden, q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim, f = c->mlp_dim;
    visit(w, &t->norm1, "input_layernorm.weight", sa_shape1(d));
    visit_linear(w, &t->qkv[0], "self_attn.q_proj", q, d, c->qkv_bias);
    visit_linear(w, &t->qkv[1], "self_attn.k_proj", kv, d, c->qkv_bias);
    visit_linear(w, &t->qkv[2], "self_attn.v_proj", kv, d, c->qkv_bias);
    visit_linear(w, &t->out, "self_attn.o_proj", d, q, c->out_bias);
    visit(w, &t->norm2, "post_attention_layernorm.weight", sa_shape1(d));
    visit_linear(w, &t->gate_up[0], "mlp.gate_proj", f, d, c->mlp_bias);
    visit_linear(w, &t->gate_up[1], "mlp.up_proj", f, d, c->mlp_bias);
    visit_linear(w, &t->down, "mlp.down_proj", d, f, c->mlp_bias);
}

void sa_llama_walk(sa_tensor_walk *w, const sa_llama_config *config, const sa_llama_names *names,
                   sa_llama_tensors *tensors)
{
    char layers[80], head[80];
    size_t v = config->vocabulary, d = config->hidden;
    snprintf(layers, sizeof layers, "%slayers", names->body);
    snprintf(head, sizeof head, "%sweight", names->head);
    sa_tensor_enter(w, names->body, "");
    visit(w, &tensors->embed, "embed_tokens.weight", sa_shape2(v, d));
    if (config->tied) { /* a file may hold either name or both */
        sa_tensor_alias(w, head);
    }
    for (size_t i = 0; i < config->layers; i++) {
        sa_tensor_enter_numbered(w, layers, "", i);
        walk_layer(w, config, &tensors->layer[i]);
    }
    sa_tensor_enter(w, names->body, "");
    visit(w, &tensors->norm, "norm.weight", sa_shape1(d));
    sa_tensor_enter(w, names->head, "");
    if (!config->tied) {
        visit(w, &tensors->head, "weight", sa_shape2(v, d));
    }
}

static void walk_alone(sa_tensor_walk *w, const void *config, void *tensors)
{
    sa_llama_walk(w, config, &sa_llama_plain_names, tensors);
}

sa_tensor_table sa_llama_tensor_table(const sa_llama_config *config)
{
    return (sa_tensor_table){
        .walk = walk_alone, .config = config, .size = sizeof(sa_llama_tensors), .ignored = sa_llama_ignored};
}
