/*
 * A decoder on token ids, for weights_tools/golden/check_smollm2.py and bench/peers/peers_llm.py, which put
 * it beside transformers and others.
 *
 *   llama_peer MODEL_DIR greedy N [f32|bf16] < ids     the N ids that greedy decoding takes after these
 *   llama_peer MODEL_DIR loss 0 [f32|bf16] < ids       the mean of -log p over all ids but the first
 *   llama_peer MODEL_DIR logits 0 [f32|bf16] < ids     the logits behind the last id, one a line
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/models/llama_rig.h"

enum { MOST_IDS = 1 << 16, PIECE = 256 };

static size_t read_ids(int32_t *ids)
{
    size_t count = 0;
    while (count < MOST_IDS && scanf("%d", &ids[count]) == 1) {
        count++;
    }
    return count;
}

static void greedy(llama_rig *r, const int32_t *ids, size_t count, size_t wanted)
{
    sa_sample_choice choice = {.top_p = 1.0f};
    sa_kv_sequence sequence = llama_rig_begin(r);
    llama_rig_append(r, sequence, ids, count, PIECE, NULL);
    for (size_t i = 0; i < wanted; i++) {
        int32_t token;
        float logprob;
        llama_rig_continue(r, sequence, &choice, 1, &token, &logprob);
        printf("%d ", (int)token);
        fflush(stdout);
    }
    printf("\n");
}

/* -log softmax(logits)[token] */
static double loss_of(const float *logits, size_t count, int32_t token)
{
    double peak = -INFINITY, sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        peak = fmax(peak, (double)logits[i]);
    }
    for (size_t i = 0; i < count; i++) {
        sum += exp((double)logits[i] - peak);
    }
    return peak + log(sum) - (double)logits[token];
}

static void loss(llama_rig *r, const int32_t *ids, size_t count)
{
    double sum = 0.0;
    float *logits = malloc(PIECE * r->vocabulary * sizeof *logits);
    sa_kv_sequence sequence = llama_rig_begin(r);
    for (size_t done = 0; logits != NULL && done + 1 < count; done += PIECE) {
        size_t part = count - 1 - done < PIECE ? count - 1 - done : PIECE;
        llama_rig_append(r, sequence, ids + done, part, 0, logits);
        for (size_t i = 0; i < part; i++) {
            sum += loss_of(logits + i * r->vocabulary, r->vocabulary, ids[done + i + 1]);
        }
    }
    free(logits);
    printf("%.9f\n", sum / (double)(count - 1));
}

static void print_logits(llama_rig *r, const int32_t *ids, size_t count)
{
    float *logits = malloc(r->vocabulary * sizeof *logits);
    sa_error err = {0};
    llama_rig_append(r, llama_rig_begin(r), ids, count, PIECE, NULL);
    SA_ASSERT(logits != NULL && sa_llama_read_logits(r->llama, 0, 1, logits, &err) == SA_OK);
    for (size_t i = 0; i < r->vocabulary; i++) {
        printf("%.9g\n", (double)logits[i]);
    }
    free(logits);
}

int main(int argc, char **argv)
{
    static int32_t ids[MOST_IDS];
    if (argc < 4) {
        fprintf(stderr, "usage: llama_peer MODEL_DIR greedy|loss|logits N [f32|bf16] < ids\n");
        return 2;
    }
    size_t count = read_ids(ids), wanted = strtoul(argv[3], NULL, 10);
    sa_llama_options options = sa_llama_default_options();
    options.precision = argc > 4 && strcmp(argv[4], "bf16") == 0 ? SA_BF16 : SA_F32;
    options.context = count + wanted + 1;
    options.rows = options.logit_rows = PIECE;
    options.items = 1;
    if (count < 2) {
        fprintf(stderr, "llama_peer: give at least two ids\n");
        return 2;
    }
    llama_rig r = llama_rig_open(argv[1], &options, NULL, 0);
    if (strcmp(argv[2], "greedy") == 0) {
        greedy(&r, ids, count, wanted);
    } else if (strcmp(argv[2], "logits") == 0) {
        print_logits(&r, ids, count);
    } else {
        loss(&r, ids, count);
    }
    llama_rig_close(&r);
    return 0;
}
