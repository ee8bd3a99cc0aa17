/*
 * Requests at work: their pictures wait in slots until the generator needs their rows, and stay there until
 * the last request that shows them is answered, since one that gives up its pages reads them again.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/sha256.h"
#include "runtime/engine/chat_parts.h"

/* ---- memory ---- */

sa_status sa_chat_new_runs(sa_chat *chat, sa_error *err)
{
    size_t batch = chat->options.batch, pictures = chat->options.pictures;
    chat->runs = calloc(batch, sizeof *chat->runs);
    chat->ended = calloc(batch, sizeof *chat->ended);
    chat->slots = calloc(pictures, sizeof *chat->slots);
    chat->names = calloc(pictures, sizeof *chat->names);
    chat->painted = calloc(pictures, sizeof *chat->painted);
    chat->looked = calloc(pictures, sizeof *chat->looked);
    chat->places = calloc(pictures, sizeof *chat->places);
    bool there = chat->runs != NULL && chat->ended != NULL && chat->slots != NULL && chat->names != NULL &&
                 chat->painted != NULL && chat->looked != NULL && chat->places != NULL;
    return there ? SA_OK
                 : sa_fail(err, SA_NO_ROOM, chat->path, "use a smaller batch", "no memory for %zu requests",
                           batch);
}

void sa_chat_free_runs(sa_chat *chat)
{
    free(chat->runs);
    free(chat->ended);
    free(chat->slots);
    free(chat->names);
    free(chat->painted);
    free(chat->looked);
    free(chat->places);
}

/* ---- pictures ---- */

/* The same pixels, the same name. */
static sa_status name_picture(const sa_image *picture, sa_picture_name *name, sa_error *err)
{
    unsigned char digest[32];
    SA_TRY(sa_sha256_bytes(picture->pixels, picture->height * picture->width * 3, digest, err));
    memcpy(name, digest, sizeof *name);
    name->low ^= (uint64_t)picture->width; /* and their shape */
    return SA_OK;
}

static bool is_named(const sa_chat_slot *slot, sa_picture_name name)
{
    return slot->users > 0 && slot->name.low == name.low && slot->name.high == name.high;
}

/* The first of `count` free slots that stand side by side, or options.pictures. */
static size_t find_free(const sa_chat *chat, size_t count)
{
    size_t stretch = 0;
    for (size_t i = 0; i < chat->options.pictures; i++) {
        stretch = chat->slots[i].users == 0 ? stretch + 1 : 0;
        if (stretch == count) {
            return i + 1 - count;
        }
    }
    return chat->options.pictures;
}

/* The slot of that name, or options.pictures. */
static size_t find_named(const sa_chat *chat, sa_picture_name name)
{
    size_t i = 0;
    while (i < chat->options.pictures && !is_named(&chat->slots[i], name)) {
        i++;
    }
    return i;
}

static void take_slot(sa_chat *chat, size_t slot, sa_chat_slot content)
{
    content.users = 1;
    chat->slots[slot] = content;
    chat->names[slot] = content.name;
}

/* A picture that is painted when it is needed is shared by all requests that show it. */
static void take_painting(sa_chat *chat, sa_chat_run *r, const sa_chat_painting *painting)
{
    size_t slot = find_named(chat, painting->name);
    if (slot < chat->options.pictures) {
        chat->slots[slot].users++;
    } else {
        slot = find_free(chat, 1);
        take_slot(chat, slot, (sa_chat_slot){.name = painting->name});
    }
    r->painting = *painting; /* another one's may be gone when it is needed */
    r->first = slot;
    r->pictures = 1;
}

/* Nothing is done if one of them cannot be seen. */
static sa_status take_pictures(sa_chat *chat, sa_chat_run *r, const sa_chat_request *request, sa_error *err)
{
    size_t first = find_free(chat, request->picture_count);
    for (size_t k = 0; k < request->picture_count; k++) {
        SA_TRY(sa_llava_check_picture(chat->llava, request->pictures[k], err));
        SA_TRY(name_picture(request->pictures[k], &chat->names[first + k], err));
    }
    for (size_t k = 0; k < request->picture_count; k++) {
        take_slot(chat, first + k,
                  (sa_chat_slot){.name = chat->names[first + k], .picture = request->pictures[k]});
    }
    r->first = first;
    r->pictures = request->picture_count;
    return SA_OK;
}

