/*
 * The simulated GPU's inside: what a predecoded instruction, a warp, a block and a launch are.
 *
 *   cu* call (driver/) -> module: fat binary -> PTX text -> ptx_module (ptx.h) -> sim_function (lower.h)
 *   launch -> grid.c: blocks on host threads -> block.c: warps in seeded random order
 *          -> warp.c: fragments of a warp -> handler of each instruction (ops/)
 *
 * Values. A register slot is one 32-bit value of 32 lanes: 128 bytes, 128-byte aligned. A 64-bit value takes
 * two slots one behind the other and is an array of 32 uint64_t. 8- and 16-bit registers take a whole slot
 * and hold the value zero-extended in each lane (f16x2 and bf16x2 are plain 32-bit values). A predicate is
 * one bit mask of the warp's lanes. A handler writes the lanes of its mask and no others.
 *
 * Everything in ops/ is compiled once per instruction set level of the host from the same source (SIM_LEVEL
 * is the suffix), as kernels/cpu/ops are; lower.c takes the table of the best level that the machine has.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_LANES 32
#define SIM_MAX_WARPS 32 /* of a block: 1024 threads */
#define SIM_ALL_LANES 0xffffffffu
#define SIM_NO_PRED 0xffffu
#define SIM_CARRY_PRED                                                                                       \
    0 /* predicate 0 of every frame is the carry flag of add.cc and the like; no register gets it */

typedef uint32_t sim_mask;
typedef struct sim_warp sim_warp;
typedef struct sim_block sim_block;
typedef struct sim_worker sim_worker;
typedef struct sim_inst sim_inst;
typedef struct sim_function sim_function;
typedef struct sim_module sim_module;
typedef struct sim_launch sim_launch;

/* ---- instructions ---- */

/* Runs one instruction for the lanes of `mask` (never 0). */
typedef void sim_handler(sim_warp *warp, const sim_inst *inst, sim_mask mask);

/*
 * Where an operand lies. REG: the running frame's registers. CONST: the function's constants (immediates and
 * addresses, every lane alike). SPECIAL: %tid and the like, one slot each (sim_special). So any source is
 * warp->bank[bank] + 32 * slot, without a branch.
 */
typedef enum {
    SIM_REG = 0,
    SIM_CONST,
    SIM_SPECIAL,
    SIM_BANKS,
    SIM_NOTHING = 255 /* sink, or no operand */
} sim_bank;

typedef struct {
    uint16_t slot;
    uint8_t bank;
    uint8_t bytes; /* of one value: 1, 2, 4, 8 */
} sim_operand;

/* Special registers that are vectors, filled when a warp starts. Others (%clock64, %globaltimer, %smid, ...)
 * are read by a handler of their own. */
typedef enum {
    SIM_TID_X,
    SIM_TID_Y,
    SIM_TID_Z,
    SIM_NTID_X,
    SIM_NTID_Y,
    SIM_NTID_Z,
    SIM_CTAID_X,
    SIM_CTAID_Y,
    SIM_CTAID_Z,
    SIM_NCTAID_X,
    SIM_NCTAID_Y,
    SIM_NCTAID_Z,
    SIM_LANEID,
    SIM_WARPID,
    SIM_NWARPID,
    SIM_LANEMASK_EQ,
    SIM_LANEMASK_LE,
    SIM_LANEMASK_LT,
    SIM_LANEMASK_GE,
    SIM_LANEMASK_GT,
    SIM_DYNAMIC_SMEM_SIZE,
    SIM_TOTAL_SMEM_SIZE,
    SIM_WARP_SZ,
    SIM_SPECIALS
} sim_special;

/* What the warp's loop does after the handler. PLAIN: goes on with the next instruction. */
typedef enum {
    SIM_PLAIN = 0,
    SIM_CONTROL,    /* the handler has changed fragments (branch, exit, call, ret, barrier): choose anew */
    SIM_COLLECTIVE, /* .sync: the loop gathers the lanes of the member mask (operand c) first, then runs the
                       handler for all of them; with SIM_ALL_MEMBERS in flags every alive lane is a member */
} sim_kind;
#define SIM_ALL_MEMBERS 0x80 /* in flags of a collective: mma, ldmatrix, aligned barriers, ... */

