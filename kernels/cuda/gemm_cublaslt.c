/*
 * gemm by cuBLASLt, opened with dlopen: the few calls that a product takes, declared here. What gemm.c packs
 * is a plain matrix (gemm.h), so the library reads the same w.
 *
 * The library thinks in columns: row-major c [m,n] is its D [n,m], a [m,k] its B [k,m], and w its A. With f32
 * sums it can add a bias of D's type and, as beta C, an f32 residual; our GELU (its own is the tanh form) and
 * cycled residuals it cannot do.
 */
#include "kernels/cuda/gemm_library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/gemm.h"

/* CALL(field, exported name, parameters); each returns 0 for success. */
#define LT_CALLS(CALL)                                                                                       \
    CALL(create, "cublasLtCreate", (void **handle))                                                          \
    CALL(destroy, "cublasLtDestroy", (void *handle))                                                         \
    CALL(product_create, "cublasLtMatmulDescCreate", (void **product, int compute, int scale))               \
    CALL(product_destroy, "cublasLtMatmulDescDestroy", (void *product))                                      \
    CALL(product_set, "cublasLtMatmulDescSetAttribute",                                                      \
         (void *product, int attribute, const void *value, size_t bytes))                                    \
    CALL(layout_create, "cublasLtMatrixLayoutCreate",                                                        \
         (void **layout, int type, uint64_t rows, uint64_t columns, int64_t ld))                             \
    CALL(layout_destroy, "cublasLtMatrixLayoutDestroy", (void *layout))                                      \
    CALL(preference_create, "cublasLtMatmulPreferenceCreate", (void **preference))                           \
    CALL(preference_destroy, "cublasLtMatmulPreferenceDestroy", (void *preference))                          \
    CALL(preference_set, "cublasLtMatmulPreferenceSetAttribute",                                             \
         (void *preference, int attribute, const void *value, size_t bytes))                                 \
    CALL(propose, "cublasLtMatmulAlgoGetHeuristic",                                                          \
         (void *handle, void *product, void *a, void *b, void *c, void *d, void *preference, int wanted,     \
          lt_proposal *proposals, int *found))                                                               \
    CALL(multiply, "cublasLtMatmul",                                                                         \
         (void *handle, void *product, const void *alpha, const void *a, void *a_layout, const void *b,      \
          void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,          \
          const void *algorithm, void *workspace, size_t workspace_bytes, void *stream))

/* cublasLtMatmulHeuristicResult_t */
typedef struct {
    uint64_t algorithm[8];
    size_t workspace_bytes;
    int state;
    float waves;
    int reserved[4];
} lt_proposal;

/* Constants of cublasLt.h, cublas_api.h and library_types.h, by their names there. */
enum {
    CUBLAS_COMPUTE_32F = 68,
    CUDA_R_32F = 0,
    CUDA_R_16F = 2,
    CUDA_R_16BF = 14,
    CUBLAS_OP_T = 1,
    MATMUL_DESC_TRANSA = 3,
    MATMUL_DESC_EPILOGUE = 7,
    MATMUL_DESC_BIAS_POINTER = 8,
    MATMUL_DESC_BIAS_DATA_TYPE = 26,
    EPILOGUE_BIAS = 4,
    PREF_MAX_WORKSPACE_BYTES = 1,
    PREF_MIN_ALIGNMENT_A_BYTES = 5, /* B, C and D follow */
};

enum { WORKSPACE_BYTES = 32 << 20, ALIGNMENT = 16 };

struct sa_lt {
    const sa_cuda_driver *driver;
    void *handle;
    sa_cuda_pointer workspace;
    size_t version;
#define FIELD(field, name, parameters) int(*field) parameters;
    LT_CALLS(FIELD)
#undef FIELD
};

static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol); /* ISO C has no cast from an object's to a function's pointer */
    return symbol != NULL;
}

static bool find_calls(sa_lt *lt)
{
    void *library = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
    library = library != NULL ? library : dlopen("libcublasLt.so.12", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return false;
    }
    bool all = true;
    size_t (*version)(void) = NULL;
#define FIND(field, name, parameters) all = find(library, name, &lt->field) && all;
    LT_CALLS(FIND)
#undef FIND
    all = find(library, "cublasLtGetVersion", &version) && all;
    lt->version = all ? version() : 0;
    return all; /* the library stays open: it keeps threads and code on the device */
}

sa_lt *sa_lt_open(const sa_cuda_driver *driver)
{
    sa_lt *lt = calloc(1, sizeof *lt);
    if (lt == NULL) {
        return NULL;
    }
    lt->driver = driver;
    if (!find_calls(lt)) {
        free(lt);
        return NULL;
    }
    if (lt->create(&lt->handle) != 0 || driver->memory_alloc(&lt->workspace, WORKSPACE_BYTES) != 0) {
        sa_lt_close(lt);
        return NULL;
    }
    return lt;
}

void sa_lt_close(sa_lt *lt)
{
    if (lt == NULL) {
        return;
    }
    if (lt->workspace != 0) {
        lt->driver->memory_free(lt->workspace);
    }
    if (lt->handle != NULL) {
        lt->destroy(lt->handle);
    }
    free(lt);
}

