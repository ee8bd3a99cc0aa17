/*
 * A decoder's memory, the items of a forward on their way to the device, and what comes back. The forward
 * itself stands in llama_forward.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/sizes.h"
#include "runtime/models/llama_parts.h"

sa_llama_options sa_llama_default_options(void)
{
    return (sa_llama_options){.precision = SA_F32, .rows = 512, .items = 1, .logit_rows = 1};
}

void sa_llama_close(sa_llama *llama)
{
    if (llama == NULL) {
        return;
    }
    sa_device_free(llama->device, llama->weight_memory);
    sa_device_free(llama->device, llama->kv_memory);
    sa_device_free(llama->device, llama->buffer_memory);
    if (llama->owns_stream) {
        sa_stream_close(llama->stream);
    }
    free(llama->weights.layer);
    free(llama->host_memory);
    free(llama);
}

/* -- Memory -- */

static void plan_pages(sa_llama *llama, sa_arena *arena)
{
    size_t elements = llama->options.pages * llama_page_elements(llama);
    for (size_t i = 0; i < llama->config.layers; i++) {
        llama->weights.layer[i].k_pages = sa_arena_take(arena, elements, llama_size_t(llama));
        llama->weights.layer[i].v_pages = sa_arena_take(arena, elements, llama_size_t(llama));
    }
}

/*
 * For the largest forward: all items and all rows, and sequences of full length; by attention's contract
 * enough for any other one.
 */
static size_t plan_workspace(sa_llama *llama)
{
    const sa_llama_options *o = &llama->options;
    size_t items = sa_least(o->items, o->rows), rest = o->rows - (items - 1);
    for (size_t i = 0; i < items; i++) {
        llama->items[i] = (sa_attention_paged_item){.q_count = i == 0 ? (uint32_t)rest : 1,
                                                    .k_count = (uint32_t)sa_most(o->context, o->rows)};
    }
    sa_attention_paged_args attention = llama_attention(llama, &llama->weights.layer[0], items);
    sa_sample_args sample = {.rows = o->logit_rows, .vocabulary = llama->config.vocabulary};
    return sa_most(llama->ops->attention_paged_workspace(llama->stream, &attention),
                   llama->ops->sample_workspace(llama->stream, &sample));
}

static void plan_buffers(sa_llama *llama, sa_arena *arena)
{
    const sa_llama_config *c = &llama->config;
    llama_buffers *b = &llama->buffer;
    size_t rows = llama->options.rows, logits = llama->options.logit_rows, t = llama_size_t(llama);
    size_t heads = c->heads * c->head_dim, qkv = (c->heads + 2 * c->kv_heads) * c->head_dim;
    b->integers = sa_arena_take(arena, llama->integer_count, sizeof(int32_t));
    b->x = sa_arena_take(arena, rows * c->hidden, sizeof(float));
    b->y = sa_arena_take(arena, sa_most(rows * sa_most(c->hidden, heads), logits * c->hidden), t);
    b->wide = sa_arena_take(arena, rows * sa_most(qkv, 2 * c->mlp_dim), t);
    b->gated = sa_arena_take(arena, rows * c->mlp_dim, t);
    b->logits = sa_arena_take(arena, logits * c->vocabulary, sizeof(float));
    b->token = sa_arena_take(arena, logits, sizeof(int32_t));
    b->logprob = sa_arena_take(arena, logits, sizeof(float));
    b->workspace = sa_arena_take(arena, llama->workspace_bytes, 1);
}

static void plan_host(sa_llama *llama, sa_arena *arena)
{
    llama->integers = sa_arena_take(arena, llama->integer_count, sizeof(int32_t));
    llama->items = sa_arena_take(arena, llama->options.items, sizeof *llama->items);
    llama->tokens = sa_arena_take(arena, llama->options.rows, sizeof *llama->tokens);
    llama->step.items = sa_arena_take(arena, llama->options.items, sizeof *llama->step.items);
}

