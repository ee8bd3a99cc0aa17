/*
 * Weights: the tensors of a model on disk, whatever container they stand in.
 *
 *   file or directory -> sa_weights_open -> a list of named tensors -> sa_weights_match against what a model
 * expects
 *
 * Containers: safetensors (one file, or sharded with model.safetensors.index.json) and PyTorch .pth / .bin
 * (zip + pickle, read by a restricted reader that executes nothing). Both stay memory-mapped: opening reads
 * headers only.
 */
#ifndef SA_WEIGHTS_WEIGHTS_H
#define SA_WEIGHTS_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/dtype.h"
#include "runtime/base/json.h"
#include "runtime/base/status.h"

#define SA_TENSOR_MAX_RANK 8

/*
 * One tensor of an open file set. Row-major and contiguous; `data` may be unaligned for its dtype. It points
 * into the mapped file, or, for a strided view in a PyTorch file, into a copy that the sa_weights owns.
 */
typedef struct {
    const char *name;
    sa_dtype dtype;
    int rank;
    size_t shape[SA_TENSOR_MAX_RANK];
    size_t count; /* elements: the product of shape, checked */
    size_t bytes; /* count * element size */
    const unsigned char *data;
    int file; /* index of the file it stands in */
} sa_tensor;

typedef struct sa_weights sa_weights;

/*
 * Opens a .safetensors, .pth, .pt or .bin file (told apart by content), a sharded index (*.index.json), or a
 * directory that holds one of model.safetensors, model.safetensors.index.json, pytorch_model.bin,
 * pytorch_model.bin.index.json (the first of them that is there). Nothing in the files is trusted, and no
 * code in them is run.
 */
sa_status sa_weights_open(sa_weights **weights, const char *path, sa_error *err);
void sa_weights_close(sa_weights *weights);

size_t sa_weights_count(const sa_weights *weights);
const sa_tensor *sa_weights_at(const sa_weights *weights, size_t index);       /* sorted by name */
const sa_tensor *sa_weights_find(const sa_weights *weights, const char *name); /* NULL if there is none */

const char *sa_weights_path(const sa_weights *weights);   /* as given to open */
const char *sa_weights_format(const sa_weights *weights); /* "safetensors" or "pytorch" */
size_t sa_weights_file_count(const sa_weights *weights);
const char *sa_weights_file(const sa_weights *weights, size_t index);

/*
 * After reading: SA_BAD_INPUT if a file was cut short while it was mapped, so that what was read is not to be
 * used.
 */
sa_status sa_weights_check(const sa_weights *weights, sa_error *err);
/* The tensor's pages may leave resident memory: it has been copied to where it is used. */
void sa_weights_release(const sa_weights *weights, const sa_tensor *tensor);

/*
 * Elements [begin, begin + count) of an f32, f16, bf16 or f64 tensor as f32. Other dtypes are a bug: match
 * checks them.
 */
void sa_tensor_read_f32(const sa_tensor *tensor, size_t begin, size_t count, float *out);

/* True for f32, f16, bf16 and f64. */
bool sa_dtype_is_float(sa_dtype dtype);

/* How many elements are infinite or NaN; 0 for dtypes that have no such values. */
size_t sa_tensor_count_nonfinite(const sa_tensor *tensor);

/* How many elements are infinite, or become so when rounded to f16; 0 for f16 itself and dtypes that are no
 * floats. */
size_t sa_tensor_count_beyond_f16(const sa_tensor *tensor);

/*
 * Elements [begin, begin + count) rounded (to nearest even) to `to`, one of f32, f16, bf16, into `out`. The
 * tensor must be floating. A value too large for f16 becomes infinite; the return value counts finite values
 * that did.
 */
size_t sa_tensor_convert(const sa_tensor *tensor, size_t begin, size_t count, sa_dtype to, void *out);

/* "[2, 3]"; returns `text`. */
const char *sa_shape_format(const size_t *shape, int rank, char *text, size_t size);

/*
 * What a model expects. A table of these is the one place that names a model's tensors: the loader fills
 * `found`, and sizes, shapes and errors all come from the table.
 */
typedef struct {
    char name[128];     /* Hugging Face name */
    char original[128]; /* name in the original release's file, or "" if it never had another */
    char alias[128]; /* second Hugging Face name of the same (tied) tensor, or ""; a file may hold either or
                        both */
    int rank;
    size_t shape[4];
    bool optional;
    const sa_tensor *found; /* out: NULL while not matched */
} sa_tensor_want;

/* What match found: a count and a list of each kind of misfit. */
typedef struct {
    size_t missing, unexpected, mismatched;
    json_t *missing_names;    /* array of strings */
    json_t *unexpected_names; /* array of strings */
    json_t *mismatched_items; /* array of {"name","expected","found"}, shapes and dtypes as text */
    bool original_names;      /* the file uses the original release's names */
} sa_weights_report;

/*
 * Matches every want with a tensor of the same name (either spelling, decided once for the whole file), shape
 * and a floating dtype. Everything that is wrong is gathered in *report (which the caller frees with
 * sa_weights_report_free whatever is returned); the status is SA_BAD_INPUT if anything is missing, left over
 * or mismatched, with an error that says how many of each and names the first few, both sides printed.
 * `ignored` (NULL-terminated list, may be NULL) names tensors that may stand in the file unused; a '*' at
 * its end matches any ending, one at its beginning any beginning. Where a tensor stands under its name and
 * its alias, both must hold the same bytes.
 */
sa_status sa_weights_match(const sa_weights *weights, sa_tensor_want *wants, size_t count,
                           const char *const *ignored, sa_weights_report *report, sa_error *err);
void sa_weights_report_free(sa_weights_report *report);

/*
 * Writing safetensors: `tensors` in any order, under the names given here, as `dtype` (floating tensors only;
 * others keep theirs). metadata "format": "pt" is set, as transformers asks for. The file appears whole or
 * not at all. SA_BAD_INPUT if a finite value does not fit in f16.
 */
typedef struct {
    const char *name;
    const sa_tensor *tensor;
    sa_dtype dtype;
} sa_tensor_out;

/* Told after every tensor, so that long writing can show progress; another status than SA_OK ends it. */
typedef struct {
    sa_status (*wrote)(void *context, sa_error *err);
    void *context;
} sa_write_watcher;

/* `watcher` may be NULL. */
sa_status sa_safetensors_write(const char *path, const sa_weights *weights, const sa_tensor_out *tensors,
                               size_t count, const sa_write_watcher *watcher, sa_error *err);

#endif
