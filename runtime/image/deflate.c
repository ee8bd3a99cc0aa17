#include "runtime/image/deflate.h"

#include <stdbool.h>
#include <string.h>

#include "runtime/base/status.h"

/*
 * A block is up to 64 KiB of input with codes of its own; one that codes would not make smaller is stored. In
 * a block: a byte that follows itself three times or more is a match of distance 1, everything else a
 * literal.
 */
enum {
    BLOCK = 65535,  /* the most that a stored one holds */
    LITERALS = 286, /* bytes, the end, 29 codes of lengths */
    END = 256,
    LENGTHS = 19, /* code lengths are coded, too */
    MAX_BITS = 15,
    MAX_LENGTH_BITS = 7,
    LEAST_MATCH = 3,
    LEAST_RUN = 8,
    MOST_RUN = 258,
};

/* ---- bits ---- */

typedef struct {
    uint8_t *to;
    uint64_t bits; /* the lowest `count` are still to be written */
    int count;
} bit_writer;

static inline void put(bit_writer *w, uint32_t value, int bits)
{
    w->bits |= (uint64_t)value << w->count;
    w->count += bits;
    if (w->count >= 32) {
        for (int byte = 0; byte < 4; byte++) { /* one store, where bytes are in this order */
            w->to[byte] = (uint8_t)(w->bits >> (8 * byte));
        }
        w->to += 4;
        w->bits >>= 32;
        w->count -= 32;
    }
}

/* To the next whole byte, and no bits are left in `bits`. */
static void align(bit_writer *w)
{
    for (; w->count > 0; w->count -= 8) {
        *w->to++ = (uint8_t)w->bits;
        w->bits >>= 8;
    }
    w->count = 0;
}

/* ---- codes ---- */

typedef struct {
    uint8_t bits[LITERALS];
    uint16_t code[LITERALS]; /* the first bit lowest, as they are written */
} code_table;

typedef struct {
    uint32_t weight;
    uint16_t symbol, parent;
} node;

/* Leaves with a count, the lightest first; equal ones by symbol. */
static int sort_leaves(node *leaves, const uint32_t *counts, int symbols)
{
    int used = 0;
    for (int symbol = 0; symbol < symbols; symbol++) {
        int at = used;
        if (counts[symbol] == 0) {
            continue;
        }
        for (; at > 0 && leaves[at - 1].weight > counts[symbol]; at--) {
            leaves[at] = leaves[at - 1];
        }
        leaves[at] = (node){counts[symbol], (uint16_t)symbol, 0};
        used++;
    }
    return used;
}

/* Huffman's tree over nodes[0, leaves): the two lightest of leaves and inner nodes become one, and so on. */
static void join_nodes(node *nodes, int leaves)
{
    int leaf = 0, inner = leaves;
    for (int made = leaves; made < 2 * leaves - 1; made++) {
        nodes[made].weight = 0;
        for (int child = 0; child < 2; child++) {
            bool takes_leaf = leaf < leaves && (inner >= made || nodes[leaf].weight <= nodes[inner].weight);
            node *taken = &nodes[takes_leaf ? leaf++ : inner++];
            taken->parent = (uint16_t)made;
            nodes[made].weight += taken->weight;
        }
    }
}

/* Leaves deeper than `most` move up to it; to make room others move down, the deepest that still can first.
 */
static void limit_depths(int *at_depth, int deepest, int most)
{
    uint32_t room = 1u << most, taken = 0;
    for (int depth = most + 1; depth <= deepest; depth++) {
        at_depth[most] += at_depth[depth];
    }
    for (int depth = 1; depth <= most; depth++) {
        taken += (uint32_t)at_depth[depth] << (most - depth);
    }
    while (taken >
           room) { /* one leaf goes from `depth` to a pair one deeper, its brother comes from `most` */
        int depth = most - 1;
        while (at_depth[depth] == 0) {
            depth--;
        }
        at_depth[depth]--;
        at_depth[depth + 1] += 2;
        at_depth[most]--;
        taken--;
    }
}

