/*
 * config.json -> sa_llama_config: sizes, then everything that a file may ask for and this engine lacks, then
 * RoPE in both of transformers' spellings. A key that changes the forward and is not known here would give
 * wrong text without a word: refuse_unknown_parts() lists those that models of these types have been seen
 * with.
 */
#include "runtime/models/llama_config.h"

#include <math.h>
#include <string.h>

enum { MOST_VOCABULARY = 1 << 24, MOST_POSITIONS = 1 << 24, MOST_WIDTH = 1 << 20 };

static const char *const known_types = "this engine reads model_type \"llama\", \"mistral\" and \"qwen2\"";
static const char *const wrong_sizes = "use a config.json that belongs to the weights";

/* What transformers takes where config.json is silent. kv_heads 0: as many as heads. window 0: none. */
typedef struct {
    const char *type;
    size_t vocabulary, mlp_dim, kv_heads, positions, window;
    bool qkv_bias;
} family;

static const family families[] = {
    {"llama", 32000, 11008, 0, 2048, 0, false},
    {"mistral", 32000, 14336, 8, 131072, 4096, false},
    {"qwen2", 151936, 22016, 32, 32768, 4096, true},
};

static const family *find_family(const char *type)
{
    for (size_t i = 0; type != NULL && i < sizeof families / sizeof *families; i++) {
        if (strcmp(type, families[i].type) == 0) {
            return &families[i];
        }
    }
    return NULL;
}

/* Marks the configuration as refused, unless it is already. */
static void refuse(sa_config_reader *r, const char *hint, const char *key, const char *reason)
{
    if (r->status == SA_OK) {
        r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, hint, "%s%skey \"%s\" %s", r->part,
                            r->part[0] != '\0' ? ": " : "", key, reason);
    }
}

/* -- What we lack -- */

/* true, a number other than 0, a text, a list or an object: the key asks for something. */
static bool asks(const json_t *value)
{
    bool nothing = value == NULL || json_is_null(value) || json_is_false(value) ||
                   (json_is_number(value) && json_number_value(value) == 0.0);
    return !nothing;
}

/* Keys that change the forward of models that otherwise call themselves one of ours. */
static void refuse_unknown_parts(sa_config_reader *r)
{
    static const char *const lacked[] = {
        "quantization_config",  "attn_logit_softcapping", "final_logit_softcapping",
        "rope_interleaved",     "no_rope_layers",         "no_rope_layer_interval",
        "use_qk_norm",          "qk_layernorm",           "add_cross_attention",
        "num_experts",          "num_local_experts",      "attention_multiplier",
        "embedding_multiplier", "residual_multiplier",    "logits_scaling",
        "attention_chunk_size",
    };
    for (size_t i = 0; i < sizeof lacked / sizeof *lacked; i++) {
        if (asks(json_object_get(r->object, lacked[i]))) {
            refuse(r, "use a model without it", lacked[i], "asks for something that is not supported");
        }
    }
    if (sa_config_real(r, "partial_rotary_factor", 1.0) != 1.0) {
        refuse(r, "use a model without it", "partial_rotary_factor", "must be 1");
    }
    sa_config_fixed(r, "hidden_act", "silu");
}

/*
 * Qwen2's own words for which layers have the window: a switch, and from which layer on; or, newer, a list of
 * the layers' kinds, which is looked at in any case.
 */
static bool qwen_has_window(sa_config_reader *r, size_t layers)
{
    bool wanted = sa_config_flag(r, "use_sliding_window", false);
    size_t first = sa_config_bounded(r, "max_window_layers", 0, MOST_POSITIONS, 28);
    bool listed = json_is_array(json_object_get(r->object, "layer_types"));
    return wanted && !listed && first < layers;
}

/* A window that no context can leave is none. */
static void refuse_window(sa_config_reader *r, const family *kind, size_t layers, size_t positions)
{
    bool null = json_is_null(json_object_get(r->object, "sliding_window"));
    size_t window = null ? 0 : sa_config_bounded(r, "sliding_window", 0, MOST_POSITIONS, kind->window);
    if (strcmp(kind->type, "qwen2") == 0 && !qwen_has_window(r, layers)) {
        window = 0;
    }
    if (window != 0 && window < positions) {
        refuse(r, "lower max_position_embeddings to the window to use the model up to there",
               "sliding_window", "asks for a window, which is not supported");
    }
    const json_t *types = json_object_get(r->object, "layer_types");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (type == NULL || strcmp(type, "full_attention") != 0) {
            refuse(r, "use a model without it", "layer_types", "names a kind other than \"full_attention\"");
        }
    }
}

