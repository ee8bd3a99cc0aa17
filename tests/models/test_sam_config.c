/*
 * config.json, preprocessor_config.json and configs read off tensors: accepted, refused with a reason,
 * written back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/models/sam_config.h"
#include "tests/check.h"

typedef struct {
    char directory[64];
} scratch;

static scratch scratch_new(void)
{
    scratch s = {"/tmp/segagent-test-XXXXXX"};
    assert_non_null(mkdtemp(s.directory));
    return s;
}

static void scratch_remove(const scratch *s)
{
    static const char *const names[] = {"config.json", "preprocessor_config.json"};
    char path[200];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", s->directory, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(s->directory), 0);
}

static void write_text(const scratch *s, const char *name, const char *text)
{
    char path[200];
    sa_error err;
    snprintf(path, sizeof path, "%s/%s", s->directory, name);
    assert_int_equal(sa_file_write(path, text, strlen(text), &err), SA_OK);
}

/* Reads the two texts as a directory; `preprocess` may be NULL. */
static sa_status read_texts(const char *config_text, const char *preprocess, sa_sam_config *config,
                            sa_error *err)
{
    scratch s = scratch_new();
    *err = (sa_error){0};
    write_text(&s, "config.json", config_text);
    if (preprocess != NULL) {
        write_text(&s, "preprocessor_config.json", preprocess);
    }
    sa_status status = sa_sam_config_read(s.directory, config, err);
    scratch_remove(&s);
    return status;
}

#define SAM(members) "{\"model_type\":\"sam\"" members "}"

static void refuse(const char *text, const char *preprocess, const char *part)
{
    sa_sam_config config;
    sa_error err;
    if (read_texts(text, preprocess, &config, &err) == SA_OK) {
        fail_msg("accepted, though it should say \"%s\": %s", part, text);
    }
    if (err.status != SA_BAD_INPUT || strstr(err.reason, part) == NULL || err.hint[0] == '\0' ||
        err.file[0] == '\0') {
        fail_msg("\"%s: %s (%s)\" does not say \"%s\", or no file or way out", err.file, err.reason, err.hint,
                 part);
    }
}

static void accept(const char *text, const char *preprocess, sa_sam_config *config)
{
    sa_error err;
    if (read_texts(text, preprocess, config, &err) != SA_OK) {
        fail_msg("refused: %s", err.reason);
    }
}

/* What an empty config means is ViT-B with transformers' defaults. */
static void test_defaults(void **state)
{
    (void)state;
    sa_sam_config c;
    accept(SAM(""), NULL, &c);
    assert_int_equal(c.vision.image_size, 1024);
    assert_int_equal(c.vision.patch_size, 16);
    assert_int_equal(c.vision.hidden, 768);
    assert_int_equal(c.vision.layers, 12);
    assert_int_equal(c.vision.heads, 12);
    assert_int_equal(c.vision.mlp_dim, 3072);
    assert_int_equal(c.vision.window, 14);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(c.vision.global[i], i == 2 || i == 5 || i == 8 || i == 11);
    }
    assert_true(c.vision.absolute_position && c.vision.relative_position && c.vision.qkv_bias);
    assert_int_equal(c.prompt.hidden, 256);
    assert_int_equal(c.prompt.mask_channels, 16);
    assert_int_equal(c.decoder.mlp_dim, 2048);
    assert_int_equal(c.decoder.layers, 2);
    assert_int_equal(c.decoder.heads, 8);
    assert_int_equal(c.decoder.downsample_rate, 2);
    assert_int_equal(c.decoder.multimask_outputs, 3);
    assert_true(c.decoder.eps == 1e-6f && c.decoder.final_eps == 1e-5f && c.vision.eps == 1e-6f);
    assert_true(c.preprocess.mean[0] == 123.675f && c.preprocess.std[2] == 57.375f);
}

