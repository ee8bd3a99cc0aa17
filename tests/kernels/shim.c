#include "tests/kernels/shim.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/stream.h"
#include "runtime/device/device.h"
#include "tests/check.h"

enum { MOST_OPERANDS = 40, ALIGN = 256, GUARD = 256, GUARD_BYTE = 0xC3 };

typedef enum { IN, OUT, SCRATCH } operand_use; /* SCRATCH: of fresh device memory, copied neither way */

typedef struct {
    void *field; /* where the pointer stands in the op's arguments */
    uintptr_t host;
    size_t bytes;
    operand_use use;
} operand_place;

/* Operands that overlap share one region. */
typedef struct {
    uintptr_t begin, end; /* on the host */
    operand_use use;
    unsigned char *block, *device; /* what was allocated; where `begin` lies in it */
} region;

typedef struct {
    sa_stream *stream;
    const sa_ops *ops; /* of the real device */
    size_t count, regions, guard;
    operand_place operands[MOST_OPERANDS];
    region region[MOST_OPERANDS];
} call;

static call call_on(sa_stream *stream)
{
    const char *guards = getenv("SEGAGENT_TEST_GUARDS");
    return (call){.stream = stream,
                  .ops = sa_device_ops(stream->device),
                  .guard = guards != NULL && strcmp(guards, "1") == 0 ? GUARD : 0};
}

/* `field` is the address of a pointer in the arguments; a NULL or empty operand stays as it is. */
static void take(call *c, void *field, size_t bytes, operand_use use)
{
    void *host;
    memcpy(&host, field, sizeof host);
    if (host != NULL && bytes > 0) {
        assert_true(c->count < MOST_OPERANDS);
        c->operands[c->count++] = (operand_place){field, (uintptr_t)host, bytes, use};
    }
}

static int by_begin(const void *a, const void *b)
{
    const operand_place *x = a, *y = b;
    return x->host < y->host ? -1 : x->host > y->host;
}

static void join_operands(call *c)
{
    qsort(c->operands, c->count, sizeof c->operands[0], by_begin);
    for (size_t i = 0; i < c->count; i++) {
        const operand_place *o = &c->operands[i];
        region *last = c->regions > 0 ? &c->region[c->regions - 1] : NULL;
        uintptr_t end = o->host + o->bytes;
        if (last != NULL && o->host < last->end) {
            last->end = end > last->end ? end : last->end;
            last->use = o->use == OUT ? OUT : last->use;
        } else {
            c->region[c->regions++] = (region){.begin = o->host, .end = end, .use = o->use};
        }
    }
}

static void send_region(call *c, region *r)
{
    sa_error err;
    void *block;
    size_t shift = r->begin % ALIGN, bytes = r->end - r->begin;
    unsigned char guard[GUARD];
    must(sa_device_alloc(c->stream->device, c->guard + shift + bytes + c->guard, "an operand", &block, &err),
         &err);
    r->block = block;
    r->device = r->block + c->guard + shift;
    memset(guard, GUARD_BYTE, sizeof guard);
    sa_stream_upload(c->stream, r->device - c->guard, guard, c->guard);
    sa_stream_upload(c->stream, r->device + bytes, guard, c->guard);
    if (r->use != SCRATCH) { /* outputs too: what the op leaves alone must come back as it was */
        sa_stream_upload(c->stream, r->device, (const void *)r->begin, bytes);
    }
    must(sa_stream_wait(c->stream, &err), &err);
}

/* Everything to the device, and each pointer in the arguments to its copy. */
static void send(call *c)
{
    join_operands(c);
    for (size_t i = 0; i < c->regions; i++) {
        send_region(c, &c->region[i]);
    }
    for (size_t i = 0, r = 0; i < c->count; i++) {
        const operand_place *o = &c->operands[i];
        while (o->host >= c->region[r].end) {
            r++;
        }
        void *device = c->region[r].device + (o->host - c->region[r].begin);
        memcpy(o->field, &device, sizeof device);
    }
}

static void check_guard(call *c, const unsigned char *device, const char *side)
{
    sa_error err;
    unsigned char guard[GUARD];
    sa_stream_download(c->stream, guard, device, c->guard);
    must(sa_stream_wait(c->stream, &err), &err);
    for (size_t i = 0; i < c->guard; i++) {
        if (guard[i] != GUARD_BYTE) {
            fail_msg("byte %zu %s an operand was overwritten", i, side);
        }
    }
}

