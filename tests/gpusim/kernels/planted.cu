/*
 * Bugs planted for the checkers, each beside its clean twin (the same kernel with RIGHT), and lock-free
 * kernels that are right. A line named by "MARK name" is one that test_checks.c expects a finding to name. In
 * planted kernels only the access that is marked is wrong.
 */
#include <cuda_runtime.h>

/* Two kernels from one body: NAME_bug and NAME_right. */
#define TWINS(NAME, PARAMETERS, ARGUMENTS)                                                                   \
    extern "C" __global__ void NAME##_bug PARAMETERS                                                         \
    {                                                                                                        \
        NAME<false> ARGUMENTS;                                                                               \
    }                                                                                                        \
    extern "C" __global__ void NAME##_right PARAMETERS                                                       \
    {                                                                                                        \
        NAME<true> ARGUMENTS;                                                                                \
    }

/* ---- planted ---- */

/* out[t] = the value of the thread at the other end; 64 threads. */
template <bool RIGHT> __device__ void mirror(int *out)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = 0;
    __syncthreads();
    s[t] = 3 * t; // MARK mirror write
    if (RIGHT) {
        __syncthreads();
    }
    out[t] = s[63 - t]; // MARK mirror read
}
TWINS(mirror, (int *out), (out))

/* Neighbours' sums, 64 threads a block; the last one reads past n. */
template <bool RIGHT> __device__ void neighbour(const int *in, int *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    int next = 0;
    if (!RIGHT || i + 1 < n) {
        next = in[i + 1]; // MARK global read
    }
    out[i] = in[i] + next;
}
TWINS(neighbour, (const int *in, int *out, int n), (in, out, n))

template <bool RIGHT> __device__ void fill(int *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (RIGHT ? i < n : i <= n) {
        out[i] = i; // MARK global write
    }
}
TWINS(fill, (int *out, int n), (out, n))

/* 64 threads, room for 64. */
template <bool RIGHT> __device__ void shift(int *out)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    if (!RIGHT || t < 63) {
        s[t + 1] = t; // MARK shared write
    }
    if (t == 0) {
        s[0] = -1;
    }
    __syncthreads();
    out[t] = s[t];
}
TWINS(shift, (int *out), (out))

template <bool RIGHT> __device__ void shift_read(int *out)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = t;
    __syncthreads();
    int next = 0;
    if (!RIGHT || t < 63) {
        next = s[t + 1]; // MARK shared read
    }
    out[t] = next;
}
TWINS(shift_read, (int *out), (out))

/* Four floats a thread; in is 4 bytes off where it is wrong. */
template <bool RIGHT> __device__ void quads(const float *in, float4 *out)
{
    int t = threadIdx.x;
    out[t] = reinterpret_cast<const float4 *>(in + (RIGHT ? 4 : 1))[t]; // MARK misaligned
}
TWINS(quads, (const float *in, float4 *out), (in, out))

/* Nobody writes the last element. */
template <bool RIGHT> __device__ void hole(int *out)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    if (RIGHT || t < 63) {
        s[t] = t;
    }
    __syncthreads();
    out[t] = s[t]; // MARK uninitialised shared
}
TWINS(hole, (int *out), (out))

/* The host has written 40 of 64 elements. */
template <bool RIGHT> __device__ void copy(const int *in, int *out)
{
    int t = threadIdx.x;
    int v = 0;
    if (!RIGHT || t < 40) {
        v = in[t]; // MARK uninitialised global
    }
    out[t] = v;
}
TWINS(copy, (const int *in, int *out), (in, out))

__device__ unsigned shared_address(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

#define COPY_ASYNC(TO, FROM, SIZE)                                                                           \
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(TO)), "l"(FROM),       \
                 "r"(SIZE)                                                                                   \
                 : "memory")
#define COMMIT() asm volatile("cp.async.commit_group;" ::: "memory")
#define WAIT_GROUP(N) asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory")

/* 64 threads copy 64 float4 through shared memory, each reading what the other end has copied. */
template <bool RIGHT> __device__ void staged(const float4 *in, float4 *out)
{
    __shared__ float4 s[64];
    int t = threadIdx.x;
    COPY_ASYNC(&s[t], &in[t], 16); // MARK copy issued
    COMMIT();
    if (RIGHT) {
        WAIT_GROUP(0);
    }
    __syncthreads();
    out[t] = s[63 - t]; // MARK copy read
}
TWINS(staged, (const float4 *in, float4 *out), (in, out))

/*
 * Threads of several blocks count to their number in words[at]. A plain read may foretell what a
 * compare-and-swap of the same word finds, for a stale value costs it a turn; of another word it is a race.
 */
