/* What a tokenizer is made of. For the files of this folder; everybody else uses tokenizer.h. */
#ifndef SA_TEXT_TOKENIZER_PARTS_H
#define SA_TEXT_TOKENIZER_PARTS_H

#include "runtime/base/json.h"
#include "runtime/text/added.h"
#include "runtime/text/model.h"
#include "runtime/text/normalize.h"
#include "runtime/text/split.h"
#include "runtime/text/tokenizer.h"

/* How pieces become text again: steps that each piece goes through, in order. */
typedef enum {
    SA_DECODE_REPLACE,       /* by `replace`, a normaliser */
    SA_DECODE_BYTE_FALLBACK, /* runs of <0x..> become the characters that they spell, or one U+FFFD each */
    SA_DECODE_FUSE,          /* from here on all pieces are one */
    SA_DECODE_STRIP,         /* up to `start` characters `text` in front, up to `stop` behind */
    SA_DECODE_METASPACE,     /* `text` becomes ' '; dropped from the first piece if `prepended` */
    SA_DECODE_LETTERS,       /* GPT-2's letters become bytes */
    SA_DECODE_BYTES,         /* pieces are bytes already */
    SA_DECODE_SENTENCEPIECE, /* by the rules of a tokenizer.model */
    SA_DECODE_JOIN,          /* blanks between pieces: what is done where a file names no decoder */
} sa_decode_kind;

typedef struct {
    sa_decode_kind kind;
    sa_normalizer replace;
    char *text; /* owned */
    size_t start, stop;
    bool prepended;
} sa_decoder;

enum { SA_DECODE_MOST = 16, SA_NORMALIZE_MOST = 32 };

struct sa_tokenizer {
    char *file; /* the one that says how to tokenize; for errors */
    sa_model model;
    sa_added_tokens added;
    sa_normalizer normalizers[SA_NORMALIZE_MOST];
    size_t normalizer_count;
    sa_splitter splitters[SA_SPLIT_MOST];
    size_t splitter_count;
    sa_decoder decoders[SA_DECODE_MOST];
    size_t decoder_count;
    sa_tokens prefix, suffix; /* around a text with SA_ENCODE_ADD_SPECIAL */
    sa_tokenizer_ids special;
    bool takes_bytes; /* broken UTF-8 is the normaliser's business */
    /* of a tokenizer.model: */
    char *unknown_surface; /* what an unknown token decodes to; owned */
    bool drops_first_blank, drops_all_first_blanks;
};

/* An empty one that carries the name; NULL if there is no memory. */
sa_tokenizer *sa_tokenizer_new(const char *file);
sa_status sa_tokenizer_no_room(const sa_tokenizer *tokenizer, sa_error *err);

/* Takes a step, whatever is returned. */
sa_status sa_tokenizer_add_normalizer(sa_tokenizer *t, sa_normalizer step, sa_error *err);
sa_status sa_tokenizer_add_splitter(sa_tokenizer *t, sa_splitter step, sa_error *err);
sa_status sa_tokenizer_add_decoder(sa_tokenizer *t, sa_decoder step, sa_error *err);
/* An added token with its text copied. */
sa_status sa_tokenizer_add_token(sa_tokenizer *t, sa_added_token token, const char *content, sa_error *err);
/* Fills model.byte_ids from pieces <0x00> ... <0xFF>. */
void sa_tokenizer_find_bytes(sa_tokenizer *t);
/* The last step of every reader: what added tokens look like, and their tries. */
sa_status sa_tokenizer_finish(sa_tokenizer *t, sa_error *err);

/* read_steps.c: normalizer, pre_tokenizer, post_processor and decoder of a tokenizer.json. */
sa_status sa_tokenizer_read_steps(sa_tokenizer *t, const json_t *root, sa_error *err);
/* The same of a JSON text that belongs to the program. */
sa_status sa_tokenizer_set_steps(sa_tokenizer *t, const char *json, sa_error *err);

/* read_json.c: a whole tokenizer.json, unfinished. */
sa_status sa_tokenizer_read_json(sa_tokenizer *t, const json_t *root, sa_error *err);
sa_status sa_tokenizer_read_tiktoken(sa_tokenizer *t, const char *bytes, size_t size, sa_error *err);
sa_status sa_tokenizer_read_sentencepiece(sa_tokenizer *t, const unsigned char *bytes, size_t size,
                                          sa_error *err);
sa_status sa_tokenizer_read_merges(sa_tokenizer *t, const char *family, json_t *vocabulary,
                                   const char *merges, size_t size, sa_error *err);

/* read_config.c: what stands beside the tokenizer in its directory. */
sa_status sa_tokenizer_read_configs(sa_tokenizer *t, const char *directory, sa_error *err);
/* tokenizer_class, or what config.json's model_type amounts to; "" if neither says. The caller frees it. */
sa_status sa_tokenizer_read_family(const char *directory, char **family, sa_error *err);

#endif
