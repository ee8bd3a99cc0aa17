/*
 * config.json of decoders: both of transformers' spellings say the same, missing keys take its defaults, and
 * what the engine lacks is refused by its name.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/models/llama_parts.h"
#include "tests/check.h"

static sa_status parse(const char *text, const char *type, sa_llama_config *config, sa_error *err)
{
    json_t *json = NULL;
    assert_int_equal(sa_json_parse("config.json", text, strlen(text), &json, err), SA_OK);
    sa_status status = sa_llama_config_parse(json, "config.json", "", type, config, err);
    json_decref(json);
    return status;
}

static sa_llama_config must_parse(const char *text)
{
    sa_llama_config config;
    sa_error err = {0};
    if (parse(text, NULL, &config, &err) != SA_OK) {
        fail_msg("%s: %s", text, err.reason);
    }
    return config;
}

static void assert_same(const sa_llama_config *a, const sa_llama_config *b)
{
    assert_int_equal(a->hidden, b->hidden);
    assert_int_equal(a->kv_heads, b->kv_heads);
    assert_int_equal(a->head_dim, b->head_dim);
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rope.kind, b->rope.kind);
    assert_int_equal(a->rope.original, b->rope.original);
    assert_true(a->rope.theta == b->rope.theta && a->rope.factor == b->rope.factor);
    assert_true(a->rope.low == b->rope.low && a->rope.high == b->rope.high);
}

#define HEAD "\"model_type\":\"llama\",\"max_position_embeddings\":131072,\"num_key_value_heads\":8,"
#define LLAMA3                                                                                               \
    "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"                                       \
    "\"original_max_position_embeddings\":8192"

static void test_both_spellings(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"{" HEAD "\"rope_theta\":500000.0,\"torch_dtype\":\"bfloat16\","
         "\"rope_scaling\":{\"rope_type\":\"llama3\"," LLAMA3 "}}",
         "{" HEAD "\"dtype\":\"bfloat16\",\"rope_parameters\":{\"rope_theta\":500000.0,"
         "\"rope_type\":\"llama3\"," LLAMA3 "}}"},
        {"{" HEAD "\"rope_theta\":1000000,\"torch_dtype\":\"float16\","
         "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}",
         "{" HEAD "\"dtype\":\"float16\",\"rope_scaling\":null,"
         "\"rope_parameters\":{\"rope_theta\":1000000.0,\"rope_type\":\"linear\",\"factor\":2.0}}"},
        {"{" HEAD "\"rope_scaling\":null}",
         "{" HEAD "\"rope_parameters\":{\"rope_theta\":10000.0,\"rope_type\":\"default\"}}"},
    };
    static const sa_rope_kind kinds[] = {SA_ROPE_LLAMA3, SA_ROPE_LINEAR, SA_ROPE_PLAIN};
    for (size_t i = 0; i < 3; i++) {
        sa_llama_config old = must_parse(pairs[i][0]), new = must_parse(pairs[i][1]);
        assert_int_equal(old.rope.kind, kinds[i]);
        assert_same(&old, &new);
    }
}

/* Vicuna's config inside of LLaVA's says next to nothing. */
static void test_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t vocabulary, hidden, mlp_dim, layers, heads, kv_heads, positions;
        bool qkv_bias;
    } cases[] = {
        {"{\"model_type\":\"llama\",\"max_position_embeddings\":4096,\"vocab_size\":32064}", 32064, 4096,
         11008, 32, 32, 32, 4096, false},
        {"{\"model_type\":\"mistral\",\"sliding_window\":null}", 32000, 4096, 14336, 32, 32, 8, 131072,
         false},
        {"{\"model_type\":\"qwen2\"}", 151936, 4096, 22016, 32, 32, 32, 32768, true},
    };
    for (size_t i = 0; i < 3; i++) {
        sa_llama_config c = must_parse(cases[i].text);
        assert_int_equal(c.vocabulary, cases[i].vocabulary);
        assert_int_equal(c.hidden, cases[i].hidden);
        assert_int_equal(c.mlp_dim, cases[i].mlp_dim);
        assert_int_equal(c.layers, cases[i].layers);
        assert_int_equal(c.heads, cases[i].heads);
        assert_int_equal(c.kv_heads, cases[i].kv_heads);
        assert_int_equal(c.positions, cases[i].positions);
        assert_int_equal(c.head_dim, 128);
        assert_true(c.qkv_bias == cases[i].qkv_bias && !c.out_bias && !c.mlp_bias && !c.tied);
        assert_true(c.eps == 1e-6f && c.rope.theta == 10000.0 && c.dtype == SA_F32);
    }
}

