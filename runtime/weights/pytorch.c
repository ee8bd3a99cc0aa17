/*
 * Reader of PyTorch files (.pth, .pt, .bin): a zip of stored files, written by torch.save.
 *
 *   PREFIX/data.pkl    a pickle: dicts of names to calls of _rebuild_tensor_v2 with a storage, offset, sizes,
 * strides PREFIX/data/KEY    the bytes of one storage PREFIX/byteorder   "little" or "big"
 *
 * The pickle is read as data (pickle.h), the calls are understood here, and nothing else in the file is:
 * objects of other classes are passed over, unless a tensor depends on one.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/weights/pickle.h"
#include "runtime/weights/reader.h"
#include "runtime/weights/zip.h"

enum {
    MAX_DEPTH = 32,         /* of dicts in dicts */
    MAX_VISITS = 1 << 20,   /* shared dicts make a small pickle a huge tree */
    MAX_PARAMETER_DEPTH = 4 /* of Parameter(Parameter(...)) */
};
static const size_t MAX_PICKLE = 64u << 20;
static const char DAMAGED[] = "the file is damaged: download or save it again";
static const char SAVE_AGAIN[] = "load it with torch and torch.save() the model's state_dict() again";
/* The largest released checkpoints make some 10^5 values. */
static const sa_pickle_dialect torch_dialect = {
    .most = 1 << 21,
    .damage = "the file is damaged, or not written by torch.save: download or save it again",
    .hint = SAVE_AGAIN};

typedef struct {
    const char *path;
    size_t size; /* of the file */
    int file;
    const sa_zip *zip;
    const sa_pickle *pickle;
    const char *prefix; /* "archive/", not terminated */
    size_t prefix_length;
    size_t visits, owned_bytes;
    sa_tensor_list *list;
    sa_error *err;
} reader;

/* The name of the value being visited: "image_encoder.blocks.0.norm1.weight". */
typedef struct {
    char text[SA_MAX_TENSOR_NAME + 1];
    size_t length;
} path_name;

static sa_status fail_tensor(const reader *r, const path_name *name, const char *what)
{
    return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED, "tensor \"%s\": %s", name->text, what);
}

static const sa_pickle_value *item(const reader *r, const sa_pickle_value *value, size_t i)
{
    return sa_pickle_item(r->pickle, value, i);
}

/* What a call calls, for messages: "simpleclick.isegm.model.losses.NormalizedFocalLossSigmoid". */
static const char *class_name(const reader *r, const sa_pickle_value *value)
{
    const sa_pickle_value *callee = item(r, value, 0);
    return callee != NULL && callee->kind == SA_PICKLE_GLOBAL ? callee->text : "a class without a name";
}

static sa_status refuse_class(const reader *r, const path_name *name, const char *class)
{
    return sa_fail(r->err, SA_BAD_INPUT, r->path, SAVE_AGAIN,
                   "tensor \"%s\" depends on an object of class %s", name->text, class);
}

/* -- Storages -- */

typedef struct {
    sa_dtype dtype;
    bool untyped; /* bytes: the dtype comes from the tensor */
    const unsigned char *data;
    size_t bytes;
} storage;

static bool storage_dtype(const sa_pickle_value *class, storage *s)
{
    static const struct {
        const char *name;
        sa_dtype dtype;
    } kinds[] = {
        {"torch.FloatStorage", SA_F32},  {"torch.HalfStorage", SA_F16}, {"torch.BFloat16Storage", SA_BF16},
        {"torch.DoubleStorage", SA_F64}, {"torch.ByteStorage", SA_U8},  {"torch.CharStorage", SA_I8},
        {"torch.ShortStorage", SA_I16},  {"torch.IntStorage", SA_I32},  {"torch.LongStorage", SA_I64},
        {"torch.BoolStorage", SA_BOOL},
    };
    s->untyped =
        sa_pickle_is(class, "torch.storage.UntypedStorage") || sa_pickle_is(class, "torch.UntypedStorage");
    s->dtype = SA_U8;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (sa_pickle_is(class, kinds[i].name)) {
            s->dtype = kinds[i].dtype;
            return true;
        }
    }
    return s->untyped;
}

