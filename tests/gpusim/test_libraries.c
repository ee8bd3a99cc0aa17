/*
 * The stand-in for cuDNN refuses what the real library refuses: descriptors that do not fit together, other
 * layouts and types, no workspace, another kind of mathematics than was proposed. (What it computes right is
 * tested by tests/kernels/test_convolution.c; the stand-in for cuBLASLt by test_gemm_fast.c.)
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
    BAD_PARAM = 2000,
    NOT_SUPPORTED = 3000,
    NOT_INITIALIZED = 1001,
    NHWC = 1,
    NCHW = 0,
    F32 = 0,
    F16 = 2,
    BF16 = 9
};

typedef struct {
    int algorithm, status;
    float time;
    size_t workspace_bytes;
    int determinism, math, reserved[3];
} proposal;

/* CALL(name, parameters) */
#define CALLS(CALL)                                                                                          \
    CALL(cudnnCreate, (void **))                                                                             \
    CALL(cudnnDestroy, (void *))                                                                             \
    CALL(cudnnCreateTensorDescriptor, (void **))                                                             \
    CALL(cudnnDestroyTensorDescriptor, (void *))                                                             \
    CALL(cudnnSetTensor4dDescriptor, (void *, int, int, int, int, int, int))                                 \
    CALL(cudnnCreateFilterDescriptor, (void **))                                                             \
    CALL(cudnnDestroyFilterDescriptor, (void *))                                                             \
    CALL(cudnnSetFilter4dDescriptor, (void *, int, int, int, int, int, int))                                 \
    CALL(cudnnCreateConvolutionDescriptor, (void **))                                                        \
    CALL(cudnnDestroyConvolutionDescriptor, (void *))                                                        \
    CALL(cudnnSetConvolution2dDescriptor, (void *, int, int, int, int, int, int, int, int))                  \
    CALL(cudnnSetConvolutionMathType, (void *, int))                                                         \
    CALL(cudnnGetConvolutionForwardAlgorithm_v7,                                                             \
         (void *, void *, void *, void *, void *, int, int *, proposal *))                                   \
    CALL(cudnnGetConvolutionForwardWorkspaceSize, (void *, void *, void *, void *, void *, int, size_t *))   \
    CALL(cudnnConvolutionForward, (void *, const void *, void *, const void *, void *, const void *, void *, \
                                   int, void *, size_t, const void *, void *, void *))

typedef struct {
#define FIELD(name, parameters) int(*name) parameters;
    CALLS(FIELD)
#undef FIELD
    void *handle, *x, *w, *y, *convolution;
} cudnn;

