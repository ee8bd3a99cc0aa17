/*
 * Runs and masks: encoding, decoding, and the operations that stay on runs. Text and JSON: rle_text.c.
 * Polygons: rle_polygon.c.
 *
 * A mask is stored by rows, runs go down columns. Both directions therefore work on a strip of 64 pixel
 * columns at a time, kept by columns (one bit a pixel, a column's rows in consecutive words), and turn 64 x
 * 64 blocks over.
 */
#include "runtime/image/rle.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/image/bits64.h"
#include "runtime/image/rle_list.h"

void sa_rle_free(sa_rle *rle)
{
    free(rle->counts);
    *rle = (sa_rle){0};
}

bool sa_rle_equal(const sa_rle *a, const sa_rle *b)
{
    return a->height == b->height && a->width == b->width && a->count == b->count &&
           memcmp(a->counts, b->counts, a->count * sizeof *a->counts) == 0;
}

/* ---- the growing list of runs (rle_list.h) ---- */

sa_status sa_rle_check_size(size_t height, size_t width, sa_error *err)
{
    size_t area;
    if (!sa_mul_size(height, width, &area) || area > UINT32_MAX) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "a mask of %zu x %zu pixels is too large for run lengths",
                       height, width);
    }
    return SA_OK;
}

sa_status sa_rle_list_reserve(sa_rle_list *list, size_t more, sa_error *err)
{
    size_t need = list->count + more;
    if (need <= list->room) {
        return SA_OK;
    }
    size_t room = need > 2 * list->room ? need : 2 * list->room;
    uint32_t *counts = realloc(list->counts, room * sizeof *counts);
    if (counts == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a mask of %zu runs", need);
    }
    list->counts = counts;
    list->room = room;
    return SA_OK;
}

sa_status sa_rle_list_finish(sa_rle_list *list, size_t height, size_t width, sa_rle *rle, sa_error *err)
{
    sa_status status = sa_rle_list_reserve(list, 1, err);
    if (status != SA_OK) {
        free(list->counts);
        return status;
    }
    uint32_t area = (uint32_t)(height * width);
    SA_ASSERT(list->position <= area);
    if (list->position < area || list->count == 0) {
        list->counts[list->count++] = area - list->position;
    }
    uint32_t *fitted = realloc(list->counts, list->count * sizeof *fitted);
    *rle = (sa_rle){.height = height,
                    .width = width,
                    .count = list->count,
                    .counts = fitted != NULL ? fitted : list->counts};
    return SA_OK;
}

/* ---- mask to runs ---- */

/*
 * Columns of one strip: column c stands in words[c * words_per_column], row r at bit r % 64 of word r / 64.
 */
typedef struct {
    size_t words_per_column;
    uint64_t *words; /* [64, words_per_column] */
} strip;

static sa_status strip_new(strip *s, size_t height, sa_error *err)
{
    s->words_per_column = height / 64 + (height % 64 != 0);
    s->words = calloc(64 * s->words_per_column + 1, sizeof *s->words);
    return s->words != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a mask's columns");
}

/* Word column `word` of the mask into the strip. */
static void strip_load(strip *s, const sa_mask *mask, size_t word)
{
    for (size_t down = 0; down < s->words_per_column; down++) {
        uint64_t block[64] = {0}, any = 0;
        size_t rows = mask->height - down * 64 < 64 ? mask->height - down * 64 : 64;
        const uint64_t *from = mask->bits + down * 64 * mask->stride_words + word;
        for (size_t i = 0; i < rows; i++) {
            block[i] = from[i * mask->stride_words];
            any |= block[i];
        }
        if (any != 0) {
            sa_bits64_transpose(block);
        }
        for (size_t i = 0; i < 64; i++) {
            s->words[i * s->words_per_column + down] = block[i];
        }
    }
}

