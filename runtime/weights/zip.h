/*
 * Inside of runtime/weights: the directory of a zip archive, as torch.save writes it: stored (not compressed)
 * files.
 */
#ifndef SA_WEIGHTS_ZIP_H
#define SA_WEIGHTS_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct {
    const char *name; /* `length` bytes in the archive, no zero after them */
    size_t length;
    size_t header; /* where its local header starts */
    const unsigned char *data;
    size_t size;     /* of the bytes at data */
    bool compressed; /* data are not what the file holds; nothing here inflates them */
} sa_zip_entry;

typedef struct {
    sa_zip_entry *entries; /* sorted by name */
    size_t count;
} sa_zip;

/*
 * Reads the central directory of bytes[0, size), zip64 included. SA_BAD_INPUT unless every entry is not
 * encrypted, has one name that its local header repeats, and lies apart from all others: no byte belongs to
 * two files. Entry names and data point into bytes.
 */
sa_status sa_zip_open(sa_zip *zip, const char *path, const unsigned char *bytes, size_t size, sa_error *err);
void sa_zip_close(sa_zip *zip);

const sa_zip_entry *sa_zip_find(const sa_zip *zip, const char *name, size_t length);

#endif
