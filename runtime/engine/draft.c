#include "runtime/engine/draft.h"

#include <stdlib.h>

#include "runtime/text/buffer.h"

void sa_draft_free(sa_draft *draft)
{
    free(draft->tokens);
    *draft = (sa_draft){0};
}

static bool varies(int32_t token, const int32_t *varying, size_t count)
{
    size_t i = 0;
    while (i < count && varying[i] != token) {
        i++;
    }
    return i < count;
}

void sa_draft_learn(sa_draft *draft, const int32_t *tokens, size_t count, const int32_t *varying,
                    size_t varying_count)
{
    int32_t *own = sa_grow(draft->tokens, &draft->room, count, sizeof *own);
    draft->count = own != NULL ? count : 0;
    draft->tokens = own != NULL ? own : draft->tokens;
    for (size_t i = 0; i < draft->count; i++) {
        own[i] = varies(tokens[i], varying, varying_count) ? SA_DRAFT_VARIES : tokens[i];
    }
}

size_t sa_draft_follow(const sa_draft *draft, size_t place, int32_t token, const int32_t *varying,
                       size_t varying_count)
{
    if (varies(token, varying, varying_count)) { /* a number that is longer stays where it is */
        return place + (place < draft->count && draft->tokens[place] == SA_DRAFT_VARIES);
    }
    while (place < draft->count && draft->tokens[place] == SA_DRAFT_VARIES) {
        place++;
    }
    return place < draft->count ? place + 1 : place;
}

size_t sa_draft_guess(const sa_draft *draft, size_t place, size_t most, int32_t *tokens)
{
    size_t count = 0;
    while (count < most && place + count < draft->count && draft->tokens[place + count] != SA_DRAFT_VARIES) {
        tokens[count] = draft->tokens[place + count];
        count++;
    }
    return count;
}
