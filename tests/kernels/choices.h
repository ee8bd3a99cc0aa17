/*
 * The file of choices of --numerics fast (kernels/cuda/tune.h), as the tests of each op that has one look at
 * it: in a cache folder of their own.
 */
#ifndef SA_TESTS_KERNELS_CHOICES_H
#define SA_TESTS_KERNELS_CHOICES_H

/* Skips the test unless it runs on a GPU (SEGAGENT_TEST_DEVICE=cuda). */
void choices_skip_without_gpu(void);

/*
 * `run` does all of an op's cases on a device of its own with SA_NUMERICS_FAST. After that the op's file
 * holds a header and `shapes` lines; it is read again and obeyed, and a bad one does no harm. Without any of
 * the libraries (NULL at the end) the results alone are tested.
 */
void choices_check(const char *op, const char *const *libraries, int shapes, void (*run)(void));

#endif
