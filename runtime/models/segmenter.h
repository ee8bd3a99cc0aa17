/*
 * Interactive segmenters: from a picture and clicks to a mask. One interface for SAM (encodes the picture
 * once, then decodes clicks cheaply) and for SimpleClick (runs its whole network on picture, previous
 * probabilities and clicks at every click): what differs is only what a picture and a state hold inside.
 *
 *   open -> [ encode pictures into slots ] -> [ click: (slot, prompt, previous state) -> candidates ] -> mask
 *
 * All memory is taken when the segmenter is opened; encode and click allocate nothing. Every call takes a
 * batch, and an item's result is the same bit for bit in any batch and with any number of threads. A
 * segmenter is used by one thread at a time.
 *
 * Coordinates are x,y pixels of the upright picture; 0,0 is its top left pixel.
 */
#ifndef SA_MODELS_SEGMENTER_H
#define SA_MODELS_SEGMENTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/device/device.h"
#include "runtime/image/image.h"
#include "runtime/image/mask.h"

#define SA_SEGMENTER_MAX_CANDIDATES 4

typedef struct sa_segmenter sa_segmenter;

typedef struct {
    sa_dtype precision; /* SA_F32, SA_BF16, or SA_F16 where the device has it: storage of weights and
                           activations; sums are f32 */
    size_t slots;       /* pictures held encoded at one time, >= 1 */
    size_t batch;       /* items of one encode or click call, >= 1 */
    size_t at_once;     /* of these, taken through the layers together; 0: as the device likes best */
    size_t max_clicks;  /* of one prompt, >= 1 */
    size_t max_pixels, max_side; /* of one picture: memory for it is taken at open */
    /* The largest picture that a GPU resizes itself, 3 bytes a pixel there; the host does larger ones, with
     * the same bytes. */
    size_t device_pixels;
} sa_segmenter_options;

/*
 * f32, one slot, one item, at once as the device likes best, 256 clicks, the picture limits of
 * sa_image_default_limits(), 24 megapixels on a GPU.
 */
sa_segmenter_options sa_segmenter_default_options(void);

typedef struct {
    float x, y;
    bool positive;
} sa_click;

/* What the user has said about one object so far. At least one click or a box or a state. */
typedef struct {
    const sa_click *clicks;
    size_t click_count;
    bool has_box;
    float box[4]; /* x0,y0,x1,y1 */
} sa_prompt;

/*
 * Where a prompt's earlier steps left off, to be fed back: SAM: the chosen mask's low-resolution logits
 * [s,s]; SimpleClick: the previous probability map. NULL values mean a first step. Forking a state is copying
 * these floats.
 */
typedef struct {
    const float *values; /* host, sa_segmenter_state_size() floats, or NULL */
} sa_segmenter_state;

typedef struct {
    size_t slot; /* an encoded picture */
    sa_prompt prompt;
    sa_segmenter_state state;
} sa_segmenter_query;

/*
 * One item's answer; the caller owns the memory. `scores` and `states` are filled for every candidate in the
 * model's order; `masks[i]` only where the caller gives a mask of the picture's size. best = arg max of
 * scores, first on ties. Not `finite`: a score is no number, since activations of this picture did not fit in
 * the precision (f16 ends at 65504); nothing in the answer means anything then.
 */
typedef struct {
    size_t candidates;
    size_t best;
    bool finite;
    float scores[SA_SEGMENTER_MAX_CANDIDATES];
    float *states[SA_SEGMENTER_MAX_CANDIDATES];  /* host, state_size floats each, or NULL if not wanted */
    sa_mask *masks[SA_SEGMENTER_MAX_CANDIDATES]; /* or NULL if not wanted */
    sa_mask *best_mask;                          /* receives the best candidate's mask; or NULL */
    uint64_t best_hash;                          /* sa_mask_hash() of best_mask, by the device */
    float *best_state;                           /* receives the best candidate's state; or NULL */
} sa_segmenter_answer;

/* Opens a model directory (config.json names the kind) or an original SAM .pth on `device`. */
sa_status sa_segmenter_open(sa_segmenter **segmenter, sa_device *device, const char *path,
                            const sa_segmenter_options *options, sa_error *err);
void sa_segmenter_close(sa_segmenter *segmenter);

const char *sa_segmenter_kind(const sa_segmenter *segmenter);  /* "sam" */
size_t sa_segmenter_candidates(const sa_segmenter *segmenter); /* masks per answer */
size_t sa_segmenter_state_side(const sa_segmenter *segmenter); /* s of the [s,s] state */
size_t sa_segmenter_state_size(const sa_segmenter *segmenter); /* floats: s*s */
/* [C, g, g] of a picture's embedding: channels and side. */
void sa_segmenter_embedding_shape(const sa_segmenter *segmenter, size_t *channels, size_t *side);

/* Encodes pictures[i] into slots[i] (all different), count <= options.batch. */
sa_status sa_segmenter_encode(sa_segmenter *segmenter, const sa_image *const *pictures, const size_t *slots,
                              size_t count, sa_error *err);

/* Answers queries[i] in answers[i], count <= options.batch. Every slot must have been encoded. */
sa_status sa_segmenter_click(sa_segmenter *segmenter, const sa_segmenter_query *queries,
                             sa_segmenter_answer *answers, size_t count, sa_error *err);

/*
 * The same in two steps: start queues the work, finish waits for it, and in between a device works while its
 * caller does something else, on other streams too. Of the segmenter nothing is asked then, and what was
 * passed to start stays as it is. Where start fails there is nothing to finish.
 */
sa_status sa_segmenter_encode_start(sa_segmenter *segmenter, const sa_image *const *pictures,
                                    const size_t *slots, size_t count, sa_error *err);
sa_status sa_segmenter_click_start(sa_segmenter *segmenter, const sa_segmenter_query *queries,
                                   sa_segmenter_answer *answers, size_t count, sa_error *err);
sa_status sa_segmenter_finish(sa_segmenter *segmenter, sa_error *err);

/* A slot's embedding as f32 [C, g, g] on the host, for tests and comparisons with other programs. */
sa_status sa_segmenter_read_embedding(sa_segmenter *segmenter, size_t slot, float *out, sa_error *err);

/*
 * A state from a mask of a picture (a mask image given as the start): SAM: the mask resized like
 * the picture, as logits of +-10.
 */
void sa_segmenter_state_from_mask(const sa_segmenter *segmenter, const sa_mask *mask, float *state);

/* Flops of the useful work, padding excluded: of one encode, and of one click with `tokens` prompt tokens. */
typedef struct {
    double encode, click;
    size_t weight_bytes, activation_bytes, slot_bytes; /* device memory held */
} sa_segmenter_costs;
sa_segmenter_costs sa_segmenter_get_costs(const sa_segmenter *segmenter);

#endif
