/*
 * Looking for added tokens: at each place of the text the longest one that begins there wins, and the search
 * goes on behind it, as the Aho-Corasick matcher of the library tokenizers does it ("leftmost longest").
 */
#include "runtime/text/added.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "runtime/base/utf8.h"
#include "runtime/text/normalize.h"

static void free_token(sa_added_token *token)
{
    free(token->content);
    free(token->shown);
}

void sa_added_tokens_free(sa_added_tokens *added)
{
    for (size_t i = 0; i < added->count; i++) {
        free_token(&added->tokens[i]);
    }
    free(added->tokens);
    sa_pair_table_free(&added->by_id);
    sa_trie_free(&added->raw);
    sa_trie_free(&added->normalized);
    *added = (sa_added_tokens){0};
}

/* The last one to claim an id has it: tokenizer_config.json, read later, corrects what tokenizer.json says.
 */
bool sa_added_tokens_put(sa_added_tokens *added, sa_added_token token)
{
    sa_pair *same = sa_pair_table_find(&added->by_id, (uint32_t)token.id, 0);
    if (same != NULL) {
        free_token(&added->tokens[same->first]);
        added->tokens[same->first] = token;
        return true;
    }
    sa_added_token *tokens = sa_grow(added->tokens, &added->room, added->count + 1, sizeof *tokens);
    if (tokens != NULL) {
        added->tokens = tokens;
    }
    if (tokens == NULL ||
        !sa_pair_table_put(&added->by_id, (uint32_t)token.id, 0, (uint32_t)added->count, 0)) {
        free_token(&token);
        return false;
    }
    added->tokens[added->count++] = token;
    return true;
}

/* Only now, since what a token looks like in normalised text needs all normalisers (tokenizer.c). */
bool sa_added_tokens_finish(sa_added_tokens *added)
{
    for (size_t i = 0; i < added->count; i++) {
        const sa_added_token *token = &added->tokens[i];
        const char *text = token->normalized ? token->shown : token->content;
        sa_trie *trie = token->normalized ? &added->normalized : &added->raw;
        if (!sa_trie_put(trie, text, strlen(text), (uint32_t)i)) {
            return false;
        }
    }
    return true;
}

const sa_added_token *sa_added_tokens_find(const sa_added_tokens *added, int64_t id)
{
    const sa_pair *pair = NULL;
    if (id >= 0 && id <= INT32_MAX) {
        pair = sa_pair_table_find(&added->by_id, (uint32_t)id, 0);
    }
    return pair != NULL ? &added->tokens[pair->first] : NULL;
}

const sa_added_token *sa_added_tokens_find_text(const sa_added_tokens *added, const char *content)
{
    for (size_t i = 0; i < added->count; i++) {
        if (strcmp(added->tokens[i].content, content) == 0) {
            return &added->tokens[i];
        }
    }
    return NULL;
}

/* -- Looking for them -- */

/* Letters, marks, decimal digits, connectors and joiners: \w of Rust's regular expressions, nearly. */
static bool is_word(uint32_t code)
{
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return code == 0x200c || code == 0x200d;
    }
}

/* The character that ends at `end` (> 0), and where it begins. What is no UTF-8 counts as U+FFFD. */
static uint32_t character_before(const char *text, size_t end, size_t *begin)
{
    *begin = end - 1;
    while (*begin > 0 && end - *begin < 4 && (text[*begin] & 0xc0) == 0x80) {
        --*begin;
    }
    const unsigned char *at = (const unsigned char *)text + *begin;
    size_t length = sa_utf8_length(at, end - *begin);
    if (length != end - *begin) {
        *begin = end - 1;
        return 0xfffd;
    }
    return sa_utf8_decode(at, length);
}

static uint32_t character_after(const char *text, size_t size, size_t begin, size_t *length)
{
    const unsigned char *at = (const unsigned char *)text + begin;
    *length = sa_utf8_length(at, size - begin);
    if (*length == 0) {
        *length = 1;
        return 0xfffd;
    }
    return sa_utf8_decode(at, *length);
}

/* Does it stand by itself, as "single_word" asks, and not within a word? */
static bool is_single_word(const sa_added_search *s, size_t begin, size_t end)
{
    size_t unused;
    if (begin > 0 && is_word(character_before(s->text, begin, &unused))) {
        return false;
    }
    return end == s->size || !is_word(character_after(s->text, s->size, end, &unused));
}

/* Blanks before `begin`, but not those that were given already. */
static size_t strip_left(const sa_added_search *s, size_t begin)
{
    size_t before;
    while (begin > s->done && sa_is_white(character_before(s->text, begin, &before))) {
        begin = before;
    }
    return begin;
}

static size_t strip_right(const sa_added_search *s, size_t end)
{
    size_t length;
    while (end < s->size && sa_is_white(character_after(s->text, s->size, end, &length))) {
        end += length;
    }
    return end;
}

sa_added_search sa_added_search_on(const sa_added_tokens *added, const sa_trie *trie, const char *text,
                                   size_t size, bool parse_special)
{
    return (sa_added_search){
        .added = added, .trie = trie, .text = text, .size = size, .parse_special = parse_special};
}

/*
 * `from` is where the search goes on, `done` up to where the text has been given out. They part where a token
 * is passed over, and where blanks before a token belong to it: those are taken from the stretch in front.
 */
bool sa_added_search_next(sa_added_search *s, const sa_added_token **token)
{
    *token = NULL;
    while (s->from < s->size) {
        uint32_t index = 0;
        size_t begin = s->from;
        size_t length = sa_trie_longest(s->trie, s->text + begin, s->size - begin, &index);
        if (length == 0) {
            s->from++;
            continue;
        }
        size_t end = begin + length;
        s->from = end; /* also behind one that is passed over */
        const sa_added_token *found = &s->added->tokens[index];
        if ((found->special && !s->parse_special) || (found->single_word && !is_single_word(s, begin, end))) {
            continue;
        }
        begin = found->left_strip ? strip_left(s, begin) : begin;
        begin = begin > s->done ? begin : s->done;
        s->begin = s->done;
        s->end = begin;
        s->done = found->right_strip ? strip_right(s, end) : end;
        *token = found;
        return true;
    }
    if (s->done >= s->size) {
        return false;
    }
    s->begin = s->done;
    s->end = s->size;
    s->done = s->size;
    return true;
}
