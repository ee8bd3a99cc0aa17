/* Base64: as tokenizer files hold bytes, and pages their pictures. */
#ifndef SA_TEXT_BASE64_H
#define SA_TEXT_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static inline int sa_base64_digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* Decodes text[0, size) into `out`, which has room for size * 3 / 4 bytes; false if it is no base64. */
static inline bool sa_base64_decode(const char *text, size_t size, unsigned char *out, size_t *out_size)
{
    *out_size = 0;
    if (size % 4 != 0) {
        return false;
    }
    size_t padding = 0;
    while (padding < 2 && padding < size && text[size - 1 - padding] == '=') {
        padding++;
    }
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = i < size - padding ? sa_base64_digit(text[i]) : 0;
        if (digit < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3) {
            size_t bytes = i + 1 == size ? 3 - padding : 3;
            for (size_t k = 0; k < bytes; k++) {
                out[(*out_size)++] = (unsigned char)(bits >> (16 - 8 * k));
            }
            bits = 0;
        }
    }
    return true;
}

/* The reverse, with padding; what the stream could not take shows in ferror(stream). */
static inline void sa_base64_write(FILE *stream, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16;
        bits |= i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= i + 2 < size ? (uint32_t)bytes[i + 2] : 0;
        const char group[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                               i + 1 < size ? digits[bits >> 6 & 63] : '=',
                               i + 2 < size ? digits[bits & 63] : '='};
        fwrite(group, 1, sizeof group, stream);
    }
}

#endif
