/*
 * The ground truth of results: from the manifest by id, or from the row's own meta.gt, where the tools of
 * weights_tools put it.
 */
#ifndef SA_DATA_TRUTH_H
#define SA_DATA_TRUTH_H

#include "runtime/base/text_table.h"
#include "runtime/data/item.h"
#include "runtime/data/result.h"

typedef struct {
    bool from_input;
    sa_items items;
    sa_text_table places; /* by id: its place among the items */
} sa_truths;

/* `input` NULL: rows bring their own. sa_truths_close in every case. */
sa_status sa_truths_open(sa_truths *truths, const char *input, const sa_items_options *options,
                         sa_error *err);
/* The same with items that were read already, and are taken over. */
sa_status sa_truths_take(sa_truths *truths, sa_items *items, sa_error *err);
void sa_truths_close(sa_truths *truths);

/* The item of this id, or NULL. */
const sa_item *sa_truths_item(const sa_truths *truths, const char *id);

/* True if there is a truth to be found, good or bad. */
bool sa_truths_known(const sa_truths *truths, const sa_result *result);

/*
 * The truth of a result that succeeded. `name` is what errors call the row. SA_BAD_INPUT: there is none, or
 * it is of another size.
 */
sa_status sa_truths_find(const sa_truths *truths, const sa_result *result, const char *name, sa_rle *truth,
                         sa_error *err);

#endif
