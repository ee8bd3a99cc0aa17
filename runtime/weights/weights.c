/*
 * A set of weight files as one sorted list of tensors.
 *
 *   path -> which files (one, or the shards of an index) -> map each -> its reader -> sort by name -> find
 */
#include "runtime/weights/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/ending.h"
#include "runtime/base/file.h"
#include "runtime/weights/reader.h"

enum { MAX_FILES = 512 };
static const size_t MAX_INDEX = 64u << 20; /* bytes of an index.json; that of a 70 B model has 70 kB */

struct sa_weights {
    char path[512];
    const char *format;
    sa_file_map *files;
    size_t file_count;
    sa_tensor_list list; /* sorted by name after open */
};

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const sa_tensor_entry *)a)->name, ((const sa_tensor_entry *)b)->name);
}

static sa_status sort_by_name(sa_weights *weights, sa_error *err)
{
    sa_tensor_list *list = &weights->list;
    if (list->count > 1) {
        qsort(list->entries, list->count, sizeof *list->entries, compare_entries);
    }
    for (size_t i = 1; i < list->count; i++) {
        if (strcmp(list->entries[i - 1].name, list->entries[i].name) == 0) {
            return sa_fail(err, SA_BAD_INPUT, sa_weights_file(weights, (size_t)list->entries[i].tensor.file),
                           "keep one of them", "tensor \"%s\" stands in the file set twice",
                           list->entries[i].name);
        }
    }
    return SA_OK;
}

/* -- One file -- */

static bool starts_with(const unsigned char *bytes, size_t size, const char *text)
{
    size_t length = strlen(text);
    return size >= length && memcmp(bytes, text, length) == 0;
}

/* What refuse_unknown has a word for, whatever the file is called. */
static bool is_mistaken(const unsigned char *bytes, size_t size)
{
    return starts_with(bytes, size, "version https://git-lfs") || starts_with(bytes, size, "GGUF") ||
           starts_with(bytes, size, "<") || starts_with(bytes, size, "\x80");
}

sa_container sa_container_of(const char *path, const unsigned char *bytes, size_t size)
{
    if (starts_with(bytes, size, "PK\003\004") || starts_with(bytes, size, "PK\005\006")) {
        return SA_CONTAINER_ZIP;
    }
    /*
     * A header length below 2^32 has four zero bytes where JSON text has none: '{' as the first byte can be
     * both.
     */
    bool short_length = size >= 8 && memcmp(bytes + 4, "\0\0\0\0", 4) == 0;
    if (short_length || (size > 8 && bytes[8] == '{' && bytes[0] != '{')) {
        return SA_CONTAINER_SAFETENSORS;
    }
    if (is_mistaken(bytes, size)) {
        return SA_CONTAINER_UNKNOWN;
    }
    if (size > 0 && (bytes[0] == '{' || sa_ends_with(path, ".json"))) {
        return SA_CONTAINER_INDEX;
    }
    return sa_ends_with(path, ".safetensors") ? SA_CONTAINER_SAFETENSORS : SA_CONTAINER_UNKNOWN;
}

/* Files that people mistake for weights get told what they have. */
static sa_status refuse_unknown(const char *path, const unsigned char *bytes, size_t size, sa_error *err)
{
    if (size == 0) {
        return sa_fail(err, SA_BAD_INPUT, path, "download or write it again", "the file is empty");
    }
    if (starts_with(bytes, size, "version https://git-lfs")) {
        return sa_fail(err, SA_BAD_INPUT, path, "fetch the real file with: git lfs pull",
                       "this is a Git LFS pointer, not the weights themselves");
    }
    if (bytes[0] == 0x80) {
        return sa_fail(err, SA_BAD_INPUT, path,
                       "load it with torch and torch.save() it again with torch 1.6 or newer",
                       "this is a legacy (not zip) PyTorch file or a bare pickle");
    }
    if (starts_with(bytes, size, "GGUF")) {
        return sa_fail(err, SA_BAD_INPUT, path, "use the model's safetensors or PyTorch files",
                       "GGUF files are not supported");
    }
    if (bytes[0] == '<') {
        return sa_fail(err, SA_BAD_INPUT, path, "download it again",
                       "this looks like a web page, not like weights");
    }
    return sa_fail(err, SA_BAD_INPUT, path,
                   "give a .safetensors, .pth, .pt or .bin file, or a model's directory",
                   "neither a safetensors file nor a PyTorch zip archive");
}

