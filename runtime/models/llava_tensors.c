/* The walk over a LLaVA (tensor_table.h): tower, projector, decoder. */
#include "runtime/models/llava_tensors.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *vision[5], *projector[3];
    sa_llama_names text[4];
} spellings;

/* transformers as it has saved LLaVAs over the years, the newest last. */
static const spellings huggingface = {
    .vision = {"vision_tower.vision_model.", "model.vision_tower.vision_model.", "model.vision_tower.",
               "vision_tower.", NULL},
    .projector = {"multi_modal_projector.", "model.multi_modal_projector.", NULL},
    .text = {{"language_model.model.", "language_model.lm_head."},
             {"model.language_model.", "lm_head."},
             {"language_model.", "lm_head."},
             {NULL, NULL}},
};
static const spellings original = {
    .vision = {"model.vision_tower.vision_tower.vision_model.", "model.vision_tower.vision_tower.", NULL},
    .projector = {"model.mm_projector.", NULL},
    .text = {{"model.", "lm_head."}, {NULL, NULL}},
};

static bool has_prefix(const sa_weights *weights, const char *prefix)
{
    for (size_t i = 0; i < sa_weights_count(weights); i++) {
        if (strncmp(sa_weights_at(weights, i)->name, prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

static const char *find_projector(const sa_weights *weights, const spellings *s)
{
    for (size_t i = 0; s->projector[i] != NULL; i++) {
        if (has_prefix(weights, s->projector[i])) {
            return s->projector[i];
        }
    }
    return s->projector[0];
}

static sa_llama_names find_text(const sa_weights *weights, const spellings *s)
{
    for (size_t i = 0; s->text[i].body != NULL; i++) {
        char name[128];
        snprintf(name, sizeof name, "%snorm.weight", s->text[i].body);
        if (sa_weights_find(weights, name) != NULL) {
            return s->text[i];
        }
    }
    return s->text[0];
}

void sa_llava_table_config_find(const sa_weights *weights, const sa_llava_config *config,
                                sa_llava_table_config *table)
{
    const spellings *s = config->original ? &original : &huggingface;
    *table = (sa_llava_table_config){.config = config,
                                     .vision = sa_clip_find_prefix(weights, s->vision),
                                     .projector = find_projector(weights, s),
                                     .text = find_text(weights, s)};
    if (table->vision == NULL && config->tower[0] == '\0') {
        table->vision = s->vision[0];
    }
}

/* linear_1, linear_2; or, in the original, places in a sequence whose odd ones are activations. */
static void walk_projector(sa_tensor_walk *w, const sa_llava_table_config *t, sa_tensor_pair *pairs)
{
    const sa_llava_config *c = t->config;
    size_t depth = c->projector.depth, width = c->text.hidden;
    /* an original that is a single linear has no place: PREFIXweight */
    sa_tensor_enter(w, t->projector, "");
    for (size_t i = 0; i < depth; i++) {
        char weight[48] = "weight", bias[48] = "bias";
        if (!c->original || depth > 1) {
            size_t number = c->original ? 2 * i : i + 1;
            snprintf(weight, sizeof weight, "%s%zu.weight", c->original ? "" : "linear_", number);
            snprintf(bias, sizeof bias, "%s%zu.bias", c->original ? "" : "linear_", number);
        }
        sa_tensor_visit(w, &pairs[i].weight, weight, "", sa_shape2(width, i == 0 ? c->vision.hidden : width));
        if (c->projector.bias) {
            sa_tensor_visit(w, &pairs[i].bias, bias, "", sa_shape1(width));
        }
    }
}

static void walk_table(sa_tensor_walk *w, const void *config, void *tensors)
{
    const sa_llava_table_config *t = config;
    sa_llava_tensors *all = tensors;
    if (t->vision != NULL) {
        sa_clip_tensors_walk(w, &t->config->vision, t->vision, &all->vision);
    }
    walk_projector(w, t, all->projector);
    sa_llama_walk(w, &t->config->text, &t->text, &all->text);
}

sa_tensor_table sa_llava_tensor_table(const sa_llava_table_config *config)
{
    /* what the decoder's and the tower's older files hold besides */
    static const char *const ignored[] = {"*.rotary_emb.inv_freq", "*.position_ids", NULL};
    return (sa_tensor_table){
        .walk = walk_table, .config = config, .size = sizeof(sa_llava_tensors), .ignored = ignored};
}
