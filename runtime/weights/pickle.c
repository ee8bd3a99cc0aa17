/*
 * The pickle machine: a stack of values, a memo, and one small function per family of opcodes.
 *
 * Values live in one array and refer to each other by index, so shared and even circular structures cost
 * nothing to build or free. Every opcode makes at most one value and pushes at most one, so memory grows with
 * the file only.
 */
#include "runtime/weights/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/weights/pickle_line.h"

enum {
    MAX_STACK = 1 << 20,
    MAX_GLOBAL_NAME = 256,
};
static const uint32_t MARK = UINT32_MAX, UNSET = UINT32_MAX;

typedef struct {
    const char *path;
    const sa_pickle_dialect *dialect;
    const unsigned char *bytes;
    size_t size, at;
    sa_pickle *pickle;
    uint32_t *stack;
    size_t depth, stack_capacity;
    uint32_t *memo;
    size_t memo_count, memo_capacity; /* memo_count: the next index of MEMOIZE */
    bool stopped;
    sa_error *err;
} machine;

static sa_status bad(machine *m, const char *what)
{
    return sa_fail(m->err, SA_BAD_INPUT, m->path, m->dialect->damage, "its pickle, near byte %zu: %s", m->at,
                   what);
}

static sa_status no_room(machine *m)
{
    return sa_fail(m->err, SA_NO_ROOM, m->path, "free some memory", "no memory to read its pickle");
}

/* -- Memory -- */

/* Room for one more element of `element` bytes in *array, at most `most` of them. */
static sa_status reserve(machine *m, void **array, size_t count, size_t *capacity, size_t element,
                         size_t most)
{
    if (count < *capacity) {
        return SA_OK;
    }
    if (count >= most) {
        return bad(m, "it is larger than any file of its kind");
    }
    size_t wanted = *capacity != 0 ? 2 * *capacity : 8;
    void *grown = realloc(*array, wanted * element);
    if (grown == NULL) {
        return no_room(m);
    }
    *array = grown;
    *capacity = wanted;
    return SA_OK;
}

static sa_status push(machine *m, uint32_t index)
{
    void *stack = m->stack;
    SA_TRY(reserve(m, &stack, m->depth, &m->stack_capacity, sizeof *m->stack, MAX_STACK));
    m->stack = stack;
    m->stack[m->depth++] = index;
    return SA_OK;
}

/* A new value on top of the stack; *value stays valid until the next one is made. */
static sa_status push_new(machine *m, sa_pickle_kind kind, sa_pickle_value **value)
{
    sa_pickle *p = m->pickle;
    void *values = p->values;
    SA_TRY(reserve(m, &values, p->count, &p->capacity, sizeof *p->values, m->dialect->most));
    p->values = values;
    p->values[p->count] = (sa_pickle_value){.kind = kind};
    *value = &p->values[p->count++];
    return push(m, (uint32_t)(p->count - 1));
}

static sa_status push_plain(machine *m, sa_pickle_kind kind, int64_t number)
{
    sa_pickle_value *value = NULL;
    SA_TRY(push_new(m, kind, &value));
    value->number = number;
    return SA_OK;
}

static sa_pickle_value *value_at(machine *m, uint32_t index)
{
    return &m->pickle->values[index];
}

static sa_status add_item(machine *m, sa_pickle_value *to, uint32_t item)
{
    void *items = to->items;
    SA_TRY(reserve(m, &items, to->count, &to->capacity, sizeof *to->items, MAX_STACK));
    to->items = items;
    to->items[to->count++] = item;
    to->holds_storage = to->holds_storage || value_at(m, item)->holds_storage;
    return SA_OK;
}

/* -- The stack -- */

static sa_status pop(machine *m, uint32_t *index)
{
    if (m->depth == 0 || m->stack[m->depth - 1] == MARK) {
        return bad(m, "an opcode lacks its operand");
    }
    *index = m->stack[--m->depth];
    return SA_OK;
}

/* How many values stand above the last mark. */
static sa_status count_above_mark(machine *m, size_t *count)
{
    size_t n = 0;
    while (n < m->depth && m->stack[m->depth - 1 - n] != MARK) {
        n++;
    }
    if (n == m->depth) {
        return bad(m, "an opcode lacks its mark");
    }
    *count = n;
    return SA_OK;
}

static void drop_to_mark(machine *m, size_t count)
{
    m->depth -= count + 1;
}