static sa_status take_device_memory(sa_llama *llama, void (*plan)(sa_llama *, sa_arena *), const char *what,
                                    void **memory, size_t *bytes, sa_error *err)
{
    sa_arena arena = sa_arena_measure();
    plan(llama, &arena);
    *bytes = arena.used;
    SA_TRY(sa_device_alloc(llama->device, arena.used, what, memory, err));
    arena = sa_arena_on(*memory, arena.used);
    plan(llama, &arena);
    return SA_OK;
}

static sa_status take_host_memory(sa_llama *llama, sa_error *err)
{
    sa_arena arena = sa_arena_measure();
    plan_host(llama, &arena);
    llama->host_memory = aligned_alloc(SA_ARENA_ALIGN, arena.used);
    if (llama->host_memory == NULL) {
        return sa_fail(err, SA_NO_ROOM, llama->path, "use fewer items or a shorter context",
                       "no memory for host buffers: %zu MB", arena.used >> 20);
    }
    arena = sa_arena_on(llama->host_memory, arena.used);
    plan_host(llama, &arena);
    return SA_OK;
}

/* -- Opening -- */

/* Where the integers' next part begins behind `rows` of them: 256-byte aligned. */
static size_t integer_stride(size_t rows)
{
    return (rows + 63) / 64 * 64;
}

/* The rest of the program relies on the products of these: slots are int32, sizes do not wrap. */
static sa_status set_sizes(sa_llama *llama, sa_error *err)
{
    sa_llama_options *o = &llama->options;
    size_t list = 0, bytes = 0, widest = sa_most(llama->config.vocabulary, 4 * llama->config.mlp_dim);
    if (o->context == 0) {
        o->context = llama->config.positions;
    }
    if (o->context > llama->config.positions) {
        return sa_fail(err, SA_BAD_USAGE, llama->path, "use a shorter context",
                       "a context of %zu tokens is longer than the %zu positions of the model", o->context,
                       llama->config.positions);
    }
    if (o->pages == 0) {
        o->pages = sa_kv_pages_for(o->context);
    }
    SA_ASSERT(o->rows >= 1 && o->items >= 1 && o->logit_rows >= 1);
    bool fits = o->pages <= INT32_MAX / SA_KV_PAGE && o->rows <= INT32_MAX / 4 &&
                sa_mul_size(o->items, sa_kv_pages_for(o->context), &list) && list <= INT32_MAX &&
                sa_mul_size(sa_most(o->rows, o->logit_rows), widest, &bytes) && bytes <= SIZE_MAX / 64 &&
                sa_mul_size(o->pages, llama_page_elements(llama) * 8, &bytes) &&
                sa_mul_size(bytes, llama->config.layers, &bytes) && bytes <= SIZE_MAX / 2;
    if (!fits) {
        return sa_fail(err, SA_NO_ROOM, llama->path, "use a shorter context or a smaller batch",
                       "%zu rows, %zu items and %zu KV pages do not fit", o->rows, o->items, o->pages);
    }
    llama->integer_count = 3 * integer_stride(o->rows) + list;
    return SA_OK;
}

static sa_status open_model(sa_llama *llama, const sa_weights *weights, const sa_llama_tensors *tensors,
                            sa_error *err)
{
    const sa_summed_size summed[] = {{"hidden_size", llama->config.hidden},
                                     {"intermediate_size", llama->config.mlp_dim}};
    SA_TRY(set_sizes(llama, err));
    SA_TRY(sa_check_even(llama->options.precision, llama->path, summed, sizeof summed / sizeof *summed, err));
    SA_TRY(take_host_memory(llama, err));
    SA_TRY(llama_load(llama, weights, tensors, err));
    SA_TRY(take_device_memory(llama, plan_pages, "KV pages", &llama->kv_memory, &llama->kv_bytes, err));
    llama->workspace_bytes = plan_workspace(llama);
    return take_device_memory(llama, plan_buffers, "activations", &llama->buffer_memory, &llama->buffer_bytes,
                              err);
}

