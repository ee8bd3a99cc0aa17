/*
 * Arbitrary bytes through sa_pytorch_parse, in two ways: as a whole archive, and, where the first byte says
 * so, as the pickle of an archive that is built around it, so that the fuzzer need not learn to write zip
 * directories.
 */
#include <stdint.h>
#include <stdlib.h>

#include "runtime/weights/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STORAGE_BYTES = 32, MOST_BYTES = 1 << 17 };

typedef struct {
    uint8_t bytes[MOST_BYTES + 1024];
    size_t size;
} archive;

static void put(archive *a, const void *bytes, size_t size)
{
    if (size > 0) {
        memcpy(a->bytes + a->size, bytes, size);
    }
    a->size += size;
}

static void put_number(archive *a, uint64_t number, int width)
{
    for (int i = 0; i < width; i++) {
        a->bytes[a->size++] = (uint8_t)(i < 8 ? number >> (8 * i) : 0);
    }
}

static void put_local(archive *a, const char *name, const void *bytes, size_t size)
{
    put_number(a, 0x04034b50, 4);
    put_number(a, 0, 14);
    put_number(a, size, 4);
    put_number(a, size, 4);
    put_number(a, strlen(name), 2);
    put_number(a, 0, 2);
    put(a, name, strlen(name));
    put(a, bytes, size);
}

static void put_central(archive *a, const char *name, size_t size, size_t at)
{
    put_number(a, 0x02014b50, 4);
    put_number(a, 0, 16);
    put_number(a, size, 4);
    put_number(a, size, 4);
    put_number(a, strlen(name), 2);
    put_number(a, 0, 12);
    put_number(a, at, 4);
    put(a, name, strlen(name));
}

/* {"m/data.pkl": pickle, "m/data/0": eight floats} */
static void build(archive *a, const uint8_t *pickle, size_t size)
{
    static const uint8_t storage[STORAGE_BYTES] = {0};
    a->size = 0;
    put_local(a, "m/data.pkl", pickle, size);
    size_t second = a->size;
    put_local(a, "m/data/0", storage, sizeof storage);
    size_t start = a->size;
    put_central(a, "m/data.pkl", size, 0);
    put_central(a, "m/data/0", sizeof storage, second);
    size_t end = a->size;
    put_number(a, 0x06054b50, 4);
    put_number(a, 0, 4);
    put_number(a, 2, 2);
    put_number(a, 2, 2);
    put_number(a, end - start, 4);
    put_number(a, start, 4);
    put_number(a, 0, 2);
}

static void check_tensor(const sa_tensor_entry *entry, const uint8_t *data, size_t size)
{
    const sa_tensor *tensor = &entry->tensor;
    SA_ASSERT(tensor->count * sa_dtype_size(tensor->dtype) == tensor->bytes);
    if (entry->owned == NULL) {
        SA_ASSERT(tensor->data >= data && tensor->bytes <= size &&
                  tensor->data <= data + size - tensor->bytes);
    }
    sa_tensor_count_nonfinite(tensor); /* reads every byte of floating tensors */
}

static void check_bytes(const uint8_t *data, size_t size)
{
    sa_tensor_list list = {0};
    sa_error err = {0};
    sa_status status = sa_pytorch_parse("fuzz", data, size, 0, &list, &err);
    size_t owned = 0;
    for (size_t i = 0; i < list.count; i++) {
        check_tensor(&list.entries[i], data, size);
        owned += list.entries[i].owned != NULL ? list.entries[i].tensor.bytes : 0;
    }
    SA_ASSERT(owned <= 2 * size); /* no copy bomb */
    SA_ASSERT(status == SA_OK || (status == SA_BAD_INPUT && err.reason[0] != '\0' && err.hint[0] != '\0'));
    sa_tensor_list_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != 0x80 || size > MOST_BYTES) {
        check_bytes(data, size);
        return 0;
    }
    archive *a = malloc(sizeof *a);
    SA_ASSERT(a != NULL);
    build(a, data, size);
    uint8_t *exact = malloc(a->size); /* so that a read past the end is seen */
    SA_ASSERT(exact != NULL);
    memcpy(exact, a->bytes, a->size);
    check_bytes(exact, a->size);
    free(exact);
    free(a);
    return 0;
}
