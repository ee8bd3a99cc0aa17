/*
 * runtime/models/llava.h on tiny random checkpoints, against what transformers gave for them: the projector's
 * rows, the logits of every place, greedy text; every spelling of the names; the same bits in any batch; and
 * prompts and files that cannot be right.
 *
 * Tolerances. f32: the issue's, 1e-4 of the largest value. bf16: the tower's 2 % (test_clip.c) reach the
 * decoder as its input, and its own ~4 roundings a layer add 2^-9 * sqrt(4 L): 4 % of the largest logit
 * bounds the worst of some thousand. transformers in bf16 is up to 2.8 % off (make_llava.py prints it).
 */
#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/engine/kv.h"
#include "runtime/models/llava.h"
#include "runtime/models/llava_tensors.h"
#include "tests/check.h"
#include "tests/kernels/fixture.h"
#include "tests/models/llava_cases.h"

typedef struct {
    sa_dtype precision;
    double rows, logits;
} tolerance;

static const tolerance tolerance_f32 = {SA_F32, 1e-4, 1e-4};
static const tolerance tolerance_bf16 = {SA_BF16, 3e-2, 4e-2};

enum { CONTEXT = 256, MOST_ITEMS = 8, MOST_ROWS = 600 };

typedef struct {
    sa_device *device;
    sa_llava *llava;
    sa_llama *decoder;
    sa_kv *kv;
} rig;

static sa_llava_options test_options(sa_dtype precision)
{
    sa_llava_options options = sa_llava_default_options();
    options.text = (sa_llama_options){.precision = precision,
                                      .context = CONTEXT,
                                      .pages = MOST_ITEMS * CONTEXT / SA_KV_PAGE,
                                      .rows = MOST_ROWS,
                                      .items = MOST_ITEMS,
                                      .logit_rows = MOST_ROWS};
    options.slots = 2 * MOST_ITEMS;
    options.max_pixels = 1 << 20;
    options.max_side = 4096;
    return options;
}

static sa_status try_rig(rig *r, const char *path, const sa_llava_options *options, int threads,
                         sa_error *err)
{
    sa_device_options device = {.name = test_device(), .threads = threads};
    *r = (rig){0};
    must(sa_device_open(&r->device, &device, err), err);
    sa_status status = sa_llava_open(&r->llava, r->device, path, options, err);
    if (status != SA_OK) {
        sa_device_close(r->device);
        return status;
    }
    r->decoder = sa_llava_decoder(r->llava);
    must(sa_kv_open(&r->kv, options->text.pages, MOST_ITEMS, CONTEXT, err), err);
    return SA_OK;
}

static rig open_rig(const char *path, sa_dtype precision, int threads, size_t at_once)
{
    rig r;
    sa_error err;
    sa_llava_options options = test_options(precision);
    options.at_once = at_once;
    must(try_rig(&r, path, &options, threads, &err), &err);
    return r;
}

static void close_rig(rig *r)
{
    sa_kv_close(r->kv);
    sa_llava_close(r->llava);
    sa_device_close(r->device);
}

/* The pictures of a case into the slots from `first` on. */
static void see(rig *r, const llava_case *c, size_t first)
{
    sa_error err;
    sa_view views[LLAVA_MOST_PICTURES];
    size_t slots[LLAVA_MOST_PICTURES];
    for (size_t i = 0; i < c->pictures; i++) {
        views[i] = (sa_view){.picture = &c->picture[i]};
        slots[i] = first + i;
    }
    must(sa_llava_see(r->llava, views, slots, c->pictures, &err), &err);
}

/* A sequence that grows: its tokens as the decoder takes them. */
typedef struct {
    sa_kv_sequence sequence;
    int32_t tokens[CONTEXT];
    size_t count; /* not yet forwarded */
} prompt;

static void start(rig *r, const llava_case *c, prompt *p)
{
    sa_error err;
    p->count = sa_llava_expanded(r->llava, c->token_count, c->pictures);
    assert_int_equal(p->count, c->rows);
    must(sa_llava_expand(r->llava, c->tokens, c->token_count, c->pictures, p->tokens, &err), &err);
    must(sa_kv_create(r->kv, &p->sequence, &err), &err);
}

