/* Words of PTX text. See ptx_lex.h. */
#include "tests/gpusim/ptx_lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IS_NAME = 1, IS_DIGIT = 2, IS_HEX = 4, IS_SPACE = 8 };

static const unsigned char classes[256] = {
    ['0' ... '9'] = IS_NAME | IS_DIGIT | IS_HEX,
    ['a' ... 'f'] = IS_NAME | IS_HEX,
    ['A' ... 'F'] = IS_NAME | IS_HEX,
    ['g' ... 'z'] = IS_NAME,
    ['G' ... 'Z'] = IS_NAME,
    ['_'] = IS_NAME,
    ['$'] = IS_NAME,
    [' '] = IS_SPACE,
    ['\t'] = IS_SPACE,
    ['\r'] = IS_SPACE,
    ['\f'] = IS_SPACE,
    ['\v'] = IS_SPACE,
};

static bool is(char c, unsigned char class)
{
    return (classes[(unsigned char)c] & class) != 0;
}

/* ---- names ---- */

ptx_name *ptx_find_name(const ptx_lexer *lexer, const char *text, size_t length)
{
    uint32_t hash = sim_hash(text, length);
    for (ptx_name *name = lexer->buckets[hash & (lexer->bucket_count - 1)]; name != NULL; name = name->next) {
        if (name->hash == hash && name->length == length && memcmp(name->text, text, length) == 0) {
            return name;
        }
    }
    return NULL;
}

static void rehash(ptx_lexer *lexer)
{
    uint32_t count = lexer->bucket_count * 4;
    ptx_name **buckets = sim_calloc(count, sizeof(*buckets));
    for (uint32_t i = 0; i < lexer->bucket_count; i++) {
        for (ptx_name *name = lexer->buckets[i], *next; name != NULL; name = next) {
            next = name->next;
            name->next = buckets[name->hash & (count - 1)];
            buckets[name->hash & (count - 1)] = name;
        }
    }
    free(lexer->buckets);
    lexer->buckets = buckets;
    lexer->bucket_count = count;
}

ptx_name *ptx_intern(ptx_lexer *lexer, const char *text, size_t length)
{
    ptx_name *name = ptx_find_name(lexer, text, length);
    if (name != NULL) {
        return name;
    }
    if (lexer->name_count++ > lexer->bucket_count) {
        rehash(lexer);
    }
    name = sim_arena_take(lexer->arena, sizeof(*name) + length + 1);
    name->hash = sim_hash(text, length);
    name->length = (uint32_t)length;
    memcpy(name->text, text, length);
    ptx_name **bucket = &lexer->buckets[name->hash & (lexer->bucket_count - 1)];
    name->next = *bucket;
    *bucket = name;
    return name;
}

/* ---- failures ---- */

bool ptx_fail(ptx_lexer *lexer, const char *format, ...)
{
    if (!lexer->failed && lexer->error_size > 0) {
        int n = snprintf(lexer->error, lexer->error_size, "PTX line %u: ", lexer->token.line);
        if (n > 0 && (size_t)n < lexer->error_size) {
            va_list arguments;
            va_start(arguments, format);
            vsnprintf(lexer->error + n, lexer->error_size - (size_t)n, format, arguments);
            va_end(arguments);
        }
        for (char *c = lexer->error; *c != '\0'; c++) { /* one line, whatever the text holds */
            *c = (unsigned char)*c < ' ' ? ' ' : *c;
        }
    }
    lexer->failed = true;
    lexer->at = lexer->end;
    lexer->token = (ptx_token){.kind = PTX_T_END, .line = lexer->token.line};
    return false;
}

bool ptx_fail_expected(ptx_lexer *lexer, const char *what)
{
    const ptx_token *token = &lexer->token;
    if (token->kind == PTX_T_END) {
        return ptx_fail(lexer, "expected %s before the end of the text", what);
    }
    int length = token->length > 60 ? 60 : (int)token->length;
    return ptx_fail(lexer, "expected %s before `%.*s`", what, length, token->begin);
}

/* ---- words ---- */

