/*
 * The fat binaries embedded in the program, one per .cu: what cmake/CudaKernels.cmake makes and
 * runtime/device/cuda_modules.c loads.
 */
#ifndef SA_KERNELS_CUDA_IMAGES_H
#define SA_KERNELS_CUDA_IMAGES_H

typedef struct {
    const char *name; /* of the .cu, without its ending; NULL ends the table */
    const unsigned char *bytes, *end;
} sa_cuda_image;

extern const sa_cuda_image sa_cuda_images[];
extern const int sa_cuda_toolkit;  /* of nvcc: 13000 is 13.0 */
extern const char sa_cuda_archs[]; /* "80 90a": architectures with machine code */

/* The file at `path` as read-only bytes in this object; the driver wants a fat binary aligned. */
#define SA_CUDA_IMAGE(name, path)                                                                            \
    extern const unsigned char sa_cuda_image_##name[], sa_cuda_image_##name##_end[];                         \
    __asm__(".pushsection .rodata\n.balign 64\n"                                                             \
            ".global sa_cuda_image_" #name "\nsa_cuda_image_" #name ":\n.incbin \"" path "\"\n"              \
            ".global sa_cuda_image_" #name "_end\nsa_cuda_image_" #name "_end:\n.byte 0\n.popsection\n");

#endif