/* A type that the caller knows better: the original LLaVA's config is a decoder's under another name. */
static void test_given_type(void **state)
{
    (void)state;
    sa_llama_config config;
    sa_error err = {0};
    assert_int_equal(parse("{\"model_type\":\"llava_llama\"}", "llama", &config, &err), SA_OK);
    assert_int_equal(parse("{\"model_type\":\"llava_llama\"}", NULL, &config, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "model_type \"llava_llama\" is not supported"));
}

#define LLAMA(rest) "{\"model_type\":\"llama\"," rest "}"
#define QWEN(rest) "{\"model_type\":\"qwen2\"," rest "}"

static void test_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text, *named;
    } cases[] = {
        {"{\"model_type\":\"gemma2\"}", "model_type \"gemma2\""},
        {"{}", "model_type \"\""},
        {"{\"model_type\":\"mistral\"}", "sliding_window"},
        {"{\"model_type\":\"mistral\",\"sliding_window\":4096}", "sliding_window"},
        {QWEN("\"use_sliding_window\":true,\"sliding_window\":1024"), "sliding_window"},
        {QWEN("\"use_sliding_window\":true,\"sliding_window\":1024,\"num_hidden_layers\":28,"
              "\"max_window_layers\":27"),
         "sliding_window"},
        {QWEN("\"layer_types\":[\"full_attention\",\"sliding_attention\"]"), "layer_types"},
        {LLAMA("\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.0}"), "rope_type \"dynamic\""},
        {LLAMA("\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":4.0}"), "rope_type \"yarn\""},
        {LLAMA("\"rope_scaling\":{\"rope_type\":\"longrope\"}"), "rope_type \"longrope\""},
        {LLAMA("\"rope_scaling\":{\"rope_type\":\"linear\"}"), "rope_scaling: key \"factor\""},
        {LLAMA("\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}"), "low_freq_factor"},
        {LLAMA("\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,"
               "\"high_freq_factor\":4}"),
         "low_freq_factor"},
        {LLAMA("\"rope_scaling\":7"), "\"rope_scaling\" is no object"},
        {LLAMA("\"rope_parameters\":7"), "\"rope_parameters\" is no object"},
        {LLAMA("\"rope_scaling\":{\"factor\":8.0}"), "rope_scaling: key \"factor\""},
        {LLAMA("\"rope_scaling\":{\"rope_type\":5,\"factor\":8.0}"), "rope_scaling: key \"rope_type\""},
        {LLAMA("\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":2}}"),
         "rope_parameters: key \"full_attention\""},
        {LLAMA("\"rope_theta\":0.5"), "rope_theta"},
        {LLAMA("\"partial_rotary_factor\":0.5"), "partial_rotary_factor"},
        {LLAMA("\"rope_parameters\":{\"partial_rotary_factor\":0.5}"), "partial_rotary_factor"},
        {LLAMA("\"rope_interleaved\":true"), "rope_interleaved"},
        {LLAMA("\"quantization_config\":{\"bits\":4}"), "quantization_config"},
        {LLAMA("\"final_logit_softcapping\":30.0"), "final_logit_softcapping"},
        {LLAMA("\"hidden_act\":\"gelu\""), "hidden_act \"gelu\""},
        {LLAMA("\"torch_dtype\":\"float8_e4m3fn\""), "torch_dtype"},
        {LLAMA("\"num_hidden_layers\":257"), "num_hidden_layers"},
        {LLAMA("\"num_hidden_layers\":0"), "num_hidden_layers"},
        {LLAMA("\"hidden_size\":100,\"num_attention_heads\":3"), "hidden_size"},
        {LLAMA("\"num_attention_heads\":32,\"num_key_value_heads\":5"), "num_key_value_heads"},
        {LLAMA("\"head_dim\":256"), "head_dim"},
        {LLAMA("\"head_dim\":17"), "head_dim"},
        {LLAMA("\"rms_norm_eps\":0"), "rms_norm_eps"},
        {LLAMA("\"vocab_size\":1e30"), "vocab_size"},
        {LLAMA("\"tie_word_embeddings\":1"), "tie_word_embeddings"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sa_llama_config config;
        sa_error err = {0};
        if (parse(cases[i].text, NULL, &config, &err) != SA_BAD_INPUT) {
            fail_msg("%s was taken", cases[i].text);
        }
        if (strstr(err.reason, cases[i].named) == NULL) {
            fail_msg("%s: said \"%s\"", cases[i].text, err.reason);
        }
        assert_true(err.file[0] != '\0' && err.hint[0] != '\0');
    }
}