static sa_status find_record(const reader *r, const path_name *name, const sa_pickle_value *key, storage *s)
{
    char record[300];
    if (key->length > 64) {
        return fail_tensor(r, name, "the key of its storage is too long");
    }
    int length = snprintf(record, sizeof record, "%.*sdata/%.*s", (int)r->prefix_length, r->prefix,
                          (int)key->length, key->text);
    const sa_zip_entry *entry =
        length > 0 && (size_t)length < sizeof record ? sa_zip_find(r->zip, record, (size_t)length) : NULL;
    if (entry == NULL) {
        return fail_tensor(r, name, "its storage is not in the archive");
    }
    s->data = entry->data;
    s->bytes = entry->size;
    return SA_OK;
}

/* A persistent id is ("storage", class, key, place, element count). */
static sa_status read_storage(const reader *r, const path_name *name, const sa_pickle_value *value,
                              storage *s)
{
    const sa_pickle_value *id = value->kind == SA_PICKLE_PERSISTENT ? item(r, value, 0) : NULL;
    const sa_pickle_value *class = item(r, id, 1), *key = item(r, id, 2), *count = item(r, id, 4);
    if (id == NULL) {
        return refuse_class(r, name,
                            value->kind == SA_PICKLE_CALL ? class_name(r, value) : "unknown to this program");
    }
    if (!sa_pickle_is(item(r, id, 0), "storage") || class == NULL || class->kind != SA_PICKLE_GLOBAL ||
        key == NULL || key->kind != SA_PICKLE_TEXT || count == NULL || count->kind != SA_PICKLE_INT) {
        return fail_tensor(r, name, "its storage is not described as torch.save does");
    }
    if (!storage_dtype(class, s)) {
        return refuse_class(r, name, class->text);
    }
    SA_TRY(find_record(r, name, key, s));
    size_t bytes = 0;
    if (count->number < 0 || !sa_mul_size((size_t)count->number, sa_dtype_size(s->dtype), &bytes) ||
        bytes != s->bytes) {
        return fail_tensor(r, name, "its storage has another size than its record in the archive");
    }
    return SA_OK;
}

/* _rebuild_tensor_v3 names the element type of an untyped storage. */
static sa_status read_dtype(const reader *r, const path_name *name, const sa_pickle_value *value, storage *s)
{
    static const char *const names[SA_DTYPE_COUNT] = {
        "torch.float32", "torch.float16", "torch.bfloat16", "torch.float64", "torch.uint8",
        "torch.int8",    "torch.int16",   "torch.int32",    "torch.int64",   "torch.bool"};
    for (int dtype = 0; dtype < SA_DTYPE_COUNT; dtype++) {
        if (sa_pickle_is(value, names[dtype])) {
            s->dtype = (sa_dtype)dtype;
            return SA_OK;
        }
    }
    bool named = value != NULL && value->kind == SA_PICKLE_GLOBAL;
    return sa_fail(r->err, SA_BAD_INPUT, r->path, "convert the weights to bfloat16, float16 or float32",
                   "tensor \"%s\": dtype %s is not supported", name->text,
                   named ? value->text : "without a name");
}

/* -- Views of storages -- */

typedef struct {
    size_t offset;
    size_t stride[SA_TENSOR_MAX_RANK];
} view;

/* A tuple of whole numbers >= 0; torch.Size(...) stands for one in some files. */
static bool read_sizes(const reader *r, const sa_pickle_value *value, size_t *sizes, int *rank)
{
    if (value != NULL && value->kind == SA_PICKLE_CALL && sa_pickle_is(item(r, value, 0), "torch.Size")) {
        value = item(r, item(r, value, 1), 0);
    }
    if (value == NULL || value->kind != SA_PICKLE_TUPLE || value->count > SA_TENSOR_MAX_RANK) {
        return false;
    }
    for (size_t i = 0; i < value->count; i++) {
        const sa_pickle_value *number = item(r, value, i);
        if (number->kind != SA_PICKLE_INT || number->number < 0) {
            return false;
        }
        sizes[i] = (size_t)number->number;
    }
    *rank = (int)value->count;
    return true;
}