/* Waits, copies the outputs back, frees. */
static void finish(call *c)
{
    sa_error err;
    must(sa_stream_wait(c->stream, &err), &err);
    for (size_t i = 0; i < c->regions; i++) {
        region *r = &c->region[i];
        check_guard(c, r->device - c->guard, "of the guard before");
        check_guard(c, r->device + (r->end - r->begin), "after");
        if (r->use == OUT) {
            sa_stream_download(c->stream, (void *)r->begin, r->device, r->end - r->begin);
            must(sa_stream_wait(c->stream, &err), &err);
        }
    }
    for (size_t i = 0; i < c->regions; i++) {
        sa_device_free(c->stream->device, c->region[i].block);
    }
}

/* Bytes of `rows` rows `ld` apart, the last of which ends with its columns. */
static size_t strided(size_t rows, size_t columns, size_t ld, sa_dtype dtype)
{
    return rows == 0 ? 0 : ((rows - 1) * ld + columns) * sa_dtype_size(dtype);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* ---- the ops ---- */

static size_t shim_image_resize_workspace(const sa_stream *stream, const sa_image_resize_args *args)
{
    return sa_device_ops(stream->device)->image_resize_workspace(stream, args);
}

static void shim_image_resize(sa_stream *stream, const sa_image_resize_args *given)
{
    call c = call_on(stream);
    sa_image_resize_args args = *given;
    take(&c, &args.x, args.in_height * args.in_width * 3, IN);
    take(&c, &args.y, args.out_height * args.out_width * 3, OUT);
    take(&c, &args.across.table, args.out_width * (2 + args.across.taps) * sizeof(int32_t), IN);
    take(&c, &args.down.table, args.out_height * (2 + args.down.taps) * sizeof(int32_t), IN);
    take(&c, &args.workspace, c.ops->image_resize_workspace(stream, given), SCRATCH);
    send(&c);
    c.ops->image_resize(stream, &args);
    finish(&c);
}

static void shim_patchify(sa_stream *stream, const sa_patchify_args *given)
{
    call c = call_on(stream);
    sa_patchify_args args = *given;
    const uint8_t *pixels[MOST_OPERANDS];
    size_t grid = args.side / args.patch;
    assert_true(args.batch < MOST_OPERANDS);
    for (size_t b = 0; b < args.batch; b++) {
        pixels[b] = args.pixels[b];
        take(&c, &pixels[b], args.height[b] * args.width[b] * 3, IN);
    }
    args.pixels = pixels;
    take(&c, &args.y, args.batch * grid * grid * 3 * args.patch * args.patch * sa_dtype_size(args.dtype),
         OUT);
    send(&c);
    c.ops->patchify(stream, &args);
    finish(&c);
}

static void shim_gemm_pack(sa_stream *stream, const sa_gemm_pack_args *given)
{
    call c = call_on(stream);
    sa_gemm_pack_args args = *given;
    take(&c, &args.source, args.n * args.k * sa_dtype_size(args.source_dtype), IN);
    take(&c, &args.packed, c.ops->gemm_packed_bytes(args.n, args.k, args.dtype), OUT);
    send(&c);
    c.ops->gemm_pack(stream, &args);
    finish(&c);
}

static void shim_gemm(sa_stream *stream, const sa_gemm_args *given)
{
    call c = call_on(stream);
    sa_gemm_args args = *given;
    size_t rows = args.residual_rows != 0 ? args.residual_rows : args.m;
    take(&c, &args.a, strided(args.m, args.k, args.lda, args.dtype), IN);
    take(&c, &args.w, c.ops->gemm_packed_bytes(args.n, args.k, args.dtype), IN);
    take(&c, &args.bias, args.n * sizeof(float), IN);
    take(&c, &args.residual, strided(rows, args.n, args.ldr, SA_F32), IN);
    take(&c, &args.c, strided(args.m, args.n, args.ldc, args.c_dtype), OUT);
    send(&c);
    c.ops->gemm(stream, &args);
    finish(&c);
}

static void shim_layernorm(sa_stream *stream, const sa_layernorm_args *given)
{
    call c = call_on(stream);
    sa_layernorm_args args = *given;
    take(&c, &args.x, args.rows * args.d * sizeof(float), IN);
    take(&c, &args.w, args.d * sizeof(float), IN);
    take(&c, &args.b, args.d * sizeof(float), IN);
    take(&c, &args.y, args.rows * args.d * sa_dtype_size(args.y_dtype), OUT);
    send(&c);
    c.ops->layernorm(stream, &args);
    finish(&c);
}

static void shim_rel_pack(sa_stream *stream, const sa_rel_pack_args *given)
{
    call c = call_on(stream);
    sa_rel_pack_args args = *given;
    take(&c, &args.source, (2 * args.size - 1) * args.head_dim * sizeof(float), IN);
    take(&c, &args.packed, c.ops->rel_packed_bytes(args.size, args.head_dim, args.dtype), OUT);
    send(&c);
    c.ops->rel_pack(stream, &args);
    finish(&c);
}

static size_t shim_attention_grid_workspace(const sa_stream *stream, const sa_attention_grid_args *args)
{
    return sa_device_ops(stream->device)->attention_grid_workspace(stream, args);
}

static void shim_attention_grid(sa_stream *stream, const sa_attention_grid_args *given)
{
    call c = call_on(stream);
    sa_attention_grid_args args = *given;
    size_t hidden = args.heads * args.head_dim, tokens = args.batch * args.side * args.side;
    size_t table =
        c.ops->rel_packed_bytes(args.window != 0 ? args.window : args.side, args.head_dim, args.dtype);
    take(&c, &args.qkv, tokens * 3 * hidden * sa_dtype_size(args.dtype), IN);
    take(&c, &args.pad_qkv, 3 * hidden * sizeof(float), IN);
    take(&c, &args.rel_h, table, IN);
    take(&c, &args.rel_w, table, IN);
    take(&c, &args.out, tokens * hidden * sa_dtype_size(args.dtype), OUT);
    take(&c, &args.workspace, c.ops->attention_grid_workspace(stream, given), SCRATCH);
    send(&c);
    c.ops->attention_grid(stream, &args);
    finish(&c);
}

static void shim_im2col(sa_stream *stream, const sa_im2col_args *given)
{
    call c = call_on(stream);
    sa_im2col_args args = *given;
    size_t size = sa_dtype_size(args.dtype), area = args.kernel * args.kernel * args.channels;
    size_t height = (args.height + 2 * args.pad - args.kernel) / args.stride + 1;
    size_t width = (args.width + 2 * args.pad - args.kernel) / args.stride + 1;
    take(&c, &args.x, args.batch * args.height * args.width * args.channels * size, IN);
    take(&c, &args.y, args.batch * height * width * area * size, OUT);
    send(&c);
    c.ops->im2col(stream, &args);
    finish(&c);
}

static size_t shim_convolution_workspace(const sa_stream *stream, const sa_convolution_args *args)
{
    return sa_device_ops(stream->device)->convolution_workspace(stream, args);
}

static void shim_convolution(sa_stream *stream, const sa_convolution_args *given)
{
    call c = call_on(stream);
    sa_convolution_args args = *given;
    size_t size = sa_dtype_size(args.dtype), k = args.kernel * args.kernel * args.channels;
    size_t height = (args.height + 2 * args.pad - args.kernel) / args.stride + 1;
    size_t width = (args.width + 2 * args.pad - args.kernel) / args.stride + 1;
    take(&c, &args.x, args.batch * args.height * args.width * args.channels * size, IN);
    take(&c, &args.w, c.ops->gemm_packed_bytes(args.n, k, args.dtype), IN);
    take(&c, &args.bias, args.n * sizeof(float), IN);
    take(&c, &args.y, args.batch * height * width * args.n * sizeof(float), OUT);
    take(&c, &args.workspace, c.ops->convolution_workspace(stream, given), SCRATCH);
    send(&c);
    c.ops->convolution(stream, &args);
    finish(&c);
}

static void shim_add(sa_stream *stream, const sa_add_args *given)
{
    call c = call_on(stream);
    sa_add_args args = *given;
    take(&c, &args.a, args.a_rows * args.d * sizeof(float), IN);
    take(&c, &args.b, args.b_rows * args.d * sizeof(float), IN);
    take(&c, &args.y, args.rows * args.d * sa_dtype_size(args.y_dtype), OUT);
    send(&c);
    c.ops->add(stream, &args);
    finish(&c);
}

/* The table's rows are those that the kinds name. */
static size_t table_rows(const sa_point_encode_args *args)
{
    size_t rows = 0;
    for (size_t i = 0; i < args->n; i++) {
        int32_t kind = args->kind[i];
        size_t row = kind >= 0 ? (size_t)kind + 1 : kind == -1 ? 0 : (size_t)(-kind - 2) + 1;
        rows = larger(rows, row);
    }
    return rows;
}

static void shim_point_encode(sa_stream *stream, const sa_point_encode_args *given)
{
    call c = call_on(stream);
    sa_point_encode_args args = *given;
    take(&c, &args.table, table_rows(given) * args.channels * sizeof(float), IN);
    take(&c, &args.uv, args.n * 2 * sizeof(float), IN);
    take(&c, &args.kind, args.n * sizeof(int32_t), IN);
    take(&c, &args.gaussian, args.channels * sizeof(float), IN);
    take(&c, &args.y, args.n * args.channels * sizeof(float), OUT);
    send(&c);
    c.ops->point_encode(stream, &args);
    finish(&c);
}

static size_t shim_attention_workspace(const sa_stream *stream, const sa_attention_args *args)
{
    return sa_device_ops(stream->device)->attention_workspace(stream, args);
}

static void shim_attention(sa_stream *stream, const sa_attention_args *given)
{
    call c = call_on(stream);
    sa_attention_args args = *given;
    size_t hidden = args.heads * args.head_dim, q = 0, k = 0, out = 0;
    for (size_t i = 0; i < args.count; i++) {
        const sa_attention_item *item = &args.items[i];
        q = larger(q, (size_t)item->q_row + item->q_count);
        k = larger(k, (size_t)item->k_row + item->k_count);
        out = larger(out, (size_t)item->out_row + item->q_count);
    }
    take(&c, &args.q, strided(q, hidden, args.ldq, args.dtype), IN);
    take(&c, &args.k, strided(k, hidden, args.ldk, args.dtype), IN);
    take(&c, &args.v, strided(k, hidden, args.ldv, args.dtype), IN);
    take(&c, &args.out, strided(out, hidden, args.ldo, args.dtype), OUT);
    take(&c, &args.workspace, c.ops->attention_workspace(stream, given), SCRATCH);
    send(&c);
    c.ops->attention(stream, &args);
    finish(&c);
}

static void shim_mask_product(sa_stream *stream, const sa_mask_product_args *given)
{
    call c = call_on(stream);
    sa_mask_product_args args = *given;
    size_t pixels = args.batch * args.side * args.side * 16;
    take(&c, &args.features, pixels * args.channels * sa_dtype_size(args.dtype), IN);
    take(&c, &args.hyper, args.batch * args.masks * args.channels * sizeof(float), IN);
    take(&c, &args.logits, pixels * args.masks * sizeof(float), OUT);
    send(&c);
    c.ops->mask_product(stream, &args);
    finish(&c);
}

static size_t shim_mask_resize_workspace(const sa_stream *stream, const sa_mask_resize_args *args)
{
    return sa_device_ops(stream->device)->mask_resize_workspace(stream, args);
}

static size_t mask_bytes(size_t height, size_t width)
{
    return height * ((width + 63) / 64) * sizeof(uint64_t);
}

static void shim_mask_resize(sa_stream *stream, const sa_mask_resize_args *given)
{
    call c = call_on(stream);
    sa_mask_resize_args args = *given;
    take(&c, &args.low, args.low_side * args.low_side * sizeof(float), IN);
    take(&c, &args.bits, mask_bytes(args.height, args.width), OUT);
    take(&c, &args.workspace, c.ops->mask_resize_workspace(stream, given), SCRATCH);
    send(&c);
    c.ops->mask_resize(stream, &args);
    finish(&c);
}

static void shim_mask_threshold(sa_stream *stream, const sa_mask_threshold_args *given)
{
    call c = call_on(stream);
    sa_mask_threshold_args args = *given;
    take(&c, &args.logits, args.height * args.width * sizeof(float), IN);
    take(&c, &args.bits, mask_bytes(args.height, args.width), OUT);
    send(&c);
    c.ops->mask_threshold(stream, &args);
    finish(&c);
}

static size_t shim_mask_hash_workspace(const sa_stream *stream, const sa_mask_hash_args *args)
{
    return sa_device_ops(stream->device)->mask_hash_workspace(stream, args);
}

static void shim_mask_hash(sa_stream *stream, const sa_mask_hash_args *given)
{
    call c = call_on(stream);
    sa_mask_hash_args args = *given;
    take(&c, &args.bits, mask_bytes(args.height, args.width), IN);
    take(&c, &args.hash, sizeof(uint64_t), OUT);
    take(&c, &args.workspace, c.ops->mask_hash_workspace(stream, given), SCRATCH);
    send(&c);
    c.ops->mask_hash(stream, &args);
    finish(&c);
}

static void shim_overlay(sa_stream *stream, const sa_overlay_args *given)
{
    call c = call_on(stream);
    sa_overlay_args args = *given;
    take(&c, &args.pixels, args.height * args.width * 3, IN);
    take(&c, &args.bits, mask_bytes(args.height, args.width), IN);
    take(&c, &args.y, args.height * args.width * 3, OUT);
    send(&c);
    c.ops->overlay(stream, &args);
    finish(&c);
}

static void shim_image_place(sa_stream *stream, const sa_image_place_args *given)
{
    call c = call_on(stream);
    sa_image_place_args args = *given;
    take(&c, &args.pixels, args.height * args.width * 3, IN);
    take(&c, &args.y, args.canvas_height * args.canvas_width * 3, OUT);
    send(&c);
    c.ops->image_place(stream, &args);
    finish(&c);
}

static void shim_embed(sa_stream *stream, const sa_embed_args *given)
{
    call c = call_on(stream);
    sa_embed_args args = *given;
    take(&c, &args.ids, args.rows * sizeof(int32_t), IN);
    size_t plain = args.vocabulary * args.d * sa_dtype_size(args.dtype);
    take(&c, &args.table, args.packed ? c.ops->gemm_packed_bytes(args.vocabulary, args.d, args.dtype) : plain,
         IN);
    take(&c, &args.y, args.rows * args.d * sizeof(float), OUT);
    send(&c);
    c.ops->embed(stream, &args);
    finish(&c);
}

static void shim_rmsnorm(sa_stream *stream, const sa_rmsnorm_args *given)
{
    call c = call_on(stream);
    sa_rmsnorm_args args = *given;
    take(&c, &args.x, args.rows * args.d * sizeof(float), IN);
    take(&c, &args.w, args.d * sizeof(float), IN);
    take(&c, &args.y, args.rows * args.d * sa_dtype_size(args.y_dtype), OUT);
    send(&c);
    c.ops->rmsnorm(stream, &args);
    finish(&c);
}

static void shim_gate(sa_stream *stream, const sa_gate_args *given)
{
    call c = call_on(stream);
    sa_gate_args args = *given;
    size_t bytes = args.rows * args.width * sa_dtype_size(args.dtype);
    take(&c, &args.x, 2 * bytes, IN);
    take(&c, &args.y, bytes, OUT);
    send(&c);
    c.ops->gate(stream, &args);
    finish(&c);
}

/* One more than the largest of `count` numbers. */
static size_t reach(const int32_t *numbers, size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        most = larger(most, (size_t)numbers[i] + 1);
    }
    return most;
}

