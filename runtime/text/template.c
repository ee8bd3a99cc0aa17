/*
 * A prompt is written message by message; pictures end one text part and begin the next, so that whoever
 * encodes it puts a picture's features between two lists of ids.
 */
#include "runtime/text/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"

enum { MOST_BYTES = 1 << 20, MOST_STOPS = 16, ROLES = 3 };

static const char CORRECT[] = "see runtime/text/template.h";

struct sa_template {
    char *name;
    json_t *root; /* owns the strings below */
    const char *before[ROLES], *after[ROLES];
    const char *system, *generate;
    const char *marker, *image_before, *image_after, *image_token;
    const char *stops[MOST_STOPS + 1];
};

/* -- Reading -- */

/* One string of a template, and where it goes. */
typedef struct {
    const char *key;
    const char **to;
} entry;

static sa_status read_stops(sa_template *t, const json_t *list, sa_error *err)
{
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > MOST_STOPS) {
        return sa_fail(err, SA_BAD_INPUT, t->name, CORRECT, "\"stop\" is no list of at most %d strings",
                       (int)MOST_STOPS);
    }
    for (size_t i = 0; i < count; i++) {
        t->stops[i] = json_string_value(json_array_get(list, i));
        if (t->stops[i] == NULL || t->stops[i][0] == '\0') {
            return sa_fail(err, SA_BAD_INPUT, t->name, CORRECT, "\"stop\" has an entry that is no text");
        }
    }
    return SA_OK;
}

static sa_status read_member(sa_template *t, const entry *entries, const char *key, const json_t *value,
                             sa_error *err)
{
    if (strcmp(key, "stop") == 0) {
        return read_stops(t, value, err);
    }
    for (const entry *e = entries; e->key != NULL; e++) {
        if (strcmp(e->key, key) != 0) {
            continue;
        }
        *e->to = json_string_value(value);
        return *e->to != NULL ? SA_OK
                              : sa_fail(err, SA_BAD_INPUT, t->name, CORRECT,
                                        "key \"%s\" of the template should be a string", key);
    }
    return sa_fail(err, SA_BAD_INPUT, t->name, CORRECT, "key \"%s\" is not known in a template", key);
}

static sa_status read_members(sa_template *t, sa_error *err)
{
    const char *about = "";
    const entry entries[] = {
        {"about", &about},
        {"system", &t->system},
        {"system_before", &t->before[SA_ROLE_SYSTEM]},
        {"system_after", &t->after[SA_ROLE_SYSTEM]},
        {"user_before", &t->before[SA_ROLE_USER]},
        {"user_after", &t->after[SA_ROLE_USER]},
        {"assistant_before", &t->before[SA_ROLE_ASSISTANT]},
        {"assistant_after", &t->after[SA_ROLE_ASSISTANT]},
        {"generate", &t->generate},
        {"image_marker", &t->marker},
        {"image_before", &t->image_before},
        {"image_after", &t->image_after},
        {"image_token", &t->image_token},
        {NULL, NULL},
    };
    for (const entry *e = entries; e->key != NULL; e++) { /* so that a missing one writes nothing */
        *e->to = "";
    }
    const char *key;
    json_t *value;
    if (!json_is_object(t->root)) {
        return sa_fail(err, SA_BAD_INPUT, t->name, CORRECT, "a template is a JSON object");
    }
    json_object_foreach(t->root, key, value) {
        SA_TRY(read_member(t, entries, key, value, err));
    }
    /* with one of them alone a picture would either find no place or leave none for its features */
    if ((t->marker[0] == '\0') != (t->image_token[0] == '\0')) {
        return sa_fail(err, SA_BAD_INPUT, t->name, CORRECT,
                       "image_marker and image_token belong together, one of them is missing");
    }
    return SA_OK;
}

sa_status sa_template_parse(sa_template **made, const char *name, const void *bytes, size_t size,
                            sa_error *err)
{
    json_t *root = NULL;
    SA_TRY(sa_json_parse(name, bytes, size, &root, err));
    sa_template *t = calloc(1, sizeof *t);
    char *copy = strdup(name);
    if (t == NULL || copy == NULL) {
        free(t);
        free(copy);
        json_decref(root);
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for a template");
    }
    t->name = copy;
    t->root = root;
    sa_status status = read_members(t, err);
    if (status != SA_OK) {
        sa_template_close(t);
        return status;
    }
    *made = t;
    return SA_OK;
}

sa_status sa_template_open(sa_template **made, const char *name, sa_error *err)
{
    for (const sa_template_file *file = sa_template_files; file->name != NULL; file++) {
        if (strcmp(file->name, name) == 0) {
            return sa_template_parse(made, name, file->bytes, file->size, err);
        }
    }
    if (!sa_file_exists(name)) {
        return sa_fail(err, SA_BAD_INPUT, name,
                       "give a file, or one of llava_v1, chatml, qwen_vl_chat, qwen2_vl",
                       "there is no template of this name");
    }
    unsigned char *bytes = NULL;
    size_t size = 0;
    SA_TRY(sa_file_read(name, MOST_BYTES, &bytes, &size, err));
    sa_status status = sa_template_parse(made, name, bytes, size, err);
    free(bytes);
    return status;
}

void sa_template_close(sa_template *t)
{
    if (t == NULL) {
        return;
    }
    json_decref(t->root);
    free(t->name);
    free(t);
}

const char *const *sa_template_stops(const sa_template *t)
{
    return t->stops;
}

