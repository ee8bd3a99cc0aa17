#include "runtime/models/clip_device.h"

#include "runtime/base/sizes.h"
#include "runtime/models/resize_window.h"

enum {
    MOST_PIXELS = 8 << 20, /* of a picture: 24 MB; what is larger the host resizes */
    MOST_SIDE = 16384,
    SOME_SIDE = 64,    /* growing takes the same taps of any */
    RING_PICTURES = 4, /* of the largest, or dozens of usual ones; with the one painted 120 MB at most */
    CANVAS_PIXELS = 2, /* for each of a picture: one of 2 to 1; 48 MB more where pictures are padded */
};

static bool is_padded(const sa_clip_device *d, size_t height, size_t width)
{
    return d->picture->preprocess.pad && height != width;
}

/* ---- memory ---- */

void sa_clip_device_measure(sa_clip_device *d, const sa_clip_picture *picture, const sa_device *device,
                            sa_stream *stream, const sa_ops *ops)
{
    const sa_clip_preprocess *p = &picture->preprocess;
    size_t pixels = sa_least(picture->max_pixels, MOST_PIXELS), side = sa_least(picture->max_side, MOST_SIDE);
    size_t least = p->stretch ? picture->side : sa_least(p->edge, picture->side);
    *d = (sa_clip_device){.picture = picture, .stream = stream, .ops = ops};
    if (sa_device_reads_host(device)) {
        return;
    }
    const sa_resize_window shrunk = {p->filter, side, least, 0, picture->shown};
    const sa_resize_window grown = {p->filter, SOME_SIDE, SOME_SIDE + 1, 0, picture->shown};
    const sa_image_resize_args worst = {.in_height = side,
                                        .in_width = picture->shown + 1,
                                        .out_height = side + 1, /* both directions change */
                                        .out_width = picture->shown};
    d->most_bytes = pixels * 3;
    d->most_side = side;
    d->ring_bytes = RING_PICTURES * d->most_bytes;
    d->canvas_bytes = p->pad ? CANVAS_PIXELS * d->most_bytes : 0;
    d->bits_bytes = pixels / 8 + side * sizeof(uint64_t); /* rows are whole words */
    d->table_values = sa_most(sa_resize_window_values(&shrunk), sa_resize_window_values(&grown));
    d->workspace_bytes = ops->image_resize_workspace(stream, &worst);
}

void sa_clip_device_plan_host(sa_clip_device *d, size_t at_once, sa_arena *arena)
{
    d->host_tables = sa_arena_take(arena, at_once * 2 * d->table_values, sizeof(int32_t));
}

void sa_clip_device_plan(sa_clip_device *d, sa_arena *arena)
{
    d->ring = sa_arena_take(arena, d->ring_bytes, 1);
    d->painted = sa_arena_take(arena, d->most_bytes, 1);
    d->canvas = sa_arena_take(arena, d->canvas_bytes, 1);
    d->bits = sa_arena_take(arena, d->bits_bytes, 1);
    d->tables = sa_arena_take(arena, 2 * d->table_values, sizeof(int32_t));
    d->workspace = sa_arena_take(arena, d->workspace_bytes, 1);
}

static sa_resize_window across_of(const sa_resize_u8_args *a)
{
    return (sa_resize_window){a->filter, a->in_width, a->whole_width, a->left, a->out_width};
}

static sa_resize_window down_of(const sa_resize_u8_args *a)
{
    return (sa_resize_window){a->filter, a->in_height, a->whole_height, a->top, a->out_height};
}

bool sa_clip_device_takes(const sa_clip_device *d, size_t height, size_t width)
{
    size_t longest = sa_most(height, width);
    if (longest > d->most_side || height * width * 3 > d->most_bytes) {
        return false;
    }
    bool padded = is_padded(d, height, width);
    size_t h = padded ? longest : height, w = padded ? longest : width;
    const sa_resize_u8_args a = sa_clip_picture_resize(d->picture, NULL, h, w, NULL);
    const sa_resize_window across = across_of(&a), down = down_of(&a);
    return (!padded || h * w * 3 <= d->canvas_bytes) && sa_resize_window_values(&across) <= d->table_values &&
           sa_resize_window_values(&down) <= d->table_values;
}

/* ---- pictures on the device ---- */

static sa_clip_resident *resident_at(sa_clip_device *d, size_t i)
{
    return &d->resident[(d->first + i) % SA_CLIP_MOST_RESIDENT];
}

static bool is_named(sa_picture_name name)
{
    return (name.low | name.high) != 0;
}

