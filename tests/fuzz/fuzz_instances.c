/* Arbitrary bytes as COCO instances, alone and as those of a list of references. */
#include "tests/fuzz/items_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    exercise_items("instances.json", data, size);
    exercise_references(data, size);
    return 0;
}
