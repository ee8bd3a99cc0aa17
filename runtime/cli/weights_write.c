/*
 * A model directory, written: which tensors, in which files, and what stands beside them.
 *
 *   open -> config -> match -> list of tensors -> shards -> index; config.json; tokenizers; the tower
 */
#include "runtime/cli/weights_write.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/ending.h"
#include "runtime/base/file.h"

enum { MOST_COMPANION = 256 << 20, MOST_SHARDS = 512, SHARD_NAME = 48 };

typedef struct {
    weights_writing *job;
    const char *in, *directory;
    const sa_weights *weights;
    const weights_model *model;
    const sa_tensor_want *wants;
    size_t want_count;
    sa_tensor_out *outs;
    size_t count;
    sa_progress progress;
    size_t done; /* tensors of this model that are written */
} writing;

static bool is_sam(const writing *w)
{
    return strcmp(w->model->type, "sam") == 0;
}

/* -- Which tensors -- */

static sa_dtype choose_dtype(const writing *w, const sa_tensor *tensor)
{
    const char *dtype = w->job->dtype;
    if (strcmp(dtype, "f32") == 0) {
        return SA_F32;
    }
    if (strcmp(dtype, "bf16") == 0) {
        return SA_BF16;
    }
    return strcmp(dtype, "f16") == 0 ? SA_F16 : tensor->dtype;
}

/* Of two names for a tied tensor transformers writes the second, and reads either. */
static void list_by_want(writing *w)
{
    for (size_t i = 0; i < w->want_count; i++) {
        const sa_tensor_want *want = &w->wants[i];
        if (want->found != NULL) {
            w->outs[w->count++] = (sa_tensor_out){want->alias[0] != '\0' ? want->alias : want->name,
                                                  want->found, choose_dtype(w, want->found)};
        }
    }
}

static const sa_tensor_want *want_of(const writing *w, const sa_tensor *tensor)
{
    for (size_t i = 0; i < w->want_count; i++) {
        const sa_tensor_want *want = &w->wants[i];
        if (strcmp(want->name, tensor->name) == 0 || strcmp(want->alias, tensor->name) == 0) {
            return want;
        }
    }
    return NULL;
}

/*
 * Every tensor under its own name, but for the second copy of a tied one. What this engine does not need (the
 * text encoder of a CLIP, tables that older programs kept) stays as it is: nobody has asked for less.
 */
static void list_as_they_are(writing *w)
{
    for (size_t i = 0; i < sa_weights_count(w->weights); i++) {
        const sa_tensor *tensor = sa_weights_at(w->weights, i);
        const sa_tensor_want *want = want_of(w, tensor);
        if (want == NULL || want->found == tensor) {
            w->outs[w->count++] =
                (sa_tensor_out){tensor->name, tensor, want != NULL ? choose_dtype(w, tensor) : tensor->dtype};
        }
    }
}

static size_t written_bytes(const sa_tensor_out *out)
{
    bool converts = sa_dtype_is_float(out->tensor->dtype);
    return out->tensor->count * sa_dtype_size(converts ? out->dtype : out->tensor->dtype);
}

/* -- Shards -- */

/* The end of the shard that begins at `first`: as many tensors as fit, and one at least. */
static size_t shard_end(const writing *w, size_t first)
{
    size_t bytes = 0, end = first;
    do {
        bytes += written_bytes(&w->outs[end++]);
    } while (end < w->count && bytes + written_bytes(&w->outs[end]) <= w->job->shard_bytes);
    return end;
}

static size_t count_shards(const writing *w)
{
    size_t shards = 0;
    for (size_t first = 0; first < w->count; first = shard_end(w, first)) {
        shards++;
    }
    return shards;
}

static void name_shard(char name[SHARD_NAME], size_t number, size_t shards)
{
    if (shards == 1) {
        snprintf(name, SHARD_NAME, "model.safetensors");
    } else {
        snprintf(name, SHARD_NAME, "model-%05zu-of-%05zu.safetensors", number, shards);
    }
}

static sa_status wrote_tensor(void *context, sa_error *err)
{
    writing *w = context;
    w->job->tensors++;
    sa_progress_update(&w->progress, (long long)++w->done);
    return sa_interrupt_check(err);
}

static sa_status write_shards(writing *w, size_t shards, sa_error *err)
{
    const sa_write_watcher watcher = {wrote_tensor, w};
    size_t number = 0, end;
    for (size_t first = 0; first < w->count; first = end) {
        char name[SHARD_NAME], path[512];
        end = shard_end(w, first);
        name_shard(name, ++number, shards);
        SA_TRY(sa_file_join(path, sizeof path, w->directory, name, err));
        SA_TRY(sa_safetensors_write(path, w->weights, w->outs + first, end - first, &watcher, err));
    }
    return SA_OK;
}

