/*
 * A pickle read as data: for runtime/weights, which finds tensors in it, and for lists of references
 * (runtime/data). The machine knows the opcodes that torch.save writes (protocols 2 to 5) and those of plain
 * data in the protocols 0 to 2 of Python 2, and builds plain values from them; where Python would look up a
 * name or call something, it only writes down which name and with which arguments. It imports nothing, calls
 * nothing and creates no object.
 */
#ifndef SA_WEIGHTS_PICKLE_H
#define SA_WEIGHTS_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef enum {
    SA_PICKLE_NONE,
    SA_PICKLE_BOOL,
    SA_PICKLE_INT,        /* fits in 64 bits */
    SA_PICKLE_TEXT,       /* a Python string, encoded as UTF-8 (not checked); one of Python 2: any bytes */
    SA_PICKLE_TUPLE,      /* items */
    SA_PICKLE_LIST,       /* items */
    SA_PICKLE_DICT,       /* items: key, value, key, value, ...; also OrderedDict */
    SA_PICKLE_GLOBAL,     /* text is the dotted name: "torch.FloatStorage" */
    SA_PICKLE_CALL,       /* items: what would be called, its arguments */
    SA_PICKLE_PERSISTENT, /* items: the persistent id, for torch a storage's description */
    SA_PICKLE_OPAQUE,     /* floats, bytes, sets, large integers: nothing that weights are described by */
} sa_pickle_kind;

typedef struct {
    sa_pickle_kind kind;
    bool holds_storage; /* it is, or contains, a PERSISTENT; also for calls by their arguments */
    int64_t number;     /* BOOL, INT */
    const char *text;   /* TEXT, GLOBAL; no zero at the end of one that is not owned */
    bool owned;         /* text is the value's own; otherwise it points into the pickle's bytes */
    size_t length;
    uint32_t *items; /* indexes of values */
    size_t count, capacity;
} sa_pickle_value;

typedef struct {
    sa_pickle_value *values;
    size_t count, capacity;
    uint32_t root;
} sa_pickle;

/* What kind of pickle is expected. */
typedef struct {
    bool old;           /* protocols 0 and 1 are fine: they begin without a mark */
    size_t most;        /* values, at most; the memo is bounded by it, too */
    const char *damage; /* the way out when it is damaged */
    const char *hint;   /* the way out when it holds what is not read */
} sa_pickle_dialect;

/*
 * Runs the pickle in bytes[0, size), which must outlive *pickle. Values, stack and memo are bounded; any
 * other opcode, or one that lacks its operands, is SA_BAD_INPUT. sa_pickle_free in every case.
 */
sa_status sa_pickle_run(sa_pickle *pickle, const char *path, const unsigned char *bytes, size_t size,
                        const sa_pickle_dialect *dialect, sa_error *err);
void sa_pickle_free(sa_pickle *pickle);

/* Item i of a value that has items, or NULL. */
const sa_pickle_value *sa_pickle_item(const sa_pickle *pickle, const sa_pickle_value *value, size_t i);
/* True if `value` is a TEXT or GLOBAL of exactly this text. NULL is none. */
bool sa_pickle_is(const sa_pickle_value *value, const char *text);

#endif
