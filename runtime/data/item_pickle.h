/* Values of a pickle as JSON: what plain data is, and nothing else. */
#ifndef SA_DATA_ITEM_PICKLE_H
#define SA_DATA_ITEM_PICKLE_H

#include <jansson.h>

#include "runtime/base/status.h"
#include "runtime/weights/pickle.h"

/*
 * Dicts, lists, tuples, texts, integers, booleans, None. Of equal keys the last counts, as in Python; keys
 * that are no texts, and values that are none of those, become null or are left out. Texts that are not UTF-8
 * are taken for Latin-1. SA_BAD_INPUT: nested too deeply, or more than a reference can be (in a pickle few
 * bytes can stand for a huge, or endless, value).
 */
sa_status item_json_from_pickle(const sa_pickle *pickle, const sa_pickle_value *value, const char *name,
                                json_t **json, sa_error *err);

#endif
