/*
 * SAM's preprocessing: a picture's way into the frame (MODEL_SPECS 2.6), before the encoder's patches.
 *
 *   picture -> resize by the device (op image_resize) or by the host (sa_resize_u8) -> encode.pixels
 *
 * Both ways give the same bytes. A device that reads host memory is the host: there the host's threads do it.
 * Others get the picture as it is and resize it themselves, unless it is too large for the room that is kept
 * for one there.
 */
#include <math.h>

#include "runtime/base/sizes.h"
#include "runtime/image/resize.h"
#include "runtime/models/resize_window.h"
#include "runtime/models/sam.h"

void sam_size_in_frame(const sa_sam *sam, size_t height, size_t width, size_t *new_height, size_t *new_width)
{
    double scale = (double)sam->config.vision.image_size / (double)(height > width ? height : width);
    *new_height = (size_t)((double)height * scale + 0.5);
    *new_width = (size_t)((double)width * scale + 0.5);
    *new_height = *new_height == 0 ? 1 : *new_height;
    *new_width = *new_width == 0 ? 1 : *new_width;
}

static sa_resize_u8_args resize_args(const sa_sam *sam, const uint8_t *in, size_t height, size_t width,
                                     uint8_t *out)
{
    sa_resize_u8_args args = {
        .in = in, .in_height = height, .in_width = width, .in_stride = width * 3, .out = out};
    sam_size_in_frame(sam, height, width, &args.out_height, &args.out_width);
    args.out_stride = args.out_width * 3;
    args.channels = 3;
    args.filter = SA_RESIZE_BILINEAR;
    return args;
}

/* Room for the worst pictures that the limits allow: square, one row, one column. */
sa_status sam_resize_measure(sa_sam *sam, sa_error *err)
{
    size_t side = (size_t)sqrt((double)sam->options.max_pixels);
    size_t longest = sam->options.max_side, other = sam->options.max_pixels / longest;
    other = other == 0 ? 1 : other;
    size_t shapes[3][2] = {{side, side}, {longest, other}, {other, longest}};
    for (int i = 0; i < 3; i++) {
        size_t bytes = 0;
        sa_resize_u8_args args = resize_args(sam, NULL, shapes[i][0], shapes[i][1], NULL);
        SA_TRY(sa_resize_u8_workspace(&args, &bytes, err));
        sam->resize_bytes = bytes > sam->resize_bytes ? bytes : sam->resize_bytes;
    }
    return SA_OK;
}

/* The longest table of an axis: of the largest picture's longer side; growing takes three taps. */
static size_t table_values(const sa_sam *sam)
{
    size_t frame = sam->config.vision.image_size;
    const sa_resize_window shrunk = {SA_RESIZE_BILINEAR, sam->options.max_side, frame, 0, frame};
    const sa_resize_window grown = {SA_RESIZE_BILINEAR, frame - 1, frame, 0, frame};
    return sa_most(sa_resize_window_values(&shrunk), sa_resize_window_values(&grown));
}

void sam_resize_plan_host(sa_sam *sam, sa_arena *arena)
{
    size_t n = sam->at_once, side = sam->config.vision.image_size;
    sam->host_pixels = sa_arena_take(arena, n * side * side * 3, 1);
    sam->resize_memory = sa_arena_take(arena, sam->resize_bytes, 1);
    if (!sa_device_reads_host(sam->device)) {
        sam->host_tables = sa_arena_take(arena, n * 2 * table_values(sam), sizeof(int32_t));
    }
}

void sam_resize_plan(sa_sam *sam, sa_arena *arena)
{
    if (sa_device_reads_host(sam->device) || sam->options.device_pixels == 0) {
        return;
    }
    sam->picture_bytes = sa_least(sam->options.max_pixels, sam->options.device_pixels) * 3;
    size_t side = (size_t)sqrt((double)(sam->picture_bytes / 3)) + 1, frame = sam->config.vision.image_size;
    sa_image_resize_args square = {/* both directions change; rows as long as the frame's are the worst */
                                   .in_height = side,
                                   .out_height = side + 1,
                                   .in_width = frame + 1,
                                   .out_width = frame};
    sam->picture_workspace_bytes = sam->ops->image_resize_workspace(sam->stream, &square);
    sam->picture = sa_arena_take(arena, sam->picture_bytes, 1);
    sam->picture_tables = sa_arena_take(arena, 2 * table_values(sam), sizeof(int32_t));
    sam->picture_workspace = sa_arena_take(arena, sam->picture_workspace_bytes, 1);
}

/* ---- by the device ---- */

static sa_resize_window axis_of(size_t in, size_t out)
{
    return (sa_resize_window){.filter = SA_RESIZE_BILINEAR, .in = in, .whole = out, .count = out};
}

/* False if there is no room for this picture on the device, and nothing was queued. */
static bool resize_by_device(sa_sam *sam, const sa_resize_u8_args *args, size_t index, uint8_t *to)
{
    sa_image_resize_args op = {.in_height = args->in_height,
                               .in_width = args->in_width,
                               .out_height = args->out_height,
                               .out_width = args->out_width,
                               .x = sam->picture,
                               .y = to,
                               .workspace = sam->picture_workspace};
    const sa_resize_window across = axis_of(args->in_width, args->out_width);
    const sa_resize_window down = axis_of(args->in_height, args->out_height);
    size_t bytes = args->in_height * args->in_width * 3, table = table_values(sam);
    if (bytes > sam->picture_bytes || sa_resize_window_values(&across) > table ||
        sa_resize_window_values(&down) > table ||
        sam->ops->image_resize_workspace(sam->stream, &op) > sam->picture_workspace_bytes) {
        return false;
    }
    int32_t *host = sam->host_tables + index * 2 * table;
    sa_stream_upload(sam->stream, sam->picture, args->in, bytes);
    op.across = sa_resize_window_send(&across, sam->stream, host, sam->picture_tables);
    op.down = sa_resize_window_send(&down, sam->stream, host + table, sam->picture_tables + table);
    sam->ops->image_resize(sam->stream, &op);
    return true;
}

void sam_place_picture(sa_sam *sam, const sa_image *picture, size_t index, sam_slot *slot)
{
    size_t frame = sam->config.vision.image_size, frame_bytes = frame * frame * 3;
    uint8_t *host = sam->host_pixels + index * frame_bytes,
            *device = sam->encode.pixels + index * frame_bytes;
    sa_resize_u8_args args = resize_args(sam, picture->pixels, picture->height, picture->width, host);
    if (!resize_by_device(sam, &args, index, device)) {
        sa_resize_u8_run(&args, sam->resize_memory, sa_device_pool(sam->device));
        sa_stream_upload(sam->stream, device, host, args.out_height * args.out_stride);
    }
    *slot = (sam_slot){.height = picture->height,
                       .width = picture->width,
                       .new_height = args.out_height,
                       .new_width = args.out_width};
    sam->pixel_pointers[index] = device;
    sam->heights[index] = args.out_height;
    sam->widths[index] = args.out_width;
}
