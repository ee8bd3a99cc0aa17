/* References of the decoder's ops: embed, rmsnorm, gate, rope_append, attention_paged, sample. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ref/ref_ops.h"

void ref_embed(const sa_embed_args *args, const float *table, float *want)
{
    for (size_t r = 0; r < args->rows; r++) {
        memcpy(want + r * args->d, table + (size_t)args->ids[r] * args->d, args->d * sizeof *want);
    }
}

void ref_rmsnorm(const sa_rmsnorm_args *args, float *want)
{
    for (size_t r = 0; r < args->rows; r++) {
        const float *x = args->x + r * args->d;
        double square = 0.0;
        for (size_t i = 0; i < args->d; i++) {
            square += (double)x[i] * (double)x[i] / (double)args->d;
        }
        for (size_t i = 0; i < args->d; i++) {
            want[r * args->d + i] =
                (float)((double)x[i] / sqrt(square + (double)args->eps) * (double)args->w[i]);
        }
    }
}

void ref_gate(const sa_gate_args *args, const float *x, float *want)
{
    for (size_t r = 0; r < args->rows; r++) {
        for (size_t j = 0; j < args->width; j++) {
            double gate = (double)x[r * 2 * args->width + j];
            double up = (double)x[r * 2 * args->width + args->width + j];
            want[r * args->width + j] = (float)(gate / (1.0 + exp(-gate)) * up);
        }
    }
}

static void rotate(const sa_rope_append_args *args, size_t row, const float *x, float *y)
{
    size_t half = args->head_dim / 2;
    const float *table = args->table + (size_t)args->position[row] * args->head_dim;
    for (size_t i = 0; i < half; i++) {
        double c = (double)table[i], s = (double)table[half + i];
        y[i] = (float)((double)x[i] * c - (double)x[i + half] * s);
        y[i + half] = (float)((double)x[i + half] * c + (double)x[i] * s);
    }
}

void ref_rope_append(const sa_rope_append_args *args, const float *qkv, float *want_qkv, float *k_pages,
                     float *v_pages)
{
    size_t d = args->head_dim, width = (args->heads + 2 * args->kv_heads) * d;
    memcpy(want_qkv, qkv, args->rows * width * sizeof *want_qkv);
    for (size_t r = 0; r < args->rows; r++) {
        const float *row = qkv + r * width;
        size_t page = (size_t)args->slot[r] / SA_KV_PAGE, place = (size_t)args->slot[r] % SA_KV_PAGE;
        for (size_t h = 0; h < args->heads; h++) {
            rotate(args, r, row + h * d, want_qkv + r * width + h * d);
        }
        for (size_t h = 0; h < args->kv_heads; h++) {
            size_t to = ((page * args->kv_heads + h) * SA_KV_PAGE + place) * d;
            rotate(args, r, row + (args->heads + h) * d, k_pages + to);
            memcpy(v_pages + to, row + (args->heads + args->kv_heads + h) * d, d * sizeof *v_pages);
        }
    }
}

/* One query of one head over the keys that it sees; `pages` is its item's list. */
static void attend_paged(const sa_attention_paged_args *args, const int32_t *pages, size_t keys,
                         size_t kv_head, const float *q, const float *k_pages, const float *v_pages,
                         float *out)
{
    size_t d = args->head_dim;
    double *scores = malloc(keys * sizeof *scores), most = -INFINITY, total = 0.0;
    for (size_t t = 0; t < keys; t++) {
        size_t row = ((size_t)pages[t / SA_KV_PAGE] * args->kv_heads + kv_head) * SA_KV_PAGE + t % SA_KV_PAGE;
        scores[t] = 0.0;
        for (size_t i = 0; i < d; i++) {
            scores[t] += (double)q[i] * (double)k_pages[row * d + i] / sqrt((double)d);
        }
        most = fmax(most, scores[t]);
    }
    for (size_t t = 0; t < keys; t++) {
        scores[t] = exp(scores[t] - most);
        total += scores[t];
    }
    for (size_t i = 0; i < d; i++) {
        double sum = 0.0;
        for (size_t t = 0; t < keys; t++) {
            size_t row =
                ((size_t)pages[t / SA_KV_PAGE] * args->kv_heads + kv_head) * SA_KV_PAGE + t % SA_KV_PAGE;
            sum += scores[t] / total * (double)v_pages[row * d + i];
        }
        out[i] = (float)sum;
    }
    free(scores);
}