static void test_layouts(void **state)
{
    (void)state;
    sa_sam_config c;
    accept(SAM(",\"vision_config\":{\"hidden_size\":10,\"num_attention_heads\":2,\"mlp_ratio\":2.57,\"mlp_"
               "dim\":null}"),
           NULL, &c);
    assert_int_equal(c.vision.mlp_dim, 25); /* int(10 * 2.57) */
    accept(SAM(",\"vision_config\":{\"mlp_ratio\":2.5,\"mlp_dim\":77}"), NULL, &c);
    assert_int_equal(c.vision.mlp_dim, 77);
    accept(SAM(",\"vision_config\":{\"model_type\":\"\"},\"prompt_encoder_config\":null"), NULL, &c);
    accept(SAM(",\"vision_config\":{\"model_type\":\"sam_vision_model\",\"window_size\":0}"), NULL, &c);
    assert_int_equal(c.vision.window, 0);
    accept(SAM(",\"prompt_encoder_config\":{\"image_embedding_size\":64,\"image_size\":1024}"), NULL, &c);
    accept(SAM(",\"mask_decoder_config\":{\"layer_norm_eps\":1e-5,\"iou_head_depth\":2}"), NULL, &c);
    assert_true(c.decoder.eps == 1e-5f);
    assert_int_equal(c.decoder.iou_depth, 2);
    accept(
        SAM(""),
        "{\"size\":{\"longest_edge\":1024},\"image_mean\":[0,0.5,1],\"rescale_factor\":0.00392156862745098}",
        &c);
    assert_true(c.preprocess.mean[0] == 0.0f && c.preprocess.mean[1] == 127.5f &&
                c.preprocess.mean[2] == 255.0f);
}

static void test_refused_types(void **state)
{
    (void)state;
    refuse("{}", NULL, "model_type");
    refuse("[]", NULL, "JSON object");
    refuse("{\"model_type\":\"sam_hq\"}", NULL, "sam_hq");
    refuse("{\"model_type\":7}", NULL, "model_type");
    refuse(SAM(",\"vision_config\":{\"hidden_act\":\"relu\"}"), NULL, "\"relu\"");
    refuse(SAM(",\"vision_config\":{\"model_type\":\"sam_hq_vision_model\"}"), NULL, "sam_hq_vision_model");
    refuse(SAM(",\"mask_decoder_config\":{\"hidden_act\":\"gelu\"}"), NULL, "\"gelu\"");
    refuse(SAM(",\"vision_config\":[]"), NULL, "vision_config");
    refuse(SAM(",\"vision_config\":{\"hidden_size\":\"768\"}"), NULL, "hidden_size");
    refuse(SAM(",\"vision_config\":{\"hidden_size\":768.5}"), NULL, "hidden_size");
    refuse(SAM(",\"vision_config\":{\"qkv_bias\":1}"), NULL, "qkv_bias");
    refuse(SAM(",\"vision_config\":{\"image_size\":[1024,1024]}"), NULL, "image_size");
    refuse(SAM(",\"vision_config\":{\"global_attn_indexes\":5}"), NULL, "global_attn_indexes");
    refuse(SAM(",\"vision_config\":{\"global_attn_indexes\":[12]}"), NULL, "global_attn_indexes");
    refuse(SAM(",\"vision_config\":{\"global_attn_indexes\":[-1]}"), NULL, "global_attn_indexes");
    refuse(SAM(",\"vision_config\":{\"global_attn_indexes\":[1.5]}"), NULL, "global_attn_indexes");
}