/* Axes by stride, the smallest first. */
static void order_axes(const sa_tensor *tensor, const view *v, int *axes)
{
    for (int i = 0; i < tensor->rank; i++) {
        int place = i;
        for (; place > 0 && v->stride[axes[place - 1]] > v->stride[i]; place--) {
            axes[place] = axes[place - 1];
        }
        axes[place] = i;
    }
}

/*
 * *extent = 1 + the largest offset that the view reaches. Each axis must step over all that the finer axes
 * reach: then no element is in two places (so a view is never larger than its storage, and a copy of it is no
 * bomb).
 */
static bool measure_view(const sa_tensor *tensor, const view *v, size_t *extent)
{
    int axes[SA_TENSOR_MAX_RANK] = {0};
    order_axes(tensor, v, axes);
    size_t reach = 0;
    for (int i = 0; i < tensor->rank; i++) {
        size_t length = tensor->shape[axes[i]], stride = v->stride[axes[i]], step = 0;
        if (length == 1) {
            continue; /* its stride is never taken */
        }
        if (stride <= reach || !sa_mul_size(length - 1, stride, &step) || !sa_add_size(reach, step, &reach)) {
            return false;
        }
    }
    return sa_add_size(reach, 1, extent);
}

static bool is_contiguous(const sa_tensor *tensor, const view *v)
{
    size_t expected = 1;
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        if (tensor->shape[axis] != 1 && v->stride[axis] != expected) {
            return false;
        }
        expected *= tensor->shape[axis];
    }
    return true;
}

/* Element by element in row-major order; the axes count like the wheels of an odometer. */
static void copy_view(const sa_tensor *tensor, const view *v, const unsigned char *from, unsigned char *to)
{
    size_t element = sa_dtype_size(tensor->dtype), place[SA_TENSOR_MAX_RANK] = {0}, at = 0;
    for (size_t i = 0; i < tensor->count; i++) {
        memcpy(to + i * element, from + at * element, element);
        for (int axis = tensor->rank - 1; axis >= 0; axis--) {
            at += v->stride[axis];
            if (++place[axis] < tensor->shape[axis]) {
                break;
            }
            at -= v->stride[axis] * tensor->shape[axis];
            place[axis] = 0;
        }
    }
}

/*
 * Memory of our own for a view with gaps or swapped axes; all of them together stay below twice the file's
 * size.
 */
static sa_status materialise(reader *r, const path_name *name, sa_tensor *tensor, const view *v, void **owned)
{
    if (tensor->bytes > 2 * r->size - r->owned_bytes) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, "save contiguous tensors",
                       "tensor \"%s\": the strided views in this file need more memory than twice its size",
                       name->text);
    }
    *owned = malloc(tensor->bytes);
    if (*owned == NULL) {
        return sa_fail(r->err, SA_NO_ROOM, r->path, "free some memory", "no memory to copy tensor \"%s\"",
                       name->text);
    }
    r->owned_bytes += tensor->bytes;
    copy_view(tensor, v, tensor->data, *owned);
    tensor->data = *owned;
    return SA_OK;
}

static sa_status place_view(reader *r, const path_name *name, const storage *s, const view *v,
                            sa_tensor *tensor, void **owned)
{
    size_t elements = s->bytes / sa_dtype_size(tensor->dtype), extent = 0, end = 0;
    if (tensor->count == 0) {
        tensor->data = s->data;
        return SA_OK;
    }
    if (!measure_view(tensor, v, &extent)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, "save .clone()s of expanded or overlapping tensors",
                       "tensor \"%s\": its strides make elements overlap", name->text);
    }
    if (!sa_add_size(v->offset, extent, &end) || end > elements) {
        return fail_tensor(r, name, "it reaches past the end of its storage");
    }
    tensor->data = s->data + v->offset * sa_dtype_size(tensor->dtype);
    return is_contiguous(tensor, v) ? SA_OK : materialise(r, name, tensor, v, owned);
}

