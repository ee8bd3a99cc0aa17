/*
 * What stands between device.h and the backends: one table of functions per backend, and the beginning that
 * their handles have in common.
 *
 *   device.h -> device.c (picks a backend by name, then dispatches) -> device_cpu.c | device_cuda.c
 */
#ifndef SA_DEVICE_BACKEND_H
#define SA_DEVICE_BACKEND_H

#include "kernels/stream.h"
#include "runtime/device/device.h"

/* The functions of device.h, each for one backend; `device` and `stream` are the backend's own. */
typedef struct {
    void (*close)(sa_device *);
    const sa_ops *(*ops)(const sa_device *);
    bool (*has_fast_bf16)(const sa_device *);
    bool has_f16;
    size_t (*items_at_once)(const sa_device *);
    bool reads_host;
    bool (*overlaps)(const sa_device *);                                     /* NULL: never */
    bool computes_nothing;                                                   /* the null device */
    bool (*peak)(const sa_device *, sa_dtype, double *flops, double *bytes); /* may be NULL */
    void (*profile_start)(sa_device *);                                      /* these two together */
    size_t (*profile_end)(sa_device *, sa_kernel_profile rows[SA_MOST_PROFILED]);

    sa_status (*alloc)(sa_device *, size_t bytes, const char *what, void **memory, sa_error *);
    void (*free)(sa_device *, void *memory);

    sa_status (*stream_open)(sa_stream **, sa_device *, sa_error *);
    void (*stream_close)(sa_stream *);
    sa_status (*stream_wait)(sa_stream *, sa_error *);
    void (*upload)(sa_stream *, void *device_to, const void *host_from, size_t bytes);
    void (*download)(sa_stream *, void *host_to, const void *device_from, size_t bytes);
    void (*copy)(sa_stream *, void *device_to, const void *device_from, size_t bytes);
    void (*group_begin)(sa_stream *); /* these two together, or NULL */
    void (*group_end)(sa_stream *);
} sa_backend;

/* What the null device says to everything. */
typedef struct {
    int32_t *tokens; /* [count] */
    bool *varies;    /* [count] */
    int32_t *others; /* [other_count] */
    size_t count, other_count;
} sa_null_answer;

/* The first member of every backend's device. */
struct sa_device {
    const sa_backend *backend;
    sa_pool *pool;
    char name[16]; /* "cpu", "cuda:0" */
    char note[384];
    size_t allocated, allocations; /* bytes now, calls ever: kept by the backends' alloc and free */
    sa_cost_model costs;           /* of the null device */
    sa_device_work work;
    sa_null_answer answer;
};

/*
 * All fill everything but the pool, which device.c opens and closes. `options->name` is checked by device.c;
 * `ordinal` is the i of "cuda:i".
 */
sa_status sa_device_cpu_open(sa_device **device, const sa_device_options *options, sa_error *err);
sa_status sa_device_cuda_open(sa_device **device, const sa_device_options *options, int ordinal,
                              sa_error *err);
sa_status sa_device_null_open(sa_device **device, sa_error *err);

#endif
