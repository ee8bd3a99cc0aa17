/*
 * Launches of one stream that come again and again, as graphs of the driver.
 *
 *   begin -> [ add: a launch is written down ] -> end -> launched as a graph, if such a group came before
 *                                                     -> or by the caller, one by one
 *
 * A graph is a chain of kernels. Whoever comes with the same kernels again changes the arguments that differ
 * and launches the whole at once. The first time, launches are only remembered by their kind; the second time
 * the graph is made; so what never comes again costs next to nothing. Where the driver cannot make, change or
 * launch one, for lack of memory or any other reason that is not an earlier fault's, there are no graphs any
 * more: they are never why a run fails.
 */
#ifndef SA_DEVICE_CUDA_GRAPH_H
#define SA_DEVICE_CUDA_GRAPH_H

#include "runtime/device/cuda_device.h"

typedef struct sa_cuda_graphs sa_cuda_graphs;

sa_cuda_graphs *sa_cuda_graphs_open(void); /* NULL: no memory */
void sa_cuda_graphs_close(sa_cuda_graphs *graphs, const sa_cuda_driver *driver);

void sa_cuda_graphs_begin(sa_cuda_graphs *graphs);
bool sa_cuda_graphs_has_begun(const sa_cuda_graphs *graphs); /* and not ended */
/* False: there is no room for more; nothing was written down. */
bool sa_cuda_graphs_add(sa_cuda_graphs *graphs, const sa_cuda_launch_args *launch);
/* What was written down; it stays until the group is launched, or the next one begins. */
const sa_cuda_launch_args *sa_cuda_graphs_end(sa_cuda_graphs *graphs, size_t *count);
/*
 * The group that was ended, as a graph: *code is what the driver said to it. False: it has to be launched one
 * by one.
 */
bool sa_cuda_graphs_launch(sa_cuda_graphs *graphs, const sa_cuda_device *device, sa_cuda_handle stream,
                           int *code);

#endif
