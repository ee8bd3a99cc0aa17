/* runtime/image/mask.h against loops over bytes. */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/image/bits64.h"
#include "runtime/image/mask.h"
#include "tests/ref/mask_cases.h"
#include "tests/ref/ref_image.h"

/* Two masks of one shape, as bytes and as bits. */
typedef struct {
    size_t height, width;
    uint8_t *bytes[2];
    sa_mask mask[2];
} pair;

static pair pair_new(mask_shape shape, int fill_a, int fill_b)
{
    pair p = {.height = shape.height, .width = shape.width};
    for (int k = 0; k < 2; k++) {
        p.bytes[k] = malloc(shape.height * shape.width);
        mask_case_fill(p.bytes[k], shape.height, shape.width, k == 0 ? fill_a : fill_b, (uint64_t)(7 + k));
        assert_int_equal(sa_mask_new(&p.mask[k], shape.height, shape.width, NULL), SA_OK);
        sa_mask_from_bytes(&p.mask[k], p.bytes[k]);
    }
    return p;
}

static void pair_free(pair *p)
{
    for (int k = 0; k < 2; k++) {
        free(p->bytes[k]);
        sa_mask_free(&p->mask[k]);
    }
}

/* Every pixel as in `bytes`, and nothing past the width. */
static bool holds(const sa_mask *mask, const uint8_t *bytes)
{
    for (size_t y = 0; y < mask->height; y++) {
        for (size_t x = 0; x < mask->width; x++) {
            if (sa_mask_get(mask, x, y) != (bytes[y * mask->width + x] != 0)) {
                return false;
            }
        }
        uint64_t last = mask->bits[(y + 1) * mask->stride_words - 1];
        if (mask->width % 64 != 0 && last >> (mask->width % 64) != 0) {
            return false;
        }
    }
    return true;
}

static bool counts_agree(const pair *p)
{
    size_t pixels = p->height * p->width;
    size_t both = ref_mask_both(p->bytes[0], p->bytes[1], pixels);
    size_t either = ref_mask_either(p->bytes[0], p->bytes[1], pixels);
    double iou = either == 0 ? 0.0 : (double)both / (double)either;
    return sa_mask_area(&p->mask[0]) == ref_mask_area(p->bytes[0], p->height, p->width) &&
           sa_mask_intersection(&p->mask[0], &p->mask[1]) == both &&
           sa_mask_union(&p->mask[0], &p->mask[1]) == either && sa_mask_iou(&p->mask[0], &p->mask[1]) == iou;
}

static bool box_agrees(const pair *p)
{
    sa_mask_box got = sa_mask_bbox(&p->mask[0]), want = ref_mask_bbox(p->bytes[0], p->height, p->width);
    return got.x == want.x && got.y == want.y && got.width == want.width && got.height == want.height;
}

static bool round_trip_agrees(const pair *p)
{
    check_buffer bytes = check_buffer_new(p->height * p->width);
    sa_mask_to_bytes(&p->mask[0], bytes.bytes, 1);
    bool good = memcmp(bytes.bytes, p->bytes[0], bytes.size) == 0;
    sa_mask_to_bytes(&p->mask[0], bytes.bytes, 255);
    for (size_t i = 0; i < bytes.size; i++) {
        good = good && bytes.bytes[i] == p->bytes[0][i] * 255;
    }
    check_buffer_free(&bytes);
    return good;
}

static bool combine_agrees(const pair *p, sa_mask_op op)
{
    sa_mask out;
    assert_int_equal(sa_mask_copy(&out, &p->mask[0], NULL), SA_OK);
    sa_mask_combine(&out, &out, &p->mask[1], op);
    uint8_t *want = malloc(p->height * p->width);
    for (size_t i = 0; i < p->height * p->width; i++) {
        uint8_t a = p->bytes[0][i], b = p->bytes[1][i];
        want[i] = op == SA_MASK_AND ? a & b : op == SA_MASK_OR ? a | b : op == SA_MASK_XOR ? a ^ b : a & !b;
    }
    bool good = holds(&out, want);
    free(want);
    sa_mask_free(&out);
    return good;
}

static bool all_agree(const pair *p)
{
    return holds(&p->mask[0], p->bytes[0]) && holds(&p->mask[1], p->bytes[1]) && counts_agree(p) &&
           box_agrees(p) && round_trip_agrees(p) && combine_agrees(p, SA_MASK_AND) &&
           combine_agrees(p, SA_MASK_OR) && combine_agrees(p, SA_MASK_XOR) &&
           combine_agrees(p, SA_MASK_AND_NOT);
}

