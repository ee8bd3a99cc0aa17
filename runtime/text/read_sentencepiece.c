/*
 * A tokenizer.model of SentencePiece: one protocol buffer (ModelProto of sentencepiece_model.proto), of which
 * only the fields named here matter.
 */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/text/tokenizer_parts.h"

static const char DAMAGED[] = "the file is damaged; get it again";
static const char USE_KNOWN[] = "use the tokenizer.json of the same model";

/* -- Protocol buffers -- */

typedef struct {
    const unsigned char *at, *end;
} message;

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

typedef struct {
    uint64_t number; /* of the field */
    int wire;
    uint64_t value; /* of a number */
    message bytes;  /* of a text, or a message inside */
} field;

static bool read_varint(message *m, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        unsigned char byte = *m->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_fixed(message *m, int size, uint64_t *value)
{
    *value = 0;
    if (m->end - m->at < size) {
        return false;
    }
    for (int i = 0; i < size; i++) {
        *value |= (uint64_t)*m->at++ << (8 * i);
    }
    return true;
}

/* The next field; false if the message is broken. Not to be called at its end. */
static bool read_field(message *m, field *f)
{
    uint64_t tag = 0;
    if (!read_varint(m, &tag)) {
        return false;
    }
    f->number = tag >> 3;
    f->wire = (int)(tag & 7);
    f->bytes = (message){NULL, NULL};
    switch (f->wire) {
    case WIRE_VARINT: return read_varint(m, &f->value);
    case WIRE_FIXED64: return read_fixed(m, 8, &f->value);
    case WIRE_FIXED32: return read_fixed(m, 4, &f->value);
    case WIRE_BYTES:
        if (!read_varint(m, &f->value) || f->value > (uint64_t)(m->end - m->at)) {
            return false;
        }
        f->bytes = (message){m->at, m->at + f->value};
        m->at += f->value;
        return true;
    default: return false; /* groups, which nobody writes any more */
    }
}

/* -- What the file says -- */

typedef struct {
    sa_tokenizer *tokenizer;
    sa_error *err;
    size_t types_room, scores_room;
    bool bpe, byte_fallback;
    sa_normalizer normalizer;
    message names[4]; /* the pieces for unknown, begin, end, padding, if the file renames them */
} reader;

static sa_status damaged(const reader *r, const char *what)
{
    return sa_fail(r->err, SA_BAD_INPUT, r->tokenizer->file, DAMAGED, "%s", what);
}

static sa_status read_trainer(reader *r, message m)
{
    enum { UNIGRAM = 1, BPE = 2 };
    field f;
    while (m.at < m.end) {
        if (!read_field(&m, &f)) {
            return damaged(r, "its trainer_spec is broken");
        }
        if (f.number == 3 && f.wire == WIRE_VARINT) {
            if (f.value != UNIGRAM && f.value != BPE) {
                return sa_fail(r->err, SA_BAD_INPUT, r->tokenizer->file, USE_KNOWN,
                               "model_type %llu is not supported, only unigram (1) and BPE (2)",
                               (unsigned long long)f.value);
            }
            r->bpe = f.value == BPE;
        } else if (f.number == 24 && f.wire == WIRE_VARINT) {
            r->normalizer.as_suffix = f.value != 0;
        } else if (f.number == 35 && f.wire == WIRE_VARINT) {
            r->byte_fallback = f.value != 0;
        } else if (f.number == 44 && f.wire == WIRE_BYTES) {
            free(r->tokenizer->unknown_surface);
            r->tokenizer->unknown_surface =
                strndup((const char *)f.bytes.at, (size_t)(f.bytes.end - f.bytes.at));
        } else if (f.number >= 45 && f.number <= 48 && f.wire == WIRE_BYTES) {
            r->names[f.number - 45] = f.bytes;
        }
    }
    return SA_OK;
}

static sa_status read_normalizer(reader *r, message m)
{
    sa_normalizer *step = &r->normalizer;
    field f;
    while (m.at < m.end) {
        if (!read_field(&m, &f)) {
            return damaged(r, "its normalizer_spec is broken");
        }
        if (f.number == 2 && f.wire == WIRE_BYTES) {
            sa_charsmap_free(&step->map);
            SA_TRY(sa_charsmap_read(&step->map, f.bytes.at, (size_t)(f.bytes.end - f.bytes.at),
                                    r->tokenizer->file, r->err));
        } else if (f.number == 3 && f.wire == WIRE_VARINT) {
            step->dummy_prefix = f.value != 0;
        } else if (f.number == 4 && f.wire == WIRE_VARINT) {
            step->remove_extra = f.value != 0;
        } else if (f.number == 5 && f.wire == WIRE_VARINT) {
            step->escape = f.value != 0;
        }
    }
    return SA_OK;
}

/* A map back, for decoding, is possible and nowhere used. */
static sa_status refuse_denormalizer(reader *r, message m)
{
    field f;
    while (m.at < m.end) {
        if (!read_field(&m, &f)) {
            return damaged(r, "its denormalizer_spec is broken");
        }
        if (f.number == 2 && f.bytes.at != f.bytes.end) {
            return sa_fail(r->err, SA_BAD_INPUT, r->tokenizer->file, USE_KNOWN,
                           "a denormalizer_spec is not supported");
        }
    }
    return SA_OK;
}

/* -- Pieces -- */

typedef struct {
    const char *text;
    size_t size;
    float score;
    uint64_t type;
} piece;

static bool parse_piece(message m, piece *p)
{
    field f;
    *p = (piece){.text = "", .type = SA_PIECE_NORMAL};
    while (m.at < m.end) {
        if (!read_field(&m, &f)) {
            return false;
        }
        if (f.number == 1 && f.wire == WIRE_BYTES) {
            p->text = (const char *)f.bytes.at;
            p->size = (size_t)(f.bytes.end - f.bytes.at);
        } else if (f.number == 2 && f.wire == WIRE_FIXED32) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&p->score, &bits, sizeof bits);
        } else if (f.number == 3 && f.wire == WIRE_VARINT) {
            p->type = f.value;
        }
    }
    return p->type >= SA_PIECE_NORMAL && p->type <= SA_PIECE_BYTE && p->score - p->score == 0.0f;
}

