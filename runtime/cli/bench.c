/* segagent bench: picks the measurement by name; the measuring is in bench/. */
#include "bench/bench.h"

#include <string.h>

static sa_status run_bench(const sa_cli *cli, const sa_bench_options *options, sa_error *err)
{
    const char *name = cli->arguments.positions[0];
    if (strcmp(name, "gemm") == 0) {
        return sa_bench_gemms(cli, options, err);
    }
    if (strcmp(name, "micro") == 0) {
        return sa_bench_micro(cli, options, err);
    }
    if (strcmp(name, "sam") != 0) {
        return sa_fail(err, SA_BAD_USAGE, name, "choose sam, gemm or micro", "no such measurement");
    }
    if (options->segmenter == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--segmenter", "give the directory of a SAM checkpoint", "missing");
    }
    return sa_bench_sam(cli, options, err);
}

int sa_command_bench(int argc, char **argv)
{
    sa_bench_options o = {0};
    int64_t repeats;
    const sa_option table[] = {
        {"segmenter", SA_OPTION_TEXT, &o.segmenter, "DIR", "sam: the model", NULL, 0, 0},
        {"image", SA_OPTION_TEXT, &o.image, "FILE", "sam: the picture (default: random pixels, 1280x960)",
         NULL, 0, 0},
        {"shape", SA_OPTION_LIST, NULL, "M,N,K", "gemm: a product to measure (default: those of SAM)", NULL,
         0, 0},
        {"repeats", SA_OPTION_INTEGER, &repeats, "N", "rounds; the median is reported", "5", 1,
         SA_BENCH_MOST_REPEATS},
    };
    const sa_syntax syntax = {
        .name = "bench",
        .summary = "Measures speed, beside what the machine can do in the same minute.",
        .usage = "sam --segmenter DIR [OPTION]... | gemm [--shape M,N,K]... [OPTION]... | micro [OPTION]...",
        .example = "segagent bench sam --segmenter sam-vit-base --precision bf16 --repeats 7",
        .options = table,
        .count = sizeof table / sizeof table[0],
        .least_positions = 1,
        .most_positions = 1,
    };
    sa_cli cli;
    int exit_code;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_error err = {0};
    sa_interrupt_install();
    o.repeats = (size_t)repeats;
    return sa_cli_end(&cli, run_bench(&cli, &o, &err), &err);
}
