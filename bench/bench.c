#include "bench/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/json.h"

static const double SHORTEST_TIMING = 5e-3;

sa_bench_case sa_bench_case_new(sa_bench_kind kind, const char *name, const char *shape, sa_dtype precision)
{
    sa_bench_case c = {.kind = kind, .precision = precision, .inner = 1};
    snprintf(c.name, sizeof c.name, "%s", name);
    snprintf(c.shape, sizeof c.shape, "%s", shape);
    return c;
}

static sa_status time_once(const sa_bench_case *c, double *seconds, sa_error *err)
{
    double start = sa_clock_seconds();
    for (size_t i = 0; i < c->inner; i++) {
        SA_TRY(c->run(c->context, err));
    }
    *seconds = (sa_clock_seconds() - start) / (double)c->inner;
    return sa_interrupt_check(err);
}

static sa_status warm_up(sa_bench_case *c, sa_error *err)
{
    double first, second;
    c->inner = 1;
    SA_TRY(time_once(c, &first, err));
    if (first > 1.0) {
        return SA_OK; /* long enough not to need a second opinion on its length */
    }
    SA_TRY(time_once(c, &second, err));
    if (second < SHORTEST_TIMING) {
        c->inner = (size_t)(SHORTEST_TIMING / (second > 1e-7 ? second : 1e-7)) + 1;
    }
    return SA_OK;
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

sa_status sa_bench_measure(sa_bench_case *cases, size_t count, size_t repeats, sa_progress *progress,
                           sa_error *err)
{
    /*
     * OpenMP's idle threads spin for some milliseconds after a product; they shall not stand in the next
     * one's way.
     */
    const struct timespec settle = {.tv_nsec = 10 * 1000 * 1000};
    SA_ASSERT(repeats >= 1 && repeats <= SA_BENCH_MOST_REPEATS);
    for (size_t i = 0; i < count; i++) {
        SA_TRY(warm_up(&cases[i], err));
        cases[i].repeats = repeats;
    }
    for (size_t round = 0; round < repeats; round++) {
        for (size_t i = 0; i < count; i++) {
            nanosleep(&settle, NULL);
            SA_TRY(time_once(&cases[i], &cases[i].seconds[round], err));
            sa_progress_update(progress, (long long)(round * count + i + 1));
        }
    }
    for (size_t i = 0; i < count; i++) {
        qsort(cases[i].seconds, repeats, sizeof cases[i].seconds[0], by_size);
    }
    return SA_OK;
}

double sa_bench_median(const sa_bench_case *c)
{
    size_t half = c->repeats / 2;
    return c->repeats % 2 == 1 ? c->seconds[half] : 0.5 * (c->seconds[half - 1] + c->seconds[half]);
}

static double tflops_of(const sa_bench_case *c)
{
    return c->flops / sa_bench_median(c) * 1e-12;
}

static double gbps_of(const sa_bench_case *c)
{
    return c->bytes / sa_bench_median(c) * 1e-9;
}

void sa_bench_find_ceilings(const sa_device *device, const sa_bench_case *cases, size_t count,
                            sa_dtype precision, sa_bench_frame *frame)
{
    double flops, bytes;
    if (sa_device_peak(device, precision, &flops, &bytes)) {
        frame->ceiling_tflops = flops * 1e-12;
        frame->ceiling_gbps = bytes * 1e-9;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const sa_bench_case *c = &cases[i];
        if (c->kind == SA_BENCH_CEILING_FLOPS && c->precision == precision) {
            frame->ceiling_tflops = fmax(frame->ceiling_tflops, tflops_of(c));
        } else if (c->kind == SA_BENCH_CEILING_BYTES) {
            frame->ceiling_gbps = fmax(frame->ceiling_gbps, gbps_of(c));
        }
    }
}

/* Of arithmetic or of memory, whichever is nearer its ceiling; 0 if neither ceiling is known. */
static double share_of(const sa_bench_case *c, const sa_bench_frame *frame)
{
    double arithmetic = frame->ceiling_tflops > 0 ? tflops_of(c) / frame->ceiling_tflops : 0;
    double memory = frame->ceiling_gbps > 0 ? gbps_of(c) / frame->ceiling_gbps : 0;
    return fmax(arithmetic, memory);
}

/* A number, or a dash for what is not known. */
static const char *cell(char text[32], double value, const char *format)
{
    if (value > 0) {
        snprintf(text, 32, format, value);
    } else {
        snprintf(text, 32, "-");
    }
    return text;
}

void sa_bench_print_table(const sa_bench_case *cases, size_t count, const sa_bench_frame *frame, FILE *stream)
{
    fprintf(stream, "| what | shape | precision | median ms | min | max | TFLOP/s | GB/s | share |\n"
                    "|---|---|---|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < count; i++) {
        const sa_bench_case *c = &cases[i];
        char tflops[32], gbps[32], share[32];
        fprintf(stream, "| %s | %s | %s | %.3f | %.3f | %.3f | %s | %s | %s |\n", c->name, c->shape,
                sa_dtype_name(c->precision), 1e3 * sa_bench_median(c), 1e3 * c->seconds[0],
                1e3 * c->seconds[c->repeats - 1], cell(tflops, tflops_of(c), "%.4f"),
                cell(gbps, gbps_of(c), "%.2f"), cell(share, 100.0 * share_of(c, frame), "%.0f %%"));
    }
    char tflops[32], gbps[32];
    fprintf(stream, "\n%s, %d threads, %zu repeats; ceiling %s TFLOP/s, %s GB/s\n", frame->device,
            frame->threads, cases[0].repeats, cell(tflops, frame->ceiling_tflops, "%.4f"),
            cell(gbps, frame->ceiling_gbps, "%.1f"));
}

static void write_number(sa_json_writer *w, const char *key, double value)
{
    sa_json_key(w, key);
    if (value > 0) {
        sa_json_f64(w, value);
    } else {
        sa_json_null(w);
    }
}

static void write_text(sa_json_writer *w, const char *key, const char *text)
{
    sa_json_key(w, key);
    sa_json_string(w, text);
}

void sa_bench_print_json(const sa_bench_case *cases, size_t count, const sa_bench_frame *frame, FILE *stream)
{
    sa_json_writer w = sa_json_writer_on(stream);
    for (size_t i = 0; i < count; i++) {
        const sa_bench_case *c = &cases[i];
        sa_json_begin_object(&w);
        write_text(&w, "name", c->name);
        write_text(&w, "shape", c->shape);
        write_text(&w, "device", frame->device);
        write_text(&w, "precision", sa_dtype_name(c->precision));
        sa_json_key(&w, "threads");
        sa_json_int(&w, frame->threads);
        sa_json_key(&w, "repeats");
        sa_json_int(&w, (int64_t)c->repeats);
        sa_json_key(&w, "ms");
        sa_json_begin_object(&w);
        write_number(&w, "median", 1e3 * sa_bench_median(c));
        write_number(&w, "min", 1e3 * c->seconds[0]);
        write_number(&w, "max", 1e3 * c->seconds[c->repeats - 1]);
        sa_json_end_object(&w);
        write_number(&w, "flops", c->flops);
        write_number(&w, "bytes", c->bytes);
        write_number(&w, "tflops", tflops_of(c));
        write_number(&w, "gbps", gbps_of(c));
        write_number(&w, "ceiling_tflops", frame->ceiling_tflops);
        write_number(&w, "ceiling_gbps", frame->ceiling_gbps);
        write_number(&w, "share", share_of(c, frame));
        sa_json_end_object(&w);
        sa_json_end_line(&w);
    }
}