/* The next item of a prompt: its waiting tokens, the pictures in the slots from `slot` on. */
static sa_llama_item next_item(rig *r, prompt *p, size_t slot, size_t logits)
{
    sa_error err;
    sa_kv_copy copy;
    size_t before = sa_kv_length(r->kv, p->sequence);
    must(sa_kv_append(r->kv, p->sequence, p->count, &copy, &err), &err);
    return (sa_llama_item){.start = before,
                           .count = p->count,
                           .tokens = p->tokens,
                           .embeddings = sa_llava_rows(r->llava, slot),
                           .pages = sa_kv_pages(r->kv, p->sequence),
                           .logits = logits};
}

/* ---- against transformers ---- */

static float *read_rows(rig *r, size_t slot, size_t count)
{
    sa_error err;
    sa_stream *stream;
    float *host = malloc(count * sizeof *host + 1);
    must(sa_stream_open(&stream, r->device, &err), &err);
    sa_stream_download(stream, host, sa_llava_rows(r->llava, slot), count * sizeof *host);
    must(sa_stream_wait(stream, &err), &err);
    sa_stream_close(stream);
    return host;
}

static bool check_rows(rig *r, const llava_case *c, const tolerance *t, const char *label)
{
    size_t count = c->feature_rows * c->width;
    float *got = read_rows(r, 0, count);
    check_spec spec = {.label = label,
                       .absolute = t->rows * llava_largest(c->embeddings, count),
                       .rank = 2,
                       .axes = {c->feature_rows, c->width}};
    bool good = check_close_f32(got, c->embeddings, &spec);
    free(got);
    return good;
}

/* All of a prompt's logits. */
static bool check_logits(rig *r, const llava_case *c, const tolerance *t, const char *label)
{
    sa_error err;
    prompt p;
    size_t count = c->rows * c->vocabulary;
    float *got = malloc(count * sizeof *got);
    start(r, c, &p);
    sa_llama_item item = next_item(r, &p, 0, p.count);
    must(sa_llama_forward(r->decoder, &item, 1, &err), &err);
    must(sa_llama_read_logits(r->decoder, 0, c->rows, got, &err), &err);
    sa_kv_release(r->kv, p.sequence);
    check_spec spec = {.label = label,
                       .absolute = t->logits * llava_largest(c->logits, count),
                       .rank = 2,
                       .axes = {c->rows, c->vocabulary}};
    bool good = check_close_f32(got, c->logits, &spec);
    free(got);
    return good;
}

static bool check_case(rig *r, const llava_case *c, const tolerance *t, const char *label)
{
    see(r, c, 0);
    bool good = c->pictures == 0 || check_rows(r, c, t, label);
    return check_logits(r, c, t, label) && good;
}

static size_t check_directory(const char *path, const char *cases_path, const tolerance *t)
{
    size_t bad = 0;
    rig r = open_rig(path, t->precision, 2, 0);
    sa_weights *cases = llava_open_cases(cases_path);
    for (int i = 0; i < LLAVA_CASES; i++) {
        llava_case c;
        char label[160];
        llava_read(cases, i, &c);
        snprintf(label, sizeof label, "%s case %d, %s", path, i, sa_dtype_name(t->precision));
        bad += !check_case(&r, &c, t, label);
        llava_free(&c);
    }
    sa_weights_close(cases);
    close_rig(&r);
    return bad;
}

static void test_golden_f32(void **state)
{
    (void)state;
    for (int v = 0; v < LLAVA_VARIANTS; v++) {
        assert_int_equal(check_directory(llava_variants[v], llava_variants[v], &tolerance_f32), 0);
    }
}

static void test_golden_bf16(void **state)
{
    (void)state;
    for (int v = 0; v < LLAVA_VARIANTS; v++) {
        assert_int_equal(check_directory(llava_variants[v], llava_variants[v], &tolerance_bf16), 0);
    }
}

