/*
 * Counting what a program allocates. For one source of a test that links with --wrap=malloc and so on
 * (tests/CMakeLists.txt).
 */
#ifndef SA_TESTS_MODELS_ALLOCATIONS_H
#define SA_TESTS_MODELS_ALLOCATIONS_H

#include <stdbool.h>
#include <stdlib.h>

/* Every allocation of the program passes here while `counting`. */
static volatile size_t
    allocations; /* volatile: compilers take malloc for a function that changes nothing of ours */
static volatile bool counting;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations += counting;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations += counting;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    allocations += counting;
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    allocations += counting;
    return __real_aligned_alloc(align, size);
}

#endif
