/* cuOccupancy*: how many blocks of a kernel are resident on one multiprocessor (roofline.c). */
#include "tests/gpusim/driver/driver.h"

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction f, int threads,
                                                              size_t shared, unsigned flags)
{
    SIM_ENTER_CONTEXT();
    if (!blocks || threads <= 0 || flags & ~1u) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_function_is(f)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    *blocks = 0;
    if (threads <= 1024 && shared <= sim_device->shared_optin) {
        *blocks =
            (int)sim_occupancy_blocks(sim_device, f->function, (uint32_t)threads, (uint32_t)shared, NULL);
    }
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction f, int threads, size_t shared)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, f, threads, shared, 0);
}

/* The block size with the most resident threads, the largest of equals; and blocks that fill the device. */
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction f,
                                                   CUoccupancyB2DSize shared_of, size_t shared, int limit,
                                                   unsigned flags)
{
    SIM_ENTER_CONTEXT();
    if (!grid || !block || limit < 0 || flags & ~1u) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_function_is(f)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    int most = f->function->max_threads ? (int)f->function->max_threads : 1024;
    most = limit && limit < most ? limit : most;
    int best = 0, best_threads = 0;
    for (int threads = most; threads > 0; threads = (threads - 1) / 32 * 32) {
        size_t dynamic = shared_of ? shared_of(threads) : shared;
        int blocks = 0;
        cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, threads, dynamic);
        if (blocks * threads > best * best_threads) {
            best = blocks;
            best_threads = threads;
        }
    }
    *block = best_threads;
    *grid = best * (int)sim_device->sms;
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction f, CUoccupancyB2DSize shared_of,
                                          size_t shared, int limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, f, shared_of, shared, limit, 0);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, CUfunction f, int blocks, int threads)
{
    SIM_ENTER_CONTEXT();
    if (!bytes || blocks <= 0 || threads <= 0) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_function_is(f)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    uint32_t each = sim_device->shared / (uint32_t)blocks / 128 * 128;
    uint32_t taken = f->function->shared_bytes + sim_device->shared_reserved;
    uint32_t room = each > taken ? each - taken : 0;
    uint32_t most = sim_device->shared_optin - f->function->shared_bytes;
    *bytes = room < most ? room : most;
    return CUDA_SUCCESS;
}