template <bool RIGHT> __device__ void swapped(unsigned *words, int at)
{
    unsigned old = __ldcg(&words[at]), seen; // MARK foretelling read
    if (RIGHT) {
        do {
            seen = old;
            old = atomicCAS(&words[at], seen, seen + 1);
        } while (old != seen);
    } else {
        atomicCAS(&words[at + 1], old, old + 1);
        atomicAdd(&words[at], 1u); // MARK count
    }
}
TWINS(swapped, (unsigned *words, int at), (words, at))

/* 64 threads; a quarter of them comes to the barrier. */
template <bool RIGHT> __device__ void gather_barrier(int *out)
{
    __shared__ int s[64];
    int t = threadIdx.x;
    s[t] = t;
    if (!RIGHT && t % 4 != 0) {
        return;
    }
    __syncthreads(); // MARK barrier
    out[t] = s[t];
}
TWINS(gather_barrier, (int *out), (out))

/* One warp; half of it takes part in a shuffle that names all of it. */
template <bool RIGHT> __device__ void half_shuffle(int *out)
{
    int t = threadIdx.x, v = 5 * t;
    if (t < 16) {
        v += __shfl_xor_sync(RIGHT ? 0xffffu : 0xffffffffu, v, 1); // MARK shuffle
    }
    __syncwarp();
    out[t] = v;
}
TWINS(half_shuffle, (int *out), (out))

/* The same with nothing behind it that the other half takes part in. */
template <bool RIGHT> __device__ void half_shuffle_last(int *out)
{
    int t = threadIdx.x, v = 5 * t;
    if (t < 16) {
        v += __shfl_xor_sync(RIGHT ? 0xffffu : 0xffffffffu, v, 1); // MARK last shuffle
    }
    out[t] = v;
}
TWINS(half_shuffle_last, (int *out), (out))

/* One warp; lanes 8 to 15 ask lanes that do not take part. */
template <bool RIGHT> __device__ void far_shuffle(int *out)
{
    int t = threadIdx.x, v = 5 * t;
    if (t < 16) {
        v += __shfl_down_sync(0xffffu, v, RIGHT ? 0 : 8); // MARK far shuffle
    }
    out[t] = v;
}
TWINS(far_shuffle, (int *out), (out))

/* Two kernels in two streams. */
extern "C" __global__ void produce(int *out)
{
    out[threadIdx.x] = 7 * threadIdx.x;
}

extern "C" __global__ void consume(const int *in, int *out)
{
    out[threadIdx.x] = in[threadIdx.x] + 1; // MARK freed
}

/* Two blocks of 32 threads; the elements of both are the same where it is wrong. */
template <bool RIGHT> __device__ void overlap(int *out)
{
    int i = RIGHT ? blockIdx.x * 32 + threadIdx.x : threadIdx.x;
    out[i] = blockIdx.x + 1; // MARK blocks write
}
TWINS(overlap, (int *out), (out))

/* Two blocks; each reads what the other writes. RIGHT: from a copy. */
template <bool RIGHT> __device__ void exchange(const int *old, int *values)
{
    int i = blockIdx.x * 32 + threadIdx.x;
    const int *from = RIGHT ? old : values;
    int other = from[(i + 32) % 64]; // MARK blocks read
    values[i] = other + 1;           // MARK blocks exchange
}
TWINS(exchange, (const int *old, int *values), (old, values))

/* Neighbouring warps of one block, through global memory. */
template <bool RIGHT> __device__ void mirror_global(int *room, int *out)
{
    int t = threadIdx.x;
    room[t] = 3 * t; // MARK mirror global write
    if (RIGHT) {
        __syncthreads();
    }
    out[t] = room[63 - t]; // MARK mirror global read
}
TWINS(mirror_global, (int *room, int *out), (room, out))