/* -- Tensors -- */

/*
 * _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks, ...); v3 has the dtype behind
 * these.
 */
static sa_status add_rebuilt(reader *r, const path_name *name, const sa_pickle_value *args, bool with_dtype)
{
    storage s = {0};
    view v = {0};
    int strides = 0;
    sa_tensor tensor = {.name = name->text, .file = r->file};
    const sa_pickle_value *offset = item(r, args, 1);
    if (args == NULL || args->kind != SA_PICKLE_TUPLE || args->count < 6) {
        return fail_tensor(r, name, "it is rebuilt from too few arguments");
    }
    SA_TRY(read_storage(r, name, item(r, args, 0), &s));
    if (with_dtype) {
        SA_TRY(read_dtype(r, name, item(r, args, 6), &s));
    }
    if (offset->kind != SA_PICKLE_INT || offset->number < 0 ||
        !read_sizes(r, item(r, args, 2), tensor.shape, &tensor.rank) ||
        !read_sizes(r, item(r, args, 3), v.stride, &strides) || strides != tensor.rank) {
        return fail_tensor(r, name, "offset, shape or strides are no whole numbers >= 0, or too many");
    }
    v.offset = (size_t)offset->number;
    tensor.dtype = s.dtype;
    SA_TRY(sa_tensor_measure(&tensor, r->path, r->err));
    void *owned = NULL;
    SA_TRY(place_view(r, name, &s, &v, &tensor, &owned));
    return sa_tensor_list_add(r->list, r->path, name->text, name->length, &tensor, owned, r->err);
}

/*
 * A call that makes a tensor; any other one is passed over, or refused if it was given a tensor or storage.
 */
static sa_status add_call(reader *r, const path_name *name, const sa_pickle_value *call)
{
    for (int depth = 0; depth <= MAX_PARAMETER_DEPTH; depth++) {
        const sa_pickle_value *callee = item(r, call, 0), *args = item(r, call, 1);
        if (call->kind != SA_PICKLE_CALL) {
            break;
        }
        if (sa_pickle_is(callee, "torch._utils._rebuild_tensor_v2")) {
            return add_rebuilt(r, name, args, false);
        }
        if (sa_pickle_is(callee, "torch._utils._rebuild_tensor_v3")) {
            return add_rebuilt(r, name, args, true);
        }
        bool parameter = sa_pickle_is(callee, "torch._utils._rebuild_parameter") ||
                         sa_pickle_is(callee, "torch._utils._rebuild_parameter_with_state");
        if (!parameter) {
            return call->holds_storage ? refuse_class(r, name, class_name(r, call)) : SA_OK;
        }
        call = item(r, args, 0);
        if (call == NULL) {
            break;
        }
    }
    return fail_tensor(r, name, "it is a Parameter of no tensor");
}

/* -- The tree of names -- */

static sa_status extend(const reader *r, path_name *name, const char *text, size_t length)
{
    size_t dot = name->length > 0 ? 1 : 0;
    if (length > SA_MAX_TENSOR_NAME - name->length || dot > SA_MAX_TENSOR_NAME - name->length - length) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, SAVE_AGAIN, "a tensor name is longer than %d bytes",
                       SA_MAX_TENSOR_NAME);
    }
    if (dot != 0) {
        name->text[name->length++] = '.';
    }
    memcpy(name->text + name->length, text, length);
    name->length += length;
    name->text[name->length] = '\0';
    return SA_OK;
}

