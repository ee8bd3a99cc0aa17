/*
 * Loading: tensors of a file, checked and packed, one after another through one host buffer (and one device
 * buffer, where the device cannot read the host's memory); and the ops on what was loaded.
 */
#include "runtime/models/model.h"
#include "runtime/base/sizes.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 20 }; /* elements of a table that are converted at a time */

sa_status sa_check_even(sa_dtype precision, const char *file, const sa_summed_size *sizes, size_t count,
                        sa_error *err)
{
    for (size_t i = 0; precision != SA_F32 && i < count; i++) {
        if (sizes[i].size % 2 != 0) {
            return sa_fail(err, SA_BAD_USAGE, file, "use --precision f32",
                           "%s needs an even %s, and it is %zu", sa_dtype_name(precision), sizes[i].what,
                           sizes[i].size);
        }
    }
    return SA_OK;
}

void *sa_load_host(sa_loader *loader, size_t bytes)
{
    loader->host_bytes = sa_most(loader->host_bytes, bytes);
    return loader->host;
}

/* One value that is none spoils every answer, or disappears in a relu: neither may pass for an answer. */
static void check_finite(sa_loader *loader, const sa_tensor *tensor)
{
    size_t bad = sa_tensor_count_nonfinite(tensor);
    if (bad > 0) {
        loader->status =
            sa_fail(loader->err, SA_BAD_INPUT, sa_weights_path(loader->weights),
                    "download or convert it again; segagent weights verify lists all such tensors",
                    "tensor \"%s\": %zu values are infinite or not a number", tensor->name, bad);
    }
}

/* In f16 a weight too large for it would be an infinity that nobody asked for. */
static void check_range(sa_loader *loader, const sa_tensor *tensor)
{
    size_t beyond = loader->precision == SA_F16 ? sa_tensor_count_beyond_f16(tensor) : 0;
    if (beyond > 0) {
        loader->status = sa_fail(loader->err, SA_BAD_INPUT, sa_weights_path(loader->weights),
                                 "use --precision bf16 or f32",
                                 "tensor \"%s\": %zu values are too large for f16", tensor->name, beyond);
    }
}

/* The tensor is on the device: checked, and its pages must not add to those of the loaded weights. */
static void finish(sa_loader *loader, const sa_tensor *tensor)
{
    if (loader->stream == NULL || tensor == NULL) {
        return;
    }
    sa_stream_wait(loader->stream, NULL); /* its failure comes back from the last wait */
    if (loader->status == SA_OK) {
        check_finite(loader, tensor);
    }
    if (loader->status == SA_OK) {
        check_range(loader, tensor);
    }
    sa_weights_release(loader->weights, tensor);
}

float *sa_load_values(sa_loader *loader, const float *from, size_t count)
{
    float *kept = sa_arena_take(loader->arena, count, sizeof(float));
    if (loader->stream != NULL) {
        sa_stream_upload(loader->stream, kept, from, count * sizeof(float));
        sa_stream_wait(loader->stream, NULL);
    }
    return kept;
}

float *sa_load_joined_f32(sa_loader *loader, const sa_tensor *const *tensors, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += tensors[i]->count;
    }
    float *host = sa_load_host(loader, total * sizeof(float)), *at = host;
    for (size_t i = 0; loader->stream != NULL && i < count; i++) {
        sa_tensor_read_f32(tensors[i], 0, tensors[i]->count, at);
        finish(loader, tensors[i]);
        at += tensors[i]->count;
    }
    return sa_load_values(loader, host, total);
}

float *sa_load_f32(sa_loader *loader, const sa_tensor *tensor)
{
    return sa_load_joined_f32(loader, &tensor, 1);
}

static float *load_optional(sa_loader *loader, const sa_tensor *tensor)
{
    return tensor != NULL ? sa_load_f32(loader, tensor) : NULL;
}