static bool is_text(const piece *p)
{
    size_t length = 1;
    for (size_t i = 0; i < p->size && length > 0; i += length) {
        length = p->text[i] != '\0' ? sa_utf8_length((const unsigned char *)p->text + i, p->size - i) : 0;
    }
    return p->size > 0 && length > 0;
}

static sa_status read_piece(reader *r, message m)
{
    sa_tokenizer *t = r->tokenizer;
    sa_model *model = &t->model;
    size_t id = model->vocabulary.count;
    piece p;
    if (!parse_piece(m, &p) || !is_text(&p)) {
        return sa_fail(r->err, SA_BAD_INPUT, t->file, DAMAGED, "piece %zu is broken", id);
    }
    if (sa_vocabulary_find(&model->vocabulary, p.text, p.size) >= 0) {
        return sa_fail(r->err, SA_BAD_INPUT, t->file, DAMAGED, "piece %zu is there twice", id);
    }
    if (p.type == SA_PIECE_UNKNOWN && model->unknown >= 0) {
        return damaged(r, "it has two unknown pieces");
    }
    unsigned char *types = sa_grow(model->types, &r->types_room, id + 1, sizeof *types);
    model->types = types != NULL ? types : model->types;
    double *scores = sa_grow(model->scores, &r->scores_room, id + 1, sizeof *scores);
    model->scores = scores != NULL ? scores : model->scores;
    if (types == NULL || scores == NULL ||
        !sa_vocabulary_put(&model->vocabulary, (uint32_t)id, p.text, p.size)) {
        return sa_tokenizer_no_room(t, r->err);
    }
    types[id] = (unsigned char)p.type;
    scores[id] = (double)p.score;
    model->unknown = p.type == SA_PIECE_UNKNOWN ? (int32_t)id : model->unknown;
    return SA_OK;
}

