/* References of both attentions: whole score rows, no blocks, one softmax. */
#include "tests/ref/ref_ops.h"

#include <math.h>
#include <stdlib.h>

/* Scores become probabilities. */
static void softmax(double *scores, size_t count)
{
    double most = scores[0], total = 0.0;
    for (size_t i = 1; i < count; i++) {
        most = scores[i] > most ? scores[i] : most;
    }
    for (size_t i = 0; i < count; i++) {
        scores[i] = exp(scores[i] - most);
        total += scores[i];
    }
    for (size_t i = 0; i < count; i++) {
        scores[i] /= total;
    }
}

static double dot(const float *a, const float *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* The q|k|v row of the token at (y,x) of image b, or the padding's where the map has ended. */
static const float *token_at(const sa_attention_grid_args *args, const float *qkv, const float *pad, size_t b,
                             size_t y, size_t x)
{
    if (y >= args->side || x >= args->side) {
        return pad;
    }
    return qkv + ((b * args->side + y) * args->side + x) * 3 * args->heads * args->head_dim;
}

void ref_attention_grid_token(const sa_attention_grid_args *args, const float *qkv, const float *pad_qkv,
                              const float *rel_h, const float *rel_w, size_t token, size_t head, float *out)
{
    size_t size = args->window != 0 ? args->window : args->side;
    size_t d = args->head_dim, hidden = args->heads * d, at = head * d;
    size_t b = token / (args->side * args->side);
    size_t y = token / args->side % args->side, x = token % args->side;
    size_t top = y / size * size, left = x / size * size;
    double *scores = malloc(size * size * sizeof(double));
    const float *q = token_at(args, qkv, pad_qkv, b, y, x) + at;
    for (size_t kh = 0; kh < size; kh++) {
        for (size_t kw = 0; kw < size; kw++) {
            const float *k = token_at(args, qkv, pad_qkv, b, top + kh, left + kw) + hidden + at;
            double score = dot(q, k, d) / sqrt((double)d);
            if (rel_h != NULL) {
                score += dot(q, rel_h + (y - top + size - 1 - kh) * d, d);
                score += dot(q, rel_w + (x - left + size - 1 - kw) * d, d);
            }
            scores[kh * size + kw] = score;
        }
    }
    softmax(scores, size * size);
    for (size_t c = 0; c < d; c++) {
        double sum = 0.0;
        for (size_t i = 0; i < size * size; i++) {
            const float *v =
                token_at(args, qkv, pad_qkv, b, top + i / size, left + i % size) + 2 * hidden + at;
            sum += scores[i] * (double)v[c];
        }
        out[c] = (float)sum;
    }
    free(scores);
}

void ref_attention_grid(const sa_attention_grid_args *args, const float *qkv, const float *pad_qkv,
                        const float *rel_h, const float *rel_w, float *want)
{
    size_t hidden = args->heads * args->head_dim;
    for (size_t token = 0; token < args->batch * args->side * args->side; token++) {
        for (size_t head = 0; head < args->heads; head++) {
            ref_attention_grid_token(args, qkv, pad_qkv, rel_h, rel_w, token, head,
                                     want + token * hidden + head * args->head_dim);
        }
    }
}

void ref_attention(const sa_attention_args *args, const float *q, const float *k, const float *v, float *want)
{
    size_t d = args->head_dim;
    for (size_t i = 0; i < args->count * args->heads; i++) {
        const sa_attention_item *item = &args->items[i / args->heads];
        size_t at = i % args->heads * d;
        double *scores = malloc(item->k_count * sizeof *scores);
        for (size_t row = 0; row < item->q_count; row++) {
            for (size_t key = 0; key < item->k_count; key++) {
                scores[key] = dot(q + (item->q_row + row) * args->ldq + at,
                                  k + (item->k_row + key) * args->ldk + at, d);
                scores[key] /= sqrt((double)d);
            }
            softmax(scores, item->k_count);
            for (size_t c = 0; c < d; c++) {
                double sum = 0.0;
                for (size_t key = 0; key < item->k_count; key++) {
                    sum += scores[key] * (double)v[(item->k_row + key) * args->ldv + at + c];
                }
                want[(item->out_row + row) * args->ldo + at + c] = (float)sum;
            }
        }
        free(scores);
    }
}
