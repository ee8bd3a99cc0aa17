/*
 * A language model as a whole: tokenizer and template, decoder and its pages, and eyes if it has them.
 *
 *   conversation, pictures -> sa_chat_write -> tokens with markers -> [ see, expand, generate ] -> answer
 *
 * All device memory is taken at open. Used by one thread at a time.
 */
#ifndef SA_ENGINE_CHAT_H
#define SA_ENGINE_CHAT_H

#include "runtime/engine/generate.h"
#include "runtime/image/image.h"
#include "runtime/models/llava_config.h"
#include "runtime/text/template.h"

typedef struct sa_chat sa_chat;

typedef struct {
    sa_dtype precision;
    size_t context;  /* tokens of one conversation at most; 0: what the model was made for, 4096 at most */
    size_t batch;    /* conversations answered at a time, >= 1 */
    size_t kept;     /* beginnings of conversations worth keeping for later ones, while that is cheap */
    size_t pages;    /* KV pages in all; 0: for these, of usual length, and for one as long as the context */
    size_t pictures; /* of all conversations at one time, >= 1; not used by a model without eyes */
    size_t max_pixels, max_side; /* of one picture */
    sa_llava_fit fit;
    const char *template; /* name or file; NULL: what suits the model best, of those that are shipped */
} sa_chat_options;

/* f32, one conversation, one picture, the limits of sa_image_default_limits(). */
sa_chat_options sa_chat_default_options(void);

/* Opens a model directory (config.json, tokenizer, weights) of the LLaMA family or of LLaVA. */
sa_status sa_chat_open(sa_chat **chat, sa_device *device, const char *path, const sa_chat_options *options,
                       sa_error *err);
void sa_chat_close(sa_chat *chat);

const sa_tokenizer *sa_chat_tokenizer(const sa_chat *chat);
const sa_template *sa_chat_template(const sa_chat *chat);
bool sa_chat_sees(const sa_chat *chat);     /* false: a model of text alone */
size_t sa_chat_memory(const sa_chat *chat); /* bytes of device memory held */

/*
 * Appends the tokens of a conversation, SA_LLAVA_PICTURE where a picture goes, up to where the answer begins.
 * Each stretch of text is encoded by itself, and what the tokenizer puts in front of every text stands in
 * front of all.
 */
sa_status sa_chat_write(const sa_chat *chat, const sa_message *messages, size_t count, sa_tokens *out,
                        sa_error *err);

/* A picture that is asked for only if it has to be looked at. */
typedef struct {
    sa_picture_name name; /* the same name, the same pixels, mask and all */
    /*
     * Fills the view, which stays as it is until the request is answered: of a picture within the limits, or
     * of one made in `room`, which the chat frees.
     */
    sa_status (*show)(void *context, sa_image *room, sa_view *view, sa_error *err);
    void *context;
} sa_chat_painting;

/* It, and what it points to, stays as it is until it is answered. */
typedef struct {
    const int32_t *tokens; /* [count] with markers, as sa_chat_write makes them */
    size_t count;
    const sa_image *const *pictures; /* or `painting`, the only one */
    size_t picture_count;            /* <= options.pictures */
    sa_chat_painting painting;       /* show NULL: none */
    /* As in sa_generate_prompt. */
    uint64_t item;
    uint32_t node, candidate;
    const sa_grammar *grammar;
    bool greedy;
} sa_chat_request;

/*
 * Requests as they come; as sa_generator_start() and so on. A request whose pictures are too large, or do not
 * fit its markers, fails alone. Of the watcher, `see` is not used. A picture that stands behind the same text
 * as one before is not looked at again as long as those pages are kept, and requests at work share it.
 */
void sa_chat_start(sa_chat *chat, const sa_generate_options *options, const sa_generate_watcher *watcher);
bool sa_chat_has_room(const sa_chat *chat, const sa_chat_request *request);
sa_status sa_chat_begin(sa_chat *chat, const sa_chat_request *request, sa_generate_answer *answer,
                        size_t ticket, bool *running, sa_error *err);
size_t sa_chat_running(const sa_chat *chat);
sa_status sa_chat_step(sa_chat *chat, sa_error *err);
const size_t *sa_chat_ended(const sa_chat *chat, size_t *count);
void sa_chat_stop(sa_chat *chat);

/*
 * Answers all of these, as sa_generate(). *vision_seconds: how long their pictures took, all together.
 */
sa_status sa_chat_answer(sa_chat *chat, const sa_chat_request *requests, size_t count,
                         const sa_generate_options *options, const sa_generate_watcher *watcher,
                         sa_generate_answer *answers, double *vision_seconds, sa_error *err);

/* Flops of the useful work of one picture and of one token behind a prompt, and bytes of weights that each
 * pass reads. */
typedef struct {
    double picture_flops, picture_bytes, token_flops, token_bytes;
} sa_chat_costs;
sa_chat_costs sa_chat_get_costs(const sa_chat *chat);

/* Since the model was opened. */
typedef struct {
    size_t seen;   /* pictures that went through the tower */
    double vision; /* seconds that this took */
    sa_generator_counts text;
} sa_chat_counts;
sa_chat_counts sa_chat_get_counts(const sa_chat *chat);
/* What has been added to `before`; pages_kept are those of now. */
sa_chat_counts sa_chat_counts_since(sa_chat_counts now, sa_chat_counts before);

#endif
