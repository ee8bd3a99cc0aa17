/*
 * Arbitrary bytes through sa_safetensors_parse. An accepted file must keep the format's promises: every
 * tensor lies in the data, with as many bytes as its shape says, and together they cover it.
 */
#include <stdint.h>

#include "runtime/weights/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t check_tensor(const sa_tensor *tensor, const uint8_t *data, size_t size)
{
    size_t count = 1;
    SA_ASSERT(tensor->rank >= 0 && tensor->rank <= SA_TENSOR_MAX_RANK);
    for (int axis = 0; axis < tensor->rank; axis++) {
        SA_ASSERT(!__builtin_mul_overflow(count, tensor->shape[axis], &count));
    }
    SA_ASSERT(count == tensor->count && count * sa_dtype_size(tensor->dtype) == tensor->bytes);
    SA_ASSERT(tensor->data >= data && tensor->bytes <= size && tensor->data <= data + size - tensor->bytes);
    return tensor->bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sa_tensor_list list = {0};
    sa_error err = {0};
    sa_status status = sa_safetensors_parse("fuzz", data, size, 0, &list, &err);
    size_t covered = 0;
    for (size_t i = 0; i < list.count; i++) {
        covered += check_tensor(&list.entries[i].tensor, data, size);
        sa_tensor_count_nonfinite(&list.entries[i].tensor);
    }
    if (status == SA_OK) {
        uint64_t header;
        memcpy(&header, data, sizeof header);
        SA_ASSERT(8 + header + covered == size);
    } else {
        SA_ASSERT(status == SA_BAD_INPUT && err.reason[0] != '\0' && err.hint[0] != '\0');
    }
    sa_tensor_list_free(&list);
    return 0;
}