static sa_status read_model(reader *r, message m)
{
    field f;
    while (m.at < m.end) {
        if (!read_field(&m, &f)) {
            return damaged(r, "is no SentencePiece model, or is cut off");
        }
        if (f.wire != WIRE_BYTES) {
            continue;
        }
        if (f.number == 1) {
            SA_TRY(read_piece(r, f.bytes));
        } else if (f.number == 2) {
            SA_TRY(read_trainer(r, f.bytes));
        } else if (f.number == 3) {
            SA_TRY(read_normalizer(r, f.bytes));
        } else if (f.number == 5) {
            SA_TRY(refuse_denormalizer(r, f.bytes));
        }
    }
    return SA_OK;
}

/* -- From pieces to a model -- */

/* The higher the score the earlier; equal scores have equal ranks. No rank is UINT32_MAX. */
static uint32_t rank_of(double score)
{
    float value = (float)score + 0.0f; /* -0 and 0 are equal */
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rising = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    return ~rising;
}

static sa_status set_ranks(reader *r)
{
    sa_model *model = &r->tokenizer->model;
    model->ranks = malloc((model->vocabulary.count + 1) * sizeof *model->ranks);
    if (model->ranks == NULL) {
        return sa_tokenizer_no_room(r->tokenizer, r->err);
    }
    for (size_t i = 0; i < model->vocabulary.count; i++) {
        unsigned char type = model->types[i];
        bool usable = type == SA_PIECE_NORMAL || type == SA_PIECE_USER_DEFINED || type == SA_PIECE_UNUSED;
        model->ranks[i] = usable ? rank_of(model->scores[i]) : UINT32_MAX;
    }
    return SA_OK;
}

/* The unigram model: scores, what an unknown character costs, and the trie of what may be used. */
static sa_status set_scores(reader *r)
{
    sa_model *model = &r->tokenizer->model;
    float least = FLT_MAX;
    float most = FLT_MIN; /* the smallest above zero: SentencePiece's choice */
    for (size_t i = 0; i < model->vocabulary.count; i++) {
        if (model->types[i] == SA_PIECE_NORMAL) {
            float score = (float)model->scores[i];
            least = score < least ? score : least;
            most = score > most ? score : most;
        }
    }
    model->unknown_score = (double)(least - 10.0f);
    for (size_t i = 0; i < model->vocabulary.count; i++) {
        unsigned char type = model->types[i];
        size_t size = 0;
        const char *text = sa_vocabulary_piece(&model->vocabulary, (int64_t)i, &size);
        if (type == SA_PIECE_USER_DEFINED) {
            model->scores[i] = (double)most;
        }
        if ((type == SA_PIECE_NORMAL || type == SA_PIECE_USER_DEFINED) &&
            !sa_trie_put(&model->trie, text, size, (uint32_t)i)) {
            return sa_tokenizer_no_room(r->tokenizer, r->err);
        }
    }
    return SA_OK;
}

/* Byte pieces are all there, or none are. */
static sa_status check_bytes(reader *r)
{
    sa_tokenizer *t = r->tokenizer;
    size_t found = 0;
    size_t typed = 0;
    sa_tokenizer_find_bytes(t);
    for (int i = 0; i < 256; i++) {
        int32_t id = t->model.byte_ids[i];
        found += id >= 0 && t->model.types[id] == SA_PIECE_BYTE;
    }
    for (size_t i = 0; i < t->model.vocabulary.count; i++) {
        typed += t->model.types[i] == SA_PIECE_BYTE;
    }
    if (found != typed || found != (r->byte_fallback ? 256u : 0u)) {
        return damaged(r, "its byte pieces are not the 256 that byte_fallback asks for");
    }
    t->model.byte_fallback = r->byte_fallback;
    return SA_OK;
}

