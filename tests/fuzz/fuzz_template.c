/* Arbitrary bytes as a chat template; an accepted one writes prompts whose parts cover the text, in order. */
#include <stdint.h>

#include "runtime/text/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_parts(const sa_chat_text *prompt, size_t images)
{
    size_t covered = 0;
    size_t seen = 0;
    for (size_t i = 0; i < prompt->count; i++) {
        const sa_chat_part *part = &prompt->parts[i];
        if (part->image) {
            SA_ASSERT(part->number == seen++);
        } else {
            SA_ASSERT(part->begin == covered && part->end > part->begin);
            covered = part->end;
        }
    }
    SA_ASSERT(covered == prompt->text.size && seen == images);
}

static void render(const sa_template *t, const char *text, size_t images)
{
    const sa_message messages[] = {{SA_ROLE_USER, text, images}, {SA_ROLE_ASSISTANT, "answer", 0}};
    sa_chat_text prompt = {0};
    sa_error err = {0};
    if (sa_template_render(t, messages, 2, true, &prompt, &err) == SA_OK) {
        check_parts(&prompt, images);
    } else {
        SA_ASSERT(err.reason[0] != '\0' && prompt.count == 0);
    }
    sa_chat_text_free(&prompt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sa_template *t = NULL;
    sa_error err = {0};
    sa_status status = sa_template_parse(&t, "fuzz", data, size, &err);
    if (status != SA_OK) {
        SA_ASSERT(status == SA_BAD_INPUT && err.reason[0] != '\0');
        return 0;
    }
    render(t, "what is this?", 0);
    render(t, "what is this?", 2);
    render(t, "a<image>b<image>", 2);
    sa_template_close(t);
    return 0;
}