static void shim_rope_append(sa_stream *stream, const sa_rope_append_args *given)
{
    call c = call_on(stream);
    sa_rope_append_args args = *given;
    size_t size = sa_dtype_size(args.dtype), width = (args.heads + 2 * args.kv_heads) * args.head_dim;
    size_t pages = (reach(given->slot, args.rows) + SA_KV_PAGE - 1) / SA_KV_PAGE;
    size_t pool = pages * args.kv_heads * SA_KV_PAGE * args.head_dim * size;
    take(&c, &args.table, reach(given->position, args.rows) * args.head_dim * sizeof(float), IN);
    take(&c, &args.qkv, args.rows * width * size, OUT);
    take(&c, &args.position, args.rows * sizeof(int32_t), IN);
    take(&c, &args.slot, args.rows * sizeof(int32_t), IN);
    take(&c, &args.k_pages, pool, OUT);
    take(&c, &args.v_pages, pool, OUT);
    send(&c);
    c.ops->rope_append(stream, &args);
    finish(&c);
}

static size_t shim_attention_paged_workspace(const sa_stream *stream, const sa_attention_paged_args *args)
{
    return sa_device_ops(stream->device)->attention_paged_workspace(stream, args);
}

static void shim_attention_paged(sa_stream *stream, const sa_attention_paged_args *given)
{
    call c = call_on(stream);
    sa_attention_paged_args args = *given;
    size_t hidden = args.heads * args.head_dim, rows = 0, listed = 0, pages = 0;
    for (size_t i = 0; i < args.count; i++) {
        const sa_attention_paged_item *item = &args.items[i];
        size_t count = (item->k_count + SA_KV_PAGE - 1) / SA_KV_PAGE;
        rows = larger(rows, (size_t)item->q_row + item->q_count);
        listed = larger(listed, item->first_page + count);
        pages = larger(pages, reach(given->pages + item->first_page, count));
    }
    size_t pool = pages * args.kv_heads * SA_KV_PAGE * args.head_dim * sa_dtype_size(args.dtype);
    take(&c, &args.pages, listed * sizeof(int32_t), IN);
    take(&c, &args.q, strided(rows, hidden, args.ldq, args.dtype), IN);
    take(&c, &args.k_pages, pool, IN);
    take(&c, &args.v_pages, pool, IN);
    take(&c, &args.out, strided(rows, hidden, args.ldo, args.dtype), OUT);
    take(&c, &args.workspace, c.ops->attention_paged_workspace(stream, given), SCRATCH);
    send(&c);
    c.ops->attention_paged(stream, &args);
    finish(&c);
}

