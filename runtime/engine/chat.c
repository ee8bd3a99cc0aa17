/*
 * The parts of a model put together: opened in the order in which a mistake is cheapest to find
 * (configuration, tokenizer, template, only then weights), and, for every call, pictures seen before prompts
 * are generated from.
 */
#include "runtime/engine/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/sha256.h"
#include "runtime/base/sizes.h"
#include "runtime/engine/draft.h"
#include "runtime/models/config.h"
#include "runtime/models/llava.h"

enum { MOST_CONTEXT = 4096, USUAL_CONTEXT = 1024, PREFILL_ROWS = 512, GUESS_BYTES = 64 << 20 };

struct sa_chat {
    char path[512];
    sa_chat_options options;
    sa_device *device;
    sa_tokenizer *tokenizer;
    sa_template *template;
    sa_llava *llava; /* NULL: text alone */
    sa_llama *llama; /* its decoder, or a model by itself */
    sa_generator *generator;
    size_t seen; /* pictures */
};

sa_chat_options sa_chat_default_options(void)
{
    sa_image_limits limits = sa_image_default_limits();
    return (sa_chat_options){.precision = SA_F32,
                             .batch = 1,
                             .pictures = 1,
                             .max_pixels = limits.max_pixels,
                             .max_side = limits.max_side};
}

void sa_chat_close(sa_chat *chat)
{
    if (chat == NULL) {
        return;
    }
    sa_generator_close(chat->generator);
    if (chat->llava != NULL) {
        sa_llava_close(chat->llava);
    } else {
        sa_llama_close(chat->llama);
    }
    sa_template_close(chat->template);
    sa_tokenizer_close(chat->tokenizer);
    free(chat);
}

/* ---- opening ---- */

/* Does config.json speak of a LLaVA? What else it may be, the decoder's own reader judges. */
static sa_status find_kind(const char *path, bool *sees, sa_error *err)
{
    char file[SA_CONFIG_PATH];
    json_t *json;
    const char *type = "";
    SA_TRY(sa_config_open(path, "config.json", file, &json, err));
    sa_status status = sa_json_get_string(json, file, "model_type", false, &type, err);
    *sees = strncmp(type, "llava", strlen("llava")) == 0;
    json_decref(json);
    return status;
}

/*
 * Pages for a batch of conversations as long as they usually are, and for one as long as the context: a long
 * one among many waits for its turn. Logits for guesses at how answers go on, as far as that is cheap.
 */
static sa_llama_options text_options(const sa_chat *chat, size_t positions, size_t vocabulary)
{
    const sa_chat_options *o = &chat->options;
    size_t context = o->context != 0 ? o->context : sa_least(positions, MOST_CONTEXT);
    sa_llama_options text = sa_llama_default_options();
    text.precision = o->precision;
    text.context = context;
    text.pages =
        sa_most(o->batch * sa_kv_pages_for(sa_least(context, USUAL_CONTEXT)), sa_kv_pages_for(context));
    text.rows = sa_most(PREFILL_ROWS, o->batch);
    text.items = o->batch;
    text.logit_rows =
        o->batch + sa_least(o->batch * SA_DRAFT_MOST, GUESS_BYTES / (vocabulary * sizeof(float)));
    return text;
}

/*
 * A tokenizer with words that the model has no embedding for would make prompts that fail in the middle; and
 * whoever mixes up two models should not have to wait for the weights to hear of it.
 */
static sa_status check_vocabulary(const sa_chat *chat, size_t rows, sa_error *err)
{
    size_t words = sa_tokenizer_size(chat->tokenizer);
    if (words > rows) {
        return sa_fail(err, SA_BAD_INPUT, chat->path, "use the tokenizer that belongs to this model",
                       "the tokenizer has ids up to %zu, and the model embeds %zu", words - 1, rows);
    }
    return SA_OK;
}

static sa_status open_seeing(sa_chat *chat, sa_llama_options *text, sa_error *err)
{
    sa_llava_config config;
    SA_TRY(sa_llava_config_read(chat->path, chat->options.fit, &config, err));
    SA_TRY(check_vocabulary(chat, config.text.vocabulary, err));
    *text = text_options(chat, config.text.positions, config.text.vocabulary);
    const sa_llava_options options = {.text = *text,
                                      .slots = chat->options.pictures,
                                      .max_pixels = chat->options.max_pixels,
                                      .max_side = chat->options.max_side,
                                      .fit = chat->options.fit};
    SA_TRY(sa_llava_open(&chat->llava, chat->device, chat->path, &options, err));
    chat->llama = sa_llava_decoder(chat->llava);
    return SA_OK;
}

