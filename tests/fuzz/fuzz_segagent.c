/* Arbitrary bytes as SegAgent's dataset JSON: without the frame of the file, which is put around them. */
#include "tests/fuzz/items_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    exercise_framed("refcoco_val.json", "{\"data\":[", data, size, "]}");
    return 0;
}
