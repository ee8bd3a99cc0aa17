/*
 * Stream capture and graphs. A graph is the list of work that streams were given while they captured, with
 * what each piece waits for; an executable graph is a copy of it in an order that obeys that, and launching
 * it puts all of it into one stream. So branches of a graph run one after another here, and races between
 * them are not seen.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/driver/graph.h"

static __thread CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

/* ---- capture ---- */

bool sim_capturing(void)
{
    if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED) {
        return false;
    }
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        if (sim_streams[n] && sim_streams[n]->capture &&
            sim_streams[n]->capture_mode != CU_STREAM_CAPTURE_MODE_RELAXED) {
            return true;
        }
    }
    return false;
}

void sim_capture_break(void)
{
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        if (sim_streams[n] && sim_streams[n]->capture) {
            sim_streams[n]->capture_broken = true;
        }
    }
}

CUgraph sim_graph_open(void)
{
    static unsigned long long made;
    CUgraph graph = calloc(1, sizeof *graph);
    if (graph) {
        graph->id = ++made;
        sim_handle_add(graph, SIM_GRAPH);
    }
    return graph;
}

static void node_free(CUgraphNode node)
{
    sim_work_drop(&node->work);
    free(node->deps);
    free(node);
}

static void graph_close(CUgraph graph)
{
    sim_handle_remove(graph);
    for (size_t i = 0; i < graph->count; i++) {
        node_free(graph->nodes[i]);
    }
    free(graph->nodes);
    free(graph);
}

static bool reserve(CUgraph graph)
{
    if (graph->count == graph->capacity) {
        size_t capacity = 2 * graph->capacity + 16;
        CUgraphNode *grown = realloc(graph->nodes, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        graph->nodes = grown;
        graph->capacity = capacity;
    }
    return true;
}

CUresult sim_graph_add(CUgraph graph, sim_work *work, CUgraphNode *deps, size_t count, CUgraphNode *node)
{
    *node = deps && reserve(graph) ? calloc(1, sizeof **node) : NULL;
    if (!*node) {
        free(deps);
        sim_work_drop(work);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    **node = (struct CUgraphNode_st){graph, *work, deps, count, graph->count, false};
    graph->nodes[graph->count++] = *node;
    return CUDA_SUCCESS;
}

/* The new node waits for what the stream stood at, and is what it stands at now. */
CUresult sim_capture_add(CUstream stream, sim_work *work)
{
    if (stream->capture_broken) {
        sim_work_drop(work);
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    }
    if (!stream->capture_deps) {
        stream->capture_deps = malloc(sizeof *stream->capture_deps);
    }
    CUgraphNode *deps = malloc((stream->capture_dep_count + 1) * sizeof *deps), node;
    if (!stream->capture_deps || !deps) {
        free(deps);
        sim_work_drop(work);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memcpy(deps, stream->capture_deps, stream->capture_dep_count * sizeof *deps);
    CUresult error = sim_graph_add(stream->capture, work, deps, stream->capture_dep_count, &node);
    if (!error) {
        stream->capture_deps[0] = node;
        stream->capture_dep_count = 1;
    }
    return error;
}

CUresult cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (stream->is_legacy) {
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    if (stream->capture) {
        return CUDA_ERROR_ILLEGAL_STATE;
    }
    stream->capture = sim_graph_open();
    stream->capture_mode = mode;
    stream->capture_origin = true;
    stream->capture_broken = false;
    stream->capture_dep_count = 0;
    return stream->capture ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* Marks a node and all that it waits for, directly or not. Nodes come behind what they wait for. */
static void mark_ancestors(CUgraph graph, const CUgraphNode *from, size_t count)
{
    for (size_t i = 0; i < graph->count; i++) {
        graph->nodes[i]->marked = false;
    }
    for (size_t i = 0; i < count; i++) {
        from[i]->marked = true;
    }
    for (size_t i = graph->count; i-- > 0;) {
        for (size_t d = 0; graph->nodes[i]->marked && d < graph->nodes[i]->dep_count; d++) {
            graph->nodes[i]->deps[d]->marked = true;
        }
    }
}

/* Every node must have been joined into the stream in which the capture began. */
static bool all_joined(CUstream origin)
{
    CUgraph graph = origin->capture;
    mark_ancestors(graph, origin->capture_deps, origin->capture_dep_count);
    for (size_t i = 0; i < graph->count; i++) {
        if (!graph->nodes[i]->marked) {
            return false;
        }
    }
    return true;
}

/* Streams and events that took part are free again. */
static void leave_capture(CUgraph graph)
{
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        if (sim_streams[n] && sim_streams[n]->capture == graph) {
            sim_streams[n]->capture = NULL;
            sim_streams[n]->capture_origin = sim_streams[n]->capture_broken = false;
            sim_streams[n]->capture_dep_count = 0;
        }
    }
    CUevent event;
    for (size_t n = 0; (event = sim_handle_nth(SIM_EVENT, n)); n++) {
        if (event->capture == graph) {
            event->capture = NULL;
            event->capture_dep_count = 0;
        }
    }
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream || !graph) {
        return stream ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    }
    *graph = NULL;
    if (!stream->capture) {
        return CUDA_ERROR_ILLEGAL_STATE;
    }
    if (!stream->capture_origin) {
        return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    }
    CUgraph captured = stream->capture;
    CUresult error = stream->capture_broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                     : !all_joined(stream)  ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
                                            : CUDA_SUCCESS;
    leave_capture(captured);
    if (error) {
        graph_close(captured);
    } else {
        *graph = captured;
    }
    return error;
}

static CUstreamCaptureStatus status_of(CUstream stream)
{
    return !stream->capture         ? CU_STREAM_CAPTURE_STATUS_NONE
           : stream->capture_broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                    : CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream || !status) {
        return stream ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    }
    *status = status_of(stream);
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult cuStreamGetCaptureInfo_v2(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id,
                                              CUgraph *graph, const CUgraphNode **deps, size_t *count);
CUresult cuStreamGetCaptureInfo_v2(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id,
                                   CUgraph *graph, const CUgraphNode **deps, size_t *count)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream || !status) {
        return stream ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    }
    *status = status_of(stream);
    if (*status != CU_STREAM_CAPTURE_STATUS_ACTIVE) {
        return CUDA_SUCCESS;
    }
    if (id) {
        *id = (uint64_t)(uintptr_t)stream->capture;
    }
    if (graph) {
        *graph = stream->capture;
    }
    if (deps) {
        *deps = stream->capture_deps;
    }
    if (count) {
        *count = stream->capture_dep_count;
    }
    return CUDA_SUCCESS;
}

