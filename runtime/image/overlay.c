/* The mask painted on the picture: how the multimodal model sees what the segmenter has so far. */
#include <math.h>

#include "runtime/image/image.h"

sa_image_paint sa_image_default_paint(void)
{
    return (sa_image_paint){.color = {0, 255, 0}, .alpha = 0.5, .rounding = SA_IMAGE_TRUNCATE};
}

/*
 * What each value of a channel becomes. The volatile keeps the products from being fused into the sum, which
 * would round once less than the reference and move some truncated values by one.
 */
static void fill_channel(uint8_t table[256], double color, const sa_image_paint *paint)
{
    for (int v = 0; v < 256; v++) {
        volatile double kept = (1.0 - paint->alpha) * v, added = paint->alpha * color;
        double sum = kept + added;
        double rounded = paint->rounding == SA_IMAGE_NEAREST ? rint(sum) : trunc(sum);
        table[v] = (uint8_t)(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded);
    }
}

void sa_image_paint_table(const sa_image_paint *paint, uint8_t table[3][256])
{
    SA_ASSERT(paint->alpha >= 0 && paint->alpha <= 1);
    for (int c = 0; c < 3; c++) {
        fill_channel(table[c], paint->color[c], paint);
    }
}

void sa_image_overlay_by(sa_image *image, const sa_mask *mask, const uint8_t table[3][256])
{
    SA_ASSERT(mask->height == image->height && mask->width == image->width);
    for (size_t y = 0; y < image->height; y++) {
        uint8_t *row = image->pixels + y * image->width * 3;
        for (size_t w = 0; w < (image->width + 63) / 64; w++) {
            for (uint64_t bits = mask->bits[y * mask->stride_words + w]; bits; bits &= bits - 1) {
                uint8_t *pixel = row + (w * 64 + (size_t)__builtin_ctzll(bits)) * 3;
                for (int c = 0; c < 3; c++) {
                    pixel[c] = table[c][pixel[c]];
                }
            }
        }
    }
}

void sa_image_overlay(sa_image *image, const sa_mask *mask, const sa_image_paint *paint)
{
    uint8_t table[3][256];
    sa_image_paint_table(paint, table);
    sa_image_overlay_by(image, mask, (const uint8_t(*)[256])table);
}
