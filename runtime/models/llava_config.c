#include "runtime/models/llava_config.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"

static const char *const bad_config = "use a config.json that belongs to the weights";

/* ---- Hugging Face ---- */

/* hidden_states[layer]; a list of one is that one. */
static sa_status read_feature_layer(sa_config_reader *r, const char *key, sa_llava_config *c)
{
    const json_t *value = json_object_get(r->object, key);
    if (json_is_array(value)) {
        if (json_array_size(value) != 1) {
            return sa_fail(r->err, SA_BAD_INPUT, r->file, "use a model with one feature layer",
                           "%s: several layers are not supported", key);
        }
        value = json_array_get(value, 0);
    }
    if (value != NULL && !json_is_null(value) && !json_is_integer(value)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->file, bad_config, "%s is no layer's number", key);
    }
    int64_t layer = json_is_integer(value) ? json_integer_value(value) : -2;
    return sa_clip_feature_layer(&c->vision, layer, r->file, key, &c->feature, r->err);
}

/* One of two words: is it the second? */
static bool read_choice(sa_config_reader *r, const char *key, const char *first, const char *second)
{
    const char *value = sa_config_text(r, key, first);
    bool is_second = strcmp(value, second) == 0;
    if (r->status == SA_OK && !is_second && strcmp(value, first) != 0) {
        r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "use a model of the standard kind",
                            "%s \"%s\" is not supported, only \"%s\" and \"%s\"", key, value, first, second);
    }
    return is_second;
}

/* Without a section transformers takes the sizes of ViT-L/14-336; in one, CLIP's own defaults. */
static sa_status read_vision(const json_t *json, const char *path, sa_llava_config *c, sa_error *err)
{
    json_t *usual =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "hidden_size", 1024, "intermediate_size", 4096,
                  "patch_size", 14, "image_size", 336, "num_hidden_layers", 24, "num_attention_heads", 16);
    sa_config_reader r = sa_config_section(json, "vision_config", path, usual, err);
    sa_status status = r.status == SA_OK ? sa_clip_config_read(&r, &c->vision) : r.status;
    json_decref(usual);
    return status;
}

static sa_status read_text(const json_t *json, const char *path, sa_llava_config *c, sa_error *err)
{
    json_t *empty = json_object();
    sa_config_reader r = sa_config_section(json, "text_config", path, empty, err);
    const char *type = sa_config_text(&r, "model_type", "llama");
    sa_status status = r.status == SA_OK
                           ? sa_llama_config_parse(r.object, path, "text_config", type, &c->text, err)
                           : r.status;
    json_decref(empty);
    return status;
}

static sa_status read_huggingface(sa_config_reader *r, const char *directory, sa_llava_config *c)
{
    SA_TRY(read_vision(r->object, r->file, c, r->err));
    SA_TRY(read_text(r->object, r->file, c, r->err));
    SA_TRY(read_feature_layer(r, "vision_feature_layer", c));
    c->feature.class_token = read_choice(r, "vision_feature_select_strategy", "default", "full");
    c->projector =
        (sa_llava_projector_config){.depth = 2,
                                    .act = sa_clip_read_activation(r, "projector_hidden_act", "gelu"),
                                    .bias = sa_config_flag(r, "multimodal_projector_bias", true)};
    c->text.tied = sa_config_flag(r, "tie_word_embeddings", false) || c->text.tied;
    const char *token =
        json_object_get(r->object, "image_token_index") != NULL ? "image_token_index" : "image_token_id";
    c->picture_token = (int32_t)sa_config_bounded(r, token, 0, c->text.vocabulary - 1, 32000);
    SA_TRY(r->status);
    if ((size_t)c->picture_token >= c->text.vocabulary) { /* the default, in a small vocabulary */
        c->picture_token = SA_LLAVA_PICTURE;
    }
    return sa_clip_preprocess_read(directory, &c->vision, &c->preprocess, r->err);
}

/* ---- the original release ---- */

/* "linear", or "mlpNx_gelu". */
static void read_projector(sa_config_reader *r, sa_llava_projector_config *p)
{
    const char *type = sa_config_text(r, "mm_projector_type", "linear");
    int length = 0;
    unsigned depth = 1;
    bool mlp = sscanf(type, "mlp%1ux_gelu%n", &depth, &length) == 1 && type[length] == '\0' && length > 0;
    *p = (sa_llava_projector_config){.depth = depth, .act = SA_ACT_GELU, .bias = true};
    if (r->status == SA_OK &&
        !(mlp ? depth >= 1 && depth <= SA_LLAVA_MOST_PROJECTOR : strcmp(type, "linear") == 0)) {
        r->status =
            sa_fail(r->err, SA_BAD_INPUT, r->file, "use a model of the standard kind",
                    "mm_projector_type \"%s\" is not supported, only \"linear\" and \"mlp2x_gelu\"", type);
    }
}

/* Pads, or crops; anything else (tiles: "anyres") is none of LLaVA-1.5's. */
static bool read_aspect(sa_config_reader *r)
{
    const char *aspect = sa_config_text(r, "image_aspect_ratio", "square");
    bool pad = strcmp(aspect, "pad") == 0;
    if (r->status == SA_OK && !pad && strcmp(aspect, "square") != 0) {
        r->status =
            sa_fail(r->err, SA_BAD_INPUT, r->file, "use a LLaVA-1.5",
                    "image_aspect_ratio \"%s\" is not supported, only \"pad\" and \"square\"", aspect);
    }
    return pad;
}

