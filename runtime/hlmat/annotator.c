#include "runtime/hlmat/annotator.h"

#include <stdlib.h>

#include "runtime/image/distance.h"

sa_status sa_annotator_open(sa_annotator *annotator, size_t height, size_t width, sa_error *err)
{
    *annotator = (sa_annotator){0};
    if (height == 0 || width == 0 || height > SA_DISTANCE_MOST_SIDE || width > SA_DISTANCE_MOST_SIDE) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "scale the picture down",
                       "%zux%zu pixels cannot be annotated", width, height);
    }
    SA_TRY(sa_mask_new(&annotator->error, height, width, err));
    annotator->distance = malloc(height * width * sizeof *annotator->distance);
    if (annotator->distance == NULL) {
        sa_annotator_close(annotator);
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory to annotate %zux%zu pixels",
                       width, height);
    }
    return SA_OK;
}

void sa_annotator_close(sa_annotator *annotator)
{
    sa_mask_free(&annotator->error);
    free(annotator->distance);
    annotator->distance = NULL;
}

/* The deepest pixel of `region` and not `without`, less what is ignored or was clicked. */
static sa_status find_deepest(sa_annotator *a, const sa_mask *region, const sa_mask *without,
                              const sa_mask *ignored, const sa_mask *clicked, sa_distance_peak *peak,
                              sa_error *err)
{
    size_t width = a->error.width, count = a->error.height * width;
    sa_mask_combine(&a->error, region, without, SA_MASK_AND_NOT);
    if (ignored != NULL) {
        sa_mask_combine(&a->error, &a->error, ignored, SA_MASK_AND_NOT);
    }
    SA_TRY(sa_distance_squared(&a->error, true, a->distance, err));
    for (size_t i = 0; clicked != NULL && i < count; i++) {
        a->distance[i] = sa_mask_get(clicked, i % width, i / width) ? 0 : a->distance[i];
    }
    *peak = sa_distance_first_peak(a->distance, count);
    return SA_OK;
}

sa_status sa_annotator_click(sa_annotator *annotator, const sa_mask *mask, const sa_mask *target,
                             const sa_mask *ignored, const sa_mask *clicked, sa_annotator_answer *answer,
                             sa_error *err)
{
    sa_distance_peak missing, wrong;
    SA_TRY(find_deepest(annotator, target, mask, ignored, clicked, &missing, err));
    SA_TRY(find_deepest(annotator, mask, target, ignored, clicked, &wrong, err));
    bool positive = missing.squared > wrong.squared;
    size_t index = positive ? missing.index : wrong.index, width = annotator->error.width;
    *answer = (sa_annotator_answer){.x = index % width,
                                    .y = index / width,
                                    .positive = positive,
                                    .needed = missing.squared > 0 || wrong.squared > 0};
    return SA_OK;
}