/* Classes of the counters, one per instruction. */
typedef enum {
    SIM_CLASS_INT,
    SIM_CLASS_F32,
    SIM_CLASS_F64,
    SIM_CLASS_F16,
    SIM_CLASS_CVT,
    SIM_CLASS_SFU,
    SIM_CLASS_TENSOR,
    SIM_CLASS_LD_GLOBAL,
    SIM_CLASS_ST_GLOBAL,
    SIM_CLASS_LD_SHARED,
    SIM_CLASS_ST_SHARED,
    SIM_CLASS_LOCAL,
    SIM_CLASS_CONST,
    SIM_CLASS_ATOMIC,
    SIM_CLASS_ASYNC,
    SIM_CLASS_WARP,
    SIM_CLASS_BARRIER,
    SIM_CLASS_BRANCH,
    SIM_CLASS_MOVE,
    SIM_CLASSES
} sim_class;

struct sim_inst {
    sim_handler *run;
    uint8_t kind, klass;   /* sim_kind, sim_class */
    uint8_t type, type2;   /* ptx_type of the operation; of cvt's or set's source */
    uint16_t guard;        /* predicate that switches the instruction off, or SIM_NO_PRED */
    uint8_t guard_negated; /* @!p */
    uint8_t flags;         /* the handler's own */
    sim_operand dst, a, b, c;
    uint16_t pdst, pdst2; /* destination predicates of setp, shfl, ...; SIM_NO_PRED: none */
    uint16_t psrc;        /* source predicate of selp, setp.and, addc...; SIM_NO_PRED: none */
    uint8_t psrc_negated;
    uint8_t mods2;
    uint32_t mods;        /* rounding, ftz, sat, comparison, ...: the handler's own */
    int64_t imm;          /* byte offset of an address; index of the target of a branch; ... */
    uint32_t list, count; /* further operands: function->operands[list .. list + count) */
    const void *extra;    /* the handler's own; owned by the module's arena (sim_lower_alloc) */
    uint32_t line;        /* function->lines[] */
};

/* Where an instruction stands: its line in the PTX, and file:line of the .cu if there was a .loc. */
typedef struct {
    uint32_t ptx_line;
    const char *file; /* NULL: not known */
    uint32_t file_line;
} sim_line;

/* A .param variable: formal parameter or return value of a function, or an argument variable in a body. */
typedef struct {
    const char *name;
    uint32_t offset, bytes, align; /* offset in the frame's param memory of one lane */
} sim_param;

/* A label's place in the control flow: the loop runs the fragment with the smallest `order` first. */
struct sim_function {
    const char *name;
    sim_module *module;
    bool is_entry;
    sim_inst *code; /* [code_count], in PTX order; the last one is an exit or ret */
    uint32_t code_count;
    uint32_t *order; /* [code_count] rank of each instruction in reverse post-order of its block */
    sim_line *lines;
    sim_operand *operands;
    uint32_t *constants;     /* [constant_slots * 32], 128-byte aligned */
    uint32_t register_slots; /* of a frame */
    uint32_t predicates;     /* of a frame */
    uint32_t param_bytes; /* entry: size of the parameter block. Frame memory of one lane for .func bodies and
                             calls: formals, results and argument variables, see params */
    sim_param *formals, *results; /* of a .func, in order; of an .entry: formals with offsets in the block */
    uint32_t formal_count, result_count;
    uint32_t frame_param_bytes; /* of one lane: everything of .param that stands in frame memory */
    uint32_t local_bytes;       /* .local of the function, of one lane */
    uint32_t shared_bytes;      /* static .shared that it and its callees use (entries) */
    bool reads_reserved;        /* it asks where the shared memory that the system keeps lies (entries) */
    bool calls;                 /* it has a call instruction */
    uint32_t max_threads;       /* .maxntid product, or 0 */
    uint32_t registers, spill_bytes; /* of the real machine code (sm_90a), if known; 0 otherwise */
};

/* ---- running ---- */

/* One activation of a function. Frames of a warp form a tree: fragments that called apart have frames apart.
 */
