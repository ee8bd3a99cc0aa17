/*
 * sample on the GPU: contract in kernels.h. Last kernel of a step: logits -> tokens.
 *
 *   sample_parts: logits, 4096 a block -> largest, its token, sum of exponentials     (one read of the
 * logits) sample_choose, a block a row: parts -> largest, log-sum-exp; greedy rows are done
 *     -> keys by 11 bits at a time, counts and weights of the buckets -> where the beginning ends that stays
 *     -> the same again -> the token
 *
 * Nothing is sorted: the order is that of the logits as integers (keys), and a pass over the row finds out
 * which bucket of keys a border lies in, until one key is left; tokens of equal keys count by their numbers.
 * That takes three passes at most for each of the two borders, and one for the token's number: mostly 3 reads
 * of the row without top_k and top_p, 5 or 6 with them, from the second-level cache if it is that large.
 */
#include "kernels/cuda/attention_exp2.cuh"
#include "kernels/cuda/sample.h"

#define LOG2_E 1.44269504f

/* ---- the first kernel ---- */

enum { PART_WARPS = SAMPLE_PARTS_THREADS / 32, LANE_VALUES = SAMPLE_PART / SAMPLE_PARTS_THREADS };

/* The larger one, of equal ones the first; a NaN is never larger. */
SA_DEVICE void take_larger(float &largest, uint32_t &token, float other, uint32_t other_token)
{
    if (other > largest || (other == largest && other_token < token)) {
        largest = other;
        token = other_token;
    }
}

SA_DEVICE void warp_largest(float &largest, uint32_t &token)
{
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, largest, step);
        uint32_t other_token = __shfl_xor_sync(0xffffffffu, token, step);
        take_larger(largest, token, other, other_token);
    }
}

/* Value `i` of this thread is logit (i / 4 * THREADS + thread) * 4 + i % 4 of the part. */
SA_DEVICE uint32_t place_of(int i)
{
    return (i / 4 * SAMPLE_PARTS_THREADS + threadIdx.x) * 4 + i % 4;
}

/* The thread's logits; -inf past the end of the row. */
SA_DEVICE void load_part(float (&v)[LANE_VALUES], const float *x, uint32_t count, bool aligned)
{
#pragma unroll
    for (int i = 0; i < LANE_VALUES; i += 4) {
        if (aligned && place_of(i) < count) { /* a multiple of four then */
            float4 quad = *(const float4 *)(x + place_of(i));
            v[i] = quad.x, v[i + 1] = quad.y, v[i + 2] = quad.z, v[i + 3] = quad.w;
            continue;
        }
#pragma unroll
        for (int j = i; j < i + 4; j++) {
            v[j] = place_of(j) < count ? x[place_of(j)] : -INFINITY;
        }
    }
}

extern "C" __global__ void __launch_bounds__(SAMPLE_PARTS_THREADS)
    sample_parts(const __grid_constant__ sample_parts_args args)
{
    __shared__ float peaks[PART_WARPS], sums[PART_WARPS];
    __shared__ uint32_t tokens[PART_WARPS];
    const uint32_t first = blockIdx.x * SAMPLE_PART,
                   count = min(args.vocabulary - first, (uint32_t)SAMPLE_PART);
    float v[LANE_VALUES];
    load_part(v, args.logits + (size_t)blockIdx.y * args.vocabulary + first, count, args.aligned);
    float largest = -INFINITY;
    uint32_t token = first;
    bool broken = false;
#pragma unroll
    for (int i = 0; i < LANE_VALUES; i++) {
        take_larger(largest, token, v[i], first + place_of(i));
        broken = broken || !(v[i] < INFINITY);
    }
    warp_largest(largest, token);
    const unsigned warp = threadIdx.x / 32;
    if (lane_id() == 0) {
        peaks[warp] = largest;
        tokens[warp] = token;
    }
    broken = __syncthreads_or(broken); /* the warps' peaks are there, too */
#pragma unroll
    for (int i = 0; i < PART_WARPS; i++) {
        take_larger(largest, token, peaks[i], tokens[i]);
    }
    float sum = 0.0f;
    if (largest > -INFINITY) { /* -inf less -inf is none */
#pragma unroll
        for (int i = 0; i < LANE_VALUES; i++) {
            sum += exp2_exact((v[i] - largest) * LOG2_E);
        }
    }
    sum = warp_sum<32>(sum);
    if (lane_id() == 0) {
        sums[warp] = sum;
    }
    __syncthreads(); /* the warps' sums are there */
    if (threadIdx.x == 0) {
        sum = 0.0f;
        for (int i = 0; i < PART_WARPS; i++) {
            sum += sums[i];
        }
        args.parts[(size_t)blockIdx.y * args.parts_a_row + blockIdx.x] = {largest, token, sum, broken};
    }
}

