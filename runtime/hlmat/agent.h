/*
 * An agent: which models it is made of, and how it is spoken to. New agents are data (agent.json;
 * INTERFACES.md, "Agent directory"), not code.
 *
 *   directory or agent.json -> sa_agent_read -> sa_agent -> prompts, answers (answer.h), overlay, searches
 */
#ifndef SA_HLMAT_AGENT_H
#define SA_HLMAT_AGENT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"
#include "runtime/image/image.h"
#include "runtime/text/buffer.h"

enum { SA_AGENT_PATH = 1024, SA_AGENT_WORDS = 64, SA_AGENT_PROMPT = 4096 };

/* How a place in the picture becomes a number, and back. */
typedef enum {
    SA_ROUND_HALF_EVEN, /* pixel = round(number / scale * side), halves to even: the released runner */
    SA_ROUND_FLOOR,     /* pixel = floor(number * side / scale) */
} sa_agent_rounding;

typedef struct {
    char file[SA_AGENT_PATH]; /* agent.json itself, for errors */
    char name[SA_AGENT_WORDS];
    char policy[SA_AGENT_PATH], segmenter[SA_AGENT_PATH]; /* model directories */
    char template[SA_AGENT_PATH];                         /* a shipped one's name, or a file */
    char prompt[SA_AGENT_PROMPT];                         /* with {text}, and {image} once */
    sa_image_paint overlay;
    int jpeg_quality; /* of the round trip that the painted picture goes through; 0: none */
    struct {
        char positive[SA_AGENT_WORDS], negative[SA_AGENT_WORDS];
        bool row_first; /* "row,col"; false: "col,row" */
        int scale;      /* numbers are 0 .. scale - 1 */
        sa_agent_rounding rounding;
    } action;
    bool judges; /* it has a PRM: it says the IoU of the mask that it sees */
    struct {
        char prefix[SA_AGENT_WORDS];
        int scale, decimals; /* 1: 0.87; 100: 87 */
    } prm;
    int steps, candidates;
    char search[SA_AGENT_WORDS];
    double temperature;
    double mask_threshold;
    bool previous_mask; /* a click's mask is fed back to the segmenter with the next one */
} sa_agent;

/*
 * Reads agent.json, or the one in a directory. SA_BAD_INPUT: unknown keys, values out of range, a model that
 * is not there, no such search. What the file leaves out is, in the order above: "agent", "policy",
 * "segmenter", "plain", "{image}{text}", green at 0.5 truncated, no JPEG, "Positive point:", "Negative
 * point:", "row,col", 1000, "half-even", no PRM ("Current IOU:", 100, 0 where "prm" has no such key), 7, 1,
 * "prm-stop" ("greedy" without a PRM), 0, 0, true.
 */
sa_status sa_agent_read(sa_agent *agent, const char *path, sa_error *err);

/* Appends the prompt with the item's text in it, and `image` where the picture goes. */
void sa_agent_write_prompt(const sa_agent *agent, const char *item, const char *image, sa_text *out);

/* A new picture, with the mask painted on it; the JPEG round trip is not made. SA_NO_ROOM. */
sa_status sa_agent_paint(const sa_agent *agent, const sa_image *picture, const sa_mask *mask, sa_image *out,
                         sa_error *err);

#endif
