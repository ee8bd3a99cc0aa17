/*
 * Ids to text: a stream that each piece is pushed through. Decoding a list is pushing all of it, so that both
 * ways give the same.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/text/tokenizer_parts.h"

struct sa_detokenizer {
    const sa_tokenizer *tokenizer;
    bool skip_special;
    sa_text piece, other; /* the piece on its way, and room to work in */
    sa_text bytes;        /* a run of byte pieces that is not over; or the beginning of a character */
    size_t count;         /* pieces so far */
    bool produced;        /* some text has come out */
    size_t stripped;      /* characters taken from the front of the whole */
    bool strip_over;      /* nothing more will be */
    bool blank_seen;      /* SentencePiece: the piece before was the first, and began with a blank */
    bool past_first;      /* SentencePiece: a blank in front is no longer special */
};

/* Pushes a piece through the steps from `step` on. */
static sa_status push_piece(sa_detokenizer *s, size_t step, const char *piece, size_t size, sa_text *out,
                            sa_error *err);

sa_status sa_detokenizer_open(sa_detokenizer **stream, const sa_tokenizer *tokenizer, bool skip_special,
                              sa_error *err)
{
    sa_detokenizer *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return sa_tokenizer_no_room(tokenizer, err);
    }
    made->tokenizer = tokenizer;
    made->skip_special = skip_special;
    *stream = made;
    return SA_OK;
}

void sa_detokenizer_close(sa_detokenizer *stream)
{
    if (stream == NULL) {
        return;
    }
    sa_text_free(&stream->piece);
    sa_text_free(&stream->other);
    sa_text_free(&stream->bytes);
    free(stream);
}

/* -- Bytes -- */

/* Appends what is in s->bytes, as UTF-8, but for the beginning of a character that may still go on. */
static void flush_characters(sa_detokenizer *s, sa_text *out)
{
    const unsigned char *bytes = (const unsigned char *)s->bytes.bytes;
    size_t size = s->bytes.size;
    size_t ready = 0;
    while (ready < size) {
        bool whole;
        size_t length = sa_utf8_step(bytes + ready, size - ready, &whole);
        /* it ends with the bytes, and there are fewer than its first byte promises */
        if (!whole && ready + length == size && length < sa_utf8_promise(bytes[ready])) {
            break;
        }
        ready += length;
    }
    sa_text_append_repaired(out, s->bytes.bytes, ready);
    if (ready > 0) {
        memmove(s->bytes.bytes, s->bytes.bytes + ready, size - ready);
        s->bytes.size = size - ready;
    }
}

