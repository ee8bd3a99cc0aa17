/* cuFunc* and cuLaunch*: a kernel's limits, its parameters, its run. Below: grid.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/gpusim/driver/driver.h"

enum {
    PLAIN_SHARED = 48 << 10, /* what a block may use without opting in */
    MOST_THREADS = 1024,
};

/* ---- attributes ---- */

static uint32_t most_threads(const CUfunction f)
{
    uint32_t threads = f->function->max_threads ? f->function->max_threads : MOST_THREADS;
    uint32_t registers = f->function->registers;
    /* Registers go to warps in portions of 256. */
    uint32_t warps = registers ? sim_device->registers / ((registers * 32 + 255) / 256 * 256) : 32;
    return threads < 32 * warps ? threads : 32 * warps;
}

static int most_dynamic(const CUfunction f)
{
    uint32_t plain = f->function->shared_bytes < PLAIN_SHARED ? PLAIN_SHARED - f->function->shared_bytes : 0;
    return (int)(f->dynamic_shared > plain ? f->dynamic_shared : plain);
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction f)
{
    SIM_ENTER_CONTEXT();
    if (!value || !sim_function_is(f)) {
        return value ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    const ptx_module *ptx = f->module->module->ptx;
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = (int)most_threads(f); break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = (int)f->function->shared_bytes; break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: *value = 0; break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *value = (int)(f->function->local_bytes + f->function->spill_bytes);
        break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = (int)f->function->registers; break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        *value = atoi(ptx->target + strcspn(ptx->target, "0123456789"));
        break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = (int)(10 * sim_device->major + sim_device->minor); break;
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA: *value = 0; break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = most_dynamic(f); break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = f->carveout; break;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED: *value = 0; break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute attribute, int value)
{
    SIM_ENTER_CONTEXT();
    if (!sim_function_is(f)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) {
        if (value < 0 || f->function->shared_bytes + (uint64_t)value > sim_device->shared_optin) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        f->dynamic_shared = (uint32_t)value;
    } else if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) {
        if (value < -1 || value > 100) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        f->carveout = value;
    } else {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "cuFuncSetAttribute: attribute %d is not simulated",
                          (int)attribute);
    }
    return CUDA_SUCCESS;
}

