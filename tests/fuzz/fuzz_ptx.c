/*
 * Arbitrary bytes through the simulated GPU's reader of PTX: text to tree (ptx.h), tree to predecoded
 * instructions (lower.h). Nothing is run. What is refused comes with a reason; in what is accepted each
 * instruction has its handler, and its operands, predicates and place lie within the function's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/status.h"
#include "tests/gpusim/device_calls.h"
#include "tests/gpusim/lower.h"
#include "tests/gpusim/memory.h"
#include "tests/gpusim/report.h"

enum { DEVICE_BYTES = 64 << 20 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    sim_switches_read();
    SA_ASSERT(sim_memory_open(DEVICE_BYTES));
    return 0;
}

/* ---- what running kernels would call: parts of the driver, which need cuda.h ---- */

void sim_device_heap_open(void)
{
}

int sim_device_printf(sim_warp *warp, uint32_t lane, uint64_t format, uint64_t arguments)
{
    (void)warp, (void)lane, (void)format, (void)arguments;
    abort();
}

void sim_device_assert(sim_warp *warp, const sim_inst *inst, uint32_t lane, uint64_t message, uint64_t file,
                       uint32_t line, uint64_t function)
{
    (void)warp, (void)inst, (void)lane, (void)message, (void)file, (void)line, (void)function;
    abort();
}

uint64_t sim_device_malloc(sim_warp *warp, uint32_t lane, uint64_t bytes)
{
    (void)warp, (void)lane, (void)bytes;
    abort();
}

void sim_device_free(sim_warp *warp, const sim_inst *inst, uint32_t lane, uint64_t address)
{
    (void)warp, (void)inst, (void)lane, (void)address;
    abort();
}

/* ---- what lowering promises ---- */

static void check_operand(const sim_function *f, sim_operand o)
{
    const uint32_t slots = o.bytes == 8 ? 2 : 1;
    if (o.bank == SIM_REG) {
        SA_ASSERT(o.slot + slots <= f->register_slots);
    } else if (o.bank == SIM_SPECIAL) {
        SA_ASSERT(o.slot < SIM_SPECIALS);
    } else if (o.bank == SIM_CONST) { /* the whole vector can be read */
        const volatile uint32_t *last = f->constants + (size_t)SIM_LANES * (o.slot + slots) - 1;
        (void)*last;
    } else {
        SA_ASSERT(o.bank == SIM_NOTHING);
    }
}

static void check_predicate(const sim_function *f, uint16_t p)
{
    SA_ASSERT(p == SIM_NO_PRED || p < f->predicates);
}

static void check_instruction(const sim_function *f, const sim_inst *inst)
{
    SA_ASSERT(inst->run != NULL && inst->kind <= SIM_COLLECTIVE && inst->klass < SIM_CLASSES);
    check_operand(f, inst->dst);
    check_operand(f, inst->a);
    check_operand(f, inst->b);
    check_operand(f, inst->c);
    check_predicate(f, inst->guard);
    check_predicate(f, inst->pdst);
    check_predicate(f, inst->pdst2);
    check_predicate(f, inst->psrc);
}

static void check_module(const sim_module *module)
{
    for (uint32_t n = 0; n < module->ptx->function_count; n++) {
        const sim_function *f = &module->functions[n];
        for (uint32_t i = 0; i < f->code_count; i++) {
            check_instruction(f, &f->code[i]);
            SA_ASSERT(f->code[i].line < f->code_count && f->order[i] != UINT32_MAX);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[512] = "";
    ptx_module *ptx = ptx_parse((const char *)data, size, error, sizeof error);
    if (ptx == NULL) {
        SA_ASSERT(error[0] != '\0');
        return 0;
    }
    sim_module *module = sim_module_lower(ptx, error, sizeof error);
    if (module == NULL) {
        SA_ASSERT(error[0] != '\0');
        return 0;
    }
    check_module(module);
    sim_module_free(module);
    return 0;
}
