/* Levels of CPU instructions for which the ops are compiled (cmake/CpuKernels.cmake), lowest first. */
#ifndef SA_DEVICE_CPU_LEVEL_H
#define SA_DEVICE_CPU_LEVEL_H

#include <stdbool.h>

#include "kernels/kernels.h"

typedef enum { SA_CPU_PLAIN = 0, SA_CPU_AVX2, SA_CPU_AVX512, SA_CPU_AVX512BF16, SA_CPU_LEVELS } sa_cpu_level;

const char *sa_cpu_level_name(sa_cpu_level level);
/* The level is compiled in, and this processor and system can run it. */
bool sa_cpu_level_runs_here(sa_cpu_level level);
sa_cpu_level sa_cpu_level_best(void);
const sa_ops *sa_cpu_level_ops(sa_cpu_level level);

#endif