static sa_status make_handle(sa_llama **out, sa_device *device, sa_stream *stream, const char *path,
                             const sa_llama_options *options, sa_error *err)
{
    sa_dtype t = options->precision;
    SA_ASSERT(t == SA_F32 || t == SA_BF16 || (t == SA_F16 && sa_device_has_f16(device)));
    sa_llama *llama = calloc(1, sizeof *llama);
    if (llama == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for a model handle");
    }
    llama->device = device;
    llama->ops = sa_device_ops(device);
    llama->options = *options;
    llama->stream = stream;
    snprintf(llama->path, sizeof llama->path, "%s", path);
    sa_status status = SA_OK;
    if (stream == NULL) {
        llama->owns_stream = true;
        status = sa_stream_open(&llama->stream, device, err);
    }
    if (status != SA_OK) {
        free(llama);
        return status;
    }
    *out = llama;
    return SA_OK;
}

sa_status sa_llama_open_part(sa_llama **out, sa_device *device, sa_stream *stream, const char *path,
                             const sa_llama_config *config, const sa_weights *weights,
                             const sa_llama_tensors *tensors, const sa_llama_options *options, sa_error *err)
{
    sa_llama *llama = NULL;
    SA_TRY(make_handle(&llama, device, stream, path, options, err));
    llama->config = *config;
    sa_status status = open_model(llama, weights, tensors, err);
    if (status != SA_OK) {
        sa_llama_close(llama);
        return status;
    }
    *out = llama;
    return SA_OK;
}

static sa_status match_and_open(sa_llama **llama, sa_device *device, const char *path,
                                const sa_llama_config *config, const sa_weights *weights,
                                const sa_llama_options *options, sa_error *err)
{
    sa_weights_report report = {0};
    sa_tensor_table table = sa_llama_tensor_table(config);
    sa_llama_tensors *tensors = malloc(sizeof *tensors);
    if (tensors == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory to load weights");
    }
    sa_status status = sa_tensor_table_match(&table, weights, tensors, &report, err);
    sa_weights_report_free(&report);
    if (status == SA_OK) {
        status = sa_llama_open_part(llama, device, NULL, path, config, weights, tensors, options, err);
    }
    free(tensors);
    return status;
}

sa_status sa_llama_open(sa_llama **llama, sa_device *device, const char *path,
                        const sa_llama_options *options, sa_error *err)
{
    sa_llama_config config;
    sa_weights *weights = NULL;
    SA_TRY(sa_llama_config_read(path, &config, err));
    SA_TRY(sa_weights_open(&weights, path, err));
    sa_status status = match_and_open(llama, device, path, &config, weights, options, err);
    sa_weights_close(weights);
    return status;
}

/* -- Asking -- */

const sa_llama_config *sa_llama_get_config(const sa_llama *llama)
{
    return &llama->config;
}

size_t sa_llama_context(const sa_llama *llama)
{
    return llama->options.context;
}

size_t sa_llama_pages(const sa_llama *llama)
{
    return llama->options.pages;
}

sa_llama_memory sa_llama_get_memory(const sa_llama *llama)
{
    return (sa_llama_memory){.weight_bytes = llama->weight_bytes,
                             .activation_bytes = llama->buffer_bytes,
                             .kv_bytes = llama->kv_bytes,
                             .page_bytes =
                                 2 * llama->config.layers * llama_page_elements(llama) * llama_size_t(llama)};
}

