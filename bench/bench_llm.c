/*
 * segagent bench llm: a decoder of the LLaMA family. Prefill of one prompt, and decoding of one token for 1,
 * 8 and 16 sequences that have that prompt, or its beginning, behind them, beside the ceilings at the model's
 * own shapes.
 *
 * Decoding reads all weights and every sequence's keys and values once: "bytes". Its arithmetic grows with
 * the sequences, so that with enough of them the ceiling of products is the lower one.
 */
#include <stdlib.h>

#include "bench/bench.h"
#include "runtime/base/clock.h"
#include "runtime/base/philox.h"
#include "runtime/base/sizes.h"
#include "runtime/cli/machine.h"
#include "runtime/models/llama.h"

enum { PROMPT = 640, BEGINNING = 128, CASES = 4 };

/* What is decoded: for how many sequences, behind how many tokens at most. */
static const struct {
    const char *name;
    size_t count, behind;
} decodes[CASES] = {{"decode1-short", 1, BEGINNING},
                    {"decode1", 1, PROMPT},
                    {"decode8", 8, PROMPT},
                    {"decode16", 16, PROMPT}};

typedef struct bench bench;

/* One token for `count` sequences behind `behind` tokens. */
typedef struct {
    bench *of;
    size_t count, behind;
} decoding;

struct bench {
    sa_bench_model m; /* its stream is the ceilings'; the decoder has its own */
    sa_llama *llama;
    double open_seconds;
    size_t prompt, sequences, pages; /* pages of one sequence */
    int32_t *tokens, *lists;         /* [prompt + 1], [sequences, pages] */
    sa_llama_item *items;            /* [sequences] */
    sa_sample_choice *choices;
    int32_t *drawn;
    float *logprobs;
    decoding decode[CASES];
};

/* ---- what is measured ---- */

static sa_status forward(bench *b, size_t count, size_t start, size_t tokens, sa_error *err)
{
    for (size_t i = 0; i < count; i++) {
        b->items[i] = (sa_llama_item){.start = start,
                                      .count = tokens,
                                      .tokens = b->tokens + start,
                                      .pages = b->lists + i * b->pages,
                                      .logits = 1};
    }
    SA_TRY(sa_llama_forward(b->llama, b->items, count, err));
    return sa_llama_sample(b->llama, b->choices, b->drawn, b->logprobs, err);
}

static sa_status run_prefill(void *context, sa_error *err)
{
    bench *b = context;
    return forward(b, 1, 0, b->prompt, err);
}

static sa_status run_decode(void *context, sa_error *err)
{
    const decoding *d = context;
    return forward(d->of, d->count, d->behind, 1, err);
}

/* ---- setting up ---- */

static sa_status open_model(bench *b, sa_error *err)
{
    sa_llama_config config;
    if (b->m.options->model == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--model", "give the directory of a decoder", "missing");
    }
    SA_TRY(sa_llama_config_read(b->m.options->model, &config, err));
    b->prompt = sa_least(PROMPT, config.positions - 1);
    b->pages = sa_kv_pages_for(b->prompt + 1);
    b->sequences = decodes[CASES - 1].count;
    const sa_llama_options options = {.precision = b->m.precision,
                                      .context = b->prompt + 1,
                                      .pages = b->sequences * b->pages,
                                      .rows = b->prompt,
                                      .items = b->sequences,
                                      .logit_rows = b->sequences};
    double start = sa_clock_seconds();
    SA_TRY(sa_llama_open(&b->llama, b->m.device, b->m.options->model, &options, err));
    b->open_seconds = sa_clock_seconds() - start;
    return SA_OK;
}

/* Random tokens; every sequence has pages of its own. */
static sa_status make_sequences(bench *b, sa_error *err)
{
    size_t vocabulary = sa_llama_get_config(b->llama)->vocabulary;
    b->tokens = calloc(b->prompt + 1, sizeof *b->tokens);
    b->lists = calloc(b->sequences * b->pages, sizeof *b->lists);
    b->items = calloc(b->sequences, sizeof *b->items);
    b->choices = calloc(b->sequences, sizeof *b->choices);
    b->drawn = calloc(b->sequences, sizeof *b->drawn);
    b->logprobs = calloc(b->sequences, sizeof *b->logprobs);
    if (b->tokens == NULL || b->lists == NULL || b->items == NULL || b->choices == NULL || b->drawn == NULL ||
        b->logprobs == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a measurement");
    }
    for (size_t i = 0; i <= b->prompt; i++) {
        sa_philox block = sa_philox_block((uint64_t)b->m.cli->common.seed, i, 2);
        b->tokens[i] = (int32_t)(block.word[0] % vocabulary);
    }
    for (size_t i = 0; i < b->sequences * b->pages; i++) {
        b->lists[i] = (int32_t)i;
    }
    for (size_t i = 0; i < b->sequences; i++) {
        b->choices[i] = (sa_sample_choice){.top_p = 1.0f}; /* greedy */
    }
    return SA_OK;
}