/* Bits of each symbol's code, at most `most`; 0 for those that do not occur. */
static void choose_bits(uint8_t *bits, const uint32_t *counts, int symbols, int most)
{
    node nodes[2 * LITERALS];
    uint16_t depth[2 * LITERALS];
    int at_depth[LITERALS] = {0}, deepest = 1, leaves = sort_leaves(nodes, counts, symbols);
    for (int symbol = 0; symbol < symbols; symbol++) {
        bits[symbol] = 0;
    }
    if (leaves == 1) {
        bits[nodes[0].symbol] = 1;
        return;
    }
    join_nodes(nodes, leaves);
    depth[2 * leaves - 2] = 0;
    for (int i = 2 * leaves - 3; i >= 0; i--) {
        depth[i] = (uint16_t)(depth[nodes[i].parent] + 1);
        if (i < leaves) {
            at_depth[depth[i]]++;
            deepest = depth[i] > deepest ? depth[i] : deepest;
        }
    }
    if (deepest > most) {
        limit_depths(at_depth, deepest, most);
    }
    int leaf = 0; /* the lightest get the longest codes */
    for (int length = deepest > most ? most : deepest; length > 0; length--) {
        for (int n = 0; n < at_depth[length]; n++) {
            bits[nodes[leaf++].symbol] = (uint8_t)length;
        }
    }
}

/* The canonical codes of the bits (RFC 1951, 3.2.2). */
static void choose_codes(code_table *table, int symbols)
{
    uint32_t next = 0;
    for (int length = 1; length <= MAX_BITS; length++) {
        next <<= 1;
        for (int symbol = 0; symbol < symbols; symbol++) {
            if (table->bits[symbol] == length) {
                uint32_t turned = 0;
                for (int bit = 0; bit < length; bit++) {
                    turned |= (next >> bit & 1) << (length - 1 - bit);
                }
                table->code[symbol] = (uint16_t)turned;
                next++;
            }
        }
    }
}

static inline void put_symbol(bit_writer *w, const code_table *table, int symbol)
{
    put(w, table->code[symbol], table->bits[symbol]);
}

/* ---- runs ---- */

/* The code of a match of `length` bytes, 3 .. 258, its extra bits and their number (RFC 1951, 3.2.5). */
static int length_code(int length, int *extra_bits, int *extra)
{
    int past = length - LEAST_MATCH, bits = 0;
    if (length == MOST_RUN) {
        *extra_bits = *extra = 0;
        return 285;
    }
    while (past >> bits >= 8) {
        bits++;
    }
    *extra_bits = bits;
    *extra = past & ((1 << bits) - 1);
    return 257 + 4 * bits + (past >> bits);
}

/* How often bytes[at] follows itself from at + 1 on, up to a match's most; 0 for less than LEAST_RUN. */
static inline int run_after(const uint8_t *bytes, size_t at, size_t size)
{
    uint64_t next;
    int run = LEAST_RUN;
    if (at + LEAST_RUN >= size) {
        return 0;
    }
    memcpy(&next, bytes + at + 1, sizeof next);
    if (next != bytes[at] * 0x0101010101010101u) {
        return 0;
    }
    while (run < MOST_RUN && at + 1 + (size_t)run < size && bytes[at + 1 + (size_t)run] == bytes[at]) {
        run++;
    }
    return run;
}

/* In tables by turns: the next count of a byte need not wait for the last one. */
static void count_symbols(uint32_t *counts, const uint8_t *bytes, size_t size)
{
    enum { TURNS = 4 };
    int extra_bits, extra;
    uint32_t by_turns[TURNS][END] = {{0}};
    memset(counts, 0, LITERALS * sizeof *counts);
    counts[END] = 1;
    for (size_t at = 0; at < size; at++) {
        by_turns[at % TURNS][bytes[at]]++;
        int run = run_after(bytes, at, size);
        if (run > 0) {
            counts[length_code(run, &extra_bits, &extra)]++;
            at += (size_t)run;
        }
    }
    for (int byte = 0; byte < END; byte++) {
        for (int turn = 0; turn < TURNS; turn++) {
            counts[byte] += by_turns[turn][byte];
        }
    }
}

static void put_bytes(bit_writer *to, const code_table *table, const uint8_t *bytes, size_t size)
{
    bit_writer w = *to; /* in registers */
    for (size_t at = 0; at < size; at++) {
        int run = run_after(bytes, at, size);
        if (run == 0 && at + 1 < size && run_after(bytes, at + 1, size) == 0) { /* two literals together */
            uint8_t first = bytes[at], second = bytes[++at];
            put(&w, table->code[first] | (uint32_t)table->code[second] << table->bits[first],
                table->bits[first] + table->bits[second]);
            continue;
        }
        put_symbol(&w, table, bytes[at]);
        if (run > 0) {
            int extra_bits, extra;
            put_symbol(&w, table, length_code(run, &extra_bits, &extra));
            put(&w, (uint32_t)extra, extra_bits);
            put(&w, 0, 1); /* distance 1, the only code of distances */
            at += (size_t)run;
        }
    }
    put_symbol(&w, table, END);
    *to = w;
}

