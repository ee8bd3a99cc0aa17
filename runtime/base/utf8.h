/* UTF-8, one character at a time. Nothing here trusts its bytes. */
#ifndef SA_BASE_UTF8_H
#define SA_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bounds of the byte after `first`: they rule out long forms, surrogates and what is above U+10FFFF. */
static inline bool sa_utf8_is_second(unsigned char first, unsigned char second)
{
    unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= least && second <= most;
}

/* What the first byte promises: 1 to 4, or 0 if no character begins with it. */
static inline size_t sa_utf8_promise(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) { /* 0xc0 and 0xc1 would be too long a form of ASCII */
        return 0;
    }
    return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

/*
 * How many of the `left` (at least one) bytes at `at` are a character or the beginning of one, at least 1;
 * *whole says whether it is a character. What is cut off or broken counts as far as it could still have
 * become a character, which is what Unicode and Python replace by one U+FFFD.
 */
static inline size_t sa_utf8_step(const unsigned char *at, size_t left, bool *whole)
{
    size_t promise = sa_utf8_promise(at[0]);
    size_t length = 1;
    while (length < promise && length < left &&
           (length == 1 ? sa_utf8_is_second(at[0], at[1]) : (at[length] & 0xc0) == 0x80)) {
        length++;
    }
    *whole = length == promise;
    return length;
}

/* Bytes of the character at `at`, 0 if there is no whole one. */
static inline size_t sa_utf8_length(const unsigned char *at, size_t left)
{
    bool whole;
    size_t length = sa_utf8_step(at, left, &whole);
    return whole ? length : 0;
}

/* True if all of the text is whole characters. */
static inline bool sa_utf8_is_whole(const char *text, size_t size)
{
    for (size_t at = 0, length; at < size; at += length) {
        length = sa_utf8_length((const unsigned char *)text + at, size - at);
        if (length == 0) {
            return false;
        }
    }
    return true;
}

/* The code of a whole character of `length` bytes. */
static inline uint32_t sa_utf8_decode(const unsigned char *at, size_t length)
{
    static const unsigned char masks[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = at[0] & masks[length];
    for (size_t i = 1; i < length; i++) {
        code = (code << 6) | (at[i] & 0x3f);
    }
    return code;
}

/* Writes up to 4 bytes, returns how many. `code` is a character, no surrogate. */
static inline size_t sa_utf8_encode(uint32_t code, unsigned char *out)
{
    if (code < 0x80) {
        out[0] = (unsigned char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char firsts[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (unsigned char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (unsigned char)(firsts[length] | code);
    return length;
}

#endif
