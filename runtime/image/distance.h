/*
 * Exact Euclidean distance transform of a mask, in integers: how deep each pixel lies. The simulated
 * annotator clicks the deepest pixel of an error region (HLMAT.md; MODEL_SPECS 1.9 and 8).
 */
#ifndef SA_IMAGE_DISTANCE_H
#define SA_IMAGE_DISTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/image/mask.h"

#define SA_DISTANCE_MOST_SIDE 32766
/*
 * The squared distance where there is nothing outside to be near to: a full mask, with its border not
 * counted.
 */
#define SA_DISTANCE_NONE INT32_MAX

/*
 * squared[y * width + x] = min over pixels (u, v) outside the mask of (x-u)^2 + (y-v)^2; 0 outside the mask
 * itself. With border_outside the pixels around the image (x = -1, x = width, y = -1, y = height) are outside
 * as well.
 *   squared [height, width] i32 out, caller-owned
 * Linear time: distances down the columns, then the lower envelope of parabolas along each run of the rows
 * (Meijster, Roerdink, Hesselink 2000). SA_NO_ROOM for the scratch of one row; sides over
 * SA_DISTANCE_MOST_SIDE, where squares would pass 2^31, are SA_BAD_INPUT. Reference: ref_distance_squared,
 * equal in every pixel.
 */
sa_status sa_distance_squared(const sa_mask *mask, bool border_outside, int32_t *squared, sa_error *err);

/*
 * distance[i] = sqrtf(squared[i]), the f32 that OpenCV's precise L2 transform gives; infinity for
 * SA_DISTANCE_NONE.
 */
void sa_distance_root(const int32_t *squared, size_t count, float *distance);

/*
 * The greatest of `count` values and the first place, in row-major order, that holds it. count >= 1.
 * Greatest in squared distance, never in its rounded root, so that ties are true ties.
 */
typedef struct {
    size_t index;
    int32_t squared;
} sa_distance_peak;

sa_distance_peak sa_distance_first_peak(const int32_t *squared, size_t count);

#endif