/* The value that an opcode changes, under `above` others. */
static sa_status peek(machine *m, size_t above, uint32_t *index)
{
    if (m->depth <= above || m->stack[m->depth - 1 - above] == MARK) {
        return bad(m, "an opcode lacks its operand");
    }
    *index = m->stack[m->depth - 1 - above];
    return SA_OK;
}

/* -- Operands in the pickle's bytes -- */

static sa_status take(machine *m, size_t count, const unsigned char **bytes)
{
    if (count > m->size - m->at) {
        return bad(m, "it ends in the middle of an opcode");
    }
    *bytes = m->bytes + m->at;
    m->at += count;
    return SA_OK;
}

static sa_status take_number(machine *m, size_t width, uint64_t *number)
{
    const unsigned char *bytes = NULL;
    SA_TRY(take(m, width, &bytes));
    *number = 0;
    for (size_t i = width; i-- > 0;) {
        *number = *number << 8 | bytes[i];
    }
    return SA_OK;
}

/* A length of `width` bytes, then that many bytes. */
static sa_status take_counted(machine *m, size_t width, const unsigned char **bytes, size_t *length)
{
    uint64_t count = 0;
    SA_TRY(take_number(m, width, &count));
    if (count > m->size - m->at) {
        return bad(m, "a string is longer than the pickle");
    }
    *length = (size_t)count;
    return take(m, *length, bytes);
}

static sa_status take_line(machine *m, const char **text, size_t *length)
{
    const unsigned char *start = m->bytes + m->at;
    const unsigned char *end = memchr(start, '\n', m->size - m->at);
    if (end == NULL) {
        return bad(m, "a name has no end");
    }
    *text = (const char *)start;
    *length = (size_t)(end - start);
    m->at += *length + 1;
    return SA_OK;
}

/* -- Opcodes -- */

static sa_status push_text(machine *m, sa_pickle_kind kind, size_t width)
{
    const unsigned char *bytes = NULL;
    size_t length = 0;
    sa_pickle_value *value = NULL;
    SA_TRY(take_counted(m, width, &bytes, &length));
    SA_TRY(push_new(m, kind, &value));
    value->text = (const char *)bytes;
    value->length = length;
    return SA_OK;
}

static sa_status push_int(machine *m, size_t width)
{
    uint64_t number = 0;
    SA_TRY(take_number(m, width, &number));
    return push_plain(m, SA_PICKLE_INT, width == 4 ? (int64_t)(int32_t)(uint32_t)number : (int64_t)number);
}

/* Two's complement of any length; what does not fit in 64 bits is no size of anything. */
static sa_status push_long(machine *m, size_t width)
{
    const unsigned char *bytes = NULL;
    size_t length = 0;
    SA_TRY(take_counted(m, width, &bytes, &length));
    if (length > 8) {
        return push_plain(m, SA_PICKLE_OPAQUE, 0);
    }
    uint64_t number = length > 0 && (bytes[length - 1] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = length; i-- > 0;) {
        number = number << 8 | bytes[i];
    }
    return push_plain(m, SA_PICKLE_INT, (int64_t)number);
}

static sa_status push_float(machine *m)
{
    const unsigned char *bytes = NULL;
    SA_TRY(take(m, 8, &bytes));
    return push_plain(m, SA_PICKLE_OPAQUE, 0);
}

static sa_status push_global(machine *m, const char *module, size_t module_length, const char *name,
                             size_t length)
{
    sa_pickle_value *value = NULL;
    if (module_length > MAX_GLOBAL_NAME || length > MAX_GLOBAL_NAME) {
        return bad(m, "the name of a class is too long");
    }
    char *text = malloc(module_length + length + 2);
    if (text == NULL) {
        return no_room(m);
    }
    memcpy(text, module, module_length);
    text[module_length] = '.';
    memcpy(text + module_length + 1, name, length);
    text[module_length + 1 + length] = '\0';
    sa_status status = push_new(m, SA_PICKLE_GLOBAL, &value);
    if (value ==
        NULL) { /* push_new can fail after it made the value, which then owns the text all the same */
        free(text);
        return status;
    }
    value->text = text;
    value->owned = true;
    value->length = module_length + 1 + length;
    return status;
}

static sa_status do_global(machine *m)
{
    const char *module = NULL, *name = NULL;
    size_t module_length = 0, length = 0;
    SA_TRY(take_line(m, &module, &module_length));
    SA_TRY(take_line(m, &name, &length));
    return push_global(m, module, module_length, name, length);
}

