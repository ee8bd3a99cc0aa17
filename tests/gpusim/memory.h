/*
 * Device memory. One range of addresses is reserved at start; a device address is not readable by the host
 * (its pages are PROT_NONE there), and the bytes stand at a second mapping: host address = device address +
 * delta. So a program that reads device memory with the host's pointers crashes as it would with a real GPU.
 *
 * Every allocation is 256-byte aligned, has guard bands of at least 512 bytes around it, and stays known
 * after it was freed. Which bytes were ever written is kept in a bitmap: one bit per byte, at valid[(address
 * - base) / 8]. Allocations change only between launches, so kernels look them up without a lock.
 */
#ifndef GPUSIM_MEMORY_H
#define GPUSIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sim_range {
    uint64_t begin, end;       /* [begin, end) */
    uint64_t number;           /* counts allocations */
    bool is_live, is_constant; /* constant: .const data, kernels may not write */
    bool is_host; /* pinned host memory mapped into the device: always initialised, not checked for init */
    const char *what;  /* "cuMemAlloc", name of a .global variable, ... */
    uint64_t freed_at; /* number of the launch or call after which it was freed */
} sim_range;

typedef struct {
    uint64_t base, bytes; /* the reserved device addresses */
    intptr_t delta;       /* host = device + delta */
    uint8_t *valid;       /* bitmap, 1 = written */
} sim_memory;
extern sim_memory sim_mem; /* set up by sim_memory_open(), constant afterwards */

bool sim_memory_open(uint64_t device_bytes); /* false: no room for the reservation */
void sim_memory_close(void);
uint64_t sim_memory_alloc(size_t bytes, const char *what); /* 0: out of memory (or an injected failure) */
bool sim_memory_free(uint64_t address);                    /* false: not the begin of a live range */
size_t sim_memory_used(void);
/* Pinned memory, which the host reads and writes at the device's address; no part of the device's memory. */
uint64_t sim_memory_alloc_host(size_t bytes, const char *what);
void sim_memory_set_constant(uint64_t address); /* of a live range: kernels may not write it */
/* The n-th allocation from now fails, of either kind; 0: none. GPUSIM_FAIL_ALLOC sets it at cuInit. */
void sim_memory_fail(uint64_t n);
extern uint64_t sim_memory_time; /* what freed_at takes: the driver counts launches in it */

/* The range that holds the address, live or freed; NULL if none ever did. Binary search: callers cache it. */
const sim_range *sim_memory_find(uint64_t address);
/* All ranges in order of address, for reports of leaks. */
const sim_range *sim_memory_ranges(size_t *count);

static inline void *sim_memory_host(uint64_t address)
{
    return (void *)((intptr_t)address + sim_mem.delta);
}

/* Marks bytes as written (copies, memset, initial data). Kernels' stores do it by themselves. */
void sim_memory_mark(uint64_t address, size_t bytes);
void sim_memory_copy_marks(uint64_t to, uint64_t from,
                           size_t bytes); /* written or not goes along with a copy */
/* The first byte of [address, address + bytes) never written, or bytes if there is none. */
size_t sim_memory_unwritten(uint64_t address, size_t bytes);

#endif
