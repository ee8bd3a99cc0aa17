#define _GNU_SOURCE /* sched_getaffinity */
#include "runtime/cli/machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The rest of the first line of `path` that begins with `key`, without its newline; "" if there is none. */
static bool read_line(const char *path, const char *key, char *out, size_t size)
{
    out[0] = '\0';
    FILE *stream = fopen(path, "r");
    if (stream == NULL) {
        return false;
    }
    char line[1024];
    bool found = false;
    while (!found && fgets(line, sizeof line, stream) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(out, size, "%s", line + strlen(key));
            found = true;
        }
    }
    fclose(stream);
    return found;
}

/* "name	: value" of /proc files as bytes given in kB. */
static size_t read_kilobytes(const char *path, const char *key)
{
    char text[256];
    return read_line(path, key, text, sizeof text) ? (size_t)strtoull(text, NULL, 10) * 1024 : 0;
}

static void read_processor(sa_machine *m)
{
    char text[256] = "";
    if (read_line("/proc/cpuinfo", "model name", text, sizeof text)) {
        snprintf(m->processor, sizeof m->processor, "%s", text + strspn(text, "\t :"));
    }
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(m->architecture, sizeof m->architecture, "%.31s", name.machine);
        snprintf(m->kernel, sizeof m->kernel, "%.40s %.50s", name.sysname, name.release);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    m->processors_online = online > 0 ? (int)online : 1;
    cpu_set_t set;
    /* Fails on machines of more than 1024 processors. */
    bool known = sched_getaffinity(0, sizeof set, &set) == 0;
    m->processors_usable = known ? CPU_COUNT(&set) : m->processors_online;
}

/*
 * A number of a control group's file; 0 for "max", for what cannot be read, and for the "no limit" of version
 * 1.
 */
static size_t read_limit(const char *root, const char *group, const char *name)
{
    char path[1024], text[128];
    snprintf(path, sizeof path, "%s%s/%s", root, group, name);
    if (!read_line(path, "", text, sizeof text) || strncmp(text, "max", 3) == 0) {
        return 0;
    }
    unsigned long long value = strtoull(text, NULL, 10);
    return value >= (1ull << 60) ? 0 : (size_t)value;
}

/* Keeps the tightest memory limit and processor quota from one group. */
static void apply_group(sa_machine *m, const char *root, const char *group, bool unified)
{
    size_t limit = read_limit(root, group, unified ? "memory.max" : "memory.limit_in_bytes");
    if (limit != 0 && (m->memory_limit == 0 || limit < m->memory_limit)) {
        m->memory_limit = limit;
        m->memory_limit_used = read_limit(root, group, unified ? "memory.current" : "memory.usage_in_bytes");
    }
    char path[1024], text[128], *end;
    snprintf(path, sizeof path, "%s%s/cpu.max", root, group);
    if (unified && read_line(path, "", text, sizeof text) && strncmp(text, "max", 3) != 0) {
        double quota = strtod(text, &end), period = strtod(end, NULL);
        double processors = period > 0 ? quota / period : 0;
        if (processors > 0 && (m->processor_quota == 0 || processors < m->processor_quota)) {
            m->processor_quota = processors;
        }
    }
}

/*
 * A limit of any group above ours binds us too; inside a container the paths may lead nowhere, the root
 * remains.
 */
static void apply_groups_upward(sa_machine *m, const char *root, char *group, bool unified)
{
    for (;;) {
        size_t length = strlen(group);
        if (length > 0 && group[length - 1] == '/') {
            group[length - 1] = '\0';
        }
        apply_group(m, root, group, unified);
        char *slash = strrchr(group, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

static void read_groups(sa_machine *m)
{
    FILE *stream = fopen("/proc/self/cgroup", "r");
    if (stream == NULL) {
        return;
    }
    char line[1024];
    while (fgets(line, sizeof line, stream) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) {
            continue;
        }
        *group++ = '\0';
        if (controllers[1] == '\0') {
            apply_groups_upward(m, "/sys/fs/cgroup", group, true);
        } else if (strstr(controllers, "memory") != NULL) {
            apply_groups_upward(m, "/sys/fs/cgroup/memory", group, false);
        }
    }
    fclose(stream);
}

void sa_machine_read(sa_machine *machine)
{
    *machine = (sa_machine){0};
    read_processor(machine);
    machine->memory_total = read_kilobytes("/proc/meminfo", "MemTotal:");
    machine->memory_available = read_kilobytes("/proc/meminfo", "MemAvailable:");
    read_groups(machine);
}

size_t sa_machine_peak_memory(void)
{
    return read_kilobytes("/proc/self/status", "VmHWM:");
}