static size_t shim_sample_workspace(const sa_stream *stream, const sa_sample_args *args)
{
    return sa_device_ops(stream->device)->sample_workspace(stream, args);
}

static void shim_sample(sa_stream *stream, const sa_sample_args *given)
{
    call c = call_on(stream);
    sa_sample_args args = *given;
    take(&c, &args.logits, args.rows * args.vocabulary * sizeof(float), IN);
    take(&c, &args.token, args.rows * sizeof(int32_t), OUT);
    take(&c, &args.logprob, args.rows * sizeof(float), OUT);
    take(&c, &args.workspace, c.ops->sample_workspace(stream, given), SCRATCH);
    send(&c);
    c.ops->sample(stream, &args);
    finish(&c);
}

/* Sizes need no stream; on a build without CUDA nothing ever asks for them. */
#ifdef SEGAGENT_CUDA
#include "kernels/cuda/cuda.h"

static size_t shim_gemm_packed_bytes(size_t n, size_t k, sa_dtype dtype)
{
    return sa_cuda_ops.gemm_packed_bytes(n, k, dtype);
}

static size_t shim_kv_place(sa_dtype dtype, size_t head_dim, bool value, size_t key, size_t column)
{
    return sa_cuda_ops.kv_place(dtype, head_dim, value, key, column);
}

