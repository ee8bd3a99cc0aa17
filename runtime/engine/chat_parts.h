/* What the parts of a chat share: the model put together (chat.c), and requests at work (chat_run.c). */
#ifndef SA_ENGINE_CHAT_PARTS_H
#define SA_ENGINE_CHAT_PARTS_H

#include "runtime/engine/chat.h"
#include "runtime/models/llava.h"

/* A place for a picture's rows, beside the next one's. */
typedef struct {
    size_t users; /* requests at work; 0: free */
    sa_picture_name name;
    const sa_image *picture; /* to look at; NULL: its users show it, each the same */
    bool seen;
} sa_chat_slot;

/* A request at work; its place is its ticket with the generator. */
typedef struct {
    bool at_work;
    size_t ticket; /* the caller's */
    sa_generate_prompt prompt;
    int32_t *expanded; /* its tokens; NULL: the request's own */
    size_t first, pictures;
    sa_chat_painting painting;
} sa_chat_run;

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
    double vision;
    /* Between start and stop: */
    const sa_generate_watcher *watcher; /* the caller's */
    sa_generate_watcher own;            /* the generator's */
    sa_chat_run *runs;                  /* [options.batch] */
    sa_chat_slot *slots;                /* [options.pictures] */
    sa_picture_name *names;             /* [options.pictures] of these */
    size_t *ended;                      /* [ended_count] of options.batch: the last step's */
    size_t ended_count;
    /* One look at several: [options.pictures] each */
    sa_image *painted; /* made for it; empty where it was not */
    sa_view *looked;
    size_t *places;
};

sa_status sa_chat_new_runs(sa_chat *chat, sa_error *err);
void sa_chat_free_runs(sa_chat *chat);

#endif
