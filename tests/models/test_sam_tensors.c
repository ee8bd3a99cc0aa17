/* The table of SAM's tensors against the names and shapes that transformers and segment_anything have. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/models/sam_tensors.h"
#include "tests/check.h"

enum { MOST_MODELS = 4 };

/* One model of sam_names.txt: its config as read by us, and its names as objects {NAME: "SHAPE"}. */
typedef struct {
    char name[32];
    sa_sam_config config;
    json_t *hf, *original;
} model;

/* config.json has to stand in a directory. */
static void read_config(const char *text, sa_sam_config *config)
{
    char directory[] = "/tmp/segagent-test-XXXXXX", path[100];
    sa_error err = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/config.json", directory);
    assert_int_equal(sa_file_write(path, text, strlen(text), &err), SA_OK);
    if (sa_sam_config_read(directory, config, &err) != SA_OK) {
        fail_msg("%s: %s", text, err.reason);
    }
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(directory), 0);
}

static size_t read_models(model *models)
{
    static char line[4096];
    char kind[16], name[160], shape[64];
    size_t count = 0;
    FILE *file = fopen("tests/golden/weights/sam_names.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        shape[0] = '\0';
        if (line[0] == '{') {
            read_config(line, &models[count - 1].config);
            continue;
        }
        assert_true(sscanf(line, "%15s %159s %63s", kind, name, shape) >= 2);
        if (strcmp(kind, "model") == 0) {
            assert_true(count < MOST_MODELS);
            models[count] = (model){.hf = json_object(), .original = json_object()};
            snprintf(models[count++].name, sizeof models[0].name, "%.31s", name);
        } else {
            json_t *names = strcmp(kind, "hf") == 0 ? models[count - 1].hf : models[count - 1].original;
            json_object_set_new(names, name, json_string(shape));
        }
    }
    fclose(file);
    return count;
}

/* Takes NAME out of the set; it must be there with this shape. */
static void cross_out(json_t *names, const char *name, const sa_tensor_want *want, const char *model_name)
{
    char shape[128] = "";
    for (int axis = 0; axis < want->rank; axis++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, "%s%zu", axis > 0 ? "," : "", want->shape[axis]);
    }
    const char *found = json_string_value(json_object_get(names, name));
    if (found == NULL || strcmp(found, shape) != 0) {
        fail_msg("%s: %s is [%s] here and [%s] there", model_name, name, shape,
                 found != NULL ? found : "missing");
    }
    json_object_del(names, name);
}

static void check_empty(const json_t *names, const char *model_name)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)names, key, value) {
        fail_msg("%s: the table lacks %s [%s]", model_name, key, json_string_value(value));
    }
}

static void test_names(void **state)
{
    (void)state;
    static model models[MOST_MODELS];
    size_t count = read_models(models);
    assert_int_equal(count, 3);
    for (size_t m = 0; m < count; m++) {
        sa_tensor_want *wants = NULL;
        size_t total = 0;
        sa_error err;
        sa_tensor_table table = sa_sam_tensor_table(&models[m].config);
        assert_int_equal(sa_tensor_table_plan(&table, &wants, &total, &err), SA_OK);
        assert_int_equal(total, json_object_size(models[m].original));
        for (size_t i = 0; i < total; i++) {
            cross_out(models[m].hf, wants[i].name, &wants[i], models[m].name);
            cross_out(models[m].original, wants[i].original, &wants[i], models[m].name);
            if (wants[i].alias[0] != '\0') {
                cross_out(models[m].hf, wants[i].alias, &wants[i], models[m].name);
            }
        }
        check_empty(models[m].hf, models[m].name);
        check_empty(models[m].original, models[m].name);
        json_decref(models[m].hf);
        json_decref(models[m].original);
        free(wants);
    }
}