/* Elements [begin, begin + count) as `dtype`; bytes as they stand where that is what they are. */
static void copy_as(const sa_tensor *tensor, size_t begin, size_t count, sa_dtype dtype, void *out)
{
    size_t size = sa_dtype_size(dtype);
    if (tensor->dtype == dtype) {
        memcpy(out, tensor->data + begin * size, count * size);
    } else {
        sa_tensor_convert(tensor, begin, count, dtype, out);
    }
}

void *sa_load_table(sa_loader *loader, const sa_tensor *tensor)
{
    size_t size = sa_dtype_size(loader->precision);
    unsigned char *table = sa_arena_take(loader->arena, tensor->count, size);
    void *host = sa_load_host(loader, CHUNK * size);
    for (size_t i = 0; loader->stream != NULL && i < tensor->count; i += CHUNK) {
        size_t count = tensor->count - i < CHUNK ? tensor->count - i : CHUNK;
        copy_as(tensor, i, count, loader->precision, host);
        sa_stream_upload(loader->stream, table + i * size, host, count * size);
        sa_stream_wait(loader->stream, NULL);
    }
    finish(loader, tensor);
    return table;
}

/* Packs n x k values that stand at `source` on the host. */
static void *pack(sa_loader *loader, size_t n, size_t k, const void *source, sa_dtype source_dtype)
{
    size_t bytes = loader->ops->gemm_packed_bytes(n, k, loader->precision);
    size_t source_bytes = n * k * sa_dtype_size(source_dtype);
    SA_ASSERT(bytes != 0);
    void *packed = sa_arena_take(loader->arena, bytes, 1);
    loader->staging_bytes = sa_most(loader->staging_bytes, source_bytes);
    if (loader->stream != NULL) {
        const void *reached = sa_stream_reach(loader->stream, source, source_bytes, loader->staging);
        loader->ops->gemm_pack(loader->stream, &(sa_gemm_pack_args){.n = n,
                                                                    .k = k,
                                                                    .source = reached,
                                                                    .source_dtype = source_dtype,
                                                                    .packed = packed,
                                                                    .dtype = loader->precision});
        sa_stream_wait(loader->stream, NULL);
    }
    return packed;
}

/* The dtype in which gemm_pack can take all parts at once: their own if they agree and it knows it. */
static sa_dtype common_dtype(const sa_tensor_pair *parts, size_t count)
{
    sa_dtype dtype = parts[0].weight->dtype;
    for (size_t i = 1; i < count; i++) {
        dtype = parts[i].weight->dtype == dtype ? dtype : SA_F32; /* holds any of the others exactly */
    }
    return dtype == SA_F64 ? SA_F32 : dtype;
}

/* One bias for the whole: parts without one get zeros, which change nothing. None at all stays none. */
static float *load_joined_bias(sa_loader *loader, const sa_tensor_pair *parts, size_t count, size_t n)
{
    float *host = sa_load_host(loader, n * sizeof(float)), *at = host;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        any = any || parts[i].bias != NULL;
    }
    for (size_t i = 0; any && loader->stream != NULL && i < count; i++) {
        size_t rows = parts[i].weight->shape[0];
        memset(at, 0, rows * sizeof(float));
        if (parts[i].bias != NULL) {
            sa_tensor_read_f32(parts[i].bias, 0, rows, at);
            finish(loader, parts[i].bias);
        }
        at += rows;
    }
    return any ? sa_load_values(loader, host, n) : NULL;
}

sa_linear sa_load_fused(sa_loader *loader, const sa_tensor_pair *parts, size_t count)
{
    sa_linear linear = {.k = parts[0].weight->count / parts[0].weight->shape[0]};
    for (size_t i = 0; i < count; i++) {
        SA_ASSERT(parts[i].weight->count == parts[i].weight->shape[0] * linear.k);
        linear.n += parts[i].weight->shape[0];
    }
    sa_dtype dtype = common_dtype(parts, count);
    const void *source = parts[0].weight->data; /* a single one is packed from where it stands */
    if (count > 1 || dtype != parts[0].weight->dtype) {
        unsigned char *host = sa_load_host(loader, linear.n * linear.k * sa_dtype_size(dtype));
        source = host;
        for (size_t i = 0; loader->stream != NULL && i < count; i++) {
            const sa_tensor *weight = parts[i].weight;
            copy_as(weight, 0, weight->count, dtype, host);
            host += weight->count * sa_dtype_size(dtype);
        }
    }
    linear.w = pack(loader, linear.n, linear.k, source, dtype);
    linear.bias = load_joined_bias(loader, parts, count, linear.n);
    for (size_t i = 0; i < count; i++) {
        finish(loader, parts[i].weight);
    }
    return linear;
}

