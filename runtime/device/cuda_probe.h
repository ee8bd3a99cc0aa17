/*
 * Is there an NVIDIA GPU? Asks the driver's library (libcuda.so.1, opened at run time; nothing is linked) for
 * its version and its devices. The questions are put in a child process, so that a broken driver can hang or
 * crash that child but never the program.
 */
#ifndef SA_DEVICE_CUDA_PROBE_H
#define SA_DEVICE_CUDA_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#define SA_CUDA_PROBE_MOST_DEVICES 16

typedef struct {
    char name[128];
    int major, minor; /* compute capability */
    int multiprocessors;
    size_t memory_bytes, free_bytes;
    bool free_known;   /* a context could be made to ask in */
    bool machine_code; /* the embedded kernels have some for it; otherwise the driver compiles their PTX */
} sa_cuda_probe_device;

typedef struct {
    bool compiled;      /* this build has CUDA kernels (CMake option SEGAGENT_CUDA, and nvcc) */
    bool usable;        /* the driver answered and has a device */
    char reason[256];   /* why it is not usable; "" if it is */
    int toolkit;        /* of the embedded kernels: 13000 is CUDA 13.0; 0 if there are none */
    char archs[64];     /* "80 90a": what they have machine code for */
    int driver_version; /* 12040 is CUDA 12.4; 0 if not known */
    /* of the libraries that --numerics fast may take: 130002 is 13.0.2; 0 if not found. Asked only if usable.
     */
    size_t cublaslt, cudnn;
    int device_count; /* all of them, also those past the list's end */
    sa_cuda_probe_device devices[SA_CUDA_PROBE_MOST_DEVICES];
} sa_cuda_probe;

/* Fills *probe; takes at most about 30 seconds. Call it while the program has one thread. */
void sa_cuda_probe_run(sa_cuda_probe *probe);

#endif
