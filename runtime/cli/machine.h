/*
 * What kind of machine this is: read from /proc and /sys, each fact missing (0 or "") where the system does
 * not say.
 */
#ifndef SA_CLI_MACHINE_H
#define SA_CLI_MACHINE_H

#include <stddef.h>

typedef struct {
    char processor[128];   /* "AMD EPYC 9454" */
    char architecture[32]; /* "x86_64" */
    char kernel[96];       /* "Linux 6.1.0" */
    int processors_online;
    int processors_usable;                 /* this process may run on */
    double processor_quota;                /* of the control group, in processors; 0: none */
    size_t memory_total, memory_available; /* bytes of the machine */
    size_t memory_limit;                   /* of the control group; 0: none */
    size_t memory_limit_used;
} sa_machine;

void sa_machine_read(sa_machine *machine);

/* The most memory this process ever had resident (VmHWM), in bytes; 0 if not known. */
size_t sa_machine_peak_memory(void);

#endif
