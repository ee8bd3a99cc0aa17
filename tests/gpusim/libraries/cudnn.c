/*
 * A stand-in for libcudnn.so.9, test code: the calls that kernels/cuda/convolution_cudnn.c makes, with every
 * descriptor checked, and the convolution by plain loops. Channels-last 16-bit tensors only, with sums in
 * f32.
 *
 * Three algorithms are proposed, the first of them not supported; the workspace that one asks for and the
 * kind of mathematics that it was proposed with must be there when it runs.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/libraries/device.h"

enum {
    SUCCESS = 0,
    NOT_INITIALIZED = 1001,
    ALLOC_FAILED = 2003,
    BAD_PARAM = 2000,
    NOT_SUPPORTED = 3000,
    EXECUTION_FAILED = 5000
};
enum { FORMAT_NHWC = 1, DATA_FLOAT = 0, DATA_HALF = 2, DATA_BFLOAT16 = 9, CROSS_CORRELATION = 1 };
enum { DEFAULT_MATH = 0, TENSOR_OP_MATH = 1 };
enum { HANDLE = 0x646e6e01, TENSOR, FILTER, CONVOLUTION }; /* the first word of what we hand out */

typedef struct {
    uint32_t kind;
    void *stream;
} dnn_handle;

/* A tensor, n x c maps of h x w, or a filter of n outputs. */
typedef struct {
    uint32_t kind;
    int type, n, c, h, w; /* type -1: not set yet */
} dnn_tensor;

typedef struct {
    uint32_t kind;
    int pad[2], stride[2], math;
    bool set;
} dnn_convolution;

typedef struct {
    int algorithm, status;
    float time;
    size_t workspace_bytes;
    int determinism, math, reserved[3];
} dnn_proposal;

/* What is proposed, best first; an algorithm's workspace is a fixed number, so that a wrong one is seen. */
static const struct {
    int algorithm, status, math;
    size_t workspace;
} algorithms[] = {
    {6, NOT_SUPPORTED, TENSOR_OP_MATH, 0}, {1, SUCCESS, TENSOR_OP_MATH, 4096}, {0, SUCCESS, DEFAULT_MATH, 0}};
enum { ALGORITHMS = sizeof algorithms / sizeof *algorithms };

static bool is_kind(const void *object, uint32_t kind)
{
    return object != NULL && *(const uint32_t *)object == kind;
}

static int make(void **out, const void *object, size_t bytes)
{
    *out = malloc(bytes);
    if (*out == NULL) {
        return ALLOC_FAILED;
    }
    memcpy(*out, object, bytes);
    return SUCCESS;
}

/* A second destruction, or one of another kind, is refused. */
static int destroy(void *object, uint32_t kind)
{
    if (!is_kind(object, kind)) {
        return BAD_PARAM;
    }
    *(uint32_t *)object = 0;
    free(object);
    return SUCCESS;
}

EXPORT size_t cudnnGetVersion(void);
EXPORT size_t cudnnGetVersion(void)
{
    return 90000;
}

EXPORT int cudnnCreate(void **handle);
EXPORT int cudnnCreate(void **handle)
{
    dnn_handle h = {.kind = HANDLE};
    return make(handle, &h, sizeof h);
}

EXPORT int cudnnDestroy(void *handle);
EXPORT int cudnnDestroy(void *handle)
{
    return destroy(handle, HANDLE);
}

EXPORT int cudnnSetStream(void *handle, void *stream);
EXPORT int cudnnSetStream(void *handle, void *stream)
{
    if (!is_kind(handle, HANDLE)) {
        return BAD_PARAM;
    }
    ((dnn_handle *)handle)->stream = stream;
    return SUCCESS;
}

static int make_tensor(void **tensor, uint32_t kind)
{
    dnn_tensor t = {.kind = kind, .type = -1};
    return make(tensor, &t, sizeof t);
}

