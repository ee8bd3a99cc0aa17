/*
 * A model's table of tensors, written once as a walk over the model that visits every tensor with its names,
 * its shape and the field it belongs to. The walk runs once to count and once to fill: expectations for
 * sa_weights_match(), sizes and the model's struct of tensors all come from it.
 *
 *   walk -> sa_tensor_table_plan -> wants -> sa_tensor_table_match -> the struct's fields point at tensors
 *
 * A model inside another one is walked by the same function under another prefix.
 */
#ifndef SA_MODELS_TENSOR_TABLE_H
#define SA_MODELS_TENSOR_TABLE_H

#include "runtime/weights/weights.h"

typedef struct {
    size_t rank, size[4];
} sa_shape;

static inline sa_shape sa_shape1(size_t a)
{
    return (sa_shape){1, {a}};
}

static inline sa_shape sa_shape2(size_t a, size_t b)
{
    return (sa_shape){2, {a, b}};
}

static inline sa_shape sa_shape4(size_t a, size_t b, size_t c, size_t d)
{
    return (sa_shape){4, {a, b, c, d}};
}

typedef struct {
    const sa_tensor *weight, *bias; /* bias NULL: none */
} sa_tensor_pair;

/* A walk under way. */
typedef struct {
    sa_tensor_want *wants;         /* NULL while counting */
    const sa_tensor ***fields;     /* fields[i] receives the tensor of wants[i]; NULL while counting */
    size_t count;                  /* visited so far */
    char prefix[96], original[96]; /* of the part that is being walked, in both spellings */
} sa_tensor_walk;

/* What follows is named PREFIX..., or ORIGINAL... in the original release; "" there: it has no other names.
 */
void sa_tensor_enter(sa_tensor_walk *w, const char *prefix, const char *original);
/* PREFIX.NUMBER. */
void sa_tensor_enter_numbered(sa_tensor_walk *w, const char *prefix, const char *original, size_t number);

/* One tensor. */
void sa_tensor_visit(sa_tensor_walk *w, const sa_tensor **field, const char *name, const char *original,
                     sa_shape shape);
/* The tensor just visited may stand under this full name instead (sa_tensor_want.alias), or be missing. */
void sa_tensor_alias(sa_tensor_walk *w, const char *alias);
void sa_tensor_optional(sa_tensor_walk *w);

/* NAME.weight of a shape and NAME.bias [bias]; bias 0 means none. */
void sa_tensor_visit_pair(sa_tensor_walk *w, sa_tensor_pair *pair, const char *name, const char *original,
                          sa_shape shape, size_t bias);
/* NAME.weight [n,k] and NAME.bias [n] */
void sa_tensor_visit_linear(sa_tensor_walk *w, sa_tensor_pair *pair, const char *name, const char *original,
                            size_t n, size_t k);
/* NAME.weight [d] and NAME.bias [d] */
void sa_tensor_visit_norm(sa_tensor_walk *w, sa_tensor_pair *pair, const char *name, const char *original,
                          size_t d);

/* One model's walk: its config, and its struct of `size` bytes that holds nothing but fields of tensors. */
typedef struct {
    void (*walk)(sa_tensor_walk *w, const void *config, void *tensors);
    const void *config;
    size_t size;
    const char *const *ignored; /* of sa_weights_match() */
} sa_tensor_table;

/*
 * The expectations in a fixed order; *wants is malloc'd, the caller frees it. Used alone by `weights verify`
 * and `weights convert`.
 */
sa_status sa_tensor_table_plan(const sa_tensor_table *table, sa_tensor_want **wants, size_t *count,
                               sa_error *err);

/* Plans, matches (errors and report of sa_weights_match) and fills the fields of `tensors`. */
sa_status sa_tensor_table_match(const sa_tensor_table *table, const sa_weights *weights, void *tensors,
                                sa_weights_report *report, sa_error *err);

#endif
