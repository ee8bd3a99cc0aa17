/*
 * PNG, BMP and PNM pixels by stb_image, every other format compiled out. stb believes what a file says, so
 * png_read.c, bmp_read.c and pnm_read.c check the file first and hand over a plain one of the same pixels;
 * what is left to stb is unpacking, and here is the memory that it may take for that.
 */
#if defined(__GNUC__) && !defined(__clang__)
/* gcc warns of stb's own fields after inlining, where no pragma around the include reaches. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/image/codec.h"

enum { BLOCKS = 8 /* stb holds at most 4 at once */, MAX_SIDE = 1 << 24, MAX_BYTES = 1 << 30 };

/*
 * What the decode that runs on this thread may still take, and what it holds. stb's allocator has no context
 * argument, hence the thread-local. Holding the list also gives back what stb 2.27 forgets when it fails
 * (16-bit pictures).
 */
static _Thread_local struct {
    size_t left;
    bool refused; /* an allocation beyond `left` was asked for */
    struct {
        void *at;
        size_t size;
    } held[BLOCKS];
} budget;

static int find_block(const void *at)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (budget.held[i].at == at) {
            return i;
        }
    }
    return -1;
}

/* Zeroed: a broken stream can make stb copy bytes that it never wrote, and those must not be the heap's. */
static void *budget_malloc(size_t size)
{
    int free_place = find_block(NULL);
    if (size > budget.left || free_place < 0) {
        budget.refused = true;
        return NULL;
    }
    void *at = calloc(size ? size : 1, 1);
    if (at) {
        budget.left -= size;
        budget.held[free_place].at = at;
        budget.held[free_place].size = size;
    }
    return at;
}

/* Takes the block off the list; it stays the caller's. */
static void budget_release(void *at)
{
    int place = find_block(at);
    SA_ASSERT(place >= 0);
    budget.left += budget.held[place].size;
    budget.held[place].at = NULL;
}

static void budget_free(void *at)
{
    if (at) {
        budget_release(at);
        free(at);
    }
}

static void *budget_realloc(void *at, size_t size)
{
    void *moved = budget_malloc(size);
    if (at && moved) {
        size_t old = budget.held[find_block(at)].size;
        memcpy(moved, at, old < size ? old : size);
        budget_free(at);
    }
    return moved;
}

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_FAILURE_STRINGS
#define STBI_MAX_DIMENSIONS MAX_SIDE
#define STBI_MALLOC(size) budget_malloc(size)
#define STBI_REALLOC(at, size) budget_realloc(at, size)
#define STBI_FREE(at) budget_free(at)
#define STBI_ASSERT(statement) SA_ASSERT(statement)

/* To the end of the file, where gcc speaks of what stb declares and does not define. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#include <stb_image.h>
#pragma GCC diagnostic pop

/* stb's sizes are ints; these bounds keep each of its products in one. */
static bool within_stb(const sa_stb_file *file)
{
    uint64_t pixel = file->pixel_bytes > 4 ? file->pixel_bytes : 4;
    return file->height <= MAX_SIDE && file->width <= MAX_SIDE && file->size <= MAX_BYTES &&
           file->height * file->width <= MAX_BYTES / pixel;
}

/* The pixels [height,width,3], the caller's; NULL if stb refuses. Leaves nothing else behind. */
static uint8_t *load(const sa_stb_file *file, size_t memory)
{
    int width = 0, height = 0, channels = 0;
    memset(&budget, 0, sizeof budget);
    budget.left = memory;
    uint8_t *pixels = stbi_load_from_memory(file->bytes, (int)file->size, &width, &height, &channels, 3);
    if (pixels) {
        SA_ASSERT((uint64_t)width == file->width && (uint64_t)height == file->height);
        budget_release(pixels);
    }
    for (int i = 0; i < BLOCKS; i++) {
        budget_free(budget.held[i].at);
    }
    return pixels;
}

sa_status sa_stb_decode(const sa_codec_source *source, const sa_stb_file *file, sa_image *image,
                        sa_error *err)
{
    if (!within_stb(file)) {
        return sa_fail(err, SA_NO_ROOM, source->name, "scale it down, or store it as JPEG",
                       "the picture is too large for the reader of %s: %llux%llu pixels", file->format,
                       (unsigned long long)file->width, (unsigned long long)file->height);
    }
    SA_TRY(sa_codec_check_memory(source, file->height, file->width, file->copied + file->scratch, err));
    size_t room = source->limits.max_memory - (size_t)file->copied;
    bool whole_need = file->most_memory <= room;
    uint8_t *pixels = load(file, whole_need ? (size_t)file->most_memory : room);
    if (pixels) {
        *image = (sa_image){.height = (size_t)file->height, .width = (size_t)file->width, .pixels = pixels};
        return SA_OK;
    }
    if (budget.refused && !whole_need) {
        return sa_codec_no_memory(source, err);
    }
    return sa_codec_damaged(source, file->format, "its compressed data, or the filter of a row, are wrong",
                            err);
}

size_t sa_stb_inflate(const uint8_t *stream, size_t size, uint8_t *out, size_t capacity)
{
    if (size > INT_MAX || capacity > INT_MAX) {
        return 0;
    }
    int made = stbi_zlib_decode_buffer((char *)out, (int)capacity, (const char *)stream, (int)size);
    return made > 0 ? (size_t)made : 0;
}
