/*
 * A stand-in for libcublasLt.so.13, test code: the calls that kernels/cuda/gemm_cublaslt.c makes, with every
 * descriptor checked, and the product by plain loops. It fetches and returns device memory with the driver's
 * own calls on the caller's stream, so it works on the simulated GPU and on a real one.
 *
 * What the real library refuses is refused: a bias of another type than D's, unaligned matrices, C of another
 * type than D. Three algorithms are proposed, the first marked unusable; one must be handed back unchanged.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/libraries/device.h"

enum {
    SUCCESS = 0,
    NOT_INITIALIZED = 1,
    ALLOC_FAILED = 3,
    INVALID_VALUE = 7,
    EXECUTION_FAILED = 13,
    NOT_SUPPORTED = 15
};
enum { REAL_F32 = 0, REAL_F16 = 2, REAL_BF16 = 14, COMPUTE_F32 = 68 };
enum { HANDLE = 0x4c740001, PRODUCT, LAYOUT, PREFERENCE, ALGORITHM }; /* the first word of what we hand out */
enum { DESC_TRANSA = 3, DESC_TRANSB = 4, DESC_EPILOGUE = 7, DESC_BIAS_POINTER = 8, DESC_BIAS_TYPE = 26 };
enum { EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4 };

typedef struct {
    uint32_t kind;
    int transposed[2], epilogue, bias_type;
    uint64_t bias;
} lt_product;

typedef struct {
    uint32_t kind;
    int type;
    uint64_t rows, columns;
    int64_t ld;
} lt_layout;

typedef struct {
    uint32_t kind;
    uint64_t workspace;
    uint32_t alignment[4];
} lt_preference;

typedef struct {
    uint64_t algorithm[8];
    size_t workspace_bytes;
    int state;
    float waves;
    int reserved[4];
} lt_proposal;

static size_t size_of(int type)
{
    return type == REAL_F32 ? 4 : 2;
}

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
        return INVALID_VALUE;
    }
    *(uint32_t *)object = 0;
    free(object);
    return SUCCESS;
}

EXPORT size_t cublasLtGetVersion(void);
EXPORT size_t cublasLtGetVersion(void)
{
    return 130000;
}

EXPORT int cublasLtCreate(void **handle);
EXPORT int cublasLtCreate(void **handle)
{
    uint32_t kind = HANDLE;
    return make(handle, &kind, sizeof kind);
}

EXPORT int cublasLtDestroy(void *handle);
EXPORT int cublasLtDestroy(void *handle)
{
    return destroy(handle, HANDLE);
}

EXPORT int cublasLtMatmulDescCreate(void **product, int compute, int scale);
EXPORT int cublasLtMatmulDescCreate(void **product, int compute, int scale)
{
    lt_product p = {.kind = PRODUCT, .epilogue = EPILOGUE_DEFAULT, .bias_type = -1};
    return compute == COMPUTE_F32 && scale == REAL_F32 ? make(product, &p, sizeof p) : NOT_SUPPORTED;
}

EXPORT int cublasLtMatmulDescDestroy(void *product);
EXPORT int cublasLtMatmulDescDestroy(void *product)
{
    return destroy(product, PRODUCT);
}

static int set_int(int *to, const void *value, size_t bytes)
{
    if (bytes != sizeof *to) {
        return INVALID_VALUE;
    }
    memcpy(to, value, bytes);
    return SUCCESS;
}

EXPORT int cublasLtMatmulDescSetAttribute(void *product, int attribute, const void *value, size_t bytes);
EXPORT int cublasLtMatmulDescSetAttribute(void *product, int attribute, const void *value, size_t bytes)
{
    lt_product *p = product;
    if (!is_kind(p, PRODUCT) || value == NULL) {
        return INVALID_VALUE;
    }
    switch (attribute) {
    case DESC_TRANSA:
    case DESC_TRANSB: return set_int(&p->transposed[attribute - DESC_TRANSA], value, bytes);
    case DESC_EPILOGUE: return set_int(&p->epilogue, value, bytes);
    case DESC_BIAS_TYPE: return set_int(&p->bias_type, value, bytes);
    case DESC_BIAS_POINTER:
        if (bytes != sizeof p->bias) {
            return INVALID_VALUE;
        }
        memcpy(&p->bias, value, bytes);
        return SUCCESS;
    default: return NOT_SUPPORTED;
    }
}

EXPORT int cublasLtMatrixLayoutCreate(void **layout, int type, uint64_t rows, uint64_t columns, int64_t ld);
EXPORT int cublasLtMatrixLayoutCreate(void **layout, int type, uint64_t rows, uint64_t columns, int64_t ld)
{
    lt_layout l = {.kind = LAYOUT, .type = type, .rows = rows, .columns = columns, .ld = ld};
    bool known = type == REAL_F32 || type == REAL_F16 || type == REAL_BF16;
    return known && rows > 0 && columns > 0 && ld >= (int64_t)rows ? make(layout, &l, sizeof l)
                                                                   : INVALID_VALUE;
}

