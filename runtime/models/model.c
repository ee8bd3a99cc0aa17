#include "runtime/models/model.h"

#include <string.h>

size_t sa_loader_host_floats(const sa_tensor *tensor)
{
    return 2 * tensor->count; /* as read, and rearranged */
}

/* `count` device floats that hold `from` (NULL while measuring). */
static float *keep_f32(sa_loader *loader, const float *from, size_t count)
{
    float *kept = sa_arena_take(loader->arena, count, sizeof(float));
    if (loader->stream != NULL) {
        sa_stream_upload(loader->stream, kept, from, count * sizeof(float));
        sa_stream_wait(loader->stream, NULL);
    }
    return kept;
}

float *sa_load_f32(sa_loader *loader, const sa_tensor *tensor)
{
    if (loader->stream != NULL) {
        sa_tensor_read_f32(tensor, 0, tensor->count, loader->host);
    }
    return keep_f32(loader, loader->host, tensor->count);
}

static float *load_optional(sa_loader *loader, const sa_tensor *tensor)
{
    return tensor != NULL ? sa_load_f32(loader, tensor) : NULL;
}

/* Packs n x k values that stand at `source` on the host. */
static void *pack(sa_loader *loader, size_t n, size_t k, const void *source, sa_dtype source_dtype)
{
    size_t bytes = loader->ops->gemm_packed_bytes(n, k, loader->precision);
    SA_ASSERT(bytes != 0);
    void *packed = sa_arena_take(loader->arena, bytes, 1);
    if (loader->stream != NULL) {
        size_t source_bytes = n * k * sa_dtype_size(source_dtype);
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

sa_linear sa_load_linear(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias)
{
    sa_linear linear = {.n = weight->shape[0], .k = weight->count / weight->shape[0]};
    const void *source = weight->data;
    sa_dtype dtype = weight->dtype;
    if (loader->stream != NULL && dtype == SA_F64) { /* gemm_pack takes no doubles */
        sa_tensor_read_f32(weight, 0, weight->count, loader->host);
        source = loader->host;
        dtype = SA_F32;
    }
    linear.w = pack(loader, linear.n, linear.k, source, dtype);
    linear.bias = load_optional(loader, bias);
    if (loader->stream != NULL) {
        sa_weights_release(loader->weights, weight);
    }
    return linear;
}

/* to[o][y][x][i] = from[o][i][y][x]; `host` holds both, one behind the other. */
sa_linear sa_load_convolution(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias)
{
    size_t out = weight->shape[0], in = weight->shape[1], area = weight->shape[2] * weight->shape[3];
    float *from = loader->host, *to = loader->host != NULL ? loader->host + weight->count : NULL;
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
    linear.bias = load_optional(loader, bias);
    return linear;
}

/* to[y][x][o][i] = from[i][o][y][x] */
sa_linear sa_load_transposed(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias)
{
    size_t in = weight->shape[0], out = weight->shape[1], area = weight->shape[2] * weight->shape[3];
    float *from = loader->host, *to = loader->host != NULL ? loader->host + weight->count : NULL;
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
    if (loader->stream != NULL) {
        for (size_t p = 0; p < area; p++) {
            sa_tensor_read_f32(bias, 0, out, loader->host + p * out);
        }
    }
    linear.bias = keep_f32(loader, loader->host, area * out);
    return linear;
}

sa_norm sa_load_norm(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias, float eps)
{
    sa_norm norm = {.d = weight->count, .eps = eps};
    norm.w = sa_load_f32(loader, weight);
    norm.b = sa_load_f32(loader, bias);
    return norm;
}

void *sa_load_rel(sa_loader *loader, const sa_tensor *tensor)
{
    size_t size = (tensor->shape[0] + 1) / 2, head_dim = tensor->shape[1];
    size_t bytes = loader->ops->rel_packed_bytes(size, head_dim, loader->precision);
    void *packed = sa_arena_take(loader->arena, bytes, 1);
    if (loader->stream != NULL) {
        sa_tensor_read_f32(tensor, 0, tensor->count, loader->host);
        const void *source =
            sa_stream_reach(loader->stream, loader->host, tensor->count * sizeof(float), loader->staging);
        loader->ops->rel_pack(loader->stream, &(sa_rel_pack_args){.size = size,
                                                                  .head_dim = head_dim,
                                                                  .source = source,
                                                                  .packed = packed,
                                                                  .dtype = loader->precision});
        sa_stream_wait(loader->stream, NULL);
    }
    return packed;
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
