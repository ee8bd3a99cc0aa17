/* The form of an agent's answers, for tests: " Current IOU: 57, Positive point: (345, 678)", the space in
 * front or not. */
#ifndef TESTS_ENGINE_AGENT_FORM_H
#define TESTS_ENGINE_AGENT_FORM_H

#include "runtime/text/grammar.h"

/* The caller closes it. */
sa_grammar *agent_form(void);

#endif