static void every_shape_and_content(void **state)
{
    (void)state;
    for (size_t s = 0; s < mask_shape_count; s++) {
        for (int a = 0; a < MASK_FILLS; a++) {
            for (int b = 0; b < MASK_FILLS; b++) {
                pair p = pair_new(mask_shapes[s], a, b);
                if (!all_agree(&p)) {
                    fail_msg("%zu x %zu, fills %d and %d", p.height, p.width, a, b);
                }
                pair_free(&p);
            }
        }
    }
}

static void a_large_mask(void **state)
{
    (void)state;
    pair p = pair_new((mask_shape){8191, 8193}, 5, 4);
    assert_true(counts_agree(&p));
    assert_true(box_agrees(&p));
    assert_true(round_trip_agrees(&p));
    pair_free(&p);
}

/* One pixel off must turn every comparison red. */
static void planted_faults_show(void **state)
{
    (void)state;
    pair p = pair_new((mask_shape){65, 131}, 5, 3);
    assert_true(all_agree(&p));
    sa_mask_set(&p.mask[0], 130, 64, !sa_mask_get(&p.mask[0], 130, 64));
    assert_false(holds(&p.mask[0], p.bytes[0]));
    assert_false(counts_agree(&p));
    assert_false(round_trip_agrees(&p));
    assert_false(combine_agrees(&p, SA_MASK_XOR));
    sa_mask_fill(&p.mask[0], false);
    assert_false(box_agrees(&p));
    pair_free(&p);
    p = pair_new((mask_shape){3, 65}, 1, 1);
    p.mask[0].bits[1] |= 2; /* past the width */
    assert_false(holds(&p.mask[0], p.bytes[0]));
    pair_free(&p);
}

