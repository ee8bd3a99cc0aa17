/* The image itself: its memory and the limits on what a file may ask for. */
#include "runtime/image/image.h"

#include <stdlib.h>

#include "runtime/base/checked.h"
#include "runtime/image/codec.h"

sa_status sa_image_new(size_t height, size_t width, sa_image *image, sa_error *err)
{
    size_t pixels, bytes;
    *image = (sa_image){0};
    if (height == 0 || width == 0 || !sa_mul_size(height, width, &pixels) ||
        !sa_mul_size(pixels, 3, &bytes)) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "there can be no image of %zux%zu pixels", width, height);
    }
    uint8_t *memory = malloc(bytes);
    if (!memory) {
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory, or use a smaller picture",
                       "no memory for an image of %zux%zu pixels", width, height);
    }
    *image = (sa_image){.height = height, .width = width, .pixels = memory};
    return SA_OK;
}

void sa_image_free(sa_image *image)
{
    free(image->pixels);
    *image = (sa_image){0};
}

sa_image_limits sa_image_default_limits(void)
{
    return (sa_image_limits){
        .max_pixels = (size_t)1 << 28,
        .max_side = 65535,
        .max_file_bytes = (size_t)512 << 20,
        .max_memory = (size_t)1 << 30,
    };
}

sa_status sa_codec_check_size(const sa_codec_source *source, uint64_t height, uint64_t width, sa_error *err)
{
    const sa_image_limits *limits = &source->limits;
    if (height == 0 || width == 0) {
        return sa_fail(err, SA_BAD_INPUT, source->name, "fetch or export the file again",
                       "the picture has no pixels (%llux%llu)", (unsigned long long)width,
                       (unsigned long long)height);
    }
    if (height > limits->max_side || width > limits->max_side || height > limits->max_pixels / width) {
        return sa_fail(
            err, SA_NO_ROOM, source->name, "scale it down, or raise --max-pixels or --max-side",
            "the picture is too large: %llux%llu pixels, and at most %zu pixels, %zu a side, are read",
            (unsigned long long)width, (unsigned long long)height, limits->max_pixels, limits->max_side);
    }
    return SA_OK;
}

sa_status sa_codec_check_memory(const sa_codec_source *source, uint64_t height, uint64_t width,
                                uint64_t scratch, sa_error *err)
{
    const sa_image_limits *limits = &source->limits;
    if (scratch > limits->max_memory || height * width > (limits->max_memory - scratch) / 3) {
        return sa_fail(err, SA_NO_ROOM, source->name, "scale it down; click and ask also take --max-memory",
                       "decoding %llux%llu pixels would take more than %zu MiB of memory",
                       (unsigned long long)width, (unsigned long long)height, limits->max_memory >> 20);
    }
    return SA_OK;
}

sa_status sa_codec_new_image(const sa_codec_source *source, uint64_t height, uint64_t width, uint64_t scratch,
                             sa_image *image, sa_error *err)
{
    SA_TRY(sa_codec_check_size(source, height, width, err));
    SA_TRY(sa_codec_check_memory(source, height, width, scratch, err));
    sa_status status = sa_image_new((size_t)height, (size_t)width, image, err);
    return status == SA_OK ? SA_OK : sa_codec_no_memory(source, err);
}

sa_status sa_codec_no_memory(const sa_codec_source *source, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, source->name, "free some memory, or use a smaller picture",
                   "no memory to decode the picture");
}

sa_status sa_codec_damaged(const sa_codec_source *source, const char *format, const char *what, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, source->name, "fetch or export the file again", "damaged %s file: %s",
                   format, what);
}

sa_status sa_codec_cut_short(const sa_codec_source *source, const char *format, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, source->name, "fetch or export the file again",
                   "the %s file is cut short: it ends before its picture does", format);
}

sa_status sa_codec_unsupported(const sa_codec_source *source, const char *kind, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, source->name, "convert it to an 8-bit PNG or JPEG",
                   "%s is not supported", kind);
}