/* Descriptors of a 3x3 convolution of [2,6,6,16] to 8 channels. */
static int setup(void **state)
{
    static cudnn c;
    void *library = dlopen("libcudnn.so.9", RTLD_NOW);
    assert_non_null(library);
#define FIND(name, parameters)                                                                               \
    *(void **)&c.name = dlsym(library, #name);                                                               \
    assert_non_null(*(void **)&c.name);
    CALLS(FIND)
#undef FIND
    assert_int_equal(c.cudnnCreate(&c.handle), 0);
    assert_int_equal(c.cudnnCreateTensorDescriptor(&c.x), 0);
    assert_int_equal(c.cudnnCreateTensorDescriptor(&c.y), 0);
    assert_int_equal(c.cudnnCreateFilterDescriptor(&c.w), 0);
    assert_int_equal(c.cudnnCreateConvolutionDescriptor(&c.convolution), 0);
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    cudnn *c = *state;
    assert_int_equal(c->cudnnDestroyConvolutionDescriptor(c->w), BAD_PARAM); /* of another kind */
    assert_int_equal(c->cudnnDestroyConvolutionDescriptor(c->convolution), 0);
    assert_int_equal(c->cudnnDestroyFilterDescriptor(c->w), 0);
    assert_int_equal(c->cudnnDestroyTensorDescriptor(c->y), 0);
    assert_int_equal(c->cudnnDestroyTensorDescriptor(c->x), 0);
    assert_int_equal(c->cudnnDestroy(c->handle), 0);
    return 0;
}

static void describe(cudnn *c)
{
    assert_int_equal(c->cudnnSetTensor4dDescriptor(c->x, NHWC, BF16, 2, 16, 6, 6), 0);
    assert_int_equal(c->cudnnSetFilter4dDescriptor(c->w, BF16, NHWC, 8, 16, 3, 3), 0);
    assert_int_equal(c->cudnnSetTensor4dDescriptor(c->y, NHWC, BF16, 2, 8, 6, 6), 0);
    assert_int_equal(c->cudnnSetConvolution2dDescriptor(c->convolution, 1, 1, 1, 1, 1, 1, 1, F32), 0);
}

static int propose(cudnn *c)
{
    proposal proposals[8];
    int found = -1;
    int code = c->cudnnGetConvolutionForwardAlgorithm_v7(c->handle, c->x, c->w, c->convolution, c->y, 8,
                                                         &found, proposals);
    assert_int_equal(found, code == 0 ? 3 : 0);
    return code;
}

static void test_descriptors(void **state)
{
    cudnn *c = *state;
    assert_int_equal(propose(c), BAD_PARAM); /* not set yet */
    describe(c);
    assert_int_equal(propose(c), 0);
    assert_int_equal(c->cudnnSetTensor4dDescriptor(c->x, NCHW, BF16, 2, 16, 6, 6), NOT_SUPPORTED);
    assert_int_equal(c->cudnnSetTensor4dDescriptor(c->x, NHWC, F32, 2, 16, 6, 6), NOT_SUPPORTED);
    assert_int_equal(c->cudnnSetTensor4dDescriptor(c->x, NHWC, BF16, 2, 0, 6, 6), BAD_PARAM);
    assert_int_equal(c->cudnnSetTensor4dDescriptor(c->w, NHWC, BF16, 2, 16, 6, 6),
                     BAD_PARAM); /* a filter's */
    assert_int_equal(c->cudnnSetConvolution2dDescriptor(c->convolution, 1, 1, 1, 1, 2, 1, 1, F32),
                     NOT_SUPPORTED);
    assert_int_equal(c->cudnnSetConvolution2dDescriptor(c->convolution, 1, 1, 1, 1, 1, 1, 0, F32),
                     NOT_SUPPORTED);
    assert_int_equal(c->cudnnSetConvolution2dDescriptor(c->convolution, 1, 1, 0, 1, 1, 1, 1, F32), BAD_PARAM);
    static const int wrong[][4] = {{1, 8, 6, 6}, {2, 7, 6, 6}, {2, 8, 5, 6}, {2, 8, 6, 4}};
    for (int i = 0; i < 4; i++) {
        describe(c);
        const int *y = wrong[i];
        assert_int_equal(c->cudnnSetTensor4dDescriptor(c->y, NHWC, BF16, y[0], y[1], y[2], y[3]), 0);
        assert_int_equal(propose(c), BAD_PARAM);
    }
    describe(c);
    assert_int_equal(c->cudnnSetTensor4dDescriptor(c->y, NHWC, F16, 2, 8, 6, 6), 0);
    assert_int_equal(propose(c), NOT_SUPPORTED); /* of two types */
    describe(c);
    assert_int_equal(c->cudnnSetFilter4dDescriptor(c->w, BF16, NHWC, 8, 8, 3, 3), 0);
    assert_int_equal(propose(c), BAD_PARAM); /* channels of the filter */
}

static void test_running(void **state)
{
    cudnn *c = *state;
    size_t bytes = 1;
    float one = 1.0f, zero = 0.0f;
    _Alignas(16) static uint16_t memory[2048];
    describe(c);
    assert_int_equal(c->cudnnSetConvolutionMathType(c->convolution, 1), 0);
    assert_int_equal(
        c->cudnnGetConvolutionForwardWorkspaceSize(c->handle, c->x, c->w, c->convolution, c->y, 1, &bytes),
        0);
    assert_true(bytes > 0 && bytes <= sizeof memory);
    assert_int_equal(
        c->cudnnGetConvolutionForwardWorkspaceSize(c->handle, c->x, c->w, c->convolution, c->y, 5, &bytes),
        NOT_SUPPORTED);
    /* without a driver in this process; with one it would look at workspace and mathematics next */
    assert_int_equal(c->cudnnConvolutionForward(c->handle, &one, c->x, memory, c->w, memory, c->convolution,
                                                1, memory, sizeof memory, &zero, c->y, memory),
                     NOT_INITIALIZED);
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
    assert_non_null(driver);
    const struct {
        int algorithm, math;
        size_t workspace;
        void *y;
        const float *beta;
    } wrong[] = {{1, 1, 16, memory, &zero},
                 {1, 0, sizeof memory, memory, &zero},
                 {6, 1, sizeof memory, memory, &zero},
                 {1, 1, sizeof memory, memory + 1, &zero},
                 {1, 1, sizeof memory, memory, &one}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(c->cudnnSetConvolutionMathType(c->convolution, wrong[i].math), 0);
        assert_int_equal(c->cudnnConvolutionForward(c->handle, &one, c->x, memory, c->w, memory,
                                                    c->convolution, wrong[i].algorithm, memory,
                                                    wrong[i].workspace, wrong[i].beta, c->y, wrong[i].y),
                         NOT_SUPPORTED);
    }
    dlclose(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_running, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