/* Edges have no data here. */
CUresult cuStreamGetCaptureInfo(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id,
                                CUgraph *graph, const CUgraphNode **deps, const CUgraphEdgeData **edges,
                                size_t *count)
{
    if (edges) {
        *edges = NULL;
    }
    return cuStreamGetCaptureInfo_v2(handle, status, id, graph, deps, count);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    SIM_ENTER();
    if (!mode || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUstreamCaptureMode old = thread_mode;
    thread_mode = *mode;
    *mode = old;
    return CUDA_SUCCESS;
}

/* ---- graphs ---- */

CUresult cuGraphDestroy(CUgraph graph)
{
    SIM_ENTER();
    if (!sim_handle_is(graph, SIM_GRAPH)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    graph_close(graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
    SIM_ENTER();
    if (!count || !sim_handle_is(graph, SIM_GRAPH)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    for (size_t i = 0; nodes && i < *count; i++) {
        nodes[i] = i < graph->count ? graph->nodes[i] : NULL;
    }
    *count = nodes && *count < graph->count ? *count : graph->count;
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType *type)
{
    SIM_ENTER();
    if (!node || !type) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    switch (node->work.kind) {
    case SIM_WORK_KERNEL: *type = CU_GRAPH_NODE_TYPE_KERNEL; break;
    case SIM_WORK_COPY: *type = CU_GRAPH_NODE_TYPE_MEMCPY; break;
    case SIM_WORK_SET: *type = CU_GRAPH_NODE_TYPE_MEMSET; break;
    case SIM_WORK_HOST: *type = CU_GRAPH_NODE_TYPE_HOST; break;
    default: *type = CU_GRAPH_NODE_TYPE_EMPTY;
    }
    return CUDA_SUCCESS;
}

/* ---- executable graphs ---- */

CUresult sim_graph_inject(void)
{
    static uint64_t calls;
    return ++calls == sim_options.fail_graph ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

static void exec_free(CUgraphExec exec)
{
    for (size_t i = 0; i < exec->count; i++) {
        sim_work_drop(&exec->works[i]);
    }
    free(exec->works);
    free(exec);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *handle, CUgraph graph, unsigned long long flags)
{
    SIM_ENTER_CONTEXT();
    const unsigned long long known = CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH |
                                     CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
                                     CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;
    if (!handle || !sim_handle_is(graph, SIM_GRAPH) || flags & ~known) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult error = sim_graph_inject();
    if (error) {
        return error;
    }
    CUgraphExec exec = calloc(1, sizeof *exec);
    sim_work *works = malloc((graph->count + 1) * sizeof *works);
    if (!exec || !works) {
        free(exec);
        free(works);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *exec = (struct CUgraphExec_st){works, 0, graph->id, flags};
    for (size_t i = 0; i < graph->count; i++) {
        if (!sim_work_clone(&works[i], &graph->nodes[i]->work)) {
            exec_free(exec);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        exec->count++;
    }
    sim_handle_add(exec, SIM_EXEC);
    *handle = exec;
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *handle, CUgraph graph,
                                      CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    if (!params) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    return cuGraphInstantiateWithFlags(handle, graph, params->flags);
}

CUresult cuGraphExecGetFlags(CUgraphExec exec, cuuint64_t *flags)
{
    SIM_ENTER();
    if (!flags || !sim_handle_is(exec, SIM_EXEC)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *flags = exec->flags;
    return CUDA_SUCCESS;
}

CUresult cuGraphUpload(CUgraphExec exec, CUstream handle)
{
    SIM_ENTER_CONTEXT();
    return sim_handle_is(exec, SIM_EXEC) && sim_stream(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream handle)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream || !sim_handle_is(exec, SIM_EXEC)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (stream->capture) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "cuGraphLaunch in a capture is not simulated");
    }
    CUresult injected = sim_graph_inject();
    for (size_t i = 0; i < exec->count && !injected; i++) {
        if (exec->works[i].kind == SIM_WORK_KERNEL) {
            injected = sim_launch_inject(&exec->works[i].kernel.traps);
        }
    }
    if (injected) {
        return injected; /* nothing of it has been queued */
    }
    for (size_t i = 0; i < exec->count; i++) {
        sim_work work;
        if (!sim_work_clone(&work, &exec->works[i])) {
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        CUresult error = sim_enqueue(stream, &work);
        if (error) {
            return error;
        }
    }
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec exec)
{
    SIM_ENTER();
    if (!sim_handle_is(exec, SIM_EXEC)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    sim_handle_remove(exec);
    exec_free(exec);
    return CUDA_SUCCESS;
}
