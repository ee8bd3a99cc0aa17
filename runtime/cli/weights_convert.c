/*
 * segagent weights convert: a PyTorch checkpoint (or any weights of a known model) to a Hugging Face
 * directory.
 *
 *   open -> config -> match -> OUT.PID.tmp/{model.safetensors,config.json,preprocessor_config.json} -> rename
 * to OUT
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/cli/weights.h"

static const char WEIGHTS[] = "model.safetensors", CONFIG[] = "config.json",
                  PREPROCESS[] = "preprocessor_config.json";

typedef struct {
    const char *out;
    char temporary[512];
    const char *dtype; /* of --dtype */
    const sa_weights *weights;
    weights_model model;
    const sa_tensor_want *wants;
    size_t count;
} conversion;

/* -- The directory -- */

static sa_status check_target(const char *out, sa_error *err)
{
    if (!sa_file_exists(out)) {
        return SA_OK;
    }
    DIR *directory = opendir(out);
    if (directory == NULL) {
        return sa_fail(err, SA_BAD_INPUT, out, "give the name of a new directory",
                       "is there and is no directory");
    }
    bool empty = true;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    }
    closedir(directory);
    return empty ? SA_OK
                 : sa_fail(err, SA_BAD_INPUT, out, "give the name of a new directory, or empty this one",
                           "the directory is not empty");
}

/* Beside the target, so that the rename stays on one file system. */
static sa_status make_temporary(conversion *c, sa_error *err)
{
    size_t length = strlen(c->out);
    while (length > 1 && c->out[length - 1] == '/') {
        length--;
    }
    int printed =
        snprintf(c->temporary, sizeof c->temporary, "%.*s.%ld.tmp", (int)length, c->out, (long)getpid());
    if (printed < 0 || (size_t)printed >= sizeof c->temporary || length > 400) {
        return sa_fail(err, SA_BAD_INPUT, c->out, "use a shorter path", "the path is too long");
    }
    return sa_file_make_directory(c->temporary, err);
}

static void remove_temporary(const conversion *c)
{
    static const char *const names[] = {WEIGHTS, CONFIG, PREPROCESS};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (sa_file_join(path, sizeof path, c->temporary, names[i], NULL) == SA_OK) {
            unlink(path);
        }
    }
    rmdir(c->temporary);
}

/* -- The files -- */

static sa_status write_text(const conversion *c, const char *name,
                            void (*write)(const sa_sam_config *, FILE *), sa_error *err)
{
    char path[512];
    sa_file_writer writer;
    SA_TRY(sa_file_join(path, sizeof path, c->temporary, name, err));
    SA_TRY(sa_file_writer_open(&writer, path, err));
    write(&c->model.config.sam, writer.stream);
    return sa_file_writer_commit(&writer, err);
}

static sa_dtype choose_dtype(const conversion *c, const sa_tensor *tensor)
{
    if (strcmp(c->dtype, "f32") == 0) {
        return SA_F32;
    }
    if (strcmp(c->dtype, "bf16") == 0) {
        return SA_BF16;
    }
    return strcmp(c->dtype, "f16") == 0 ? SA_F16 : tensor->dtype;
}

/* Of two names for a tied tensor transformers writes the second, and reads either. */
static sa_status write_weights(const conversion *c, sa_error *err)
{
    char path[512];
    sa_tensor_out *outs = malloc((c->count + 1) * sizeof *outs);
    if (outs == NULL) {
        return sa_fail(err, SA_NO_ROOM, c->out, "free some memory", "no memory for %zu tensors", c->count);
    }
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        const sa_tensor_want *want = &c->wants[i];
        if (want->found != NULL) {
            outs[count++] = (sa_tensor_out){want->alias[0] != '\0' ? want->alias : want->name, want->found,
                                            choose_dtype(c, want->found)};
        }
    }
    sa_status status = sa_file_join(path, sizeof path, c->temporary, WEIGHTS, err);
    if (status == SA_OK) {
        status = sa_safetensors_write(path, c->weights, outs, count, err);
    }
    free(outs);
    return status;
}

static sa_status write_files(const conversion *c, sa_error *err)
{
    SA_TRY(write_weights(c, err));
    SA_TRY(sa_interrupt_check(err));
    SA_TRY(write_text(c, CONFIG, sa_sam_config_write, err));
    SA_TRY(write_text(c, PREPROCESS, sa_sam_config_write_preprocess, err));
    SA_TRY(sa_interrupt_check(err));
    /* onto nothing, or onto an empty directory; one that was filled meanwhile is left alone */
    return rename(c->temporary, c->out) == 0 ? SA_OK
                                             : sa_fail_errno(err, c->out, "cannot put the directory there");
}

static sa_status write_directory(conversion *c, sa_error *err)
{
    SA_TRY(check_target(c->out, err));
    SA_TRY(make_temporary(c, err));
    sa_status status = write_files(c, err);
    if (status != SA_OK) {
        remove_temporary(c);
    }
    return status;
}

static sa_status convert(conversion *c, const char *in, sa_error *err)
{
    sa_weights_report report = {0};
    sa_tensor_want *wants = NULL;
    SA_TRY(weights_read_model(in, c->weights, &c->model, err));
    if (strcmp(c->model.type, "sam") != 0) {
        return sa_fail(err, SA_BAD_INPUT, in, "the engine reads such a directory as it is",
                       "only SAM models are converted, and this is model_type \"%s\"", c->model.type);
    }
    SA_TRY(sa_tensor_table_plan(&c->model.table, &wants, &c->count, err));
    sa_status status = sa_weights_match(c->weights, wants, c->count, NULL, &report, err);
    c->wants = wants;
    if (status == SA_OK) {
        status = write_directory(c, err);
    }
    sa_weights_report_free(&report);
    free(wants);
    return status;
}

static sa_status open_and_convert(conversion *c, const char *in, sa_error *err)
{
    sa_weights *weights = NULL;
    SA_TRY(check_target(c->out, err)); /* before the work, not after it */
    SA_TRY(sa_weights_open(&weights, in, err));
    c->weights = weights;
    sa_status status = convert(c, in, err);
    sa_weights_close(weights);
    return status;
}

int weights_convert(int argc, char **argv)
{
    conversion c = {0};
    const sa_option options[] = {
        {"dtype", SA_OPTION_CHOICE, &c.dtype, "keep|f32|bf16|f16", "element type of the tensors written",
         "keep", 0, 0},
    };
    const sa_syntax syntax = {
        .name = "weights convert",
        .summary =
            "Writes a Hugging Face directory (config.json, model.safetensors, preprocessor_config.json).",
        .usage = "IN OUT_DIR [OPTION]...",
        .example = "segagent weights convert sam_vit_b_01ec64.pth models/sam-vit-base --dtype bf16",
        .options = options,
        .count = sizeof options / sizeof options[0],
        .least_positions = 2,
        .most_positions = 2,
    };
    sa_cli cli;
    sa_error err = {0};
    int exit_code = 0;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_interrupt_install();
    c.out = cli.arguments.positions[1];
    sa_status status = open_and_convert(&c, cli.arguments.positions[0], &err);
    if (status == SA_OK) {
        sa_log_message(&cli.log, SA_LOG_INFO, "%s: %zu tensors written", c.out, c.count);
    }
    return sa_cli_end(&cli, status, &err);
}
