#include "runtime/device/cpu_level.h"

#include "kernels/cpu/cpu.h"
#include "runtime/base/status.h"

const char *sa_cpu_level_name(sa_cpu_level level)
{
    static const char *const names[SA_CPU_LEVELS] = {"plain", "avx2", "avx512", "avx512bf16"};
    return names[level];
}

const sa_ops *sa_cpu_level_ops(sa_cpu_level level)
{
    switch (level) {
    case SA_CPU_PLAIN: return &sa_cpu_ops_plain;
#if defined(SEGAGENT_HAVE_AVX2)
    case SA_CPU_AVX2: return &sa_cpu_ops_avx2;
    case SA_CPU_AVX512: return &sa_cpu_ops_avx512;
    case SA_CPU_AVX512BF16: return &sa_cpu_ops_avx512bf16;
#endif
    default: return NULL;
    }
}

/* __builtin_cpu_supports asks the processor and, for the wide registers, whether the system saves them. */
bool sa_cpu_level_runs_here(sa_cpu_level level)
{
    if (sa_cpu_level_ops(level) == NULL) {
        return false;
    }
#if defined(SEGAGENT_HAVE_AVX2)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    switch (level) {
    case SA_CPU_AVX2: return avx2;
    case SA_CPU_AVX512: return avx512;
    case SA_CPU_AVX512BF16: return avx512 && __builtin_cpu_supports("avx512bf16");
    default: return true;
    }
#else
    return true;
#endif
}

sa_cpu_level sa_cpu_level_best(void)
{
    sa_cpu_level level = SA_CPU_LEVELS - 1;
    while (level > SA_CPU_PLAIN && !sa_cpu_level_runs_here(level)) {
        level--;
    }
    return level;
}
