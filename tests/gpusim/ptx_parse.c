/* PTX modules: directives, functions and their parameters. See ptx.h, and ptx_parse.h for the other files. */
#include "tests/gpusim/ptx_parse.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

void *ptx_list_add(ptx_list *list, size_t element)
{
    list->items = sim_grow(list->items, list->count, &list->capacity, element);
    void *added = (char *)list->items + (size_t)list->count++ * element;
    return memset(added, 0, element);
}

void *ptx_list_take(ptx_list *list, sim_arena *arena, size_t element, uint32_t *count)
{
    *count = list->count;
    void *items = list->count == 0 ? NULL : sim_arena_copy(arena, list->items, list->count * element);
    list->count = 0;
    return items;
}

bool ptx_skip_nested(ptx_parser *p)
{
    uint32_t depth = 0;
    do {
        if (p->lex.token.kind == PTX_T_END) {
            return ptx_fail_expected(&p->lex, "a closing bracket");
        }
        if (ptx_is(&p->lex, '{') || ptx_is(&p->lex, '(')) {
            depth++;
        } else if (ptx_is(&p->lex, '}') || ptx_is(&p->lex, ')')) {
            depth--;
        }
        ptx_next(&p->lex);
    } while (depth > 0);
    return !p->lex.failed;
}

/* ---- functions ---- */

bool ptx_parse_parameters(ptx_parser *p, ptx_variable **params, uint32_t *count, bool declare)
{
    static const ptx_variable base = {.space = PTX_PARAM, .scope_last = UINT32_MAX};
    if (!ptx_accept(&p->lex, '(')) {
        return true;
    }
    while (!ptx_is(&p->lex, ')')) {
        if (!ptx_accept_dot(&p->lex, "param")) {
            return ptx_fail_expected(&p->lex, "a .param");
        }
        if (!ptx_parse_variables(p, &base, &p->params, true)) {
            return false;
        }
        if (!ptx_accept(&p->lex, ',')) {
            break;
        }
    }
    *params = ptx_list_take(&p->params, p->arena, sizeof(**params), count);
    for (uint32_t i = 0; declare && i < *count; i++) {
        ptx_name *name = ptx_intern(&p->lex, (*params)[i].name, strlen((*params)[i].name));
        ptx_bind(p, name, PTX_IS_VARIABLE)->unique = (*params)[i].name = ptx_unique(p, name);
    }
    return ptx_expect(&p->lex, ')');
}

static bool parse_counts(ptx_parser *p, uint32_t counts[3])
{
    counts[0] = counts[1] = counts[2] = 1;
    for (int i = 0; i < 3; i++) {
        if (p->lex.token.kind != PTX_T_INTEGER || p->lex.token.value > UINT32_MAX) {
            return ptx_fail_expected(&p->lex, "a number");
        }
        counts[i] = (uint32_t)p->lex.token.value;
        ptx_next(&p->lex);
        if (!ptx_accept(&p->lex, ',')) {
            break;
        }
    }
    return true;
}

/* .maxntid and the like, between a function's parameters and its body. */
static bool parse_function_directives(ptx_parser *p, ptx_function *function)
{
    static const char *const ignored[] = {"maxnreg",        "maxnctapersm", "reqnctapercluster",
                                          "maxclusterrank", "abi_preserve", "abi_preserve_control"};
    while (p->lex.token.kind == PTX_T_DOT) {
        const char *word = p->lex.token.name->text;
        uint32_t counts[3];
        uint32_t *place = strcmp(word, "maxntid") == 0   ? function->max_threads
                          : strcmp(word, "reqntid") == 0 ? function->required_threads
                                                         : NULL;
        bool is_blocks = strcmp(word, "minnctapersm") == 0, is_known = place != NULL || is_blocks;
        for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
            is_known = is_known || strcmp(word, ignored[i]) == 0;
        }
        ptx_next(&p->lex);
        if (strcmp(word, "noreturn") == 0 || strcmp(word, "explicitcluster") == 0 ||
            strcmp(word, "unique") == 0) {
            continue;
        }
        if (strcmp(word, "attribute") == 0 && ptx_is(&p->lex, '(')) {
            if (!ptx_skip_nested(p)) {
                return false;
            }
            continue;
        }
        if (strcmp(word, "pragma") == 0 && p->lex.token.kind == PTX_T_STRING) {
            ptx_next(&p->lex);
            ptx_accept(&p->lex, ';');
            continue;
        }
        if (!is_known) {
            return ptx_fail(&p->lex, "unknown directive .%s of a function", word);
        }
        if (!parse_counts(p, counts)) {
            return false;
        }
        if (place != NULL) {
            memcpy(place, counts, sizeof(counts));
        } else if (is_blocks) {
            function->min_blocks = counts[0];
        }
    }
    return true;
}

