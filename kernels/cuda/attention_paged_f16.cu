/* attention_paged of f16 operands: the kernels of attention_paged.cu. */
#define ATTENTION_HALF SA_F16
#define ATTENTION_KERNEL(name) name##_f16
#include "kernels/cuda/attention_paged.cu"
