/*
 * Which model a path holds: config.json of a directory says it, a file alone can only be a SAM. A new kind is
 * one more row here.
 */
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/cli/weights.h"
#include "runtime/models/config.h"

typedef struct {
    const char *type; /* model_type of config.json */
    sa_status (*read)(const char *path, const sa_weights *weights, weights_model *model, sa_error *err);
} kind;

static sa_status read_sam(const char *path, const sa_weights *weights, weights_model *model, sa_error *err)
{
    (void)weights;
    SA_TRY(sa_sam_config_read(path, &model->config.sam, err));
    model->table = sa_sam_tensor_table(&model->config.sam);
    return SA_OK;
}

static sa_status read_llama(const char *path, const sa_weights *weights, weights_model *model, sa_error *err)
{
    (void)weights;
    SA_TRY(sa_llama_config_read(path, &model->config.llama, err));
    model->table = sa_llama_tensor_table(&model->config.llama);
    return SA_OK;
}

static sa_status read_clip(const char *path, const sa_weights *weights, weights_model *model, sa_error *err)
{
    sa_clip_config config;
    SA_TRY(sa_clip_config_open(path, &config, err));
    sa_clip_table_config_find(weights, &config, &model->config.clip);
    model->table = sa_clip_tensor_table(&model->config.clip);
    return SA_OK;
}

/* Where the tower has a directory of its own, that one is verified on its own. */
static sa_status read_llava(const char *path, const sa_weights *weights, weights_model *model, sa_error *err)
{
    SA_TRY(sa_llava_config_read(path, SA_LLAVA_FIT_AS_CONFIGURED, &model->config.llava.config, err));
    model->original = model->config.llava.config.original;
    sa_llava_table_config_find(weights, &model->config.llava.config, &model->config.llava.spelling);
    model->table = sa_llava_tensor_table(&model->config.llava.spelling);
    return SA_OK;
}

static const kind kinds[] = {
    {"sam", read_sam},     {"llama", read_llama},       {"mistral", read_llama},
    {"qwen2", read_llama}, {"clip", read_clip},         {"clip_vision_model", read_clip},
    {"llava", read_llava}, {"llava_llama", read_llava}, {"llava_mistral", read_llava}};

static const kind *find_kind(const char *type)
{
    for (size_t i = 0; type != NULL && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(type, kinds[i].type) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static sa_status read_directory(const char *path, const sa_weights *weights, weights_model *model,
                                sa_error *err)
{
    char file[SA_CONFIG_PATH];
    json_t *json = NULL;
    SA_TRY(sa_config_open(path, "config.json", file, &json, err));
    const char *type = json_string_value(json_object_get(json, "model_type"));
    const kind *found = find_kind(type);
    sa_status status = SA_OK;
    if (found == NULL) {
        status =
            sa_fail(err, SA_BAD_INPUT, file, "this engine knows sam, clip, llava, llama, mistral and qwen2",
                    "model_type \"%s\" is not supported", type != NULL ? type : "");
    }
    json_decref(json);
    SA_TRY(status);
    model->type = found->type;
    return found->read(path, weights, model, err);
}

sa_status weights_read_model(const char *path, const sa_weights *weights, weights_model *model, sa_error *err)
{
    *model = (weights_model){0};
    if (sa_file_is_directory(path)) {
        return read_directory(path, weights, model, err);
    }
    model->type = "sam";
    SA_TRY(sa_sam_config_from_weights(weights, &model->config.sam, err));
    model->table = sa_sam_tensor_table(&model->config.sam);
    return SA_OK;
}