/* ---- what the generator asks ---- */

/* The mask is painted here if the tower does not do it. */
static sa_status show(sa_chat *chat, const sa_chat_painting *painting, sa_image *room, sa_view *view,
                      sa_error *err)
{
    SA_TRY(painting->show(painting->context, room, view, err));
    if (view->mask == NULL || sa_llava_paints(chat->llava, view->picture)) {
        return SA_OK;
    }
    SA_ASSERT(room->pixels == NULL);
    SA_TRY(sa_view_paint(view, room, err));
    *view = (sa_view){.picture = room};
    return SA_OK;
}

static sa_status look_at(sa_chat *chat, const sa_chat_run *r, size_t slot, size_t *looked, sa_error *err)
{
    sa_chat_slot *s = &chat->slots[slot];
    sa_view *view = &chat->looked[*looked];
    if (s->seen) {
        return SA_OK;
    }
    *view = (sa_view){.picture = s->picture, .name = s->name};
    if (s->picture == NULL && sa_device_computes(chat->device)) {
        SA_TRY(show(chat, &r->painting, &chat->painted[*looked], view, err));
    }
    chat->places[(*looked)++] = slot;
    s->seen = true;
    return SA_OK;
}

/* The generator needs what these requests show: once for each picture. */
static sa_status see(void *context, const size_t *runs, size_t count, sa_error *err)
{
    sa_chat *chat = context;
    sa_status status = SA_OK;
    size_t looked = 0;
    double begun = sa_clock_seconds();
    for (size_t i = 0; i < count; i++) {
        const sa_chat_run *r = &chat->runs[runs[i]];
        for (size_t k = 0; k < r->pictures && status == SA_OK; k++) {
            status = look_at(chat, r, r->first + k, &looked, err);
        }
    }
    if (status == SA_OK && looked > 0 && sa_device_computes(chat->device)) {
        status = sa_llava_see(chat->llava, chat->looked, chat->places, looked, err);
    }
    for (size_t i = 0; i < chat->options.pictures; i++) {
        sa_image_free(&chat->painted[i]);
    }
    chat->seen += looked;
    if (looked > 0) {
        sa_device_count(chat->device, SA_COST_VISION, looked);
    }
    chat->vision += sa_clock_seconds() - begun;
    return status;
}

static void pass_text(void *context, size_t run, const char *bytes, size_t size)
{
    const sa_chat *chat = context;
    chat->watcher->text(chat->watcher->context, chat->runs[run].ticket, bytes, size);
}

static bool pass_interrupted(void *context)
{
    const sa_chat *chat = context;
    return chat->watcher->interrupted(chat->watcher->context);
}

/* ---- requests ---- */

void sa_chat_start(sa_chat *chat, const sa_generate_options *options, const sa_generate_watcher *watcher)
{
    chat->watcher = watcher;
    chat->own = (sa_generate_watcher){
        .context = chat,
        .see = see,
        .text = watcher != NULL && watcher->text != NULL ? pass_text : NULL,
        .interrupted = watcher != NULL && watcher->interrupted != NULL ? pass_interrupted : NULL};
    sa_generator_start(chat->generator, options, &chat->own);
}

bool sa_chat_has_room(const sa_chat *chat, const sa_chat_request *request)
{
    size_t pictures = chat->options.pictures;
    SA_ASSERT(request->picture_count <= pictures || chat->llava == NULL);
    if (!sa_generator_has_room(chat->generator)) {
        return false;
    }
    bool shared = request->painting.show != NULL && find_named(chat, request->painting.name) < pictures;
    return chat->llava == NULL || request->picture_count == 0 || shared ||
           find_free(chat, request->picture_count) < pictures;
}

static sa_status prepare_seeing(sa_chat *chat, const sa_chat_request *request, sa_chat_run *r, sa_error *err)
{
    size_t pictures = request->picture_count;
    size_t count = sa_llava_expanded(chat->llava, request->count, pictures);
    r->expanded = malloc((count + 1) * sizeof *r->expanded);
    if (r->expanded == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "use a shorter text", "no memory for a prompt");
    }
    SA_TRY(sa_llava_expand(chat->llava, request->tokens, request->count, pictures, r->expanded, err));
    r->prompt.tokens = r->expanded;
    r->prompt.count = count;
    if (pictures == 0) {
        return SA_OK;
    }
    if (request->painting.show != NULL) {
        take_painting(chat, r, &request->painting);
    } else {
        SA_TRY(take_pictures(chat, r, request, err));
    }
    r->prompt.embeddings = sa_llava_rows(chat->llava, r->first);
    r->prompt.pictures = &chat->names[r->first];
    r->prompt.picture_rows = sa_llava_picture_rows(chat->llava);
    return SA_OK;
}

