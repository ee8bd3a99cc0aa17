/* Arbitrary bytes as an input of any format (told by content), beside pictures and instances that exist. */
#include "tests/fuzz/items_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    exercise_items("manifest", data, size);
    return 0;
}
