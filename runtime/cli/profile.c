#include "runtime/cli/profile.h"

double sa_cli_modelled_seconds(const sa_runner_counts *c)
{
    double sum = 0;
    for (int i = 0; i < SA_COST_STAGES; i++) {
        sum += c->work.seconds[i];
    }
    return sum;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* `seconds` < 0: nobody measured them. */
static void print_stage(FILE *stream, const sa_runner_counts *c, sa_cost_stage stage, const char *units,
                        double seconds)
{
    const sa_device_work *w = &c->work;
    char measured[32] = "", modelled[32] = "";
    if (seconds >= 0) {
        snprintf(measured, sizeof measured, "%.3f", seconds);
    }
    if (w->seconds[stage] > 0) {
        snprintf(modelled, sizeof modelled, "%.3f", w->seconds[stage]);
    }
    fprintf(stream, "%-8s %9zu %11zu %-8s %8.1f %10s %10s\n", sa_cost_stage_name(stage), w->batches[stage],
            w->units[stage], units, ratio((double)w->units[stage], (double)w->batches[stage]), measured,
            modelled);
}

void sa_cli_print_profile(FILE *stream, const sa_runner_counts *c, double seconds)
{
    const sa_generator_counts *t = &c->of_policy.text;
    double modelled = sa_cli_modelled_seconds(c);
    double steps = (double)c->of_episodes.clicks;
    fprintf(stream, "%-8s %9s %11s %-8s %8s %10s %10s\n", "stage", "batches", "units", "", "a batch",
            "seconds", modelled > 0 ? "modelled" : "");
    print_stage(stream, c, SA_COST_ENCODE, "pictures", c->encode);
    print_stage(stream, c, SA_COST_VISION, "pictures", c->of_policy.vision);
    print_stage(stream, c, SA_COST_FORWARD, "tokens", c->think - c->of_policy.vision);
    print_stage(stream, c, SA_COST_CLICK, "clicks", c->click);
    fprintf(stream, "prompt tokens %zu: %zu were there, %zu computed; KV pages given back %zu\n",
            t->prompt_tokens, t->reused, t->prefilled, t->pages_given_back);
    fprintf(stream, "answer tokens %zu in %zu passes: %zu guessed, %zu of them right; %zu forced\n",
            t->decoded, t->forwards, t->guessed, t->right, t->forced);
    fprintf(stream, "states %zu, %zu merged; looks at pictures %zu\n", c->of_episodes.nodes,
            c->of_episodes.merged, c->of_policy.seen);
    fprintf(stream,
            "%zu items at work at most; %.1f steps/s; %.3f s, of them %.3f waiting for host threads\n",
            c->peak_in_flight, ratio(steps, seconds), seconds, c->waited);
    if (c->work.kernels > 0) {
        fprintf(stream, "launches of kernels %zu, of graphs %zu; segmenter and policy together %zu times\n",
                c->work.kernels, c->work.graphs, c->overlapped);
    }
    if (modelled > 0) {
        fprintf(stream,
                "host %.1f us a step; device, by its model, %.3f ms a step: busy for %.1f %% of both\n",
                1e6 * ratio(c->host, steps), 1e3 * ratio(modelled, steps),
                100 * ratio(modelled, modelled + c->host));
    }
}