static sa_status do_stack_global(machine *m)
{
    uint32_t name = 0, module = 0;
    SA_TRY(pop(m, &name));
    SA_TRY(pop(m, &module));
    sa_pickle_value from = *value_at(m, module), what = *value_at(m, name);
    if (from.kind != SA_PICKLE_TEXT || what.kind != SA_PICKLE_TEXT) {
        return bad(m, "the name of a class is not a string");
    }
    return push_global(m, from.text, from.length, what.text, what.length);
}

/* The `count` values on top of the stack as a new value of their own, which takes their place. */
static sa_status gather(machine *m, sa_pickle_kind kind, size_t count, bool marked)
{
    uint32_t *items = count > 0 ? malloc(count * sizeof *items) : NULL;
    if (count > 0 && items == NULL) {
        return no_room(m);
    }
    if (count > 0) {
        memcpy(items, m->stack + m->depth - count, count * sizeof *items);
    }
    m->depth -= count + (marked ? 1 : 0);
    sa_pickle_value *value = NULL;
    sa_status status = push_new(m, kind, &value);
    if (value == NULL) {
        free(items);
        return status;
    }
    value->items = items;
    value->count = value->capacity = count;
    for (size_t i = 0; i < count; i++) {
        value->holds_storage = value->holds_storage || value_at(m, items[i])->holds_storage;
    }
    return status;
}

static sa_status gather_marked(machine *m, sa_pickle_kind kind)
{
    size_t count = 0;
    SA_TRY(count_above_mark(m, &count));
    return gather(m, kind, count, true);
}

static sa_status gather_top(machine *m, sa_pickle_kind kind, size_t count)
{
    uint32_t unused = 0;
    for (size_t i = 0; i < count; i++) {
        SA_TRY(peek(m, i, &unused));
    }
    return gather(m, kind, count, false);
}

/*
 * Moves the top `count` values into the container below them (below their mark). Other objects swallow them.
 */
static sa_status put_into(machine *m, sa_pickle_kind kind, size_t count, bool marked)
{
    uint32_t target = 0;
    SA_TRY(peek(m, count + (marked ? 1 : 0), &target));
    if (kind == SA_PICKLE_DICT && count % 2 != 0) {
        return bad(m, "a key without a value");
    }
    sa_pickle_value *container = value_at(m, target);
    for (size_t i = 0; container->kind == kind && i < count; i++) {
        SA_TRY(add_item(m, container, m->stack[m->depth - count + i]));
    }
    m->depth -= count + (marked ? 1 : 0);
    return SA_OK;
}

static sa_status put_marked(machine *m, sa_pickle_kind kind)
{
    size_t count = 0;
    SA_TRY(count_above_mark(m, &count));
    return put_into(m, kind, count, true);
}

static sa_status put_top(machine *m, sa_pickle_kind kind, size_t count)
{
    uint32_t unused = 0;
    for (size_t i = 0; i < count; i++) {
        SA_TRY(peek(m, i, &unused));
    }
    return put_into(m, kind, count, false);
}

/* OrderedDict() is filled later, like a dict; every other call is written down. */
static sa_status do_reduce(machine *m)
{
    uint32_t args = 0, callee = 0;
    SA_TRY(peek(m, 0, &args));
    SA_TRY(peek(m, 1, &callee));
    const sa_pickle_value *arguments = value_at(m, args);
    if (sa_pickle_is(value_at(m, callee), "collections.OrderedDict") && arguments->kind == SA_PICKLE_TUPLE &&
        arguments->count == 0) {
        m->depth -= 2;
        return push_plain(m, SA_PICKLE_DICT, 0);
    }
    return gather_top(m, SA_PICKLE_CALL, 2);
}

/* NEWOBJ_EX has keyword arguments on top of what NEWOBJ has. */
static sa_status do_newobj_ex(machine *m)
{
    return gather_top(m, SA_PICKLE_CALL, 3);
}

/* MARK, class, arguments. */
static sa_status do_obj(machine *m)
{
    size_t count = 0;
    SA_TRY(count_above_mark(m, &count));
    return count > 0 ? gather(m, SA_PICKLE_CALL, count, true) : bad(m, "an object without its class");
}

