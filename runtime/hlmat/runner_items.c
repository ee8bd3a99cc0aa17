/* Items come in: their pictures, masks and prompts. In any thread; what is shared has its lock. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

enum { MOST_JPEG = 65500 };

void sa_runner_free_place(sa_runner *r, sa_runner_place *p)
{
    sa_episode_close(p->episode);
    sa_mask_free(&p->mask);
    sa_mask_free(&p->truth);
    free(p->state);
    sa_tokens_free(&p->prompt);
    free(p->jobs);
    free(p->why);
    free(p->step_error);
    if (p->picture != NULL) {
        pthread_mutex_lock(&r->lock);
        sa_runner_leave_picture(r, p->picture);
        pthread_mutex_unlock(&r->lock);
    }
    free(p);
}

static sa_status read_masks(const sa_runner *r, sa_runner_place *p, sa_error *err)
{
    const sa_item *item = p->item;
    const sa_image *image = &p->picture->image;
    sa_image_limits limits = sa_image_default_limits();
    limits.max_pixels = r->options.max_pixels;
    limits.max_side = r->options.max_side;
    if (r->options.start == SA_START_GIVEN) {
        if (!sa_mask_source_given(&item->mask)) {
            return sa_fail(err, SA_BAD_INPUT, item->id, "give it a \"mask\"", "the item has no initial mask");
        }
        SA_TRY(
            sa_mask_source_read(&item->mask, image->height, image->width, item->id, &limits, &p->mask, err));
    }
    bool truth = sa_mask_source_given(&item->gt);
    if (!truth && r->options.needs_truth) {
        return sa_fail(err, SA_BAD_INPUT, item->id, "give it a \"gt\"", "the item has no true mask");
    }
    return truth && r->options.uses_truth ? sa_mask_source_read(&item->gt, image->height, image->width,
                                                                item->id, &limits, &p->truth, err)
                                          : SA_OK;
}

/* The agent's prompt with the item's text, as tokens. */
static sa_status write_prompt(const sa_runner *r, sa_runner_place *p, sa_error *err)
{
    const char *marker = sa_template_image_marker(sa_chat_template(r->chat));
    sa_text text = {0};
    sa_agent_write_prompt(r->options.episode.agent, p->item->text, marker, &text);
    sa_status status = SA_OK;
    if (text.failed) {
        status = sa_fail(err, SA_NO_ROOM, p->item->id, NULL, "no memory for a prompt");
    } else {
        const sa_message message = {.role = SA_ROLE_USER, .text = text.bytes, .images = 1};
        status = sa_chat_write(r->chat, &message, 1, &p->prompt, err);
    }
    sa_text_free(&text);
    return status;
}

static sa_status load(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    const sa_item *item = p->item;
    double begun = sa_clock_seconds();
    SA_TRY(sa_runner_take_picture(r, item->path, &p->picture, err));
    pthread_mutex_lock(&r->lock);
    r->counts->decode += sa_clock_seconds() - begun;
    pthread_mutex_unlock(&r->lock);
    const sa_image *image = &p->picture->image;
    if (item->height != 0 && (item->height != image->height || item->width != image->width)) {
        return sa_fail(err, SA_BAD_INPUT, item->path, "correct the input's sizes, or the picture",
                       "the picture has %zux%zu pixels, and the input says %zux%zu", image->width,
                       image->height, item->width, item->height);
    }
    if (r->chat != NULL && r->options.episode.agent->jpeg_quality > 0 &&
        (image->height > MOST_JPEG || image->width > MOST_JPEG)) {
        return sa_fail(err, SA_BAD_INPUT, item->path, "scale the picture down",
                       "the agent looks at JPEGs, which have %d pixels a side at most", MOST_JPEG);
    }
    SA_TRY(read_masks(r, p, err));
    return r->chat != NULL ? write_prompt(r, p, err) : SA_OK;
}

sa_status sa_runner_load_item(sa_runner *r, const sa_item *item, size_t index, sa_runner_place **place,
                              sa_error *err)
{
    sa_runner_place *p = calloc(1, sizeof *p);
    *place = p;
    if (p == NULL) {
        return sa_fail(err, SA_NO_ROOM, item->path, "lower --in-flight", "no memory for an item");
    }
    p->item = item;
    p->index = index;
    return load(r, p, err);
}
