/*
 * What a user says about one object, as it stands on the command line or in a JSON row, before the picture is
 * known:
 *
 *   --point, --negative, --box, --mask  or  {"clicks", "box", "mask"}  ->  sa_user_prompt
 *   sa_user_prompt + picture -> checked against its size, mask turned into a segmenter state
 */
#ifndef SA_CLI_PROMPT_H
#define SA_CLI_PROMPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/path.h"
#include "runtime/base/status.h"
#include "runtime/cli/options.h"
#include "runtime/image/image.h"
#include "runtime/models/segmenter.h"

#define SA_PROMPT_MOST_CLICKS 1024

typedef struct {
    sa_click *clicks; /* owned */
    size_t count;
    bool has_box;
    float box[4];
    char mask_path[1024]; /* "" if the mask is not a file */
    json_t *mask_json;    /* owned reference: COCO RLE or polygons; NULL if there is none */
} sa_user_prompt;

/* From --point, --negative (in order) and the texts of --box and --mask, which may be NULL. */
sa_status sa_user_prompt_from_options(sa_user_prompt *prompt, const sa_arguments *arguments, const char *box,
                                      const char *mask, sa_error *err);

/*
 * From a row {"clicks": [{"x","y","positive"}], "box": [x0,y0,x1,y1], "mask": path, RLE or polygons}, every
 * key optional, null like absent; "positive" is true if left out. `name` is what errors call the row; a
 * mask's path is relative to `directory`.
 */
sa_status sa_user_prompt_from_json(sa_user_prompt *prompt, const json_t *row, const char *name,
                                   const char *directory, sa_error *err);
void sa_user_prompt_free(sa_user_prompt *prompt);

bool sa_user_prompt_has_mask(const sa_user_prompt *prompt);

/*
 * SA_BAD_INPUT unless there is a click, a box or a mask, every click has 0 <= x < width and 0 <= y < height,
 * and the box has 0 <= x0 < x1 <= width and the same in y. `name` as above.
 */
sa_status sa_user_prompt_check(const sa_user_prompt *prompt, size_t height, size_t width, const char *name,
                               sa_error *err);

/*
 * The prompt's mask as a state of the picture in `slot`: the logits of a .npy file ([s,s] or [1,s,s], as
 * --save-logits writes them) as they are; a mask picture (of the picture's size, set where a channel is >=
 * 128), RLE or polygons by sa_segmenter_state_from_mask.
 *   state [s,s] f32 out
 */
sa_status sa_user_prompt_state(const sa_user_prompt *prompt, const sa_segmenter *segmenter,
                               const sa_image *picture, const sa_image_limits *limits, const char *name,
                               float *state, sa_error *err);

#endif