/* The last block adds up; without the fence its reads are ordered behind nothing. 32 threads a block. */
template <bool RIGHT> __device__ void last_block(const int *in, int *partial, unsigned *done, int *out)
{
    __shared__ bool is_last;
    int v = __reduce_add_sync(0xffffffff, in[blockIdx.x * 32 + threadIdx.x]);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = v; // MARK partial write
        if (RIGHT) {
            __threadfence();
        }
        is_last = atomicAdd(done, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (is_last) {
        if (RIGHT) {
            __threadfence();
        }
        int sum = 0;
        for (unsigned i = threadIdx.x; i < gridDim.x; i += 32) {
            sum += partial[i]; // MARK partial read
        }
        sum = __reduce_add_sync(0xffffffff, sum);
        if (threadIdx.x == 0) {
            *out = sum;
        }
    }
}
TWINS(last_block, (const int *in, int *partial, unsigned *done, int *out), (in, partial, done, out))

/* Neighbouring lanes of one warp. */
template <bool RIGHT> __device__ void lanes(int *out)
{
    __shared__ int s[32];
    int t = threadIdx.x;
    s[t] = 0;
    __syncwarp();
    s[t] = 3 * t; // MARK lane write
    if (RIGHT) {
        __syncwarp();
    }
    out[t] = s[31 - t]; // MARK lane read
}
TWINS(lanes, (int *out), (out))

__device__ int load_acquire(const int *p)
{
    int v;
    asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
    return v;
}

/* Two blocks in the order of tickets: the first gives 32 values to the second; a relaxed store gives nothing.
 */
template <bool RIGHT> __device__ void release(unsigned *ticket, int *room, int *flag, int *out)
{
    int t = threadIdx.x;
    unsigned number = t == 0 ? atomicAdd(ticket, 1u) : 0;
    number = __shfl_sync(0xffffffff, number, 0);
    if (number == 0) {
        room[t] = 3 * t; // MARK released write
        __syncwarp();
        if (t == 0 && RIGHT) {
            asm volatile("st.release.gpu.global.s32 [%0], 1;" ::"l"(flag) : "memory");
        } else if (t == 0) {
            asm volatile("st.relaxed.gpu.global.s32 [%0], 1;" ::"l"(flag) : "memory");
        }
        return;
    }
    while (load_acquire(flag) == 0) {
    }
    out[t] = room[31 - t]; // MARK acquired read
}
TWINS(release, (unsigned *ticket, int *room, int *flag, int *out), (ticket, room, flag, out))

/* ---- right ---- */

/* A thread reads its own word twice before it writes it: out = the thread's number. */
extern "C" __global__ void reread_right(int *out)
{
    __shared__ int s[64];
    int t = threadIdx.x, first, second;
    s[t] = t;
    __syncthreads();
    asm volatile("ld.shared.s32 %0, [%1];" : "=r"(first) : "r"(shared_address(&s[t])) : "memory");
    asm volatile("ld.shared.s32 %0, [%1];" : "=r"(second) : "r"(shared_address(&s[t])) : "memory");
    s[t] = first + second;
    out[t] = s[t] / 2;
}

/* Look-back with plain sums, published by fence and volatile flag: 1 the tile's own sum, 2 everything up to
 * it. */
extern "C" __global__ void look_back(const int *in, int *own, int *all, int *flag, unsigned *ticket, int *out)
{
    __shared__ unsigned tile;
    int t = threadIdx.x;
    if (t == 0) {
        tile = atomicAdd(ticket, 1u);
    }
    __syncthreads();
    int sum = __reduce_add_sync(0xffffffff, in[tile * 32 + t]);
    if (t == 0) {
        volatile int *flags = flag;
        int before = 0;
        own[tile] = sum;
        __threadfence();
        flags[tile] = 1;
        for (int look = (int)tile - 1; look >= 0; look--) {
            int seen;
            while ((seen = flags[look]) == 0) {
            }
            __threadfence();
            before += seen == 2 ? all[look] : own[look];
            if (seen == 2) {
                break;
            }
        }
        all[tile] = before + sum;
        __threadfence();
        flags[tile] = 2;
        out[tile] = before + sum;
    }
}

/* Every thread of every block adds to *sum by plain arithmetic, one after another. */
extern "C" __global__ void spin_lock(int *lock, int *sum)
{
    for (bool done = false; !done;) {
        if (atomicCAS(lock, 0, 1) == 0) {
            __threadfence();
            *sum += 1;
            __threadfence();
            atomicExch(lock, 0);
            done = true;
        }
    }
}

__device__ void barrier_sync(int number, int threads)
{
    asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

__device__ void barrier_arrive(int number, int threads)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

/*
 * Warps 0 and 1 produce, warps 2 and 3 consume: two buffers, for each a barrier "full" (1, 2) and one "empty"
 * (3, 4). out[round * 64 + i] = in[round * 64 + 63 - i] + 1.
 */
extern "C" __global__ void specialised(const int *in, int *out, int rounds)
{
    __shared__ int s[2][64];
    int t = threadIdx.x % 64;
    if (threadIdx.x < 64) {
        for (int r = 0; r < rounds; r++) {
            if (r >= 2) {
                barrier_sync(3 + r % 2, 128);
            }
            s[r % 2][t] = in[r * 64 + t];
            barrier_arrive(1 + r % 2, 128);
        }
    } else {
        for (int r = 0; r < rounds; r++) {
            barrier_sync(1 + r % 2, 128);
            out[r * 64 + t] = s[r % 2][63 - t] + 1;
            if (r + 2 < rounds) {
                barrier_arrive(3 + r % 2, 128);
            }
        }
    }
}

/* out = in, padded with zeros to a whole number of blocks of 32 float4; n floats. */
extern "C" __global__ void zero_fill(const float *in, float4 *out, int n)
{
    __shared__ float4 s[32];
    int t = threadIdx.x, i = blockIdx.x * 32 + t, left = (n - 4 * i) * 4;
    int size = left >= 16 ? 16 : left > 0 ? left : 0;
    COPY_ASYNC(&s[t], size > 0 ? in + 4 * i : in, size);
    COMMIT();
    WAIT_GROUP(0);
    __syncthreads();
    out[blockIdx.x * 32 + 31 - t] = s[31 - t];
}

/* Blocks in pairs, in the order of tickets: the first of a pair gives 32 values to the second. */
extern "C" __global__ void flags(unsigned *ticket, int *room, int *flag, int *out, int by_atomics)
{
    __shared__ unsigned number;
    int t = threadIdx.x;
    if (t == 0) {
        number = atomicAdd(ticket, 1u);
    }
    __syncthreads();
    int pair = number / 2;
    if (number % 2 == 0) {
        room[pair * 32 + t] = 100 * pair + t;
        __syncthreads();
        if (t == 0) {
            __threadfence();
            if (by_atomics) {
                atomicExch(&flag[pair], 1);
            } else {
                *(volatile int *)&flag[pair] = 1;
            }
        }
        return;
    }
    if (t == 0) {
        while (by_atomics ? atomicAdd(&flag[pair], 0) == 0 : *(volatile int *)&flag[pair] == 0) {
        }
        __threadfence();
    }
    __syncthreads();
    out[pair * 32 + t] = room[pair * 32 + 31 - t];
}

/* Three buffers, two groups in flight while a third one is used. */
extern "C" __global__ void triple_buffer(const float4 *in, float4 *out, int tiles)
{
    __shared__ float4 s[3][32];
    int t = threadIdx.x;
    for (int i = 0; i < 2; i++) {
        if (i < tiles) {
            COPY_ASYNC(&s[i][t], &in[i * 32 + t], 16);
        }
        COMMIT();
    }
    for (int i = 0; i < tiles; i++) {
        WAIT_GROUP(1);
        __syncthreads();
        if (i + 2 < tiles) {
            COPY_ASYNC(&s[(i + 2) % 3][t], &in[(i + 2) * 32 + t], 16);
        }
        COMMIT();
        out[i * 32 + t] = s[i % 3][31 - t];
    }
}

/* Threads without work leave before the shuffles; those of the mask that have left do not count. */
extern "C" __global__ void leave_early(const int *in, int *out, int n)
{
    int t = threadIdx.x;
    if (t >= n) {
        return;
    }
    if (in[t] < 0) {
        out[t] = -1;
        return;
    }
    int sum = in[t];
    for (int step = 8; step > 0; step /= 2) {
        sum += __shfl_xor_sync(0xffffffff, sum, step);
    }
    out[t] = sum;
}

/* Whoever finds the value says so: many threads write the same flag, all the same value. */
extern "C" __global__ void find_value(const int *in, int value, int *found)
{
    if (in[blockIdx.x * 64 + threadIdx.x] == value) {
        *found = 1;
    }
}

/* Two warps, an mbarrier for each half of the hand-over: out = in of the other end, round after round. */
extern "C" __global__ void mbarriers(const int *in, int *out, int rounds)
{
    __shared__ int s[32];
    __shared__ unsigned long long full, empty;
    int t = threadIdx.x % 32;
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared.b64 [%0], 32;" ::"r"(shared_address(&full)) : "memory");
        asm volatile("mbarrier.init.shared.b64 [%0], 32;" ::"r"(shared_address(&empty)) : "memory");
    }
    __syncthreads();
    bool produces = threadIdx.x < 32;
    for (int r = 0; r < rounds; r++) {
        if (!produces || r > 0) { /* the phase of the other half's last round must have ended */
            unsigned done = 0, at = shared_address(produces ? &empty : &full),
                     parity = (produces ? r - 1 : r) & 1;
            while (!done) {
                asm volatile("{\n.reg .pred p;\nmbarrier.test_wait.parity.shared.b64 p, [%1], %2;\nselp.u32 "
                             "%0, 1, 0, p;\n}"
                             : "=r"(done)
                             : "r"(at), "r"(parity)
                             : "memory");
            }
        }
        if (produces) {
            s[t] = in[r * 32 + t];
        } else {
            out[r * 32 + t] = s[31 - t];
        }
        asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(
                         shared_address(produces ? &full : &empty))
                     : "memory");
    }
}
