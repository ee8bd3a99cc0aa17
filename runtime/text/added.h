/*
 * Added tokens: pieces that are found in the text itself, before the model sees it: <s>, <|im_start|>,
 * <image>.
 */
#ifndef SA_TEXT_ADDED_H
#define SA_TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/text/buffer.h"
#include "runtime/text/tables.h"

typedef struct {
    char *content; /* owned, as the next */
    char *shown;   /* what decoding shows: `content` as the tokenizer normalises it */
    int32_t id;
    bool special;    /* only looked for when the caller asks for it, and left out of decoded text if wanted */
    bool normalized; /* looked for in normalised text, as `shown`; otherwise in the text as it came */
    bool single_word; /* not inside of a word */
    bool left_strip;  /* takes the white space before it along */
    bool right_strip; /* and behind it */
} sa_added_token;

typedef struct {
    sa_added_token *tokens;
    size_t count, room;
    sa_pair_table by_id;     /* (id, 0) -> index */
    sa_trie raw, normalized; /* of `content` and of `shown`; values are indices */
} sa_added_tokens;

void sa_added_tokens_free(sa_added_tokens *added);
/* Takes the token, whose texts are malloc'd, whatever is returned. One of the same id is replaced. */
bool sa_added_tokens_put(sa_added_tokens *added, sa_added_token token);
/* Builds the tries once all tokens are there and have their `shown`. */
bool sa_added_tokens_finish(sa_added_tokens *added);
/* NULL if the id is not one of them. */
const sa_added_token *sa_added_tokens_find(const sa_added_tokens *added, int64_t id);
const sa_added_token *sa_added_tokens_find_text(const sa_added_tokens *added, const char *content);

/*
 * Goes through a text: each next gives the stretch before a token, and the token (NULL at the end, when the
 * stretch is the rest). Either may be empty.
 */
typedef struct {
    const sa_added_tokens *added;
    const sa_trie *trie;
    const char *text;
    size_t size;
    bool parse_special;
    size_t from;       /* where to go on looking */
    size_t done;       /* all before this has been given */
    size_t begin, end; /* the stretch */
} sa_added_search;

sa_added_search sa_added_search_on(const sa_added_tokens *added, const sa_trie *trie, const char *text,
                                   size_t size, bool parse_special);
/* False after the last stretch. */
bool sa_added_search_next(sa_added_search *search, const sa_added_token **token);

#endif
