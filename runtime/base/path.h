/* Names of files that stand in other files: where they lead. */
#ifndef SA_BASE_PATH_H
#define SA_BASE_PATH_H

#include <stddef.h>

#include "runtime/base/status.h"

/*
 * `path` as seen from `directory` ("" for the current one): "rows" and "x.png" give "rows/x.png"; absolute
 * paths stay.
 */
sa_status sa_path_from(char *out, size_t size, const char *directory, const char *path, sa_error *err);
/* The directory of a file; "" for the current one. */
void sa_directory_of(char *out, size_t size, const char *path);
/* What stands after the last slash. */
const char *sa_path_name(const char *path);

#endif