/* Skips blanks and comments. An open comment at the end of the text is a failure. */
static void skip_blanks(ptx_lexer *lexer)
{
    while (lexer->at < lexer->end) {
        char c = *lexer->at;
        if (c == '\n') {
            lexer->line++;
            lexer->at++;
        } else if (is(c, IS_SPACE)) {
            lexer->at++;
        } else if (c == '/' && lexer->at[1] == '/') {
            char *stop = memchr(lexer->at, '\n', (size_t)(lexer->end - lexer->at));
            lexer->at = stop == NULL ? lexer->end : stop;
        } else if (c == '/' && lexer->at[1] == '*') {
            lexer->at += 2;
            while (lexer->at < lexer->end && !(lexer->at[0] == '*' && lexer->at[1] == '/')) {
                lexer->line += *lexer->at++ == '\n';
            }
            if (lexer->at == lexer->end) {
                ptx_fail(lexer, "a comment without end");
                return;
            }
            lexer->at += 2;
        } else {
            return;
        }
    }
}

/* [A-Za-z0-9_$]+, and for modifiers parts joined by "::". Leaves lexer->at behind it. */
static void read_name(ptx_lexer *lexer, bool with_colons)
{
    char *begin = lexer->at;
    char *at = begin + 1; /* the caller has looked at the first character, which may be % */
    for (;;) {
        while (is(*at, IS_NAME)) {
            at++;
        }
        if (!with_colons || at[0] != ':' || at[1] != ':' || !is(at[2], IS_NAME)) {
            break;
        }
        at += 2;
    }
    /* %tid.x is one name: a component of a register that starts with % */
    if (*begin == '%' && at[0] == '.' && at[1] >= 'w' && at[1] <= 'z' && !is(at[2], IS_NAME)) {
        at += 2;
    }
    lexer->at = at;
    lexer->token.name = ptx_intern(lexer, begin, (size_t)(at - begin));
}

/* The digits of a literal in base 2, 8, 10 or 16. False: none, or too many for 64 bits. */
static bool read_digits(ptx_lexer *lexer, unsigned base)
{
    char *begin = lexer->at;
    uint64_t value = 0;
    bool fits = true;
    while (is(*lexer->at, IS_HEX)) {
        char c = *lexer->at;
        unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 32) - 'a' + 10);
        if (digit >= base) {
            break;
        }
        fits = fits && !__builtin_mul_overflow(value, (uint64_t)base, &value) &&
               !__builtin_add_overflow(value, (uint64_t)digit, &value);
        lexer->at++;
    }
    lexer->token.value = value;
    return lexer->at > begin && fits;
}

static void read_decimal_float(ptx_lexer *lexer)
{
    char *stop = NULL;
    double value = strtod(lexer->at, &stop); /* the copy ends with NUL */
    memcpy(&lexer->token.value, &value, 8);
    lexer->token.kind = PTX_T_F64;
    lexer->at = stop;
}

static bool is_decimal_float(const char *at)
{
    while (is(*at, IS_DIGIT)) {
        at++;
    }
    return (*at == '.' && is(at[1], IS_DIGIT)) || *at == 'e' || *at == 'E' ||
           (*at == '.' && !is(at[1], IS_NAME));
}

/* 0fXXXXXXXX and 0dXXXXXXXXXXXXXXXX: exactly the digits of the format. */
static bool read_bits(ptx_lexer *lexer, uint32_t digits, ptx_token_kind kind)
{
    lexer->at += 2;
    char *begin = lexer->at;
    lexer->token.kind = kind;
    return read_digits(lexer, 16) && lexer->at - begin == digits;
}

static void read_number(ptx_lexer *lexer)
{
    char *at = lexer->at;
    char kind = at[0] == '0' ? (char)(at[1] | 32) : '\0';
    bool ok = true;
    lexer->token.kind = PTX_T_INTEGER;
    if (kind == 'f') {
        ok = read_bits(lexer, 8, PTX_T_F32);
    } else if (kind == 'd') {
        ok = read_bits(lexer, 16, PTX_T_F64);
    } else if (kind == 'x' || kind == 'b') {
        lexer->at += 2;
        ok = read_digits(lexer, kind == 'x' ? 16 : 2);
    } else if (is_decimal_float(at)) {
        read_decimal_float(lexer);
    } else {
        ok = read_digits(lexer, at[0] == '0' && is(at[1], IS_DIGIT) ? 8 : 10);
    }
    if (lexer->token.kind == PTX_T_INTEGER && (*lexer->at == 'U' || *lexer->at == 'u')) {
        lexer->at++;
    }
    if (!ok || is(*lexer->at, IS_NAME)) {
        while (is(*lexer->at, IS_NAME)) {
            lexer->at++;
        }
        ptx_fail(lexer, "`%.*s` is no number", (int)(lexer->at - at > 60 ? 60 : lexer->at - at), at);
    }
}