static const sa_clip_resident *find(sa_clip_device *d, sa_picture_name name)
{
    for (size_t i = 0; is_named(name) && i < d->count; i++) {
        const sa_clip_resident *r = resident_at(d, i);
        if (r->name.low == name.low && r->name.high == name.high) {
            return r;
        }
    }
    return NULL;
}

static bool is_taken(sa_clip_device *d, size_t at, size_t bytes)
{
    for (size_t i = 0; i < d->count; i++) {
        const sa_clip_resident *r = resident_at(d, i);
        if (at < r->at + r->bytes && r->at < at + bytes) {
            return true;
        }
    }
    return d->count == SA_CLIP_MOST_RESIDENT;
}

/*
 * Sends it if it is not there. What is queued already has its pictures still: the stream keeps the order. One
 * without a name is not found again, and stays only until the next one comes.
 */
static const uint8_t *bring(sa_clip_device *d, const sa_view *view)
{
    size_t bytes = view->picture->height * view->picture->width * 3;
    const sa_clip_resident *there = find(d, view->name);
    if (there != NULL) {
        SA_ASSERT(there->bytes == bytes);
        return d->ring + there->at;
    }
    size_t room =
        (bytes + SA_ARENA_ALIGN - 1) / SA_ARENA_ALIGN * SA_ARENA_ALIGN; /* the next one is aligned */
    size_t at = bytes > d->ring_bytes - d->head ? 0 : d->head;
    while (is_taken(d, at, bytes)) {
        d->first = (d->first + 1) % SA_CLIP_MOST_RESIDENT;
        d->count--;
    }
    if (is_named(view->name)) {
        *resident_at(d, d->count++) = (sa_clip_resident){view->name, at, bytes};
        d->head = sa_least(at + room, d->ring_bytes);
    }
    d->sent++;
    sa_stream_upload(d->stream, d->ring + at, view->picture->pixels, bytes);
    return d->ring + at;
}

/* ---- the way ---- */

static const uint8_t *paint(sa_clip_device *d, const sa_view *view, const uint8_t *pixels)
{
    const sa_mask *mask = view->mask;
    SA_ASSERT(mask->height == view->picture->height && mask->width == view->picture->width);
    sa_stream_upload(d->stream, d->bits, mask->bits, mask->height * mask->stride_words * sizeof *mask->bits);
    d->ops->overlay(d->stream, &(sa_overlay_args){.height = mask->height,
                                                  .width = mask->width,
                                                  .pixels = pixels,
                                                  .bits = d->bits,
                                                  .table = view->paint,
                                                  .y = d->painted});
    return d->painted;
}

/* In the middle of a square, halves rounded down. */
static const uint8_t *pad(sa_clip_device *d, const uint8_t *pixels, size_t height, size_t width, size_t side)
{
    const uint8_t *color = d->picture->preprocess.pad_color;
    d->ops->image_place(d->stream, &(sa_image_place_args){.height = height,
                                                          .width = width,
                                                          .canvas_height = side,
                                                          .canvas_width = side,
                                                          .top = (side - height) / 2,
                                                          .left = (side - width) / 2,
                                                          .pixels = pixels,
                                                          .color = {color[0], color[1], color[2]},
                                                          .y = d->canvas});
    return d->canvas;
}

void sa_clip_device_run(sa_clip_device *d, const sa_view *view, size_t index, uint8_t *square)
{
    size_t height = view->picture->height, width = view->picture->width;
    SA_ASSERT(sa_clip_device_takes(d, height, width));
    const uint8_t *pixels = bring(d, view);
    if (view->mask != NULL) {
        pixels = paint(d, view, pixels);
    }
    if (is_padded(d, height, width)) {
        size_t side = sa_most(height, width);
        pixels = pad(d, pixels, height, width, side);
        height = width = side;
    }
    const sa_resize_u8_args a = sa_clip_picture_resize(d->picture, pixels, height, width, square);
    const sa_resize_window across = across_of(&a), down = down_of(&a);
    int32_t *host = d->host_tables + index * 2 * d->table_values;
    sa_image_resize_args op = {.in_height = height,
                               .in_width = width,
                               .out_height = a.out_height,
                               .out_width = a.out_width,
                               .x = pixels,
                               .y = square,
                               .workspace = d->workspace};
    op.across = sa_resize_window_send(&across, d->stream, host, d->tables);
    op.down = sa_resize_window_send(&down, d->stream, host + d->table_values, d->tables + d->table_values);
    SA_ASSERT(d->ops->image_resize_workspace(d->stream, &op) <= d->workspace_bytes);
    d->ops->image_resize(d->stream, &op);
}
