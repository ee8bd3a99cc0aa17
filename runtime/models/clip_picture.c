#include "runtime/models/clip_picture.h"

#include <math.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/sizes.h"

enum {
    STRIP_BYTES = 4 << 20,
    STRIP_ROWS = 256,
};

/* Where the square stands in the whole that the picture is resized to: in its middle, halves rounded down. */
static size_t offset(const sa_clip_picture *p, size_t whole)
{
    return (whole - p->side) / 2;
}

/* The resize without padding. The longer side is truncated. */
sa_resize_u8_args sa_clip_picture_resize(const sa_clip_picture *p, const uint8_t *in, size_t height,
                                         size_t width, uint8_t *out)
{
    size_t edge = p->preprocess.edge, shorter = sa_least(height, width);
    sa_resize_u8_args args = {
        .in = in, .in_height = height, .in_width = width, .in_stride = width * 3, .out = out};
    args.whole_height = p->preprocess.stretch ? p->side : edge * height / shorter;
    args.whole_width = p->preprocess.stretch ? p->side : edge * width / shorter;
    args.top = offset(p, args.whole_height);
    args.left = offset(p, args.whole_width);
    args.out_height = args.out_width = p->shown;
    args.out_stride = p->shown * 3;
    args.channels = 3;
    args.filter = p->preprocess.filter;
    return args;
}

/* One direction of a padded picture's resize: `rows` rows across, or the column down. */
static sa_resize_u8_args strip_across(const sa_clip_picture *p, size_t padded, size_t rows)
{
    sa_resize_u8_args args = sa_clip_picture_resize(p, p->strip, padded, padded, NULL);
    args.in_height = args.out_height = args.whole_height = rows;
    args.top = 0;
    return args;
}

static sa_resize_u8_args column_down(const sa_clip_picture *p, size_t padded, uint8_t *out)
{
    sa_resize_u8_args args = sa_clip_picture_resize(p, p->column, padded, padded, out);
    args.in_width = args.whole_width = p->shown;
    args.in_stride = p->shown * 3;
    args.left = 0;
    return args;
}

static size_t strip_rows(size_t padded)
{
    return sa_most(sa_least(sa_least(STRIP_BYTES / (padded * 3), STRIP_ROWS), padded), 1);
}

/*
 * The widest picture that is copied to be as wide as a window of taps (resize.c), and so needs memory that no
 * wider one does: windows have 3 taps (bilinear) or 5 (bicubic), rounded up to 4 or 8.
 */
static size_t narrow(const sa_clip_preprocess *preprocess)
{
    return preprocess->filter == SA_RESIZE_BILINEAR ? 3 : 7;
}

static sa_status add_workspace(sa_resize_u8_args args, size_t *bytes, sa_error *err)
{
    size_t more;
    SA_TRY(sa_resize_u8_workspace(&args, &more, err));
    *bytes += more;
    return SA_OK;
}

/* Each part of a resize's memory is largest for one of these pictures, so that their sum is enough for any.
 */
sa_status sa_clip_picture_measure(sa_clip_picture *p, const sa_clip_preprocess *preprocess,
                                  const sa_clip_config *config, size_t max_pixels, size_t max_side,
                                  sa_error *err)
{
    size_t longest = sa_least(max_pixels, max_side), square = (size_t)sqrt((double)max_pixels);
    *p = (sa_clip_picture){.preprocess = *preprocess,
                           .side = config->image_size,
                           .shown = config->image_size / config->patch_size * config->patch_size,
                           .max_pixels = max_pixels,
                           .max_side = max_side};
    size_t thin = narrow(preprocess);
    square = sa_least(square, longest);
    longest += longest == preprocess->edge; /* what keeps its size needs less than what is a little smaller */
    square += square == preprocess->edge;
    SA_TRY(add_workspace(sa_clip_picture_resize(p, NULL, square, square, NULL), &p->workspace_bytes, err));
    if (preprocess->pad) {
        p->strip_bytes = sa_most(STRIP_BYTES, longest * 3);
        p->column_bytes = longest * p->shown * 3;
        SA_TRY(add_workspace(strip_across(p, longest, strip_rows(longest)), &p->workspace_bytes, err));
        SA_TRY(add_workspace(strip_across(p, thin, thin), &p->workspace_bytes, err));
        return add_workspace(column_down(p, longest, NULL), &p->workspace_bytes, err);
    }
    return add_workspace(sa_clip_picture_resize(p, NULL, longest, thin, NULL), &p->workspace_bytes, err);
}

void sa_clip_picture_plan(sa_clip_picture *p, sa_arena *arena)
{
    p->strip = sa_arena_take(arena, p->strip_bytes, 1);
    p->column = sa_arena_take(arena, p->column_bytes, 1);
    p->workspace = sa_arena_take(arena, p->workspace_bytes, 1);
}

sa_status sa_clip_picture_check(const sa_clip_picture *p, const sa_image *picture, sa_error *err)
{
    size_t pixels = 0;
    bool fits = sa_mul_size(picture->height, picture->width, &pixels) && pixels <= p->max_pixels &&
                picture->height <= p->max_side && picture->width <= p->max_side && pixels > 0;
    if (!fits) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "raise --max-pixels or scale the picture down",
                       "a picture of %zu x %zu pixels is beyond the limit of %zu pixels, %zu a side",
                       picture->width, picture->height, p->max_pixels, p->max_side);
    }
    return SA_OK;
}

static void fill(uint8_t *pixels, size_t count, const uint8_t color[3])
{
    for (size_t i = 0; i < count; i++) {
        memcpy(pixels + 3 * i, color, 3);
    }
}

static void run_resize(sa_clip_picture *p, const sa_resize_u8_args *args, sa_pool *pool)
{
    size_t bytes = 0;
    SA_ASSERT(sa_resize_u8_workspace(args, &bytes, NULL) == SA_OK && bytes <= p->workspace_bytes);
    sa_resize_u8_run(args, p->workspace, pool);
}

/*
 * Rows above and below the picture have one colour, and resizing across leaves it as it is (the weights' sum
 * is so near to 1 that it rounds to the same byte): they are put in the column at once.
 */
static void pad_across(sa_clip_picture *p, const sa_image *picture, size_t padded, sa_pool *pool)
{
    size_t top = (padded - picture->height) / 2, left = (padded - picture->width) / 2;
    size_t most_rows = strip_rows(padded), row = p->shown * 3;
    fill(p->column, padded * p->shown, p->preprocess.pad_color);
    fill(p->strip, most_rows * padded, p->preprocess.pad_color);
    for (size_t y = 0; y < picture->height; y += most_rows) {
        size_t rows = sa_least(most_rows, picture->height - y);
        for (size_t i = 0; i < rows; i++) {
            memcpy(p->strip + (i * padded + left) * 3, picture->pixels + (y + i) * picture->width * 3,
                   picture->width * 3);
        }
        sa_resize_u8_args args = strip_across(p, padded, rows);
        args.out = p->column + (top + y) * row;
        run_resize(p, &args, pool);
    }
}

void sa_clip_picture_run(sa_clip_picture *p, const sa_image *picture, uint8_t *square, sa_pool *pool)
{
    size_t height = picture->height, width = picture->width;
    sa_resize_u8_args args = sa_clip_picture_resize(p, picture->pixels, height, width, square);
    if (p->preprocess.pad && height != width) {
        pad_across(p, picture, sa_most(height, width), pool);
        args = column_down(p, sa_most(height, width), square);
    }
    run_resize(p, &args, pool);
}