static sa_status parse_file(sa_weights *weights, const sa_file_map *map, sa_error *err)
{
    int file = (int)(weights->file_count - 1);
    sa_container container = sa_container_of(map->path, map->bytes, map->size);
    const char *format = container == SA_CONTAINER_ZIP ? "pytorch" : "safetensors";
    if (weights->format != NULL && strcmp(weights->format, format) != 0) {
        return sa_fail(err, SA_BAD_INPUT, map->path, "all shards must be of one kind",
                       "the shards mix safetensors and PyTorch files");
    }
    weights->format = format;
    if (container == SA_CONTAINER_ZIP) {
        SA_TRY(sa_pytorch_parse(map->path, map->bytes, map->size, file, &weights->list, err));
    } else if (container == SA_CONTAINER_SAFETENSORS) {
        SA_TRY(sa_safetensors_parse(map->path, map->bytes, map->size, file, &weights->list, err));
    } else {
        return refuse_unknown(map->path, map->bytes, map->size, err);
    }
    return sa_file_map_check(map, err);
}

static sa_status add_file(sa_weights *weights, const char *path, sa_error *err)
{
    sa_file_map *map = &weights->files[weights->file_count];
    SA_TRY(sa_file_map_open(map, path, err));
    weights->file_count++;
    return parse_file(weights, map, err);
}

static sa_status make_room_for_files(sa_weights *weights, size_t count, sa_error *err)
{
    if (count > MAX_FILES) {
        return sa_fail(err, SA_BAD_INPUT, weights->path, "merge some shards", "more than %d shards",
                       MAX_FILES);
    }
    weights->files = calloc(count, sizeof *weights->files);
    if (weights->files == NULL) {
        return sa_fail(err, SA_NO_ROOM, weights->path, "free some memory", "no memory for %zu files", count);
    }
    return SA_OK;
}

/* -- The shards of an index: {"metadata": {...}, "weight_map": {"TENSOR": "FILE", ...}} -- */

/* A shard must lie beside its index: an untrusted index must not make us open any file of the machine. */
static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && strlen(name) < 256 && strchr(name, '/') == NULL && strchr(name, '\\') == NULL &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* names: the distinct shard names, sorted, pointing into `map`; freed by the caller, not their texts. */
static sa_status list_shards(const char *path, const json_t *map, const char ***names, size_t *count,
                             sa_error *err)
{
    size_t total = json_object_size(map), distinct = 0;
    if (!json_is_object(map) || total == 0) {
        return sa_fail(err, SA_BAD_INPUT, path, "download the index again",
                       "it has no weight_map with tensors");
    }
    const char **all = malloc(total * sizeof *all);
    if (all == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory for an index of %zu tensors",
                       total);
    }
    *names = all;
    const char *key;
    json_t *value;
    size_t i = 0;
    json_object_foreach((json_t *)map, key, value) {
        const char *name = json_string_value(value);
        if (name == NULL || !is_plain_name(name)) {
            return sa_fail(err, SA_BAD_INPUT, path, "shards are named by plain file names beside the index",
                           "weight_map: tensor \"%s\" has a bad file name%s%s", key, name != NULL ? ": " : "",
                           name != NULL ? name : "");
        }
        all[i++] = name;
    }
    qsort(all, total, sizeof *all, compare_names);
    for (i = 0; i < total; i++) {
        if (i == 0 || strcmp(all[i], all[distinct - 1]) != 0) {
            all[distinct++] = all[i];
        }
    }
    *count = distinct;
    return SA_OK;
}

static sa_status open_shards(sa_weights *weights, const char *index_path, const char *const *names,
                             size_t count, sa_error *err)
{
    char directory[512], path[512];
    const char *slash = strrchr(index_path, '/');
    int length = slash != NULL ? (int)(slash - index_path) + 1 : 0; /* with the slash: "/" stays "/" */
    snprintf(directory, sizeof directory, "%.*s", length, index_path);
    if (length > 1) {
        directory[length - 1] = '\0';
    }
    SA_TRY(make_room_for_files(weights, count, err));
    for (size_t i = 0; i < count; i++) {
        SA_TRY(sa_file_join(path, sizeof path, directory, names[i], err));
        if (!sa_file_exists(path)) {
            return sa_fail(err, SA_BAD_INPUT, path, "download the missing shard",
                           "the index %s names it, but it is not there", index_path);
        }
        SA_TRY(add_file(weights, path, err));
    }
    return SA_OK;
}

/* Every tensor of the index in its shard, and no tensor that the index does not know. Call after sorting. */
static sa_status check_weight_map(const sa_weights *weights, const char *path, const json_t *map,
                                  const char *const *names, sa_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value) {
        const sa_tensor *tensor = sa_weights_find(weights, key);
        if (tensor == NULL || strcmp(names[tensor->file], json_string_value(value)) != 0) {
            return sa_fail(err, SA_BAD_INPUT, path, "download index and shards again, from one release",
                           "tensor \"%s\" is not in %s", key, json_string_value(value));
        }
    }
    for (size_t i = 0; i < weights->list.count; i++) {
        const sa_tensor *tensor = &weights->list.entries[i].tensor;
        if (json_object_get(map, tensor->name) == NULL) {
            return sa_fail(err, SA_BAD_INPUT, path, "download index and shards again, from one release",
                           "tensor \"%s\" of %s is not in the index", tensor->name, names[tensor->file]);
        }
    }
    return SA_OK;
}

