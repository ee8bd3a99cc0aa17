/*
 * attention_grid of f16 operands: the kernels of attention_grid.cu alone. SAM's own shapes have no special
 * ones here, for the program's size: f16 stands in for models that were trained in it.
 */
#define ATTENTION_HALF SA_F16
#define ATTENTION_KERNEL(name) name##_f16
#include "kernels/cuda/attention_grid.cu"
