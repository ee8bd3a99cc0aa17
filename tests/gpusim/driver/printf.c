/*
 * printf and assert of device code: kernels call vprintf(format, arguments) and __assertfail(...),
 * ops/control.c brings them here. Every address is a generic one of the calling lane.
 */
#include <stdio.h>
#include <string.h>

#include "tests/gpusim/check.h"
#include "tests/gpusim/device_calls.h"
#include "tests/gpusim/report.h"

enum { LONGEST = 4096 }; /* of a format, a string argument, a line */

typedef struct {
    sim_warp *warp;
    uint32_t lane, count;
    uint64_t at; /* of the next argument */
    char text[LONGEST];
    size_t length;
} printing;

static bool read_string(sim_warp *warp, uint32_t lane, uint64_t address, char *to, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (!sim_read_generic(warp, lane, address + i, to + i, 1)) {
            return false;
        }
        if (!to[i]) {
            return true;
        }
    }
    to[size - 1] = '\0'; /* cut off */
    return true;
}

/* The next argument; each is aligned to its size. */
static uint64_t argument(printing *p, size_t bytes)
{
    uint64_t value = 0;
    p->at = (p->at + bytes - 1) / bytes * bytes;
    sim_read_generic(p->warp, p->lane, p->at, &value, bytes);
    p->at += bytes;
    p->count++;
    return value;
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* One conversion, "%-8.3f": spec is a copy of it with its numbers in place of stars. */
static void convert(printing *p, const char *spec, char kind, bool is_wide)
{
    char *to = p->text + p->length;
    size_t room = sizeof p->text - p->length;
    int written = 0;
    if (strchr("fFeEgGaA", kind)) {
        uint64_t bits = argument(p, 8);
        double value;
        memcpy(&value, &bits, 8);
        written = snprintf(to, room, spec, value);
    } else if (kind == 's') {
        char string[LONGEST];
        bool ok = read_string(p->warp, p->lane, argument(p, 8), string, sizeof string);
        written = snprintf(to, room, spec, ok ? string : "(unreadable)");
    } else if (kind == 'p') {
        written = snprintf(to, room, spec, (void *)(uintptr_t)argument(p, 8));
    } else if (is_wide) {
        written = snprintf(to, room, spec, (long)argument(p, 8));
    } else {
        written = snprintf(to, room, spec, (int)argument(p, 4));
    }
    p->length += written > 0 && (size_t)written < room ? (size_t)written : written > 0 ? room - 1 : 0;
}

/* From a '%' on: reads the conversion and prints it; returns what comes behind it. */
static const char *conversion(printing *p, const char *format)
{
    char spec[64] = "%";
    size_t n = 1;
    bool is_wide = false;
    for (format++; *format && strchr("-+ #0123456789.*hlLjzt", *format) && n < 48; format++) {
        if (*format == '*') {
            n += (size_t)snprintf(spec + n, 12, "%d", (int)argument(p, 4));
        } else {
            is_wide |= strchr("ljzt", *format) != NULL;
            spec[n++] = *format;
        }
    }
    if (!*format || !strchr("diouxXcfFeEgGaAsp", *format)) {
        return format; /* not a conversion: what is left is printed as it stands */
    }
    spec[n++] = *format;
    spec[n] = '\0';
    convert(p, spec, *format, is_wide);
    return format + 1;
}

static void print(printing *p, const char *format)
{
    while (*format && p->length + 1 < sizeof p->text) {
        if (format[0] == '%' && format[1] != '%') {
            format = conversion(p, format);
        } else {
            format += format[0] == '%';
            p->text[p->length++] = *format++;
        }
    }
}

int sim_device_printf(sim_warp *warp, uint32_t lane, uint64_t format, uint64_t arguments)
{
    char text[LONGEST];
    if (!read_string(warp, lane, format, text, sizeof text)) {
        return -1;
    }
    printing p = {.warp = warp, .lane = lane, .at = arguments};
    print(&p, text);
    fwrite(p.text, 1, p.length, stdout); /* one call: lines of other workers don't come between */
    return (int)p.count;
}

void sim_device_assert(sim_warp *warp, const sim_inst *inst, uint32_t lane, uint64_t message, uint64_t file,
                       uint32_t line, uint64_t function)
{
    char what[96], where[96], who[96];
    const char *unknown = "?";
    bool ok[] = {read_string(warp, lane, message, what, sizeof what),
                 read_string(warp, lane, file, where, sizeof where),
                 read_string(warp, lane, function, who, sizeof who)};
    sim_report_lane(warp, inst, lane, SIM_ASSERT, 0, 0, "%.80s:%u: %.40s: assertion `%.80s' failed",
                    ok[1] ? where : unknown, line, ok[2] ? who : unknown, ok[0] ? what : unknown);
    sim_trap(warp, SIM_ERROR_ASSERT);
}
