/*
 * JPEG, by libjpeg-turbo with its defaults (accurate integer IDCT, "fancy" upsampling), which are Pillow's.
 *
 * libjpeg reports errors through callbacks that must not return; they jump back to jpeg_run. Nothing of its
 * texts reaches the user: they quote bytes of the file.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "runtime/image/codec.h"

enum {
    CAUSE_SCANS = -1,  /* beside libjpeg's message codes: too many scans */
    CAUSE_STATUS = -2, /* jpeg_reader.status says it */
};

typedef struct {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    int cause; /* why we jumped */
    int max_scans;
    const sa_codec_source *source;
    sa_image *image;
    int orientation;
    sa_status status;
    sa_error *err;
} jpeg_reader;

static _Noreturn void jpeg_leave(jpeg_reader *reader, int cause)
{
    reader->cause = cause;
    longjmp(reader->escape, 1);
}

static _Noreturn void on_error(j_common_ptr info)
{
    jpeg_leave(info->client_data, info->err->msg_code);
}

/*
 * A warning: libjpeg would go on and make up what is missing. At the end of the file that would be the
 * picture.
 */
static void on_message(j_common_ptr info, int level)
{
    if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF) {
        jpeg_leave(info->client_data, JWRN_JPEG_EOF);
    }
}

static void on_output(j_common_ptr info)
{
    (void)info;
}

static void on_progress(j_common_ptr info)
{
    jpeg_reader *reader = info->client_data;
    if (reader->info.input_scan_number > reader->max_scans) {
        jpeg_leave(reader, CAUSE_SCANS);
    }
}

/*
 * A progressive file has about 10 scans; each costs a pass over the picture, though it may be a few bytes
 * long. So: up to 100, and no more than 2^32 pixels in all, but always 16.
 */
static int scan_limit(const sa_image *image)
{
    uint64_t passes = ((uint64_t)1 << 32) / ((uint64_t)image->height * image->width);
    return passes > 100 ? 100 : passes < 16 ? 16 : (int)passes;
}

/* Memory that libjpeg frees together with its own; it leaves through on_error if there is none. */
static uint8_t *info_memory(jpeg_reader *reader, size_t size)
{
    return (*reader->info.mem->alloc_large)((j_common_ptr)&reader->info, JPOOL_IMAGE, size);
}

/* EXIF may be split over several APP1 markers; Pillow strings them together. */
static int exif_orientation(jpeg_reader *reader)
{
    static const char mark[] = "Exif\0";
    size_t total = 0;
    jpeg_saved_marker_ptr marker;
    for (marker = reader->info.marker_list; marker; marker = marker->next) {
        total += marker->data_length;
    }
    if (total == 0) {
        return 0;
    }
    uint8_t *exif = info_memory(reader, total);
    size_t used = 0;
    for (marker = reader->info.marker_list; marker; marker = marker->next) {
        if (marker->data_length >= sizeof mark && memcmp(marker->data, mark, sizeof mark) == 0) {
            memcpy(exif + used, marker->data + sizeof mark, marker->data_length - sizeof mark);
            used += marker->data_length - sizeof mark;
        }
    }
    return sa_exif_orientation(exif, used);
}

static int xmp_orientation(const jpeg_reader *reader)
{
    static const char mark[] = "http://ns.adobe.com/xap/1.0/";
    int found = 0;
    for (jpeg_saved_marker_ptr marker = reader->info.marker_list; marker; marker = marker->next) {
        if (marker->data_length >= sizeof mark && memcmp(marker->data, mark, sizeof mark) == 0) {
            found = sa_xmp_orientation(marker->data + sizeof mark, marker->data_length - sizeof mark);
        }
    }
    return found;
}

static int read_orientation(jpeg_reader *reader)
{
    int orientation = exif_orientation(reader);
    if (orientation == 0) {
        orientation = xmp_orientation(reader);
    }
    return orientation == 0 ? 1 : orientation;
}

/*
 * grey[0,width) standing at the row's start -> RGB, in place, from the right so that nothing is overwritten
 * unread.
 */
static void spread_grey(uint8_t *row, size_t width)
{
    for (size_t x = width; x-- > 0;) {
        memset(row + 3 * x, row[x], 3);
    }
}

/* a * b / 255, rounded: Pillow's MULDIV255. */
static unsigned mul_255(unsigned a, unsigned b)
{
    unsigned v = a * b + 128;
    return ((v >> 8) + v) >> 8;
}

/*
 * Pillow reads every 4-channel JPEG as inverted, as Adobe writes them: C = 255 - c. Its cmyk2rgb is then
 * R = (255 - K) - (255 - K) * C / 255.
 */
