/*
 * Measurements: how long something takes, and which share of what the machine can do that is.
 *
 *   cases -> sa_bench_measure (interleaved rounds) -> seconds -> ceilings -> table, or JSON objects
 *
 * The ceiling is measured in the same run and interleaved with the rest, since on shared machines it changes
 * from minute to minute: the best of our own GEMM and oneDNN's at the model's shapes, and the reading of
 * memory. On a GPU it is the peak that its maker declares.
 */
#ifndef SA_BENCH_BENCH_H
#define SA_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"
#include "runtime/cli/cli.h"
#include "runtime/image/image.h"

enum { SA_BENCH_MOST_REPEATS = 1000, SA_BENCH_MOST_CASES = 64 };

typedef enum {
    SA_BENCH_WORK,          /* something to be judged */
    SA_BENCH_CEILING_FLOPS, /* sets the ceiling of arithmetic, and is listed */
    SA_BENCH_CEILING_BYTES, /* the same for memory */
} sa_bench_kind;

/* One thing to measure; `run` does it once. */
typedef struct {
    char name[48], shape[64];
    sa_bench_kind kind;
    sa_status (*run)(void *context, sa_error *err);
    void *context;
    sa_dtype precision;
    double flops, bytes; /* of one run; 0 if not known or not meant */
    size_t inner;        /* runs per timing, so that a timing is long enough to trust */
    size_t repeats;
    double seconds[SA_BENCH_MOST_REPEATS]; /* of one run, sorted by measure */
} sa_bench_case;

/* Fills name and shape; the rest is the caller's. */
sa_bench_case sa_bench_case_new(sa_bench_kind kind, const char *name, const char *shape, sa_dtype precision);

double sa_bench_median(const sa_bench_case *c);

/*
 * Runs every case once to warm up, then `repeats` rounds with all cases in turn. Short ones are repeated
 * within a timing until it lasts 5 ms. Stops at the first failure, and at Ctrl-C.
 */
sa_status sa_bench_measure(sa_bench_case *cases, size_t count, size_t repeats, sa_progress *progress,
                           sa_error *err);

/* What is printed beside the cases. */
typedef struct {
    const char *device;
    int threads;
    /* declared by the device, or the best medians among the ceiling cases of one precision; 0: none */
    double ceiling_tflops, ceiling_gbps;
} sa_bench_frame;

/*
 * The ceilings: the declared peaks of `device` if it has any, otherwise those found in `cases`, of arithmetic
 * only where the precision is the given one.
 */
void sa_bench_find_ceilings(const sa_device *device, const sa_bench_case *cases, size_t count,
                            sa_dtype precision, sa_bench_frame *frame);

/* Markdown table, or one JSON object a line with the fields of INTERFACES.md. */
void sa_bench_print_table(const sa_bench_case *cases, size_t count, const sa_bench_frame *frame,
                          FILE *stream);
void sa_bench_print_json(const sa_bench_case *cases, size_t count, const sa_bench_frame *frame, FILE *stream);

/* ---- our GEMM, through the device's table of ops ---- */

typedef struct sa_bench_gemm sa_bench_gemm;

/* Random numbers in [-1, 1) in device memory, the same on every machine. */
sa_status sa_bench_fill(sa_device *device, sa_stream *stream, void *out, sa_dtype dtype, size_t count,
                        uint64_t seed, sa_error *err);

/* c [m,n] in `dtype` = a [m,k] * w [n,k]^T, random values, packed weights. */
sa_status sa_bench_gemm_open(sa_bench_gemm **gemm, sa_device *device, sa_stream *stream, size_t m, size_t n,
                             size_t k, sa_dtype dtype, sa_error *err);
void sa_bench_gemm_close(sa_bench_gemm *gemm);
sa_status sa_bench_gemm_run(void *gemm, sa_error *err); /* context: sa_bench_gemm */

/* Largest |ours - oneDNN's| over the largest |ours| when both have run; proves that they do the same work. */
double sa_bench_gemm_difference(const sa_bench_gemm *ours, const void *other, sa_dtype dtype);
/* The operands, for another implementation to use: a [m,k] and w [n,k] in the GEMM's dtype. */
const void *sa_bench_gemm_a(const sa_bench_gemm *gemm);
const void *sa_bench_gemm_w(const sa_bench_gemm *gemm);

/* ---- oneDNN's matmul (ceiling_onednn.c) ---- */

typedef struct sa_onednn_gemm sa_onednn_gemm;

bool sa_onednn_available(void); /* compiled in */
/*
 * The same product; a and w as above, w is brought into oneDNN's own order once. SA_NO_DEVICE if oneDNN
 * refuses.
 */
sa_status sa_onednn_gemm_open(sa_onednn_gemm **gemm, size_t m, size_t n, size_t k, sa_dtype dtype,
                              const void *a, const void *w, int threads, sa_error *err);
void sa_onednn_gemm_close(sa_onednn_gemm *gemm);
sa_status sa_onednn_gemm_run(void *gemm, sa_error *err);
const void *sa_onednn_gemm_c(const sa_onednn_gemm *gemm); /* [m,n] */

/* ---- reading memory ---- */

typedef struct sa_bench_memory sa_bench_memory;