const char *sa_template_image_token(const sa_template *t)
{
    return t->image_token;
}

const char *sa_template_image_marker(const sa_template *t)
{
    return t->marker;
}

/* -- Writing a prompt -- */

void sa_chat_text_free(sa_chat_text *prompt)
{
    sa_text_free(&prompt->text);
    free(prompt->parts);
    *prompt = (sa_chat_text){0};
}

/* The prompt while it is written. */
typedef struct {
    const sa_template *t;
    sa_chat_text *prompt;
    size_t images; /* so far */
} writer;

static void add_part(writer *w, sa_chat_part part)
{
    sa_chat_text *prompt = w->prompt;
    sa_chat_part *parts = sa_grow(prompt->parts, &prompt->room, prompt->count + 1, sizeof *parts);
    if (parts == NULL) {
        prompt->text.failed = true;
        return;
    }
    prompt->parts = parts;
    prompt->parts[prompt->count++] = part;
}

/*
 * Texts without a picture between them become one part: a tokenizer that got them apart could cut at their
 * border where the model was trained on one token across it.
 */
static void put(writer *w, const char *text, size_t size)
{
    sa_chat_text *prompt = w->prompt;
    size_t begin = prompt->text.size;
    sa_text_append(&prompt->text, text, size);
    if (size == 0) {
        return;
    }
    if (prompt->count > 0 && !prompt->parts[prompt->count - 1].image) {
        prompt->parts[prompt->count - 1].end = prompt->text.size;
    } else {
        add_part(w, (sa_chat_part){.begin = begin, .end = prompt->text.size});
    }
}

/* `text` with {n} replaced. */
static void put_numbered(writer *w, const char *text, size_t number)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%zu", number);
    for (const char *at = strstr(text, "{n}"); at != NULL; at = strstr(text, "{n}")) {
        put(w, text, (size_t)(at - text));
        put(w, digits, strlen(digits));
        text = at + 3;
    }
    put(w, text, strlen(text));
}

static void put_image(writer *w)
{
    size_t number = w->images++;
    put_numbered(w, w->t->image_before, number + 1);
    add_part(w, (sa_chat_part){.image = true, .number = number});
    put_numbered(w, w->t->image_after, number + 1);
}

static size_t count_markers(const sa_template *t, const char *text)
{
    size_t count = 0;
    if (t->marker[0] == '\0') {
        return 0;
    }
    for (const char *at = strstr(text, t->marker); at != NULL;
         at = strstr(at + strlen(t->marker), t->marker)) {
        count++;
    }
    return count;
}

/* A picture too many or too few would shift all others to wrong places, which no answer would show. */
static sa_status check_images(const sa_template *t, const sa_message *m, size_t markers, sa_error *err)
{
    if (m->images > 0 && m->role != SA_ROLE_USER) {
        return sa_fail(err, SA_BAD_INPUT, t->name, "put them into the user's message",
                       "%zu pictures in a message that is not the user's", m->images);
    }
    if (m->images > 0 && t->marker[0] == '\0') {
        return sa_fail(err, SA_BAD_INPUT, t->name, "use a template of a model that sees pictures",
                       "the template has no place for a picture, and %zu are given", m->images);
    }
    if (m->role == SA_ROLE_USER && markers != 0 && markers != m->images) {
        return sa_fail(err, SA_BAD_INPUT, t->name, "give as many of the one as of the other",
                       "the text has \"%s\" %zu times, and %zu pictures are given", t->marker, markers,
                       m->images);
    }
    return SA_OK;
}

/* Markers are looked for in the user's words alone: an answer of the model may quote one. */
static sa_status put_message(writer *w, const sa_message *m, sa_error *err)
{
    const sa_template *t = w->t;
    size_t markers = m->role == SA_ROLE_USER ? count_markers(t, m->text) : 0;
    const char *text = m->text;
    SA_TRY(check_images(t, m, markers, err));
    if (m->role == SA_ROLE_SYSTEM && text[0] == '\0') { /* an empty one asks for no system part at all */
        return SA_OK;
    }
    put(w, t->before[m->role], strlen(t->before[m->role]));
    for (size_t i = 0; markers == 0 && i < m->images; i++) {
        put_image(w);
    }
    for (size_t i = 0; i < markers; i++) {
        const char *at = strstr(text, t->marker);
        put(w, text, (size_t)(at - text));
        put_image(w);
        text = at + strlen(t->marker);
    }
    put(w, text, strlen(text));
    put(w, t->after[m->role], strlen(t->after[m->role]));
    return SA_OK;
}

sa_status sa_template_render(const sa_template *t, const sa_message *messages, size_t count, bool generate,
                             sa_chat_text *prompt, sa_error *err)
{
    SA_ASSERT(prompt->count == 0);
    writer w = {.t = t, .prompt = prompt};
    sa_message system = {.role = SA_ROLE_SYSTEM, .text = t->system};
    sa_status status = SA_OK;
    if (count == 0 || messages[0].role != SA_ROLE_SYSTEM) {
        status = put_message(&w, &system, err);
    }
    for (size_t i = 0; i < count && status == SA_OK; i++) {
        status = put_message(&w, &messages[i], err);
    }
    if (generate) {
        put(&w, t->generate, strlen(t->generate));
    }
    if (status == SA_OK && prompt->text.failed) {
        status = sa_fail(err, SA_NO_ROOM, t->name, NULL, "no memory for a prompt");
    }
    if (status != SA_OK) {
        sa_chat_text_free(prompt);
    }
    return status;
}
