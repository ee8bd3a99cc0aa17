/*
 * LLaVA (Liu et al. 2023; MODEL_SPECS 5): a decoder that sees. Pictures become rows of its residual stream
 * (CLIP tower, projector) and stand in the prompt where a marker stood.
 *
 *   open -> [ see: pictures into slots ] -> expand: a prompt's markers become places for the pictures' rows
 *        -> sa_llama_forward() with these places and sa_llava_rows() -> ...
 *
 * All memory is taken at open. What is seen is the same bit for bit in any batch and with any number of
 * threads. A model is used by one thread at a time.
 */
#ifndef SA_MODELS_LLAVA_H
#define SA_MODELS_LLAVA_H

#include "runtime/image/view.h"
#include "runtime/models/llama.h"
#include "runtime/models/llava_config.h"

typedef struct sa_llava sa_llava;

typedef struct {
    sa_llama_options text;       /* its precision is that of the whole */
    size_t slots;                /* pictures held as rows at one time, >= 1 */
    size_t at_once;              /* pictures taken through the tower together; 0: as the device likes best */
    size_t max_pixels, max_side; /* of one picture */
    sa_llava_fit fit;
} sa_llava_options;

/* As sa_llama_default_options(), one slot, the limits of sa_image_default_limits(), as configured. */
sa_llava_options sa_llava_default_options(void);

/* Opens a model directory, of transformers or of the original release. */
sa_status sa_llava_open(sa_llava **llava, sa_device *device, const char *path,
                        const sa_llava_options *options, sa_error *err);
void sa_llava_close(sa_llava *llava);

sa_llama *sa_llava_decoder(const sa_llava *llava);
const sa_llava_config *sa_llava_get_config(const sa_llava *llava);
size_t sa_llava_picture_rows(const sa_llava *llava); /* of one picture */

/* SA_BAD_INPUT if a picture is beyond the limits. */
sa_status sa_llava_check_picture(const sa_llava *llava, const sa_image *picture, sa_error *err);

/* Whether views of pictures of this size may have a mask; if not, it is for the caller to paint it. */
bool sa_llava_paints(const sa_llava *llava, const sa_image *picture);

/* Brings views[i] into slots[i] (all different), any number of them. Waits until it is done. */
sa_status sa_llava_see(sa_llava *llava, const sa_view *views, const size_t *slots, size_t count,
                       sa_error *err);

/*
 * The rows [picture rows, D] f32 of a slot, in device memory: sa_llama_item.embeddings. Slots stand one
 * behind the other, so that a prompt with several pictures has them in consecutive ones.
 */
const float *sa_llava_rows(const sa_llava *llava, size_t slot);

/*
 * A prompt with one marker (SA_LLAVA_PICTURE, or the model's own token) for each of its `pictures`, as the
 * decoder takes it: every marker becomes sa_llava_picture_rows() times SA_LLAMA_EMBEDDING. `out` has room
 * for sa_llava_expanded() of them. SA_BAD_INPUT if there are more or fewer markers than pictures.
 */
size_t sa_llava_expanded(const sa_llava *llava, size_t count, size_t pictures);
sa_status sa_llava_expand(const sa_llava *llava, const int32_t *tokens, size_t count, size_t pictures,
                          int32_t *out, sa_error *err);

/* Flops of the useful work of one picture, and device memory held besides the decoder's. */
typedef struct {
    double see;
    size_t weight_bytes, activation_bytes, slot_bytes;
} sa_llava_costs;
sa_llava_costs sa_llava_get_costs(const sa_llava *llava);

#endif
