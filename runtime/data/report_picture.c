/*
 * Pictures of a page: the mask painted as the policy sees it, and the outline of the truth.
 *
 *   picture of the item -> small, once -> [ mask -> small -> painted; truth's outline ] -> PNG or JPEG ->
 * data: URI
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/path.h"
#include "runtime/data/report_parts.h"
#include "runtime/image/resize.h"
#include "runtime/text/base64.h"

enum { SIDE = 256, QUALITY = 82 }; /* pixels of the longer side; of JPEG */

/* ---- where it is ---- */

/* The input knows; otherwise names start from --images, or from the folder of the input that run.json names.
 */
static sa_status find_picture(const sa_report_run *run, const sa_result *result, char *path, size_t size,
                              sa_error *err)
{
    char directory[4096] = "";
    const sa_item *item = run->truths != NULL ? sa_truths_item(run->truths, result->id) : NULL;
    if (item != NULL) {
        return sa_path_from(path, size, "", item->path, err);
    }
    if (run->images != NULL) {
        return sa_path_from(path, size, run->images, result->image, err);
    }
    sa_directory_of(directory, sizeof directory, report_record_text(run, "input.path"));
    return sa_path_from(path, size, directory, result->image, err);
}

static sa_status read_picture(const sa_report_run *run, const sa_result *result, sa_image *image,
                              sa_error *err)
{
    char path[4096];
    SA_TRY(find_picture(run, result, path, sizeof path, err));
    SA_TRY(sa_image_read(path, NULL, image, err));
    if (image->height != result->height || image->width != result->width) {
        size_t height = image->height, width = image->width;
        sa_image_free(image);
        return sa_fail(err, SA_BAD_INPUT, path, NULL, "is %zu x %zu pixels, and was %zu x %zu", width, height,
                       result->width, result->height);
    }
    return SA_OK;
}

/* ---- making small ---- */

/* Rounded, and never nothing: a picture of 4000 x 3 pixels is one of 256 x 1. */
static size_t shrink(size_t side, size_t longer)
{
    size_t small = (side * SIDE + longer / 2) / longer;
    return small > 0 ? small : 1;
}

/* Small pictures stay as they are: the browser enlarges them. */
static void find_size(const sa_result *result, size_t *height, size_t *width)
{
    size_t longer = result->height > result->width ? result->height : result->width;
    *height = longer > SIDE ? shrink(result->height, longer) : result->height;
    *width = longer > SIDE ? shrink(result->width, longer) : result->width;
}

static sa_status shrink_image(const sa_image *whole, sa_image *small, sa_error *err)
{
    const sa_resize_u8_args args = {.in = whole->pixels,
                                    .in_height = whole->height,
                                    .in_width = whole->width,
                                    .in_stride = whole->width * 3,
                                    .out = small->pixels,
                                    .out_height = small->height,
                                    .out_width = small->width,
                                    .out_stride = small->width * 3,
                                    .channels = 3,
                                    .filter = SA_RESIZE_BICUBIC};
    return sa_resize_u8(&args, NULL, err);
}

/* Each small pixel is what the middle of its place shows. */
static sa_status shrink_mask(const sa_rle *rle, size_t height, size_t width, sa_mask *small, sa_error *err)
{
    sa_mask whole;
    SA_TRY(sa_rle_decode(rle, &whole, err));
    sa_status status = sa_mask_new(small, height, width, err);
    bool empty = whole.height == 0 || whole.width == 0;
    for (size_t y = 0; y < height && status == SA_OK && !empty; y++) {
        for (size_t x = 0; x < width; x++) {
            size_t from_y = (2 * y + 1) * whole.height / (2 * height);
            size_t from_x = (2 * x + 1) * whole.width / (2 * width);
            sa_mask_set(small, x, y, sa_mask_get(&whole, from_x, from_y));
        }
    }
    sa_mask_free(&whole);
    return status;
}

/* ---- the canvas ---- */

/* What cannot be read leaves a grey picture, and says why. */
static sa_status fill_canvas(report_canvas *canvas, const sa_report_run *run, const sa_result *result,
                             sa_error *err)
{
    sa_image whole = {0};
    sa_error why = {0};
    size_t height, width;
    find_size(result, &height, &width);
    SA_TRY(sa_image_new(height, width, &canvas->image, err));
    sa_status status = read_picture(run, result, &whole, &why);
    if (status == SA_OK) {
        status = shrink_image(&whole, &canvas->image, &why);
    }
    if (status != SA_OK) {
        memset(canvas->image.pixels, 128, height * width * 3);
        sa_error_format(&why, canvas->note, sizeof canvas->note);
    }
    sa_image_free(&whole);
    return SA_OK;
}