/* A buffer far larger than the caches, read by all threads of the pool. */
sa_status sa_bench_memory_open(sa_bench_memory **memory, sa_pool *pool, size_t bytes, sa_error *err);
void sa_bench_memory_close(sa_bench_memory *memory);
sa_status sa_bench_memory_run(void *memory, sa_error *err);

/* ---- a GEMM of both kinds as cases ---- */

typedef struct {
    sa_bench_gemm *ours;
    sa_onednn_gemm *onednn; /* NULL if it is not there */
} sa_bench_gemm_pair;

/* Opens both; adds one or two cases ("gemm-NAME", "onednn-NAME") at cases[*count]. Close it in every case. */
sa_status sa_bench_gemm_pair_open(sa_bench_gemm_pair *pair, sa_device *device, sa_stream *stream,
                                  const char *name, size_t m, size_t n, size_t k, sa_dtype dtype,
                                  sa_bench_case *cases, size_t *count, sa_error *err);
void sa_bench_gemm_pair_close(sa_bench_gemm_pair *pair);

/* ---- what the benches of whole models share (bench_model.c) ---- */

typedef struct {
    const char *segmenter, *model, *image; /* image may be NULL: random pixels */
    size_t repeats;
} sa_bench_options;

enum { SA_BENCH_MEMORY_BYTES = 256 << 20 }; /* that the ceiling of memory reads */

/* The picture in a file, or, without one, 1280x960 random pixels: resizing is real work for any model. */
sa_status sa_bench_picture(const sa_cli *cli, const char *file, sa_image *picture, sa_error *err);

typedef struct {
    sa_bench_gemm_pair gemms[4];
    sa_bench_memory *memory; /* NULL where the host's memory is no ceiling of the device */
} sa_bench_ceilings;

/*
 * Adds the ceilings of a transformer: the four products of a layer over `tokens` rows, and the reading of
 * memory. Close it in every case.
 */
sa_status sa_bench_ceilings_open(sa_bench_ceilings *ceilings, sa_device *device, sa_stream *stream,
                                 size_t tokens, size_t hidden, size_t mlp, sa_dtype precision,
                                 sa_bench_case *cases, size_t *count, sa_error *err);
void sa_bench_ceilings_close(sa_bench_ceilings *ceilings);

/* A model's bench: the device, and the cases that are measured on it. */
typedef struct {
    const sa_cli *cli;
    const sa_bench_options *options;
    sa_device *device;
    sa_stream *stream;
    sa_dtype precision;
    sa_bench_ceilings ceilings;
    sa_bench_case *cases; /* [SA_BENCH_MOST_CASES], `count` of them */
    size_t count;
} sa_bench_model;

/* Opens the device, a stream, and room for cases; cli and options are there. Close it in every case. */
sa_status sa_bench_model_open(sa_bench_model *m, sa_error *err);
void sa_bench_model_close(sa_bench_model *m);

/* One more case of the model's own work. */
sa_bench_case *sa_bench_model_add(sa_bench_model *m, const char *name, const char *shape,
                                  sa_status (*run)(void *context, sa_error *err), void *context);
/* sa_bench_ceilings_open() for this model. */
sa_status sa_bench_model_add_ceilings(sa_bench_model *m, size_t tokens, size_t hidden, size_t mlp,
                                      sa_error *err);
/* Measures all cases, with a progress line; prints them as JSON or as a table. */
sa_status sa_bench_model_measure(sa_bench_model *m, sa_error *err);
void sa_bench_model_print(sa_bench_model *m);
/* sa_bench_kernels() for this model. */
sa_status sa_bench_model_kernels(sa_bench_model *m, const char *what,
                                 sa_status (*run)(void *context, sa_error *err), void *context,
                                 sa_error *err);

/* ---- kernel by kernel (bench_kernels.c) ---- */

/*
 * Runs `run` once under the device's profile and prints its kernels, the longest first, with each one's share
 * of the roof: of the time that the device's declared peaks allow for its flops or its bytes, whichever takes
 * longer. Nothing on devices without a profile. JSON: one object a kernel, "name" is "kernel-NAME".
 */
sa_status sa_bench_kernels(sa_device *device, const char *what, sa_dtype precision, bool json,
                           sa_status (*run)(void *context, sa_error *err), void *context, sa_error *err);

/* ---- the measurements ---- */

sa_status sa_bench_sam(const sa_cli *cli, const sa_bench_options *options, sa_error *err);
/* The image encoder of a CLIP, as a LLaVA uses it: all layers but the last. */
sa_status sa_bench_vit(const sa_cli *cli, const sa_bench_options *options, sa_error *err);
/* A decoder: prefill, and decoding at several batch sizes. */
sa_status sa_bench_llm(const sa_cli *cli, const sa_bench_options *options, sa_error *err);
/* shapes "M,N,K" from the command line's --shape, or the usual ones. */
sa_status sa_bench_gemms(const sa_cli *cli, const sa_bench_options *options, sa_error *err);
/* The decoder's ops at a language model's shapes: products of few rows, attention over pages. */
sa_status sa_bench_micro(const sa_cli *cli, const sa_bench_options *options, sa_error *err);

#endif