/* ---- the second kernel ---- */

typedef unsigned long long weight; /* in units of 2^-SAMPLE_UNIT of the largest */

enum { WARPS = SAMPLE_THREADS / 32 };

/* What parts say of the whole row. */
typedef struct {
    float largest, sum;
    uint32_t token;
    bool broken;
} row_summary;

/* Keys [first, first + 2^bits): the larger the logit, the smaller its key. */
typedef struct {
    uint32_t first;
    int bits;
    uint32_t count;  /* tokens with such a key */
    weight sum;      /* their weights */
    uint32_t before; /* tokens with a smaller one */
    weight sum_before;
} key_range;

typedef struct {
    uint32_t count[SAMPLE_BUCKETS];
    weight sum[SAMPLE_BUCKETS];
    uint32_t warp_count[WARPS];
    weight warp_sum[WARPS];
    key_range found;
    row_summary summary;
    uint32_t token;
} choose_shared;

/* The row as the second kernel sees it. */
typedef struct {
    const float *logits;
    uint32_t vocabulary;
    float largest, temperature, min_p;
} sample_row;

/* Order-preserving: larger logits have smaller keys, -0 is 0. */
SA_DEVICE uint32_t key_of(float logit)
{
    uint32_t bits = __float_as_uint(logit + 0.0f);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

/* 0 for a token that min_p keeps out. *plain is what it would be without. */
SA_DEVICE weight weight_of(const sample_row &row, float logit, weight *plain)
{
    float w = exp2_exact((logit - row.largest) / row.temperature * LOG2_E);
    *plain = (weight)(w * (float)(1ull << SAMPLE_UNIT));
    return w >= row.min_p ? *plain : 0;
}

/* Warp 0 puts the parts together, in order; all threads get the result. */
SA_DEVICE row_summary summarise(choose_shared &shared, const sample_part *parts, uint32_t count)
{
    if (threadIdx.x < 32) {
        row_summary all = {-INFINITY, 0.0f, 0, false};
        uint32_t token = 0xffffffffu, broken = 0;
        for (uint32_t i = lane_id(); i < count; i += 32) {
            take_larger(all.largest, token, parts[i].largest, parts[i].token);
            broken |= parts[i].broken;
        }
        warp_largest(all.largest, token);
        all.token = token;
        all.broken = __any_sync(0xffffffffu, broken) || !(all.largest > -INFINITY);
        if (!all.broken) {
            for (uint32_t i = lane_id(); i < count; i += 32) {
                all.sum = fmaf(parts[i].sum, exp2_exact((parts[i].largest - all.largest) * LOG2_E), all.sum);
            }
        }
        all.sum = warp_sum<32>(all.sum);
        if (lane_id() == 0) {
            shared.summary = all;
        }
    }
    __syncthreads(); /* the summary is there */
    return shared.summary;
}

/* Counts and weights of the range's buckets, and the sum of all weights of the row, min_p or not. */
SA_DEVICE weight fill_buckets(choose_shared &shared, const sample_row &row, const key_range &range)
{
    const int shift = max(range.bits - SAMPLE_BITS, 0);
    for (int i = threadIdx.x; i < SAMPLE_BUCKETS; i += SAMPLE_THREADS) {
        shared.count[i] = 0;
        shared.sum[i] = 0;
    }
    __syncthreads(); /* all buckets are empty */
    weight all = 0;
    for (uint32_t i = threadIdx.x; i < row.vocabulary; i += SAMPLE_THREADS) {
        float logit = row.logits[i];
        weight plain, own = weight_of(row, logit, &plain);
        uint32_t at = key_of(logit) - range.first; /* wraps for smaller keys */
        all += plain;
        if (own != 0 && (uint64_t)at >> range.bits == 0) {
            atomicAdd(&shared.count[at >> shift], 1u);
            atomicAdd(&shared.sum[at >> shift], own);
        }
    }
    __syncthreads(); /* all are full */
    return all;
}

/* What each thread gives becomes the sum over the threads before it. */
SA_DEVICE void sums_before(choose_shared &shared, uint32_t &count, weight &sum)
{
    const uint32_t own_count = count;
    const weight own_sum = sum;
    const int warp = threadIdx.x / 32;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        uint32_t lower_count = __shfl_up_sync(0xffffffffu, count, step);
        weight lower_sum = __shfl_up_sync(0xffffffffu, sum, step);
        count += lane_id() >= step ? lower_count : 0;
        sum += lane_id() >= step ? lower_sum : 0;
    }
    __syncthreads(); /* nobody reads the last ones any more */
    if (lane_id() == 31) {
        shared.warp_count[warp] = count;
        shared.warp_sum[warp] = sum;
    }
    __syncthreads(); /* the warps' sums are there */
    count -= own_count;
    sum -= own_sum;
    for (int i = 0; i < warp; i++) {
        count += shared.warp_count[i];
        sum += shared.warp_sum[i];
    }
}

