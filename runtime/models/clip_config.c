/*
 * config.json and preprocessor_config.json of a CLIP, alone or inside of a larger model. Limits are there so
 * that no product of sizes wraps and no kernel meets what it does not do; each names the key it is about.
 */
#include "runtime/models/clip_config.h"

#include <string.h>

sa_activation sa_clip_read_activation(sa_config_reader *r, const char *key, const char *otherwise)
{
    const char *name = sa_config_text(r, key, otherwise);
    bool quick = strcmp(name, "quick_gelu") == 0;
    if (r->status == SA_OK && !quick && strcmp(name, "gelu") != 0) {
        r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "use a model of the standard kind",
                            "%s \"%s\" is not supported, only \"quick_gelu\" and \"gelu\"", key, name);
    }
    return quick ? SA_ACT_QUICK_GELU : SA_ACT_GELU;
}

static sa_status bad_sizes(const sa_config_reader *r, const char *what)
{
    return sa_fail(r->err, SA_BAD_INPUT, r->file, "use a config.json that belongs to the weights", "%s%s%s",
                   r->part, r->part[0] != '\0' ? ": " : "", what);
}

static sa_status check_sizes(const sa_config_reader *r, const sa_clip_config *c)
{
    if (c->image_size < SA_CLIP_LEAST_SIDE || c->image_size > 8192 || c->patch_size > c->image_size ||
        c->image_size / c->patch_size > 512) {
        return bad_sizes(r, "image_size must be from 8 to 8192, and 1 to 512 times patch_size");
    }
    if (c->hidden % c->heads != 0 || c->hidden / c->heads > 128) {
        return bad_sizes(r, "hidden_size must be a multiple of num_attention_heads, at most 128 for each");
    }
    if (c->layers > SA_CLIP_MOST_LAYERS) {
        return bad_sizes(r, "num_hidden_layers is above 128");
    }
    if (!(c->eps > 0.0f && c->eps <= 1.0f)) {
        return bad_sizes(r, "layer_norm_eps must be above 0 and at most 1");
    }
    return SA_OK;
}

sa_status sa_clip_config_read(sa_config_reader *r, sa_clip_config *c)
{
    *c = (sa_clip_config){
        .image_size = sa_config_size(r, "image_size", 224),
        .patch_size = sa_config_size(r, "patch_size", 32),
        .hidden = sa_config_size(r, "hidden_size", 768),
        .layers = sa_config_size(r, "num_hidden_layers", 12),
        .heads = sa_config_size(r, "num_attention_heads", 12),
        .mlp_dim = sa_config_size(r, "intermediate_size", 3072),
        .eps = (float)sa_config_real(r, "layer_norm_eps", 1e-5),
        .act = sa_clip_read_activation(r, "hidden_act", "quick_gelu"),
    };
    sa_config_repeated(r, "num_channels", 3);
    sa_config_part_type(r, "clip_vision_model");
    return r->status == SA_OK ? check_sizes(r, c) : r->status;
}

static sa_status read_model(const json_t *json, const char *path, sa_clip_config *config, sa_error *err)
{
    sa_config_reader r = {.object = json, .file = path, .part = "", .err = err, .status = SA_OK};
    const char *type = sa_config_text(&r, "model_type", "");
    if (r.status == SA_OK && strcmp(type, "clip_vision_model") == 0) {
        return sa_clip_config_read(&r, config);
    }
    sa_config_fixed(&r, "model_type", "clip");
    SA_TRY(r.status);
    json_t *empty = json_object();
    r = sa_config_section(json, "vision_config", path, empty, err);
    sa_status status = sa_clip_config_read(&r, config);
    json_decref(empty);
    return status;
}

sa_status sa_clip_config_open(const char *directory, sa_clip_config *config, sa_error *err)
{
    char path[SA_CONFIG_PATH];
    json_t *json = NULL;
    SA_TRY(sa_config_open(directory, "config.json", path, &json, err));
    sa_status status = read_model(json, path, config, err);
    json_decref(json);
    return status;
}

sa_status sa_clip_feature_layer(const sa_clip_config *config, int64_t layer, const char *file,
                                const char *key, sa_clip_feature *feature, sa_error *err)
{
    int64_t count = (int64_t)config->layers;
    if (layer < -count - 1 || layer > count) {
        return sa_fail(err, SA_BAD_INPUT, file, "use a config.json that belongs to the weights",
                       "%s %lld is none of a tower of %zu layers", key, (long long)layer, config->layers);
    }
    /* as Python counts the list of hidden states: 0 are the embeddings, -1 is what the last layer gives */
    feature->layers = (size_t)(layer < 0 ? count + 1 + layer : layer);
    return SA_OK;
}

/* ---- preprocessor_config.json ---- */