EXPORT int cublasLtMatrixLayoutDestroy(void *layout);
EXPORT int cublasLtMatrixLayoutDestroy(void *layout)
{
    return destroy(layout, LAYOUT);
}

EXPORT int cublasLtMatmulPreferenceCreate(void **preference);
EXPORT int cublasLtMatmulPreferenceCreate(void **preference)
{
    lt_preference p = {.kind = PREFERENCE, .alignment = {256, 256, 256, 256}};
    return make(preference, &p, sizeof p);
}

EXPORT int cublasLtMatmulPreferenceDestroy(void *preference);
EXPORT int cublasLtMatmulPreferenceDestroy(void *preference)
{
    return destroy(preference, PREFERENCE);
}

EXPORT int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, const void *value,
                                                size_t bytes);
EXPORT int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, const void *value,
                                                size_t bytes)
{
    lt_preference *p = preference;
    if (!is_kind(p, PREFERENCE)) {
        return INVALID_VALUE;
    }
    if (attribute == 1 && bytes == sizeof p->workspace) { /* PREF_MAX_WORKSPACE_BYTES */
        memcpy(&p->workspace, value, bytes);
        return SUCCESS;
    }
    if (attribute >= 5 && attribute <= 8 && bytes == 4) { /* PREF_MIN_ALIGNMENT of A, B, C, D */
        memcpy(&p->alignment[attribute - 5], value, bytes);
        return SUCCESS;
    }
    return NOT_SUPPORTED;
}

