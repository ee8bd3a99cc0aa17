#include "runtime/models/resize_window.h"

enum { COUNTS = 2 }; /* of a table's row, before the weights */

size_t sa_resize_window_values(const sa_resize_window *w)
{
    return w->count * (COUNTS + sa_resize_u8_taps(w->filter, w->in, w->whole));
}

sa_resize_axis sa_resize_window_send(const sa_resize_window *w, sa_stream *stream, int32_t *host,
                                     int32_t *device)
{
    if (w->in == w->whole && w->count == w->whole) {
        return (sa_resize_axis){0};
    }
    sa_resize_u8_table(w->filter, w->in, w->whole, w->first, w->count, host);
    sa_stream_upload(stream, device, host, sa_resize_window_values(w) * sizeof *host);
    return (sa_resize_axis){.taps = sa_resize_u8_taps(w->filter, w->in, w->whole), .table = device};
}
