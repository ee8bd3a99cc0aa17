/*
 * The heap of device code (malloc, free, new): one allocation, made when a module that calls malloc is
 * loaded, as large as CU_LIMIT_MALLOC_HEAP_SIZE. Blocks lie one behind the other in address order; first fit.
 * What lies between blocks is not guarded, so that overruns within the heap go unseen.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/access.h"
#include "tests/gpusim/device_calls.h"
#include "tests/gpusim/driver/driver.h"

enum { HEAP_ALIGN = 16 };

typedef struct {
    uint64_t begin, end;
} heap_block;

static struct {
    pthread_mutex_t lock; /* kernels call from several host threads */
    uint64_t begin, end;
    heap_block *block;
    size_t count, capacity;
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

void sim_device_heap_open(void)
{
    CUcontext context = sim_context();
    size_t bytes = context ? context->limit_heap : 8 << 20;
    if (!heap.begin && (heap.begin = sim_memory_alloc(bytes, "the heap of device code"))) {
        heap.end = heap.begin + bytes;
    }
}

/* The place of the first gap that is large enough. */
static uint64_t find_gap(uint64_t bytes, size_t *at)
{
    uint64_t begin = heap.begin;
    for (*at = 0; *at < heap.count; ++*at) {
        if (heap.block[*at].begin - begin >= bytes) {
            return begin;
        }
        begin = heap.block[*at].end;
    }
    return heap.end - begin >= bytes ? begin : 0;
}

static bool make_room(void)
{
    if (heap.count < heap.capacity) {
        return true;
    }
    size_t capacity = 2 * heap.capacity + 64;
    heap_block *grown = realloc(heap.block, capacity * sizeof *grown);
    if (grown) {
        heap.block = grown;
        heap.capacity = capacity;
    }
    return grown != NULL;
}

/*
 * For the checkers a free is a release and a malloc an acquire, of a place that is nobody's: whoever gets
 * memory that another block had comes after it.
 */
uint64_t sim_device_malloc(sim_warp *warp, uint32_t lane, uint64_t bytes)
{
    uint64_t begin = 0;
    size_t at;
    pthread_mutex_lock(&heap.lock);
    if (bytes && bytes <= heap.end - heap.begin && make_room()) {
        bytes = (bytes + HEAP_ALIGN - 1) / HEAP_ALIGN * HEAP_ALIGN;
        begin = find_gap(bytes, &at);
    }
    if (begin) {
        memmove(&heap.block[at + 1], &heap.block[at], (heap.count - at) * sizeof *heap.block);
        heap.block[at] = (heap_block){begin, begin + bytes};
        heap.count++;
        sim_check_acquire(warp, 1u << lane, SIM_SPACE_GLOBAL, heap.end);
    }
    pthread_mutex_unlock(&heap.lock);
    return begin;
}

static bool release(uint64_t address)
{
    for (size_t i = 0; i < heap.count; i++) {
        if (heap.block[i].begin == address) {
            heap.count--;
            memmove(&heap.block[i], &heap.block[i + 1], (heap.count - i) * sizeof *heap.block);
            return true;
        }
    }
    return false;
}

void sim_device_free(sim_warp *warp, const sim_inst *inst, uint32_t lane, uint64_t address)
{
    pthread_mutex_lock(&heap.lock);
    bool ok = !address || release(address);
    sim_check_release(warp, 1u << lane, SIM_SPACE_GLOBAL, heap.end);
    pthread_mutex_unlock(&heap.lock);
    if (!ok) {
        sim_report_lane(warp, inst, lane, SIM_USE_AFTER_FREE, address, 0,
                        "free of what malloc did not give, or freed before");
        sim_trap(warp, SIM_ERROR_ILLEGAL_ADDRESS);
    }
}
