/*
 * oneDNN's matmul as a measure of the processor's ceiling. The C interface of oneDNN 3 is not that of oneDNN
 * 2 (memory descriptors became handles, operation descriptors went away): this file alone knows both.
 */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include "bench/bench.h"

#ifndef SEGAGENT_HAVE_DNNL

bool sa_onednn_available(void)
{
    return false;
}

sa_status sa_onednn_gemm_open(sa_onednn_gemm **gemm, size_t m, size_t n, size_t k, sa_dtype dtype,
                              const void *a, const void *w, int threads, sa_error *err)
{
    (void)m, (void)n, (void)k, (void)dtype, (void)a, (void)w, (void)threads;
    *gemm = NULL;
    return sa_fail(err, SA_NO_DEVICE, "oneDNN", "install libdnnl-dev and build again", "not compiled in");
}

void sa_onednn_gemm_close(sa_onednn_gemm *gemm)
{
    (void)gemm;
}

sa_status sa_onednn_gemm_run(void *gemm, sa_error *err)
{
    (void)gemm;
    return sa_fail(err, SA_NO_DEVICE, "oneDNN", "install libdnnl-dev and build again", "not compiled in");
}

const void *sa_onednn_gemm_c(const sa_onednn_gemm *gemm)
{
    (void)gemm;
    return NULL;
}

#else

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>

struct sa_onednn_gemm {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t matmul;
    dnnl_memory_t a, w, c; /* w in the order that the matmul asked for */
    void *c_bytes;
    int threads;
};

/* What differs: a matrix's descriptor and a view of it, and the making of a matmul. */
#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t matrix; /* a handle */
typedef const_dnnl_memory_desc_t matrix_view;

static matrix_view view_of(const matrix *m)
{
    return *m;
}

static bool matrix_new(matrix *out, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(out, 2, dims, type, tag) == dnnl_success;
}

static void matrix_free(matrix *m)
{
    if (*m != NULL) {
        dnnl_memory_desc_destroy(*m);
    }
}

static bool matmul_new(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const matrix *a, const matrix *w,
                       const matrix *c)
{
    return dnnl_matmul_primitive_desc_create(out, engine, *a, *w, NULL, *c, NULL) == dnnl_success;
}

#else

typedef dnnl_memory_desc_t matrix; /* a struct */
typedef const dnnl_memory_desc_t *matrix_view;

static matrix_view view_of(const matrix *m)
{
    return m;
}

static bool matrix_new(matrix *out, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(out, 2, dims, type, tag) == dnnl_success;
}

static void matrix_free(matrix *m)
{
    (void)m;
}

static bool matmul_new(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const matrix *a, const matrix *w,
                       const matrix *c)
{
    dnnl_matmul_desc_t operation;
    return dnnl_matmul_desc_init(&operation, a, w, NULL, c) == dnnl_success &&
           dnnl_primitive_desc_create(out, &operation, NULL, engine, NULL) == dnnl_success;
}

#endif

static bool memory_new(dnnl_memory_t *out, matrix_view m, dnnl_engine_t engine, void *bytes)
{
    return dnnl_memory_create(out, m, engine, bytes) == dnnl_success;
}

/* Memory in the order in which the matmul wants its weights. */
static bool memory_like_weights(dnnl_memory_t *out, dnnl_primitive_desc_t matmul, dnnl_engine_t engine)
{
    matrix_view wanted = dnnl_primitive_desc_query_md(matmul, dnnl_query_weights_md, 0);
    return memory_new(out, wanted, engine, DNNL_MEMORY_ALLOCATE);
}

bool sa_onednn_available(void)
{
    return true;
}

/*
 * Debian's oneDNN runs on OpenMP, whose thread count is a global of its runtime. That library is there
 * because oneDNN brings it; we do not link it, so it is looked up. Without OpenMP oneDNN keeps its own count.
 */
static void set_threads(int threads)
{
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    void (*set)(int);
    memcpy(&set, &symbol, sizeof set);
    if (set != NULL) {
        set(threads);
    }
}

static bool run_primitive(sa_onednn_gemm *g, dnnl_primitive_t primitive, dnnl_exec_arg_t *args, int count)
{
    return dnnl_primitive_execute(primitive, g->stream, count, args) == dnnl_success &&
           dnnl_stream_wait(g->stream) == dnnl_success;
}

