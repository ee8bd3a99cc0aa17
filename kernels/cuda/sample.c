/* Launcher of sample: two kernels, the second for SAMPLE_ROWS rows at a time. */
#include "kernels/cuda/sample.h"

#include "kernels/cuda/launchers.h"

static size_t parts_of(size_t vocabulary)
{
    return (vocabulary + SAMPLE_PART - 1) / SAMPLE_PART;
}

size_t sa_cuda_sample_workspace(const sa_stream *stream, const sa_sample_args *args)
{
    (void)stream;
    return args->rows * parts_of(args->vocabulary) * sizeof(sample_part);
}

static void check_contract(const sa_sample_args *args)
{
    SA_ASSERT(args->vocabulary >= 1 && args->vocabulary <= SAMPLE_MOST_TOKENS);
    SA_ASSERT(args->rows <= SA_CUDA_MOST_YZ);
    for (size_t i = 0; i < args->rows; i++) {
        const sa_sample_choice *c = &args->choice[i];
        SA_ASSERT(c->temperature == 0.0f || c->temperature >= SA_SAMPLE_COLDEST);
        SA_ASSERT(c->top_p > 0.0f && c->min_p >= 0.0f && c->min_p <= 1.0f && c->u >= 0.0f && c->u < 1.0f);
    }
}

static void choose(sa_stream *stream, const sa_sample_args *args, size_t first, size_t rows)
{
    size_t parts = parts_of(args->vocabulary);
    sample_choose_args a = {
        .logits = args->logits,
        .parts = args->workspace,
        .token = args->token,
        .logprob = args->logprob,
        .vocabulary = (uint32_t)args->vocabulary,
        .parts_a_row = (uint32_t)parts,
        .first_row = (uint32_t)first,
    };
    double reads = 0.0; /* the passes of rows that are not greedy come from the cache, mostly */
    for (size_t i = 0; i < rows; i++) {
        const sa_sample_choice *c = &args->choice[first + i];
        a.choice[i] = (sample_choice_args){c->temperature, c->top_p, c->min_p, c->u, c->top_k};
        reads += c->temperature != 0.0f ? 1.0 : 0.0;
    }
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_sample_choose,
                               .grid = {(unsigned)rows, 1, 1},
                               .block = {SAMPLE_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .bytes = reads * (double)args->vocabulary * 4.0 +
                                        (double)(rows * parts) * sizeof(sample_part),
                           });
}

void sa_cuda_sample(sa_stream *stream, const sa_sample_args *args)
{
    check_contract(args);
    if (args->rows == 0) {
        return;
    }
    size_t parts = parts_of(args->vocabulary);
    sample_parts_args a = {
        .logits = args->logits,
        .parts = args->workspace,
        .vocabulary = (uint32_t)args->vocabulary,
        .parts_a_row = (uint32_t)parts,
        .aligned = args->vocabulary % 4 == 0 && sa_cuda_aligned(args->logits, 16),
    };
    double values = (double)args->rows * (double)args->vocabulary;
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_sample_parts,
                               .grid = {(unsigned)parts, (unsigned)args->rows, 1},
                               .block = {SAMPLE_PARTS_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .flops = 20.0 * values, /* most of it the exponential */
                               .bytes = 4.0 * values,
                           });
    for (size_t first = 0; first < args->rows; first += SAMPLE_ROWS) {
        size_t left = args->rows - first;
        choose(stream, args, first, left < SAMPLE_ROWS ? left : SAMPLE_ROWS);
    }
}