static sa_status open_index_map(sa_weights *weights, const char *path, const json_t *map, sa_error *err)
{
    const char **names = NULL;
    size_t count = 0;
    sa_status status = list_shards(path, map, &names, &count, err);
    if (status == SA_OK) {
        status = open_shards(weights, path, names, count, err);
    }
    if (status == SA_OK) {
        status = sort_by_name(weights, err);
    }
    if (status == SA_OK) {
        status = check_weight_map(weights, path, map, names, err);
    }
    free(names);
    return status;
}

static sa_status open_index(sa_weights *weights, const char *path, sa_error *err)
{
    json_t *index = NULL;
    SA_TRY(sa_json_read(path, MAX_INDEX, &index, err));
    sa_status status;
    if (json_object_get(index, "weight_map") == NULL) {
        status =
            sa_fail(err, SA_BAD_INPUT, path, "give the model's directory, its weights or their *.index.json",
                    "this JSON file is no index of weights: it has no weight_map");
    } else {
        status = open_index_map(weights, path, json_object_get(index, "weight_map"), err);
    }
    json_decref(index);
    return status;
}

/* -- Open -- */

/* The file to open when `path` is a directory. */
static sa_status pick_in_directory(char *out, size_t size, const char *path, sa_error *err)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        SA_TRY(sa_file_join(out, size, path, names[i], err));
        if (sa_file_exists(out)) {
            return SA_OK;
        }
    }
    return sa_fail(err, SA_BAD_INPUT, path, "give a file, or the directory of a Hugging Face model",
                   "no model.safetensors, pytorch_model.bin or index of either in this directory");
}

static sa_status open_path(sa_weights *weights, sa_error *err)
{
    char picked[512];
    const char *path = weights->path;
    if (sa_file_is_directory(path)) {
        SA_TRY(pick_in_directory(picked, sizeof picked, path, err));
        path = picked;
    }
    sa_file_map probe;
    SA_TRY(sa_file_map_open(&probe, path, err));
    sa_container container = sa_container_of(path, probe.bytes, probe.size);
    sa_file_map_close(&probe);
    if (container == SA_CONTAINER_INDEX) {
        return open_index(weights, path, err);
    }
    SA_TRY(make_room_for_files(weights, 1, err));
    SA_TRY(add_file(weights, path, err));
    return sort_by_name(weights, err);
}

sa_status sa_weights_open(sa_weights **weights, const char *path, sa_error *err)
{
    *weights = NULL;
    if (strlen(path) >= sizeof(*weights)->path) {
        return sa_fail(err, SA_BAD_INPUT, path, "use a shorter path", "the path is too long");
    }
    sa_weights *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory to open weights");
    }
    snprintf(opened->path, sizeof opened->path, "%s", path);
    sa_status status = open_path(opened, err);
    if (status != SA_OK) {
        sa_weights_close(opened);
        return status;
    }
    *weights = opened;
    return SA_OK;
}

void sa_weights_close(sa_weights *weights)
{
    if (weights == NULL) {
        return;
    }
    sa_tensor_list_free(&weights->list);
    for (size_t i = 0; i < weights->file_count; i++) {
        sa_file_map_close(&weights->files[i]);
    }
    free(weights->files);
    free(weights);
}

/* -- Asking -- */

size_t sa_weights_count(const sa_weights *weights)
{
    return weights->list.count;
}

const sa_tensor *sa_weights_at(const sa_weights *weights, size_t index)
{
    SA_ASSERT(index < weights->list.count);
    return &weights->list.entries[index].tensor;
}

const sa_tensor *sa_weights_find(const sa_weights *weights, const char *name)
{
    size_t low = 0, high = weights->list.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, weights->list.entries[middle].name);
        if (order == 0) {
            return &weights->list.entries[middle].tensor;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const char *sa_weights_path(const sa_weights *weights)
{
    return weights->path;
}

const char *sa_weights_format(const sa_weights *weights)
{
    return weights->format;
}

size_t sa_weights_file_count(const sa_weights *weights)
{
    return weights->file_count;
}

const char *sa_weights_file(const sa_weights *weights, size_t index)
{
    SA_ASSERT(index < weights->file_count);
    return weights->files[index].path;
}

sa_status sa_weights_check(const sa_weights *weights, sa_error *err)
{
    for (size_t i = 0; i < weights->file_count; i++) {
        SA_TRY(sa_file_map_check(&weights->files[i], err));
    }
    return SA_OK;
}

void sa_weights_release(const sa_weights *weights, const sa_tensor *tensor)
{
    const sa_file_map *map = &weights->files[tensor->file];
    uintptr_t data = (uintptr_t)tensor->data, base = (uintptr_t)map->bytes;
    if (tensor->bytes != 0 && data >= base && data - base < map->size) { /* copies of strided views stay */
        sa_file_map_release(map, (size_t)(data - base), (size_t)(data - base) + tensor->bytes);
    }
}
