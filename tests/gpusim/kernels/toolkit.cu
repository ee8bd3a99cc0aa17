/*
 * Device code of the toolkit's own libraries: cooperative groups, CUB, libcu++. Nobody here wrote it, it is
 * known to be right on devices, and it leans on what small kernels do not: barriers in memory, look-back,
 * inline PTX.
 */
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cub/block/block_load.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_store.cuh>
#include <cuda/atomic>
#include <cuda/barrier>
#include <cuda/pipeline>
#include <cuda_bf16.h>

namespace cg = cooperative_groups;

/* out[0]: the sum; [1]: the greatest; one block's part added by one thread. */
extern "C" __global__ void groups_reduce(const int *in, int *out, int n)
{
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> tile = cg::tiled_partition<32>(block);
    int i = block.group_index().x * block.size() + block.thread_rank();
    int value = i < n ? in[i] : 0;
    int sum = cg::reduce(tile, value, cg::plus<int>());
    int most = cg::reduce(tile, value, cg::greater<int>());
    if (tile.thread_rank() == 0) {
        atomicAdd(out, sum);
        atomicMax(out + 1, most);
    }
}

/* Lanes whose value is odd count themselves by one atomic of the group that they form; tiles of 8 scan. */
extern "C" __global__ void groups_split(const int *in, int *count, int *scanned)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x, value = in[i];
    if (value & 1) {
        cg::coalesced_group active = cg::coalesced_threads();
        if (active.thread_rank() == 0) {
            atomicAdd(count, (int)active.size());
        }
    }
    cg::thread_block_tile<8> tile = cg::tiled_partition<8>(cg::this_thread_block());
    scanned[i] = cg::inclusive_scan(tile, value);
    auto parity = cg::labeled_partition(cg::coalesced_threads(), value & 1);
    if (parity.thread_rank() == 0) {
        atomicAdd(count + 1, 1); /* groups */
    }
}

/* Tiles of more than one warp meet by barriers in the shared memory that the system keeps. */
extern "C" __global__ void groups_large(const int *in, int *sum, int *place)
{
    __shared__ int part[256];
    __shared__ cg::block_tile_memory<256> memory;
    cg::thread_block block = cg::this_thread_block(memory);
    auto tile = cg::tiled_partition<64>(block);
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    part[threadIdx.x] = in[i];
    tile.sync();
    place[i] = part[threadIdx.x ^ 63]; /* of the tile's other warp */
    int whole = cg::reduce(tile, in[i], cg::plus<int>());
    if (tile.thread_rank() == 0) {
        sum[i / 64] = whole;
    }
}

/* A copy by the group, asynchronous where the device can; then turned round. */
extern "C" __global__ void groups_copy(const float *in, float *out)
{
    __shared__ alignas(16) float tile[256];
    cg::thread_block block = cg::this_thread_block();
    cg::memcpy_async(block, tile, in + 256 * blockIdx.x, cuda::aligned_size_t<16>(sizeof tile));
    cg::wait(block);
    out[256 * blockIdx.x + block.thread_rank()] = tile[255 - block.thread_rank()];
}

/* A block sorts 4 keys a thread, with their values. */
extern "C" __global__ void cub_sort(unsigned *keys, unsigned *values)
{
    using sorter = cub::BlockRadixSort<unsigned, 128, 4, unsigned>;
    using loader = cub::BlockLoad<unsigned, 128, 4, cub::BLOCK_LOAD_WARP_TRANSPOSE>;
    using storer = cub::BlockStore<unsigned, 128, 4, cub::BLOCK_STORE_TRANSPOSE>;
    __shared__ union {
        typename sorter::TempStorage sort;
        typename loader::TempStorage load;
        typename storer::TempStorage store;
    } shared;
    unsigned key[4], value[4];
    unsigned *my_keys = keys + 512 * blockIdx.x, *my_values = values + 512 * blockIdx.x;
    loader(shared.load).Load(my_keys, key);
    __syncthreads();
    loader(shared.load).Load(my_values, value);
    __syncthreads();
    sorter(shared.sort).Sort(key, value);
    __syncthreads();
    storer(shared.store).Store(my_keys, key);
    __syncthreads();
    storer(shared.store).Store(my_values, value);
}

