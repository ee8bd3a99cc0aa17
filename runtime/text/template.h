/*
 * Chat templates: from a conversation to the text that a model was trained on. A template is data, a JSON
 * object of these keys, all strings but the list `stop`:
 *
 * - system_before, system_after, user_before, user_after, assistant_before, assistant_after: what stands
 * around a message of that role.
 * - system: the system message where a conversation brings none.
 * - generate: what the model's answer follows.
 * - image_marker: where it stands in a user's text, there goes a picture. Absent: the model sees no pictures.
 * - image_before, image_after: what stands around a picture; {n} is its number, from 1.
 * - image_token: the piece that stands for a picture's features.
 * - stop: texts that end an answer.
 * - about: for the reader.
 *
 * Unknown keys are errors, missing strings are "".
 */
#ifndef SA_TEXT_TEMPLATE_H
#define SA_TEXT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"
#include "runtime/text/buffer.h"

typedef struct sa_template sa_template;

/* The name of a shipped one (llava_v1, chatml, qwen_vl_chat, qwen2_vl), or a file. */
sa_status sa_template_open(sa_template **made, const char *name, sa_error *err);
sa_status sa_template_parse(sa_template **made, const char *name, const void *bytes, size_t size,
                            sa_error *err);
void sa_template_close(sa_template *made);

/* A list of strings that ends with NULL. */
const char *const *sa_template_stops(const sa_template *t);
/* "" if the model sees no pictures. */
const char *sa_template_image_token(const sa_template *t);
/* What says in a user's text where a picture goes; "" if the model sees none. */
const char *sa_template_image_marker(const sa_template *t);

typedef enum { SA_ROLE_SYSTEM, SA_ROLE_USER, SA_ROLE_ASSISTANT } sa_role;

typedef struct {
    sa_role role;
    const char *text;
    size_t images; /* of a user: pictures that go with the text */
} sa_message;

/* A stretch of the prompt: text, or, between two texts, a picture. */
typedef struct {
    bool image;
    size_t begin, end; /* of the text in prompt.text */
    size_t number;     /* of the picture, from 0 over the whole conversation */
} sa_chat_part;

typedef struct {
    sa_text text; /* all text parts, one after another */
    sa_chat_part *parts;
    size_t count, room;
} sa_chat_text;

void sa_chat_text_free(sa_chat_text *prompt);

/*
 * Writes the conversation into *prompt, which is empty. Pictures stand where the marker is in the user's
 * text, or all before it where there is none; a number of markers that is neither 0 nor `images` is
 * SA_BAD_INPUT, and so are pictures in other messages. Without a system message first the template's own goes
 * in front; an empty one leaves the system part out. `generate`: ends with what an answer follows. Each text
 * part is to be encoded by itself.
 */
sa_status sa_template_render(const sa_template *t, const sa_message *messages, size_t count, bool generate,
                             sa_chat_text *prompt, sa_error *err);

/* The shipped ones; the last has no name. */
typedef struct {
    const char *name;
    const unsigned char *bytes;
    size_t size;
} sa_template_file;

extern const sa_template_file sa_template_files[];

#endif
