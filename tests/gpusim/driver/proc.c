/* cuGetProcAddress: which of a call's versions a program of a CUDA version means. */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "tests/gpusim/driver/driver.h"

/* Calls of which more than one version is exported, or whose newest came late: the newest that is not above
 * the program's version is meant. Of all others the highest suffix that is exported. */
static const struct {
    const char *name;
    int version; /* 12050 is CUDA 12.5 */
    const char *symbol;
} versions[] = {
    {"cuCtxCreate", 3020, "cuCtxCreate_v2"},
    {"cuCtxCreate", 11040, "cuCtxCreate_v3"},
    {"cuCtxCreate", 12050, "cuCtxCreate_v4"},
    {"cuCtxSynchronize", 2000, "cuCtxSynchronize"},
    {"cuCtxSynchronize", 13000, "cuCtxSynchronize_v2"},
    {"cuCtxGetDevice", 2000, "cuCtxGetDevice"},
    {"cuCtxGetDevice", 13000, "cuCtxGetDevice_v2"},
    {"cuEventElapsedTime", 2000, "cuEventElapsedTime"},
    {"cuEventElapsedTime", 12080, "cuEventElapsedTime_v2"},
    {"cuGetProcAddress", 11030, "cuGetProcAddress"},
    {"cuGetProcAddress", 12000, "cuGetProcAddress_v2"},
    {"cuGraphInstantiate", 12000, "cuGraphInstantiateWithFlags"},
    {"cuStreamGetCaptureInfo", 11030, "cuStreamGetCaptureInfo_v2"},
    {"cuStreamGetCaptureInfo", 12030, "cuStreamGetCaptureInfo_v3"},
};

/* This library, however it was opened. */
static void *own_handle(void)
{
    static void *handle;
    Dl_info info;
    if (!handle && dladdr((void *)(uintptr_t)cuInit, &info)) {
        handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    }
    return handle;
}

static void *newest(const char *name, int version, bool *is_listed)
{
    const char *symbol = NULL;
    *is_listed = false;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (strcmp(versions[i].name, name) == 0) {
            *is_listed = true;
            symbol = versions[i].version <= version ? versions[i].symbol : symbol;
        }
    }
    return symbol ? dlsym(own_handle(), symbol) : NULL;
}

static void *look_up(const char *name, int version, CUdriverProcAddressQueryResult *status)
{
    bool is_listed;
    void *address = newest(name, version, &is_listed);
    char symbol[128];
    for (int suffix = 4; suffix >= 2 && !address && !is_listed; suffix--) {
        snprintf(symbol, sizeof symbol, "%s_v%d", name, suffix);
        address = dlsym(own_handle(), symbol);
    }
    if (!address && !is_listed) {
        address = dlsym(own_handle(), name);
    }
    if (status) {
        *status = address     ? CU_GET_PROC_ADDRESS_SUCCESS
                  : is_listed ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                              : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    }
    return address;
}

CUresult cuGetProcAddress(const char *name, void **address, int version, cuuint64_t flags,
                          CUdriverProcAddressQueryResult *status)
{
    if (!name || !address || flags & ~(cuuint64_t)3) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED,
                          "cuGetProcAddress: per-thread default streams are not simulated");
    }
    *address = look_up(name, version, status);
    return *address || status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

#undef cuGetProcAddress
SIM_EXPORT CUresult cuGetProcAddress(const char *name, void **address, int version, cuuint64_t flags);
CUresult cuGetProcAddress(const char *name, void **address, int version, cuuint64_t flags)
{
    return cuGetProcAddress_v2(name, address, version, flags, NULL);
}