static void read_string(ptx_lexer *lexer)
{
    char *begin = ++lexer->at;
    while (lexer->at < lexer->end && *lexer->at != '"' && *lexer->at != '\n') {
        lexer->at += *lexer->at == '\\' && lexer->at + 1 < lexer->end && lexer->at[1] != '\n' ? 2 : 1;
    }
    if (lexer->at >= lexer->end || *lexer->at != '"') {
        ptx_fail(lexer, "a string without end");
        return;
    }
    lexer->token.kind = PTX_T_STRING;
    lexer->token.begin = begin;
    lexer->token.length = (uint32_t)(lexer->at++ - begin);
}

static void read_word(ptx_lexer *lexer)
{
    char *begin = lexer->at;
    char c = *begin;
    if (is(c, IS_DIGIT)) {
        read_number(lexer);
    } else if (is(c, IS_NAME) || (c == '%' && is(begin[1], IS_NAME))) {
        lexer->token.kind = PTX_T_NAME;
        read_name(lexer, false);
    } else if (c == '.' && is(begin[1], IS_NAME)) {
        lexer->token.kind = PTX_T_DOT;
        lexer->at++;
        read_name(lexer, true);
    } else if (strchr("{}()[]<>,;:@!|+-*/%&^~=?", c) != NULL) {
        lexer->token.kind = PTX_T_PUNCT;
        lexer->token.punct = c;
        lexer->at++;
    } else if ((unsigned char)c > ' ' && (unsigned char)c < 127) {
        ptx_fail(lexer, "unexpected character `%c`", c);
        return;
    } else {
        ptx_fail(lexer, "unexpected byte 0x%02x", (unsigned char)c);
        return;
    }
    lexer->token.length = (uint32_t)(lexer->at - begin);
}

void ptx_next(ptx_lexer *lexer)
{
    if (!lexer->failed) {
        skip_blanks(lexer);
    }
    lexer->token = (ptx_token){
        .kind = PTX_T_END, .begin = lexer->at, .line = lexer->failed ? lexer->token.line : lexer->line};
    if (lexer->at >= lexer->end) {
        return;
    }
    if (*lexer->at == '"') {
        read_string(lexer);
    } else if (*lexer->at == '\0') { /* strchr would find it */
        ptx_fail(lexer, "unexpected byte 0x00");
    } else {
        read_word(lexer);
    }
}

bool ptx_is_dot(const ptx_lexer *lexer, const char *name)
{
    return lexer->token.kind == PTX_T_DOT && strcmp(lexer->token.name->text, name) == 0;
}

bool ptx_accept(ptx_lexer *lexer, char punct)
{
    bool there = ptx_is(lexer, punct);
    if (there) {
        ptx_next(lexer);
    }
    return there;
}

bool ptx_accept_dot(ptx_lexer *lexer, const char *name)
{
    bool there = ptx_is_dot(lexer, name);
    if (there) {
        ptx_next(lexer);
    }
    return there;
}

bool ptx_expect(ptx_lexer *lexer, char punct)
{
    char what[] = {'`', punct, '`', '\0'};
    return ptx_accept(lexer, punct) || ptx_fail_expected(lexer, what);
}

void ptx_lex_open(ptx_lexer *lexer, sim_arena *arena, const char *text, size_t length, char *error,
                  size_t error_size)
{
    while (length > 0 && text[length - 1] == '\0') { /* fat binaries pad the text */
        length--;
    }
    enum { PAD = 4 }; /* words are recognised by looking up to two characters ahead */
    char *copy = sim_arena_take(arena, length + PAD);
    memcpy(copy, text, length);
    *lexer = (ptx_lexer){.arena = arena,
                         .at = copy,
                         .end = copy + length,
                         .line = 1,
                         .error = error,
                         .error_size = error_size,
                         .bucket_count = 1024};
    lexer->buckets = sim_calloc(lexer->bucket_count, sizeof(*lexer->buckets));
    lexer->token.line = 1;
    if (error_size > 0) {
        error[0] = '\0';
    }
    ptx_next(lexer);
}

void ptx_lex_close(ptx_lexer *lexer)
{
    free(lexer->buckets);
    lexer->buckets = NULL;
}
