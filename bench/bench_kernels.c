/* One run of something, kernel by kernel, by the device's own clock. */
#include <math.h>
#include <stdio.h>

#include "bench/bench.h"
#include "runtime/base/json.h"

/* Of the time that the declared peaks allow; 0 if none are declared. */
static double share_of_roof(const sa_device *device, sa_dtype precision, const sa_kernel_profile *k)
{
    double flops, bytes;
    if (k->seconds <= 0.0 || !sa_device_peak(device, precision, &flops, &bytes)) {
        return 0.0;
    }
    return fmax(k->flops / flops, k->bytes / bytes) / k->seconds;
}

static void write_number(sa_json_writer *w, const char *key, double value)
{
    sa_json_key(w, key);
    sa_json_f64(w, value);
}

static void write_kernel(const char *what, const sa_kernel_profile *k, double share)
{
    char name[96];
    snprintf(name, sizeof name, "kernel-%.80s", k->kernel);
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_key(&w, "name");
    sa_json_string(&w, name);
    sa_json_key(&w, "of");
    sa_json_string(&w, what);
    sa_json_key(&w, "launches");
    sa_json_int(&w, (int64_t)k->launches);
    write_number(&w, "ms", 1e3 * k->seconds);
    write_number(&w, "flops", k->flops);
    write_number(&w, "bytes", k->bytes);
    write_number(&w, "share", share);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

static void print_kernel(const sa_kernel_profile *k, double total, double share)
{
    double seconds = k->seconds > 0.0 ? k->seconds : 1e-12;
    printf("| %s | %zu | %.3f | %.0f %% | %.2f | %.1f | %.0f %% |\n", k->kernel, k->launches,
           1e3 * k->seconds, 100.0 * k->seconds / total, k->flops / seconds * 1e-12,
           k->bytes / seconds * 1e-9, 100.0 * share);
}

sa_status sa_bench_kernels(sa_device *device, const char *what, sa_dtype precision, bool json,
                           sa_status (*run)(void *context, sa_error *err), void *context, sa_error *err)
{
    sa_kernel_profile rows[SA_MOST_PROFILED];
    double total = 1e-12;
    sa_device_profile_start(device);
    sa_status status = run(context, err);
    size_t count = sa_device_profile_end(device, rows);
    if (status != SA_OK || count == 0) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        total += rows[i].seconds;
    }
    if (!json) {
        printf("\n| kernel of %s | launches | ms | of the whole | TFLOP/s | GB/s | share of the roof |\n"
               "|---|---:|---:|---:|---:|---:|---:|\n",
               what);
    }
    for (size_t i = 0; i < count; i++) {
        double share = share_of_roof(device, precision, &rows[i]);
        if (json) {
            write_kernel(what, &rows[i], share);
        } else {
            print_kernel(&rows[i], total, share);
        }
    }
    return SA_OK;
}
