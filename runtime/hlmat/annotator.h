/*
 * F_sim, the simulated annotator: where a person who knows the target would click next (HLMAT.md; MODEL_SPECS
 * 8 and 1.9, from the Clicker of SimpleClick's trajectory simulation).
 *
 *   mask, target -> missing = target and not mask, wrong = mask and not target -> distances -> the deepest
 * pixel
 *
 * The picture's border counts as outside. The click is positive if the deepest missing pixel lies deeper than
 * the deepest wrong one, else negative (ties too), at the first such pixel in row-major order.
 */
#ifndef SA_HLMAT_ANNOTATOR_H
#define SA_HLMAT_ANNOTATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/hlmat/answer.h"
#include "runtime/image/mask.h"

/* Memory for pictures of one size; all owned. */
typedef struct {
    sa_mask error;
    int32_t *distance; /* [height,width], squared */
} sa_annotator;

typedef struct {
    size_t x, y;
    bool positive;
    bool needed; /* false: no pixel is left to correct; the rest means nothing then */
} sa_annotator_answer;

/* SA_NO_ROOM, or SA_BAD_INPUT for sides that sa_distance_squared refuses. */
sa_status sa_annotator_open(sa_annotator *annotator, size_t height, size_t width, sa_error *err);
void sa_annotator_close(sa_annotator *annotator); /* fine for a zeroed one */

/*
 * The next click. All masks have the annotator's size. Pixels of `ignored` are neither missing nor wrong;
 * those of `clicked` are not clicked again. Either may be NULL. SA_NO_ROOM.
 */
sa_status sa_annotator_click(sa_annotator *annotator, const sa_mask *mask, const sa_mask *target,
                             const sa_mask *ignored, const sa_mask *clicked, sa_annotator_answer *answer,
                             sa_error *err);

/* The same as a policy's answer: without a click where no pixel is left to correct, and without an IoU. */
sa_status sa_annotator_act(sa_annotator *annotator, const sa_mask *mask, const sa_mask *target,
                           const sa_mask *clicked, sa_answer *answer, sa_error *err);

#endif
