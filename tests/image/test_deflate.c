/* runtime/image/deflate.h: through stb's inflate, as pixels of a PNG that any reader would read the same. */
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/image/deflate.h"
#include "runtime/image/image.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb_image.h>
#pragma GCC diagnostic pop

/* Packs, unpacks and compares; returns the packed size. */
static size_t round_trip(const uint8_t *bytes, size_t size)
{
    check_buffer packed = check_buffer_new(sa_deflate_bound(size));
    size_t made = sa_deflate(packed.bytes, bytes, size);
    int length = -1;
    char *again =
        stbi_zlib_decode_malloc_guesssize((const char *)packed.bytes, (int)made, (int)size + 1, &length);
    assert_true(made <= sa_deflate_bound(size));
    assert_int_equal(length, size);
    assert_memory_equal(again, bytes, size);
    free(again);
    check_buffer_free(&packed);
    return made;
}

static void fill(uint8_t *bytes, size_t size, uint64_t seed, uint32_t values)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(sa_philox_block(seed, i, 0).word[0] % values);
    }
}

/* Around the ends of blocks, of few values and of all. */
static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,   1,     2,     3,     8,     9,     10,    258,
                                   259, 32767, 32768, 32769, 65534, 65535, 65536, 100003};
    static const uint32_t values[] = {1, 2, 3, 17, 256};
    uint8_t *bytes = malloc(100003);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            fill(bytes, sizes[i], i * 10 + v, values[v]);
            round_trip(bytes, sizes[i]);
        }
    }
    free(bytes);
}

/* Runs of every length on either side of what a match can hold, with other bytes between them. */
static void test_runs(void **state)
{
    (void)state;
    static uint8_t bytes[300 * 600 + 600];
    size_t size = 0;
    for (size_t run = 1; run < 600; run++) {
        memset(bytes + size, (int)(run % 7), run);
        size += run;
        bytes[size++] = (uint8_t)(100 + run % 50);
    }
    assert_true(round_trip(bytes, size) < size / 20);
    memset(bytes, 0, sizeof bytes);
    assert_true(round_trip(bytes, sizeof bytes) < 1500);
}

/* Counts like Fibonacci's numbers ask for codes longer than the 15 bits that there are. */
static void test_long_codes(void **state)
{
    (void)state;
    static uint8_t bytes[32768];
    size_t size = 0, before = 1, count = 1;
    for (int value = 0; value < 20; value++) {
        for (size_t i = 0; i < count && size < sizeof bytes; i++) {
            bytes[size++] = (uint8_t)(value * 9);
        }
        size_t next = before + count;
        before = count;
        count = next;
    }
    for (size_t i = size - 1; i > 0; i--) { /* shuffled: else they would be runs */
        size_t j = sa_philox_block(3, i, 0).word[0] % (i + 1);
        uint8_t kept = bytes[i];
        bytes[i] = bytes[j];
        bytes[j] = kept;
    }
    assert_true(size > 17000);
    assert_true(round_trip(bytes, size) < size / 2);
}

/* Noise cannot be packed: it is stored, and no more than the bound says. */
static void test_noise(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(200000);
    fill(bytes, 200000, 1, 256);
    assert_in_range(round_trip(bytes, 200000), 200000, 200000 + 64);
    free(bytes);
}

/* The same bytes on every machine: what files of scenes rest on. */
static void test_same_bytes(void **state)
{
    (void)state;
    static uint8_t bytes[50000], packed[60000];
    uint64_t hash = 0xcbf29ce484222325u;
    fill(bytes, sizeof bytes, 5, 9);
    size_t made = sa_deflate(packed, bytes, sizeof bytes);
    for (size_t i = 0; i < made; i++) {
        hash = (hash ^ packed[i]) * 0x100000001b3u;
    }
    print_message("%zu bytes, 0x%016llxu\n", made, (unsigned long long)hash);
    assert_true(hash == 0x6c9484df92099184u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes), cmocka_unit_test(test_runs),       cmocka_unit_test(test_long_codes),
        cmocka_unit_test(test_noise), cmocka_unit_test(test_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
