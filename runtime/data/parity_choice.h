/* Inside runtime/data only: which of a sample's masks is scored, and what the files are called. */
#ifndef SA_DATA_PARITY_CHOICE_H
#define SA_DATA_PARITY_CHOICE_H

#include <jansson.h>

#include "runtime/data/parity.h"

/*
 * The entry of sample["pred_list"], or NULL if the list is empty: SA_PARITY_BEST leaves such a sample out,
 * SA_PARITY_LIVE scores an empty mask. SA_BAD_INPUT: there is no such click.
 */
sa_status sa_parity_choose(const json_t *sample, const sa_parity_options *options, const char *name,
                           const json_t **entry, sa_error *err);

/* out->csv and out->txt. SA_BAD_INPUT when they cannot be made from the path. */
sa_status sa_parity_name_files(const char *path, const sa_parity_options *options, sa_parity *out,
                               sa_error *err);

#endif