/* State of an object that we do not build (attributes of an OrderedDict, of a foreign object): not needed. */
static sa_status do_build(machine *m)
{
    uint32_t state = 0, object = 0;
    SA_TRY(pop(m, &state));
    return peek(m, 0, &object);
}

static sa_status do_persistent(machine *m)
{
    SA_TRY(gather_top(m, SA_PICKLE_PERSISTENT, 1));
    value_at(m, m->stack[m->depth - 1])->holds_storage = true;
    return SA_OK;
}

static sa_status put_memo(machine *m, uint64_t index)
{
    uint32_t top = 0;
    SA_TRY(peek(m, 0, &top));
    if (index >= m->dialect->most) {
        return bad(m, "its memo is larger than that of any file of its kind");
    }
    while (m->memo_capacity <= index) {
        void *memo = m->memo;
        size_t before = m->memo_capacity;
        SA_TRY(reserve(m, &memo, before, &m->memo_capacity, sizeof *m->memo, m->dialect->most));
        m->memo = memo;
        for (size_t i = before; i < m->memo_capacity; i++) {
            m->memo[i] = UNSET;
        }
    }
    m->memo_count += m->memo[index] == UNSET;
    m->memo[index] = top;
    return SA_OK;
}

static sa_status do_put(machine *m, size_t width)
{
    uint64_t index = 0;
    SA_TRY(take_number(m, width, &index));
    return put_memo(m, index);
}

static sa_status get_memo(machine *m, uint64_t index)
{
    if (index >= m->memo_capacity || m->memo[index] == UNSET) {
        return bad(m, "it asks for a value that was never memorised");
    }
    return push(m, m->memo[index]);
}

static sa_status do_get(machine *m, size_t width)
{
    uint64_t index = 0;
    SA_TRY(take_number(m, width, &index));
    return get_memo(m, index);
}

static sa_status do_dup(machine *m)
{
    uint32_t top = 0;
    SA_TRY(peek(m, 0, &top));
    return push(m, top);
}

/* POP also takes a mark away. */
static sa_status do_pop(machine *m)
{
    if (m->depth == 0) {
        return bad(m, "an opcode lacks its operand");
    }
    m->depth--;
    return SA_OK;
}

static sa_status do_pop_mark(machine *m)
{
    size_t count = 0;
    SA_TRY(count_above_mark(m, &count));
    drop_to_mark(m, count);
    return SA_OK;
}

static sa_status swallow_items(machine *m)
{
    uint32_t set = 0;
    SA_TRY(do_pop_mark(m));
    return peek(m, 0, &set);
}

static sa_status push_frozenset(machine *m)
{
    SA_TRY(do_pop_mark(m));
    return push_plain(m, SA_PICKLE_OPAQUE, 0);
}

/* -- Opcodes of the protocols 0 and 1 -- */

static sa_status push_owned(machine *m, char *text, size_t length)
{
    sa_pickle_value *value = NULL;
    sa_status status = push_new(m, SA_PICKLE_TEXT, &value);
    if (value == NULL) {
        free(text);
        return status;
    }
    value->text = text;
    value->owned = true;
    value->length = length;
    return status;
}

/* A line that is a string; decoded, it is at most twice as long (a Latin-1 byte becomes two). */
static sa_status push_text_line(machine *m, bool (*decode)(const char *, size_t, char *, size_t *))
{
    const char *line = NULL;
    size_t size = 0, length = 0;
    SA_TRY(take_line(m, &line, &size));
    char *text = malloc(2 * size + 4);
    if (text == NULL) {
        return no_room(m);
    }
    if (!decode(line, size, text, &length)) {
        free(text);
        return bad(m, "a string that is not written as Python does");
    }
    return push_owned(m, text, length);
}

/* INT and LONG: "12", "12L"; "00" and "01" are False and True. */
static sa_status push_number_line(machine *m)
{
    const char *line = NULL;
    size_t size = 0;
    int64_t number = 0;
    SA_TRY(take_line(m, &line, &size));
    if (size == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1')) {
        return push_plain(m, SA_PICKLE_BOOL, line[1] == '1');
    }
    size -= size > 0 && line[size - 1] == 'L';
    return sa_pickle_read_decimal(line, size, &number) ? push_plain(m, SA_PICKLE_INT, number)
                                                       : push_plain(m, SA_PICKLE_OPAQUE, 0);
}

static sa_status push_float_line(machine *m)
{
    const char *line = NULL;
    size_t size = 0;
    SA_TRY(take_line(m, &line, &size));
    return push_plain(m, SA_PICKLE_OPAQUE, 0);
}

