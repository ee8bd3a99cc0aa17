/* A directory of its own for a test, and small files in it. */
#ifndef SA_TESTS_DATA_SCRATCH_H
#define SA_TESTS_DATA_SCRATCH_H

#include <stddef.h>

#include "tests/check.h"

/* For cmocka_unit_test_setup_teardown; *state is the directory. */
int scratch_make(void **state);
int scratch_remove(void **state);

/* Removes a file, or a directory with all that is in it. */
void scratch_remove_all(const char *path);
/* "DIRECTORY/NAME"; good until the eighth call after it. */
const char *scratch_path(void **state, const char *name);
/* Writes a file, making the directory that it is in; returns its path as above. */
const char *scratch_write(void **state, const char *name, const void *bytes, size_t size);
const char *scratch_write_text(void **state, const char *name, const char *text);
/* A whole file, malloc'd, with a zero after it; fails the test if it cannot be read. size may be NULL. */
char *scratch_read(const char *path, size_t *size);

#endif
