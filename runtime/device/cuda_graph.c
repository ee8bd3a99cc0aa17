#ifdef SEGAGENT_CUDA

#include "runtime/device/cuda_graph.h"

#include <stdlib.h>
#include <string.h>

/*
 * Kinds of groups that a stream keeps, some 2 KB a kernel for the driver each; and the kernels of a decoder
 * of 80 layers, whose attention has up to 4 KB of arguments. What is longer is no graph.
 */
enum { MOST_GRAPHS = 32, MOST_LAUNCHES = 1024, MOST_BYTES = 1 << 20, ARGS_ALIGN = 16 };

/* Launches in their order, with copies of their arguments. */
typedef struct {
    size_t count, used;
    sa_cuda_launch_args launch[MOST_LAUNCHES];
    _Alignas(ARGS_ALIGN) unsigned char bytes[MOST_BYTES];
} group;

typedef struct {
    uint64_t kind, used; /* kind: hash over the kernels; used: when last; 0: a free place */
    group *last;         /* as the graph has them; without a graph, nothing */
    sa_cuda_handle graph, exec, node[MOST_LAUNCHES];
} cached;

/* Taken whole at open; the system gives pages only to what is used of it. */
struct sa_cuda_graphs {
    bool begun, given_up;
    uint64_t clock;
    group *now;
    cached known[MOST_GRAPHS];
    group groups[MOST_GRAPHS + 1];
};

sa_cuda_graphs *sa_cuda_graphs_open(void)
{
    sa_cuda_graphs *graphs = calloc(1, sizeof *graphs);
    if (graphs != NULL) {
        graphs->now = &graphs->groups[MOST_GRAPHS];
        for (size_t i = 0; i < MOST_GRAPHS; i++) {
            graphs->known[i].last = &graphs->groups[i];
        }
    }
    return graphs;
}

/* ---- groups ---- */

void sa_cuda_graphs_begin(sa_cuda_graphs *graphs)
{
    SA_ASSERT(!graphs->begun);
    graphs->begun = true;
    graphs->now->count = graphs->now->used = 0;
}

bool sa_cuda_graphs_has_begun(const sa_cuda_graphs *graphs)
{
    return graphs->begun;
}

bool sa_cuda_graphs_add(sa_cuda_graphs *graphs, const sa_cuda_launch_args *launch)
{
    group *g = graphs->now;
    size_t bytes = (launch->args_bytes + ARGS_ALIGN - 1) / ARGS_ALIGN * ARGS_ALIGN;
    SA_ASSERT(graphs->begun);
    if (g->count == MOST_LAUNCHES || bytes > MOST_BYTES - g->used) {
        return false;
    }
    memcpy(g->bytes + g->used, launch->args, launch->args_bytes);
    g->launch[g->count] = *launch;
    g->launch[g->count++].args = g->bytes + g->used;
    g->used += bytes;
    return true;
}

const sa_cuda_launch_args *sa_cuda_graphs_end(sa_cuda_graphs *graphs, size_t *count)
{
    graphs->begun = false;
    *count = graphs->now->count;
    return graphs->now->launch;
}

static bool same_dim(sa_cuda_dim a, sa_cuda_dim b)
{
    return a.x == b.x && a.y == b.y && a.z == b.z;
}

/* What a graph cannot change. */
static bool same_kinds(const group *a, const group *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = a->launch[i].kernel == b->launch[i].kernel && same_dim(a->launch[i].block, b->launch[i].block);
    }
    return same;
}

static uint64_t kind_of(const group *g)
{
    uint64_t hash = g->count;
    for (size_t i = 0; i < g->count; i++) {
        const sa_cuda_launch_args *l = &g->launch[i];
        hash = (hash ^ l->kernel) * 0x9E3779B97F4A7C15u;
        hash = (hash ^ l->block.x ^ (uint64_t)l->block.y << 16 ^ (uint64_t)l->block.z << 32) *
               0x9E3779B97F4A7C15u;
    }
    return hash;
}

/* ---- the driver's graphs ---- */

/* The place is free again. */
static void forget(cached *c, const sa_cuda_driver *driver)
{
    if (c->exec != NULL) {
        driver->graph_exec_destroy(c->exec);
    }
    if (c->graph != NULL) {
        driver->graph_destroy(c->graph);
    }
    c->graph = c->exec = NULL;
    c->used = 0;
}

static void forget_all(sa_cuda_graphs *graphs, const sa_cuda_driver *driver)
{
    for (size_t i = 0; i < MOST_GRAPHS; i++) {
        forget(&graphs->known[i], driver);
    }
}

