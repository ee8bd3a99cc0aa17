/*
 * Words of PTX text, one at a time; the parser's files (ptx_parse.h) alone use it. Names are interned: one
 * ptx_name per spelling, which also carries what the parser knows about the name at this place of the text.
 */
#ifndef GPUSIM_PTX_LEX_H
#define GPUSIM_PTX_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/gpusim/arena.h"

struct ptx_binding;
struct ptx_label_place;

typedef struct ptx_name {
    struct ptx_name *next;
    uint32_t hash, length;
    struct ptx_binding *binding;    /* innermost declaration in force; NULL: none */
    struct ptx_label_place *labels; /* labels of this name in the function being parsed */
    uint32_t taken; /* number of the last function that has a variable or label of this name */
    char text[];
} ptx_name;

typedef enum {
    PTX_T_END = 0,
    PTX_T_NAME,    /* add, %r1, %tid.x, $L__BB0_1 */
    PTX_T_DOT,     /* .reg, .shared::cta: name without the first dot */
    PTX_T_INTEGER, /* value */
    PTX_T_F32,     /* 0f3F800000: value holds the bits */
    PTX_T_F64,     /* 0d... or 1.5: likewise */
    PTX_T_STRING,  /* begin, length: without the quotes, escapes as written */
    PTX_T_PUNCT,   /* punct */
} ptx_token_kind;

typedef struct {
    ptx_token_kind kind;
    char punct;
    ptx_name *name;
    char *begin; /* in the lexer's copy of the text */
    uint32_t length, line;
    uint64_t value;
} ptx_token;

typedef struct {
    sim_arena *arena;
    char *at, *end;
    uint32_t line;
    ptx_token token; /* the current word */
    ptx_name **buckets;
    uint32_t bucket_count, name_count;
    char *error;
    size_t error_size;
    bool failed;
} ptx_lexer;

/* Reads a copy of the text that the arena owns; the first word is current afterwards. */
void ptx_lex_open(ptx_lexer *lexer, sim_arena *arena, const char *text, size_t length, char *error,
                  size_t error_size);
void ptx_lex_close(ptx_lexer *lexer);
void ptx_next(ptx_lexer *lexer);

/* Keeps the first failure, with the current word's line. The text ends here for the parser. Returns false. */
bool ptx_fail(ptx_lexer *lexer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "expected WHAT before `WORD`" */
bool ptx_fail_expected(ptx_lexer *lexer, const char *what);

ptx_name *ptx_intern(ptx_lexer *lexer, const char *text, size_t length);
ptx_name *ptx_find_name(const ptx_lexer *lexer, const char *text, size_t length); /* NULL: never seen */

static inline bool ptx_is(const ptx_lexer *lexer, char punct)
{
    return lexer->token.kind == PTX_T_PUNCT && lexer->token.punct == punct;
}

bool ptx_is_dot(const ptx_lexer *lexer, const char *name); /* the current word is .name */
bool ptx_accept(ptx_lexer *lexer, char punct);             /* takes it if it is there */
bool ptx_accept_dot(ptx_lexer *lexer, const char *name);
bool ptx_expect(ptx_lexer *lexer, char punct);

#endif