/* The function of this name, declared before or new now; its index. */
static bool function_of_name(ptx_parser *p, ptx_name *name, bool is_entry, uint32_t *index)
{
    ptx_binding *binding = name->binding;
    if (binding != NULL && binding->meaning != PTX_IS_FUNCTION) {
        return ptx_fail(&p->lex, "%s is no function", name->text);
    }
    if (binding == NULL) {
        binding = ptx_bind(p, name, PTX_IS_FUNCTION);
        binding->unique = name->text;
        binding->function = p->functions.count;
        ptx_function *added = ptx_list_add(&p->functions, sizeof(*added));
        added->name = name->text;
        added->is_entry = is_entry;
    }
    *index = binding->function;
    const ptx_function *function = (ptx_function *)p->functions.items + *index;
    return function->is_entry == is_entry ||
           ptx_fail(&p->lex, "%s is declared both as .func and .entry", name->text);
}

static void finish_body(ptx_parser *p, ptx_function *function)
{
    ptx_scope_close(p);
    ptx_resolve_labels(p);
    function->has_body = true;
    function->code = ptx_list_take(&p->code, p->arena, sizeof(ptx_instruction), &function->code_count);
    function->labels = ptx_list_take(&p->labels, p->arena, sizeof(ptx_label), &function->label_count);
    function->variables =
        ptx_list_take(&p->locals, p->arena, sizeof(ptx_variable), &function->variable_count);
    function->registers =
        ptx_list_take(&p->registers, p->arena, sizeof(ptx_register *), &function->register_count);
    function->targets =
        ptx_list_take(&p->targets, p->arena, sizeof(ptx_target_list), &function->target_count);
}

/* Behind .func or .entry: [(results)] name (params) directives, then ; or a body. */
static bool parse_function(ptx_parser *p, bool is_entry, const ptx_variable *linkage)
{
    ptx_function parsed = {.is_entry = is_entry,
                           .is_extern = linkage->is_extern,
                           .is_weak = linkage->is_weak,
                           .is_visible = linkage->is_visible};
    uint32_t index = 0;
    p->function_number++;
    p->position = (ptx_position){0};
    ptx_scope_open(p); /* parameters and body: one scope */
    while (p->lex.token.kind == PTX_T_DOT && ptx_accept_dot(&p->lex, "attribute")) {
        if (!ptx_is(&p->lex, '(') || !ptx_skip_nested(p)) {
            return ptx_fail_expected(&p->lex, "`(`");
        }
    }
    if (!ptx_parse_parameters(p, &parsed.results, &parsed.result_count, true)) {
        return false;
    }
    if (p->lex.token.kind != PTX_T_NAME) {
        return ptx_fail_expected(&p->lex, "a function's name");
    }
    ptx_name *name = p->lex.token.name;
    ptx_next(&p->lex);
    ptx_scope *inner = p->scope; /* the function's name belongs to the module's scope */
    p->scope = inner->outer;
    bool ok = function_of_name(p, name, is_entry, &index);
    p->scope = inner;
    if (!ok || !ptx_parse_parameters(p, &parsed.params, &parsed.param_count, true) ||
        !parse_function_directives(p, &parsed)) {
        return false;
    }
    ptx_function *function = (ptx_function *)p->functions.items + index;
    if (function->has_body && !ptx_is(&p->lex, ';')) {
        return ptx_fail(&p->lex, "%s has two bodies", name->text);
    }
    if (function->has_body || ptx_accept(&p->lex, ';')) {
        ptx_accept(&p->lex, ';');
        ptx_scope_close(p);
        if (!function->has_body) {
            parsed.name = function->name;
            *function = parsed;
        }
        return !p->lex.failed;
    }
    if (!ptx_parse_body(p)) {
        return false;
    }
    parsed.name = name->text;
    finish_body(p, &parsed);
    ((ptx_function *)p->functions.items)[index] = parsed;
    return true;
}

