/* The options that bound pictures, the same for every command that reads them. */
#ifndef SA_CLI_LIMITS_H
#define SA_CLI_LIMITS_H

#include "runtime/cli/options.h"
#include "runtime/image/image.h"

enum { SA_LIMIT_OPTIONS = 4 };

/* Filled by sa_limit_options_make(), stays where it is: rows and their defaults point into it. */
typedef struct {
    int64_t max_pixels, max_side, max_file_bytes, max_memory;
    sa_option row[SA_LIMIT_OPTIONS]; /* for a command's table */
    char standard[SA_LIMIT_OPTIONS][24];
} sa_limit_options;

/* --max-pixels, --max-side, --max-file-bytes, --max-memory, with the defaults of sa_image_default_limits().
 */
void sa_limit_options_make(sa_limit_options *options);

/* What the command line says, once it is parsed. */
sa_image_limits sa_limit_options_read(const sa_limit_options *options);

#endif
