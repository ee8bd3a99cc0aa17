/* Graphs made by hand, of kernels, and kernels of executable graphs that get other arguments. */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/driver/graph.h"

CUresult cuGraphCreate(CUgraph *graph, unsigned flags)
{
    SIM_ENTER_CONTEXT();
    if (!graph || flags) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult error = sim_graph_inject();
    if (error) {
        return error;
    }
    *graph = sim_graph_open();
    return *graph ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static bool is_node(CUgraph graph, CUgraphNode node)
{
    for (size_t i = 0; i < graph->count; i++) {
        if (graph->nodes[i] == node) {
            return true;
        }
    }
    return false;
}

static CUresult work_of(sim_work *work, const CUDA_KERNEL_NODE_PARAMS *p)
{
    const uint32_t grid[3] = {p->gridDimX, p->gridDimY, p->gridDimZ};
    const uint32_t block[3] = {p->blockDimX, p->blockDimY, p->blockDimZ};
    if (!p->func && p->kern) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "a graph's kernel by its CUkernel is not simulated");
    }
    return sim_kernel_work(work, p->func, grid, block, p->sharedMemBytes, p->kernelParams, p->extra);
}

CUresult cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *after, size_t count,
                              const CUDA_KERNEL_NODE_PARAMS *params)
{
    SIM_ENTER_CONTEXT();
    if (!node || !params || !sim_handle_is(graph, SIM_GRAPH) || (count && !after)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_node(graph, after[i])) {
            return CUDA_ERROR_INVALID_VALUE;
        }
    }
    sim_work work;
    CUresult error = sim_graph_inject();
    error = error ? error : work_of(&work, params);
    if (error) {
        return error;
    }
    CUgraphNode *deps = malloc((count + 1) * sizeof *deps);
    if (deps && count) {
        memcpy(deps, after, count * sizeof *deps);
    }
    return sim_graph_add(graph, &work, deps, count, node);
}

/* The node is looked up in its graph, which must still be there, as the driver asks. */
CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS *params)
{
    SIM_ENTER_CONTEXT();
    CUgraph graph;
    if (!params || !sim_handle_is(exec, SIM_EXEC)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    for (size_t n = 0; (graph = sim_handle_nth(SIM_GRAPH, n)); n++) {
        if (graph->id == exec->graph) {
            break;
        }
    }
    if (!graph || !is_node(graph, node)) {
        return sim_refuse(CUDA_ERROR_INVALID_VALUE,
                          "cuGraphExecKernelNodeSetParams: no node of the graph that was instantiated, or "
                          "that graph is destroyed");
    }
    sim_work work, *had = &exec->works[node->index];
    if (node->index >= exec->count || had->kind != SIM_WORK_KERNEL) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult error = sim_graph_inject();
    error = error ? error : work_of(&work, params);
    if (!error) {
        sim_work_drop(had);
        *had = work;
    }
    return error;
}
