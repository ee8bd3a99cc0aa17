/*
 * JPEG writing, by libjpeg-turbo with Pillow's settings: baseline, 4:2:0, standard tables scaled by the
 * quality.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include "runtime/base/file.h"
#include "runtime/image/image.h"

typedef struct {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr target;
    jmp_buf escape;
    unsigned char *bytes; /* the file so far: all but target.free_in_buffer of `capacity` */
    size_t capacity;
} jpeg_writer;

static _Noreturn void on_error(j_common_ptr info)
{
    jpeg_writer *writer = info->client_data;
    longjmp(writer->escape, 1);
}

static void on_message(j_common_ptr info, int level)
{
    (void)info;
    (void)level;
}

/* Doubles the buffer, which is full. (jpeg_mem_dest would lose it when an error cuts in.) */
static boolean grow(j_compress_ptr info)
{
    jpeg_writer *writer = info->client_data;
    size_t used = writer->capacity, capacity = used ? 2 * used : 1 << 16;
    unsigned char *bytes = realloc(writer->bytes, capacity);
    if (!bytes) {
        on_error((j_common_ptr)info);
    }
    writer->bytes = bytes;
    writer->capacity = capacity;
    writer->target.next_output_byte = bytes + used;
    writer->target.free_in_buffer = capacity - used;
    return TRUE;
}

static void begin_target(j_compress_ptr info)
{
    grow(info);
}

static void end_target(j_compress_ptr info)
{
    (void)info;
}

/* False if there was no memory. */
static bool jpeg_run(jpeg_writer *writer, const sa_image *image, int quality)
{
    j_compress_ptr info = &writer->info;
    info->err = jpeg_std_error(&writer->errors);
    info->client_data = writer;
    writer->errors.error_exit = on_error;
    writer->errors.emit_message = on_message;
    if (setjmp(writer->escape)) {
        jpeg_destroy_compress(info);
        return false;
    }
    jpeg_create_compress(info);
    writer->target.init_destination = begin_target;
    writer->target.empty_output_buffer = grow;
    writer->target.term_destination = end_target;
    info->dest = &writer->target;
    info->image_width = (JDIMENSION)image->width;
    info->image_height = (JDIMENSION)image->height;
    info->input_components = 3;
    info->in_color_space = JCS_RGB;
    jpeg_set_defaults(info);
    jpeg_set_quality(info, quality, TRUE);
    jpeg_start_compress(info, TRUE);
    while (info->next_scanline < info->image_height) {
        JSAMPROW row = image->pixels + (size_t)info->next_scanline * image->width * 3;
        jpeg_write_scanlines(info, &row, 1);
    }
    jpeg_finish_compress(info);
    jpeg_destroy_compress(info);
    return true;
}

sa_status sa_image_encode_jpeg(const sa_image *image, int quality, unsigned char **bytes, size_t *size,
                               sa_error *err)
{
    SA_ASSERT(image->height > 0 && image->width > 0 && quality >= 1 && quality <= 100);
    *bytes = NULL;
    *size = 0;
    if (image->height > JPEG_MAX_DIMENSION || image->width > JPEG_MAX_DIMENSION) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "write a PNG", "a JPEG cannot have %zux%zu pixels",
                       image->width, image->height);
    }
    jpeg_writer writer = {0};
    if (!jpeg_run(&writer, image, quality)) {
        free(writer.bytes);
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory",
                       "no memory to encode a JPEG of %zux%zu pixels", image->width, image->height);
    }
    *bytes = writer.bytes;
    *size = writer.capacity - writer.target.free_in_buffer;
    return SA_OK;
}

sa_status sa_image_write_jpeg(const char *path, const sa_image *image, int quality, sa_error *err)
{
    unsigned char *bytes;
    size_t size;
    SA_TRY(sa_image_encode_jpeg(image, quality, &bytes, &size, err));
    sa_status status = sa_file_write(path, bytes, size, err);
    free(bytes);
    return status;
}