/*
 * A border in the row's order: it lies at the first token where so many have been counted, or so much
 * weight.
 */
typedef struct {
    uint32_t count;
    weight sum;
} border;

SA_DEVICE bool is_reached(const border &b, uint32_t count, weight sum)
{
    return count >= b.count || sum >= b.sum;
}

/*
 * The bucket of the filled ones in which the border lies; a range of no tokens if it lies behind all of them.
 * Thread t has buckets 2t and 2t + 1.
 */
SA_DEVICE key_range find_bucket(choose_shared &shared, const key_range &range, const border &b)
{
    const int shift = max(range.bits - SAMPLE_BITS, 0), at = 2 * threadIdx.x;
    uint32_t before = shared.count[at] + shared.count[at + 1];
    weight sum_before = shared.sum[at] + shared.sum[at + 1];
    __syncthreads(); /* nobody reads what was found before */
    if (threadIdx.x == 0) {
        shared.found = {0, 0, 0, 0, 0, 0};
    }
    sums_before(shared, before, sum_before);
    before += range.before;
    sum_before += range.sum_before;
    for (int i = at; i < at + 2; i++) {
        uint32_t count = shared.count[i];
        weight sum = shared.sum[i];
        if (count != 0 && !is_reached(b, before, sum_before) &&
            is_reached(b, before + count, sum_before + sum)) {
            shared.found = {range.first + ((uint32_t)i << shift), shift, count, sum, before, sum_before};
        }
        before += count;
        sum_before += sum;
    }
    __syncthreads(); /* it is found */
    return shared.found;
}

/* Down to one key, or to one token. */
SA_DEVICE key_range find_key(choose_shared &shared, const sample_row &row, key_range range, const border &b)
{
    while (range.count > 1 && range.bits > 0) {
        fill_buckets(shared, row, range);
        range = find_bucket(shared, range, b);
    }
    return range;
}

/* How many of the range's equal tokens it takes to reach the border: at least one, at most all. */
SA_DEVICE uint32_t tokens_to(const key_range &range, const border &b)
{
    const weight each = range.sum / range.count;
    const weight missing = b.sum > range.sum_before ? b.sum - range.sum_before : 0;
    const weight by_sum = missing / each + (missing % each != 0), by_count = b.count - range.before;
    const weight fewer = by_sum < by_count ? by_sum : by_count;
    return (uint32_t)(fewer < 1 ? 1 : fewer < range.count ? fewer : range.count);
}

