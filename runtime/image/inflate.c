/*
 * zlib (RFC 1950) and deflate (RFC 1951), reading side, into a buffer of fixed size.
 *
 * Ours rather than stb_image's, for three reasons: a stream that unpacks without end stops at the end of the
 * room (so a bomb costs what the picture's header was allowed, and no more); distance codes 30 and 31, which
 * do not exist, are refused instead of copying bytes that nobody wrote; and no state is shared between
 * threads.
 */
#include <string.h>

#include "runtime/image/codec.h"

enum {
    FAST_BITS = 10, /* codes up to this long are decoded by one look-up */
    MAX_BITS = 15,  /* longest code of the format */
    LITERALS = 288, /* symbols of the literal and length alphabet, two of them never used */
    DISTANCES = 32,
};

/* A canonical Huffman code. fast[next bits] = symbol << 4 | length, 0 where the code is longer or does not
 * exist. */
typedef struct {
    uint16_t fast[1 << FAST_BITS];
    uint16_t count[MAX_BITS + 1]; /* codes of each length */
    uint16_t symbol[LITERALS];    /* ordered by code */
} huffman;

typedef struct {
    const uint8_t *next, *end;
    uint64_t bits; /* the lowest is the next */
    unsigned held; /* how many of them are real */
    uint8_t *out;
    size_t made, capacity;
    huffman literal, distance;
} inflater;

/* What a block, or a step of it, came to. */
typedef enum { GOES_ON, BROKEN, FULL } outcome;

/* At least 57 bits, or all that are left. */
static void refill(inflater *s)
{
    while (s->held <= 56 && s->next < s->end) {
        s->bits |= (uint64_t)*s->next++ << s->held;
        s->held += 8;
    }
}

/* The next `count` <= 16 bits; false at the end of the stream. */
static bool take_bits(inflater *s, unsigned count, unsigned *value)
{
    if (s->held < count) {
        refill(s);
        if (s->held < count) {
            return false;
        }
    }
    *value = (unsigned)(s->bits & (((uint64_t)1 << count) - 1));
    s->bits >>= count;
    s->held -= count;
    return true;
}

static unsigned reverse_bits(unsigned code, unsigned length)
{
    unsigned reversed = 0;
    for (unsigned i = 0; i < length; i++) {
        reversed = reversed << 1 | (code >> i & 1);
    }
    return reversed;
}

/* The code in which symbol i has lengths[i] bits (0: none). False if more codes are asked for than there are.
 */
static bool build_huffman(huffman *h, const uint8_t *lengths, unsigned symbols)
{
    unsigned next_code[MAX_BITS + 2] = {0}, next_place[MAX_BITS + 2] = {0};
    memset(h, 0, sizeof *h);
    for (unsigned i = 0; i < symbols; i++) {
        h->count[lengths[i]]++;
    }
    h->count[0] = 0;
    for (unsigned length = 1; length <= MAX_BITS; length++) {
        if (next_code[length] + h->count[length] > 1u << length) {
            return false;
        }
        next_code[length + 1] = (next_code[length] + h->count[length]) << 1;
        next_place[length + 1] = next_place[length] + h->count[length];
    }
    for (unsigned i = 0; i < symbols; i++) {
        unsigned length = lengths[i];
        if (length == 0) {
            continue;
        }
        h->symbol[next_place[length]++] = (uint16_t)i;
        unsigned code = reverse_bits(next_code[length]++, length);
        for (; length <= FAST_BITS && code < 1u << FAST_BITS; code += 1u << length) {
            h->fast[code] = (uint16_t)(i << 4 | length);
        }
    }
    return true;
}

/* A code longer than FAST_BITS, bit by bit: canonical codes of one length are consecutive numbers. */
static int decode_slowly(inflater *s, const huffman *h)
{
    unsigned code = 0, first = 0, place = 0;
    for (unsigned length = 1; length <= MAX_BITS && length <= s->held; length++) {
        code |= (unsigned)(s->bits >> (length - 1) & 1);
        unsigned count = h->count[length];
        if (code < first + count) {
            s->bits >>= length;
            s->held -= length;
            return h->symbol[place + code - first];
        }
        place += count;
        first = (first + count) << 1;
        code <<= 1;
    }
    return -1;
}

/* The next symbol, or -1 if the stream ends or holds no code. */
static int decode_symbol(inflater *s, const huffman *h)
{
    if (s->held < MAX_BITS) {
        refill(s);
    }
    unsigned entry = h->fast[s->bits & ((1 << FAST_BITS) - 1)];
    unsigned length = entry & 15;
    if (entry == 0 || length > s->held) {
        return decode_slowly(s, h);
    }
    s->bits >>= length;
    s->held -= length;
    return (int)(entry >> 4);
}

/* Copies `length` bytes from `distance` back; the two may overlap, and then the bytes repeat. */
static outcome copy_match(inflater *s, unsigned length, unsigned distance)
{
    if (distance > s->made) {
        return BROKEN;
    }
    size_t room = s->capacity - s->made;
    size_t count = length < room ? length : room;
    uint8_t *to = s->out + s->made;
    const uint8_t *from = to - distance;
    if (distance == 1) {
        memset(to, *from, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            to[i] = from[i];
        }
    }
    s->made += count;
    return count < length ? FULL : GOES_ON;
}

