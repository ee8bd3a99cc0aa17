#define _GNU_SOURCE
#include "runtime/base/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"

/* LINE_WIDTH: a longer progress line would wrap, and a wrapped line cannot be wiped. */
enum { MESSAGE_TEXT = 2400, LINE_WIDTH = 79 };

static const double REDRAW_SECONDS = 0.1;
static const double LOG_SECONDS = 10.0;

sa_log sa_log_on(FILE *stream, sa_log_level level)
{
    const char *kind = getenv("TERM");
    bool dumb = kind == NULL || strcmp(kind, "dumb") == 0; /* knows no "erase to the end of the line" */
    return (sa_log){.stream = stream, .level = level, .terminal = !dumb && isatty(fileno(stream)) == 1};
}

static void wipe_line(sa_log *log)
{
    if (log->line_open) {
        fputs("\r\033[K", log->stream);
        log->line_open = false;
    }
}

void sa_log_message(sa_log *log, sa_log_level level, const char *format, ...)
{
    if (log == NULL || level > log->level) {
        return;
    }
    char text[MESSAGE_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sa_make_printable(text);
    wipe_line(log);
    fprintf(log->stream, "segagent: %s\n", text); /* one call: lines of several threads do not mix */
    fflush(log->stream);
}

void sa_log_error(sa_log *log, const sa_error *err)
{
    char text[MESSAGE_TEXT];
    sa_log_message(log, SA_LOG_ERROR, "%s", sa_error_format(err, text, sizeof text));
}

/* "2:05" or "1:02:05". */
static void format_duration(char *text, size_t size, double seconds)
{
    enum { MOST_SECONDS = 100 * 3600 };
    long whole = seconds < (double)MOST_SECONDS ? (long)(seconds + 0.5) : MOST_SECONDS;
    if (whole >= 3600) {
        snprintf(text, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    } else {
        snprintf(text, size, "%ld:%02ld", whole / 60, whole % 60);
    }
}

/* Slow jobs keep their digits. */
static void format_rate(char *text, size_t size, double rate)
{
    snprintf(text, size, "%.*f items/s", rate >= 100.0 ? 0 : rate >= 0.1 ? 1 : 3, rate);
}

static void format_progress(char *text, size_t size, const sa_progress *progress, long long done, double now)
{
    char of_total[32] = "", rate[48] = "", eta[32] = "";
    if (progress->total > 0) {
        snprintf(of_total, sizeof of_total, "/%lld", progress->total);
    }
    double seconds = now - progress->started;
    if (done > progress->before && seconds > 0.0) {
        double per_second = (double)(done - progress->before) / seconds;
        char number[40], left[24];
        format_rate(number, sizeof number, per_second);
        snprintf(rate, sizeof rate, "  %s", number);
        if (progress->total > done) {
            format_duration(left, sizeof left, (double)(progress->total - done) / per_second);
            snprintf(eta, sizeof eta, "  ETA %s", left);
        }
    }
    snprintf(text, size, "%s %lld%s%s%s  %s", progress->what, done, of_total, rate, eta, progress->device);
    sa_make_printable(text);
}

static bool is_shown(const sa_progress *progress)
{
    return progress->log != NULL && progress->log->level >= SA_LOG_INFO;
}

sa_progress sa_progress_start(sa_log *log, const char *what, const char *device, long long total)
{
    double now = sa_clock_seconds();
    /* The line on a terminal comes at once, the first log line only when the job turns out to be long. */
    double drawn = log != NULL && log->terminal ? now - LOG_SECONDS : now;
    return (sa_progress){
        .log = log, .what = what, .device = device, .total = total, .started = now, .drawn = drawn};
}

void sa_progress_update(sa_progress *progress, long long done)
{
    if (!is_shown(progress)) {
        return;
    }
    sa_log *log = progress->log;
    double now = sa_clock_seconds();
    if (now - progress->drawn < (log->terminal ? REDRAW_SECONDS : LOG_SECONDS)) {
        return;
    }
    progress->drawn = now;
    char text[256];
    format_progress(text, log->terminal ? LINE_WIDTH + 1 : sizeof text, progress, done, now);
    if (!log->terminal) {
        sa_log_message(log, SA_LOG_INFO, "%s", text);
        return;
    }
    fprintf(log->stream, "\r\033[K%s", text);
    fflush(log->stream);
    log->line_open = true;
}

void sa_progress_end(sa_progress *progress, long long done)
{
    if (!is_shown(progress)) {
        return;
    }
    wipe_line(progress->log);
    fflush(progress->log->stream);
    double seconds = sa_clock_seconds() - progress->started;
    if (seconds > LOG_SECONDS) {
        char took[24], rate[40];
        format_duration(took, sizeof took, seconds);
        format_rate(rate, sizeof rate, (double)(done - progress->before) / seconds);
        sa_log_message(progress->log, SA_LOG_INFO, "%s: %lld in %s, %s, %s", progress->what,
                       done - progress->before, took, rate, progress->device);
    }
}