/* Whether the descriptors fit together; k is left in *depth. */
static int check(const lt_product *p, const lt_layout *a, const lt_layout *b, const lt_layout *c,
                 const lt_layout *d, uint64_t *depth)
{
    if (!is_kind(p, PRODUCT) || !is_kind(a, LAYOUT) || !is_kind(b, LAYOUT) || !is_kind(c, LAYOUT) ||
        !is_kind(d, LAYOUT)) {
        return INVALID_VALUE;
    }
    uint64_t rows = p->transposed[0] ? a->columns : a->rows, inner = p->transposed[0] ? a->rows : a->columns;
    uint64_t columns = p->transposed[1] ? b->rows : b->columns,
             other = p->transposed[1] ? b->columns : b->rows;
    *depth = inner;
    if (inner != other || d->rows != rows || d->columns != columns || c->rows != rows ||
        c->columns != columns) {
        return INVALID_VALUE;
    }
    bool bias = p->epilogue == EPILOGUE_BIAS;
    bool types = a->type == b->type && c->type == d->type && (d->type == REAL_F32 || d->type == a->type);
    return types && (p->epilogue == EPILOGUE_DEFAULT || bias) && (!bias || p->bias_type == d->type)
               ? SUCCESS
               : NOT_SUPPORTED;
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(void *handle, void *product, void *a, void *b, void *c, void *d,
                                          void *preference, int wanted, lt_proposal *proposals, int *found);
EXPORT int cublasLtMatmulAlgoGetHeuristic(void *handle, void *product, void *a, void *b, void *c, void *d,
                                          void *preference, int wanted, lt_proposal *proposals, int *found)
{
    uint64_t depth = 0;
    *found = 0;
    if (!is_kind(handle, HANDLE) || !is_kind(preference, PREFERENCE)) {
        return INVALID_VALUE;
    }
    int code = check(product, a, b, c, d, &depth);
    for (int i = 0; code == SUCCESS && i < 3 && i < wanted; i++) {
        proposals[i] =
            (lt_proposal){.algorithm = {ALGORITHM, (uint64_t)i}, .state = i == 0 ? NOT_SUPPORTED : SUCCESS};
        *found = i + 1;
    }
    return code;
}

static sa_dtype dtype_of(int type)
{
    return type == REAL_F32 ? SA_F32 : type == REAL_F16 ? SA_F16 : SA_BF16;
}

static float value_of(const unsigned char *bytes, uint64_t index, int type)
{
    return sim_library_load(bytes, index, dtype_of(type));
}

/* Fetches `columns` columns of `rows` values each, ld apart, and no byte between them. */
static unsigned char *fetch(const sim_library_driver *driver, const lt_layout *l, const void *device,
                            void *stream)
{
    size_t row = l->rows * size_of(l->type), step = (size_t)l->ld * size_of(l->type);
    unsigned char *bytes = calloc(l->columns, step);
    for (uint64_t i = 0; bytes != NULL && i < l->columns; i++) {
        if (driver->download(bytes + i * step, (uintptr_t)device + i * step, row, stream) != 0) {
            free(bytes);
            return NULL;
        }
    }
    return bytes;
}

typedef struct {
    const lt_product *p;
    const lt_layout *a, *b, *d;
    const unsigned char *a_bytes, *b_bytes, *c_bytes; /* c NULL without one */
    const float *bias;
    float alpha, beta;
    uint64_t depth;
} lt_work;

static float element(const lt_work *w, uint64_t i, uint64_t j)
{
    float sum = 0.0f;
    for (uint64_t k = 0; k < w->depth; k++) {
        uint64_t at_a = w->p->transposed[0] ? i * (uint64_t)w->a->ld + k : k * (uint64_t)w->a->ld + i;
        uint64_t at_b = w->p->transposed[1] ? k * (uint64_t)w->b->ld + j : j * (uint64_t)w->b->ld + k;
        sum += value_of(w->a_bytes, at_a, w->a->type) * value_of(w->b_bytes, at_b, w->b->type);
    }
    sum *= w->alpha;
    sum += w->c_bytes != NULL ? w->beta * value_of(w->c_bytes, j * (uint64_t)w->d->ld + i, w->d->type) : 0.0f;
    return sum + (w->bias != NULL ? w->bias[i] : 0.0f);
}

/* Computes and sends D column by column. */
static int multiply(const sim_library_driver *driver, const lt_work *w, void *d, void *stream)
{
    size_t size = size_of(w->d->type);
    unsigned char *column = malloc(w->d->rows * size);
    int code = column == NULL ? ALLOC_FAILED : SUCCESS;
    for (uint64_t j = 0; code == SUCCESS && j < w->d->columns; j++) {
        for (uint64_t i = 0; i < w->d->rows; i++) {
            sim_library_store(column, i, dtype_of(w->d->type), element(w, i, j));
        }
        if (driver->upload((uintptr_t)d + j * (uint64_t)w->d->ld * size, column, w->d->rows * size, stream) !=
                0 ||
            driver->wait(stream) != 0) {
            code = EXECUTION_FAILED;
        }
    }
    free(column);
    return code;
}

static bool is_aligned(const lt_layout *l, const void *device)
{
    return (uintptr_t)device % 16 == 0 && (size_t)l->ld * size_of(l->type) % 16 == 0;
}

EXPORT int cublasLtMatmul(void *handle, void *product, const void *alpha, const void *a, void *a_layout,
                          const void *b, void *b_layout, const void *beta, const void *c, void *c_layout,
                          void *d, void *d_layout, const void *algorithm, void *workspace,
                          size_t workspace_bytes, void *stream);
EXPORT int cublasLtMatmul(void *handle, void *product, const void *alpha, const void *a, void *a_layout,
                          const void *b, void *b_layout, const void *beta, const void *c, void *c_layout,
                          void *d, void *d_layout, const void *algorithm, void *workspace,
                          size_t workspace_bytes, void *stream)
{
    (void)workspace;
    (void)workspace_bytes;
    sim_library_driver driver;
    lt_work w = {.p = product, .a = a_layout, .b = b_layout, .d = d_layout};
    const uint64_t *chosen = algorithm;
    int code = check(w.p, w.a, w.b, c_layout, w.d, &w.depth);
    if (code != SUCCESS) {
        return code;
    }
    if (!is_kind(handle, HANDLE) || !sim_library_driver_open(&driver)) {
        return NOT_INITIALIZED;
    }
    if (chosen == NULL || chosen[0] != ALGORITHM || chosen[1] == 0 || !is_aligned(w.a, a) ||
        !is_aligned(w.b, b) || !is_aligned(w.d, d)) {
        return NOT_SUPPORTED;
    }
    memcpy(&w.alpha, alpha, sizeof w.alpha);
    memcpy(&w.beta, beta, sizeof w.beta);
    lt_layout row = {.type = REAL_F32, .rows = w.d->rows, .columns = 1, .ld = (int64_t)w.d->rows};
    unsigned char *a_bytes = fetch(&driver, w.a, a, stream), *b_bytes = fetch(&driver, w.b, b, stream);
    unsigned char *c_bytes = w.beta != 0.0f ? fetch(&driver, c_layout, c, stream) : NULL;
    unsigned char *bias = w.p->epilogue == EPILOGUE_BIAS
                              ? fetch(&driver, &row, (const void *)(uintptr_t)w.p->bias, stream)
                              : NULL;
    w.a_bytes = a_bytes, w.b_bytes = b_bytes, w.c_bytes = c_bytes, w.bias = (const float *)(const void *)bias;
    bool all = a_bytes != NULL && b_bytes != NULL && (w.beta == 0.0f || c_bytes != NULL) &&
               (w.p->epilogue != EPILOGUE_BIAS || bias != NULL) && driver.wait(stream) == 0;
    code = all ? multiply(&driver, &w, d, stream) : EXECUTION_FAILED;
    free(a_bytes);
    free(b_bytes);
    free(c_bytes);
    free(bias);
    return code;
}
