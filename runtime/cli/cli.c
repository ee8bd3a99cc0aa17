#include "runtime/cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const sa_command sa_commands[] = {
    {"annotate", "let an agent segment what phrases describe, click by click", sa_command_annotate},
    {"refine", "let an agent correct given masks", sa_command_refine},
    {"filter", "judge given masks, and keep the good ones", sa_command_filter},
    {"trajectories", "training data: the simulated annotator clicks towards known masks",
     sa_command_trajectories},
    {"star", "training data: a policy's own clicks, kept or corrected (StaR, StaR+)", sa_command_star},
    {"click", "segment pictures from clicks, boxes and masks", sa_command_click},
    {"ask", "ask a language model, about pictures too", sa_command_ask},
    {"synth", "draw scenes with phrases and masks, to train on and to measure with", sa_command_synth},
    {"eval", "say how good a run's masks are, or which of two runs is better", sa_command_eval},
    {"export", "turn results into COCO instances, PNG masks or SegAgent's JSON", sa_command_export},
    {"merge", "join the output directories of the parts of a run", sa_command_merge},
    {"report", "make a page with figures and pictures of runs", sa_command_report},
    {"weights", "inspect and verify model files", sa_command_weights},
    {"plan", "estimate how long a run would take on GPUs that are not here", sa_command_plan},
    {"doctor", "say what this machine and this build can do, and what is missing", sa_command_doctor},
    {"bench", "measure speed as a share of what the machine can do", sa_command_bench},
};
const size_t sa_command_count = sizeof sa_commands / sizeof sa_commands[0];

static void print_help(FILE *stream)
{
    fprintf(stream, "Usage: segagent COMMAND [OPTION]...\n\n"
                    "Interactive segmentation from clicks, on CPUs and GPUs.\n\nCommands:\n");
    for (size_t i = 0; i < sa_command_count; i++) {
        fprintf(stream, "  %-14s%s\n", sa_commands[i].name, sa_commands[i].summary);
    }
    fprintf(stream,
            "\n  --version   print the version\n  --help      this text\n\n"
            "segagent COMMAND --help shows a command's options.\n\nExample:\n"
            "  segagent click --segmenter MODEL_DIR --image photo.jpg --point 320,240 --out mask.png\n");
}

/* Before a command has parsed its options: is --json among them? */
static bool asks_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

static int say_error(sa_log *log, bool json, sa_status status, const sa_error *err)
{
    sa_log_error(log, err);
    if (json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_json_begin_object(&w);
        sa_json_key(&w, "error");
        sa_cli_write_error(&w, err);
        sa_json_end_object(&w);
        sa_json_end_line(&w);
    }
    return sa_status_exit_code(status);
}

static int fail_command(int argc, char **argv)
{
    sa_error err = {0};
    sa_log log = sa_log_on(stderr, SA_LOG_INFO);
    const char *names[32];
    char hint[128] = "segagent --help lists the commands";
    for (size_t i = 0; i < sa_command_count; i++) {
        names[i] = sa_commands[i].name;
    }
    const char *nearest = sa_nearest_word(argv[1], names, sa_command_count);
    if (nearest != NULL) {
        snprintf(hint, sizeof hint, "did you mean segagent %s?", nearest);
    }
    sa_fail(&err, SA_BAD_USAGE, argv[1], hint, "%s",
            argv[1][0] == '-' ? "unknown option" : "unknown command");
    return say_error(&log, asks_for_json(argc - 1, argv + 1), SA_BAD_USAGE, &err);
}

/*
 * Standard output may be a full disk or a closed pipe: results that did not arrive are a failure, told once.
 */
static int check_output(int exit_code)
{
    bool told = exit_code > 1; /* an error has had its line */
    if (told || (fflush(stdout) == 0 && !ferror(stdout))) {
        return exit_code;
    }
    fprintf(stderr,
            "segagent: standard output: cannot write (free some disk space, or keep the reader open)\n");
    return 3;
}

int sa_cli_main(int argc, char **argv)
{
    /* A limit on the size of files is an error of the write, as a full disk is; not a death halfway. */
    signal(SIGXFSZ, SIG_IGN);
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return check_output(0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("segagent %s\n", SEGAGENT_VERSION);
        return check_output(0);
    }
    for (size_t i = 0; i < sa_command_count; i++) {
        if (strcmp(argv[1], sa_commands[i].name) == 0) {
            return check_output(sa_commands[i].run(argc - 1, argv + 1));
        }
    }
    return check_output(fail_command(argc, argv));
}

bool sa_cli_start(sa_cli *cli, const sa_syntax *syntax, int argc, char **argv, int *exit_code)
{
    sa_error err = {0};
    cli->syntax = syntax;
    cli->command_line = argv;
    cli->log = sa_log_on(stderr, SA_LOG_INFO);
    sa_status status = sa_options_parse(syntax, argc, argv, &cli->common, &cli->arguments, &err);
    if (status == SA_OK && !cli->common.help) {
        status = sa_cli_check_device(cli->common.device, &err);
    }
    if (status != SA_OK) {
        cli->common.json = asks_for_json(argc, argv);
        *exit_code = sa_cli_end(cli, status, &err);
        return false;
    }
    if (cli->common.help) {
        sa_options_print_help(syntax, stdout);
        *exit_code = sa_cli_end(cli, SA_OK, NULL);
        return false;
    }
    sa_log_level level = cli->common.quiet     ? SA_LOG_WARNING
                         : cli->common.verbose ? SA_LOG_DEBUG
                                               : SA_LOG_INFO;
    cli->log = sa_log_on(stderr, level);
    return true;
}

