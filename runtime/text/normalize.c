/*
 * One function for each kind of step, all alike: read the text, append what becomes of it to another buffer.
 * sa_normalize swaps the two between steps.
 */
#include "runtime/text/normalize.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "runtime/base/utf8.h"
#include "runtime/text/old_unicode.h"

void sa_normalizer_free(sa_normalizer *step)
{
    free(step->text);
    sa_pattern_free(step->pattern);
    sa_charsmap_free(&step->map);
    *step = (sa_normalizer){0};
}

bool sa_is_white(uint32_t code)
{
    return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 || code == 0xa0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f ||
           code == 0x205f || code == 0x3000;
}

/* -- Bytes as letters -- */

/* The bytes that are printable in Latin-1 stand for themselves; the 68 others follow from U+0100 on. */
static bool is_own_letter(uint32_t code)
{
    return (code >= 0x21 && code <= 0x7e) || (code >= 0xa1 && code <= 0xac) || (code >= 0xae && code <= 0xff);
}

size_t sa_byte_letter(unsigned char byte, unsigned char *letter)
{
    uint32_t code = byte;
    if (!is_own_letter(code)) {
        code = byte <= 0x20 ? 0x100u + byte : byte <= 0xa0 ? 0x121u + (byte - 0x7fu) : 0x143u;
    }
    return sa_utf8_encode(code, letter);
}

int sa_byte_of_letter(uint32_t letter)
{
    if (letter < 0x100) {
        return is_own_letter(letter) ? (int)letter : -1;
    }
    if (letter > 0x143) {
        return -1;
    }
    return letter == 0x143 ? 0xad : letter <= 0x120 ? (int)(letter - 0x100) : (int)(letter - 0x121 + 0x7f);
}

void sa_append_letters(sa_text *text, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char letter[2];
        sa_text_append(text, letter, sa_byte_letter((unsigned char)bytes[i], letter));
    }
}

/* -- Unicode's normal forms -- */

static bool is_ascii(const sa_text *text)
{
    for (size_t i = 0; i < text->size; i++) {
        if ((text->bytes[i] & 0x80) != 0) {
            return false;
        }
    }
    return true;
}

/* Puts what `code` decomposes to into `out`, which has room for `most`; returns how many. */
static size_t decompose_one(uint32_t code, utf8proc_option_t options, bool old, utf8proc_int32_t *out,
                            size_t most)
{
    if (old && sa_is_new_character(code)) {
        out[0] = (utf8proc_int32_t)code;
        return 1;
    }
    int boundary = 0;
    utf8proc_ssize_t got =
        utf8proc_decompose_char((utf8proc_int32_t)code, out, (utf8proc_ssize_t)most, options, &boundary);
    SA_ASSERT(got >= 0 && (size_t)got <= most);
    return (size_t)got;
}

/* The decomposed characters of `text`, in a malloc'd array; NULL if there is no memory. */
static utf8proc_int32_t *decompose(const sa_text *text, utf8proc_option_t options, bool old, size_t *count)
{
    enum { MOST_OF_ONE = 32 }; /* U+FDFA has 18 */
    utf8proc_int32_t *codes = NULL;
    size_t room = 0;
    *count = 0;
    for (size_t i = 0; i < text->size;) {
        const unsigned char *at = (const unsigned char *)text->bytes + i;
        size_t length = sa_utf8_length(at, text->size - i);
        length = length > 0 ? length : 1;
        utf8proc_int32_t *grown = sa_grow(codes, &room, *count + MOST_OF_ONE, sizeof *codes);
        if (grown == NULL) {
            free(codes);
            return NULL;
        }
        codes = grown;
        *count += decompose_one(sa_utf8_decode(at, length), options, old, codes + *count, MOST_OF_ONE);
        i += length;
    }
    return codes;
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/*
 * The canonical order: runs of combining characters sorted by class, equal ones as they stood. utf8proc's own
 * sorting takes quadratic time on long runs.
 */
static bool put_in_order(utf8proc_int32_t *codes, size_t count, bool old)
{
    uint64_t *keys = malloc((count + 1) * sizeof *keys);
    if (keys == NULL) {
        return false;
    }
    for (size_t begin = 0; begin < count;) {
        size_t end = begin;
        bool sorted = true;
        for (; end < count; end++) {
            uint64_t class = (uint64_t)utf8proc_get_property(codes[end])->combining_class;
            if (class == 0 || (old && sa_is_new_character((uint32_t)codes[end]))) {
                break;
            }
            /* class, then place, then the character: 8, 32 and 21 bits */
            keys[end - begin] = class << 53 | (uint64_t)(end - begin) << 21 | (uint64_t)codes[end];
            sorted = sorted && (end == begin || keys[end - begin - 1] < keys[end - begin]);
        }
        if (!sorted) {
            qsort(keys, end - begin, sizeof *keys, compare_keys);
            for (size_t i = begin; i < end; i++) {
                codes[i] = (utf8proc_int32_t)(keys[i - begin] & 0x1fffff);
            }
        }
        begin = end + 1;
    }
    free(keys);
    return true;
}

static void append_codes(const utf8proc_int32_t *codes, size_t count, sa_text *out)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char bytes[4];
        sa_text_append(out, bytes, sa_utf8_encode((uint32_t)codes[i], bytes));
    }
}

