/* What the CPU ops know of the rest: a stream is a thread pool. */
#ifndef SA_KERNELS_CPU_CPU_H
#define SA_KERNELS_CPU_CPU_H

#include "kernels/kernels.h"
#include "kernels/stream.h"
#include "runtime/base/pool.h"

extern const sa_ops sa_cpu_ops_plain, sa_cpu_ops_avx2, sa_cpu_ops_avx512, sa_cpu_ops_avx512bf16;

#endif