/* The rest of a match whose length symbol is `symbol` (257 and up). */
static outcome read_match(inflater *s, int symbol)
{
    static const uint16_t length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                             31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                             2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t distance_base[30] = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                               33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                               1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    unsigned place = (unsigned)symbol - 257, extra;
    if (place >= 29 || !take_bits(s, length_extra[place], &extra)) {
        return BROKEN;
    }
    unsigned length = length_base[place] + extra;
    int code = decode_symbol(s, &s->distance);
    if (code < 0 || code >= 30 || !take_bits(s, code < 2 ? 0 : (unsigned)code / 2 - 1, &extra)) {
        return BROKEN;
    }
    return copy_match(s, length, distance_base[code] + extra);
}

static outcome read_coded(inflater *s)
{
    for (;;) {
        int symbol = decode_symbol(s, &s->literal);
        if (symbol < 0) {
            return BROKEN;
        }
        if (symbol < 256) {
            if (s->made == s->capacity) {
                return FULL;
            }
            s->out[s->made++] = (uint8_t)symbol;
        } else if (symbol == 256) {
            return GOES_ON;
        } else {
            outcome result = read_match(s, symbol);
            if (result != GOES_ON) {
                return result;
            }
        }
    }
}

static outcome read_stored(inflater *s)
{
    unsigned dropped, length, inverse;
    if (!take_bits(s, s->held % 8, &dropped) || !take_bits(s, 16, &length) || !take_bits(s, 16, &inverse) ||
        length != (inverse ^ 0xffffu)) {
        return BROKEN;
    }
    s->next -= s->held / 8; /* whole bytes that were read ahead go back */
    s->bits = 0;
    s->held = 0;
    if ((size_t)(s->end - s->next) < length) {
        return BROKEN;
    }
    size_t room = s->capacity - s->made;
    size_t count = length < room ? length : room;
    memcpy(s->out + s->made, s->next, count);
    s->next += count;
    s->made += count;
    return count < length ? FULL : GOES_ON;
}

static bool build_fixed(inflater *s)
{
    uint8_t lengths[LITERALS], distances[DISTANCES];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    memset(distances, 5, DISTANCES);
    return build_huffman(&s->literal, lengths, LITERALS) && build_huffman(&s->distance, distances, DISTANCES);
}

/* `total` code lengths, themselves coded with `code`: 16 repeats the last, 17 and 18 are runs of zeros. */
static bool read_lengths(inflater *s, const huffman *code, uint8_t *lengths, unsigned total)
{
    for (unsigned i = 0; i < total;) {
        int symbol = decode_symbol(s, code);
        if (symbol < 0 || (symbol == 16 && i == 0)) {
            return false;
        }
        if (symbol < 16) {
            lengths[i++] = (uint8_t)symbol;
            continue;
        }
        unsigned extra, count = symbol == 18 ? 11 : 3;
        if (!take_bits(s, symbol == 16 ? 2 : symbol == 17 ? 3 : 7, &extra) || count + extra > total - i) {
            return false;
        }
        memset(lengths + i, symbol == 16 ? lengths[i - 1] : 0, count + extra);
        i += count + extra;
    }
    return true;
}

static bool read_dynamic(inflater *s)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[LITERALS + DISTANCES] = {0}, code_lengths[19] = {0};
    unsigned literals, distances, codes, length;
    if (!take_bits(s, 5, &literals) || !take_bits(s, 5, &distances) || !take_bits(s, 4, &codes)) {
        return false;
    }
    literals += 257;
    distances += 1;
    for (unsigned i = 0; i < codes + 4; i++) {
        if (!take_bits(s, 3, &length)) {
            return false;
        }
        code_lengths[order[i]] = (uint8_t)length;
    }
    /* the code of the code lengths stands in the place of the literal code until that one is known */
    return literals <= 286 && build_huffman(&s->literal, code_lengths, 19) &&
           read_lengths(s, &s->literal, lengths, literals + distances) &&
           build_huffman(&s->literal, lengths, literals) &&
           build_huffman(&s->distance, lengths + literals, distances);
}

static outcome read_block(inflater *s, unsigned kind)
{
    switch (kind) {
    case 0: return read_stored(s);
    case 1: return build_fixed(s) ? read_coded(s) : BROKEN;
    case 2: return read_dynamic(s) ? read_coded(s) : BROKEN;
    default: return BROKEN;
    }
}

size_t sa_zlib_inflate(const uint8_t *stream, size_t size, uint8_t *out, size_t capacity, bool *whole)
{
    inflater s = {.out = out, .capacity = capacity};
    *whole = false;
    if (size < 2 || (stream[0] & 15) != 8 || (stream[1] & 32) || sa_read_be16(stream) % 31 != 0) {
        return 0;
    }
    s.next = stream + 2;
    s.end = stream + size;
    for (unsigned last = 0; !last;) {
        unsigned kind;
        if (!take_bits(&s, 1, &last) || !take_bits(&s, 2, &kind) || read_block(&s, kind) != GOES_ON) {
            return s.made;
        }
    }
    *whole = true;
    return s.made;
}