/* A truth that is not known is none to draw; one that is wrong is an error of the row. */
static sa_status fill_truth(report_canvas *canvas, const sa_report_run *run, const sa_result *result,
                            const char *name, sa_error *err)
{
    sa_rle truth;
    if (run->truths == NULL || !sa_truths_known(run->truths, result)) {
        return SA_OK;
    }
    SA_TRY(sa_truths_find(run->truths, result, name, &truth, err));
    sa_status status = shrink_mask(&truth, canvas->image.height, canvas->image.width, &canvas->truth, err);
    canvas->has_truth = status == SA_OK;
    sa_rle_free(&truth);
    return status;
}

sa_status report_canvas_open(report_canvas *canvas, const sa_report_run *run, const sa_result *result,
                             const char *name, sa_error *err)
{
    *canvas = (report_canvas){.has_truth = false};
    SA_TRY(fill_canvas(canvas, run, result, err));
    return fill_truth(canvas, run, result, name, err);
}

void report_canvas_close(report_canvas *canvas)
{
    sa_image_free(&canvas->image);
    sa_mask_free(&canvas->truth);
}

/* ---- painting ---- */

static bool is_set(const sa_mask *mask, size_t x, size_t y)
{
    return x < mask->width && y < mask->height &&
           sa_mask_get(mask, x, y); /* x - 1 of 0 is beyond the width */
}

/* Pixels beside the border have neighbours beyond it, which are not set. */
static bool has_other_neighbour(const sa_mask *mask, size_t x, size_t y)
{
    bool here = sa_mask_get(mask, x, y);
    return is_set(mask, x - 1, y) != here || is_set(mask, x + 1, y) != here ||
           is_set(mask, x, y - 1) != here || is_set(mask, x, y + 1) != here;
}

/* White along the inside of the edge and black along its outside: seen on every ground. */
static void draw_outline(sa_image *image, const sa_mask *mask)
{
    for (size_t y = 0; y < mask->height; y++) {
        for (size_t x = 0; x < mask->width; x++) {
            if (has_other_neighbour(mask, x, y)) {
                bool inside = sa_mask_get(mask, x, y);
                bool at_border = x == 0 || y == 0 || x + 1 == mask->width || y + 1 == mask->height;
                if (inside || !at_border) {
                    memset(image->pixels + (y * image->width + x) * 3, inside ? 255 : 0, 3);
                }
            }
        }
    }
}

static sa_status paint_mask(sa_image *image, const sa_rle *rle, sa_error *err)
{
    const sa_image_paint paint = sa_image_default_paint();
    sa_mask mask;
    SA_TRY(shrink_mask(rle, image->height, image->width, &mask, err));
    sa_image_overlay(image, &mask, &paint);
    sa_mask_free(&mask);
    return SA_OK;
}

static sa_status paint(const report_canvas *canvas, sa_image *image, const sa_rle *mask, sa_error *err)
{
    memcpy(image->pixels, canvas->image.pixels, image->height * image->width * 3);
    if (mask != NULL && mask->counts != NULL) {
        SA_TRY(paint_mask(image, mask, err));
    }
    if (canvas->has_truth) {
        draw_outline(image, &canvas->truth);
    }
    return SA_OK;
}

/* ---- writing ---- */

/* Drawn pictures are smaller as PNG, and sharp; photographs as JPEG. */
static sa_status write_pixels(const sa_image *image, FILE *out, sa_error *err)
{
    unsigned char *png = NULL, *jpeg = NULL;
    size_t png_size, jpeg_size;
    sa_status status = sa_image_encode_png(image, &png, &png_size, err);
    if (status == SA_OK) {
        status = sa_image_encode_jpeg(image, QUALITY, &jpeg, &jpeg_size, err);
    }
    if (status == SA_OK) {
        bool drawn = png_size <= jpeg_size * 3 / 2;
        fprintf(out, "data:image/%s;base64,", drawn ? "png" : "jpeg");
        sa_base64_write(out, drawn ? png : jpeg, drawn ? png_size : jpeg_size);
    }
    free(png);
    free(jpeg);
    return status;
}

sa_status report_canvas_write(const report_canvas *canvas, const sa_rle *mask, const char *alt, FILE *out,
                              sa_error *err)
{
    sa_image image;
    SA_TRY(sa_image_new(canvas->image.height, canvas->image.width, &image, err));
    sa_status status = paint(canvas, &image, mask, err);
    if (status == SA_OK) {
        fprintf(out, "<img width=\"%zu\" height=\"%zu\" alt=\"", image.width, image.height);
        report_text(out, alt);
        fputs("\" src=\"", out);
        status = write_pixels(&image, out, err);
        fputs("\" />", out);
    }
    sa_image_free(&image);
    return status;
}