CUresult cuFuncSetCacheConfig(CUfunction f, CUfunc_cache config)
{
    SIM_ENTER_CONTEXT();
    if (!sim_function_is(f)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    return config <= CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncGetModule(CUmodule *module, CUfunction f)
{
    SIM_ENTER_CONTEXT();
    if (!module || !sim_function_is(f)) {
        return module ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    *module = f->module;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetName(const char **name, CUfunction f)
{
    SIM_ENTER_CONTEXT();
    if (!name || !sim_function_is(f)) {
        return name ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    *name = f->function->name;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction f, size_t index, size_t *offset, size_t *bytes)
{
    SIM_ENTER_CONTEXT();
    if (!offset || !sim_function_is(f)) {
        return offset ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    if (index >= f->function->formal_count) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *offset = f->function->formals[index].offset;
    if (bytes) {
        *bytes = f->function->formals[index].bytes;
    }
    return CUDA_SUCCESS;
}

/* ---- launching ---- */

/* The limits of a device; what is beyond them is said on stderr, since the error code alone says little. */
static CUresult check_limits(const CUfunction f, const uint32_t grid[3], const uint32_t block[3],
                             uint32_t shared)
{
    const char *name = f->function->name;
    uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
    if (!threads || !grid[0] || !grid[1] || !grid[2]) {
        return sim_refuse(CUDA_ERROR_INVALID_VALUE, "launch of %s: a dimension is 0", name);
    }
    if (grid[0] > INT32_MAX || grid[1] > 65535 || grid[2] > 65535) {
        return sim_refuse(CUDA_ERROR_INVALID_VALUE,
                          "launch of %s: grid %u,%u,%u beyond 2147483647,65535,65535", name, grid[0], grid[1],
                          grid[2]);
    }
    uint32_t most = f->function->max_threads ? f->function->max_threads : MOST_THREADS;
    if (block[0] > 1024 || block[1] > 1024 || block[2] > 64 || threads > most) {
        return sim_refuse(CUDA_ERROR_INVALID_VALUE,
                          "launch of %s: block %u,%u,%u beyond 1024,1024,64 or %u threads", name, block[0],
                          block[1], block[2], most);
    }
    if (threads > most_threads(f)) {
        return sim_refuse(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "launch of %s: %llu threads of %u registers",
                          name, (unsigned long long)threads, f->function->registers);
    }
    if (shared > (uint32_t)most_dynamic(f)) {
        return sim_refuse(
            CUDA_ERROR_INVALID_VALUE,
            "launch of %s: %u bytes of dynamic shared memory, %d allowed (cuFuncSetAttribute), %u static",
            name, shared, most_dynamic(f), f->function->shared_bytes);
    }
    return CUDA_SUCCESS;
}

/* `extra`: pairs of a key and a pointer, CU_LAUNCH_PARAM_END at the end. */
static CUresult params_from_extra(const CUfunction f, uint8_t *params, void **extra)
{
    const void *buffer = NULL;
    const size_t *size = NULL;
    for (; extra[0] != CU_LAUNCH_PARAM_END; extra += 2) {
        if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER) {
            buffer = extra[1];
        } else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE) {
            size = extra[1];
        } else {
            return CUDA_ERROR_INVALID_VALUE;
        }
    }
    if (!buffer || !size || *size < f->function->param_bytes) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    memcpy(params, buffer, f->function->param_bytes);
    return CUDA_SUCCESS;
}

static CUresult params_from_pointers(const CUfunction f, uint8_t *params, void **pointers)
{
    if (f->function->formal_count && !pointers) {
        return sim_refuse(CUDA_ERROR_INVALID_VALUE, "launch of %s: no parameters", f->function->name);
    }
    for (uint32_t i = 0; i < f->function->formal_count; i++) {
        const sim_param *formal = &f->function->formals[i];
        if (!pointers[i]) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        memcpy(params + formal->offset, pointers[i], formal->bytes);
    }
    return CUDA_SUCCESS;
}

CUresult sim_launch_inject(bool *traps)
{
    static uint64_t launches;
    launches++;
    *traps = sim_options.trap_launch == launches;
    return sim_options.fail_launch == launches ? CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES : CUDA_SUCCESS;
}

CUresult sim_kernel_work(sim_work *work, CUfunction f, const uint32_t grid[3], const uint32_t block[3],
                         uint32_t shared, void **pointers, void **extra)
{
    if (!sim_function_is(f) || !f->function->is_entry) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (pointers && extra) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult error = check_limits(f, grid, block, shared);
    if (error) {
        return error;
    }
    *work = (sim_work){.kind = SIM_WORK_KERNEL, .call = "cuLaunchKernel"};
    work->kernel.function = f;
    work->kernel.shared = shared;
    memcpy(work->kernel.grid, grid, sizeof work->kernel.grid);
    memcpy(work->kernel.block, block, sizeof work->kernel.block);
    work->kernel.params = calloc(1, f->function->param_bytes + 1);
    if (!work->kernel.params) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    error = extra ? params_from_extra(f, work->kernel.params, extra)
                  : params_from_pointers(f, work->kernel.params, pointers);
    if (error) {
        free(work->kernel.params);
    }
    return error;
}

static CUresult launch(CUfunction f, const uint32_t grid[3], const uint32_t block[3], uint32_t shared,
                       CUstream handle, void **pointers, void **extra)
{
    sim_work work;
    bool traps = false;
    CUstream stream = sim_stream(handle);
    CUresult error =
        stream ? sim_kernel_work(&work, f, grid, block, shared, pointers, extra) : CUDA_ERROR_INVALID_HANDLE;
    if (error) {
        return error;
    }
    error = stream->capture ? CUDA_SUCCESS : sim_launch_inject(&traps); /* counted at its graph's launch */
    if (error) {
        sim_work_drop(&work);
        return error;
    }
    work.kernel.traps = traps;
    return sim_enqueue(stream, &work);
}

CUresult cuLaunchKernel(CUfunction f, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void **params,
                        void **extra)
{
    SIM_ENTER_CONTEXT();
    const uint32_t grid[3] = {grid_x, grid_y, grid_z}, block[3] = {block_x, block_y, block_z};
    return launch(f, grid, block, shared, stream, params, extra);
}

/* Attributes that change what a kernel means are refused; those that only hint are taken. */
static CUresult check_attribute(const CUlaunchAttribute *attribute)
{
    switch (attribute->id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION: return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        if (attribute->value.clusterDim.x == 1 && attribute->value.clusterDim.y == 1 &&
            attribute->value.clusterDim.z == 1) {
            return CUDA_SUCCESS;
        }
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "cuLaunchKernelEx: clusters of blocks are not simulated");
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        return attribute->value.cooperative
                   ? sim_refuse(CUDA_ERROR_NOT_SUPPORTED,
                                "cuLaunchKernelEx: cooperative launches are not simulated")
                   : CUDA_SUCCESS;
    default:
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "cuLaunchKernelEx: attribute %d is not simulated",
                          (int)attribute->id);
    }
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **params, void **extra)
{
    SIM_ENTER_CONTEXT();
    if (!config || (config->numAttrs && !config->attrs)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    for (unsigned i = 0; i < config->numAttrs; i++) {
        CUresult error = check_attribute(&config->attrs[i]);
        if (error) {
            return error;
        }
    }
    const uint32_t grid[3] = {config->gridDimX, config->gridDimY, config->gridDimZ};
    const uint32_t block[3] = {config->blockDimX, config->blockDimY, config->blockDimZ};
    return launch(f, grid, block, config->sharedMemBytes, config->hStream, params, extra);
}

/* ---- running ---- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum {
    MOST_RUNS = 512
}; /* of bytes that a launch read, and that it wrote, which are looked at for stream_order */

static void order_range(void *data, uint64_t begin, uint64_t end, bool writes)
{
    const sim_work *work = data;
    sim_order_access(work, begin, end, writes, work->kernel.function->function->name);
}

void sim_kernel_run(sim_work *work)
{
    static uint64_t number;
    if (work->kernel.traps) {
        work->stream->context->pending = CUDA_ERROR_LAUNCH_FAILED;
        return;
    }
    sim_launch launched = {
        .kernel = work->kernel.function->function,
        .dynamic_shared = work->kernel.shared,
        .params = work->kernel.params,
        .number = ++number,
        .stream = work->stream->number,
    };
    memcpy(launched.grid, work->kernel.grid, sizeof launched.grid);
    memcpy(launched.block, work->kernel.block, sizeof launched.block);
    sim_counters counters = {0};
    sim_touched touched = {0, 0};
    bool is_ordered = sim_order_matters(),
         is_touched = (is_ordered || sim_options.profile) && sim_touched_begin();
    double start = now();
    int error = sim_grid_run(&launched, &counters);
    double seconds = now() - start;
    sim_memory_time = number;
    if (is_touched) {
        touched = sim_touched_end(is_ordered ? order_range : NULL, work, MOST_RUNS);
    }
    if (error) {
        work->stream->context->pending = (CUresult)error;
    }
    if (sim_options.profile) {
        sim_profile_launch(sim_device, &launched, &counters, &touched, seconds);
    }
}