typedef struct sim_frame {
    struct sim_frame *caller;
    const sim_function *function;
    uint32_t *registers; /* [register_slots * 32] */
    sim_mask *predicates;
    uint8_t *params;     /* [32][frame_param_bytes] */
    uint32_t local_base; /* of this frame in each lane's local memory */
    uint32_t return_pc;
    const sim_inst *call;
    uint32_t depth;
    uint32_t users;  /* fragments in it, and those that wait in it for a call to return */
    size_t capacity; /* bytes of `memory`, which holds registers, predicates and params */
    void *memory;
} sim_frame;

/* Lanes of a warp that stand at one instruction of one frame. */
typedef enum { SIM_READY = 0, SIM_AT_BARRIER, SIM_AT_COLLECTIVE } sim_wait;

typedef struct {
    sim_mask mask;
    uint32_t pc;
    sim_frame *frame;
    uint8_t wait;     /* sim_wait */
    bool yielded;     /* it has spun for long: others first */
    bool forced;      /* its collective runs with the lanes that are there (after a finding) */
    uint32_t barrier; /* its number while at one */
} sim_fragment;

struct sim_warp {
    /* what handlers use: the running fragment's */
    uint32_t *bank[SIM_BANKS];
    sim_mask *pred;
    uint32_t pc; /* of the next instruction; handlers of kind CONTROL may set it */
    sim_frame *frame;
    sim_block *block;
    sim_worker *worker;
    uint32_t index;          /* in its block */
    sim_mask started, alive; /* lanes of the block's threads; of these, not exited */

    sim_fragment fragment[SIM_LANES];
    uint32_t fragments, current; /* how many, which one runs */
    uint32_t
        limit; /* order at which another ready fragment of the running one's frame stands; UINT32_MAX: none */
    int32_t
        budget; /* instructions until another warp has its turn; a handler that stops the warp sets it to 0 */
    uint32_t spins; /* backward branches of lanes apart since a fragment last yielded */

    uint8_t *local; /* [32][worker->local_limit], NULL until sim_warp_local() is first called */
    uint32_t special[SIM_SPECIALS * SIM_LANES] __attribute__((aligned(128)));
    void *check;           /* the checkers' own state of this warp: clocks, cp.async groups (check.h) */
    uint64_t instructions; /* run by this warp before this turn: %clock */
    int32_t quantum;       /* budget at the turn's begin */
};

typedef struct {
    uint32_t expected, arrived; /* threads (lanes that the block does not fill count as arrived with their
                                   warp); 0 expected: nobody has come */
    bool all, any;              /* of bar.red */
    uint32_t count;
} sim_barrier;

/* Shared memory of a block that the system keeps, behind the kernel's own: cooperative groups have barriers
 * of their larger tiles in it, and count on zeros at the start. */
enum { SIM_RESERVED_BYTES = 1024 };

struct sim_block {
    const sim_launch *launch;
    sim_worker *worker;
    uint32_t ctaid[3];
    uint64_t linear; /* number of the block in the grid */
    uint32_t warps, threads;
    sim_warp *warp; /* [warps] */
    uint8_t *shared;
    uint32_t shared_bytes; /* static and dynamic, and what the system keeps where the kernel asks for it */
    uint32_t reserved_at;  /* SIM_RESERVED_BYTES from here to the end; 0: the kernel does not ask */
    sim_barrier barrier[16];
    uint32_t ready;   /* warps with a fragment that can run */
    uint32_t running; /* warps that have not ended */
    void *check;      /* the checkers' own: shadow of shared memory, clocks */
};

/* What one kernel launch is. */
struct sim_launch {
    const sim_function *kernel;
    uint32_t grid[3], block[3];
    uint32_t dynamic_shared;
    const uint8_t *params; /* [kernel->param_bytes] */
    uint64_t number;       /* counts launches: the epoch of shadow cells */
    uint64_t stream;       /* the stream's number, for stream_order */
};

/* Counters of one launch. Each worker has its own; grid.c adds them up. */
typedef struct {
    uint64_t instructions[SIM_CLASSES]; /* warp instructions with at least one lane on */
    uint64_t lanes;                     /* lane instructions: lanes / 32 / instructions is efficiency */
    uint64_t branches, divergent_branches;
    uint64_t tensor_flops;
    uint64_t global_requests, sectors_read, sectors_written;   /* 32-byte sectors moved */
    uint64_t global_bytes_asked;                               /* bytes that lanes asked for */
    uint64_t shared_requests, shared_passes, shared_conflicts; /* passes beyond the least */
    uint64_t atomics;
    uint64_t issue_cycles; /* by class and width, for the roofline's third bound */
} sim_counters;