/*
 * Appends the changes of value down one column, whose first pixel is number `start`. `last` holds the value
 * of the pixel before it, in and out: runs go on from one column to the next.
 */
static sa_status encode_column(sa_rle_list *list, const uint64_t *column, size_t height, uint32_t start,
                               uint64_t *last, sa_error *err)
{
    for (size_t y = 0; y < height; y += 64) {
        size_t rows = height - y < 64 ? height - y : 64;
        uint64_t word = column[y / 64];
        uint64_t changes = word ^ (word << 1 | *last);
        *last = word >> (rows - 1) & 1;
        if (rows < 64) {
            changes &= ((uint64_t)1 << rows) - 1;
        }
        if (changes == 0) {
            continue;
        }
        SA_TRY(sa_rle_list_reserve(list, 64, err));
        for (; changes != 0; changes &= changes - 1) {
            sa_rle_list_toggle(list, start + (uint32_t)y + (uint32_t)__builtin_ctzll(changes));
        }
    }
    return SA_OK;
}

static sa_status encode_strips(sa_rle_list *list, strip *s, const sa_mask *mask, sa_error *err)
{
    uint64_t last = 0;
    for (size_t word = 0; word < mask->stride_words; word++) {
        strip_load(s, mask, word);
        for (size_t x = word * 64; x < mask->width && x < (word + 1) * 64; x++) {
            const uint64_t *column = s->words + x % 64 * s->words_per_column;
            SA_TRY(encode_column(list, column, mask->height, (uint32_t)(x * mask->height), &last, err));
        }
    }
    return SA_OK;
}

sa_status sa_rle_encode(sa_rle *rle, const sa_mask *mask, sa_error *err)
{
    *rle = (sa_rle){0};
    SA_TRY(sa_rle_check_size(mask->height, mask->width, err));
    strip s;
    SA_TRY(strip_new(&s, mask->height, err));
    sa_rle_list list = {0};
    sa_status status = encode_strips(&list, &s, mask, err);
    free(s.words);
    if (status != SA_OK) {
        free(list.counts);
        return status;
    }
    return sa_rle_list_finish(&list, mask->height, mask->width, rle, err);
}

/* ---- runs to mask ---- */

/* Sets rows begin .. end-1 of a column. */
static void fill_rows(uint64_t *column, size_t begin, size_t end)
{
    size_t first = begin / 64, last = (end - 1) / 64;
    uint64_t head = UINT64_MAX << (begin % 64), tail = UINT64_MAX >> (63 - (end - 1) % 64);
    if (first == last) {
        column[first] |= head & tail;
        return;
    }
    column[first] |= head;
    for (size_t i = first + 1; i < last; i++) {
        column[i] = UINT64_MAX;
    }
    column[last] |= tail;
}

/* Where decoding stands: the run, and how much of it is left. */
typedef struct {
    const sa_rle *rle;
    size_t run;
    uint32_t left;
} run_cursor;

static void decode_column(run_cursor *at, uint64_t *column, size_t height)
{
    for (size_t y = 0; y < height;) {
        while (at->left == 0) {
            at->left = at->rle->counts[++at->run];
        }
        size_t piece = at->left < height - y ? at->left : height - y;
        if (at->run % 2 == 1) {
            fill_rows(column, y, y + piece);
        }
        y += piece;
        at->left -= (uint32_t)piece;
    }
}

/* The strip into word column `word` of the mask; columns past the width are zero. */
static void strip_store(const strip *s, sa_mask *mask, size_t word)
{
    for (size_t down = 0; down < s->words_per_column; down++) {
        uint64_t block[64], any = 0;
        for (size_t i = 0; i < 64; i++) {
            block[i] = s->words[i * s->words_per_column + down];
            any |= block[i];
        }
        if (any == 0) {
            continue; /* the mask starts out as zeros */
        }
        sa_bits64_transpose(block);
        size_t rows = mask->height - down * 64 < 64 ? mask->height - down * 64 : 64;
        uint64_t *to = mask->bits + down * 64 * mask->stride_words + word;
        for (size_t i = 0; i < rows; i++) {
            to[i * mask->stride_words] = block[i];
        }
    }
}

