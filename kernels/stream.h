/*
 * What every backend's stream begins with: the ops of the CPU need no more than this; the CUDA backend's
 * stream (runtime/device/device_cuda.c) goes on behind it.
 */
#ifndef SA_KERNELS_STREAM_H
#define SA_KERNELS_STREAM_H

#include "kernels/kernels.h"
#include "runtime/base/pool.h"

struct sa_device;

struct sa_stream {
    struct sa_device *device;
    sa_pool *pool; /* the host's threads: what the CPU backend computes with */
};

#endif