/* A host thread that runs blocks, one after another. */
struct sim_worker {
    struct sim_grid *grid; /* the launch in progress (grid.c) */
    uint32_t index;
    uint64_t seed; /* of the schedule: next random number by sim_random() */
    sim_counters counters;
    uint32_t local_limit;   /* bytes of local memory of one thread */
    bool failed;            /* a trap: this worker's blocks stop */
    sim_frame *free_frames; /* linked by caller */
    void *check;
};

/* The next 32 random bits of the worker's schedule (xorshift64*). */
static inline uint32_t sim_random(sim_worker *worker)
{
    uint64_t x = worker->seed;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    worker->seed = x;
    return (uint32_t)((x * 0x2545F4914F6CDD1Dull) >> 32);
}

/* Results of a launch, as the driver API numbers them (cuda.h, CUresult). */
enum {
    SIM_OK = 0,
    SIM_ERROR_ILLEGAL_ADDRESS = 700,
    SIM_ERROR_LAUNCH_TIMEOUT = 702,
    SIM_ERROR_ASSERT = 710,
    SIM_ERROR_HARDWARE_STACK = 714,
    SIM_ERROR_ILLEGAL_INSTRUCTION = 715,
    SIM_ERROR_MISALIGNED = 716,
    SIM_ERROR_INVALID_ADDRESS_SPACE = 717,
    SIM_ERROR_INVALID_PC = 718,
    SIM_ERROR_LAUNCH_FAILED = 719,
};

/*
 * Runs a launch to its end (grid.c). Counters are added to *counters. Returns SIM_OK, or the error of the
 * first trap; findings go to report.h.
 */
int sim_grid_run(const sim_launch *launch, sim_counters *counters);

/* Stops the launch from inside a handler: the first trap's error is the launch's result (grid.c). */
void sim_trap(sim_warp *warp, int error);

/* The warp's local memory [32][worker->local_limit], taken at first use (warp.c). */
uint8_t *sim_warp_local(sim_warp *warp);

/* ---- operands: what handlers use ---- */

static inline uint32_t *sim_u32(const sim_warp *w, sim_operand o)
{
    return (uint32_t *)__builtin_assume_aligned(w->bank[o.bank] + (size_t)SIM_LANES * o.slot, 128);
}

static inline uint64_t *sim_u64(const sim_warp *w, sim_operand o)
{
    return (uint64_t *)(void *)sim_u32(w, o);
}

static inline float *sim_f32(const sim_warp *w, sim_operand o)
{
    return (float *)(void *)sim_u32(w, o);
}

static inline double *sim_f64(const sim_warp *w, sim_operand o)
{
    return (double *)(void *)sim_u32(w, o);
}

/* The n-th further operand of an instruction of the running frame's function. */
static inline sim_operand sim_function_operand(const sim_warp *w, const sim_inst *i, uint32_t n)
{
    return w->frame->function->operands[i->list + n];
}

/* Sets the lanes of `mask` of a predicate to `value`'s. */
static inline void sim_set_pred(sim_warp *w, uint16_t p, sim_mask mask, sim_mask value)
{
    if (p != SIM_NO_PRED) {
        w->pred[p] = (w->pred[p] & ~mask) | (value & mask);
    }
}

/* ---- address windows (generic addresses) ---- */

/*
 * A generic address below SIM_WINDOW_END lies in one of these windows; above it is a global one (memory.h).
 * Addresses of ld.shared, st.local and so on are offsets into the window.
 */
#define SIM_SHARED_WINDOW 0x0100000000ull
#define SIM_LOCAL_WINDOW 0x0200000000ull
#define SIM_PARAM_WINDOW 0x0300000000ull /* kernel parameters, read only */
#define SIM_WINDOW_BYTES 0x0100000000ull
#define SIM_WINDOW_END 0x0400000000ull

#endif
