/*
 * What stages of the work would take on a device that is not there: the null device's clock (device.h).
 *
 * A file has one line for each point, `#` begins a comment:
 *
 *   STAGE BATCH MILLISECONDS        forward 512 21.3
 *
 * STAGE is one of encode (pictures through the segmenter's encoder), click (prompts through its decoder),
 * vision (pictures through the policy's tower) and forward (new tokens through its decoder, prompts and
 * answers alike). Between two points time goes straight from one to the other, before the first it is the
 * first's, and behind the last it goes on as between the last two (one point: in proportion).
 */
#ifndef SA_DEVICE_COST_MODEL_H
#define SA_DEVICE_COST_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"

typedef enum { SA_COST_ENCODE, SA_COST_CLICK, SA_COST_VISION, SA_COST_FORWARD, SA_COST_STAGES } sa_cost_stage;

const char *sa_cost_stage_name(sa_cost_stage stage); /* "encode" */

enum { SA_COST_POINTS = 32 };

typedef struct {
    size_t count;
    double batch[SA_COST_POINTS], seconds[SA_COST_POINTS]; /* batches rise */
} sa_cost_curve;

typedef struct {
    sa_cost_curve curves[SA_COST_STAGES];
} sa_cost_model;

double sa_cost_seconds(const sa_cost_model *model, sa_cost_stage stage, size_t batch);

/*
 * A preset by its name, or a file. Presets are models of a device, not measurements: "segagent-qwen-a100" and
 * "segagent-qwen-h100" (with SAM ViT-B) come from MODEL_SPECS 11 by sa_cost_roofline(). SA_BAD_INPUT names
 * the file's line.
 */
sa_status sa_cost_model_read(sa_cost_model *model, const char *name, sa_error *err);
sa_status sa_cost_model_parse(sa_cost_model *model, const char *name, const char *text, size_t size,
                              sa_error *err);

/*
 * A roofline: a batch of n takes the longer of n times `flops` at half of the device's peak and of reading
 * `bytes` (the weights) once at four fifths of its bandwidth, and never less than `least`, what launches
 * take. Half and four fifths are what good kernels get there (ANCHORS 1.2 to 1.4).
 */
typedef struct {
    double flops, bytes; /* a second, peaks */
} sa_cost_device;

/* "a100", "h100": SXM, dense bf16. False: another name. */
bool sa_cost_device_find(const char *name, sa_cost_device *device);
sa_cost_curve sa_cost_roofline(const sa_cost_device *device, double flops, double bytes, double least);

#endif
