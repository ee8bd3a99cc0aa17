/* Opening the engine, the memory of answers, and how a result stands in JSON. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/cli/click.h"
#include "runtime/image/rle.h"

/* On the device that is open. */
static sa_status open_segmenter(sa_click_engine *engine, const sa_cli *cli, const char *segmenter,
                                const sa_segmenter_options *wanted, sa_error *err)
{
    SA_TRY(sa_cli_choose_precision(cli, engine->device, &engine->precision, err));
    sa_segmenter_options options = *wanted;
    options.precision = engine->precision;
    options.device_pixels = sa_segmenter_default_options().device_pixels;
    return sa_segmenter_open(&engine->segmenter, engine->device, segmenter, &options, err);
}

sa_status sa_click_engine_open(sa_click_engine *engine, const sa_cli *cli, const char *segmenter,
                               const sa_segmenter_options *wanted, sa_error *err)
{
    *engine = (sa_click_engine){0};
    SA_TRY(sa_cli_open_device(cli, &engine->device, err));
    sa_status status = open_segmenter(engine, cli, segmenter, wanted, err);
    if (status != SA_OK && sa_cli_falls_back(cli, &engine->device, err)) {
        status = open_segmenter(engine, cli, segmenter, wanted, err);
    }
    return status;
}

void sa_click_engine_close(sa_click_engine *engine)
{
    if (engine->segmenter != NULL) {
        sa_segmenter_close(engine->segmenter);
    }
    if (engine->device != NULL) {
        sa_device_close(engine->device);
    }
    *engine = (sa_click_engine){0};
}

sa_status sa_click_answer_check(const sa_click_answer *a, const char *image, sa_dtype precision,
                                sa_error *err)
{
    if (a->answer.finite) {
        return SA_OK;
    }
    return sa_fail(err, SA_BAD_INPUT, image, "use --precision f32",
                   "the model's answer is no number: its activations for this picture do not fit in %s",
                   sa_dtype_name(precision));
}

static sa_status take_logits(sa_click_answer *a, const sa_segmenter *segmenter, sa_error *err)
{
    size_t candidates = sa_segmenter_candidates(segmenter), size = sa_segmenter_state_size(segmenter);
    a->logits = calloc(candidates * size, sizeof *a->logits);
    if (a->logits == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the logits");
    }
    for (size_t i = 0; i < candidates; i++) {
        a->answer.states[i] = a->logits + i * size;
    }
    return SA_OK;
}

sa_status sa_click_answer_new(sa_click_answer *a, const sa_segmenter *segmenter, size_t height, size_t width,
                              bool all, bool logits, sa_error *err)
{
    *a = (sa_click_answer){0};
    size_t masks = all ? sa_segmenter_candidates(segmenter) : 1;
    for (size_t i = 0; i < masks; i++) {
        SA_TRY(sa_mask_new(&a->masks[i], height, width, err));
        if (all) {
            a->answer.masks[i] = &a->masks[i];
        } else {
            a->answer.best_mask = &a->masks[i];
        }
    }
    return logits ? take_logits(a, segmenter, err) : SA_OK;
}

void sa_click_answer_free(sa_click_answer *a)
{
    for (size_t i = 0; i < SA_SEGMENTER_MAX_CANDIDATES; i++) {
        sa_mask_free(&a->masks[i]);
    }
    free(a->logits);
    *a = (sa_click_answer){0};
}

const sa_mask *sa_click_answer_best(const sa_click_answer *a)
{
    return a->answer.best_mask != NULL ? a->answer.best_mask : a->answer.masks[a->answer.best];
}

static void write_prompt(sa_json_writer *w, const sa_user_prompt *prompt)
{
    sa_json_key(w, "clicks");
    sa_json_begin_array(w);
    for (size_t i = 0; i < prompt->count; i++) {
        sa_json_begin_object(w);
        sa_json_key(w, "x");
        sa_json_f32(w, prompt->clicks[i].x);
        sa_json_key(w, "y");
        sa_json_f32(w, prompt->clicks[i].y);
        sa_json_key(w, "positive");
        sa_json_bool(w, prompt->clicks[i].positive);
        sa_json_end_object(w);
    }
    sa_json_end_array(w);
    sa_json_key(w, "box");
    if (!prompt->has_box) {
        sa_json_null(w);
        return;
    }
    sa_json_begin_array(w);
    for (int i = 0; i < 4; i++) {
        sa_json_f32(w, prompt->box[i]);
    }
    sa_json_end_array(w);
}

static void write_ious(sa_json_writer *w, const sa_click_result *r)
{
    sa_json_key(w, "ious");
    sa_json_begin_array(w);
    for (size_t i = 0; i < r->prompt->count; i++) {
        sa_json_f64(w, r->ious[i]);
    }
    sa_json_end_array(w);
}

static sa_status write_mask(sa_json_writer *w, const sa_mask *mask, float score, sa_error *err)
{
    sa_rle rle;
    SA_TRY(sa_rle_encode(&rle, mask, err));
    sa_json_begin_object(w);
    sa_json_key(w, "score");
    sa_json_f32(w, score);
    sa_json_key(w, "area");
    sa_json_int(w, (int64_t)sa_mask_area(mask));
    sa_json_key(w, "rle");
    sa_status status = sa_rle_write_json(&rle, w, err);
    sa_json_end_object(w);
    sa_rle_free(&rle);
    return status;
}

static sa_status write_masks(sa_json_writer *w, const sa_click_result *r, sa_error *err)
{
    const sa_segmenter_answer *answer = &r->answer->answer;
    sa_json_key(w, "best");
    sa_json_int(w, (int64_t)answer->best);
    sa_json_key(w, "masks");
    sa_json_begin_array(w);
    if (!r->all) {
        SA_TRY(write_mask(w, sa_click_answer_best(r->answer), answer->scores[answer->best], err));
    }
    for (size_t i = 0; r->all && i < answer->candidates; i++) {
        SA_TRY(write_mask(w, answer->masks[i], answer->scores[i], err));
    }
    sa_json_end_array(w);
    return SA_OK;
}

sa_status sa_click_write_result(sa_json_writer *w, const sa_click_result *r, sa_error *err)
{
    sa_json_begin_object(w);
    sa_json_key(w, "image");
    sa_json_string(w, r->image);
    sa_json_key(w, "height");
    sa_json_int(w, (int64_t)r->height);
    sa_json_key(w, "width");
    sa_json_int(w, (int64_t)r->width);
    write_prompt(w, r->prompt);
    if (r->ious != NULL) {
        write_ious(w, r);
    }
    SA_TRY(write_masks(w, r, err));
    sa_json_key(w, "seconds");
    sa_json_begin_object(w);
    sa_json_key(w, "decode");
    sa_json_f64(w, r->decode);
    sa_json_key(w, "encode");
    sa_json_f64(w, r->encode);
    sa_json_key(w, "click");
    sa_json_f64(w, r->click);
    sa_json_end_object(w);
    sa_json_key(w, "device");
    sa_json_string(w, r->device);
    sa_json_key(w, "precision");
    sa_json_string(w, sa_dtype_name(r->precision));
    sa_json_end_object(w);
    sa_json_end_line(w);
    return SA_OK;
}
