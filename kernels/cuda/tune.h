/*
 * tune.h: the choices of --numerics fast: for each shape of an op our own kernels, or one of the ways that a
 * library proposes, by time on this device, remembered in a file. gemm_tune.c and convolution_tune.c hold the
 * rest.
 *
 * The file stands in $XDG_CACHE_HOME/segagent (or ~/.cache/segagent), one per op and kind of GPU. Its first
 * line names all that makes a time worthless when it changes: the program's version, the GPU, the driver, the
 * library; a file with another one is not used. Then a line per shape: its words and the choice.
 */
#ifndef SA_KERNELS_CUDA_TUNE_H
#define SA_KERNELS_CUDA_TUNE_H

#include <stdbool.h>

#include "runtime/device/cuda_device.h"

enum { SA_TUNE_OWN = -1, SA_TUNE_WORDS = 12 };

typedef struct {
    uint64_t shape[SA_TUNE_WORDS]; /* what decides the speed; words that the op does not use are 0 */
    int choice;                    /* SA_TUNE_OWN, or a number of one of the library's ways */
    bool planned;                  /* the op has tried to open a plan */
    void *plan;                    /* the op's own: the library's descriptors for the shape, or NULL */
} sa_tune_entry;

typedef struct {
    sa_cuda_device *device;
    size_t words; /* of a shape */
    int ways;     /* a choice is below this */
    sa_tune_entry *entries;
    size_t count, room;
    bool changed; /* since the file was read */
    char header[320], path[512];
} sa_tune;

/* "gemm", 10, 8, "cublasLt 130000". Reads the file; without a place for one nothing is remembered. */
void sa_tune_open(sa_tune *tune, sa_cuda_device *device, const char *op, size_t words, int ways,
                  const char *library);
/* Writes the file if something changed, and frees the entries; their plans are the op's to close before. */
void sa_tune_close(sa_tune *tune);

/* The shape's entry, or a new one with choice SA_TUNE_OWN (*is_new); NULL without memory. */
sa_tune_entry *sa_tune_entry_of(sa_tune *tune, const uint64_t shape[SA_TUNE_WORDS], bool *is_new);

/* Queues the op's work one way; false if that way cannot be gone. */
typedef bool sa_tune_way(void *context, int choice);
/* The fastest of SA_TUNE_OWN and ways 0 .. count-1: some runs of each, each waited for. */
int sa_tune_fastest(const sa_tune *tune, sa_stream *stream, int count, sa_tune_way *way, void *context);

#endif
