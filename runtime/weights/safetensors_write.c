/*
 * Writing a safetensors file: header first, then the tensors in the order of the header, converted block by
 * block.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/weights/weights.h"

static sa_dtype written_dtype(const sa_tensor_out *out)
{
    return sa_dtype_is_float(out->tensor->dtype) ? out->dtype : out->tensor->dtype;
}

/*
 * Wide elements first, so that every tensor is aligned for its dtype; then by name, so that the file is
 * reproducible.
 */
static int compare_outs(const void *a, const void *b)
{
    const sa_tensor_out *x = a, *y = b;
    size_t wide_x = sa_dtype_size(written_dtype(x)), wide_y = sa_dtype_size(written_dtype(y));
    if (wide_x != wide_y) {
        return wide_x > wide_y ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static void write_entry(sa_json_writer *w, const sa_tensor_out *out, size_t begin, size_t end)
{
    static const char *const names[SA_DTYPE_COUNT] = {"F32", "F16", "BF16", "F64", "U8",
                                                      "I8",  "I16", "I32",  "I64", "BOOL"};
    sa_json_key(w, out->name);
    sa_json_begin_object(w);
    sa_json_key(w, "dtype");
    sa_json_string(w, names[written_dtype(out)]);
    sa_json_key(w, "shape");
    sa_json_begin_array(w);
    for (int axis = 0; axis < out->tensor->rank; axis++) {
        sa_json_int(w, (int64_t)out->tensor->shape[axis]);
    }
    sa_json_end_array(w);
    sa_json_key(w, "data_offsets");
    sa_json_begin_array(w);
    sa_json_int(w, (int64_t)begin);
    sa_json_int(w, (int64_t)end);
    sa_json_end_array(w);
    sa_json_end_object(w);
}

static void write_header_json(FILE *stream, const sa_tensor_out *outs, size_t count)
{
    sa_json_writer w = sa_json_writer_on(stream);
    sa_json_begin_object(&w);
    sa_json_key(&w, "__metadata__");
    sa_json_begin_object(&w);
    sa_json_key(&w, "format");
    sa_json_string(&w, "pt");
    sa_json_end_object(&w);
    size_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        size_t end = begin + outs[i].tensor->count * sa_dtype_size(written_dtype(&outs[i]));
        write_entry(&w, &outs[i], begin, end);
        begin = end;
    }
    sa_json_end_object(&w);
}

static sa_status write_header(FILE *stream, const char *path, const sa_tensor_out *outs, size_t count,
                              sa_error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) {
        return sa_fail_errno(err, path, "cannot make its header");
    }
    write_header_json(memory, outs, count);
    bool failed = ferror(memory) != 0;
    failed = fclose(memory) != 0 || failed;
    if (failed) {
        free(text);
        return sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory for its header");
    }
    size_t padded = (size + 7) & ~(size_t)7; /* the data start at a multiple of 8 */
    for (int i = 0; i < 8; i++) {
        fputc((int)(padded >> (8 * i) & 0xff), stream);
    }
    fwrite(text, 1, size, stream);
    fprintf(stream, "%*s", (int)(padded - size), "");
    free(text);
    return SA_OK;
}

static sa_status write_converted(FILE *stream, const char *path, const sa_tensor_out *out, sa_error *err)
{
    enum { BLOCK = 16384 };
    static const size_t widest = 4;
    unsigned char *block = malloc(BLOCK * widest);
    if (block == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory to convert");
    }
    size_t lost = 0;
    for (size_t done = 0; done < out->tensor->count && lost == 0; done += BLOCK) {
        size_t n = out->tensor->count - done < BLOCK ? out->tensor->count - done : BLOCK;
        lost = sa_tensor_convert(out->tensor, done, n, out->dtype, block);
        fwrite(block, sa_dtype_size(out->dtype), n, stream);
    }
    free(block);
    if (lost != 0) {
        return sa_fail(err, SA_BAD_INPUT, path, "use bf16 or f32",
                       "tensor \"%s\" has values too large for %s", out->name, sa_dtype_name(out->dtype));
    }
    return SA_OK;
}

static sa_status write_data(FILE *stream, const char *path, const sa_weights *weights,
                            const sa_tensor_out *outs, size_t count, const sa_write_watcher *watcher,
                            sa_error *err)
{
    for (size_t i = 0; i < count && !ferror(stream); i++) {
        const sa_tensor *tensor = outs[i].tensor;
        if (written_dtype(&outs[i]) != tensor->dtype) {
            SA_TRY(write_converted(stream, path, &outs[i], err));
        } else if (tensor->bytes > 0) {
            fwrite(tensor->data, 1, tensor->bytes, stream);
        }
        sa_weights_release(weights, tensor);
        if (watcher != NULL) {
            SA_TRY(watcher->wrote(watcher->context, err));
        }
    }
    return sa_weights_check(weights, err); /* else zeros of a file that shrank would be written as weights */
}

static sa_status write_all(FILE *stream, const char *path, const sa_weights *weights,
                           const sa_tensor_out *tensors, size_t count, const sa_write_watcher *watcher,
                           sa_error *err)
{
    sa_tensor_out *sorted = malloc((count + 1) * sizeof *sorted);
    if (sorted == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory for %zu tensors", count);
    }
    if (count > 0) {
        memcpy(sorted, tensors, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_outs);
    }
    sa_status status = write_header(stream, path, sorted, count, err);
    if (status == SA_OK) {
        status = write_data(stream, path, weights, sorted, count, watcher, err);
    }
    free(sorted);
    return status;
}

sa_status sa_safetensors_write(const char *path, const sa_weights *weights, const sa_tensor_out *tensors,
                               size_t count, const sa_write_watcher *watcher, sa_error *err)
{
    sa_file_writer writer;
    SA_TRY(sa_file_writer_open(&writer, path, err));
    sa_status status = write_all(writer.stream, path, weights, tensors, count, watcher, err);
    if (status != SA_OK) {
        sa_file_writer_abandon(&writer);
        return status;
    }
    return sa_file_writer_commit(&writer, err);
}
