/* Which way a convolution takes with --numerics fast. Contract in convolution_library.h; the choice in
 * tune.h. */
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/convolution_library.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/tune.h"

struct sa_convolution_library {
    sa_dnn *dnn;
    sa_tune tune;
};

enum { SHAPE_WORDS = 10 };

/*
 * What the library can do at all; the rest never gets an entry. The packed filter must have no gaps, and its
 * sums must find room where im2col's rows would stand.
 */
static bool is_possible(const sa_convolution_args *args)
{
    const void *pointers[] = {args->x, args->w, args->y, args->workspace};
    size_t k = args->kernel * args->kernel * args->channels;
    for (int i = 0; i < 4; i++) {
        if ((uintptr_t)pointers[i] % 16 != 0) {
            return false;
        }
    }
    return args->dtype != SA_F32 && args->channels % 8 == 0 && args->n % 8 == 0 && k % GEMM_PACK_K == 0 &&
           args->n <= k;
}

typedef struct {
    sa_convolution_library *library;
    const sa_dnn_plan *plan;
    sa_stream *stream;
    const sa_convolution_args *args;
} trial;

static bool run_way(void *context, int choice)
{
    const trial *t = context;
    if (choice == SA_TUNE_OWN) {
        sa_cuda_convolution_own(t->stream, t->args);
        return true;
    }
    sa_cuda_handle handle = sa_cuda_stream_handle(t->stream);
    if (!sa_dnn_run(t->library->dnn, t->plan, choice, t->args, t->args->workspace, handle)) {
        return false;
    }
    sa_cuda_convolution_widen(t->stream, t->args, t->args->workspace);
    return true;
}

static sa_dnn_plan *plan_new(sa_convolution_library *library, const sa_convolution_args *args)
{
    sa_dnn_plan *plan = malloc(sizeof *plan);
    if (plan != NULL && !sa_dnn_plan_open(library->dnn, plan, args)) {
        free(plan);
        plan = NULL;
    }
    return plan;
}

bool sa_convolution_library_run(sa_convolution_library *library, sa_stream *stream,
                                const sa_convolution_args *args)
{
    if (library == NULL || !is_possible(args)) {
        return false;
    }
    uint64_t words[SA_TUNE_WORDS] = {args->batch,  args->height,      args->width, args->channels,
                                     args->kernel, args->stride,      args->pad,   args->n,
                                     args->dtype,  args->bias != NULL};
    bool is_new = false;
    sa_tune_entry *entry = sa_tune_entry_of(&library->tune, words, &is_new);
    if (entry == NULL || (!is_new && entry->choice == SA_TUNE_OWN)) {
        return false;
    }
    trial t = {library, entry->plan, stream, args};
    if (!entry->planned) {
        sa_dnn_plan *plan = plan_new(library, args);
        entry->planned = true;
        entry->plan = plan;
        t.plan = plan;
        if (is_new && plan != NULL) {
            entry->choice = sa_tune_fastest(&library->tune, stream, plan->proposals, run_way, &t);
        }
        entry->choice = plan != NULL && entry->choice < plan->proposals ? entry->choice : SA_TUNE_OWN;
    }
    return entry->choice != SA_TUNE_OWN && run_way(&t, entry->choice);
}

sa_convolution_library *sa_convolution_library_open(sa_cuda_device *device)
{
    sa_convolution_library *library = calloc(1, sizeof *library);
    if (library == NULL) {
        return NULL;
    }
    library->dnn = sa_dnn_open(&device->driver);
    if (library->dnn == NULL) {
        free(library);
        return NULL;
    }
    char name[40];
    snprintf(name, sizeof name, "cuDNN %zu", sa_dnn_version(library->dnn));
    sa_tune_open(&library->tune, device, "convolution", SHAPE_WORDS, SA_DNN_PROPOSALS, name);
    return library;
}

void sa_convolution_library_close(sa_convolution_library *library)
{
    if (library == NULL) {
        return;
    }
    for (size_t i = 0; i < library->tune.count; i++) {
        sa_dnn_plan *plan = library->tune.entries[i].plan;
        if (plan != NULL) {
            sa_dnn_plan_close(library->dnn, plan);
            free(plan);
        }
    }
    sa_tune_close(&library->tune);
    sa_dnn_close(library->dnn);
    free(library);
}
