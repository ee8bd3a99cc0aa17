#include "runtime/image/mask.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/mask_hash.h"
#include "runtime/base/checked.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "mask.c packs eight bytes at a time in little-endian order"
#endif

#define MOST_WORDS ((size_t)1 << 34) /* 128 GiB: a size past that comes from a broken file */

sa_status sa_mask_new(sa_mask *mask, size_t height, size_t width, sa_error *err)
{
    *mask = (sa_mask){0};
    size_t stride = width / 64 + (width % 64 != 0), words, pixels;
    /* The pixel count must fit too: callers hold areas and row-major indices in size_t. */
    if (!sa_mul_size(height, width, &pixels) || !sa_mul_size(height, stride, &words) || words > MOST_WORDS) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "a mask of %zu x %zu pixels is too large", width, height);
    }
    uint64_t *bits = calloc(words != 0 ? words : 1, sizeof *bits);
    if (bits == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a mask of %zu x %zu pixels", width,
                       height);
    }
    *mask = (sa_mask){.height = height, .width = width, .stride_words = stride, .bits = bits};
    return SA_OK;
}

void sa_mask_free(sa_mask *mask)
{
    free(mask->bits);
    *mask = (sa_mask){0};
}

static size_t word_count(const sa_mask *mask)
{
    return mask->height * mask->stride_words;
}

sa_status sa_mask_copy(sa_mask *mask, const sa_mask *source, sa_error *err)
{
    SA_TRY(sa_mask_new(mask, source->height, source->width, err));
    memcpy(mask->bits, source->bits, word_count(source) * sizeof *mask->bits);
    return SA_OK;
}

/* The bits of a row's last word that lie inside the width. */
static uint64_t last_word_bits(const sa_mask *mask)
{
    return mask->width % 64 == 0 ? UINT64_MAX : ((uint64_t)1 << (mask->width % 64)) - 1;
}

void sa_mask_fill(sa_mask *mask, bool on)
{
    for (size_t i = 0; i < word_count(mask); i++) {
        bool last = (i + 1) % mask->stride_words == 0;
        mask->bits[i] = !on ? 0 : last ? last_word_bits(mask) : UINT64_MAX;
    }
}

/* ---- counting ---- */

/*
 * Bits set in each byte of a word, as eight counts of at most 8. Plain shifts and adds, which the compiler
 * turns into vector code on every machine; the popcnt instruction is not part of the base instruction set.
 */
static inline uint64_t byte_counts(uint64_t v)
{
    v = v - ((v >> 1) & 0x5555555555555555u);
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    return (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
}

static inline size_t sum_of_bytes(uint64_t v)
{
    uint64_t pairs = (v & 0x00ff00ff00ff00ffu) + ((v >> 8) & 0x00ff00ff00ff00ffu);
    return (size_t)((pairs * 0x0001000100010001u) >> 48);
}

typedef enum { COUNT_A, COUNT_AND, COUNT_OR } count_what;

/*
 * Bits of a, a & b or a | b. `what` is a constant where this is called, so each caller gets a loop of its
 * own.
 */
static inline __attribute__((always_inline)) size_t count_bits(const uint64_t *a, const uint64_t *b,
                                                               size_t words, count_what what)
{
    size_t total = 0;
    while (words != 0) {
        size_t piece = words < 31 ? words : 31; /* 31 * 8 = 248: the sums of bytes do not carry */
        uint64_t sums = 0;
        for (size_t i = 0; i < piece; i++) {
            sums += byte_counts(what == COUNT_A ? a[i] : what == COUNT_AND ? a[i] & b[i] : a[i] | b[i]);
        }
        total += sum_of_bytes(sums);
        a += piece;
        b += piece;
        words -= piece;
    }
    return total;
}

/* Counts of a & b and of a | b. */
typedef struct {
    size_t both, either;
} pair_counts;

static pair_counts count_plain(const uint64_t *a, const uint64_t *b, size_t words)
{
    return (pair_counts){count_bits(a, b, words, COUNT_AND), count_bits(a, b, words, COUNT_OR)};
}

/* Both in one pass, where there is an instruction that counts the bits of eight words. */
#if defined(__x86_64__)
static __attribute__((target("avx512f,avx512vpopcntdq"))) pair_counts
count_avx512(const uint64_t *a, const uint64_t *b, size_t words)
{
    pair_counts n = {0};
    for (size_t i = 0; i < words; i++) {
        n.both += (size_t)__builtin_popcountll(a[i] & b[i]);
        n.either += (size_t)__builtin_popcountll(a[i] | b[i]);
    }
    return n;
}

static bool have_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vpopcntdq");
}
#else
#define count_avx512 count_plain
static bool have_avx512(void)
{
    return false;
}
#endif

static bool same_size(const sa_mask *a, const sa_mask *b)
{
    return a->height == b->height && a->width == b->width;
}

size_t sa_mask_area(const sa_mask *mask)
{
    return count_bits(mask->bits, mask->bits, word_count(mask), COUNT_A);
}

size_t sa_mask_intersection(const sa_mask *a, const sa_mask *b)
{
    SA_ASSERT(same_size(a, b));
    return count_bits(a->bits, b->bits, word_count(a), COUNT_AND);
}

size_t sa_mask_union(const sa_mask *a, const sa_mask *b)
{
    SA_ASSERT(same_size(a, b));
    return count_bits(a->bits, b->bits, word_count(a), COUNT_OR);
}

