/* One axis of a resize by the device, whole or cut: the table for the op image_resize, made on the host. */
#ifndef SA_MODELS_RESIZE_WINDOW_H
#define SA_MODELS_RESIZE_WINDOW_H

#include "kernels/kernels.h"
#include "runtime/device/device.h"
#include "runtime/image/resize.h"

/* Of `in` pixels that become `whole` ones, the `count` from `first` on. */
typedef struct {
    sa_resize_filter filter;
    size_t in, whole, first, count;
} sa_resize_window;

size_t sa_resize_window_values(const sa_resize_window *window); /* of its table, i32 */
/*
 * What the op wants of this axis; no table where it stays as it is. `host` and `device` have room for the
 * table; ops that were queued before may still read `device`, and `host` stays until the stream is waited
 * for.
 */
sa_resize_axis sa_resize_window_send(const sa_resize_window *window, sa_stream *stream, int32_t *host,
                                     int32_t *device);

#endif
