/* The table of a decoder's tensors: counts and names of released models, and inside of larger ones. */
#include <stdlib.h>
#include <string.h>

#include "runtime/models/llama_tensors.h"
#include "tests/check.h"

static sa_llama_config config_of(const char *text)
{
    sa_llama_config config;
    sa_error err = {0};
    json_t *json = NULL;
    assert_int_equal(sa_json_parse("config.json", text, strlen(text), &json, &err), SA_OK);
    if (sa_llama_config_parse(json, "config.json", "", NULL, &config, &err) != SA_OK) {
        fail_msg("%s: %s", text, err.reason);
    }
    json_decref(json);
    return config;
}

static size_t parameters(const sa_tensor_want *wants, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        size_t product = 1;
        for (int axis = 0; axis < wants[i].rank; axis++) {
            product *= wants[i].shape[axis];
        }
        sum += product;
    }
    return sum;
}

/* MODEL_SPECS 5.7 for LLaMA-2 7B; the others as their releases count them. */
static void test_counts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t tensors, parameters;
    } models[] = {
        {"{\"model_type\":\"llama\"}", 291, 6738415616},
        {"{\"model_type\":\"llama\",\"vocab_size\":128256,\"intermediate_size\":14336,"
         "\"num_key_value_heads\":8}",
         291, 8030261248},
        {"{\"model_type\":\"mistral\",\"sliding_window\":null}", 291, 7241732096},
        {"{\"model_type\":\"qwen2\",\"hidden_size\":896,\"intermediate_size\":4864,"
         "\"num_hidden_layers\":24,\"num_attention_heads\":14,\"num_key_value_heads\":2,"
         "\"tie_word_embeddings\":true}",
         290, 494032768},
        {"{\"model_type\":\"llama\",\"vocab_size\":49152,\"hidden_size\":576,\"intermediate_size\":1536,"
         "\"num_hidden_layers\":30,\"num_attention_heads\":9,\"num_key_value_heads\":3,"
         "\"tie_word_embeddings\":true}",
         272, 134515008},
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        sa_llama_config config = config_of(models[i].text);
        sa_tensor_table table = sa_llama_tensor_table(&config);
        sa_tensor_want *wants;
        size_t count;
        sa_error err;
        assert_int_equal(sa_tensor_table_plan(&table, &wants, &count, &err), SA_OK);
        assert_int_equal(count, models[i].tensors);
        assert_int_equal(parameters(wants, count), models[i].parameters);
        free(wants);
    }
}

static void walk_inside(sa_tensor_walk *w, const void *config, void *tensors)
{
    static const sa_llama_names names = {"language_model.model.", "language_model.lm_head."};
    sa_llama_walk(w, config, &names, tensors);
}

static bool has_name(const sa_tensor_want *wants, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(wants[i].name, name) == 0) {
            assert_string_equal(wants[i].original, "");
            return true;
        }
    }
    return false;
}

static void test_prefix(void **state)
{
    (void)state;
    static const char *const names[] = {
        "language_model.model.embed_tokens.weight",
        "language_model.model.layers.31.self_attn.k_proj.weight",
        "language_model.model.layers.0.mlp.down_proj.weight",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
    };
    sa_llama_config config = config_of("{\"model_type\":\"llama\"}");
    sa_tensor_table table = {.walk = walk_inside, .config = &config, .size = sizeof(sa_llama_tensors)};
    sa_tensor_want *wants;
    size_t count;
    sa_error err;
    assert_int_equal(sa_tensor_table_plan(&table, &wants, &count, &err), SA_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(has_name(wants, count, names[i]));
    }
    free(wants);
}

/* The fields get the tensors that their names say; old files' frequencies are passed over. */
static void test_fields(void **state)
{
    (void)state;
    static sa_llama_tensors t;
    sa_llama_config config;
    sa_weights *weights;
    sa_weights_report report = {0};
    sa_error err = {0};
    const char *path = "tests/golden/llama/mistral";
    assert_int_equal(sa_llama_config_read(path, &config, &err), SA_OK);
    assert_int_equal(sa_weights_open(&weights, path, &err), SA_OK);
    assert_non_null(sa_weights_find(weights, "model.layers.1.self_attn.rotary_emb.inv_freq"));
    sa_tensor_table table = sa_llama_tensor_table(&config);
    if (sa_tensor_table_match(&table, weights, &t, &report, &err) != SA_OK) {
        fail_msg("%s", err.reason);
    }
    assert_string_equal(t.layer[1].qkv[2].weight->name, "model.layers.1.self_attn.v_proj.weight");
    assert_string_equal(t.layer[0].gate_up[1].weight->name, "model.layers.0.mlp.up_proj.weight");
    assert_string_equal(t.layer[0].norm2->name, "model.layers.0.post_attention_layernorm.weight");
    assert_string_equal(t.head->name, "lm_head.weight");
    assert_null(t.layer[0].qkv[0].bias);
    sa_weights_report_free(&report);
    sa_weights_close(weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