double sa_mask_iou(const sa_mask *a, const sa_mask *b)
{
    SA_ASSERT(same_size(a, b));
    pair_counts n = have_avx512() ? count_avx512(a->bits, b->bits, word_count(a))
                                  : count_plain(a->bits, b->bits, word_count(a));
    return n.either == 0 ? 0.0 : (double)n.both / (double)n.either;
}

/* ---- shape ---- */

static bool row_is_empty(const sa_mask *mask, size_t y)
{
    const uint64_t *row = mask->bits + y * mask->stride_words;
    uint64_t any = 0;
    for (size_t i = 0; i < mask->stride_words; i++) {
        any |= row[i];
    }
    return any == 0;
}

/* Word `word` of the rows top .. bottom-1, or-ed together. */
static uint64_t word_column(const sa_mask *mask, size_t word, size_t top, size_t bottom)
{
    uint64_t any = 0;
    for (size_t y = top; y < bottom; y++) {
        any |= mask->bits[y * mask->stride_words + word];
    }
    return any;
}

sa_mask_box sa_mask_bbox(const sa_mask *mask)
{
    size_t top = 0, bottom = mask->height, first = 0, last = mask->stride_words;
    while (top < bottom && row_is_empty(mask, top)) {
        top++;
    }
    if (top == bottom) {
        return (sa_mask_box){0};
    }
    while (row_is_empty(mask, bottom - 1)) {
        bottom--;
    }
    uint64_t left, right;
    while ((left = word_column(mask, first, top, bottom)) == 0) {
        first++;
    }
    while ((right = word_column(mask, last - 1, top, bottom)) == 0) {
        last--;
    }
    size_t x = first * 64 + (size_t)__builtin_ctzll(left);
    size_t end = last * 64 - (size_t)__builtin_clzll(right);
    return (sa_mask_box){.x = x, .y = top, .width = end - x, .height = bottom - top};
}

bool sa_mask_equal(const sa_mask *a, const sa_mask *b)
{
    return same_size(a, b) && memcmp(a->bits, b->bits, word_count(a) * sizeof *a->bits) == 0;
}

uint64_t sa_mask_hash(const sa_mask *mask)
{
    return sa_mask_hash_finish(sa_mask_hash_sum(mask->bits, word_count(mask)), mask->height, mask->width);
}

void sa_mask_combine(sa_mask *out, const sa_mask *a, const sa_mask *b, sa_mask_op op)
{
    SA_ASSERT(same_size(out, a) && same_size(a, b));
    size_t words = word_count(a);
    for (size_t i = 0; i < words; i++) {
        uint64_t p = a->bits[i], q = b->bits[i];
        out->bits[i] = op == SA_MASK_AND   ? p & q
                       : op == SA_MASK_OR  ? p | q
                       : op == SA_MASK_XOR ? p ^ q
                                           : p & ~q;
    }
}

/* ---- other forms ---- */

/* Eight bytes to eight bits, bit i set if byte i is not 0. */
static inline uint64_t pack_eight(const uint8_t *bytes)
{
    uint64_t v;
    memcpy(&v, bytes, 8);
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    v = ((((v & low) + low) | v) & ~low) >> 7; /* 1 in every byte that was not 0 */
    return (v * 0x0102040810204080u) >> 56;    /* byte i's bit lands on bit 56 + i; no two products meet */
}

void sa_mask_from_bytes(sa_mask *mask, const uint8_t *bytes)
{
    for (size_t y = 0; y < mask->height; y++, bytes += mask->width) {
        uint64_t *row = mask->bits + y * mask->stride_words;
        for (size_t word = 0; word < mask->stride_words; word++) {
            size_t left = mask->width - word * 64, count = left < 64 ? left : 64, i = 0;
            uint64_t bits = 0;
            for (; i + 8 <= count; i += 8) {
                bits |= pack_eight(bytes + word * 64 + i) << i;
            }
            for (; i < count; i++) {
                bits |= (uint64_t)(bytes[word * 64 + i] != 0) << i;
            }
            row[word] = bits;
        }
    }
}

void sa_mask_to_bytes(const sa_mask *mask, uint8_t *bytes, uint8_t on)
{
    for (size_t y = 0; y < mask->height; y++, bytes += mask->width) {
        const uint64_t *row = mask->bits + y * mask->stride_words;
        size_t x = 0;
        for (; x + 8 <= mask->width; x += 8) {
            /* Spread eight bits over eight bytes: copy the byte, keep bit i in byte i, make it 0 or 1. */
            uint64_t spread = ((row[x / 64] >> (x % 64)) & 0xff) * 0x0101010101010101u & 0x8040201008040201u;
            spread = ((spread + 0x7f7f7f7f7f7f7f7fu) | spread) >> 7 & 0x0101010101010101u;
            spread *= on;
            memcpy(bytes + x, &spread, 8);
        }
        for (; x < mask->width; x++) {
            bytes[x] = sa_mask_get(mask, x, y) ? on : 0;
        }
    }
}

void sa_mask_from_f32(sa_mask *mask, const float *values, float threshold)
{
    for (size_t y = 0; y < mask->height; y++, values += mask->width) {
        uint64_t *row = mask->bits + y * mask->stride_words;
        for (size_t x = 0; x < mask->width; x += 64) {
            size_t count = mask->width - x < 64 ? mask->width - x : 64;
            uint8_t greater[64] = {0}; /* two vector loops instead of one that shifts by a variable */
            for (size_t i = 0; i < count; i++) {
                greater[i] = values[x + i] > threshold;
            }
            uint64_t bits = 0;
            for (size_t i = 0; i < 64; i += 8) {
                bits |= pack_eight(greater + i) << i;
            }
            row[x / 64] = bits;
        }
    }
}
