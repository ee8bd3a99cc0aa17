/*
 * gemm_library.h: cuBLASLt beside our own gemm kernels, with --numerics fast only.
 *
 *   gemm.c -> sa_gemm_library_run() -> gemm_tune.c (which one is faster for this shape: tune.h)
 *     -> gemm_cublaslt.c (the library, opened at run time)  or back to gemm.c's own kernels
 *
 * The library may split k and sums in an order of its own, by shape: so a row's bits then depend on the
 * batch.
 */
#ifndef SA_KERNELS_CUDA_GEMM_LIBRARY_H
#define SA_KERNELS_CUDA_GEMM_LIBRARY_H

#include <stdbool.h>

#include "runtime/device/cuda_device.h"

/* What decides the speed of a gemm. */
typedef struct {
    uint64_t m, n, k, lda, ldc, ldr;
    uint32_t dtype, c_dtype, bias, residual;
} sa_gemm_shape;

/* ---- gemm_cublaslt.c ---- */

enum { SA_LT_PROPOSALS = 8 };

typedef struct sa_lt sa_lt;

/* Opens libcublasLt.so.13 or .12 and a handle on the current context; NULL if there is none. */
sa_lt *sa_lt_open(const sa_cuda_driver *driver);
void sa_lt_close(sa_lt *lt);
size_t sa_lt_version(const sa_lt *lt); /* 130100 is 13.1 */

/* The library's descriptors for one shape, with the algorithms that it proposes, best first. */
typedef struct {
    void *product, *a, *w, *c, *preference;
    int proposals;
    uint64_t algorithms[SA_LT_PROPOSALS][8];
} sa_lt_plan;

/* False, and nothing to close, if the library cannot do the shape. */
bool sa_lt_plan_open(sa_lt *lt, sa_lt_plan *plan, const sa_gemm_shape *shape);
void sa_lt_plan_close(sa_lt *lt, sa_lt_plan *plan);
/* Queues the product by one of the plan's algorithms; false, and nothing queued, if the library refuses. */
bool sa_lt_run(sa_lt *lt, const sa_lt_plan *plan, int proposal, const sa_gemm_args *args,
               sa_cuda_handle stream);

/* ---- gemm_tune.c ---- */

typedef struct sa_gemm_library sa_gemm_library;

/*
 * NULL if the library is not there: own kernels do everything then. Reads the choices of earlier runs; close
 * writes them if something was timed (tune.h).
 */
sa_gemm_library *sa_gemm_library_open(sa_cuda_device *device);
void sa_gemm_library_close(sa_gemm_library *library);

/*
 * Queues the product by the library if that is the faster way; false if it is for our own kernels. The first
 * call with a shape that is not remembered times all ways: it allocates room for one more c, waits for the
 * stream, and takes some tens of runs.
 */
bool sa_gemm_library_run(sa_gemm_library *library, sa_stream *stream, const sa_gemm_args *args);

/* ---- gemm.c ---- */

void sa_cuda_gemm_own(sa_stream *stream, const sa_gemm_args *args);

#endif
