/*
 * Arbitrary bytes through sa_image_decode, under limits that keep a run short. The first byte says what else
 * is done: bit 0 sets a PNG's checksums right first, so that what lies behind them is reached. What is
 * accepted must keep the limits, be readable to the last pixel, and come back the same from our PNG; EXIF and
 * XMP readers see the bytes bare.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/image/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fix_checksums(uint8_t *png, size_t size)
{
    for (size_t at = 8; at < size && size - at >= 12 && sa_read_be32(png + at) <= size - at - 12;) {
        size_t length = sa_read_be32(png + at);
        uint32_t crc = sa_crc32(0, png + at + 4, length + 4);
        for (int i = 0; i < 4; i++) {
            png[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        }
        at += length + 12;
    }
}

static void check_round_trip(const sa_image *image)
{
    unsigned char *bytes;
    size_t size;
    sa_image again;
    SA_ASSERT(sa_image_encode_png(image, &bytes, &size, NULL) == SA_OK);
    SA_ASSERT(sa_image_decode("again", bytes, size, NULL, &again, NULL) == SA_OK);
    SA_ASSERT(again.height == image->height && again.width == image->width);
    SA_ASSERT(memcmp(again.pixels, image->pixels, image->height * image->width * 3) == 0);
    sa_image_free(&again);
    free(bytes);
}

static void check_decode(const uint8_t *bytes, size_t size)
{
    const sa_image_limits limits = {
        .max_pixels = 1 << 16, .max_side = 2048, .max_file_bytes = 1 << 20, .max_memory = 1 << 20};
    sa_error err = {0};
    sa_image image;
    sa_status status = sa_image_decode("fuzz", bytes, size, &limits, &image, &err);
    if (status != SA_OK) {
        SA_ASSERT(!image.pixels && err.status == status && err.reason[0] != 0);
        return;
    }
    SA_ASSERT(image.height * image.width <= limits.max_pixels);
    SA_ASSERT(image.height <= limits.max_side && image.width <= limits.max_side);
    check_round_trip(&image);
    sa_image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    uint8_t *copy = malloc(size);
    if (!copy) {
        return 0;
    }
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 1) {
        fix_checksums(copy, size - 1);
    }
    if (data[0] & 2) {
        int orientation = sa_exif_orientation(data + 1, size - 1);
        SA_ASSERT(orientation >= 0 && orientation <= 8);
        orientation = sa_xmp_orientation(data + 1, size - 1);
        SA_ASSERT(orientation >= 0 && orientation <= 8);
    }
    uint8_t *exact = realloc(copy, size > 1 ? size - 1 : 1);
    check_decode(exact ? exact : copy, size - 1);
    free(exact ? exact : copy);
    return 0;
}
