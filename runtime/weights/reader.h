/*
 * Inside of runtime/weights: what the readers of the single containers share. A reader gets the bytes of one
 * file and adds its tensors to a list; weights.c maps the files, calls readers, and sorts the list into an
 * index.
 *
 *   bytes of one file -> sa_safetensors_parse | sa_pytorch_parse -> sa_tensor_list
 */
#ifndef SA_WEIGHTS_READER_H
#define SA_WEIGHTS_READER_H

#include "runtime/weights/weights.h"

enum {
    SA_MAX_TENSORS = 1 << 18,  /* in one file set; the largest released models have some 10^4 */
    SA_MAX_TENSOR_NAME = 1024, /* bytes */
};

typedef struct {
    sa_tensor tensor;
    char *name;  /* owned; tensor.name points here */
    void *owned; /* the copy of a strided view, or NULL */
} sa_tensor_entry;

typedef struct {
    sa_tensor_entry *entries;
    size_t count, capacity;
} sa_tensor_list;

/*
 * Adds a copy of *tensor under the name of `length` bytes. Takes over `owned` (may be NULL), also when it
 * fails. `path` is for errors.
 */
sa_status sa_tensor_list_add(sa_tensor_list *list, const char *path, const char *name, size_t length,
                             const sa_tensor *tensor, void *owned, sa_error *err);
void sa_tensor_list_free(sa_tensor_list *list);

/*
 * Fills count and bytes from rank, shape and dtype; SA_BAD_INPUT if a product overflows. tensor->name is for
 * errors.
 */
sa_status sa_tensor_measure(sa_tensor *tensor, const char *path, sa_error *err);

/* The container of a file, told by its first bytes. */
typedef enum {
    SA_CONTAINER_SAFETENSORS,
    SA_CONTAINER_ZIP,
    SA_CONTAINER_INDEX, /* JSON text */
    SA_CONTAINER_UNKNOWN
} sa_container;

/* What the bytes look like; `path` decides only where the content leaves it open. */
sa_container sa_container_of(const char *path, const unsigned char *bytes, size_t size);

/*
 * Readers: add every tensor of the file whose bytes are bytes[0, size) to `list`, with tensor.file = file and
 * data pointing into bytes (or owned). Anything that breaks a rule of the format is SA_BAD_INPUT; the list
 * may then hold some tensors and is only good for sa_tensor_list_free.
 */
sa_status sa_safetensors_parse(const char *path, const unsigned char *bytes, size_t size, int file,
                               sa_tensor_list *list, sa_error *err);
sa_status sa_pytorch_parse(const char *path, const unsigned char *bytes, size_t size, int file,
                           sa_tensor_list *list, sa_error *err);

#endif
