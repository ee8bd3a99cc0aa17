/*
 * What the models share: layers as the ops want them, and the loader that fills them from a file.
 *
 * A model takes all its weights from one arena, twice: once measuring (nothing is read), once for real.
 * Struct, shapes and expectations come from the model's table of tensors (sam_tensors.h); the loader only
 * packs what stands there.
 */
#ifndef SA_MODELS_MODEL_H
#define SA_MODELS_MODEL_H

#include "runtime/base/arena.h"
#include "runtime/device/device.h"
#include "runtime/weights/weights.h"

/* y = x w^T + bias; w packed in the model's precision. */
typedef struct {
    size_t n, k;
    void *w;
    float *bias; /* [n] or NULL */
} sa_linear;

typedef struct {
    size_t d;
    float eps;
    float *w, *b; /* [d] */
} sa_norm;

typedef struct {
    sa_arena *arena;
    sa_stream *stream; /* NULL while measuring: shapes only */
    const sa_ops *ops;
    const sa_weights *weights;
    sa_dtype precision;
    void *staging; /* device memory for one tensor, where the device cannot read host memory */
    float *host;   /* room for the largest tensor that has to be rearranged, as f32 */
} sa_loader;

/* weight [n, k] or any shape whose first axis is n; bias [n] or NULL. */
sa_linear sa_load_linear(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias);
/* A convolution's [out, in, kh, kw] as the op convolution wants it: rows in the order kh, kw, in. */
sa_linear sa_load_convolution(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias);
/*
 * A transposed convolution's [in, out, kh, kw], stride = kernel: rows in the order kh, kw, out; bias
 * repeated.
 */
sa_linear sa_load_transposed(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias);
sa_norm sa_load_norm(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias, float eps);
/* Any tensor as f32. */
float *sa_load_f32(sa_loader *loader, const sa_tensor *tensor);
/* Relative position table [2S-1, d], packed for attention_grid. */
void *sa_load_rel(sa_loader *loader, const sa_tensor *tensor);

/* Floats that `host` must hold for a tensor that one of the above rearranges. */
size_t sa_loader_host_floats(const sa_tensor *tensor);

/* c [m, n] = act(a [m, k] w^T + bias) + residual, rows contiguous; residual may be NULL or c. */
void sa_linear_run(const sa_linear *linear, const sa_ops *ops, sa_stream *stream, sa_dtype precision,
                   size_t m, const void *a, sa_activation act, const float *residual, void *c,
                   sa_dtype c_dtype);
/* y [rows, n] f32 = convolution(x) + bias; `shape` holds the op's sizes and its workspace. */
void sa_convolution_run(const sa_linear *linear, const sa_ops *ops, sa_stream *stream,
                        sa_convolution_args shape, const void *x, float *y);
void sa_norm_run(const sa_norm *norm, const sa_ops *ops, sa_stream *stream, size_t rows, const float *x,
                 sa_activation act, void *y, sa_dtype y_dtype);

#endif
