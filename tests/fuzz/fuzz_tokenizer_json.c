/* Arbitrary bytes as a tokenizer.json; an accepted one encodes and decodes. */
#include "tests/fuzz/text_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    sa_status status = sa_tokenizer_parse_json(&t, "fuzz", data, size, &err);
    if (status == SA_OK) {
        exercise(t);
    } else {
        check_refusal(status, &err);
    }
    return 0;
}