/* The index of PUT and GET. */
static sa_status take_index_line(machine *m, uint64_t *index)
{
    const char *line = NULL;
    size_t size = 0;
    int64_t number = 0;
    SA_TRY(take_line(m, &line, &size));
    if (!sa_pickle_read_decimal(line, size, &number) || number < 0) {
        return bad(m, "an index of its memo is no number");
    }
    *index = (uint64_t)number;
    return SA_OK;
}

static sa_status do_put_line(machine *m)
{
    uint64_t index = 0;
    SA_TRY(take_index_line(m, &index));
    return put_memo(m, index);
}

static sa_status do_get_line(machine *m)
{
    uint64_t index = 0;
    SA_TRY(take_index_line(m, &index));
    return get_memo(m, index);
}

static sa_status gather_pairs(machine *m)
{
    size_t count = 0;
    SA_TRY(count_above_mark(m, &count));
    return count % 2 == 0 ? gather(m, SA_PICKLE_DICT, count, true) : bad(m, "a key without a value");
}

static sa_status skip(machine *m, size_t count)
{
    const unsigned char *unused = NULL;
    return take(m, count, &unused);
}

static sa_status do_stop(machine *m)
{
    SA_TRY(pop(m, &m->pickle->root));
    m->stopped = true;
    return m->depth == 0 ? SA_OK : bad(m, "it ends with values left over");
}

static sa_status unknown(machine *m, int opcode)
{
    return sa_fail(m->err, SA_BAD_INPUT, m->path, m->dialect->hint,
                   "its pickle, near byte %zu: opcode 0x%02x is none that such files hold", m->at, opcode);
}

/* Opcodes of the protocols 0 and 1: numbers and strings as lines of text. */
static sa_status step_old(machine *m, int opcode)
{
    if (!m->dialect->old) {
        return unknown(m, opcode);
    }
    switch (opcode) {
    case 'S': return push_text_line(m, sa_pickle_read_quoted);
    case 'V': return push_text_line(m, sa_pickle_read_escaped);
    case 'I': return push_number_line(m);
    case 'L': return push_number_line(m);
    case 'F': return push_float_line(m);
    case 'p': return do_put_line(m);
    case 'g': return do_get_line(m);
    case 'l': return gather_marked(m, SA_PICKLE_LIST);
    case 'd': return gather_pairs(m);
    default: return unknown(m, opcode);
    }
}

/* Constants, numbers and strings. */
static sa_status step_value(machine *m, int opcode)
{
    switch (opcode) {
    case 'N': return push_plain(m, SA_PICKLE_NONE, 0);
    case 0x88: return push_plain(m, SA_PICKLE_BOOL, 1);  /* NEWTRUE */
    case 0x89: return push_plain(m, SA_PICKLE_BOOL, 0);  /* NEWFALSE */
    case 'K': return push_int(m, 1);                     /* BININT1 */
    case 'M': return push_int(m, 2);                     /* BININT2 */
    case 'J': return push_int(m, 4);                     /* BININT */
    case 0x8a: return push_long(m, 1);                   /* LONG1 */
    case 0x8b: return push_long(m, 4);                   /* LONG4 */
    case 'G': return push_float(m);                      /* BINFLOAT */
    case 0x8c: return push_text(m, SA_PICKLE_TEXT, 1);   /* SHORT_BINUNICODE */
    case 'X': return push_text(m, SA_PICKLE_TEXT, 4);    /* BINUNICODE */
    case 0x8d: return push_text(m, SA_PICKLE_TEXT, 8);   /* BINUNICODE8 */
    case 'U': return push_text(m, SA_PICKLE_TEXT, 1);    /* SHORT_BINSTRING, from Python 2 */
    case 'T': return push_text(m, SA_PICKLE_TEXT, 4);    /* BINSTRING, from Python 2 */
    case 'C': return push_text(m, SA_PICKLE_OPAQUE, 1);  /* SHORT_BINBYTES */
    case 'B': return push_text(m, SA_PICKLE_OPAQUE, 4);  /* BINBYTES */
    case 0x8e: return push_text(m, SA_PICKLE_OPAQUE, 8); /* BINBYTES8 */
    case 0x96: return push_text(m, SA_PICKLE_OPAQUE, 8); /* BYTEARRAY8 */
    default: return step_old(m, opcode);
    }
}