/* The comparison can go red: another picture, another order of pictures, another token. */
static void test_planted_faults(void **state)
{
    (void)state;
    rig r = open_rig(llava_variants[0], SA_F32, 2, 0);
    sa_weights *cases = llava_open_cases(llava_variants[0]);
    llava_case c;
    llava_read(cases, 2, &c);
    print_message("what follows up to 'end' are expected complaints\n");
    sa_image kept = c.picture[0];
    c.picture[0] = c.picture[1];
    c.picture[1] = kept;
    assert_false(check_case(&r, &c, &tolerance_f32, "planted: pictures exchanged"));
    c.picture[1] = c.picture[0];
    c.picture[0] = kept;
    c.tokens[1] += 1;
    assert_false(check_case(&r, &c, &tolerance_f32, "planted: another word"));
    print_message("end\n");
    llava_free(&c);
    sa_weights_close(cases);
    close_rig(&r);
}

/* One more token for each of the prompts, all in one forward. */
static void decode(rig *r, prompt *p, const size_t *slots, size_t count, int32_t *tokens, float *logprobs)
{
    sa_error err;
    sa_llama_item items[MOST_ITEMS] = {{0}};
    sa_sample_choice choices[MOST_ITEMS] = {{0}};
    for (size_t i = 0; i < count; i++) {
        choices[i].top_p = 1.0f;
        items[i] = next_item(r, &p[i], slots[i], 1);
    }
    must(sa_llama_forward(r->decoder, items, count, &err), &err);
    must(sa_llama_sample(r->decoder, choices, tokens, logprobs, &err), &err);
    for (size_t i = 0; i < count; i++) {
        p[i].tokens[0] = tokens[i];
        p[i].count = 1;
    }
}

/* All cases together, LLAVA_GREEDY tokens each. */
static void check_greedy(int variant)
{
    rig r = open_rig(llava_variants[variant], SA_F32, 2, 0);
    sa_weights *cases = llava_open_cases(llava_variants[variant]);
    llava_case c[LLAVA_CASES];
    prompt p[LLAVA_CASES];
    size_t slots[LLAVA_CASES];
    int32_t tokens[LLAVA_CASES];
    float logprobs[LLAVA_CASES];
    for (int i = 0; i < LLAVA_CASES; i++) {
        llava_read(cases, i, &c[i]);
        slots[i] = 2 * (size_t)i;
        see(&r, &c[i], slots[i]);
        start(&r, &c[i], &p[i]);
    }
    for (size_t step = 0; step < LLAVA_GREEDY; step++) {
        decode(&r, p, slots, LLAVA_CASES, tokens, logprobs);
        for (int i = 0; i < LLAVA_CASES; i++) {
            if (tokens[i] != c[i].greedy[step]) {
                fail_msg("%s case %d, token %zu: %d, want %d", llava_variants[variant], i, step, tokens[i],
                         c[i].greedy[step]);
            }
        }
    }
    for (int i = 0; i < LLAVA_CASES; i++) {
        llava_free(&c[i]);
    }
    sa_weights_close(cases);
    close_rig(&r);
}

static void test_greedy(void **state)
{
    (void)state;
    for (int v = 0; v < LLAVA_VARIANTS; v++) {
        check_greedy(v);
    }
}

/* ---- the same bits ---- */

/* A case alone and in a batch of all cases, pictures seen one by one and together: tokens and their logprobs.
 */
static void check_invariance(int variant, sa_dtype precision, int threads, size_t at_once)
{
    enum { STEPS = 8 };
    rig together = open_rig(llava_variants[variant], precision, threads, at_once);
    rig alone = open_rig(llava_variants[variant], precision, 1, 1);
    sa_weights *cases = llava_open_cases(llava_variants[variant]);
    llava_case c[LLAVA_CASES];
    prompt p[LLAVA_CASES], single;
    size_t slots[LLAVA_CASES], zero = 0;
    int32_t tokens[STEPS][LLAVA_CASES], token;
    float logprobs[STEPS][LLAVA_CASES], logprob;
    for (int i = 0; i < LLAVA_CASES; i++) {
        llava_read(cases, i, &c[i]);
        slots[i] = 2 * (size_t)i;
        see(&together, &c[i], slots[i]);
        start(&together, &c[i], &p[i]);
    }
    for (size_t step = 0; step < STEPS; step++) {
        decode(&together, p, slots, LLAVA_CASES, tokens[step], logprobs[step]);
    }
    for (int i = 0; i < LLAVA_CASES; i++) {
        see(&alone, &c[i], 0);
        start(&alone, &c[i], &single);
        for (size_t step = 0; step < STEPS; step++) {
            decode(&alone, &single, &zero, 1, &token, &logprob);
            assert_int_equal(token, tokens[step][i]);
            assert_memory_equal(&logprob, &logprobs[step][i], sizeof logprob);
        }
        sa_kv_release(alone.kv, single.sequence);
        llava_free(&c[i]);
    }
    sa_weights_close(cases);
    close_rig(&alone);
    close_rig(&together);
}

