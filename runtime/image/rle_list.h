/* Inside runtime/image only: the list of runs that every way of making an sa_rle appends to. */
#ifndef SA_IMAGE_RLE_LIST_H
#define SA_IMAGE_RLE_LIST_H

#include "runtime/image/rle.h"

typedef struct {
    size_t count, room;
    uint32_t *counts;  /* finished runs; malloc'd */
    uint32_t position; /* their sum: where the run that is being counted began */
} sa_rle_list;

/* SA_NO_ROOM if height * width does not fit in 32 bits. */
sa_status sa_rle_check_size(size_t height, size_t width, sa_error *err);

/* Room for `more` toggles. On failure the list stays as it was; the caller frees counts. */
sa_status sa_rle_list_reserve(sa_rle_list *list, size_t more, sa_error *err);

/*
 * The value changes at pixel number `position`, not before the last change. Two changes in one place cancel,
 * which keeps the invariant of rle.h: no empty run but the first.
 */
static inline void sa_rle_list_toggle(sa_rle_list *list, uint32_t position)
{
    if (position == list->position && list->count != 0) {
        list->position -= list->counts[--list->count];
    } else {
        list->counts[list->count++] = position - list->position;
        list->position = position;
    }
}

/* Ends the last run at height * width and hands the counts over. On failure the list is freed. */
sa_status sa_rle_list_finish(sa_rle_list *list, size_t height, size_t width, sa_rle *rle, sa_error *err);

#endif
