/* The growing list of tensors that the readers fill. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/weights/reader.h"

static sa_status grow(sa_tensor_list *list, const char *path, sa_error *err)
{
    if (list->count < list->capacity) {
        return SA_OK;
    }
    if (list->count >= SA_MAX_TENSORS) {
        return sa_fail(err, SA_BAD_INPUT, path, "is this a model's weights file?", "more than %d tensors",
                       SA_MAX_TENSORS);
    }
    size_t capacity = list->capacity != 0 ? 2 * list->capacity : 64;
    sa_tensor_entry *entries = realloc(list->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory for a list of %zu tensors",
                       capacity);
    }
    list->entries = entries;
    list->capacity = capacity;
    return SA_OK;
}

static sa_status copy_name(char **copy, const char *path, const char *name, size_t length, sa_error *err)
{
    if (length == 0 || length > SA_MAX_TENSOR_NAME) {
        return sa_fail(err, SA_BAD_INPUT, path, "names have 1 to 1024 bytes; the file may be damaged",
                       "a tensor name of %zu bytes", length);
    }
    if (memchr(name, '\0', length) != NULL) {
        return sa_fail(err, SA_BAD_INPUT, path, "the file may be damaged", "a tensor name holds a zero byte");
    }
    json_t *text = json_stringn(name, length); /* NULL unless it is UTF-8, which reports and headers need */
    if (text == NULL) {
        return sa_fail(err, SA_BAD_INPUT, path, "the file may be damaged", "a tensor name is not UTF-8");
    }
    json_decref(text);
    *copy = malloc(length + 1);
    if (*copy == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory for tensor names");
    }
    memcpy(*copy, name, length);
    (*copy)[length] = '\0';
    return SA_OK;
}

sa_status sa_tensor_list_add(sa_tensor_list *list, const char *path, const char *name, size_t length,
                             const sa_tensor *tensor, void *owned, sa_error *err)
{
    char *copy = NULL;
    sa_status status = grow(list, path, err);
    if (status == SA_OK) {
        status = copy_name(&copy, path, name, length, err);
    }
    if (status != SA_OK) {
        free(owned);
        return status;
    }
    sa_tensor_entry *entry = &list->entries[list->count++];
    *entry = (sa_tensor_entry){.tensor = *tensor, .name = copy, .owned = owned};
    entry->tensor.name = copy;
    return SA_OK;
}

void sa_tensor_list_free(sa_tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i].name);
        free(list->entries[i].owned);
    }
    free(list->entries);
    *list = (sa_tensor_list){0};
}

sa_status sa_tensor_measure(sa_tensor *tensor, const char *path, sa_error *err)
{
    size_t count = 1, bytes = 0;
    bool fits = true;
    for (int axis = 0; axis < tensor->rank; axis++) {
        fits = fits && sa_mul_size(count, tensor->shape[axis], &count);
    }
    if (!fits || !sa_mul_size(count, sa_dtype_size(tensor->dtype), &bytes)) {
        return sa_fail(err, SA_BAD_INPUT, path, "the file is damaged", "tensor \"%s\": its shape overflows",
                       tensor->name);
    }
    tensor->count = count;
    tensor->bytes = bytes;
    return SA_OK;
}
