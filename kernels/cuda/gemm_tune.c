/* Which way a gemm takes with --numerics fast. Contract in gemm_library.h; the choice itself in tune.h. */
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/gemm_library.h"
#include "kernels/cuda/tune.h"

struct sa_gemm_library {
    sa_lt *lt;
    sa_tune tune;
};

enum { SHAPE_WORDS = 10 };

/* What the library can do at all; the rest never gets an entry. */
static bool is_possible(const sa_gemm_args *args)
{
    const void *pointers[] = {args->a, args->c, args->residual, args->bias};
    size_t size = sa_dtype_size(args->dtype), c_size = sa_dtype_size(args->c_dtype);
    for (int i = 0; i < 4; i++) {
        if ((uintptr_t)pointers[i] % 16 != 0) {
            return false;
        }
    }
    return args->act == SA_ACT_NONE && args->lda * size % 16 == 0 && args->ldc * c_size % 16 == 0 &&
           (args->residual == NULL || (args->c_dtype == SA_F32 && args->ldr == args->ldc &&
                                       (args->residual_rows == 0 || args->residual_rows == args->m)));
}

static sa_gemm_shape shape_of(const sa_gemm_args *args)
{
    return (sa_gemm_shape){
        .m = args->m,
        .n = args->n,
        .k = args->k,
        .lda = args->lda,
        .ldc = args->ldc,
        .ldr = args->residual != NULL ? args->ldr : 0,
        .dtype = args->dtype,
        .c_dtype = args->c_dtype,
        .bias = args->bias != NULL,
        .residual = args->residual != NULL,
    };
}

/* ---- timing ---- */

typedef struct {
    sa_gemm_library *library;
    const sa_lt_plan *plan;
    sa_stream *stream;
    const sa_gemm_args *args;
} trial;

static bool run_way(void *context, int choice)
{
    const trial *t = context;
    if (choice == SA_TUNE_OWN) {
        sa_cuda_gemm_own(t->stream, t->args);
        return true;
    }
    return sa_lt_run(t->library->lt, t->plan, choice, t->args, sa_cuda_stream_handle(t->stream));
}

/* The fastest way for a shape; results go to memory of their own, since c may be the residual too. */
static int choose(sa_gemm_library *library, const sa_lt_plan *plan, sa_stream *stream,
                  const sa_gemm_args *args)
{
    const sa_cuda_driver *driver = &library->tune.device->driver;
    sa_cuda_pointer scratch = 0;
    if (driver->memory_alloc(&scratch, args->m * args->ldc * sa_dtype_size(args->c_dtype)) != 0) {
        return SA_TUNE_OWN;
    }
    sa_gemm_args to_scratch = *args;
    to_scratch.c = (void *)(uintptr_t)scratch;
    trial t = {library, plan, stream, &to_scratch};
    int best = sa_tune_fastest(&library->tune, stream, plan->proposals, run_way, &t);
    driver->memory_free(scratch);
    return best;
}

static sa_lt_plan *plan_new(sa_gemm_library *library, const sa_gemm_shape *shape)
{
    sa_lt_plan *plan = malloc(sizeof *plan);
    if (plan != NULL && !sa_lt_plan_open(library->lt, plan, shape)) {
        free(plan);
        plan = NULL;
    }
    return plan;
}

bool sa_gemm_library_run(sa_gemm_library *library, sa_stream *stream, const sa_gemm_args *args)
{
    if (library == NULL || args->m == 0 || !is_possible(args)) {
        return false;
    }
    sa_gemm_shape s = shape_of(args);
    uint64_t words[SA_TUNE_WORDS] = {s.m,   s.n,     s.k,       s.lda,  s.ldc,
                                     s.ldr, s.dtype, s.c_dtype, s.bias, s.residual};
    bool is_new = false;
    sa_tune_entry *entry = sa_tune_entry_of(&library->tune, words, &is_new);
    if (entry == NULL || (!is_new && entry->choice == SA_TUNE_OWN)) {
        return false;
    }
    if (!entry->planned) {
        sa_lt_plan *plan = plan_new(library, &s);
        entry->plan = plan;
        entry->planned = true;
        if (is_new && plan != NULL) {
            entry->choice = choose(library, plan, stream, args);
        }
        entry->choice = plan != NULL && entry->choice < plan->proposals ? entry->choice : SA_TUNE_OWN;
    }
    trial t = {library, entry->plan, stream, args};
    return entry->choice != SA_TUNE_OWN && run_way(&t, entry->choice);
}

sa_gemm_library *sa_gemm_library_open(sa_cuda_device *device)
{
    sa_gemm_library *library = calloc(1, sizeof *library);
    if (library == NULL) {
        return NULL;
    }
    library->lt = sa_lt_open(&device->driver);
    if (library->lt == NULL) {
        free(library);
        return NULL;
    }
    char name[40];
    snprintf(name, sizeof name, "cublasLt %zu", sa_lt_version(library->lt));
    sa_tune_open(&library->tune, device, "gemm", SHAPE_WORDS, SA_LT_PROPOSALS, name);
    return library;
}

void sa_gemm_library_close(sa_gemm_library *library)
{
    if (library == NULL) {
        return;
    }
    for (size_t i = 0; i < library->tune.count; i++) {
        sa_lt_plan *plan = library->tune.entries[i].plan;
        if (plan != NULL) {
            sa_lt_plan_close(library->lt, plan);
            free(plan);
        }
    }
    sa_tune_close(&library->tune);
    sa_lt_close(library->lt);
    free(library);
}