int sa_cli_end(sa_cli *cli, sa_status status, const sa_error *err)
{
    int exit_code = status == SA_OK ? 0 : say_error(&cli->log, cli->common.json, status, err);
    sa_arguments_free(&cli->arguments);
    return exit_code;
}

int sa_cli_end_items(sa_cli *cli, sa_status status, const sa_error *err, size_t failed)
{
    int exit_code = sa_cli_end(cli, status, err);
    return exit_code == 0 && failed > 0 ? 1 : exit_code;
}

void sa_cli_write_error(sa_json_writer *w, const sa_error *err)
{
    sa_json_begin_object(w);
    sa_json_key(w, "file");
    sa_json_string(w, err->file);
    sa_json_key(w, "reason");
    sa_json_string(w, err->reason);
    sa_json_key(w, "hint");
    sa_json_string(w, err->hint);
    sa_json_end_object(w);
}

/* The digits at *text as a device number; moves past them. */
static bool skip_number(const char **text)
{
    size_t digits = strspn(*text, "0123456789");
    *text += digits;
    return digits > 0 && digits <= 4;
}

static bool is_cuda_list(const char *text)
{
    if (strncmp(text, "cuda", 4) != 0) {
        return false;
    }
    text += 4;
    if (*text == '\0') {
        return true;
    }
    if (*text++ != ':' || !skip_number(&text)) {
        return false;
    }
    if (*text == '-') {
        text++;
        return skip_number(&text) && *text == '\0';
    }
    return *text == '\0';
}

sa_status sa_cli_check_device(const char *name, sa_error *err)
{
    bool known = strcmp(name, "auto") == 0 || strcmp(name, "cpu") == 0 || strcmp(name, "null") == 0;
    if (known || is_cuda_list(name)) {
        return SA_OK;
    }
    return sa_fail(err, SA_BAD_USAGE, "--device", "give auto, cpu, cuda, cuda:0, cuda:0-3 or null",
                   "\"%.100s\" is no device", name);
}

static sa_status open_named(const sa_cli *cli, const char *name, sa_device **device, sa_error *err)
{
    bool fast = strcmp(cli->common.numerics, "fast") == 0;
    const sa_device_options options = {.name = name,
                                       .threads = (int)cli->common.threads,
                                       .numerics = fast ? SA_NUMERICS_FAST : SA_NUMERICS_INVARIANT};
    return sa_device_open(device, &options, err);
}

sa_status sa_cli_open_device(const sa_cli *cli, sa_device **device, sa_error *err)
{
    if (strcmp(cli->common.device, "null") == 0) {
        return sa_fail(err, SA_BAD_USAGE, "--device", "use it with annotate, refine and the like",
                       "the null device computes nothing");
    }
    return sa_cli_open_any_device(cli, device, err);
}

sa_status sa_cli_open_any_device(const sa_cli *cli, sa_device **device, sa_error *err)
{
    SA_TRY(open_named(cli, cli->common.device, device, err));
    if (sa_device_note(*device)[0] != '\0') {
        sa_log log = cli->log; /* nothing is drawn yet that it would have to know of */
        sa_log_message(&log, SA_LOG_INFO, "device %s: %s", sa_device_name(*device), sa_device_note(*device));
    }
    return SA_OK;
}

bool sa_cli_falls_back(const sa_cli *cli, sa_device **device, const sa_error *why)
{
    sa_error ignored;
    sa_device *cpu = NULL;
    bool no_room =
        why->status == SA_NO_ROOM && strcmp(why->file, sa_device_name(*device)) == 0; /* not the host */
    if (strcmp(cli->common.device, "auto") != 0 || !no_room ||
        open_named(cli, "cpu", &cpu, &ignored) != SA_OK) {
        return false;
    }
    sa_device_close(*device);
    *device = cpu;
    sa_log log = cli->log;
    sa_log_message(&log, SA_LOG_INFO, "device cpu: %s", why->reason);
    return true;
}

sa_status sa_cli_name_item(sa_status status, const char *item, sa_error *err)
{
    size_t length = strlen(err->reason);
    if (status == SA_NO_DEVICE || status == SA_NO_ROOM) {
        snprintf(err->reason + length, sizeof err->reason - length, ", at %.200s", item);
        sa_make_printable(err->reason);
    }
    return status;
}

sa_status sa_cli_choose_precision(const sa_cli *cli, const sa_device *device, sa_dtype *precision,
                                  sa_error *err)
{
    const char *name = cli->common.precision;
    if (strcmp(name, "f16") == 0) {
        *precision = SA_F16;
        return sa_device_has_f16(device)
                   ? SA_OK
                   : sa_fail(err, SA_BAD_USAGE, "--precision", "use bf16 or f32, or a GPU with --device cuda",
                             "f16 is not there on device %s", sa_device_name(device));
    }
    bool bf16 = strcmp(name, "bf16") == 0 || (strcmp(name, "auto") == 0 && sa_device_has_fast_bf16(device));
    *precision = bf16 ? SA_BF16 : SA_F32;
    return SA_OK;
}