/* Decoding shall not read zeros: every sequence gets the prompt's keys and values. */
static sa_status fill_pages(bench *b, sa_error *err)
{
    SA_TRY(forward(b, 1, 0, b->prompt, err));
    for (size_t i = b->pages; i < b->sequences * b->pages; i++) {
        sa_llama_copy_page(b->llama, (int32_t)(i % b->pages), (int32_t)i);
    }
    return SA_OK;
}

static void add_model(bench *b)
{
    const sa_llama_config *config = sa_llama_get_config(b->llama);
    const sa_llama_memory memory = sa_llama_get_memory(b->llama);
    size_t t = sa_dtype_size(b->m.precision);
    /* the embedding is not streamed, but for the rows of the tokens, unless it is the head, too */
    double embedding = config->tied ? 0.0 : (double)(config->vocabulary * config->hidden * t);
    double weights = (double)memory.weight_bytes - embedding;
    char shape[160];
    snprintf(shape, sizeof shape, "%zu tokens, hidden %zu, %zu layers", b->prompt, config->hidden,
             config->layers);
    sa_bench_case *prefill = sa_bench_model_add(&b->m, "prefill", shape, run_prefill, b);
    for (size_t i = 0; i < b->prompt; i++) {
        prefill->flops += sa_llama_flops(b->llama, i, i + 1 == b->prompt);
    }
    prefill->bytes = weights;
    for (size_t i = 0; i < CASES; i++) {
        double n = (double)decodes[i].count;
        size_t behind = sa_least(decodes[i].behind, b->prompt);
        b->decode[i] = (decoding){b, decodes[i].count, behind};
        snprintf(shape, sizeof shape, "%zu sequences behind %zu tokens", decodes[i].count, behind);
        sa_bench_case *c = sa_bench_model_add(&b->m, decodes[i].name, shape, run_decode, &b->decode[i]);
        c->flops = n * sa_llama_flops(b->llama, behind, true);
        c->bytes = weights + n * (double)(sa_kv_pages_for(behind + 1) * memory.page_bytes);
    }
}

static sa_status set_up(bench *b, sa_error *err)
{
    SA_TRY(sa_bench_model_open(&b->m, err));
    SA_TRY(open_model(b, err));
    SA_TRY(make_sequences(b, err));
    SA_TRY(fill_pages(b, err));
    add_model(b);
    const sa_llama_config *c = sa_llama_get_config(b->llama);
    return sa_bench_model_add_ceilings(&b->m, b->prompt, c->hidden, c->mlp_dim, err);
}

static void tear_down(bench *b)
{
    free(b->tokens);
    free(b->lists);
    free(b->items);
    free(b->choices);
    free(b->drawn);
    free(b->logprobs);
    sa_llama_close(b->llama);
    sa_bench_model_close(&b->m);
}

/* ---- saying it ---- */

static sa_status print(bench *b, sa_error *err)
{
    const sa_llama_memory memory = sa_llama_get_memory(b->llama);
    sa_bench_model_print(&b->m);
    if (!b->m.cli->common.json) {
        printf(
            "model opened in %.2f s; weights %.0f MB, activations %.0f MB, KV pages %.0f MB; peak resident "
            "memory %.0f MB\n",
            b->open_seconds, (double)memory.weight_bytes * 1e-6, (double)memory.activation_bytes * 1e-6,
            (double)memory.kv_bytes * 1e-6, (double)sa_machine_peak_memory() * 1e-6);
    }
    SA_TRY(sa_bench_model_kernels(&b->m, "prefill", run_prefill, b, err));
    return sa_bench_model_kernels(&b->m, "decode1", run_decode, &b->decode[1], err);
}

sa_status sa_bench_llm(const sa_cli *cli, const sa_bench_options *options, sa_error *err)
{
    bench b = {.m = {.cli = cli, .options = options}};
    sa_status status = set_up(&b, err);
    if (status == SA_OK) {
        status = sa_bench_model_measure(&b.m, err);
    }
    if (status == SA_OK) {
        status = print(&b, err);
    }
    tear_down(&b);
    return status;
}