static sa_status prepare(sa_chat *chat, const sa_chat_request *request, sa_chat_run *r, sa_error *err)
{
    r->prompt = (sa_generate_prompt){.tokens = request->tokens,
                                     .count = request->count,
                                     .item = request->item,
                                     .node = request->node,
                                     .candidate = request->candidate,
                                     .grammar = request->grammar,
                                     .greedy = request->greedy};
    if (chat->llava != NULL) {
        return prepare_seeing(chat, request, r, err);
    }
    if (request->picture_count > 0) {
        return sa_fail(err, SA_BAD_INPUT, chat->path, "leave the picture out, or use a LLaVA",
                       "this model reads text alone");
    }
    return SA_OK;
}

static void end_run(sa_chat *chat, sa_chat_run *r)
{
    for (size_t k = 0; k < r->pictures; k++) {
        chat->slots[r->first + k].users--;
    }
    free(r->expanded);
    *r = (sa_chat_run){0};
}

sa_status sa_chat_begin(sa_chat *chat, const sa_chat_request *request, sa_generate_answer *answer,
                        size_t ticket, bool *running, sa_error *err)
{
    SA_ASSERT(sa_chat_has_room(chat, request));
    size_t run = 0;
    while (chat->runs[run].at_work) {
        run++;
    }
    sa_chat_run *r = &chat->runs[run];
    *r = (sa_chat_run){.at_work = true, .ticket = ticket};
    if (answer->status == SA_OK) {
        answer->status = prepare(chat, request, r, &answer->error);
    }
    sa_status status = sa_generator_begin(chat->generator, &r->prompt, answer, run, running, err);
    if (!*running) {
        end_run(chat, r);
    }
    return status;
}

size_t sa_chat_running(const sa_chat *chat)
{
    return sa_generator_running(chat->generator);
}

sa_status sa_chat_step(sa_chat *chat, sa_error *err)
{
    chat->ended_count = 0;
    SA_TRY(sa_generator_step(chat->generator, err));
    const size_t *runs = sa_generator_ended(chat->generator, &chat->ended_count);
    for (size_t i = 0; i < chat->ended_count; i++) {
        chat->ended[i] = chat->runs[runs[i]].ticket;
        end_run(chat, &chat->runs[runs[i]]);
    }
    return SA_OK;
}

const size_t *sa_chat_ended(const sa_chat *chat, size_t *count)
{
    *count = chat->ended_count;
    return chat->ended;
}

void sa_chat_stop(sa_chat *chat)
{
    sa_generator_stop(chat->generator);
    for (size_t i = 0; i < chat->options.batch; i++) {
        if (chat->runs[i].at_work) {
            end_run(chat, &chat->runs[i]);
        }
    }
    for (size_t i = 0; i < chat->options.pictures; i++) {
        SA_ASSERT(chat->slots[i].users == 0);
    }
    chat->watcher = NULL;
}

/* ---- all of them ---- */

static sa_status answer_all(sa_chat *chat, const sa_chat_request *requests, size_t count,
                            sa_generate_answer *answers, sa_error *err)
{
    for (size_t next = 0;;) {
        while (next < count && sa_chat_has_room(chat, &requests[next])) {
            bool running;
            SA_TRY(sa_chat_begin(chat, &requests[next], &answers[next], next, &running, err));
            next++;
        }
        if (sa_chat_running(chat) == 0) {
            return SA_OK;
        }
        SA_TRY(sa_chat_step(chat, err));
    }
}

sa_status sa_chat_answer(sa_chat *chat, const sa_chat_request *requests, size_t count,
                         const sa_generate_options *options, const sa_generate_watcher *watcher,
                         sa_generate_answer *answers, double *vision_seconds, sa_error *err)
{
    double before = chat->vision;
    sa_chat_start(chat, options, watcher);
    sa_status status = answer_all(chat, requests, count, answers, err);
    sa_chat_stop(chat);
    *vision_seconds = chat->vision - before;
    return status;
}
