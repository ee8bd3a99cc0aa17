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

/* Pixels of `clicked` have no depth; there are few, so words without any are passed over. */
static void forget_clicked(sa_annotator *a, const sa_mask *clicked)
{
    for (size_t y = 0; y < clicked->height; y++) {
        const uint64_t *row = clicked->bits + y * clicked->stride_words;
        for (size_t word = 0; word < clicked->stride_words; word++) {
            for (uint64_t left = row[word]; left != 0; left &= left - 1) {
                a->distance[y * clicked->width + word * 64 + (size_t)__builtin_ctzll(left)] = 0;
            }
        }
    }
}

/* The deepest pixel of `region` and not `without`, less what is ignored or was clicked. */
static sa_status find_deepest(sa_annotator *a, const sa_mask *region, const sa_mask *without,
                              const sa_mask *ignored, const sa_mask *clicked, sa_distance_peak *peak,
                              sa_error *err)
{
    sa_mask_combine(&a->error, region, without, SA_MASK_AND_NOT);
    if (ignored != NULL) {
        sa_mask_combine(&a->error, &a->error, ignored, SA_MASK_AND_NOT);
    }
    SA_TRY(sa_distance_squared(&a->error, true, a->distance, err));
    if (clicked != NULL) {
        forget_clicked(a, clicked);
    }
    *peak = sa_distance_first_peak(a->distance, a->error.height * a->error.width);
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

sa_status sa_annotator_act(sa_annotator *annotator, const sa_mask *mask, const sa_mask *target,
                           const sa_mask *clicked, sa_answer *answer, sa_error *err)
{
    sa_annotator_answer said;
    SA_TRY(sa_annotator_click(annotator, mask, target, NULL, clicked, &said, err));
    *answer = (sa_answer){.has_action = said.needed,
                          .action = {.positive = said.positive, .row = said.y, .col = said.x}};
    return SA_OK;
}
