/* Inside of runtime/cli: the parts of `segagent weights`, one file each. */
#ifndef SA_CLI_WEIGHTS_H
#define SA_CLI_WEIGHTS_H

#include "runtime/cli/cli.h"
#include "runtime/models/sam_config.h"
#include "runtime/weights/weights.h"

/* Each gets argv with its own name at argv[0] and returns the exit code. */
int weights_inspect(int argc, char **argv);
int weights_verify(int argc, char **argv);
int weights_convert(int argc, char **argv);

/*
 * The config that belongs to `path`: config.json of a directory, or what the tensors of a file show.
 * SA_BAD_INPUT if the model is none that this program has.
 */
sa_status weights_read_config(const char *path, const sa_weights *weights, sa_sam_config *config,
                              sa_error *err);

#endif
