#include "runtime/device/cost_model.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"

enum { FILE_LIMIT = 1 << 20, WORD = 64 };

const char *sa_cost_stage_name(sa_cost_stage stage)
{
    static const char *const names[SA_COST_STAGES] = {"encode", "click", "vision", "forward"};
    return names[stage];
}

/* ---- times ---- */

double sa_cost_seconds(const sa_cost_model *model, sa_cost_stage stage, size_t batch)
{
    const sa_cost_curve *c = &model->curves[stage];
    double n = (double)batch;
    if (c->count == 0 || batch == 0) {
        return 0;
    }
    if (n <= c->batch[0]) {
        return c->seconds[0];
    }
    if (c->count == 1) {
        return c->seconds[0] * n / c->batch[0];
    }
    size_t i = 1;
    while (i + 1 < c->count && n > c->batch[i]) {
        i++;
    }
    double slope = (c->seconds[i] - c->seconds[i - 1]) / (c->batch[i] - c->batch[i - 1]);
    return fmax(0, c->seconds[i] + slope * (n - c->batch[i])); /* a curve that falls ends at nothing */
}

/* ---- rooflines ---- */

bool sa_cost_device_find(const char *name, sa_cost_device *device)
{
    static const struct {
        const char *name;
        sa_cost_device device;
    } known[] = {{"a100", {312e12, 2.039e12}}, {"h100", {989e12, 3.35e12}}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *device = known[i].device;
            return true;
        }
    }
    return false;
}

sa_cost_curve sa_cost_roofline(const sa_cost_device *device, double flops, double bytes, double least)
{
    double each = flops / (device->flops / 2), floor = bytes / (device->bytes * 4 / 5);
    floor = floor > least ? floor : least;
    double corner = floor / each; /* up to here a batch is free */
    if (corner <= 1) {
        return (sa_cost_curve){.count = 1, .batch = {1}, .seconds = {each}};
    }
    return (sa_cost_curve){
        .count = 3, .batch = {1, corner, 2 * corner}, .seconds = {floor, floor, 2 * floor}};
}

/* MODEL_SPECS 11: flops of a picture's vision, of a token (4.26 T for 327), SAM ViT-B; weights in bf16. */
static sa_cost_model segagent_qwen(const sa_cost_device *device)
{
    const double launches = 3e-4;
    return (sa_cost_model){.curves = {
                               [SA_COST_ENCODE] = sa_cost_roofline(device, 0.97e12, 0.18e9, launches),
                               [SA_COST_CLICK] = sa_cost_roofline(device, 0.004e12, 0.008e9, launches),
                               [SA_COST_VISION] = sa_cost_roofline(device, 4.22e12, 3.9e9, launches),
                               [SA_COST_FORWARD] = sa_cost_roofline(device, 4.26e12 / 327, 14.2e9, launches),
                           }};
}

/* ---- files ---- */

static bool find_stage(const char *word, sa_cost_stage *stage)
{
    for (int i = 0; i < SA_COST_STAGES; i++) {
        if (strcmp(word, sa_cost_stage_name((sa_cost_stage)i)) == 0) {
            *stage = (sa_cost_stage)i;
            return true;
        }
    }
    return false;
}

static sa_status refuse(const char *file, size_t line, const char *reason, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, file, "write lines such as: forward 512 21.3", "line %zu: %s", line,
                   reason);
}

static sa_status read_line(sa_cost_model *model, const char *file, size_t number, const char *line,
                           sa_error *err)
{
    char word[WORD + 1] = "", rest[2] = "";
    double batch, ms;
    sa_cost_stage stage;
    int found = sscanf(line, "%64s %lf %lf %1s", word, &batch, &ms, rest);
    if (found <= 0 || word[0] == '#') {
        return SA_OK;
    }
    if (!find_stage(word, &stage)) {
        return refuse(file, number, "the first word is none of encode, click, vision and forward", err);
    }
    if (found < 3 || (found == 4 && rest[0] != '#') || !(batch >= 1 && batch <= 1e9) ||
        !(ms >= 0 && ms <= 1e9)) {
        return refuse(file, number, "there is no batch from 1 and time in milliseconds", err);
    }
    sa_cost_curve *c = &model->curves[stage];
    if (c->count == SA_COST_POINTS) {
        return refuse(file, number, "a stage has 32 points at most", err);
    }
    if (c->count > 0 && batch <= c->batch[c->count - 1]) {
        return refuse(file, number, "the batch is not larger than the one before", err);
    }
    c->batch[c->count] = batch;
    c->seconds[c->count++] = ms / 1e3;
    return SA_OK;
}

sa_status sa_cost_model_parse(sa_cost_model *model, const char *name, const char *text, size_t size,
                              sa_error *err)
{
    char line[256];
    size_t number = 0;
    *model = (sa_cost_model){0};
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end != NULL ? (size_t)(end - text) : size;
        number++;
        if (length >= sizeof line || memchr(text, '\0', length) != NULL) {
            return refuse(name, number, "this is no line of text", err);
        }
        memcpy(line, text, length);
        line[length] = '\0';
        SA_TRY(read_line(model, name, number, line, err));
        length += end != NULL;
        text += length;
        size -= length;
    }
    for (int i = 0; i < SA_COST_STAGES; i++) {
        if (model->curves[i].count == 0) {
            return sa_fail(err, SA_BAD_INPUT, name, "give each stage a line at least",
                           "there is no line for %s", sa_cost_stage_name((sa_cost_stage)i));
        }
    }
    return SA_OK;
}

sa_status sa_cost_model_read(sa_cost_model *model, const char *name, sa_error *err)
{
    static const char preset[] = "segagent-qwen-";
    sa_cost_device device;
    unsigned char *bytes;
    size_t size;
    if (strncmp(name, preset, strlen(preset)) == 0 && sa_cost_device_find(name + strlen(preset), &device)) {
        *model = segagent_qwen(&device);
        return SA_OK;
    }
    SA_TRY(sa_file_read(name, FILE_LIMIT, &bytes, &size, err));
    sa_status status = sa_cost_model_parse(model, name, (const char *)bytes, size, err);
    free(bytes);
    return status;
}
