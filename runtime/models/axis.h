/* One axis of a picture's resize by the device: its table, made on the host and sent there. */
#ifndef SA_MODELS_AXIS_H
#define SA_MODELS_AXIS_H

#include "kernels/kernels.h"
#include "runtime/device/device.h"
#include "runtime/image/resize.h"

/* Of `in` pixels that become `whole` ones, the `count` from `first` on. */
typedef struct {
    sa_resize_filter filter;
    size_t in, whole, first, count;
} sa_axis;

size_t sa_axis_values(const sa_axis *axis); /* of its table */
/*
 * What the op image_resize wants; no table where the axis stays as it is. Ops that were queued before may
 * still read `device`; `host` stays until the stream is waited for.
 */
sa_resize_axis sa_axis_send(const sa_axis *axis, sa_stream *stream, int32_t *host, int32_t *device);

#endif
