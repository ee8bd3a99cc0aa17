/*
 * The program's commands, and what all of them do at their start and end.
 *
 *   main -> sa_commands (by name) -> sa_cli_start (options, log, help) -> the command's work -> exit code
 *
 * One file per command. A command's function gets argv with its own name at argv[0] and returns the exit code
 * of INTERFACES.md: 0 done, 1 some items failed, 2 bad usage or input, 3 cannot run, 130 interrupted.
 */
#ifndef SA_CLI_CLI_H
#define SA_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/dtype.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/cli/options.h"
#include "runtime/device/device.h"

typedef struct {
    const char *name;
    const char *summary; /* one line for `segagent --help` */
    int (*run)(int argc, char **argv);
} sa_command;

/* In the order in which --help shows them. */
extern const sa_command sa_commands[];
extern const size_t sa_command_count;

int sa_command_annotate(int argc, char **argv);
int sa_command_ask(int argc, char **argv);
int sa_command_click(int argc, char **argv);
int sa_command_eval(int argc, char **argv);
int sa_command_export(int argc, char **argv);
int sa_command_doctor(int argc, char **argv);
int sa_command_filter(int argc, char **argv);
int sa_command_plan(int argc, char **argv);
int sa_command_refine(int argc, char **argv);
int sa_command_merge(int argc, char **argv);
int sa_command_report(int argc, char **argv);
int sa_command_star(int argc, char **argv);
int sa_command_synth(int argc, char **argv);
int sa_command_trajectories(int argc, char **argv);
int sa_command_weights(int argc, char **argv);
int sa_command_bench(int argc, char **argv);

/* The whole program: --help, --version, or the command that argv[1] names. */
int sa_cli_main(int argc, char **argv);

/* What a running command holds. */
typedef struct {
    const sa_syntax *syntax;
    sa_common_options common;
    sa_arguments arguments;
    sa_log log;
    char *const *command_line; /* the command's name first, NULL at the end */
} sa_cli;

/*
 * Parses the command line and opens the log. False if the command is over already: help was shown, or the
 * options were wrong (which has been said); *exit_code is what to return. Otherwise call sa_cli_end at the
 * end.
 */
bool sa_cli_start(sa_cli *cli, const sa_syntax *syntax, int argc, char **argv, int *exit_code);

/*
 * Says the error (one line on standard error, with --json an object on standard output too), frees, exit
 * code.
 */
int sa_cli_end(sa_cli *cli, sa_status status, const sa_error *err);
/* The same for a command that did its work, all but `failed` items or rows of it: 1 if there are any. */
int sa_cli_end_items(sa_cli *cli, sa_status status, const sa_error *err, size_t failed);

/* {"file","reason","hint"}: the value of an "error" key. */
void sa_cli_write_error(sa_json_writer *w, const sa_error *err);

/* Checks the spelling of --device: SA_BAD_USAGE for names that no build knows. */
sa_status sa_cli_check_device(const char *name, sa_error *err);

/* Opens the device of --device, --threads and --numerics; says what --device auto chose. */
sa_status sa_cli_open_device(const sa_cli *cli, sa_device **device, sa_error *err);
/* The null device as well, which the other refuses: for runs whose results may mean nothing. */
sa_status sa_cli_open_any_device(const sa_cli *cli, sa_device **device, sa_error *err);

/*
 * After `why` ended the opening of a model on *device: true if the device was --device auto's choice and had
 * no room, so that the CPU is to be taken. It is open in *device then, and the log says so. False leaves
 * *device as it was.
 */
bool sa_cli_falls_back(const sa_cli *cli, sa_device **device, const sa_error *why);

/*
 * Adds to the error of a device that failed, or had no room, what it was working on. Returns `status`; other
 * errors name their file already.
 */
sa_status sa_cli_name_item(sa_status status, const char *item, sa_error *err);

/* What --precision means on this device; SA_BAD_USAGE for f16 on a device that does not compute in it. */
sa_status sa_cli_choose_precision(const sa_cli *cli, const sa_device *device, sa_dtype *precision,
                                  sa_error *err);

/*
 * Ctrl-C and SIGTERM. After install, the first signal is kept and long work asks for it between items; a
 * second one ends the program at once with exit code 130, but for while files are being written (hold): that
 * is short, and the writer removes its temporary file when it fails.
 */
void sa_interrupt_install(void);
bool sa_interrupt_seen(void);
sa_status sa_interrupt_check(sa_error *err); /* SA_INTERRUPTED once a signal was seen */
void sa_interrupt_hold(bool hold);

#endif
