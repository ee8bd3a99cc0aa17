/* What graphs are made of: graph.c (capture, launching), graph_kernels.c (made and changed by hand). */
#ifndef GPUSIM_DRIVER_GRAPH_H
#define GPUSIM_DRIVER_GRAPH_H

#include "tests/gpusim/driver/driver.h"

struct CUgraphNode_st {
    CUgraph graph;
    sim_work work;
    CUgraphNode *deps;
    size_t dep_count, index; /* in its graph, whose id it keeps */
    bool marked;             /* while ancestors are looked for */
};

struct CUgraph_st {
    CUgraphNode *nodes; /* what a node waits for stands in front of it */
    size_t count, capacity;
    unsigned long long id; /* of no other graph, ever */
};

struct CUgraphExec_st {
    sim_work *works; /* as the graph's nodes */
    size_t count;
    unsigned long long graph; /* id of what it was made of */
    unsigned long long flags;
};

CUresult sim_graph_inject(void); /* GPUSIM_FAIL_GRAPH */
CUgraph sim_graph_open(void);    /* NULL: no memory */
/* Takes the work and the list over, and drops them if there is no memory. *node: the new one, or NULL. */
CUresult sim_graph_add(CUgraph graph, sim_work *work, CUgraphNode *deps, size_t count, CUgraphNode *node);

#endif
