/*
 * convolution_library.h: cuDNN beside im2col and our own gemm kernels, with --numerics fast only.
 *
 *   convolution.c -> sa_convolution_library_run() -> convolution_tune.c (which is faster for this shape:
 * tune.h)
 *     -> convolution_cudnn.c (the library, opened at run time) -> convolution_widen.cu
 *     or back to convolution.c: im2col, then gemm
 *
 * Only 16-bit operands whose channels go in groups of eight have a choice: the library's tensor-core kernels
 * want that, and then what gemm packs is the library's own order of a filter, [n][kernel][kernel][C]. It
 * leaves sums in the operands' dtype, each rounded once; the bias is added to that in f32.
 */
#ifndef SA_KERNELS_CUDA_CONVOLUTION_LIBRARY_H
#define SA_KERNELS_CUDA_CONVOLUTION_LIBRARY_H

#include <stdbool.h>

#include "runtime/device/cuda_device.h"

/* ---- convolution_cudnn.c ---- */

enum { SA_DNN_PROPOSALS = 8 };

typedef struct sa_dnn sa_dnn;

/* Opens libcudnn.so.9 and a handle on the current context; NULL if there is none. */
sa_dnn *sa_dnn_open(const sa_cuda_driver *driver);
void sa_dnn_close(sa_dnn *dnn);
size_t sa_dnn_version(const sa_dnn *dnn); /* 91000 is 9.10 */

/* The library's descriptors for one shape, with the algorithms that it proposes, best first. */
typedef struct {
    void *x, *w, *y, *convolution;
    int proposals;
    struct {
        int algorithm, math;
        size_t workspace_bytes;
    } proposal[SA_DNN_PROPOSALS];
} sa_dnn_plan;

/* False, and nothing to close, if the library cannot do the shape of `args`. */
bool sa_dnn_plan_open(sa_dnn *dnn, sa_dnn_plan *plan, const sa_convolution_args *args);
void sa_dnn_plan_close(sa_dnn *dnn, sa_dnn_plan *plan);
/*
 * Queues the convolution without its bias, by one of the plan's algorithms, into y [B, oh*ow, n] of
 * args->dtype; false, and nothing queued, if the library refuses.
 */
bool sa_dnn_run(sa_dnn *dnn, const sa_dnn_plan *plan, int proposal, const sa_convolution_args *args, void *y,
                sa_cuda_handle stream);

/* ---- convolution_tune.c ---- */

typedef struct sa_convolution_library sa_convolution_library;

/* NULL if the library is not there. Reads the choices of earlier runs; close writes them (tune.h). */
sa_convolution_library *sa_convolution_library_open(sa_cuda_device *device);
void sa_convolution_library_close(sa_convolution_library *library);

/*
 * Queues the convolution by the library if that is the faster way; false if it is for our own kernels. The
 * first call with a shape that is not remembered times all ways: it waits for the stream and takes some tens
 * of runs.
 */
bool sa_convolution_library_run(sa_convolution_library *library, sa_stream *stream,
                                const sa_convolution_args *args);

/* ---- convolution.c ---- */

/* Output pixels across `size` input pixels. */
static inline size_t sa_convolution_out(const sa_convolution_args *args, size_t size)
{
    return (size + 2 * args->pad - args->kernel) / args->stride + 1;
}

void sa_cuda_convolution_own(sa_stream *stream, const sa_convolution_args *args);
/* y = x + bias: rows of 16-bit sums to f32. */
void sa_cuda_convolution_widen(sa_stream *stream, const sa_convolution_args *args, const void *x);

#endif