static void write_index(sa_json_writer *j, const writing *w, size_t shards)
{
    size_t total = 0, number = 0;
    for (size_t i = 0; i < w->count; i++) {
        total += written_bytes(&w->outs[i]);
    }
    sa_json_begin_object(j);
    sa_json_key(j, "metadata");
    sa_json_begin_object(j);
    sa_json_key(j, "total_size");
    sa_json_int(j, (int64_t)total);
    sa_json_end_object(j);
    sa_json_key(j, "weight_map");
    sa_json_begin_object(j);
    for (size_t first = 0, end; first < w->count; first = end) {
        char name[SHARD_NAME];
        end = shard_end(w, first);
        name_shard(name, ++number, shards);
        for (size_t i = first; i < end; i++) {
            sa_json_key(j, w->outs[i].name);
            sa_json_string(j, name);
        }
    }
    sa_json_end_object(j);
    sa_json_end_object(j);
    sa_json_end_line(j);
}

static sa_status open_in(const writing *w, const char *name, sa_file_writer *writer, sa_error *err)
{
    char path[512];
    SA_TRY(sa_file_join(path, sizeof path, w->directory, name, err));
    return sa_file_writer_open(writer, path, err);
}

static sa_status write_tensors(writing *w, sa_error *err)
{
    w->outs = malloc((sa_weights_count(w->weights) + w->want_count) * sizeof *w->outs);
    if (w->outs == NULL) {
        return sa_fail(err, SA_NO_ROOM, w->in, "free some memory", "no memory for its list of tensors");
    }
    if (is_sam(w)) {
        list_by_want(w);
    } else {
        list_as_they_are(w);
    }
    size_t shards = count_shards(w);
    if (shards > MOST_SHARDS) { /* what the reader takes */
        return sa_fail(err, SA_BAD_USAGE, "--shard", "let files be larger", "%zu files are more than %d",
                       shards, (int)MOST_SHARDS);
    }
    w->progress = sa_progress_start(w->job->log, "convert", "cpu", (long long)w->count);
    sa_status status = write_shards(w, shards, err);
    sa_progress_end(&w->progress, (long long)w->done);
    SA_TRY(status);
    if (shards > 1) {
        sa_file_writer writer;
        SA_TRY(open_in(w, "model.safetensors.index.json", &writer, err));
        sa_json_writer j = sa_json_writer_on(writer.stream);
        write_index(&j, w, shards);
        SA_TRY(sa_file_writer_commit(&writer, err));
    }
    return SA_OK;
}

/* -- What stands beside them -- */

static sa_status write_sam_file(const writing *w, const char *name,
                                void (*write)(const sa_sam_config *, FILE *), sa_error *err)
{
    sa_file_writer writer;
    SA_TRY(open_in(w, name, &writer, err));
    write(&w->model->config.sam, writer.stream);
    return sa_file_writer_commit(&writer, err);
}

/* "dtype" in the words of transformers 5, "torch_dtype" in those of 4: where it stands, it says what is so.
 */
static void set_dtype(json_t *object, const char *dtype)
{
    static const char *const keys[] = {"dtype", "torch_dtype"};
    for (size_t i = 0; i < 2; i++) {
        if (json_is_string(json_object_get(object, keys[i]))) {
            json_object_set_new(object, keys[i], json_string(dtype));
        }
    }
}

static sa_status write_config(const writing *w, sa_error *err)
{
    const char *to = w->job->dtype;
    const char *name = strcmp(to, "f32") == 0 ? "float32" : strcmp(to, "bf16") == 0 ? "bfloat16" : "float16";
    char path[SA_CONFIG_PATH];
    json_t *config;
    sa_file_writer writer;
    SA_TRY(sa_config_open(w->in, "config.json", path, &config, err));
    set_dtype(config, name);
    set_dtype(json_object_get(config, "text_config"), name);
    set_dtype(json_object_get(config, "vision_config"), name);
    sa_status status = open_in(w, "config.json", &writer, err);
    if (status == SA_OK) {
        sa_json_writer j = sa_json_writer_on(writer.stream);
        sa_json_value(&j, config);
        sa_json_end_line(&j);
        status = sa_file_writer_commit(&writer, err);
    }
    json_decref(config);
    return status;
}

