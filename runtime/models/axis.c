#include "runtime/models/axis.h"

enum { COUNTS = 2 }; /* of a table's row, before the weights */

size_t sa_axis_values(const sa_axis *a)
{
    return a->count * (COUNTS + sa_resize_u8_taps(a->filter, a->in, a->whole));
}

sa_resize_axis sa_axis_send(const sa_axis *a, sa_stream *stream, int32_t *host, int32_t *device)
{
    if (a->in == a->whole && a->count == a->whole) {
        return (sa_resize_axis){0};
    }
    sa_resize_u8_table(a->filter, a->in, a->whole, a->first, a->count, host);
    sa_stream_upload(stream, device, host, sa_axis_values(a) * sizeof *host);
    return (sa_resize_axis){.taps = sa_resize_u8_taps(a->filter, a->in, a->whole), .table = device};
}