static int set_tensor(dnn_tensor *t, uint32_t kind, int format, int type, const int shape[4])
{
    if (!is_kind(t, kind) || shape[0] < 1 || shape[1] < 1 || shape[2] < 1 || shape[3] < 1) {
        return BAD_PARAM;
    }
    *t = (dnn_tensor){kind, type, shape[0], shape[1], shape[2], shape[3]};
    return format == FORMAT_NHWC && (type == DATA_HALF || type == DATA_BFLOAT16) ? SUCCESS : NOT_SUPPORTED;
}

EXPORT int cudnnCreateTensorDescriptor(void **tensor);
EXPORT int cudnnCreateTensorDescriptor(void **tensor)
{
    return make_tensor(tensor, TENSOR);
}

EXPORT int cudnnDestroyTensorDescriptor(void *tensor);
EXPORT int cudnnDestroyTensorDescriptor(void *tensor)
{
    return destroy(tensor, TENSOR);
}

EXPORT int cudnnSetTensor4dDescriptor(void *tensor, int format, int type, int n, int c, int h, int w);
EXPORT int cudnnSetTensor4dDescriptor(void *tensor, int format, int type, int n, int c, int h, int w)
{
    return set_tensor(tensor, TENSOR, format, type, (int[]){n, c, h, w});
}

EXPORT int cudnnCreateFilterDescriptor(void **filter);
EXPORT int cudnnCreateFilterDescriptor(void **filter)
{
    return make_tensor(filter, FILTER);
}

EXPORT int cudnnDestroyFilterDescriptor(void *filter);
EXPORT int cudnnDestroyFilterDescriptor(void *filter)
{
    return destroy(filter, FILTER);
}

EXPORT int cudnnSetFilter4dDescriptor(void *filter, int type, int format, int k, int c, int h, int w);
EXPORT int cudnnSetFilter4dDescriptor(void *filter, int type, int format, int k, int c, int h, int w)
{
    return set_tensor(filter, FILTER, format, type, (int[]){k, c, h, w});
}

EXPORT int cudnnCreateConvolutionDescriptor(void **convolution);
EXPORT int cudnnCreateConvolutionDescriptor(void **convolution)
{
    dnn_convolution c = {.kind = CONVOLUTION};
    return make(convolution, &c, sizeof c);
}

EXPORT int cudnnDestroyConvolutionDescriptor(void *convolution);
EXPORT int cudnnDestroyConvolutionDescriptor(void *convolution)
{
    return destroy(convolution, CONVOLUTION);
}

EXPORT int cudnnSetConvolution2dDescriptor(void *convolution, int pad_h, int pad_w, int stride_h,
                                           int stride_w, int dilation_h, int dilation_w, int mode,
                                           int compute);
EXPORT int cudnnSetConvolution2dDescriptor(void *convolution, int pad_h, int pad_w, int stride_h,
                                           int stride_w, int dilation_h, int dilation_w, int mode,
                                           int compute)
{
    dnn_convolution *c = convolution;
    if (!is_kind(c, CONVOLUTION) || pad_h < 0 || pad_w < 0 || stride_h < 1 || stride_w < 1) {
        return BAD_PARAM;
    }
    *c = (dnn_convolution){CONVOLUTION, {pad_h, pad_w}, {stride_h, stride_w}, DEFAULT_MATH, true};
    return dilation_h == 1 && dilation_w == 1 && mode == CROSS_CORRELATION && compute == DATA_FLOAT
               ? SUCCESS
               : NOT_SUPPORTED;
}

EXPORT int cudnnSetConvolutionMathType(void *convolution, int math);
EXPORT int cudnnSetConvolutionMathType(void *convolution, int math)
{
    if (!is_kind(convolution, CONVOLUTION) || math < DEFAULT_MATH || math > 3) {
        return BAD_PARAM;
    }
    ((dnn_convolution *)convolution)->math = math;
    return SUCCESS;
}

