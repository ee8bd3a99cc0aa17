/*
 * The null device: everything but arithmetic. Its ops do nothing, copies to it are not made, and its memory
 * is the host's that nobody touches (the system gives pages only to what is written), so a model costs next
 * to nothing there. What a host needs to go on is made up: `sample` says one given answer, again and again,
 * with other digits (device.h), and logits are zeros.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/base/checked.h"
#include "runtime/device/backend.h"
#include "runtime/device/cpu_level.h"

typedef struct {
    struct sa_device common; /* first: a null_device is an sa_device */
    sa_ops ops;
} null_device;

/* In front of each block, on a page of its own. */
typedef struct {
    size_t bytes, mapped;
} block_head;

enum { PAGE = 4096 };

static void null_close(sa_device *device)
{
    free(device);
}

static const sa_ops *null_ops(const sa_device *device)
{
    return &((const null_device *)(const void *)device)->ops;
}

static bool null_has_fast_bf16(const sa_device *device)
{
    (void)device;
    return true;
}

static size_t null_items_at_once(const sa_device *device)
{
    (void)device;
    return 8;
}

/* As a GPU would. */
static bool null_overlaps(const sa_device *device)
{
    (void)device;
    return true;
}

static sa_status null_alloc(sa_device *device, size_t bytes, const char *what, void **memory, sa_error *err)
{
    size_t whole = 0;
    void *block = MAP_FAILED;
    if (sa_add_size(bytes, PAGE, &whole)) {
        block = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (block == MAP_FAILED) {
        return sa_fail(err, SA_NO_ROOM, device->name, "use a smaller batch", "no addresses for %s: %zu MB",
                       what, bytes >> 20);
    }
    *(block_head *)block = (block_head){bytes, whole};
    device->allocated += bytes;
    device->allocations++;
    *memory = (char *)block + PAGE;
    return SA_OK;
}

static void null_free(sa_device *device, void *memory)
{
    block_head *head = (block_head *)(void *)((char *)memory - PAGE);
    device->allocated -= head->bytes;
    munmap(head, head->mapped);
}

static sa_status null_stream_open(sa_stream **out, sa_device *device, sa_error *err)
{
    sa_stream *stream = malloc(sizeof *stream);
    if (stream == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a stream handle");
    }
    *stream = (sa_stream){.device = device, .pool = device->pool};
    *out = stream;
    return SA_OK;
}

static void null_stream_close(sa_stream *stream)
{
    free(stream);
}

static sa_status null_stream_wait(sa_stream *stream, sa_error *err)
{
    (void)stream;
    (void)err;
    return SA_OK;
}

static void null_upload(sa_stream *stream, void *to, const void *from, size_t bytes)
{
    (void)stream;
    (void)to;
    (void)from;
    (void)bytes;
}

static void null_download(sa_stream *stream, void *to, const void *from, size_t bytes)
{
    (void)stream;
    memcpy(to, from, bytes);
}

/* ---- ops ---- */

/* One for each type of arguments. */
#define NOTHING(op)                                                                                          \
    static void no_##op(sa_stream *stream, const sa_##op##_args *args)                                       \
    {                                                                                                        \
        (void)stream;                                                                                        \
        (void)args;                                                                                          \
    }
NOTHING(image_resize)
NOTHING(patchify)
NOTHING(gemm_pack)
NOTHING(gemm)
NOTHING(layernorm)
NOTHING(rel_pack)
NOTHING(attention_grid)
NOTHING(im2col)
NOTHING(convolution)
NOTHING(add)
NOTHING(point_encode)
NOTHING(attention)
NOTHING(mask_product)
NOTHING(mask_resize)
NOTHING(mask_threshold)
NOTHING(mask_hash)
NOTHING(overlay)
NOTHING(image_place)
NOTHING(embed)
NOTHING(rmsnorm)
NOTHING(gate)
NOTHING(rope_append)
NOTHING(attention_paged)

static void say_answer(sa_stream *stream, const sa_sample_args *args)
{
    const sa_null_answer *a = &stream->device->answer;
    for (size_t i = 0; i < args->rows; i++) {
        const sa_sample_choice *c = &args->choice[i];
        size_t place = c->place < a->count ? c->place : a->count - 1;
        args->token[i] = a->count == 0      ? 0
                         : a->varies[place] ? a->others[(size_t)(c->u * (float)a->other_count)]
                                            : a->tokens[place];
        args->logprob[i] = 0;
    }
}

/* The sizes are the CPU's. */
static sa_ops make_ops(void)
{
    sa_ops ops = *sa_cpu_level_ops(SA_CPU_PLAIN);
    ops.name = "null";
    ops.image_resize = no_image_resize;
    ops.patchify = no_patchify;
    ops.gemm_pack = no_gemm_pack;
    ops.gemm = no_gemm;
    ops.layernorm = no_layernorm;
    ops.rel_pack = no_rel_pack;
    ops.attention_grid = no_attention_grid;
    ops.im2col = no_im2col;
    ops.convolution = no_convolution;
    ops.add = no_add;
    ops.point_encode = no_point_encode;
    ops.attention = no_attention;
    ops.mask_product = no_mask_product;
    ops.mask_resize = no_mask_resize;
    ops.mask_threshold = no_mask_threshold;
    ops.mask_hash = no_mask_hash;
    ops.overlay = no_overlay;
    ops.image_place = no_image_place;
    ops.embed = no_embed;
    ops.rmsnorm = no_rmsnorm;
    ops.gate = no_gate;
    ops.rope_append = no_rope_append;
    ops.attention_paged = no_attention_paged;
    ops.sample = say_answer;
    return ops;
}

/* ---- opening ---- */

static const sa_backend null_backend = {
    .close = null_close,
    .ops = null_ops,
    .has_fast_bf16 = null_has_fast_bf16,
    .items_at_once = null_items_at_once,
    .reads_host = false,
    .overlaps = null_overlaps,
    .computes_nothing = true,
    .alloc = null_alloc,
    .free = null_free,
    .stream_open = null_stream_open,
    .stream_close = null_stream_close,
    .stream_wait = null_stream_wait,
    .upload = null_upload,
    .download = null_download,
    .copy = null_upload,
};

sa_status sa_device_null_open(sa_device **out, sa_error *err)
{
    null_device *device = calloc(1, sizeof *device);
    if (device == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a device handle");
    }
    device->common.backend = &null_backend;
    device->ops = make_ops();
    snprintf(device->common.name, sizeof device->common.name, "null");
    *out = &device->common;
    return SA_OK;
}