double sa_llama_flops(const sa_llama *llama, size_t length, bool with_logits)
{
    const sa_llama_config *c = &llama->config;
    double d = (double)c->hidden, heads = (double)(c->heads * c->head_dim);
    double kv = (double)(c->kv_heads * c->head_dim), f = (double)c->mlp_dim;
    double into = 2.0 * d * (heads + 2.0 * kv), out = 2.0 * d * heads + 2.0 * d * 3.0 * f;
    double attention = 4.0 * heads * (double)(length + 1);
    double head = with_logits ? 2.0 * d * (double)c->vocabulary : -out; /* the last layer ends with it */
    return (double)c->layers * (into + attention + out) + head;
}

/* -- A forward's items -- */

/* An id outside of the table would be read from somebody else's memory: it is looked at before anything runs.
 */
static sa_status check_tokens(const sa_llama *llama, const sa_llama_item *item, size_t index, sa_error *err)
{
    for (size_t t = 0; t < item->count; t++) {
        int32_t token = item->tokens[t];
        SA_ASSERT(token != SA_LLAMA_EMBEDDING || item->embeddings != NULL);
        if (token != SA_LLAMA_EMBEDDING && (token < 0 || (size_t)token >= llama->config.vocabulary)) {
            return sa_fail(err, SA_BAD_INPUT, llama->path, "use the tokenizer that belongs to this model",
                           "item %zu: token %d at place %zu is outside of the vocabulary of %zu", index,
                           (int)token, item->start + t, llama->config.vocabulary);
        }
    }
    return SA_OK;
}

static sa_status check_items(const sa_llama *llama, const sa_llama_item *items, size_t count, sa_error *err)
{
    size_t rows = 0, logits = 0, context = llama->options.context;
    SA_ASSERT(count >= 1 && count <= llama->options.items);
    for (size_t i = 0; i < count; i++) {
        const sa_llama_item *item = &items[i];
        SA_ASSERT(item->count >= 1 && item->logits <= item->count);
        if (item->start > context || item->count > context - item->start) {
            return sa_fail(err, SA_BAD_INPUT, llama->path, "use a shorter prompt or a longer context",
                           "item %zu: %zu tokens are more than the context of %zu", i,
                           item->start + item->count, context);
        }
        SA_TRY(check_tokens(llama, item, i, err));
        rows += item->count;
        logits += item->logits;
    }
    SA_ASSERT(rows <= llama->options.rows && logits <= llama->options.logit_rows);
    return SA_OK;
}

/* Rows from `row` on: ids, positions, slots. */
static void put_rows(sa_llama *llama, const sa_llama_item *item, size_t row)
{
    int32_t *id = llama->integers + row, *position = id + llama->step.stride;
    int32_t *slot = position + llama->step.stride;
    for (size_t t = 0; t < item->count; t++) {
        size_t at = item->start + t;
        int32_t page = item->pages[at / SA_KV_PAGE];
        SA_ASSERT(page >= 0 && (size_t)page < llama->options.pages);
        llama->tokens[row + t] = item->tokens[t];
        id[t] = item->tokens[t] == SA_LLAMA_EMBEDDING ? 0 : item->tokens[t]; /* a stand-in */
        position[t] = (int32_t)at;
        slot[t] = page * SA_KV_PAGE + (int32_t)(at % SA_KV_PAGE);
    }
}

/*
 * All items' integers in one block, so that one upload brings them: a forward of one token is short, and a
 * second upload would be a large part of it.
 */
static void put_items(sa_llama *llama, const sa_llama_item *items, size_t count)
{
    llama_step *step = &llama->step;
    *step = (llama_step){.items = step->items, .count = count};
    for (size_t i = 0; i < count; i++) {
        step->rows += items[i].count;
    }
    step->stride = integer_stride(step->rows);
    int32_t *lists = llama->integers + 3 * step->stride;
    size_t row = 0;
    for (size_t i = 0; i < count; i++) {
        const sa_llama_item *item = &items[i];
        size_t pages = sa_kv_pages_for(item->start + item->count);
        SA_ASSERT(i > 0 || item->shared == 0);
        put_rows(llama, item, row);
        memcpy(lists + step->list_length, item->pages, pages * sizeof *lists);
        llama->items[i] = (sa_attention_paged_item){.q_row = (uint32_t)row,
                                                    .q_count = (uint32_t)item->count,
                                                    .k_count = (uint32_t)(item->start + item->count),
                                                    .first_page = (uint32_t)step->list_length,
                                                    .shared = (uint32_t)item->shared};
        step->items[i] = *item; /* with copies of what it points to: the caller's need not stay */
        step->items[i].tokens = llama->tokens + row;
        step->items[i].pages = lists + step->list_length;
        row += item->count;
        step->logit_rows += item->logits;
        step->list_length += pages;
    }
}

