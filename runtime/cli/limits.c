#include "runtime/cli/limits.h"

#include <stdio.h>

void sa_limit_options_make(sa_limit_options *o)
{
    const sa_image_limits limits = sa_image_default_limits(); /* the one place that knows them */
    const size_t standard[] = {limits.max_pixels, limits.max_side, limits.max_file_bytes, limits.max_memory};
    const int64_t most = (int64_t)1 << 50, most_side = (int64_t)1 << 20; /* the most that is resized */
    const sa_option rows[] = {
        {"max-pixels", SA_OPTION_INTEGER, &o->max_pixels, "N", "most pixels of a picture", NULL, 1,
         most_side * most_side},
        {"max-side", SA_OPTION_INTEGER, &o->max_side, "N", "most pixels of a side", NULL, 1, most_side},
        {"max-file-bytes", SA_OPTION_INTEGER, &o->max_file_bytes, "N", "largest picture file", NULL, 1, most},
        {"max-memory", SA_OPTION_INTEGER, &o->max_memory, "N", "most bytes that decoding a picture may hold",
         NULL, 1, most},
    };
    for (size_t i = 0; i < SA_LIMIT_OPTIONS; i++) {
        snprintf(o->standard[i], sizeof o->standard[i], "%zu", standard[i]);
        o->row[i] = rows[i];
        o->row[i].standard = o->standard[i];
    }
}

sa_image_limits sa_limit_options_read(const sa_limit_options *o)
{
    return (sa_image_limits){.max_pixels = (size_t)o->max_pixels,
                             .max_side = (size_t)o->max_side,
                             .max_file_bytes = (size_t)o->max_file_bytes,
                             .max_memory = (size_t)o->max_memory};
}