/* Whether the descriptors fit together. */
static int check(const dnn_tensor *x, const dnn_tensor *w, const dnn_convolution *c, const dnn_tensor *y)
{
    if (!is_kind(x, TENSOR) || !is_kind(w, FILTER) || !is_kind(c, CONVOLUTION) || !is_kind(y, TENSOR) ||
        !c->set || x->type < 0 || w->type < 0 || y->type < 0) {
        return BAD_PARAM;
    }
    int height = (x->h + 2 * c->pad[0] - w->h) / c->stride[0] + 1;
    int width = (x->w + 2 * c->pad[1] - w->w) / c->stride[1] + 1;
    if (x->c != w->c || y->n != x->n || y->c != w->n || y->h != height || y->w != width) {
        return BAD_PARAM;
    }
    bool wanted = x->type == w->type && x->type == y->type && x->c % 8 == 0 && w->n % 8 == 0;
    return wanted ? SUCCESS : NOT_SUPPORTED;
}

EXPORT int cudnnGetConvolutionForwardAlgorithm_v7(void *handle, void *x, void *w, void *convolution, void *y,
                                                  int wanted, int *found, dnn_proposal *proposals);
EXPORT int cudnnGetConvolutionForwardAlgorithm_v7(void *handle, void *x, void *w, void *convolution, void *y,
                                                  int wanted, int *found, dnn_proposal *proposals)
{
    *found = 0;
    int code = is_kind(handle, HANDLE) ? check(x, w, convolution, y) : NOT_INITIALIZED;
    for (int i = 0; code == SUCCESS && i < ALGORITHMS && i < wanted; i++) {
        proposals[i] = (dnn_proposal){.algorithm = algorithms[i].algorithm,
                                      .status = algorithms[i].status,
                                      .workspace_bytes = algorithms[i].workspace,
                                      .math = algorithms[i].math};
        *found = i + 1;
    }
    return code;
}

/* Of those that are supported; -1 if it is none. */
static int index_of(int algorithm)
{
    for (int i = 0; i < ALGORITHMS; i++) {
        if (algorithms[i].algorithm == algorithm && algorithms[i].status == SUCCESS) {
            return i;
        }
    }
    return -1;
}

EXPORT int cudnnGetConvolutionForwardWorkspaceSize(void *handle, void *x, void *w, void *convolution, void *y,
                                                   int algorithm, size_t *bytes);
EXPORT int cudnnGetConvolutionForwardWorkspaceSize(void *handle, void *x, void *w, void *convolution, void *y,
                                                   int algorithm, size_t *bytes)
{
    int code = is_kind(handle, HANDLE) ? check(x, w, convolution, y) : NOT_INITIALIZED,
        index = index_of(algorithm);
    if (code == SUCCESS && (index < 0 || algorithms[index].math != ((dnn_convolution *)convolution)->math)) {
        code = NOT_SUPPORTED;
    }
    *bytes = code == SUCCESS ? algorithms[index].workspace : 0;
    return code;
}

static size_t values_of(const dnn_tensor *t)
{
    return (size_t)t->n * (size_t)t->c * (size_t)t->h * (size_t)t->w;
}

static uint16_t *fetch(const sim_library_driver *driver, const dnn_tensor *t, const void *device,
                       void *stream)
{
    size_t bytes = values_of(t) * sizeof(uint16_t);
    uint16_t *values = malloc(bytes);
    if (values != NULL && driver->download(values, (uintptr_t)device, bytes, stream) != 0) {
        free(values);
        values = NULL;
    }
    return values;
}

typedef struct {
    const dnn_tensor *x, *w, *y;
    const dnn_convolution *c;
    const uint16_t *x_values, *w_values;
    sa_dtype dtype;
    float alpha;
} dnn_work;