/* Characters that stand alone: nothing composes with them, or across them. */
static bool stands_alone(utf8proc_int32_t code, bool old)
{
    enum { HANGUL_T_BASE = 0x11a7 }; /* utf8proc 2.8 takes it for the last part of a syllable and drops it */
    return code == HANGUL_T_BASE || (old && sa_is_new_character((uint32_t)code));
}

/* Composes the stretches between characters that stand alone, and appends all. */
static void append_composed(utf8proc_int32_t *codes, size_t count, bool old, sa_text *out)
{
    for (size_t begin = 0; begin < count;) {
        size_t end = begin;
        while (end < count && !stands_alone(codes[end], old)) {
            end++;
        }
        utf8proc_ssize_t left = utf8proc_normalize_utf32(codes + begin, (utf8proc_ssize_t)(end - begin),
                                                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        SA_ASSERT(left >= 0);
        append_codes(codes + begin, (size_t)left, out);
        append_codes(codes + end, end < count ? 1 : 0, out);
        begin = end + 1;
    }
}

/*
 * Decompose, order, compose. ASCII is in every form already, which spares most texts the work.
 */
static void to_form(const sa_normalizer *step, const sa_text *text, sa_text *out)
{
    bool compatible = step->kind == SA_NORMALIZE_NFKC || step->kind == SA_NORMALIZE_NFKD;
    bool compose = step->kind == SA_NORMALIZE_NFC || step->kind == SA_NORMALIZE_NFKC;
    bool old = step->old_unicode;
    if (is_ascii(text)) {
        sa_text_append(out, text->bytes, text->size);
        return;
    }
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
    size_t count = 0;
    utf8proc_int32_t *codes = decompose(text, options, old, &count);
    if (codes == NULL || !put_in_order(codes, count, old)) {
        free(codes);
        out->failed = true;
        return;
    }
    if (compose) {
        append_composed(codes, count, old, out);
    } else {
        append_codes(codes, count, out);
    }
    free(codes);
}

/* -- Character by character -- */

static void append_lower(sa_text *out, uint32_t code)
{
    unsigned char bytes[4];
    if (code == 0x130) { /* the only one that becomes two: i and a dot above */
        sa_text_append(out, "i\xcc\x87", 3);
        return;
    }
    sa_text_append(out, bytes, sa_utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)code), bytes));
}

static bool is_mark(uint32_t code)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
           category == UTF8PROC_CATEGORY_ME;
}

static void each_character(const sa_text *text, sa_normalizer_kind kind, sa_text *out)
{
    for (size_t i = 0; i < text->size;) {
        const unsigned char *at = (const unsigned char *)text->bytes + i;
        size_t length = sa_utf8_length(at, text->size - i);
        SA_ASSERT(length > 0);
        uint32_t code = sa_utf8_decode(at, length);
        if (kind == SA_NORMALIZE_LOWERCASE) {
            append_lower(out, code);
        } else if (!is_mark(code)) {
            sa_text_append(out, at, length);
        }
        i += length;
    }
}