sa_linear sa_load_linear(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias)
{
    return sa_load_fused(loader, &(sa_tensor_pair){weight, bias}, 1);
}

/* to[o][y][x][i] = from[o][i][y][x]; both on the host, one behind the other. */
sa_linear sa_load_convolution(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias)
{
    size_t out = weight->shape[0], in = weight->shape[1], area = weight->shape[2] * weight->shape[3];
    float *from = sa_load_host(loader, 2 * weight->count * sizeof(float));
    float *to = from != NULL ? from + weight->count : NULL;
    if (loader->stream != NULL) {
        sa_tensor_read_f32(weight, 0, weight->count, from);
        for (size_t o = 0; o < out; o++) {
            for (size_t i = 0; i < in; i++) {
                for (size_t p = 0; p < area; p++) {
                    to[(o * area + p) * in + i] = from[(o * in + i) * area + p];
                }
            }
        }
    }
    sa_linear linear = {.n = out, .k = in * area};
    linear.w = pack(loader, linear.n, linear.k, to, SA_F32);
    finish(loader, weight);
    linear.bias = load_optional(loader, bias);
    return linear;
}

/* to[y][x][o][i] = from[i][o][y][x] */
sa_linear sa_load_transposed(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias)
{
    size_t in = weight->shape[0], out = weight->shape[1], area = weight->shape[2] * weight->shape[3];
    float *from = sa_load_host(loader, 2 * weight->count * sizeof(float));
    float *to = from != NULL ? from + weight->count : NULL;
    if (loader->stream != NULL) {
        sa_tensor_read_f32(weight, 0, weight->count, from);
        for (size_t i = 0; i < in; i++) {
            for (size_t o = 0; o < out; o++) {
                for (size_t p = 0; p < area; p++) {
                    to[(p * out + o) * in + i] = from[(i * out + o) * area + p];
                }
            }
        }
    }
    sa_linear linear = {.n = area * out, .k = in};
    linear.w = pack(loader, linear.n, linear.k, to, SA_F32);
    finish(loader, weight);
    from = sa_load_host(loader, area * out * sizeof(float));
    if (loader->stream != NULL) {
        for (size_t p = 0; p < area; p++) {
            sa_tensor_read_f32(bias, 0, out, from + p * out);
        }
    }
    linear.bias = sa_load_values(loader, from, area * out);
    finish(loader, bias);
    return linear;
}

sa_norm sa_load_norm(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias, float eps)
{
    sa_norm norm = {.d = weight->count, .eps = eps};
    norm.w = sa_load_f32(loader, weight);
    norm.b = load_optional(loader, bias);
    return norm;
}

void *sa_load_rel(sa_loader *loader, const sa_tensor *tensor)
{
    size_t size = (tensor->shape[0] + 1) / 2, head_dim = tensor->shape[1];
    size_t bytes = loader->ops->rel_packed_bytes(size, head_dim, loader->precision);
    void *packed = sa_arena_take(loader->arena, bytes, 1);
    float *host = sa_load_host(loader, tensor->count * sizeof(float));
    loader->staging_bytes = sa_most(loader->staging_bytes, tensor->count * sizeof(float));
    if (loader->stream != NULL) {
        sa_tensor_read_f32(tensor, 0, tensor->count, host);
        const void *source =
            sa_stream_reach(loader->stream, host, tensor->count * sizeof(float), loader->staging);
        loader->ops->rel_pack(loader->stream, &(sa_rel_pack_args){.size = size,
                                                                  .head_dim = head_dim,
                                                                  .source = source,
                                                                  .packed = packed,
                                                                  .dtype = loader->precision});
    }
    finish(loader, tensor);
    return packed;
}

