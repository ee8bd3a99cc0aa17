/*
 * Masks of items are read one at a time, as their results come by: a hundred thousand of them would not fit,
 * and most evaluations need each once.
 */
#include "runtime/data/truth.h"

#include <string.h>

/* The ids belong to the items, which outlive the table. */
static sa_status index_items(sa_truths *truths, sa_error *err)
{
    bool good = true;
    for (size_t i = 0; i < truths->items.count && good; i++) {
        const char *id = truths->items.items[i].id;
        good = sa_text_table_put(&truths->places, id, strlen(id), i);
    }
    return good ? SA_OK
                : sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for %zu items",
                          truths->items.count);
}

sa_status sa_truths_open(sa_truths *truths, const char *input, const sa_items_options *options, sa_error *err)
{
    *truths = (sa_truths){.from_input = input != NULL};
    if (input == NULL) {
        return SA_OK;
    }
    SA_TRY(sa_items_read(&truths->items, input, options, err));
    return index_items(truths, err);
}

sa_status sa_truths_take(sa_truths *truths, sa_items *items, sa_error *err)
{
    *truths = (sa_truths){.from_input = true, .items = *items};
    *items = (sa_items){0};
    return index_items(truths, err);
}

void sa_truths_close(sa_truths *truths)
{
    if (truths->from_input) {
        sa_items_free(&truths->items);
    }
    sa_text_table_free(&truths->places);
    *truths = (sa_truths){0};
}

const sa_item *sa_truths_item(const sa_truths *truths, const char *id)
{
    const sa_text_entry *entry = sa_text_table_find(&truths->places, id, strlen(id));
    return entry != NULL ? &truths->items.items[entry->number] : NULL;
}

/* In the row itself; NULL: none. */
static const json_t *own_truth(const sa_result *result)
{
    const json_t *json = json_object_get(result->meta, "gt");
    return json_is_null(json) ? NULL : json;
}

bool sa_truths_known(const sa_truths *truths, const sa_result *result)
{
    const sa_item *item = truths->from_input ? sa_truths_item(truths, result->id) : NULL;
    if (truths->from_input) {
        return item != NULL && sa_mask_source_given(&item->gt);
    }
    return own_truth(result) != NULL;
}

/* The truth as a PNG. */
static sa_status read_picture(const sa_mask_source *source, const sa_result *result, const char *name,
                              sa_rle *truth, sa_error *err)
{
    const sa_image_limits limits = sa_image_default_limits();
    sa_mask mask;
    SA_TRY(sa_mask_source_read(source, result->height, result->width, name, &limits, &mask, err));
    sa_status status = sa_rle_encode(truth, &mask, err);
    sa_mask_free(&mask);
    return status;
}

sa_status sa_truths_find(const sa_truths *truths, const sa_result *result, const char *name, sa_rle *truth,
                         sa_error *err)
{
    const sa_item *item = NULL;
    *truth = (sa_rle){0};
    if (truths->from_input && (item = sa_truths_item(truths, result->id)) == NULL) {
        return sa_fail(err, SA_BAD_INPUT, name, "give the manifest that was run",
                       "the input has no item \"%.200s\"", result->id);
    }
    const json_t *json = item != NULL ? item->gt.json : own_truth(result);
    if (json != NULL && !json_is_null(json)) {
        return sa_rle_from_json(truth, json, name, result->height, result->width, err);
    }
    if (item != NULL && sa_mask_source_given(&item->gt)) {
        return read_picture(&item->gt, result, name, truth, err);
    }
    return sa_fail(err, SA_BAD_INPUT, name,
                   item != NULL ? "add \"gt\" to the item" : "name the manifest with ground truth by --input",
                   "there is no ground truth for \"%.200s\"", result->id);
}
