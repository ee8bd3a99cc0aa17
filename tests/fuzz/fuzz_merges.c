/* A vocab.json, a zero byte, and a merges.txt; an accepted pair encodes and decodes. */
#include "tests/fuzz/text_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t first = zero != NULL ? (size_t)(zero - data) : size;
    size_t second = zero != NULL ? first + 1 : size;
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    sa_status status =
        sa_tokenizer_parse_merges(&t, "fuzz", first % 2 == 0 ? "Qwen2Tokenizer" : "GPT2Tokenizer", data,
                                  first, (const char *)data + second, size - second, &err);
    if (status == SA_OK) {
        exercise(t);
    } else {
        check_refusal(status, &err);
    }
    return 0;
}