static void test_invariance(void **state)
{
    (void)state;
    check_invariance(0, SA_F32, 1, 2);
    check_invariance(0, SA_BF16, 2, 2);
    check_invariance(1, SA_BF16, 2, 1);
    check_invariance(2, SA_F32, 2, 2);
}

/* ---- other spellings ---- */

/* A directory of its own, which holds what was put in it. */
typedef struct {
    char path[64];
} scratch;

static scratch make_scratch(void)
{
    scratch s = {"/tmp/segagent_test_llava_XXXXXX"};
    assert_non_null(mkdtemp(s.path));
    return s;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_scratch(const scratch *s)
{
    assert_int_equal(nftw(s->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void join(char path[512], const char *directory, const char *name)
{
    sa_error err;
    must(sa_file_join(path, 512, directory, name, &err), &err);
}

static void copy_file(const char *from, const char *to, const char *name)
{
    char source[512], target[512];
    unsigned char *bytes;
    size_t size;
    sa_error err;
    join(source, from, name);
    join(target, to, name);
    must(sa_file_read(source, 1 << 24, &bytes, &size, &err), &err);
    must(sa_file_write(target, bytes, size, &err), &err);
    free(bytes);
}

typedef struct {
    const char *from, *to;
} renaming;

/* Writes the weights of `from` with the beginnings of names exchanged; the first that fits counts. */
static void rename_weights(const char *from, const scratch *to, const renaming *table, size_t count)
{
    char path[512];
    sa_error err;
    sa_weights *weights;
    must(sa_weights_open(&weights, from, &err), &err);
    size_t tensors = sa_weights_count(weights);
    sa_tensor_out *out = calloc(tensors, sizeof *out);
    char(*names)[160] = calloc(tensors, sizeof *names);
    for (size_t i = 0; i < tensors; i++) {
        const sa_tensor *tensor = sa_weights_at(weights, i);
        snprintf(names[i], sizeof names[i], "%s", tensor->name);
        for (size_t k = 0; k < count; k++) {
            size_t length = strlen(table[k].from);
            if (strncmp(tensor->name, table[k].from, length) == 0) {
                snprintf(names[i], sizeof names[i], "%s%s", table[k].to, tensor->name + length);
                break;
            }
        }
        out[i] = (sa_tensor_out){names[i], tensor, tensor->dtype};
    }
    join(path, to->path, "model.safetensors");
    must(sa_safetensors_write(path, weights, out, tensors, NULL, &err), &err);
    sa_weights_close(weights);
    free(names);
    free(out);
}

/* transformers 5 wrote the file; here are 4's names up to 4.51, those of 4.52, and mixtures. */
static void test_spellings(void **state)
{
    (void)state;
    const renaming tables[][5] = {
        {{"vision_tower.", "vision_tower.vision_model."}},
        {{"language_model.model.", "model.language_model."},
         {"language_model.lm_head.", "lm_head."},
         {"vision_tower.", "model.vision_tower.vision_model."},
         {"multi_modal_projector.", "model.multi_modal_projector."}},
        {{"language_model.model.", "language_model."},
         {"language_model.lm_head.", "lm_head."},
         {"vision_tower.", "model.vision_tower."}},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        scratch s = make_scratch();
        size_t count = 0;
        while (count < 5 && tables[i][count].from != NULL) {
            count++;
        }
        rename_weights(llava_variants[0], &s, tables[i], count);
        copy_file(llava_variants[0], s.path, "config.json");
        copy_file(llava_variants[0], s.path, "preprocessor_config.json");
        assert_int_equal(check_directory(s.path, llava_variants[0], &tolerance_f32), 0);
        remove_scratch(&s);
    }
}

/* The original release: the tower beside the model, or its tensors in the model's own file. */
static void test_original_towers(void **state)
{
    (void)state;
    char path[512], tower[512], name[512];
    scratch s = make_scratch();
    join(path, s.path, "model");
    join(tower, s.path, "tower");
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(mkdir(tower, 0777), 0);
    copy_file(llava_variants[2], path, "config.json");
    copy_file(llava_variants[2], path, "model.safetensors");
    join(name, llava_variants[2], "tower");
    copy_file(name, tower, "config.json");
    copy_file(name, tower, "preprocessor_config.json");
    rig r;
    sa_error err;
    sa_llava_options options = test_options(SA_F32);
    assert_int_equal(try_rig(&r, path, &options, 1, &err), SA_BAD_INPUT); /* no weights of the tower */
    copy_file(name, tower, "pytorch_model.bin");
    assert_int_equal(check_directory(path, llava_variants[2], &tolerance_f32), 0);
    remove_scratch(&s);
}

/* ---- prompts ---- */

static void test_markers(void **state)
{
    (void)state;
    sa_error err;
    rig r = open_rig(llava_variants[0], SA_F32, 1, 0);
    int32_t out[64];
    const int32_t own[] = {1, 90, 3}, both[] = {SA_LLAVA_PICTURE, 4, 90}, none[] = {1, 2, 3};
    assert_int_equal(sa_llava_get_config(r.llava)->picture_token, 90);
    assert_int_equal(sa_llava_picture_rows(r.llava), 16);
    assert_int_equal(sa_llava_expanded(r.llava, 3, 2), 33);
    must(sa_llava_expand(r.llava, own, 3, 1, out, &err), &err);
    assert_true(out[0] == 1 && out[1] == SA_LLAMA_EMBEDDING && out[16] == SA_LLAMA_EMBEDDING && out[17] == 3);
    must(sa_llava_expand(r.llava, both, 3, 2, out, &err), &err);
    assert_true(out[15] == SA_LLAMA_EMBEDDING && out[16] == 4 && out[17] == SA_LLAMA_EMBEDDING);
    must(sa_llava_expand(r.llava, none, 3, 0, out, &err), &err);
    assert_memory_equal(out, none, sizeof none);
    assert_int_equal(sa_llava_expand(r.llava, none, 3, 1, out, &err), SA_BAD_INPUT);
    assert_string_equal(err.reason, "the prompt has 0 image markers, and there are 1 pictures");
    assert_int_equal(sa_llava_expand(r.llava, both, 3, 1, out, &err), SA_BAD_INPUT);
    assert_string_equal(err.reason, "the prompt has 2 image markers, and there are 1 pictures");
    assert_int_equal(sa_llava_expand(r.llava, own, 3, 0, out, &err), SA_BAD_INPUT);
    const sa_image huge = {4097, 1, NULL};
    const sa_view view = {.picture = &huge};
    size_t slot = 0;
    assert_int_equal(sa_llava_see(r.llava, &view, &slot, 1, &err), SA_BAD_INPUT);
    close_rig(&r);
}

/* ---- configs ---- */

/* A variant's config.json with some keys set to other values ("key": value, ...). */
static sa_status read_changed(int variant, const char *changes, sa_llava_config *config, sa_error *err)
{
    char path[512];
    json_t *json, *change;
    scratch s = make_scratch();
    join(path, llava_variants[variant], "config.json");
    must(sa_json_read(path, 1 << 20, &json, err), err);
    must(sa_json_parse("changes", changes, strlen(changes), &change, err), err);
    json_object_update_recursive(json, change);
    join(path, s.path, "config.json");
    assert_int_equal(json_dump_file(json, path, 0), 0);
    json_decref(json);
    json_decref(change);
    join(path, s.path, "tower");
    assert_int_equal(mkdir(path, 0777), 0);
    copy_file("tests/golden/llava/original/tower", path, "config.json");
    sa_status status = sa_llava_config_read(s.path, SA_LLAVA_FIT_AS_CONFIGURED, config, err);
    remove_scratch(&s);
    return status;
}

static void test_config(void **state)
{
    (void)state;
    sa_error err;
    sa_llava_config c;
    must(sa_llava_config_read(llava_variants[0], SA_LLAVA_FIT_PAD, &c, &err), &err);
    assert_true(c.preprocess.pad && c.feature.layers == 2 && !c.feature.class_token && !c.original);
    must(sa_llava_config_read(llava_variants[1], SA_LLAVA_FIT_CROP, &c, &err), &err);
    assert_true(!c.preprocess.pad && c.feature.layers == 3 && c.feature.class_token && c.text.tied);
    assert_true(!c.projector.bias && c.vision.act == SA_ACT_GELU);
    must(sa_llava_config_read(llava_variants[2], SA_LLAVA_FIT_AS_CONFIGURED, &c, &err), &err);
    assert_true(c.original && c.preprocess.pad && c.projector.depth == 1 && c.vision.layers == 3);
    must(read_changed(0, "{\"vision_feature_layer\": [-1]}", &c, &err), &err);
    assert_int_equal(c.feature.layers, 3);
    must(read_changed(0, "{\"vision_config\": null}", &c, &err), &err);
    assert_true(c.vision.image_size == 336 && c.vision.layers == 24 && c.feature.layers == 23);
    must(read_changed(2, "{\"mm_projector_type\": \"mlp2x_gelu\"}", &c, &err), &err);
    assert_int_equal(c.projector.depth, 2);
    const struct {
        int variant;
        const char *changes, *named;
    } bad[] = {
        {0, "{\"model_type\": \"llava_next\"}", "llava_next"},
        {0, "{\"vision_feature_layer\": [-2, -5]}", "vision_feature_layer"},
        {0, "{\"vision_feature_layer\": -9}", "vision_feature_layer -9"},
        {0, "{\"vision_feature_layer\": \"last\"}", "vision_feature_layer"},
        {0, "{\"vision_feature_select_strategy\": \"some\"}", "vision_feature_select_strategy"},
        {0, "{\"projector_hidden_act\": \"relu\"}", "projector_hidden_act"},
        {0, "{\"image_token_index\": 96}", "image_token_index"},
        {0, "{\"vision_config\": {\"model_type\": \"siglip_vision_model\"}}", "siglip"},
        {0, "{\"vision_config\": 7}", "vision_config"},
        {0, "{\"text_config\": {\"model_type\": \"gemma\"}}", "gemma"},
        {2, "{\"mm_projector_type\": \"mlp2x_gelu_new\"}", "mm_projector_type"},
        {2, "{\"mm_projector_type\": \"mlp9x_gelu\"}", "mm_projector_type"},
        {2, "{\"mm_resampler_type\": \"perceiver\"}", "mm_resampler_type"},
        {2, "{\"mm_use_im_start_end\": true}", "mm_use_im_start_end"},
        {2, "{\"image_aspect_ratio\": \"anyres\"}", "anyres"},
        {2, "{\"mm_vision_tower\": \"openai/another\"}", "openai/another"},
        {2, "{\"mm_vision_tower\": \"\"}", "mm_vision_tower"},
        {2, "{\"mm_vision_select_feature\": \"cls\"}", "mm_vision_select_feature"},
        {2, "{\"mm_vision_select_layer\": 4}", "mm_vision_select_layer"},
        {2, "{\"mm_hidden_size\": 33}", "mm_hidden_size"},
        {2, "{\"mm_patch_merge_type\": \"spatial_unpad\"}", "mm_patch_merge_type"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (read_changed(bad[i].variant, bad[i].changes, &c, &err) != SA_BAD_INPUT ||
            strstr(err.reason, bad[i].named) == NULL) {
            fail_msg("%s: %s", bad[i].changes, err.reason);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),          cmocka_unit_test(test_markers),
        cmocka_unit_test(test_golden_f32),      cmocka_unit_test(test_golden_bf16),
        cmocka_unit_test(test_planted_faults),  cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_invariance),      cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_original_towers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
