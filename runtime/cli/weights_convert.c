/*
 * segagent weights convert: the weights of a known model, in whatever container, to a directory that
 * transformers and this engine read.
 *
 *   IN -> OUT.PID.tmp/{model*.safetensors, config.json, what stands beside them} -> rename to OUT
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/cli/weights_write.h"

typedef struct {
    const char *in, *out;
    char temporary[512];
    double shard; /* MB, of --shard */
    weights_writing job;
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

/* What stands in our own directory: files, and that of a tower. */
static void remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    char inner[1024];
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        bool own = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        if (own && sa_file_join(inner, sizeof inner, path, entry->d_name, NULL) == SA_OK &&
            unlink(inner) != 0) {
            remove_tree(inner);
        }
    }
    if (directory != NULL) {
        closedir(directory);
        rmdir(path);
    }
}

/* -- The work -- */

static sa_status write_directory(conversion *c, sa_error *err)
{
    SA_TRY(weights_write(&c->job, c->in, c->temporary, err));
    SA_TRY(sa_interrupt_check(err));
    /* onto nothing, or onto an empty directory; one that was filled meanwhile is left alone */
    return rename(c->temporary, c->out) == 0 ? SA_OK
                                             : sa_fail_errno(err, c->out, "cannot put the directory there");
}

static sa_status convert(conversion *c, sa_error *err)
{
    SA_TRY(check_target(c->out, err)); /* before the work, not after it */
    SA_TRY(make_temporary(c, err));
    sa_status status = write_directory(c, err);
    if (status != SA_OK) {
        remove_tree(c->temporary);
    }
    return status;
}

/* --precision says it as everywhere; --dtype is its older name, and has a word for its "auto". */
static sa_status choose_dtype(conversion *c, const char *precision, sa_error *err)
{
    if (strcmp(precision, "auto") == 0) {
        return SA_OK;
    }
    if (strcmp(c->job.dtype, "keep") != 0 && strcmp(c->job.dtype, precision) != 0) {
        return sa_fail(err, SA_BAD_USAGE, "--dtype", "give one of them", "is %s, and --precision is %s",
                       c->job.dtype, precision);
    }
    c->job.dtype = precision;
    return SA_OK;
}

int weights_convert(int argc, char **argv)
{
    conversion c = {0};
    const sa_option options[] = {
        {"dtype", SA_OPTION_CHOICE, &c.job.dtype, "keep|f32|bf16|f16",
         "element type of the tensors written; --precision says the same, auto keeps them", "keep", 0, 0},
        {"shard", SA_OPTION_REAL, &c.shard, "MB",
         "size of one file of weights at most, though each holds a tensor at least", "5000", 0, 1000000},
    };
    const sa_syntax syntax = {
        .name = "weights convert",
        .summary =
            "Writes a Hugging Face directory (safetensors, config.json and what else belongs to it) from "
            "a SAM, CLIP, LLaMA or LLaVA in any container.",
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
    c.in = cli.arguments.positions[0];
    c.out = cli.arguments.positions[1];
    c.job.log = &cli.log;
    c.job.shard_bytes = (size_t)(c.shard * 1e6);
    sa_status status = choose_dtype(&c, cli.common.precision, &err);
    if (status == SA_OK) {
        status = convert(&c, &err);
    }
    if (status == SA_OK) {
        sa_log_message(&cli.log, SA_LOG_INFO, "%s: %zu tensors written", c.out, c.job.tensors);
    }
    return sa_cli_end(&cli, status, &err);
}