static void convert_cmyk(const uint8_t *cmyk, uint8_t *row, size_t width)
{
    for (size_t x = 0; x < width; x++) {
        unsigned light = cmyk[4 * x + 3];
        for (size_t c = 0; c < 3; c++) {
            row[3 * x + c] = (uint8_t)(light - mul_255(255u - cmyk[4 * x + c], light));
        }
    }
}

static void read_rows(jpeg_reader *reader)
{
    j_decompress_ptr info = &reader->info;
    sa_image *image = reader->image;
    bool cmyk = info->out_color_space == JCS_CMYK;
    uint8_t *buffer = cmyk ? info_memory(reader, image->width * 4) : NULL;
    while (info->output_scanline < info->output_height) {
        uint8_t *row = image->pixels + (size_t)info->output_scanline * image->width * 3;
        JSAMPROW target = cmyk ? buffer : row;
        jpeg_read_scanlines(info, &target, 1);
        if (cmyk) {
            convert_cmyk(buffer, row, image->width);
        } else if (info->out_color_space == JCS_GRAYSCALE) {
            spread_grey(row, image->width);
        }
    }
}

/*
 * From the header's numbers: what Pillow refuses is refused, sizes are checked, the picture's memory is
 * taken.
 */
static void start_picture(jpeg_reader *reader)
{
    j_decompress_ptr info = &reader->info;
    const sa_codec_source *source = reader->source;
    int channels = info->num_components;
    if (info->data_precision != 8 || (channels != 1 && channels != 3 && channels != 4)) {
        reader->status =
            sa_codec_unsupported(source, "a JPEG that has not 1, 3 or 4 channels of 8 bits", reader->err);
        jpeg_leave(reader, CAUSE_STATUS);
    }
    reader->status =
        sa_codec_new_image(source, info->image_height, info->image_width, 0, reader->image, reader->err);
    if (reader->status != SA_OK) {
        jpeg_leave(reader, CAUSE_STATUS);
    }
    size_t taken = reader->image->height * reader->image->width * 3;
    info->mem->max_memory_to_use = (long)(source->limits.max_memory - taken) + 1; /* 0 would mean no limit */
    info->out_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    reader->max_scans = scan_limit(reader->image);
}

/*
 * False if libjpeg, or one of us, gave up; reader->cause says why. Leaves nothing allocated but the picture.
 */
static bool jpeg_run(jpeg_reader *reader)
{
    j_decompress_ptr info = &reader->info;
    info->err = jpeg_std_error(&reader->errors);
    info->client_data = reader;
    reader->errors.error_exit = on_error;
    reader->errors.emit_message = on_message;
    reader->errors.output_message = on_output;
    reader->progress.progress_monitor = on_progress;
    if (setjmp(reader->escape)) {
        jpeg_destroy_decompress(info);
        return false;
    }
    jpeg_create_decompress(info);
    info->progress = &reader->progress;
    jpeg_save_markers(info, JPEG_APP0 + 1, 0xffff);
    jpeg_mem_src(info, reader->source->bytes, reader->source->size);
    jpeg_read_header(info, TRUE);
    start_picture(reader);
    reader->orientation = read_orientation(reader);
    jpeg_start_decompress(info);
    read_rows(reader);
    jpeg_finish_decompress(info);
    jpeg_destroy_decompress(info);
    return true;
}

static sa_status explain(const jpeg_reader *reader)
{
    const sa_codec_source *source = reader->source;
    switch (reader->cause) {
    case CAUSE_STATUS: return reader->status;
    case CAUSE_SCANS:
        return sa_fail(reader->err, SA_BAD_INPUT, source->name, "convert it to PNG",
                       "a progressive JPEG with more than %d scans", reader->max_scans);
    case JWRN_JPEG_EOF:
    case JERR_INPUT_EOF: return sa_codec_cut_short(source, "JPEG", reader->err);
    case JERR_OUT_OF_MEMORY: return sa_codec_no_memory(source, reader->err);
    case JERR_NO_BACKING_STORE: /* how libjpeg says that max_memory_to_use is not enough */
        return sa_fail(reader->err, SA_NO_ROOM, source->name, "scale it down, or store it as a baseline JPEG",
                       "decoding this progressive JPEG would take more than %zu MiB of memory",
                       source->limits.max_memory >> 20);
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
        return sa_codec_unsupported(source, "this kind of JPEG (lossless, hierarchical, not 8 bits)",
                                    reader->err);
    default: return sa_codec_damaged(source, "JPEG", "its data make no picture", reader->err);
    }
}

sa_status sa_jpeg_decode(const sa_codec_source *source, sa_image *image, int *orientation, sa_error *err)
{
    jpeg_reader reader = {.source = source, .image = image, .orientation = 1, .max_scans = 100, .err = err};
    if (!jpeg_run(&reader)) {
        sa_image_free(image);
        return explain(&reader);
    }
    *orientation = reader.orientation;
    return SA_OK;
}
