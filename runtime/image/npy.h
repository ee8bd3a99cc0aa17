/*
 * NumPy's .npy files, the part that logits and embeddings need: float32, little-endian, C order, rank 1 to 4.
 * Files are untrusted: the header is read by a strict grammar and the sizes are checked before anything is
 * allocated.
 */
#ifndef SA_IMAGE_NPY_H
#define SA_IMAGE_NPY_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"

#define SA_NPY_MAX_RANK 4

typedef struct {
    int rank;
    size_t shape[SA_NPY_MAX_RANK];
    size_t count;  /* product of shape */
    float *values; /* malloc'd; the caller frees it with sa_npy_free */
} sa_npy;

/* True if bytes[0, size) begin like a .npy file. */
bool sa_npy_is_npy(const unsigned char *bytes, size_t size);

/*
 * Reads an array that fills bytes[0, size) to the last byte; `name` is what errors call it. SA_BAD_INPUT for
 * anything else: other dtypes, Fortran order, a header that lies about the size, an axis of 0, values that
 * are not finite.
 */
sa_status sa_npy_parse(const char *name, const unsigned char *bytes, size_t size, sa_npy *array,
                       sa_error *err);
/* The same from a file of at most `limit` bytes. */
sa_status sa_npy_read(const char *path, size_t limit, sa_npy *array, sa_error *err);
void sa_npy_free(sa_npy *array);

/* Writes `path` as a whole or not at all; rank 1 .. SA_NPY_MAX_RANK. "-" is standard output. */
sa_status sa_npy_write(const char *path, int rank, const size_t *shape, const float *values, sa_error *err);

#endif
