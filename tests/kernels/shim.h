/* A table of ops that takes host pointers and runs a device's ops on copies: how op tests reach a GPU. */
#ifndef SA_TESTS_KERNELS_SHIM_H
#define SA_TESTS_KERNELS_SHIM_H

#include "kernels/kernels.h"

/*
 * For streams of a device that does not read host memory. Each op copies its operands to blocks of device
 * memory of exactly their size (so that a simulator or a sanitizer sees the first byte beyond), runs, waits,
 * and copies the outputs back with the gaps between their rows. Places keep their remainder by 256 bytes, so
 * a misaligned operand stays one; operands that overlap on the host overlap on the device. Workspaces are
 * fresh and nothing is copied into them. A failure of the device fails the test. SEGAGENT_TEST_GUARDS=1 puts
 * 256 bytes before and after each block and checks them: for real GPUs, which do not see the first byte
 * beyond.
 */
extern const sa_ops shim_ops;

#endif