/* A length that a file may write as a number, or as an object with one key or two. 0: it says nothing. */
static size_t read_length(sa_config_reader *r, const char *key, const char *first, const char *second)
{
    const json_t *value = json_object_get(r->object, key);
    if (!json_is_object(value)) {
        return sa_config_bounded(r, key, 0, 65536, 0);
    }
    sa_config_reader inner = {.object = value, .file = r->file, .part = key, .err = r->err};
    size_t length = sa_config_bounded(&inner, first, 0, 65536, 0);
    size_t other = sa_config_bounded(&inner, second, 0, 65536, length);
    if (inner.status == SA_OK && other != length) {
        inner.status = sa_fail(r->err, SA_BAD_INPUT, r->file, "use a model with square pictures",
                               "%s: %s and %s differ", key, first, second);
    }
    r->status = r->status == SA_OK ? inner.status : r->status;
    return length;
}

/*
 * Three ways to the tower's square are known: the short edge to `edge` and a crop, the same with padding
 * first, or both edges stretched. Files say which by which keys they have, and anything else would leave
 * pictures that are not square, or not of the tower's size.
 */
static void read_size(sa_config_reader *r, const sa_clip_config *config, sa_clip_preprocess *p)
{
    size_t side = config->image_size;
    size_t square =
        json_is_object(json_object_get(r->object, "size")) ? read_length(r, "size", "height", "width") : 0;
    size_t edge = square == 0 ? read_length(r, "size", "shortest_edge", "shortest_edge") : square;
    bool crops = sa_config_flag(r, "do_center_crop", true);
    size_t crop = crops ? read_length(r, "crop_size", "height", "width") : 0;
    p->stretch = square != 0 && square == side;
    p->edge = edge != 0 ? edge : side;
    crop = crop != 0 ? crop : side;
    if (r->status == SA_OK &&
        (crop != side || p->edge < side || (!crops && p->edge != side) || (square != 0 && square != side))) {
        r->status =
            sa_fail(r->err, SA_BAD_INPUT, r->file, "use the file that belongs to the model",
                    "size %zu and crop_size %zu do not lead to the tower's %zu pixels", p->edge, crop, side);
    }
    if (r->status == SA_OK && !crops && !p->stretch && !p->pad) {
        r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "set do_center_crop or do_pad",
                            "pictures that are not square would stay so");
    }
}

/* In PIL's numbers. */
static void read_filter(sa_config_reader *r, sa_clip_preprocess *p)
{
    size_t filter = sa_config_bounded(r, "resample", 0, 5, 3);
    p->filter = filter == 2 ? SA_RESIZE_BILINEAR : SA_RESIZE_BICUBIC;
    if (r->status == SA_OK && filter != 2 && filter != 3) {
        r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "use bicubic",
                            "only resample 3 (bicubic) and 2 (bilinear) are supported, not %zu", filter);
    }
}

/* Steps that every CLIP takes; one that leaves one out would want other pixels than the kernel makes. */
static void check_steps(sa_config_reader *r, const sa_clip_preprocess *p)
{
    if (!sa_config_flag(r, "do_resize", true) || !sa_config_flag(r, "do_normalize", true) ||
        !sa_config_flag(r, "do_rescale", true)) {
        r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "set them to true",
                            "do_resize, do_rescale and do_normalize cannot be switched off");
    }
    double rescale = sa_config_real(r, "rescale_factor", 1.0 / 255.0);
    if (r->status == SA_OK && !(rescale > 0.0039 && rescale < 0.00393)) {
        r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "use 1/255", "rescale_factor %g is not supported",
                            rescale);
    }
    for (int i = 0; i < 3 && r->status == SA_OK; i++) {
        if (!(p->std[i] > 0.0f)) {
            r->status =
                sa_fail(r->err, SA_BAD_INPUT, r->file, "write numbers above 0", "image_std holds a zero");
        }
    }
}

static sa_status read_preprocess(sa_config_reader *r, const sa_clip_config *config, sa_clip_preprocess *p)
{
    sa_config_triple(r, "image_mean", p->mean);
    sa_config_triple(r, "image_std", p->std);
    p->pad = sa_config_flag(r, "do_pad", false);
    read_size(r, config, p);
    read_filter(r, p);
    check_steps(r, p);
    for (int i = 0; i < 3; i++) {
        p->pad_color[i] = (uint8_t)p->mean[i]; /* truncated, as in the original */
    }
    return r->status;
}

sa_status sa_clip_preprocess_read(const char *directory, const sa_clip_config *config,
                                  sa_clip_preprocess *preprocess, sa_error *err)
{
    *preprocess = (sa_clip_preprocess){
        .mean = {0.48145466f * 255.0f, 0.4578275f * 255.0f, 0.40821073f * 255.0f},
        .std = {0.26862954f * 255.0f, 0.26130258f * 255.0f, 0.27577711f * 255.0f},
    };
    char path[SA_CONFIG_PATH];
    json_t *json = NULL;
    SA_TRY(sa_config_open_preprocess(directory, path, &json, err));
    json = json != NULL ? json : json_object(); /* every key takes its default */
    sa_config_reader r = {.object = json, .file = path, .part = "", .err = err, .status = SA_OK};
    sa_status status = read_preprocess(&r, config, preprocess);
    json_decref(json);
    return status;
}