/* Control pieces and the unknown one can be asked for in a text; user-defined ones are always found. */
static sa_status add_tokens(reader *r)
{
    sa_tokenizer *t = r->tokenizer;
    for (size_t i = 0; i < t->model.vocabulary.count; i++) {
        unsigned char type = t->model.types[i];
        size_t size = 0;
        const char *text = sa_vocabulary_piece(&t->model.vocabulary, (int64_t)i, &size);
        if (type == SA_PIECE_CONTROL || type == SA_PIECE_UNKNOWN) {
            char *content = strndup(text, size);
            sa_added_token token = {.id = (int32_t)i, .special = true};
            sa_status status = content != NULL ? sa_tokenizer_add_token(t, token, content, r->err)
                                               : sa_tokenizer_no_room(t, r->err);
            free(content);
            SA_TRY(status);
        } else if (type == SA_PIECE_USER_DEFINED && !sa_trie_put(&t->model.kept, text, size, (uint32_t)i)) {
            return sa_tokenizer_no_room(t, r->err);
        }
    }
    return SA_OK;
}

static int32_t find_control(const reader *r, int index, const char *usual)
{
    const sa_model *model = &r->tokenizer->model;
    message name = r->names[index];
    bool renamed = name.at != NULL && name.at < name.end;
    const char *text = renamed ? (const char *)name.at : usual;
    size_t size = renamed ? (size_t)(name.end - name.at) : strlen(usual);
    int32_t id = sa_vocabulary_find(&model->vocabulary, text, size);
    return id >= 0 && model->types[id] == SA_PIECE_CONTROL ? id : -1;
}

/* Once all pieces are known: the order of fields in the file means nothing. */
static sa_status set_up(reader *r)
{
    sa_tokenizer *t = r->tokenizer;
    if (t->model.unknown < 0) {
        return damaged(r, "it has no unknown piece");
    }
    t->takes_bytes = true;
    t->model.sentencepiece = true;
    t->model.kind = r->bpe ? SA_MODEL_SPANS : SA_MODEL_UNIGRAM;
    SA_TRY(check_bytes(r));
    SA_TRY(add_tokens(r));
    SA_TRY(r->bpe ? set_ranks(r) : set_scores(r));
    t->drops_first_blank = r->normalizer.dummy_prefix || r->normalizer.remove_extra;
    t->drops_all_first_blanks = r->normalizer.remove_extra;
    if (t->unknown_surface == NULL) {
        t->unknown_surface = strdup(" \xe2\x81\x87 ");
    }
    if (t->unknown_surface == NULL) {
        return sa_tokenizer_no_room(t, r->err);
    }
    int32_t eos = find_control(r, 2, "</s>");
    t->special.unknown = t->model.unknown;
    t->special.bos = find_control(r, 1, "<s>");
    t->special.pad = find_control(r, 3, "<pad>");
    t->special.eos[0] = eos;
    t->special.eos_count = eos >= 0;
    return sa_tokenizer_add_decoder(t, (sa_decoder){.kind = SA_DECODE_SENTENCEPIECE}, r->err);
}

sa_status sa_tokenizer_read_sentencepiece(sa_tokenizer *t, const unsigned char *bytes, size_t size,
                                          sa_error *err)
{
    reader r = {.tokenizer = t, .err = err};
    r.normalizer = (sa_normalizer){.kind = SA_NORMALIZE_SENTENCEPIECE,
                                   .dummy_prefix = true,
                                   .remove_extra = true,
                                   .escape = true,
                                   .kept = &t->model.kept};
    sa_status status = read_model(&r, (message){bytes, bytes + size});
    if (status == SA_OK) {
        status = set_up(&r);
    }
    sa_status added = sa_tokenizer_add_normalizer(t, r.normalizer, err); /* which frees it in the end */
    return status != SA_OK ? status : added;
}
