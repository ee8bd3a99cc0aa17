/* Items come in: their pictures, masks and prompts; and go. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

void sa_runner_free_picture(sa_runner_picture *p)
{
    sa_image_free(&p->image);
    free(p->path);
    p->path = NULL;
    p->encoded = false;
}

void sa_runner_free_place(sa_runner *r, sa_runner_place *p)
{
    if (p->item != NULL) {
        r->pictures[p->picture].users--;
    }
    sa_episode_close(p->episode);
    sa_mask_free(&p->mask);
    sa_mask_free(&p->truth);
    free(p->state);
    sa_tokens_free(&p->prompt);
    *p = (sa_runner_place){0};
}

sa_status sa_runner_fail_precision(const sa_runner_place *p, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, p->item->path, "use --precision bf16 or f32",
                   "the segmenter's numbers for this picture do not fit in the precision");
}

/* Adds to the error of a device what it was working on. */
sa_status sa_runner_name_items(sa_status status, const sa_runner_place *first, size_t count, sa_error *err)
{
    if (status != SA_OK && err != NULL && first->item != NULL) {
        sa_error why = *err;
        return sa_fail(err, status, why.file, why.hint, "%.800s, with %zu item%s from %.80s on", why.reason,
                       count, count == 1 ? "" : "s", first->item->id);
    }
    return status;
}

static sa_status end_run(const sa_runner_place *p, const sa_error *why, sa_error *err)
{
    if (err != NULL) {
        *err = *why;
    }
    return sa_runner_name_items(why->status, p, 1, err);
}

sa_status sa_runner_fail_item(sa_runner *r, sa_runner_place *p, const sa_error *why, sa_error *err)
{
    if (why->status == SA_NO_DEVICE || why->status == SA_IO) {
        return end_run(p, why, err);
    }
    size_t index = p->index;
    sa_error told;
    sa_fail(&told, why->status, why->file[0] != '\0' ? why->file : p->item->path, why->hint, "%s",
            why->reason);
    sa_runner_free_place(r, p);
    r->counts->failed++;
    return r->client->failed(r->client->context, index, &told, err);
}

sa_status sa_runner_fail_work(sa_runner *r, sa_runner_place *p, const sa_error *why, sa_error *err)
{
    return why->status == SA_NO_ROOM ? end_run(p, why, err) : sa_runner_fail_item(r, p, why, err);
}

static sa_image_limits picture_limits(const sa_runner *r)
{
    sa_image_limits limits = sa_image_default_limits();
    limits.max_pixels = r->options.max_pixels;
    limits.max_side = r->options.max_side;
    return limits;
}

/* The picture of that path, or the place of one that nobody uses. There are as many as items at a time. */
static size_t find_picture(const sa_runner *r, const char *path)
{
    size_t free = 0;
    for (size_t i = 0; i < r->options.batch; i++) {
        if (r->pictures[i].path != NULL && strcmp(r->pictures[i].path, path) == 0) {
            return i;
        }
    }
    while (r->pictures[free].users > 0) {
        free++;
    }
    return free;
}

static sa_status load_picture(sa_runner *r, sa_runner_picture *p, const char *path, sa_error *err)
{
    const sa_image_limits limits = picture_limits(r);
    if (p->path != NULL && strcmp(p->path, path) == 0) {
        return SA_OK;
    }
    sa_runner_free_picture(p);
    p->path = strdup(path);
    if (p->path == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for a picture");
    }
    sa_status status = sa_image_read(path, &limits, &p->image, err);
    if (status != SA_OK) {
        sa_runner_free_picture(p);
    }
    return status;
}

static sa_status read_masks(const sa_runner *r, sa_runner_place *p, const sa_image *image, sa_error *err)
{
    const sa_item *item = p->item;
    const sa_image_limits limits = picture_limits(r);
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

static sa_status load_item(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    sa_runner_picture *pic = &r->pictures[p->picture];
    double begun = sa_clock_seconds();
    sa_status status = load_picture(r, pic, p->item->path, err);
    r->counts->decode += sa_clock_seconds() - begun;
    SA_TRY(status);
    const sa_item *item = p->item;
    if (item->height != 0 && (item->height != pic->image.height || item->width != pic->image.width)) {
        return sa_fail(err, SA_BAD_INPUT, item->path, "correct the input's sizes, or the picture",
                       "the picture has %zux%zu pixels, and the input says %zux%zu", pic->image.width,
                       pic->image.height, item->width, item->height);
    }
    SA_TRY(read_masks(r, p, &pic->image, err));
    return r->chat != NULL ? write_prompt(r, p, err) : SA_OK;
}

static void begin_place(sa_runner *r, sa_runner_place *p, const sa_item *item, size_t index)
{
    *p = (sa_runner_place){
        .item = item, .index = index, .picture = find_picture(r, item->path), .since = sa_clock_seconds()};
    r->pictures[p->picture].users++;
}

sa_status sa_runner_check(sa_runner *r, const sa_item *item, sa_error *err)
{
    sa_runner_counts counts = {0};
    sa_runner_place *p = &r->places[0];
    SA_ASSERT(p->item == NULL); /* nothing runs */
    r->counts = &counts;
    begin_place(r, p, item, 0);
    sa_status status = load_item(r, p, err);
    sa_runner_free_place(r, p);
    return status;
}

/* Fills free places; *full is how many are at work. */
sa_status sa_runner_fill_places(sa_runner *r, bool *more, size_t *full, sa_error *err)
{
    *full = 0;
    for (size_t i = 0; i < r->options.batch; i++) {
        sa_runner_place *p = &r->places[i];
        while (p->item == NULL && *more) {
            size_t index = 0;
            const sa_item *item = r->client->next(r->client->context, &index);
            *more = item != NULL;
            if (item == NULL) {
                break;
            }
            sa_error why = {0};
            begin_place(r, p, item, index);
            r->counts->items++;
            if (load_item(r, p, &why) != SA_OK) {
                SA_TRY(sa_runner_fail_item(r, p, &why, err));
            }
        }
        *full += p->item != NULL;
    }
    return SA_OK;
}

/* Pictures that came in are encoded together. */
sa_status sa_runner_encode_pictures(sa_runner *r, sa_error *err)
{
    size_t count = 0, batch = r->options.batch;
    const sa_image **images = malloc(batch * sizeof(sa_image *));
    size_t *slots = malloc(batch * sizeof *slots);
    sa_status status = images != NULL && slots != NULL
                           ? SA_OK
                           : sa_fail(err, SA_NO_ROOM, NULL, "lower --batch", "no memory for a batch");
    for (size_t i = 0; status == SA_OK && i < batch; i++) {
        sa_runner_picture *p = &r->pictures[i];
        if (p->users > 0 && !p->encoded) {
            images[count] = &p->image;
            slots[count++] = i;
            p->encoded = true;
        }
    }
    double begun = sa_clock_seconds();
    if (status == SA_OK && count > 0 && r->segmenter != NULL) {
        status = sa_segmenter_encode(r->segmenter, images, slots, count, err);
        r->counts->pictures += count;
        r->counts->encode += sa_clock_seconds() - begun;
    }
    free(images);
    free(slots);
    return status;
}
