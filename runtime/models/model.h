/*
 * What the models share: layers as the ops want them, and the loader that fills them from a file.
 *
 * A model takes all its weights from one arena, twice: once measuring (nothing is read), once for real.
 * Struct, shapes and expectations come from the model's table of tensors (tensor_table.h); the loader only
 * packs what stands there.
 */
#ifndef SA_MODELS_MODEL_H
#define SA_MODELS_MODEL_H

#include "runtime/base/arena.h"
#include "runtime/device/device.h"
#include "runtime/models/tensor_table.h"

/* y = x w^T + bias; w packed in the model's precision. */
typedef struct {
    size_t n, k;
    void *w;
    float *bias; /* [n] or NULL */
} sa_linear;

typedef struct {
    size_t d;
    float eps;
    float *w, *b; /* [d]; b NULL in an RMSNorm */
} sa_norm;

typedef struct {
    sa_arena *arena;
    sa_stream *stream; /* NULL while measuring: shapes only */
    const sa_ops *ops;
    const sa_weights *weights;
    sa_dtype precision;
    void *host;    /* room for the largest tensor that has to be rearranged or converted */
    void *staging; /* device memory for one tensor, where the device cannot read host memory */
    size_t host_bytes, staging_bytes; /* of these two: found while measuring */
    sa_status status;                 /* the first tensor that must not be used */
    sa_error *err;
} sa_loader;

/*
 * Takes all of a model's weights: `load` walks over the model once measuring and once for real. *memory is
 * one block of the device, which the caller frees, and *bytes its size. A tensor with a value that is
 * infinite or not a number, or too large for f16 where that is the precision, is SA_BAD_INPUT.
 */
typedef void sa_load_walk(sa_loader *loader, void *model);
sa_status sa_load_model(sa_device *device, sa_stream *stream, const sa_weights *weights, sa_dtype precision,
                        sa_load_walk *load, void *model, void **memory, size_t *bytes, sa_error *err);

/*
 * bf16 and f16 products take values in pairs: every size that a sum runs over must be even there. `file` says
 * where the sizes stand.
 */
typedef struct {
    const char *what;
    size_t size;
} sa_summed_size;
sa_status sa_check_even(sa_dtype precision, const char *file, const sa_summed_size *sizes, size_t count,
                        sa_error *err);

/* weight [n, k] or any shape whose first axis is n; bias [n] or NULL. */
sa_linear sa_load_linear(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias);
/* Several with the same k as one, the rows of the first on top; a part without bias has zeros. */
sa_linear sa_load_fused(sa_loader *loader, const sa_tensor_pair *parts, size_t count);
/* A convolution's [out, in, kh, kw] as the op convolution wants it: rows in the order kh, kw, in. */
sa_linear sa_load_convolution(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias);
/*
 * A transposed convolution's [in, out, kh, kw], stride = kernel: rows in the order kh, kw, out; bias
 * repeated.
 */
sa_linear sa_load_transposed(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias);
/* bias NULL: for sa_rmsnorm_run() */
sa_norm sa_load_norm(sa_loader *loader, const sa_tensor *weight, const sa_tensor *bias, float eps);
/* Any tensors as f32, one behind the other. */
float *sa_load_f32(sa_loader *loader, const sa_tensor *tensor);
float *sa_load_joined_f32(sa_loader *loader, const sa_tensor *const *tensors, size_t count);
/* Any tensor in the model's precision, not packed. */
void *sa_load_table(sa_loader *loader, const sa_tensor *tensor);
/* Relative position table [2S-1, d], packed for attention_grid. */
void *sa_load_rel(sa_loader *loader, const sa_tensor *tensor);

/* `bytes` of host memory for values that the model computes itself; NULL while measuring. */
void *sa_load_host(sa_loader *loader, size_t bytes);
/* `count` device floats that hold `from` (not looked at while measuring). */
float *sa_load_values(sa_loader *loader, const float *from, size_t count);

/* c [m, n] = act(a [m, k] w^T + bias) + residual, rows contiguous; residual may be NULL or c. */
void sa_linear_run(const sa_linear *linear, const sa_ops *ops, sa_stream *stream, sa_dtype precision,
                   size_t m, const void *a, sa_activation act, const float *residual, void *c,
                   sa_dtype c_dtype);
/* y [rows, n] f32 = convolution(x) + bias; `shape` holds the op's sizes and its workspace. */
void sa_convolution_run(const sa_linear *linear, const sa_ops *ops, sa_stream *stream,
                        sa_convolution_args shape, const void *x, float *y);
void sa_norm_run(const sa_norm *norm, const sa_ops *ops, sa_stream *stream, size_t rows, const float *x,
                 sa_activation act, void *y, sa_dtype y_dtype);
/* y [rows, d] = x / rms(x) * w, without a bias. */
void sa_rmsnorm_run(const sa_norm *norm, const sa_ops *ops, sa_stream *stream, size_t rows, const float *x,
                    void *y, sa_dtype y_dtype);

#endif
