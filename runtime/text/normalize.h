/*
 * Normalisers: what a tokenizer does to a text before it cuts it up. A list of steps, run in order:
 *
 *   text -> [normalize] -> split -> model -> ids
 */
#ifndef SA_TEXT_NORMALIZE_H
#define SA_TEXT_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"
#include "runtime/text/buffer.h"
#include "runtime/text/charsmap.h"
#include "runtime/text/pattern.h"
#include "runtime/text/tables.h"

typedef enum {
    SA_NORMALIZE_NFC,
    SA_NORMALIZE_NFD,
    SA_NORMALIZE_NFKC,
    SA_NORMALIZE_NFKD,
    SA_NORMALIZE_LOWERCASE,
    SA_NORMALIZE_STRIP_ACCENTS, /* drops what combines */
    SA_NORMALIZE_STRIP,         /* white space at the ends, `left` and `right` */
    SA_NORMALIZE_PREPEND,       /* `text` before what is not empty */
    SA_NORMALIZE_REPLACE,       /* each match of `pattern` by `text` */
    SA_NORMALIZE_BYTES,         /* each byte by the letter that GPT-2 gives it */
    SA_NORMALIZE_CHARSMAP,      /* `map`, as Hugging Face applies it: to graphemes */
    SA_NORMALIZE_SENTENCEPIECE, /* `map` and what a tokenizer.model says of blanks */
} sa_normalizer_kind;

typedef struct {
    sa_normalizer_kind kind;
    bool left, right;
    bool old_unicode; /* normal forms by the tables of the library tokenizers (old_unicode.h) */
    char *text;       /* owned, as the two below */
    sa_pattern *pattern;
    sa_charsmap map;
    /* of SA_NORMALIZE_SENTENCEPIECE: */
    bool dummy_prefix, remove_extra, escape, as_suffix;
    const sa_trie *kept; /* pieces that go through unchanged; belongs to the model */
} sa_normalizer;

void sa_normalizer_free(sa_normalizer *step);

/*
 * Runs the steps on *text, which is whole UTF-8 unless the first step is SentencePiece's; *other is room to
 * work in. What memory was missing for is found in text->failed or other->failed.
 */
sa_status sa_normalize(const sa_normalizer *steps, size_t count, sa_text *text, sa_text *other,
                       sa_error *err);

/* The letter by which GPT-2's vocabulary writes a byte, as UTF-8 (1 or 2 bytes); and back, -1 for others. */
size_t sa_byte_letter(unsigned char byte, unsigned char *letter);
int sa_byte_of_letter(uint32_t letter);
/* Appends each of the bytes as its letter. */
void sa_append_letters(sa_text *text, const char *bytes, size_t size);

/* True for characters with Unicode's property White_Space. */
bool sa_is_white(uint32_t code);

#endif
