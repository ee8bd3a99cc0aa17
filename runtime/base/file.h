/*
 * Files: read whole, mapped, or written so that a reader sees the old file or the new one and never half of
 * one.
 */
#ifndef SA_BASE_FILE_H
#define SA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "runtime/base/status.h"

/*
 * Reads `path` ("-" is standard input) into a malloc'd buffer with a zero byte after its end; the caller
 * frees it. A directory or a special file other than a pipe is SA_BAD_INPUT, and so is a name that leads
 * nowhere (here and in sa_file_map_open); more than `limit` bytes is SA_NO_ROOM; what the system refuses
 * otherwise is SA_IO.
 */
sa_status sa_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size, sa_error *err);

/* True if `path` names a directory / a file that can be read again and again / anything at all. */
bool sa_file_is_directory(const char *path);
bool sa_file_is_regular(const char *path);
bool sa_file_exists(const char *path);

/*
 * "DIRECTORY/NAME" into `out` (just NAME if `directory` is ""); SA_BAD_INPUT when it does not fit. NAME is
 * not looked at: a caller that got it from an untrusted file refuses "..", and absolute names, itself.
 */
sa_status sa_file_join(char *out, size_t size, const char *directory, const char *name, sa_error *err);

/*
 * Makes `path` and its parents (0777 less umask); an existing directory is fine, a file in its place
 * SA_BAD_INPUT.
 */
sa_status sa_file_make_directory(const char *path, sa_error *err);

/*
 * A file mapped read-only. If somebody cuts the file short while it is mapped, touching the lost pages would
 * kill the program with SIGBUS; a handler gives such pages zeros instead and marks the map, so reading goes
 * on and sa_file_map_check() says afterwards that what was read cannot be trusted. The handler is installed
 * for the process by the first open (and again by a later one, if something replaced it) and passes on every
 * SIGBUS that is not about one of our maps. At most 1024 files are mapped at once.
 */
typedef struct sa_file_map {
    const unsigned char *bytes; /* NULL when size is 0 */
    size_t size;
    char path[512];
    int slot;       /* its place in the handler's table */
    int descriptor; /* stays open, so that check can ask for the size that the file has by then */
} sa_file_map;

sa_status sa_file_map_open(sa_file_map *map, const char *path, sa_error *err);
/* Nobody may still read from it. Fine on a map that failed to open, is closed, or is all zeros. */
void sa_file_map_close(sa_file_map *map);
/* SA_OK, or SA_BAD_INPUT if the file was cut short since it was mapped. */
sa_status sa_file_map_check(const sa_file_map *map, sa_error *err);
/* Bytes [begin, end) are not needed for now: they leave our resident memory, and can be read again. */
void sa_file_map_release(const sa_file_map *map, size_t begin, size_t end);

/*
 * Writes to a temporary name beside `path`; sa_file_writer_commit() syncs it and renames it into place.
 * sa_file_writer_abandon() removes it. "-" writes to standard output directly; a path that is a device or a
 * pipe is written to directly, too. A link is followed. Errors of single writes are kept and reported by
 * commit, which on failure has already abandoned. After commit or abandon, abandoning again does nothing.
 */
typedef struct {
    FILE *stream;        /* write to it with stdio */
    char path[512];      /* "" for standard output */
    char temporary[544]; /* "" when writing directly */
} sa_file_writer;

sa_status sa_file_writer_open(sa_file_writer *writer, const char *path, sa_error *err);
sa_status sa_file_writer_commit(sa_file_writer *writer, sa_error *err);
void sa_file_writer_abandon(sa_file_writer *writer);

/* The whole of a small file at once, by the way of a writer. */
sa_status sa_file_write(const char *path, const void *bytes, size_t size, sa_error *err);

#endif