/* Tokenizers, templates, settings, licence: what a model is used with, and not its weights. */
static bool is_companion(const char *name)
{
    static const char *const endings[] = {".json", ".model", ".txt", ".tiktoken", ".jinja", ".md"};
    bool found = strncmp(name, "LICENSE", 7) == 0 || strncmp(name, "NOTICE", 6) == 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        found = found || sa_ends_with(name, endings[i]);
    }
    return found && name[0] != '.' && !sa_ends_with(name, ".index.json");
}

static sa_status copy_companion(const writing *w, const char *name, sa_error *err)
{
    char from[512], to[512];
    unsigned char *bytes;
    size_t size;
    SA_TRY(sa_file_join(from, sizeof from, w->in, name, err));
    if (sa_file_is_directory(from)) {
        return SA_OK;
    }
    SA_TRY(sa_file_join(to, sizeof to, w->directory, name, err));
    SA_TRY(sa_file_read(from, MOST_COMPANION, &bytes, &size, err));
    sa_status status = sa_file_write(to, bytes, size, err);
    free(bytes);
    return status;
}

/* config.json as it is, byte for byte, unless the tensors have changed. */
static sa_status copy_companions(const writing *w, sa_error *err)
{
    bool keep = strcmp(w->job->dtype, "keep") == 0;
    sa_status status = SA_OK;
    DIR *directory = opendir(w->in);
    if (directory == NULL) {
        return sa_fail_errno(err, w->in, "cannot list");
    }
    for (struct dirent *entry = readdir(directory); entry != NULL && status == SA_OK;
         entry = readdir(directory)) {
        if (is_companion(entry->d_name) && (keep || strcmp(entry->d_name, "config.json") != 0)) {
            status = copy_companion(w, entry->d_name, err);
        }
    }
    closedir(directory);
    return status == SA_OK && !keep ? write_config(w, err) : status;
}

/* A tower that has a directory of its own goes into the new one, under the last part of its name. */
static sa_status write_tower(const writing *w, sa_error *err)
{
    const char *tower = strncmp(w->model->type, "llava", 5) == 0 ? w->model->config.llava.config.tower : "";
    if (tower[0] == '\0') {
        return SA_OK;
    }
    char directory[512];
    const char *slash = strrchr(tower, '/'), *name = slash != NULL ? slash + 1 : tower;
    if (name[0] == '\0' || name[0] == '.') {
        return sa_fail(err, SA_BAD_INPUT, tower, "write mm_vision_tower in config.json without dots",
                       "the tower's directory has no name of its own");
    }
    SA_TRY(sa_file_join(directory, sizeof directory, w->directory, name, err));
    SA_TRY(sa_file_make_directory(directory, err));
    return weights_write(w->job, tower, directory, err);
}

static sa_status write_companions(const writing *w, sa_error *err)
{
    SA_TRY(sa_interrupt_check(err));
    if (is_sam(w)) {
        SA_TRY(write_sam_file(w, "config.json", sa_sam_config_write, err));
        return write_sam_file(w, "preprocessor_config.json", sa_sam_config_write_preprocess, err);
    }
    SA_TRY(copy_companions(w, err));
    return write_tower(w, err);
}

/* -- The whole -- */

static sa_status match_and_write(writing *w, sa_error *err)
{
    sa_weights_report report = {0};
    sa_tensor_want *wants = NULL;
    SA_TRY(sa_tensor_table_plan(&w->model->table, &wants, &w->want_count, err));
    sa_status status =
        sa_weights_match(w->weights, wants, w->want_count, w->model->table.ignored, &report, err);
    w->wants = wants;
    if (status == SA_OK) {
        status = write_tensors(w, err);
    }
    if (status == SA_OK) {
        status = write_companions(w, err);
    }
    free(w->outs);
    sa_weights_report_free(&report);
    free(wants);
    return status;
}

sa_status weights_write(weights_writing *job, const char *in, const char *directory, sa_error *err)
{
    weights_model *model = malloc(sizeof *model);
    sa_weights *weights = NULL;
    if (model == NULL) {
        return sa_fail(err, SA_NO_ROOM, in, "free some memory", "no memory for its configuration");
    }
    sa_status status = sa_weights_open(&weights, in, err);
    if (status == SA_OK) {
        status = weights_read_model(in, weights, model, err);
    }
    if (status == SA_OK) {
        writing w = {.job = job, .in = in, .directory = directory, .weights = weights, .model = model};
        status = match_and_write(&w, err);
    }
    sa_weights_close(weights);
    free(model);
    return status;
}