static sa_status open_reading(sa_chat *chat, sa_llama_options *text, sa_error *err)
{
    sa_llama_config config;
    SA_TRY(sa_llama_config_read(chat->path, &config, err));
    SA_TRY(check_vocabulary(chat, config.vocabulary, err));
    *text = text_options(chat, config.positions, config.vocabulary);
    return sa_llama_open(&chat->llama, chat->device, chat->path, text, err);
}

/* Names of templates are no part of a model directory; what the tokenizer was trained to mark is. */
static const char *suitable_template(const sa_chat *chat, bool sees)
{
    static const char mark[] = "<|im_start|>";
    if (sees) {
        return "llava_v1";
    }
    return sa_tokenizer_find(chat->tokenizer, mark, strlen(mark)) >= 0 ? "chatml" : "plain";
}

static sa_status open_parts(sa_chat *chat, sa_error *err)
{
    bool sees;
    sa_llama_options text;
    SA_TRY(find_kind(chat->path, &sees, err));
    SA_TRY(sa_tokenizer_open(&chat->tokenizer, chat->path, err));
    const char *template = chat->options.template;
    SA_TRY(
        sa_template_open(&chat->template, template != NULL ? template : suitable_template(chat, sees), err));
    SA_TRY(sees ? open_seeing(chat, &text, err) : open_reading(chat, &text, err));
    return sa_generator_open(&chat->generator, chat->llama, &text, chat->tokenizer, err);
}

sa_status sa_chat_open(sa_chat **out, sa_device *device, const char *path, const sa_chat_options *options,
                       sa_error *err)
{
    SA_ASSERT(options->batch >= 1 && options->pictures >= 1);
    sa_chat *chat = calloc(1, sizeof *chat);
    if (chat == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for a model handle");
    }
    chat->device = device;
    chat->options = *options;
    snprintf(chat->path, sizeof chat->path, "%s", path);
    sa_status status = open_parts(chat, err);
    if (status != SA_OK) {
        sa_chat_close(chat);
        return status;
    }
    *out = chat;
    return SA_OK;
}

const sa_tokenizer *sa_chat_tokenizer(const sa_chat *chat)
{
    return chat->tokenizer;
}

const sa_template *sa_chat_template(const sa_chat *chat)
{
    return chat->template;
}

bool sa_chat_sees(const sa_chat *chat)
{
    return chat->llava != NULL;
}

size_t sa_chat_memory(const sa_chat *chat)
{
    sa_llama_memory text = sa_llama_get_memory(chat->llama);
    size_t bytes = text.weight_bytes + text.activation_bytes + text.kv_bytes;
    if (chat->llava != NULL) {
        sa_llava_costs eyes = sa_llava_get_costs(chat->llava);
        bytes += eyes.weight_bytes + eyes.activation_bytes + eyes.slot_bytes;
    }
    return bytes;
}

/* ---- prompts ---- */

static sa_status write_parts(const sa_chat *chat, const sa_chat_text *text, sa_tokens *out, sa_error *err)
{
    unsigned first = SA_ENCODE_ADD_SPECIAL; /* in front of all, be that text or picture */
    for (size_t i = 0; i < text->count; i++) {
        const sa_chat_part *part = &text->parts[i];
        const char *words = part->image ? "" : text->text.bytes + part->begin;
        size_t size = part->image ? 0 : part->end - part->begin;
        if (!part->image || first != 0) {
            SA_TRY(
                sa_tokenizer_encode(chat->tokenizer, words, size, SA_ENCODE_PARSE_SPECIAL | first, out, err));
        }
        if (part->image) {
            sa_tokens_append(out, SA_LLAVA_PICTURE);
        }
        first = 0;
    }
    return out->failed ? sa_fail(err, SA_NO_ROOM, NULL, "use a shorter text", "no memory for a prompt")
                       : SA_OK;
}

sa_status sa_chat_write(const sa_chat *chat, const sa_message *messages, size_t count, sa_tokens *out,
                        sa_error *err)
{
    sa_chat_text text = {0};
    sa_status status = sa_template_render(chat->template, messages, count, true, &text, err);
    if (status == SA_OK) {
        status = write_parts(chat, &text, out, err);
    }
    sa_chat_text_free(&text);
    return status;
}

/* ---- answers ---- */

