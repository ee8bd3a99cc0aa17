/* Control flow at its worst, against the same functions run lane by lane in plain C (test_torture.c includes
 * this). */
#ifdef __CUDACC__
#define BOTH __device__
#else
#define BOTH static
#endif

/* Nested loops with breaks and continues that depend on data. */
BOTH unsigned nested(unsigned x)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 20; i++) {
        if ((x >> (i & 15)) & 1) {
            continue;
        }
        for (unsigned j = i; j < 40; j += 1 + (x & 3)) {
            if (((x ^ j) & 31) == 7) {
                break;
            }
            sum += i * j;
            if (sum % 13 == 5) {
                goto out;
            }
        }
        x = x * 1664525u + 1013904223u;
    }
out:
    return sum ^ x;
}

/* Irreducible: a loop that is entered at two places. */
BOTH unsigned two_entries(unsigned x)
{
    unsigned n = 0;
    if (x & 1) {
        goto middle;
    }
top:
    x = x * 5 + 1;
    n += 3;
middle:
    x ^= x >> 3;
    n++;
    if (n < 50 && (x & 7) != 6) {
        goto top;
    }
    return n * 65536 + (x & 0xffff);
}

/* A state machine by a switch in a loop. */
BOTH unsigned machine(unsigned x)
{
    unsigned state = x & 7, steps = 0, acc = 0;
    while (state != 8 && steps < 100) {
        steps++;
        switch (state) {
        case 0:
            acc += x;
            state = (x >> 3) & 7;
            break;
        case 1:
            acc ^= x;
            state = 2;
            break;
        case 2:
            x = x >> 1 | x << 31;
            state = (x & 3) ? 3 : 5;
            break;
        case 3:
            acc *= 3;
            state = (acc & 1) ? 4 : 6;
            break;
        case 4:
            acc += steps;
            state = 0;
            x += 77;
            break;
        case 5:
            state = x % 7 == 0 ? 8 : 1;
            x++;
            break;
        case 6:
            acc -= x;
            state = 7;
            break;
        default:
            state = acc % 5 == 0 ? 8 : (acc & 7);
            x = x * 7 + 3;
            break;
        }
    }
    return acc + steps * 1000003u;
}

/* Calls in divergent branches, recursion whose depth depends on the lane. */
#ifdef __CUDACC__
__device__ __noinline__ unsigned deep(unsigned x, unsigned depth);
#else
static unsigned deep(unsigned x, unsigned depth);
#endif
BOTH unsigned step_of(unsigned x, unsigned depth)
{
    return (x & 1) ? deep(x * 3 + 1, depth - 1) + 1 : deep(x >> 1, depth - 1) * 3;
}
#ifdef __CUDACC__
__device__ __noinline__
#else
static
#endif
    unsigned
    deep(unsigned x, unsigned depth)
{
    if (depth < 2 || x == 1) {
        return x;
    }
    if (x % 5 == 2) {
        return step_of(x ^ 21, depth - 1);
    }
    return step_of(x, depth);
}

/* Short-circuit conditions. */
BOTH unsigned conditions(unsigned x)
{
    unsigned r = 0;
    for (unsigned i = 1; i < 30; i++) {
        if ((x % i == 0 && x / i % 2) || (x % 7 == 3 && !(x & i)) || (i > 20 && x > 1u << i)) {
            r = r * 2 + 1;
        } else if (x & (1u << (i & 31)) ? x % 3 : x % 5) {
            r ^= i;
        }
        x += r;
    }
    return r;
}

#ifdef __CUDACC__
extern "C" __global__ void torture(const unsigned *in, unsigned *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        out[5 * i] = nested(in[i]);
        out[5 * i + 1] = two_entries(in[i]);
        out[5 * i + 2] = machine(in[i]);
        out[5 * i + 3] = deep(in[i] & 0xfff, 12);
        out[5 * i + 4] = conditions(in[i]);
    }
}

/* Lanes that meet again after divergence vote and shuffle together; results by plain C. */
extern "C" __global__ void meet_again(const unsigned *in, unsigned *out)
{
    unsigned x = in[threadIdx.x], mask = 0xffffffff, sum = 0;
    for (unsigned i = 0; i < (x & 15); i++) {
        sum += x >> i;
    }
    __syncwarp();
    sum += __shfl_xor_sync(mask, sum, 5);
    unsigned odd = __ballot_sync(mask, sum & 1);
    if (sum & 1) { /* the odd lanes among themselves */
        unsigned first = __ffs(odd) - 1;
        sum += __shfl_sync(odd, sum, first);
        sum ^= __reduce_add_sync(odd, sum);
    } else {
        sum += __popc(__match_any_sync(~odd, sum & 6));
    }
    out[threadIdx.x] = sum + (__any_sync(mask, sum == 3) ? 1 : 0);
}

/* Each lane waits in a loop for the lane before it: no lane may starve (independent thread scheduling). */
extern "C" __global__ void lane_chain(volatile int *turn, int *order)
{
    int lane = threadIdx.x;
    while (*turn != lane) {
    }
    order[lane] = lane * lane;
    __threadfence();
    *turn = lane + 1;
}

/* A lock taken by every thread in turn; the critical section is not atomic. */
extern "C" __global__ void spin_lock(int *lock, int *counter, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        bool done = false;
        while (!done) {
            if (atomicCAS(lock, 0, 1) == 0) {
                __threadfence();
                *(volatile int *)counter = *(volatile int *)counter + 1;
                __threadfence();
                atomicExch(lock, 0);
                done = true;
            }
        }
    }
}

/* Producers and consumers through named barriers (PTX ISA, bar.sync and bar.arrive): warps 0-1 fill, 2-3
 * read. */
extern "C" __global__ void named_barriers(int *out, int rounds)
{
    __shared__ int slot[2][64];
    int t = threadIdx.x % 64, producer = threadIdx.x < 64;
    for (int i = 0; i < rounds; i++) {
        int b = i & 1;
        if (producer) {
            if (i >= 2) {
                asm volatile("bar.sync %0, 128;" ::"r"(3 + b) : "memory"); /* empty */
            }
            slot[b][t] = i * 100 + t;
            asm volatile("bar.arrive %0, 128;" ::"r"(1 + b) : "memory"); /* full */
        } else {
            asm volatile("bar.sync %0, 128;" ::"r"(1 + b) : "memory");
            out[i * 64 + t] = slot[b][63 - t];
            if (i + 2 < rounds) {
                asm volatile("bar.arrive %0, 128;" ::"r"(3 + b) : "memory");
            }
        }
    }
}

/* Reductions of barriers, and a count of those who are there. */
extern "C" __global__ void barrier_reductions(const int *in, int *out)
{
    int x = in[threadIdx.x];
    int all = __syncthreads_and(x > 0), any = __syncthreads_or(x > 90), count = __syncthreads_count(x & 1);
    out[threadIdx.x] = all * 1000000 + any * 10000 + count;
}
#endif