/* ---- module level ---- */

static bool parse_module_variables(ptx_parser *p, ptx_space space, const ptx_variable *linkage)
{
    ptx_variable base = *linkage;
    uint32_t first = p->variables.count;
    base.space = space;
    base.scope_last = UINT32_MAX;
    if (!ptx_parse_variables(p, &base, &p->variables, false)) {
        return false;
    }
    ptx_variable *variables = p->variables.items;
    for (uint32_t i = first; i < p->variables.count; i++) {
        ptx_name *name = ptx_intern(&p->lex, variables[i].name, strlen(variables[i].name));
        if (name->binding == NULL) {
            ptx_bind(p, name, PTX_IS_VARIABLE)->unique = name->text;
        } else if (name->binding->meaning != PTX_IS_VARIABLE || !variables[i].is_extern) {
            return ptx_fail(&p->lex, "%s is declared twice", name->text);
        } else { /* an extern declaration of what is known already */
            p->variables.count--;
            memmove(&variables[i], &variables[i + 1], (p->variables.count - i) * sizeof(*variables));
            i--;
        }
    }
    return ptx_expect(&p->lex, ';');
}

/* .version 9.0: the major number stands before the point. */
static bool parse_version(ptx_parser *p)
{
    if (p->lex.token.kind != PTX_T_F64) {
        return ptx_fail_expected(&p->lex, "a version number");
    }
    char *minor = NULL;
    p->module->version_major = (uint32_t)strtoul(p->lex.token.begin, &minor, 10);
    p->module->version_minor = *minor == '.' ? (uint32_t)strtoul(minor + 1, NULL, 10) : 0;
    ptx_next(&p->lex);
    return true;
}

/* .target sm_80, debug, texmode_independent: the first word counts. */
static bool parse_target(ptx_parser *p)
{
    do {
        if (p->lex.token.kind != PTX_T_NAME) {
            return ptx_fail_expected(&p->lex, "a target");
        }
        if (p->module->target == NULL) {
            p->module->target = p->lex.token.name->text;
        }
        ptx_next(&p->lex);
    } while (ptx_accept(&p->lex, ','));
    return true;
}

static bool parse_address_size(ptx_parser *p)
{
    uint64_t bits;
    if (!ptx_parse_integer(p, &bits)) {
        return false;
    }
    p->module->address_bits = (uint32_t)bits;
    return bits == 64 ||
           ptx_fail(&p->lex, "addresses of %llu bits are not simulated", (unsigned long long)bits);
}

/* .file 1 "name" [, time, size] */
static bool parse_file(ptx_parser *p)
{
    enum { MAX_FILES = 65536 };
    if (p->lex.token.kind != PTX_T_INTEGER || p->lex.token.value >= MAX_FILES) {
        return ptx_fail_expected(&p->lex, "a file's number");
    }
    uint32_t number = (uint32_t)p->lex.token.value;
    ptx_next(&p->lex);
    if (p->lex.token.kind != PTX_T_STRING) {
        return ptx_fail_expected(&p->lex, "a file's name");
    }
    while (p->files.count <= number) {
        ptx_list_add(&p->files, sizeof(const char *));
    }
    const char **files = p->files.items;
    files[number] = ptx_intern(&p->lex, p->lex.token.begin, p->lex.token.length)->text;
    ptx_next(&p->lex);
    while (ptx_accept(&p->lex, ',')) {
        ptx_next(&p->lex);
    }
    return true;
}

/* .alias a, b; a is another name of function b. */
static bool parse_alias(ptx_parser *p)
{
    ptx_name *names[2];
    for (int i = 0; i < 2; i++) {
        if (p->lex.token.kind != PTX_T_NAME || p->lex.token.name->binding == NULL ||
            p->lex.token.name->binding->meaning != PTX_IS_FUNCTION) {
            return ptx_fail_expected(&p->lex, "a declared function's name");
        }
        names[i] = p->lex.token.name;
        ptx_next(&p->lex);
        if (!ptx_expect(&p->lex, i == 0 ? ',' : ';')) {
            return false;
        }
    }
    ptx_function *functions = p->functions.items;
    const ptx_function *target = &functions[names[1]->binding->function];
    ptx_function *alias = &functions[names[0]->binding->function];
    if (alias->has_body || alias == target || target->alias != NULL || alias->is_entry) {
        return ptx_fail(&p->lex, "%s can't be an alias of %s", names[0]->text, names[1]->text);
    }
    alias->alias = target->name;
    return true;
}