/* The prompts of one call, what their expanded tokens stand in, and all of their pictures. */
typedef struct {
    sa_chat *chat;
    const sa_generate_watcher *watcher; /* the caller's */
    sa_generate_prompt *prompts;        /* [count] */
    int32_t **expanded;                 /* [count], NULL where the request's own tokens do */
    size_t *first, *pictures_of;        /* [count] a prompt's first slot, and how many it has */
    const sa_image **pictures;          /* [options.pictures], slot by slot; NULL: seen already */
    sa_picture_name *names;             /* of these */
    size_t picture_count;
    /* One look at several: [options.pictures] each */
    const sa_image **looked;
    size_t *slots;
    double seconds; /* of all looks */
} prepared;

static void free_prepared(prepared *p, size_t count)
{
    for (size_t i = 0; p->expanded != NULL && i < count; i++) {
        free(p->expanded[i]);
    }
    free(p->expanded);
    free(p->prompts);
    free(p->first);
    free(p->pictures_of);
    free(p->pictures);
    free(p->names);
    free(p->looked);
    free(p->slots);
}

static sa_status new_prepared(sa_chat *chat, size_t count, const sa_generate_watcher *watcher, prepared *p,
                              sa_error *err)
{
    size_t pictures = chat->options.pictures;
    *p = (prepared){.chat = chat,
                    .watcher = watcher,
                    .prompts = calloc(count, sizeof *p->prompts),
                    .expanded = calloc(count, sizeof *p->expanded),
                    .first = calloc(count, sizeof *p->first),
                    .pictures_of = calloc(count, sizeof *p->pictures_of),
                    .pictures = calloc(pictures, sizeof *p->pictures),
                    .names = calloc(pictures, sizeof *p->names),
                    .looked = calloc(pictures, sizeof *p->looked),
                    .slots = calloc(pictures, sizeof *p->slots)};
    bool there = p->prompts != NULL && p->expanded != NULL && p->first != NULL && p->pictures_of != NULL &&
                 p->pictures != NULL && p->names != NULL && p->looked != NULL && p->slots != NULL;
    return there ? SA_OK
                 : sa_fail(err, SA_NO_ROOM, NULL, "use a smaller batch", "no memory for %zu prompts", count);
}

/* The same pixels, the same name. */
static sa_status name_picture(const sa_image *picture, sa_picture_name *name, sa_error *err)
{
    unsigned char digest[32];
    SA_TRY(sa_sha256_bytes(picture->pixels, picture->height * picture->width * 3, digest, err));
    memcpy(name, digest, sizeof *name);
    name->low ^= (uint64_t)picture->width; /* and their shape */
    return SA_OK;
}

/* The request's pictures take the next slots; nothing is done if one of them cannot be seen. */
static sa_status queue_pictures(const sa_chat *chat, const sa_chat_request *request, prepared *p, size_t i,
                                sa_error *err)
{
    SA_ASSERT(request->picture_count <= chat->options.pictures - p->picture_count);
    for (size_t k = 0; k < request->picture_count; k++) {
        SA_TRY(sa_llava_check_picture(chat->llava, request->pictures[k], err));
        SA_TRY(name_picture(request->pictures[k], &p->names[p->picture_count + k], err));
    }
    p->first[i] = p->picture_count;
    p->pictures_of[i] = request->picture_count;
    for (size_t k = 0; k < request->picture_count; k++) {
        p->pictures[p->picture_count++] = request->pictures[k];
    }
    return SA_OK;
}

/* sa_generate needs what these prompts show: once for each picture. */
static sa_status see(void *context, const size_t *indexes, size_t count, sa_error *err)
{
    prepared *p = context;
    size_t looked = 0;
    double begun = sa_clock_seconds();
    for (size_t i = 0; i < count; i++) {
        size_t first = p->first[indexes[i]], end = first + p->pictures_of[indexes[i]];
        for (size_t slot = first; slot < end; slot++) {
            if (p->pictures[slot] != NULL) {
                p->looked[looked] = p->pictures[slot];
                p->slots[looked++] = slot;
                p->pictures[slot] = NULL;
            }
        }
    }
    sa_status status = looked > 0 ? sa_llava_see(p->chat->llava, p->looked, p->slots, looked, err) : SA_OK;
    p->chat->seen += looked;
    p->seconds += sa_clock_seconds() - begun;
    return status;
}

static void pass_text(void *context, size_t index, const char *bytes, size_t size)
{
    const prepared *p = context;
    p->watcher->text(p->watcher->context, index, bytes, size);
}

static bool pass_interrupted(void *context)
{
    const prepared *p = context;
    return p->watcher->interrupted(p->watcher->context);
}