void sa_cuda_graphs_close(sa_cuda_graphs *graphs, const sa_cuda_driver *driver)
{
    if (graphs != NULL) {
        forget_all(graphs, driver);
    }
    free(graphs);
}

/* `parameters` has room for the one pointer, and is read by the driver at once. */
static sa_cuda_node node_of(const sa_cuda_device *device, const sa_cuda_launch_args *l, void **parameters)
{
    parameters[0] = (void *)(uintptr_t)l->args;
    return (sa_cuda_node){.function = device->kernels[l->kernel],
                          .grid = {l->grid.x, l->grid.y, l->grid.z},
                          .block = {l->block.x, l->block.y, l->block.z},
                          .shared = sa_cuda_kernel_shared(l->kernel),
                          .parameters = parameters};
}

/* A chain: each kernel after the one before it. */
static int add_nodes(cached *c, const group *g, const sa_cuda_device *device)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < g->count; i++) {
        void *parameters[1];
        sa_cuda_node node = node_of(device, &g->launch[i], parameters);
        code = device->driver.graph_add(&c->node[i], c->graph, i > 0 ? &c->node[i - 1] : NULL, i > 0, &node);
    }
    return code;
}

static int make_graph(cached *c, const group *g, const sa_cuda_device *device)
{
    int code = device->driver.graph_create(&c->graph, 0);
    code = code != 0 ? code : add_nodes(c, g, device);
    return code != 0 ? code : device->driver.graph_instantiate(&c->exec, c->graph, 0);
}

/* Padding may differ, too: then arguments are changed that are the same. */
static bool is_changed(const sa_cuda_launch_args *had, const sa_cuda_launch_args *now)
{
    return !same_dim(had->grid, now->grid) || memcmp(had->args, now->args, now->args_bytes) != 0;
}

static int change_graph(const cached *c, const group *g, const sa_cuda_device *device)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < g->count; i++) {
        if (is_changed(&c->last->launch[i], &g->launch[i])) {
            void *parameters[1];
            sa_cuda_node node = node_of(device, &g->launch[i], parameters);
            code = device->driver.graph_change(c->exec, c->node[i], &node);
        }
    }
    return code;
}

/* ---- which one ---- */

/* Is it better to give up a than b? What has no graph yet first, then what was used longest ago. */
static bool is_less(const cached *a, const cached *b)
{
    bool made_a = a->exec != NULL, made_b = b->exec != NULL;
    return made_a != made_b ? made_b : a->used < b->used;
}

/* The one that was made of this kind, or else a place for it. */
static cached *find(sa_cuda_graphs *graphs, uint64_t kind, bool *known)
{
    cached *least = &graphs->known[0];
    for (size_t i = 0; i < MOST_GRAPHS; i++) {
        cached *c = &graphs->known[i];
        *known = c->used != 0 && c->kind == kind;
        if (*known) {
            return c;
        }
        least = is_less(c, least) ? c : least;
    }
    return least;
}

/* Made, or changed if it is there, and launched. 0, or what the driver said; then nothing was launched. */
static int launch_graph(sa_cuda_graphs *graphs, cached *c, const sa_cuda_device *device,
                        sa_cuda_handle stream)
{
    group *now = graphs->now;
    int code = c->exec == NULL ? make_graph(c, now, device) : change_graph(c, now, device);
    code = code != 0 ? code : device->driver.graph_launch(c->exec, stream);
    if (code == 0) {
        graphs->now = c->last;
        c->last = now;
    }
    return code;
}

bool sa_cuda_graphs_launch(sa_cuda_graphs *graphs, const sa_cuda_device *device, sa_cuda_handle stream,
                           int *code)
{
    bool known;
    SA_ASSERT(!graphs->begun);
    if (graphs->now->count == 0 || graphs->given_up) {
        return false;
    }
    uint64_t kind = kind_of(graphs->now);
    cached *c = find(graphs, kind, &known);
    if (!known) {
        forget(c, &device->driver);
        c->kind = kind;
    }
    c->used = ++graphs->clock;
    bool other = c->exec != NULL && !same_kinds(c->last, graphs->now); /* with the same hash */
    if (!known || other) {
        return false;
    }
    *code = launch_graph(graphs, c, device, stream);
    if (*code != 0 && !sa_cuda_is_late(*code)) {
        graphs->given_up = true;
        forget_all(graphs, &device->driver); /* others may be what there is no memory for */
        return false;
    }
    return true;
}

#else

typedef int sa_cuda_graphs_are_not_compiled; /* ISO C wants something in every file */

#endif