/* w [n,k] as given -> g->w. */
static bool reorder_weights(sa_onednn_gemm *g, dnnl_memory_t plain)
{
    matrix_view from, to;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t reorder = NULL;
    bool good = dnnl_memory_get_memory_desc(plain, &from) == dnnl_success &&
                dnnl_memory_get_memory_desc(g->w, &to) == dnnl_success &&
                dnnl_reorder_primitive_desc_create(&description, from, g->engine, to, g->engine, NULL) ==
                    dnnl_success &&
                dnnl_primitive_create(&reorder, description) == dnnl_success;
    if (good) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, plain}, {DNNL_ARG_TO, g->w}};
        good = run_primitive(g, reorder, args, 2);
    }
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(description);
    return good;
}

typedef struct {
    matrix a, w, any_w, c;
} matrices;

/* Row-major a [m,k] and c [m,n]; w [n,k] row-major is [k,n] column-major. */
static bool describe(matrices *d, size_t m, size_t n, size_t k, sa_dtype dtype)
{
    dnnl_data_type_t type = dtype == SA_BF16 ? dnnl_bf16 : dnnl_f32;
    const dnnl_dims_t a = {(dnnl_dim_t)m, (dnnl_dim_t)k}, w = {(dnnl_dim_t)k, (dnnl_dim_t)n};
    const dnnl_dims_t c = {(dnnl_dim_t)m, (dnnl_dim_t)n};
    return matrix_new(&d->a, a, type, dnnl_ab) && matrix_new(&d->w, w, type, dnnl_ba) &&
           matrix_new(&d->any_w, w, type, dnnl_format_tag_any) && matrix_new(&d->c, c, type, dnnl_ab);
}

static bool build(sa_onednn_gemm *g, matrices *d, const void *a, const void *w)
{
    dnnl_primitive_desc_t description = NULL;
    dnnl_memory_t plain = NULL;
    /* oneDNN takes plain pointers and only reads through these two. */
    void *a_bytes = (void *)(uintptr_t)a, *w_bytes = (void *)(uintptr_t)w;
    bool good = dnnl_engine_create(&g->engine, dnnl_cpu, 0) == dnnl_success &&
                dnnl_stream_create(&g->stream, g->engine, dnnl_stream_default_flags) == dnnl_success &&
                matmul_new(&description, g->engine, &d->a, &d->any_w, &d->c) &&
                dnnl_primitive_create(&g->matmul, description) == dnnl_success &&
                memory_new(&g->a, view_of(&d->a), g->engine, a_bytes) &&
                memory_new(&plain, view_of(&d->w), g->engine, w_bytes) &&
                memory_new(&g->c, view_of(&d->c), g->engine, DNNL_MEMORY_ALLOCATE) &&
                memory_like_weights(&g->w, description, g->engine) &&
                dnnl_memory_get_data_handle(g->c, &g->c_bytes) == dnnl_success && reorder_weights(g, plain);
    dnnl_memory_destroy(plain);
    dnnl_primitive_desc_destroy(description);
    return good;
}

sa_status sa_onednn_gemm_open(sa_onednn_gemm **gemm, size_t m, size_t n, size_t k, sa_dtype dtype,
                              const void *a, const void *w, int threads, sa_error *err)
{
    sa_onednn_gemm *g = calloc(1, sizeof *g);
    *gemm = NULL;
    if (g == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a measurement");
    }
    g->threads = threads;
    set_threads(threads);
    matrices d;
    memset(&d, 0, sizeof d);
    bool good = describe(&d, m, n, k, dtype) && build(g, &d, a, w);
    matrix_free(&d.a);
    matrix_free(&d.w);
    matrix_free(&d.any_w);
    matrix_free(&d.c);
    if (!good) {
        sa_onednn_gemm_close(g);
        return sa_fail(err, SA_NO_DEVICE, "oneDNN", NULL, "it has no %s matmul for %zux%zux%zu here",
                       sa_dtype_name(dtype), m, n, k);
    }
    *gemm = g;
    return SA_OK;
}

void sa_onednn_gemm_close(sa_onednn_gemm *g)
{
    if (g == NULL) {
        return;
    }
    dnnl_memory_destroy(g->a);
    dnnl_memory_destroy(g->w);
    dnnl_memory_destroy(g->c);
    dnnl_primitive_destroy(g->matmul);
    dnnl_stream_destroy(g->stream);
    dnnl_engine_destroy(g->engine);
    free(g);
}

sa_status sa_onednn_gemm_run(void *context, sa_error *err)
{
    sa_onednn_gemm *g = context;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, g->a}, {DNNL_ARG_WEIGHTS, g->w}, {DNNL_ARG_DST, g->c}};
    return run_primitive(g, g->matmul, args, 3)
               ? SA_OK
               : sa_fail(err, SA_NO_DEVICE, "oneDNN", NULL, "its matmul failed");
}

const void *sa_onednn_gemm_c(const sa_onednn_gemm *g)
{
    return g->c_bytes;
}

#endif
