/*
 * The parts of a model put together: opened in the order in which a mistake is cheapest to find
 * (configuration, tokenizer, template, only then weights), and, for every call, pictures seen before prompts
 * are generated from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/sizes.h"
#include "runtime/engine/chat_parts.h"
#include "runtime/engine/draft.h"
#include "runtime/models/config.h"

enum {
    MOST_CONTEXT = 4096,
    USUAL_CONTEXT = 1024,
    PREFILL_ROWS = 512,
    GUESS_BYTES = 64 << 20,
    KEPT_BYTES = 1 << 30
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
    sa_chat_free_runs(chat);
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

/* Pages for a batch of conversations as long as they usually are, for those that are kept beside it as far as
 * that is cheap, and for one as long as the context: a long one among many waits for its turn. */
static size_t usual_pages(const sa_chat_options *o, const sa_llama_config *config, size_t context)
{
    size_t each = sa_kv_pages_for(sa_least(context, USUAL_CONTEXT));
    size_t page_bytes =
        2 * config->layers * SA_KV_PAGE * config->kv_heads * config->head_dim * sa_dtype_size(o->precision);
    size_t kept = sa_least(o->kept * each, KEPT_BYTES / page_bytes);
    return sa_most(o->batch * each + kept, sa_kv_pages_for(context));
}

/* Logits for guesses at how answers go on, as far as that is cheap. */
static sa_llama_options text_options(const sa_chat *chat, const sa_llama_config *config)
{
    const sa_chat_options *o = &chat->options;
    size_t context = o->context != 0 ? o->context : sa_least(config->positions, MOST_CONTEXT);
    sa_llama_options text = sa_llama_default_options();
    text.precision = o->precision;
    text.context = context;
    text.pages = o->pages != 0 ? o->pages : usual_pages(o, config, context);
    text.rows = sa_most(PREFILL_ROWS, o->batch);
    text.items = o->batch;
    text.logit_rows =
        o->batch + sa_least(o->batch * SA_DRAFT_MOST, GUESS_BYTES / (config->vocabulary * sizeof(float)));
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
    *text = text_options(chat, &config.text);
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
    *text = text_options(chat, &config);
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
    SA_TRY(sa_generator_open(&chat->generator, chat->llama, &text, chat->tokenizer, err));
    return sa_chat_new_runs(chat, err);
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

sa_chat_costs sa_chat_get_costs(const sa_chat *chat)
{
    sa_chat_costs costs = {.token_flops = sa_llama_flops(chat->llama, USUAL_CONTEXT / 4, false),
                           .token_bytes = (double)sa_llama_get_memory(chat->llama).weight_bytes};
    if (chat->llava != NULL) {
        sa_llava_costs eyes = sa_llava_get_costs(chat->llava);
        costs.picture_flops = eyes.see;
        costs.picture_bytes = (double)eyes.weight_bytes;
    }
    return costs;
}

sa_chat_counts sa_chat_get_counts(const sa_chat *chat)
{
    return (sa_chat_counts){
        .seen = chat->seen, .vision = chat->vision, .text = sa_generator_get_counts(chat->generator)};
}

sa_chat_counts sa_chat_counts_since(sa_chat_counts now, sa_chat_counts before)
{
    const sa_generator_counts *b = &before.text;
    now.seen -= before.seen;
    now.vision -= before.vision;
    now.text.prompts -= b->prompts;
    now.text.prompt_tokens -= b->prompt_tokens;
    now.text.reused -= b->reused;
    now.text.prefilled -= b->prefilled;
    now.text.decoded -= b->decoded;
    now.text.forwards -= b->forwards;
    now.text.guessed -= b->guessed;
    now.text.right -= b->right;
    now.text.forced -= b->forced;
    now.text.pages_given_back -= b->pages_given_back;
    return now;
}
