/*
 * The way of a view to the square that a CLIP tower sees, on a device with memory of its own:
 *
 *   picture -> [ resident ] -> overlay: the mask on it -> image_place: padded -> image_resize -> square
 *
 * The same bytes as on the host (clip_picture.h). Pictures stay on the device as they came, the last ones of
 * them, in a ring: who looks at one again with another mask sends the mask alone.
 */
#ifndef SA_MODELS_CLIP_DEVICE_H
#define SA_MODELS_CLIP_DEVICE_H

#include "kernels/kernels.h"
#include "runtime/base/arena.h"
#include "runtime/device/device.h"
#include "runtime/image/view.h"
#include "runtime/models/clip_picture.h"

enum { SA_CLIP_MOST_RESIDENT = 256 };

typedef struct {
    sa_picture_name name;
    size_t at, bytes; /* of the ring */
} sa_clip_resident;

typedef struct {
    const sa_clip_picture *picture;
    sa_stream *stream;
    const sa_ops *ops;
    size_t most_side, most_bytes; /* of a picture; 0: the host does it all */
    size_t canvas_bytes;          /* of what one is padded to */
    size_t ring_bytes, head;      /* head: where the next picture goes */
    /* a queue of `count` from `first` on, the oldest first */
    sa_clip_resident resident[SA_CLIP_MOST_RESIDENT];
    size_t first, count;
    size_t sent; /* pictures, ever */
    /* on the device: */
    uint8_t *ring, *painted, *canvas;
    uint64_t *bits;
    int32_t *tables; /* across, down */
    void *workspace;
    size_t bits_bytes, table_values, workspace_bytes;
    int32_t *host_tables; /* [at_once, across and down] */
} sa_clip_device;

/* Sizes its memory; `picture` is measured already. The plans then take it, on the host and on the device. */
void sa_clip_device_measure(sa_clip_device *d, const sa_clip_picture *picture, const sa_device *device,
                            sa_stream *stream, const sa_ops *ops);
void sa_clip_device_plan_host(sa_clip_device *d, size_t at_once, sa_arena *arena);
void sa_clip_device_plan(sa_clip_device *d, sa_arena *arena);

/* Whether pictures of this size go this way. */
bool sa_clip_device_takes(const sa_clip_device *d, size_t height, size_t width);
/*
 * Queues it: square [shown, shown, 3] in device memory. `index` < at_once is another one for each call since
 * the stream was waited for. The view stays as it is until then.
 */
void sa_clip_device_run(sa_clip_device *d, const sa_view *view, size_t index, uint8_t *square);

#endif