size_t sa_lt_version(const sa_lt *lt)
{
    return lt->version;
}

static int type_of(uint32_t dtype)
{
    return dtype == SA_F32 ? CUDA_R_32F : dtype == SA_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

/* w as packed: 16-bit rows along k, to be transposed; f32 already stands the library's way. */
static int open_layouts(sa_lt *lt, sa_lt_plan *plan, const sa_gemm_shape *s)
{
    uint64_t n_up = (s->n + GEMM_PACK_N - 1) / GEMM_PACK_N * GEMM_PACK_N;
    uint64_t k_up = (s->k + GEMM_PACK_K - 1) / GEMM_PACK_K * GEMM_PACK_K;
    int type = type_of(s->dtype);
    int code = s->dtype == SA_F32 ? lt->layout_create(&plan->w, type, s->n, s->k, (int64_t)n_up)
                                  : lt->layout_create(&plan->w, type, s->k, s->n, (int64_t)k_up);
    code = code != 0 ? code : lt->layout_create(&plan->a, type, s->k, s->m, (int64_t)s->lda);
    return code != 0 ? code : lt->layout_create(&plan->c, type_of(s->c_dtype), s->n, s->m, (int64_t)s->ldc);
}

static int open_product(sa_lt *lt, sa_lt_plan *plan, const sa_gemm_shape *s)
{
    int code = lt->product_create(&plan->product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (code == 0 && s->dtype != SA_F32) {
        int transposed = CUBLAS_OP_T;
        code = lt->product_set(plan->product, MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
    }
    if (code == 0 && s->bias) {
        int epilogue = EPILOGUE_BIAS, type = CUDA_R_32F;
        code = lt->product_set(plan->product, MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
        code =
            code != 0 ? code : lt->product_set(plan->product, MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type);
    }
    return code;
}

static int open_preference(sa_lt *lt, sa_lt_plan *plan)
{
    uint64_t workspace = WORKSPACE_BYTES;
    uint32_t alignment = ALIGNMENT;
    int code = lt->preference_create(&plan->preference);
    code = code != 0
               ? code
               : lt->preference_set(plan->preference, PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    for (int i = 0; i < 4 && code == 0; i++) {
        code = lt->preference_set(plan->preference, PREF_MIN_ALIGNMENT_A_BYTES + i, &alignment,
                                  sizeof alignment);
    }
    return code;
}

static int ask(sa_lt *lt, sa_lt_plan *plan)
{
    lt_proposal proposals[SA_LT_PROPOSALS];
    int found = 0;
    int code = lt->propose(lt->handle, plan->product, plan->w, plan->a, plan->c, plan->c, plan->preference,
                           SA_LT_PROPOSALS, proposals, &found);
    for (int i = 0; code == 0 && i < found && i < SA_LT_PROPOSALS; i++) {
        if (proposals[i].state == 0 && proposals[i].workspace_bytes <= WORKSPACE_BYTES) {
            memcpy(plan->algorithms[plan->proposals++], proposals[i].algorithm,
                   sizeof proposals[i].algorithm);
        }
    }
    return code;
}

bool sa_lt_plan_open(sa_lt *lt, sa_lt_plan *plan, const sa_gemm_shape *shape)
{
    *plan = (sa_lt_plan){0};
    int code = open_layouts(lt, plan, shape);
    code = code != 0 ? code : open_product(lt, plan, shape);
    code = code != 0 ? code : open_preference(lt, plan);
    code = code != 0 ? code : ask(lt, plan);
    if (code != 0 || plan->proposals == 0) {
        sa_lt_plan_close(lt, plan);
        return false;
    }
    return true;
}

void sa_lt_plan_close(sa_lt *lt, sa_lt_plan *plan)
{
    void *layouts[] = {plan->a, plan->w, plan->c};
    for (int i = 0; i < 3; i++) {
        if (layouts[i] != NULL) {
            lt->layout_destroy(layouts[i]);
        }
    }
    if (plan->preference != NULL) {
        lt->preference_destroy(plan->preference);
    }
    if (plan->product != NULL) {
        lt->product_destroy(plan->product);
    }
    *plan = (sa_lt_plan){0};
}

bool sa_lt_run(sa_lt *lt, const sa_lt_plan *plan, int proposal, const sa_gemm_args *args,
               sa_cuda_handle stream)
{
    float alpha = 1.0f, beta = args->residual != NULL ? 1.0f : 0.0f;
    const void *c = args->residual != NULL ? args->residual : args->c;
    if (args->bias != NULL &&
        lt->product_set(plan->product, MATMUL_DESC_BIAS_POINTER, &args->bias, sizeof args->bias) != 0) {
        return false;
    }
    return lt->multiply(lt->handle, plan->product, &alpha, args->w, plan->w, args->a, plan->a, &beta, c,
                        plan->c, args->c, plan->c, plan->algorithms[proposal],
                        (void *)(uintptr_t)lt->workspace, WORKSPACE_BYTES, stream) == 0;
}
