#include "tests/ref/mask_cases.h"

#include "runtime/base/philox.h"

const mask_shape mask_shapes[] = {
    {1, 1},     {1, 2},     {1, 64},  {1, 131}, {2, 1},     {64, 1},  {65, 1},  {131, 1}, {3, 5},
    {7, 63},    {7, 64},    {7, 65},  {63, 7},  {64, 7},    {65, 7},  {63, 63}, {64, 64}, {65, 65},
    {127, 129}, {128, 128}, {31, 97}, {97, 31}, {101, 103}, {193, 2}, {2, 193},
};
const size_t mask_shape_count = sizeof mask_shapes / sizeof mask_shapes[0];

static uint32_t noise(uint64_t seed, size_t at)
{
    return sa_philox_block(seed, at, 0x6d61736b).word[0] >> 16;
}

static uint8_t pixel(int fill, uint64_t seed, size_t height, size_t width, size_t y, size_t x)
{
    size_t at = y * width + x;
    switch (fill) {
    case 0: return 0;
    case 1: return 1;
    case 2: return noise(seed, at) < 0x0400;
    case 3: return noise(seed, at) < 0x8000;
    case 4: return noise(seed, at) < 0xfc00;
    case 5: return noise(seed, y / 9 * 1000 + x / 11) < 0x9000;
    default: return y < 2 || x < 2 || y + 2 >= height || x + 2 >= width || (y > height / 2 && x > width / 3);
    }
}

void mask_case_fill(uint8_t *mask, size_t height, size_t width, int fill, uint64_t seed)
{
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            mask[y * width + x] = pixel(fill, seed, height, width, y, x);
        }
    }
}