static bool is_same(const sa_chat_request *a, const sa_chat_request *b)
{
    return a->tokens == b->tokens && a->count == b->count && a->pictures == b->pictures &&
           a->picture_count == b->picture_count;
}

static sa_status prepare_seeing(const sa_chat *chat, const sa_chat_request *request, prepared *p, size_t i,
                                sa_error *err)
{
    size_t pictures = request->picture_count, first = p->picture_count;
    size_t count = sa_llava_expanded(chat->llava, request->count, pictures);
    p->expanded[i] = malloc((count + 1) * sizeof **p->expanded);
    if (p->expanded[i] == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "use a shorter text", "no memory for a prompt");
    }
    SA_TRY(sa_llava_expand(chat->llava, request->tokens, request->count, pictures, p->expanded[i], err));
    SA_TRY(queue_pictures(chat, request, p, i, err));
    p->prompts[i].tokens = p->expanded[i];
    p->prompts[i].count = count;
    p->prompts[i].embeddings = pictures > 0 ? sa_llava_rows(chat->llava, first) : NULL;
    p->prompts[i].pictures = &p->names[first];
    p->prompts[i].picture_rows = sa_llava_picture_rows(chat->llava);
    return SA_OK;
}

static sa_status prepare(const sa_chat *chat, const sa_chat_request *request, prepared *p, size_t i,
                         sa_error *err)
{
    p->prompts[i] = (sa_generate_prompt){.tokens = request->tokens,
                                         .count = request->count,
                                         .item = request->item,
                                         .node = request->node,
                                         .candidate = request->candidate,
                                         .grammar = request->grammar,
                                         .greedy = request->greedy};
    if (chat->llava != NULL) {
        return prepare_seeing(chat, request, p, i, err);
    }
    if (request->picture_count > 0) {
        return sa_fail(err, SA_BAD_INPUT, chat->path, "leave the picture out, or use a LLaVA",
                       "this model reads text alone");
    }
    return SA_OK;
}

/* The same question as the one before it: what differs is the key, and how the answer is chosen. */
static sa_status prepare_again(const sa_chat_request *request, prepared *p, size_t i)
{
    p->prompts[i] = p->prompts[i - 1];
    p->prompts[i].item = request->item;
    p->prompts[i].node = request->node;
    p->prompts[i].candidate = request->candidate;
    p->prompts[i].grammar = request->grammar;
    p->prompts[i].greedy = request->greedy;
    p->first[i] = p->first[i - 1];
    p->pictures_of[i] = p->pictures_of[i - 1];
    return SA_OK;
}

sa_status sa_chat_answer(sa_chat *chat, const sa_chat_request *requests, size_t count,
                         const sa_generate_options *options, const sa_generate_watcher *watcher,
                         sa_generate_answer *answers, double *vision_seconds, sa_error *err)
{
    prepared p;
    sa_status status = new_prepared(chat, count, watcher, &p, err);
    for (size_t i = 0; status == SA_OK && i < count; i++) {
        bool same = i > 0 && answers[i - 1].status == SA_OK && is_same(&requests[i - 1], &requests[i]);
        answers[i].status =
            same ? prepare_again(&requests[i], &p, i) : prepare(chat, &requests[i], &p, i, &answers[i].error);
    }
    if (status == SA_OK) {
        const sa_generate_watcher own = {
            .context = &p,
            .see = see,
            .text = watcher != NULL && watcher->text != NULL ? pass_text : NULL,
            .interrupted = watcher != NULL && watcher->interrupted != NULL ? pass_interrupted : NULL};
        status = sa_generate(chat->generator, p.prompts, count, options, &own, answers, err);
    }
    *vision_seconds = p.seconds;
    free_prepared(&p, count);
    return status;
}

sa_chat_counts sa_chat_get_counts(const sa_chat *chat)
{
    return (sa_chat_counts){.seen = chat->seen, .text = sa_generator_get_counts(chat->generator)};
}

sa_chat_counts sa_chat_counts_since(sa_chat_counts now, sa_chat_counts before)
{
    const sa_generator_counts *b = &before.text;
    now.seen -= before.seen;
    now.text.prompts -= b->prompts;
    now.text.prompt_tokens -= b->prompt_tokens;
    now.text.reused -= b->reused;
    now.text.prefilled -= b->prefilled;
    now.text.decoded -= b->decoded;
    now.text.forwards -= b->forwards;
    now.text.guessed -= b->guessed;
    now.text.right -= b->right;
    now.text.pages_given_back -= b->pages_given_back;
    return now;
}