/* What looks like one of the above and asks for nothing. */
static void test_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        LLAMA("\"rope_interleaved\":false,\"is_llama_config\":true,\"quantization_config\":null"),
        LLAMA("\"pretraining_tp\":2,\"attention_dropout\":0.0,\"partial_rotary_factor\":1.0"),
        QWEN("\"use_sliding_window\":false,\"sliding_window\":4096,\"max_window_layers\":28"),
        QWEN("\"use_sliding_window\":true,\"sliding_window\":32768"),
        QWEN("\"layer_types\":[\"full_attention\"],\"sliding_window\":null"),
        /* switched on, and no layer that has it: by the number of the first, by its default of 28, by the
           list */
        QWEN("\"use_sliding_window\":true,\"sliding_window\":1024,\"max_window_layers\":32"),
        QWEN("\"use_sliding_window\":true,\"sliding_window\":1024,\"num_hidden_layers\":28"),
        QWEN("\"use_sliding_window\":true,\"sliding_window\":1024,\"max_window_layers\":0,"
             "\"layer_types\":[\"full_attention\",\"full_attention\"]"),
        "{\"model_type\":\"mistral\",\"sliding_window\":4096,\"max_position_embeddings\":4096}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        (void)must_parse(texts[i]);
    }
}

/* Against the formula in double; what f32 loses grows with the angle. */
static void test_rope_table(void **state)
{
    (void)state;
    enum { D = 64, COUNT = 3000 };
    static float table[COUNT * D];
    sa_rope_config rope = {.kind = SA_ROPE_LINEAR, .theta = 10000.0, .factor = 4.0};
    llama_rope_table(&rope, D, COUNT, table);
    for (size_t p = 0; p < COUNT; p++) {
        for (size_t i = 0; i < D / 2; i++) {
            double angle = (double)p / 4.0 * pow(10000.0, -2.0 * (double)i / D);
            double tolerance = 0x1p-24 * (1.0 + 4.0 * angle);
            assert_true(fabs((double)table[p * D + i] - cos(angle)) <= tolerance);
            assert_true(fabs((double)table[p * D + D / 2 + i] - sin(angle)) <= tolerance);
        }
    }
}

/* LLaMA 3.1: short wavelengths stay, long ones are stretched eightfold, between them it goes over. */
static void test_llama3_frequencies(void **state)
{
    (void)state;
    enum { D = 128 };
    static float plain[2 * D], scaled[2 * D];
    sa_rope_config rope = {.theta = 500000.0};
    llama_rope_table(&rope, D, 2, plain);
    rope = (sa_rope_config){SA_ROPE_LLAMA3, 500000.0, 8.0, 1.0, 4.0, 8192};
    llama_rope_table(&rope, D, 2, scaled);
    for (size_t i = 0; i < D / 2; i++) { /* sines of position 1: the frequencies where they are small */
        double wavelength = 2.0 * M_PI * pow(500000.0, 2.0 * (double)i / D);
        double ratio = (double)plain[D + D / 2 + i] / (double)scaled[D + D / 2 + i];
        if (wavelength < 8192.0 / 4.0) {
            assert_true(ratio == 1.0);
        } else if (wavelength > 8192.0) {
            assert_true(fabs(ratio - 8.0) < 1e-5);
        } else {
            assert_true(ratio > 1.0 && ratio < 8.0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_spellings),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_given_type),
        cmocka_unit_test(test_refused_by_name),
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_rope_table),
        cmocka_unit_test(test_llama3_frequencies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