sa_status sa_rle_decode(const sa_rle *rle, sa_mask *mask, sa_error *err)
{
    SA_TRY(sa_mask_new(mask, rle->height, rle->width, err));
    strip s;
    sa_status status = strip_new(&s, rle->height, err);
    if (status != SA_OK) {
        sa_mask_free(mask);
        return status;
    }
    run_cursor at = {.rle = rle, .run = 0, .left = rle->counts[0]};
    for (size_t word = 0; word < mask->stride_words; word++) {
        memset(s.words, 0, 64 * s.words_per_column * sizeof *s.words);
        for (size_t x = word * 64; x < mask->width && x < (word + 1) * 64; x++) {
            decode_column(&at, s.words + x % 64 * s.words_per_column, mask->height);
        }
        strip_store(&s, mask, word);
    }
    free(s.words);
    return SA_OK;
}

/* ---- on runs ---- */

sa_status sa_rle_from_counts(sa_rle *rle, const uint32_t *counts, size_t count, size_t height, size_t width,
                             sa_error *err)
{
    *rle = (sa_rle){0};
    SA_TRY(sa_rle_check_size(height, width, err));
    uint64_t area = (uint64_t)height * width, sum = 0;
    for (size_t i = 0; i < count && sum <= area; i++) {
        sum += counts[i];
    }
    if (count == 0 || sum != area) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "sizes are [height, width]",
                       "the runs of a mask sum to %s%llu, but its size is %zu x %zu",
                       sum > area ? "at least " : "", (unsigned long long)sum, height, width);
    }
    sa_rle_list list = {0};
    sa_status status = sa_rle_list_reserve(&list, count, err);
    if (status != SA_OK) {
        return status;
    }
    uint32_t position = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        position += counts[i];
        sa_rle_list_toggle(&list, position);
    }
    return sa_rle_list_finish(&list, height, width, rle, err);
}

uint64_t sa_rle_area(const sa_rle *rle)
{
    uint64_t area = 0;
    for (size_t i = 1; i < rle->count; i += 2) {
        area += rle->counts[i];
    }
    return area;
}

void sa_rle_bbox(const sa_rle *rle, double box[4])
{
    size_t left = rle->width, top = rle->height, right = 0, bottom = 0; /* the last two inclusive */
    uint64_t begin = 0;
    for (size_t i = 0; i + 1 < rle->count; i += 2) {
        begin += rle->counts[i];
        uint64_t last = begin + rle->counts[i + 1] - 1;
        size_t x0 = begin / rle->height, y0 = begin % rle->height;
        size_t x1 = last / rle->height, y1 = last % rle->height;
        if (x0 < x1) {
            y0 = 0; /* a run that leaves its column touches both borders, or is taken to */
            y1 = rle->height - 1;
        }
        left = x0 < left ? x0 : left;
        right = x1 > right ? x1 : right;
        top = y0 < top ? y0 : top;
        bottom = y1 > bottom ? y1 : bottom;
        begin = last + 1;
    }
    if (rle->count < 2) {
        left = top = 0;
    }
    box[0] = (double)left;
    box[1] = (double)top;
    box[2] = rle->count < 2 ? 0.0 : (double)(right - left + 1);
    box[3] = rle->count < 2 ? 0.0 : (double)(bottom - top + 1);
}

/* Two masks' runs walked side by side: each step is the longest stretch in which neither changes. */
typedef struct {
    const sa_rle *rle[2];
    size_t run[2];
    uint32_t left[2];
} run_pair;

static run_pair pair_start(const sa_rle *a, const sa_rle *b)
{
    return (run_pair){.rle = {a, b}, .left = {a->counts[0], b->counts[0]}};
}

