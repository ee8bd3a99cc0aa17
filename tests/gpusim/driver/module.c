/* cuModule*, cuLibrary*, cuKernel*: PTX in, functions and variables out. Below: fatbin.c, ptx.c, lower.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/driver/driver.h"
#include "tests/gpusim/fatbin.h"

enum { LOG_BYTES = 512 };

/* A library is a module of the context that loaded it; its kernels are the module's functions. */
struct CUlib_st {
    CUmodule module;
};

/* Registers of the machine code that nvcc made, where the image has some. */
static void add_usage(sim_module *module, const sim_fatbin *fatbin)
{
    for (uint32_t i = 0; fatbin->cubin && i < module->ptx->function_count; i++) {
        sim_function *f = &module->functions[i];
        sim_cubin_kernel usage;
        if (f->is_entry && sim_cubin_find(fatbin->cubin, fatbin->cubin_bytes, f->name, &usage)) {
            f->registers = usage.registers;
            f->spill_bytes = usage.frame_bytes > f->local_bytes ? usage.frame_bytes - f->local_bytes : 0;
        }
    }
}

static CUresult module_make(CUmodule *handle, sim_module *inner)
{
    uint32_t count = inner->ptx->function_count;
    CUmodule module = calloc(1, sizeof *module);
    CUfunction functions = calloc(count + 1, sizeof *functions);
    if (!module || !functions) {
        free(module);
        free(functions);
        sim_module_free(inner);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        functions[i] = (struct CUfunc_st){module, &inner->functions[i], 0, CU_SHAREDMEM_CARVEOUT_DEFAULT};
    }
    *module = (struct CUmod_st){sim_context(), inner, functions};
    inner->owner = module;
    sim_handle_add(module, SIM_MODULE);
    *handle = module;
    return CUDA_SUCCESS;
}

CUresult sim_module_open(CUmodule *module, const void *image, char *log, size_t log_bytes)
{
    sim_fatbin fatbin;
    if (!sim_fatbin_read(image, SIZE_MAX, 10 * sim_device->major + sim_device->minor, &fatbin, log,
                         log_bytes)) {
        return sim_refuse(strstr(log, "PTX") ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_ERROR_INVALID_IMAGE,
                          "module: %s", log);
    }
    ptx_module *ptx = ptx_parse(fatbin.ptx, fatbin.ptx_bytes, log, log_bytes);
    if (!ptx) {
        return sim_refuse(CUDA_ERROR_INVALID_PTX, "module: %s", log);
    }
    sim_module *inner = sim_module_lower(ptx, log, log_bytes);
    if (!inner) {
        return sim_refuse(CUDA_ERROR_INVALID_PTX, "module: %s", log);
    }
    add_usage(inner, &fatbin);
    return module_make(module, inner);
}

void sim_module_close(CUmodule module)
{
    sim_handle_remove(module);
    sim_module_free(module->module);
    free(module->functions);
    free(module);
}

/* ---- loading ---- */