/* Tuples, lists, dicts, sets. */
static sa_status step_container(machine *m, int opcode)
{
    switch (opcode) {
    case '(': return push(m, MARK);
    case ')': return push_plain(m, SA_PICKLE_TUPLE, 0);
    case ']': return push_plain(m, SA_PICKLE_LIST, 0);
    case '}': return push_plain(m, SA_PICKLE_DICT, 0);
    case 0x8f: return push_plain(m, SA_PICKLE_OPAQUE, 0); /* EMPTY_SET */
    case 't': return gather_marked(m, SA_PICKLE_TUPLE);
    case 0x85: return gather_top(m, SA_PICKLE_TUPLE, 1); /* TUPLE1 */
    case 0x86: return gather_top(m, SA_PICKLE_TUPLE, 2);
    case 0x87: return gather_top(m, SA_PICKLE_TUPLE, 3);
    case 'a': return put_top(m, SA_PICKLE_LIST, 1); /* APPEND */
    case 'e': return put_marked(m, SA_PICKLE_LIST); /* APPENDS */
    case 's': return put_top(m, SA_PICKLE_DICT, 2); /* SETITEM */
    case 'u': return put_marked(m, SA_PICKLE_DICT); /* SETITEMS */
    case 0x90: return swallow_items(m);             /* ADDITEMS */
    case 0x91: return push_frozenset(m);
    default: return step_value(m, opcode);
    }
}

/* Names, objects, memo, stack. */
static sa_status step(machine *m, int opcode)
{
    switch (opcode) {
    case 'c': return do_global(m);
    case 0x93: return do_stack_global(m);
    case 'R': return do_reduce(m);
    case 0x81: return gather_top(m, SA_PICKLE_CALL, 2); /* NEWOBJ */
    case 0x92: return do_newobj_ex(m);
    case 'o': return do_obj(m);
    case 'b': return do_build(m);
    case 'Q': return do_persistent(m); /* BINPERSID */
    case 'q': return do_put(m, 1);     /* BINPUT */
    case 'r': return do_put(m, 4);
    case 0x94: return put_memo(m, m->memo_count); /* MEMOIZE */
    case 'h': return do_get(m, 1);                /* BINGET */
    case 'j': return do_get(m, 4);
    case '0': return do_pop(m);
    case '1': return do_pop_mark(m);
    case '2': return do_dup(m);
    case 0x95: return skip(m, 8); /* FRAME: its length says nothing new */
    case '.': return do_stop(m);
    default: return step_container(m, opcode);
    }
}

static sa_status run(machine *m)
{
    bool marked = m->size >= 2 && m->bytes[0] == 0x80;
    if (marked ? m->bytes[1] < 2 || m->bytes[1] > 5 : !m->dialect->old) {
        return bad(m, "it is of none of the protocols 2 to 5");
    }
    m->at = marked ? 2 : 0;
    while (!m->stopped) {
        const unsigned char *opcode = NULL;
        SA_TRY(take(m, 1, &opcode));
        SA_TRY(step(m, *opcode));
    }
    return SA_OK;
}

sa_status sa_pickle_run(sa_pickle *pickle, const char *path, const unsigned char *bytes, size_t size,
                        const sa_pickle_dialect *dialect, sa_error *err)
{
    *pickle = (sa_pickle){0};
    machine m = {
        .path = path, .dialect = dialect, .bytes = bytes, .size = size, .pickle = pickle, .err = err};
    sa_status status = run(&m);
    free(m.stack);
    free(m.memo);
    return status;
}

void sa_pickle_free(sa_pickle *pickle)
{
    for (size_t i = 0; i < pickle->count; i++) {
        free(pickle->values[i].items);
        if (pickle->values[i].owned) {
            free((char *)pickle->values[i].text);
        }
    }
    free(pickle->values);
    *pickle = (sa_pickle){0};
}

const sa_pickle_value *sa_pickle_item(const sa_pickle *pickle, const sa_pickle_value *value, size_t i)
{
    return value != NULL && i < value->count ? &pickle->values[value->items[i]] : NULL;
}

bool sa_pickle_is(const sa_pickle_value *value, const char *text)
{
    return value != NULL && (value->kind == SA_PICKLE_TEXT || value->kind == SA_PICKLE_GLOBAL) &&
           value->length == strlen(text) && memcmp(value->text, text, value->length) == 0;
}
