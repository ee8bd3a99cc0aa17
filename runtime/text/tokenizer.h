/*
 * Tokenizers: text to the ids of a language model and back, byte for byte as the libraries that the model was
 * made with do it (tokenizers and transformers, tiktoken, sentencepiece).
 *
 *   directory -> sa_tokenizer_open -> text -> sa_tokenizer_encode -> ids -> sa_tokenizer_decode -> text
 *
 * An open tokenizer is never changed: any number of threads may use it.
 */
#ifndef SA_TEXT_TOKENIZER_H
#define SA_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/text/buffer.h"

typedef struct sa_tokenizer sa_tokenizer;

/*
 * Opens a model directory. The first of these files that is there says how to tokenize: tokenizer.json;
 * qwen.tiktoken or another *.tiktoken; tokenizer.model (SentencePiece); vocab.json with merges.txt. Special
 * tokens come from tokenizer_config.json, special_tokens_map.json, added_tokens.json, generation_config.json
 * and config.json, where they stand beside it. What a file asks for and this program lacks is SA_BAD_INPUT
 * with its name; nothing is passed over in silence.
 */
sa_status sa_tokenizer_open(sa_tokenizer **tokenizer, const char *directory, sa_error *err);
void sa_tokenizer_close(sa_tokenizer *tokenizer);

/* Flags of encode. */
enum {
    SA_ENCODE_ADD_SPECIAL = 1,   /* what the model wants around every text, such as <s> */
    SA_ENCODE_PARSE_SPECIAL = 2, /* "<|im_end|>" in the text is that token; without it, it is six words */
};

/*
 * Appends the ids of text[0, size). Broken UTF-8 counts as U+FFFD: one for each stretch that Python's
 * errors="replace" replaces, but one for each byte with a tokenizer.model, as sentencepiece does it. On
 * failure *out is as it was. Time grows as n log n.
 */
sa_status sa_tokenizer_encode(const sa_tokenizer *tokenizer, const char *text, size_t size, unsigned flags,
                              sa_tokens *out, sa_error *err);

/*
 * Appends the text of the ids, whole UTF-8 whatever they are; ids that do not exist are passed over.
 * `skip_special` leaves special tokens out.
 */
sa_status sa_tokenizer_decode(const sa_tokenizer *tokenizer, const int32_t *ids, size_t count,
                              bool skip_special, sa_text *out, sa_error *err);

/*
 * The same one id at a time: all pushes and the finish together append what sa_tokenizer_decode gives for all
 * the ids, each push as much as the ids to come cannot change, and never half a character.
 */
typedef struct sa_detokenizer sa_detokenizer;

sa_status sa_detokenizer_open(sa_detokenizer **stream, const sa_tokenizer *tokenizer, bool skip_special,
                              sa_error *err);
sa_status sa_detokenizer_push(sa_detokenizer *stream, int32_t id, sa_text *out, sa_error *err);
sa_status sa_detokenizer_finish(sa_detokenizer *stream, sa_text *out, sa_error *err);
void sa_detokenizer_close(sa_detokenizer *stream);

/* Ids with a meaning; -1 for those that the model does not have. */
enum { SA_TOKENIZER_MOST_EOS = 8 };

typedef struct {
    int32_t bos, pad, unknown;
    int32_t eos[SA_TOKENIZER_MOST_EOS]; /* that of the tokenizer first, then those that end generation */
    size_t eos_count;
} sa_tokenizer_ids;

const sa_tokenizer_ids *sa_tokenizer_special(const sa_tokenizer *tokenizer);

/* One more than the largest id. */
size_t sa_tokenizer_size(const sa_tokenizer *tokenizer);
/* The piece as the vocabulary writes it (with its letters for bytes, or U+2581); NULL if there is no such id.
 */
const char *sa_tokenizer_piece(const sa_tokenizer *tokenizer, int64_t id, size_t *size);
/* The id of a piece or an added token; -1 if there is none. */
int32_t sa_tokenizer_find(const sa_tokenizer *tokenizer, const char *piece, size_t size);
/* True for tokens that skip_special leaves out. */
bool sa_tokenizer_is_special(const sa_tokenizer *tokenizer, int64_t id);

/* The parsers alone, for tests and fuzzing: a whole file in memory, nothing beside it. */
sa_status sa_tokenizer_parse_json(sa_tokenizer **tokenizer, const char *name, const void *bytes, size_t size,
                                  sa_error *err);
sa_status sa_tokenizer_parse_tiktoken(sa_tokenizer **tokenizer, const char *name, const void *bytes,
                                      size_t size, sa_error *err);
sa_status sa_tokenizer_parse_sentencepiece(sa_tokenizer **tokenizer, const char *name, const void *bytes,
                                           size_t size, sa_error *err);
/* `family`: "Qwen2Tokenizer", "GPT2Tokenizer", ... as tokenizer_config.json calls it. */
sa_status sa_tokenizer_parse_merges(sa_tokenizer **tokenizer, const char *name, const char *family,
                                    const void *vocabulary, size_t vocabulary_size, const void *merges,
                                    size_t merges_size, sa_error *err);

#endif