static void fill_equal_hash(void **state)
{
    (void)state;
    pair p = pair_new((mask_shape){33, 65}, 0, 1);
    sa_mask_fill(&p.mask[0], true);
    assert_true(holds(&p.mask[0], p.bytes[1]));
    assert_true(sa_mask_equal(&p.mask[0], &p.mask[1]));
    assert_true(sa_mask_hash(&p.mask[0]) == sa_mask_hash(&p.mask[1]));
    for (size_t i = 0; i < 33 * 65; i++) {
        sa_mask_set(&p.mask[0], i % 65, i / 65, false);
        assert_false(sa_mask_equal(&p.mask[0], &p.mask[1]));
        assert_false(sa_mask_hash(&p.mask[0]) == sa_mask_hash(&p.mask[1]));
        sa_mask_set(&p.mask[0], i % 65, i / 65, true);
    }
    sa_mask turned; /* the same words, another size */
    assert_int_equal(sa_mask_new(&turned, 65, 33, NULL), SA_OK);
    sa_mask_fill(&p.mask[0], false);
    assert_false(sa_mask_equal(&p.mask[0], &turned));
    assert_false(sa_mask_hash(&p.mask[0]) == sa_mask_hash(&turned));
    sa_mask_free(&turned);
    pair_free(&p);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Pairs of equal neighbours among `count` halves of hashes, sorted: what is too much for chance shows. */
static size_t meetings(const uint64_t *hashes, size_t count, unsigned shift)
{
    uint32_t *half = malloc(count * sizeof *half);
    size_t equal = 0;
    for (size_t i = 0; i < count; i++) {
        half[i] = (uint32_t)(hashes[i] >> shift);
    }
    qsort(half, count, sizeof *half, by_value);
    for (size_t i = 1; i < count; i++) {
        equal += half[i] == half[i - 1];
    }
    free(half);
    return equal;
}

/*
 * Rectangles are as alike as masks get: equal rows, moved, longer by one. 20736 of them have 215 million
 * pairs, of which 0.05 should agree in 32 bits.
 */
static void hash_spreads(void **state)
{
    (void)state;
    enum { SIDE = 150, PLACES = 12, COUNT = PLACES * PLACES * PLACES * PLACES };
    uint64_t *hashes = malloc(COUNT * sizeof *hashes);
    sa_mask mask;
    assert_int_equal(sa_mask_new(&mask, SIDE, SIDE, NULL), SA_OK);
    for (size_t i = 0; i < COUNT; i++) {
        size_t x0 = i % PLACES * 11, y0 = i / PLACES % PLACES * 11;
        size_t width = 1 + i / PLACES / PLACES % PLACES, height = 1 + i / PLACES / PLACES / PLACES;
        sa_mask_fill(&mask, false);
        for (size_t y = y0; y < y0 + height; y++) {
            for (size_t x = x0; x < x0 + width; x++) {
                sa_mask_set(&mask, x, y, true);
            }
        }
        hashes[i] = sa_mask_hash(&mask);
    }
    assert_true(meetings(hashes, COUNT, 0) <= 1 && meetings(hashes, COUNT, 32) <= 1);
    hashes[7] = hashes[COUNT - 1] ^ 1; /* the count can see them */
    hashes[8] = hashes[9] = hashes[COUNT - 1];
    assert_true(meetings(hashes, COUNT, 0) >= 2 && meetings(hashes, COUNT, 32) >= 3);
    sa_mask_free(&mask);
    free(hashes);
}

/* Hashes may be kept in files: they must not change by accident. */
static void hash_stays(void **state)
{
    (void)state;
    pair p = pair_new((mask_shape){65, 131}, 5, 3);
    assert_true(sa_mask_hash(&p.mask[0]) == 0x93ffc50a01a2d70fu);
    pair_free(&p);
}

static void from_floats(void **state)
{
    (void)state;
    for (size_t s = 0; s < mask_shape_count; s++) {
        size_t h = mask_shapes[s].height, w = mask_shapes[s].width;
        float *values = malloc(h * w * sizeof *values);
        uint8_t *bytes = malloc(h * w);
        check_fill_normal(values, h * w, 1.0f, s);
        values[0] = NAN;
        values[h * w - 1] = 0.5f; /* equal is not greater */
        for (size_t i = 0; i < h * w; i++) {
            bytes[i] = i != 0 && values[i] > 0.5f;
        }
        sa_mask mask;
        assert_int_equal(sa_mask_new(&mask, h, w, NULL), SA_OK);
        sa_mask_from_f32(&mask, values, 0.5f);
        assert_true(holds(&mask, bytes));
        sa_mask_free(&mask);
        free(values);
        free(bytes);
    }
}

static void sizes_that_fail(void **state)
{
    (void)state;
    sa_error err = {0};
    sa_mask mask;
    assert_int_equal(sa_mask_new(&mask, SIZE_MAX / 2, 3, &err), SA_NO_ROOM);
    assert_null(mask.bits);
    assert_int_equal(sa_mask_new(&mask, SIZE_MAX, SIZE_MAX, &err), SA_NO_ROOM);
    assert_int_equal(sa_mask_new(&mask, 1, SIZE_MAX, &err), SA_NO_ROOM);
    sa_mask_free(&mask);
    for (int k = 0; k < 3; k++) { /* empty sizes are masks like any other */
        assert_int_equal(sa_mask_new(&mask, k == 0 ? 0 : 5, k == 1 ? 0 : k == 0 ? 5 : 0, &err), SA_OK);
        sa_mask_fill(&mask, true);
        assert_int_equal(sa_mask_area(&mask), 0);
        assert_int_equal(sa_mask_bbox(&mask).width, 0);
        assert_true(sa_mask_iou(&mask, &mask) == 0.0);
        sa_mask_free(&mask);
    }
}

static void transpose_of_bits(void **state)
{
    (void)state;
    uint64_t block[64], copy[64];
    for (int i = 0; i < 64; i++) {
        sa_philox r = sa_philox_block(11, (uint64_t)i, 0);
        copy[i] = block[i] = (uint64_t)r.word[0] << 32 | r.word[1];
    }
    sa_bits64_transpose(block);
    for (int i = 0; i < 64; i++) {
        for (int j = 0; j < 64; j++) {
            assert_true((block[i] >> j & 1) == (copy[j] >> i & 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_and_content),
        cmocka_unit_test(a_large_mask),
        cmocka_unit_test(planted_faults_show),
        cmocka_unit_test(fill_equal_hash),
        cmocka_unit_test(hash_spreads),
        cmocka_unit_test(hash_stays),
        cmocka_unit_test(from_floats),
        cmocka_unit_test(sizes_that_fail),
        cmocka_unit_test(transpose_of_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
