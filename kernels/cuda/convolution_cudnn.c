/*
 * convolution by cuDNN, opened with dlopen: the few calls that a forward convolution takes, declared here.
 * Tensors are channels-last (NHWC): x [B,h,w,C], w [n,kernel,kernel,C], y [B,oh,ow,n], all of one 16-bit
 * dtype, sums in f32.
 */
#include "kernels/cuda/convolution_library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* CALL(field, exported name, parameters); each returns 0 for success. */
#define DNN_CALLS(CALL)                                                                                      \
    CALL(create, "cudnnCreate", (void **handle))                                                             \
    CALL(destroy, "cudnnDestroy", (void *handle))                                                            \
    CALL(set_stream, "cudnnSetStream", (void *handle, void *stream))                                         \
    CALL(tensor_create, "cudnnCreateTensorDescriptor", (void **tensor))                                      \
    CALL(tensor_destroy, "cudnnDestroyTensorDescriptor", (void *tensor))                                     \
    CALL(tensor_set, "cudnnSetTensor4dDescriptor",                                                           \
         (void *tensor, int format, int type, int n, int c, int h, int w))                                   \
    CALL(filter_create, "cudnnCreateFilterDescriptor", (void **filter))                                      \
    CALL(filter_destroy, "cudnnDestroyFilterDescriptor", (void *filter))                                     \
    CALL(filter_set, "cudnnSetFilter4dDescriptor",                                                           \
         (void *filter, int type, int format, int k, int c, int h, int w))                                   \
    CALL(convolution_create, "cudnnCreateConvolutionDescriptor", (void **convolution))                       \
    CALL(convolution_destroy, "cudnnDestroyConvolutionDescriptor", (void *convolution))                      \
    CALL(convolution_set, "cudnnSetConvolution2dDescriptor",                                                 \
         (void *convolution, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h,               \
          int dilation_w, int mode, int compute))                                                            \
    CALL(convolution_math, "cudnnSetConvolutionMathType", (void *convolution, int math))                     \
    CALL(propose, "cudnnGetConvolutionForwardAlgorithm_v7",                                                  \
         (void *handle, void *x, void *w, void *convolution, void *y, int wanted, int *found,                \
          dnn_proposal *proposals))                                                                          \
    CALL(workspace_size, "cudnnGetConvolutionForwardWorkspaceSize",                                          \
         (void *handle, void *x, void *w, void *convolution, void *y, int algorithm, size_t *bytes))         \
    CALL(forward, "cudnnConvolutionForward",                                                                 \
         (void *handle, const void *alpha, void *x_tensor, const void *x, void *w_filter, const void *w,     \
          void *convolution, int algorithm, void *workspace, size_t workspace_bytes, const void *beta,       \
          void *y_tensor, void *y))

/* cudnnConvolutionFwdAlgoPerf_t */
typedef struct {
    int algorithm, status;
    float time;
    size_t workspace_bytes;
    int determinism, math, reserved[3];
} dnn_proposal;

/* Constants of cudnn.h, by their names there. */
enum {
    CUDNN_TENSOR_NHWC = 1,
    CUDNN_DATA_FLOAT = 0,
    CUDNN_DATA_HALF = 2,
    CUDNN_DATA_BFLOAT16 = 9,
    CUDNN_CROSS_CORRELATION = 1,
    CUDNN_TENSOR_OP_MATH = 1,
};

enum { WORKSPACE_BYTES = 64 << 20 };

struct sa_dnn {
    const sa_cuda_driver *driver;
    void *handle;
    sa_cuda_pointer workspace;
    size_t version;
#define FIELD(field, name, parameters) int(*field) parameters;
    DNN_CALLS(FIELD)
#undef FIELD
};

static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol); /* ISO C has no cast from an object's to a function's pointer */
    return symbol != NULL;
}

static bool find_calls(sa_dnn *dnn)
{
    void *library = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return false;
    }
    bool all = true;
    size_t (*version)(void) = NULL;
#define FIND(field, name, parameters) all = find(library, name, &dnn->field) && all;
    DNN_CALLS(FIND)
#undef FIND
    all = find(library, "cudnnGetVersion", &version) && all;
    dnn->version = all ? version() : 0;
    return all; /* the library stays open: it keeps threads and code on the device */
}

sa_dnn *sa_dnn_open(const sa_cuda_driver *driver)
{
    sa_dnn *dnn = calloc(1, sizeof *dnn);
    if (dnn == NULL) {
        return NULL;
    }
    dnn->driver = driver;
    if (!find_calls(dnn)) {
        free(dnn);
        return NULL;
    }
    if (dnn->create(&dnn->handle) != 0 || driver->memory_alloc(&dnn->workspace, WORKSPACE_BYTES) != 0) {
        sa_dnn_close(dnn);
        return NULL;
    }
    return dnn;
}