/* A piece of nothing but letters is the bytes that they stand for; any other piece is its own text. */
static void push_letters(sa_detokenizer *s, const char *piece, size_t size, sa_text *out)
{
    const unsigned char *at = (const unsigned char *)piece;
    size_t before = s->bytes.size;
    for (size_t i = 0; i < size;) {
        size_t length = sa_utf8_length(at + i, size - i);
        SA_ASSERT(length > 0); /* pieces come from JSON */
        int byte = sa_byte_of_letter(sa_utf8_decode(at + i, length));
        if (byte < 0) { /* one other letter, and the piece is text */
            s->bytes.size = before;
            sa_text_append(&s->bytes, piece, size);
            break;
        }
        unsigned char value = (unsigned char)byte;
        sa_text_append(&s->bytes, &value, 1);
        i += length;
    }
    flush_characters(s, out);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* The byte that "<0xE2>" stands for, -1 for other pieces. */
static int byte_of_piece(const char *piece, size_t size)
{
    if (size != 6 || memcmp(piece, "<0x", 3) != 0 || piece[5] != '>') {
        return -1;
    }
    int high = hex_digit(piece[3]);
    int low = hex_digit(piece[4]);
    if (piece[3] == '+' && low >= 0) { /* Rust reads "+A" as a number, too */
        return low;
    }
    return high >= 0 && low >= 0 ? high * 16 + low : -1;
}

static bool is_whole_utf8(const sa_text *text)
{
    size_t length = 1;
    for (size_t i = 0; i < text->size && length > 0; i += length) {
        length = sa_utf8_length((const unsigned char *)text->bytes + i, text->size - i);
    }
    return length > 0;
}

/* Hugging Face: a run of byte pieces is a text, or, if one byte is wrong, all of them are. */
static sa_status flush_run(sa_detokenizer *s, size_t step, sa_text *out, sa_error *err)
{
    sa_text run = s->bytes;
    s->bytes = (sa_text){0};
    sa_status status = SA_OK;
    if (run.size > 0 && is_whole_utf8(&run)) {
        status = push_piece(s, step + 1, run.bytes, run.size, out, err);
    } else {
        for (size_t i = 0; i < run.size && status == SA_OK; i++) {
            status = push_piece(s, step + 1, "\xef\xbf\xbd", 3, out, err);
        }
    }
    sa_text_free(&run);
    return status;
}

static sa_status push_fallback(sa_detokenizer *s, size_t step, const char *piece, size_t size, sa_text *out,
                               sa_error *err)
{
    int byte = byte_of_piece(piece, size);
    if (byte >= 0) {
        unsigned char value = (unsigned char)byte;
        sa_text_append(&s->bytes, &value, 1);
        return SA_OK;
    }
    SA_TRY(flush_run(s, step, out, err));
    return push_piece(s, step + 1, piece, size, out, err);
}

/* -- Steps on text -- */

/* The normaliser's step does it, on a copy. */
static sa_status push_replaced(sa_detokenizer *s, size_t step, const char *piece, size_t size, sa_text *out,
                               sa_error *err)
{
    sa_text text = {0};
    sa_text_append(&text, piece, size);
    sa_text_clear(&s->other);
    sa_status status = sa_normalize(&s->tokenizer->decoders[step].replace, 1, &text, &s->other, err);
    if (status == SA_OK) {
        status = push_piece(s, step + 1, text.bytes, text.size, out, err);
    }
    s->other.failed = s->other.failed || text.failed;
    sa_text_free(&text);
    return status;
}

static bool begins_with(const char *text, size_t size, const char *what)
{
    size_t length = strlen(what);
    return size >= length && memcmp(text, what, length) == 0;
}

static sa_status push_stripped(sa_detokenizer *s, size_t step, const char *piece, size_t size, sa_text *out,
                               sa_error *err)
{
    const sa_decoder *d = &s->tokenizer->decoders[step];
    size_t length = strlen(d->text);
    for (size_t i = 0; i < d->start && begins_with(piece, size, d->text); i++) {
        piece += length;
        size -= length;
    }
    for (size_t i = 0; i < d->stop && size >= length && memcmp(piece + size - length, d->text, length) == 0;
         i++) {
        size -= length;
    }
    return push_piece(s, step + 1, piece, size, out, err);
}

/* Behind FUSE: the front of the whole text, of which this is a part. */
static sa_status push_stripped_front(sa_detokenizer *s, size_t step, const char *piece, size_t size,
                                     sa_text *out, sa_error *err)
{
    const sa_decoder *d = &s->tokenizer->decoders[step];
    size_t length = strlen(d->text);
    while (!s->strip_over && size > 0) {
        if (s->stripped < d->start && begins_with(piece, size, d->text)) {
            s->stripped++;
            piece += length;
            size -= length;
        } else {
            s->strip_over = true;
        }
    }
    return push_piece(s, step + 1, piece, size, out, err);
}

static sa_status push_metaspace(sa_detokenizer *s, size_t step, const char *piece, size_t size, sa_text *out,
                                sa_error *err)
{
    const sa_decoder *d = &s->tokenizer->decoders[step];
    size_t length = strlen(d->text);
    sa_text_clear(&s->other);
    for (size_t i = 0; i < size;) {
        if (!begins_with(piece + i, size - i, d->text)) {
            sa_text_append(&s->other, piece + i++, 1);
            continue;
        }
        bool dropped = s->count == 1 && d->prepended;
        sa_text_append(&s->other, " ", dropped ? 0 : 1);
        i += length;
    }
    sa_text text = s->other; /* a step further down may need the room */
    s->other = (sa_text){.failed = text.failed};
    sa_status status = push_piece(s, step + 1, text.bytes, text.size, out, err);
    sa_text_free(&text);
    return status;
}

/* -- SentencePiece -- */

/* One U+FFFD for each byte that is no part of a character. */
static void flush_sentencepiece(sa_detokenizer *s, sa_text *out)
{
    const unsigned char *bytes = (const unsigned char *)s->bytes.bytes;
    for (size_t i = 0; i < s->bytes.size;) {
        size_t length = sa_utf8_length(bytes + i, s->bytes.size - i);
        sa_text_append(out, length > 0 ? s->bytes.bytes + i : "\xef\xbf\xbd", length > 0 ? length : 3);
        i += length > 0 ? length : 1;
        s->produced = true;
    }
    sa_text_clear(&s->bytes);
}

static void append_unescaped(const char *piece, size_t size, sa_text *out)
{
    for (size_t i = 0; i < size;) {
        bool blank = begins_with(piece + i, size - i, "\xe2\x96\x81");
        sa_text_append(out, blank ? " " : piece + i, 1);
        i += blank ? 3 : 1;
    }
}

/*
 * Byte pieces wait until their run is over; the blank in front of the text is dropped if the normaliser put
 * it there.
 */
static void push_sentencepiece(sa_detokenizer *s, int32_t id, const char *piece, size_t size, sa_text *out)
{
    const sa_tokenizer *t = s->tokenizer;
    sa_piece_type type = SA_PIECE_CONTROL; /* what was added to the model is shown as it is */
    if ((size_t)id < t->model.vocabulary.count) {
        type = (sa_piece_type)t->model.types[id];
    }
    if (type == SA_PIECE_BYTE) {
        unsigned char value = (unsigned char)byte_of_piece(piece, size);
        sa_text_append(&s->bytes, &value, 1);
        return;
    }
    flush_sentencepiece(s, out);
    s->past_first = s->past_first || s->blank_seen || s->produced;
    s->blank_seen = false;
    if (type == SA_PIECE_UNKNOWN) {
        size = strlen(t->unknown_surface);
        sa_text_append_repaired(out, t->unknown_surface, size);
    } else if (type == SA_PIECE_CONTROL) {
        sa_text_append(out, piece, size);
    } else {
        if (!s->past_first && t->drops_first_blank && begins_with(piece, size, "\xe2\x96\x81")) {
            piece += 3;
            size -= 3;
            s->blank_seen = !t->drops_all_first_blanks;
        }
        append_unescaped(piece, size, out);
    }
    s->produced = s->produced || size > 0;
}

/* -- The stream -- */

static sa_status push_piece(sa_detokenizer *s, size_t step, const char *piece, size_t size, sa_text *out,
                            sa_error *err)
{
    const sa_tokenizer *t = s->tokenizer;
    if (step == t->decoder_count) {
        sa_text_append(out, piece, size);
        return SA_OK;
    }
    switch (t->decoders[step].kind) {
    case SA_DECODE_REPLACE: return push_replaced(s, step, piece, size, out, err);
    case SA_DECODE_BYTE_FALLBACK: return push_fallback(s, step, piece, size, out, err);
    case SA_DECODE_FUSE: break;
    case SA_DECODE_STRIP:
        for (size_t i = 0; i < step; i++) {
            if (t->decoders[i].kind == SA_DECODE_FUSE) {
                return push_stripped_front(s, step, piece, size, out, err);
            }
        }
        return push_stripped(s, step, piece, size, out, err);
    case SA_DECODE_METASPACE: return push_metaspace(s, step, piece, size, out, err);
    case SA_DECODE_LETTERS: push_letters(s, piece, size, out); return SA_OK;
    case SA_DECODE_BYTES:
        sa_text_append(&s->bytes, piece, size);
        flush_characters(s, out);
        return SA_OK;
    case SA_DECODE_SENTENCEPIECE: SA_ASSERT(false); break; /* needs the id: push calls it */
    case SA_DECODE_JOIN: sa_text_append(out, " ", s->count > 1 ? 1 : 0); break;
    }
    return push_piece(s, step + 1, piece, size, out, err);
}

/* What decoding shows for an id; NULL if nothing. */
static const char *shown_piece(const sa_detokenizer *s, int32_t id, size_t *size)
{
    const sa_added_token *token = sa_added_tokens_find(&s->tokenizer->added, id);
    if (token == NULL) {
        return sa_vocabulary_piece(&s->tokenizer->model.vocabulary, id, size);
    }
    if (s->skip_special && token->special) {
        return NULL;
    }
    *size = strlen(token->shown);
    return token->shown;
}

static sa_status check_room(const sa_detokenizer *s, const sa_text *out, sa_error *err)
{
    bool failed = out->failed || s->piece.failed || s->other.failed || s->bytes.failed;
    return failed ? sa_tokenizer_no_room(s->tokenizer, err) : SA_OK;
}

sa_status sa_detokenizer_push(sa_detokenizer *s, int32_t id, sa_text *out, sa_error *err)
{
    size_t size = 0;
    const char *piece = shown_piece(s, id, &size);
    if (piece == NULL) {
        return SA_OK;
    }
    s->count++;
    if (s->tokenizer->decoder_count > 0 && s->tokenizer->decoders[0].kind == SA_DECODE_SENTENCEPIECE) {
        push_sentencepiece(s, id, piece, size, out);
    } else {
        SA_TRY(push_piece(s, 0, piece, size, out, err));
    }
    return check_room(s, out, err);
}

sa_status sa_detokenizer_finish(sa_detokenizer *s, sa_text *out, sa_error *err)
{
    const sa_tokenizer *t = s->tokenizer;
    for (size_t i = 0; i < t->decoder_count; i++) {
        switch (t->decoders[i].kind) {
        case SA_DECODE_BYTE_FALLBACK: SA_TRY(flush_run(s, i, out, err)); break;
        case SA_DECODE_LETTERS:
        case SA_DECODE_BYTES:
            sa_text_append_repaired(out, s->bytes.bytes, s->bytes.size);
            sa_text_clear(&s->bytes);
            break;
        case SA_DECODE_SENTENCEPIECE: flush_sentencepiece(s, out); break;
        default: break;
        }
    }
    return check_room(s, out, err);
}

sa_status sa_tokenizer_decode(const sa_tokenizer *tokenizer, const int32_t *ids, size_t count,
                              bool skip_special, sa_text *out, sa_error *err)
{
    sa_detokenizer *stream = NULL;
    SA_TRY(sa_detokenizer_open(&stream, tokenizer, skip_special, err));
    sa_status status = SA_OK;
    sa_text_append(out, "", 0); /* an empty text, too, is terminated */
    for (size_t i = 0; i < count && status == SA_OK; i++) {
        status = sa_detokenizer_push(stream, ids[i], out, err);
    }
    if (status == SA_OK) {
        status = sa_detokenizer_finish(stream, out, err);
    }
    sa_detokenizer_close(stream);
    return status;
}
