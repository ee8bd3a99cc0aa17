/*
 * Launcher of image_resize: one launch for each direction that changes its size. Between them the picture
 * stands in the workspace, rows on borders of sectors.
 */
#include "kernels/cuda/image_resize.h"

#include "kernels/cuda/launchers.h"

static size_t middle_pitch(const sa_image_resize_args *args)
{
    return (args->out_width * 3 + 31) / 32 * 32;
}

size_t sa_cuda_image_resize_workspace(const sa_stream *stream, const sa_image_resize_args *args)
{
    (void)stream;
    bool across = args->across.table != NULL || args->in_width != args->out_width;
    bool down = args->down.table != NULL || args->in_height != args->out_height;
    return across && down ? args->in_height * middle_pitch(args) : 0;
}

static sa_cuda_resize_axis axis_of(const sa_resize_axis *axis)
{
    return (sa_cuda_resize_axis){.table = axis->table, .taps = axis->table ? (uint32_t)axis->taps : 1};
}

static void launch_across(sa_stream *stream, const sa_image_resize_args *args, uint8_t *y, size_t y_pitch)
{
    sa_cuda_image_resize_args a = {
        .x = args->x,
        .y = y,
        .axis = axis_of(&args->across),
        .in_height = (uint32_t)args->in_height,
        .in_width = (uint32_t)args->in_width,
        .out_height = (uint32_t)args->in_height,
        .out_width = (uint32_t)args->out_width,
        .x_pitch = (uint32_t)(args->in_width * 3),
        .y_pitch = (uint32_t)y_pitch,
    };
    double out = 3.0 * (double)args->in_height * (double)args->out_width;
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_image_resize_across,
                               .grid = {sa_cuda_blocks(args->out_width, SA_IMAGE_RESIZE_ACROSS),
                                        sa_cuda_blocks(args->in_height, SA_IMAGE_RESIZE_ACROSS_ROWS), 1},
                               .block = {SA_IMAGE_RESIZE_ACROSS_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .flops = 2.0 * out * (double)args->across.taps,
                               .bytes = 3.0 * (double)args->in_height * (double)args->in_width + out +
                                        4.0 * (double)(args->out_width * (2 + args->across.taps)),
                           });
}

static void launch_down(sa_stream *stream, const sa_image_resize_args *args, const uint8_t *x, size_t x_pitch)
{
    size_t row = args->out_width * 3;
    sa_cuda_image_resize_args a = {
        .x = x,
        .y = args->y,
        .axis = axis_of(&args->down),
        .in_height = (uint32_t)args->in_height,
        .in_width = (uint32_t)args->out_width,
        .out_height = (uint32_t)args->out_height,
        .out_width = (uint32_t)args->out_width,
        .x_pitch = (uint32_t)x_pitch,
        .y_pitch = (uint32_t)row,
    };
    bool words = row % 4 == 0 && x_pitch % 4 == 0 && sa_cuda_aligned(x, 4) && sa_cuda_aligned(args->y, 4);
    double in = (double)args->in_height * (double)row, out = (double)args->out_height * (double)row;
    sa_cuda_launch(stream,
                   &(sa_cuda_launch_args){
                       .kernel = words ? SA_CUDA_image_resize_down : SA_CUDA_image_resize_down_shifted,
                       .grid = {sa_cuda_blocks(row + (words ? 0 : 31), SA_IMAGE_RESIZE_DOWN * 4),
                                sa_cuda_blocks(args->out_height, SA_IMAGE_RESIZE_DOWN_ROWS), 1},
                       .block = {SA_IMAGE_RESIZE_DOWN_THREADS, 1, 1},
                       .args = &a,
                       .args_bytes = sizeof a,
                       .flops = 2.0 * out * (double)args->down.taps,
                       .bytes = in + out + 4.0 * (double)(args->out_height * (2 + args->down.taps)),
                   });
}

void sa_cuda_image_resize(sa_stream *stream, const sa_image_resize_args *args)
{
    bool across = args->across.table != NULL, down = args->down.table != NULL;
    SA_ASSERT(args->in_height >= 1 && args->in_width >= 1 && args->out_height >= 1 && args->out_width >= 1);
    SA_ASSERT(across || args->in_width == args->out_width);
    SA_ASSERT(down || args->in_height == args->out_height);
    SA_ASSERT(args->in_height <= 1 << 19 && args->in_width <= 1 << 20);
    SA_ASSERT(args->out_height <= 1 << 19 && args->out_width <= 1 << 20);
    size_t pitch = across && down ? middle_pitch(args) : args->out_width * 3;
    uint8_t *middle = across && down ? args->workspace : args->y;
    if (across) {
        launch_across(stream, args, middle, pitch);
    }
    if (down || !across) {
        launch_down(stream, args, across ? middle : args->x, across ? pitch : args->in_width * 3);
    }
}