/* Output channel k at (row, column) of map n. */
static float output_of(const dnn_work *d, int n, int row, int column, int k)
{
    float sum = 0.0f;
    for (int dy = 0; dy < d->w->h; dy++) {
        for (int dx = 0; dx < d->w->w; dx++) {
            int in_y = row * d->c->stride[0] + dy - d->c->pad[0],
                in_x = column * d->c->stride[1] + dx - d->c->pad[1];
            if (in_y < 0 || in_y >= d->x->h || in_x < 0 || in_x >= d->x->w) {
                continue;
            }
            size_t at_x = (((size_t)n * (size_t)d->x->h + (size_t)in_y) * (size_t)d->x->w + (size_t)in_x) *
                          (size_t)d->x->c;
            size_t at_w =
                (((size_t)k * (size_t)d->w->h + (size_t)dy) * (size_t)d->w->w + (size_t)dx) * (size_t)d->w->c;
            for (int c = 0; c < d->x->c; c++) {
                sum += sim_library_load(d->x_values, at_x + (size_t)c, d->dtype) *
                       sim_library_load(d->w_values, at_w + (size_t)c, d->dtype);
            }
        }
    }
    return d->alpha * sum;
}

static int convolve(const sim_library_driver *driver, const dnn_work *d, void *y, void *stream)
{
    size_t bytes = values_of(d->y) * sizeof(uint16_t), at = 0;
    uint16_t *out = malloc(bytes);
    if (out == NULL) {
        return ALLOC_FAILED;
    }
    for (int n = 0; n < d->y->n; n++) {
        for (int row = 0; row < d->y->h; row++) {
            for (int column = 0; column < d->y->w; column++) {
                for (int k = 0; k < d->y->c; k++) {
                    sim_library_store(out, at++, d->dtype, output_of(d, n, row, column, k));
                }
            }
        }
    }
    bool sent = driver->upload((uintptr_t)y, out, bytes, stream) == 0 && driver->wait(stream) == 0;
    free(out);
    return sent ? SUCCESS : EXECUTION_FAILED;
}

static bool is_aligned(const void *device)
{
    return device != NULL && (uintptr_t)device % 16 == 0;
}

EXPORT int cudnnConvolutionForward(void *handle, const void *alpha, void *x_tensor, const void *x,
                                   void *w_filter, const void *w, void *convolution, int algorithm,
                                   void *workspace, size_t workspace_bytes, const void *beta, void *y_tensor,
                                   void *y);
EXPORT int cudnnConvolutionForward(void *handle, const void *alpha, void *x_tensor, const void *x,
                                   void *w_filter, const void *w, void *convolution, int algorithm,
                                   void *workspace, size_t workspace_bytes, const void *beta, void *y_tensor,
                                   void *y)
{
    sim_library_driver driver;
    dnn_work d = {.x = x_tensor, .w = w_filter, .y = y_tensor, .c = convolution};
    int code = check(d.x, d.w, d.c, d.y), index = index_of(algorithm);
    if (code != SUCCESS) {
        return code;
    }
    if (!is_kind(handle, HANDLE) || !sim_library_driver_open(&driver)) {
        return NOT_INITIALIZED;
    }
    float keep;
    memcpy(&d.alpha, alpha, sizeof d.alpha);
    memcpy(&keep, beta, sizeof keep);
    bool room = index >= 0 && workspace_bytes >= algorithms[index].workspace && is_aligned(workspace);
    if (!room || algorithms[index].math != d.c->math || keep != 0.0f || !is_aligned(x) || !is_aligned(w) ||
        !is_aligned(y)) {
        return NOT_SUPPORTED;
    }
    d.dtype = d.x->type == DATA_HALF ? SA_F16 : SA_BF16;
    void *stream = ((dnn_handle *)handle)->stream;
    uint16_t *x_values = fetch(&driver, d.x, x, stream), *w_values = fetch(&driver, d.w, w, stream);
    d.x_values = x_values, d.w_values = w_values;
    code = x_values != NULL && w_values != NULL && driver.wait(stream) == 0 ? convolve(&driver, &d, y, stream)
                                                                            : EXECUTION_FAILED;
    free(x_values);
    free(w_values);
    return code;
}