void sa_dnn_close(sa_dnn *dnn)
{
    if (dnn == NULL) {
        return;
    }
    if (dnn->workspace != 0) {
        dnn->driver->memory_free(dnn->workspace);
    }
    if (dnn->handle != NULL) {
        dnn->destroy(dnn->handle);
    }
    free(dnn);
}

size_t sa_dnn_version(const sa_dnn *dnn)
{
    return dnn->version;
}

/* ---- plans ---- */

static int open_tensor(sa_dnn *dnn, void **tensor, int type, const size_t shape[4])
{
    int code = dnn->tensor_create(tensor);
    return code != 0 ? code
                     : dnn->tensor_set(*tensor, CUDNN_TENSOR_NHWC, type, (int)shape[0], (int)shape[1],
                                       (int)shape[2], (int)shape[3]);
}

static int open_descriptors(sa_dnn *dnn, sa_dnn_plan *plan, const sa_convolution_args *args)
{
    int type = args->dtype == SA_F16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
    int pad = (int)args->pad, stride = (int)args->stride, kernel = (int)args->kernel;
    size_t x[] = {args->batch, args->channels, args->height, args->width};
    size_t y[] = {args->batch, args->n, sa_convolution_out(args, args->height),
                  sa_convolution_out(args, args->width)};
    int code = open_tensor(dnn, &plan->x, type, x);
    code = code != 0 ? code : open_tensor(dnn, &plan->y, type, y);
    code = code != 0 ? code : dnn->filter_create(&plan->w);
    code = code != 0 ? code
                     : dnn->filter_set(plan->w, type, CUDNN_TENSOR_NHWC, (int)args->n, (int)args->channels,
                                       kernel, kernel);
    code = code != 0 ? code : dnn->convolution_create(&plan->convolution);
    code = code != 0 ? code
                     : dnn->convolution_set(plan->convolution, pad, pad, stride, stride, 1, 1,
                                            CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
    return code != 0 ? code : dnn->convolution_math(plan->convolution, CUDNN_TENSOR_OP_MATH);
}

/* Keeps what the library says it can do, if its workspace fits. */
static void keep_proposal(sa_dnn *dnn, sa_dnn_plan *plan, const dnn_proposal *proposal)
{
    size_t bytes = 0;
    if (proposal->status == 0 && dnn->convolution_math(plan->convolution, proposal->math) == 0 &&
        dnn->workspace_size(dnn->handle, plan->x, plan->w, plan->convolution, plan->y, proposal->algorithm,
                            &bytes) == 0 &&
        bytes <= WORKSPACE_BYTES) {
        plan->proposal[plan->proposals].algorithm = proposal->algorithm;
        plan->proposal[plan->proposals].math = proposal->math;
        plan->proposal[plan->proposals++].workspace_bytes = bytes;
    }
}

bool sa_dnn_plan_open(sa_dnn *dnn, sa_dnn_plan *plan, const sa_convolution_args *args)
{
    dnn_proposal proposals[SA_DNN_PROPOSALS];
    int found = 0;
    *plan = (sa_dnn_plan){0};
    int code = open_descriptors(dnn, plan, args);
    code = code != 0 ? code
                     : dnn->propose(dnn->handle, plan->x, plan->w, plan->convolution, plan->y,
                                    SA_DNN_PROPOSALS, &found, proposals);
    for (int i = 0; code == 0 && i < found && i < SA_DNN_PROPOSALS; i++) {
        keep_proposal(dnn, plan, &proposals[i]);
    }
    if (plan->proposals == 0) {
        sa_dnn_plan_close(dnn, plan);
        return false;
    }
    return true;
}

void sa_dnn_plan_close(sa_dnn *dnn, sa_dnn_plan *plan)
{
    if (plan->convolution != NULL) {
        dnn->convolution_destroy(plan->convolution);
    }
    if (plan->w != NULL) {
        dnn->filter_destroy(plan->w);
    }
    if (plan->y != NULL) {
        dnn->tensor_destroy(plan->y);
    }
    if (plan->x != NULL) {
        dnn->tensor_destroy(plan->x);
    }
    *plan = (sa_dnn_plan){0};
}

bool sa_dnn_run(sa_dnn *dnn, const sa_dnn_plan *plan, int proposal, const sa_convolution_args *args, void *y,
                sa_cuda_handle stream)
{
    const float alpha = 1.0f, beta = 0.0f;
    return dnn->set_stream(dnn->handle, stream) == 0 &&
           dnn->convolution_math(plan->convolution, plan->proposal[proposal].math) == 0 &&
           dnn->forward(dnn->handle, &alpha, plan->x, args->x, plan->w, args->w, plan->convolution,
                        plan->proposal[proposal].algorithm, (void *)(uintptr_t)dnn->workspace,
                        plan->proposal[proposal].workspace_bytes, &beta, plan->y, y) == 0;
}