/* Keys are strings or whole numbers; a value that holds no tensor may have any key. */
static sa_status extend_by_key(const reader *r, path_name *name, const sa_pickle_value *key, bool *usable)
{
    char number[24];
    *usable = key->kind == SA_PICKLE_TEXT || key->kind == SA_PICKLE_INT;
    if (key->kind == SA_PICKLE_TEXT) {
        return extend(r, name, key->text, key->length);
    }
    int length = snprintf(number, sizeof number, "%lld", (long long)key->number);
    return *usable ? extend(r, name, number, (size_t)length) : SA_OK;
}

static sa_status visit(reader *r, path_name *name, const sa_pickle_value *value, int depth);

static sa_status visit_member(reader *r, path_name *name, const sa_pickle_value *key,
                              const sa_pickle_value *value, int depth)
{
    size_t before = name->length;
    bool usable = false;
    if (!value->holds_storage) {
        return SA_OK; /* epoch counters, configs, optimizer settings */
    }
    SA_TRY(extend_by_key(r, name, key, &usable));
    if (!usable) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, SAVE_AGAIN,
                       "a tensor below \"%s\" has a key that is no name", name->text);
    }
    SA_TRY(visit(r, name, value, depth + 1));
    name->length = before;
    name->text[before] = '\0';
    return SA_OK;
}

static sa_status visit_items(reader *r, path_name *name, const sa_pickle_value *value, int depth)
{
    bool dict = value->kind == SA_PICKLE_DICT;
    for (size_t i = 0; i + (dict ? 1 : 0) < value->count; i += dict ? 2 : 1) {
        sa_pickle_value number = {.kind = SA_PICKLE_INT, .number = (int64_t)i};
        SA_TRY(visit_member(r, name, dict ? item(r, value, i) : &number, item(r, value, i + (dict ? 1 : 0)),
                            depth));
    }
    return SA_OK;
}

static sa_status visit(reader *r, path_name *name, const sa_pickle_value *value, int depth)
{
    if (depth > MAX_DEPTH || ++r->visits > MAX_VISITS) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, SAVE_AGAIN,
                       "its dicts are nested too deep or shared too often");
    }
    switch (value->kind) {
    case SA_PICKLE_DICT:
    case SA_PICKLE_LIST:
    case SA_PICKLE_TUPLE: return visit_items(r, name, value, depth);
    case SA_PICKLE_CALL: return add_call(r, name, value);
    case SA_PICKLE_PERSISTENT: return fail_tensor(r, name, "it is a bare storage without a shape");
    default: return SA_OK;
    }
}

/*
 * Training checkpoints keep the weights beside epoch, optimizer and config: enter the dict that holds them.
 */
static const sa_pickle_value *enter_state(const reader *r, const sa_pickle_value *value)
{
    static const char *const keys[] = {"state_dict", "model", "module"};
    for (int level = 0; level < MAX_PARAMETER_DEPTH; level++) {
        const sa_pickle_value *inner = NULL;
        for (size_t k = 0; k < sizeof keys / sizeof keys[0] && inner == NULL; k++) {
            for (size_t i = 0; i + 1 < value->count; i += 2) {
                bool dict = item(r, value, i + 1)->kind == SA_PICKLE_DICT;
                inner = dict && sa_pickle_is(item(r, value, i), keys[k]) ? item(r, value, i + 1) : inner;
            }
        }
        if (inner == NULL) {
            break;
        }
        value = inner;
    }
    return value;
}

static sa_status read_tensors(reader *r)
{
    const sa_pickle_value *root = &r->pickle->values[r->pickle->root];
    path_name name = {.length = 0};
    size_t before = r->list->count;
    if (root->kind != SA_PICKLE_DICT) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, "save model.state_dict(), not the model itself",
                       "it holds no dict of tensors but %s%s",
                       root->kind == SA_PICKLE_CALL ? "an object of class " : "something else",
                       root->kind == SA_PICKLE_CALL ? class_name(r, root) : "");
    }
    SA_TRY(visit(r, &name, enter_state(r, root), 0));
    if (r->list->count == before) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, "is this the right file?",
                       "there are no tensors in it");
    }
    return SA_OK;
}

/* -- The archive -- */

