/* The segmenter interface: picks the kind, checks what all kinds ask of their callers, passes on. */
#include "runtime/models/segmenter.h"

#include <stdlib.h>

#include "runtime/models/segmenter_class.h"

struct sa_segmenter {
    const sa_segmenter_class *class;
    void *self;
    sa_device *device;
    sa_segmenter_shape shape;
    sa_segmenter_options options;
    bool started; /* and not finished: clicks, or with count 0 an encoding */
    const sa_segmenter_query *queries;
    sa_segmenter_answer *answers;
    size_t count;
};

sa_segmenter_options sa_segmenter_default_options(void)
{
    sa_image_limits limits = sa_image_default_limits();
    return (sa_segmenter_options){.precision = SA_F32,
                                  .slots = 1,
                                  .batch = 1,
                                  .max_clicks = 256,
                                  .max_pixels = limits.max_pixels,
                                  .max_side = limits.max_side,
                                  .device_pixels = 24000000};
}

sa_status sa_segmenter_open(sa_segmenter **out, sa_device *device, const char *path,
                            const sa_segmenter_options *options, sa_error *err)
{
    SA_ASSERT(options->slots >= 1 && options->batch >= 1 && options->max_clicks >= 1 &&
              options->max_pixels >= 1);
    SA_ASSERT(options->precision == SA_F32 || options->precision == SA_BF16 ||
              (options->precision == SA_F16 && sa_device_has_f16(device)));
    sa_segmenter *segmenter = calloc(1, sizeof *segmenter);
    if (segmenter == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a segmenter handle");
    }
    segmenter->class = &sa_sam_class;
    segmenter->options = *options;
    segmenter->device = device;
    sa_status status = sa_sam_open(&segmenter->self, device, path, options, err);
    if (status != SA_OK) {
        free(segmenter);
        return status;
    }
    segmenter->class->shape(segmenter->self, &segmenter->shape);
    SA_ASSERT(segmenter->shape.candidates <= SA_SEGMENTER_MAX_CANDIDATES);
    *out = segmenter;
    return SA_OK;
}

void sa_segmenter_close(sa_segmenter *segmenter)
{
    if (segmenter != NULL) {
        segmenter->class->close(segmenter->self);
        free(segmenter);
    }
}

const char *sa_segmenter_kind(const sa_segmenter *segmenter)
{
    return segmenter->class->kind;
}

size_t sa_segmenter_candidates(const sa_segmenter *segmenter)
{
    return segmenter->shape.candidates;
}

size_t sa_segmenter_state_side(const sa_segmenter *segmenter)
{
    return segmenter->shape.state_side;
}

size_t sa_segmenter_state_size(const sa_segmenter *segmenter)
{
    return segmenter->shape.state_side * segmenter->shape.state_side;
}

void sa_segmenter_embedding_shape(const sa_segmenter *segmenter, size_t *channels, size_t *side)
{
    *channels = segmenter->shape.embedding_channels;
    *side = segmenter->shape.embedding_side;
}

sa_status sa_segmenter_encode_start(sa_segmenter *segmenter, const sa_image *const *pictures,
                                    const size_t *slots, size_t count, sa_error *err)
{
    SA_ASSERT(count <= segmenter->options.batch && !segmenter->started);
    for (size_t i = 0; i < count; i++) {
        SA_ASSERT(slots[i] < segmenter->options.slots);
    }
    sa_device_count(segmenter->device, SA_COST_ENCODE, count);
    SA_TRY(segmenter->class->encode_start(segmenter->self, pictures, slots, count, err));
    segmenter->started = true;
    segmenter->count = 0;
    return SA_OK;
}

sa_status sa_segmenter_click_start(sa_segmenter *segmenter, const sa_segmenter_query *queries,
                                   sa_segmenter_answer *answers, size_t count, sa_error *err)
{
    SA_ASSERT(count <= segmenter->options.batch && !segmenter->started);
    sa_device_count(segmenter->device, SA_COST_CLICK, count);
    SA_TRY(segmenter->class->click_start(segmenter->self, queries, answers, count, err));
    segmenter->started = true;
    segmenter->queries = queries;
    segmenter->answers = answers;
    segmenter->count = count;
    return SA_OK;
}

sa_status sa_segmenter_finish(sa_segmenter *segmenter, sa_error *err)
{
    SA_ASSERT(segmenter->started);
    segmenter->started = false;
    SA_TRY(segmenter->class->finish(segmenter->self, err));
    for (size_t i = 0; i < segmenter->count && !sa_device_computes(segmenter->device); i++) {
        sa_segmenter_make_up(&segmenter->queries[i].prompt, &segmenter->answers[i]);
    }
    return SA_OK;
}

sa_status sa_segmenter_encode(sa_segmenter *segmenter, const sa_image *const *pictures, const size_t *slots,
                              size_t count, sa_error *err)
{
    SA_TRY(sa_segmenter_encode_start(segmenter, pictures, slots, count, err));
    return sa_segmenter_finish(segmenter, err);
}

sa_status sa_segmenter_click(sa_segmenter *segmenter, const sa_segmenter_query *queries,
                             sa_segmenter_answer *answers, size_t count, sa_error *err)
{
    SA_TRY(sa_segmenter_click_start(segmenter, queries, answers, count, err));
    return sa_segmenter_finish(segmenter, err);
}

sa_status sa_segmenter_read_embedding(sa_segmenter *segmenter, size_t slot, float *out, sa_error *err)
{
    SA_ASSERT(slot < segmenter->options.slots);
    return segmenter->class->read_embedding(segmenter->self, slot, out, err);
}

void sa_segmenter_state_from_mask(const sa_segmenter *segmenter, const sa_mask *mask, float *state)
{
    segmenter->class->state_from_mask(segmenter->self, mask, state);
}

sa_segmenter_costs sa_segmenter_get_costs(const sa_segmenter *segmenter)
{
    return segmenter->class->costs(segmenter->self);
}