/* .section name { ... }: data for debuggers. */
static bool parse_section(ptx_parser *p)
{
    ptx_next(&p->lex); /* its name */
    return ptx_is(&p->lex, '{') ? ptx_skip_nested(p) : ptx_fail_expected(&p->lex, "`{` behind .section");
}

typedef struct {
    const char *name;
    bool (*parse)(ptx_parser *p);
} ptx_directive;

static const ptx_directive directives[] = {
    {"version", parse_version}, {"target", parse_target}, {"address_size", parse_address_size},
    {"file", parse_file},       {"loc", ptx_parse_loc},   {"alias", parse_alias},
    {"section", parse_section},
};

/* .extern .visible .weak .common, in front of a variable or function. */
static void parse_linkage(ptx_parser *p, ptx_variable *linkage)
{
    for (bool more = true; more;) {
        more = false;
        if (ptx_accept_dot(&p->lex, "extern")) {
            linkage->is_extern = more = true;
        }
        if (ptx_accept_dot(&p->lex, "visible")) {
            linkage->is_visible = more = true;
        }
        if (ptx_accept_dot(&p->lex, "weak") || ptx_accept_dot(&p->lex, "common")) {
            linkage->is_weak = more = true;
        }
    }
}

static bool parse_directive(ptx_parser *p)
{
    ptx_variable linkage = {0};
    parse_linkage(p, &linkage);
    if (p->lex.token.kind != PTX_T_DOT) {
        return ptx_fail_expected(&p->lex, "a directive");
    }
    const char *word = p->lex.token.name->text;
    for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++) {
        if (strcmp(directives[i].name, word) == 0) {
            ptx_next(&p->lex);
            return directives[i].parse(p);
        }
    }
    ptx_space space = strcmp(word, "global") == 0  ? PTX_GLOBAL
                      : strcmp(word, "const") == 0 ? PTX_CONST
                                                   : PTX_SHARED;
    if (space != PTX_SHARED || strcmp(word, "shared") == 0) {
        ptx_next(&p->lex);
        return parse_module_variables(p, space, &linkage);
    }
    if (strcmp(word, "func") == 0 || strcmp(word, "entry") == 0) {
        ptx_next(&p->lex);
        return parse_function(p, word[0] == 'e', &linkage);
    }
    return ptx_fail(&p->lex, "unknown directive .%s", word);
}

static void parse_module(ptx_parser *p)
{
    if (!ptx_is_dot(&p->lex, "version")) {
        ptx_fail_expected(&p->lex, ".version");
    }
    ptx_scope_open(p);
    while (!p->lex.failed && p->lex.token.kind != PTX_T_END) {
        if (!ptx_accept(&p->lex, ';')) {
            parse_directive(p);
        }
    }
    ptx_module *m = p->module;
    m->variables = ptx_list_take(&p->variables, p->arena, sizeof(*m->variables), &m->variable_count);
    m->functions = ptx_list_take(&p->functions, p->arena, sizeof(*m->functions), &m->function_count);
    m->files = ptx_list_take(&p->files, p->arena, sizeof(*m->files), &m->file_count);
}

ptx_module *ptx_parse(const char *text, size_t length, char *error, size_t error_size)
{
    ptx_parser parser = {.arena = sim_arena_new()};
    ptx_parser *p = &parser;
    p->module = sim_arena_take(p->arena, sizeof(*p->module));
    p->module->arena = p->arena;
    ptx_lex_open(&p->lex, p->arena, text, length, error, error_size);
    parse_module(p);
    ptx_list *const lists[] = {&p->variables,   &p->functions, &p->files,     &p->inits,   &p->code,
                               &p->labels,      &p->locals,    &p->registers, &p->targets, &p->references,
                               &p->label_names, &p->params,    &p->names};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        free(lists[i]->items);
    }
    ptx_lex_close(&p->lex);
    if (p->lex.failed) {
        sim_arena_free(p->arena);
        return NULL;
    }
    return p->module;
}

void ptx_free(ptx_module *module)
{
    if (module != NULL) {
        sim_arena_free(module->arena);
    }
}