/* White space off the ends, character by character. */
static void strip(const sa_normalizer *step, const sa_text *text, sa_text *out)
{
    const unsigned char *bytes = (const unsigned char *)text->bytes;
    size_t begin = 0;
    size_t end = text->size;
    while (step->left && begin < end) {
        size_t length = sa_utf8_length(bytes + begin, end - begin);
        SA_ASSERT(length > 0);
        if (!sa_is_white(sa_utf8_decode(bytes + begin, length))) {
            break;
        }
        begin += length;
    }
    while (step->right && begin < end) {
        size_t last = end - 1;
        while (last > begin && (bytes[last] & 0xc0) == 0x80) {
            last--;
        }
        if (!sa_is_white(sa_utf8_decode(bytes + last, end - last))) {
            break;
        }
        end = last;
    }
    sa_text_append(out, text->bytes + begin, end - begin);
}

/* Every match of the pattern by the text, which may be empty. */
static sa_status replace(const sa_normalizer *step, const sa_text *text, sa_text *out, sa_error *err)
{
    sa_matches matches = sa_matches_on(step->pattern, text->bytes, text->size);
    size_t done = 0;
    bool found = true;
    sa_status status = SA_OK;
    while (status == SA_OK && found) {
        status = sa_matches_next(&matches, &found, err);
        if (status == SA_OK && found) {
            sa_text_append(out, text->bytes + done, matches.begin - done);
            sa_text_append(out, step->text, strlen(step->text));
            done = matches.end;
        }
    }
    sa_matches_end(&matches);
    sa_text_append(out, text->bytes + done, text->size - done);
    return status;
}

/* -- Precompiled maps -- */

/* Bytes of the grapheme at `at`. */
static size_t grapheme_length(const unsigned char *at, size_t left)
{
    size_t length = sa_utf8_length(at, left);
    SA_ASSERT(length > 0);
    uint32_t code = sa_utf8_decode(at, length);
    utf8proc_int32_t state = 0;
    while (length < left) {
        size_t next = sa_utf8_length(at + length, left - length);
        SA_ASSERT(next > 0);
        uint32_t next_code = sa_utf8_decode(at + length, next);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)code, (utf8proc_int32_t)next_code, &state)) {
            break;
        }
        code = next_code;
        length += next;
    }
    return length;
}

/* Short graphemes as a whole if a rule begins like them, the characters of others one by one. */
static void map_graphemes(const sa_charsmap *map, const sa_text *text, sa_text *out)
{
    enum { MOST_WHOLE = 5 };
    for (size_t i = 0; i < text->size;) {
        const char *at = text->bytes + i;
        size_t size = grapheme_length((const unsigned char *)at, text->size - i);
        const char *replacement = NULL;
        if (size <= MOST_WHOLE && sa_charsmap_find(map, at, size, true, &replacement) > 0) {
            sa_text_append(out, replacement, strlen(replacement));
            i += size;
            continue;
        }
        for (size_t end = i + size; i < end;) {
            at = text->bytes + i;
            size_t length = sa_utf8_length((const unsigned char *)at, end - i);
            bool known = sa_charsmap_find(map, at, length, true, &replacement) > 0;
            sa_text_append(out, known ? replacement : at, known ? strlen(replacement) : length);
            i += length;
        }
    }
}

/* What SentencePiece makes of the beginning of bytes[0, size): its length there, and what stands for it. */
static size_t sentencepiece_prefix(const sa_normalizer *step, const char *bytes, size_t size,
                                   const char **out, size_t *out_size)
{
    uint32_t unused = 0;
    size_t length = sa_trie_longest(step->kept, bytes, size, &unused);
    *out = bytes;
    *out_size = length;
    if (length > 0) {
        return length;
    }
    length = sa_charsmap_find(&step->map, bytes, size, false, out);
    if (length > 0) {
        *out_size = strlen(*out);
        return length;
    }
    length = sa_utf8_length((const unsigned char *)bytes, size);
    *out = length > 0 ? bytes : "\xef\xbf\xbd"; /* one U+FFFD for each byte that is no UTF-8 */
    *out_size = length > 0 ? length : 3;
    return length > 0 ? length : 1;
}