/* The walk for real, with the memory that the measuring one asked for. */
static sa_status load_real(sa_loader *loader, sa_stream *stream, sa_load_walk *load, void *model,
                           sa_arena *arena, sa_error *err)
{
    loader->arena = arena;
    loader->stream = stream;
    load(loader, model);
    SA_TRY(sa_stream_wait(stream, err)); /* the first failure of all these copies and packings */
    SA_TRY(sa_weights_check(loader->weights, err));
    return loader->status;
}

sa_status sa_load_model(sa_device *device, sa_stream *stream, const sa_weights *weights, sa_dtype precision,
                        sa_load_walk *load, void *model, void **memory, size_t *bytes, sa_error *err)
{
    sa_arena arena = sa_arena_measure();
    sa_loader loader = {.arena = &arena,
                        .ops = sa_device_ops(device),
                        .weights = weights,
                        .precision = precision,
                        .err = err};
    load(&loader, model);
    *bytes = arena.used;
    SA_TRY(sa_device_alloc(device, *bytes, "weights", memory, err));
    loader.host = malloc(loader.host_bytes + 1);
    sa_status status = loader.host != NULL
                           ? SA_OK
                           : sa_fail(err, SA_NO_ROOM, sa_weights_path(weights), NULL,
                                     "no memory to load weights: %zu MB", loader.host_bytes >> 20);
    if (status == SA_OK && !sa_device_reads_host(device)) {
        status = sa_device_alloc(device, loader.staging_bytes, "loading weights", &loader.staging, err);
    }
    if (status == SA_OK) {
        arena = sa_arena_on(*memory, *bytes);
        status = load_real(&loader, stream, load, model, &arena, err);
    }
    sa_device_free(device, loader.staging);
    free(loader.host);
    return status;
}

void sa_linear_run(const sa_linear *linear, const sa_ops *ops, sa_stream *stream, sa_dtype precision,
                   size_t m, const void *a, sa_activation act, const float *residual, void *c,
                   sa_dtype c_dtype)
{
    ops->gemm(stream, &(sa_gemm_args){.m = m,
                                      .n = linear->n,
                                      .k = linear->k,
                                      .dtype = precision,
                                      .a = a,
                                      .lda = linear->k,
                                      .w = linear->w,
                                      .bias = linear->bias,
                                      .act = act,
                                      .residual = residual,
                                      .ldr = linear->n,
                                      .c = c,
                                      .c_dtype = c_dtype,
                                      .ldc = linear->n});
}

void sa_convolution_run(const sa_linear *linear, const sa_ops *ops, sa_stream *stream,
                        sa_convolution_args shape, const void *x, float *y)
{
    SA_ASSERT(shape.n == linear->n && shape.kernel * shape.kernel * shape.channels == linear->k);
    shape.x = x;
    shape.w = linear->w;
    shape.bias = linear->bias;
    shape.y = y;
    ops->convolution(stream, &shape);
}

void sa_norm_run(const sa_norm *norm, const sa_ops *ops, sa_stream *stream, size_t rows, const float *x,
                 sa_activation act, void *y, sa_dtype y_dtype)
{
    ops->layernorm(stream, &(sa_layernorm_args){.rows = rows,
                                                .d = norm->d,
                                                .eps = norm->eps,
                                                .x = x,
                                                .w = norm->w,
                                                .b = norm->b,
                                                .act = act,
                                                .y = y,
                                                .y_dtype = y_dtype});
}

void sa_rmsnorm_run(const sa_norm *norm, const sa_ops *ops, sa_stream *stream, size_t rows, const float *x,
                    void *y, sa_dtype y_dtype)
{
    ops->rmsnorm(
        stream,
        &(sa_rmsnorm_args){
            .rows = rows, .d = norm->d, .eps = norm->eps, .x = x, .w = norm->w, .y = y, .y_dtype = y_dtype});
}
