/* The entry points of kernels/cuda, one line each: SA_CUDA_KERNEL(name, bytes of dynamic shared memory). */