static bool has_suffix(const sa_zip_entry *entry, const char *suffix)
{
    size_t length = strlen(suffix);
    return entry->length >= length && memcmp(entry->name + entry->length - length, suffix, length) == 0;
}

/* "PREFIX/" before the first slash; 0 if the entry stands at the top. */
static size_t prefix_of(const sa_zip_entry *entry)
{
    const char *slash = memchr(entry->name, '/', entry->length);
    return slash != NULL ? (size_t)(slash - entry->name) + 1 : 0;
}

static bool is_script(const sa_zip_entry *entry)
{
    size_t prefix = prefix_of(entry);
    return prefix != 0 && (has_suffix(entry, "/constants.pkl") ||
                           (entry->length - prefix >= 5 && memcmp(entry->name + prefix, "code/", 5) == 0));
}

/* Archives of another kind, told before what they hold is looked at. */
static sa_status refuse_kinds(const reader *r)
{
    bool compressed = false;
    for (size_t i = 0; i < r->zip->count; i++) {
        if (is_script(&r->zip->entries[i])) {
            return sa_fail(r->err, SA_BAD_INPUT, r->path,
                           "save the state_dict() of the Python model with torch.save",
                           "this is a TorchScript archive, which holds code");
        }
        compressed = compressed || r->zip->entries[i].compressed;
    }
    if (compressed) {
        return sa_fail(
            r->err, SA_BAD_INPUT, r->path,
            "torch.save does not compress; unpack it and pack it again without compression (zip -0)",
            "its zip archive is compressed");
    }
    return SA_OK;
}

static sa_status find_pickle(reader *r, const sa_zip_entry **found)
{
    *found = NULL;
    for (size_t i = 0; i < r->zip->count; i++) {
        const sa_zip_entry *entry = &r->zip->entries[i];
        if (has_suffix(entry, "/data.pkl") && prefix_of(entry) + strlen("data.pkl") == entry->length) {
            if (*found != NULL) {
                return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED, "its archive holds two data.pkl");
            }
            *found = entry;
        }
    }
    if (*found == NULL) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, "give a file that torch.save wrote",
                       "a zip archive, but not one of torch.save: it has no data.pkl");
    }
    r->prefix = (*found)->name;
    r->prefix_length = prefix_of(*found);
    if (r->prefix_length > 200 || (*found)->size > MAX_PICKLE) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, SAVE_AGAIN, "its data.pkl is larger than any model's");
    }
    return SA_OK;
}

static sa_status check_byte_order(const reader *r)
{
    char record[256];
    int length = snprintf(record, sizeof record, "%.*sbyteorder", (int)r->prefix_length, r->prefix);
    const sa_zip_entry *entry = sa_zip_find(r->zip, record, (size_t)length);
    if (entry != NULL && (entry->size != 6 || memcmp(entry->data, "little", 6) != 0)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, "load and save it again on a little-endian machine",
                       "its numbers are not little-endian");
    }
    return SA_OK; /* files from before torch 2.1 do not say */
}

static sa_status read_archive(reader *r)
{
    const sa_zip_entry *entry = NULL;
    sa_pickle pickle;
    SA_TRY(refuse_kinds(r));
    SA_TRY(find_pickle(r, &entry));
    SA_TRY(check_byte_order(r));
    sa_status status = sa_pickle_run(&pickle, r->path, entry->data, entry->size, &torch_dialect, r->err);
    if (status == SA_OK) {
        r->pickle = &pickle;
        status = read_tensors(r);
    }
    sa_pickle_free(&pickle);
    return status;
}

sa_status sa_pytorch_parse(const char *path, const unsigned char *bytes, size_t size, int file,
                           sa_tensor_list *list, sa_error *err)
{
    sa_zip zip;
    SA_TRY(sa_zip_open(&zip, path, bytes, size, err));
    reader r = {.path = path, .size = size, .file = file, .zip = &zip, .list = list, .err = err};
    sa_status status = read_archive(&r);
    sa_zip_close(&zip);
    return status;
}
