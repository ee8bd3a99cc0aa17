#include "tests/engine/agent_form.h"

#include "tests/check.h"

sa_grammar *agent_form(void)
{
    sa_grammar *g;
    sa_error err;
    must(sa_grammar_open(&g, &err), &err);
    must(sa_grammar_add_space(g, &err), &err);
    must(sa_grammar_add_literal(g, "Current IOU: ", &err), &err);
    must(sa_grammar_add_number(g, 2, 0, &err), &err);
    must(sa_grammar_add_literal(g, ", ", &err), &err);
    must(sa_grammar_add_choice(g, "Positive point:", "Negative point:", &err), &err);
    must(sa_grammar_add_literal(g, " (", &err), &err);
    must(sa_grammar_add_number(g, 3, 0, &err), &err);
    must(sa_grammar_add_literal(g, ", ", &err), &err);
    must(sa_grammar_add_number(g, 3, 0, &err), &err);
    must(sa_grammar_add_literal(g, ")", &err), &err);
    return g;
}