static size_t shim_rel_packed_bytes(size_t size, size_t head_dim, sa_dtype dtype)
{
    return sa_cuda_ops.rel_packed_bytes(size, head_dim, dtype);
}
#else
#define shim_gemm_packed_bytes NULL
#define shim_kv_place NULL
#define shim_rel_packed_bytes NULL
#endif

const sa_ops shim_ops = {
    .name = "cuda",
    .image_resize_workspace = shim_image_resize_workspace,
    .image_resize = shim_image_resize,
    .patchify = shim_patchify,
    .gemm_packed_bytes = shim_gemm_packed_bytes,
    .gemm_pack = shim_gemm_pack,
    .gemm = shim_gemm,
    .layernorm = shim_layernorm,
    .rel_packed_bytes = shim_rel_packed_bytes,
    .rel_pack = shim_rel_pack,
    .attention_grid_workspace = shim_attention_grid_workspace,
    .attention_grid = shim_attention_grid,
    .im2col = shim_im2col,
    .convolution_workspace = shim_convolution_workspace,
    .convolution = shim_convolution,
    .add = shim_add,
    .point_encode = shim_point_encode,
    .attention_workspace = shim_attention_workspace,
    .attention = shim_attention,
    .mask_product = shim_mask_product,
    .mask_resize_workspace = shim_mask_resize_workspace,
    .mask_resize = shim_mask_resize,
    .mask_threshold = shim_mask_threshold,
    .mask_hash_workspace = shim_mask_hash_workspace,
    .mask_hash = shim_mask_hash,
    .overlay = shim_overlay,
    .image_place = shim_image_place,
    .embed = shim_embed,
    .rmsnorm = shim_rmsnorm,
    .gate = shim_gate,
    .kv_place = shim_kv_place,
    .rope_append = shim_rope_append,
    .attention_paged_workspace = shim_attention_paged_workspace,
    .attention_paged = shim_attention_paged,
    .sample_workspace = shim_sample_workspace,
    .sample = shim_sample,
};
