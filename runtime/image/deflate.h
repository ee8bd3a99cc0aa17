/*
 * A zlib stream (RFC 1950, 1951) of filtered picture rows: Huffman codes of bytes and of runs of one byte.
 *
 * Looking for longer repeats, which takes other writers nearly all of their time, finds next to nothing in
 * the filtered rows of a picture. And the bytes depend on this file alone, so a picture is the same file on
 * every machine.
 */
#ifndef SA_IMAGE_DEFLATE_H
#define SA_IMAGE_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

/* The most bytes that a stream of `size` bytes takes. */
size_t sa_deflate_bound(size_t size);

/* Writes the stream of bytes[0, size) to `to`, which holds sa_deflate_bound(size); returns its length. */
size_t sa_deflate(uint8_t *to, const uint8_t *bytes, size_t size);

#endif
