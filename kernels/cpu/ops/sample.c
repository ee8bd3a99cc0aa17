/*
 * sample on the CPU. Contract in kernels.h. A task is one row.
 *
 *   logits -> the largest, NaN and infinity -> sum of weights (log-probability)
 *          -> candidates (logit, token) -> heap -> taken from the top until the choice is made
 *
 * A heap instead of a sort: of 150,000 tokens the choice mostly falls on one of the first few, and a heap
 * costs only as much as is taken from it.
 */
#include <stdbool.h>

#include "kernels/cpu/ops/vec.h"

/* In order of their logits: an exponential is not monotonous to the last bit. */
typedef struct {
    float logit;
    int32_t token;
} candidate;

/* A weight is exp((logit - largest) / temperature): the largest token's is 1. `scale` is log2(e) over it. */
static float weight_of(float logit, float largest, float scale)
{
    return vf_exp2_negative(vf_set((logit - largest) * scale))[0];
}

enum { CHAINS = 4 };

size_t SA_CPU(sample_workspace)(const sa_stream *stream, const sa_sample_args *args);
size_t SA_CPU(sample_workspace)(const sa_stream *stream, const sa_sample_args *args)
{
    return (size_t)sa_pool_threads(stream->pool) * args->vocabulary * sizeof(candidate);
}

/* The largest; NaN if there is one anywhere. */
static float largest_of(const float *x, size_t count)
{
    vf most = vf_set(-INFINITY);
    vi nan = {0};
    size_t i = 0;
    for (; i + VL <= count; i += VL) {
        vf v = vf_load(x + i);
        most = vf_max(v, most);
        nan |= v != v;
    }
    float largest = vf_max_lane(most);
    bool spoilt = false;
    for (int j = 0; j < VL; j++) {
        spoilt = spoilt || nan[j] != 0;
    }
    for (; i < count; i++) {
        largest = x[i] > largest ? x[i] : largest;
        spoilt = spoilt || x[i] != x[i];
    }
    return spoilt ? NAN : largest;
}

/* Sum of all weights, in an order that `count` alone decides. */
static float weight_sum(const float *x, size_t count, float largest, float scale)
{
    vf sum[CHAINS] = {{0}};
    size_t i = 0;
    for (; i + CHAINS * VL <= count; i += CHAINS * VL) {
        for (size_t c = 0; c < CHAINS; c++) {
            sum[c] += vf_exp2_negative((vf_load(x + i + c * VL) - largest) * scale);
        }
    }
    float total = vf_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; i < count; i++) {
        total += weight_of(x[i], largest, scale);
    }
    return total;
}

/* Larger logits first, of equal ones the first token. */
static bool before(candidate a, candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

static void sift_down(candidate *heap, size_t count, size_t at)
{
    candidate moving = heap[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        child += child + 1 < count && before(heap[child + 1], heap[child]);
        if (!before(heap[child], moving)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

/* Takes the top off the heap. */
static candidate take_top(candidate *heap, size_t *count)
{
    candidate top = heap[0];
    heap[0] = heap[--*count];
    sift_down(heap, *count, 0);
    return top;
}

/* The candidates that pass min_p, as a heap; *sum gets the sum of their weights. */
static size_t make_heap(const float *x, size_t vocabulary, float largest, float scale, float min_p,
                        candidate *heap, float *sum)
{
    size_t count = 0;
    *sum = 0.0f;
    for (size_t i = 0; i < vocabulary; i += VL) {
        float weight[VL];
        size_t part = vocabulary - i < VL ? vocabulary - i : VL;
        vf_store(weight, vf_exp2_negative((vf_load_as(x, SA_F32, i, part) - largest) * scale));
        for (size_t j = 0; j < part; j++) {
            bool passes = weight[j] >= min_p && weight[j] > 0.0f;
            heap[count] = (candidate){x[i + j], (int32_t)(i + j)};
            count += passes;
            *sum += passes ? weight[j] : 0.0f;
        }
    }
    for (size_t i = count / 2; i-- > 0;) {
        sift_down(heap, count, i);
    }
    return count;
}

/*
 * The beginning that top_k and top_p leave, taken off the heap into the places that become free behind it;
 * returns how many, and their sum. `enough` is top_p of the sum of all weights.
 */
static size_t take_beginning(candidate *heap, size_t *count, float largest, float scale, size_t top_k,
                             float enough, float *sum)
{
    size_t taken = 0;
    *sum = 0.0f;
    while (*count > 0 && taken < top_k && (taken == 0 || *sum < enough)) {
        candidate top = take_top(heap, count);
        heap[*count] = top;
        *sum += weight_of(top.logit, largest, scale);
        taken++;
    }
    return taken;
}

static int32_t choose(const float *x, size_t vocabulary, float largest, const sa_sample_choice *choice,
                      candidate *heap)
{
    float scale = LOG2_E / choice->temperature, sum, reached = 0.0f;
    size_t count = make_heap(x, vocabulary, largest, scale, choice->min_p, heap, &sum);
    size_t end = count, taken = 0;
    if (choice->top_k != 0 || choice->top_p < 1.0f) {
        size_t top_k = choice->top_k != 0 ? choice->top_k : vocabulary;
        float enough =
            choice->top_p < 1.0f ? choice->top_p * weight_sum(x, vocabulary, largest, scale) : INFINITY;
        taken = take_beginning(heap, &count, largest, scale, top_k, enough, &sum);
    }
    candidate at = heap[0];
    /* Those taken stand from the end backwards; without a cut they are taken here, one by one. */
    for (size_t i = 0; i < (taken != 0 ? taken : end); i++) {
        at = taken != 0 ? heap[end - 1 - i] : take_top(heap, &count);
        reached += weight_of(at.logit, largest, scale);
        if (reached > choice->u * sum) {
            break;
        }
    }
    return at.token;
}

static void sample_task(void *context, size_t row, int worker)
{
    const sa_sample_args *args = context;
    const sa_sample_choice *choice = &args->choice[row];
    const float *x = args->logits + row * args->vocabulary;
    float largest = largest_of(x, args->vocabulary);
    int32_t token = 0;
    if (!(fabsf(largest) < INFINITY)) {
        args->token[row] = -1;
        args->logprob[row] = NAN;
        return;
    }
    if (choice->temperature == 0.0f) {
        while (x[token] != largest) {
            token++;
        }
    } else {
        candidate *heap = (candidate *)args->workspace + (size_t)worker * args->vocabulary;
        token = choose(x, args->vocabulary, largest, choice, heap);
    }
    args->token[row] = token;
    args->logprob[row] = (x[token] - largest) - logf(weight_sum(x, args->vocabulary, largest, LOG2_E));
}

void SA_CPU(sample)(sa_stream *stream, const sa_sample_args *args);
void SA_CPU(sample)(sa_stream *stream, const sa_sample_args *args)
{
    SA_ASSERT(args->vocabulary >= 1 && args->vocabulary <= INT32_MAX);
    for (size_t i = 0; i < args->rows; i++) {
        const sa_sample_choice *c = &args->choice[i];
        SA_ASSERT(c->temperature == 0.0f || c->temperature >= SA_SAMPLE_COLDEST);
        SA_ASSERT(c->top_p > 0.0f && c->min_p >= 0.0f && c->min_p <= 1.0f && c->u >= 0.0f && c->u < 1.0f);
    }
    sa_pool_run(stream->pool, args->rows, sample_task, (void *)args);
}