/* The number of the range's token `rank`, counted from 1 in the order of tokens. */
SA_DEVICE uint32_t token_at(choose_shared &shared, const sample_row &row, const key_range &range,
                            uint32_t rank)
{
    for (uint32_t first = 0, before = 0; first < row.vocabulary; first += SAMPLE_THREADS) {
        const uint32_t i = first + threadIdx.x;
        weight plain;
        bool is_one = i < row.vocabulary && weight_of(row, row.logits[i], &plain) != 0 &&
                      (uint64_t)(key_of(row.logits[i]) - range.first) >> range.bits == 0;
        const uint32_t here = __syncthreads_count(is_one);
        if (before + here >= rank) {
            uint32_t count = is_one;
            weight nothing = 0;
            sums_before(shared, count, nothing);
            if (is_one && before + count + 1 == rank) {
                shared.token = i;
            }
            __syncthreads(); /* it is found */
            break;
        }
        before += here;
    }
    return shared.token;
}

/* The sum over the block, of integers: in any order. */
SA_DEVICE weight block_sum(choose_shared &shared, weight sum)
{
    uint32_t count = 0;
    const weight own = sum;
    sums_before(shared, count, sum);
    sum += own;
    __syncthreads(); /* the warps' sums have been read */
    if (threadIdx.x == SAMPLE_THREADS - 1) {
        shared.warp_sum[0] = sum;
    }
    __syncthreads(); /* the sum is there */
    return shared.warp_sum[0];
}

/* The sum of the weights of the tokens that stay; the buckets are those of all keys. *spent: no more. */
SA_DEVICE weight staying(choose_shared &shared, const sample_row &row, const sample_choice_args &choice,
                         const key_range &all, weight total, bool *spent)
{
    const border end = {choice.top_k != 0 ? choice.top_k : 0xffffffffu,
                        choice.top_p < 1.0f ? (weight)ceil((double)choice.top_p * (double)total) : ~0ull};
    key_range range = find_bucket(shared, all, end);
    if (range.count == 0) {
        *spent = false;
        return block_sum(shared, shared.sum[2 * threadIdx.x] + shared.sum[2 * threadIdx.x + 1]);
    }
    range = find_key(shared, row, range, end);
    *spent = true;
    return range.sum_before + tokens_to(range, end) * (range.sum / range.count);
}

SA_DEVICE uint32_t choose_token(choose_shared &shared, const sample_row &row,
                                const sample_choice_args &choice)
{
    const key_range all = {0, 32, row.vocabulary, 0, 0, 0};
    bool spent;
    const weight total = block_sum(shared, fill_buckets(shared, row, all));
    const weight sum = staying(shared, row, choice, all, total, &spent);
    if (spent) {
        fill_buckets(shared, row, all);
    }
    /* The first sum that is more than u of all: u < 1, so there is one. */
    const border chosen = {0xffffffffu, (weight)((double)choice.u * (double)sum) + 1};
    const key_range range = find_key(shared, row, find_bucket(shared, all, chosen), chosen);
    return token_at(shared, row, range, tokens_to(range, chosen));
}

extern "C" __global__ void __launch_bounds__(SAMPLE_THREADS, 1)
    sample_choose(const __grid_constant__ sample_choose_args args)
{
    __shared__ choose_shared shared;
    const uint32_t at = args.first_row + blockIdx.x;
    const sample_choice_args choice = args.choice[blockIdx.x];
    const row_summary summary =
        summarise(shared, args.parts + (size_t)at * args.parts_a_row, args.parts_a_row);
    const sample_row row = {args.logits + (size_t)at * args.vocabulary, args.vocabulary, summary.largest,
                            choice.temperature, choice.min_p};
    uint32_t token = summary.token;
    if (!summary.broken && choice.temperature != 0.0f) { /* the same for the whole block */
        token = choose_token(shared, row, choice);
    }
    if (threadIdx.x == 0) {
        args.token[at] = summary.broken ? -1 : (int32_t)token;
        args.logprob[at] = summary.broken ? NAN : (row.logits[token] - summary.largest) - logf(summary.sum);
    }
}