static void append_blank(const sa_normalizer *step, sa_text *out)
{
    sa_text_append(out, step->escape ? "\xe2\x96\x81" : " ", step->escape ? 3 : 1);
}

static void append_escaped(const sa_normalizer *step, const char *bytes, size_t size, sa_text *out)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == ' ') {
            append_blank(step, out);
        } else {
            sa_text_append(out, bytes + i, 1);
        }
    }
}

static void drop_last_blanks(const sa_normalizer *step, sa_text *out)
{
    const char *blank = step->escape ? "\xe2\x96\x81" : " ";
    size_t size = strlen(blank);
    while (out->size >= size && memcmp(out->bytes + out->size - size, blank, size) == 0) {
        out->size -= size;
    }
}

/*
 * SentencePiece's whole normaliser: rules by the longest beginning, blanks in front, doubled and behind
 * dropped if asked for, and the blank that is put in front of (or behind) every text.
 */
static void sentencepiece(const sa_normalizer *step, const sa_text *text, sa_text *out)
{
    const char *piece = NULL;
    size_t size = 0;
    size_t i = 0;
    while (step->remove_extra && i < text->size) {
        size_t length = sentencepiece_prefix(step, text->bytes + i, text->size - i, &piece, &size);
        if (size != 1 || piece[0] != ' ') {
            break;
        }
        i += length;
    }
    if (i == text->size) {
        return;
    }
    if (step->dummy_prefix && !step->as_suffix) {
        append_blank(step, out);
    }
    bool after_blank = step->remove_extra;
    while (i < text->size) {
        i += sentencepiece_prefix(step, text->bytes + i, text->size - i, &piece, &size);
        while (after_blank && size > 0 && piece[0] == ' ') {
            piece++;
            size--;
        }
        if (size > 0) {
            append_escaped(step, piece, size, out);
            after_blank = piece[size - 1] == ' ';
        }
        after_blank = after_blank && step->remove_extra;
    }
    if (step->remove_extra) {
        drop_last_blanks(step, out);
    }
    if (step->dummy_prefix && step->as_suffix) {
        append_blank(step, out);
    }
}

/* -- All steps -- */

static sa_status run(const sa_normalizer *step, const sa_text *text, sa_text *out, sa_error *err)
{
    switch (step->kind) {
    case SA_NORMALIZE_NFC:
    case SA_NORMALIZE_NFD:
    case SA_NORMALIZE_NFKC:
    case SA_NORMALIZE_NFKD: to_form(step, text, out); break;
    case SA_NORMALIZE_LOWERCASE:
    case SA_NORMALIZE_STRIP_ACCENTS: each_character(text, step->kind, out); break;
    case SA_NORMALIZE_STRIP: strip(step, text, out); break;
    case SA_NORMALIZE_PREPEND:
        sa_text_append(out, step->text, strlen(step->text));
        sa_text_append(out, text->bytes, text->size);
        break;
    case SA_NORMALIZE_REPLACE: return replace(step, text, out, err);
    case SA_NORMALIZE_BYTES: sa_append_letters(out, text->bytes, text->size); break;
    case SA_NORMALIZE_CHARSMAP: map_graphemes(&step->map, text, out); break;
    case SA_NORMALIZE_SENTENCEPIECE: sentencepiece(step, text, out); break;
    }
    return SA_OK;
}

sa_status sa_normalize(const sa_normalizer *steps, size_t count, sa_text *text, sa_text *other, sa_error *err)
{
    for (size_t i = 0; i < count && text->size > 0 && !text->failed && !other->failed; i++) {
        sa_text_clear(other);
        SA_TRY(run(&steps[i], text, other, err));
        sa_text swapped = *text;
        *text = *other;
        *other = swapped;
    }
    return SA_OK;
}