/* The length of the next stretch, 0 at the end; value[k] is what mask k holds in it. */
static uint32_t pair_next(run_pair *p, bool value[2])
{
    for (int k = 0; k < 2; k++) {
        while (p->left[k] == 0 && p->run[k] + 1 < p->rle[k]->count) {
            p->left[k] = p->rle[k]->counts[++p->run[k]];
        }
        value[k] = p->run[k] % 2 == 1;
    }
    uint32_t length = p->left[0] < p->left[1] ? p->left[0] : p->left[1];
    p->left[0] -= length;
    p->left[1] -= length;
    return length;
}

static sa_status check_same_size(const sa_rle *a, const sa_rle *b, sa_error *err)
{
    if (a->height == b->height && a->width == b->width) {
        return SA_OK;
    }
    return sa_fail(err, SA_BAD_INPUT, NULL, "masks of one picture have its size",
                   "masks of %zu x %zu and %zu x %zu pixels cannot be put together", a->height, a->width,
                   b->height, b->width);
}

static sa_status merge_two(sa_rle *rle, const sa_rle *a, const sa_rle *b, bool intersect, sa_error *err)
{
    sa_rle_list list = {0};
    SA_TRY(sa_rle_list_reserve(&list, a->count + b->count, err));
    run_pair pair = pair_start(a, b);
    bool value[2], before = false;
    uint32_t position = 0, length;
    while ((length = pair_next(&pair, value)) != 0) {
        bool now = intersect ? value[0] && value[1] : value[0] || value[1];
        if (now != before) {
            sa_rle_list_toggle(&list, position);
        }
        before = now;
        position += length;
    }
    return sa_rle_list_finish(&list, a->height, a->width, rle, err);
}

/* In halves, so that n masks of r runs cost n * r * log n steps: a file may hold very many polygons. */
static sa_status merge_all(sa_rle *rle, const sa_rle *parts, size_t count, bool intersect, sa_error *err)
{
    if (count == 1) {
        return sa_rle_from_counts(rle, parts->counts, parts->count, parts->height, parts->width, err);
    }
    sa_rle half[2] = {{0}, {0}};
    sa_status status = merge_all(&half[0], parts, count / 2, intersect, err);
    if (status == SA_OK) {
        status = merge_all(&half[1], parts + count / 2, count - count / 2, intersect, err);
    }
    if (status == SA_OK) {
        status = merge_two(rle, &half[0], &half[1], intersect, err);
    }
    sa_rle_free(&half[0]);
    sa_rle_free(&half[1]);
    return status;
}

sa_status sa_rle_merge(sa_rle *rle, const sa_rle *parts, size_t count, bool intersect, sa_error *err)
{
    *rle = (sa_rle){0};
    if (count == 0) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "there are no masks to merge");
    }
    for (size_t i = 1; i < count; i++) {
        SA_TRY(check_same_size(&parts[0], &parts[i], err));
    }
    return merge_all(rle, parts, count, intersect, err);
}

sa_status sa_rle_overlap(const sa_rle *a, const sa_rle *b, uint64_t *both, uint64_t *either, sa_error *err)
{
    SA_TRY(check_same_size(a, b, err));
    run_pair pair = pair_start(a, b);
    bool value[2];
    uint32_t length;
    *both = *either = 0;
    while ((length = pair_next(&pair, value)) != 0) {
        *both += value[0] && value[1] ? length : 0;
        *either += value[0] || value[1] ? length : 0;
    }
    return SA_OK;
}

sa_status sa_rle_iou(const sa_rle *a, const sa_rle *b, bool crowd, double *iou, sa_error *err)
{
    uint64_t both, either;
    SA_TRY(sa_rle_overlap(a, b, &both, &either, err));
    uint64_t whole = crowd ? sa_rle_area(a) : either;
    *iou = both == 0 ? 0.0 : (double)both / (double)whole;
    return SA_OK;
}
