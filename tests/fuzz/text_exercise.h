/* What every harness of a tokenizer file does with one that was accepted. */
#ifndef SA_TESTS_FUZZ_TEXT_EXERCISE_H
#define SA_TESTS_FUZZ_TEXT_EXERCISE_H

#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/text/tokenizer.h"

/* A refused file comes with a reason. */
static void check_refusal(sa_status status, const sa_error *err)
{
    SA_ASSERT(status == SA_BAD_INPUT || status == SA_NO_ROOM);
    SA_ASSERT(err->status == status && err->reason[0] != '\0');
}

static void check_utf8(const sa_text *text)
{
    for (size_t i = 0; i < text->size;) {
        size_t length = sa_utf8_length((const unsigned char *)text->bytes + i, text->size - i);
        SA_ASSERT(length > 0);
        i += length;
    }
}

/* Decoding at once and as a stream give the same, and whole UTF-8. */
static void decode_both(const sa_tokenizer *t, const int32_t *ids, size_t count, bool skip)
{
    sa_text whole = {0};
    sa_text streamed = {0};
    sa_detokenizer *stream = NULL;
    sa_error err = {0};
    sa_status status = sa_tokenizer_decode(t, ids, count, skip, &whole, &err);
    if (status != SA_OK) {
        check_refusal(status, &err);
        sa_text_free(&whole);
        return;
    }
    SA_ASSERT(sa_detokenizer_open(&stream, t, skip, &err) == SA_OK);
    for (size_t i = 0; i < count; i++) {
        SA_ASSERT(sa_detokenizer_push(stream, ids[i], &streamed, &err) == SA_OK);
        check_utf8(&streamed);
    }
    SA_ASSERT(sa_detokenizer_finish(stream, &streamed, &err) == SA_OK);
    check_utf8(&streamed);
    SA_ASSERT(whole.size == streamed.size);
    SA_ASSERT(whole.size == 0 || memcmp(whole.bytes, streamed.bytes, whole.size) == 0);
    sa_detokenizer_close(stream);
    sa_text_free(&whole);
    sa_text_free(&streamed);
}

static void encode_one(const sa_tokenizer *t, const char *text, size_t size, unsigned flags)
{
    sa_tokens ids = {0};
    sa_error err = {0};
    sa_status status = sa_tokenizer_encode(t, text, size, flags, &ids, &err);
    if (status != SA_OK) {
        check_refusal(status, &err);
        SA_ASSERT(ids.count == 0);
    }
    for (size_t i = 0; i < ids.count; i++) {
        SA_ASSERT(ids.ids[i] >= 0);
    }
    decode_both(t, ids.ids, ids.count, flags % 2 == 0);
    sa_tokens_free(&ids);
}

static void exercise(sa_tokenizer *t)
{
    static const char *const texts[] = {
        "",
        " a  b ab aab <s> </s> <x> xab",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\n 12, (3) it's\t",
        "\xc3\xa9\x65\xcc\x81 \xe2\x96\x81\xe4\xb8\xad \xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd \xef\xac\x81",
        "\xff\xe2\x82 \xed\xa0\x80<0x41>\xf0\x9f",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (unsigned flags = 0; flags < 4; flags++) {
            encode_one(t, texts[i], strlen(texts[i]), flags);
        }
    }
    enum { MOST = 300 };
    int32_t ids[MOST];
    size_t size = sa_tokenizer_size(t);
    for (int i = 0; i < MOST; i++) { /* the first, the last, and some that do not exist */
        ids[i] = (int32_t)(i < 200 ? (size_t)i : size + 2 - (size_t)(i - 200));
        size_t length = 0;
        const char *piece = sa_tokenizer_piece(t, ids[i], &length);
        SA_ASSERT(piece == NULL || length == 0 || sa_tokenizer_find(t, piece, length) >= 0);
    }
    decode_both(t, ids, MOST, false);
    decode_both(t, ids, MOST, true);
    sa_tokenizer_close(t);
}

#endif
