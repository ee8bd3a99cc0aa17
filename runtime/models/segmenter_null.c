/*
 * What clicks lead to on a device that computes nothing (--device null): discs around the positive ones, cut
 * out around the negative ones, so that masks differ as clicks do and searches go on as they would.
 */
#include <math.h>

#include "runtime/base/philox.h"
#include "runtime/base/sizes.h"
#include "runtime/models/segmenter_class.h"

/* Of the click's place alone: an eighth to a quarter of the picture's shorter side. */
static double radius_of(const sa_mask *mask, const sa_click *click)
{
    double side = (double)sa_least(mask->height, mask->width);
    double u = sa_philox_unit(sa_philox_block(1, (uint64_t)click->x, (uint64_t)click->y).word[0]);
    return side * (1 + u) / 8;
}

/* Pixels [left, right) of a row. */
static void fill_span(uint64_t *row, size_t left, size_t right, bool on)
{
    for (size_t word = left / 64; word * 64 < right; word++) {
        size_t from = word * 64 < left ? left % 64 : 0, to = sa_least(right - word * 64, 64);
        uint64_t bits = (to == 64 ? ~(uint64_t)0 : ((uint64_t)1 << to) - 1) & ~(((uint64_t)1 << from) - 1);
        row[word] = on ? row[word] | bits : row[word] & ~bits;
    }
}

static size_t pixel(double at, size_t most)
{
    return at <= 0 ? 0 : sa_least((size_t)at, most);
}

static void draw_disc(sa_mask *mask, const sa_click *click)
{
    double radius = radius_of(mask, click);
    size_t bottom = pixel(click->y + radius + 1, mask->height);
    for (size_t y = pixel(click->y - radius, bottom); y < bottom; y++) {
        double rise = (double)y - click->y, square = radius * radius - rise * rise;
        double half = square > 0 ? sqrt(square) : 0;
        fill_span(mask->bits + y * mask->stride_words, pixel(click->x - half, mask->width),
                  pixel(click->x + half + 1, mask->width), click->positive);
    }
}

static void draw(sa_mask *mask, const sa_prompt *prompt)
{
    sa_mask_fill(mask, false);
    for (size_t i = 0; i < prompt->click_count; i++) {
        draw_disc(mask, &prompt->clicks[i]);
    }
}

void sa_segmenter_make_up(const sa_prompt *prompt, sa_segmenter_answer *answer)
{
    const sa_click *last = prompt->click_count > 0 ? &prompt->clicks[prompt->click_count - 1] : NULL;
    answer->finite = true;
    answer->best = 0;
    for (size_t i = 0; i < answer->candidates; i++) {
        answer->scores[i] = 0;
        if (answer->masks[i] != NULL) {
            draw(answer->masks[i], prompt);
        }
    }
    if (last != NULL) {
        answer->scores[0] = sa_philox_unit(sa_philox_block(2, (uint64_t)last->x, (uint64_t)last->y).word[0]);
    }
    if (answer->best_mask != NULL) {
        draw(answer->best_mask, prompt);
        answer->best_hash = sa_mask_hash(answer->best_mask);
    }
}