/* -- RoPE -- */

/* rope_parameters of transformers 5, rope_scaling of transformers 4, or nothing. */
static sa_config_reader rope_section(sa_config_reader *r, const json_t *empty)
{
    const char *key =
        asks(json_object_get(r->object, "rope_parameters")) ? "rope_parameters" : "rope_scaling";
    return sa_config_section(r->object, key, r->file, empty, r->err);
}

/*
 * A section that scales must say how: without a type its factor would be passed over in silence, and so would
 * all of transformers 5's form that has a section for each kind of layer.
 */
static const char *rope_type(sa_config_reader *rope)
{
    const char *key = json_object_get(rope->object, "rope_type") != NULL ? "rope_type" : "type";
    const char *type = sa_config_text(rope, key, "");
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)rope->object, name, value) {
        if (type[0] == '\0' && (json_is_object(value) || strcmp(name, "factor") == 0)) {
            refuse(rope, "use a model with one kind of RoPE", name,
                   "stands in a section without a rope_type");
        }
    }
    return type[0] != '\0' ? type : "default";
}

/* A number above 0 that has to be there. */
static double read_factor(sa_config_reader *rope, const char *key)
{
    double value = sa_config_real(rope, key, 0.0);
    if (!(value > 0.0 && value < 1e9)) {
        refuse(rope, wrong_sizes, key, "must be a number above 0");
    }
    return value;
}

static void read_scaling(sa_config_reader *rope, sa_rope_config *out, size_t positions)
{
    const char *type = rope_type(rope);
    if (strcmp(type, "default") == 0) {
        return;
    }
    if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0) {
        if (rope->status == SA_OK) {
            rope->status = sa_fail(rope->err, SA_BAD_INPUT, rope->file, "use a model of another kind",
                                   "%s: rope_type \"%s\" is not supported, only \"default\", \"linear\" and "
                                   "\"llama3\"",
                                   rope->part, type);
        }
        return;
    }
    out->kind = type[1] == 'i' ? SA_ROPE_LINEAR : SA_ROPE_LLAMA3;
    out->factor = read_factor(rope, "factor");
    if (out->kind == SA_ROPE_LLAMA3) {
        out->low = read_factor(rope, "low_freq_factor");
        out->high = read_factor(rope, "high_freq_factor");
        out->original =
            sa_config_bounded(rope, "original_max_position_embeddings", 1, MOST_POSITIONS, positions);
        if (!(out->low < out->high)) {
            refuse(rope, wrong_sizes, "low_freq_factor", "must be below high_freq_factor");
        }
    }
}

static void read_rope(sa_config_reader *r, sa_rope_config *out, size_t positions)
{
    json_t *empty = json_object();
    sa_config_reader rope = rope_section(r, empty);
    double theta = sa_config_real(r, "rope_theta", 10000.0);
    if (r->status == SA_OK && rope.status == SA_OK) {
        out->theta = sa_config_real(&rope, "rope_theta", theta);
        if (!(out->theta >= 1.0 && out->theta < 1e15)) {
            refuse(&rope, wrong_sizes, "rope_theta", "is no sensible base");
        }
        if (sa_config_real(&rope, "partial_rotary_factor", 1.0) != 1.0) {
            refuse(&rope, "use a model without it", "partial_rotary_factor", "must be 1");
        }
        read_scaling(&rope, out, positions);
    }
    if (r->status == SA_OK) {
        r->status = rope.status;
    }
    json_decref(empty);
}

/* -- Sizes -- */

