/*
 * Reading a model's config.json (and preprocessor_config.json): getters that remember the first failure, so
 * that a section reads as a plain list of its keys, with one check at its end.
 *
 * A getter whose key is missing or null gives `otherwise`; after a failure all of them do.
 */
#ifndef SA_MODELS_CONFIG_H
#define SA_MODELS_CONFIG_H

#include "runtime/base/json.h"

enum { SA_CONFIG_PATH = 512 };

/* One object of the configuration while it is read: the file for errors, and the first failure. */
typedef struct {
    const json_t *object;
    const char *file;
    const char *part; /* "vision_config", or "" for the whole file */
    sa_error *err;
    sa_status status;
} sa_config_reader;

/* The object in DIRECTORY/NAME, and the file's path. The caller calls json_decref. */
sa_status sa_config_open(const char *directory, const char *name, char path[SA_CONFIG_PATH], json_t **json,
                         sa_error *err);

/*
 * What DIRECTORY says of a picture's way to the model, and the file it stands in: "image_processor" of
 * processor_config.json, where transformers 5 writes it and looks first, or preprocessor_config.json; NULL if
 * there is neither. The caller calls json_decref.
 */
sa_status sa_config_open_preprocess(const char *directory, char path[SA_CONFIG_PATH], json_t **json,
                                    sa_error *err);

/* A section of the configuration; an absent one is read from `empty`, so that every key takes its default. */
sa_config_reader sa_config_section(const json_t *config, const char *key, const char *file,
                                   const json_t *empty, sa_error *err);

size_t sa_config_bounded(sa_config_reader *r, const char *key, size_t least, size_t most, size_t otherwise);
size_t sa_config_size(sa_config_reader *r, const char *key, size_t otherwise); /* 1 .. 65536 */
double sa_config_real(sa_config_reader *r, const char *key, double otherwise);
bool sa_config_flag(sa_config_reader *r, const char *key, bool otherwise);
/* A string; "" if the key holds something else, which is a failure. */
const char *sa_config_text(sa_config_reader *r, const char *key, const char *otherwise);
/* image_mean or image_std: three numbers in 0..1, times 255. Leaves `out` alone if the key is missing. */
void sa_config_triple(sa_config_reader *r, const char *key, float *out);

/* A size that follows from others; a file may repeat it. */
void sa_config_repeated(sa_config_reader *r, const char *key, size_t only);
/* The only value of `key` that this engine implements. */
void sa_config_fixed(sa_config_reader *r, const char *key, const char *only);
/* A section's model_type; older exports leave it empty. */
void sa_config_part_type(sa_config_reader *r, const char *only);

#endif