/* ---- blocks ---- */

/* Bits of the bytes with these codes; of lengths' extra bits at most. */
static size_t coded_bits(const uint8_t *bits, const uint32_t *counts)
{
    size_t total = 0;
    for (int symbol = 0; symbol < LITERALS; symbol++) {
        total += (size_t)counts[symbol] * (bits[symbol] + (symbol > END ? 6u : 0u));
    }
    return total;
}

/*
 * The codes' bits, themselves in a code. Runs in them are not made use of: that is 290 numbers of two or
 * three bits, some 80 bytes a block. The last is the one code of distances: one bit.
 */
static void put_header(bit_writer *w, const code_table *table)
{
    static const uint8_t order[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    code_table lengths = {0};
    uint32_t counts[LENGTHS] = {0};
    for (int symbol = 0; symbol < LITERALS; symbol++) {
        counts[table->bits[symbol]]++;
    }
    counts[1]++;
    choose_bits(lengths.bits, counts, LENGTHS, MAX_LENGTH_BITS);
    choose_codes(&lengths, LENGTHS);
    put(w, LITERALS - 257, 5);
    put(w, 0, 5); /* one code of distances */
    put(w, LENGTHS - 4, 4);
    for (int i = 0; i < LENGTHS; i++) {
        put(w, lengths.bits[order[i]], 3);
    }
    for (int symbol = 0; symbol < LITERALS; symbol++) {
        put_symbol(w, &lengths, table->bits[symbol]);
    }
    put_symbol(w, &lengths, 1);
}

enum { HEADER_BITS = 3 + 14 + 3 * LENGTHS + MAX_LENGTH_BITS * (LITERALS + 1) };

static void put_block(bit_writer *w, const uint8_t *bytes, size_t size, bool last)
{
    uint32_t counts[LITERALS];
    code_table table;
    count_symbols(counts, bytes, size);
    choose_bits(table.bits, counts, LITERALS, MAX_BITS);
    put(w, last, 1);
    if (coded_bits(table.bits, counts) + HEADER_BITS >= size * 8) {
        put(w, 0, 2);
        align(w);
        put(w, (uint32_t)size, 16);
        put(w, (uint32_t)size ^ 0xffffu, 16);
        align(w);
        memcpy(w->to, bytes, size);
        w->to += size;
        return;
    }
    choose_codes(&table, LITERALS);
    put(w, 2, 2);
    put_header(w, &table);
    put_bytes(w, &table, bytes, size);
}

/* RFC 1950, 9: a is one more than the sum of the bytes, b the sum of all a's. */
static uint32_t adler32(const uint8_t *bytes, size_t size)
{
    enum { GROUP = 16, MOST = 5552 /* sums of so many bytes fit in 32 bits */, PRIME = 65521 };
    uint32_t a = 1, b = 0;
    for (size_t begin = 0; begin < size;) {
        size_t end = size - begin > MOST ? begin + MOST : size;
        for (; end - begin >= GROUP; begin += GROUP) {
            uint32_t sum = 0, steps = 0;
            for (uint32_t i = 0; i < GROUP; i++) {
                sum += bytes[begin + i];
                steps += (GROUP - i) * bytes[begin + i];
            }
            b += GROUP * a + steps;
            a += sum;
        }
        for (; begin < end; begin++) {
            a += bytes[begin];
            b += a;
        }
        a %= PRIME;
        b %= PRIME;
    }
    return b << 16 | a;
}

size_t sa_deflate_bound(size_t size)
{
    return size + (size / BLOCK + 1) * 5 + 8; /* every block stored; the stream's head, sum and last bits */
}

size_t sa_deflate(uint8_t *to, const uint8_t *bytes, size_t size)
{
    bit_writer w = {.to = to};
    put(&w, 0x78, 8); /* deflate, window of 32 KiB */
    put(&w, 0x01, 8);
    for (size_t begin = 0; begin < size || begin == 0; begin += BLOCK) {
        size_t rest = size - begin;
        put_block(&w, bytes + begin, rest < BLOCK ? rest : BLOCK, rest <= BLOCK);
    }
    align(&w);
    uint32_t sum = adler32(bytes, size);
    for (int byte = 3; byte >= 0; byte--) {
        put(&w, sum >> (8 * byte) & 0xff, 8);
    }
    align(&w);
    size_t made = (size_t)(w.to - to);
    SA_ASSERT(made <= sa_deflate_bound(size));
    return made;
}