void ref_attention_paged(const sa_attention_paged_args *args, const float *q, const float *k_pages,
                         const float *v_pages, float *want)
{
    size_t d = args->head_dim;
    for (size_t i = 0; i < args->count; i++) {
        const sa_attention_paged_item *item = &args->items[i];
        for (size_t query = 0; query < item->q_count; query++) {
            size_t row = item->q_row + query, keys = item->k_count - item->q_count + query + 1;
            for (size_t h = 0; h < args->heads; h++) {
                attend_paged(args, args->pages + item->first_page, keys, h / (args->heads / args->kv_heads),
                             q + row * args->ldq + h * d, k_pages, v_pages, want + row * args->ldo + h * d);
            }
        }
    }
}

/* ---- sample ---- */

typedef struct {
    float logit;
    int32_t token;
} place;

static int by_logit(const void *left, const void *right)
{
    const place *a = left, *b = right;
    return a->logit != b->logit ? (a->logit < b->logit) - (a->logit > b->logit)
                                : (a->token > b->token) - (a->token < b->token);
}

static void come_near(double *margin, double distance)
{
    *margin = fmin(*margin, fabs(distance));
}

/* How many of the sorted tokens stay; p[i] sums to 1. */
static size_t staying(const double *p, size_t count, const sa_sample_choice *choice, double *margin)
{
    size_t stay = 0;
    double sum = 0.0;
    while (stay < count && (choice->top_k == 0 || stay < choice->top_k)) {
        bool few = (double)choice->top_p < 1.0 && sum >= (double)choice->top_p;
        bool small = p[stay] < (double)choice->min_p * p[0];
        if (stay > 0 && (double)choice->top_p < 1.0) {
            come_near(margin, sum - (double)choice->top_p);
        }
        if (stay > 0 && choice->min_p > 0.0f) {
            come_near(margin, p[stay] - (double)choice->min_p * p[0]);
        }
        if (stay > 0 && (few || small)) {
            break;
        }
        sum += p[stay++];
    }
    return stay;
}

static int32_t choose(const place *sorted, const double *p, size_t count, const sa_sample_choice *choice,
                      double *margin)
{
    size_t stay = staying(p, count, choice, margin), i = 0;
    double sum = 0.0, reached = 0.0;
    for (size_t j = 0; j < stay; j++) {
        sum += p[j];
    }
    while (i + 1 < stay && reached + p[i] <= (double)choice->u * sum) {
        reached += p[i++];
    }
    come_near(margin, i == 0 ? 1.0 : reached / sum - (double)choice->u);
    come_near(margin, i + 1 == stay ? 1.0 : (reached + p[i]) / sum - (double)choice->u);
    return sorted[i].token;
}

ref_sampled ref_sample(const float *logits, size_t vocabulary, const sa_sample_choice *choice)
{
    ref_sampled result = {.margin = 1.0};
    place *sorted = malloc(vocabulary * sizeof *sorted);
    double *p = malloc(vocabulary * sizeof *p), total = 0.0, plain = 0.0;
    for (size_t i = 0; i < vocabulary; i++) {
        sorted[i] = (place){logits[i], (int32_t)i};
    }
    qsort(sorted, vocabulary, sizeof *sorted, by_logit);
    double largest = (double)sorted[0].logit;
    for (size_t i = 0; i < vocabulary; i++) {
        double cold = choice->temperature > 0.0f ? (double)choice->temperature : 1.0;
        p[i] = exp(((double)sorted[i].logit - largest) / cold);
        total += p[i];
        plain += exp((double)sorted[i].logit - largest);
    }
    for (size_t i = 0; i < vocabulary; i++) {
        p[i] /= total;
    }
    result.token =
        choice->temperature > 0.0f ? choose(sorted, p, vocabulary, choice, &result.margin) : sorted[0].token;
    result.logprob = (double)logits[result.token] - largest - log(plain);
    free(sorted);
    free(p);
    return result;
}