static void test_refused_sizes(void **state)
{
    (void)state;
    refuse(SAM(",\"vision_config\":{\"hidden_size\":0}"), NULL, "hidden_size");
    refuse(SAM(",\"vision_config\":{\"hidden_size\":-768}"), NULL, "hidden_size");
    refuse(SAM(",\"vision_config\":{\"hidden_size\":9223372036854775807}"), NULL, "hidden_size");
    refuse(SAM(",\"vision_config\":{\"num_attention_heads\":0}"), NULL, "num_attention_heads");
    refuse(SAM(",\"vision_config\":{\"num_attention_heads\":7}"), NULL, "num_attention_heads");
    refuse(SAM(",\"vision_config\":{\"num_attention_heads\":3}"), NULL, "at most 128");
    refuse(SAM(",\"vision_config\":{\"patch_size\":0}"), NULL, "patch_size");
    refuse(SAM(",\"vision_config\":{\"patch_size\":15}"), NULL, "patch_size");
    refuse(SAM(",\"vision_config\":{\"num_hidden_layers\":129,\"global_attn_indexes\":[]}"), NULL,
           "129 layers");
    refuse(SAM(",\"vision_config\":{\"num_channels\":4}"), NULL, "num_channels");
    refuse(SAM(",\"vision_config\":{\"num_pos_feats\":64}"), NULL, "num_pos_feats");
    refuse(SAM(",\"vision_config\":{\"mlp_ratio\":-1}"), NULL, "mlp_ratio");
    refuse(SAM(",\"vision_config\":{\"mlp_ratio\":1e300}"), NULL, "mlp_ratio");
    refuse(SAM(",\"vision_config\":{\"layer_norm_eps\":0}"), NULL, "layer_norm_eps");
    refuse(SAM(",\"mask_decoder_config\":{\"layer_norm_eps\":1e300}"), NULL, "layer_norm_eps");
    refuse(SAM(",\"vision_config\":{\"output_channels\":128,\"num_pos_feats\":64}"), NULL, "differ");
    refuse(SAM(",\"prompt_encoder_config\":{\"image_size\":512}"), NULL, "image_size");
    refuse(SAM(",\"prompt_encoder_config\":{\"image_embedding_size\":32}"), NULL, "image_embedding_size");
    refuse(SAM(",\"prompt_encoder_config\":{\"num_point_embeddings\":5}"), NULL, "num_point_embeddings");
    refuse(SAM(",\"prompt_encoder_config\":{\"mask_input_channels\":6}"), NULL, "mask_input_channels");
    refuse(SAM(",\"mask_decoder_config\":{\"attention_downsample_rate\":4}"), NULL,
           "attention_downsample_rate");
    refuse(SAM(",\"mask_decoder_config\":{\"iou_head_depth\":1}"), NULL, "IoU head");
    refuse(SAM(",\"mask_decoder_config\":{\"num_multimask_outputs\":5}"), NULL, "masks");
    refuse(SAM(",\"mask_decoder_config\":{\"num_attention_heads\":3}"), NULL, "mask decoder");
    refuse(SAM(",\"mask_decoder_config\":{\"num_hidden_layers\":9}"), NULL, "decoder layers");
}

static void test_refused_preprocessing(void **state)
{
    (void)state;
    refuse(SAM(""), "[]", "object");
    refuse(SAM(""), "{\"resample\":3}", "bilinear");
    refuse(SAM(""), "{\"do_resize\":false}", "do_resize");
    refuse(SAM(""), "{\"do_pad\":false}", "do_pad");
    refuse(SAM(""), "{\"rescale_factor\":1}", "rescale_factor");
    refuse(SAM(""), "{\"size\":{\"longest_edge\":512}}", "longest_edge");
    refuse(SAM(""), "{\"size\":7}", "object");
    refuse(SAM(""), "{\"pad_size\":{\"height\":1024,\"width\":512}}", "width");
    refuse(SAM(""), "{\"image_std\":[0,1,1]}", "image_std");
    refuse(SAM(""), "{\"image_mean\":[0,1]}", "image_mean");
    refuse(SAM(""), "{\"image_mean\":\"grey\"}", "image_mean");
}

