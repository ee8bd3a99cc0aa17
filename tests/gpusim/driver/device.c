/* cuDevice*: the one device, number 0, and what it says of itself. Its figures stand in roofline.c (sim_gpu).
 */
#include <stdio.h>
#include <string.h>

#include "tests/gpusim/driver/driver.h"

uint64_t sim_device_memory(void)
{
    return sim_options.memory ? sim_options.memory : sim_device->memory;
}

bool sim_device_is(CUdevice device)
{
    return device == 0;
}

CUresult cuDeviceGetCount(int *count)
{
    SIM_ENTER();
    if (!count) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *count = 1;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    SIM_ENTER();
    if (!device) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (ordinal != 0) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int length, CUdevice device)
{
    SIM_ENTER();
    if (!name || length <= 0) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    snprintf(name, (size_t)length, "%s (simulated)", sim_device->name);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device)
{
    SIM_ENTER();
    if (!bytes) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    *bytes = sim_device_memory();
    return CUDA_SUCCESS;
}

/* The same in every run, another for every posed device. */
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
    SIM_ENTER();
    if (!uuid) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    memset(uuid, 0, sizeof *uuid);
    snprintf(uuid->bytes, sizeof uuid->bytes, "gpusim-%s", sim_device->key);
    return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
    SIM_ENTER();
    if (!major || !minor) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    *major = (int)sim_device->major;
    *minor = (int)sim_device->minor;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *id, int length, CUdevice device)
{
    SIM_ENTER();
    if (!id || length < 13) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    snprintf(id, (size_t)length, "0000:01:00.0");
    return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
    SIM_ENTER();
    if (!can) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device) || !sim_device_is(peer)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    *can = 0;
    return CUDA_SUCCESS;
}

/* Attributes of the posed device, and those of the simulator: what it does not have is 0. */
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    SIM_ENTER();
    if (!value) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    const sim_gpu *gpu = sim_device;
    const struct {
        CUdevice_attribute attribute;
        uint32_t value;
    } known[] = {
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
        {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
        {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
        {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 48 << 10},
        {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 64 << 10},
        {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
        {CU_DEVICE_ATTRIBUTE_MAX_PITCH, 2147483647},
        {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
        {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, gpu->clock},
        {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512},
        {CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, 32},
        {CU_DEVICE_ATTRIBUTE_SURFACE_ALIGNMENT, 512},
        {CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, gpu->sms},
        {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, CU_COMPUTEMODE_DEFAULT},
        {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
        {CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 1},
        {CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 1},
        {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, gpu->memory_clock},
        {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, gpu->bus},
        {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, gpu->l2},
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, gpu->threads},
        {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 2},
        {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, gpu->major},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, gpu->minor},
        {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
        {CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED, 1},
        {CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED, 1},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, gpu->shared},
        {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, gpu->registers},
        {CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO, gpu->minor == 9 ? 64 : 2},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 1},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, gpu->shared_optin},
        {CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 1},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, gpu->blocks},
        {CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE, gpu->l2 / 4 * 3},
        {CU_DEVICE_ATTRIBUTE_MAX_ACCESS_POLICY_WINDOW_SIZE, 128 << 20},
        {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, gpu->shared_reserved},
        {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
        {CU_DEVICE_ATTRIBUTE_MEM_SYNC_DOMAIN_COUNT, 1},
        {CU_DEVICE_ATTRIBUTE_NUMA_ID, (uint32_t)-1},
        {CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID, (uint32_t)-1},
    };
    if (attribute < 1 || attribute >= CU_DEVICE_ATTRIBUTE_MAX) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *value = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        *value = known[i].attribute == attribute ? (int)known[i].value : *value;
    }
    return CUDA_SUCCESS;
}