/* Prefix sums over a block, by each of CUB's ways, and its sum. */
template <cub::BlockScanAlgorithm WAY> __device__ void scan(const int *in, int *out, int *sum)
{
    using scanner = cub::BlockScan<int, 128, WAY>;
    using reducer = cub::BlockReduce<int, 128, cub::BLOCK_REDUCE_RAKING>;
    __shared__ typename scanner::TempStorage scan_memory;
    __shared__ typename reducer::TempStorage reduce_memory;
    int i = blockIdx.x * 128 + threadIdx.x, result;
    scanner(scan_memory).ExclusiveSum(in[i], result);
    out[i] = result;
    int whole = reducer(reduce_memory).Sum(in[i]);
    if (threadIdx.x == 0) {
        sum[blockIdx.x] = whole;
    }
}
extern "C" __global__ void cub_scan_raking(const int *in, int *out, int *sum)
{
    scan<cub::BLOCK_SCAN_RAKING>(in, out, sum);
}
extern "C" __global__ void cub_scan_warps(const int *in, int *out, int *sum)
{
    scan<cub::BLOCK_SCAN_WARP_SCANS>(in, out, sum);
}

/* Two halves of a block hand a buffer to and fro by barriers in shared memory: one fills, one sums. */
extern "C" __global__ void barrier_hand_over(const int *in, int *out, int rounds)
{
    using barrier = cuda::barrier<cuda::thread_scope_block>;
    __shared__ int buffer[64];
#pragma nv_diag_suppress static_var_with_dynamic_init
    __shared__ barrier full, empty;
    if (threadIdx.x == 0) {
        init(&full, 128);
        init(&empty, 128);
    }
    __syncthreads();
    int lane = threadIdx.x % 64, sum = 0;
    for (int round = 0; round < rounds; round++) {
        if (threadIdx.x < 64) {
            buffer[lane] = in[round * 64 + lane];
            (void)full.arrive();
            empty.arrive_and_wait();
        } else {
            full.arrive_and_wait();
            sum += buffer[63 - lane];
            (void)empty.arrive();
        }
        __syncthreads();
    }
    if (threadIdx.x >= 64) {
        out[lane] = sum;
    }
}

/* Tiles come through a pipeline of two stages while the one before is worked on. */
extern "C" __global__ void pipeline_sum(const float *in, float *out, int tiles)
{
    constexpr int stages = 2;
    __shared__ alignas(16) float tile[stages][128];
#pragma nv_diag_suppress static_var_with_dynamic_init
    __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, stages> state;
    cg::thread_block block = cg::this_thread_block();
    auto pipe = cuda::make_pipeline(block, &state);
    float sum = 0;
    for (int fetched = 0, done = 0; done < tiles; done++) {
        for (; fetched < tiles && fetched < done + stages; fetched++) {
            pipe.producer_acquire();
            cuda::memcpy_async(block, tile[fetched % stages], in + 128 * fetched,
                               cuda::aligned_size_t<16>(sizeof tile[0]), pipe);
            pipe.producer_commit();
        }
        pipe.consumer_wait();
        sum += tile[done % stages][(threadIdx.x + done) % 128];
        pipe.consumer_release();
    }
    out[threadIdx.x] = sum;
}

/* The running maximum of all by an atomic of libcu++, counts by one of another width; a lock that all take.
 */
extern "C" __global__ void atomics(const int *in, int *most, unsigned long long *count, int *lock,
                                   int *guarded)
{
    int value = in[blockIdx.x * blockDim.x + threadIdx.x];
    cuda::atomic_ref<int, cuda::thread_scope_device> top(*most);
    cuda::atomic_ref<unsigned long long, cuda::thread_scope_device> counter(*count);
    top.fetch_max(value, cuda::memory_order_relaxed);
    counter.fetch_add(1, cuda::memory_order_acq_rel);
    if (threadIdx.x == 0) {
        cuda::atomic_ref<int, cuda::thread_scope_device> held(*lock);
        int none = 0;
        while (!held.compare_exchange_strong(none, 1, cuda::memory_order_acquire)) {
            none = 0;
        }
        *guarded += 1;
        held.store(0, cuda::memory_order_release);
    }
}

/* Pairs of bfloat16 have no add of their own here: the header's atomicAdd compares and swaps. */
extern "C" __global__ void add_pairs(__nv_bfloat162 *sum)
{
    atomicAdd(&sum[threadIdx.x % 8], __floats2bfloat162_rn(1.0f, 2.0f));
}