static void read_dtype(sa_config_reader *r, sa_dtype *dtype)
{
    static const struct {
        const char *name;
        sa_dtype dtype;
    } known[] = {{"float32", SA_F32}, {"bfloat16", SA_BF16}, {"float16", SA_F16}};
    const char *key = json_object_get(r->object, "dtype") != NULL ? "dtype" : "torch_dtype";
    const char *name = json_string_value(json_object_get(r->object, key));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (name == NULL || strcmp(name, known[i].name) == 0) {
            *dtype = known[i].dtype;
            return;
        }
    }
    refuse(r, "use weights in float32, bfloat16 or float16", key, "names a type that is not supported");
}

static void read_sizes(sa_config_reader *r, const family *kind, sa_llama_config *c)
{
    c->vocabulary = sa_config_bounded(r, "vocab_size", 1, MOST_VOCABULARY, kind->vocabulary);
    c->hidden = sa_config_size(r, "hidden_size", 4096);
    c->mlp_dim = sa_config_bounded(r, "intermediate_size", 1, MOST_WIDTH, kind->mlp_dim);
    c->layers = sa_config_bounded(r, "num_hidden_layers", 1, SA_LLAMA_MOST_LAYERS, 32);
    c->heads = sa_config_size(r, "num_attention_heads", 32);
    c->kv_heads = sa_config_size(r, "num_key_value_heads", kind->kv_heads != 0 ? kind->kv_heads : c->heads);
    c->head_dim = sa_config_size(r, "head_dim", c->hidden / c->heads != 0 ? c->hidden / c->heads : 1);
    c->positions = sa_config_bounded(r, "max_position_embeddings", 1, MOST_POSITIONS, kind->positions);
    c->eps = (float)sa_config_real(r, "rms_norm_eps", 1e-6);
    c->tied = sa_config_flag(r, "tie_word_embeddings", false);
    bool bias = !kind->qkv_bias && sa_config_flag(r, "attention_bias", false);
    c->qkv_bias = kind->qkv_bias || bias;
    c->out_bias = bias;
    c->mlp_bias = sa_config_flag(r, "mlp_bias", false);
}

/* Sizes that are each possible, but not together or not here. */
static void check_sizes(sa_config_reader *r, const sa_llama_config *c)
{
    bool given = json_is_integer(json_object_get(r->object, "head_dim"));
    if (!given && c->hidden % c->heads != 0) {
        refuse(r, wrong_sizes, "hidden_size", "must be a multiple of num_attention_heads");
    }
    if (c->heads % c->kv_heads != 0) {
        refuse(r, wrong_sizes, "num_attention_heads", "must be a multiple of num_key_value_heads");
    }
    if (c->head_dim % 2 != 0 || c->head_dim < 16 || c->head_dim > 128) {
        refuse(r, "use a model with an even head size from 16 to 128", "head_dim",
               "(hidden_size / num_attention_heads) is out of range");
    }
    if (!(c->eps > 0.0f && c->eps <= 1.0f)) {
        refuse(r, wrong_sizes, "rms_norm_eps", "must be above 0 and at most 1");
    }
}

sa_status sa_llama_config_parse(const json_t *object, const char *file, const char *part, const char *type,
                                sa_llama_config *config, sa_error *err)
{
    *config = (sa_llama_config){0};
    sa_config_reader r = {.object = object, .file = file, .part = part, .err = err, .status = SA_OK};
    if (type == NULL) {
        type = json_string_value(json_object_get(object, "model_type"));
    }
    const family *kind = find_family(type);
    if (kind == NULL) {
        return sa_fail(err, SA_BAD_INPUT, file, known_types, "%s%smodel_type \"%s\" is not supported", part,
                       part[0] != '\0' ? ": " : "", type != NULL ? type : "");
    }
    read_sizes(&r, kind, config);
    read_dtype(&r, &config->dtype);
    refuse_unknown_parts(&r);
    refuse_window(&r, kind, config->layers, config->positions);
    read_rope(&r, &config->rope, config->positions);
    if (r.status == SA_OK) {
        check_sizes(&r, config);
    }
    return r.status;
}

sa_status sa_llama_config_read(const char *directory, sa_llama_config *config, sa_error *err)
{
    char path[SA_CONFIG_PATH];
    json_t *json = NULL;
    SA_TRY(sa_config_open(directory, "config.json", path, &json, err));
    sa_status status = sa_llama_config_parse(json, path, "", NULL, config, err);
    json_decref(json);
    return status;
}
