/* Why something failed, as JSON that processes tell each other: {"file","reason","hint","status"}. */
#ifndef SA_FLEET_REASON_H
#define SA_FLEET_REASON_H

#include <stddef.h>

#include "runtime/base/status.h"

/* Text that the caller frees; NULL: no memory. */
char *sa_reason_write(const sa_error *why);
/* What is missing or wrong is "", and SA_BAD_INPUT. */
void sa_reason_read(const char *text, size_t size, sa_error *why);

#endif