static void check_same(const sa_sam_config *a, const sa_sam_config *b)
{
    assert_memory_equal(a->vision.global, b->vision.global, sizeof a->vision.global);
    const size_t x[] = {a->vision.image_size,
                        a->vision.patch_size,
                        a->vision.hidden,
                        a->vision.layers,
                        a->vision.heads,
                        a->vision.mlp_dim,
                        a->vision.output_channels,
                        a->vision.window,
                        a->prompt.mask_channels,
                        a->decoder.layers,
                        a->decoder.heads,
                        a->decoder.mlp_dim,
                        a->decoder.multimask_outputs,
                        a->decoder.iou_depth,
                        a->decoder.iou_hidden};
    const size_t y[] = {b->vision.image_size,
                        b->vision.patch_size,
                        b->vision.hidden,
                        b->vision.layers,
                        b->vision.heads,
                        b->vision.mlp_dim,
                        b->vision.output_channels,
                        b->vision.window,
                        b->prompt.mask_channels,
                        b->decoder.layers,
                        b->decoder.heads,
                        b->decoder.mlp_dim,
                        b->decoder.multimask_outputs,
                        b->decoder.iou_depth,
                        b->decoder.iou_hidden};
    assert_memory_equal(x, y, sizeof x);
    assert_true(a->vision.qkv_bias == b->vision.qkv_bias);
    assert_true(a->vision.absolute_position == b->vision.absolute_position);
    assert_true(a->vision.relative_position == b->vision.relative_position);
    assert_true(a->vision.eps == b->vision.eps && a->prompt.eps == b->prompt.eps &&
                a->decoder.eps == b->decoder.eps);
    assert_memory_equal(&a->preprocess, &b->preprocess, sizeof a->preprocess);
}

/* Written and read again it is the same. */
static void test_write(void **state)
{
    (void)state;
    sa_sam_config c, back;
    char *texts[2] = {NULL, NULL};
    size_t size;
    accept(SAM(",\"vision_config\":{\"global_attn_indexes\":[0,3],\"qkv_bias\":false,\"use_abs_pos\":false,"
               "\"window_size\":7}"
               ",\"mask_decoder_config\":{\"layer_norm_eps\":1e-5,\"iou_head_depth\":4,\"num_multimask_"
               "outputs\":2}"),
           "{\"image_std\":[0.25,0.125,1]}", &c);
    for (int i = 0; i < 2; i++) {
        FILE *stream = open_memstream(&texts[i], &size);
        assert_non_null(stream);
        (i == 0 ? sa_sam_config_write : sa_sam_config_write_preprocess)(&c, stream);
        fclose(stream);
    }
    assert_non_null(strstr(texts[1], "\"image_mean\":[0.485,0.456,0.406]"));
    accept(texts[0], texts[1], &back);
    check_same(&c, &back);
    free(texts[0]);
    free(texts[1]);
}

/* The golden checkpoints: what the tensors show is what config.json says. */
static void test_from_weights(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"original", "model.pth"},
                                           {"window-pad", "model.safetensors"},
                                           {"head80", "model.safetensors"},
                                           {"odd", "model.safetensors"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char directory[100], file[150];
        sa_sam_config read, inferred;
        sa_error err = {0};
        sa_weights *weights = NULL;
        snprintf(directory, sizeof directory, "tests/golden/sam/%s", names[i][0]);
        snprintf(file, sizeof file, "%s/%s", directory, names[i][1]);
        if (sa_sam_config_read(directory, &read, &err) != SA_OK ||
            sa_weights_open(&weights, file, &err) != SA_OK ||
            sa_sam_config_from_weights(weights, &inferred, &err) != SA_OK) {
            fail_msg("%s: %s", err.file, err.reason);
        }
        assert_int_equal(read.decoder.downsample_rate, inferred.decoder.downsample_rate);
        inferred.decoder.heads = read.decoder.heads; /* no trace in the tensors */
        inferred.decoder.eps = read.decoder.eps;     /* the same */
        inferred.vision.eps = read.vision.eps;
        inferred.prompt.eps = read.prompt.eps;
        inferred.preprocess = read.preprocess;
        inferred.vision.window =
            inferred.vision.window == 0 ? read.vision.window : inferred.vision.window; /* all global */
        check_same(&read, &inferred);
        sa_weights_close(weights);
    }
}

static void test_from_other_weights(void **state)
{
    (void)state;
    sa_weights *weights = NULL;
    sa_sam_config config;
    sa_error err = {0};
    assert_int_equal(sa_weights_open(&weights, "tests/golden/weights/kinds.pth", &err), SA_OK);
    assert_int_equal(sa_sam_config_from_weights(weights, &config, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "not a SAM"));
    assert_true(err.hint[0] != '\0');
    sa_weights_close(weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_refused_types),
        cmocka_unit_test(test_refused_sizes),
        cmocka_unit_test(test_refused_preprocessing),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_from_weights),
        cmocka_unit_test(test_from_other_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
