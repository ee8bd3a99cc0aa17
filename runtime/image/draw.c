/* Clicks and boxes drawn on a picture, in whole pixels, so that every machine draws the same. */
#include <math.h>
#include <string.h>

#include "runtime/image/image.h"

/* Coordinates beyond this are far outside of any picture, and below it sums of them fit in 64 bits. */
#define FARTHEST 1073741824.0

static const uint8_t green[3] = {0, 170, 60}, red[3] = {215, 30, 40}, white[3] = {255, 255, 255},
                     black[3] = {0, 0, 0};

/* The pixel that holds a coordinate; false if it is not finite or far away. */
static bool pixel_of(double coordinate, int64_t *pixel)
{
    if (!(fabs(coordinate) <= FARTHEST)) {
        return false;
    }
    *pixel = (int64_t)floor(coordinate);
    return true;
}

static void put_pixel(sa_image *image, int64_t y, int64_t x, const uint8_t color[3])
{
    if (y >= 0 && x >= 0 && y < (int64_t)image->height && x < (int64_t)image->width) {
        memcpy(image->pixels + ((size_t)y * image->width + (size_t)x) * 3, color, 3);
    }
}

/* Fills the rows y0..y1 and columns x0..x1, both ends included. */
static void fill_box(sa_image *image, int64_t y0, int64_t x0, int64_t y1, int64_t x1, const uint8_t color[3])
{
    int64_t last_y = (int64_t)image->height - 1, last_x = (int64_t)image->width - 1;
    for (int64_t y = y0 > 0 ? y0 : 0; y <= (y1 < last_y ? y1 : last_y); y++) {
        for (int64_t x = x0 > 0 ? x0 : 0; x <= (x1 < last_x ? x1 : last_x); x++) {
            put_pixel(image, y, x, color);
        }
    }
}

/* Pixels whose centre lies at most `radius` + 1/2 from that of (cy, cx). */
static void fill_disc(sa_image *image, int64_t cy, int64_t cx, int64_t radius, const uint8_t color[3])
{
    for (int64_t dy = -radius; dy <= radius; dy++) {
        for (int64_t dx = -radius; dx <= radius; dx++) {
            if (dy * dy + dx * dx <= radius * radius + radius) {
                put_pixel(image, cy + dy, cx + dx, color);
            }
        }
    }
}

/* 1/80 of the shorter side, at least 3: the disc without its ring. */
static int64_t disc_radius(const sa_image *image)
{
    size_t side = image->height < image->width ? image->height : image->width;
    return side / 80 < 3 ? 3 : (int64_t)(side / 80);
}

static int64_t stroke(const sa_image *image)
{
    return (disc_radius(image) + 5) / 6;
}

static void draw_click(sa_image *image, const sa_image_click *click)
{
    int64_t radius = disc_radius(image), line = stroke(image), arm = radius * 5 / 8, half = line / 2;
    int64_t x, y;
    if (!pixel_of(click->x, &x) || !pixel_of(click->y, &y)) {
        return;
    }
    fill_disc(image, y, x, radius + 2 * line, black);
    fill_disc(image, y, x, radius + line, white);
    fill_disc(image, y, x, radius, click->positive ? green : red);
    fill_box(image, y - half, x - arm, y + half, x + arm, white);
    if (click->positive) {
        fill_box(image, y - arm, x - half, y + arm, x + half, white);
    }
}

void sa_image_draw_clicks(sa_image *image, const sa_image_click *clicks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        draw_click(image, &clicks[i]);
    }
}

static void sort_pair(int64_t *low, int64_t *high)
{
    if (*low > *high) {
        int64_t kept = *low;
        *low = *high;
        *high = kept;
    }
}

void sa_image_draw_box(sa_image *image, double x0, double y0, double x1, double y1, const uint8_t color[3])
{
    int64_t left, top, right, bottom, line = stroke(image);
    if (!pixel_of(x0, &left) || !pixel_of(y0, &top) || !pixel_of(x1, &right) || !pixel_of(y1, &bottom)) {
        return;
    }
    sort_pair(&left, &right);
    sort_pair(&top, &bottom);
    fill_box(image, top, left, top + line - 1, right, color);
    fill_box(image, bottom - line + 1, left, bottom, right, color);
    fill_box(image, top, left, bottom, left + line - 1, color);
    fill_box(image, top, right - line + 1, bottom, right, color);
}