sa_status sa_llama_forward(sa_llama *llama, const sa_llama_item *items, size_t count, sa_error *err)
{
    SA_TRY(check_items(llama, items, count, err));
    /* a device may still read the integers of the forward before; the wait tells its failure, too */
    SA_TRY(sa_stream_wait(llama->stream, err));
    put_items(llama, items, count);
    sa_attention_paged_args attention = llama_attention(llama, &llama->weights.layer[0], count);
    SA_ASSERT(llama->ops->attention_paged_workspace(llama->stream, &attention) <= llama->workspace_bytes);
    sa_stream_upload(llama->stream, llama->buffer.integers, llama->integers,
                     (3 * llama->step.stride + llama->step.list_length) * sizeof(int32_t));
    sa_stream_group_begin(llama->stream);
    llama_forward(llama);
    sa_stream_group_end(llama->stream);
    sa_device_count(llama->device, SA_COST_FORWARD, llama->step.rows);
    return SA_OK;
}

void sa_llama_copy_page(sa_llama *llama, int32_t from, int32_t to)
{
    size_t bytes = llama_page_elements(llama) * llama_size_t(llama);
    SA_ASSERT(from >= 0 && to >= 0 && (size_t)from < llama->options.pages &&
              (size_t)to < llama->options.pages);
    for (size_t i = 0; i < llama->config.layers; i++) {
        unsigned char *k = llama->weights.layer[i].k_pages, *v = llama->weights.layer[i].v_pages;
        sa_stream_copy(llama->stream, k + (size_t)to * bytes, k + (size_t)from * bytes, bytes);
        sa_stream_copy(llama->stream, v + (size_t)to * bytes, v + (size_t)from * bytes, bytes);
    }
}

/* -- What comes back -- */

sa_status sa_llama_read_logits(sa_llama *llama, size_t first, size_t count, float *out, sa_error *err)
{
    size_t width = llama->config.vocabulary;
    SA_ASSERT(first <= llama->step.logit_rows && count <= llama->step.logit_rows - first);
    sa_stream_download(llama->stream, out, llama->buffer.logits + first * width,
                       count * width * sizeof(float));
    return sa_stream_wait(llama->stream, err);
}

sa_status sa_llama_sample(sa_llama *llama, const sa_sample_choice *choices, int32_t *tokens, float *logprobs,
                          sa_error *err)
{
    size_t rows = llama->step.logit_rows;
    llama->ops->sample(llama->stream, &(sa_sample_args){.rows = rows,
                                                        .vocabulary = llama->config.vocabulary,
                                                        .logits = llama->buffer.logits,
                                                        .choice = choices,
                                                        .token = llama->buffer.token,
                                                        .logprob = llama->buffer.logprob,
                                                        .workspace = llama->buffer.workspace});
    sa_stream_download(llama->stream, tokens, llama->buffer.token, rows * sizeof *tokens);
    sa_stream_download(llama->stream, logprobs, llama->buffer.logprob, rows * sizeof *logprobs);
    SA_TRY(sa_stream_wait(llama->stream, err));
    for (size_t i = 0; i < rows; i++) {
        if (tokens[i] < 0) {
            return llama_tell_no_number(llama, i, err);
        }
    }
    return SA_OK;
}
