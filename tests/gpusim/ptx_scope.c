/* What names mean at a place of the text: registers, variables, functions; and labels. See ptx_parse.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/ptx_parse.h"

void ptx_scope_open(ptx_parser *p)
{
    ptx_scope *scope = sim_arena_take(p->arena, sizeof(*scope));
    scope->outer = p->scope;
    scope->depth = p->scope == NULL ? 0 : p->scope->depth + 1;
    scope->first_variable = p->locals.count;
    p->scope = scope;
}

/* The names' meanings end, and the variables' lives. */
void ptx_scope_close(ptx_parser *p)
{
    ptx_scope *scope = p->scope;
    for (ptx_binding *b = scope->bindings; b != NULL; b = b->next) {
        b->name->binding = b->outer;
        if (b->meaning == PTX_IS_RANGE && scope->depth > 1) {
            p->inner_ranges--;
        }
    }
    ptx_variable *variables = p->locals.items;
    for (uint32_t i = p->locals.count; i > scope->first_variable; i--) {
        if (variables[i - 1].scope_last == UINT32_MAX) {
            variables[i - 1].scope_last = p->code.count;
        }
    }
    p->scope = scope->outer;
}

static ptx_binding *bind_in(ptx_parser *p, ptx_scope *scope, ptx_name *name, ptx_meaning meaning)
{
    ptx_binding *binding = sim_arena_take(p->arena, sizeof(*binding));
    binding->meaning = meaning;
    binding->name = name;
    binding->scope = scope;
    binding->outer = name->binding;
    binding->next = scope->bindings;
    scope->bindings = binding;
    name->binding = binding;
    return binding;
}

ptx_binding *ptx_bind(ptx_parser *p, ptx_name *name, ptx_meaning meaning)
{
    if (name->binding != NULL && name->binding->scope == p->scope) {
        ptx_fail(&p->lex, "%s is declared twice", name->text);
    }
    if (meaning == PTX_IS_RANGE && p->scope->depth > 1) {
        p->inner_ranges++;
    }
    return bind_in(p, p->scope, name, meaning);
}

/* The range %r<n> in force that has the name %r7 in it, or NULL. */
static ptx_binding *range_of(ptx_parser *p, const ptx_name *name)
{
    uint32_t digits = 0;
    while (digits < name->length && name->text[name->length - 1 - digits] >= '0' &&
           name->text[name->length - 1 - digits] <= '9') {
        digits++;
    }
    const char *number = name->text + name->length - digits;
    if (digits == 0 || digits == name->length || digits > 9 || (digits > 1 && number[0] == '0')) {
        return NULL;
    }
    ptx_name *prefix = ptx_find_name(&p->lex, name->text, name->length - digits);
    ptx_binding *range = prefix == NULL ? NULL : prefix->binding;
    bool has = range != NULL && range->meaning == PTX_IS_RANGE && (uint32_t)atoi(number) < range->range;
    return has ? range : NULL;
}

ptx_binding *ptx_meaning_of(ptx_parser *p, ptx_name *name)
{
    ptx_binding *known = name->binding;
    if (known != NULL && known->meaning == PTX_IS_RANGE) {
        return NULL; /* %r alone is no register of %r<10> */
    }
    if (known != NULL && p->inner_ranges == 0 && known->scope->depth > 0) {
        return known;
    }
    ptx_binding *range = range_of(p, name);
    if (range == NULL || (known != NULL && known->scope->depth >= range->scope->depth)) {
        return known;
    }
    /* Bindings of a name stay ordered by scope: none further in than the range is in force, or it were known.
     */
    ptx_binding *made = bind_in(p, range->scope, name, PTX_IS_REGISTER);
    made->type = range->type;
    return made;
}

ptx_register *ptx_binding_register(ptx_parser *p, ptx_binding *binding)
{
    if (binding->reg == NULL) {
        ptx_register *reg = sim_arena_take(p->arena, sizeof(*reg));
        *reg = (ptx_register){binding->name->text, binding->type, p->registers.count};
        *(ptx_register **)ptx_list_add(&p->registers, sizeof(reg)) = reg;
        binding->reg = reg;
    }
    return binding->reg;
}

const char *ptx_unique(ptx_parser *p, ptx_name *name)
{
    if (name->taken != p->function_number) {
        name->taken = p->function_number;
        return name->text;
    }
    size_t size = name->length + 12;
    char *text = sim_arena_take(p->arena, size);
    int length = snprintf(text, size, "%s@%u", name->text, ++p->unique_number);
    return ptx_intern(&p->lex, text, (size_t)length)->text;
}

/* ---- labels ---- */

void ptx_add_label(ptx_parser *p, ptx_name *name)
{
    for (const ptx_label_place *l = name->labels; l != NULL; l = l->next) {
        if (l->scope == p->scope) {
            ptx_fail(&p->lex, "label %s stands twice in its scope", name->text);
            return;
        }
    }
    ptx_label_place *place = sim_arena_take(p->arena, sizeof(*place));
    *place = (ptx_label_place){p->scope, ptx_unique(p, name), name->labels};
    name->labels = place;
    *(ptx_name **)ptx_list_add(&p->label_names, sizeof(name)) = name;
    ptx_label *label = ptx_list_add(&p->labels, sizeof(*label));
    *label = (ptx_label){place->unique, p->code.count};
}

void ptx_add_reference(ptx_parser *p, ptx_name *name, uint32_t operand, const char **where)
{
    ptx_reference *reference = ptx_list_add(&p->references, sizeof(*reference));
    *reference = (ptx_reference){name, p->scope, p->code.count - 1, operand, where};
}

static const char *label_seen_from(const ptx_scope *scope, const ptx_name *name)
{
    for (; scope != NULL; scope = scope->outer) {
        for (const ptx_label_place *l = name->labels; l != NULL; l = l->next) {
            if (l->scope == scope) {
                return l->unique;
            }
        }
    }
    return NULL;
}

void ptx_resolve_labels(ptx_parser *p)
{
    const ptx_reference *references = p->references.items;
    ptx_instruction *code = p->code.items;
    for (uint32_t i = 0; i < p->references.count; i++) {
        const ptx_reference *r = &references[i];
        const char *unique = label_seen_from(r->scope, r->name);
        if (unique != NULL && r->where != NULL) {
            *r->where = unique;
        } else if (unique != NULL) {
            code[r->instruction].operand[r->operand].name = unique;
        }
    }
    ptx_name **names = p->label_names.items;
    for (uint32_t i = 0; i < p->label_names.count; i++) {
        names[i]->labels = NULL;
    }
    p->references.count = 0;
    p->label_names.count = 0;
}
