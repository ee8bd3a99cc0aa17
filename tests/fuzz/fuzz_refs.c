/* Arbitrary bytes as a list of references, a pickle if the first byte is none of JSON's. */
#include "tests/fuzz/items_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    exercise_items("refs.p", data, size);
    return 0;
}
