/* A file that grows by whole rows: a row is there with all its bytes or not at all. */
#ifndef SA_DATA_APPEND_FILE_H
#define SA_DATA_APPEND_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct {
    char path[4096];
    int file; /* -1: not open */
    uint64_t size;
    bool torn; /* a part of a row that could not be taken back stands behind `size` */
} sa_append_file;

/* Opens DIRECTORY/NAME, and makes it if need be. After a failure it is closed. */
sa_status sa_append_open(sa_append_file *f, const char *directory, const char *name, sa_error *err);
/* Fine on one that is closed. */
void sa_append_close(sa_append_file *f);

/* One write() at the end. What a full disk cuts short is taken back. */
sa_status sa_append_row(sa_append_file *f, const void *bytes, size_t size, sa_error *err);
/* Bytes [at, at + size) of it. */
sa_status sa_append_read(const sa_append_file *f, uint64_t at, void *bytes, size_t size, sa_error *err);
/* Everything after the first `size` bytes goes. SA_BAD_INPUT if there are not so many. */
sa_status sa_append_cut(sa_append_file *f, uint64_t size, sa_error *err);
sa_status sa_append_sync(const sa_append_file *f, sa_error *err);

#endif
