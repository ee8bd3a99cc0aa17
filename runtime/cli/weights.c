/*
 * segagent weights: picks the subcommand; and `inspect`, which lists the tensors of any file the readers
 * know.
 */
#include "runtime/cli/weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} subcommand;

static const subcommand subcommands[] = {
    {"inspect", "list the tensors of a file or model directory", weights_inspect},
    {"verify", "does it fit its model, and are all values finite", weights_verify},
    {"convert", "write a Hugging Face directory from a PyTorch checkpoint", weights_convert},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

static void print_help(FILE *stream)
{
    fprintf(stream,
            "Usage: segagent weights SUBCOMMAND [OPTION]...\n\n"
            "Looks at model files (safetensors, PyTorch) and converts them. Runs no code in them.\n\n");
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        fprintf(stream, "  %-10s%s\n", subcommands[i].name, subcommands[i].summary);
    }
    fprintf(stream, "\nsegagent weights SUBCOMMAND --help shows a subcommand's options.\n\n"
                    "Example:\n  segagent weights inspect sam_vit_b_01ec64.pth\n");
}

/*
 * Not one of ours: goes through the parser all the same, so that --json and the error's form are as
 * everywhere.
 */
static int refuse(int argc, char **argv)
{
    static const sa_syntax syntax = {
        .name = "weights",
        .summary = "Looks at model files and converts them.",
        .usage = "inspect|verify|convert [OPTION]...",
        .example = "segagent weights inspect sam_vit_b_01ec64.pth",
        .most_positions = 16,
    };
    sa_cli cli;
    sa_error err = {0};
    int exit_code = 2;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    const char *what = cli.arguments.position_count > 0 ? cli.arguments.positions[0] : "weights";
    const char *names[SUBCOMMANDS];
    char hint[128] = "one of inspect, verify, convert; segagent weights --help says more";
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        names[i] = subcommands[i].name;
    }
    const char *nearest = cli.arguments.position_count > 0 ? sa_nearest_word(what, names, SUBCOMMANDS) : NULL;
    if (nearest != NULL) {
        snprintf(hint, sizeof hint, "did you mean segagent weights %s?", nearest);
    }
    sa_fail(&err, SA_BAD_USAGE, what, hint, "%s",
            cli.arguments.position_count > 0 ? "unknown subcommand" : "a subcommand is missing");
    return sa_cli_end(&cli, SA_BAD_USAGE, &err);
}

int sa_command_weights(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < SUBCOMMANDS; i++) {
        if (strcmp(argv[1], subcommands[i].name) == 0) {
            return subcommands[i].run(argc - 1, argv + 1);
        }
    }
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return 0;
    }
    return refuse(argc, argv);
}

/* -- inspect -- */

/* A name from an untrusted file must not steer the terminal. */
static void print_name(const char *name, int width)
{
    int printed = 0;
    for (; *name != '\0'; name++, printed++) {
        unsigned char c = (unsigned char)*name;
        putchar(c < 0x20 || c == 0x7f ? '?' : c);
    }
    printf("%*s", printed < width ? width - printed : 0, "");
}

static int longest_name(const sa_weights *weights)
{
    size_t longest = 4;
    for (size_t i = 0; i < sa_weights_count(weights); i++) {
        size_t length = strlen(sa_weights_at(weights, i)->name);
        longest = length > longest ? length : longest;
    }
    return longest < 80 ? (int)longest : 80;
}

static void print_table(const sa_weights *weights)
{
    int width = longest_name(weights);
    unsigned long long parameters = 0, bytes = 0;
    printf("%-*s  dtype  %-24s %14s\n", width, "name", "shape", "bytes");
    for (size_t i = 0; i < sa_weights_count(weights); i++) {
        const sa_tensor *tensor = sa_weights_at(weights, i);
        char shape[SA_TENSOR_MAX_RANK * 22 + 4];
        print_name(tensor->name, width);
        printf("  %-5s  %-24s %14zu\n", sa_dtype_name(tensor->dtype),
               sa_shape_format(tensor->shape, tensor->rank, shape, sizeof shape), tensor->bytes);
        parameters += tensor->count;
        bytes += tensor->bytes;
    }
    printf("%zu tensors, %llu parameters, %llu bytes, %s in %zu file%s\n", sa_weights_count(weights),
           parameters, bytes, sa_weights_format(weights), sa_weights_file_count(weights),
           sa_weights_file_count(weights) == 1 ? "" : "s");
}

static void write_tensor(sa_json_writer *w, const sa_tensor *tensor)
{
    sa_json_begin_object(w);
    sa_json_key(w, "name");
    sa_json_string(w, tensor->name);
    sa_json_key(w, "dtype");
    sa_json_string(w, sa_dtype_name(tensor->dtype));
    sa_json_key(w, "shape");
    sa_json_begin_array(w);
    for (int axis = 0; axis < tensor->rank; axis++) {
        sa_json_int(w, (int64_t)tensor->shape[axis]);
    }
    sa_json_end_array(w);
    sa_json_key(w, "bytes");
    sa_json_int(w, (int64_t)tensor->bytes);
    sa_json_end_object(w);
}

static void write_listing(const sa_weights *weights)
{
    int64_t parameters = 0;
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_key(&w, "files");
    sa_json_begin_array(&w);
    for (size_t i = 0; i < sa_weights_file_count(weights); i++) {
        sa_json_string(&w, sa_weights_file(weights, i));
    }
    sa_json_end_array(&w);
    sa_json_key(&w, "format");
    sa_json_string(&w, sa_weights_format(weights));
    sa_json_key(&w, "tensors");
    sa_json_begin_array(&w);
    for (size_t i = 0; i < sa_weights_count(weights); i++) {
        write_tensor(&w, sa_weights_at(weights, i));
        parameters += (int64_t)sa_weights_at(weights, i)->count;
    }
    sa_json_end_array(&w);
    sa_json_key(&w, "parameters");
    sa_json_int(&w, parameters);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

int weights_inspect(int argc, char **argv)
{
    static const sa_syntax syntax = {
        .name = "weights inspect",
        .summary =
            "Lists the tensors of a .safetensors, .pth, .pt or .bin file, of a sharded index or a directory.",
        .usage = "PATH [OPTION]...",
        .example = "segagent weights inspect sam_vit_b_01ec64.pth",
        .least_positions = 1,
        .most_positions = 1,
    };
    sa_cli cli;
    sa_error err = {0};
    int exit_code = 0;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_weights *weights = NULL;
    sa_status status = sa_weights_open(&weights, cli.arguments.positions[0], &err);
    if (status == SA_OK && cli.common.json) {
        write_listing(weights);
    } else if (status == SA_OK) {
        print_table(weights);
    }
    sa_weights_close(weights);
    return sa_cli_end(&cli, status, &err);
}