static void refuse(sa_config_reader *r, const char *key)
{
    const json_t *value = json_object_get(r->object, key);
    if (r->status == SA_OK && value != NULL && !json_is_null(value) && !json_is_false(value)) {
        r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "use a model without it",
                            "key \"%s\" asks for something that is not supported", key);
    }
}

static bool is_tower(const char *directory, char *out)
{
    char config[SA_CONFIG_PATH];
    bool fits = snprintf(out, SA_CONFIG_PATH, "%s", directory) < SA_CONFIG_PATH;
    return fits && sa_file_join(config, sizeof config, out, "config.json", NULL) == SA_OK &&
           sa_file_exists(config);
}

/*
 * The name is a directory, or a model of a hub that somebody has put beside this one: under its name or the
 * last part of it, in the model's directory or next to that.
 */
static sa_status find_tower(const sa_config_reader *r, const char *directory, const char *name, char *out)
{
    const char *slash = strrchr(name, '/'), *last = slash != NULL ? slash + 1 : name;
    const struct {
        const char *format, *name;
    } places[] = {{"%s/%s", name}, {"%s/%s", last}, {"%s/../%s", name}, {"%s/../%s", last}};
    if (name[0] == '/' && is_tower(name, out)) {
        return SA_OK;
    }
    for (size_t i = 0; last[0] != '\0' && i < sizeof places / sizeof *places; i++) {
        char place[2 * SA_CONFIG_PATH];
        snprintf(place, sizeof place, places[i].format, directory, places[i].name);
        if (is_tower(place, out)) {
            return SA_OK;
        }
    }
    return sa_fail(r->err, SA_BAD_INPUT, r->file,
                   "put the tower's directory beside the model's or into it, under this name",
                   "mm_vision_tower \"%s\": there is no such directory with a config.json", name);
}

static sa_status read_original(sa_config_reader *r, const char *directory, sa_llava_config *c)
{
    /* the tokens around a picture of mm_use_im_start_end are LLaVA-1.0's, and no template writes them */
    static const char *const lacked[] = {"mm_resampler_type", "tune_mm_vision_resampler", "s2",
                                         "mm_use_im_start_end"};
    const char *type = sa_config_text(r, "model_type", "llava");
    bool mistral = strcmp(type, "llava_mistral") == 0;
    c->original = true;
    c->picture_token = SA_LLAVA_PICTURE;
    for (size_t i = 0; i < sizeof lacked / sizeof *lacked; i++) {
        refuse(r, lacked[i]);
    }
    const char *tower = sa_config_text(r, "mm_vision_tower", "");
    sa_config_fixed(r, "mm_patch_merge_type", "flat");
    bool pad = read_aspect(r);
    read_projector(r, &c->projector);
    c->feature.class_token = read_choice(r, "mm_vision_select_feature", "patch", "cls_patch");
    SA_TRY(r->status);
    SA_TRY(find_tower(r, directory, tower, c->tower));
    SA_TRY(sa_clip_config_open(c->tower, &c->vision, r->err));
    sa_config_repeated(r, "mm_hidden_size", c->vision.hidden);
    SA_TRY(r->status);
    SA_TRY(read_feature_layer(r, "mm_vision_select_layer", c));
    SA_TRY(sa_llama_config_parse(r->object, r->file, "", mistral ? "mistral" : "llama", &c->text, r->err));
    SA_TRY(sa_clip_preprocess_read(c->tower, &c->vision, &c->preprocess, r->err));
    c->preprocess.pad = pad;
    return SA_OK;
}

/* ---- both ---- */

static bool is_known_type(const char *type)
{
    return strcmp(type, "llava") == 0 || strcmp(type, "llava_llama") == 0 ||
           strcmp(type, "llava_mistral") == 0;
}

static sa_status read_model(sa_config_reader *r, const char *directory, sa_llava_config *c)
{
    const char *type = sa_config_text(r, "model_type", "");
    if (r->status == SA_OK && !is_known_type(type)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->file, "this engine reads model_type \"llava\"",
                       "model_type \"%s\" is not supported", type);
    }
    SA_TRY(r->status);
    bool original = json_object_get(r->object, "mm_vision_tower") != NULL;
    return original ? read_original(r, directory, c) : read_huggingface(r, directory, c);
}

sa_status sa_llava_config_read(const char *directory, sa_llava_fit fit, sa_llava_config *config,
                               sa_error *err)
{
    char path[SA_CONFIG_PATH];
    json_t *json = NULL;
    *config = (sa_llava_config){0};
    SA_TRY(sa_config_open(directory, "config.json", path, &json, err));
    sa_config_reader r = {.object = json, .file = path, .part = "", .err = err, .status = SA_OK};
    sa_status status = read_model(&r, directory, config);
    json_decref(json);
    if (fit != SA_LLAVA_FIT_AS_CONFIGURED) {
        config->preprocess.pad = fit == SA_LLAVA_FIT_PAD;
    }
    return status;
}
