/*
 * zlib (RFC 1950) and deflate (RFC 1951), writing side: one block with the fixed Huffman code, matches found
 * through hash chains. All memory is taken at the start, so running out of it is one test; sizes are size_t
 * throughout.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/image/codec.h"

enum {
    WINDOW = 32768, /* how far back a match may lie */
    HASH_BITS = 15,
    MIN_MATCH = 3,
    MAX_MATCH = 258,
    CHAIN = 32, /* candidates tried for each match: more packs better and takes longer */
};

typedef struct {
    const uint8_t *bytes;
    size_t size;
    uint8_t *out;
    size_t made;
    uint64_t bits;
    unsigned held;
    size_t *head; /* [1 << HASH_BITS] last position with that hash, plus 1 */
    size_t *back; /* [WINDOW] the position before it with the same hash, plus 1, by position % WINDOW */
} deflater;

static void put_bits(deflater *s, unsigned value, unsigned count)
{
    s->bits |= (uint64_t)value << s->held;
    s->held += count;
    while (s->held >= 8) {
        s->out[s->made++] = (uint8_t)s->bits;
        s->bits >>= 8;
        s->held -= 8;
    }
}

/* A Huffman code of at most 16 bits goes out with its highest bit first. */
static void put_code(deflater *s, unsigned code, unsigned length)
{
    code = (code & 0x5555) << 1 | (code >> 1 & 0x5555);
    code = (code & 0x3333) << 2 | (code >> 2 & 0x3333);
    code = (code & 0x0f0f) << 4 | (code >> 4 & 0x0f0f);
    code = (code & 0x00ff) << 8 | code >> 8;
    put_bits(s, code >> (16 - length), length);
}

/* Literals 0..255, end of block 256, lengths 257..287, in the fixed code. */
static void put_symbol(deflater *s, unsigned symbol)
{
    if (symbol < 144) {
        put_code(s, 0x30 + symbol, 8);
    } else if (symbol < 256) {
        put_code(s, 0x190 + symbol - 144, 9);
    } else if (symbol < 280) {
        put_code(s, symbol - 256, 7);
    } else {
        put_code(s, 0xc0 + symbol - 280, 8);
    }
}

/* Number of the highest set bit of v >= 1. */
static unsigned top_bit(unsigned v)
{
    return 31 - (unsigned)__builtin_clz(v);
}

/* Lengths 3..10 have a code each; then four codes to each power of two; 258 has its own. */
static void put_length(deflater *s, unsigned length)
{
    unsigned v = length - MIN_MATCH;
    if (length == MAX_MATCH) {
        put_symbol(s, 285);
    } else if (v < 8) {
        put_symbol(s, 257 + v);
    } else {
        unsigned extra = top_bit(v) - 2;
        put_symbol(s, 257 + 4 * extra + (v >> extra));
        put_bits(s, v & ((1u << extra) - 1), extra);
    }
}

/* Distances 1..4 have a code each; then two codes to each power of two. */
static void put_distance(deflater *s, unsigned distance)
{
    unsigned v = distance - 1;
    if (v < 4) {
        put_code(s, v, 5);
    } else {
        unsigned extra = top_bit(v) - 1;
        put_code(s, 2 * extra + (v >> extra), 5);
        put_bits(s, v & ((1u << extra) - 1), extra);
    }
}

static unsigned hash_at(const uint8_t *p)
{
    return (((unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2]) * 2654435761u) >> (32 - HASH_BITS);
}

/* Enters position `at` into the chains. */
static void remember(deflater *s, size_t at)
{
    if (s->size - at >= MIN_MATCH) {
        unsigned hash = hash_at(s->bytes + at);
        s->back[at % WINDOW] = s->head[hash];
        s->head[hash] = at + 1;
    }
}

static unsigned common_length(const uint8_t *a, const uint8_t *b, size_t limit)
{
    unsigned length = 0;
    uint64_t of_a, of_b;
    while (length + 8 <= limit) { /* eight at a time, and from the first that differ byte by byte */
        memcpy(&of_a, a + length, 8);
        memcpy(&of_b, b + length, 8);
        if (of_a != of_b) {
            break;
        }
        length += 8;
    }
    while (length < limit && a[length] == b[length]) {
        length++;
    }
    return length;
}

/* The longest match for position `at` among the first CHAIN candidates; its length, 0 if none. */
static unsigned find_match(const deflater *s, size_t at, size_t *distance)
{
    size_t left = s->size - at, limit = left < MAX_MATCH ? left : MAX_MATCH;
    unsigned best = 0;
    if (left < MIN_MATCH) {
        return 0;
    }
    size_t candidate = s->head[hash_at(s->bytes + at)];
    for (int tried = 0; candidate != 0 && tried < CHAIN; tried++) {
        size_t place = candidate - 1;
        if (at - place > WINDOW - 1) {
            break;
        }
        /* one longer than the best must at least have the next byte in common */
        if (s->bytes[place + best] == s->bytes[at + best]) {
            unsigned length = common_length(s->bytes + at, s->bytes + place, limit);
            if (length > best) {
                best = length;
                *distance = at - place;
            }
        }
        if (best == limit) {
            break;
        }
        candidate = s->back[place % WINDOW];
    }
    return best >= MIN_MATCH ? best : 0;
}

static void put_block(deflater *s)
{
    put_bits(s, 1, 1); /* the last block */
    put_bits(s, 1, 2); /* fixed code */
    for (size_t at = 0; at < s->size;) {
        size_t distance = 0;
        unsigned length = find_match(s, at, &distance);
        remember(s, at);
        if (length == 0) {
            put_symbol(s, s->bytes[at++]);
            continue;
        }
        put_length(s, length);
        put_distance(s, (unsigned)distance);
        for (size_t end = at + length; ++at < end;) {
            remember(s, at);
        }
    }
    put_symbol(s, 256);
    put_bits(s, 0, (8 - s->held % 8) % 8);
}

static void put_adler(deflater *s)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < s->size;) {
        size_t end = s->size - i < 5552 ? s->size : i + 5552; /* the most sums that fit in 32 bits */
        for (; i < end; i++) {
            a += s->bytes[i];
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    for (int shift = 8; shift >= 0; shift -= 8) {
        s->out[s->made++] = (uint8_t)(b >> shift);
    }
    for (int shift = 8; shift >= 0; shift -= 8) {
        s->out[s->made++] = (uint8_t)(a >> shift);
    }
}

uint8_t *sa_zlib_deflate(const uint8_t *bytes, size_t size, size_t *out_size)
{
    size_t bound;
    /* a literal takes at most 9 bits, a match fewer a byte; 16: header, block ends, checksum */
    if (!sa_add_size(size, size / 8 + 17, &bound)) {
        return NULL;
    }
    deflater s = {.bytes = bytes, .size = size, .out = malloc(bound)};
    s.head = calloc((size_t)1 << HASH_BITS, sizeof *s.head);
    s.back = calloc(WINDOW, sizeof *s.back);
    bool enough = s.out && s.head && s.back;
    if (enough) {
        s.out[s.made++] = 0x78;
        s.out[s.made++] = 0x9c;
        put_block(&s);
        put_adler(&s);
        *out_size = s.made;
    }
    free(s.head);
    free(s.back);
    if (!enough) {
        free(s.out);
        return NULL;
    }
    uint8_t *smaller = realloc(s.out, s.made);
    return smaller ? smaller : s.out;
}