/* The program's buffers for the compiler's words, if it gave some. */
static void give_log(const char *log, unsigned count, const CUjit_option *options, void **values)
{
    char *buffer = NULL;
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER) {
            buffer = values[i];
        } else if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) {
            size = (size_t)(uintptr_t)values[i];
        }
    }
    if (buffer && size) {
        snprintf(buffer, size, "%s", log);
    }
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, CUjit_option *options,
                            void **values)
{
    SIM_ENTER_CONTEXT();
    char log[LOG_BYTES] = "";
    if (!module || !image || (count && (!options || !values))) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult error = sim_module_open(module, image, log, sizeof log);
    give_log(log, count, options, values);
    return error;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

CUresult cuModuleLoadFatBinary(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

/* The whole file with a NUL behind it, or NULL. */
static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    long size = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    char *bytes = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (bytes && (fseek(f, 0, SEEK_SET) || fread(bytes, 1, (size_t)size, f) != (size_t)size)) {
        free(bytes);
        bytes = NULL;
    }
    if (f) {
        fclose(f);
    }
    if (bytes) {
        bytes[size] = '\0';
    }
    return bytes;
}

CUresult cuModuleLoad(CUmodule *module, const char *path)
{
    SIM_ENTER_CONTEXT();
    if (!module || !path) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    char *bytes = read_file(path), log[LOG_BYTES] = "";
    if (!bytes) {
        return CUDA_ERROR_FILE_NOT_FOUND;
    }
    CUresult error =
        sim_module_open(module, bytes, log, sizeof log); /* the tree owns copies of its strings */
    free(bytes);
    return error;
}

CUresult cuModuleUnload(CUmodule module)
{
    SIM_ENTER_CONTEXT();
    if (!sim_handle_is(module, SIM_MODULE)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    CUresult error = sim_wait_context(module->context); /* its kernels may be queued */
    sim_module_close(module);
    return error;
}

/* ---- what is in it ---- */

bool sim_function_is(CUfunction function)
{
    CUmodule module;
    for (size_t n = 0; (module = sim_handle_nth(SIM_MODULE, n)); n++) {
        if (function >= module->functions &&
            function < module->functions + module->module->ptx->function_count) {
            return true;
        }
    }
    return false;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    SIM_ENTER_CONTEXT();
    if (!function || !name) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_handle_is(module, SIM_MODULE)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    for (uint32_t i = 0; i < module->module->ptx->function_count; i++) {
        const sim_function *f = module->functions[i].function;
        if (f->is_entry && strcmp(f->name, name) == 0) {
            *function = &module->functions[i];
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetFunctionCount(unsigned *count, CUmodule module)
{
    SIM_ENTER_CONTEXT();
    if (!count || !sim_handle_is(module, SIM_MODULE)) {
        return count ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    *count = 0;
    for (uint32_t i = 0; i < module->module->ptx->function_count; i++) {
        *count += module->functions[i].function->is_entry;
    }
    return CUDA_SUCCESS;
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned count, CUmodule module)
{
    SIM_ENTER_CONTEXT();
    if (!functions || !sim_handle_is(module, SIM_MODULE)) {
        return functions ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    for (uint32_t i = 0, n = 0; i < module->module->ptx->function_count && n < count; i++) {
        if (module->functions[i].function->is_entry) {
            functions[n++] = &module->functions[i];
        }
    }
    return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal(CUdeviceptr *address, size_t *bytes, CUmodule module, const char *name)
{
    SIM_ENTER_CONTEXT();
    if (!name || (!address && !bytes)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_handle_is(module, SIM_MODULE)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    const sim_symbol *symbol = sim_module_symbol(module->module, name);
    if (!symbol || symbol->variable->space == PTX_SHARED) {
        return CUDA_ERROR_NOT_FOUND;
    }
    if (address) {
        *address = symbol->address;
    }
    if (bytes) {
        *bytes = symbol->variable->bytes;
    }
    return CUDA_SUCCESS;
}

/* ---- libraries ---- */

CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *options, void **values,
                           unsigned count, CUlibraryOption *library_options, void **library_values,
                           unsigned library_count)
{
    SIM_ENTER_CONTEXT();
    (void)library_options;
    (void)library_values;
    (void)library_count; /* hints: lazy binding, a binary that outlives the library */
    if (!library || !code) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUlibrary made = calloc(1, sizeof *made);
    CUresult error =
        made ? cuModuleLoadDataEx(&made->module, code, count, options, values) : CUDA_ERROR_OUT_OF_MEMORY;
    if (error) {
        free(made);
        return error;
    }
    sim_handle_add(made, SIM_LIBRARY);
    *library = made;
    return CUDA_SUCCESS;
}

CUresult cuLibraryUnload(CUlibrary library)
{
    SIM_ENTER_CONTEXT();
    if (!sim_handle_is(library, SIM_LIBRARY)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    CUresult error = cuModuleUnload(library->module);
    sim_handle_remove(library);
    free(library);
    return error;
}

CUresult cuLibraryGetModule(CUmodule *module, CUlibrary library)
{
    SIM_ENTER_CONTEXT();
    if (!module || !sim_handle_is(library, SIM_LIBRARY)) {
        return module ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    *module = library->module;
    return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name)
{
    SIM_ENTER_CONTEXT();
    if (!kernel || !sim_handle_is(library, SIM_LIBRARY)) {
        return kernel ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    return cuModuleGetFunction((CUfunction *)kernel, library->module, name);
}

CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
    SIM_ENTER_CONTEXT();
    if (!sim_handle_is(library, SIM_LIBRARY)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    return cuModuleGetGlobal(address, bytes, library->module, name);
}

/* A kernel and its function are one pointer here. */
CUresult cuKernelGetFunction(CUfunction *function, CUkernel kernel)
{
    SIM_ENTER_CONTEXT();
    if (!function || !sim_function_is((CUfunction)kernel)) {
        return function ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    }
    *function = (CUfunction)kernel;
    return CUDA_SUCCESS;
}

CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel kernel, CUdevice device)
{
    (void)device;
    return cuFuncGetAttribute(value, attribute, (CUfunction)kernel);
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device)
{
    (void)device;
    return cuFuncSetAttribute((CUfunction)kernel, attribute, value);
}
