/*
 * CLIP's image encoder (Radford et al. 2021; MODEL_SPECS 5.1): pictures to features, one for each patch, as a
 * LLaVA's eyes need them.
 *
 *   picture -> square -> patches + positions -> norm -> [ attention, MLP ] x layers -> features
 *
 * All memory is taken when the encoder is opened; encoding allocates nothing. A picture's features are the
 * same bit for bit in any batch and with any number of threads. An encoder is used by one thread at a time.
 */
#ifndef SA_MODELS_CLIP_H
#define SA_MODELS_CLIP_H

#include "runtime/models/clip_device.h"
#include "runtime/models/clip_picture.h"
#include "runtime/models/clip_tensors.h"
#include "runtime/models/model.h"

typedef struct {
    sa_dtype precision; /* of weights and features: SA_F32, SA_BF16, or SA_F16 where the device has it */
    size_t at_once;     /* pictures taken through the layers together; 0: as the device likes best */
    size_t max_pixels, max_side; /* of one picture: memory for it is taken at open */
} sa_clip_options;

sa_clip_options sa_clip_default_options(void); /* f32, 0, the limits of sa_image_default_limits() */

typedef struct sa_clip sa_clip;

/* What an encoder is made of, but for its tensors. */
typedef struct {
    sa_clip_config config;
    sa_clip_feature feature;
    sa_clip_preprocess preprocess;
    const char *file; /* for errors: where the config stands */
} sa_clip_parts;

/*
 * From tensors that were matched with sa_clip_tensors_walk(); `weights` is where they stand. Queues its work
 * on `stream`, which it does not own.
 */
sa_status sa_clip_load(sa_clip **clip, sa_device *device, sa_stream *stream, const sa_clip_parts *parts,
                       const sa_weights *weights, const sa_clip_tensors *tensors,
                       const sa_clip_options *options, sa_error *err);
/* From a directory of its own; `layer` as in sa_clip_feature_layer(). */
sa_status sa_clip_open(sa_clip **clip, sa_device *device, sa_stream *stream, const char *directory,
                       int64_t layer, bool class_token, const sa_clip_options *options, sa_error *err);
/* The same where the parts are known already: of DIRECTORY only the weights are read. */
sa_status sa_clip_open_parts(sa_clip **clip, sa_device *device, sa_stream *stream, const char *directory,
                             const sa_clip_parts *parts, const sa_clip_options *options, sa_error *err);
void sa_clip_close(sa_clip *clip);

size_t sa_clip_tokens(const sa_clip *clip); /* features of one picture */
size_t sa_clip_hidden(const sa_clip *clip); /* numbers of one feature */
size_t sa_clip_at_once(const sa_clip *clip);

/* Whether the tower paints masks on pictures of this size itself; if not, views of them have none. */
bool sa_clip_paints(const sa_clip *clip, const sa_image *picture);
/* SA_BAD_INPUT if a picture is beyond the limits. */
sa_status sa_clip_check_picture(const sa_clip *clip, const sa_image *picture, sa_error *err);
/*
 * Queues the encoding of count <= sa_clip_at_once() views of pictures that were checked; returns their
 * features [count * tokens, hidden] in the precision, in device memory, which stay until the next call. The
 * stream must have been waited for since the call before, and views stay as they are until it is again.
 */
const void *sa_clip_encode(sa_clip *clip, const sa_view *views, size_t count);
/* Pictures that were sent to the device as they came, ever; not what the host resized. */
size_t sa_clip_pictures_sent(const sa_clip *clip);

/* Flops of the useful work of one picture, and device memory held. */
typedef struct {
    double encode;
    size_t weight_bytes, activation_bytes;
} sa_clip_costs;
sa_clip_costs sa_clip_get_costs(const sa_clip *clip);

#endif