/* MODEL_SPECS 2.8 and 2.9. */
static void test_counts(void **state)
{
    (void)state;
    static const struct {
        size_t hidden, layers, heads, tensors, parameters;
    } sizes[] = {
        {768, 12, 12, 314, 93735728}, {1024, 24, 16, 482, 312343088}, {1280, 32, 16, 594, 641090864}};
    for (size_t s = 0; s < 3; s++) {
        char text[300];
        size_t every = sizes[s].layers / 4, count = 0, parameters = 0;
        sa_sam_config config;
        sa_tensor_want *wants = NULL;
        sa_error err;
        snprintf(text, sizeof text,
                 "{\"model_type\":\"sam\",\"vision_config\":{\"hidden_size\":%zu,\"num_hidden_layers\":%zu,"
                 "\"num_attention_heads\":%zu,\"global_attn_indexes\":[%zu,%zu,%zu,%zu]}}",
                 sizes[s].hidden, sizes[s].layers, sizes[s].heads, every - 1, 2 * every - 1, 3 * every - 1,
                 4 * every - 1);
        read_config(text, &config);
        sa_tensor_table table = sa_sam_tensor_table(&config);
        assert_int_equal(sa_tensor_table_plan(&table, &wants, &count, &err), SA_OK);
        for (size_t i = 0; i < count; i++) {
            size_t product = 1;
            for (int axis = 0; axis < wants[i].rank; axis++) {
                product *= wants[i].shape[axis];
            }
            parameters += product;
        }
        assert_int_equal(count, sizes[s].tensors);
        assert_int_equal(parameters,
                         sizes[s].parameters); /* the spec's counts and the 256 numbers of the buffer */
        free(wants);
    }
}

static void load_golden(const char *directory, const char *file, sa_sam_tensors *tensors,
                        sa_weights **weights, sa_sam_config *config)
{
    char path[200];
    sa_error err = {0};
    sa_weights_report report = {0};
    snprintf(path, sizeof path, "%s/%s", directory, file);
    sa_tensor_table table = sa_sam_tensor_table(config);
    if (sa_sam_config_read(directory, config, &err) != SA_OK ||
        sa_weights_open(weights, path, &err) != SA_OK ||
        sa_tensor_table_match(&table, *weights, tensors, &report, &err) != SA_OK) {
        fail_msg("%s: %s", err.file, err.reason);
    }
    sa_weights_report_free(&report);
}

/* The fields get the tensors that their names say. */
static void test_fields(void **state)
{
    (void)state;
    static sa_sam_tensors t;
    sa_weights *weights = NULL;
    sa_sam_config config;
    load_golden("tests/golden/sam/original", "model.pth", &t, &weights, &config);
    assert_string_equal(t.gaussian->name, "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix");
    assert_string_equal(t.block[0].rel_w->name, "image_encoder.blocks.0.attn.rel_pos_w");
    assert_string_equal(t.final.out.bias->name,
                        "mask_decoder.transformer.final_attn_token_to_image.out_proj.bias");
    assert_null(t.neck1.bias);
    sa_weights_close(weights);
    load_golden("tests/golden/sam/window-pad", "model.safetensors", &t, &weights, &config);
    assert_string_equal(t.point[3]->name, "prompt_encoder.point_embed.3.weight");
    assert_string_equal(t.layer[1].to_image.q.weight->name,
                        "mask_decoder.transformer.layers.1.cross_attn_token_to_image.q_proj.weight");
    assert_string_equal(t.layer[1].from_image.v.bias->name,
                        "mask_decoder.transformer.layers.1.cross_attn_image_to_token.v_proj.bias");
    assert_string_equal(t.layer[0].norm4.weight->name,
                        "mask_decoder.transformer.layers.0.layer_norm4.weight");
    assert_string_equal(t.hyper[2].layer[1].weight->name,
                        "mask_decoder.output_hypernetworks_mlps.2.layers.0.weight");
    assert_string_equal(t.iou.layer[config.decoder.iou_depth - 1].bias->name,
                        "mask_decoder.iou_prediction_head.proj_out.bias");
    sa_weights_close(weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
